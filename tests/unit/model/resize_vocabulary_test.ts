import { assert, assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/errors.ts";
import {
  type Model,
  modelParamSpecs,
  resizeVocabulary,
  vocabularyTables,
} from "../../../src/model/mod.ts";
import { NAMES, tinyModel, VOCAB_SIZE } from "../hub/_tiny_pretrained.ts";

/** How far from the mean a new row may lie, in hundredths of the spread: 5 of a normal number. */
const FAR = 5;

const model: Model = tinyModel("llama");
const { embedding, head } = vocabularyTables(model.config);

/** Rows `from` to `to` of a table. */
const rowsOf = ({ tensors }: Model, name: string, [from, to]: [number, number]): Float32Array =>
  tensors[name].data.subarray(from * tensors[name].shape[1], to * tensors[name].shape[1]);

for (const name of NAMES) {
  Deno.test(`${name}: every table grows, known rows and all else stay`, () => {
    for (const tie_word_embeddings of [true, false]) {
      const model: Model = tinyModel(name, { tie_word_embeddings });
      const before = structuredClone(model.tensors);
      const larger = resizeVocabulary(model, VOCAB_SIZE + 4);
      assertEquals(larger.config, { ...model.config, vocabSize: VOCAB_SIZE + 4 });
      assertEquals(model.tensors, before);
      const { embedding, head } = vocabularyTables(model.config);
      const tables = tie_word_embeddings ? [embedding] : [embedding, head];
      const specs = modelParamSpecs(larger.config);
      assertEquals(Object.keys(larger.tensors), Object.keys(specs));
      for (const [name, { shape }] of Object.entries(specs)) {
        assertEquals(larger.tensors[name].shape, shape);
        if (!tables.includes(name)) assert(larger.tensors[name] === model.tensors[name]);
        else assertEquals(rowsOf(larger, name, [0, VOCAB_SIZE]), model.tensors[name].data);
      }
    }
  });
}

Deno.test("new rows lie around the mean of the known ones, each elsewhere", () => {
  const NEW = 50, larger = resizeVocabulary(model, VOCAB_SIZE + NEW);
  for (const name of [embedding, head]) {
    const { data, shape: [rows, width] } = model.tensors[name];
    const grown = rowsOf(larger, name, [VOCAB_SIZE, VOCAB_SIZE + NEW]);
    for (let d = 0; d < width; d++) {
      const known = Array.from({ length: rows }, (_, row) => data[row * width + d]);
      const mean = known.reduce((a, b) => a + b) / rows;
      const spread = Math.sqrt(known.reduce((a, x) => a + (x - mean) ** 2, 0) / rows);
      const off = Array.from({ length: NEW }, (_, i) => grown[i * width + d] - mean)
        .map((x) => x / (0.01 * spread));
      assert(off.every((x) => Math.abs(x) < FAR), `${off}`);
      assertEquals(new Set(off).size, NEW);
      // Mean 0 and variance 1 within four standard errors of 50 normal numbers.
      const average = off.reduce((a, b) => a + b) / NEW;
      const variance = off.reduce((a, x) => a + (x - average) ** 2, 0) / (NEW - 1);
      assert(Math.abs(average) < 4 / Math.sqrt(NEW), `${average}`);
      assert(Math.abs(variance - 1) < 4 * Math.sqrt(2 / NEW), `${variance}`);
    }
  }
});

Deno.test("a new row depends on seed, table and id alone, not on how many there are", () => {
  const grown = (to: number, seed?: number, name = embedding): Float32Array =>
    rowsOf(resizeVocabulary(model, to, { seed }), name, [VOCAB_SIZE + 1, VOCAB_SIZE + 3]);
  assertEquals(grown(VOCAB_SIZE + 3), grown(VOCAB_SIZE + 200));
  assertEquals(grown(VOCAB_SIZE + 3, 7), grown(VOCAB_SIZE + 8, 7));
  assertEquals(grown(VOCAB_SIZE + 3), grown(VOCAB_SIZE + 3, 0));
  assert(grown(VOCAB_SIZE + 3, 7).every((x, i) => x !== grown(VOCAB_SIZE + 3, 8)[i]));
  // The same table as both: the noise differs all the same.
  const twin: Model = { ...model, tensors: { ...model.tensors, [head]: model.tensors[embedding] } };
  const larger = resizeVocabulary(twin, VOCAB_SIZE + 2);
  const [a, b] = [embedding, head].map((name) =>
    rowsOf(larger, name, [VOCAB_SIZE, VOCAB_SIZE + 2])
  );
  assert(a.every((x, i) => x !== b[i]));
});

Deno.test("a model does not shrink, and what is no size is refused", () => {
  assert(resizeVocabulary(model, VOCAB_SIZE) === model);
  assert(resizeVocabulary(model, 1) === model);
  for (const size of [0, -5, 30.5, NaN, Infinity]) {
    assertThrows(
      () => resizeVocabulary(model, size),
      ShapeError,
      `Cannot resize the vocabulary to ${size} tokens`,
    );
  }
});

Deno.test("rows without any spread stay alike", () => {
  const flat = {
    ...model,
    tensors: Object.fromEntries(
      Object.entries(model.tensors).map((
        [name, t],
      ) => [name, { ...t, data: t.data.map(() => 0.1) }]),
    ),
  };
  const larger = resizeVocabulary(flat, VOCAB_SIZE + 2);
  for (const x of larger.tensors[head].data) assert(Math.abs(x - 0.1) < 1e-7, `${x}`);
});
