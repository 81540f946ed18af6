import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { loadTokenizer, TextStream, type Tokenizer } from "../../../src/text/mod.ts";
import { FAMILIES, gpt2, llama2, t5 } from "./_families.ts";

/** Tokenizers of every kind, and some decoders that hold text back for other reasons. */
const TOKENIZERS: Record<string, Tokenizer> = {
  ...Object.fromEntries(
    Object.entries(FAMILIES).map(([name, file]) => [name, loadTokenizer(file())]),
  ),
  "t5, cleaned": loadTokenizer(t5(), { clean_up_tokenization_spaces: true }),
  "gpt2, cleaned": loadTokenizer(gpt2(), { clean_up_tokenization_spaces: true }),
  "no decoder": loadTokenizer({ ...t5(), decoder: null }),
  "word pieces": loadTokenizer({
    ...t5(),
    decoder: { type: "WordPiece", prefix: "▁", cleanup: true },
  }),
  "suffixes": loadTokenizer({ ...t5(), decoder: { type: "BPEDecoder", suffix: "e" } }),
  "CTC": loadTokenizer({
    ...t5(),
    decoder: { type: "CTC", pad_token: "h", word_delimiter_token: "e", cleanup: true },
  }),
  "strip at the end": loadTokenizer({
    ...llama2(),
    decoder: {
      type: "Sequence",
      decoders: [{ type: "Fuse" }, { type: "Strip", content: "t", start: 1, stop: 2 }],
    },
  }),
  "replace behind fuse": loadTokenizer({
    ...llama2(),
    decoder: {
      type: "Sequence",
      decoders: [{ type: "Fuse" }, { type: "Replace", pattern: { Regex: "t+h" }, content: "$&" }],
    },
  }),
};

for (const [name, tokenizer] of Object.entries(TOKENIZERS)) {
  Deno.test(`${name}: the pieces of any ids, however they are cut, are the text of all`, () => {
    const known = Array.from({ length: tokenizer.vocabSize }, (_, id) => id)
      .filter((id) => tokenizer.idToToken(id) !== undefined);
    const texts = ["the", " was", " .", " '", "'s n't", "é🙂", " <s></s>", "<0xE2>"]
      .map((text) => [...tokenizer.encode(text, { addSpecialTokens: false })]);
    const ids = fc.array(
      fc.oneof(fc.constantFrom(...known).map((id) => [id]), fc.constantFrom(...texts)),
      { maxLength: 24 },
    ).map((parts) => parts.flat());
    const cuts = fc.array(fc.nat(4), { minLength: 1, maxLength: 5 }).filter((c) =>
      c.some((n) => n > 0)
    );
    fc.assert(
      fc.property(ids, cuts, fc.boolean(), (ids, cuts, skipSpecialTokens) => {
        const stream = new TextStream(tokenizer, { skipSpecialTokens });
        const whole = tokenizer.decode(ids, { skipSpecialTokens });
        let text = "";
        for (let at = 0, i = 0; at < ids.length; at += cuts[i % cuts.length], i++) {
          text += stream.push(ids.slice(at, at + cuts[i % cuts.length]));
          assert(whole.startsWith(text), `${JSON.stringify(text)} of ${JSON.stringify(whole)}`);
        }
        assertEquals(text + stream.end(), whole);
      }),
      { numRuns: 150, seed: 20 },
    );
  });
}

Deno.test("cleaning up a stream is cleaning up its text", () => {
  // The replacements of transformers' clean_up_tokenization, one after another over the whole text.
  const clean = (text: string): string =>
    [" .", " ?", " !", " ,", " n't", " 'm", " 's", " 've", " 're"].reduce(
      (text, marked) => {
        if (marked === " n't") text = text.replaceAll(" ' ", "'");
        return text.replaceAll(marked, marked.slice(1));
      },
      text,
    );
  const { gpt2: plain, "gpt2, cleaned": cleaned } = TOKENIZERS;
  const text = fc.string({ unit: fc.constantFrom(...". ?!,'ntmsvr  "), maxLength: 30 });
  fc.assert(
    fc.property(text, (text) => {
      assertEquals(cleaned.decode(plain.encode(text)), clean(text));
    }),
    { numRuns: 2000, seed: 21 },
  );
});

Deno.test("text is given as soon as it is certain", () => {
  const pieces = (tokenizer: Tokenizer, ids: number[]): string[] => {
    const stream = new TextStream(tokenizer);
    return [...ids.map((id) => stream.push([id])), stream.end()];
  };
  // 0xF0 0x9F, 0x99, 0x82 are one emoji; 0xC3 is the start of something.
  const { gpt2: bytes, llama2: fallback } = TOKENIZERS;
  assertEquals(pieces(bytes, [97, 240, 159, 153, 130, 195]), ["a", "", "", "", "🙂", "", "\ufffd"]);
  assertEquals(pieces(bytes, [195, 97]), ["", "\ufffda", ""]);
  // Byte b has the id b + 3. A run of bytes is text as a whole or not at all.
  const byte = (value: number): number => value + 3;
  const word = fallback.tokenToId("▁the")!;
  assertEquals(pieces(fallback, [word, word, byte(0xc3), byte(0xa9), word]), [
    "the",
    " the",
    "",
    "",
    "é the",
    "",
  ]);
  assertEquals(pieces(fallback, [byte(0x41), byte(0xff)]), ["", "", "\ufffd\ufffd"]);
  // One t goes from the start, up to two from the end.
  const strip = TOKENIZERS["strip at the end"],
    t = strip.tokenToId("t")!,
    e = strip.tokenToId("e")!;
  assertEquals(pieces(strip, [t, t, e, t, t, t]), ["", "", "te", "", "", "t", ""]);
  const { "t5, cleaned": cleaned } = TOKENIZERS;
  const [the, space, dot, n] = ["▁the", "▁", ".", "n"].map((token) => cleaned.tokenToId(token)!);
  assertEquals(pieces(cleaned, [the, space, dot, space, n]), ["the", "", ".", "", "", " n"]);
});

Deno.test("a push takes no longer when much text went before", () => {
  let asked = 0;
  const { startDecoding } = TOKENIZERS.gpt2;
  const tokenizer: Tokenizer = Object.assign(Object.create(TOKENIZERS.gpt2), {
    startDecoding: (...args: Parameters<typeof startDecoding>) => {
      const decoding = TOKENIZERS.gpt2.startDecoding(...args);
      return { push: (id: number) => (asked++, decoding.push(id)), end: () => decoding.end() };
    },
  });
  const stream = new TextStream(tokenizer);
  for (let i = 0; i < 1000; i++) stream.push([97]);
  assertEquals(asked, 1000);
});

Deno.test("ids that no token has and pushes after the end are refused", () => {
  const stream = new TextStream(TOKENIZERS.t5);
  assertThrows(() => stream.push([99]), DataError, "Cannot decode id 99");
  stream.push([4]);
  assertEquals([stream.end(), stream.end()], ["", ""]);
  assertThrows(() => stream.push([4]), DataError, "the stream has ended");
});
