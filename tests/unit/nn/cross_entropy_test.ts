import { assert, assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import {
  crossEntropy,
  headCrossEntropy,
  IGNORE,
  maskedLogSoftmax,
  meanTargets,
  type Targets,
} from "../../../src/nn/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { assertClose, dot, logSumExp, normals, numericGradient, rowsOf } from "./_reference.ts";

const GRADIENT_TOLERANCE = 3e-6;
const ints = (x: number[]) => namedInts(tf.tensor1d(x, "int32"), "N", {});
const targetsOf = (labels: number[], weights: number[]): Targets => ({
  labels: ints(labels),
  weights: named(tf.tensor1d(weights), "N", {}),
});

const N = 5, V = 7, D = 3, labels = [6, 0, 3, 3, 2], weights = [0.4, 0, 0.1, 0.3, 0.2];
const lossReference = (logits: number[][]) =>
  logits.reduce((sum, z, n) => sum - weights[n] * (z[labels[n]] - logSumExp(z)), 0);
const product = (h: ArrayLike<number>, table: ArrayLike<number>) =>
  rowsOf(h, D).map((row) => rowsOf(table, D).map((w) => dot(row, w)));

Deno.test("crossEntropy is the weighted mean of −log softmax", () => {
  const logits = normals("logits", N * V).map((x) => 3 * x);
  const got = crossEntropy(
    named(tf.tensor2d(logits, [N, V]), "N C", {}),
    targetsOf(labels, weights),
  );
  assertAlmostEquals(got.dataSync()[0], lossReference(rowsOf(logits, V)), 1e-6);
});

Deno.test("headCrossEntropy: value and both gradients against float64", () => {
  const h = normals("hidden", N * D), table = normals("table", V * D);
  const targets = targetsOf(labels, weights);
  const run = (h: tf.Tensor, table: tf.Tensor) =>
    headCrossEntropy(named(h, "N D", {}), named(table, "V D", {}), targets);
  const inputs = [tf.tensor2d(h, [N, D]), tf.tensor2d(table, [V, D])];
  const expected = lossReference(product(h, table));
  assertAlmostEquals(run(inputs[0], inputs[1]).dataSync()[0], expected, 1e-6);
  const [dh, dTable] = tf.grads(run)(inputs, tf.scalar(1));
  const loss = (h: ArrayLike<number>, t: ArrayLike<number>) => lossReference(product(h, t));
  assertClose(dh.dataSync(), numericGradient((x) => loss(x, table), h), GRADIENT_TOLERANCE);
  assertClose(dTable.dataSync(), numericGradient((x) => loss(h, x), table), GRADIENT_TOLERANCE);
});

Deno.test("headCrossEntropy stays finite where the right probability underflows float32", () => {
  // Logits 300 and 0: the right class has probability e^−300, which float32 rounds to 0.
  const h = named(tf.tensor2d([[300]]), "N D", {}),
    table = named(tf.tensor2d([[1], [0]]), "V D", {});
  const loss = headCrossEntropy(h, table, targetsOf([1], [1])).dataSync()[0];
  assertAlmostEquals(loss, 300, 1e-4);
});

Deno.test("headCrossEntropy names the part that does not fit", () => {
  assertThrows(
    () =>
      headCrossEntropy(
        named(tf.zeros([2, 3]), "N D", {}),
        named(tf.zeros([5, 4]), "V D", {}),
        targetsOf([0, 0], [1, 1]),
      ),
    ShapeError,
    "Cannot read table as [V, D=3]: axis D is 4",
  );
});

Deno.test("ignored labels weigh nothing and the others share 1", () => {
  const targets = meanTargets(ints([4, IGNORE, 0, 2, IGNORE]));
  assertEquals([...targets.labels.dataSync()], [4, 0, 0, 2, 0]);
  assertClose(targets.weights.dataSync(), [1 / 3, 0, 1 / 3, 1 / 3, 0]);
  const none = meanTargets(ints([IGNORE, IGNORE]));
  assertEquals([...none.weights.dataSync()], [0, 0]);
});

Deno.test("maskedLogSoftmax is normalised over what is allowed", () => {
  const z = normals("z", 12), isAllowed = [1, 0, 1, 1, 0, 1, 0, 0, 1, 1, 1, 1];
  const got = rowsOf(
    maskedLogSoftmax(tf.tensor2d(z, [3, 4]), tf.tensor2d(isAllowed, [3, 4])).dataSync(),
    4,
  );
  rowsOf(z, 4).forEach((row, r) => {
    const allowed = rowsOf(isAllowed, 4)[r];
    const total = logSumExp(row.filter((_, i) => allowed[i]));
    row.forEach((v, i) => {
      if (allowed[i]) assertAlmostEquals(got[r][i], v - total, 1e-6);
      else assert(got[r][i] < -1e8 && Number.isFinite(got[r][i]));
    });
  });
  assertThrows(
    () => maskedLogSoftmax(tf.zeros([2, 3]), tf.zeros([2, 4])),
    ShapeError,
    "speaks of 4",
  );
});
