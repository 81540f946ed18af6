/** A lowered program with its memory on a device, ready to run. @module */
import type { HostTensor } from "../../tensor/host_tensor.ts";
import { DTYPE_ARRAYS, sizeOf } from "../../tensor/host_tensor.ts";
import { philoxWords, type RandomKey } from "../../tensor/random.ts";
import type { HostTensors } from "../executor.ts";
import type { Device, DevicePointer, Launch, PreparedProduct, Replay } from "./device.ts";
import type { KernelLibrary } from "./kernel_library.ts";
import type { LoweredProgram, Slot } from "./lower.ts";
import { aligned } from "./memory_plan.ts";
import type { Place, Step } from "./step.ts";

/** Memory that is not the program's own: resident parameters and gradients. */
export type ExternalMemory = ReadonlyMap<string, DevicePointer>;

type Enqueue = () => void;

/** A lowered program with its memory. */
export class PreparedProgram {
  /** What runs. */
  readonly lowered: LoweredProgram;
  readonly #device: Device;
  readonly #library: KernelLibrary;
  readonly #pointers: DevicePointer[] = [];
  readonly #owned: DevicePointer[] = [];
  readonly #inputs = new Map<string, number>();
  readonly #external: { inputs: ExternalMemory; outputs: ExternalMemory };
  readonly #siteCount: number;
  readonly #resident?: (data: ArrayBufferView) => DevicePointer | undefined;
  #keys?: DevicePointer;
  #run: Enqueue[] = [];
  #replay?: Replay;
  #runs = 0;

  private constructor(
    device: Device,
    library: KernelLibrary,
    lowered: LoweredProgram,
    options: {
      siteCount: number;
      external: { inputs: ExternalMemory; outputs: ExternalMemory };
      resident?: (data: ArrayBufferView) => DevicePointer | undefined;
    },
  ) {
    this.#device = device;
    this.#library = library;
    this.lowered = lowered;
    this.#siteCount = options.siteCount;
    this.#external = options.external;
    this.#resident = options.resident;
  }

  /**
   * Compile, reserve memory, load tables and constants, and compute what depends on constants only.
   *
   * @param constants Values of the inputs that never change
   */
  static async open(
    device: Device,
    library: KernelLibrary,
    lowered: LoweredProgram,
    options: {
      siteCount: number;
      constants: ReadonlyMap<string, DevicePointer>;
      external: ExternalMemory;
      /** Names of the program's inputs. */
      inputs: ReadonlySet<string>;
      resident?: (data: ArrayBufferView) => DevicePointer | undefined;
    },
  ): Promise<PreparedProgram> {
    await library.add([...lowered.once, ...lowered.steps]);
    // An input and an output may have the same name.
    const inputs = new Map([...options.external, ...options.constants]);
    const outputs = new Map([...options.external].filter(([name]) => !options.inputs.has(name)));
    const made = new PreparedProgram(device, library, lowered, {
      siteCount: options.siteCount,
      external: { inputs, outputs },
      resident: options.resident,
    });
    try {
      made.#reserve();
      for (const step of lowered.once) made.#prepare(step)();
      made.#run = lowered.steps.map((s) => made.#prepare(s));
    } catch (error) {
      made.dispose();
      throw error;
    }
    return made;
  }

  #allocate(bytes: number): DevicePointer {
    const pointer = this.#device.allocate(Math.max(bytes, 16));
    this.#owned.push(pointer);
    return pointer;
  }

  /** Memory of a slot that is not the program's own. */
  #given({ kind, name }: Slot): DevicePointer | undefined {
    if (name === undefined) return undefined;
    return kind === "output" ? this.#external.outputs.get(name) : this.#external.inputs.get(name);
  }

  #reserve(): void {
    const { slots, offsets, passingBytes } = this.lowered;
    const arena = this.#allocate(passingBytes);
    // What is not passing lies one after the other in one allocation.
    const own = slots.map((s) => {
      const isGiven = this.#given(s) !== undefined;
      return s.kind === "passing" || isGiven
        ? 0
        : s.kind === "keys"
        ? 16 * this.#siteCount
        : Math.max(s.bytes, 16);
    });
    const base = this.#allocate(own.reduce((sum, b) => sum + aligned(b), 0));
    let offset = 0n;
    slots.forEach((slot, i) => {
      const given = this.#given(slot);
      if (given !== undefined) this.#pointers[i] = given;
      else if (slot.kind === "passing") this.#pointers[i] = arena + BigInt(offsets[i] ?? 0);
      else {
        this.#pointers[i] = base + offset;
        offset += BigInt(aligned(own[i]));
        if (slot.kind === "input") this.#inputs.set(slot.name!, i);
        if (slot.kind === "keys") this.#keys = this.#pointers[i];
        if (slot.data?.length) this.#device.upload(this.#pointers[i], slot.data);
      }
    });
  }

  #at = ({ slot, offset = 0 }: Place): DevicePointer => this.#pointers[slot] + BigInt(offset);

  #prepare(step: Step): Enqueue {
    const device = this.#device;
    switch (step.kind) {
      case "clear": {
        const to = this.#at(step.to);
        return () => device.clear(to, step.bytes);
      }
      case "product": {
        const prepared: PreparedProduct = device.prepareProduct(step.product);
        const pointers = {
          a: this.#at(step.a),
          b: this.#at(step.b),
          c: this.#at(step.c),
          addend: step.addend && this.#at(step.addend),
        };
        return () => device.multiply(prepared, pointers);
      }
      case "kernel": {
        const launch: Launch = {
          kernel: this.#library.get(step.text),
          grid: step.grid,
          threads: step.threads,
          parameters: step.parameters.map((p) => typeof p === "number" ? p : this.#at(p)),
        };
        return () => device.launch(launch);
      }
    }
  }

  /** Copy the inputs in that are the program's own, and the keys of the random masks. */
  feed(inputs: HostTensors, random: RandomKey | undefined): void {
    for (const [name, slot] of this.#inputs) {
      const { data } = inputs[name];
      const there = this.#resident?.(data);
      if (there !== undefined) this.#device.copy(this.#pointers[slot], there, data.byteLength);
      else if (data.length) this.#device.upload(this.#pointers[slot], data);
    }
    if (this.#keys === undefined || !random) return;
    const words = new Uint32Array(4 * this.#siteCount);
    for (let site = 0; site < this.#siteCount; site++) {
      const { key, step } = philoxWords({ ...random, stream: `${random.stream}/${site}` });
      words.set([...key, ...step], 4 * site);
    }
    this.#device.upload(this.#keys, words);
  }

  /** Enqueue all steps: one by one the first time, and from then on as a recorded whole. */
  enqueue(): void {
    if (this.#runs++ === 0) {
      for (const f of this.#run) f();
      return;
    }
    this.#replay ??= this.#device.record(() => {
      for (const f of this.#run) f();
    });
    this.#replay.launch();
  }

  /** What enqueues one step, for measurements. */
  stepAt(index: number): () => void {
    return this.#run[index];
  }

  /** Where an output lies. */
  pointerOf(name: string): DevicePointer {
    return this.#pointers[this.lowered.outputs.find((o) => o.name === name)!.slot];
  }

  /**
   * Copy outputs out.
   *
   * @param buffers Memory for some of them; the others get new memory
   * @param skipped Outputs to leave where they are
   */
  fetch(buffers: HostTensors, skipped: ReadonlyMap<string, unknown> = new Map()): HostTensors {
    const out: Record<string, HostTensor> = {};
    for (const { name, slot, dtype, shape } of this.lowered.outputs) {
      if (skipped.has(name)) continue;
      const buffer = Object.hasOwn(buffers, name) ? buffers[name] : undefined;
      const tensor = buffer ??
        ({ dtype, shape, data: new DTYPE_ARRAYS[dtype](sizeOf(shape)) } as HostTensor);
      if (tensor.data.length) this.#device.download(this.#pointers[slot], tensor.data);
      out[name] = tensor;
    }
    return out;
  }

  /** Free the memory. */
  dispose(): void {
    this.#replay?.dispose();
    this.#replay = undefined;
    for (const pointer of this.#owned.splice(0)) this.#device.free(pointer);
  }
}
