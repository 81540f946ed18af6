import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ConfigError } from "../../../src/errors.ts";
import {
  type DecoderConfig,
  decoderConfigToJson,
  decoderParamSpecs,
  isDecoder,
  modelParamSpecs,
  modelProjections,
  parseDecoderConfig,
  parseModelConfig,
  stringifyModelConfig,
} from "../../../src/model/mod.ts";
import { sizeOf } from "../../../src/tensor/host_tensor.ts";
import { asTransformers5, PUBLISHED } from "./_published_configs.ts";

const parametersOf = (json: unknown): number =>
  Object.values(modelParamSpecs(parseModelConfig(json))).reduce(
    (n, { shape }) => n + sizeOf(shape),
    0,
  );
const problemsOf = (json: unknown): Record<string, string> => {
  const { problems } = assertThrows(() => parseModelConfig(json), ConfigError);
  return Object.fromEntries(problems.map(({ key, message }) => [key, message]));
};
const LLAMA = PUBLISHED["meta-llama/Llama-3.2-1B"].json;
const QWEN2 = PUBLISHED["Qwen/Qwen2.5-0.5B-Instruct"].json;
const GPT2 = PUBLISHED["openai-community/gpt2"].json;

for (const [name, { json, parameters }] of Object.entries(PUBLISHED)) {
  Deno.test(`${name}: as many parameters as published, from either version's config`, () => {
    assertEquals(parametersOf(json), parameters);
    const config = parseModelConfig(json);
    assertEquals(parseModelConfig(asTransformers5(json)), config);
    assertEquals(parseModelConfig(JSON.parse(stringifyModelConfig(config))), config);
  });
}

Deno.test("what the published decoders are", () => {
  const of = (name: string) => parseDecoderConfig(PUBLISHED[name].json);
  const pick = (c: DecoderConfig) => [
    c.family,
    c.headWidth,
    c.heads,
    c.keyValueHeads,
    c.innerWidth,
    c.activation,
    c.hasQueryBias,
    c.hasOutputBias,
    c.hasInnerBias,
    c.isTied,
  ];
  assertEquals(
    pick(of("openai-community/gpt2")),
    ["gpt2", 64, 12, 12, 3072, "gelu_new", true, true, true, true],
  );
  assertEquals(
    pick(of("HuggingFaceTB/SmolLM2-135M")),
    ["llama", 64, 9, 3, 1536, "silu", false, false, false, true],
  );
  assertEquals(
    pick(of("Qwen/Qwen2.5-0.5B-Instruct")),
    ["qwen2", 64, 14, 2, 4864, "silu", true, false, false, true],
  );
  assertEquals(of("openai-community/gpt2").rotary, undefined);
  assertEquals(of("HuggingFaceTB/SmolLM2-135M").rotary, { theta: 100000 });
  assertEquals(of("meta-llama/Llama-3.2-1B").rotary, {
    theta: 500000,
    scaling: {
      kind: "llama3",
      factor: 32,
      lowFactor: 1,
      highFactor: 4,
      originalPositions: 8192,
    },
  });
  const { beginToken, endTokens, padToken } = of("HuggingFaceTB/SmolLM2-135M-Instruct");
  assertEquals([beginToken, endTokens, padToken], [1, [2], 2]);
  assertEquals(parseDecoderConfig({ ...LLAMA, eos_token_id: [7, 8] }).endTokens, [7, 8]);
  assertEquals(parseDecoderConfig({ ...LLAMA, pad_token_id: -1 }).padToken, undefined);
});

Deno.test("parameters carry transformers' names, shapes and start values", () => {
  const gpt2 = decoderParamSpecs(parseDecoderConfig(GPT2));
  assertEquals(Object.keys(gpt2).length, 2 + 12 * 12 + 2);
  assertEquals(gpt2["transformer.h.11.mlp.c_proj.weight"], {
    shape: [3072, 768],
    init: { kind: "normal", std: 0.02 / Math.sqrt(24) },
  });
  assertEquals(gpt2["transformer.h.0.attn.c_attn.bias"], {
    shape: [2304],
    init: { kind: "constant", value: 0 },
    decay: false,
  });
  const llama = decoderParamSpecs(parseDecoderConfig({ ...LLAMA, tie_word_embeddings: false }));
  assertEquals(Object.keys(llama).length, 1 + 16 * 9 + 2);
  assertEquals(llama["model.layers.15.self_attn.v_proj.weight"].shape, [512, 2048]);
  assertEquals(llama["model.layers.15.mlp.down_proj.weight"], {
    shape: [2048, 8192],
    init: { kind: "normal", std: 0.02 },
  });
  assertEquals(llama["lm_head.weight"].shape, [128256, 2048]);
  const qwen2 = decoderParamSpecs(parseDecoderConfig(QWEN2));
  assertEquals("model.layers.0.self_attn.q_proj.bias" in qwen2, true);
  assertEquals("model.layers.0.self_attn.o_proj.bias" in qwen2, false);
  const biased = decoderParamSpecs(
    parseDecoderConfig({ ...LLAMA, attention_bias: true, mlp_bias: true }),
  );
  for (const name of ["self_attn.o_proj", "self_attn.k_proj", "mlp.up_proj", "mlp.down_proj"]) {
    assertEquals(`model.layers.0.${name}.bias` in biased, true, name);
  }
  assertEquals(modelProjections(parseModelConfig(GPT2)).length, 12 * 4);
  assertEquals(modelProjections(parseModelConfig(QWEN2)).length, 24 * 7);
});

Deno.test("rotary positions in every spelling", () => {
  const of = (over: Record<string, unknown>) =>
    parseDecoderConfig({ model_type: "llama", rope_theta: 5, ...over }).rotary;
  const linear = { theta: 5, scaling: { kind: "linear", factor: 2 } as const };
  assertEquals(of({ rope_scaling: null }), { theta: 5 });
  assertEquals(of({ rope_scaling: { type: "linear", factor: 2 } }), linear);
  assertEquals(of({ rope_scaling: { rope_type: "linear", type: "linear", factor: 2 } }), linear);
  assertEquals(of({ rope_parameters: { rope_type: "linear", factor: 2 } }), linear);
  assertEquals(of({ rope_parameters: { rope_type: "default", rope_theta: 6 } }), { theta: 6 });
  assertEquals(parseDecoderConfig({ model_type: "llama" }).rotary, { theta: 10000 });
});

Deno.test("everything that is not supported is named, all at once", () => {
  assertEquals(
    problemsOf({
      ...LLAMA,
      rope_scaling: { rope_type: "yarn", factor: 4 },
      rope_interleaved: true,
      quantization_config: { bits: 4 },
      hidden_act: "mish",
      num_hiden_layers: 5,
      vocab_size: "128256",
      num_key_value_heads: 5,
      num_hidden_layers: 2e9,
      intermediate_size: 2 ** 40,
      rms_norm_eps: null,
      tie_word_embeddings: 1,
      attention_dropout: 1,
      pad_token_id: 1.5,
    }),
    {
      rope_interleaved: "is true, not false",
      quantization_config: 'is {"bits":4}, not null',
      num_hiden_layers: "is not known here (its value is 5), so what it asks for can't be done; " +
        "the nearest known field is num_hidden_layers",
      "rope_scaling.rope_type": 'is "yarn", not default, linear or llama3',
      vocab_size: 'is "128256", not a positive integer',
      num_key_value_heads: "is 5, not a divisor of the number of heads",
      intermediate_size: "is 1099511627776, not a positive integer",
      num_hidden_layers: "is 2000000000, not an integer from 1 to 1000",
      hidden_act: 'is "mish", not gelu_new, gelu, relu, silu',
      tie_word_embeddings: "is 1, not true or false",
      attention_dropout: "is 1, not a number in [0, 1)",
      pad_token_id: "is 1.5, not a token id below vocab_size",
    },
  );
});

Deno.test("each family refuses what another has, and suggests the nearest field", () => {
  assertEquals(Object.keys(problemsOf({ ...QWEN2, use_sliding_window: true })), [
    "use_sliding_window",
  ]);
  const kinds = ["full_attention", "sliding_attention"];
  assertEquals(Object.keys(problemsOf({ ...QWEN2, layer_types: kinds })), ["layer_types"]);
  assertEquals(Object.keys(problemsOf({ ...QWEN2, attention_bias: false })), ["attention_bias"]);
  assertEquals(Object.keys(problemsOf({ ...LLAMA, sliding_window: 4096 })), ["sliding_window"]);
  assertEquals(Object.keys(problemsOf({ ...LLAMA, head_dim: 33 })), ["head_dim"]);
  assertEquals(Object.keys(problemsOf({ ...LLAMA, head_dim: undefined, hidden_size: 2047 })), [
    "hidden_size",
  ]);
  assertEquals(
    Object.keys(problemsOf({ ...GPT2, scale_attn_by_inverse_layer_idx: true, n_embd: 770 })),
    ["scale_attn_by_inverse_layer_idx", "n_embd"],
  );
  assertEquals(Object.keys(problemsOf({ ...GPT2, add_cross_attention: true })), [
    "add_cross_attention",
  ]);
  const { num_hiden_layers: typo } = problemsOf({ ...LLAMA, num_hiden_layers: 3 });
  assert(typo.endsWith("the nearest known field is num_hidden_layers"), typo);
  assertEquals(problemsOf({ model_type: "llama3" }), {
    model_type: 'is "llama3", not "t5", "gpt2", "llama" or "qwen2"',
  });
  assertEquals(Object.keys(problemsOf({})), ["model_type"]);
  for (const json of [null, 3, "gpt2", []]) assertThrows(() => parseModelConfig(json), ConfigError);
  assertThrows(() => parseDecoderConfig({ model_type: "t5" }), ConfigError, "model_type");
  assertThrows(() => parseDecoderConfig(null), ConfigError, "model_type: is missing");
});

Deno.test("rotary scaling is refused field by field", () => {
  const of = (rope: unknown, key = "rope_scaling") => problemsOf({ ...LLAMA, [key]: rope });
  assertEquals(
    Object.keys(of({ rope_type: "llama3", factor: -1, beta_fast: 3 })),
    [
      "rope_scaling.beta_fast",
      "rope_scaling.factor",
      "rope_scaling.low_freq_factor",
      "rope_scaling.high_freq_factor",
      "rope_scaling.low_freq_factor",
    ].filter((key, i, all) => all.indexOf(key) === i),
  );
  assertEquals(of("linear"), { rope_scaling: 'is "linear", not an object' });
  assertEquals(of([]), { rope_scaling: "is [], not an object" });
  for (const wrong of [0, false, "", 7]) {
    assertEquals(of(wrong, "rope_parameters"), {
      rope_parameters: `is ${JSON.stringify(wrong)}, not an object`,
    });
  }
  assertEquals(problemsOf({ ...LLAMA, rope_theta: 0 }), {
    rope_theta: "is 0, not a positive number",
  });
  assertEquals(Object.keys(of({ rope_type: "dynamic", factor: 2 })), ["rope_scaling.rope_type"]);
});

Deno.test("activations have two spellings, and only texts name one", () => {
  const of = (hidden_act: unknown) => parseDecoderConfig({ ...LLAMA, hidden_act }).activation;
  assertEquals(of("swish"), "silu");
  assertEquals(of("gelu_pytorch_tanh"), "gelu_new");
  for (const wrong of [["swish"], { toString: 1, valueOf: 1 }, "constructor"]) {
    assertEquals(problemsOf({ ...LLAMA, hidden_act: wrong }), {
      hidden_act: `is ${JSON.stringify(wrong)}, not gelu_new, gelu, relu, silu`,
    });
  }
});

Deno.test("a configuration with every choice turned survives the way to JSON and back", () => {
  const configs = [
    { ...GPT2, n_inner: 100, activation_function: "relu", tie_word_embeddings: false },
    { ...LLAMA, head_dim: 32, attention_bias: true, mlp_bias: true, eos_token_id: [1, 2] },
    { ...LLAMA, rope_scaling: { type: "linear", factor: 2.5 }, bos_token_id: null },
    { ...QWEN2, eos_token_id: null, attention_dropout: 0.5, num_key_value_heads: 14 },
    { model_type: "gpt2" },
    { model_type: "llama" },
    { model_type: "qwen2" },
  ].map(parseDecoderConfig);
  for (const config of configs) {
    assertEquals(
      parseDecoderConfig(JSON.parse(JSON.stringify(decoderConfigToJson(config)))),
      config,
    );
    assertEquals(parseModelConfig(JSON.parse(stringifyModelConfig(config))), config);
    assert(isDecoder({ config, tensors: {} }));
  }
  assert(stringifyModelConfig(configs[2]).includes('"rope_theta": 500000.0'));
});

/** What a mutation puts in the place of a value. */
const VALUES = fc.oneof(
  fc.constantFrom<unknown>(null, true, false, 0, -1, 1, 0.5, 2, 3, 7, 1e9, 2 ** 31, 1e300, -0),
  fc.constantFrom<unknown>("", "silu", "relu", "__proto__", "constructor", [], [1], [[2]], {}),
  fc.constantFrom<unknown>({ toString: 1, valueOf: 1 }, { rope_type: {} }, { type: "linear" }),
  fc.jsonValue(),
);

Deno.test("a mutated configuration is refused or has finite parameters; nothing else happens", () => {
  const files = Object.values(PUBLISHED).flatMap(({ json }) => [json, asTransformers5(json)]);
  const keys = [...new Set(files.flatMap((json) => Object.keys(json)))];
  const mutation = fc.record({
    file: fc.constantFrom(...files),
    changes: fc.array(fc.tuple(fc.constantFrom(...keys, "x", "__proto__", "head_dim"), VALUES), {
      maxLength: 2,
    }),
    dropped: fc.subarray(keys, { maxLength: 1 }),
  });
  let accepted = 0, refused = 0;
  fc.assert(
    fc.property(mutation, ({ file, changes, dropped }) => {
      // Through JSON, where "__proto__" is a key like any other.
      const json = JSON.parse(JSON.stringify(
        Object.fromEntries(Object.entries(file).filter(([key]) => !dropped.includes(key))),
      ));
      for (const [key, value] of changes) {
        Object.defineProperty(json, key, {
          value: JSON.parse(JSON.stringify(value)),
          enumerable: true,
          configurable: true,
          writable: true,
        });
      }
      let config;
      try {
        config = parseModelConfig(json);
      } catch (error) {
        assert(error instanceof ConfigError, `${error}`);
        assert(error.problems.length > 0);
        refused++;
        return;
      }
      accepted++;
      for (const [name, { shape, init }] of Object.entries(modelParamSpecs(config))) {
        assert(shape.every((n) => Number.isSafeInteger(n) && n > 0), `${name} is [${shape}]`);
        assert(Number.isFinite(init.kind === "normal" ? init.std : init.value), name);
      }
      assertEquals(parseModelConfig(JSON.parse(stringifyModelConfig(config))), config);
    }),
    { numRuns: 600, seed: 11 },
  );
  assert(accepted > 40 && refused > 40, `${accepted} accepted, ${refused} refused`);
});
