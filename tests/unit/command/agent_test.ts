/** `train-agent`, `ask` and `evaluate-model` on a tiny agent. */
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { openRunFolder } from "../../../src/recipe/run_folder.ts";
import { withFolder } from "../../with_folder.ts";
import { tinyAgentOverrides } from "../recipe/_tiny_agent_run.ts";
import { trainTiny } from "../recipe/_tiny_run.ts";
import { assertRefused, cli } from "./_models.ts";
import { interruptCli } from "./_interrupt.ts";

const QUESTION = ["Who", "taught", "Ada", "Lund?"];

Deno.test("an agent through the command line", (t) =>
  withFolder(async (root) => {
    const run = join(root, "run"), inRun = `--run=${run}`;
    const step = async (name: string, fn: () => Promise<void>): Promise<void> => {
      assert(await t.step(name, fn));
    };

    await step("train-agent trains, measures, and says where everything is", async () => {
      const { code, out, err } = await cli(
        "train-agent",
        ...tinyAgentOverrides,
        `output.dir=${run}`,
      );
      assertEquals(code, 0, err);
      const lines = out.split("\n");
      assertMatch(
        lines[0],
        /^Trained 4 iterations: \d\.\d minutes of warm start and \d\.\d of policy optimisation$/,
      );
      const figure = String.raw`-?\d\.\d{3} \(regret -?\d+\.\d %\)`;
      assertMatch(lines[1], new RegExp(`^Return on part dev: ${figure} before, ${figure} after$`));
      assertEquals(lines.slice(2), [
        `Run folder: ${run}`,
        `Next: deno task ask "your question" --run=${run}`,
      ]);
      assertStringIncludes(err, "12 questions of part dev, retriever bm25"); // news, not the result
      // The configuration that is taken where none is named: by GRPO, in a world.
      const { config } = await openRunFolder(run);
      assertMatch(config, /algorithm: grpo/);
    });

    await step("a run is not trained over, and what can't be resumed is said", async () => {
      const train = ["train-agent", ...tinyAgentOverrides];
      const refuse = (args: string[], message: string) =>
        assertRefused(train[0], [...train.slice(1), ...args], message);
      await refuse([`output.dir=${run}`], "it already holds one");
      await refuse([`agent.resume=${root}/none`], "there is no such folder");
      await refuse([`agent.resume=${run}`, "agent.learning_rate=0.1"], "other data, settings");
      await refuse([`agent.resume=${run}`, "data.world.entities=40"], "other documents");
      await refuse(["agent.iterations=-1"], "agent.iterations");
      await refuse(["agent.iteratoins=1"], "agent.iterations");
      await refuse(["words"], "words");
    });

    await step("ask shows each step, what it reads, the answer and what it cost", async () => {
      const seen = { retrieval: false, answer: false, cut: false, writes: false };
      for (let seed = 0; seed < 30 && Object.values(seen).includes(false); seed++) {
        const { code, out } = await cli("ask", ...QUESTION, inRun, `--seed=${seed}`, "--top=2");
        assertEquals(code, 0);
        const lines = out.split("\n");
        assertMatch(
          lines.at(-1)!,
          /^[012] retrievals? at 0\.1 \(bm25, scores in BM25\); \d+\.\d ms \(\d+ ms to load /,
        );
        for (const line of lines) {
          const known = [
            /^\d\. retrieve with probability [01]\.\d{3}: it (does|answers)$/,
            /^\d\. writes: ./,
            /^ {3}(looks for|wrote): ./,
            /^ {3}(reads| {5}) \d+\.\d{3} {2}.+ {2}\(e\d+\)$/,
            /^ {9}./,
            /^ {3}finds nothing$/,
            /^$/,
            /^Answer: /,
            /^No answer(: it was cut off)?$/,
            /^[012] retrieval/,
          ];
          assert(known.some((form) => form.test(line)), line);
        }
        seen.retrieval ||= /: it does\n(.*\n)* {3}reads /.test(out);
        seen.answer ||= /: it answers\n[^]*\nAnswer: ./.test(out);
        seen.cut ||= out.includes("No answer: it was cut off");
        seen.writes ||= out.includes(". writes: ");
      }
      assertEquals(Object.values(seen), [true, true, true, true]);
    });

    await step("ask as JSON, with another price and another retriever", async () => {
      const { out, code } = await cli("ask", ...QUESTION, inRun, "--json", "--cost=0.9");
      assertEquals(code, 0);
      const json = JSON.parse(out);
      assertEquals([json.question, json.cost], [QUESTION.join(" "), 0.9]);
      assert("answer" in json && json.milliseconds > 0 && json.tokens.every(Number.isInteger));
      const moves: string[] = json.steps.map(({ move }: { move: string }) => move);
      assertEquals(json.retrievals, moves.filter((move) => move === "retrieve").length);
      const again = JSON.parse(
        (await cli("ask", QUESTION.join(" "), inRun, "--json", "--cost=0.9")).out,
      );
      assertEquals({ ...again, milliseconds: 0 }, { ...json, milliseconds: 0 });
      const exact = await cli("ask", ...QUESTION, inRun, "agent.retriever=exact");
      assertStringIncludes(exact.out, "(exact, scores in match)");
    });

    await step("ask refuses what is no question, no number and no run of an agent", async () => {
      const refuse = (args: string[], message: string) =>
        assertRefused("ask", [...args, inRun], message);
      await refuse([], "Cannot ask: there is no question");
      await refuse(["  "], "Cannot ask: there is no question");
      for (const flag of ["--cost=-1", "--cost=x", "--cost=1e10", "--cost=NaN"]) {
        await refuse(["Who?", flag], `Cannot use ${flag}: it takes a number of at least 0`);
      }
      for (const flag of ["--seed=-1", "--seed=1.5", "--seed=x"]) {
        await refuse(["Who?", flag], `Cannot use ${flag}: it takes a whole number of at least 0`);
      }
      for (const flag of ["--top=0", "--top=1.5", "--top=x"]) {
        await refuse(["Who?", flag], `Cannot use ${flag}: it takes a whole number of at least 1`);
      }
      await refuse(["Who?", "--top="], "--top needs a value, as in --top=n");
      await refuse(["Who?", "--jsn"], "did you mean --json?");
      await refuse(["Who?", "agent.retriever=guess"], "agent.retriever");
      await assertRefused("ask", ["Who?", `--run=${root}/none`], "there is no such folder");
      const { run: index } = await trainTiny(join(root, "index"));
      await assertRefused("ask", ["Who?", `--run=${index.path}`], "it has no trained policy");
      await assertRefused("retrieve", ["Who?", inRun], "it has no trained model");
    });

    await step(
      "evaluate-model measures the agent of a run, as a table or JSON, and writes it",
      async () => {
        const { code, out, err } = await cli("evaluate-model", inRun);
        assertEquals(code, 0);
        assertStringIncludes(out, "12 questions of part dev, retriever bm25, λ = 0.1");
        for (const part of ["always, oracle", "What accuracy costs", "Best possible return"]) {
          assertStringIncludes(out, part);
        }
        assertStringIncludes(err, "measuring: never");
        assertStringIncludes(err, `Written to ${run}/evaluation.dev.json`);
        const written = JSON.parse(await Deno.readTextFile(join(run, "evaluation.dev.json")));
        const { before: _, ...trained } = JSON.parse(
          await Deno.readTextFile(join(run, "evaluation.json")),
        );
        assertEquals(written, trained);
        const exact = await cli(
          "evaluate-model",
          inRun,
          "--json",
          "--part=train",
          "agent.retriever=exact",
        );
        const json = JSON.parse(exact.out);
        assertEquals([json.part, json.retriever], ["train", "exact"]);
        assertEquals(json, JSON.parse(await Deno.readTextFile(join(run, "evaluation.train.json"))));
        const refuse = (arg: string, message: string) =>
          assertRefused("evaluate-model", [inRun, arg], message);
        await refuse("--part=test", "Cannot evaluate on part test: the dataset has train, dev");
        await refuse("--part=../x", "no name of a part");
        await refuse("data.world.entities=31", "the documents of its dataset have changed");
        await assertRefused("evaluate-model", [`--run=${root}/none`], "there is no such folder");
      },
    );
  }));

Deno.test("a run that ran out of time says how to go on, and that works", () =>
  withFolder(async (root) => {
    // Longer than the time that it gets, and not too long for the rest.
    const { code, out } = await cli(
      "train-agent",
      ...tinyAgentOverrides,
      `output.dir=${join(root, "run")}`,
      "agent.iterations=60",
      "agent.questions=16",
      "agent.group_size=4",
      "agent.eval_every=0",
      "agent.trajectories_every=0",
      "agent.checkpoint_every=0",
      "agent.learning_rate=0.00001",
      "agent.max_minutes=0.01",
    );
    assertEquals(code, 0);
    const [, iterations, resume] = out.match(
      /^Time was up at iteration (\d+) after .*\n {2}deno task (train-agent .* agent\.max_minutes=null)$/m,
    )!;
    const resumed = await cli(...resume.split(" "));
    assertEquals(resumed.code, 0, resumed.err);
    assertStringIncludes(resumed.err, `resumed at iteration ${iterations}`);
    assertStringIncludes(resumed.out, "Trained 60 iterations");
  }));

Deno.test({
  name: "train-agent saves at Ctrl-C in either phase, and says how to go on",
  ignore: Deno.build.os === "windows",
  fn: () =>
    withFolder(async (root) => {
      const interrupted = async (phase: string, ...args: string[]): Promise<string> => {
        // The first line of its progress: it is at work.
        const { code, out, err } = await interruptCli(root, phase, args);
        assertEquals(code, 130, err);
        assertStringIncludes(err, "stopping after this step");
        return out;
      };
      const run = join(root, "run");
      const resume = `train-agent agent.resume=${run}`;
      const first = await interrupted(
        "warm start  ",
        "train-agent",
        ...tinyAgentOverrides,
        `output.dir=${run}`,
        "agent.warm_start.steps=400",
        "agent.iterations=100000",
        "agent.trajectories_every=0",
        "agent.learning_rate=0.00001",
      );
      assertEquals(
        first,
        `Interrupted in the warm start and saved. To go on:\n  deno task ${resume}\n`,
      );
      const second = await interrupted("policy  ", ...resume.split(" "));
      const [, iteration] = second.match(
        /^Interrupted after iteration (\d+) and saved\. To go on:\n {2}deno task train-agent /,
      )!;
      assert(Number(iteration) > 0 && second.trimEnd().endsWith(resume));
      const { code, out, err } = await cli(...resume.split(" "), "agent.max_minutes=0.02");
      assertEquals(code, 0, err);
      assertStringIncludes(err, `resumed at iteration ${iteration}`);
      assertMatch(out, /^Time was up at iteration \d+/);
    }),
});

Deno.test("help of the commands names their flags", async () => {
  const asks = await cli("ask", "--help");
  assertEquals(asks.code, 0);
  for (const flag of ["--run=folder", "--cost=number", "--top=n", "--seed=n", "--json"]) {
    assertStringIncludes(asks.out, flag);
  }
  assertStringIncludes(asks.out, "deno task ask [flags] [key=value …] question");
  const trains = await cli("train-agent", "--help");
  assertStringIncludes(trains.out, "agent.resume=<run folder>");
  const printed = await cli("train-agent", "--print-config");
  assertMatch(printed.out, /^agent:\n[^]*algorithm: grpo/m);
});
