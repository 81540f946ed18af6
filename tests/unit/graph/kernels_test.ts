import { kernelsPage } from "../../../docs/kernels.ts";
import { assert, assertEquals } from "@std/assert";
import { kernelTable, type Program, record, withGradients } from "../../../src/graph/mod.ts";
import { assertClose, assertParity, runEager, type Tensors } from "../../parity.ts";
import { inputsOf, kernelCases, programOf, testedKernels } from "./kernel_cases.ts";

/** Step of a finite difference; a power of two, so that x ± h is exact in float32. */
const STEP = 1 / 32;
/** Fourth-order differences of float32 values with this step leave errors below a few 1e-5. */
const DIFFERENCE_TOLERANCE = 2e-4;

/** The loss in float64 from the float32 outputs. */
async function lossOf(program: Program, inputs: Tensors): Promise<number> {
  const outputs = await runEager(program, inputs);
  let loss = 0;
  for (const [name, { dtype, data }] of Object.entries(outputs)) {
    if (name === "loss" || dtype !== "float32") continue;
    data.forEach((y, i) => loss += y * Math.sin(i + 1));
  }
  return loss;
}

/** d loss / d input by central differences of fourth order. */
async function differences(program: Program, inputs: Tensors, name: string): Promise<Float32Array> {
  const { data } = inputs[name];
  const slope = new Float32Array(data.length);
  const at = (i: number, step: number) => {
    const moved = Float32Array.from(data);
    moved[i] += step;
    return lossOf(program, { ...inputs, [name]: { ...inputs[name], data: moved } });
  };
  for (let i = 0; i < data.length; i++) {
    const near = await at(i, STEP) - await at(i, -STEP);
    const far = await at(i, 2 * STEP) - await at(i, -2 * STEP);
    slope[i] = (8 * near - far) / (12 * STEP);
  }
  return slope;
}

for (const c of kernelCases.filter((c) => !c.isRandom)) {
  Deno.test(`${c.kernel}: ${c.about}`, async () => {
    const program = programOf(c);
    const { kernels, outputs } = record(program);
    assert(kernels.includes(c.kernel), `${c.kernel} is not called, only ${kernels}`);
    const sets = inputsOf(c);
    const hasLoss = outputs.some((o) => o.name === "loss");
    const floats = Object.keys(c.inputs).filter((n) => c.inputs[n].dtype === "float32");
    const parameters = c.gradient ?? (hasLoss ? floats : []);
    // The dialects differ in matrix products only.
    const dialects = c.kernel === "BatchMatMul" ? undefined : ["training"] as const;
    if (!parameters || !parameters.length) return assertParity(program, sets, { dialects });
    const gradients = { loss: "loss", parameters };
    await assertParity(program, sets, { gradients, dialects });
    const actual = await runEager(withGradients(program, gradients), sets[0]);
    for (const name of parameters) {
      const data = await differences(program, sets[0], name);
      const tolerance = DIFFERENCE_TOLERANCE;
      const what = `gradient of ${program.name} for ${name}`;
      assertClose(actual[`grad:${name}`], { ...sets[0][name], data }, { what, tolerance });
    }
  });
}

Deno.test("every kernel that can be recorded is tested", () => {
  const untested = kernelTable(testedKernels).filter((k) => k.recorded && !k.tested);
  assertEquals(untested.map((k) => k.kernel), []);
});

Deno.test("every kernel of the cases exists", () => {
  const known = new Set(kernelTable().filter((k) => k.recorded).map((k) => k.kernel));
  assertEquals([...testedKernels].filter((k) => !known.has(k)), []);
});

Deno.test("docs/kernels.md is up to date", async () => {
  const page = await Deno.readTextFile(new URL("../../../docs/kernels.md", import.meta.url));
  assertEquals(page, kernelsPage(), "run: deno run -A docs/kernels.ts");
});
