import { assert, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { loadTokenizer, type Tokenizer, trainStemTokenizer } from "../../../src/text/mod.ts";

const TEXTS = [
  "The U.S. used 12,000 barrels; US$3 oils' prices, O'Brien's uses.",
  "Using, running, planned, adding, noted, needed, string, being, studies, studied, tied, crises, " +
  "crisis, churches, glasses, bus",
  "Café CAFÉ naïve ﬁsh ½ Ὀδυσσεύς ΟΔΥΣΣΕΥΣ İstanbul Straße 1973's",
  "happily treatments kindness creation created controlled controlling note not",
];

function tokensOf(tokenizer: Tokenizer, text: string): string {
  return Array.from(tokenizer.encode(text), (id) => tokenizer.idToToken(id)).join(" ");
}

/** A tokenizer that knows every stem of `text`. */
function stemsOf(text: string): string {
  return tokensOf(loadTokenizer(trainStemTokenizer([text])), text);
}

Deno.test("stems and ids are those that Python's tokenizers reads from the same file", () => {
  // tokenizers 0.23.2, Tokenizer.from_file on this very file, of each of TEXTS.
  const expected: [string, number[]][] = [
    [
      "the us use 12000 barrel us 3 oil price o brien use",
      [37, 9, 2, 12, 17, 9, 15, 31, 33, 30, 19, 2],
    ],
    [
      "use run plan add note need string be studi studi tie crise crise church glass bus",
      [2, 34, 32, 16, 7, 28, 36, 18, 8, 8, 38, 6, 6, 21, 23, 20],
    ],
    [
      "cafe cafe naiv fish 1 2 οδυσσευσ οδυσσευσ istanbul straße 1973",
      [3, 3, 27, 22, 11, 14, 10, 10, 25, 35, 13],
    ],
    [
      "happi treat kind creat creat control control note not",
      [24, 39, 26, 5, 5, 4, 4, 7, 29],
    ],
  ];
  const tokenizer = loadTokenizer(trainStemTokenizer(TEXTS));
  TEXTS.forEach((text, i) => {
    assertEquals([tokensOf(tokenizer, text), [...tokenizer.encode(text)]], expected[i]);
  });
});

Deno.test("inflections of a word meet in one stem", () => {
  const families = [
    "use uses used using",
    "price prices priced pricing",
    "plan plans planned planning",
    "plane planes",
    "party parties party's",
    "study studies studied studying",
    "tie ties tied",
    "cause causes caused causing",
    "control controls controlled controlling",
    "crisis crises",
    "analysis analyses analyse analysed",
    "class classes",
    "create creates created creating creation",
    "quick quickly",
    "movie movies",
    "add adds added adding",
    "need needs needed needing",
    "U.S. US US's us",
  ];
  for (const family of families) {
    assertEquals(new Set(stemsOf(family).split(" ")).size, 1, `${family}: ${stemsOf(family)}`);
  }
});

Deno.test("words that only look inflected, or differ by a final e, stay apart", () => {
  for (
    const word of ["this", "bus", "glass", "is", "string", "king", "red", "need", "feed", "us"]
  ) {
    assertEquals(stemsOf(word), word);
  }
  for (const pair of ["note not", "plane plan", "car care", "use us", "hope hop", "site sit"]) {
    assertEquals(new Set(stemsOf(pair).split(" ")).size, 2, pair);
  }
});

Deno.test("numbers and scripts survive", () => {
  assertEquals(stemsOf("In 1973: US$3.50, 12,000 and 1,23"), "in 1973 us 3 50 12000 and 1 23");
  assertEquals(stemsOf("Москва 東京 O’Brien’s x²"), "москва 東京 o brien x2");
  assertEquals(stemsOf(" -- \n"), "");
});

Deno.test("ids fall with frequency; rare stems become unknown", () => {
  const texts = ["b a b c", "b a d"];
  const vocab = (options: Parameters<typeof trainStemTokenizer>[1]) =>
    trainStemTokenizer(texts, options).model.vocab;
  assertEquals(vocab({}), { "<pad>": 0, "<unk>": 1, b: 2, a: 3, c: 4, d: 5 });
  assertEquals(vocab({ minFrequency: 2 }), { "<pad>": 0, "<unk>": 1, b: 2, a: 3 });
  assertEquals(vocab({ maxVocab: 3 }), { "<pad>": 0, "<unk>": 1, b: 2 });
  const tokenizer = loadTokenizer(trainStemTokenizer(texts, { maxVocab: 3 }));
  assertEquals([...tokenizer.encode("<pad> b")], [1, 2]);
  assertEquals([tokenizer.padId, tokenizer.unkId, tokenizer.vocabSize], [0, 1, 3]);
});

Deno.test("stop words leave no token; whole words can be kept", () => {
  const stop = loadTokenizer(trainStemTokenizer(TEXTS, { stopWords: ["the", "o", "3"] }));
  assertEquals(tokensOf(stop, TEXTS[0]), "us use 12000 barrel us oil price brien use");
  const whole = loadTokenizer(trainStemTokenizer(TEXTS, { stem: false, stopWords: ["the"] }));
  assertEquals(
    tokensOf(whole, TEXTS[0]),
    "u s used 12 000 barrels us 3 oils prices o brien s uses",
  );
});

Deno.test("every word of the training texts has an id, however the texts are written", () => {
  fc.assert(fc.property(fc.array(fc.string({ unit: "grapheme" })), (texts) => {
    const tokenizer = loadTokenizer(trainStemTokenizer(texts));
    for (const ids of tokenizer.encodeBatch(texts)) {
      assert(ids.every((id) => id >= 2 && id < tokenizer.vocabSize));
    }
  }));
});

Deno.test("options out of range are named", () => {
  assertThrows(() => trainStemTokenizer([], { minFrequency: 0 }), DataError, "minFrequency is 0");
  assertThrows(() => trainStemTokenizer([], { maxVocab: 2 }), DataError, "maxVocab is 2");
  for (const word of ["The", "don't", "", "(a|b)"]) {
    assertThrows(() => trainStemTokenizer([], { stopWords: [word] }), DataError, "as a stop word");
  }
});
