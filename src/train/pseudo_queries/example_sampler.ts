/** Draws training examples for an index: real questions and made ones. @module */
import type { Document, Query } from "../../data/types.ts";
import { ConfigError, type ConfigProblem, DataError } from "../../errors.ts";
import { type RandomStream, randomStream } from "../../tensor/random.ts";
import { trainStemTokenizer } from "../../text/stem_tokenizer.ts";
import { loadTokenizer, type Tokenizer } from "../../text/tokenizer.ts";
import { isStopWord, words } from "../../text/words.ts";
import {
  type DocumentWords,
  documentWords,
  drawWords,
  joinPools,
  type WordPool,
} from "./document_words.ts";
import { PieceTable } from "./pieces.ts";
import { type Blank, BUILT_IN_TEMPLATES, FEWEST_TEMPLATES, mineTemplate } from "./templates.ts";
import {
  EXAMPLE_KINDS,
  type ExampleKind,
  type ExampleMix,
  type ExampleSampler,
  type ExampleSamplerOptions,
  type PseudoQuery,
} from "./types.ts";
import { contentWordsOf, fitWordChoice, type StemmedQuestion } from "./word_features.ts";

/** Two questions to one template: measured in docs/log.md. */
const DEFAULT_MIX: ExampleMix = { real: 2, template: 1 };

/** Where the words of a template's blanks come from: one sentence, two sentences, else the document. */
const ONE_SENTENCE = 0.525, TWO_SENTENCES = 0.225;

/** Shortest and longest span, in pieces. */
const SPAN = [4, 16] as const;

/** Content words of a made-up question where there are no real ones to learn their number from. */
const USUAL_WORD_COUNTS = [2, 3, 3, 4, 4, 5, 6];

interface Question {
  readonly pieces: Int32Array;
  readonly docs: readonly number[];
}

/** Blanks keep what follows them; the rest are numbered pieces. */
type CompiledTemplate = readonly (number | Blank)[];

/**
 * A sampler of training examples.
 *
 * Each example first draws its kind by `mix`. A real one then draws a question, and one of its documents.
 * A made one draws a document: with probability `unseenShare` among those without a training question,
 * which nothing else would train, else among all. A template's blanks are filled with content words of
 * one sentence and the title, now and then of two sentences or the whole document. Which of them is
 * decided by a logistic regression over rarity, place, title, capitals, …, fitted to the real questions.
 * At last each word is dropped with probability `tokenDropout`; if all were, none is.
 *
 * Source: the idea of training on generated queries is Nogueira and Lin 2019 ("docTTTTTquery") and
 * Zhuang et al. 2022 ("DSI-QG"). Departure: templates and word statistics instead of a neural generator.
 *
 * Where a question has several right documents, templates and regression look at its first one. Without
 * questions there are no real examples, templates are the built-in ones and the
 * regression has fixed weights.
 *
 * @param options See {@linkcode ExampleSamplerOptions}
 * @throws {DataError} If there is no document, a document has no words, or a question names a document
 *   that does not exist
 * @throws {ConfigError} If a share is outside [0, 1], or nothing in `mix` can be drawn
 * @example
 * ```ts
 * import { createExampleSampler } from "./example_sampler.ts";
 * import { assertEquals } from "@std/assert";
 * const sampler = createExampleSampler({
 *   documents: [{ docId: "a", title: "Oil crisis", text: "The embargo began in October 1973." }],
 *   trainQueries: [{ queryId: "1", query: "When did it begin?", docIds: ["a"], answers: [] }],
 *   encode: (word) => [word.length],
 *   seed: 1,
 *   mix: { real: 1 },
 *   tokenDropout: 0,
 * });
 * const [example] = sampler.batch(0, 1);
 * assertEquals(example.text, "When did it begin?");
 * assertEquals([...example.tokenIds], [4, 3, 2, 6]);
 * assertEquals([example.doc, example.isReal], [0, true]);
 * ```
 */
export function createExampleSampler(options: ExampleSamplerOptions): ExampleSampler {
  const { documents, seed, tokenDropout = 0.15, unseenShare = 0.1 } = options;
  const pieces = new PieceTable(options.encode);
  const trainQueries = withDocuments(documents, options.trainQueries);
  const questions: Question[] = trainQueries.map(({ query, docs }) => ({
    pieces: pieces.addAll(query),
    docs,
  }));
  const shares = kindShares(options.mix ?? DEFAULT_MIX, questions.length > 0);
  checkShares({ tokenDropout, unseenShare });

  const stemOf = stemmer(options.stems ?? stemsOf(documents));
  const content = contentWordsOf(documents, stemOf);
  const stemmed: StemmedQuestion[] = trainQueries.map(({ query, docs }) => ({
    stems: new Set(words(query).filter((word) => !isStopWord(word)).map(stemOf)),
    doc: docs[0],
  }));
  const weights = fitWordChoice(content, stemmed);
  const prepared = documents.map((document, d): DocumentWords =>
    documentWords(document, content[d], { stemOf, weights, pieces })
  );
  const empty = prepared.findIndex(({ all }) => all.length === 0);
  if (empty >= 0) {
    throw new DataError(
      `Cannot draw examples: document ${JSON.stringify(documents[empty].docId)} has no words`,
    );
  }

  const mined = trainQueries.map(({ query, docs }) =>
    mineTemplate(query, (word) => content[docs[0]].has(stemOf(word)))
  ).filter((template) => template !== undefined);
  const forms = mined.length >= FEWEST_TEMPLATES ? mined : [...mined, ...BUILT_IN_TEMPLATES];
  const templates: CompiledTemplate[] = forms.map((form) =>
    form.map((piece) => typeof piece === "string" ? pieces.add(piece) : piece)
  );
  const matches = stemmed.map(({ stems, doc }) =>
    [...stems].filter((stem) => content[doc].has(stem)).length
  );
  const wordCounts = matches.length > 0 ? matches.map((n) => Math.max(1, n)) : USUAL_WORD_COUNTS;

  const isUnseen = new Uint8Array(documents.length).fill(questions.length > 0 ? 1 : 0);
  for (const { docs } of questions) for (const doc of docs) isUnseen[doc] = 0;
  const unseen = [...isUnseen.keys()].filter((d) => isUnseen[d]);

  const draw: Record<Exclude<ExampleKind, "real">, Draw> = {
    template: (document, random) => {
      const template = templates[random.int(templates.length)];
      const blanks = template.reduce<number>(
        (n, piece) => n + (typeof piece === "object" ? 1 : 0),
        0,
      );
      const fill = drawWords(localPool(document, blanks, random), blanks, random);
      let used = 0;
      return template.flatMap((piece) => {
        if (typeof piece === "number") return piece;
        const word = fill[used++];
        if (word === undefined) return [];
        return piece.after === "" ? word : pieces.add(pieces.text(word) + piece.after);
      });
    },
    keywords: ({ pool }, random) =>
      drawWords(pool, wordCounts[random.int(wordCounts.length)] + random.int(3), random),
    span: ({ all }, random) => {
      const length = SPAN[0] + random.int(SPAN[1] - SPAN[0] + 1);
      const from = random.int(Math.max(1, all.length - length + 1));
      return [...all.subarray(from, from + length)];
    },
    sentence: ({ sentences }, random) => [...sentences[random.int(sentences.length)]],
  };

  const drawOne = (random: RandomStream): PseudoQuery => {
    const kind = EXAMPLE_KINDS[random.choose(shares)];
    let doc: number, drawn: ArrayLike<number>;
    if (kind === "real") {
      const question = questions[random.int(questions.length)];
      doc = question.docs[random.int(question.docs.length)];
      drawn = question.pieces;
    } else {
      const toUnseen = unseen.length > 0 && random.uniform() < unseenShare;
      doc = toUnseen ? unseen[random.int(unseen.length)] : random.int(documents.length);
      drawn = draw[kind](prepared[doc], random);
    }
    const kept = dropOut(drawn, tokenDropout, random);
    return {
      text: kept.map((n) => pieces.text(n)).join(" "),
      tokenIds: concatenate(kept.map((n) => pieces.ids(n))),
      doc,
      kind,
      isReal: kind === "real",
    };
  };

  return {
    isUnseen,
    minedTemplates: mined.length,
    batch: (step, size) => {
      const random = randomStream({ seed, stream: "examples", step });
      return Array.from({ length: size }, () => drawOne(random));
    },
  };
}

type Draw = (document: DocumentWords, random: RandomStream) => number[];

/** Content words of one sentence, of two, or of all: see {@linkcode createExampleSampler}. */
function localPool(document: DocumentWords, count: number, random: RandomStream): WordPool {
  const { sentencePools, pool } = document;
  const u = random.uniform();
  if (u >= ONE_SENTENCE + TWO_SENTENCES) return pool;
  let local = sentencePools[random.int(sentencePools.length)];
  if (u >= ONE_SENTENCE) {
    local = joinPools(local, sentencePools[random.int(sentencePools.length)]);
  }
  return local.pieces.length < count ? pool : local;
}

/** Leave out pieces with a probability; all of them stay if none would. */
function dropOut(drawn: ArrayLike<number>, probability: number, random: RandomStream): number[] {
  const all = Array.from(drawn);
  if (probability === 0) return all;
  const kept = all.filter(() => random.uniform() >= probability);
  return kept.length > 0 ? kept : all;
}

function concatenate(parts: readonly Int32Array[]): Int32Array {
  const out = new Int32Array(parts.reduce((n, part) => n + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Questions that have a right document, with its index instead of its id. */
function withDocuments(
  documents: readonly Document[],
  queries: readonly Query[],
): { readonly query: string; readonly docs: readonly number[] }[] {
  if (documents.length === 0) throw new DataError("Cannot draw examples: there are no documents");
  const index = new Map(documents.map(({ docId }, d) => [docId, d]));
  return queries.filter(({ docIds }) => docIds.length > 0).map(({ query, queryId, docIds }) => ({
    query,
    docs: docIds.map((docId) => {
      const doc = index.get(docId);
      if (doc === undefined) {
        throw new DataError(
          `Cannot draw examples: question ${JSON.stringify(queryId)} names document ` +
            `${JSON.stringify(docId)}, which does not exist`,
        );
      }
      return doc;
    }),
  }));
}

/** Weight of each kind, that of real questions 0 where there are none. */
function kindShares(mix: ExampleMix, hasQuestions: boolean): number[] {
  const problems: ConfigProblem[] = [];
  for (const [kind, share] of Object.entries(mix)) {
    if (!(share >= 0 && share < Infinity)) {
      problems.push({ key: `mix.${kind}`, message: `is ${share}; it must be 0 or more` });
    }
  }
  const shares = EXAMPLE_KINDS.map((kind) => kind === "real" && !hasQuestions ? 0 : mix[kind] ?? 0);
  if (problems.length === 0 && shares.every((share) => share === 0)) {
    const why = hasQuestions
      ? "every share is 0"
      : "there are no questions and nothing else is drawn";
    problems.push({
      key: "mix",
      message: `${why}; give template, keywords, span or sentence a share`,
    });
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return shares;
}

function checkShares(shares: Readonly<Record<string, number>>): void {
  const problems = Object.entries(shares).filter(([, share]) => !(share >= 0 && share <= 1))
    .map(([key, share]) => ({ key, message: `is ${share}; it must be from 0 to 1` }));
  if (problems.length > 0) throw new ConfigError(problems);
}

/** Stems of the words of the documents themselves. */
function stemsOf(documents: readonly Document[]): Tokenizer {
  return loadTokenizer(
    trainStemTokenizer(documents.map(({ title, text }) => `${title}\n${text}`)),
  );
}

/** Stem of a word as a string, each worked out once; `""` for a word no document has. */
function stemmer(tokenizer: Tokenizer): (word: string) => string {
  const known = new Map<string, string>();
  return (word) => {
    let stem = known.get(word);
    if (stem === undefined) {
      const ids = [...tokenizer.encode(word, { addSpecialTokens: false })];
      stem = ids.filter((id) => id !== tokenizer.unkId).map((id) => tokenizer.idToToken(id)).join(
        " ",
      );
      known.set(word, stem);
    }
    return stem;
  };
}
