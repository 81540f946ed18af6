import * as tf from "@tensorflow/tfjs-core";

/** What a function with a gradient of its own returns. */
interface WithGradient {
  /** The result. */
  value: tf.Tensor;
  /** Tensors that `gradient` needs: inputs, results on the way, or both. */
  saved: tf.Tensor[];
  /** Gradient of every input, in their order, from that of the result. */
  gradient: (dy: tf.Tensor, saved: tf.Tensor[]) => tf.Tensor[];
}

/**
 * `forward(inputs)` with a hand-written gradient. Only the first derivative exists.
 *
 * tf.customGrad with its types put right: it passes `save` as a last argument that its own
 * signature does not know.
 */
export function customGradient(
  inputs: tf.Tensor[],
  forward: (inputs: tf.Tensor[]) => WithGradient,
): tf.Tensor {
  return tf.customGrad((...args) => {
    const save = args.pop() as unknown as tf.GradSaveFunc;
    const { value, saved, gradient } = forward(args as tf.Tensor[]);
    save(saved);
    return { value, gradFunc: (dy, kept) => gradient(dy as tf.Tensor, kept) };
  })(...inputs);
}
