/** The tiny T5 models that transformers ran, and what it computed from them. */
import * as tf from "@tensorflow/tfjs-core";
import type { Program } from "../../src/graph/mod.ts";
import {
  parseModel,
  readSafetensors,
  type T5Batch,
  type T5Config,
  t5Decode,
  t5Encode,
  t5Logits,
  t5Loss,
  type T5Model,
  type T5Options,
  t5ShiftRight,
} from "../../src/model/mod.ts";
import { named, namedInts } from "../../src/tensor/axes.ts";
import { type HostTensor, hostTensor } from "../../src/tensor/host_tensor.ts";

const ROOT = new URL("../../../shared/parity/", import.meta.url);

/** One batch and what transformers made of it. */
export interface Case {
  input_ids: number[][];
  attention_mask: number[][];
  labels: number[][];
  loss: number;
  /** [B][T from `logits_from_position`][V] */
  logits: number[][][];
  logits_from_position: number;
}

/** What was generated from `cases[0]`. */
export interface Generated {
  max_new_tokens: number;
  sequences: number[][];
  sequences_scores?: number[];
}

/** A reference model. */
export interface Reference extends T5Model {
  name: string;
  cases: Case[];
  greedy: Generated;
  /** Of four beams, with length penalties 0 and 1. */
  beams: Generated[];
  gradients: Record<string, HostTensor>;
  optim: Record<string, { losses: number[]; grad_norms_before_clip: number[] }>;
}

const read = (path: string) => Deno.readFileSync(new URL(path, ROOT));
const readJson = (path: string) => JSON.parse(new TextDecoder().decode(read(path)));

function load(name: string): Reference {
  const reference = readJson(`${name}/reference.json`);
  return {
    name,
    ...parseModel({
      "config.json": read(`${name}/config.json`),
      "model.safetensors": read(`${name}/model.safetensors`),
    }) as T5Model,
    cases: reference.cases,
    greedy: reference.generate.greedy,
    beams: [0, 1].map((p) => reference.generate[`beam4_length_penalty_${p}`]),
    gradients: readSafetensors(read(`${name}/grads.safetensors`)).tensors,
    optim: readJson(`${name}/optim.json`),
  };
}

/** Whether the references are there; why not is printed once. */
export const isAvailable = (() => {
  try {
    Deno.statSync(ROOT);
    return true;
  } catch {
    console.log(`skipped: T5 against transformers, ${ROOT.pathname} is not there`);
    return false;
  }
})();

/** Both models, or none where they are not there. */
export const references: Reference[] = isAvailable
  ? ["t5_v1_0_relu_tied", "t5_v1_1_gated_gelu_untied"].map(load)
  : [];

/** Inputs of the programs below, as tensors in ordinary memory. */
export function hostBatch(c: Case): Record<string, HostTensor> {
  const [B, S, T] = [c.input_ids.length, c.input_ids[0].length, c.labels[0].length];
  return {
    inputIds: hostTensor("int32", Int32Array.from(c.input_ids.flat()), [B, S]),
    isToken: hostTensor("float32", Float32Array.from(c.attention_mask.flat()), [B, S]),
    labels: hostTensor("int32", Int32Array.from(c.labels.flat()), [B, T]),
  };
}

/** The labelled batch of a program's inputs. */
export function batchOf(x: Record<string, tf.Tensor>): T5Batch {
  return {
    inputIds: namedInts(x.inputIds, "B S", {}),
    isToken: named(x.isToken, "B S", {}),
    labels: namedInts(x.labels, "B T", {}),
  };
}

/** Inputs of a program over parameters and a batch. */
export function batchInputs(model: T5Model): Program["inputs"] {
  return {
    ...Object.fromEntries(
      Object.entries(model.tensors).map(([name, { dtype, shape }]) => [name, { dtype, shape }]),
    ),
    inputIds: { dtype: "int32", shape: ["B", "S"] },
    isToken: { dtype: "float32", shape: ["B", "S"] },
    labels: { dtype: "int32", shape: ["B", "T"] },
  };
}

/** Loss alone. */
export function lossProgram(model: T5Model, options: T5Options = {}): Program {
  return {
    name: "t5_loss",
    inputs: batchInputs(model),
    run: (x) => ({ loss: t5Loss(x, model.config, batchOf(x), options) }),
  };
}

/** Loss and the logits of every target position. */
export function valueProgram(model: T5Model): Program {
  const { config } = model;
  return {
    name: "t5_values",
    inputs: batchInputs(model),
    run: (x) => {
      const batch = batchOf(x);
      return { loss: t5Loss(x, config, batch), logits: logitsOf(x, config, batch) };
    },
  };
}

function logitsOf(params: Record<string, tf.Tensor>, config: T5Config, batch: T5Batch): tf.Tensor {
  const { isToken, labels } = batch;
  const memory = t5Encode(params, config, batch);
  const decoderIds = t5ShiftRight(config, labels);
  return t5Logits(params, config, t5Decode(params, config, { decoderIds, memory, isToken }));
}

/** ‖actual − expected‖ / ‖expected‖. */
export function relativeL2(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0, size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (actual[i] - expected[i]) ** 2;
    size += expected[i] ** 2;
  }
  return Math.sqrt(difference / size);
}

/** max |actual − expected| / max |expected|. */
export function relativeMax(actual: ArrayLike<number>, expected: ArrayLike<number>): number {
  if (actual.length !== expected.length) return Infinity;
  let difference = 0, size = 0;
  for (let i = 0; i < expected.length; i++) {
    difference = Math.max(difference, Math.abs(actual[i] - expected[i]));
    size = Math.max(size, Math.abs(expected[i]));
  }
  return difference / size;
}
