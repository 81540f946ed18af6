/** A dataset made from a seed: everything runs on it with no download. @module */
import { DataError } from "../../errors.ts";
import { randomStream } from "../../tensor/random.ts";
import type { Dataset, Document, Query } from "../types.ts";
import { Asker } from "./questions.ts";
import { type Article, writeArticle } from "./render.ts";
import { makeWorld, type Thing } from "./world.ts";

/** Choices of {@linkcode syntheticDataset}. */
export interface SyntheticOptions {
  /** Equal options give equal datasets on every machine. */
  seed: number;
  /** Number of documents, 20 to 20,000. Default 300. */
  documents?: number;
  /** Training questions a document that has any. Default 6. */
  trainQuestions?: number;
  /** Held-out questions a document. Default 2. */
  devQuestions?: number;
  /** Share of documents without any training question. Default 0.15. */
  withoutTraining?: number;
}

const MIN_DOCUMENTS = 20;
const MAX_DOCUMENTS = 20_000;
/** Share of a document's facts that only held-out questions use. */
const RESERVED_SHARE = 0.3;

/**
 * Readable English about an invented world: towns, people, companies, festivals, animals, planets,
 * ships and instruments, each with a document of four to six sentences and questions in two parts.
 *
 * - Each question has exactly one right document: it names a thing by its unique name, or it
 *   describes one by facts that no other thing of the kind shares.
 * - `train` and `dev` never share a wording, and about a third of a document's facts are asked for in
 *   `dev` only. So `dev` is a real test.
 * - Questions mostly avoid the words of the document ("a foamy drink" for barley beer). What means
 *   what can be learned from the training questions about *other* documents.
 *
 * @throws {DataError} If an option is out of range
 * @example
 * ```ts
 * import { syntheticDataset } from "./synthetic_dataset.ts";
 * import { assertEquals } from "@std/assert";
 * const { documents, queries } = syntheticDataset({ seed: 1, documents: 50 });
 * assertEquals([documents.length, Object.keys(queries)], [50, ["train", "dev"]]);
 * assertEquals(queries.dev.every((query) => query.docIds.length === 1), true);
 * ```
 */
export function syntheticDataset(options: SyntheticOptions): Dataset {
  const {
    seed,
    documents: size = 300,
    trainQuestions = 6,
    devQuestions = 2,
    withoutTraining = 0.15,
  } = options;
  checkRange("seed", seed, { min: 0, max: Number.MAX_SAFE_INTEGER });
  checkRange("documents", size, { min: MIN_DOCUMENTS, max: MAX_DOCUMENTS });
  checkRange("trainQuestions", trainQuestions, { min: 0, max: 12 });
  checkRange("devQuestions", devQuestions, { min: 0, max: 6 });
  checkRange("withoutTraining", withoutTraining, { min: 0, max: 1, isShare: true });

  const world = makeWorld(seed, size);
  const asker = new Asker(world);
  const isTrained = chooseTrained(seed, size, withoutTraining);
  const documents: Document[] = [], train: Query[] = [], dev: Query[] = [];
  for (const [i, thing] of world.entries()) {
    const stream = (purpose: string) =>
      randomStream({ seed, stream: `synthetic/${purpose}`, step: i });
    const article = writeArticle(thing, rivalOf(thing, world, i), stream("article"));
    const docId = slug(thing.title);
    documents.push({ docId, title: thing.title, text: article.text });

    const isReserved = reserve(article, (keys) => stream("reserve").shuffle(keys));
    const isStated = (keys: readonly string[]) => keys.every((key) => article.stated.has(key));
    const add = (part: "train" | "dev", into: Query[], isAllowed: Rule[]) => {
      const asked = asker.ask(thing, part, { random: stream(part), isAllowed });
      for (const [n, { query, answer }] of asked.entries()) {
        into.push({
          queryId: `${docId}-${part}-${n + 1}`,
          query,
          docIds: [docId],
          answers: [answer],
        });
      }
    };
    const isOpen: Rule = (keys) => isStated(keys) && !keys.some(isReserved);
    const isNew: Rule = (keys) => isStated(keys) && keys.some(isReserved);
    add("train", train, Array(isTrained[i] ? trainQuestions : 0).fill(isOpen));
    // Every other held-out question is about a fact that no training question touches.
    add("dev", dev, Array.from({ length: devQuestions }, (_, n) => n % 2 === 0 ? isNew : isStated));
  }
  return { documents, queries: { train, dev } };
}

type Rule = (keys: readonly string[]) => boolean;

/** Which documents have training questions: all but exactly the wanted share. */
function chooseTrained(seed: number, size: number, withoutTraining: number): boolean[] {
  const untrained = Math.round(size * withoutTraining);
  const stream = randomStream({ seed, stream: "synthetic/untrained", step: size });
  return stream.shuffle(Array.from({ length: size }, (_, i) => i >= untrained));
}

/** Facts that only held-out questions use: at least one, and never all. */
function reserve(
  article: Article,
  shuffle: (keys: string[]) => string[],
): (key: string) => boolean {
  const keys = shuffle([...article.stated]);
  const reserved = new Set(keys.slice(0, Math.max(1, Math.floor(keys.length * RESERVED_SHARE))));
  return (key) => reserved.has(key);
}

/** The next thing of the same kind, going round. */
function rivalOf(thing: Thing, world: readonly Thing[], at: number): Thing | undefined {
  for (let step = 1; step < world.length; step++) {
    const other = world[(at + step) % world.length];
    if (other.kind === thing.kind) return other;
  }
  return undefined;
}

function slug(title: string): string {
  return title.toLowerCase().replace(/[^a-z0-9]+/g, "-");
}

function checkRange(
  name: string,
  value: number,
  range: { min: number; max: number; isShare?: boolean },
): void {
  const isRight = (range.isShare || Number.isInteger(value)) && value >= range.min &&
    value <= range.max;
  if (isRight) return;
  throw new DataError(
    `Cannot make a synthetic dataset: ${name} is ${value}. Give a ` +
      `${range.isShare ? "share" : "whole number"} from ${range.min} to ${range.max}`,
  );
}
