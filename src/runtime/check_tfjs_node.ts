/**
 * Tries a setup of tfjs-node, in a process of its own, since a bad addon can take the process with it:
 *
 *     check_tfjs_node.ts <folder>
 *
 * @module
 */
import * as tf from "@tensorflow/tfjs-core";
import { KernelError } from "../errors.ts";
import { registerGradients } from "../graph/gradients.ts";
import { loadSetup, TENSORFLOW } from "./tfjs_node.ts";

/** C = [[1, 2], [3, 4]] · [[5, 6], [7, 8]] */
const PRODUCT = "19,22,43,50";
/** d Σ C² / d A = 2 C · Bᵀ */
const GRADIENT = "454,618,1030,1402";

if (import.meta.main) {
  loadSetup(Deno.args[0]);
  registerGradients();
  await tf.setBackend(TENSORFLOW);
  const a = tf.tensor2d([[1, 2], [3, 4]]), b = tf.tensor2d([[5, 6], [7, 8]]);
  const gradient = tf.grad((x: tf.Tensor) => tf.sum(tf.square(tf.matMul(x as tf.Tensor2D, b))))(a);
  const found = [tf.matMul(a, b), gradient].map((t) => t.dataSync().join());
  if (found[0] !== PRODUCT || found[1] !== GRADIENT) {
    throw new KernelError(
      `Cannot use this addon: a product is ${found[0]}, expected ${PRODUCT}; its gradient is ${
        found[1]
      }, ` +
        `expected ${GRADIENT}`,
    );
  }
}
