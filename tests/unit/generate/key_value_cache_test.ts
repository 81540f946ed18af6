import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { KeyValueCache } from "../../../src/generate/mod.ts";

const LAYERS = 2, HEADS = 2, WIDTH = 3;
const sizes = { layers: LAYERS, heads: HEADS, headWidth: WIDTH };

/** A model of the cache: for every row the numbers of its tokens, from which all elements follow. */
const element = (token: number, buffer: number, head: number, e: number): number =>
  ((token * 2 * LAYERS + buffer) * HEADS + head) * WIDTH + e + 1;

/** What the graph returns for new tokens, padded on the left. */
function presentOf(rows: number[][]): Float32Array[] {
  const S = Math.max(...rows.map((row) => row.length)), B = rows.length;
  const present = Array.from(
    { length: 2 * LAYERS },
    () => new Float32Array(B * HEADS * S * WIDTH).fill(-7),
  );
  rows.forEach((row, b) =>
    row.forEach((token, t) => {
      for (let buffer = 0; buffer < 2 * LAYERS; buffer++) {
        for (let j = 0; j < HEADS; j++) {
          const at = ((b * HEADS + j) * S + S - row.length + t) * WIDTH;
          for (let e = 0; e < WIDTH; e++) present[buffer][at + e] = element(token, buffer, j, e);
        }
      }
    })
  );
  return present;
}

function assertHolds(cache: KeyValueCache, model: number[][]): void {
  assertEquals(cache.lengths, model.map((row) => row.length));
  const tensors = cache.tensors();
  assertEquals(Object.keys(tensors), [
    "past.0.keys",
    "past.0.values",
    "past.1.keys",
    "past.1.values",
  ]);
  Object.values(tensors).forEach(({ shape, data }, buffer) => {
    assertEquals(shape, [model.length, HEADS, cache.room, WIDTH]);
    assert(data.every(Number.isFinite));
    model.forEach((row, b) =>
      row.forEach((token, t) => {
        for (let j = 0; j < HEADS; j++) {
          const at = ((b * HEADS + j) * cache.room + t) * WIDTH;
          for (let e = 0; e < WIDTH; e++) {
            if (data[at + e] !== element(token, buffer, j, e)) {
              throw new Error(
                `buffer ${buffer}, row ${b}, token ${t}, head ${j} is ${data[at + e]}`,
              );
            }
          }
        }
      })
    );
  });
}

Deno.test("room grows by 16 positions", () => {
  const cache = new KeyValueCache(sizes, 1);
  assertEquals(cache.room, 0);
  const model: number[][] = [[]];
  const rooms: number[] = [];
  for (const count of [1, 63, 1, 63, 1, 191, 1]) {
    const tokens = Array.from({ length: count }, (_, i) => model[0].length + i);
    cache.append(presentOf([tokens]), [count]);
    model[0].push(...tokens);
    rooms.push(cache.room);
    assertHolds(cache, model);
  }
  assertEquals(rooms, [16, 64, 80, 128, 144, 320, 336]);
});

Deno.test("expected positions need no further memory, and rows move within it as room grows", () => {
  const model = [[], []] as number[][];
  const cache = new KeyValueCache(sizes, 2, 200);
  const buffers = new Set<unknown>();
  for (let token = 0; token < 200; token++) {
    // The second row is read three at a time for a while.
    const rows = [[token], token < 20 ? [token, token + 7, token + 9] : [token]];
    if (model[1].length + rows[1].length > 200) break;
    cache.append(presentOf(rows), rows.map((row) => row.length));
    rows.forEach((row, b) => model[b].push(...row));
    buffers.add(cache.tensors()["past.1.values"].data.buffer);
    if (token % 16 === 0) assertHolds(cache, model);
  }
  assertHolds(cache, model);
  assertEquals([cache.room, buffers.size], [208, 1]);
});

Deno.test("rows that stay where they are stay in the same memory", () => {
  const cache = new KeyValueCache(sizes, 3);
  cache.append(presentOf([[1], [2, 3], [4]]), [1, 2, 1]);
  const before = cache.tensors()["past.0.keys"].data;
  cache.select([0, 1, 2]);
  assert(cache.tensors()["past.0.keys"].data.buffer === before.buffer);
  cache.select([0, 1]);
  assert(cache.tensors()["past.0.keys"].data.buffer === before.buffer);
  assertHolds(cache, [[1], [2, 3]]);
});

Deno.test("any sequence of appends and selections gives what a list of rows would", () => {
  const step = fc.oneof(
    {
      weight: 2,
      arbitrary: fc.record({
        counts: fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 6, maxLength: 6 }),
      }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ rows: fc.array(fc.nat(), { minLength: 1, maxLength: 6 }) }),
    },
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 4 }),
      fc.array(step, { maxLength: 12 }),
      (rows, steps) => {
        const cache = new KeyValueCache(sizes, rows);
        let model: number[][] = Array.from({ length: rows }, () => []), next = 0;
        for (const step of steps) {
          if ("rows" in step) {
            const chosen = step.rows.map((row) => row % model.length);
            cache.select(chosen);
            model = chosen.map((row) => [...model[row]]);
          } else {
            const added = model.map((_, b) => Array.from({ length: step.counts[b] }, () => next++));
            cache.append(presentOf(added), added.map((row) => row.length));
            model = model.map((row, b) => [...row, ...added[b]]);
          }
          assertHolds(cache, model);
        }
      },
    ),
    { numRuns: 80, seed: 4 },
  );
});
