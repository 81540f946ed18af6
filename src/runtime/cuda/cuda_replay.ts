/** Work that was recorded on a GPU. @module */
import { DeviceError } from "../../errors.ts";
import type { CudaDriver, Handle } from "./cuda_driver.ts";
import type { Replay } from "./device.ts";

/** What a replay needs of its device. */
export interface ReplayParts {
  /** Number of kernels, copies and clears that are recorded. */
  readonly nodes: number;
  /** The driver's handle of it. */
  readonly executable: Handle;
  /** Gives the driver, once it is sure that `action` can be done. */
  readonly enter: (action: string) => { driver: CudaDriver; stream: Handle };
  /** Called when it is freed. */
  readonly forget: (replay: CudaReplay) => void;
}

/** Recorded work on a GPU. */
export class CudaReplay implements Replay {
  /** Number of kernels, copies and clears that are recorded. */
  readonly nodes: number;
  readonly #parts: ReplayParts;
  #isDisposed = false;

  /** Made by {@link CudaDevice.record}. */
  constructor(parts: ReplayParts) {
    this.nodes = parts.nodes;
    this.#parts = parts;
  }

  /** Enqueue all of it again. */
  launch(): void {
    const { driver, stream } = this.#parts.enter("repeat recorded work");
    if (this.#isDisposed) throw new DeviceError("Cannot repeat recorded work: it was freed");
    if (this.nodes > 0) driver.launchGraph(this.#parts.executable, stream);
  }

  /** Free it, after it has run. */
  dispose(): void {
    if (this.#isDisposed) return;
    const { driver, stream } = this.#parts.enter("free recorded work");
    this.#isDisposed = true;
    this.#parts.forget(this);
    driver.synchronize(stream);
    driver.destroyExecutable(this.#parts.executable);
  }
}
