import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { pathTables } from "../../../src/docid/path.ts";
import { slotsOf } from "../../../src/docid/slots.ts";
import { anyKindOfTrie } from "../retriever/_toy.ts";

Deno.test("every edge of a trie is one slot, numbered without gaps, parents before children", () => {
  fc.assert(fc.property(anyKindOfTrie, (trie) => {
    const slots = slotsOf(trie);
    const edges = [...trie.childToken.keys()].filter((at) => trie.childToken[at] >= 0);
    assertEquals(slots.slotCount, edges.length);
    assertEquals([...slots.place], edges);
    edges.forEach((at, slot) => assertEquals(slots.padded[at], slot));
    const gaps = slots.padded.filter((_, at) => trie.childToken[at] < 0);
    assert(gaps.every((slot) => slot === slots.slotCount));
    slots.parent.forEach((parent, slot) => assert(parent < slot));
    assertEquals([slots.nodeCount, slots.branching, slots.depth], [
      trie.nodeCount,
      trie.branching,
      trie.depth,
    ]);
  }));
});

Deno.test("the path of a document spells its docid, and climbing from its last slot retraces it", () => {
  fc.assert(fc.property(anyKindOfTrie, (trie) => {
    const slots = slotsOf(trie), paths = pathTables(trie), L = trie.depth;
    for (let doc = 0; doc < trie.docCount; doc++) {
      const path = [...slots.path.subarray(doc * L, (doc + 1) * L)];
      const used = path.filter((slot) => slot >= 0);
      assertEquals(path.slice(0, used.length), used); // what is missing is missing at the end
      const token = [...paths.token.subarray(doc * L, doc * L + used.length)];
      assertEquals(used.map((slot) => trie.childToken[slots.place[slot]]), token);
      assertEquals(used.length, paths.length[doc]);
      const climbed: number[] = [];
      for (let s = used.at(-1)!; s >= 0; s = slots.parent[s]) climbed.unshift(s);
      assertEquals(climbed, used);
      assertEquals(
        used.map((slot) => slots.doc[slot]),
        used.map((_, i) => i === used.length - 1 ? doc : -1),
      );
    }
    assertEquals(slots.doc.filter((doc) => doc >= 0).length, trie.docCount);
  }));
});
