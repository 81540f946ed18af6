/** Exported folders: transformers.js in Deno and ONNX Runtime in Python write what is written here. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { generate, openDecoder, openT5, type SequenceModel } from "../../src/generate/mod.ts";
import type { LoadedModel } from "../../src/hub/mod.ts";
import { exportModel, type ExportPrecision } from "../../src/recipe/export_model.ts";
import { openExported } from "../../src/recipe/open_exported.ts";
import { onnxExecutor } from "../../src/runtime/mod.ts";
import { relativeMax } from "../parity/_t5.ts";
import { beside, folder, installFromNpm, run, test } from "./_peers.ts";
import {
  asDecoder,
  asT5,
  jsonOf,
  load,
  NAMES,
  noPython,
  once,
  runPython,
  texts,
  Worst,
} from "./_references.ts";

const VALUE_TOLERANCE = 1e-5;
/** The arithmetic of activations in 8 bits differs between builds of ONNX Runtime and machines. */
const INT8_TOLERANCE = 0.02;
const NEW_TOKENS = 20, SMALL = 1000;
const LIMIT_MS = 240_000;

const noTransformersJs = noPython ?? (await run("npm", ["--version"])).problem ??
  await installFromNpm(["@huggingface/transformers@4.3.1", "onnxruntime-node@1.30.0"]);

/** What each precision is called elsewhere. */
const PRECISIONS: Record<ExportPrecision, { dtype: string; suffix: string }> = {
  float32: { dtype: "fp32", suffix: "" },
  float16: { dtype: "fp16", suffix: "_fp16" },
  int8: { dtype: "q8", suffix: "_quantized" },
};
const precisions = Object.keys(PRECISIONS) as ExportPrecision[];

/** What a program says of one file. */
interface Answer {
  readonly texts: string[];
  readonly batch: string[];
  readonly logits: number[];
  /** Which texts came to an end before the limit. */
  readonly isEnded?: boolean[];
  readonly ids?: number[][];
  readonly files?: number;
}

const exportsAt = (...path: string[]): string => join(folder, "exports", ...path);

/** Everything exported, with weights in the file and beside it; what is written here with each. */
const exported = once(async (): Promise<Record<string, Answer>> => {
  const { prompts } = await texts(), ours: Record<string, Answer> = {};
  for (const name of NAMES) {
    const model = await load(name);
    await exportModel(model, exportsAt(name), { precisions });
    const files = await exportModel(model, exportsAt(`${name}_data`), {
      precisions,
      externalDataBytes: SMALL,
    });
    assert(files.every(({ dataFile }) => dataFile), `${name}: no data file was written`);
    ours[name] = await answerOf(model, await openHere(model), prompts);
    for (const precision of precisions) {
      const opened = await openExported(exportsAt(name), { precision });
      ours[`${name} ${precision}`] = await answerOf(model, opened, prompts);
    }
  }
  return ours;
});

const openHere = (model: LoadedModel): Promise<SequenceModel> => {
  const executor = onnxExecutor(), t5 = asT5(model);
  return t5 ? openT5(t5, { executor }) : openDecoder(asDecoder(model), { executor });
};

async function answerOf(
  { tokenizer }: LoadedModel,
  model: SequenceModel,
  prompts: string[],
): Promise<Answer> {
  const ids = prompts.map((prompt) => tokenizer!.encode(prompt));
  const { next } = await model.start(ids.slice(0, 1));
  const logits = [...next.logits];
  const results = (await generate(model, ids, { maxNewTokens: NEW_TOKENS })).flat();
  await model.dispose();
  const batch = results.map(({ tokens }) => tokenizer!.decode(tokens));
  return {
    texts: batch,
    batch,
    logits,
    isEnded: results.map(({ end }) => end === "stop"),
    ids: ids.map((row) => [...row]),
  };
}

const folders = NAMES.flatMap((name) => [name, `${name}_data`]);

const ofTransformersJs = once(async (): Promise<Record<string, Answer>> => {
  await exported();
  const { prompts } = await texts();
  const requests = folders.flatMap((model) =>
    precisions.map((precision) => ({
      model,
      prompts,
      dtype: PRECISIONS[precision].dtype,
      task: model.startsWith("t5") ? "text2text-generation" : "text-generation",
      newTokens: NEW_TOKENS,
    }))
  );
  await Deno.writeTextFile(exportsAt("requests.json"), JSON.stringify(requests));
  const script = join(folder, "transformers_js.mjs");
  await Deno.copyFile(beside("_transformers_js.mjs"), script);
  const paths = [exportsAt(), exportsAt("requests.json"), exportsAt("transformers_js.json")];
  const args = ["run", "-A", "--quiet", "--node-modules-dir=manual", script, ...paths];
  const { problem, stderr } = await run(Deno.execPath(), args, { limitMs: LIMIT_MS });
  assertEquals(problem, undefined, stderr.slice(-2000));
  return await jsonOf<Record<string, Answer>>(exportsAt("transformers_js.json"));
});

const ofPython = once(async (): Promise<Record<string, Answer>> => {
  await exported();
  const { prompts } = await texts();
  const requests = Object.fromEntries(folders.flatMap((model) =>
    precisions.map((precision) => {
      const { dtype, suffix } = PRECISIONS[precision];
      return [
        `${model} ${dtype}`,
        { folder: exportsAt(model), suffix, prompts, new_tokens: NEW_TOKENS },
      ];
    })
  ));
  await Deno.mkdir(exportsAt("python"), { recursive: true });
  await Deno.writeTextFile(exportsAt("python", "requests.json"), JSON.stringify(requests));
  await runPython("check_exported.py", exportsAt("python", "requests.json"));
  return await jsonOf<Record<string, Answer>>(exportsAt("python", "answers.json"));
});

const programs = {
  "transformers.js in Deno": { answers: ofTransformersJs, missing: noTransformersJs },
  "ONNX Runtime in Python": { answers: ofPython, missing: noPython },
};

for (const name of NAMES) {
  for (const [program, { answers, missing }] of Object.entries(programs)) {
    test(`${name}: ${program} writes what is written here`, missing, async () => {
      const ours = await exported(), theirs = await answers(), worst = new Worst();
      for (const model of [name, `${name}_data`]) {
        for (const precision of precisions) {
          const answer = theirs[`${model} ${PRECISIONS[precision].dtype}`];
          const expected = ours[`${name} ${precision}`], what = `${model}, ${precision}`;
          if (answer.ids) assertEquals(answer.ids, expected.ids, what);
          if (answer.files) assertEquals(answer.files, name.startsWith("t5") ? 2 : 1, what);
          const error = worst.note(precision, relativeMax(answer.logits, expected.logits));
          assert(
            error <= (precision === "int8" ? INT8_TOLERANCE : VALUE_TOLERANCE),
            `${what}: logits are off by ${error}`,
          );
          if (precision === "int8") {
            if (model === name) console.log(`${name} in 8 bits: ${JSON.stringify(answer.texts)}`);
            continue;
          }
          assertEquals(answer.texts, expected.texts, what);
          assert(answer.batch.length > 1);
          answer.batch.forEach((text, i) => {
            // transformers.js goes on after the end of a text until the whole batch has ended.
            const goesOn = program.startsWith("transformers.js") && expected.isEnded![i];
            const until = goesOn ? expected.batch[i].length : undefined;
            assertEquals(text.slice(0, until), expected.batch[i], `${what}, batch`);
          });
        }
      }
      assertEquals(ours[`${name} float32`].texts, ours[name].texts);
      const { logits } = ours[name];
      for (const precision of precisions) {
        worst.note(
          `${precision} from the model`,
          relativeMax(ours[`${name} ${precision}`].logits, logits),
        );
      }
      worst.print(`${name}: ${JSON.stringify(ours[name].texts[0])}, logits off by`);
    });
  }
}
