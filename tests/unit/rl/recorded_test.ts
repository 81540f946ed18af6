/** Eager and recorded: values and gradients agree, and rows of weight 0 may hold anything. */
import { assert, assertEquals } from "@std/assert";
import { type Program, record, toOnnx, withGradients } from "../../../src/graph/mod.ts";
import {
  actionLogProbs,
  actionMean,
  grpoLoss,
  k1,
  k3,
  ppoPolicyLoss,
  reinforceLoss,
  valueLoss,
} from "../../../src/rl/mod.ts";
import { type F32, named, namedInts } from "../../../src/tensor/axes.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import type { Tensor } from "../../../src/tensor/tensor.ts";
import { assertParity, runEager, runOnnx, type Tensors } from "../../parity.ts";
import { bits } from "./_columns.ts";

const V = 6;

/** A program over columns [N]. */
function programOf<Name extends string>(
  name: string,
  columns: readonly Name[],
  run: (x: Record<Name, F32<"N">>) => Record<string, Tensor>,
): Program {
  const inputs = Object.fromEntries(
    columns.map((c) => [c, { dtype: "float32" as const, shape: ["N"] }]),
  );
  return {
    name,
    inputs,
    run: (x) =>
      run(
        Object.fromEntries(columns.map((c) => [c, named(x[c], "N", {})])) as Record<
          Name,
          F32<"N">
        >,
      ),
  };
}

const CLIP = { clipLow: 0.2, clipHigh: 0.28 };
/** Every function of columns, with the columns it is differentiated by. */
const programs: readonly { program: Program; differentiable: string[] }[] = [
  {
    program: programOf(
      "ppo policy loss",
      ["logProbs", "behaviorLogProbs", "advantages", "weights"],
      (x) => ({ ...ppoPolicyLoss(x, CLIP) }),
    ),
    differentiable: ["logProbs", "behaviorLogProbs", "advantages"],
  },
  {
    program: programOf(
      "grpo loss",
      ["logProbs", "behaviorLogProbs", "referenceLogProbs", "advantages", "weights"],
      (x) => ({ ...grpoLoss(x, { ...CLIP, klCoefficient: 0.3 }) }),
    ),
    differentiable: ["logProbs", "behaviorLogProbs", "referenceLogProbs", "advantages"],
  },
  {
    program: programOf(
      "value loss",
      ["values", "behaviorValues", "returns", "weights"],
      (x) => ({ ...valueLoss(x, { clip: 0.2 }) }),
    ),
    differentiable: ["values", "behaviorValues", "returns"],
  },
  {
    program: programOf(
      "reinforce loss",
      ["logProbs", "advantages", "weights"],
      (x) => ({ loss: reinforceLoss(x) }),
    ),
    differentiable: ["logProbs", "advantages"],
  },
  ...[k1, k3].map((estimator) => ({
    program: programOf(
      estimator.name,
      ["logProbs", "referenceLogProbs", "weights"],
      ({ logProbs, referenceLogProbs, weights }) => {
        const terms = estimator(logProbs, referenceLogProbs, weights);
        return { terms, loss: actionMean(terms, weights) };
      },
    ),
    differentiable: ["logProbs", "referenceLogProbs"],
  })),
];

/** Rows without an action, where there are enough rows. */
const isNothing = (n: number): boolean => n % 3 === 1;

/** Random columns; `weights` is 0 at every third row. */
function inputsOf(program: Program, N: number): Tensors {
  const random = randomStream({ seed: 1, stream: program.name, step: N });
  return Object.fromEntries(
    Object.keys(program.inputs).map((name) => {
      const of = (n: number): number => {
        if (name === "weights") return isNothing(n) ? 0 : 0.1 + random.uniform();
        // Distances of about the clip range, on either side of its borders.
        return name.endsWith("LogProbs") || name === "logProbs"
          ? -2 + 0.3 * random.normal()
          : random.normal();
      };
      return [name, hostTensor("float32", Float32Array.from({ length: N }, (_, n) => of(n)), [N])];
    }),
  );
}

for (const { program, differentiable } of programs) {
  const gradients = { loss: "loss", parameters: differentiable };

  Deno.test(`${program.name}: eager and recorded agree, at several lengths`, async () => {
    await assertParity(program, [1, 2, 5, 40].map((N) => inputsOf(program, N)), { gradients });
  });

  Deno.test(`${program.name}: what stands at weight 0 changes no bit`, async () => {
    const N = 8, subject = withGradients(program, gradients), inputs = inputsOf(program, N);
    const { model } = toOnnx(record(subject, { dialect: "training" }));
    for (const run of [(x: Tensors) => runEager(subject, x), (x: Tensors) => runOnnx(model, x)]) {
      const expected = await run(inputs);
      for (const parameter of differentiable) {
        const gradient = expected[`grad:${parameter}`].data;
        assert(gradient.every((g, n) => Number.isFinite(g) && (!isNothing(n) || g === 0)));
      }
      for (const junk of [NaN, Infinity, -Infinity, 1e30, -1e30, -1e9]) {
        for (const name of [...Object.keys(inputs).filter((c) => c !== "weights"), "all"]) {
          const spoilt = Object.fromEntries(
            Object.entries(inputs).map(([column, { data, shape }]) => {
              const isKept = column === "weights" || (name !== "all" && column !== name);
              const of = (x: number, n: number) => isKept || !isNothing(n) ? x : junk;
              return [column, hostTensor("float32", Float32Array.from(data, of), shape)];
            }),
          );
          for (const [output, { data }] of Object.entries(await run(spoilt))) {
            assertEquals(bits(data), bits(expected[output].data), `${output}, ${junk} in ${name}`);
          }
        }
      }
    }
  });
}

Deno.test("action log-probabilities: eager and recorded agree, hidden logits included", async () => {
  const program: Program = {
    name: "action log-probabilities",
    inputs: {
      logits: { dtype: "float32", shape: ["N", V] },
      actions: { dtype: "int32", shape: ["N"] },
      weights: { dtype: "float32", shape: ["N"] },
    },
    run: ({ logits, actions, weights }) => {
      const columns = actionLogProbs(named(logits, "N V", {}), namedInts(actions, "N", {}));
      const w = named(weights, "N", {});
      return {
        ...columns,
        loss: reinforceLoss({ logProbs: columns.logProbs, advantages: w, weights: w }),
        entropy: actionMean(columns.entropies, w),
      };
    },
  };
  const inputs = (N: number): Tensors => {
    const random = randomStream({ seed: 2, stream: "logits", step: N });
    const of = (_: unknown, i: number) => i % V === 2 ? -1e9 : 2 * random.normal();
    return {
      logits: hostTensor("float32", Float32Array.from({ length: N * V }, of), [N, V]),
      actions: hostTensor("int32", Int32Array.from({ length: N }, (_, n) => [0, 1, 5][n % 3]), [N]),
      weights: hostTensor("float32", Float32Array.from({ length: N }, () => random.uniform()), [N]),
    };
  };
  for (const loss of ["loss", "entropy"]) {
    const gradients = { loss, parameters: ["logits"] };
    await assertParity(program, [inputs(1), inputs(2), inputs(17)], { gradients });
  }
});
