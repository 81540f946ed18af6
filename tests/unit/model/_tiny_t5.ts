/** A T5 of a few hundred parameters with fixed random weights. */
import * as tf from "@tensorflow/tfjs-core";
import {
  parseT5Config,
  type T5Batch,
  type T5Config,
  t5ParamSpecs,
} from "../../../src/model/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";

/** A small configuration with overrides in the words of `config.json`. */
export function tinyConfig(over: Record<string, unknown> = {}): T5Config {
  return parseT5Config({
    model_type: "t5",
    vocab_size: 11,
    d_model: 6,
    d_kv: 4,
    num_heads: 2,
    d_ff: 10,
    num_layers: 2,
    relative_attention_num_buckets: 8,
    relative_attention_max_distance: 16,
    ...over,
  });
}

/** Weights drawn anew, norms around 1. */
export function tinyTensors(config: T5Config): Record<string, HostTensor<"float32">> {
  return Object.fromEntries(
    Object.entries(t5ParamSpecs(config)).map(([name, { shape, init }]) => {
      const stream = randomStream({ seed: 5, stream: name, step: 0 });
      const data = Float32Array.from(
        { length: sizeOf(shape) },
        () =>
          init.kind === "constant"
            ? init.value + 0.1 * stream.normal()
            : init.std * stream.normal(),
      );
      return [name, hostTensor("float32", data, shape)];
    }),
  );
}

/** The same as tensors of the running backend. */
export function tinyParams(config: T5Config): Record<string, tf.Tensor> {
  return Object.fromEntries(
    Object.entries(tinyTensors(config)).map((
      [name, { data, shape }],
    ) => [name, tf.tensor(data, [...shape])]),
  );
}

/** A batch from nested arrays; token 0 is padding. */
export function batchOf(inputIds: number[][], labels: number[][]): T5Batch {
  return {
    inputIds: namedInts(tf.tensor2d(inputIds, undefined, "int32"), "B S", {}),
    isToken: named(tf.tensor2d(inputIds.map((row) => row.map((id) => id ? 1 : 0))), "B S", {}),
    labels: namedInts(tf.tensor2d(labels, undefined, "int32"), "B T", {}),
  };
}
