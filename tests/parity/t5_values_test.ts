/** Losses, logits and gradients of T5 against transformers, eager and recorded. */
import { assert } from "@std/assert";
import { withGradients } from "../../src/graph/mod.ts";
import { executors } from "./_executors.ts";
import {
  hostBatch,
  isAvailable,
  lossProgram,
  references,
  relativeL2,
  relativeMax,
  valueProgram,
} from "./_t5.ts";

const VALUE_TOLERANCE = 1e-5, GRADIENT_TOLERANCE = 1e-4;

for (const { executor, ignore, ...options } of executors) {
  for (const reference of references) {
    Deno.test({
      name: `${reference.name} on ${executor.name}: loss and logits of every case`,
      ignore: ignore || !isAvailable,
      ...options,
      fn: async () => {
        // One program, recorded once, for batches of 2×12→6, 1×160→40 and 3×1→1.
        const executable = await executor.compile(valueProgram(reference));
        for (const c of reference.cases) {
          const { loss, logits } = await executable.run({ ...reference.tensors, ...hostBatch(c) });
          const lossError = Math.abs(loss.data[0] / c.loss - 1);
          assert(lossError <= VALUE_TOLERANCE, `loss is off by ${lossError}`);
          const [B, T, V] = logits.shape, from = c.logits_from_position;
          const rows = Array.from(
            { length: B },
            (_, b) => [...logits.data.subarray((b * T + from) * V, (b + 1) * T * V)],
          ).flat();
          const error = relativeMax(rows, c.logits.flat(2));
          assert(error <= VALUE_TOLERANCE, `logits of ${B}×${T} are off by ${error}`);
        }
        await executable.dispose();
      },
    });

    // The decoder has two ways to attend to the source.
    for (const hasShortTargets of [false, true]) {
      Deno.test({
        name: `${reference.name} on ${executor.name}: the gradient of every parameter, ` +
          (hasShortTargets ? "queries projected" : "keys and values projected"),
        ignore: ignore || !isAvailable,
        ...options,
        fn: async () => {
          const parameters = Object.keys(reference.tensors), [c] = reference.cases;
          const program = lossProgram(reference, { hasShortTargets });
          const executable = await executor.compile(
            withGradients(program, { loss: "loss", parameters }),
          );
          const outputs = await executable.run({ ...reference.tensors, ...hostBatch(c) });
          const lossError = Math.abs(outputs.loss.data[0] / c.loss - 1);
          assert(lossError <= VALUE_TOLERANCE, `loss is off by ${lossError}`);
          for (const name of parameters) {
            const error = relativeL2(outputs[`grad:${name}`].data, reference.gradients[name].data);
            assert(error <= GRADIENT_TOLERANCE, `the gradient of ${name} is off by ${error}`);
          }
          await executable.dispose();
        },
      });
    }
  }
}
