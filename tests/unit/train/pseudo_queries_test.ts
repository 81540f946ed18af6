import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import fc from "fast-check";
import type { Document, Query } from "../../../src/data/types.ts";
import { ConfigError, DataError, ShapeError } from "../../../src/errors.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import {
  bm25Index,
  bm25Search,
  isStopWord,
  loadTokenizer,
  sentences,
  trainStemTokenizer,
  words,
} from "../../../src/text/mod.ts";
import { drawWords, joinPools } from "../../../src/train/pseudo_queries/document_words.ts";
import { fitLogisticRegression } from "../../../src/train/pseudo_queries/logistic_regression.ts";
import {
  createExampleSampler,
  type ExampleMix,
  type ExampleSamplerOptions,
} from "../../../src/train/pseudo_queries/mod.ts";
import {
  type Blank,
  BUILT_IN_TEMPLATES,
  mineTemplate,
} from "../../../src/train/pseudo_queries/templates.ts";
import {
  contentWordsOf,
  DEFAULT_WORD_WEIGHTS,
  fitWordChoice,
  WORD_FEATURES,
  wordOdds,
} from "../../../src/train/pseudo_queries/word_features.ts";

/** Newton's method has converged to rounding. */
const CONVERGED = 1e-9;
/** Five standard errors of a share estimated from a thousand draws or more, each the worst case p = ½. */
const sampled = (draws: number) => 5 * 0.5 / Math.sqrt(draws);

const document = (docId: string, title: string, text: string): Document => ({ docId, title, text });
const query = (queryId: string, text: string, ...docIds: string[]): Query => ({
  queryId,
  query: text,
  docIds,
  answers: [],
});

const DOCUMENTS = [
  document("oil", "1973 oil crisis", "Arab members proclaimed an embargo. Prices rose quickly!"),
  document("moon", "Apollo program", "Kennedy wanted a landing. The first flight came later."),
  document("jelly", "Ctenophora", "Comb jellies swim with cilia. They eat plankton and larvae."),
];
const QUERIES = [
  query("1", "Who\n proclaimed the oil embargo?", "oil"),
  query("2", "Which president wanted a landing?", "moon"),
];

const sampler = (options: Partial<ExampleSamplerOptions> = {}) =>
  createExampleSampler({
    documents: DOCUMENTS,
    trainQueries: QUERIES,
    encode: (piece) => [piece.length, piece.charCodeAt(0)],
    seed: 7,
    ...options,
  });

const only = (mix: ExampleMix, options: Partial<ExampleSamplerOptions> = {}) =>
  sampler({ mix, tokenDropout: 0, unseenShare: 0, ...options }).batch(0, 200);

const ALL: ExampleMix = { real: 1, template: 1, keywords: 1, span: 1, sentence: 1 };

Deno.test("a batch is a function of seed and step alone", () => {
  const one = sampler({ mix: ALL }), two = sampler({ mix: ALL });
  one.batch(0, 50);
  one.batch(9, 3);
  assertEquals(one.batch(4, 20), two.batch(4, 20));
  assertEquals(one.batch(4, 5), two.batch(4, 20).slice(0, 5));
  assertNotEquals(one.batch(4, 20), one.batch(5, 20));
  assertNotEquals(one.batch(4, 20), sampler({ mix: ALL, seed: 8 }).batch(4, 20));
});

Deno.test("the ids of an example are those of the pieces of its text", () => {
  for (const { text, tokenIds } of sampler({ mix: ALL }).batch(1, 500)) {
    const expected = text.split(" ").flatMap((p) => [p.length, p.charCodeAt(0)]);
    assertEquals([...tokenIds], expected);
  }
});

Deno.test("real examples are the questions, with their documents", () => {
  const texts = new Map(
    only({ real: 1 }).map((e) => {
      assertEquals([e.kind, e.isReal], ["real", true]);
      return [e.text, e.doc];
    }),
  );
  assertEquals(
    texts,
    new Map([["Which president wanted a landing?", 1], [
      "Who proclaimed the oil embargo?",
      0,
    ]]),
  );
});

Deno.test("a question with several documents leads to each of them, one without to none", () => {
  const trainQueries = [query("1", "What rose?", "oil", "jelly"), query("2", "Why?")];
  const examples = only({ real: 1 }, { trainQueries });
  assertEquals(new Set(examples.map((e) => e.doc)), new Set([0, 2]));
  assertEquals(new Set(examples.map((e) => e.text)), new Set(["What rose?"]));
});

Deno.test("spans, sentences and keywords are words of their document", () => {
  const whole = (d: number) => `${DOCUMENTS[d].title} ${DOCUMENTS[d].text}`;
  for (const { text, doc } of only({ span: 1 })) {
    assert(` ${whole(doc)} `.includes(` ${text} `), text);
    assert(text.split(" ").length >= 4);
  }
  const drawn = only({ sentence: 1 });
  for (const { text, doc } of drawn) assert(sentences(DOCUMENTS[doc].text).includes(text));
  assertEquals(new Set(drawn.map((e) => e.text)).size, 6);
  for (const { text, doc, isReal } of only({ keywords: 1 })) {
    const list = text.split(" ");
    assertEquals(new Set(list).size, list.length);
    for (const word of list) {
      assert(!isStopWord(word));
      assert(words(whole(doc)).includes(word));
    }
    assertEquals(isReal, false);
  }
});

Deno.test("a template keeps how people ask and takes its content words from the document", () => {
  const trainQueries = Array.from(
    { length: 100 },
    (_, i) => query(`${i}`, "Who proclaimed the oil embargo, really?", "oil"),
  );
  const examples = only({ template: 1 }, { trainQueries });
  for (const { text, doc } of examples) {
    const match = /^Who (\S+) the (\S+) (\S+), really\?$/.exec(text);
    assert(match, text);
    const fill = match.slice(1);
    assertEquals(new Set(fill).size, 3);
    for (const word of fill) {
      assert(words(`${DOCUMENTS[doc].title} ${DOCUMENTS[doc].text}`).includes(word), word);
    }
  }
  assertEquals(new Set(examples.map((e) => e.doc)), new Set([0, 1, 2]));
});

/** A hundred questions, so that no built-in template joins them: three blanks, asked by title. */
const THREE_BLANKS = Array.from(
  { length: 100 },
  (_, i) => query(`${i}`, "Who knew the 1973 oil crisis?", "oil"),
);

Deno.test("the words of a template come from one sentence and the title more often than not", () => {
  const one = "red green blue white black brown", two = "cats dogs cows pigs hens ducks";
  const documents = [
    ...DOCUMENTS,
    document("new", "Zebra", `${one}. ${two[0].toUpperCase()}${two.slice(1)}.`),
  ];
  const options = { documents, trainQueries: THREE_BLANKS, mix: { template: 1 }, tokenDropout: 0 };
  const examples = sampler({ ...options, unseenShare: 1 }).batch(0, 3000).filter((e) =>
    e.doc === 3
  );
  const count = (isSo: (text: string) => boolean) =>
    examples.filter(({ text }) => isSo(text)).length / examples.length;
  const uses = (list: string) => (text: string) =>
    words(text).some((w) => list.split(" ").includes(w.toLowerCase()));
  // Two sentences or the whole are allowed to mix in 22.5 % × ½ + 25 %, and mostly
  // do so; all of them would be about a third.
  const mixed = count((text) => uses(one)(text) && uses(two)(text));
  assert(mixed > 0.1 && mixed < 0.25, `${mixed}`);
  // The title's word could be there only when the whole document may be used, if not for this rule.
  const titled = count(uses("zebra"));
  assert(titled > 0.5, `${titled}`);
});

Deno.test("a sentence with too few words for a template leaves it to the document", () => {
  const documents = [DOCUMENTS[0], document("new", "", "Ships sail. Winds blow. Birds fly.")];
  const examples = only({ template: 1 }, { documents, trainQueries: THREE_BLANKS });
  for (const { text } of examples) assertEquals(text.split(" ").length, 6, text);
});

Deno.test("likelier words are drawn more often", () => {
  const documents = [
    document("a", "", "Quartz quartz quartz quartz melts under certain pressures"),
  ];
  const first = only({ keywords: 1 }, { documents, trainQueries: [] })
    .filter(({ text }) => text.startsWith("Quartz")).length;
  assert(first > 200 / 4 * 1.5, `${first} of 200, where chance is a quarter`);
});

Deno.test("kinds are drawn as often as the mix says, documents without questions too", () => {
  const size = 4000;
  const { isUnseen, batch } = sampler({ mix: { real: 2, template: 1, span: 1 }, unseenShare: 0.4 });
  assertEquals([...isUnseen], [0, 0, 1]);
  const examples = batch(0, size);
  const share = (kind: string) => examples.filter((e) => e.kind === kind).length / size;
  assertAlmostEquals(share("real"), 0.5, sampled(size));
  assertAlmostEquals(share("template"), 0.25, sampled(size));
  assertAlmostEquals(share("span"), 0.25, sampled(size));
  const made = examples.filter((e) => !e.isReal);
  // Redirected with probability 0.4, else one of three: 0.4 + 0.6 / 3.
  const toUnseen = made.filter((e) => e.doc === 2).length / made.length;
  assertAlmostEquals(toUnseen, 0.6, sampled(made.length));
});

Deno.test("each word is dropped with the given probability, but never all", () => {
  const left = sampler({ mix: { real: 1 }, tokenDropout: 0.3 }).batch(0, 2000);
  const kept = left.reduce((n, { text }) => n + text.split(" ").length, 0) / (2000 * 5);
  assertAlmostEquals(kept, 0.7, sampled(10_000));
  for (const { text } of sampler({ mix: ALL, tokenDropout: 1 }).batch(0, 50)) assert(text !== "");
});

Deno.test("without questions everything is made, and no document counts as unseen", () => {
  const { isUnseen, minedTemplates, batch } = sampler({ trainQueries: [] });
  assertEquals([[...isUnseen], minedTemplates], [[0, 0, 0], 0]);
  const examples = batch(0, 300);
  assert(examples.every((e) => e.kind === "template" && e.text !== "" && !e.isReal));
  assertEquals(new Set(examples.map((e) => e.doc)), new Set([0, 1, 2]));
});

Deno.test("a document of stop words alone can be drawn from", () => {
  const documents = [document("a", "", "To be or not to be.")];
  const options = { documents, trainQueries: [], mix: { ...ALL, real: 0 } };
  assert(sampler(options).batch(0, 100).every(({ text }) => text !== ""));
});

Deno.test("what cannot be drawn from is named", () => {
  assertThrows(() => sampler({ documents: [] }), DataError, "there are no documents");
  assertThrows(
    () => sampler({ trainQueries: [query("9", "Why?", "nowhere")] }),
    DataError,
    'question "9" names document "nowhere"',
  );
  assertThrows(
    () => sampler({ documents: [...DOCUMENTS, document("void", "", " ")] }),
    DataError,
    'document "void" has no words',
  );
  assertThrows(() => sampler({ mix: { real: 0 } }), ConfigError, "mix: every share is 0");
  assertThrows(() => sampler({ mix: { real: 1 }, trainQueries: [] }), ConfigError, "no questions");
  assertThrows(() => sampler({ mix: { span: -1 } }), ConfigError, "mix.span: is -1");
  const error = assertThrows(() => sampler({ tokenDropout: 2, unseenShare: NaN }), ConfigError);
  assertEquals(error.problems.map(({ key }) => key), ["tokenDropout", "unseenShare"]);
});

Deno.test("templates blank what the document says and keep the rest", () => {
  const inDocument = new Set(["French", "resistance", "battles"]);
  assertEquals(
    mineTemplate("Which «French» battles, if any, met resistance?", (w) => inDocument.has(w)),
    ["Which", { after: "»" }, { after: "," }, "if", "any,", "met", { after: "?" }],
  );
  assertEquals(mineTemplate("Who was the first?", () => true), [
    "Who",
    "was",
    "the",
    { after: "?" },
  ]);
  assertEquals(mineTemplate("Why did they?", () => true), undefined);
  for (const form of BUILT_IN_TEMPLATES) {
    const blanks = form.filter((piece): piece is Blank => typeof piece !== "string");
    assert(blanks.length >= 1 && blanks.every(({ after }) => /^\??$/.test(after)));
    for (const piece of form) assert(typeof piece !== "string" || !piece.includes("_"));
  }
});

Deno.test("words are drawn without repetition, in proportion to their odds", () => {
  const pool = { pieces: Int32Array.of(10, 20, 30), odds: Float64Array.of(1, 2, 5) };
  const draws = 4000;
  const random = randomStream({ seed: 1, stream: "test", step: 0 });
  const first = new Map<number, number>();
  let thirtyThenTen = 0;
  for (let i = 0; i < draws; i++) {
    const [a, b, ...rest] = drawWords(pool, 2, random);
    assert(a !== b && rest.length === 0);
    first.set(a, (first.get(a) ?? 0) + 1 / draws);
    if (a === 30 && b === 10) thirtyThenTen += 1 / draws;
  }
  assertAlmostEquals(first.get(10)!, 1 / 8, sampled(draws));
  assertAlmostEquals(first.get(20)!, 2 / 8, sampled(draws));
  assertAlmostEquals(thirtyThenTen, 5 / 8 * 1 / 3, sampled(draws));
  assertEquals(new Set(drawWords(pool, 9, random)), new Set([10, 20, 30]));
  const more = { pieces: Int32Array.of(30, 40), odds: Float64Array.of(5, 7) };
  assertEquals(joinPools(pool, more), {
    pieces: Int32Array.of(10, 20, 30, 40),
    odds: Float64Array.of(1, 2, 5, 7),
  });
});

Deno.test("the regression finds the log-odds of each cell of a table", () => {
  // x = 0: 1 of 4 positive; x = 1: 4 of 5. Intercept ln(1/3), slope ln(4) − ln(1/3).
  const x = [0, 0, 0, 0, 1, 1, 1, 1, 1], y = [1, 0, 0, 0, 1, 1, 1, 1, 0];
  const [intercept, slope] = fitLogisticRegression(x.flatMap((v) => [1, v]), y, {
    width: 2,
    ridge: 1e-12,
  });
  assertAlmostEquals(intercept, Math.log(1 / 3), CONVERGED);
  assertAlmostEquals(slope, Math.log(12), CONVERGED);
});

Deno.test("where the regression ends, the penalised likelihood is flat", () => {
  const row = fc.tuple(fc.double({ min: -2, max: 2, noNaN: true }), fc.boolean());
  fc.assert(fc.property(fc.array(row, { minLength: 2, maxLength: 20 }), (rows) => {
    const w = fitLogisticRegression(rows.flatMap(([x]) => [1, x]), rows.map(([, y]) => y ? 1 : 0), {
      width: 2,
    });
    for (const f of [0, 1]) {
      const slope = rows.reduce((sum, [x, y]) => {
        const p = 1 / (1 + Math.exp(-w[0] - w[1] * x));
        return sum + ((y ? 1 : 0) - p) * (f === 0 ? 1 : x);
      }, -w[f]);
      assertAlmostEquals(slope, 0, CONVERGED);
    }
  }));
  assertThrows(() => fitLogisticRegression([1, 2, 3], [1], { width: 2 }), ShapeError, "rows of 2");
});

Deno.test("features of a word, worked by hand", () => {
  const [content] = contentWordsOf(
    [document("a", "Oil", "12 Oil and oils rose"), document("b", "", "Rose")],
    (word) => word.toLowerCase().replace(/s$/, ""),
  );
  const features = (stem: string) =>
    Object.fromEntries(WORD_FEATURES.map((name, f) => [name, content.get(stem)!.features[f]]));
  // N = 2; oil is in one: idf = ln(1 + 1.5/1.5) = ln 2. Words: Oil 12 Oil and oils rose.
  assertEquals([...content.keys()], ["oil", "12", "rose"]);
  assertEquals(content.get("oil")!.word, "Oil");
  assertEquals(features("oil"), {
    one: 1,
    idf: Math.LN2,
    idfSquared: Math.LN2 ** 2 / 10,
    logCount: Math.log(3),
    position: 0,
    isInTitle: 1,
    capitalised: 2 / 3,
    isNumber: 0,
    length: 0.3,
  });
  assertEquals([features("12").isNumber, features("12").position], [1, 1 / 6]);
  assertEquals(features("12").isInTitle, 0);
  assertEquals(features("rose").idf, Math.log(1 + 0.5 / 2.5));
});

Deno.test("words that questions use become likelier, with enough questions to tell", () => {
  const content = contentWordsOf(DOCUMENTS, (word) => word.toLowerCase());
  const inTitle = (d: number) =>
    [...content[d].values()].filter((w) => w.features[WORD_FEATURES.indexOf("isInTitle")] === 1)
      .map(({ stem }) => stem);
  const questions = Array.from({ length: 60 }, (_, i) => ({
    stems: new Set(inTitle(i % 3)),
    doc: i % 3,
  }));
  assertEquals(fitWordChoice(content, questions.slice(0, 29)), DEFAULT_WORD_WEIGHTS);
  const weights = fitWordChoice(content, questions);
  for (const [stem, word] of content[0]) {
    const isLikely = wordOdds(word, weights) > 1;
    assertEquals(isLikely, inTitle(0).includes(stem), stem);
  }
});

Deno.test("of many questions every so-maniest is looked at", () => {
  const content = contentWordsOf(DOCUMENTS, (word) => word.toLowerCase());
  const random = randomStream({ seed: 1, stream: "test", step: 0 });
  const questions = Array.from({ length: 2000 }, () => {
    const doc = random.int(3);
    return { stems: new Set([...content[doc].keys()].filter(() => random.int(2) === 0)), doc };
  });
  assertEquals(
    fitWordChoice(content, questions.flatMap((q) => [q, q])),
    fitWordChoice(content, questions),
  );
  const first = questions.map(() => questions[0]);
  assertNotEquals(fitWordChoice(content, questions), fitWordChoice(content, first));
});

const SHARED = new URL("../../../../shared/data/squad_dsi_100/", import.meta.url);
const readLines = (name: string) =>
  Deno.readTextFileSync(new URL(name, SHARED)).trim().split("\n").map((line) => JSON.parse(line));
let isThere = true;
try {
  Deno.statSync(SHARED);
} catch {
  isThere = false;
  console.log("skipped: made questions on SQuAD, because ../shared/data/squad_dsi_100 is missing");
}

/** Share of the questions for which BM25 puts the right document first. */
function bm25HitsAt1(options: { mix: ExampleMix; isShuffled?: boolean }): number {
  const documents: Document[] = readLines("docs.jsonl").map((d) =>
    document(d.doc_id, d.title, d.text)
  );
  const trainQueries: Query[] = readLines("queries.train.jsonl").map((q) =>
    query(q.query_id, q.query, ...q.doc_ids)
  );
  const stems = loadTokenizer(trainStemTokenizer(documents.map((d) => `${d.title}\n${d.text}`)));
  const encode = (text: string) => stems.encode(text);
  const index = bm25Index(documents.map((d) => encode(`${d.title}\n${d.text}`)), stems.vocabSize);
  const { batch } = createExampleSampler({
    documents,
    trainQueries,
    stems,
    encode,
    seed: 1,
    mix: options.mix,
    tokenDropout: 0,
  });
  const examples = batch(0, 600);
  return examples.filter(({ tokenIds, doc }, i) => {
    const right = options.isShuffled ? examples[(i + 1) % examples.length].doc : doc;
    return bm25Search(index, tokenIds, 1).docs[0] === right;
  }).length / examples.length;
}

Deno.test({
  name: "made questions on SQuAD lead to their document about as often as real ones do",
  ignore: !isThere,
  fn(): void {
    const real = bm25HitsAt1({ mix: { real: 1 } }), made = bm25HitsAt1({ mix: { template: 1 } });
    // Real training questions: .85 here, made ones .86. Made ones must be neither much easier nor hopeless.
    assert(made > real - 0.25 && made < real + 0.1, `${made} beside ${real}`);
    assert(bm25HitsAt1({ mix: { template: 1 }, isShuffled: true }) < 0.05);
  },
});
