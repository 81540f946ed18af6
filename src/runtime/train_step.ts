/** Loss and gradients of a batch, written straight into a parameter store. @module */
import { ShapeError } from "../errors.ts";
import { type Program, withGradients } from "../graph/mod.ts";
import type { Segment } from "../optim/mod.ts";
import { type DType, type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { RandomKey } from "../tensor/random.ts";
import type { CompileOptions, Executable, Executor, HostTensors } from "./executor.ts";
import { listProblems, type ParameterStore } from "./parameter_store.ts";

/** Choices of {@linkcode createTrainStep}. */
export interface TrainStepOptions extends CompileOptions {
  /** Which output is the loss: a scalar. Default `"loss"`. */
  lossName?: string;
}

/** What one batch gave. */
export interface TrainStepResult {
  /** The loss. */
  readonly loss: number;
  /** The program's other outputs. */
  readonly aux: HostTensors;
}

/** Choices of one batch. */
export interface StepOptions {
  /** Stream of the program's random operations. Needed when it has any. */
  random?: RandomKey;
  /**
   * Rows of each row-sparse parameter that take part. The program sees them as [U, …], and their
   * gradients stand at the start of the parameter's place, as `RuleUpdate.rows` expects them.
   */
  rows?: Readonly<Record<string, Int32Array>>;
}

/** A program with its gradients, bound to the parameters of a store. */
export interface TrainStep {
  /** What a batch consists of: name to element type. */
  readonly inputs: Readonly<Record<string, DType>>;
  /** Loss and gradients of one batch; the gradients stand in the store afterwards. */
  step(batch: HostTensors, options?: StepOptions): Promise<TrainStepResult>;
  /** Free the program. The store stays. */
  dispose(): Promise<void>;
}

/** Every parameter has to be an input of the program with the same type and sizes. */
function checkParameters(program: Program, store: ParameterStore): void {
  const problems: string[] = [];
  for (const { name, shape, isRowSparse } of store.layout.segments) {
    const input = Object.hasOwn(program.inputs, name) ? program.inputs[name] : undefined;
    // The program sees as many rows as a batch needs: a symbol stands in the place of their number.
    const isFree = (size: number | string, axis: number) =>
      isRowSparse && axis === 0 && typeof size === "string";
    const fits = input?.dtype === "float32" && input.shape.length === shape.length &&
      input.shape.every((size, axis) => size === shape[axis] || isFree(size, axis));
    if (!input) problems.push(`${name} is no input of the program`);
    else if (!fits) {
      problems.push(
        `${name} is float32 [${shape.join(", ")}] in the store and ${input.dtype} ` +
          `[${input.shape.join(", ")}] in the program`,
      );
    }
  }
  if (problems.length) {
    const head = `Cannot train ${program.name}: ${problems.length} parameters do not fit`;
    throw new ShapeError(listProblems(head, problems));
  }
}

/**
 * Prepare a program to be trained: its gradients with respect to every parameter of the store are
 * recorded with it, and each run reads the parameters and writes the gradients in place.
 *
 * Weights that are not to be trained belong into `constants`, not into the store.
 *
 * @param executor What runs it
 * @param program Its inputs are the parameters and the tensors of a batch; one output is the loss
 * @param options The name of the loss, and what the executor is told; here with the store
 * @throws {ShapeError} If a parameter is no input of the program or has other sizes
 * @throws {DeepragError} If the store was made without an optimiser
 * @example Least squares, one step
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { createTrainStep, onnxExecutor, Optimizer, ParameterStore } from "./mod.ts";
 * import { sgd } from "../optim/mod.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const specs = { w: { shape: [], init: { kind: "constant", value: 1 } } } as const;
 * const store = new ParameterStore(specs, { rule: sgd() });
 * store.initialise(0);
 * const program = {
 *   name: "line",
 *   inputs: {
 *     w: { dtype: "float32", shape: [] },
 *     x: { dtype: "float32", shape: ["B"] },
 *     y: { dtype: "float32", shape: ["B"] },
 *   },
 *   run: ({ w, x, y }: Record<string, tf.Tensor>) => ({
 *     loss: tf.sum(tf.square(tf.sub(tf.mul(w, x), y))),
 *   }),
 * } as const;
 * const train = await createTrainStep(onnxExecutor(), program, store);
 * const [x, y] = [[1, 2], [3, 6]].map((v) => hostTensor("float32", Float32Array.from(v), [2]));
 * const { loss } = await train.step({ x, y });
 * assertEquals(loss, 20);
 * assertEquals(store.gradients.w.data[0], -20); // Σ 2 x (w x − y)
 * new Optimizer(store).step(0.1);
 * assertEquals(store.params.w.data[0], 3);
 * await train.dispose();
 * ```
 */
export async function createTrainStep(
  executor: Executor,
  program: Program,
  store: ParameterStore,
  options: TrainStepOptions = {},
): Promise<TrainStep> {
  const { lossName = "loss", ...compileOptions } = options;
  checkParameters(program, store);
  const names = store.layout.segments.map((s) => s.name);
  const whole = withGradients(program, { loss: lossName, parameters: names });
  if (!store.resident) (await executor.open?.() ?? executor).reside?.(store);
  if (store.resident) {
    return await residentStep(store, whole, { lossName, compileOptions });
  }
  const wholeOutputs = Object.fromEntries(names.map((n) => [`grad:${n}`, store.gradients[n]]));
  const sparse = store.layout.segments.filter((s) => s.isRowSparse);
  const executable = await executor.compile(whole, compileOptions);
  const inputs = Object.fromEntries(
    Object.entries(executable.inputs).filter(([name]) => !Object.hasOwn(store.params, name)),
  );
  return {
    inputs,
    async step(batch: HostTensors, stepOptions: StepOptions = {}): Promise<TrainStepResult> {
      const { random, rows = {} } = stepOptions;
      const params: HostTensors = { ...store.params }, outputs: HostTensors = { ...wholeOutputs };
      for (const segment of sparse) {
        const used = rowsOf(store, segment, rows);
        params[segment.name] = used.values;
        outputs[`grad:${segment.name}`] = used.gradients;
      }
      const results = await executable.run({ ...batch, ...params }, { outputs, random });
      const aux = Object.fromEntries(
        Object.entries(results).filter(([name]) => name !== lossName && !(name in outputs)),
      );
      return { loss: results[lossName].data[0], aux };
    },
    dispose: () => executable.dispose(),
  };
}

/** A step whose parameters and gradients stay where the program runs. */
async function residentStep(
  store: ParameterStore,
  program: Program,
  { lossName, compileOptions }: { lossName: string; compileOptions: CompileOptions },
): Promise<TrainStep> {
  const resident = store.resident!;
  const sparse = store.layout.segments.filter((s) => s.isRowSparse);
  resident.hold();
  let executable: Executable;
  try {
    executable = await resident.compile(program, compileOptions);
  } catch (error) {
    resident.release();
    throw error;
  }
  let isDisposed = false;
  return {
    inputs: executable.inputs,
    async step(batch: HostTensors, options: StepOptions = {}): Promise<TrainStepResult> {
      const { random, rows = {} } = options;
      for (const segment of sparse) checkRows(segment, rows[segment.name]);
      if (sparse.length) resident.useRows(rows);
      const { [lossName]: loss, ...aux } = await executable.run(batch, { random });
      return { loss: loss.data[0], aux };
    },
    async dispose(): Promise<void> {
      if (isDisposed) return;
      isDisposed = true;
      try {
        await executable.dispose();
      } finally {
        resident.release();
      }
    },
  };
}

/** Rows have to be there, in range and ascending. */
function checkRows({ name, shape }: Segment, used: Int32Array | undefined): void {
  if (!used) {
    throw new ShapeError(`Cannot take a step: it is not said which rows of ${name} take part`);
  }
  used.forEach((row, u) => {
    if (row >= 0 && row < shape[0] && (u === 0 || row > used[u - 1])) return;
    throw new ShapeError(
      `Cannot take a step: row ${row} of ${name} [${shape}] is out of range or out of order`,
    );
  });
}

/** A copy of the rows that take part, and the place where their gradients go. */
function rowsOf(
  store: ParameterStore,
  segment: Segment,
  rows: Readonly<Record<string, Int32Array>>,
): { values: HostTensor<"float32">; gradients: HostTensor<"float32"> } {
  const { name, shape } = segment, used = rows[name];
  checkRows(segment, used);
  const width = shape[1], { data } = store.params[name];
  const values = new Float32Array(used.length * width);
  used.forEach((row, u) => {
    values.set(data.subarray(row * width, (row + 1) * width), u * width);
  });
  const gradients = store.gradients[name].data.subarray(0, values.length);
  return {
    values: hostTensor("float32", values, [used.length, width]),
    gradients: hostTensor("float32", gradients, [used.length, width]),
  };
}
