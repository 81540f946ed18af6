/** A session of ONNX Runtime behind the checks that all executors share. @module */
import * as ort from "onnxruntime-node";
import { DeepragError, KernelError } from "../errors.ts";
import type { OnnxModel, SizeExpr } from "../graph/mod.ts";
import type { DType, HostTensor } from "../tensor/host_tensor.ts";
import type { Executable, HostTensors, RunOptions } from "./executor.ts";
import {
  type OnnxProvider,
  type OnProvider,
  openOnProvider,
  type ProviderOptions,
} from "./onnx_provider.ts";
import { bindSizes, checkOutputs, MaskFiller, type Signature } from "./signature.ts";

/** Choices of a session. */
export interface OnnxSessionOptions extends ProviderOptions {
  /** Threads of one operator. Default: all cores. */
  threads?: number;
}

/**
 * A model as a session: memory patterns off (they cost 30 % memory and stall when sizes change), the
 * arena on, one operator at a time.
 *
 * @throws {KernelError} If the provider can't be used and nothing may take its place
 */
export async function createSession(
  source: Pick<OnnxModel, "model" | "externalData"> | string,
  options: OnnxSessionOptions = {},
): Promise<OnProvider<ort.InferenceSession>> {
  const sessionOptions = (provider: OnnxProvider): ort.InferenceSession.SessionOptions => ({
    executionProviders: [provider],
    intraOpNumThreads: options.threads ?? navigator.hardwareConcurrency,
    interOpNumThreads: 1,
    executionMode: "sequential",
    enableMemPattern: false,
    enableCpuMemArena: true,
    logSeverityLevel: 4, // what goes wrong is thrown
  });
  const create = (from: string | Uint8Array): Promise<OnProvider<ort.InferenceSession>> =>
    openOnProvider(
      (provider) => ort.InferenceSession.create(from as string, sessionOptions(provider)),
      options,
    );
  if (typeof source === "string") return await create(source);
  const { model, externalData } = source;
  if (!externalData) return await create(model);
  // A data file is found beside its model only, so both have to be files.
  const folder = await Deno.makeTempDir({ prefix: "deeprag-" });
  try {
    await Deno.writeFile(`${folder}/model.onnx`, model);
    const file = await Deno.create(`${folder}/${externalData.fileName}`);
    try {
      for (const chunk of externalData.chunks) {
        for (let done = 0; done < chunk.length;) done += await file.write(chunk.subarray(done));
      }
    } finally {
      file.close();
    }
    return await create(`${folder}/model.onnx`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/**
 * A size as ONNX Runtime reports it: a number, or the text of an expression such as `2*B*S+1` or
 * `past_length + 1`. A text that is no sum of products is taken for the name of an unknown size.
 */
function toSize(d: number | string): SizeExpr {
  if (typeof d === "number") return { terms: [], constant: d };
  const whole: SizeExpr = { terms: [{ coefficient: 1, symbols: [d] }], constant: 0 };
  const name = String.raw`[\w.:][\w.: ]*`;
  const sum = new RegExp(String.raw`^\s*-?\s*${name}(\s*[-+*]\s*${name})*$`);
  if (!sum.test(d)) return whole;
  const terms: { coefficient: number; symbols: string[] }[] = [];
  let constant = 0;
  for (const [, sign, part] of d.matchAll(/([+-]?)([^+-]+)/g)) {
    if (!part.trim()) continue;
    let coefficient = sign === "-" ? -1 : 1;
    const symbols: string[] = [];
    for (const factor of part.split("*").map((f) => f.trim())) {
      if (/^\d+$/.test(factor)) coefficient *= Number(factor);
      else symbols.push(factor);
    }
    if (symbols.length) terms.push({ coefficient, symbols });
    else constant += coefficient;
  }
  return { terms, constant };
}

/** A signature, and which of its int32 tensors are int64 in the file. */
export interface FileSignature extends Signature {
  /** Names of inputs and outputs. */
  readonly int64: ReadonlySet<string>;
}

/**
 * What a model file says about its inputs and outputs. Those of int64 count as int32: they are
 * converted on the way.
 *
 * @throws {KernelError} If one is of an element type that tensors here cannot have
 */
export function signatureOf(session: ort.InferenceSession, name: string): FileSignature {
  const int64 = new Set<string>();
  const tensorsOf = (list: readonly ort.InferenceSession.ValueMetadata[]) =>
    list.map((m) => {
      if (m.isTensor && m.type === "int64") {
        int64.add(m.name);
        return { name: m.name, dtype: "int32" as DType, shape: m.shape };
      }
      if (m.isTensor && ["float32", "int32", "bool"].includes(m.type)) {
        return { name: m.name, dtype: m.type as DType, shape: m.shape };
      }
      const type = m.isTensor ? m.type : "no tensor";
      throw new KernelError(
        `Cannot use ${name}: "${m.name}" is ${type}; supported are float32, int32, int64 and bool`,
      );
    });
  return {
    name,
    inputs: Object.fromEntries(
      tensorsOf(session.inputMetadata).map(({ name, dtype, shape }) => [name, { dtype, shape }]),
    ),
    outputs: tensorsOf(session.outputMetadata).map((o) => ({ ...o, shape: o.shape.map(toSize) })),
    masks: [],
    int64,
  };
}

const toOrt = ({ dtype, data, shape }: HostTensor, isInt64 = false): ort.Tensor =>
  isInt64
    ? new ort.Tensor("int64", BigInt64Array.from(data as Int32Array, BigInt), shape)
    : new ort.Tensor(dtype as "float32", data as Float32Array, shape);

/** A result in ordinary memory; int64 becomes int32. */
function fromOrt(name: string, { type, data, dims }: ort.Tensor): HostTensor {
  if (type !== "int64") return { dtype: type, data, shape: dims } as HostTensor;
  const wide = data as BigInt64Array;
  const out = Int32Array.from(wide, Number);
  const bad = out.findIndex((x, i) => BigInt(x) !== wide[i]);
  if (bad >= 0) {
    throw new KernelError(`Cannot read output ${name}: ${wide[bad]} does not fit int32`);
  }
  return { dtype: "int32", data: out, shape: dims };
}

/**
 * ONNX Runtime 1.30 ends the process where its WebGPU provider multiplies matrices with nothing between
 * them, [M, 0] · [0, N]: a decoder's first step, whose cache is empty, does.
 */
function refuseEmpty(name: string, inputs: HostTensors): void {
  const empty = Object.entries(inputs).find(([, { data }]) => data.length === 0);
  if (!empty) return;
  throw new KernelError(
    `Cannot run ${name} on the provider webgpu: its input ${empty[0]} is empty, [${
      empty[1].shape.join(", ")
    }], which can crash ONNX Runtime there. Choose the provider cpu`,
  );
}

/** An {@linkcode Executable} over a session. Outputs that the caller has buffers for are written there. */
export class OnnxExecutable implements Executable {
  /** Inputs still to be fed: name to element type. */
  readonly inputs: Readonly<Record<string, DType>>;
  /** Names of the outputs. */
  readonly outputs: readonly string[];
  /** The provider its session was opened on. */
  readonly provider: OnnxProvider;
  readonly #signature: Signature;
  readonly #masks: MaskFiller;
  readonly #int64: ReadonlySet<string>;
  #session: ort.InferenceSession | undefined;

  /** An executable that owns the session. */
  constructor(
    { opened, provider }: OnProvider<ort.InferenceSession>,
    signature: Signature | FileSignature,
  ) {
    this.#session = opened;
    this.provider = provider;
    this.#int64 = "int64" in signature ? signature.int64 : new Set();
    this.#signature = signature;
    this.#masks = new MaskFiller(signature);
    this.inputs = Object.fromEntries(
      Object.entries(signature.inputs).map(([name, { dtype }]) => [name, dtype]),
    );
    this.outputs = signature.outputs.map((o) => o.name);
  }

  /** Run once. */
  async run(inputs: HostTensors, options: RunOptions = {}): Promise<HostTensors> {
    const session = this.#session, { name } = this.#signature;
    if (!session) throw new DeepragError(`Cannot run ${name}: it was disposed`);
    const { outputs: buffers = {}, random } = options;
    const sizes = bindSizes(this.#signature, inputs);
    if (this.provider === "webgpu") refuseEmpty(name, inputs);
    checkOutputs(this.#signature, buffers, sizes);
    const masks = this.#masks.fill(sizes, random);
    const feeds: Record<string, ort.Tensor> = {};
    for (const [name, t] of Object.entries(inputs)) feeds[name] = toOrt(t, this.#int64.has(name));
    for (const [name, t] of Object.entries(masks)) feeds[name] = toOrt(t);
    const fetches: Record<string, ort.Tensor | null> = {};
    for (const output of this.outputs) {
      fetches[output] = Object.hasOwn(buffers, output) ? toOrt(buffers[output]) : null;
    }
    let results: ort.InferenceSession.OnnxValueMapType;
    try {
      results = await session.run(feeds, fetches);
    } catch (cause) {
      throw new KernelError(`Cannot run ${name} on ONNX Runtime: ${(cause as Error).message}`, {
        cause,
      });
    } finally {
      this.#masks.release(masks);
    }
    return Object.fromEntries(this.outputs.map((output) => {
      if (Object.hasOwn(buffers, output)) return [output, buffers[output]];
      return [output, fromOrt(output, results[output] as ort.Tensor)];
    }));
  }

  /** Free the session. */
  async dispose(): Promise<void> {
    const session = this.#session;
    this.#session = undefined;
    await session?.release();
  }
}
