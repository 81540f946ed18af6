/** Documents and questions of a world. @module */
import { DataError } from "../../errors.ts";
import { randomStream } from "../../tensor/random.ts";
import type { Dataset, Document, Query } from "../types.ts";
import { makeWorld, type World, type WorldOptions } from "./make_world.ts";
import { questionWordings, writeEntityDocument } from "./world_text.ts";

/** A question about a world. */
export interface WorldQuestion extends Query {
  /** Indices of the facts that lead to the answer, in order: one a hop. */
  readonly chain: readonly number[];
}

/** Choices of {@linkcode worldDataset}. */
export interface WorldDatasetOptions extends WorldOptions {
  /** How many facts a question goes over. Default 1. */
  readonly hops?: 1 | 2;
  /**
   * Share of the facts that questions go over which are known, 0 … 1: questions of the other kinds are
   * left out until it is so. Default: `train` has all questions, `dev` the share of the world.
   */
  readonly knownQuestions?: number;
  /** Most held-out questions. Default 600. */
  readonly devQuestions?: number;
  /**
   * Facts of which one of the four wordings is kept for `dev`, over one hop: known ones, or all that `train`
   * asks for, so that `dev` also holds questions about documents that training asked for in other words.
   * Default `"known"`.
   */
  readonly keptWordings?: "known" | "all";
}

/** A world as a dataset. */
export interface WorldDataset extends Dataset {
  /** What is true. */
  readonly world: World;
  /** Questions by part: `train` and `dev`. */
  readonly queries: Readonly<Record<"train" | "dev", readonly WorldQuestion[]>>;
}

/** One chain of known facts in this many is asked in the test only. */
const KEPT_CHAINS = 5;

/** Chains of facts that a question of so many hops can follow. */
function chainsOf({ facts, factsOf }: World, hops: 1 | 2): number[][] {
  if (hops === 1) return facts.map((_, f) => [f]);
  return facts.flatMap(({ valueEntity }, f) =>
    valueEntity === undefined ? [] : factsOf[valueEntity].map((g) => [f, g])
  );
}

/**
 * A world as documents and questions.
 *
 * - A document an entity, under its name, with all its facts in plain sentences.
 * - `train` asks about known and unknown entities. A question has four wordings; over one hop, one of
 *   those about a known fact is never asked in `train`.
 * - `dev` asks for known facts in that wording, and about entities that are held out: they have their
 *   documents, but no question of `train` is about them and none of their facts is an answer there. Over
 *   two hops a chain of `dev` is never asked in `train`, and what is unknown on it is held out. Each kind
 *   of chain is as frequent in `dev` as the share of known facts makes it.
 *
 * @throws {DataError} If an option is out of range
 * @example
 * ```ts
 * import { worldDataset } from "./world_dataset.ts";
 * import { assertEquals } from "@std/assert";
 * const { documents, queries, world } = worldDataset({ seed: 1, entities: 50 });
 * assertEquals(documents.length, 50);
 * const asked = queries.train.flatMap((q) => q.chain.map((f) => world.facts[f].entity));
 * const parts = new Set(asked.map((entity) => world.entities[entity].part));
 * assertEquals(parts, new Set(["known", "unknown"]));
 * ```
 */
export function worldDataset(options: WorldDatasetOptions): WorldDataset {
  const { seed, hops = 1, devQuestions = 600, knownShare = 0.5, knownQuestions } = options;
  const { keptWordings = "known" } = options;
  if (hops !== 1 && hops !== 2) {
    throw new DataError(`Cannot ask about a world: hops is ${hops}. Give 1 or 2`);
  }
  if (!Number.isInteger(devQuestions) || devQuestions < 0) {
    throw new DataError(
      `Cannot ask about a world: devQuestions is ${devQuestions}. Give a whole number from 0 on`,
    );
  }
  if (knownQuestions !== undefined && !(knownQuestions >= 0 && knownQuestions <= 1)) {
    throw new DataError(
      `Cannot ask about a world: knownQuestions is ${knownQuestions}. Give a share from 0 to 1`,
    );
  }
  const world = makeWorld(options);
  const { entities, facts, factsOf, relations } = world;
  const documents = entities.map((entity, e): Document => {
    const random = randomStream({ seed, stream: "world/document", step: e });
    const written = writeEntityDocument(
      entity,
      random,
      (relation) => facts[factsOf[e].find((f) => relations[facts[f].relation] === relation)!].value,
    );
    return { docId: `e${e}`, ...written };
  });

  const random = randomStream({ seed, stream: "world/questions", step: hops });
  const train = new Map<string, WorldQuestion[]>(), dev = new Map<string, WorldQuestion[]>();
  const add = (part: Map<string, WorldQuestion[]>, kinds: string, more: WorldQuestion[]): void => {
    if (!more.length) return;
    if (!part.has(kinds)) part.set(kinds, []);
    part.get(kinds)!.push(...more);
  };
  for (const chain of chainsOf(world, hops)) {
    const parts = chain.map((f) => entities[facts[f].entity].part);
    const isUntold = parts.includes("heldOut"), isTold = parts.includes("unknown");
    if (isUntold && isTold) continue; // would be new to neither part
    const wordings = questionWordings(
      entities[facts[chain[0]].entity].name,
      chain.map((f) => relations[facts[f].relation]),
    );
    const questions = random.shuffle(wordings).map((query, i): WorldQuestion => ({
      queryId: `${chain.join("-")}-${i}`,
      query,
      docIds: chain.map((f) => `e${facts[f].entity}`),
      answers: [facts[chain.at(-1)!].value],
      chain,
    }));
    const isNew = isUntold || (hops === 2 && !isTold && random.int(KEPT_CHAINS) === 0);
    const kept = isNew || (hops === 1 && (!isTold || keptWordings === "all")) ? 1 : 0;
    const kinds = parts.map((part) => part === "known" ? "known" : "unknown").join("-");
    add(dev, kinds, questions.slice(0, kept));
    if (!isNew) add(train, kinds, questions.slice(kept));
  }
  /** As many questions as possible, at most `most`, of each kind its share. */
  const inShares = (part: Map<string, WorldQuestion[]>, share: number, most = Infinity) => {
    const shareOf = (kinds: string): number =>
      kinds.split("-").reduce((p, kind) => p * (kind === "known" ? share : 1 - share), 1);
    const size = Math.min(
      most,
      ...[...part].filter(([kinds]) => shareOf(kinds) > 0)
        .map(([kinds, all]) => Math.floor(all.length / shareOf(kinds))),
    );
    return [...part].toSorted(([a], [b]) => a < b ? -1 : 1).flatMap(([kinds, all]) =>
      random.shuffle([...all]).slice(0, Math.round(size * shareOf(kinds)))
    );
  };
  const chosen = inShares(dev, knownQuestions ?? knownShare, devQuestions);
  const asked = knownQuestions === undefined
    ? [...train.values()].flat()
    : inShares(train, knownQuestions);
  return {
    documents,
    queries: { train: random.shuffle(asked), dev: random.shuffle(chosen) },
    world,
  };
}
