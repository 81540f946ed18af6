/** Losses, logits and gradients of GPT-2, Llama and Qwen2 against transformers, eager and recorded. */
import { assert } from "@std/assert";
import { withGradients } from "../../src/graph/mod.ts";
import { executors } from "./_executors.ts";
import { hostBatch, isAvailable, lossProgram, references, valueProgram } from "./_decoder.ts";
import { relativeL2, relativeMax } from "./_t5.ts";

const VALUE_TOLERANCE = 1e-5, GRADIENT_TOLERANCE = 1e-4;

for (const { executor, ignore, ...options } of executors) {
  for (const reference of references) {
    Deno.test({
      name: `${reference.name} on ${executor.name}: loss and logits, padded on either side or not`,
      ignore: ignore || !isAvailable,
      ...options,
      fn: async () => {
        const executable = await executor.compile(valueProgram(reference));
        for (const c of reference.cases) {
          const { loss, logits } = await executable.run({ ...reference.tensors, ...hostBatch(c) });
          const lossError = Math.abs(loss.data[0] / c.loss - 1);
          assert(lossError <= VALUE_TOLERANCE, `loss is off by ${lossError}, ${c.padding}`);
          const [, S, V] = logits.shape, from = c.logits_from_position;
          const actual: number[] = [], expected: number[] = [];
          c.attention_mask.forEach((row, b) =>
            row.forEach((isToken, s) => {
              if (!isToken || s < from) return;
              const at = (b * S + s) * V;
              actual.push(...logits.data.subarray(at, at + V));
              expected.push(...c.logits[b][s - from]);
            })
          );
          const error = relativeMax(actual, expected);
          assert(error <= VALUE_TOLERANCE, `logits are off by ${error}, padding ${c.padding}`);
        }
        await executable.dispose();
      },
    });

    Deno.test({
      name: `${reference.name} on ${executor.name}: the gradient of every parameter`,
      ignore: ignore || !isAvailable,
      ...options,
      fn: async () => {
        const parameters = Object.keys(reference.tensors), [c] = reference.cases;
        const executable = await executor.compile(
          withGradients(lossProgram(reference), { loss: "loss", parameters }),
        );
        const outputs = await executable.run({ ...reference.tensors, ...hostBatch(c) });
        for (const name of parameters) {
          const error = relativeL2(outputs[`grad:${name}`].data, reference.gradients[name].data);
          assert(error <= GRADIENT_TOLERANCE, `the gradient of ${name} is off by ${error}`);
        }
        await executable.dispose();
      },
    });
  }
}
