/** Every kernel, and its gradient, in generated code against tfjs's cpu backend. */
import * as tf from "@tensorflow/tfjs-core";
import { type Program, record, withGradients } from "../../../../src/graph/mod.ts";
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import { assertClose, runEager, type Tensors } from "../../../parity.ts";
import { drawArgument, type KernelCase, kernelCases, SIZES } from "../../graph/kernel_cases.ts";
import { hostDevice, testOnHost } from "./_host.ts";

/** Outputs of a case and, as "loss", their sum under fixed weights. */
function programOf({ kernel, about, inputs, run }: KernelCase): Program {
  return {
    name: `${kernel}: ${about}`,
    inputs,
    run: (x) => {
      const given = run(x), outputs = Array.isArray(given) ? given : [given];
      const loss = outputs.filter((y) => y.dtype === "float32").map((y) =>
        tf.sum(tf.mul(tf.reshape(y, [-1]), tf.sin(tf.range(1, y.size + 1))))
      );
      const named = Object.fromEntries(outputs.map((y, i) => [`y${i}`, y]));
      return loss.length ? { ...named, loss: loss.reduce((a, b) => tf.add(a, b)) } : named;
    },
  };
}

for (const c of kernelCases.filter((c) => !c.isRandom)) {
  testOnHost(`on a device: ${c.kernel}, ${c.about}`, async () => {
    const program = programOf(c);
    const isSymbolic = Object.values(c.inputs).some((a) =>
      a.shape.some((d) => d === "B" || d === "S")
    );
    const hasLoss = record(program).outputs.some((o) => o.name === "loss");
    const floats = Object.keys(c.inputs).filter((n) => c.inputs[n].dtype === "float32");
    const parameters = c.gradient === undefined ? (hasLoss ? floats : []) : c.gradient || [];
    const subject = parameters.length
      ? withGradients(program, { loss: "loss", parameters })
      : program;
    const executor = deviceExecutor(await hostDevice());
    const executable = await executor.compile(subject);
    for (const sizes of isSymbolic ? SIZES : [{}]) {
      const inputs: Tensors = Object.fromEntries(
        Object.entries(c.inputs).map(([name, a], i) => [name, drawArgument(a, sizes, i + 1)]),
      );
      const expected = await runEager(subject, inputs);
      const actual = await executable.run(inputs);
      for (const [name, tensor] of Object.entries(expected)) {
        const what = `output ${name} of ${subject.name} at ${JSON.stringify(sizes)}`;
        assertClose(actual[name], tensor, { what });
      }
    }
    await executable.dispose();
  });
}
