import { assert, assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/errors.ts";
import {
  fromPeftName,
  type LoraConfig,
  loraConfig,
  loraConfigToJson,
  loraParamSpecs,
  loraScaling,
  loraTargets,
  type ModelConfig,
  modelProjections,
  parseLoraConfig,
  toPeftName,
} from "../../../src/model/mod.ts";
import { tinyDecoderConfig } from "./_tiny_decoder.ts";
import { tinyConfig } from "./_tiny_t5.ts";

const namesOf = (config: ModelConfig, targets: LoraConfig["targets"]): string[] =>
  loraTargets(loraConfig({ targets }), modelProjections(config)).map(({ name }) => name).sort();

const llama = tinyDecoderConfig("llama"), gpt2 = tinyDecoderConfig("gpt2"), t5 = tinyConfig();

// Expected names are those PEFT 0.21 gives the same models.
Deno.test("targets are found as PEFT finds them", () => {
  const layer = "model.layers.0.self_attn";
  assertEquals(namesOf(llama, ["q_proj", "mlp.up_proj"]), [
    "model.layers.0.mlp.up_proj",
    "model.layers.0.self_attn.q_proj",
    "model.layers.1.mlp.up_proj",
    "model.layers.1.self_attn.q_proj",
  ]);
  assertEquals(namesOf(llama, ["layers.0.self_attn.q_proj"]), [`${layer}.q_proj`]);
  assertEquals(namesOf(llama, "model\\.layers\\.0\\.self_attn\\.(q|v)_proj"), [
    `${layer}.q_proj`,
    `${layer}.v_proj`,
  ]);
  assertEquals(namesOf(llama, ".*\\.1\\..*_proj").length, 7);
  assertEquals(namesOf(llama, "all-linear").length, 14);
  assertEquals(namesOf(gpt2, "all-linear").length, 8);
  assertEquals(namesOf(gpt2, ["c_proj"]), [
    "transformer.h.0.attn.c_proj",
    "transformer.h.0.mlp.c_proj",
    "transformer.h.1.attn.c_proj",
    "transformer.h.1.mlp.c_proj",
  ]);
  assertEquals(namesOf(t5, "all-linear").length, 32);
  assertEquals(namesOf(t5, ["k", "wo"]).length, 10);
});

Deno.test("targets that name nothing are refused", () => {
  for (const targets of [["query"], ["q_proj", "query"], "q_proj", ["proj"], "(", ["lm_head"]]) {
    const message = assertThrows(() => namesOf(llama, targets), ConfigError).message;
    assert(message.includes("target_modules"), message);
    assert(message.includes("it has self_attn.q_proj, self_attn.k_proj"), message);
  }
});

Deno.test("the factor is α / A, or α / √A where it is stabilised", () => {
  const config = loraConfig({ targets: ["q"], rank: 16, alpha: 8, dropoutRate: 0.1 });
  assertEquals(loraScaling(config), { rank: 16, factor: 0.5, dropoutRate: 0 });
  assertEquals(loraScaling(config, { isTraining: true }).dropoutRate, 0.1);
  assertEquals(loraScaling({ ...config, isRankStabilised: true }).factor, 2);
});

Deno.test("parameters are A × I and O × A, and B starts at 0", () => {
  const specs = loraParamSpecs(
    loraConfig({ targets: ["mlp.down_proj"], rank: 3 }),
    modelProjections(llama),
  );
  assertEquals(Object.keys(specs).length, 4);
  assertEquals(specs["model.layers.1.mlp.down_proj.lora_A.weight"], {
    shape: [3, 10],
    init: { kind: "normal", std: 1 / Math.sqrt(30) },
  });
  assertEquals(specs["model.layers.1.mlp.down_proj.lora_B.weight"], {
    shape: [8, 3],
    init: { kind: "constant", value: 0 },
  });
});

Deno.test("adapter_config.json: there and back, and what PEFT 0.21 writes", () => {
  for (
    const over of [
      { targets: ["q_proj", "v_proj"] },
      { targets: "all-linear", rank: 4, alpha: 0.5, dropoutRate: 0.1 },
      { targets: ["c_attn"], isRankStabilised: true, baseModel: "gpt2" },
    ]
  ) {
    const config = loraConfig(over);
    assertEquals(parseLoraConfig(JSON.parse(JSON.stringify(loraConfigToJson(config)))), config);
  }
  const json = loraConfigToJson(loraConfig({ targets: ["c_attn"] }), { isConv1d: true });
  assertEquals([json.fan_in_fan_out, json.task_type], [true, "CAUSAL_LM"]);
  assertEquals(
    parseLoraConfig({
      task_type: null,
      peft_type: "LORA",
      auto_mapping: null,
      peft_version: "0.21.0",
      base_model_name_or_path: null,
      revision: null,
      inference_mode: true,
      r: 8,
      target_modules: ["q_proj"],
      exclude_modules: null,
      lora_alpha: 16,
      lora_dropout: 0.0,
      fan_in_fan_out: false,
      bias: "none",
      use_rslora: false,
      modules_to_save: null,
      init_lora_weights: true,
      layers_to_transform: null,
      layers_pattern: null,
      rank_pattern: {},
      alpha_pattern: {},
      megatron_config: null,
      megatron_core: "megatron.core",
      trainable_token_indices: null,
      loftq_config: {},
      eva_config: null,
      corda_config: null,
      lora_ga_config: null,
      use_dora: false,
      velora_config: null,
      alora_invocation_tokens: null,
      use_qalora: false,
      qalora_group_size: 16,
      monteclora_config: null,
      layer_replication: null,
      lora_bias: false,
      target_parameters: null,
      use_bdlora: null,
      arrow_config: null,
      kasa_config: null,
      ensure_weight_tying: false,
    }),
    loraConfig({ targets: ["q_proj"], alpha: 16 }),
  );
});

Deno.test("what an adapter may not ask for is named, all at once", () => {
  const { problems } = assertThrows(() =>
    parseLoraConfig({
      peft_type: "LOHA",
      r: 0,
      lora_alpha: -1,
      lora_dropout: 1,
      target_modules: [],
      bias: "all",
      use_dora: true,
      modules_to_save: ["lm_head"],
      rank_pattern: { q_proj: 4 },
      layers_to_transform: [1],
      init_lora_weights: "pissa",
      use_dorra: false,
    }), ConfigError);
  assertEquals(problems.map(({ key }) => key).sort(), [
    "bias",
    "init_lora_weights",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "modules_to_save",
    "peft_type",
    "r",
    "rank_pattern",
    "target_modules",
    "use_dora",
    "use_dorra",
  ]);
  assertThrows(() => parseLoraConfig([]), ConfigError, "adapter_config.json: is not an object");
  assertThrows(() => parseLoraConfig({ target_modules: ["q"] }), ConfigError, "peft_type");
  assertThrows(() => loraConfig({ targets: "" }), ConfigError, "target_modules");
});

Deno.test("PEFT's names and back", () => {
  const name = "model.layers.0.self_attn.q_proj.lora_A.weight";
  assertEquals(toPeftName(name), `base_model.model.${name}`);
  assertEquals(fromPeftName(`base_model.model.${name}`), name);
  for (
    const other of [
      name,
      "base_model.model.model.layers.0.self_attn.q_proj.weight",
      "base_model.model.model.layers.0.self_attn.q_proj.lora_magnitude_vector.weight",
    ]
  ) assertEquals(fromPeftName(other), undefined);
});
