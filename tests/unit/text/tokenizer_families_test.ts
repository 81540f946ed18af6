/** Small files of well-known kinds give the ids and texts that Python's `tokenizers` 0.23.2 gives. */
import { assertEquals, assertThrows } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { loadTokenizer } from "../../../src/text/mod.ts";
import { added, AWKWARD, charsmapOf, FAMILIES, gpt2, llama2, t5 } from "./_families.ts";

/** For each of `AWKWARD`: `Tokenizer.from_str(file).encode(text).ids`, joined by spaces. */
const IDS: Record<string, string[]> = {
  gpt2: [
    "",
    "256 32",
    "260 32 260 256 263",
    "73 116 268 265 260 263 270 32 39 83 32 39 115 10",
    "267 57 283 50 51 52 53 32 278 217 163 32 274",
    "99 97 102 271 32 99 97 102 101 204 129 32 239 172 129 110 101",
    "279 153 130 279 153 130 279 143 189 32 279 145 169 226 128 141 279 145 169",
    "275 170 275 167 275 177 275 170 32 230 157 177 228 186 172",
    "97 281 98 194 160 99 239 187 191 39 115 32 226 128 141 204 129 120",
    "60 124 105 109 95 115 116 97 114 116 124 62 116 259 60 124 105 109 95 101 110 100 124 " +
    "62 32 286 116 259 60 124 101 111 116 95 105 100 124 62",
    "60 115 62 116 259 60 47 115 62 32 60 101 120 116 114 97 95 105 100 95 48 62 263 60 116 " +
    "111 111 108 62 264 60 117 110 107 62",
    "261 105 122 97 114 100 261 105 122 97 114 100 32 226 150 129 226 150 129 116 259 32 60 " +
    "48 120 69 50 62",
    "9 13 10 32 32 280 33 32 32 0",
  ],
  llama3: [
    "287",
    "287 256 32",
    "287 260 32 260 256 263",
    "287 73 116 268 265 260 263 270 32 39 83 32 39 115 10",
    "287 267 57 32 49 50 51 52 53 32 278 217 163 32 274",
    "287 99 97 102 271 32 99 97 102 101 204 129 32 239 172 129 110 101",
    "287 279 153 130 279 153 130 279 143 189 32 279 145 169 226 128 141 279 145 169",
    "287 275 170 275 167 275 177 275 170 32 230 157 177 228 186 172",
    "287 97 281 98 194 160 99 239 187 191 39 115 32 226 128 141 204 129 120",
    "287 60 124 105 109 95 115 116 97 114 116 124 62 116 259 60 124 105 109 95 101 110 100 " +
    "124 62 32 60 124 101 110 100 111 102 116 101 120 116 124 62 116 259 288",
    "287 60 115 62 116 259 60 47 115 62 32 60 101 120 116 114 97 95 105 100 95 48 62 263 60 " +
    "116 111 111 108 62 264 60 117 110 107 62",
    "287 286 286 32 226 150 129 226 150 129 116 259 32 60 48 120 69 50 62",
    "287 9 13 10 32 32 280 33 32 32 0",
  ],
  qwen2: [
    "",
    "256 32",
    "260 32 260 256 263",
    "73 116 268 265 260 263 270 32 39 83 32 39 115 10",
    "49 56 53 57 32 49 50 51 52 53 32 276 277 217 163 32 274",
    "99 97 102 271 32 99 97 102 271 32 239 172 129 110 101",
    "279 153 130 279 153 130 279 143 189 32 279 145 169 226 128 141 279 145 169",
    "275 170 275 167 275 177 275 170 32 230 157 177 228 186 172",
    "97 281 98 194 160 99 239 187 191 39 115 32 226 128 141 204 129 120",
    "286 116 259 287 32 60 124 101 110 100 111 102 116 101 120 116 124 62 116 259 60 124 " +
    "101 111 116 95 105 100 124 62",
    "60 115 62 116 259 60 47 115 62 32 60 101 120 116 114 97 95 105 100 95 48 62 263 288 " +
    "264 60 117 110 107 62",
    "261 105 122 97 114 100 261 105 122 97 114 100 32 226 150 129 226 150 129 116 259 32 60 " +
    "48 120 69 50 62",
    "9 13 10 32 32 280 33 32 32 0",
  ],
  smollm2: [
    "",
    "256 32",
    "260 32 260 256 263",
    "73 116 268 265 260 263 270 32 39 83 32 39 115 10",
    "49 56 53 57 32 49 50 51 52 53 32 276 277 217 163 32 274",
    "99 97 102 271 32 99 97 102 101 204 129 32 239 172 129 110 101",
    "279 153 130 279 153 130 279 143 189 32 279 145 169 226 128 141 279 145 169",
    "275 170 275 167 275 177 275 170 32 230 157 177 228 186 172",
    "97 281 98 194 160 99 239 187 191 39 115 32 226 128 141 204 129 120",
    "286 116 259 287 32 60 124 101 110 100 111 102 116 101 120 116 124 62 116 259 60 124 " +
    "101 111 116 95 105 100 124 62",
    "60 115 62 116 259 60 47 115 62 32 60 101 120 116 114 97 95 105 100 95 48 62 263 60 116 " +
    "111 111 108 62 264 60 117 110 107 62",
    "261 105 122 97 114 100 261 105 122 97 114 100 32 226 150 129 226 150 129 116 259 32 60 " +
    "48 120 69 50 62",
    "9 13 10 32 32 280 33 32 32 0",
  ],
  llama2: [
    "1",
    "1 273 273",
    "1 273 260 275 273 260 275 273 279",
    "1 259 76 260 272 264 13 13 276 279 272 111 111 259 272 86 259 272 264 13",
    "1 259 280 56 60 259 270 53 54 55 56 259 220 164 220 165 220 166 259 197 192",
    "1 259 102 263 105 198 172 259 102 263 105 262 207 132 259 242 175 132 268 262",
    "1 259 243 162 156 133 243 162 156 133 243 162 146 192 259 243 162 148 172 229 131 144 " +
    "243 162 148 172",
    "1 259 227 187 173 227 187 170 227 187 180 227 187 173 259 233 160 180 231 189 175",
    "1 259 263 197 136 101 197 163 102 242 190 194 272 264 259 229 131 144 207 132 123",
    "1 259 63 127 266 112 98 264 260 263 117 260 127 65 260 275 63 127 266 112 98 262 268 " +
    "103 127 65 259 63 127 262 268 103 267 105 260 262 123 260 127 65 260 275 63 127 262 " +
    "267 260 98 266 103 127 65",
    "1 1 276 2 273 63 262 123 260 117 263 98 266 103 98 51 65 279 63 260 267 267 111 65 266 " +
    "268 0",
    "1 273 265 266 125 263 117 103 278 266 125 263 117 103 273 276 259 63 51 123 72 53 65",
    "1 259 12 16 13 273 36 36 36 273 3",
  ],
  t5: [
    "1",
    "3 3 3 1",
    "4 3 4 3 3 5 1",
    "3 2 10 9 3 3 4 5 23 2 3 23 2 3 9 3 1",
    "3 20 2 3 20 2 3 2 3 20 3 2 1",
    "3 2 13 21 22 3 2 13 21 22 3 21 8 12 1",
    "3 2 3 2 3 2 1",
    "3 2 3 2 1",
    "3 13 2 9 3 3 22 2 1",
    "3 2 16 2 14 10 13 2 10 2 10 7 2 16 2 12 18 2 3 2 12 18 2 17 21 10 12 2 10 2 10 7 2 12 " +
    "17 10 2 16 2 1",
    "3 2 14 2 10 7 1 3 24 5 2 10 17 17 2 8 2 1",
    "6 16 2 13 2 6 16 2 13 2 3 3 4 3 2 1",
    "3 2 3 3 3 2 3 3 2 1",
  ],
};

/** Ids at random and their `decode(ids, skip_special_tokens=False)`. */
const TEXTS: Record<string, [ids: string, text: string][]> = {
  gpt2: [
    ["103 32 253 161 96 241 23", "g \ufffd\ufffd`\ufffd\u0017"],
    ["254 106 131 73 235 254 165", "\ufffdj\ufffdI\ufffd\ufffd\ufffd"],
    ["9 50 159 132 263 132 60", "\t2\ufffd\ufffd was\ufffd<"],
    ["61 185 57 152 90 217 25", "=\ufffd9\ufffdZ\ufffd\u0019"],
  ],
  llama3: [
    ["244 198 284 75 177 36 26", "\ufffd\ufffd 18K\ufffd$\u001a"],
    ["130 252 103 135 276 58 235", "\ufffd\ufffdg\ufffd\u0661:\ufffd"],
    ["261 132 110 171 239 225 140", " w\ufffdn\ufffd\ufffd\ufffd"],
    ["201 108 189 31 154 243 221", "\ufffdl\ufffd\u001f\ufffd\ufffd\ufffd"],
  ],
  qwen2: [
    ["193 140 228 38 30 235 239", "\ufffd\ufffd\ufffd&\u001e\ufffd\ufffd"],
    ["43 243 107 122 14 81 161", "+\ufffdkz\u000eQ\ufffd"],
    ["119 176 18 244 72 274 164", "w\ufffd\u0012\ufffdH\u00bd\ufffd"],
    ["186 40 79 68 27 282 232", "\ufffd(OD\u001b's\n\ufffd"],
  ],
  smollm2: [
    ["14 44 44 20 113 40 90", "\u000e,,\u0014q(Z"],
    ["254 147 107 128 284 135 63", "\ufffd\ufffdk\ufffd 18\ufffd?"],
    ["173 199 264 147 1 23 258", "\ufffd\ufffdin\ufffd\u0001\u0017 t"],
    ["245 218 87 35 26 61 183", "\ufffd\ufffdW#\u001a=\ufffd"],
  ],
  llama2: [
    ["118 198 81 96 19 25 250", "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"],
    ["145 126 2 262 158 234 40", "\ufffd\ufffd</s>e\ufffd\ufffd\ufffd"],
    ["161 277 0 198 261 113 224", "\ufffdas<unk>\ufffdh\ufffd\ufffd"],
    ["186 130 135 15 216 18 253", "\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd\ufffd"],
  ],
  t5: [
    ["21 4 6 6 13 10 1", "f the w wat</s>"],
    ["11 2 6 18 20 14 21", "h<unk> wn1sf"],
    ["23 10 19 4 7 18 10", "'t. thehent"],
    ["0 11 6 9 21 12 3", "<pad>h w'sfe "],
  ],
};

const numbers = (text: string): number[] => text === "" ? [] : text.split(" ").map(Number);

for (const [name, file] of Object.entries(FAMILIES)) {
  Deno.test(`${name}'s kind of file gives Python's ids and texts`, () => {
    const tokenizer = loadTokenizer(JSON.parse(JSON.stringify(file())));
    AWKWARD.forEach((text, i) => {
      assertEquals([...tokenizer.encode(text)].join(" "), IDS[name][i], JSON.stringify(text));
    });
    for (const [ids, text] of TEXTS[name]) {
      assertEquals(tokenizer.decode(numbers(ids), { skipSpecialTokens: false }), text, ids);
    }
  });
}

Deno.test("Unicode's white space and digits, not JavaScript's, separate words", () => {
  // Each: Tokenizer.from_str(file).encode(text).tokens with every character in the vocabulary.
  const cut = (pre_tokenizer: unknown, text: string): string[] => {
    const vocab = Object.fromEntries([...text].map((c, id) => [c, id]));
    const words: string[] = [];
    const tokenizer = loadTokenizer({
      added_tokens: [],
      pre_tokenizer,
      model: {
        type: "WordPiece",
        unk_token: "[UNK]",
        continuing_subword_prefix: "+",
        vocab: {
          "[UNK]": 0,
          ...Object.fromEntries(
            Object.keys(vocab).flatMap((c, i) => [[c, 2 * i + 1], [`+${c}`, 2 * i + 2]]),
          ),
        },
      },
    });
    for (const id of tokenizer.encode(text)) {
      const token = tokenizer.idToToken(id)!;
      if (token.startsWith("+")) words[words.length - 1] += token.slice(1);
      else words.push(token);
    }
    return words;
  };
  const digits = (individual_digits: boolean): unknown => ({ type: "Digits", individual_digits });
  assertEquals(cut(digits(true), "a\u0661\u0662\u00bdb"), ["a", "\u0661", "\u0662", "\u00bd", "b"]);
  assertEquals(cut(digits(false), "a\u0661\u0662\u00bdb"), ["a", "\u0661\u0662\u00bd", "b"]);
  assertEquals(cut({ type: "WhitespaceSplit" }, "a\u0085b\ufeffc"), ["a", "b\ufeffc"]);
  assertEquals(cut({ type: "Whitespace" }, "né-à b"), ["né", "-", "à", "b"]);
  assertEquals(cut({ type: "Punctuation" }, "a,.b"), ["a", ",", ".", "b"]);
  const merged = (behavior: string): unknown => ({
    type: "Split",
    pattern: { String: "-" },
    behavior,
  });
  assertEquals(cut(merged("MergedWithPrevious"), "a--b-"), ["a-", "-", "b-"]);
  assertEquals(cut(merged("MergedWithNext"), "a--b-"), ["a", "-", "-b", "-"]);
  assertEquals(cut(merged("Contiguous"), "a--b-"), ["a", "--", "b", "-"]);
  assertEquals(cut(merged("Removed"), "a--b-"), ["a", "b"]);
});

Deno.test("a cluster becomes what its shortest known prefix stands for; the rest of it is lost", () => {
  // Python: Precompiled(…).normalize_str; U+200D U+0301 is one cluster, and only U+200D is known.
  const normalizer = {
    type: "Precompiled",
    precompiled_charsmap: charsmapOf({ "\u200d": " ", "\ufb01": "fi" }),
  };
  const model = { type: "WordLevel", unk_token: "?", vocab: { "?": 0, " x": 1, "fix": 2 } };
  const tokenizer = loadTokenizer({ normalizer, model });
  assertEquals([...tokenizer.encode("\u200d\u0301x")], [1]);
  assertEquals([...tokenizer.encode("\ufb01x")], [2]);
  const broken = { type: "Precompiled", precompiled_charsmap: "AAAA" };
  assertThrows(() => loadTokenizer({ normalizer: broken, model }), DataError, "its own size");
});

Deno.test("added tokens swallow spaces or want to be whole words as they say", () => {
  const file = {
    ...gpt2(),
    added_tokens: [
      added("<l>", 286, { lstrip: true }),
      added("<r>", 287, { rstrip: true }),
      added("the", 288, { single_word: true, special: false }),
    ],
  };
  const tokenizer = loadTokenizer(file);
  const tokens = (text: string): string =>
    Array.from(tokenizer.encode(text), (id) => tokenizer.idToToken(id)).join("|");
  // Python: the tokens of Tokenizer.from_str(file).encode(text).ids
  assertEquals(tokens("a  <l> b"), "a|<l>|Ġ|b");
  assertEquals(tokens("a <r>  b"), "a|Ġ|<r>|b");
  assertEquals(tokens("the then the."), "the|Ġthe|n|Ġ|the|.");
});

Deno.test("half a character counts as U+FFFD", () => {
  const tokenizer = loadTokenizer(gpt2());
  assertEquals(tokenizer.encode("a\ud83d"), tokenizer.encode("a\ufffd"));
});

Deno.test("what a vocabulary lacks is left out by BPE without an unknown token, as in Python", () => {
  const model = { type: "BPE", merges: [], vocab: { a: 0 } };
  assertEquals([...loadTokenizer({ model }).encode("aba")], [0, 0]);
  assertEquals([
    ...loadTokenizer({ model: { ...model, unk_token: "a", fuse_unk: true } }).encode("bbab"),
  ], [0, 0, 0]);
});

Deno.test("the first word's sign goes from the front of a text, and only there", () => {
  assertEquals(loadTokenizer(t5()).decode([4, 4]), "the the");
  const never = {
    ...t5(),
    decoder: { type: "Metaspace", replacement: "▁", prepend_scheme: "never" },
  };
  assertEquals(loadTokenizer(never).decode([4, 4]), " the the");
  assertEquals(loadTokenizer(llama2()).decode([276, 276]), "the the");
});
