import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError, ConfigError, DataError, type DeepragError } from "../../../src/errors.ts";
import { loadModel, type PretrainedModel, saveModel } from "../../../src/hub/mod.ts";
import {
  modelParamSpecs,
  VALUE_HEAD_FILE,
  valueHeadParamSpecs,
  writeSafetensors,
} from "../../../src/model/mod.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { withFolder } from "../../with_folder.ts";
import { drawn } from "../model/_tiny_decoder.ts";
import { idOf, NAMES, tinyConfig, tinyModel, TOKENS, VOCAB_SIZE } from "./_tiny_pretrained.ts";

/** Everything a folder can hold. */
const wholeModel = (name: string): PretrainedModel => ({
  ...tinyModel(name),
  tokenizerConfig: { model_max_length: 64, pad_token: "<pad>" },
  specialTokensMap: { pad_token: "<pad>", eos_token: "</s>" },
  chatTemplate: "{% for m in messages %}«{{ m.content }}»\n{% endfor %}",
  generationConfig: { do_sample: true, temperature: 0.5, eos_token_id: [1, 2] },
  valueHead: drawn(valueHeadParamSpecs(8)),
});

/** Class of an error, whatever it is made of. */
// deno-lint-ignore no-explicit-any
type Type = new (...args: any[]) => DeepragError;

const namesIn = async (folder: string): Promise<string[]> =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

const SIDE = [
  "chat_template.jinja",
  "generation_config.json",
  "special_tokens_map.json",
  "tokenizer.json",
  "tokenizer_config.json",
  VALUE_HEAD_FILE,
];

for (const name of NAMES) {
  Deno.test(`${name}: a folder gives back everything that was saved in it`, () =>
    withFolder(async (root) => {
      const model = wholeModel(name), folder = join(root, "new", "folder");
      const written = await saveModel(folder, model);
      assertEquals(written.sort(), [...SIDE, "config.json", "model.safetensors"].sort());
      assertEquals(await namesIn(folder), written);
      const { tokenizer, folder: from, source, ...loaded } = await loadModel(folder);
      assertEquals([from, source], [folder, folder]);
      assertEquals(loaded, model);
      assertEquals(Object.keys(loaded.tensors), Object.keys(modelParamSpecs(model.config)));
      assertEquals(tokenizer!.vocabSize, TOKENS.length);
      const tokens = ["the", "otter", ...model.config.family === "t5" ? ["</s>"] : []];
      assertEquals([...tokenizer!.encode("the otter")], tokens.map(idOf));

      // What this model does not have would be taken for its own.
      const bare = { config: model.config, tensors: model.tensors };
      assertEquals((await saveModel(folder, bare)).sort(), ["config.json", "model.safetensors"]);
      assertEquals(await namesIn(folder), ["config.json", "model.safetensors"]);
      assertEquals(await loadModel(folder), {
        ...bare,
        source: folder,
        folder,
        tokenizer: undefined,
      });
    }));
}

Deno.test("16-bit files hold the rounded numbers, several files all of them", () =>
  withFolder(async (folder) => {
    const model = tinyModel("llama");
    await saveModel(folder, model, { dtype: "float16" });
    const float16 = await loadModel(folder);
    for (const [name, { data }] of Object.entries(model.tensors)) {
      const rounded = Float32Array.from(Float16Array.from(data));
      assertEquals(float16.tensors[name].data, rounded);
    }
    await saveModel(folder, model, { dtype: "bfloat16" });
    const bfloat16 = await loadModel(folder), word = new DataView(new ArrayBuffer(4));
    for (const [name, { data }] of Object.entries(model.tensors)) {
      bfloat16.tensors[name].data.forEach((x, i) => {
        word.setFloat32(0, x);
        assertEquals(word.getUint16(2), 0); // the upper half of a float32
        assert(Math.abs(x - data[i]) <= Math.abs(data[i]) * 2 ** -8);
      });
    }
    const files = await saveModel(folder, model, { maxShardBytes: 1000 });
    assert(files.includes("model.safetensors.index.json"), files.join());
    assert(files.filter((file) => file.startsWith("model-0")).length > 2, files.join());
    assertEquals(await namesIn(folder), files.sort());
    assertEquals((await loadModel(folder)).tensors, model.tensors);
  }));

/** A folder with the configuration of a model and any weights. */
async function writeFolder(
  folder: string,
  config: unknown,
  tensors: Record<string, HostTensor>,
): Promise<void> {
  await Deno.writeTextFile(join(folder, "config.json"), JSON.stringify(config));
  await Deno.writeFile(join(folder, "model.safetensors"), writeSafetensors(tensors));
}

const GPT2 = {
  model_type: "gpt2",
  vocab_size: VOCAB_SIZE,
  n_embd: 8,
  n_head: 2,
  n_layer: 2,
  n_positions: 32,
  initializer_range: 0.5,
  eos_token_id: 1,
  pad_token_id: 0,
};

Deno.test("GPT-2 as it is published: no prefix, and the masks of its attention", () =>
  withFolder(async (folder) => {
    const { config, tensors } = tinyModel("gpt2");
    const mask = hostTensor("float32", new Float32Array(32 * 32), [1, 1, 32, 32]);
    const bare = Object.fromEntries(
      Object.entries(tensors).map(([name, t]) => [name.replace("transformer.", ""), t]),
    );
    await writeFolder(folder, GPT2, { ...bare, "h.0.attn.bias": mask, "h.1.attn.bias": mask });
    const loaded = await loadModel(folder);
    assertEquals([loaded.config, loaded.tensors], [config, tensors]);
  }));

Deno.test("a tied model whose file repeats the table is tied, one whose output layer differs is not", () =>
  withFolder(async (folder) => {
    const { config, tensors } = tinyModel("gpt2"), table = tensors["transformer.wte.weight"];
    const copy = hostTensor("float32", table.data.slice(), table.shape);
    await writeFolder(folder, GPT2, { ...tensors, "lm_head.weight": copy });
    const tied = await loadModel(folder);
    assertEquals([tied.config, tied.tensors], [config, tensors]);
    const head = hostTensor("float32", table.data.map((x) => x + 1), table.shape);
    await writeFolder(folder, GPT2, { ...tensors, "lm_head.weight": head });
    const untied = await loadModel(folder);
    assertEquals(untied.config, { ...config, isTied: false });
    assertEquals(untied.tensors["lm_head.weight"], head);
  }));

Deno.test("a tokenizer may have fewer tokens than the model, not more", () =>
  withFolder(async (folder) => {
    const tokenizerJson = tinyModel("qwen2").tokenizerJson;
    const model = tinyModel("qwen2", { vocab_size: TOKENS.length });
    await saveModel(folder, { ...model, tokenizerJson });
    assertEquals((await loadModel(folder)).tokenizer!.vocabSize, model.config.vocabSize);
    const small = tinyModel("qwen2", { vocab_size: TOKENS.length - 1 });
    await saveModel(folder, { ...small, tokenizerJson });
    await assertRejects(
      () => loadModel(folder),
      CheckpointError,
      `it has ${TOKENS.length} tokens, the model ${TOKENS.length - 1}`,
    );
  }));

Deno.test("a value head of another width, or of another kind, is refused", () =>
  withFolder(async (folder) => {
    const model = tinyModel("llama"), path = join(folder, VALUE_HEAD_FILE);
    await saveModel(folder, model);
    await Deno.writeFile(path, writeSafetensors(drawn(valueHeadParamSpecs(9))));
    await assertRejects(() => loadModel(folder), CheckpointError, "is [1,9], not [1,8]");
    await assertRejects(
      () => saveModel(folder, { ...model, valueHead: drawn(valueHeadParamSpecs(9)) }),
      CheckpointError,
      "v_head.summary.weight [1,9]: the model needs v_head.summary.bias [1], v_head",
    );
    const w = hostTensor("float32", new Float32Array(8), [1, 8]);
    await Deno.writeFile(path, writeSafetensors({ "score.weight": w }));
    await assertRejects(
      () => loadModel(folder),
      CheckpointError,
      "score.weight does not belong there",
    );
  }));

Deno.test("folders that are none, and files that are broken, are named", () =>
  withFolder(async (root) => {
    const model = wholeModel("qwen2"), folder = join(root, "model");
    await saveModel(folder, model);
    const refuse = async (
      file: string,
      content: string | undefined,
      [type, message]: [Type, RegExp],
    ): Promise<void> => {
      const path = join(folder, file), before = await Deno.readFile(path);
      if (content === undefined) await Deno.remove(path);
      else await Deno.writeTextFile(path, content);
      const error = await assertRejects(() => loadModel(folder), type);
      assertMatch(error.message, message);
      await Deno.writeFile(path, before);
    };
    await refuse("config.json", undefined, [DataError, /model: there is no config\.json$/]);
    await refuse("config.json", '{"model_type": ', [DataError, /config\.json: Cannot read JSON: /]);
    await refuse("config.json", "[1, 2]", [ConfigError, /model_type: is missing/]);
    await refuse("config.json", "7", [ConfigError, /is not an object/]);
    await refuse("config.json", '{"model_type": "bert"}', [
      ConfigError,
      /"bert", not "t5", "gpt2"/,
    ]);
    await refuse("tokenizer.json", "{}}", [DataError, /tokenizer\.json: Cannot read JSON: /]);
    await refuse("generation_config.json", "no", [DataError, /generation_config\.json: Cannot/]);
    await refuse("model.safetensors", undefined, [DataError, /no model\.safetensors or model\./]);
    await refuse("model.safetensors", "broken", [DataError, /model\.safetensors/]);
    await Deno.writeFile(join(folder, "chat_template.jinja"), Uint8Array.of(0xff, 0xfe, 0x61));
    await assertRejects(() => loadModel(folder), DataError, "chat_template.jinja: Cannot read it");
    await saveModel(folder, model);
    assertEquals((await loadModel(folder)).tensors, model.tensors); // the folder was sound again

    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    await assertRejects(() => loadModel(file), DataError, "it is a file, not a folder");
    await assertRejects(() => loadModel(join(root, "none")), DataError, "there is no such folder");
    await assertRejects(() => saveModel(file, model), DataError, "Cannot write weights to");
  }));

Deno.test("unknown, missing and wrong tensors are told together, and nothing is written", () =>
  withFolder(async (root) => {
    const { config, tensors } = tinyModel("qwen2"), folder = join(root, "model");
    await saveModel(folder, { config, tensors });
    const { "model.norm.weight": norm, ...rest } = tensors;
    const wrong = { ...rest, "model.norm.bias": norm };
    const message = "  model.norm.bias is no parameter of this model\n" +
      "  model.norm.weight is missing";
    await Deno.writeFile(join(folder, "model.safetensors"), writeSafetensors(wrong));
    await assertRejects(() => loadModel(folder), CheckpointError, message);
    const elsewhere = join(root, "elsewhere");
    await assertRejects(
      () => saveModel(elsewhere, { config, tensors: wrong }),
      CheckpointError,
      message,
    );
    await assertRejects(() => Deno.stat(elsewhere), Deno.errors.NotFound);
    const other = tinyConfig("qwen2", { intermediate_size: 12 });
    await assertRejects(
      () => saveModel(elsewhere, { config: other, tensors }),
      CheckpointError,
      "mlp.gate_proj.weight is [10,8], not [12,8]",
    );
  }));
