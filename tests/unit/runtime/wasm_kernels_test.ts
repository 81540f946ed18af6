/** tfjs's wasm backend has faults of its own; every kernel this project uses is held against cpu. */
import * as tf from "@tensorflow/tfjs-core";
import { assertEquals } from "@std/assert";
import { withGradients } from "../../../src/graph/mod.ts";
import { type EagerBackend, loadBackend, runOn } from "../../../src/runtime/eager_backend.ts";
import { drawArgument, type KernelCase, kernelCases, SIZES } from "../graph/kernel_cases.ts";

/** Float32 roundings of sums of a few dozen numbers, and the wasm backend's own exp and tanh. */
const TOLERANCE = 2e-5;

interface Result {
  name: string;
  dtype: string;
  shape: number[];
  data: number[];
}

/** Outputs of a case on a backend, and the gradients of their weighted sum. */
function resultsOf(c: KernelCase, sizes: Record<string, number>, backend: EagerBackend): Result[] {
  const outputsOf = (x: Record<string, tf.Tensor>): tf.Tensor[] => {
    const given = c.run(x);
    return Array.isArray(given) ? given : [given];
  };
  const floats = Object.keys(c.inputs).filter((n) => c.inputs[n].dtype === "float32");
  return runOn(backend, { program: c.kernel }, () => {
    const x = Object.fromEntries(
      Object.entries(c.inputs).map(([name, a], i) => {
        const { data, shape, dtype } = drawArgument(a, sizes, i + 1);
        return [name, tf.tensor(data, [...shape], dtype)];
      }),
    );
    const named: Record<string, tf.Tensor> = {};
    outputsOf(x).forEach((y, i) => named[`y${i}`] = y);
    const isDifferentiable = Object.values(named).some((y) => y.dtype === "float32");
    const parameters = c.gradient ?? (isDifferentiable ? floats : []);
    if (parameters && parameters.length) {
      const program = withGradients({
        name: c.kernel,
        inputs: c.inputs,
        run: (x) => ({
          loss: outputsOf(x).filter((y) => y.dtype === "float32")
            .map((y) => tf.sum(tf.mul(tf.reshape(y, [-1]), tf.sin(tf.range(1, y.size + 1)))))
            .reduce((a, b) => tf.add(a, b)),
        }),
      }, { loss: "loss", parameters });
      for (const [name, g] of Object.entries(program.run(x))) named[name] = g;
    }
    return Object.entries(named).map(([name, t]) => ({
      name,
      dtype: t.dtype,
      shape: t.shape,
      data: Array.from(t.dataSync()),
    }));
  });
}

function difference(a: Result, b: Result): string | undefined {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) {
    return `${a.dtype} [${a.shape}], not ${b.dtype} [${b.shape}]`;
  }
  const at = b.data.findIndex((y, i) =>
    !(Object.is(a.data[i], y) || a.data[i] === y ||
      Math.abs(a.data[i] - y) <= TOLERANCE * Math.max(1, Math.abs(y)))
  );
  return at < 0 ? undefined : `element ${at} is ${a.data[at]}, not ${b.data[at]}`;
}

Deno.test("wasm: every kernel and gradient equals cpu at every size", async () => {
  await loadBackend("cpu");
  await loadBackend("wasm");
  const wrong: string[] = [];
  for (const c of kernelCases.filter((c) => !c.isRandom)) {
    const isSymbolic = Object.values(c.inputs).some((a) =>
      a.shape.some((d) => d === "B" || d === "S")
    );
    for (const sizes of isSymbolic ? SIZES : [{}]) {
      const what = `${c.kernel}, ${c.about}, at ${JSON.stringify(sizes)}`;
      try {
        const actual = resultsOf(c, sizes, "wasm");
        resultsOf(c, sizes, "cpu").forEach((expected, i) => {
          const how = difference(actual[i], expected);
          if (how) wrong.push(`${what}: ${expected.name}: ${how}`);
        });
      } catch (error) {
        wrong.push(`${what}: ${(error as Error).message}`);
      }
    }
  }
  assertEquals(wrong, []);
});
