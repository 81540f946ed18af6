/** What transformers and PEFT computed from small models of every family. */
import { assertEquals } from "@std/assert";
import { join } from "@std/path";
import { type LoadedModel, loadModel } from "../../src/hub/mod.ts";
import {
  type DecoderModel,
  isDecoder,
  readSafetensors,
  type T5Model,
} from "../../src/model/mod.ts";
import type { HostTensor } from "../../src/tensor/host_tensor.ts";
import { beside, findPython, folder, type Output, run } from "./_peers.ts";

/** Every model that `families.py` makes. */
export const NAMES = [
  "gpt2",
  "llama_tied",
  "llama_scaled",
  "llama_biased",
  "qwen2_untied",
  "t5_relu",
  "t5_gated",
] as const;

/** Those with adapters. */
export const ADAPTED = ["gpt2", "llama_scaled", "llama_biased", "t5_relu", "t5_gated"] as const;

/** Sides of the padding. */
export const SIDES = ["right", "left"] as const;

/** Much of it is for reading the libraries from a slow disk. */
const PYTHON_LIMIT_MS = 480_000;

/** The Python with transformers, or why there is none. */
export const { python, problem: noPython } = await findPython({
  packages: [
    "torch==2.13.0",
    "transformers==5.18.0",
    "peft==0.21.0",
    "tokenizers==0.23.2",
    "onnx==1.23.1",
    "onnxruntime==1.30.0",
  ],
  modules: ["onnx", "onnxruntime", "peft", "tokenizers", "torch", "transformers"],
  limitMs: 480_000,
});

/** Run one of the scripts here; what it prints last is JSON. */
export async function runPython(script: string, ...args: string[]): Promise<Output> {
  const env = { HF_HUB_OFFLINE: "1", PYTHONDONTWRITEBYTECODE: "1", PYTHONIOENCODING: "utf-8" };
  const output = await run(python, [beside(script), ...args], { limitMs: PYTHON_LIMIT_MS, env });
  assertEquals(output.problem, undefined, output.stderr.slice(-2000));
  return output;
}

/** `make` when it is first asked for. */
export function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => made ??= make();
}

/** The folder with everything that `make_references.py` writes. */
export const references = once(async () => {
  const path = join(folder, "references");
  await runPython("make_references.py", path);
  return path;
});

/** A reference model, loaded here. */
export const load = async (name: string): Promise<LoadedModel> =>
  await loadModel(join(await references(), name));

/** Tensors of a file. */
export const tensorsOf = async (...path: string[]): Promise<Record<string, HostTensor>> =>
  readSafetensors(await Deno.readFile(join(...path))).tensors;

/** A parsed file. */
export const jsonOf = async <T>(...path: string[]): Promise<T> =>
  JSON.parse(await Deno.readTextFile(join(...path)));

/** What the tokenizers of transformers gave. */
export interface ReferenceTexts {
  readonly prompts: string[];
  readonly models: Record<string, {
    readonly ids: number[][];
    readonly chats: {
      readonly messages: { role: string; content: string }[];
      readonly prompt: boolean;
      readonly ids: number[];
    }[];
  }>;
}

export const texts = once(async () =>
  await jsonOf<ReferenceTexts>(await references(), "texts.json")
);

/** Whether a model is an encoder-decoder, for both kinds of which there are helpers. */
export const asT5 = (model: LoadedModel): T5Model | undefined =>
  isDecoder(model) ? undefined : model as unknown as T5Model;
export const asDecoder = (model: LoadedModel): DecoderModel => model as unknown as DecoderModel;

type Tensors = Record<string, HostTensor>;

/** The batch of a file of references. */
export function batchIn(tensors: Tensors): Tensors {
  const { input_ids, attention_mask, labels } = tensors;
  const isToken = {
    dtype: "float32",
    shape: attention_mask.shape,
    data: Float32Array.from(attention_mask.data),
  } as HostTensor;
  return { inputIds: input_ids, isToken, labels };
}

/** Rows [V] of logits, those of padding left out; a T5's decoder has none. */
export function countedRows(logits: HostTensor, tensors: Tensors, isT5: boolean): number[] {
  const V = logits.shape[2];
  return [...logits.data].filter((_, i) => isT5 || tensors.attention_mask.data[Math.floor(i / V)]);
}

/** Largest of the numbers, under a name, as it is printed. */
export class Worst {
  readonly #errors = new Map<string, number>();

  /** @returns `error`, to be checked */
  note(what: string, error: number): number {
    if (!(error <= (this.#errors.get(what) ?? -1))) this.#errors.set(what, error);
    return error;
  }

  print(title: string): void {
    const parts = [...this.#errors].map(([what, error]) => `${what} ${error.toExponential(1)}`);
    console.log(`${title}: ${parts.join(", ")}`);
  }
}
