import { assert, assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { exportModel } from "../../../src/recipe/export_model.ts";
import {
  type ExportFigures,
  formatExportFigures,
  measureExport,
} from "../../../src/recipe/measure_export.ts";
import { openExported } from "../../../src/recipe/open_exported.ts";
import { withFolder } from "../../with_folder.ts";
import { tinyModel, wide } from "../hub/_tiny_pretrained.ts";

const threads = 1;

for (const name of ["llama", "t5"]) {
  Deno.test(`${name}: float32 loses nothing, 16 bits little, 8 bits more`, () =>
    withFolder(async (folder) => {
      const files = await exportModel(tinyModel(name, wide(name)), folder, {
        precisions: ["int8", "float16", "float32"],
      });
      const figures = await measureExport(folder, files, { tokens: 12, threads });
      assertEquals(figures.map(({ precision }) => precision), ["float32", "int8", "float16"]);
      const [float32, int8, float16] = figures;
      assertEquals(
        [float32.divergence, float32.lossIncrease, float32.agreement, float32.places],
        [0, 0, 1, 4 * 12],
      );
      for (const { precision, sizeBytes, loadMs, tokenMs, places } of figures) {
        const sizes = files.filter((file) => file.precision === precision);
        assertEquals(sizeBytes, sizes.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0));
        assertEquals(places, 48);
        assert(loadMs > 0 && tokenMs > 0 && tokenMs < 1000);
      }
      // A divergence is never negative, but for what float32 rounds away.
      assert(float16.divergence > -1e-6 && float16.divergence < 1e-4, `${float16.divergence}`);
      assert(int8.divergence > float16.divergence && int8.divergence < 0.5, `${int8.divergence}`);
      assert(float16.agreement > 0.9 && int8.agreement > 0.5, `${int8.agreement}`);
      assertEquals(
        withoutTimes(await measureExport(folder, files, { tokens: 12, threads })),
        withoutTimes(figures),
      );
    }));
}

const withoutTimes = (figures: readonly ExportFigures[]) =>
  figures.map(({ loadMs: _, tokenMs: __, ...rest }) => rest);

Deno.test("the divergence is that of the first places, counted by hand", () =>
  withFolder(async (folder) => {
    const files = await exportModel(tinyModel("qwen2", wide("qwen2")), folder, {
      precisions: ["float32", "int8"],
    });
    const prompts = [[6, 9, 13], [8, 2]];
    const [, { divergence, places }] = await measureExport(folder, files, {
      prompts,
      tokens: 1,
      threads,
    });
    const logProbs = async (precision: "float32" | "int8"): Promise<number[][]> => {
      const model = await openExported(folder, { precision, threads });
      const all: number[][] = [];
      for (const prompt of prompts) {
        const { logits, logSumExp } = (await model.start([prompt])).next;
        all.push([...logits].map((x) => x - logSumExp[0]));
      }
      await model.dispose();
      return all;
    };
    const [p, q] = [await logProbs("float32"), await logProbs("int8")];
    const sums = p.map((row, i) => row.reduce((sum, x, v) => sum + Math.exp(x) * (x - q[i][v]), 0));
    const expected = (sums[0] + sums[1]) / 2;
    assertEquals(places, 2);
    assert(Math.abs(divergence - expected) < 1e-6, `${divergence} instead of ${expected}`);
  }));

Deno.test("without float32 there is nothing to compare with", () =>
  withFolder(async (folder) => {
    const files = await exportModel(tinyModel("qwen2", wide("qwen2")), folder, {
      precisions: ["int8"],
    });
    for (const some of [files, []]) {
      await assertRejects(() => measureExport(folder, some), DataError, "no float32 files");
    }
  }));

Deno.test("figures as a table", () => {
  const table = formatExportFigures([
    {
      precision: "float32",
      sizeBytes: 538_968_064,
      loadMs: 1234.4,
      tokenMs: 17.006,
      divergence: 0,
      lossIncrease: 0,
      agreement: 1,
      places: 192,
    },
    {
      precision: "int8",
      sizeBytes: 1_572_864,
      loadMs: 8.6,
      tokenMs: 5.5,
      divergence: 0.001234,
      lossIncrease: -0.00126,
      agreement: 0.9843,
      places: 192,
    },
  ]);
  assertEquals(table.split("\n"), [
    "precision       size     load     token  KL nats  loss nats  same top",
    "float32    514.0 MiB  1234 ms  17.01 ms   0.0e+0    +0.0000   100.0 %",
    "int8         1.5 MiB     9 ms   5.50 ms   1.2e-3    −0.0013    98.4 %",
  ]);
});
