import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { withFolder } from "../../with_folder.ts";
import { tinyTokenizer } from "../hub/_tiny_pretrained.ts";
import { assertRefused, cli, prepare } from "./_models.ts";

for (const name of ["gpt2", "t5"]) {
  Deno.test(`export-model ${name}: files, figures, and a folder that generate-text takes`, () =>
    withFolder(async (root) => {
      const { model, adapter } = await prepare(root, name), out = join(root, "exported");
      const args = [`--model=${model}`, `--adapter=${adapter}`, `--out=${out}`];
      const said = await cli("export-model", ...args, "--precision=int8,float16");
      assertEquals(said.code, 0, said.err);
      const lines = said.out.split("\n"), graphs = name === "t5" ? 2 : 1;
      const files = lines.filter((line) => line.startsWith(join(out, "onnx")));
      assertEquals(files.length, 3 * graphs);
      for (const line of files) assertMatch(line, /\.onnx {2}\d+\.\d\d MiB$/);
      const table = lines.slice(lines.findIndex((line) => line.startsWith("precision ")));
      assertEquals(table.slice(1, 4).map((line) => line.split(" ")[0]), [
        "float32",
        "int8",
        "float16",
      ]);
      assertMatch(table[1], / 0\.0e\+0 +\+0\.0000 +100\.0 %$/);
      assertMatch(table[4], /^KL, loss and same top against float32 at \d+ places of texts that/);
      assertEquals(said.err, "measuring …");

      const ask = ["who sleeps ?", "--max-tokens=8"];
      const original = await cli("generate-text", ...args.slice(0, 2), ...ask);
      for (const precision of ["float32", "float16"]) {
        const inExport = [`--model=${out}`, `--exported=${precision}`];
        const exported = await cli("generate-text", ...inExport, ...ask);
        assertEquals([exported.code, exported.out], [0, original.out]);
      }
      const quiet = await cli("export-model", ...args, "--no-measure");
      assertEquals([quiet.code, quiet.err, quiet.out.split("\n").length], [0, "", graphs]);
      const gone = await cli("generate-text", `--model=${out}`, "--exported=int8", ...ask);
      assertEquals(gone.code, 2);
      assertStringIncludes(gone.err, "_quantized.onnx");
    }));
}

Deno.test("export-model refuses what it can't do", () =>
  withFolder(async (root) => {
    const { model } = await prepare(root), inModel = `--model=${model}`, out = `--out=${root}/out`;
    const refuse = (message: string, ...args: string[]) =>
      assertRefused("export-model", args, message);
    await refuse("there is no model", out);
    await refuse("Name a folder with --out=<folder>", inModel);
    await refuse(
      'the precision "int4": there are float32, float16',
      inModel,
      out,
      "--precision=int4",
    );
    await refuse('the precision ""', inModel, out, "--precision=int8,");
    await refuse("there is no such folder", `--model=${root}/none`, out);
    await refuse("none/adapter_config.json: ", inModel, out, `--adapter=${root}/none`);
    const file = join(root, "file");
    await Deno.writeTextFile(file, "");
    await refuse("Cannot make the folder", inModel, `--out=${file}`);
    await Deno.writeTextFile(
      join(model, "tokenizer.json"),
      JSON.stringify(tinyTokenizer()).slice(9),
    );
    await refuse("tokenizer.json: Cannot read JSON", inModel, out);
    const made = await Deno.stat(join(root, "out")).then(() => true, () => false);
    assert(!made, "no output folder");
  }));
