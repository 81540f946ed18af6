/** tfjs backends that compute: loading, kernels they lack, and the random masks of a run. @module */
import * as tf from "@tensorflow/tfjs-core";
import { DeepragError, KernelError } from "../errors.ts";
import { registerGradients } from "../graph/mod.ts";
import { sizeOf } from "../tensor/host_tensor.ts";
import { fillKeepMask } from "../tensor/fill_keep_mask.ts";
import { KEEP_MASK, type KeepMaskAttrs } from "../tensor/keep_mask.ts";
import type { RandomKey } from "../tensor/random.ts";
import { requireRandom } from "./signature.ts";
import { loadTfjsNode, loadTfjsNodeGpu, TENSORFLOW } from "./tfjs_node.ts";

/** Backends of tfjs that an eager executor can use. */
export type EagerBackend = "wasm" | "cpu" | "tfjs-node" | "tfjs-node-gpu";

/** Choices of a backend. */
export interface EagerOptions {
  /**
   * Threads of one operator. Only TensorFlow has a choice, and takes it once: the first executor of the
   * process decides. Default: all cores.
   */
  threads?: number;
}

/** What tfjs calls a backend. */
function tfjsName(name: EagerBackend): string {
  return name.startsWith("tfjs-node") ? TENSORFLOW : name;
}

/** What the random operations of the run in progress draw from. */
interface Draws {
  program: string;
  random: RandomKey | undefined;
  site: number;
}

let draws: Draws | undefined;

function registerKeepMask(backendName: string): void {
  tf.registerKernel({
    kernelName: KEEP_MASK,
    backendName,
    kernelFunc: ({ attrs, backend }) => {
      if (!draws) {
        throw new DeepragError(
          "Cannot draw a random mask: no program is running. Run it through eagerExecutor().",
        );
      }
      const { shape, keepProb } = attrs as unknown as KeepMaskAttrs;
      const key = requireRandom(draws.program, draws.random);
      const data = fillKeepMask(new Float32Array(sizeOf(shape)), key, draws.site++, keepProb);
      const dataId = (backend as tf.KernelBackend).write(data, shape, "float32");
      return { dataId, shape, dtype: "float32" };
    },
  });
}

/** Operands and attributes of a kernel call. */
type KernelCall = Parameters<tf.KernelFunc>[0];

/** Calls that the wasm backend of tfjs 4.22 answers wrongly; found by comparing it to cpu. */
const WASM_FAULTS: Record<string, (call: KernelCall) => boolean> = {
  // Reads the wrong batch.
  GatherV2: ({ attrs }) => (attrs as { batchDims?: number })?.batchDims !== 0,
  // Gives the truncated number, not 0 or 1.
  Cast: ({ attrs, inputs }) =>
    (attrs as { dtype?: string })?.dtype === "bool" && inputs.x?.dtype === "float32",
  // Adds 1 first, which loses small arguments.
  Log1p: () => true,
  // Writes nothing where the branches are bool.
  Select: ({ inputs }) => inputs.t?.dtype === "bool",
};

/** Calls that tfjs-node 4.22 answers wrongly or not at all; found the same way. */
const TENSORFLOW_FAULTS: Record<string, (call: KernelCall) => boolean> = {
  // Gives zeros.
  Round: ({ inputs }) => inputs.x?.dtype === "int32",
  // These use methods of tensors, such as x.toInt(), that only the union package has.
  ArgMax: ({ inputs }) => inputs.x?.dtype === "bool",
  ArgMin: ({ inputs }) => inputs.x?.dtype === "bool",
  Exp: ({ inputs }) => inputs.x?.dtype === "int32",
  Prelu: () => true,
  // Is refused inside.
  Step: ({ inputs }) => inputs.x?.dtype !== "float32",
};

/** Whether TensorFlow has no such operation for this element type, such as Greater for bool. */
function isRefusedByType(error: unknown): boolean {
  return error instanceof Error && error.message.includes("is not in the list of allowed values");
}

/** A kernel of the cpu backend for tensors of another one. Slow, because it copies, but right. */
function borrowed(kernelFunc: tf.KernelFunc, backendName: string): tf.KernelFunc {
  const cpu = tf.findBackend("cpu"), other = tf.findBackend(backendName);
  const move = (
    t: tf.TensorInfo,
    from: tf.KernelBackend,
    to: tf.KernelBackend,
  ): tf.TensorInfo => {
    const dataId = to.write(from.readSync(t.dataId), t.shape, t.dtype);
    return { dataId, shape: t.shape, dtype: t.dtype };
  };
  return ({ inputs, attrs }) => {
    // Some kernels take a list, and some leave optional operands undefined.
    const lent = Object.entries(inputs).filter(([, t]) => t)
      .map(([name, t]) => [name, move(t!, other, cpu)] as const);
    const operands = Array.isArray(inputs)
      ? lent.map(([, t]) => t) as unknown as tf.NamedTensorInfoMap
      : Object.fromEntries(lent);
    const result = kernelFunc({ inputs: operands, backend: cpu, attrs });
    const results = Array.isArray(result) ? result : [result];
    const moved = results.map((t) => move(t, cpu, other));
    for (const { dataId } of [...lent.map(([, t]) => t), ...results]) {
      cpu.disposeData(dataId, true);
    }
    return Array.isArray(result) ? moved : moved[0];
  };
}

/**
 * Give a backend the kernels that it lacks, and those of its own that are wrong.
 *
 * @param backendName Name of the backend
 * @param faults Calls that it answers wrongly, by kernel
 * @param isRefused Whether an error of its own kernel means that it can't do this call
 */
function borrowKernels(
  backendName: string,
  faults: Record<string, (call: KernelCall) => boolean>,
  isRefused?: (error: unknown) => boolean,
): void {
  const own = new Map(
    tf.getKernelsForBackend(backendName).map((k) => [k.kernelName, k.kernelFunc]),
  );
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("cpu")) {
    const lent = borrowed(kernelFunc, backendName), native = own.get(kernelName);
    if (!native) tf.registerKernel({ kernelName, backendName, kernelFunc: lent });
    const isWrong = faults[kernelName];
    if (!native || !(isWrong || isRefused)) continue;
    tf.unregisterKernel(kernelName, backendName);
    tf.registerKernel({
      kernelName,
      backendName,
      kernelFunc: (call) => {
        if (isWrong?.(call)) return lent(call);
        if (!isRefused) return native(call);
        try {
          return native(call);
        } catch (error) {
          if (isRefused(error)) return lent(call);
          throw error;
        }
      },
    });
  }
}

const loaded = new Map<EagerBackend, Promise<void>>();

async function load(name: EagerBackend, options: EagerOptions): Promise<void> {
  const previous: string | undefined = tf.getBackend();
  try {
    await start(name, options);
  } finally {
    restore(previous);
  }
}

async function start(name: EagerBackend, options: EagerOptions): Promise<void> {
  // The cpu backend is also the one that lends its kernels.
  await import("@tensorflow/tfjs-backend-cpu");
  // Its first use would print advice to install another package.
  Object.assign(tf.findBackend("cpu"), { firstUse: false });
  if (name === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  if (name === "tfjs-node") await loadTfjsNode(options);
  if (name === "tfjs-node-gpu") await loadTfjsNodeGpu(options);
  registerGradients(); // after packages that bring theirs
  const backendName = tfjsName(name);
  if (!await tf.setBackend(backendName)) {
    throw new KernelError(`Cannot use the ${name} backend of tfjs: it does not start here`);
  }
  registerKeepMask(backendName);
  if (name === "wasm") borrowKernels("wasm", WASM_FAULTS);
  else if (name !== "cpu") borrowKernels(backendName, TENSORFLOW_FAULTS, isRefusedByType);
}

/** Make `previous` the active backend again; if there was none, let tfjs choose when it needs one. */
function restore(previous: string | undefined): void {
  if (previous) tf.setBackend(previous);
  else Object.assign(tf.engine(), { backendName: undefined, backendInstance: undefined });
}

/**
 * Load a backend once, with all its kernels.
 *
 * @throws {KernelError} If it does not start on this machine
 * @throws {SetupError} If what it needs is not installed
 */
export function loadBackend(name: EagerBackend, options: EagerOptions = {}): Promise<void> {
  let loading = loaded.get(name);
  if (!loading) {
    loaded.set(name, loading = load(name, options));
    // What is missing may have been installed when it is tried again.
    loading.catch(() => loaded.delete(name));
  }
  return loading;
}

/** Whether tensors of a backend may be the memory of the array they were made from. */
export function sharesMemory(name: EagerBackend): boolean {
  return tfjsName(name) === TENSORFLOW;
}

/** tfjs's error for a kernel it cannot find, as ours. */
function toKernelError(error: unknown, program: string): unknown {
  if (!(error instanceof Error)) return error;
  const found = /Kernel '(\w+)' not registered for backend '(\w+)'/.exec(error.message);
  if (!found) return error;
  return new KernelError(
    `Cannot run ${program}: kernel ${found[1]} is not available on backend ${found[2]}`,
    { cause: error },
  );
}

/**
 * Run `f` without interruption on a loaded backend. Tensors it makes are disposed when it returns,
 * unless they were kept, and the backend that was active before is active again.
 */
export function runOn<T>(
  name: EagerBackend,
  run: { program: string; random?: RandomKey },
  f: () => T,
): T {
  const engine = tf.engine();
  const previous: string | undefined = tf.getBackend();
  tf.setBackend(tfjsName(name)); // takes effect at once, because the backend is loaded
  draws = { program: run.program, random: run.random, site: 0 };
  engine.startScope();
  try {
    return f();
  } catch (error) {
    throw toKernelError(error, run.program);
  } finally {
    engine.endScope();
    draws = undefined;
    restore(previous);
  }
}
