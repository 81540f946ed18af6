import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { CheckpointError } from "../../../src/errors.ts";
import { readSafetensors, writeSafetensors } from "../../../src/model/mod.ts";
import { loadIndex, saveIndex } from "../../../src/recipe/index_folder.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { withFolder } from "../../with_folder.ts";
import { tinyT5, trainTiny } from "./_tiny_run.ts";

for (
  const [name, overrides] of Object.entries({
    "lexical, one vector a document": ["model.head=leaf"],
    "lexical, one vector a slot": ["model.head=tree"],
    "T5": [...tinyT5, "training.max_steps=1", "docid.base=8"],
  })
) {
  Deno.test(`what is saved is what is loaded: ${name}`, () =>
    withFolder(async (folder) => {
      const { run } = await trainTiny(folder, overrides);
      const index = await loadIndex(run.file("model"));
      const copy = join(folder, "copy");
      await saveIndex(copy, index);
      for (const { name } of Deno.readDirSync(run.file("model"))) {
        assertEquals(
          await Deno.readFile(join(copy, name)),
          await Deno.readFile(join(run.file("model"), name)),
          name,
        );
      }
      assertEquals(index.family, name === "T5" ? "t5" : "lexical");
      const tokens = JSON.parse(await Deno.readTextFile(join(copy, "tokenizer_config.json")));
      assertEquals(
        [tokens.pad_token, tokens.unk_token, tokens.eos_token],
        ["<pad>", "<unk>", name === "T5" ? "</s>" : undefined],
      );
      assertEquals(Object.keys(index.specs).sort(), Object.keys(index.tensors).sort());
    }));
}

/** A folder of an index whose files a test may spoil. */
function withIndex(
  test: (
    folder: string,
    edit: <T>(file: string, change: (json: T) => unknown) => Promise<void>,
  ) => Promise<void>,
): Promise<void> {
  return withFolder(async (root) => {
    const { run } = await trainTiny(root, ["training.max_steps=1"]);
    const folder = run.file("model");
    await test(folder, async (file, change) => {
      const path = join(folder, file);
      const changed = change(JSON.parse(await Deno.readTextFile(path)));
      await Deno.writeTextFile(path, JSON.stringify(changed));
    });
  });
}

/** Spoil the folder, and see what loading says; then put it right again. */
async function complaintOf(
  folder: string,
  file: string,
  spoil: () => Promise<void>,
): Promise<string> {
  const before = await Deno.readFile(join(folder, file));
  await spoil();
  const { message } = await assertRejects(() => loadIndex(folder), CheckpointError);
  await Deno.writeFile(join(folder, file), before);
  assertStringIncludes(message, `Cannot load an index from ${folder}: `);
  assert(message.endsWith(". train-dsi writes an index into the folder model of its run"), message);
  return message.slice(message.indexOf(": ") + 2, message.lastIndexOf(". train-dsi"));
}

const FILES = [
  "config.json",
  "docids.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];

Deno.test("a file that is missing, cut off or empty is named", () =>
  withIndex(async (folder) => {
    assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name).sort(), FILES);
    for (const file of FILES) {
      const path = join(folder, file);
      assertEquals(
        await complaintOf(folder, file, () => Deno.remove(path)),
        `there is no ${file} in it`,
      );
      for (const share of [0.5, 0]) {
        const bytes = await Deno.readFile(path);
        const text = await complaintOf(
          folder,
          file,
          () => Deno.writeFile(path, bytes.subarray(0, Math.floor(share * bytes.length))),
        );
        assertStringIncludes(text, `${file}: `);
      }
    }
  }));

Deno.test("JSON that holds something else is named", () =>
  withIndex(async (folder) => {
    for (const file of FILES.filter((name) => name.endsWith(".json"))) {
      for (const content of ["null", "[]", '"config"', "7"]) {
        assertEquals(
          await complaintOf(folder, file, () => Deno.writeTextFile(join(folder, file), content)),
          `${file}: it does not hold an object`,
        );
      }
    }
  }));

Deno.test("values that can't be, or that other files contradict, are named", () =>
  withIndex(async (folder, edit) => {
    type Config = Record<string, unknown>;
    const config = (over: Config): Promise<string> =>
      complaintOf(
        folder,
        "config.json",
        () => edit<Config>("config.json", (json) => ({ ...json, ...over })),
      );
    assertEquals(
      await config({ model_type: "bert" }),
      'config.json: model_type is "bert", not "t5" or "deeprag-lexical"',
    );
    assertEquals(
      await config({ head: "tail" }),
      'config.json: head is "tail", not "leaf" or "tree"',
    );
    assertEquals(
      await config({ width: 1.5 }),
      "config.json: width is 1.5, not a positive whole number",
    );
    assertStringIncludes(
      await config({ width: 8 }),
      "model.safetensors: stem.embedding is float32 [",
    );
    assertStringIncludes(await config({ vocab_size: 3 }), "config.json says 3 stems");
    assertStringIncludes(await config({ slot_count: 7 }), "config.json says 7 slots");
    assertStringIncludes(await config({ model_type: "t5", d_model: -1 }), "config.json: ");

    const docids = (change: (docids: string[]) => string[]): Promise<string> =>
      complaintOf(
        folder,
        "docids.json",
        () =>
          edit<{ docids: string[] }>("docids.json", (json) => ({
            ...json,
            docids: change(json.docids),
          })),
      );
    assertStringIncludes(await docids((all) => all.slice(1)), "the other files need 23");
    assertStringIncludes(await docids((all) => all.with(0, all[1])), "the same docid");
    assertStringIncludes(await docids((all) => all.with(0, "1-x")), "docids.json: Cannot read");

    const weights = (change: (tensors: ReturnType<typeof readSafetensors>["tensors"]) => void) =>
      complaintOf(folder, "model.safetensors", async () => {
        const path = join(folder, "model.safetensors");
        const { tensors } = readSafetensors(await Deno.readFile(path));
        change(tensors);
        await Deno.writeFile(path, writeSafetensors(tensors));
      });
    assertEquals(
      await weights((tensors) => delete tensors["slot.bias"]),
      "model.safetensors: slot.bias is missing",
    );
    assertEquals(
      await weights((tensors) => {
        const { data, shape } = tensors["slot.bias"];
        tensors["slot.bias"] = hostTensor("int32", Int32Array.from(data), shape);
      }),
      "model.safetensors: slot.bias is int32 [24,1], not float32 [24,1]",
    );
    await loadIndex(folder); // everything was put right again
  }));
