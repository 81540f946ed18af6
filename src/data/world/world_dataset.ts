/** Documents and questions of a world. @module */
import { type RandomStream, randomStream } from "../../tensor/random.ts";
import type { Dataset, Document, Query } from "../types.ts";
import { makeWorld, type World, type WorldOptions } from "./make_world.ts";

/** A question about a world. */
export interface WorldQuestion extends Query {
  /** Indices of the facts that lead to the answer, in order: one a hop. */
  readonly chain: readonly number[];
}

/** Choices of {@linkcode worldDataset}. */
export interface WorldDatasetOptions extends WorldOptions {
  /** How many facts a question goes over. Default 1. */
  readonly hops?: 1 | 2;
  /** Most held-out questions. Default 600. */
  readonly devQuestions?: number;
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

const fill = (template: string, e: string, v = ""): string =>
  template.replace("{e}", e).replace("{v}", v);

/**
 * A document about an entity: its facts in random order, each in one of several wordings.
 *
 * @param world The world
 * @param entity Index of the entity
 * @param random Where order and wordings come from
 * @param valueOf What the document says instead of the truth about a fact. Default: the truth
 */
export function writeWorldDocument(
  world: World,
  entity: number,
  random: RandomStream,
  valueOf: (fact: number) => string = (fact) => world.facts[fact].value,
): Document {
  const { name } = world.entities[entity];
  const sentences = random.shuffle([...world.factsOf[entity]]).map((fact) => {
    const { sentences } = world.relations[world.facts[fact].relation];
    return fill(sentences[random.int(sentences.length)], name, valueOf(fact));
  });
  return { docId: `e${entity}`, title: name, text: sentences.join(" ") };
}

/** A chain of facts that can be asked for, and its wordings. */
interface Askable {
  readonly chain: readonly number[];
  readonly wordings: readonly string[];
}

function oneHop(world: World): Askable[] {
  return world.facts.map(({ entity, relation }, f) => ({
    chain: [f],
    wordings: world.relations[relation].questions.map((q) => fill(q, world.entities[entity].name)),
  }));
}

function twoHops(world: World): Askable[] {
  return world.facts.flatMap(({ entity, relation, valueEntity }, f) => {
    if (valueEntity === undefined) return [];
    const phrases = world.relations[relation].phrases.map((p) =>
      fill(p, world.entities[entity].name)
    );
    return world.factsOf[valueEntity].map((g) => ({
      chain: [f, g],
      wordings: world.relations[world.facts[g].relation].questions.map((q, i) =>
        fill(q, phrases[i % phrases.length])
      ),
    }));
  });
}

/**
 * A world as documents and questions.
 *
 * - A document an entity, under its name, with all its facts in plain sentences.
 * - `train` asks for known and unknown facts. Each fact has four wordings; one of a known fact's is never
 *   asked in `train`.
 * - `dev` asks for known facts in that wording, and for facts that are held out: they stand in their
 *   documents, but no question and no answer of `train` is about them. Over two hops a chain of `dev` is
 *   never asked in `train`, and its unknown facts are held out. So `dev` has known and unknown facts in
 *   the shares of the world.
 *
 * @throws {DataError} If an option is out of range
 * @example
 * ```ts
 * import { worldDataset } from "./world_dataset.ts";
 * import { assertEquals } from "@std/assert";
 * const { documents, queries, world } = worldDataset({ seed: 1, entities: 50 });
 * assertEquals(documents.length, 50);
 * const parts = new Set(queries.train.flatMap((q) => q.chain.map((f) => world.facts[f].part)));
 * assertEquals(parts, new Set(["known", "unknown"]));
 * ```
 */
export function worldDataset(options: WorldDatasetOptions): WorldDataset {
  const { seed, hops = 1, devQuestions = 600, knownShare = 0.5 } = options;
  const world = makeWorld(options);
  const documents = world.entities.map((_, entity) =>
    writeWorldDocument(
      world,
      entity,
      randomStream({ seed, stream: "world/document", step: entity }),
    )
  );
  const random = randomStream({ seed, stream: "world/questions", step: hops });
  const train: WorldQuestion[] = [];
  const dev = new Map<string, WorldQuestion[]>();
  const makeQuestion = ({ chain }: Askable, query: string, queryId: string): WorldQuestion => ({
    queryId,
    query,
    docIds: chain.map((f) => `e${world.facts[f].entity}`),
    answers: [world.facts[chain.at(-1)!].value],
    chain,
  });
  for (const askable of hops === 1 ? oneHop(world) : twoHops(world)) {
    const parts = askable.chain.map((f) => world.facts[f].part);
    const id = askable.chain.join("-");
    const questions = random.shuffle([...askable.wordings]).map((query, i) =>
      makeQuestion(askable, query, `${id}-${i}`)
    );
    const isUntold = parts.includes("heldOut"), isTold = parts.includes("unknown");
    if (isUntold && isTold) continue; // would be new to neither part
    const isNew = isUntold || (hops === 2 && !isTold && random.int(KEPT_CHAINS) === 0);
    const kept = isTold ? 0 : isNew || hops === 1 ? 1 : 0;
    const kinds = parts.map((part) => part === "known" ? "known" : "unknown").join("-");
    if (kept) dev.set(kinds, [...dev.get(kinds) ?? [], ...questions.slice(0, kept)]);
    if (isNew) continue;
    train.push(...questions.slice(kept));
  }
  // In the test each kind of chain is as frequent as in the world.
  const share = (kinds: string): number =>
    kinds.split("-").reduce((p, kind) => p * (kind === "known" ? knownShare : 1 - knownShare), 1);
  const scale = Math.min(
    devQuestions,
    ...[...dev].filter(([kinds]) => share(kinds) > 0)
      .map(([kinds, all]) => Math.floor(all.length / share(kinds))),
  );
  const chosen = [...dev].toSorted(([a], [b]) => a < b ? -1 : 1).flatMap(([kinds, all]) =>
    random.shuffle([...all]).slice(0, Math.round(scale * share(kinds)))
  );
  return {
    documents,
    queries: { train: random.shuffle(train), dev: random.shuffle(chosen) },
    world,
  };
}
