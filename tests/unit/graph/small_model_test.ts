import * as tf from "@tensorflow/tfjs-core";
import { assertEquals } from "@std/assert";
import { formatSize, type Program, record, withGradients } from "../../../src/graph/mod.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { assertParity, type Tensors } from "../../parity.ts";

const V = 7, D = 4, C = 3;

/** Embedding, norm, two linear layers and cross-entropy: [B, S] ids → [B] labels. */
const mlp: Program = {
  name: "mlp",
  inputs: {
    ids: { dtype: "int32", shape: ["B", "S"] },
    labels: { dtype: "int32", shape: ["B"] },
    table: { dtype: "float32", shape: [V, D] },
    w: { dtype: "float32", shape: [D, C] },
    b: { dtype: "float32", shape: [C] },
  },
  run: ({ ids, labels, table, w, b }) => {
    const [B] = ids.shape;
    const x = tf.gather(table, ids as tf.Tensor2D);
    const norm = tf.rsqrt(tf.add(tf.mean(tf.square(x), -1, true), 1e-6));
    const pooled = tf.mean(tf.mul(x, norm), 1);
    const logits = tf.add(tf.matMul(tf.relu(pooled) as tf.Tensor2D, w as tf.Tensor2D), b);
    const logProbs = tf.logSoftmax(logits);
    const at = tf.add(tf.range(0, B * C, C, "int32"), labels) as tf.Tensor1D;
    const picked = tf.gather(tf.reshape(logProbs, [-1]), at);
    return { loss: tf.neg(tf.mean(picked)), logProbs };
  },
};

function inputsOf(B: number, S: number): Tensors {
  const random = randomStream({ seed: 1, stream: "mlp", step: B * 100 + S });
  const floats = (...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return hostTensor("float32", Float32Array.from({ length: size }, () => random.normal()), shape);
  };
  const ints = (n: number, ...shape: number[]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return hostTensor("int32", Int32Array.from({ length: size }, () => random.int(n)), shape);
  };
  return {
    ids: ints(V, B, S),
    labels: ints(C, B),
    table: floats(V, D),
    w: floats(D, C),
    b: floats(C),
  };
}

Deno.test("a small model and its gradients hold at sizes the recording never saw", async () => {
  await assertParity(mlp, [inputsOf(1, 1), inputsOf(2, 1), inputsOf(3, 5), inputsOf(64, 20)], {
    gradients: { loss: "loss", parameters: ["table", "w", "b"] },
  });
});

Deno.test("a recording says what it takes and gives", () => {
  const program = withGradients(mlp, { loss: "loss", parameters: ["w"] });
  const { symbols, outputs, inputs } = record(program);
  assertEquals(symbols, ["B", "S"]);
  assertEquals(inputs[0], { name: "ids", dtype: "int32", shape: ["B", "S"] });
  assertEquals(
    outputs.map((o) => `${o.name} ${o.dtype} [${o.shape.map(formatSize)}]`),
    ["logProbs float32 [B,3]", "loss float32 []", "grad:w float32 [4,3]"],
  );
});
