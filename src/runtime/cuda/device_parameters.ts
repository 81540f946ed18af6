/** The vectors of a parameter store in a device's memory, and the optimiser step there. @module */
import type { Program } from "../../graph/mod.ts";
import { paddedLength, type Segment } from "../../optim/mod.ts";
import type { CompileOptions, Executable } from "../executor.ts";
import type { OptimizerStepResult } from "../optimizer.ts";
import type { ParameterStore, TrainingVectors } from "../parameter_store.ts";
import type { ResidentParameters, ResidentUpdate } from "../resident.ts";
import type { Device, DevicePointer, Kernel, MatrixPrecision } from "./device.ts";
import { DeviceExecutable } from "./device_executable.ts";
import type { KernelLibrary } from "./kernel_library.ts";
import { stackName } from "./stack_projections.ts";
import {
  ADAMW_ROWS,
  adamwKernel,
  ADD,
  GATHER_ROWS,
  NORM_BLOCKS,
  NORM_PARTS,
  NORM_VERDICT,
  STRETCH_NUMBERS,
  TO_HALF,
  type UpdateKernel,
} from "./update_kernels.ts";

/** Parameters that follow each other and are treated alike. */
interface Stretch {
  readonly offset: number;
  length: number;
  readonly decay: boolean;
  readonly rateFactor: number;
}

/** A row-sparse parameter. */
interface SparseMatrix {
  readonly segment: Segment;
  /** The rows of a batch, one after the other. */
  readonly values: DevicePointer;
  /** Which rows those are. */
  readonly ids: DevicePointer;
}

/** Parts of the device's memory, by what they hold. */
interface Vectors {
  readonly flat: DevicePointer;
  readonly gradients: DevicePointer;
  readonly state: DevicePointer;
  readonly accumulated?: DevicePointer;
  readonly average?: DevicePointer;
  /** Parameters in bfloat16. */
  readonly half?: DevicePointer;
  readonly normParts: DevicePointer;
  readonly verdict: DevicePointer;
  readonly limits: DevicePointer;
  readonly stretches: DevicePointer;
}

/** What resident parameters are made with. */
export interface DeviceParametersOptions {
  /** Where they live. */
  readonly device: Device;
  /** Compiled kernels of that device. */
  readonly library: KernelLibrary;
  /** Precision of matrix products; with bfloat16 a copy of the parameters is kept for them. */
  readonly precision: MatrixPrecision;
  /** Called when the memory is freed. */
  readonly forget: () => void;
}

function stretchesOf(store: ParameterStore): Stretch[] {
  const out: Stretch[] = [];
  for (const { offset, length, decay, rateFactor, isRowSparse } of store.layout.segments) {
    if (isRowSparse) continue;
    const last = out.at(-1), size = paddedLength(length);
    const isLike = last && last.offset + last.length === offset && last.decay === decay &&
      last.rateFactor === rateFactor;
    if (isLike) last.length += size;
    else out.push({ offset, length: size, decay, rateFactor });
  }
  return out;
}

/**
 * Whether a store can be trained on a device: by AdamW, and without a moving average of parameters of
 * which single rows are updated.
 */
export function canReside(store: ParameterStore): boolean {
  if (!store.isTrainable || store.training.rule.name !== "adamw") return false;
  return !store.training.average || store.layout.segments.every((s) => !s.isRowSparse);
}

/** Kernels of the step, whatever there is beside the parameters. */
const FIXED_KERNELS = {
  parts: NORM_PARTS,
  verdict: NORM_VERDICT,
  add: ADD,
  toHalf: TO_HALF,
  gatherRows: GATHER_ROWS,
  adamwRows: ADAMW_ROWS,
};

/** Kernels of the step, compiled. */
type Kernels = Readonly<Record<keyof typeof FIXED_KERNELS | "adamw", Kernel>>;

/** The vectors of a store on a device. */
export class DeviceParameters implements ResidentParameters {
  readonly #store: ParameterStore;
  readonly #host: { flat: Float32Array; training: TrainingVectors };
  readonly #options: DeviceParametersOptions;
  readonly #stretches: readonly Stretch[];
  readonly #sparse: readonly SparseMatrix[];
  readonly #vectors: Vectors;
  readonly #owned: DevicePointer[] = [];
  #kernels?: Kernels;
  #isAhead = false;
  #users = 0;

  /**
   * Reserve the memory.
   *
   * @param host Vectors of the store
   * @throws {DeviceError} If there is not enough memory
   */
  constructor(
    store: ParameterStore,
    host: { flat: Float32Array; training: TrainingVectors },
    options: DeviceParametersOptions,
  ) {
    this.#store = store;
    this.#host = host;
    this.#options = options;
    this.#stretches = stretchesOf(store);
    const sparse = store.layout.segments.filter((s) => s.isRowSparse);
    const { training: { accumulated, average, state }, flat } = host;
    const allocate = (bytes: number): DevicePointer => {
      const pointer = options.device.allocate(Math.max(16, bytes));
      this.#owned.push(pointer);
      return pointer;
    };
    try {
      this.#vectors = {
        flat: allocate(flat.byteLength),
        gradients: allocate(flat.byteLength),
        state: allocate(state.byteLength),
        accumulated: accumulated && allocate(flat.byteLength),
        average: average && allocate(flat.byteLength),
        half: options.precision === "bfloat16" ? allocate(flat.length * 2) : undefined,
        normParts: allocate(NORM_BLOCKS * 8 * (this.#stretches.length + sparse.length)),
        verdict: allocate(16),
        limits: allocate(16),
        stretches: allocate((this.#stretches.length + sparse.length) * STRETCH_NUMBERS * 4),
      };
      this.#sparse = sparse.map((segment) => ({
        segment,
        values: allocate(segment.length * 4),
        ids: allocate(segment.shape[0] * 4),
      }));
    } catch (error) {
      this.#free();
      throw error;
    }
  }

  #free(): void {
    for (const pointer of this.#owned.splice(0)) this.#options.device.free(pointer);
  }

  /** One more user. */
  hold(): void {
    this.#users++;
  }

  /** One user less; the last one frees the memory. */
  release(): void {
    if (--this.#users > 0) return;
    try {
      this.settle();
    } finally {
      // Whatever the device says, the store is the host's again.
      this.#store.moveTo();
      this.#options.forget();
    }
    this.#free();
  }

  /** Whether the device's copy is the newer one. */
  get isAhead(): boolean {
    return this.#isAhead;
  }

  /** Where a view of the host's vectors stands on the device; undefined if it is no such view. */
  pointerOf(data: ArrayBufferView): DevicePointer | undefined {
    const { flat } = this.#host, from = data.byteOffset - flat.byteOffset;
    const isInside = data.buffer === flat.buffer && from >= 0 &&
      from + data.byteLength <= flat.byteLength;
    return isInside ? this.#vectors.flat + BigInt(from) : undefined;
  }

  async #load(): Promise<Kernels> {
    if (this.#kernels) return this.#kernels;
    const { library } = this.#options, { half, average } = this.#vectors;
    const adamw = adamwKernel({ hasHalf: Boolean(half), hasAverage: Boolean(average) });
    const all = Object.entries<UpdateKernel>({ ...FIXED_KERNELS, adamw });
    const noLaunch = { grid: [0, 0, 0], parameters: [] } as const;
    await library.add(
      all.map(([label, kernel]) => ({ kind: "kernel", label, ...kernel, ...noLaunch })),
    );
    return this.#kernels = Object.fromEntries(
      all.map(([name, { text }]) => [name, library.get(text)]),
    ) as Kernels;
  }

  /** Make the device's copy the newer one. */
  claim(): void {
    if (this.#isAhead) return;
    const { device } = this.#options, { flat, training } = this.#host, to = this.#vectors;
    device.upload(to.flat, flat);
    device.upload(to.gradients, training.gradients);
    device.upload(to.state, training.state);
    if (to.average) device.upload(to.average, training.average!);
    if (to.accumulated) device.upload(to.accumulated, training.accumulated!);
    if (to.half) this.#byFours(this.#kernels!.toHalf, [to.flat, to.half], flat.length);
    this.#isAhead = true;
  }

  /** Make the host's copy up to date; it may be changed from now on. */
  settle(): void {
    if (!this.#isAhead) return;
    const { device } = this.#options, { flat, training } = this.#host, from = this.#vectors;
    device.download(from.flat, flat);
    device.download(from.gradients, training.gradients);
    device.download(from.state, training.state);
    if (from.average) device.download(from.average, training.average!);
    if (from.accumulated) device.download(from.accumulated, training.accumulated!);
    this.#isAhead = false;
  }

  /** Launch a kernel whose threads have four of n numbers each. */
  #byFours(kernel: Kernel, parameters: readonly (DevicePointer | number)[], n: number): void {
    this.#options.device.launch({
      kernel,
      grid: [Math.ceil(n / 1024), 1, 1],
      threads: 256,
      parameters: [...parameters, n],
    });
  }

  /** Prepare a program whose parameters and gradients are the resident ones. */
  async compile(program: Program, options: CompileOptions): Promise<Executable> {
    await this.#load();
    const { device, library, precision } = this.#options;
    const { flat, gradients, half } = this.#vectors;
    const external = new Map<string, DevicePointer>(), halves = new Map<string, DevicePointer>();
    const offsets = new Map<string, number>();
    for (const segment of this.#store.layout.segments) {
      if (segment.isRowSparse) continue;
      offsets.set(segment.name, segment.offset);
      // Each stands for itself, and for all that it may be the first of.
      for (const name of [segment.name, stackName(segment.name)]) {
        external.set(name, flat + BigInt(4 * segment.offset));
        external.set(`grad:${name}`, gradients + BigInt(4 * segment.offset));
        if (half) halves.set(name, half + BigInt(2 * segment.offset));
      }
    }
    for (const { segment: { name, offset }, values } of this.#sparse) {
      external.set(name, values);
      external.set(`grad:${name}`, gradients + BigInt(4 * offset));
    }
    return new DeviceExecutable(device, library, program, {
      ...options,
      precision,
      external,
      halves,
      offsets,
      beforeRun: () => this.claim(),
    });
  }

  /** Bring the rows of a batch together. */
  useRows(rows: Readonly<Record<string, Int32Array>>): void {
    this.claim();
    for (const { segment: { name, offset, shape }, values, ids } of this.#sparse) {
      const used = rows[name], n = used.length * shape[1];
      this.#options.device.upload(ids, used);
      if (!n) continue;
      const from = this.#vectors.flat + BigInt(4 * offset);
      this.#byFours(this.#kernels!.gatherRows, [from, ids, values, shape[1]], n);
    }
  }

  /** Add the gradients to those of earlier batches. */
  accumulate(isFirst: boolean): void {
    this.claim();
    const { device } = this.#options, { accumulated, gradients } = this.#vectors;
    const { length } = this.#host.flat;
    if (isFirst) device.copy(accumulated!, gradients, length * 4);
    else this.#byFours(this.#kernels!.add, [gradients, accumulated!], length);
  }

  /** Clip, update, average. */
  update(u: ResidentUpdate): OptimizerStepResult {
    this.claim();
    const { device } = this.#options, v = this.#vectors, kernels = this.#kernels!;
    const { length } = this.#host.flat, { rule } = this.#host.training;
    const gradients = u.isAccumulated ? v.accumulated! : v.gradients;
    if (v.average && u.step === 1) device.copy(v.average, v.flat, length * 4);
    device.upload(v.limits, Float32Array.of(u.scale, u.clipNorm ?? 0));
    device.upload(v.stretches, this.#numbers(u, rule.options as Record<string, number>));
    // Of row-sparse parameters, only the rows that stand there.
    const counts = this.#sparse.map(({ segment: { name, shape } }) =>
      (u.rows?.[name]?.length ?? 0) * shape[1]
    );
    const ranges = [
      ...this.#stretches.map((s) => [s.offset, s.length]),
      ...this.#sparse.map(({ segment }, i) => [segment.offset, counts[i]]),
    ];
    ranges.forEach(([offset, size], i) =>
      device.launch({
        kernel: kernels.parts,
        grid: [NORM_BLOCKS, 1, 1],
        threads: 256,
        parameters: [
          gradients + BigInt(4 * offset),
          v.normParts + BigInt(8 * NORM_BLOCKS * i),
          size,
        ],
      })
    );
    device.launch({
      kernel: kernels.verdict,
      grid: [1, 1, 1],
      threads: 256,
      parameters: [v.normParts, v.limits, v.verdict, NORM_BLOCKS * ranges.length],
    });
    this.#stretches.forEach(({ offset, length: size }, i) => {
      const at = (base: DevicePointer, bytes = 4): DevicePointer => base + BigInt(bytes * offset);
      this.#byFours(kernels.adamw, [
        at(gradients),
        v.stretches + BigInt(4 * STRETCH_NUMBERS * i),
        v.verdict,
        at(v.flat),
        at(v.state),
        at(v.state + BigInt(4 * length)),
        ...(v.half ? [at(v.half, 2)] : []),
        ...(v.average ? [at(v.average)] : []),
      ], size);
    });
    this.#sparse.forEach(({ segment: { offset, shape }, ids }, i) => {
      if (!counts[i]) return;
      const at = (base: DevicePointer): DevicePointer => base + BigInt(4 * offset);
      this.#byFours(kernels.adamwRows, [
        at(gradients),
        v.stretches + BigInt(4 * STRETCH_NUMBERS * (this.#stretches.length + i)),
        v.verdict,
        ids,
        at(v.flat),
        at(v.state),
        at(v.state + BigInt(4 * length)),
        shape[1],
      ], counts[i]);
    });
    const verdict = new Float32Array(2);
    device.download(v.verdict, verdict);
    return { gradNorm: verdict[0], isApplied: Number.isFinite(verdict[1]) };
  }

  /** What AdamW is told of each stretch. */
  #numbers(u: ResidentUpdate, options: Record<string, number>): Float32Array<ArrayBuffer> {
    const { beta1, beta2, epsilon, weightDecay } = options;
    const all = [...this.#stretches, ...this.#sparse.map((s) => s.segment)];
    return Float32Array.from(all.flatMap(({ decay, rateFactor }) => {
      const rate = u.lr * rateFactor;
      return [
        1 - beta1,
        beta2,
        1 - beta2,
        rate / (1 - beta1 ** u.step),
        1 / Math.sqrt(1 - beta2 ** u.step),
        epsilon,
        decay ? 1 - rate * weightDecay : 1,
        1 - (u.averageDecay ?? 0),
      ];
    }));
  }
}
