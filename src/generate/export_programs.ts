/**
 * Models as programs with the inputs and outputs that Optimum gives its ONNX files, and that
 * transformers.js and ONNX Runtime's users expect: whole sequences, a cache in and out.
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import type { Program, ProgramInput } from "../graph/mod.ts";
import {
  type DecoderConfig,
  decoderLogits,
  decoderStates,
  type KeysValues,
  type T5Config,
  t5CrossKeysValues,
  t5DecodeOn,
  t5Encode,
  t5Logits,
} from "../model/mod.ts";
import { type F32, named, namedInts } from "../tensor/axes.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** Inputs of a program that are parameters of its model, by name. */
export type ParameterInputs = Readonly<Record<string, ProgramInput>>;
type Tensors = Record<string, Tensor>;

/** What the symbols of the programs here are called in the files. */
export const EXPORT_SYMBOLS: Readonly<Record<string, string>> = {
  B: "batch_size",
  S: "sequence_length",
  P: "past_sequence_length",
  M: "total_sequence_length",
  T: "decoder_sequence_length",
};

/** What the symbols of an encoder-decoder's files are called. */
export const SEQ2SEQ_SYMBOLS: Readonly<Record<string, string>> = {
  ...EXPORT_SYMBOLS,
  S: "encoder_sequence_length",
  P: "past_decoder_sequence_length",
};

const ids = (...shape: string[]): ProgramInput => ({ dtype: "int32", shape });

const maskOf = (x: Tensor): Tensor => tf.cast(x, "float32");

/**
 * A decoder as one graph, `model.onnx`: `input_ids`, `position_ids` [B, S], `attention_mask` [B, P+S]
 * and `past_key_values.<layer>.key|value` [B, J, P, E] give `logits` [B, S, V] and
 * `present.<layer>.key|value` [B, J, P+S, E]. P may be 0.
 *
 * @param config Sizes of the model
 * @param parameters Inputs that are parameters
 */
export function decoderExportProgram(config: DecoderConfig, parameters: ParameterInputs): Program {
  const layers = Array.from({ length: config.layers }, (_, i) => i);
  const cache: ProgramInput = {
    dtype: "float32",
    shape: ["B", config.keyValueHeads, "P", config.headWidth],
  };
  const past = (i: number, part: string) => `past_key_values.${i}.${part}`;
  return {
    name: config.family,
    inputs: {
      ...parameters,
      input_ids: ids("B", "S"),
      position_ids: ids("B", "S"),
      ...Object.fromEntries(
        layers.flatMap((i) => [[past(i, "key"), cache], [past(i, "value"), cache]]),
      ),
      // M is P + S. Symbols are recorded at growing sizes in the order they come up in, so that the
      // mask, which comes last, is longer than its parts then too.
      attention_mask: ids("B", "M"),
    },
    run: (x) => {
      const [B, S] = x.input_ids.shape as number[], P = x[past(0, "key")].shape[2]!;
      const M = x.attention_mask.shape[1]!, mask = maskOf(x.attention_mask);
      const keysValues = layers.map((i) => ({
        keys: named(x[past(i, "key")], "B J M E", {}),
        values: named(x[past(i, "value")], "B J M E", {}),
      }));
      const states = decoderStates(x, config, {
        inputIds: namedInts(x.input_ids, "B S", {}),
        positions: namedInts(x.position_ids, "B S", {}),
        isToken: named(tf.slice(mask, [0, M - S], [B, S]), "B S", {}),
        past: { keysValues, isToken: named(tf.slice(mask, [0, 0], [B, P]), "B P", {}) },
      });
      const outputs: Tensors = { logits: decoderLogits(x, config, states.hidden as Tensor) };
      states.keysValues.forEach(({ keys, values }, i) => {
        const join = (a: Tensor, b: Tensor) => tf.concat([a, b], 2);
        outputs[`present.${i}.key`] = join(keysValues[i].keys, keys);
        outputs[`present.${i}.value`] = join(keysValues[i].values, values);
      });
      return outputs;
    },
  };
}

/**
 * The encoder of T5, `encoder_model.onnx`: `input_ids` and `attention_mask` [B, S] give
 * `last_hidden_state` [B, S, D].
 *
 * @param config Sizes of the model
 * @param parameters Inputs that are parameters
 */
export function encoderExportProgram(config: T5Config, parameters: ParameterInputs): Program {
  return {
    name: "t5_encoder",
    inputs: { ...parameters, input_ids: ids("B", "S"), attention_mask: ids("B", "S") },
    run: (x) => ({
      last_hidden_state: t5Encode(x, config, {
        inputIds: namedInts(x.input_ids, "B S", {}),
        isToken: named(maskOf(x.attention_mask), "B S", {}),
      }),
    }),
  };
}

/** Name of a cached tensor, without `past_key_values.` or `present.`. */
const cached = (i: number, side: "decoder" | "encoder", part: "key" | "value"): string =>
  `${i}.${side}.${part}`;

const present = (side: "decoder" | "encoder", list: readonly KeysValues[]): Tensors =>
  Object.fromEntries(list.flatMap(({ keys, values }, i) => [
    [`present.${cached(i, side, "key")}`, keys as Tensor],
    [`present.${cached(i, side, "value")}`, values as Tensor],
  ]));

/** Both branches of `decoder_model_merged.onnx`. */
export interface DecoderBranches {
  /** The first call: keys and values of the source are made. */
  readonly first: Program;
  /** Every further one: all of the past is read. */
  readonly further: Program;
}

/**
 * The decoder of T5, the branches of `decoder_model_merged.onnx`: `input_ids` [B, T],
 * `encoder_attention_mask` [B, S], `encoder_hidden_states` [B, S, D] and
 * `past_key_values.<layer>.<decoder|encoder>.<key|value>` give `logits` [B, T, V] and `present.…`. The
 * first call ignores the past, further ones ignore the hidden states and give the encoder's part of
 * the past back as it came.
 *
 * @param config Sizes of the model
 * @param parameters Inputs that are parameters
 */
export function decoderBranches(config: T5Config, parameters: ParameterInputs): DecoderBranches {
  const layers = Array.from({ length: config.decoderLayers }, (_, i) => i);
  const { heads, headWidth, modelWidth } = config;
  const inputs = {
    ...parameters,
    encoder_attention_mask: ids("B", "S"),
    input_ids: ids("B", "T"),
  };
  const cacheInputs = Object.fromEntries(
    layers.flatMap((i) =>
      (["decoder", "encoder"] as const).flatMap((side) =>
        (["key", "value"] as const).map((part): [string, ProgramInput] => [
          `past_key_values.${cached(i, side, part)}`,
          { dtype: "float32", shape: ["B", heads, side === "decoder" ? "P" : "S", headWidth] },
        ])
      )
    ),
  );
  const decode = (
    x: Tensors,
    cache: readonly KeysValues[],
    crossKeysValues: readonly KeysValues[],
  ): Tensors => {
    const states = t5DecodeOn(x, config, {
      decoderIds: namedInts(x.input_ids, "N T", {}),
      isToken: named(maskOf(x.encoder_attention_mask), "B S", {}),
      cache,
      crossKeysValues,
    });
    return {
      logits: t5Logits(x, config, states.hidden as Tensor),
      ...present("decoder", states.cache),
      ...present("encoder", crossKeysValues),
    };
  };
  const pastOf = (x: Tensors, side: "decoder" | "encoder"): KeysValues[] => {
    const of = (i: number, part: "key" | "value"): F32<"B H M E"> =>
      named(x[`past_key_values.${cached(i, side, part)}`], "B H M E", {});
    return layers.map((i) => ({ keys: of(i, "key"), values: of(i, "value") }));
  };
  return {
    first: {
      name: "t5_first",
      inputs: {
        ...inputs,
        encoder_hidden_states: { dtype: "float32", shape: ["B", "S", modelWidth] },
      },
      run: (x) => {
        const memory = named(x.encoder_hidden_states, "B S D", {});
        return decode(x, [], t5CrossKeysValues(x, config, memory));
      },
    },
    further: {
      name: "t5_further",
      inputs: { ...inputs, ...cacheInputs },
      run: (x) => decode(x, pastOf(x, "decoder"), pastOf(x, "encoder")),
    },
  };
}
