import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { evaluateSize, type Program, record } from "../../../src/graph/mod.ts";
import {
  type DecoderConfig,
  decoderLogits,
  type DecoderModel,
  decoderParamSpecs,
  decoderStates,
  type PolicyBatch,
  policyOutputs,
  type PolicyRules,
  VALUE_BIAS,
  VALUE_WEIGHT,
  valueHeadParamSpecs,
} from "../../../src/model/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { scoringProgram } from "../../../src/train/policy_program.ts";
import { assertParity } from "../../parity.ts";
import { dot, logSumExp, normals } from "../nn/_reference.ts";
import { drawn, ids, marks, paramsOf, tinyDecoder, tinyDecoderConfig } from "./_tiny_decoder.ts";

/** Sums of a dozen float32 numbers against float64. */
const FLOAT32 = 1e-5;

const RULES: PolicyRules = { forbidden: [0, 4, 7], retrieveToken: 9, temperature: 0.7 };

/** Two rows; the second one is shorter. Tokens 2 and 5 of the first row were given in the middle. */
const ROWS = [[1, 3, 2, 5, 6, 9, 8], [3, 10, 1, 0, 0, 0, 0]];
const IS_TOKEN = [[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]];
/** Positions of the choices, row by row. */
const CHOICES = [[0, 1], [0, 4], [0, 5], [0, 6], [1, 1], [1, 2]];
const MAY_RETRIEVE = [1, 1, 1, 0, 0, 1];

/** A decoder with a drawn value head. */
function withHead(model: DecoderModel): DecoderModel {
  const head = drawn(valueHeadParamSpecs(model.config.modelWidth), 0.8);
  return { config: model.config, tensors: { ...model.tensors, ...head } };
}

type Scored = { logProbs: number[]; entropies: number[]; values?: number[] };

/** The choices in these rows. */
function choicesIn(rows: number[][], mayRetrieve: number[] = MAY_RETRIEVE): PolicyBatch {
  const S = rows[0].length;
  return {
    inputIds: ids(rows),
    isToken: marks(IS_TOKEN),
    states: namedInts(tf.tensor1d(CHOICES.map(([b, at]) => b * S + at - 1), "int32"), "N", {}),
    actions: namedInts(tf.tensor1d(CHOICES.map(([b, at]) => rows[b][at]), "int32"), "N", {}),
    mayRetrieve: named(tf.tensor1d(mayRetrieve), "N", {}),
  };
}

/** What a policy says about the choices in these rows. */
function score(
  { config, tensors }: DecoderModel,
  rows: number[][] = ROWS,
  rules: PolicyRules = RULES,
  mayRetrieve: number[] = MAY_RETRIEVE,
): Scored {
  return tf.tidy(() => {
    const outputs = policyOutputs(paramsOf(tensors), config, choicesIn(rows, mayRetrieve), rules);
    return Object.fromEntries(
      Object.entries(outputs).map(([name, x]) => [name, [...x.dataSync()]]),
    ) as unknown as Scored;
  });
}

/** Logits and states before each choice, of each row read by itself and without padding. */
function statesOf(
  { config, tensors }: DecoderModel,
  rows: number[][],
): { hidden: number[]; logits: number[] }[] {
  return CHOICES.map(([b, at]) =>
    tf.tidy(() => {
      const params = paramsOf(tensors);
      const { hidden } = decoderStates(params, config, { inputIds: ids([rows[b].slice(0, at)]) });
      const last = tf.slice(hidden as tf.Tensor3D, [0, at - 1, 0], [1, 1, config.modelWidth]);
      return {
        hidden: [...last.dataSync()],
        logits: [...decoderLogits(params, config, last).dataSync()],
      };
    })
  );
}

for (const family of ["llama", "gpt2", "qwen2"] as const) {
  Deno.test(`${family}: log-softmax over what could be chosen, its entropy, and the value`, () => {
    const model = withHead(tinyDecoder(family)), { tensors } = model;
    const scored = score(model);
    statesOf(model, ROWS).forEach(({ hidden, logits }, n) => {
      const [b, at] = CHOICES[n];
      const isOpen = (v: number) => ![0, 4, 7].includes(v) && (v !== 9 || MAY_RETRIEVE[n] === 1);
      const open = logits.map((x) => x / 0.7).filter((_, v) => isOpen(v));
      const norm = logSumExp(open);
      const action = ROWS[b][at], what = `choice ${n}`;
      // What could not be chosen is 10⁹ less likely; none of the choices here is of that kind.
      assert(isOpen(action));
      assertAlmostEquals(scored.logProbs[n], logits[action] / 0.7 - norm, FLOAT32, what);
      const entropy = open.reduce((sum, x) => sum - Math.exp(x - norm) * (x - norm), 0);
      assertAlmostEquals(scored.entropies[n], entropy, FLOAT32, what);
      const value = dot(tensors[VALUE_WEIGHT].data, hidden) + tensors[VALUE_BIAS].data[0];
      assertAlmostEquals(scored.values![n], value, FLOAT32, what);
    });
  });
}

Deno.test("what could not be chosen is as good as impossible", () => {
  const model = tinyDecoder("llama");
  // Action 2 is the retrieve token.
  const { logProbs: [, , closed] } = score(model, ROWS, RULES, [1, 1, 0, 0, 0, 1]);
  assert(closed < -1e8);
  const { logProbs: [, , forbidden] } = score(model, ROWS, { ...RULES, forbidden: [9] });
  assert(forbidden < -1e8);
  // Where it stands in the way of nothing, whether a retrieval was possible changes its own row alone.
  const a = score(model), b = score(model, ROWS, RULES, [1, 1, 1, 1, 0, 1]);
  a.logProbs.forEach((x, n) => assertEquals(x === b.logProbs[n], n !== 3));
});

Deno.test("without a value head there are no values", () => {
  assertEquals(Object.keys(score(tinyDecoder("llama"))), ["logProbs", "entropies"]);
  const { values } = score(withHead(tinyDecoder("llama")));
  assertEquals(values!.length, CHOICES.length);
});

Deno.test("values that are detached move the head as before, and the decoder not at all", () => {
  const { config, tensors } = withHead(tinyDecoder("llama"));
  const gradients = (isValueDetached: boolean): Record<string, number[]> =>
    tf.tidy(() => {
      const params = paramsOf(tensors), names = Object.keys(params);
      const total = (...values: tf.Tensor[]): tf.Scalar => {
        const x = Object.fromEntries(names.map((name, i) => [name, values[i]]));
        const outputs = policyOutputs(x, config, choicesIn(ROWS), RULES, { isValueDetached });
        // Nothing of the log-probabilities, but a path to every parameter.
        const none = tf.mul(tf.sum(outputs.logProbs as tf.Tensor), 0);
        return tf.add(tf.sum(tf.square(outputs.values as tf.Tensor)), none) as tf.Scalar;
      };
      const all = tf.grads(total)(names.map((name) => params[name]));
      return Object.fromEntries(names.map((name, i) => [name, [...all[i].dataSync()]]));
    });
  const detached = gradients(true), whole = gradients(false);
  for (const [name, numbers] of Object.entries(detached)) {
    if (name.startsWith("v_head.")) assertEquals(numbers, whole[name]);
    else assert(numbers.every((x) => x + 0 === 0), name);
  }
  const moved = Object.entries(whole).filter(([, numbers]) => numbers.some((x) => x !== 0));
  assert(moved.length > 10);
});

Deno.test("what was given is context: later choices see it, earlier ones and other rows do not", () => {
  for (const model of [tinyDecoder("llama"), tinyDecoder("gpt2")]) {
    const before = score(model);
    // A document of two tokens stands between the first choice and the second.
    const [first, second] = ROWS, other = [1, 3, 8, 6, ...first.slice(4)];
    const after = score(model, [other, second]);
    const changed = before.logProbs.map((x, n) => Math.abs(x - after.logProbs[n]) > FLOAT32);
    assertEquals(changed, [false, true, true, true, false, false]);
    // Behind the last choice of a row, padding included, nothing is read at all.
    const padded = score(model, [first, [3, 10, 1, 5, 6, 2, 1]]);
    assertEquals(padded, before);
  }
});

/** The program of scoring with a loss to differentiate, every choice with a weight of its own. */
function weighted(config: DecoderConfig): Program {
  const specs = { ...decoderParamSpecs(config), ...valueHeadParamSpecs(config.modelWidth) };
  const program = scoringProgram(config, specs, RULES);
  return {
    ...program,
    inputs: { ...program.inputs, weights: { dtype: "float32", shape: ["N"] } },
    run: (x: Record<string, tf.Tensor>) => {
      const outputs = program.run(x);
      const { logProbs, entropies, values } = outputs;
      const mixed = tf.add(
        tf.sub(logProbs, tf.mul(entropies, 0.3)),
        tf.mul(tf.square(values), 0.2),
      );
      return { ...outputs, loss: tf.sum(tf.mul(mixed, x.weights)) };
    },
  };
}

/** A batch of B rows of S tokens with choices at these positions of B·S. */
function batchOf(B: number, S: number, states: number[]): Record<string, HostTensor> {
  const N = states.length;
  const ints = (data: number[], shape: number[]) =>
    hostTensor("int32", Int32Array.from(data), shape);
  const floats = (data: ArrayLike<number>, shape: number[]) =>
    hostTensor("float32", Float32Array.from(data), shape);
  return {
    inputIds: ints(Array.from({ length: B * S }, (_, i) => (i * 7 + 3) % 11), [B, S]),
    isToken: floats(
      Array.from({ length: B * S }, (_, i) => Number(i % S < S - Math.floor(i / S))),
      [
        B,
        S,
      ],
    ),
    states: ints(states, [N]),
    actions: ints(states.map((_, n) => [1, 2, 3, 5, 6, 8, 10][n % 7]), [N]),
    mayRetrieve: floats(states.map((_, n) => n % 2), [N]),
    weights: floats(normals("weights", N), [N]),
  };
}

Deno.test("eager and recorded agree in value and gradient, whatever the sizes", async () => {
  for (const family of ["llama", "gpt2"] as const) {
    const { config, tensors } = withHead(tinyDecoder(family));
    const set = (B: number, S: number, states: number[]) => ({
      ...tensors,
      ...batchOf(B, S, states),
    });
    await assertParity(weighted(config), [
      set(2, 5, [0, 1, 3, 6]),
      set(1, 3, [1]),
      set(3, 4, [2, 8]),
    ], {
      gradients: { loss: "loss", parameters: Object.keys(tensors) },
    });
  }
});

Deno.test("logits exist for choices alone: no tensor has a row of the vocabulary per position", () => {
  const config = tinyDecoderConfig("llama", { vocab_size: 13 });
  const program = scoringProgram(config, decoderParamSpecs(config), RULES);
  const sizes = { B: 100, S: 100, N: 2 };
  const shapes = record(program).nodes.flatMap(({ outputs }) =>
    outputs.map(({ shape }) => shape.map((size) => evaluateSize(size, sizes)))
  );
  assert(shapes.some((shape) => shape.join() === "2,13"));
  for (const shape of shapes.filter((shape) => shape.includes(13))) {
    assert(sizeOf(shape) <= 13 * config.modelWidth, `[${shape}]`);
  }
});

Deno.test("inputs that do not fit are named", () => {
  const { config, tensors } = tinyDecoder("llama");
  const run = (over: Record<string, tf.Tensor>): void => {
    const batch = {
      inputIds: ids(ROWS),
      isToken: marks(IS_TOKEN),
      states: tf.tensor1d([0, 3], "int32"),
      actions: tf.tensor1d([1, 2], "int32"),
      mayRetrieve: tf.tensor1d([1, 1]),
      ...over,
    };
    policyOutputs(paramsOf(tensors), config, batch as never, RULES);
  };
  assertThrows(
    () => run({ actions: tf.tensor1d([1, 2, 3], "int32") }),
    ShapeError,
    "Cannot read actions as [N=2]: axis N is 3",
  );
  assertThrows(() => run({ mayRetrieve: tf.tensor1d([1]) }), ShapeError, "Cannot read mayRetrieve");
  assertThrows(() => run({ states: tf.tensor2d([[1, 2]]) }), ShapeError, "Cannot read states");
  assertThrows(() => run({ isToken: tf.tensor2d([[1, 1]]) }), ShapeError, "Cannot read isToken");
});
