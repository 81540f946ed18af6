/**
 * The tracing backend: a tfjs backend that computes nothing. Each kernel call appends nodes to the
 * graph being recorded, so tfjs's own automatic differentiation records the backward pass too.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { TraceError } from "../errors.ts";
import type { DType } from "../tensor/host_tensor.ts";
import type { Graph } from "./graph.ts";
import type { KernelAttributes, KernelTable } from "./kernel.ts";
import { indexKernels } from "./kernels_index.ts";
import { mathKernels } from "./kernels_math.ts";
import { reduceKernels } from "./kernels_reduce.ts";
import { shapeKernels } from "./kernels_shape.ts";
import { countOf } from "./peepholes.ts";
import { captureSite, describeSite } from "./site.ts";
import type { ElementType, Traced, TypedData } from "./value.ts";

/** Name of the backend in tfjs. */
export const TRACE_BACKEND = "deeprag-trace";

/** Every kernel that can be recorded. */
export const kernels: KernelTable = {
  ...mathKernels,
  ...shapeKernels,
  ...indexKernels,
  ...reduceKernels,
};

/** What a tensor of this backend stands for: data, or a value of one graph. */
type Entry =
  | { readonly data: TypedData; readonly shape: number[]; readonly dtype: DType }
  | { readonly value: Traced; readonly graph: Graph };

function toTyped(values: tf.BackendValues, dtype: tf.DataType): TypedData {
  const numbers = values as ArrayLike<number>;
  if (dtype === "float32") {
    return values instanceof Float32Array ? values : Float32Array.from(numbers);
  }
  if (dtype === "int32") return values instanceof Int32Array ? values : Int32Array.from(numbers);
  if (dtype === "bool") return values instanceof Uint8Array ? values : Uint8Array.from(numbers);
  const site = describeSite(captureSite());
  throw new TraceError(`Cannot record a tensor of ${dtype} at ${site}: a graph holds numbers only`);
}

/** The backend. It holds no tensors of its own: they belong to the graph being recorded. */
class TraceBackend extends tf.KernelBackend {
  /** The graph being recorded. */
  graph: Graph | undefined;
  /** A value was asked for asynchronously, which can only be reported when the program returns. */
  failure: TraceError | undefined;
  readonly #entries = new tf.DataStorage<Entry>(this, tf.engine());

  entry(dataId: tf.DataId): Entry {
    return this.#entries.get(dataId);
  }

  put(entry: Entry): tf.DataId {
    const dataId = {};
    this.#entries.set(dataId, entry);
    return dataId;
  }

  override write(values: tf.BackendValues, shape: number[], dtype: tf.DataType): tf.DataId {
    return this.put({ data: toTyped(values, dtype), shape, dtype: dtype as DType });
  }

  override move(
    id: tf.DataId,
    values: tf.BackendValues,
    shape: number[],
    dtype: tf.DataType,
  ): void {
    this.#entries.set(id, { data: toTyped(values, dtype), shape, dtype: dtype as DType });
  }

  #wasRead(value: Traced): TraceError {
    return new TraceError(
      `Cannot read a tensor at ${
        describeSite(captureSite())
      }: the program is being recorded, and ` +
        `its ${value.dtype} [${value.shape}] has no value yet. Use tensor operations (tf.where, ` +
        "tf.gather, …) instead of dataSync(), arraySync() or data().",
    );
  }

  override readSync(id: tf.DataId): tf.BackendValues {
    const entry = this.entry(id);
    if ("data" in entry) return entry.data;
    const { source, shape, dtype } = entry.value;
    if (source.kind === "table") return source.data;
    if (source.kind !== "uniform") throw this.#wasRead(entry.value);
    const size = countOf(shape);
    const data = dtype === "float32" ? new Float32Array(size) : new Int32Array(size);
    return data.fill(source.value);
  }

  override read(id: tf.DataId): Promise<tf.BackendValues> {
    const entry = this.entry(id);
    if ("data" in entry) return Promise.resolve(entry.data);
    this.failure ??= this.#wasRead(entry.value);
    return new Promise(() => {});
  }

  override numDataIds(): number {
    return this.#entries.numDataIds();
  }

  override disposeData(id: tf.DataId): boolean {
    this.#entries.delete(id);
    return true;
  }

  override refCount(): number {
    return 1;
  }

  override incRef(): void {}

  override memory(): { unreliable: boolean } {
    return { unreliable: true };
  }

  override floatPrecision(): 16 | 32 {
    return 32;
  }

  override epsilon(): number {
    return 1e-7;
  }

  override timerAvailable(): boolean {
    return false;
  }

  override dispose(): void {}
}

const backend = new TraceBackend();
tf.registerBackend(TRACE_BACKEND, () => backend, -1);

function currentGraph(): Graph {
  if (backend.graph) return backend.graph;
  throw new TraceError(
    `Cannot run an operation at ${describeSite(captureSite())}: the active tfjs backend only ` +
      'records, and nothing is being recorded. Choose another with tf.setBackend("wasm").',
  );
}

/** The value behind a tensor, in the graph being recorded. */
export function toValue(tensor: tf.TensorInfo): Traced {
  const graph = currentGraph();
  const entry = backend.entry(tensor.dataId);
  if ("data" in entry) return graph.constant(entry.data, entry.shape, entry.dtype);
  if (entry.graph === graph) return entry.value;
  throw new TraceError(
    `Cannot use a tensor at ${describeSite(captureSite())}: it belongs to a recording that has ` +
      "ended. A program must not keep tensors between two runs.",
  );
}

function toInfo(value: Traced): tf.TensorInfo {
  const graph = currentGraph();
  const dtype: Exclude<ElementType, "int64"> = value.dtype === "int64" ? "int32" : value.dtype;
  return { dataId: backend.put({ value, graph }), shape: [...value.shape], dtype };
}

/** A tensor that stands for `value`. */
export function toTensor(value: Traced): tf.Tensor {
  return tf.engine().makeTensorFromTensorInfo(toInfo(value), backend);
}

for (const [kernelName, rule] of Object.entries(kernels)) {
  tf.registerKernel({
    kernelName,
    backendName: TRACE_BACKEND,
    kernelFunc: ({ inputs, attrs }) => {
      const graph = currentGraph();
      graph.kernels.add(kernelName);
      const named: Record<string, Traced> = {};
      for (const [name, t] of Object.entries(inputs)) if (t) named[name] = toValue(t);
      const result = rule({
        graph,
        inputs: named,
        list: Object.values(named),
        attributes: attrs as unknown as KernelAttributes,
      });
      return Array.isArray(result) ? result.map(toInfo) : toInfo(result as Traced);
    },
  });
}

/**
 * Run `f` while the tracing backend records into `graph`, then restore the backend that was active.
 *
 * @throws {TraceError} If something is being recorded already, or `f` read a value
 */
export function recordInto<T>(graph: Graph, f: () => T): T {
  if (backend.graph) {
    throw new TraceError(
      "Cannot start a recording: another one has not ended. Record one program at a time.",
    );
  }
  const engine = tf.engine();
  const previous: string | undefined = tf.getBackend();
  backend.graph = graph;
  backend.failure = undefined;
  tf.setBackend(TRACE_BACKEND);
  engine.startScope();
  try {
    const result = f();
    if (backend.failure) throw backend.failure;
    return result;
  } finally {
    engine.endScope();
    backend.graph = undefined;
    if (previous) tf.setBackend(previous);
    // Nothing was active: let tfjs choose again, as if it had never been asked.
    else Object.assign(engine, { backendName: undefined, backendInstance: undefined });
  }
}
