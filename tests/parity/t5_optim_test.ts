/** Four optimiser steps on T5 against PyTorch and transformers. */
import { assert } from "@std/assert";
import { withGradients } from "../../src/graph/mod.ts";
import { t5ParamSpecs } from "../../src/model/mod.ts";
import { adafactor, adamw, type OptimizerRule, sgd } from "../../src/optim/mod.ts";
import type { Executable } from "../../src/runtime/executor.ts";
import { onnxExecutor } from "../../src/runtime/onnx_executor.ts";
import { Optimizer } from "../../src/runtime/optimizer.ts";
import { ParameterStore } from "../../src/runtime/parameter_store.ts";
import { hostBatch, isAvailable, lossProgram, references } from "./_t5.ts";

/** Losses after up to three float32 updates of different order of summation. */
const LOSS_TOLERANCE = 1e-5;
/** Norms before clipping; late in AdamW small gradients are divided by their own size. */
const NORM_TOLERANCE = 1e-4;

/** What each entry of the reference was made with: found by running PyTorch, as it does not say. */
const RUNS: Record<string, { rule: () => OptimizerRule; lr: number; clipNorm?: number }> = {
  adamw: { rule: () => adamw({ weightDecay: 0.01 }), lr: 1e-2 },
  adafactor_lr1e_3: {
    rule: () => adafactor({ scaleParameter: false, relativeStep: false }),
    lr: 1e-3,
  },
  adafactor_relative: { rule: () => adafactor(), lr: 1 },
  sgd_clip1: { rule: () => sgd(), lr: 0.1, clipNorm: 1 },
};

for (const reference of references) {
  const parameters = Object.keys(reference.tensors);
  let compiled: Promise<Executable> | undefined;
  const compile = () =>
    compiled ??= onnxExecutor().compile(
      withGradients(lossProgram(reference), { loss: "loss", parameters }),
    );
  for (const [key, { rule, lr, clipNorm }] of Object.entries(RUNS)) {
    Deno.test({
      name: `${reference.name}: four steps of ${key}`,
      ignore: !isAvailable,
      fn: async () => {
        const { losses, grad_norms_before_clip: norms } =
          reference.optim[key.replace("e_3", "e-3")];
        // The reference decays norms and biases too.
        const specs = Object.fromEntries(
          Object.entries(t5ParamSpecs(reference.config)).map((
            [n, s],
          ) => [n, { ...s, decay: true }]),
        );
        const store = new ParameterStore(specs, { rule: rule() });
        store.load(reference.tensors);
        const executable = await compile();
        const outputs = Object.fromEntries(
          parameters.map((name) => [`grad:${name}`, store.gradients[name]]),
        );
        const optimizer = new Optimizer(store);
        for (let step = 0; step < losses.length; step++) {
          const inputs = { ...store.params, ...hostBatch(reference.cases[0]) };
          const { loss } = await executable.run(inputs, { outputs });
          const lossError = Math.abs(loss.data[0] / losses[step] - 1);
          assert(lossError <= LOSS_TOLERANCE, `loss of step ${step} is off by ${lossError}`);
          const { gradNorm } = optimizer.step(lr, { clipNorm });
          const normError = Math.abs(gradNorm / norms[step] - 1);
          assert(normError <= NORM_TOLERANCE, `norm of step ${step} is off by ${normError}`);
        }
      },
    });
  }
}
