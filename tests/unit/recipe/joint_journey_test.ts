/** Whole runs of joint training in a world of thirty entities. */
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertRejects,
} from "@std/assert";
import { join } from "@std/path";
import { composeConfig } from "../../../src/config/mod.ts";
import { CheckpointError } from "../../../src/errors.ts";
import { attributeAnswer, type DocumentAttribution } from "../../../src/recipe/attribute.ts";
import { evaluateJointRun, formatJointEvaluation } from "../../../src/recipe/evaluate_joint_run.ts";
import { openAgent } from "../../../src/recipe/open_agent.ts";
import { openIndex } from "../../../src/recipe/open_index.ts";
import { trainDsi } from "../../../src/recipe/train_dsi.ts";
import { loadDataset } from "../../../src/recipe/load_dataset.ts";
import { trainAgent } from "../../../src/recipe/train_agent.ts";
import {
  trainJoint,
  type TrainJointOptions,
  type TrainJointResult,
} from "../../../src/recipe/train_joint.ts";
import { jointReport } from "../../../src/serve/mod.ts";
import { silentProgress } from "../../../src/train/progress.ts";
import { withFolder } from "../../with_folder.ts";
import { tinyAgentOverrides } from "./_tiny_agent_run.ts";
import { tinyT5 } from "./_tiny_run.ts";

/** Sums of probabilities that were computed in float32. */
const SHARES = 1e-5;

const overrides = [
  ...tinyAgentOverrides,
  "data.world.kept_wordings=all",
  "model.width=32",
  "training.max_steps=4",
  "training.batch_size=8",
  "training.eval_every=0",
  "training.checkpoint_every=2",
  "training.log_every=2",
  "joint.distribution=top_k",
  "joint.candidates=4",
  "joint.mass=1",
  "joint.supervised_weight=1",
  "joint.batch_size=3",
  "joint.replay=4",
  "joint.extra_questions=2",
];

const train = (
  folder: string,
  more: readonly string[] = [],
  options: TrainJointOptions = {},
): Promise<TrainJointResult> =>
  trainJoint(
    composeConfig({
      configName: "train/joint",
      overrides: [...overrides, `output.dir=${join(folder, "joint")}`, ...more],
    }),
    options,
  );

/** Ends a run after the first step of a phase. */
function stopIn(phase: string): TrainJointOptions {
  const stop = new AbortController();
  return {
    signal: stop.signal,
    progress: (now) => ({
      ...silentProgress,
      update: ({ step }) => {
        if (now === phase && step >= 1) stop.abort();
      },
    }),
  };
}

const weights = (run: TrainJointResult["run"], model: string): Promise<Uint8Array> =>
  Deno.readFile(run.file(join(model, "model.safetensors")));

Deno.test("a run trains both, and leaves what asks, searches and compares", () =>
  withFolder(async (folder) => {
    const { run, phase, ended, iterations, before, after, evaluation } = await train(folder);
    assertEquals([phase, ended, iterations], ["joint", "finished", 4]);
    assertNotEquals(await weights(run, "model"), await weights(run, "index"));
    assertNotEquals(await weights(run, "policy"), await weights(run, "warm_start"));
    for (const figures of [before!, after!]) {
      assert(figures.agent!.questions > 0);
      assert(figures.index!["hits@1"] >= 0);
    }
    assertEquals(evaluation!.systems[0].system, "this index");
    const lines = await run.readMetrics();
    assertEquals([...new Set(lines.map(({ phase }) => phase))], ["index", "warm start", "joint"]);
    const figures = lines.find((line) => "joint_loss" in line)!;
    assert(Number(figures.joint_loss) > 0 && Number(figures.index_grad_norm) > 0);
    assert(Number(figures.dropped_mass) > 0 && Number(figures.dropped_mass) < 1);
    assertEquals(figures.documents_read, 4 * Number(figures.index_queries));
    // The agent's retriever is the index of its own run, as it is after joint training.
    await using agent = await openAgent(run, { top: 2 });
    await using index = await openIndex(run);
    assertEquals(agent.environment.retriever.name, "index");
    const { documents } = await index.search("Who leads the town?");
    const request = {
      query: "Who leads the town?",
      question: { queryId: "q", query: "", docIds: [], answers: [] },
      seen: [],
      random: { seed: 0, stream: "", step: 0 },
    };
    const [found] = await agent.environment.retriever.retrieve([request], 2);
    assertEquals(
      found.map(({ doc }) => agent.environment.documents[doc].docId),
      documents.slice(0, 2).map(({ docId }) => docId),
    );

    // What an answer would do to the index.
    const town = agent.environment.documents[0].title;
    const attribution = await attributeAnswer(agent, "Who leads the town?", { answer: town });
    const sum = (of: (one: DocumentAttribution) => number): number =>
      attribution.documents.reduce((total, one) => total + of(one), 0);
    assertEquals(attribution.documents.length, 30);
    assertAlmostEquals(sum(({ prior }) => prior), 1, SHARES);
    assertAlmostEquals(sum(({ posterior }) => posterior), 1, SHARES);
    assertAlmostEquals(sum(({ push }) => push), 0, SHARES);
    assertAlmostEquals(
      sum(({ prior, likelihood }) => prior * likelihood),
      Math.exp(attribution.logLikelihood),
      SHARES,
    );
    const pushes = attribution.documents.map(({ push }) => push);
    assertEquals(pushes, pushes.toSorted((a, b) => b - a));

    // The whole, measured and shown.
    const measured = await evaluateJointRun(run, { biasQuestions: 2 });
    assertEquals(measured.systems.systems.map(({ name }) => name), [
      "this index",
      "index before joint training",
      "BM25",
      "right documents",
    ]);
    assertEquals(measured.systems.factLevel, "document");
    assertEquals(measured.systems.systems[3].hitsAt1.value, 1);
    assertEquals(measured.agent.agents[0].accuracy, measured.systems.systems[0].em);
    assertEquals(measured.agent.retriever, "index");
    // It is the index of the run that is measured, and the other one that was before.
    const [own, untrained] = measured.systems.systems;
    assertAlmostEquals(own.hitsAt1.value, measured.index!.systems[0].rows[0].hitsAt1.value, SHARES);
    assertAlmostEquals(own.hitsAt10.value, after!.index!["hits@10"], SHARES);
    assertAlmostEquals(untrained.hitsAt10.value, before!.index!["hits@10"], SHARES);
    for (const { estimators, documents: N, questions } of Object.values(measured.bias!)) {
      assertEquals([N, questions], [30, 2]);
      for (const { name, cosine, variance, seeds } of estimators) {
        assert(Math.abs(cosine) <= 1 + SHARES, `${name}: ${cosine}`);
        assertEquals(variance > 0, seeds > 1, name);
      }
    }
    const text = formatJointEvaluation(measured);
    for (const what of ["right documents", "gumbel_top_k 16", "regret, nats", "this index"]) {
      assert(text.includes(what), what);
    }
    const metrics = await run.readMetrics();
    const page = jointReport({ run: "a <run> & more", evaluation: measured, metrics });
    assert(page.startsWith("<!doctype html>") && page.trimEnd().endsWith("</html>"));
    assert(page.includes("a &lt;run&gt; &amp; more") && !page.includes("<run>"));
    assert(page.split("<svg").length > 4 && !/<(script|link|img)/.test(page));
    assertEquals((await evaluateJointRun(run, { biasQuestions: 0 })).bias, undefined);
  }));

Deno.test("interrupted in any phase a run saves; resumed, it ends with the bits of one that was not", () =>
  withFolder(async (folder) => {
    const whole = await train(join(folder, "whole"));
    const first = await train(folder, [], stopIn("index"));
    assertEquals([first.phase, first.ended], ["index", "interrupted"]);
    const resume = [`joint.resume=${first.run.path}`];
    const second = await train(folder, resume, stopIn("warm start"));
    assertEquals([second.phase, second.ended], ["warm start", "interrupted"]);
    const third = await train(folder, resume, stopIn("joint"));
    assertEquals([third.phase, third.ended, third.iterations], ["joint", "interrupted", 1]);
    const last = await train(folder, resume);
    assertEquals([last.ended, last.iterations], ["finished", 4]);
    for (const model of ["index", "warm_start", "model", "policy"]) {
      assertEquals(await weights(last.run, model), await weights(whole.run, model), model);
    }
    assertEquals(last.after, whole.after);
  }));

Deno.test("frozen, the index stays as it is; without labels nothing of a label is read", () =>
  withFolder(async (folder) => {
    const frozen = await train(join(folder, "a"), ["joint.dsi_learning_rate=0"]);
    assertEquals(await weights(frozen.run, "model"), await weights(frozen.run, "index"));
    // Every objective and distribution; labels would have to be there to be used.
    const cases = [
      ["marginal", "exact", "null"],
      ["annealed", "top_k", "3"],
      ["emdr2", "gumbel_top_k", "3"],
      ["pdist", "top_k", "3"],
      ["expected_utility", "exact", "null"],
      ["drawn_utility", "draws", "3"],
    ];
    for (const [objective, distribution, candidates] of cases) {
      const { run } = await train(join(folder, objective), [
        "joint.pretrain=false",
        "joint.supervised_weight=0",
        `joint.gate_weight=${distribution === "draws" ? 0 : 0.5}`,
        "agent.iterations=1",
        "agent.warm_start.steps=5",
        `joint.objective=${objective}`,
        `joint.distribution=${distribution}`,
        `joint.candidates=${candidates}`,
      ]);
      assertNotEquals(await weights(run, "model"), await weights(run, "index"), objective);
    }
  }));

Deno.test("an index of another run is gone on with, if it is over the same documents", () =>
  withFolder(async (folder) => {
    const data = ["data=world", "data.world.entities=30", "data.world.dev_questions=12"];
    const config = (more: string[], dir: string) =>
      composeConfig({
        configName: "train/joint",
        overrides: [...overrides, ...data, ...more, `output.dir=${join(folder, dir)}`],
      });
    const semantic = ["docid=semantic", "docid.base=4", "docid.lsa_dimensions=8"];
    const trained = config(semantic, "dsi");
    const { run: dsi } = await trainDsi(await loadDataset(trained.data, trained.seed), trained);
    const few = ["agent.warm_start.steps=5", "agent.iterations=1"];
    const { run } = await train(folder, [...few, `joint.index=${dsi.path}`]);
    assertEquals(
      await weights(run, "index"),
      await Deno.readFile(dsi.file("model/model.safetensors")),
    );
    // Model and docids are those of the index, whatever the configuration said.
    assertEquals(composeConfig({ resolved: { text: run.config, origin: "" } }).docid.base, 4);
    await assertRejects(
      () => train(join(folder, "b"), [`joint.index=${dsi.path}`, "data.world.entities=31"]),
      CheckpointError,
      "it was trained on other documents",
    );
    await assertRejects(() => Deno.stat(join(folder, "b", "joint")), Deno.errors.NotFound);
  }));

Deno.test("a T5 index learns jointly too, with docids of several digits", () =>
  withFolder(async (folder) => {
    const overridden = overrides.filter((one) => !one.startsWith("model."));
    const { run, after } = await trainJoint(composeConfig({
      overrides: [
        ...overridden,
        ...tinyT5,
        "docid=naive",
        "docid.base=6",
        "joint.objective=emdr2",
        "agent.warm_start.steps=5",
        "agent.iterations=1",
        `output.dir=${join(folder, "t5")}`,
      ],
    }));
    assertNotEquals(await weights(run, "model"), await weights(run, "index"));
    assert(after!.index!["hits@10"] >= 0);
  }));

Deno.test("an agent's own training has no index of its own to retrieve with", () =>
  withFolder(async (folder) => {
    const config = composeConfig({
      configName: "train/agent_grpo",
      overrides: [...tinyAgentOverrides, "agent.retriever=own", `output.dir=${folder}/agent`],
    });
    const error = await assertRejects(() => trainAgent(config));
    assert(`${error}`.includes("this run trains no index"), `${error}`);
  }));
