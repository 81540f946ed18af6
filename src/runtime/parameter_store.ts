/** All parameters of a model in one flat vector, with room for what training needs beside them. @module */
import { CheckpointError, DeepragError } from "../errors.ts";
import { type Layout, layoutOf, MAX_VECTOR_FLOATS, type OptimizerRule } from "../optim/mod.ts";
import { paddedLength, VectorMemory } from "../optim/mod.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { randomStream } from "../tensor/random.ts";
import type { ResidentParameters } from "./resident.ts";

/** What a store reserves memory for beside the parameters. */
export interface ParameterStoreOptions {
  /** Optimiser to train with: reserves gradients and its state. Default: none, for inference. */
  rule?: OptimizerRule;
  /** Reserve a moving average of the parameters. Default `false`. */
  average?: boolean;
  /** Reserve a sum of gradients, to take one step from several batches. Default `false`. */
  accumulate?: boolean;
}

/** Flat vectors of a store that trains. All but `scratch` survive in a checkpoint. */
export interface TrainingVectors {
  /** The optimiser they were made for. */
  readonly rule: OptimizerRule;
  /** Gradients, laid out as the parameters. */
  readonly gradients: Float32Array<ArrayBuffer>;
  /** The optimiser's state. */
  readonly state: Float32Array<ArrayBuffer>;
  /** The optimiser's working space. */
  readonly scratch: Float32Array<ArrayBuffer>;
  /** Sum of gradients of several batches, if reserved. */
  readonly accumulated?: Float32Array<ArrayBuffer>;
  /** Moving average of the parameters, if reserved. */
  readonly average?: Float32Array<ArrayBuffer>;
}

/** Lists of problems in messages end here. */
const MAX_LISTED = 20;

/** `head`, then one problem a line. */
export function listProblems(head: string, problems: readonly string[]): string {
  const lines = problems.slice(0, MAX_LISTED).map((p) => `\n  ${p}`);
  const more = problems.length - MAX_LISTED;
  return head + lines.join("") + (more > 0 ? `\n  … and ${more} more` : "");
}

/**
 * Parameters by name, all on one flat vector in a WebAssembly memory that never grows, so that ONNX
 * Runtime reads parameters and writes gradients in place and an optimiser step is one pass.
 *
 * Everything is allocated once, in the order parameters, gradients, optimiser state, sum of
 * gradients, moving average. One memory ends at 4 GiB: about 1.07 G floats, which is 268 M parameters
 * under AdamW or 536 M under Adafactor.
 *
 * @example
 * ```ts
 * import { ParameterStore } from "./parameter_store.ts";
 * import { assertEquals } from "@std/assert";
 * const store = new ParameterStore({
 *   w: { shape: [2, 2], init: { kind: "normal", std: 0.02 } },
 *   b: { shape: [2], init: { kind: "constant", value: 1 }, decay: false },
 * });
 * store.initialise(17);
 * assertEquals(store.params.b.data, Float32Array.of(1, 1));
 * assertEquals(store.parameterCount, 6);
 * ```
 */
export class ParameterStore {
  /** What the parameters are. */
  readonly specs: ParamSpecs;
  /** Where they stand in the flat vectors. */
  readonly layout: Layout;
  /** The memory of all vectors. */
  readonly memory: VectorMemory;
  readonly #flat: Float32Array<ArrayBuffer>;
  readonly #params: Readonly<Record<string, HostTensor<"float32">>>;
  readonly #training?: TrainingVectors;
  readonly #gradients: Readonly<Record<string, HostTensor<"float32">>>;
  #resident?: ResidentParameters;

  /**
   * Reserve the memory; every parameter is zero until `initialise` or `load`.
   *
   * @param specs Parameters by name, in the order of the flat vector
   * @param options What else to reserve memory for
   * @throws {DeepragError} If all of it does not fit into one WebAssembly memory
   */
  constructor(specs: ParamSpecs, options: ParameterStoreOptions = {}) {
    const { rule, average = false, accumulate = false } = options;
    this.specs = specs;
    const layout = this.layout = layoutOf(specs);
    const copies = (rule ? 2 : 1) + (rule && accumulate ? 1 : 0) + (rule && average ? 1 : 0);
    const floats = copies * layout.length +
      (rule
        ? paddedLength(rule.stateLength(layout)) + paddedLength(rule.scratchLength(layout))
        : 0);
    if (floats > MAX_VECTOR_FLOATS) {
      throw new DeepragError(
        `Cannot hold ${this.parameterCount} parameters${
          rule ? ` to train with ${rule.name}` : ""
        }: ` +
          `they need ${
            (floats * 4 / 2 ** 30).toFixed(1)
          } GiB and one WebAssembly memory ends at 4. ` +
          "Use Adafactor, no moving average, no gradient accumulation, or a smaller model.",
      );
    }
    this.memory = new VectorMemory(floats);
    this.#flat = this.memory.allocate(layout.length);
    this.#params = this.viewsOf(this.#flat);
    if (rule) {
      const gradients = this.memory.allocate(layout.length);
      this.#training = {
        rule,
        gradients,
        state: this.memory.allocate(rule.stateLength(layout)),
        scratch: this.memory.allocate(rule.scratchLength(layout)),
        accumulated: accumulate ? this.memory.allocate(layout.length) : undefined,
        average: average ? this.memory.allocate(layout.length) : undefined,
      };
    }
    this.#gradients = this.#training ? this.viewsOf(this.#training.gradients) : {};
  }

  /** All parameters in one vector. */
  get flat(): Float32Array<ArrayBuffer> {
    this.#resident?.settle();
    return this.#flat;
  }

  /** Views of the parameters. */
  get params(): Readonly<Record<string, HostTensor<"float32">>> {
    this.#resident?.settle();
    return this.#params;
  }

  /**
   * Where the vectors live while an executor with a memory of its own trains them. Views that were
   * handed out before the last step may be out of date then; asking for them again brings them up to
   * date.
   */
  get resident(): ResidentParameters | undefined {
    return this.#resident;
  }

  /**
   * Let the vectors live elsewhere, or here again.
   *
   * @param make Gets the vectors of this memory; undefined: here again
   */
  moveTo(make?: (flat: Float32Array, training: TrainingVectors) => ResidentParameters): void {
    this.#resident = make?.(this.#flat, this.training);
  }

  /** Number of parameters, paddings not counted. */
  get parameterCount(): number {
    return this.layout.segments.reduce((n, s) => n + s.length, 0);
  }

  /** Whether memory for training was reserved. */
  get isTrainable(): boolean {
    return this.#training !== undefined;
  }

  /**
   * The vectors training needs.
   *
   * @throws {DeepragError} If the store was made without an optimiser
   */
  get training(): TrainingVectors {
    this.#resident?.settle();
    if (this.#training) return this.#training;
    throw new DeepragError(
      "Cannot train these parameters: the store was made without an optimiser. Give it a `rule`.",
    );
  }

  /**
   * Views of the gradients by name of the parameter.
   *
   * @throws {DeepragError} If the store was made without an optimiser
   */
  get gradients(): Readonly<Record<string, HostTensor<"float32">>> {
    return this.training && this.#gradients;
  }

  /** Views by name of a vector that is laid out as the parameters are. */
  viewsOf(vector: Float32Array): Record<string, HostTensor<"float32">> {
    return Object.fromEntries(this.layout.segments.map(({ name, shape, offset, length }) => [
      name,
      hostTensor("float32", vector.subarray(offset, offset + length), shape),
    ]));
  }

  /**
   * Draw every parameter from its specification. A parameter's numbers depend on the seed and its
   * own name only, so that adding one does not change the others.
   *
   * @param seed Seed of the run
   */
  initialise(seed: number): void {
    for (const { name } of this.layout.segments) {
      const { init } = this.specs[name], { data } = this.params[name];
      if (init.kind === "constant") {
        data.fill(init.value);
        continue;
      }
      const stream = randomStream({ seed, stream: `init/${name}`, step: 0 });
      for (let i = 0; i < data.length; i++) data[i] = init.std * stream.normal();
    }
  }

  /**
   * Copy weights in.
   *
   * @param tensors Exactly the parameters of this store
   * @throws {CheckpointError} If any is missing, unexpected or of another shape or type; all of them
   *   are listed, and nothing was copied
   */
  load(tensors: Readonly<Record<string, HostTensor>>): void {
    const problems: string[] = [];
    for (const { name, shape } of this.layout.segments) {
      const given = Object.hasOwn(tensors, name) ? tensors[name] : undefined;
      if (!given) problems.push(`${name} is missing`);
      else if (given.dtype !== "float32") problems.push(`${name} is ${given.dtype}, not float32`);
      else if (given.shape.join() !== shape.join()) {
        problems.push(`${name} is [${given.shape.join(", ")}], not [${shape.join(", ")}]`);
      }
    }
    for (const name of Object.keys(tensors)) {
      if (!Object.hasOwn(this.params, name)) problems.push(`${name} is unexpected`);
    }
    if (problems.length) {
      throw new CheckpointError(
        listProblems(`Cannot load these weights: ${problems.length} do not fit`, problems),
      );
    }
    for (const [name, { data }] of Object.entries(this.params)) {
      data.set(tensors[name].data as Float32Array);
    }
  }
}
