import { assertAlmostEquals, assertEquals } from "@std/assert";
import { type ScheduleConfig, scheduleFactor } from "../../src/optim/mod.ts";

const FILE = new URL("../../../shared/parity/schedules.json", import.meta.url);
const EXACT = 1e-12;

async function readCurves(): Promise<Record<string, number[]> | undefined> {
  try {
    return JSON.parse(await Deno.readTextFile(FILE));
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.log(
      "skipped: schedules against transformers (../shared/parity/schedules.json missing)",
    );
    return undefined;
  }
}

const CONFIGS: Record<string, ScheduleConfig> = {
  linear_warmup10_total100: { kind: "linear", warmupSteps: 10, totalSteps: 100 },
  cosine_warmup10_total100: { kind: "cosine", warmupSteps: 10, totalSteps: 100 },
  constant_warmup10: { kind: "constant", warmupSteps: 10 },
};

const curves = await readCurves();

Deno.test({
  name: "schedules equal those of transformers at every step",
  ignore: curves === undefined,
  fn(): void {
    assertEquals(Object.keys(curves!), Object.keys(CONFIGS));
    for (const [name, expected] of Object.entries(curves!)) {
      expected.forEach((factor, step) =>
        assertAlmostEquals(scheduleFactor(CONFIGS[name], step), factor, EXACT, `${name}, ${step}`)
      );
    }
  },
});
