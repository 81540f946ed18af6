/** A program on a device: prepared anew for every set of sizes it meets. @module */
import { DeepragError, ShapeError } from "../../errors.ts";
import type { Program, Recording, Sizes } from "../../graph/mod.ts";
import type { DType } from "../../tensor/host_tensor.ts";
import type { CompileOptions, Executable, HostTensors, RunOptions } from "../executor.ts";
import { recordProgram } from "../record_program.ts";
import { bindSizes, checkOutputs, requireRandom, type Signature } from "../signature.ts";
import { bindGraph } from "./bound_graph.ts";
import type { Device, DevicePointer, MatrixPrecision } from "./device.ts";
import type { KernelLibrary } from "./kernel_library.ts";
import { lower, type LoweredProgram } from "./lower.ts";
import type { WeightOffsets } from "./stack_projections.ts";
import { halfName } from "./stored_values.ts";
import { type ExternalMemory, PreparedProgram } from "./prepared_program.ts";

/** Sets of sizes that are kept prepared; the one used longest ago makes room for the next. */
const KEPT_SIZES = 12;

/** What a program on a device is made with. */
export interface DeviceExecutableOptions extends CompileOptions {
  /** Precision of matrix products, and with bfloat16 of what feeds them. */
  precision: MatrixPrecision;
  /** Memory of inputs and outputs that lives on the device: they are neither fed nor fetched. */
  external?: ExternalMemory;
  /** Copies in bfloat16 of external inputs, for matrix products. */
  halves?: ExternalMemory;
  /** Where external parameters lie, in elements of the vector that holds them all. */
  offsets?: WeightOffsets;
  /** Called before every run. */
  beforeRun?: () => void;
  /** Where a view of the host's memory stands on the device, if it does and is newer there. */
  resident?: (data: ArrayBufferView) => DevicePointer | undefined;
}

/** A program on a device. */
export class DeviceExecutable implements Executable {
  /** Inputs still to be fed: name to element type. */
  readonly inputs: Readonly<Record<string, DType>>;
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  readonly #device: Device;
  readonly #library: KernelLibrary;
  readonly #recording: Recording;
  readonly #signature: Signature;
  readonly #options: DeviceExecutableOptions;
  readonly #external: ExternalMemory;
  readonly #externalOutputs: ExternalMemory;
  readonly #prepared = new Map<string, PreparedProgram>();
  readonly #constants = new Map<string, DevicePointer>();
  readonly #fedSignature: Signature;
  #turn: Promise<unknown> = Promise.resolve();
  #isDisposed = false;

  /** Record a program; kernels are made when sizes are known. */
  constructor(
    device: Device,
    library: KernelLibrary,
    program: Program,
    options: DeviceExecutableOptions,
  ) {
    this.#device = device;
    this.#library = library;
    this.#options = options;
    this.#external = options.external ?? new Map();
    const { recording, signature } = recordProgram(program, options);
    this.#recording = recording;
    this.#signature = signature;
    this.#fedSignature = {
      ...signature,
      inputs: Object.fromEntries(
        Object.entries(signature.inputs).filter(([name]) => !this.#external.has(name)),
      ),
    };
    this.inputs = Object.fromEntries(
      Object.entries(this.#fedSignature.inputs).map(([name, { dtype }]) => [name, dtype]),
    );
    this.#externalOutputs = new Map(
      [...this.#external].filter(([name]) => !Object.hasOwn(program.inputs, name)),
    );
    this.outputs = signature.outputs.map((o) => o.name)
      .filter((name) => !this.#externalOutputs.has(name));
    try {
      for (const [name, { data }] of Object.entries(options.constants ?? {})) {
        const pointer = device.allocate(Math.max(16, data.byteLength));
        this.#constants.set(name, pointer);
        if (data.length) device.upload(pointer, data);
      }
    } catch (error) {
      for (const pointer of this.#constants.values()) device.free(pointer);
      throw error;
    }
  }

  /** The steps for given sizes, for dumps and counts. */
  lowered(sizes: Sizes): LoweredProgram {
    const { precision, constants = {} } = this.#options;
    return lower(bindGraph(this.#recording, sizes), {
      precision,
      constants: new Set(Object.keys(constants)),
      halves: new Set(this.#options.halves?.keys()),
      offsets: this.#options.offsets,
    });
  }

  /** Ready for these sizes. */
  async prepare(sizes: Sizes): Promise<PreparedProgram> {
    const missing = this.#recording.symbols.filter((s) => sizes[s] === undefined);
    if (missing.length) {
      throw new ShapeError(
        `Cannot run ${this.#signature.name}: size ${
          missing.join(", ")
        } stands in no tensor of a batch. ` +
          "Give the batch a tensor that has it, such as the numbers of the rows",
      );
    }
    const key = this.#recording.symbols.map((s) => sizes[s]).join();
    const known = this.#prepared.get(key);
    if (known) {
      this.#prepared.delete(key);
      this.#prepared.set(key, known);
      return known;
    }
    for (const [oldest, program] of this.#prepared) {
      if (this.#prepared.size < KEPT_SIZES) break;
      program.dispose();
      this.#prepared.delete(oldest);
    }
    const made = await PreparedProgram.open(this.#device, this.#library, this.lowered(sizes), {
      siteCount: this.#signature.masks.length,
      constants: this.#constants,
      external: new Map([
        ...this.#external,
        ...[...this.#options.halves ?? []].map(([name, p]) => [halfName(name), p] as const),
      ]),
      inputs: new Set(this.#recording.inputs.map((i) => i.name)),
      resident: this.#options.resident,
    });
    this.#prepared.set(key, made);
    return made;
  }

  /** Feed and enqueue a run; `use` reads what it needs before another run begins. */
  async execute<T>(
    inputs: HostTensors,
    options: RunOptions,
    use: (prepared: PreparedProgram) => T,
  ): Promise<T> {
    const { name, masks } = this.#signature;
    const { outputs = {}, random } = options;
    if (this.#isDisposed) throw new DeepragError(`Cannot run ${name}: it was disposed`);
    const sizes = bindSizes(this.#fedSignature, inputs);
    checkOutputs(this.#signature, outputs, sizes);
    if (masks.length) requireRandom(name, random);
    const turn = this.#turn.then(async () => {
      if (this.#isDisposed) throw new DeepragError(`Cannot run ${name}: it was disposed`);
      const prepared = await this.prepare(sizes);
      this.#options.beforeRun?.();
      prepared.feed(inputs, random);
      prepared.enqueue();
      return use(prepared);
    });
    this.#turn = turn.catch(() => {});
    return await turn;
  }

  /** Run once. */
  async run(inputs: HostTensors, options: RunOptions = {}): Promise<HostTensors> {
    return await this.execute(
      inputs,
      options,
      (prepared) => prepared.fetch(options.outputs ?? {}, this.#externalOutputs),
    );
  }

  /** Free everything that is the program's own. */
  async dispose(): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    await this.#turn;
    for (const prepared of this.#prepared.values()) prepared.dispose();
    this.#prepared.clear();
    for (const pointer of this.#constants.values()) this.#device.free(pointer);
    this.#constants.clear();
  }
}
