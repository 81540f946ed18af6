/** A program and the gradients of its loss. @module */
import * as tf from "@tensorflow/tfjs-core";
import { DeepragError, ShapeError } from "../errors.ts";
import { registerGradients } from "./gradients.ts";
import type { Program } from "./program.ts";

/** What to differentiate with respect to what. */
export interface GradientOptions {
  /** Name of the output to differentiate: a scalar. */
  loss: string;
  /** Names of the inputs to differentiate with respect to. */
  parameters: readonly string[];
}

/**
 * `program` with one more output `grad:<name>` for each of `parameters`: the derivative of its
 * loss. Its own outputs stay.
 *
 * @param program Has `loss` among its outputs and `parameters` among its inputs
 * @param options What to differentiate with respect to what
 * @throws {ShapeError} If a parameter is not an input, or (when it runs) the loss is no scalar
 * @example d(x·x)/dx at 3
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import "@tensorflow/tfjs-backend-cpu";
 * import { withGradients } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 * await tf.setBackend("cpu");
 * const square = withGradients({
 *   name: "square",
 *   inputs: { x: { dtype: "float32", shape: [] } },
 *   run: ({ x }) => ({ loss: tf.mul(x, x) }),
 * }, { loss: "loss", parameters: ["x"] });
 * assertEquals(square.run({ x: tf.scalar(3) })["grad:x"].arraySync(), 6);
 * ```
 */
export function withGradients(program: Program, options: GradientOptions): Program {
  registerGradients();
  const { loss, parameters } = options;
  const unknown = parameters.filter((p) => !(p in program.inputs));
  if (unknown.length) {
    throw new ShapeError(
      `Cannot differentiate ${program.name} with respect to ${unknown.join(", ")}: no such input`,
    );
  }
  const run: Program["run"] = (x) => {
    const own = parameters.map((name) => x[name]);
    const result: Record<string, tf.Tensor> = {};
    const kept: Record<string, tf.Tensor> = {};
    const forward = (): tf.Tensor => {
      const { [loss]: value, ...others } = program.run(x);
      if (value?.rank !== 0) {
        const what = value ? `has shape [${value.shape}], not []` : "is not among its outputs";
        throw new ShapeError(`Cannot differentiate ${program.name}: its loss "${loss}" ${what}`);
      }
      // What the forward pass made is disposed with its tape: the other outputs need a copy.
      for (const [name, t] of Object.entries(others)) kept[name] = tf.keep(tf.clone(t));
      return value;
    };
    const { value, grads } = (() => {
      try {
        return tf.engine().gradients(forward, own, undefined, true);
      } finally {
        // A clone that is not kept belongs to the scope of the caller.
        for (const [name, t] of Object.entries(kept)) {
          result[name] = tf.clone(t);
          t.dispose();
        }
      }
    })();
    result[loss] = value;
    const apart = parameters.filter((_, i) => !grads[i]);
    if (apart.length) {
      throw new DeepragError(
        `Cannot differentiate ${program.name}: its loss does not depend on ${apart.join(", ")}`,
      );
    }
    parameters.forEach((name, i) => result[`grad:${name}`] = grads[i]);
    return result;
  };
  return { name: `${program.name} with gradients`, inputs: program.inputs, run };
}
