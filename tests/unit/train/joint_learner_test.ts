/** What the learner reads, replays and leaves alone. */
import { assert, assertEquals, assertLess } from "@std/assert";
import type { PolicyText } from "../../../src/agent/mod.ts";
import { adamw } from "../../../src/optim/mod.ts";
import { type DistributionKind, openDocumentDistribution } from "../../../src/retriever/mod.ts";
import { onnxExecutor, Optimizer, ParameterStore } from "../../../src/runtime/mod.ts";
import {
  type JointLearner,
  type JointLearnerOptions,
  openJointLearner,
  openJointObjective,
} from "../../../src/train/mod.ts";
import { documents, encode, indexTensors, N, protocol, situations, smallIndex } from "./_joint.ts";

const index = smallIndex(), random = { seed: 1, stream: "learner", step: 0 };

/** A reader that says what it is told by the words of the document it has read. */
type Reader = (document: string, text: PolicyText) => number;

/** The document between its tags. */
function documentOf({ tokens }: PolicyText): string {
  const row = Array.from(tokens), { documentStart, documentEnd } = protocol.ids;
  return row.slice(row.indexOf(documentStart) + 1, row.indexOf(documentEnd)).join(" ");
}

async function withLearner(
  reader: Reader,
  options: Partial<JointLearnerOptions> & { kind?: DistributionKind; size?: number },
  use: (learner: JointLearner, store: ParameterStore, rounds: number[]) => Promise<void>,
): Promise<void> {
  const { kind = "exact", size, ...rest } = options;
  const executor = onnxExecutor();
  const store = new ParameterStore(index.specs, { rule: adamw() });
  store.load(indexTensors(index));
  const distribution = await openDocumentDistribution(executor, {
    kind,
    size,
    scorer: index.scorer,
    trie: index.trie,
    specs: index.specs,
    parameters: store.params,
    padId: 0,
  });
  const objective = await openJointObjective(executor, {
    objective: kind === "draws" ? "drawn_utility" : "marginal",
    isRenormalized: distribution.isRenormalized,
    gateWeight: rest.hasGate ? 1 : 0,
  });
  const rounds: number[] = [];
  const learner = await openJointLearner({
    executor,
    model: index,
    optimizer: new Optimizer(store),
    encode,
    distribution,
    objective,
    protocol,
    documents,
    judge: (texts) => {
      rounds.push(texts.length);
      return Promise.resolve(
        texts.map((text) => [reader(documentOf(text), text)]),
      );
    },
    ...rest,
  });
  await use(learner, store, rounds);
  await Promise.all([learner, objective, distribution].map((one) => one.dispose()));
}

const sumOf = (values: ArrayLike<number>): number => Array.from(values).reduce((a, b) => a + b, 0);

Deno.test("reading stops where the unread can't hold more than the tolerance, and not before", async () => {
  // The answer is certain with any document: half of the posterior is half of p(d|q).
  await withLearner(() => 0, { mass: 0.5 }, async (learner) => {
    const { judged } = await learner.judge(situations, random);
    for (const { set, logLikelihoods } of judged) {
      assertEquals(set.docs.length, logLikelihoods.length);
      assert(set.docs.length < N);
      assert(sumOf(set.logProbs.map(Math.exp)) >= 0.5);
      assert(Number.isInteger(Math.log2(set.docs.length))); // rounds up to 2, 4, 8, …
    }
  });
  // With every document it is all but ruled out: anything unread could hold all of it.
  await withLearner(() => -30, { mass: 0.5 }, async (learner, _store, rounds) => {
    const { judged } = await learner.judge(situations, random);
    for (const { set } of judged) assertEquals([set.docs.length, set.droppedMass], [N, 0]);
    assertEquals(rounds.slice(0, 3), [4, 4, 8]);
    assertEquals(sumOf(rounds), 2 * N);
  });
});

Deno.test("a document that is drawn twice is read once, and draws are all read", async () => {
  await withLearner(
    () => -1,
    { kind: "draws", size: 64, mass: 0.5 },
    async (learner, _, rounds) => {
      const { judged } = await learner.judge(situations, random);
      for (const { set, logLikelihoods } of judged) {
        assertEquals([set.docs.length, logLikelihoods.length], [64, 64]);
      }
      const different = judged.reduce((n, { set }) => n + new Set(set.docs).size, 0);
      assertEquals(rounds, [different]);
    },
  );
});

Deno.test("a step pushes up the document that explains the answer; a learning rate of 0 does not", async () => {
  const wanted = documents[17].text;
  const reader: Reader = (document) => document === wanted ? 0 : -8;
  const probability = async (learner: JointLearner): Promise<number> => {
    const { judged: [{ set }] } = await learner.judge(situations, random);
    return Math.exp(set.logProbs[set.docs.indexOf(17)]);
  };
  await withLearner(reader, {}, async (learner, store) => {
    const before = await probability(learner), start = store.flat.slice();
    const nothing = { replay: [], replayWeight: 0, random };
    await learner.step(situations, { ...nothing, learningRate: 0 });
    assertEquals(store.flat, start);
    for (let i = 0; i < 30; i++) await learner.step(situations, { ...nothing, learningRate: 0.05 });
    assertLess(2 * before, await probability(learner));
  });
});

Deno.test("queries without a word for the index are left out; with nothing left there is no step", async () => {
  await withLearner(() => -1, { encode: (q) => q === "7" ? [] : encode(q) }, async (learner) => {
    const options = { learningRate: 0.1, replay: [], replayWeight: 0, random };
    const result = await learner.step(situations, options);
    assertEquals([result!.situations, result!.documentsRead], [1, N]);
    assertEquals(await learner.step(situations.slice(1), options), undefined);
    // Labelled pairs alone are a step too.
    const replay = [{ tokenIds: [2, 3], doc: 4, isReal: true }];
    const alone = await learner.step([], { ...options, replay, replayWeight: 1 });
    assertEquals([alone!.situations, alone!.isApplied, alone!.lessons.length], [0, true, 0]);
    assert(alone!.gradNorm > 0);
  });
});

Deno.test("a situation that could outgrow the policy is left out", async () => {
  // The first has 2 + 1 + 1 tokens before the document, at most 4 + 3 with it, and 3 behind.
  await withLearner(() => -1, { maxLength: 14 }, async (learner) => {
    const { situations: both } = await learner.judge(situations, random);
    assertEquals(both.length, 2);
  });
  await withLearner(() => -1, { maxLength: 13 }, async (learner) => {
    assertEquals((await learner.judge(situations, random)).judged.length, 0);
  });
});

Deno.test("the reader's lessons: the posterior, as much of it as is wanted, and the gate's", async () => {
  const wanted = documents[17].text;
  const reader: Reader = (document) => document === wanted ? 0 : -20;
  const step = { learningRate: 0, replay: [], replayWeight: 0, random };
  await withLearner(reader, { readerWeight: 2 }, async (learner) => {
    const { lessons } = (await learner.step(situations, step))!;
    // −∂L/∂log p(y|q,d) is the posterior, a mean over two questions, times 2.
    assert(Math.abs(sumOf(lessons.map(({ weight }) => weight!)) - 2) < 1e-5);
    assertEquals(documentOf(lessons[0]), wanted);
  });
  await withLearner(reader, { readerWeight: 1, lessonShare: 0.9 }, async (learner) => {
    const { lessons } = (await learner.step(situations, step))!;
    assertEquals(lessons.map(documentOf), [wanted, wanted]);
  });
  await withLearner(reader, { readerWeight: 0, hasGate: true }, async (learner) => {
    const { lessons } = (await learner.step(situations, step))!;
    // For each question the decision and the answer at once; nothing of the documents.
    assertEquals(lessons.length, 4);
    const gates = lessons.filter(({ actions }) => actions.length === 1);
    assertEquals(
      new Set(gates.map(({ tokens }) => `${tokens}`)),
      new Set(situations.map(({ prefix }) => `${prefix}`)),
    );
    assert(lessons.every(({ weight }) => weight !== 0));
  });
});
