/** tfjs backends that compute: loading, kernels they lack, and the random masks of a run. @module */
import * as tf from "@tensorflow/tfjs-core";
import { DeepragError, KernelError } from "../errors.ts";
import { registerGradients } from "../graph/mod.ts";
import { sizeOf } from "../tensor/host_tensor.ts";
import { fillKeepMask } from "../tensor/fill_keep_mask.ts";
import { KEEP_MASK, type KeepMaskAttrs } from "../tensor/keep_mask.ts";
import type { RandomKey } from "../tensor/random.ts";
import { requireRandom } from "./signature.ts";

/** Backends of tfjs that an eager executor can use. */
export type EagerBackend = "wasm" | "cpu";

/** What the random operations of the run in progress draw from. */
interface Draws {
  program: string;
  random: RandomKey | undefined;
  site: number;
}

let draws: Draws | undefined;

function registerKeepMask(backendName: EagerBackend): void {
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

/** A kernel of the cpu backend for tensors of the wasm backend. Slow, because it copies, but right. */
function borrowed(kernelFunc: tf.KernelFunc): tf.KernelFunc {
  const cpu = tf.findBackend("cpu"), wasm = tf.findBackend("wasm");
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
      .map(([name, t]) => [name, move(t!, wasm, cpu)] as const);
    const operands = Array.isArray(inputs)
      ? lent.map(([, t]) => t) as unknown as tf.NamedTensorInfoMap
      : Object.fromEntries(lent);
    const result = kernelFunc({ inputs: operands, backend: cpu, attrs });
    const results = Array.isArray(result) ? result : [result];
    const moved = results.map((t) => move(t, cpu, wasm));
    for (const { dataId } of [...lent.map(([, t]) => t), ...results]) {
      cpu.disposeData(dataId, true);
    }
    return Array.isArray(result) ? moved : moved[0];
  };
}

/** Give the wasm backend the kernels that it lacks, and those of its own that are wrong. */
function borrowKernels(): void {
  const own = new Map(tf.getKernelsForBackend("wasm").map((k) => [k.kernelName, k.kernelFunc]));
  for (const { kernelName, kernelFunc } of tf.getKernelsForBackend("cpu")) {
    const lent = borrowed(kernelFunc), native = own.get(kernelName);
    if (!native) tf.registerKernel({ kernelName, backendName: "wasm", kernelFunc: lent });
    const isWrong = WASM_FAULTS[kernelName];
    if (!native || !isWrong) continue;
    tf.unregisterKernel(kernelName, "wasm");
    tf.registerKernel({
      kernelName,
      backendName: "wasm",
      kernelFunc: (call) => (isWrong(call) ? lent : native)(call),
    });
  }
}

const loaded = new Map<EagerBackend, Promise<void>>();

async function load(name: EagerBackend): Promise<void> {
  // The cpu backend is also the one that lends its kernels.
  await import("@tensorflow/tfjs-backend-cpu");
  // Its first use would print advice to install another package.
  Object.assign(tf.findBackend("cpu"), { firstUse: false });
  if (name === "wasm") await import("@tensorflow/tfjs-backend-wasm");
  registerGradients();
  const previous: string | undefined = tf.getBackend();
  if (!await tf.setBackend(name)) {
    throw new KernelError(`Cannot use the ${name} backend of tfjs: it does not start here`);
  }
  registerKeepMask(name);
  if (name === "wasm") borrowKernels();
  restore(previous);
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
 */
export function loadBackend(name: EagerBackend): Promise<void> {
  let loading = loaded.get(name);
  if (!loading) loaded.set(name, loading = load(name));
  return loading;
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
  tf.setBackend(name); // takes effect at once, because the backend is loaded
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
