import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/errors.ts";
import { parseT5Config, t5ConfigToJson, t5ParamSpecs } from "../../../src/model/mod.ts";
import { sizeOf } from "../../../src/tensor/host_tensor.ts";

/** google-t5/t5-small and google/t5-v1_1-small as published, without what says nothing of the model. */
const V1_0 = {
  architectures: ["T5ForConditionalGeneration"],
  d_ff: 2048,
  d_kv: 64,
  d_model: 512,
  decoder_start_token_id: 0,
  dropout_rate: 0.1,
  eos_token_id: 1,
  initializer_factor: 1.0,
  is_encoder_decoder: true,
  layer_norm_epsilon: 1e-06,
  model_type: "t5",
  n_positions: 512,
  num_heads: 8,
  num_layers: 6,
  output_past: true,
  pad_token_id: 0,
  relative_attention_num_buckets: 32,
  vocab_size: 32128,
};
const V1_1 = {
  ...V1_0,
  d_ff: 1024,
  feed_forward_proj: "gated-gelu",
  num_decoder_layers: 8,
  num_heads: 6,
  num_layers: 8,
  tie_word_embeddings: false,
};
const parameters = (json: unknown) =>
  Object.values(t5ParamSpecs(parseT5Config(json))).reduce((n, { shape }) => n + sizeOf(shape), 0);

Deno.test("published configurations have as many parameters as the published models", () => {
  // Sums over model.safetensors of google-t5/t5-small and google/t5-v1_1-small.
  assertEquals(parameters(V1_0), 60_506_624);
  assertEquals(parameters(V1_1), 76_961_152);
});

Deno.test("v1.0 and v1.1 differ in feed-forward, tying and scaling", () => {
  const [old, young] = [V1_0, V1_1].map(parseT5Config);
  assertEquals([old.feedForward, old.isTied, old.isScaled], ["relu", true, true]);
  assertEquals([young.feedForward, young.isTied, young.isScaled], ["gated-gelu", false, false]);
  assertEquals([old.decoderLayers, young.decoderLayers], [6, 8]);
  const specs = t5ParamSpecs(young);
  assertEquals("lm_head.weight" in specs, true);
  assertEquals("lm_head.weight" in t5ParamSpecs(old), false);
  assertEquals("encoder.block.3.layer.1.DenseReluDense.wi_1.weight" in specs, true);
});

Deno.test("start values are those of T5PreTrainedModel._init_weights", () => {
  const specs = t5ParamSpecs(parseT5Config({ ...V1_1, initializer_factor: 0.5 }));
  const std = (name: string) => {
    const { init } = specs[`${name}.weight`];
    return init.kind === "normal" ? init.std : init.value;
  };
  const block = "decoder.block.0.layer";
  assertEquals(std("shared"), 0.5);
  assertEquals(std("lm_head"), 0.5);
  assertEquals(std(`${block}.0.SelfAttention.q`), 0.5 * (512 * 64) ** -0.5);
  assertEquals(std(`${block}.1.EncDecAttention.k`), 0.5 * 512 ** -0.5);
  assertEquals(std(`${block}.0.SelfAttention.o`), 0.5 * (6 * 64) ** -0.5);
  assertEquals(std(`${block}.0.SelfAttention.relative_attention_bias`), 0.5 * 512 ** -0.5);
  assertEquals(std(`${block}.2.DenseReluDense.wi_0`), 0.5 * 512 ** -0.5);
  assertEquals(std(`${block}.2.DenseReluDense.wo`), 0.5 * 1024 ** -0.5);
  assertEquals(std("decoder.final_layer_norm"), 0.5);
  const fixed = Object.keys(specs).filter((name) => specs[name].decay === false);
  assertEquals(fixed.filter((n) => n.includes("layer_norm")).length, 16 + 24 + 2);
  assertEquals(fixed.filter((n) => !n.includes("layer_norm")), [
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
    "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
  ]);
});

Deno.test("a configuration survives the way to JSON and back", () => {
  for (const json of [V1_0, V1_1, { model_type: "t5" }, { ...V1_1, scale_decoder_outputs: true }]) {
    const config = parseT5Config(json);
    assertEquals(parseT5Config(JSON.parse(JSON.stringify(t5ConfigToJson(config)))), config);
  }
});

Deno.test("transformers 5 says whether states are scaled apart from tying", () => {
  const config = parseT5Config({
    ...V1_1,
    tie_word_embeddings: true,
    scale_decoder_outputs: false,
  });
  assertEquals([config.isTied, config.isScaled], [true, false]);
});

Deno.test("every value that this T5 does not have is named, all at once", () => {
  const bad = {
    ...V1_0,
    model_type: "mt5",
    is_encoder_decoder: false,
    d_model: 0,
    num_heads: "8",
    relative_attention_num_buckets: 7,
    relative_attention_max_distance: 3,
    feed_forward_proj: "gated-silu",
    eos_token_id: 32128,
    pad_token_id: [0],
    dropout_rate: 1,
    layer_norm_epsilon: 0,
    tie_word_embeddings: "yes",
    scale_decoder_outputs: true,
  };
  const error = assertThrows(() => parseT5Config(bad), ConfigError, "problems");
  assertEquals(error.problems.map((p) => p.key), [
    "model_type",
    "is_encoder_decoder",
    "d_model",
    "num_heads",
    "relative_attention_num_buckets",
    "relative_attention_max_distance",
    "feed_forward_proj",
    "tie_word_embeddings",
    "pad_token_id",
    "eos_token_id",
    "layer_norm_epsilon",
    "dropout_rate",
  ]);
  assertEquals(error.problems[0].message, 'is "mt5", not "t5"');
  assertEquals(error.problems[6].message, 'is "gated-silu", not "relu" or "gated-gelu"');
  assertThrows(() => parseT5Config([]), ConfigError, "is not an object");
});
