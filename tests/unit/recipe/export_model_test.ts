import { assert, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import * as ort from "onnxruntime-node";
import { CheckpointError, DataError } from "../../../src/errors.ts";
import { generate, openDecoder, openT5, type SequenceModel } from "../../../src/generate/mod.ts";
import type { PretrainedModel } from "../../../src/hub/mod.ts";
import { isDecoder, parseModelConfig, type T5Model } from "../../../src/model/mod.ts";
import { exportModel, type ExportPrecision } from "../../../src/recipe/export_model.ts";
import { openExported } from "../../../src/recipe/open_exported.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { withFolder } from "../../with_folder.ts";
import { NAMES, tinyModel, VOCAB_SIZE, wide } from "../hub/_tiny_pretrained.ts";

/** Log-probabilities of up to −20, in float32, by graphs of different operators. */
const SAME = 1e-4;
/** Eight bits for matrices and activations: of the largest logit. */
const INT8 = 0.1;

const threads = 1, executor = onnxExecutor({ threads });
const ALL: ExportPrecision[] = ["float32", "float16", "int8"];
const PROMPTS = [[6, 9, 13, 3], [8], [17, 2, 7, 7, 7, 18]];
const NEW = { maxNewTokens: 8, stopTokens: [] };

const open = (model: PretrainedModel): Promise<SequenceModel> =>
  isDecoder(model)
    ? openDecoder(model, { executor })
    : openT5(model as unknown as T5Model, { executor });

const namesIn = async (folder: string): Promise<string[]> =>
  (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();

/** Texts and their log-probabilities must be those of `expected`. */
async function assertSame(actual: SequenceModel, expected: SequenceModel): Promise<void> {
  for (const options of [NEW, { ...NEW, beam: { beams: 3, count: 2 } }]) {
    const ours = await generate(actual, PROMPTS, options);
    const theirs = await generate(expected, PROMPTS, options);
    assertEquals(
      ours.map((texts) => texts.map(({ tokens }) => [...tokens])),
      theirs.map((texts) => texts.map(({ tokens }) => [...tokens])),
    );
    ours.forEach((texts, i) =>
      texts.forEach(({ logProbs }, k) =>
        logProbs.forEach((x, t) => {
          const y = theirs[i][k].logProbs[t];
          assert(Math.abs(x - y) <= SAME, `${x} instead of ${y}`);
        })
      )
    );
  }
}

/** The model with its matrices rounded to 16 bits; small tensors keep 32. */
const halved = (model: PretrainedModel): PretrainedModel => ({
  ...model,
  tensors: Object.fromEntries(
    Object.entries(model.tensors).map(([name, t]) => [
      name,
      t.data.length > 256 ? { ...t, data: Float32Array.from(Float16Array.from(t.data)) } : t,
    ]),
  ),
});

const firstLogits = async (model: SequenceModel): Promise<Float32Array> =>
  (await model.start(PROMPTS)).next.logits.slice();

for (const name of NAMES) {
  Deno.test(`${name}: exported files write what the model writes, in a batch and in a beam`, () =>
    withFolder(async (root) => {
      const model = tinyModel(name, wide(name)), folder = join(root, "new", "folder");
      const files = await exportModel(model, folder, { precisions: ALL });
      const whole = await open(model), half = await open(halved(model));
      for (const [precision, expected] of [["float32", whole], ["float16", half]] as const) {
        const exported = await openExported(folder, { precision, threads });
        await assertSame(exported, expected);
        await exported.dispose();
      }
      const int8 = await openExported(folder, { precision: "int8", threads });
      const [a, b] = [await firstLogits(int8), await firstLogits(whole)];
      const largest = b.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const error = a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i])), 0) / largest;
      assert(error > 1e-5 && error < INT8, `8 bits are off by ${error}`);
      for (const opened of [int8, whole, half]) await opened.dispose();

      const graphs = model.config.family === "t5"
        ? ["encoder_model", "decoder_model_merged"]
        : ["model"];
      const names = graphs.flatMap((graph) =>
        ["", "_fp16", "_quantized"].map((end) => `onnx/${graph}${end}.onnx`)
      );
      assertEquals(files.map(({ name }) => name), names);
      for (const { name, sizeBytes, dataFile } of files) {
        assertEquals([(await Deno.stat(join(folder, name))).size, dataFile], [
          sizeBytes,
          undefined,
        ]);
      }
      const json = JSON.parse(await Deno.readTextFile(join(folder, "config.json")));
      assertEquals(json["transformers.js_config"], undefined);
      assertEquals(parseModelConfig(json), model.config);
    }));

  Deno.test(`${name}: weights beside the graph, and config.json says so`, () =>
    withFolder(async (folder) => {
      const model = tinyModel(name, wide(name));
      const files = await exportModel(model, folder, { externalDataBytes: 100 });
      for (const { name, sizeBytes, dataFile } of files) {
        assertEquals(dataFile, `${name}_data`);
        const sizes = [name, dataFile!].map(async (x) => (await Deno.stat(join(folder, x))).size);
        const [graph, data] = await Promise.all(sizes);
        assertEquals(sizeBytes, graph + data);
        assert(data > 1000, `${data} bytes of weights`);
      }
      const json = JSON.parse(await Deno.readTextFile(join(folder, "config.json")));
      assertEquals(json["transformers.js_config"], {
        use_external_data_format: Object.fromEntries(
          files.map(({ name }) => [name.replace("onnx/", ""), 1]),
        ),
      });
      assertEquals(parseModelConfig(json), model.config);
      const [exported, whole] = [await openExported(folder, { threads }), await open(model)];
      await assertSame(exported, whole);
      for (const opened of [exported, whole]) await opened.dispose();
    }));
}

/** Element type and sizes of every input or output of a file, by name. */
async function metadataOf(path: string): Promise<Record<string, Record<string, unknown[]>>> {
  const session = await ort.InferenceSession.create(path);
  const describe = (list: readonly ort.InferenceSession.ValueMetadata[]) =>
    Object.fromEntries(list.map((m) => [m.name, m.isTensor ? [m.type, ...m.shape] : []]));
  const { inputMetadata, outputMetadata } = session;
  await session.release();
  return { inputs: describe(inputMetadata), outputs: describe(outputMetadata) };
}

// What Optimum writes, but for the names of lengths other than the batch's.
const B = "batch_size", S = "sequence_length", P = "past_sequence_length";
const SIZES = { gpt2: [2, 4, 2], llama: [2, 6, 1], qwen2: [2, 2, 1] };

for (const [name, [heads, width, layers]] of Object.entries(SIZES)) {
  Deno.test(`${name}: inputs and outputs of the file have Optimum's names, types and sizes`, () =>
    withFolder(async (folder) => {
      await exportModel(tinyModel(name), folder);
      const { inputs, outputs } = await metadataOf(join(folder, "onnx", "model.onnx"));
      const cacheOf = (prefix: string, length: string) =>
        Object.fromEntries(
          Array.from({ length: layers }, (_, i) =>
            ["key", "value"].map((part) => [
              `${prefix}.${i}.${part}`,
              ["float32", B, heads, length, width],
            ])).flat(),
        );
      const total = outputs["present.0.key"][3];
      assert(typeof total === "string", `${total}`);
      assertEquals(inputs, {
        input_ids: ["int64", B, S],
        attention_mask: ["int64", B, "total_sequence_length"],
        position_ids: ["int64", B, S],
        ...cacheOf("past_key_values", P),
      });
      assertEquals(outputs, {
        logits: ["float32", B, S, VOCAB_SIZE],
        ...cacheOf("present", total as string),
      });
    }));
}

Deno.test("t5: both files have Optimum's names, types and sizes", () =>
  withFolder(async (folder) => {
    await exportModel(tinyModel("t5"), folder);
    const at = (file: string) => metadataOf(join(folder, "onnx", file));
    const S = "encoder_sequence_length", T = "decoder_sequence_length";
    assertEquals(await at("encoder_model.onnx"), {
      inputs: { input_ids: ["int64", B, S], attention_mask: ["int64", B, S] },
      outputs: { last_hidden_state: ["float32", B, S, 8] },
    });
    const { inputs, outputs } = await at("decoder_model_merged.onnx");
    const past = (side: string, length: string) =>
      Object.fromEntries(["key", "value"].map((part) => [
        `past_key_values.0.${side}.${part}`,
        ["float32", B, 2, length, 4],
      ]));
    assertEquals(inputs, {
      input_ids: ["int64", B, T],
      encoder_attention_mask: ["int64", B, S],
      encoder_hidden_states: ["float32", B, S, 8],
      use_cache_branch: ["bool", 1],
      ...past("decoder", "past_decoder_sequence_length"),
      ...past("encoder", S),
    });
    assertEquals(outputs.logits, ["float32", B, T, VOCAB_SIZE]);
    const names = ["decoder", "encoder"].flatMap((side) =>
      ["key", "value"].map((part) => `present.0.${side}.${part}`)
    );
    assertEquals(Object.keys(outputs).sort(), ["logits", ...names].sort());
    for (const name of names) {
      const [type, batch, heads, length, width] = outputs[name];
      assertEquals([type, batch, heads, width], ["float32", B, 2, 4]);
      assert(typeof length === "string", `${length}`);
    }
  }));

Deno.test("an export leaves nothing of an earlier one, and writes what belongs to the model", () =>
  withFolder(async (folder) => {
    const side = {
      tokenizerConfig: { pad_token: "<pad>" },
      specialTokensMap: { pad_token: "<pad>" },
      chatTemplate: "{{ messages }}",
      generationConfig: { num_beams: 4 },
    };
    const t5 = { ...tinyModel("t5", wide("t5")), ...side };
    await exportModel(t5, folder, { precisions: ALL, externalDataBytes: 100 });
    assertEquals((await namesIn(join(folder, "onnx"))).length, 2 * 3 * 2);
    assertEquals(await namesIn(folder), [
      "chat_template.jinja",
      "config.json",
      "generation_config.json",
      "onnx",
      "special_tokens_map.json",
      "tokenizer.json",
      "tokenizer_config.json",
    ]);
    const json = async (file: string) => JSON.parse(await Deno.readTextFile(join(folder, file)));
    assertEquals(await json("generation_config.json"), side.generationConfig);
    assertEquals(await json("tokenizer.json"), t5.tokenizerJson);
    assertEquals(await json("tokenizer_config.json"), side.tokenizerConfig);
    assertEquals(await json("special_tokens_map.json"), side.specialTokensMap);
    assertEquals(await Deno.readTextFile(join(folder, "chat_template.jinja")), side.chatTemplate);

    const own = join(folder, "onnx", "own.onnx");
    await Deno.writeTextFile(own, "");
    const { config, tensors } = tinyModel("llama", { eos_token_id: [1, 2], bos_token_id: 3 });
    await exportModel({ config, tensors }, folder, { precisions: ["float32", "int8"] });
    assertEquals(await namesIn(join(folder, "onnx")), [
      "model.onnx",
      "model_quantized.onnx",
      "own.onnx",
    ]);
    assertEquals(await namesIn(folder), ["config.json", "generation_config.json", "onnx"]);
    assertEquals(await json("generation_config.json"), {
      _from_model_config: true,
      bos_token_id: 3,
      eos_token_id: [1, 2],
      pad_token_id: 0,
    });
    await exportModel({ config: t5.config, tensors: t5.tensors }, folder);
    assertEquals(await json("generation_config.json"), {
      _from_model_config: true,
      decoder_start_token_id: 0,
      eos_token_id: 1,
      pad_token_id: 0,
    });
  }));

Deno.test("what can't be exported is refused before anything is written", () =>
  withFolder(async (root) => {
    const model = tinyModel("qwen2"), folder = join(root, "out");
    for (const precision of ["int4", "toString"]) {
      await assertRejects(
        () => exportModel(model, folder, { precisions: [precision as ExportPrecision] }),
        CheckpointError,
        `Cannot export in the precision ${precision}: there are float32, float16, int8`,
      );
    }
    await assertRejects(() => exportModel(model, folder, { precisions: [] }), CheckpointError);
    const { "model.norm.weight": _, ...tensors } = model.tensors;
    await assertRejects(
      () => exportModel({ ...model, tensors }, folder),
      CheckpointError,
      "model.norm.weight is missing",
    );
    await assertRejects(() => Deno.stat(folder), Deno.errors.NotFound);
    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    await assertRejects(() => exportModel(model, file), DataError, "Cannot make the folder");
    await assertRejects(() => openExported(folder), DataError, "config.json: ");
  }));
