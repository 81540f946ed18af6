/** Names, shapes and start values of the parameters of GPT-2, Llama and Qwen2. @module */
import type { ParamSpecs } from "../tensor/params.ts";
import { decoderNames } from "./_decoder_names.ts";
import type { DecoderConfig } from "./decoder_config.ts";

/** One projection of a decoder. */
export interface Projection {
  /** Its name without `.weight`. */
  readonly name: string;
  /** I */
  readonly inputs: number;
  /** O */
  readonly outputs: number;
  /** Is there a bias? */
  readonly hasBias: boolean;
  /** Does its output go straight into the residual stream? */
  readonly isResidual: boolean;
}

/**
 * Every projection of a decoder but the output layer: what a low-rank adapter can be put beside.
 *
 * @param config Sizes of the model
 */
export function decoderProjections(config: DecoderConfig): Projection[] {
  const { modelWidth: D, headWidth: E, innerWidth: F, heads, keyValueHeads } = config;
  const names = decoderNames(config);
  const queries = heads * E, memory = keyValueHeads * E;
  const widths = names.query.length === 1 ? [queries + 2 * memory] : [queries, memory, memory];
  return Array.from({ length: config.layers }, (_, i): Projection[] => {
    const of = (
      name: string,
      [inputs, outputs]: [number, number],
      hasBias: boolean,
      isResidual = false,
    ): Projection => ({ name: `${names.layer(i)}.${name}`, inputs, outputs, hasBias, isResidual });
    return [
      ...names.query.map((name, k) => of(name, [D, widths[k]], config.hasQueryBias)),
      of(names.output, [queries, D], config.hasOutputBias, true),
      ...names.inner.map((name) => of(name, [D, F], config.hasInnerBias)),
      of(names.back, [F, D], config.hasInnerBias, true),
    ];
  }).flat();
}

/**
 * Every parameter of a decoder under its Hugging Face name, with the start values of transformers'
 * `_init_weights`: normal with the configured deviation; in GPT-2, what goes into the residual stream
 * is divided by √(2·layers). Norms and biases are not decayed.
 *
 * GPT-2's projections are stored as `[I, O]` (its "Conv1D"), all others as `[O, I]`.
 *
 * @param config Sizes of the model
 * @example
 * ```ts
 * import { parseDecoderConfig } from "./decoder_config.ts";
 * import { decoderParamSpecs } from "./decoder_params.ts";
 * import { assertEquals } from "@std/assert";
 * const config = parseDecoderConfig({ model_type: "gpt2", n_embd: 8, n_head: 2, vocab_size: 10 });
 * const { shape } = decoderParamSpecs(config)["transformer.h.0.attn.c_attn.weight"];
 * assertEquals(shape, [8, 24]);
 * ```
 */
export function decoderParamSpecs(config: DecoderConfig): ParamSpecs {
  const { modelWidth: D, vocabSize: V, initStd: std } = config;
  const names = decoderNames(config);
  const { isConv1d } = names;
  const specs: ParamSpecs = {};
  const normal = (name: string, shape: number[], factor = 1): void => {
    specs[`${name}.weight`] = { shape, init: { kind: "normal", std: std * factor } };
  };
  const constant = (name: string, size: number, value: number): void => {
    specs[name] = { shape: [size], init: { kind: "constant", value }, decay: false };
  };
  const norm = (name: string): void => {
    constant(`${name}.weight`, D, 1);
    if (isConv1d) constant(`${name}.bias`, D, 0);
  };
  normal(names.tokens, [V, D]);
  if (!config.rotary) normal(names.positions, [config.maxPositions, D]);
  const projections = decoderProjections(config), perLayer = projections.length / config.layers;
  for (let i = 0; i < config.layers; i++) {
    const layer = names.layer(i);
    norm(`${layer}.${names.attentionNorm}`);
    for (const p of projections.slice(i * perLayer, (i + 1) * perLayer)) {
      const shape = isConv1d ? [p.inputs, p.outputs] : [p.outputs, p.inputs];
      normal(p.name, shape, isConv1d && p.isResidual ? (2 * config.layers) ** -0.5 : 1);
      if (p.hasBias) constant(`${p.name}.bias`, p.outputs, 0);
    }
    norm(`${layer}.${names.innerNorm}`);
  }
  norm(names.finalNorm);
  if (!config.isTied) normal(names.head, [V, D]);
  return specs;
}
