import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { runCli } from "../../../src/command/run_cli.ts";
import { withFolder } from "../../with_folder.ts";
import { DOCUMENTS, tinyOverrides } from "../recipe/_tiny_run.ts";
import { hasGpu } from "../runtime/cuda/_gpu.ts";
import { fakeIo } from "./fake_io.ts";

interface Said {
  code: number;
  out: string;
  err: string;
}

async function cli(...args: string[]): Promise<Said> {
  const io = fakeIo();
  const code = await runCli(args, { io });
  return { code, out: io.outLines.join("\n"), err: io.errLines.join("\n") };
}

/** Fail unless the command ended as bad input does, with this in its message and nothing said. */
async function assertRefused(args: string[], message: string): Promise<void> {
  const { code, out, err } = await cli(...args);
  assertStringIncludes(err, message);
  assertEquals([code, out], [2, ""]);
  assert(!err.includes("    at "), "no stack");
}

Deno.test("the journey through the command line", (t) =>
  withFolder(async (root) => {
    const run = join(root, "run");
    const inRun = `--run=${run}`;
    const step = async (name: string, fn: () => Promise<void>): Promise<void> => {
      assert(await t.step(name, fn));
    };

    await step("train-dsi trains, measures, and says where everything is", async () => {
      const { code, out, err } = await cli("train-dsi", ...tinyOverrides, `output.dir=${run}`);
      assertEquals(code, 0);
      assertMatch(out, /Trained 4 steps in 0\.\d minutes; loss \d/);
      assertMatch(out, /Hits@1 on part dev: [01]\.\d{3}/);
      assertStringIncludes(out, `retrieve "your question" --run=${run}`);
      assertStringIncludes(err, "BM25, words"); // the table is news, not the result
    });

    await step("a run is not trained over, and what can't be resumed is said", async () => {
      const train = ["train-dsi", ...tinyOverrides];
      await assertRefused([...train, `output.dir=${run}`], "it already holds one");
      await assertRefused(["train-dsi", `training.resume=${root}/none`], "there is no such folder");
      await assertRefused(
        ["train-dsi", `training.resume=${run}`, "data.documents=30"],
        "it was trained on other documents",
      );
    });

    await step("retrieve answers, as text and as JSON", async () => {
      const { code, out } = await cli("retrieve", "Who", "founded", "it?", inRun, "--top=3");
      assertEquals(code, 0);
      const lines = out.split("\n");
      assertMatch(lines[0], /^ 1\. [01]\.\d{3} {2}.+ {2}\(.+\)$/);
      assertEquals(lines.length, 2 * 3 + 1);
      assertMatch(lines[6], /^\d+\.\d ms for this question \(\d+ ms to load the model of /);
      const json = JSON.parse((await cli("retrieve", "Who?", inRun, "--json")).out);
      assertEquals([json.question, json.provider], ["Who?", "cpu"]);
      assertEquals(json.documents.map((d: { rank: number }) => d.rank), [1, 2, 3, 4, 5]);
      const [{ docId, title, text, probability, logProb }] = json.documents;
      assert(docId && title && text && Math.abs(Math.exp(logProb) - probability) < 1e-9);
    });

    await step("retrieve refuses what is no question, no number and no run", async () => {
      await assertRefused(["retrieve", inRun], "there is no question");
      await assertRefused(["retrieve", "   ", inRun], "there is no question");
      await assertRefused(["retrieve", "Who?", "--top=0", inRun], "--top takes 1 to 1000");
      await assertRefused(
        ["retrieve", "Who?", "--provider=gpu", inRun],
        "it takes cpu, cuda, webgpu",
      );
      await assertRefused(["retrieve", "Who?", "--top=some", inRun], "--top takes 1 to 1000");
      await assertRefused(["retrieve", "Who?", `--run=${root}/none`], "there is no such folder");
    });

    await step("evaluate-model writes a table, or JSON, and the file", async () => {
      const { code, out, err } = await cli("evaluate-model", inRun);
      assertEquals(code, 0);
      assertStringIncludes(out, "this index");
      assertStringIncludes(out, "against BM25, stems");
      assertStringIncludes(err, "evaluation.dev.json");
      const part = await cli("evaluate-model", inRun, "--part=train", "--json");
      const written = await Deno.readTextFile(join(run, "evaluation.train.json"));
      assertEquals(JSON.parse(part.out), JSON.parse(written));
      assertEquals(JSON.parse(written).documents, DOCUMENTS);
      const trained = JSON.parse(await Deno.readTextFile(join(run, "evaluation.json")));
      const again = JSON.parse(await Deno.readTextFile(join(run, "evaluation.dev.json")));
      assertEquals(again.systems, trained.systems);
    });

    await step("evaluate-model refuses other documents and parts that are none", async () => {
      await assertRefused(["evaluate-model", inRun, "--part=test"], 'part "test"');
      await assertRefused(["evaluate-model", inRun, "--part=../x"], "no name of a part");
      await assertRefused(
        ["evaluate-model", inRun, "data.documents=30"],
        "the documents of its dataset have changed",
      );
    });

    await step(
      "export verifies, writes and reads back; retrieve then asks the export",
      async () => {
        const { code, out } = await cli("export", inRun, "export.beam=3");
        assertEquals(code, 0);
        for (const output of ["doc", "logProb", "droppedMass"]) {
          assertMatch(out, new RegExp(`verified ${output}: relative error \\d`));
        }
        assertStringIncludes(out, join(run, "export", "search.onnx"));
        assertMatch(out, /read back: 3 documents in \d+\.\d ms/);
        const asked = await cli("retrieve", "Who?", inRun, "--top=3");
        assertStringIncludes(asked.out, "the exported graph");
        // An evaluation measures the model with the beam it was told, whatever was exported.
        const { systems } = JSON.parse((await cli("evaluate-model", inRun, "--json")).out);
        const trained = JSON.parse(await Deno.readTextFile(join(run, "evaluation.json")));
        assertEquals(systems, trained.systems);
        // It holds too few for this one.
        const more = await cli("retrieve", "Who?", inRun, "--top=8");
        assertStringIncludes(more.out, "to load the model");
        assertStringIncludes(more.out, "\n 8. ");
        const elsewhere = join(root, "public");
        await cli("export", inRun, `export.path=${elsewhere}`, "export.verify=false");
        assert((await Deno.stat(join(elsewhere, "search.onnx"))).isFile);
      },
    );

    await step("a run that ran out of time says how to go on, and that works", async () => {
      const dir = join(root, "short");
      const { code, out } = await cli(
        "train-dsi",
        ...tinyOverrides,
        `output.dir=${dir}`,
        "training.max_steps=100000",
        "training.max_minutes=0.01",
        "training.checkpoint_every=0",
        "training.schedule=constant",
      );
      assertEquals(code, 0);
      const [, resume] = out.match(/^Time was up at step \d+ .*\n {2}deno task (train-dsi .*)$/m)!;
      const steps = Number(out.match(/at step (\d+)/)![1]) + 1;
      const resumed = await cli(...resume.split(" "), `training.max_steps=${steps}`);
      assertStringIncludes(resumed.out, `Trained ${steps} steps`);
    });

    await step("demo tells the whole journey", async () => {
      const { code, out } = await cli("demo", ...tinyOverrides, `output.dir=${join(root, "demo")}`);
      assertEquals(code, 0);
      for (const part of [1, 2, 3, 4, 5]) {
        assertStringIncludes(out, `\n${part}. `.slice(part === 1 ? 1 : 0));
      }
      assertStringIncludes(out, `${DOCUMENTS} documents`);
      assertEquals(out.match(/→ /g)!.length, 3);
    });
  }));

/** Catches: a run folder, or a trained index, of a training that could not begin. */
Deno.test({
  name: "without a GPU device.executor=cuda names each place and leaves no run folder",
  ignore: hasGpu,
  fn: () =>
    withFolder(async (root) => {
      const dir = join(root, "run");
      for (const command of ["train-dsi", "train-agent", "train-joint"]) {
        const { code, err } = await cli(command, "device.executor=cuda", `output.dir=${dir}`);
        assertEquals(code, 1);
        assertMatch(err, /error: Cannot .*(\n {2}\S.*: .*)+\nInstall NVIDIA's driver/);
        assertEquals([...Deno.readDirSync(root)], []);
      }
    }),
});
