/** What computes a session of ONNX Runtime, and why a provider can't be used here. @module */
import * as ort from "onnxruntime-node";
import { KernelError } from "../errors.ts";
import { encodeModel } from "../graph/onnx_proto.ts";

/** Providers that can be chosen: the processor, NVIDIA's CUDA, and WebGPU over Vulkan, Metal or Direct3D. */
export const ONNX_PROVIDERS = ["cpu", "cuda", "webgpu"] as const;

/** One of {@linkcode ONNX_PROVIDERS}. */
export type OnnxProvider = typeof ONNX_PROVIDERS[number];

/** Which provider computes, and what happens if it can't. */
export interface ProviderOptions {
  /** What computes. Operators that it lacks are computed by the cpu all the same. Default `"cpu"`. */
  readonly provider?: OnnxProvider;
  /**
   * What to do if the provider can't be used: `"cpu"` says so once on stderr and takes the cpu,
   * `"error"` throws. Default `"cpu"`.
   */
  readonly providerFallback?: "cpu" | "error";
}

/** Why a provider can't be used on this machine. */
export interface ProviderProblem {
  /** What is wrong, as a part of a sentence. */
  readonly reason: string;
  /** What to do about it. */
  readonly remedy: string;
}

function remedyOf(provider: OnnxProvider): string {
  if (provider === "cpu") return "install again with `deno install`";
  if (provider === "cuda") {
    return "run `deno install --allow-scripts=npm:onnxruntime-node`, which downloads ONNX Runtime's " +
      "CUDA libraries; an NVIDIA driver, CUDA 12 and its cuDNN must be installed";
  }
  return Deno.build.os === "linux"
    ? "install the Vulkan loader (libvulkan1) and the Vulkan driver of a graphics card"
    : "install the driver of a graphics card";
}

/** Where ONNX Runtime looks for libraries that its package lacks, if that can be told. */
function libraryFolder(): URL | undefined {
  const entry = import.meta.resolve("onnxruntime-node");
  if (!entry.startsWith("file:")) return undefined;
  const arch = Deno.build.arch === "aarch64" ? "arm64" : "x64";
  return new URL(`../bin/napi-v6/${Deno.build.os}/${arch}/`, entry);
}

/** Paths, or names for the system to find, of libraries that a provider loads when it is first used. */
function librariesOf(provider: OnnxProvider): (URL | string)[] {
  if (Deno.build.os !== "linux") return [];
  if (provider === "webgpu") return ["libvulkan.so.1"];
  const folder = provider === "cuda" ? libraryFolder() : undefined;
  return folder
    ? [`libonnxruntime_providers_${provider}.so`, "libonnxruntime_providers_shared.so"]
      .map((name) => new URL(name, folder))
    : [];
}

/** What the system says when it loads a library, if it can't. */
function loadingProblem(library: URL | string): string | undefined {
  try {
    Deno.dlopen(library, {}).close();
    return undefined;
  } catch (error) {
    const missing = /([^\s/:]+): cannot open shared object file/.exec((error as Error).message)
      ?.[1];
    return missing && `${missing} is missing`;
  }
}

/** What is missing, as far as that shows without loading anything of the provider's own. */
function missingLibrary(provider: OnnxProvider): string | undefined {
  for (const library of librariesOf(provider)) {
    if (typeof library === "string") {
      const problem = loadingProblem(library);
      if (problem) return problem;
      continue;
    }
    // Only looked for: ONNX Runtime has to be the first to load it.
    try {
      Deno.statSync(library);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) continue;
      return `${library.pathname.split("/").at(-1)} is missing`;
    }
  }
  return undefined;
}

/** The sentence of an error of ONNX Runtime that says what is wrong: neither file, line nor condition. */
export function reasonOf(error: unknown): string {
  const [line] = (error as Error).message.split("\n").map((l) => l.trim()).filter(Boolean);
  return / was false\. (.+)$/.exec(line ?? "")?.[1] ?? line ?? "ONNX Runtime does not say why";
}

/** c = a · b, [2, 2] each. */
const PROBE = encodeModel({
  name: "probe",
  nodes: [{ op: "MatMul", inputs: ["a", "b"], outputs: ["c"] }],
  initializers: [],
  inputs: ["a", "b"].map((name) => ({ name, dtype: "float32", dims: [2, 2] })),
  outputs: [{ name: "c", dtype: "float32", dims: [2, 2] }],
});

/** Multiply [[1, 2], [3, 4]] by [[5, 6], [7, 8]] on a provider. */
async function runProbe(provider: OnnxProvider): Promise<void> {
  const session = await ort.InferenceSession.create(PROBE, {
    executionProviders: [provider],
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  });
  try {
    const square = (...x: number[]) => new ort.Tensor("float32", Float32Array.from(x), [2, 2]);
    const { c } = await session.run({ a: square(1, 2, 3, 4), b: square(5, 6, 7, 8) });
    const values = (c.data as Float32Array).join(", ");
    if (values !== "19, 22, 43, 50") throw new Error(`a matrix product came out as ${values}`);
  } finally {
    await session.release();
  }
}

async function findProblem(provider: OnnxProvider): Promise<ProviderProblem | undefined> {
  const remedy = remedyOf(provider);
  if (!ort.listSupportedBackends().some(({ name }) => name === provider)) {
    const reason = `ONNX Runtime has none for ${Deno.build.os} on ${Deno.build.arch}`;
    return { reason, remedy: "choose the provider cpu" };
  }
  const missing = missingLibrary(provider);
  if (missing) return { reason: missing, remedy };
  try {
    await runProbe(provider);
    return undefined;
  } catch (error) {
    // ONNX Runtime says that a library does not load; the system says which one it lacks.
    const lacking = librariesOf(provider).map(loadingProblem).find(Boolean);
    return { reason: lacking ?? reasonOf(error), remedy };
  }
}

const found = new Map<OnnxProvider, Promise<ProviderProblem | undefined>>();

/**
 * Why a provider can't be used on this machine, or `undefined` if it can: a small product was computed
 * on it and came out right. Looked for once per process.
 *
 * @param provider One of {@linkcode ONNX_PROVIDERS}
 * @example
 * ```ts
 * import { assertEquals } from "@std/assert";
 * import { providerProblem } from "./onnx_provider.ts";
 * assertEquals(await providerProblem("cpu"), undefined);
 * ```
 */
export function providerProblem(provider: OnnxProvider): Promise<ProviderProblem | undefined> {
  const known = found.get(provider) ?? findProblem(provider);
  found.set(provider, known);
  return known;
}

/** What was opened, on which provider, and the news that it is not the chosen one. */
export interface OnProvider<T> {
  /** What was opened. */
  readonly opened: T;
  /** The provider it was opened on. */
  readonly provider: OnnxProvider;
  /** Why that is not the chosen one: a line to be shown. */
  readonly note?: string;
}

/**
 * Open something on the chosen provider, or on the cpu if that can't be.
 *
 * @param open Opens it on a provider
 * @param options The choice
 * @param problemOf Says why a provider can't be used
 * @throws {KernelError} If the provider can't be used and `providerFallback` is `"error"`
 */
export async function openOnProvider<T>(
  open: (provider: OnnxProvider) => Promise<T>,
  { provider = "cpu", providerFallback = "cpu" }: ProviderOptions = {},
  problemOf: typeof providerProblem = providerProblem,
): Promise<OnProvider<T>> {
  if (provider === "cpu") return { opened: await open("cpu"), provider };
  if (!ONNX_PROVIDERS.includes(provider)) {
    throw new KernelError(
      `there is no provider ${JSON.stringify(provider)}: choose one of ${
        ONNX_PROVIDERS.join(", ")
      }`,
    );
  }
  const isStrict = providerFallback === "error";
  const problem = await problemOf(provider);
  let note: string;
  if (problem) {
    note = `provider ${provider} is not available here (${problem.reason})`;
    if (isStrict) throw new KernelError(`${note}. To do: ${problem.remedy}`);
  } else {
    try {
      return { opened: await open(provider), provider };
    } catch (error) {
      if (isStrict) throw error;
      note = `provider ${provider} can't open this model (${reasonOf(error)})`;
    }
  }
  // A model that the cpu can't open either is at fault itself, and this throws.
  return { opened: await open("cpu"), provider: "cpu", note: `${note}; running on cpu` };
}

const shown = new Set<string>();

/** Show a line on stderr, unless this process already has. */
export function showOnce(note: string | undefined): void {
  if (note === undefined || shown.has(note)) return;
  shown.add(note);
  console.warn(note);
}
