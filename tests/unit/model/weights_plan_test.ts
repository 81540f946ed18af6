import { assertEquals, assertThrows } from "@std/assert";
import { CheckpointError } from "../../../src/errors.ts";
import {
  decoderConfigToJson,
  type DecoderModel,
  fitTensors,
  modelParamSpecs,
  parseModel,
  planWeights,
  serialiseModel,
  settleModel,
  type StoredTensor,
  writeSafetensors,
} from "../../../src/model/mod.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { tinyDecoder } from "./_tiny_decoder.ts";

const FAMILIES = ["gpt2", "llama", "qwen2"] as const;
const storedAs = (model: DecoderModel, type = "F32"): StoredTensor[] =>
  Object.entries(modelParamSpecs(model.config)).map(([name, { shape }]) => ({ name, shape, type }));
const filesOf = ({ config }: DecoderModel, tensors: Record<string, HostTensor>) => ({
  "config.json": new TextEncoder().encode(JSON.stringify(decoderConfigToJson(config))),
  "model.safetensors": writeSafetensors(tensors),
});
const refuse = (model: DecoderModel, stored: StoredTensor[]): string =>
  assertThrows(() => planWeights(model.config, stored), CheckpointError).message;

for (const family of FAMILIES) {
  Deno.test(`${family}: a model survives the way to files and back, bit for bit`, () => {
    for (const tie_word_embeddings of [true, false]) {
      const model = tinyDecoder(family, { tie_word_embeddings });
      assertEquals(parseModel(serialiseModel(model.config, model.tensors)), model);
    }
  });

  Deno.test(`${family}: an output layer beside a tied table is a copy, or wins if it differs`, () => {
    const model = tinyDecoder(family, { tie_word_embeddings: true });
    const untied = tinyDecoder(family, { tie_word_embeddings: false });
    const head = untied.tensors["lm_head.weight"];
    const name = family === "gpt2" ? "transformer.wte.weight" : "model.embed_tokens.weight";
    const table = model.tensors[name];
    const copy = hostTensor("float32", table.data.slice(), table.shape);
    assertEquals(parseModel(filesOf(model, { ...model.tensors, "lm_head.weight": copy })), model);
    assertEquals(parseModel(filesOf(model, { ...model.tensors, "lm_head.weight": head })), untied);
  });
}

Deno.test("GPT-2's names may lack their prefix, and its masks are left out", () => {
  const model = tinyDecoder("gpt2");
  const bare = Object.fromEntries(
    Object.entries(model.tensors).map(([name, t]) => [name.replace("transformer.", ""), t]),
  );
  const mask = hostTensor("float32", new Float32Array(144), [1, 1, 12, 12]);
  const scalar = hostTensor("float32", Float32Array.of(-1e4), []);
  assertEquals(parseModel(filesOf(model, { ...bare, "h.0.attn.bias": mask })), model);
  const masks = { "transformer.h.0.attn.bias": mask, "transformer.h.1.attn.masked_bias": scalar };
  assertEquals(parseModel(filesOf(model, { ...masks, ...model.tensors })), model);
  const head = bare["wte.weight"];
  assertEquals(parseModel(filesOf(model, { ...bare, "lm_head.weight": head })), model);
  // Half of the names with the prefix is neither.
  const stored = storedAs(model).map((t, i) =>
    i % 2 ? t : { ...t, name: t.name.replace("transformer.", "") }
  );
  refuse(model, stored);
});

Deno.test("rotary frequencies of old Llamas are left out, other strangers are not", () => {
  const model = tinyDecoder("llama");
  const old = { name: "model.layers.1.self_attn.rotary_emb.inv_freq", shape: [3], type: "F32" };
  const { reads } = planWeights(model.config, [...storedAs(model), old]);
  assertEquals(reads.length, Object.keys(model.tensors).length);
  const stranger = { name: "model.layers.2.input_layernorm.weight", shape: [8], type: "F32" };
  assertEquals(
    refuse(model, [...storedAs(model), stranger]).split("\n")[1],
    "  model.layers.2.input_layernorm.weight is no parameter of this model",
  );
});

Deno.test("float32, float16 and bfloat16 are read, everything else is named", () => {
  const model = tinyDecoder("llama");
  for (const type of ["F32", "F16", "BF16"]) {
    assertEquals(planWeights(model.config, storedAs(model, type)).copies, []);
  }
  for (const type of ["I8", "F64", "F8_E4M3", "U8"]) {
    const [first] = storedAs(model, type);
    assertEquals(
      refuse(model, [first, ...storedAs(model).slice(1)]).split("\n")[1],
      `  model.embed_tokens.weight is ${type}, not F32, F16 or BF16`,
    );
  }
});

Deno.test("every problem is told, and many are counted", () => {
  const model = tinyDecoder("qwen2"), [first, second, ...rest] = storedAs(model);
  const wide = { ...second, shape: [9] };
  const problems = refuse(model, [wide, wide, ...rest]).split("\n");
  assertEquals(problems, [
    "Cannot use these weights: 3 do not fit the configuration",
    `  ${second.name} is [9], not [8]`,
    `  ${second.name} is there twice`,
    `  ${first.name} is missing`,
  ]);
  const none = refuse(model, []).split("\n");
  assertEquals(none.length, 1 + 20 + 1);
  assertEquals(none.at(-1), `  … and ${storedAs(model).length - 20} more`);
});

Deno.test("settleModel puts parameters into the model's order, fitTensors takes nothing else", () => {
  const model = tinyDecoder("qwen2");
  const plan = planWeights(model.config, storedAs(model).reverse());
  const reversed = Object.fromEntries(Object.entries(model.tensors).reverse());
  const settled = settleModel(plan, reversed);
  assertEquals(Object.keys(settled.tensors), Object.keys(modelParamSpecs(model.config)));
  assertEquals(fitTensors(model.config, reversed), model.tensors);
  const table = model.tensors["model.embed_tokens.weight"];
  assertThrows(
    () => fitTensors(model.config, { ...model.tensors, "lm_head.weight": table }),
    CheckpointError,
    "Cannot use lm_head.weight: it is no parameter of this model",
  );
  const gpt2 = tinyDecoder("gpt2");
  const bare = Object.fromEntries(
    Object.entries(gpt2.tensors).map(([name, t]) => [name.replace("transformer.", ""), t]),
  );
  assertThrows(() => fitTensors(gpt2.config, bare), CheckpointError, "Cannot use wte.weight");
});
