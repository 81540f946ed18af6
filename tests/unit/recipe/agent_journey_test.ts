import { assert, assertAlmostEquals, assertEquals, assertRejects } from "@std/assert";
import { join } from "@std/path";
import { AGENT_TOKENS, agentTokens } from "../../../src/agent/mod.ts";
import { composeConfig } from "../../../src/config/mod.ts";
import type { WorldQuestion } from "../../../src/data/world/mod.ts";
import { CheckpointError, ConfigError, DataError } from "../../../src/errors.ts";
import { loadModel, saveModel } from "../../../src/hub/mod.ts";
import { oracleOf } from "../../../src/recipe/agent_oracle.ts";
import { evaluateAgentRun } from "../../../src/recipe/evaluate_agent_run.ts";
import {
  type AgentStep,
  findAgentRun,
  hasPolicy,
  openAgent,
  type OpenedAgent,
} from "../../../src/recipe/open_agent.ts";
import { loadAgentData, prepareRetriever } from "../../../src/recipe/prepare_agent.ts";
import { createRunFolder, openRunFolder } from "../../../src/recipe/run_folder.ts";
import type { TrainAgentOptions } from "../../../src/recipe/train_agent.ts";
import { withFolder } from "../../with_folder.ts";
import { DOCUMENTS, QUESTIONS } from "../agent/_tiny_agent.ts";
import { tinyModel } from "../hub/_tiny_pretrained.ts";
import {
  folderOverrides,
  tinyAgentConfig,
  trainTinyAgent,
  writeTinyDataset,
} from "./_tiny_agent_run.ts";
import { trainTiny } from "./_tiny_run.ts";

/** Rewards and returns of float64 through JSON. */
const FLOAT64 = 1e-9;

/** Paths of all files under a folder, checkpoints by their folder alone. */
function filesIn(folder: string, under = ""): string[] {
  return [...Deno.readDirSync(join(folder, under))].flatMap(({ name, isDirectory }) => {
    const path = under ? `${under}/${name}` : name;
    return isDirectory && !name.startsWith("step-") ? filesIn(folder, path) : [path];
  }).sort();
}

const POLICY_FILES = [
  "config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
];

/** A line of a file of trajectories. */
interface TrajectoryLine extends Record<string, unknown> {
  tokens: number[];
  is_action: number[];
  actions: number[];
  retrievals: { action: number; documents: { doc: number; score: number }[] }[];
  rewards: number[];
}

/** Every line of every file of trajectories, checked for what each has to hold. */
async function trajectoriesOf(folder: string, isPpo: boolean): Promise<TrajectoryLine[]> {
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  assertEquals(names, ["iteration-000002.jsonl", "iteration-000004.jsonl"]);
  const lines: TrajectoryLine[] = [];
  for (const name of names) {
    const text = await Deno.readTextFile(join(folder, name));
    assert(text.endsWith("\n"));
    lines.push(...text.trimEnd().split("\n").map((line) => JSON.parse(line)));
  }
  assertEquals(lines.length, 2 * 4 * 2);
  for (const line of lines) {
    assertEquals(line.is_action.length, line.tokens.length);
    assertEquals(line.actions, line.is_action.flatMap((is, at) => is ? [at] : []));
    const perAction = [
      "may_retrieve",
      "log_probs",
      "reference_log_probs",
      "retrieve_probs",
      "rewards",
      "advantages",
      ...(isPpo ? ["returns"] : []),
    ];
    for (const field of perAction) {
      const values = line[field] as number[];
      assertEquals(values.length, line.actions.length, field);
      assert(values.every(Number.isFinite), field);
    }
    if (isPpo) assertEquals((line.values as number[]).length, line.actions.length + 1);
    else assert(!("values" in line || "returns" in line));
    const earned = line.rewards.reduce((a, b) => a + b, 0);
    assertAlmostEquals(line.return as number, earned, FLOAT64);
    assertEquals(typeof line.query_id + typeof line.query, "stringstring");
    assertEquals([typeof line.is_truncated, typeof line.is_well_formed], ["boolean", "boolean"]);
    assert(line.answer === null || typeof line.answer === "string");
  }
  return lines;
}

for (const algorithm of ["ppo", "dr_grpo"] as const) {
  Deno.test(`${algorithm}: a run leaves configuration, metrics, trajectories, policies and evaluation`, () =>
    withFolder(async (folder) => {
      const messages: string[] = [], phases = new Set<string>();
      const { run, config, ...result } = await trainTinyAgent(
        folder,
        [`agent.algorithm=${algorithm}`],
        {
          progress: (phase) => ({
            update: () => void phases.add(phase),
            message: (text) => messages.push(`${phase}: ${text}`),
            done: () => {},
          }),
        },
      );
      assertEquals([result.phase, result.ended, result.iterations], ["policy", "finished", 4]);
      assert(result.seconds.warmStart > 0 && result.seconds.policy > 0);
      const isPpo = algorithm === "ppo";
      const head = isPpo ? ["policy/value_head.safetensors"] : [];
      assertEquals(
        filesIn(run.path).filter((path) => !path.startsWith("checkpoints/")),
        [
          "config.yaml",
          "documents.sqlite",
          "evaluation.json",
          "metrics.jsonl",
          ...POLICY_FILES.map((name) => `policy/${name}`),
          ...head,
          "trajectories/iteration-000002.jsonl",
          "trajectories/iteration-000004.jsonl",
          ...POLICY_FILES.map((name) => `warm_start/${name}`),
          "warm_start/warm_start.json",
        ].sort(),
      );
      const checkpoints = filesIn(run.file("checkpoints"));
      assert(checkpoints.includes("policy/step-4") && checkpoints.includes("warm_start/step-60"));
      assertEquals(phases, new Set(["warm start", "policy"]));
      assert(messages.some((text) => text === `prepare: run folder ${run.path}`));
      assert(messages.some((text) => text.startsWith("policy: after the warm start: dev return")));

      // The configuration composes to itself; the policy loads with its tokenizer.
      const reopened = await openRunFolder(run.path);
      const resolved = { text: reopened.config, origin: "config.yaml" };
      assertEquals(composeConfig({ resolved }), config);
      const policy = await loadModel(run.file("policy"));
      assertEquals(policy.valueHead !== undefined, isPpo);
      for (const token of agentTokens) assert(policy.tokenizer!.tokenToId(token) !== undefined);
      const warm = await loadModel(run.file("warm_start"));
      assertEquals(warm.tokenizerJson, policy.tokenizerJson);
      assert(
        Object.keys(warm.tensors).some((name) =>
          warm.tensors[name].data.some((x, i) => x !== policy.tensors[name].data[i])
        ),
      );

      const lines = await run.readMetrics();
      const kinds = lines.map((line) => [
        line.phase,
        line.step,
        "dev return" in line ? "dev" : "alarm" in line ? "alarm" : "step",
      ]);
      assertEquals(kinds.filter(([, , kind]) => kind !== "alarm"), [
        ["warm start", 20, "step"],
        ["warm start", 40, "step"],
        ["warm start", 60, "step"],
        ["policy", 1, "step"],
        ["policy", 2, "step"],
        ["policy", 2, "dev"],
        ["policy", 3, "step"],
        ["policy", 4, "step"],
        ["policy", 4, "dev"],
      ]);
      const [first, last] = [lines[0], lines[2]] as unknown as { loss: number }[];
      assert(last.loss < first.loss - 0.5, "the warm start learns");

      const written = JSON.parse(await Deno.readTextFile(run.file("evaluation.json")));
      const expected = { before: result.before, ...result.evaluation };
      assertEquals(written, JSON.parse(JSON.stringify(expected)));
      const { agents, frontier, probes, questions } = result.evaluation!;
      assertEquals([agents.length, frontier.length, probes.length], [5, 8, 2]);
      assertEquals([questions, result.before!.agents.length], [12, 1]);
      assertEquals(agents[0].return.value, lines.at(-1)!["dev return"]);

      const retrieve = policy.tokenizer!.tokenToId(AGENT_TOKENS.retrieve);
      let retrievals = 0;
      for (const line of await trajectoriesOf(run.file("trajectories"), isPpo)) {
        const chosen = line.actions.map((at) => line.tokens[at]);
        assertEquals(line.retrievals.length, chosen.filter((token) => token === retrieve).length);
        retrievals += line.retrievals.length;
        for (const { action, documents } of line.retrievals) {
          assertEquals(chosen[action], retrieve);
          assert(documents.every(({ doc }) => doc >= 0 && doc < 30));
        }
      }
      assert(retrievals > 0);
    }));
}

/** Stops a run at the first line of a phase. */
function stopIn(phase: string): TrainAgentOptions {
  const controller = new AbortController();
  return {
    signal: controller.signal,
    progress: (of) => ({
      update: () => void (of === phase && controller.abort()),
      message: () => {},
      done: () => {},
    }),
  };
}

Deno.test("interrupted in either phase a run saves; resumed, it ends with the bits of one that was not", () =>
  withFolder(async (folder) => {
    const whole = await trainTinyAgent(join(folder, "whole"));
    const first = await trainTinyAgent(folder, [], stopIn("warm start"));
    assertEquals([first.phase, first.ended, first.iterations], ["warm start", "interrupted", 0]);
    assertEquals([await hasPolicy(first.run), first.evaluation], [false, undefined]);
    const resume = [`agent.resume=${first.run.path}`];
    const second = await trainTinyAgent(folder, resume, stopIn("policy"));
    assertEquals([second.phase, second.ended, second.iterations], ["policy", "interrupted", 1]);
    assertEquals([second.run.path, second.evaluation], [first.run.path, undefined]);
    await assertRejects(() => findAgentRun(first.run.path), CheckpointError, "no trained policy");
    const last = await trainTinyAgent(folder, resume);
    assertEquals([last.ended, last.iterations], ["finished", 4]);
    for (const model of ["warm_start", "policy"]) {
      const file = join(model, "model.safetensors");
      assertEquals(
        await Deno.readFile(last.run.file(file)),
        await Deno.readFile(whole.run.file(file)),
      );
    }
    assertEquals(last.evaluation, whole.evaluation);
    const steps = async (run: typeof whole.run): Promise<unknown[]> =>
      (await run.readMetrics()).map((line) =>
        Object.fromEntries(Object.entries(line).filter(([name]) => !/second/i.test(name)))
      );
    assertEquals(await steps(last.run), await steps(whole.run));
    assertEquals(filesIn(last.run.file("trajectories")), filesIn(whole.run.file("trajectories")));
  }));

Deno.test("a run is resumed with its own documents, settings and seed only", () =>
  withFolder(async (folder) => {
    const { run } = await trainTinyAgent(folder, ["agent.iterations=1"]);
    const resume = (...overrides: string[]) =>
      trainTinyAgent(folder, ["agent.iterations=1", `agent.resume=${run.path}`, ...overrides]);
    await assertRejects(
      () => resume("data.world.entities=31"),
      CheckpointError,
      `Cannot resume ${run.path}: it was trained on other documents`,
    );
    await assertRejects(() => resume("agent.costs=[0.2]"), CheckpointError, "other data, settings");
    await assertRejects(() => resume("seed=2"), CheckpointError);
    await assertRejects(
      () => trainTinyAgent(folder, [`agent.resume=${folder}/none`]),
      CheckpointError,
      "there is no such folder",
    );
    await assertRejects(() => trainTinyAgent(folder), DataError, "it already holds one");
    assertEquals((await resume("agent.eval_every=1", "agent.max_minutes=9")).iterations, 1);
  }));

Deno.test("without warm start and iterations a run leaves the policy that it began with", () =>
  withFolder(async (folder) => {
    const { run, evaluation, iterations } = await trainTinyAgent(folder, [
      "agent.warm_start.steps=0",
      "agent.iterations=0",
    ]);
    assertEquals(iterations, 0);
    assertEquals(evaluation!.agents[0].name, "agent");
    const [warm, policy] = [
      await loadModel(run.file("warm_start")),
      await loadModel(run.file("policy")),
    ];
    assertEquals(policy.tensors, warm.tensors);
  }));

Deno.test("a warm start of another run is taken, if it is of the same kind", () =>
  withFolder(async (folder) => {
    const one = ["agent.iterations=0", "agent.warm_start.steps=5"];
    const { run } = await trainTinyAgent(folder, one);
    const from = [...one, `agent.warm_start.from=${run.path}`];
    const other = await trainTinyAgent(join(folder, "b"), from);
    const tensorsOf = async (of: typeof run, name: string) =>
      (await loadModel(of.file(name))).tensors;
    assertEquals(await tensorsOf(other.run, "warm_start"), await tensorsOf(run, "warm_start"));
    assertEquals(await tensorsOf(other.run, "policy"), await tensorsOf(run, "policy"));
    await assertRejects(
      () => trainTinyAgent(join(folder, "c"), [...from, "agent.policy.width=32"]),
      CheckpointError,
      "it has another tokenizer or other sizes",
    );
    await Deno.remove(run.file("warm_start"), { recursive: true });
    await assertRejects(
      () => trainTinyAgent(join(folder, "d"), from),
      CheckpointError,
      "Cannot take the warm start of",
    );
    // A run that has taken it does without.
    await trainTinyAgent(join(folder, "b"), [...from, `agent.resume=${other.run.path}`]);
    // Refused before anything was written.
    for (const name of ["c", "d"]) await assertRejects(() => Deno.stat(join(folder, name)));
  }));

/** Fails unless the steps tell what the tokens of the episode say. */
function assertSteps(steps: readonly AgentStep[], { trajectory }: Asked, agent: OpenedAgent): void {
  const { protocol } = agent.environment, { ids } = protocol;
  const { tokens, actions, retrieveProbs } = trajectory;
  const told = steps.filter(({ move }) => move === "retrieve");
  const at = [...actions].flatMap((at, i) => tokens[at] === ids.retrieve ? [i] : []);
  assertEquals(told.map(({ retrieveProb }) => retrieveProb), at.map((i) => retrieveProbs[i]));
  // All that was written is told, in its order.
  const words = [...actions].map((at) => tokens[at])
    .filter((token) => ![ids.retrieve, ids.answer, ids.end].includes(token));
  const squeezed = (text: string) => text.replaceAll(/[\s\ufffd]/g, "");
  assertEquals(squeezed(steps.map(({ text }) => text).join("")), squeezed(protocol.text(words)));
}
type Asked = Awaited<ReturnType<OpenedAgent["ask"]>>;

Deno.test("an agent that was trained is asked, and measured", (t) =>
  withFolder(async (folder) => {
    const trained = await trainTinyAgent(folder, ["agent.costs=[0.1,0.4]"]);
    const { run, config } = trained;
    const step = async (name: string, fn: () => Promise<void>): Promise<void> => {
      assert(await t.step(name, fn));
    };
    const question = "Who taught Ada Lund?";

    await step("an answer, its steps, and what they cost", async () => {
      await using agent = await openAgent(await findAgentRun(run.path), { top: 3 });
      const asked = await agent.ask(question);
      assertEquals([asked.cost, agent.config], [0.1, config]);
      assertEquals(asked.retrievals, asked.trajectory.retrievals.length);
      assertEquals(asked.answer, asked.trajectory.answer);
      assert(asked.milliseconds > 0);
      assertEquals((await agent.ask(question)).trajectory, asked.trajectory);
      assertEquals((await agent.ask(` ${question}`, { cost: 0.4 })).cost, 0.4);
      assertEquals((await agent.ask(question, { cost: 0 })).cost, 0);
      const drawn = new Set<string>();
      let found = 0, truncated = 0, answers = 0;
      for (let seed = 0; seed < 40; seed++) {
        const one = await agent.ask(question, { seed });
        assertEquals((await agent.ask(question, { seed })).trajectory, one.trajectory);
        drawn.add([...one.trajectory.tokens].join());
        assertSteps(one.steps, one, agent);
        truncated += Number(one.trajectory.isTruncated);
        for (const { move, query, documents, text } of one.steps) {
          assertEquals(move === "retrieve", query !== undefined && documents !== undefined);
          if (move === "answer") {
            answers++;
            assertEquals(text, one.answer);
          }
          for (const { docId, title, text, score } of documents ?? []) {
            assert(docId && title && text && score > 0);
            found++;
          }
          assert((documents ?? []).length <= 3);
        }
      }
      assert(
        drawn.size > 20 && found > 10 && answers > 5 && truncated > 0,
        `${[drawn.size, found, answers, truncated]}`,
      );
    });

    await step("questions asked at once are answered as one by one", async () => {
      await using agent = await openAgent(run);
      const seeds = [1, 2, 3], alone: unknown[] = [];
      for (const seed of seeds) alone.push((await agent.ask(question, { seed })).trajectory);
      const refused = assertRejects(() => agent.ask(" "), DataError);
      const asked = await Promise.all(seeds.map((seed) => agent.ask(question, { seed })));
      assertEquals(asked.map(({ trajectory }) => trajectory), alone);
      await refused;
    });

    await step("what can't be asked is refused by name", async () => {
      await using agent = await openAgent(run);
      for (const blank of ["", "  \n"]) {
        await assertRejects(() => agent.ask(blank), DataError, "the question is blank");
      }
      for (const cost of [-0.1, NaN, Infinity]) {
        await assertRejects(() => agent.ask(question, { cost }), ConfigError, `cost: is ${cost}`);
      }
      assertEquals((await agent.ask(question)).cost, 0.1);
    });

    await step(
      "its evaluation is that of the training; other parts and settings are measured too",
      async () => {
        const notes: string[] = [];
        const again = await evaluateAgentRun(run, config, { onNote: (note) => notes.push(note) });
        assertEquals(again, trained.evaluation);
        assertEquals(notes[0], "never");
        const train = await evaluateAgentRun(run, config, { part: "train" });
        assertEquals(train.part, "train");
        assert(train.questions > again.questions);
        const exact = tinyAgentConfig(folder, ["agent.costs=[0.1,0.4]", "agent.retriever=exact"]);
        assertEquals((await evaluateAgentRun(run, exact)).retriever, "exact");
        const noisy = tinyAgentConfig(folder, ["agent.costs=[0.1,0.4]", "agent.noise=0.5"]);
        const { agents, retriever } = await evaluateAgentRun(run, noisy);
        assertEquals(retriever, "noisy(bm25, 0.5)");
        assert(agents[0].oracleReturn! < again.agents[0].oracleReturn!);
      },
    );

    await step("parts and documents that do not fit are refused by name", async () => {
      await assertRejects(
        () => evaluateAgentRun(run, config, { part: "test" }),
        DataError,
        "Cannot evaluate on part test: the dataset has train, dev",
      );
      await assertRejects(
        () => evaluateAgentRun(run, tinyAgentConfig(folder, ["data.world.entities=31"])),
        CheckpointError,
        "the documents of its dataset have changed",
      );
    });

    await step("a run without policy, tokenizer or documents is refused by name", async () => {
      const empty = await createRunFolder({ config: run.config, dir: join(folder, "empty") });
      await assertRejects(
        () => findAgentRun(empty.path),
        CheckpointError,
        `Cannot use the run ${empty.path}: it has no trained policy. Finish it with train-agent`,
      );
      await assertRejects(() => openAgent(empty));
      await saveModel(empty.file("policy"), {
        ...await loadModel(run.file("policy")),
        tokenizerJson: undefined,
      });
      await assertRejects(
        () => openAgent(empty),
        CheckpointError,
        "its policy is no decoder with a tokenizer",
      );
      await Deno.remove(empty.file("policy"), { recursive: true });
      await saveModel(empty.file("policy"), tinyModel("t5"));
      await assertRejects(() => openAgent(empty), CheckpointError, "is no decoder");
      await saveModel(empty.file("policy"), await loadModel(run.file("policy")));
      await assertRejects(() => openAgent(empty), CheckpointError, "has no documents");
    });
  }));

Deno.test("questions from a folder are shown by a plain teacher; there is no best possible agent", () =>
  withFolder(async (folder) => {
    const data = await writeTinyDataset(join(folder, "data"));
    const { run, evaluation, config } = await trainTinyAgent(folder, folderOverrides(data));
    const [agent] = evaluation!.agents;
    assertEquals([evaluation!.questions, agent.oracleReturn, agent.regret], [
      3,
      undefined,
      undefined,
    ]);
    const dev = (await run.readMetrics()).at(-1)!;
    assertEquals(Object.keys(dev), [
      "phase",
      "step",
      "dev return",
      "dev accuracy",
      "dev retrievals",
    ]);
    assertEquals((await evaluateAgentRun(run, config)).agents[0], agent);
    await using opened = await openAgent(run);
    assertEquals(opened.environment.documents.length, DOCUMENTS.length);

    // Without questions to measure by, there is no evaluation.
    const bare = await writeTinyDataset(join(folder, "bare"), { queries: { train: QUESTIONS } });
    const dark = await trainTinyAgent(join(folder, "dark"), folderOverrides(bare));
    assertEquals([dark.ended, dark.before, dark.evaluation], ["finished", undefined, undefined]);
    assert(await hasPolicy(dark.run) && !filesIn(dark.run.path).includes("evaluation.json"));
    // Without answers there is nothing to learn.
    const mute = QUESTIONS.map((question) => ({ ...question, answers: [] }));
    const none = await writeTinyDataset(join(folder, "none"), { queries: { train: mute } });
    await assertRejects(
      () => trainTinyAgent(join(folder, "mute"), folderOverrides(none)),
      DataError,
      "no question of the part train has an answer",
    );
  }));

Deno.test("a pretrained decoder gets the agent's tokens, and trains on", () =>
  withFolder(async (folder) => {
    const data = await writeTinyDataset(join(folder, "data")), pretrained = join(folder, "gpt2");
    const model = tinyModel("gpt2", { n_positions: 64, vocab_size: 20 });
    await saveModel(pretrained, model);
    const overrides = [
      ...folderOverrides(data),
      `agent.policy.pretrained=${pretrained}`,
      "agent.algorithm=ppo",
      "agent.document_tokens=8",
    ];
    const { run } = await trainTinyAgent(folder, overrides);
    const policy = await loadModel(run.file("policy"));
    assertEquals([policy.config.family, policy.config.vocabSize], ["gpt2", 35]);
    assertEquals(policy.tokenizer!.tokenToId("otter"), 6);
    assert(policy.valueHead);
    await using agent = await openAgent(run);
    assertEquals((await agent.ask("who sleeps ?")).trajectory.promptLength, 8);
    // Resumed, it goes on from its own warm start.
    const again = await trainTinyAgent(folder, [...overrides, `agent.resume=${run.path}`]);
    assertEquals([again.ended, again.iterations], ["finished", 1]);

    await saveModel(join(folder, "t5"), tinyModel("t5"));
    await assertRejects(
      () =>
        trainTinyAgent(join(folder, "b"), [...overrides, `agent.policy.pretrained=${folder}/t5`]),
      ConfigError,
      "agent.policy.pretrained: is a t5; an agent needs a decoder",
    );
    await saveModel(pretrained, { ...model, tokenizerJson: undefined });
    await assertRejects(
      () => trainTinyAgent(join(folder, "c"), overrides),
      DataError,
      `Cannot use the model in ${pretrained}: it has no tokenizer.json`,
    );
  }));

Deno.test("a trained index is the retriever of an agent with its documents, and of no other", () =>
  withFolder(async (folder) => {
    const index = await trainTiny(folder);
    const overrides = [
      "data=synthetic",
      `data.documents=${index.config.data.documents}`,
      "data.train_questions=3",
      "data.dev_questions=1",
      "agent.retriever=index",
      `agent.index=${index.run.path}`,
      "agent.warm_start.steps=2",
      "agent.iterations=1",
    ];
    const { run, evaluation } = await trainTinyAgent(folder, overrides);
    assertEquals(evaluation!.retriever, "index");
    await using agent = await openAgent(run, { top: 2 });
    const [[first, second]] = await agent.environment.retriever.retrieve([{
      query: "Who?",
      question: QUESTIONS[0],
      seen: [],
      random: { seed: 1, stream: "a", step: 0 },
    }], 2);
    assert(first.score >= second.score && first.score <= 1);
    await assertRejects(
      () => trainTinyAgent(join(folder, "other"), [...overrides, "data.documents=30"]),
      CheckpointError,
      `Cannot retrieve with the index of ${index.run.path}: it was trained on other documents`,
    );
  }));

Deno.test("the best possible agent: what is known, what can be looked up, what can only be guessed", async () => {
  const valuesOf = async (cost: number, ...overrides: string[]) => {
    const config = tinyAgentConfig("unused", overrides);
    const data = await loadAgentData(config), questions = data.queries.dev;
    await using prepared = await prepareRetriever(config.agent, data.documents);
    const oracle = await oracleOf(questions, { config, data, base: prepared.base });
    const { entities, facts, relations } = data.world!;
    return (questions as readonly WorldQuestion[]).map((question) => {
      const { entity, relation } = facts[question.chain[0]], { value } = relations[relation];
      const guesses = typeof value === "string"
        ? entities.filter(({ kind }, e) => kind === value && e !== entity).length
        : value.length;
      const { part } = entities[entity];
      return { isKnown: part === "known", guess: 1 / guesses, ...oracle!(question, cost) };
    });
  };
  const exact = await valuesOf(0.25, "agent.retriever=exact");
  assert(exact.some(({ isKnown }) => isKnown) && exact.some(({ isKnown }) => !isKnown));
  for (const { isKnown, value, retrievals, accuracy } of exact) {
    assertEquals([value, retrievals, accuracy], isKnown ? [1, 0, 1] : [0.75, 1, 1]);
  }
  for (
    const { isKnown, value, guess, retrievals } of await valuesOf(0.25, "agent.retriever=empty")
  ) {
    assertEquals([value, retrievals], [isKnown ? 1 : guess, 0]);
  }
  // One of thirty documents, by chance: worth a hundredth where there is little to guess.
  const random = await valuesOf(0.01, "agent.retriever=random", "agent.budget=1");
  for (const { isKnown, value, guess } of random) {
    const looked = 1 / 30 + (29 / 30) * guess - 0.01;
    assertAlmostEquals(value, isKnown ? 1 : Math.max(guess, looked), FLOAT64);
  }
  assert(random.some(({ value, guess }) => value < 1 && value > guess));
  // Half of the retrievals give a document by chance, which may be the right one.
  const noisy = await valuesOf(0.25, "agent.retriever=exact", "agent.noise=0.5", "agent.budget=1");
  for (const { isKnown, value, guess } of noisy) {
    const p = 0.5 + 0.5 / 30, looked = p + (1 - p) * guess - 0.25;
    assertAlmostEquals(value, isKnown ? 1 : Math.max(guess, looked), FLOAT64);
  }
  const [first] = await valuesOf(0.25, "agent.retriever=exact", "agent.reward.em=2");
  assertEquals(first.value, exact[0].isKnown ? 2 : 1.75);

  const synthetic = tinyAgentConfig("unused", ["data=synthetic", "data.documents=20"]);
  const data = await loadAgentData(synthetic);
  const { base } = await prepareRetriever(synthetic.agent, data.documents);
  assertEquals(await oracleOf(data.queries.dev, { config: synthetic, data, base }), undefined);
  // Where a wrong answer earns something too, the best return is not known.
  for (const reward of ["f1", "rouge_l", "format"]) {
    const config = tinyAgentConfig("unused", [`agent.reward.${reward}=0.5`]);
    const inWorld = await loadAgentData(config);
    const { dev } = inWorld.queries;
    assertEquals(await oracleOf(dev, { config, data: inWorld, base }), undefined);
  }
});
