import { assert, assertEquals, assertThrows } from "@std/assert";
import { Tokenizer as HfTokenizer } from "@huggingface/tokenizers";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { type BpeProgress, loadTokenizer, trainBpe } from "../../../src/text/mod.ts";
import { BYTE_CHARACTERS, forEachWord } from "../../../src/text/byte_level.ts";

const SPECIAL = ["<pad>", "</s>", "<unk>"];

const TEXTS = [
  "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of " +
  "foolishness.",
  "banana bananas ananas aaaa aaaaa aaaaaaa",
  "naïve café — déjà vu 🙂🙂  \n\n  1859 1859's it'll",
];

/** Any well-formed text: code points of every plane, with ordinary ones and white space mixed in. */
const anyText = fc.array(
  fc.oneof(
    fc.string({ unit: "binary", maxLength: 8 }),
    fc.constantFrom("the times", "  ", "\n\t", "\u0085", "!\ufeff!", "é", "🙂", "<pad>", "\0"),
  ),
).map((parts) => parts.join(""));

/** Merges by definition: count every pair of every word anew after each merge. */
function mergesByDefinition(texts: string[], count: number, minFrequency: number): string[] {
  const ids = new Map([...SPECIAL, ...[...BYTE_CHARACTERS].sort()].map((t, i) => [t, i]));
  const words: string[][] = [];
  for (const text of texts) {
    forEachWord(text, (word) => {
      words.push(Array.from(new TextEncoder().encode(word), (byte) => BYTE_CHARACTERS[byte]));
    });
  }
  const merges: string[] = [];
  while (ids.size < count) {
    const pairs = new Map<string, number>();
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]} ${word[i + 1]}`;
        pairs.set(pair, (pairs.get(pair) ?? 0) + 1);
      }
    }
    const rank = (pair: string) => pair.split(" ").map((token) => ids.get(token)!);
    const best = [...pairs].filter(([, n]) => n >= minFrequency).sort(([p, m], [q, n]) => {
      const [a, b] = rank(p), [c, d] = rank(q);
      return n - m || a - c || b - d;
    })[0];
    if (best === undefined) break;
    const [left, right] = best[0].split(" ");
    merges.push(best[0]);
    if (!ids.has(left + right)) ids.set(left + right, ids.size);
    for (const word of words) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
      }
    }
  }
  return merges;
}

Deno.test("merges and ids are those of Python's BpeTrainer", () => {
  // tokenizers 0.23.2: BpeTrainer(vocab_size=300, min_frequency=2, special_tokens=SPECIAL,
  // initial_alphabet=ByteLevel.alphabet()) on TEXTS, and ids of two texts.
  const merges =
    "a a|n a|Ġ t|Ġ w|a s|e s|h e|i t|o f|Ġ it|Ġ of|aa aa|Ġt he|Ġw as|a na|Ġ aaaa|ana na|1 8|5 9|" +
    "a g|b anana|i m|i s|Ã ©|ð Ł|Ġ 18|Ġ ag|Ļ Ĥ|Ġt im|ðŁ ĻĤ|Ġ18 59|Ġag e|Ġtim es";
  const json = trainBpe(TEXTS, { vocabSize: 300, specialTokens: SPECIAL, minFrequency: 2 });
  assertEquals(json.model.merges, merges.split("|"));
  assertEquals(Object.keys(json.model.vocab).length, 292);
  const tokenizer = loadTokenizer(json);
  const best = [43, 86, 272, 271, 223, 68, 264, 86, 223, 279];
  assertEquals([...tokenizer.encode("It was the best banana")], best);
  const odd = [270, 259, 223, 69, 67, 72, 282, 129, 230, 174, 122, 126, 223, 288];
  assertEquals([...tokenizer.encode("aaaaaa café\u0085\ufeff 🙂")], odd);
});

Deno.test("merges equal those of counting every pair anew", () => {
  const letters = fc.array(
    fc.string({ unit: fc.constantFrom("a", "b", "c", " "), maxLength: 30 }),
    {
      minLength: 1,
      maxLength: 5,
    },
  );
  fc.assert(fc.property(letters, fc.integer({ min: 1, max: 3 }), (texts, minFrequency) => {
    const vocabSize = 259 + 20;
    const json = trainBpe(texts, { vocabSize, specialTokens: SPECIAL, minFrequency });
    assertEquals(json.model.merges, mergesByDefinition(texts, vocabSize, minFrequency));
  }));
});

Deno.test("any text comes back from its ids, which stay inside the vocabulary", () => {
  const json = trainBpe(TEXTS, { vocabSize: 300, specialTokens: SPECIAL, endToken: "</s>" });
  const tokenizer = loadTokenizer(json);
  fc.assert(
    fc.property(anyText, (text) => {
      const ids = tokenizer.encode(text, { addSpecialTokens: false });
      assert(ids.every((id) => id >= 0 && id < tokenizer.vocabSize));
      assertEquals(tokenizer.decode(ids, { skipSpecialTokens: false }), text);
    }),
    { numRuns: 300 },
  );
});

Deno.test("training cuts text into the words that the library cuts it into", () => {
  const cutter = new HfTokenizer(
    { ...trainBpe([], { vocabSize: 256 }), model: { type: "WordLevel", vocab: {} } },
    {},
  );
  const spelled = (word: string) =>
    Array.from(new TextEncoder().encode(word), (byte) => BYTE_CHARACTERS[byte]).join("");
  fc.assert(fc.property(anyText, (text) => {
    const words: string[] = [];
    forEachWord(text, (word) => words.push(word));
    assertEquals(words.map(spelled), cutter.tokenize(text));
    assertEquals(words.join(""), text);
  }));
});

Deno.test("special tokens come first, then all 256 bytes; the end token closes each text", () => {
  const json = trainBpe(TEXTS, { vocabSize: 280, specialTokens: SPECIAL, endToken: "</s>" });
  const tokens = Object.entries(json.model.vocab).sort(([, a], [, b]) => a - b).map(([t]) => t);
  assertEquals(tokens.length, 280);
  assertEquals(tokens.slice(0, 3), SPECIAL);
  assertEquals(new Set(tokens.slice(3, 259)), new Set(BYTE_CHARACTERS));
  assertEquals(new Set(BYTE_CHARACTERS).size, 256);
  const tokenizer = loadTokenizer(json);
  assertEquals([tokenizer.padId, tokenizer.eosId, tokenizer.unkId], [0, 1, 2]);
  assertEquals(tokenizer.encode("banana").at(-1), 1);
  // Read by Python's tokenizers, not by this project's library.
  const { special_tokens } = json.post_processor as { special_tokens: unknown };
  assertEquals(special_tokens, { "</s>": { id: "</s>", ids: [1], tokens: ["</s>"] } });
  assertEquals([...tokenizer.encode("")], [1]);
  assertEquals([...tokenizer.encode("<pad>", { addSpecialTokens: false })], [0]);
});

Deno.test("the same texts give the same file, and it survives JSON", () => {
  const options = { vocabSize: 290, specialTokens: SPECIAL };
  const text = JSON.stringify(trainBpe(TEXTS, options));
  assertEquals(JSON.stringify(trainBpe(TEXTS.values(), options)), text);
  const reread = loadTokenizer(JSON.parse(text));
  assertEquals(reread.encode(TEXTS[0]), loadTokenizer(trainBpe(TEXTS, options)).encode(TEXTS[0]));
});

Deno.test("tokens named like members of an object are tokens", () => {
  const json = trainBpe(Array(9).fill("__proto__"), { vocabSize: 300 });
  const tokenizer = loadTokenizer(JSON.parse(JSON.stringify(json)));
  assertEquals(tokenizer.decode(tokenizer.encode("__proto__")), "__proto__");
});

Deno.test("a merge that spells a special token shares its id", () => {
  const { model } = trainBpe(["abc abc abc"], { vocabSize: 300, specialTokens: ["<pad>", "ab"] });
  assertEquals(model.merges, ["a b", "ab c", "Ġ abc"]);
  assertEquals([model.vocab["ab"], model.vocab["abc"], model.vocab["Ġabc"]], [1, 258, 259]);
  assertEquals(Object.keys(model.vocab).length, 2 + 256 + 2);
});

Deno.test("progress counts texts, then ids up to the vocabulary's size", () => {
  const seen: BpeProgress[] = [];
  trainBpe(TEXTS, { vocabSize: 270, onProgress: (progress) => seen.push(progress) });
  assertEquals(seen, [
    { phase: "count", done: 3, total: undefined },
    { phase: "merge", done: 270, total: 270 },
  ]);
});

Deno.test("options out of range are named", () => {
  const bad: [Partial<Parameters<typeof trainBpe>[1]>, string][] = [
    [{ vocabSize: 258 }, "vocabSize is 258; special tokens and 256 bytes alone need 259"],
    [{ vocabSize: 300.5 }, "vocabSize is 300.5"],
    [{ minFrequency: 0 }, "minFrequency is 0"],
    [{ specialTokens: ["<a>", "<a>"] }, '"<a>" stands for something else'],
    [{ specialTokens: ["a"] }, '"a" stands for something else'],
    [{ specialTokens: [""] }, "a special token is empty"],
    [{ endToken: "<end>" }, 'the end token "<end>" is not among the special tokens'],
  ];
  for (const [part, message] of bad) {
    const options = { vocabSize: 300, specialTokens: SPECIAL, ...part };
    assertThrows(() => trainBpe([], options), DataError, message);
  }
});
