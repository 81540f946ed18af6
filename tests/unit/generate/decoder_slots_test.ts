/** Slots that are read, wait, are emptied and filled again, against reading each text by itself. */
import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import { ShapeError } from "../../../src/errors.ts";
import {
  type DecoderSlots,
  type DecoderSlotsOptions,
  KeyValueCache,
  openDecoder,
  openDecoderSlots,
  type SequenceModel,
} from "../../../src/generate/mod.ts";
import type { DecoderModel } from "../../../src/model/mod.ts";
import { onnxExecutor } from "../../../src/runtime/onnx_executor.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { tinyDecoder } from "../model/_tiny_decoder.ts";

/** Sums of the same float32 numbers in another order, through two layers: 6e-6 at most was seen. */
const TOLERANCE = 2e-5;
const VOCABULARY = 11;
const executor = onnxExecutor({ threads: 1 });

const open = (model: DecoderModel, options: Partial<DecoderSlotsOptions> = {}) =>
  openDecoderSlots(model, { executor, slots: 4, ...options });

/** Slots beside the texts that they should hold. */
class Checked {
  readonly #slots: DecoderSlots;
  readonly #whole: SequenceModel;
  readonly texts: number[][];

  constructor(slots: DecoderSlots, whole: SequenceModel) {
    this.#slots = slots;
    this.#whole = whole;
    this.texts = slots.lengths.map(() => []);
  }

  clear(slot: number): void {
    this.#slots.clear(slot);
    this.texts[slot] = [];
  }

  reset(): void {
    this.#slots.reset();
    this.texts.forEach((_, slot) => this.texts[slot] = []);
  }

  /** Read, and compare with a decoder that reads the whole text of each slot by itself. */
  async read(slots: number[], tokens: number[][]): Promise<void> {
    const read = await this.#slots.read(slots, tokens);
    const logits = read.logits.data as Float32Array;
    const logSumExp = read.logSumExp.data as Float32Array;
    slots.forEach((slot, i) => this.texts[slot].push(...tokens[i]));
    assertEquals(this.#slots.lengths, this.texts.map(({ length }) => length));
    assertEquals([logits.length, logSumExp.length], [slots.length * VOCABULARY, slots.length]);
    for (const [i, slot] of slots.entries()) {
      const { next } = await this.#whole.start([this.texts[slot]]);
      next.logits.forEach((x, v) =>
        assertAlmostEquals(logits[i * VOCABULARY + v], x, TOLERANCE, `slot ${slot}, token ${v}`)
      );
      assertAlmostEquals(logSumExp[i], next.logSumExp[0], TOLERANCE);
    }
  }
}

const MODELS = (["gpt2", "llama", "qwen2"] as const).map((family) => tinyDecoder(family));

for (const model of MODELS) {
  const { family } = model.config;

  Deno.test(`${family}: ragged texts, slots that wait, slots that are filled again`, async () => {
    const whole = await openDecoder(model, { executor });
    for (const isLive of [false, true]) {
      const slots = await open(model, { isLive });
      const checked = new Checked(slots, whole);
      await checked.read([2, 0], [[3, 4, 5], [6]]);
      // One token each, while slots 1 and 3 are empty; then of one slot, in its place and alone.
      await checked.read([0, 2], [[1], [2]]);
      await checked.read([2], [[7]]);
      await checked.read([3, 1, 0], [[8], [9, 9, 3, 4], [5, 10]]);
      // All slots, in their order and in another one.
      await checked.read([0, 1, 2, 3], [[1], [2], [3], [4]]);
      await checked.read([3, 2, 1, 0], [[1], [2], [3], [4]]);
      checked.clear(2);
      // The emptied slot waits, then takes a shorter text.
      await checked.read([0, 1, 3], [[5], [6], [7]]);
      await checked.read([2], [[10]]);
      await checked.read([2, 3], [[1], [0]]);
      checked.reset();
      await checked.read([1], [[2, 3]]);
      await checked.read([1], [[4]]);
      await slots.dispose();
    }
    await whole.dispose();
  });
}

Deno.test("any order of reading and emptying gives what whole texts give", async () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        slots: fc.shuffledSubarray([0, 1, 2, 3], { minLength: 1 }),
        counts: fc.oneof(
          fc.constant([1, 1, 1, 1]),
          fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 4, maxLength: 4 }),
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ clear: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.constant("reset" as const) },
  );
  const model = MODELS[1];
  const whole = await openDecoder(model, { executor }), slots = await open(model);
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), fc.nat(99), async (steps, seed) => {
      const checked = new Checked(slots, whole);
      let next = seed;
      checked.reset();
      for (const step of steps) {
        if (step === "reset") checked.reset();
        else if ("clear" in step) checked.clear(step.clear);
        else {
          const tokens = step.slots.map((slot) =>
            Array.from({ length: step.counts[slot] }, () => next++ * 7 % VOCABULARY)
          );
          await checked.read(step.slots, tokens);
        }
      }
    }),
    { numRuns: 40, seed: 4 },
  );
  await Promise.all([whole.dispose(), slots.dispose()]);
});

Deno.test("after a reset everything is bit for bit as in slots that were just opened", async () => {
  const run = async (slots: DecoderSlots): Promise<number[][]> => {
    const results: number[][] = [];
    const read = async (at: number[], tokens: number[][]) =>
      results.push([...(await slots.read(at, tokens)).logits.data as Float32Array]);
    await read([0, 1, 2, 3], [[1, 2, 3], [4], [5, 6], [7]]);
    for (let t = 0; t < 40; t++) await read([0, 2, 3], [[t % 11], [(t + 3) % 11], [(t + 5) % 11]]);
    await read([1], [[3, 4]]);
    return results;
  };
  for (const expected of [0, 100]) {
    const slots = await open(MODELS[2], { expected });
    const first = await run(slots);
    // Longer texts, and more room, in between.
    slots.reset();
    await slots.read([3, 0], [Array(90).fill(2), [1]]);
    await slots.read([3], [[1]]);
    slots.reset();
    assertEquals(slots.lengths, [0, 0, 0, 0]);
    assertEquals(await run(slots), first);
    await slots.dispose();
  }
});

/** A copy whose tensors can be written without changing the model. */
const copyOf = ({ config, tensors }: DecoderModel): DecoderModel => ({
  config,
  tensors: Object.fromEntries(
    Object.entries(tensors).map((
      [name, { dtype, data, shape }],
    ) => [name, hostTensor(dtype, data.slice(), shape)]),
  ) as DecoderModel["tensors"],
});

/** Another model in the same memory. */
function disturb({ tensors }: DecoderModel): void {
  for (const { data } of Object.values<HostTensor>(tensors)) {
    for (let i = 0; i < data.length; i++) data[i] += 0.1 * Math.sin(i);
  }
}

Deno.test("live parameters are read at each step, constants when the slots are opened", async () => {
  for (const original of MODELS) {
    const model = copyOf(original), other = copyOf(original);
    disturb(other);
    const [before, after, live, constant] = [
      await openDecoder(original, { executor }),
      await openDecoder(other, { executor }),
      await open(model, { isLive: true }),
      await open(model),
    ];
    for (const slots of [live, constant]) {
      await new Checked(slots, before).read([1, 0], [[1, 2], [3]]);
    }
    disturb(model);
    for (const [slots, whole] of [[live, after], [constant, before]] as const) {
      slots.reset();
      const checked = new Checked(slots, whole);
      await checked.read([0, 2], [[3], [4, 5, 6]]);
      await checked.read([0, 2], [[1], [2]]);
    }
    const [a, b] = [await before.start([[3, 1]]), await after.start([[3, 1]])];
    assert(a.next.logits.some((x, v) => Math.abs(x - b.next.logits[v]) > 1e-2));
    await Promise.all([before, after, live, constant].map((x) => x.dispose()));
  }
});

Deno.test("a slot that is full waits for the others", async () => {
  // Twelve positions.
  const model = MODELS[0], whole = await openDecoder(model, { executor });
  const slots = await open(model), checked = new Checked(slots, whole);
  assertEquals([slots.maxLength, slots.vocabSize], [12, VOCABULARY]);
  await checked.read([0, 1], [Array(12).fill(3), [4]]);
  await checked.read([1], [[5]]);
  await checked.read([2], [[1]]);
  await checked.read([2, 1], [[6], [7]]);
  await Promise.all([whole.dispose(), slots.dispose()]);
});

Deno.test("what can't be read is named and leaves the slots as they were", async () => {
  const model = MODELS[0], whole = await openDecoder(model, { executor });
  const slots = await open(model), checked = new Checked(slots, whole);
  await checked.read([0, 1], [Array(11).fill(3), [4]]);
  const refuse = (at: number[], tokens: number[][], words: string) =>
    assertRejects(() => slots.read(at, tokens), ShapeError, words);
  await refuse([0, 1], [[1]], "Cannot read: 1 rows of tokens are meant for the slots 0,1");
  await refuse([1, 1], [[1], [2]], "2 rows of tokens are meant for the slots 1,1");
  await refuse(
    [1, 0],
    [[1], [2, 3]],
    "Cannot read 13 tokens in slot 0: the model has 12 positions",
  );
  await refuse([2], [Array(13).fill(1)], "Cannot read 13 tokens in slot 2");
  await refuse([], [], "Cannot read prompts: there is none");
  await refuse([1, 2], [[1], []], "Cannot read row 1: it has no token");
  await refuse([2], [[VOCABULARY]], "token 0 is 11; the vocabulary has 0 to 10");
  for (const token of [VOCABULARY, -1, 0.5]) {
    await refuse([1], [[token]], `token 0 is ${token}; the vocabulary has 0 to 10`);
  }
  for (const slot of [4, -1, 0.5]) await refuse([slot], [[1]], `there is no slot ${slot}`);
  assertEquals(slots.lengths, [11, 1, 0, 0]);
  await checked.read([0, 1, 2], [[1], [2], [3]]);
  assertEquals((await open(MODELS[1])).maxLength, Infinity);
  await Promise.all([whole.dispose(), slots.dispose()]);
});

const SIZES = { layers: 2, heads: 2, headWidth: 3 };
/** Keys and values, each [B, J, S, E], of rows with these counts of tokens; different each time. */
function presentOf(
  counts: number[],
  from: number,
): { all: Float32Array[]; rows: Float32Array[][] } {
  const { layers, heads, headWidth: E } = SIZES, S = Math.max(...counts), B = counts.length;
  const all = Array.from(
    { length: 2 * layers },
    () => new Float32Array(B * heads * S * E).fill(-7),
  );
  const rows = counts.map((n) =>
    Array.from({ length: 2 * layers }, () => new Float32Array(heads * n * E))
  );
  for (let i = 0; i < 2 * layers; i++) {
    counts.forEach((n, b) => {
      for (let j = 0; j < heads; j++) {
        for (let x = 0; x < n * E; x++) {
          rows[b][i][j * n * E + x] = from;
          all[i][((b * heads + j) * S + S - n) * E + x] = from++;
        }
      }
    });
  }
  return { all, rows };
}

/** What a cache shows of its rows, without what stands behind the tokens. */
function contents(cache: KeyValueCache, lengths: number[], rows?: number[]): number[][][] {
  const { heads, headWidth: E } = SIZES;
  return Object.values(cache.tensors(rows)).map(({ data, shape }) => {
    const [B, J, P] = shape;
    assertEquals([B, J, shape[3], data.length], [lengths.length, heads, E, B * heads * P * E]);
    assert(Math.max(...lengths) <= P && data.every(Number.isFinite));
    return lengths.flatMap((n, b) =>
      Array.from({ length: heads }, (_, j) => {
        const at = (b * heads + j) * P * E;
        return [...data.subarray(at, at + n * E)];
      })
    );
  });
}

Deno.test("a cache of which rows are appended to, shown and cleared holds what a cache of each would", () => {
  const step = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        rows: fc.shuffledSubarray([0, 1, 2], { minLength: 1 }),
        counts: fc.oneof(
          fc.constant([1, 1, 1]),
          fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 3, maxLength: 3 }),
        ),
      }),
    },
    { weight: 2, arbitrary: fc.record({ clear: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.constant("reset" as const) },
  );
  fc.assert(
    fc.property(fc.constantFrom(0, 50), fc.array(step, { maxLength: 12 }), (expected, steps) => {
      const cache = new KeyValueCache(SIZES, 3, expected);
      const single = [0, 1, 2].map(() => new KeyValueCache(SIZES, 1));
      let next = 1;
      for (const step of steps) {
        if (step === "reset") {
          cache.reset();
          assertEquals(cache.room, 0);
          single.forEach((_, row) => single[row] = new KeyValueCache(SIZES, 1));
        } else if ("clear" in step) {
          cache.clear(step.clear);
          single[step.clear] = new KeyValueCache(SIZES, 1);
        } else {
          const counts = step.rows.map((row) => step.counts[row]);
          const { all, rows } = presentOf(counts, next);
          next += all.length;
          cache.append(all, counts, step.rows);
          step.rows.forEach((row, b) => single[row].append(rows[b], [counts[b]]));
          // The rows themselves, in their order, with no more room than they need.
          const shown = step.rows.map((row) => contents(single[row], [...single[row].lengths]));
          const lengths = step.rows.map((row) => cache.lengths[row]);
          const buffers = contents(cache, lengths, step.rows);
          assertEquals(buffers, buffers.map((_, i) => shown.flatMap((buffer) => buffer[i])));
          const room = cache.tensors(step.rows)["past.0.keys"].shape[2];
          assertEquals(room, Math.max(...lengths));
        }
        const lengths = single.map((one) => one.lengths[0]);
        assertEquals(cache.lengths, lengths);
        const shown = single.map((one) => contents(one, [...one.lengths]));
        const buffers = contents(cache, lengths);
        assertEquals(buffers, buffers.map((_, i) => shown.flatMap((buffer) => buffer[i])));
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("rows that are shown are a copy; a cache that was reset needs no new memory", () => {
  const cache = new KeyValueCache(SIZES, 2, 40);
  cache.append(presentOf([40, 3], 1).all, [40, 3]);
  const whole = cache.tensors()["past.1.values"].data, copy = cache.tensors([1, 0]);
  assert(copy["past.1.values"].data.buffer !== whole.buffer);
  const before = [...copy["past.1.values"].data];
  cache.reset();
  assertEquals([cache.lengths, cache.room], [[0, 0], 0]);
  assertEquals(cache.tensors()["past.0.keys"].shape, [2, 2, 0, 3]);
  cache.append(presentOf([1, 2], 1000).all, [1, 2]);
  assertEquals(cache.room, 16);
  assert(cache.tensors()["past.1.values"].data.buffer === whole.buffer);
  assertEquals([...copy["past.1.values"].data], before);
});
