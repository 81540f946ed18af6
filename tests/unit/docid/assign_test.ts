import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { assignDocids } from "../../../src/docid/assign.ts";
import { balanceReport, formatBalance } from "../../../src/docid/balance.ts";
import { formatDocid } from "../../../src/docid/docids.ts";
import { kMeans } from "../../../src/docid/kmeans.ts";
import { buildTrie } from "../../../src/docid/trie.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";

const random = { seed: 1, stream: "test", step: 0 };

/** `groups` well separated clouds of `each` points in W dimensions, in a mixed order. */
function clouds(
  groups: number,
  each: number,
  W: number,
): { points: HostTensor<"float32">; label: number[] } {
  const stream = randomStream({ seed: 7, stream: "clouds", step: groups });
  const centres = Float64Array.from({ length: groups * W }, () => 20 * stream.normal());
  const label = stream.shuffle(Array.from({ length: groups * each }, (_, i) => i % groups));
  const data = Float32Array.from(
    label.flatMap((g) => Array.from({ length: W }, (_, j) => centres[g * W + j] + stream.normal())),
  );
  return { points: hostTensor("float32", data, [label.length, W]), label };
}

Deno.test("atomic docids are the index; naive ones are its digits", () => {
  assertEquals(assignDocids(3, { scheme: "atomic" }).digits.map(formatDocid), ["0", "1", "2"]);
  assertEquals(assignDocids(3, { scheme: "atomic" }).base, 3);
  const naive = assignDocids(124, { scheme: "naive", base: 5 }).digits;
  assertEquals(naive.map((d) => parseInt([...d].join(""), 5)), naive.map((_, i) => i));
  assert(naive.every((d) => d.length === 3));
  assertEquals(assignDocids(125, { scheme: "naive", base: 5 }).digits[0].length, 3);
  assertEquals(assignDocids(126, { scheme: "naive", base: 5 }).digits[0].length, 4);
});

Deno.test("k-means finds separated clouds exactly", () => {
  const { points, label } = clouds(12, 30, 16);
  const { assignment, clusters } = kMeans(points, { clusters: 12, random, restarts: 5 });
  assertEquals(clusters, 12);
  const names = new Map<string, number>();
  label.forEach((g, i) => names.set(`${g}/${assignment[i]}`, 1));
  assertEquals(names.size, 12);
});

Deno.test("inertia equals the definition: squared distances to the means of the clusters", () => {
  const { points, label } = clouds(5, 40, 3);
  const { assignment, inertia } = kMeans(points, { clusters: 7, random, maxRounds: 200 });
  let expected = 0;
  for (let c = 0; c < 7; c++) {
    const rows = [...label.keys()].filter((i) => assignment[i] === c);
    for (let j = 0; j < 3; j++) {
      const mean = rows.reduce((s, i) => s + points.data[i * 3 + j], 0) / rows.length;
      for (const i of rows) expected += (points.data[i * 3 + j] - mean) ** 2;
    }
  }
  assertLess(Math.abs(inertia / expected - 1), 1e-4);
});

Deno.test("capacity is never exceeded, and nearness still decides where it can", () => {
  const { points, label } = clouds(4, 25, 4);
  const limited = kMeans(points, { clusters: 4, random, capacity: 25, restarts: 3 });
  const sizes = [0, 0, 0, 0];
  for (const c of limited.assignment) sizes[c]++;
  assertEquals(sizes, [25, 25, 25, 25]);
  assertEquals(new Set(label.map((g, i) => `${g}/${limited.assignment[i]}`)).size, 4);
  assertThrows(
    () => kMeans(points, { clusters: 4, random, capacity: 24 }),
    DataError,
    "at most 24",
  );
});

Deno.test("semantic docids share their first digit within a cloud", () => {
  const { points, label } = clouds(6, 20, 8);
  const docids = assignDocids(points, { scheme: "semantic", base: 6, restarts: 5 });
  assertEquals(new Set(label.map((g, i) => `${g}/${docids.digits[i][0]}`)).size, 6);
});

Deno.test("any vectors give unique docids within base and depth, the same each time", () => {
  const cases = fc.record({
    base: fc.integer({ min: 2, max: 9 }),
    rows: fc.array(fc.tuple(fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 3 })), {
      minLength: 1,
      maxLength: 120,
    }),
    balanced: fc.boolean(),
    leaf: fc.integer({ min: 1, max: 9 }),
  });
  fc.assert(
    fc.property(cases, ({ base, rows, balanced, leaf }) => {
      const leafSize = Math.min(leaf, base);
      const vectors = hostTensor("float32", Float32Array.from(rows.flat()), [rows.length, 2]);
      const options = { scheme: "semantic", base, balanced, leafSize, restarts: 1 } as const;
      const docids = assignDocids(vectors, options);
      assertEquals(new Set(docids.digits.map(formatDocid)).size, rows.length);
      const trie = buildTrie(docids); // throws where one docid begins another or exceeds the base
      const fewest = 1 +
        Math.max(0, Math.ceil(Math.log(rows.length / leafSize) / Math.log(base) - 1e-9));
      assert(trie.depth <= fewest + 2, `depth ${trie.depth}, fewest ${fewest}`);
      assertEquals(docids.collisions, rows.length - new Set(rows.map(String)).size);
      assertEquals(assignDocids(vectors, options), docids);
    }),
    { numRuns: 60 },
  );
});

Deno.test("identical vectors end in unique docids, evenly divided", () => {
  const vectors = hostTensor("float32", new Float32Array(1000 * 3).fill(0.5), [1000, 3]);
  const docids = assignDocids(vectors, { scheme: "semantic", base: 10 });
  assertEquals(docids.collisions, 999);
  assertEquals(docids.digits[999].join(""), "999");
  assertEquals(balanceReport(docids).lengths, [0, 0, 1000]);
});

Deno.test("a cluster of one document is that document", () => {
  const far = Float32Array.of(0, 0, 0.1, 0, 0.2, 0, 0.3, 0, 9, 9);
  const docids = assignDocids(hostTensor("float32", far, [5, 2]), {
    scheme: "semantic",
    base: 4,
    leafSize: 4,
    seed: 3,
  });
  const alone = docids.digits[4];
  assertEquals(alone.length, 1);
  assertEquals(docids.digits.filter((d) => d[0] === alone[0]).length, 1);
});

Deno.test("clusters that peel off one document at a time stay within the depth", () => {
  const spread = Float32Array.from({ length: 60 }, (_, i) => 3 ** (i / 2));
  for (const maxDepth of [6, 7, 9]) {
    const vectors = hostTensor("float32", spread, [60, 1]);
    const docids = assignDocids(vectors, { scheme: "semantic", base: 2, maxDepth });
    assertEquals(new Set(docids.digits.map(formatDocid)).size, 60);
    assert(buildTrie(docids).depth <= maxDepth);
  }
});

Deno.test("balanced docids reach the least depth", () => {
  const { points } = clouds(3, 27, 4);
  const report = balanceReport(
    assignDocids(points, { scheme: "semantic", base: 9, balanced: true }),
  );
  assertEquals(report.lengths, [0, 81]);
  assertEquals(report.children, { min: 9, median: 9, max: 9 });
});

Deno.test("what cannot be assigned is refused", () => {
  const bad = (x: number): HostTensor<"float32"> =>
    hostTensor("float32", Float32Array.of(0, x), [2, 1]);
  assertThrows(() => assignDocids(0, { scheme: "atomic" }), DataError, "0 documents");
  assertThrows(() => assignDocids(5, { scheme: "naive", base: 1 }), DataError, "base is 1");
  assertThrows(() => assignDocids(5, { scheme: "semantic" }), DataError, "vector for every");
  assertThrows(
    () => assignDocids(bad(NaN), { scheme: "semantic" }),
    DataError,
    "document 1 holds NaN",
  );
  const many = hostTensor("float32", new Float32Array(30), [30, 1]);
  const options = { scheme: "semantic", base: 5, maxDepth: 2 } as const;
  assertThrows(() => assignDocids(many, options), DataError, "need 3 digits of base 5");
});

Deno.test("the balance report of a hand-made set", () => {
  const digits = [[0, 0], [0, 1], [0, 2], [1]].map((d) => Int32Array.from(d));
  const report = balanceReport({ scheme: "semantic", base: 4, digits, collisions: 1 });
  const h = (p: number): number => -p * Math.log(p);
  assertEquals(report.lengths, [1, 3]);
  assertEquals(report.children, { min: 2, median: 2.5, max: 3 });
  assertEquals(report.chainNodes, 0);
  assertLess(Math.abs(report.digitEntropy[0] - (h(0.75) + h(0.25))), 1e-12);
  assertLess(Math.abs(report.digitEntropy[1] - 0.75 * Math.log(3)), 1e-12);
  assertEquals(report.largestFirst, { share: 0.75, even: 0.25 });
  assertEquals([report.digitPadding, report.emptySlots], [1 / 8, 3 / 8]);
  assert(formatBalance(report).includes("1: 1, 2: 3"));
});
