/** One gradient through index and reader: of the whole graph, and as the learner computes it in parts. */
import { assertEquals, assertLess } from "@std/assert";
import { withGradients } from "../../../src/graph/mod.ts";
import { type DistributionKind, openDocumentDistribution } from "../../../src/retriever/mod.ts";
import { adamw } from "../../../src/optim/mod.ts";
import {
  createTrainStep,
  onnxExecutor,
  Optimizer,
  ParameterStore,
} from "../../../src/runtime/mod.ts";
import {
  type Demonstration,
  demonstrationModel,
  type JointObjectiveName,
  openJointLearner,
  openJointObjective,
  openPolicyJudge,
} from "../../../src/train/mod.ts";
import { gradientError, runFloat64 } from "../../float64.ts";
import {
  documents,
  encode,
  indexTensors,
  N,
  protocol,
  readerConfig,
  readerSpecs,
  readerTensors,
  rules,
  situations,
  smallIndex,
  wholeInputs,
  wholeProgram,
} from "./_joint.ts";

/** Of the whole gradient, in float64. The issue's own figure. */
const DIFFERENCES = 1e-6;
/** Relative, in the Euclidean norm: what float32 leaves of a gradient through both models. */
const IN_PARTS = 1e-5;
/** Renormalised over all documents or not at all: the same formula, in float64. */
const TOP_IS_ALL = 1e-12;
/** τ of the objectives that have one. */
const TEMPERATURE = 2;

const index = smallIndex(), tensors = indexTensors(index);
const indexNames = Object.keys(index.specs), readerNames = Object.keys(readerSpecs);
const inputs = { ...tensors, ...readerTensors, ...wholeInputs() };

/** The gradient of the whole graph in float64, by parameter. */
function wholeGradient(
  objective: JointObjectiveName,
  isRenormalized = false,
): Record<string, Float64Array> {
  const program = wholeProgram(index, { objective, isRenormalized, temperature: TEMPERATURE });
  const parameters = [...indexNames, ...readerNames];
  const result = runFloat64(withGradients(program, { loss: "loss", parameters }), inputs);
  return Object.fromEntries(parameters.map((name) => [name, result[`grad:${name}`].data]));
}

/** The same as the learner computes it, with all documents as candidates. */
async function gradientInParts(
  objective: JointObjectiveName,
  kind: DistributionKind = "exact",
): Promise<Record<string, Float32Array>> {
  const executor = onnxExecutor();
  const store = new ParameterStore(index.specs, { rule: adamw() });
  store.load(tensors);
  const distribution = await openDocumentDistribution(executor, {
    kind,
    size: N,
    scorer: index.scorer,
    trie: index.trie,
    specs: index.specs,
    parameters: store.params,
    padId: 0,
  });
  const scorer = await openPolicyJudge({
    executor,
    config: readerConfig,
    specs: readerSpecs,
    rules,
    rows: 16,
  });
  const opened = await openJointObjective(executor, {
    objective,
    isRenormalized: distribution.isRenormalized,
    temperature: TEMPERATURE,
  });
  const learner = await openJointLearner({
    executor,
    model: index,
    optimizer: new Optimizer(store),
    encode,
    distribution,
    objective: opened,
    protocol,
    documents,
    judge: async (texts) =>
      (await scorer.judge(readerTensors, texts)).map(({ logProbs }) => logProbs),
    readerWeight: 1,
  });
  const random = { seed: 1, stream: "joint", step: 0 };
  const judged = await learner.judge(situations, random);
  const { rows } = await learner.differentiate(judged, { replay: [], replayWeight: 0 });
  const gradients: Record<string, Float32Array> = {};
  for (const name of indexNames) {
    const { data, shape } = store.gradients[name];
    gradients[name] = data.slice();
    if (!rows[name]) continue;
    // The gradient of the rows that take part stands at the beginning.
    gradients[name].fill(0);
    rows[name].forEach((row, u) =>
      gradients[name].set(data.subarray(u * shape[1], (u + 1) * shape[1]), row * shape[1])
    );
  }
  const step = await learner.step(situations, {
    learningRate: 0,
    replay: [],
    replayWeight: 0,
    random,
  });
  assertEquals(store.params, tensors); // a learning rate of 0 leaves the index as it is
  Object.assign(gradients, await readerGradient(step!.lessons));
  await Promise.all([learner, opened, distribution, scorer].map((one) => one.dispose()));
  return gradients;
}

/** The reader's gradient from its lessons. */
async function readerGradient(
  lessons: readonly Demonstration[],
): Promise<Record<string, Float32Array>> {
  const store = new ParameterStore(readerSpecs, { rule: adamw() });
  store.load(readerTensors);
  const school = demonstrationModel({ config: readerConfig }, rules, { seed: 0 });
  const train = await createTrainStep(onnxExecutor(), school.trainingProgram, store);
  await train.step(school.batch(lessons).inputs);
  await train.dispose();
  return Object.fromEntries(readerNames.map((name) => [name, store.gradients[name].data]));
}

/** ‖a − b‖ / ‖b‖ over some parameters. */
function distance(
  a: Record<string, ArrayLike<number>>,
  b: Record<string, ArrayLike<number>>,
  names: readonly string[],
): number {
  let difference = 0, norm = 0;
  for (const name of names) {
    assertEquals(a[name].length, b[name].length, name);
    for (let i = 0; i < b[name].length; i++) {
      difference += (a[name][i] - b[name][i]) ** 2;
      norm += b[name][i] ** 2;
    }
  }
  return Math.sqrt(difference / norm);
}

for (const objective of ["marginal", "expected_utility"] as const) {
  Deno.test(`${objective}: the exact gradient through 50 documents is that of differences`, () => {
    const program = wholeProgram(index, { objective, isRenormalized: false });
    const { error, where } = gradientError(program, inputs, {
      loss: "loss",
      parameters: [...indexNames, ...readerNames],
      samples: 2,
    });
    assertLess(error, DIFFERENCES, where);
  });
}

for (const objective of ["marginal", "annealed", "emdr2", "pdist", "expected_utility"] as const) {
  Deno.test(`${objective}: in parts the learner computes the gradient of the whole graph`, async () => {
    const whole = wholeGradient(objective), parts = await gradientInParts(objective);
    assertLess(distance(parts, whole, indexNames), IN_PARTS, "index");
    assertLess(distance(parts, whole, readerNames), IN_PARTS, "reader");
  });
}

Deno.test("with K = N the best K give the exact gradient", async () => {
  const exact = wholeGradient("marginal"), renormalized = wholeGradient("marginal", true);
  assertLess(distance(renormalized, exact, [...indexNames, ...readerNames]), TOP_IS_ALL);
  const topK = await gradientInParts("marginal", "top_k");
  assertLess(distance(topK, exact, indexNames), IN_PARTS, "index");
  assertLess(distance(topK, exact, readerNames), IN_PARTS, "reader");
});
