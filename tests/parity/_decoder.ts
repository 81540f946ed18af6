/** The tiny decoders that transformers ran, and what it computed from them. */
import type * as tf from "@tensorflow/tfjs-core";
import type { Program } from "../../src/graph/mod.ts";
import {
  type DecoderInputs,
  decoderLogits,
  decoderLoss,
  type DecoderModel,
  decoderStates,
  parseModel,
  readSafetensors,
} from "../../src/model/mod.ts";
import { named, namedInts } from "../../src/tensor/axes.ts";
import { type HostTensor, hostTensor } from "../../src/tensor/host_tensor.ts";

const ROOT = new URL("../../../shared/parity/", import.meta.url);

/** One batch and what transformers made of it. */
export interface DecoderCase {
  padding: "none" | "left" | "right";
  input_ids: number[][];
  attention_mask: number[][];
  position_ids: number[][] | null;
  labels: number[][];
  loss: number;
  /** [B][S from `logits_from_position`][V]; rows without a token mean nothing */
  logits: number[][][];
  logits_from_position: number;
}

/** What was generated from `cases[0]`, or from inputs of its own. */
export interface Generation {
  max_new_tokens: number;
  input_ids?: number[][];
  attention_mask?: number[][];
  sequences: number[][];
  sequences_scores?: number[];
}

/** A reference model. */
export interface DecoderReference extends DecoderModel {
  name: string;
  cases: DecoderCase[];
  generate: {
    greedy: Generation;
    beam4_length_penalty_1: Generation;
    greedy_left_padded: Generation;
  };
  gradients: Record<string, HostTensor>;
}

const read = (path: string) => Deno.readFileSync(new URL(path, ROOT));

function load(name: string): DecoderReference {
  const { cases, generate } = JSON.parse(
    new TextDecoder().decode(read(`${name}/reference.json`)),
  );
  return {
    name,
    ...parseModel({
      "config.json": read(`${name}/config.json`),
      "model.safetensors": read(`${name}/model.safetensors`),
    }) as DecoderModel,
    cases,
    generate,
    gradients: readSafetensors(read(`${name}/grads.safetensors`)).tensors,
  };
}

/** Whether the references are there; why not is printed once. */
export const isAvailable = (() => {
  try {
    Deno.statSync(ROOT);
    return true;
  } catch {
    console.log(`skipped: decoders against transformers, ${ROOT.pathname} is not there`);
    return false;
  }
})();

/** All decoders, or none where they are not there. */
export const references: DecoderReference[] = isAvailable
  ? ["gpt2", "llama_gqa", "qwen2_tied"].map(load)
  : [];

/** Inputs of the programs below. */
export function hostBatch(c: DecoderCase): Record<string, HostTensor> {
  const shape = [c.input_ids.length, c.input_ids[0].length];
  return {
    inputIds: hostTensor("int32", Int32Array.from(c.input_ids.flat()), shape),
    isToken: hostTensor("float32", Float32Array.from(c.attention_mask.flat()), shape),
    labels: hostTensor("int32", Int32Array.from(c.labels.flat()), shape),
  };
}

function inputsOf(x: Record<string, tf.Tensor>): DecoderInputs {
  return { inputIds: namedInts(x.inputIds, "B S", {}), isToken: named(x.isToken, "B S", {}) };
}

/** Inputs of a program over parameters and a batch. */
export function batchInputs(model: DecoderModel): Program["inputs"] {
  return {
    ...Object.fromEntries(
      Object.entries(model.tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }]),
    ),
    inputIds: { dtype: "int32", shape: ["B", "S"] },
    isToken: { dtype: "float32", shape: ["B", "S"] },
    labels: { dtype: "int32", shape: ["B", "S"] },
  };
}

/** Loss alone. */
export function lossProgram(model: DecoderModel): Program {
  return {
    name: `${model.config.family}_loss`,
    inputs: batchInputs(model),
    run: (x) => ({
      loss: decoderLoss(x, model.config, {
        ...inputsOf(x),
        labels: namedInts(x.labels, "B S", {}),
      }),
    }),
  };
}

/** Loss and the logits of every position. */
export function valueProgram(model: DecoderModel): Program {
  const { config } = model, loss = lossProgram(model);
  return {
    name: `${config.family}_values`,
    inputs: loss.inputs,
    run: (x) => {
      const { hidden } = decoderStates(x, config, inputsOf(x));
      return { ...loss.run(x), logits: decoderLogits(x, config, hidden) };
    },
  };
}
