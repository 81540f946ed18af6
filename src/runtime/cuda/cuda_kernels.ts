/** Kernels on a GPU, and their arguments as the driver wants them. @module */
import { DeviceError } from "../../errors.ts";
import type { CudaDriver, Handle } from "./cuda_driver.ts";
import type { Device, Kernel, KernelSignature, Launch } from "./device.ts";
import { addressOf, words } from "./host_memory.ts";

/** A kernel on a GPU. */
export class CudaKernel implements Kernel {
  /** The device it was compiled for. */
  readonly owner: Device;
  /** What it was compiled from. */
  readonly signature: KernelSignature;
  /** The driver's handle of it. */
  readonly handle: Handle;

  /** Made by `compile`. */
  constructor(owner: Device, signature: KernelSignature, handle: Handle) {
    this.owner = owner;
    this.signature = signature;
    this.handle = handle;
  }

  /** Name of its function. */
  get name(): string {
    return this.signature.name;
  }
}

/** Launches of a device's kernels; the arguments of each are laid out once. */
export class CudaLaunches {
  readonly #owner: Device;
  readonly #prepared = new WeakMap<Launch, PreparedLaunch>();

  /** @param owner The device */
  constructor(owner: Device) {
    this.#owner = owner;
  }

  /** Enqueue a launch; none of its blocks is one of nothing. */
  run(launch: Launch, driver: CudaDriver, stream: Handle): void {
    let prepared = this.#prepared.get(launch);
    if (!prepared) {
      prepared = prepare(launch, this.#owner);
      this.#prepared.set(launch, prepared);
    }
    if (launch.grid.includes(0) || launch.threads === 0) return;
    driver.launch(prepared.kernel, launch.grid, launch.threads, {
      parameters: prepared.addresses,
      sharedBytes: prepared.kernel.signature.sharedBytes,
      stream,
    });
  }
}

interface PreparedLaunch {
  readonly kernel: CudaKernel;
  /** One value of 8 bytes for each parameter; `addresses` points into it. */
  readonly values: BigUint64Array<ArrayBuffer>;
  readonly addresses: BigUint64Array<ArrayBuffer>;
}

function prepare({ kernel, parameters }: Launch, owner: Device): PreparedLaunch {
  if (!(kernel instanceof CudaKernel) || kernel.owner !== owner) {
    throw new DeviceError(
      `Cannot launch ${kernel.signature.name}: it was compiled for another device`,
    );
  }
  const expected = kernel.signature.parameters.length;
  if (parameters.length !== expected) {
    throw new DeviceError(
      `Cannot launch ${kernel.name}: ${parameters.length} arguments for ${expected} parameters`,
    );
  }
  const values = words(expected);
  // A negative integer is stored in two's complement, as long long is.
  parameters.forEach((value, i) => values[i] = BigInt(value));
  const addresses = words(expected);
  const first = expected > 0 ? addressOf(values) : 0n;
  for (let i = 0; i < expected; i++) addresses[i] = first + BigInt(8 * i);
  return { kernel, values, addresses };
}
