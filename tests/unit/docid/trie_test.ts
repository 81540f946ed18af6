import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import {
  type Docids,
  docidsFromJson,
  docidsToJson,
  formatDocid,
  parseDocid,
} from "../../../src/docid/docids.ts";
import { nodeDepths, pathTables } from "../../../src/docid/path.ts";
import { buildTrie, type Trie, trieFromTokenSequences } from "../../../src/docid/trie.ts";

/** Token sequences of which none begins another. */
const prefixFree = fc.uniqueArray(fc.array(fc.integer({ min: 2, max: 6 }), { maxLength: 4 }), {
  minLength: 1,
  maxLength: 30,
  selector: String,
}).map((rows) => rows.map((row) => [...row, 1]));

/** Documents by walking down every slot: independent of the parent tables. */
function walk(trie: Trie, node = 0, prefix: number[] = []): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let at = node * trie.branching; at < (node + 1) * trie.branching; at++) {
    const token = trie.childToken[at];
    const isEmpty = trie.childNode[at] < 0 && trie.childDoc[at] < 0;
    assertEquals(token < 0, isEmpty);
    if (isEmpty) continue;
    if (trie.childDoc[at] >= 0) found.set(trie.childDoc[at], [...prefix, token]);
    else for (const [d, p] of walk(trie, trie.childNode[at], [...prefix, token])) found.set(d, p);
  }
  return found;
}

Deno.test("every sequence is one path of the trie, and nothing else is", () => {
  fc.assert(fc.property(prefixFree, (sequences) => {
    const trie = trieFromTokenSequences(sequences);
    for (let at = 1; at < trie.childToken.length; at++) {
      const isFilled = trie.childToken[at] >= 0 && at % trie.branching > 0;
      if (isFilled) assert(trie.childToken[at] > trie.childToken[at - 1], "tokens rise");
    }
    const found = walk(trie);
    assertEquals(found.size, sequences.length);
    sequences.forEach((sequence, doc) => assertEquals(found.get(doc), sequence));
  }));
});

Deno.test("path tables spell the sequences, and levels hold the nodes of their depth", () => {
  fc.assert(fc.property(prefixFree, (sequences) => {
    const trie = trieFromTokenSequences(sequences);
    const paths = pathTables(trie);
    const depths = nodeDepths(trie);
    sequences.forEach((sequence, doc) => {
      const from = doc * trie.depth;
      assertEquals(paths.length[doc], sequence.length);
      assertEquals([...paths.token.slice(from, from + sequence.length)], sequence);
      assertEquals(
        [...paths.token.slice(from + sequence.length, from + trie.depth)],
        Array(trie.depth - sequence.length).fill(-1),
      );
      for (let l = 0; l < sequence.length; l++) {
        const node = paths.node[from + l];
        assertEquals(depths[node], l);
        assertEquals(trie.childToken[node * trie.branching + paths.slot[from + l]], sequence[l]);
      }
    });
  }));
});

Deno.test("slots are the codes, or compact on request", () => {
  const docids: Docids = {
    scheme: "naive",
    base: 8,
    digits: [Int32Array.of(3), Int32Array.of(6, 1), Int32Array.of(6, 7)],
    collisions: 0,
  };
  const coded = buildTrie(docids);
  assertEquals(coded.branching, 8);
  assertEquals([coded.childDoc[3], coded.childNode[6]], [0, 1]);
  const compact = buildTrie(docids, { slots: "compact" });
  assertEquals([...compact.childToken], [3, 6, 1, 7]);
  assertEquals([...compact.childDoc], [0, -1, 1, 2]);
});

Deno.test("a sequence that equals or begins another is an error, in either order", () => {
  for (const pair of [[[5], [5, 1]], [[5, 1], [5]]]) {
    assertThrows(() => trieFromTokenSequences(pair), DataError, "is the beginning of that of");
  }
  assertThrows(() => trieFromTokenSequences([[5, 1], [5, 1]]), DataError, "same docid");
  assertThrows(() => trieFromTokenSequences([[5], []]), DataError, "document 1 has an empty docid");
  assertThrows(() => trieFromTokenSequences([]), DataError, "no documents");
  assertThrows(() => trieFromTokenSequences([[-1]]), DataError, "not an integer");
});

Deno.test("docids survive text and JSON", () => {
  const digits = fc.array(fc.integer({ min: 0, max: 63 }), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(fc.array(digits, { minLength: 1 }), (all) => {
    const docids: Docids = {
      scheme: "semantic",
      base: 64,
      digits: all.map((d) => Int32Array.from(d)),
      collisions: 3,
    };
    assertEquals(docidsFromJson(JSON.parse(JSON.stringify(docidsToJson(docids)))), docids);
  }));
});

Deno.test("broken docids are refused with what is wrong", () => {
  for (const text of ["", "3-", "-3", "3--1", "a", "03", "3.5", "1-02", "1 2"]) {
    assertThrows(() => parseDocid(text), DataError, "as a docid");
  }
  assertEquals(formatDocid(parseDocid("0-10-63")), "0-10-63");
  const good = { version: 1, scheme: "naive", base: 4, collisions: 0, docids: ["0-3", "1-1"] };
  docidsFromJson(good);
  const cases: [Record<string, unknown>, string][] = [
    [{ version: 2 }, "version is 2"],
    [{ scheme: "other" }, 'scheme is "other"'],
    [{ base: 3 }, "document 0 has docid 0-3"],
    [{ base: "4" }, "base"],
    [{ collisions: -1 }, "collisions"],
    [{ docids: [] }, "docids"],
    [{ docids: [3] }, "as a docid"],
  ];
  for (const [change, message] of cases) {
    assertThrows(() => docidsFromJson({ ...good, ...change }), DataError, message);
  }
  assertThrows(() => docidsFromJson(null), DataError, "not an object");
});
