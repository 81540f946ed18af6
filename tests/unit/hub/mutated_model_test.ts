/** A model folder in which any file may be broken: a typed error or a correct load, nothing else. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import * as fc from "fast-check";
import { DeepragError } from "../../../src/errors.ts";
import { loadModel, saveModel } from "../../../src/hub/mod.ts";
import { modelParamSpecs, parseModelConfig } from "../../../src/model/mod.ts";
import { hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { withFolder } from "../../with_folder.ts";

const RUNS = 500, LIMIT_MS = 2000;

const config = parseModelConfig({
  model_type: "llama",
  vocab_size: 12,
  hidden_size: 8,
  intermediate_size: 12,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 1,
  eos_token_id: 1,
});
const words = ["<pad>", "</s>", "<unk>", "a", "b", "c", "d", "e", "f", "g", "h", "i"];
const tokenizerJson = {
  pre_tokenizer: { type: "Whitespace" },
  model: {
    type: "WordLevel",
    unk_token: "<unk>",
    vocab: Object.fromEntries(words.map((word, i) => [word, i])),
  },
};

/** A sound folder as bytes by name. */
async function soundFiles(): Promise<Record<string, Uint8Array>> {
  const stream = randomStream({ seed: 1, stream: "mutated", step: 0 });
  const tensors = Object.fromEntries(
    Object.entries(modelParamSpecs(config)).map(([name, { shape }]) => [
      name,
      hostTensor(
        "float32",
        Float32Array.from({ length: sizeOf(shape) }, () => stream.normal()),
        shape,
      ),
    ]),
  );
  const files: Record<string, Uint8Array> = {};
  await withFolder(async (folder) => {
    const names = await saveModel(folder, { config, tensors, tokenizerJson });
    for (const name of names) files[name] = await Deno.readFile(join(folder, name));
  });
  return files;
}
const sound = await soundFiles();
const names = Object.keys(sound);

/** Values that have no business where they are put. */
const odd = fc.constantFrom<unknown>(
  null,
  -1,
  0,
  0.5,
  1e15,
  2 ** 53,
  "x",
  "",
  [],
  {},
  true,
  [[[]]],
  { type: "BPE" },
);

type Json = Record<string, unknown>;

/** The places of a JSON value, at any depth. */
function placesOf(value: unknown): { holder: Json; key: string }[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Json;
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...placesOf(holder[key])]);
}

const mutateJson = fc.tuple(fc.nat(), fc.constantFrom("set", "delete", "rename", "add"), odd);
const mutateBytes = fc.tuple(
  fc.constantFrom("flip", "cut", "insert", "empty"),
  fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  fc.nat(255),
);

function withJson(
  bytes: Uint8Array,
  [at, action, value]: [number, string, unknown],
): Uint8Array {
  const json = JSON.parse(new TextDecoder().decode(bytes));
  const places = placesOf(json), { holder, key } = places[at % places.length];
  if (action === "set") holder[key] = value;
  else if (action === "delete") delete holder[key];
  else if (action === "rename") {
    holder[`${key}_`] = holder[key];
    delete holder[key];
  } else holder.something_new = value;
  return new TextEncoder().encode(JSON.stringify(json));
}

function withBytes(
  bytes: Uint8Array,
  [action, at, value]: [string, number, number],
): Uint8Array {
  const i = Math.floor(at * bytes.length), out = bytes.slice();
  if (action === "flip") out[i] ^= value || 1;
  if (action === "cut") return out.subarray(0, i);
  if (action === "insert") return Uint8Array.of(...out.subarray(0, i), value, ...out.subarray(i));
  return action === "empty" ? new Uint8Array() : out;
}

Deno.test(`${RUNS} broken model folders: a typed error or a correct load, and soon`, async () => {
  let loaded = 0, refused = 0;
  const mutation = fc.oneof(
    fc.record({ file: fc.constantFrom(...names), bytes: mutateBytes }),
    fc.record({
      file: fc.constantFrom(...names.filter((name) => name.endsWith(".json"))),
      json: mutateJson,
    }),
  );
  await withFolder(async (folder) => {
    await fc.assert(
      fc.asyncProperty(mutation, async (m) => {
        for (const name of names) {
          const bytes = name !== m.file
            ? sound[name]
            : "json" in m
            ? withJson(sound[name], m.json)
            : withBytes(sound[name], m.bytes);
          await Deno.writeFile(join(folder, name), bytes);
        }
        const began = performance.now();
        try {
          const model = await loadModel(folder);
          loaded++;
          const specs = modelParamSpecs(model.config);
          assertEquals(Object.keys(model.tensors), Object.keys(specs));
          for (const [name, { shape }] of Object.entries(specs)) {
            assertEquals(model.tensors[name].data.length, sizeOf(shape));
          }
          if (model.tokenizer) {
            const ids = model.tokenizer.encode("a b zz");
            assert(ids.every((id) => id >= 0 && id < model.tokenizer!.vocabSize));
          }
        } catch (error) {
          if (!(error instanceof DeepragError)) throw error;
          assert(error.message.length > 20 && error.message.length < 20_000, error.message);
          refused++;
        }
        const ms = performance.now() - began;
        assert(ms < LIMIT_MS, `it took ${ms} ms`);
      }),
      { numRuns: RUNS, seed: 20261125 },
    );
  });
  console.log(`${loaded} loaded, ${refused} refused`);
  assert(loaded > RUNS / 20 && refused > RUNS / 3, `${loaded} loaded, ${refused} refused`);
});
