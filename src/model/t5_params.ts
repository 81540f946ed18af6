/** Names, shapes and start values of T5's parameters. @module */
import type { ParamSpecs } from "../tensor/params.ts";
import type { Projection } from "./decoder_params.ts";
import type { T5Config } from "./t5_config.ts";

/** Name of the table that encoder, decoder and, in a tied model, the output layer share. */
export const T5_EMBEDDING = "shared.weight";

/** Name of the output layer of a model that is not tied. */
export const T5_HEAD = "lm_head.weight";

/**
 * Every parameter of a T5 model under its Hugging Face name and in Hugging Face's order, with the
 * start values of transformers' `T5PreTrainedModel._init_weights` (those of Mesh TensorFlow).
 * Norms and the relative bias are not decayed.
 *
 * @param config Sizes of the model
 * @example
 * ```ts
 * import { parseT5Config } from "./t5_config.ts";
 * import { t5ParamSpecs } from "./t5_params.ts";
 * import { assertEquals } from "@std/assert";
 * const specs = t5ParamSpecs(parseT5Config({ model_type: "t5", d_model: 64, vocab_size: 100 }));
 * assertEquals(specs["shared.weight"], { shape: [100, 64], init: { kind: "normal", std: 1 } });
 * ```
 */
export function t5ParamSpecs(config: T5Config): ParamSpecs {
  const { modelWidth: D, headWidth: E, heads, innerWidth: F, initFactor } = config;
  const inner = heads * E;
  const specs: ParamSpecs = {};
  const normal = (name: string, shape: number[], std: number): void => {
    specs[`${name}.weight`] = { shape, init: { kind: "normal", std: initFactor * std } };
  };
  const norm = (name: string): void => {
    const init = { kind: "constant", value: initFactor } as const;
    specs[`${name}.weight`] = { shape: [D], init, decay: false };
  };
  const attention = (layer: string, kind: string, hasBias: boolean): void => {
    const name = `${layer}.${kind}`;
    normal(`${name}.q`, [inner, D], (D * E) ** -0.5);
    normal(`${name}.k`, [inner, D], D ** -0.5);
    normal(`${name}.v`, [inner, D], D ** -0.5);
    normal(`${name}.o`, [D, inner], inner ** -0.5);
    if (hasBias) {
      const bias = `${name}.relative_attention_bias`;
      normal(bias, [config.buckets, heads], D ** -0.5);
      specs[`${bias}.weight`].decay = false;
    }
    norm(`${layer}.layer_norm`);
  };
  const feedForward = (layer: string): void => {
    const name = `${layer}.DenseReluDense`;
    const inputs = config.feedForward === "gated-gelu" ? ["wi_0", "wi_1"] : ["wi"];
    for (const input of inputs) normal(`${name}.${input}`, [F, D], D ** -0.5);
    normal(`${name}.wo`, [D, F], F ** -0.5);
    norm(`${layer}.layer_norm`);
  };
  normal("shared", [config.vocabSize, D], 1);
  for (let i = 0; i < config.encoderLayers; i++) {
    const block = `encoder.block.${i}`;
    attention(`${block}.layer.0`, "SelfAttention", i === 0);
    feedForward(`${block}.layer.1`);
  }
  norm("encoder.final_layer_norm");
  for (let i = 0; i < config.decoderLayers; i++) {
    const block = `decoder.block.${i}`;
    attention(`${block}.layer.0`, "SelfAttention", i === 0);
    attention(`${block}.layer.1`, "EncDecAttention", false);
    feedForward(`${block}.layer.2`);
  }
  norm("decoder.final_layer_norm");
  if (!config.isTied) normal("lm_head", [config.vocabSize, D], 1);
  return specs;
}

/**
 * Every projection of a T5 model but the output layer: what a low-rank adapter can be put beside.
 *
 * @param config Sizes of the model
 */
export function t5Projections(config: T5Config): Projection[] {
  const isTable = (name: string) => name === T5_EMBEDDING || name === T5_HEAD;
  return Object.entries(t5ParamSpecs(config)).flatMap(([key, { shape }]) => {
    if (shape.length !== 2 || isTable(key) || key.includes("relative_attention_bias")) return [];
    const [outputs, inputs] = shape, name = key.slice(0, -".weight".length);
    return [{ name, inputs, outputs, hasBias: false, isResidual: /\.(o|wo)$/.test(name) }];
  });
}

/**
 * The parameters of one side of a T5 model, by name; the embedding table is on both.
 *
 * @param tensors Anything by name of a parameter
 * @param side Which side
 */
export function t5SideOf<T>(
  tensors: Readonly<Record<string, T>>,
  side: "encoder" | "decoder",
): Record<string, T> {
  const other = side === "encoder" ? /^(decoder\.|lm_head\.)/ : /^encoder\./;
  return Object.fromEntries(Object.entries(tensors).filter(([name]) => !other.test(name)));
}
