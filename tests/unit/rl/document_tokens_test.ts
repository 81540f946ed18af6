/**
 * Tokens that the policy did not choose are context: no number there reaches a loss or a gradient.
 */
import { assert, assertEquals, assertNotEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import { type Program, record, toOnnx, withGradients } from "../../../src/graph/mod.ts";
import {
  actionLogProbs,
  actionMean,
  grpoLoss,
  k3,
  ppoPolicyLoss,
  sequenceMeanWeights,
  tokenMeanWeights,
  valueLoss,
} from "../../../src/rl/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor } from "../../../src/tensor/host_tensor.ts";
import { assertParity, runEager, runOnnx, type Tensors } from "../../parity.ts";
import { normals } from "../nn/_reference.ts";
import { bits } from "./_columns.ts";

const V = 7, D = "document", A = "action";
/** Two trajectories: think, search, read, search again, read, answer. */
const trajectories = [[A, A, D, D, D, A, D, D, A, A], [A, D, D, A]];
const kinds = trajectories.flat(), T = kinds.length;
const lengths = trajectories.map((t) => t.filter((kind) => kind === A).length);
const CLIP = { clipLow: 0.2, clipHigh: 0.2 };

const floats = (data: ArrayLike<number>, shape = [T]): HostTensor<"float32"> =>
  hostTensor("float32", Float32Array.from(data), shape);

/** Weights of the actions, and 0 at document tokens. */
function spread(weights: Float64Array): Float32Array {
  let action = 0;
  return Float32Array.from(kinds, (kind) => kind === A ? weights[action++] : 0);
}

const logits = normals("logits", T * V), actions = normals("actions", T).map((x) => Math.abs(x));
const logProbsLike = (name: string) => floats(normals(name, T).map((x) => -2 + 0.3 * x));
const inputs: Tensors = {
  logits: floats(logits, [T, V]),
  values: floats(normals("values", T)),
  actions: hostTensor("int32", Int32Array.from(actions, (x) => Math.floor(x * V) % V), [T]),
  behaviorLogProbs: logProbsLike("behavior"),
  referenceLogProbs: logProbsLike("reference"),
  advantages: floats(normals("advantages", T)),
  behaviorValues: floats(normals("old values", T)),
  returns: floats(normals("returns", T)),
};
const programInputs: Program["inputs"] = Object.fromEntries(
  Object.entries({ ...inputs, weights: floats(new Float32Array(T)) }).map((
    [name, { dtype, shape }],
  ) => [name, { dtype, shape: shape.map((d) => d === T ? "T" : d) }]),
);

/** Policy + 0.1 · value − 0.01 · entropy + 0.05 · k3. */
const ppo: Program = {
  name: "whole ppo loss",
  inputs: programInputs,
  run: (x) => {
    const of = (name: string) => named(x[name], "N", {});
    const { logProbs, entropies } = actionLogProbs(
      named(x.logits, "N V", {}),
      namedInts(x.actions, "N", {}),
    );
    const weights = of("weights");
    const policy = ppoPolicyLoss({
      logProbs,
      behaviorLogProbs: of("behaviorLogProbs"),
      advantages: of("advantages"),
      weights,
    }, CLIP);
    const value = valueLoss({
      values: of("values"),
      behaviorValues: of("behaviorValues"),
      returns: of("returns"),
      weights,
    }, { clip: 0.2 });
    const entropy = actionMean(entropies, weights);
    const kl = actionMean(k3(logProbs, of("referenceLogProbs"), weights), weights);
    const { loss, ...statistics } = policy;
    return {
      loss: tf.addN([loss, tf.mul(value.loss, 0.1), tf.mul(entropy, -0.01), tf.mul(kl, 0.05)]),
      ...statistics,
      valueClipShare: value.clipShare,
      entropy,
      kl,
    };
  },
};

const grpo: Program = {
  name: "grpo loss",
  inputs: programInputs,
  run: (x) => {
    const of = (name: string) => named(x[name], "N", {});
    const { logProbs } = actionLogProbs(
      named(x.logits, "N V", {}),
      namedInts(x.actions, "N", {}),
    );
    return {
      ...grpoLoss({
        logProbs,
        behaviorLogProbs: of("behaviorLogProbs"),
        referenceLogProbs: of("referenceLogProbs"),
        advantages: of("advantages"),
        weights: of("weights"),
      }, { ...CLIP, klCoefficient: 0.3 }),
    };
  },
};

/** The inputs with other numbers, and other tokens, where documents stand. */
function withDocuments(x: Tensors, of: (name: string, i: number) => number): Tensors {
  return Object.fromEntries(
    Object.entries(x).map(([name, { data, shape, dtype }]) => {
      if (name === "weights") return [name, x[name]];
      const width = data.length / T;
      const changed = Array.from(data, (v, i) => {
        if (kinds[Math.floor(i / width)] === A) return v;
        return dtype === "int32" ? (v + 1) % V : of(name, i);
      });
      const copy = dtype === "int32" ? Int32Array.from(changed) : Float32Array.from(changed);
      return [name, hostTensor(dtype, copy, shape)];
    }),
  );
}

/**
 * What may stand at a document: other numbers, huge ones; columns that are no logits may be NaN.
 */
const documents: Record<string, (name: string, i: number) => number> = {
  others: (_, i) => 3 * Math.sin(i),
  huge: (_, i) => i % 2 ? 1e30 : -1e30,
  mixed: (_, i) => i % 5 ? i : 1e30,
  nothing: (name) => name === "logits" ? 0 : NaN,
};

for (
  const { program, parameters, weights } of [
    { program: ppo, parameters: ["logits", "values"], weights: tokenMeanWeights(lengths) },
    { program: grpo, parameters: ["logits"], weights: sequenceMeanWeights(lengths) },
  ]
) {
  const subject = withGradients(program, { loss: "loss", parameters });
  const used = { ...inputs, weights: floats(spread(weights)) };

  Deno.test(`${program.name}: eager and recorded agree`, async () => {
    await assertParity(program, used, { gradients: { loss: "loss", parameters } });
  });

  for (const how of ["eager", "recorded"]) {
    Deno.test(`${program.name}, ${how}: document tokens change no bit and get no gradient`, async () => {
      const { model } = toOnnx(record(subject, { dialect: "training" }));
      const run = (x: Tensors): Promise<Tensors> =>
        how === "eager" ? runEager(subject, x) : runOnnx(model, x);
      const expected = await run(used);
      for (const parameter of parameters) {
        const { data } = expected[`grad:${parameter}`], width = data.length / T;
        for (const [t, kind] of kinds.entries()) {
          const row = Array.from(data.subarray(t * width, (t + 1) * width));
          assert(row.every(Number.isFinite));
          if (kind === D) assertEquals(row, row.map(() => 0), `${parameter}, position ${t}`);
        }
        assert(data.some((g) => g !== 0));
      }
      for (const [what, of] of Object.entries(documents)) {
        const got = await run(withDocuments(used, of));
        for (const [name, { data }] of Object.entries(got)) {
          assertEquals(bits(data), bits(expected[name].data), `${name}, ${what}`);
        }
      }
      // The control: an action's logit does change the loss.
      const other = logits.slice();
      other[0] += 1;
      const moved = await run({ ...used, logits: floats(other, [T, V]) });
      assertNotEquals(moved.loss.data[0], expected.loss.data[0]);
    });
  }
}
