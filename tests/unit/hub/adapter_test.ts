import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError, ConfigError, DataError } from "../../../src/errors.ts";
import { type Adapter, ADAPTER_FILES, loadAdapter, saveAdapter } from "../../../src/hub/mod.ts";
import {
  loraConfig,
  loraParamSpecs,
  type ModelConfig,
  modelProjections,
  readSafetensors,
  writeSafetensors,
} from "../../../src/model/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { withFolder } from "../../with_folder.ts";
import { drawn } from "../model/_tiny_decoder.ts";
import { tinyConfig } from "./_tiny_pretrained.ts";

const adapterOf = (model: ModelConfig, over: Parameters<typeof loraConfig>[0]): Adapter => {
  const config = loraConfig(over);
  return { config, tensors: drawn(loraParamSpecs(config, modelProjections(model))) };
};

/** Names and shapes that PEFT gives the adapters of one projection of each model. */
const PEFT = {
  t5: {
    targets: "encoder\\.block\\.0\\.layer\\.1\\.DenseReluDense\\.wo",
    name: "encoder.block.0.layer.1.DenseReluDense.wo",
    inputs: 12,
    outputs: 8,
  },
  gpt2: {
    targets: ["h.1.attn.c_attn"],
    name: "transformer.h.1.attn.c_attn",
    inputs: 8,
    outputs: 24,
  },
  llama: {
    targets: ["k_proj"],
    name: "model.layers.0.self_attn.k_proj",
    inputs: 8,
    outputs: 12,
  },
  qwen2: { targets: ["up_proj"], name: "model.layers.0.mlp.up_proj", inputs: 8, outputs: 10 },
};

for (const [name, { targets, name: projection, inputs, outputs }] of Object.entries(PEFT)) {
  Deno.test(`${name}: adapters survive the way to PEFT's files and back`, () =>
    withFolder(async (root) => {
      const model = tinyConfig(name), folder = join(root, "new", "folder");
      for (const over of [{ targets, rank: 3, alpha: 5 }, { targets: "all-linear", rank: 2 }]) {
        const adapter = adapterOf(model, {
          ...over,
          baseModel: "some/model",
          dropoutRate: 0.25,
          isRankStabilised: true,
        });
        await saveAdapter(folder, adapter, model);
        assertEquals(await loadAdapter(folder, model), adapter);
      }
      await saveAdapter(folder, adapterOf(model, { targets, rank: 3, alpha: 5 }), model);
      const names = (await Array.fromAsync(Deno.readDir(folder))).map((entry) => entry.name);
      assertEquals(names.sort(), ["adapter_config.json", "adapter_model.safetensors"]);
      const { tensors } = readSafetensors(await Deno.readFile(join(folder, names[1])));
      const shapes = Object.entries(tensors).map(([name, { shape }]) => [name, [...shape]]);
      const prefix = `base_model.model.${projection}`;
      assertEquals(Object.fromEntries(shapes), {
        [`${prefix}.lora_A.weight`]: [3, inputs],
        [`${prefix}.lora_B.weight`]: [outputs, 3],
      });
      const json = JSON.parse(await Deno.readTextFile(join(folder, names[0])));
      assertEquals(json.task_type, name === "t5" ? "SEQ_2_SEQ_LM" : "CAUSAL_LM");
      assertEquals(json.fan_in_fan_out, name === "gpt2");
      assertEquals([json.peft_type, json.r, json.lora_alpha], ["LORA", 3, 5]);
      assertEquals(json.target_modules, targets);
    }));
}

Deno.test("half of the bytes hold the rounded numbers", () =>
  withFolder(async (folder) => {
    const model = tinyConfig("qwen2"), adapter = adapterOf(model, { targets: ["q_proj"] });
    await saveAdapter(folder, adapter, model, { dtype: "float16" });
    const { tensors } = await loadAdapter(folder, model);
    for (const [name, { data }] of Object.entries(adapter.tensors)) {
      assertEquals(tensors[name].data, Float32Array.from(Float16Array.from(data)));
    }
  }));

/** The problems of loading `adapter` after its files were changed. */
async function problemsOf(
  model: ModelConfig,
  change: (stored: Record<string, ReturnType<typeof hostTensor>>) => void,
): Promise<string[]> {
  return await withFolder(async (folder) => {
    const adapter = adapterOf(model, { targets: ["q_proj", "v_proj"], rank: 2 });
    await saveAdapter(folder, adapter, model);
    const path = join(folder, ADAPTER_FILES.weights);
    const tensors = { ...readSafetensors(await Deno.readFile(path)).tensors };
    change(tensors as Parameters<typeof change>[0]);
    await Deno.writeFile(path, writeSafetensors(tensors));
    const { message } = await assertRejects(() => loadAdapter(folder, model), CheckpointError);
    assert(message.startsWith(`Cannot use ${path}: `), message);
    return message.slice(`Cannot use ${path}: `.length).split("\n");
  });
}

Deno.test("every tensor that does not fit is named", async () => {
  const model = tinyConfig("qwen2"), layer = "base_model.model.model.layers.0.self_attn";
  const [A, B] = ["q_proj.lora_A.weight", "q_proj.lora_B.weight"].map((x) => `${layer}.${x}`);
  const tensor = (shape: number[]) =>
    hostTensor("float32", new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);
  const rank = await problemsOf(model, (stored) => {
    stored[A] = tensor([3, 8]);
    stored[B] = tensor([8, 3]);
  });
  assertEquals(rank, [
    "2 tensors do not fit",
    `  ${A} is [3,8], not [2,8]`,
    `  ${B} is [8,3], not [8,2]`,
  ]);
  const extra = await problemsOf(model, (stored) => {
    stored[`${layer}.o_proj.lora_A.weight`] = tensor([2, 8]);
    stored[`${layer}.q_proj.weight`] = tensor([8, 8]);
  });
  assertEquals(extra, [
    "2 tensors do not fit",
    `  ${layer}.o_proj.lora_A.weight does not belong there`,
    `  ${layer}.q_proj.weight does not belong there`,
  ]);
  const missing = await problemsOf(model, (stored) => {
    delete stored[A];
    delete stored[B];
  });
  assertEquals(missing, [
    "2 tensors do not fit",
    "  model.layers.0.self_attn.q_proj.lora_A.weight is missing",
    "  model.layers.0.self_attn.q_proj.lora_B.weight is missing",
  ]);
});

Deno.test("adapters of another model are refused", () =>
  withFolder(async (folder) => {
    const qwen2 = tinyConfig("qwen2");
    await saveAdapter(folder, adapterOf(qwen2, { targets: ["q_proj"] }), qwen2);
    await assertRejects(
      () => loadAdapter(folder, tinyConfig("gpt2")),
      ConfigError,
      "q_proj is no projection of this model; it has attn.c_attn, ",
    );
    const wider = tinyConfig("qwen2", { hidden_size: 16 });
    await assertRejects(() => loadAdapter(folder, wider), CheckpointError, "is [8,8], not [8,16]");
    // Deeper by one layer.
    const deeper = tinyConfig("qwen2", { num_hidden_layers: 2 });
    await assertRejects(
      () => loadAdapter(folder, deeper),
      CheckpointError,
      "model.layers.1.self_attn.q_proj.lora_A.weight is missing",
    );
  }));

Deno.test("missing and broken files of adapters, and a folder that is a file, are named", () =>
  withFolder(async (root) => {
    const model = tinyConfig("llama"), folder = join(root, "adapter");
    const adapter = adapterOf(model, { targets: ["q_proj"] });
    await assertRejects(
      () => loadAdapter(folder, model),
      DataError,
      `${folder}/adapter_config.json: `,
    );
    await saveAdapter(folder, adapter, model);
    const path = (file: keyof typeof ADAPTER_FILES) => join(folder, ADAPTER_FILES[file]);
    await Deno.remove(path("weights"));
    const { message } = await assertRejects(() => loadAdapter(folder, model), DataError);
    assertMatch(message, /adapter_model\.safetensors/);
    await saveAdapter(folder, adapter, model);
    await Deno.writeTextFile(path("config"), "{");
    await assertRejects(() => loadAdapter(folder, model), DataError, "adapter_config.json: Cannot");
    await Deno.writeTextFile(path("config"), "[]");
    await assertRejects(() => loadAdapter(folder, model), ConfigError, "is not an object");
    await Deno.writeTextFile(path("config"), '{"peft_type": "IA3", "target_modules": ["q_proj"]}');
    await assertRejects(() => loadAdapter(folder, model), ConfigError, 'is "IA3", not "LORA"');
    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    await assertRejects(
      () => saveAdapter(file, adapter, model),
      DataError,
      "Cannot make the folder",
    );
  }));
