/** What a newcomer sees first: `deno task demo`. */
import { assert, assertEquals, assertGreater, assertLess, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { runCliProcess } from "./_child.ts";
import { withFolder } from "./_journey.ts";

/** On two quiet cores it takes about 10 s; the gate's machine may be busy. */
const SECONDS = 180;

Deno.test("demo: trains, beats keyword search, exports and answers, in under three minutes", () =>
  withFolder(async (folder) => {
    const { code, out, err, seconds } = await runCliProcess(["demo"], folder);
    assertEquals(code, 0, err);
    console.log(`demo: ${seconds.toFixed(1)} s\n${out}`);
    assertLess(seconds, SECONDS);
    const share = (system: string): number => {
      const found = out.match(new RegExp(`^ *([\\d.]+) % {2}${system}(?: {2}\\(|$)`, "m"));
      assert(found, `no line for ${system}`);
      return Number(found[1]);
    };
    assertGreater(share("this index"), share("BM25, words"));
    assertEquals(out.match(/^ {3}→ .*; (right|wrong)\)$/gm)!.length, 3);

    // The run it names holds everything, and the commands it names go on from there.
    const [, run] = out.match(/Everything is in (\S+)\.$/m)!;
    const names = [...Deno.readDirSync(join(folder, run))].map(({ name }) => name).sort();
    assertEquals(names, [
      "checkpoints",
      "config.yaml",
      "documents.sqlite",
      "evaluation.json",
      "export",
      "metrics.jsonl",
      "model",
    ]);
    const question = out.match(/A question: +(.+)$/m)![1];
    const answer = await runCliProcess(["retrieve", question], folder);
    assertEquals(answer.code, 0, answer.err);
    assertStringIncludes(answer.out, "the exported graph");
    const again = await runCliProcess(["evaluate-model"], folder);
    assertEquals(again.code, 0, again.err);
    assertStringIncludes(again.out, "this index");
  }));
