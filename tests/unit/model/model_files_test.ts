import { assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { CheckpointError, ConfigError, DataError } from "../../../src/errors.ts";
import {
  parseModel,
  readSafetensors,
  serialiseModel,
  t5ConfigToJson,
  writeSafetensors,
} from "../../../src/model/mod.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { tinyConfig, tinyTensors } from "./_tiny_t5.ts";

const V1_1 = { feed_forward_proj: "gated-gelu", tie_word_embeddings: false };
const encode = (json: unknown) => new TextEncoder().encode(JSON.stringify(json));
const filesOf = (json: unknown, tensors: Record<string, HostTensor>) => ({
  "config.json": encode(json),
  "model.safetensors": writeSafetensors(tensors),
});

Deno.test("a model survives the way to files and back, bit for bit", () => {
  for (const config of [tinyConfig(), tinyConfig(V1_1)]) {
    const tensors = tinyTensors(config);
    const files = serialiseModel(config, tensors);
    assertEquals(parseModel(files), { config, tensors });
    // transformers refuses files without it.
    assertEquals(readSafetensors(files["model.safetensors"]).metadata, { format: "pt" });
  }
});

Deno.test("copies of the embedding table and the unused bias of old files are left out", () => {
  const config = tinyConfig(), tensors = tinyTensors(config), table = tensors["shared.weight"];
  const files = filesOf(t5ConfigToJson(config), {
    ...tensors,
    "encoder.embed_tokens.weight": table,
    "decoder.embed_tokens.weight": table,
    "lm_head.weight": table,
    "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight": hostTensor(
      "float32",
      new Float32Array(16),
      [8, 2],
    ),
  });
  assertEquals(parseModel(files), { config, tensors });
});

Deno.test("an output layer of its own wins over a configuration that says tied", () => {
  const config = tinyConfig(V1_1), tensors = tinyTensors(config);
  // What transformers 5.18 writes for a v1.1 model.
  const json = {
    ...t5ConfigToJson(config),
    tie_word_embeddings: true,
    scale_decoder_outputs: false,
  };
  assertEquals(parseModel(filesOf(json, tensors)), { config, tensors });
});

Deno.test("weights that do not fit are all listed", () => {
  const config = tinyConfig(), tensors: Record<string, HostTensor> = { ...tinyTensors(config) };
  delete tensors["shared.weight"];
  tensors["encoder.final_layer_norm.weight"] = hostTensor("float32", new Float32Array(7), [7]);
  tensors["decoder.final_layer_norm.weight"] = hostTensor("int32", new Int32Array(6), [6]);
  tensors["lm_head.bias"] = hostTensor("float32", new Float32Array(11), [11]);
  const expected = "Cannot use these weights: 4 do not fit the configuration\n" +
    "  encoder.final_layer_norm.weight is [7], not [6]\n" +
    "  decoder.final_layer_norm.weight is I32, not F32, F16 or BF16\n" +
    "  lm_head.bias is no parameter of this model\n" +
    "  shared.weight is missing";
  assertThrows(
    () => parseModel(filesOf(t5ConfigToJson(config), tensors)),
    CheckpointError,
    expected,
  );
  assertThrows(() => serialiseModel(config, tensors), CheckpointError, expected);
});

Deno.test("a copy of the table that differs is no copy", () => {
  const config = tinyConfig(), tensors = tinyTensors(config);
  const other = hostTensor("float32", tensors["shared.weight"].data.map((x) => x + 1), [11, 6]);
  const files = filesOf(t5ConfigToJson(config), {
    ...tensors,
    "encoder.embed_tokens.weight": other,
  });
  assertThrows(
    () => parseModel(files),
    CheckpointError,
    "encoder.embed_tokens.weight differs from shared.weight, of which it should be a copy",
  );
});

Deno.test("a broken config.json is told apart from an unsupported one", () => {
  const weights = { "model.safetensors": writeSafetensors({}) };
  const config = (text: string) => ({ ...weights, "config.json": new TextEncoder().encode(text) });
  assertThrows(() => parseModel(config("{")), DataError, "Cannot read config.json");
  assertThrows(
    () => parseModel(config('{"model_type":"bert"}')),
    ConfigError,
    'is "bert", not "t5", "gpt2", "llama" or "qwen2"',
  );
});

Deno.test("whole numbers of float fields are written with a point, as transformers 5 demands", () => {
  const config = { ...tinyConfig(), initFactor: 1, dropoutRate: 0 };
  const text = new TextDecoder().decode(serialiseModel(config, tinyTensors(config))["config.json"]);
  for (const field of ['"initializer_factor": 1.0', '"dropout_rate": 0.0']) {
    assertStringIncludes(text, field);
  }
  assertEquals(JSON.parse(text), t5ConfigToJson(config));
});
