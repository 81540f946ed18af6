import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import {
  computeOracle,
  type DocumentRetriever,
  type MeasuredQueries,
  noisyRetriever,
  type OracleOptions,
  searchErrors,
} from "../../../src/agent/mod.ts";
import type { World, WorldPart, WorldQuestion } from "../../../src/data/world/mod.ts";
import { DataError } from "../../../src/errors.ts";
import { randomStream } from "../../../src/tensor/random.ts";

const EXACT = 1e-12;
/** Sums of the same products in another order. */
const FLOAT64 = 1e-9;
/** How many standard errors a mean may lie from what is expected. */
const STANDARD_ERRORS = 4;
const PEOPLE = ["Ann", "Bob", "Cy", "Di"];

/** Four people in a ring of mentors; facts 2i and 2i + 1 are the mentor and the hobby of person i. */
function ringOf(parts: readonly WorldPart[]): World {
  const hobbies = ["chess", "rowing", "weaving", "baking"];
  const templates = { sentences: [], questions: [], phrases: [] };
  return {
    entities: PEOPLE.map((name, i) => ({ name, kind: "person", part: parts[i] })),
    relations: [
      { name: "mentor", of: "person", value: "person", ...templates },
      { name: "hobby", of: "person", value: hobbies, ...templates },
    ],
    facts: PEOPLE.flatMap((_, entity) => {
      const valueEntity = (entity + 1) % 4;
      return [
        { entity, relation: 0, value: PEOPLE[valueEntity], valueEntity },
        { entity, relation: 1, value: hobbies[entity] },
      ];
    }),
    factsOf: PEOPLE.map((_, i) => [2 * i, 2 * i + 1]),
    inventName: () => "Eve",
  };
}

const questionOf = (...chain: number[]): WorldQuestion => ({
  queryId: "q",
  query: "?",
  docIds: [],
  answers: [],
  chain,
});
/** Ann's hobby, one of four; the hobby of Ann's mentor, who is Bob; Ann's mentor, one of three others. */
const HOBBY = questionOf(1), MENTORS_HOBBY = questionOf(0, 3), MENTOR = questionOf(0);

type Options = Partial<Omit<OracleOptions, "world">> & { parts?: readonly WorldPart[] };
const UNKNOWN: WorldPart[] = Array(4).fill("heldOut");
/** Nobody is known and the retriever finds what it is asked for, unless something else is said. */
const optionsOf = ({ parts = UNKNOWN, ...options }: Options): OracleOptions => ({
  world: ringOf(parts),
  question: HOBBY,
  measured: { question: 0, names: options.question === MENTORS_HOBBY ? [0, 1] : [0] },
  noise: 0,
  cost: 0.25,
  budget: 1,
  ...options,
});
const solve = (options: Options) => computeOracle(optionsOf(options));

function assertOutcome(options: Options, expected: [number, number, number]): void {
  const { value, retrievals, accuracy } = solve(options);
  [value, retrievals, accuracy].forEach((x, i) =>
    assertAlmostEquals(x, expected[i], EXACT, ["value", "retrievals", "accuracy"][i])
  );
}

Deno.test("one hop by hand: what is known, what costs more than it brings", () => {
  const KNOWN: WorldPart[] = ["known", "unknown", "unknown", "unknown"];
  for (const budget of [0, 1, 2]) assertOutcome({ parts: KNOWN, budget }, [1, 0, 1]);
  // A guess is right once in four times, so that a retrieval brings ¾.
  assertOutcome({ budget: 0 }, [0.25, 0, 0.25]);
  assertOutcome({ budget: 1 }, [0.75, 1, 1]);
  assertOutcome({ budget: 2 }, [0.75, 1, 1]);
  assertOutcome({ cost: 0.7 }, [0.3, 1, 1]);
  assertOutcome({ cost: 0.8 }, [0.25, 0, 0.25]);
  assertOutcome({ cost: 0.75 }, [0.25, 0, 0.25]);
  assertOutcome({ cost: 0.8, reward: 2 }, [1.2, 1, 1]);
  // Nobody is taught by oneself: three values.
  assertOutcome({ question: MENTOR, budget: 0 }, [1 / 3, 0, 1 / 3]);
  // What only training asks for stands in documents too.
  assertOutcome({ parts: Array(4).fill("unknown") }, [0.75, 1, 1]);
});

Deno.test("one hop by hand: noise, and a second try", () => {
  // Of four documents the right one comes with .6 + .4/4 = .7. Once: .7 + .3·¼ = .775 right.
  assertOutcome({ noise: 0.4 }, [0.525, 1, 0.775]);
  // Twice: −¼ + .7·1 + .3·.525, with 1 + .3 retrievals and .7 + .3·.775 right.
  assertOutcome({ noise: 0.4, budget: 2 }, [0.6075, 1.3, 0.9325]);
  // Nothing but noise: ¼ + ¾·¼ = 7/16 right, worth 3/16 more than a guess.
  assertOutcome({ noise: 1, cost: 0.125 }, [0.3125, 1, 0.4375]);
  assertOutcome({ noise: 1, cost: 0.1875 }, [0.25, 0, 0.25]);
});

Deno.test("one hop by hand: queries that find something else, or nothing", () => {
  const nothing: MeasuredQueries = { question: undefined, names: [undefined] };
  assertOutcome({ measured: { question: undefined, names: [0] } }, [0.75, 1, 1]);
  assertOutcome({ measured: { question: 0, names: [undefined] } }, [0.75, 1, 1]);
  assertOutcome({ measured: { question: 3, names: [0] }, budget: 2 }, [0.75, 1, 1]);
  assertOutcome({ measured: nothing }, [0.25, 0, 0.25]);
  // Noise replaces a document; where none was found there is none to replace.
  assertOutcome({ measured: nothing, noise: 1, cost: 0 }, [0.25, 0, 0.25]);
  // Another document, but with .4/4 = .1 by chance the right one: −.01 + .1 + .9·¼.
  assertOutcome({ measured: { question: 3, names: [3] }, noise: 0.4, cost: 0.01 }, [
    0.315,
    1,
    0.325,
  ]);
});

Deno.test("a retrieval that costs nothing is still not wasted", () => {
  const measured = { question: undefined, names: [0] };
  assertOutcome({ measured, cost: 0, budget: 2 }, [1, 1, 1]);
  assertOutcome({ parts: ["known", ...UNKNOWN.slice(1)], cost: 0, budget: 2 }, [1, 0, 1]);
  assertOutcome({ measured: { question: 3, names: [0] }, cost: 0, noise: 0.4, budget: 2 }, [
    0.9325,
    1.3,
    0.9325,
  ]);
});

Deno.test("two hops by hand: the four kinds of chains", () => {
  const chain = (first: WorldPart, second: WorldPart, budget: number): Options => ({
    question: MENTORS_HOBBY,
    parts: [first, second, "heldOut", "heldOut"],
    cost: 0.125,
    budget,
  });
  for (const budget of [0, 1, 2]) assertOutcome(chain("known", "known", budget), [1, 0, 1]);
  assertEquals(solve(chain("known", "known", 0)).start, 3);
  for (const unknown of ["unknown", "heldOut"] as const) {
    assertEquals(solve(chain(unknown, "known", 0)).start, 2);
    assertEquals(solve(chain("known", unknown, 0)).start, 1);
    assertOutcome(chain(unknown, "known", 0), [0.25, 0, 0.25]);
    assertOutcome(chain("known", unknown, 0), [0.25, 0, 0.25]);
    for (const budget of [1, 2]) {
      assertOutcome(chain(unknown, "known", budget), [0.875, 1, 1]);
      assertOutcome(chain("known", unknown, budget), [0.875, 1, 1]);
    }
    // One document of two does not answer.
    assertOutcome(chain(unknown, unknown, 1), [0.25, 0, 0.25]);
    assertOutcome(chain(unknown, unknown, 2), [0.75, 2, 1]);
  }
});

Deno.test("two hops by hand: noise can bring either document", () => {
  // Own document .7, the other one .1, neither .2. With one of them: −⅛ + .7 + .3·¼ = .65, .775 right.
  // From the start: −⅛ + .8·.65 + .2·¼ = .445 with 1 + .8 retrievals, .8·.775 + .2·¼ = .67 right.
  const options: Options = { question: MENTORS_HOBBY, noise: 0.4, cost: 0.125, budget: 2 };
  assertOutcome(options, [0.445, 1.8, 0.67]);
  const { valuesOf } = solve(options);
  for (const facts of [1, 2]) {
    assertAlmostEquals(valuesOf(facts, 1).retrieve, 0.65, EXACT);
    assertEquals(valuesOf(facts, 1).answer, 0.25);
  }
  // With one retrieval left and nothing known it is lost.
  assertAlmostEquals(valuesOf(0, 1).retrieve, 0.125, EXACT);
  assertEquals(valuesOf(3, 2).answer, 1);
  assertAlmostEquals(valuesOf(3, 2).retrieve, 0.875, EXACT);
  assertEquals(valuesOf(0, 0).retrieve, -Infinity);
});

Deno.test("two hops by hand: nobody looks for a name that is not known yet", () => {
  const options: Options = {
    question: MENTORS_HOBBY,
    measured: { question: undefined, names: [undefined, 1] },
    cost: 0.125,
    budget: 2,
  };
  assertOutcome(options, [0.25, 0, 0.25]);
  assertOutcome({ ...options, parts: ["known", ...UNKNOWN.slice(1)] }, [0.875, 1, 1]);
  // The question itself finds the second document, Ann's name the first.
  assertOutcome({ ...options, measured: { question: 1, names: [0, undefined] } }, [0.75, 2, 1]);
  assertOutcome({ ...options, measured: { question: 1, names: [undefined, 1] } }, [0.25, 0, 0.25]);
});

Deno.test("a document states the facts of its entity", () => {
  const { factsIn } = solve({ question: MENTORS_HOBBY });
  assertEquals([0, 1, 2, 3].map(factsIn), [1, 2, 0, 0]);
  assertEquals([0, 1, 2, 3].map(solve({}).factsIn), [1, 0, 0, 0]);
});

Deno.test("states beyond the budget are no other states", () => {
  const options: Options = { question: MENTORS_HOBBY, cost: 0.125 };
  const [small, large] = [solve({ ...options, budget: 1 }), solve({ ...options, budget: 4 })];
  for (let left = 4; left >= 0; left--) {
    for (const facts of [0, 1, 2, 3]) {
      const { answer, retrieve } = large.valuesOf(facts, left);
      const other = small.valuesOf(facts, left);
      assertEquals([other.answer, other.retrieve], [answer, retrieve], `${facts}, ${left}`);
    }
  }
});

/** Documents with their probabilities, undefined for nothing. */
type Chances = [number | undefined, number][];

/** The best outcome by following every history, document by document. */
class Histories {
  readonly #options: OracleOptions;

  constructor(options: OracleOptions) {
    this.#options = options;
  }

  /** Documents that may be looked for by whoever knows these facts. */
  queries(known: ReadonlySet<number>): (number | undefined)[] {
    const { question: { chain }, measured } = this.#options;
    const found = [measured.question];
    for (let hop = 0; hop < chain.length; hop++) {
      found.push(measured.names[hop]);
      if (!known.has(chain[hop])) break;
    }
    return found;
  }

  chances(query: number | undefined): Chances {
    const { noise, world: { entities } } = this.#options;
    if (query === undefined) return [[undefined, 1]];
    return entities.map((_, d) => [d, noise / entities.length + (d === query ? 1 - noise : 0)]);
  }

  chanceToBeRight(known: ReadonlySet<number>): number {
    const { question: { chain } } = this.#options;
    if (chain.every((f) => known.has(f))) return 1;
    return chain.at(-1)! % 2 ? 1 / 4 : 1 / 3; // hobbies, mentors
  }

  learn(known: ReadonlySet<number>, document: number | undefined): Set<number> {
    return new Set([...known, ...(document === undefined ? [] : [2 * document, 2 * document + 1])]);
  }

  /** Value, −retrievals, accuracy, and what to look for; of equally good ways the one that retrieves least. */
  best(known: ReadonlySet<number>, left: number): [number, number, number, number] {
    const { cost, reward = 1 } = this.#options, right = this.chanceToBeRight(known);
    let best: [number, number, number, number] = [reward * right, 0, right, -1];
    if (left === 0) return best;
    this.queries(known).forEach((query, q) => {
      const way: typeof best = [-cost, -1, 0, q];
      for (const [document, p] of this.chances(query)) {
        if (p === 0) continue;
        const next = this.best(this.learn(known, document), left - 1);
        for (let i = 0; i < 3; i++) way[i] += p * next[i];
      }
      const gain = way[0] - best[0];
      if (gain > FLOAT64 || (gain > -FLOAT64 && way[1] > best[1] + FLOAT64)) best = way;
    });
    return best;
  }

  start(): Set<number> {
    const { world: { entities, facts } } = this.#options;
    return new Set(
      facts.flatMap(({ entity }, f) => entities[entity].part === "known" ? [f] : []),
    );
  }
}

const document = fc.option(fc.nat(3), { nil: undefined, freq: 4 });
const anyOptions = fc.record({
  parts: fc.array(fc.constantFrom<WorldPart>("known", "unknown", "heldOut"), {
    minLength: 4,
    maxLength: 4,
  }),
  question: fc.constantFrom(HOBBY, MENTOR, MENTORS_HOBBY),
  measured: fc.record({
    question: document,
    names: fc.array(document, { minLength: 2, maxLength: 2 }),
  }),
  noise: fc.integer({ min: 0, max: 8 }).map((n) => n / 8),
  cost: fc.integer({ min: 0, max: 20 }).map((n) => n / 20),
  budget: fc.nat(3),
  reward: fc.constantFrom(1, 2),
}).map(({ measured: { question, names }, ...rest }) =>
  optionsOf({
    ...rest,
    measured: { question, names: names.slice(0, rest.question.chain.length) },
  })
);

Deno.test("the oracle is the best of all histories", () => {
  fc.assert(
    fc.property(anyOptions, (options) => {
      const oracle = computeOracle(options), histories = new Histories(options);
      const [value, negated, accuracy] = histories.best(histories.start(), options.budget);
      assertAlmostEquals(oracle.value, value, FLOAT64);
      assertAlmostEquals(oracle.retrievals, -negated, FLOAT64);
      assertAlmostEquals(oracle.accuracy, accuracy, FLOAT64);
    }),
    { numRuns: 300 },
  );
});

Deno.test("episodes with a noisy retriever earn what the oracle says", async () => {
  const EPISODES = 4000;
  const cases: Options[] = [
    { noise: 0.4, budget: 2 },
    { question: MENTORS_HOBBY, noise: 0.3, cost: 0.05, budget: 3 },
    {
      question: MENTORS_HOBBY,
      noise: 0.5,
      cost: 0.02,
      budget: 3,
      measured: { question: 2, names: [undefined, 1] },
    },
  ];
  for (const [number, rest] of cases.entries()) {
    const options = optionsOf(rest), { noise, cost, budget } = options;
    const oracle = computeOracle(options), histories = new Histories(options);
    const plans = new Map<string, number>();
    const planOf = (known: Set<number>, left: number): number => {
      const key = `${[...known].toSorted()} ${left}`;
      if (!plans.has(key)) plans.set(key, histories.best(known, left)[3]);
      return plans.get(key)!;
    };
    /** Finds the document whose number is asked for. */
    const inner: DocumentRetriever = {
      name: "numbers",
      scoreUnit: "none",
      retrieve: (requests) =>
        Promise.resolve(
          requests.map(({ query }) => query === "" ? [] : [{ doc: Number(query), score: 1 }]),
        ),
    };
    const retriever = noisyRetriever(inner, { rate: noise, documents: 4 });
    const results: [number, number, number][] = [];
    for (let episode = 0; episode < EPISODES; episode++) {
      const stream = `retrieval/${number}/${episode}`;
      let known = histories.start(), left = budget, plan = planOf(known, left);
      while (plan >= 0) {
        const query = histories.queries(known)[plan];
        const [[found]] = await retriever.retrieve([{
          query: query === undefined ? "" : `${query}`,
          question: options.question,
          seen: [],
          random: { seed: 1, stream, step: left },
        }], 1);
        known = histories.learn(known, found?.doc);
        plan = planOf(known, --left);
      }
      const luck = randomStream({ seed: 2, stream, step: 0 }).uniform();
      const right = Number(luck < histories.chanceToBeRight(known));
      results.push([right - cost * (budget - left), budget - left, right]);
    }
    [oracle.value, oracle.retrievals, oracle.accuracy].forEach((expected, i) => {
      const mean = results.reduce((sum, x) => sum + x[i], 0) / EPISODES;
      const variance = results.reduce((sum, x) => sum + (x[i] - mean) ** 2, 0) / (EPISODES - 1);
      const errors = Math.abs(mean - expected) / Math.sqrt(variance / EPISODES);
      assert(errors < STANDARD_ERRORS, `case ${number}: ${mean} for ${expected}`);
    });
  }
});

Deno.test("the value falls with the price and rises with the budget; retrievals fall with the price", () => {
  fc.assert(
    fc.property(anyOptions, fc.nat(100).map((n) => n / 100), (options, more) => {
      const oracle = computeOracle(options);
      const dearer = computeOracle({ ...options, cost: options.cost + more });
      assert(dearer.value <= oracle.value + FLOAT64);
      assert(dearer.retrievals <= oracle.retrievals + FLOAT64);
      assert(dearer.accuracy <= oracle.accuracy + FLOAT64);
      const longer = computeOracle({ ...options, budget: options.budget + 1 });
      assert(longer.value >= oracle.value - FLOAT64);
      // It is never worse than to answer at once, and never better than to be right for nothing.
      const { reward = 1 } = options;
      assert(oracle.value >= oracle.valuesOf(oracle.start, 0).answer - FLOAT64);
      assert(oracle.value <= reward + FLOAT64);
      const earned = reward * oracle.accuracy - options.cost * oracle.retrievals;
      assertAlmostEquals(oracle.value, earned, FLOAT64);
    }),
    { numRuns: 300 },
  );
});

Deno.test("the value falls with the noise where names find their documents", () => {
  const noise = fc.nat(100).map((n) => n / 100);
  fc.assert(
    fc.property(anyOptions, noise, noise, (options, a, b) => {
      const names = options.question.chain.map((f) => options.world.facts[f].entity);
      const of = (noise: number) =>
        computeOracle({ ...options, measured: { question: names[0], names }, noise }).value;
      assert(of(Math.max(a, b)) <= of(Math.min(a, b)) + FLOAT64);
    }),
    { numRuns: 200 },
  );
});

Deno.test("what is no probability or no price is refused", () => {
  for (const noise of [-0.1, 1.1, NaN]) {
    assertThrows(() => solve({ noise }), DataError, `noise is ${noise} and the price 0.25`);
  }
  for (const cost of [-0.1, NaN]) {
    assertThrows(() => solve({ cost }), DataError, `noise is 0 and the price ${cost}`);
  }
});

Deno.test("search errors by hand", () => {
  const errors = (options: Options, read: (number | undefined)[]): string => {
    const budget = options.budget ?? 2;
    const { isOverSearch, isUnderSearch } = searchErrors(
      solve({ ...options, budget }),
      read,
      budget,
    );
    return `${isOverSearch ? "over" : ""}${isUnderSearch ? "under" : ""}`;
  };
  // Unknown, and worth its price.
  assertEquals(errors({}, []), "under");
  assertEquals(errors({}, [0]), "");
  assertEquals(errors({}, [0, 0]), "over");
  assertEquals(errors({}, [3]), "under");
  assertEquals(errors({}, [undefined]), "under");
  assertEquals(errors({}, [3, 0]), "");
  assertEquals(errors({}, [undefined, 3]), "");
  assertEquals(errors({ budget: 0 }, []), "");
  // Known.
  const parts: WorldPart[] = ["known", "unknown", "unknown", "unknown"];
  assertEquals(errors({ parts }, []), "");
  assertEquals(errors({ parts }, [2]), "over");
  // Too dear, and exactly as dear as it is good.
  assertEquals(errors({ cost: 0.8 }, []), "");
  assertEquals(errors({ cost: 0.8 }, [0]), "over");
  assertEquals(errors({ cost: 0.75, budget: 1 }, []), "");
  assertEquals(errors({ cost: 0.75, budget: 1 }, [0]), "");
  // Two hops: only the second document makes the first worth reading.
  const two = { question: MENTORS_HOBBY, cost: 0.125 };
  assertEquals(errors(two, [0]), "under");
  assertEquals(errors(two, [0, 1]), "");
  assertEquals(errors(two, [1, 0]), "");
  assertEquals(errors({ ...two, budget: 1 }, [0]), "over");
  // Nothing that can be looked for helps, until a document that came by chance says a name.
  const lucky = { ...two, measured: { question: 3, names: [3, 1] } };
  assertEquals(errors(lucky, []), "");
  assertEquals(errors(lucky, [0]), "overunder");
  assertEquals(errors(lucky, [0, 1]), "over");
});
