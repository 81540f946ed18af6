/** A GPT-2, a Llama and a Qwen2 of about a thousand parameters with fixed random weights. */
import * as tf from "@tensorflow/tfjs-core";
import {
  type DecoderConfig,
  type DecoderModel,
  decoderParamSpecs,
  parseDecoderConfig,
} from "../../../src/model/mod.ts";
import { type F32, type I32, named, namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import type { Params, ParamSpecs } from "../../../src/tensor/params.ts";
import { randomStream } from "../../../src/tensor/random.ts";

const SHARED = {
  vocab_size: 11,
  hidden_size: 8,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 2,
  intermediate_size: 10,
  tie_word_embeddings: true,
  initializer_range: 0.5,
};

/** By family, in the words of `config.json`. The Llama shares key heads and stretches its positions. */
export const TINY: Record<DecoderConfig["family"], Record<string, unknown>> = {
  gpt2: {
    model_type: "gpt2",
    vocab_size: 11,
    n_embd: 8,
    n_head: 2,
    n_layer: 2,
    n_positions: 12,
    initializer_range: 0.5,
  },
  llama: {
    ...SHARED,
    model_type: "llama",
    head_dim: 6,
    tie_word_embeddings: false,
    rope_theta: 50,
    rope_scaling: {
      rope_type: "llama3",
      factor: 4,
      low_freq_factor: 1,
      high_freq_factor: 4,
      original_max_position_embeddings: 24,
    },
  },
  qwen2: { ...SHARED, model_type: "qwen2" },
};

/** A small configuration with overrides in the words of `config.json`. */
export const tinyDecoderConfig = (
  family: DecoderConfig["family"],
  over: Record<string, unknown> = {},
): DecoderConfig => parseDecoderConfig({ ...TINY[family], ...over });

/** Values drawn anew: norms around 1, biases around 0, and `std` for what would start at 0. */
export function drawn(specs: ParamSpecs, std = 0.3): Record<string, HostTensor<"float32">> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { shape, init }]) => {
      const stream = randomStream({ seed: 5, stream: name, step: 0 });
      const [mean, spread] = init.kind === "constant" ? [init.value, std] : [0, init.std];
      const data = Float32Array.from(
        { length: sizeOf(shape) },
        () => mean + spread * stream.normal(),
      );
      return [name, hostTensor("float32", data, shape)];
    }),
  );
}

/** A model with drawn weights. */
export function tinyDecoder(
  family: DecoderConfig["family"],
  over: Record<string, unknown> = {},
): DecoderModel {
  const config = tinyDecoderConfig(family, over);
  return { config, tensors: drawn(decoderParamSpecs(config)) };
}

/** Host tensors as tensors of the running backend. */
export function paramsOf(tensors: Readonly<Record<string, HostTensor>>): Params {
  return Object.fromEntries(
    Object.entries(tensors).map((
      [name, { data, shape }],
    ) => [name, tf.tensor(data.slice(), [...shape])]),
  );
}

/** Token ids from nested arrays. */
export const ids = (rows: number[][]): I32<"B S"> =>
  namedInts(tf.tensor2d(rows, undefined, "int32"), "B S", {});

/** Where tokens stand, from nested arrays. */
export const marks = (rows: number[][]): F32<"B S"> => named(tf.tensor2d(rows), "B S", {});
