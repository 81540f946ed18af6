/** Rotary position embedding. @module */
import * as tf from "@tensorflow/tfjs-core";
import { ShapeError } from "../errors.ts";
import { type Dims, type F32, type I32, named, namedInts } from "../tensor/axes.ts";
import { customGradient } from "./_custom_gradient.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** How the frequencies of a model that was trained on short texts are stretched for long ones. */
export type RotaryScaling =
  /** Every frequency is divided by `factor` (Chen et al. 2023, "position interpolation"). */
  | { readonly kind: "linear"; readonly factor: number }
  /**
   * Low frequencies are divided by `factor`, high ones are kept, those between are interpolated
   * (Llama 3.1; `_compute_llama3_parameters` of transformers).
   */
  | {
    readonly kind: "llama3";
    readonly factor: number;
    /** Waves longer than originalPositions / lowFactor are stretched. */
    readonly lowFactor: number;
    /** Waves shorter than originalPositions / highFactor are kept. */
    readonly highFactor: number;
    /** Positions the model was trained on before. */
    readonly originalPositions: number;
  };

/** Frequencies of a rotary embedding. */
export interface RotaryOptions {
  /** θ, base of the frequencies. */
  readonly theta: number;
  /** How they are stretched. Default: not at all. */
  readonly scaling?: RotaryScaling;
}

/**
 * Frequencies in radians per position, rounded to float32 where PyTorch rounds: an error in one is
 * multiplied by the position.
 *
 *   f[i] = θ^(−2i / E)
 *
 * @param headWidth E, even
 * @param options θ and scaling
 * @returns [E/2]
 * @throws {ShapeError} If E is odd
 * @example
 * ```ts
 * import { rotaryFrequencies } from "./rotary.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals([...rotaryFrequencies(4, { theta: 10000 })], [1, Math.fround(0.01)]);
 * ```
 */
export function rotaryFrequencies(headWidth: number, options: RotaryOptions): Float32Array {
  if (headWidth % 2) {
    throw new ShapeError(`Cannot rotate heads of width ${headWidth}: it is odd`);
  }
  const { theta, scaling } = options;
  const f = Math.fround;
  return Float32Array.from({ length: headWidth / 2 }, (_, i) => {
    const frequency = f(1 / f(theta ** f(2 * i / headWidth)));
    if (!scaling) return frequency;
    const slow = f(frequency / scaling.factor);
    if (scaling.kind === "linear") return slow;
    const { lowFactor, highFactor, originalPositions } = scaling;
    const wave = 2 * Math.PI / frequency;
    if (wave < originalPositions / highFactor) return frequency;
    if (wave > originalPositions / lowFactor) return slow;
    const share = (originalPositions / wave - lowFactor) / (highFactor - lowFactor);
    return f((1 - share) * slow + share * frequency);
  });
}

/** Cosine and sine of every position, for both halves of a head. */
export interface RotaryAngles {
  /** [B, 1, Q, E] the cosines twice. */
  readonly cos: Tensor;
  /** [B, 1, Q, E] minus the sines, then the sines. */
  readonly sin: Tensor;
}

/**
 * Angles of positions, computed once for all layers.
 *
 * @param positions [B, Q] position of each token in its text
 * @param frequencies [E/2] radians per position
 */
export function rotaryAngles(positions: I32<"B Q">, frequencies: Float32Array): RotaryAngles {
  const dims: Dims = {};
  namedInts(positions, "B Q", dims, { as: "positions" });
  const at = tf.reshape(tf.cast(positions as Tensor, "float32"), [dims.B, 1, dims.Q, 1]);
  const angles = tf.mul(at, tf.tensor1d(frequencies));
  const cos = tf.cos(angles), sin = tf.sin(angles);
  return { cos: tf.concat([cos, cos], 3), sin: tf.concat([tf.neg(sin), sin], 3) };
}

/** The two halves of the last axis exchanged. */
function swapHalves(x: Tensor, half: number): Tensor {
  const [first, second] = tf.split(x, [half, half], 3);
  return tf.concat([second, first], 3);
}

/**
 * Rotary position embedding (Su et al. 2021), in the layout of Llama: number i of the first half of a
 * head and number i of its second half are the two coordinates that angle i turns.
 *
 *   y₁ = x₁ cos − x₂ sin      y₂ = x₂ cos + x₁ sin
 *
 * Departure: the paper pairs neighbours; this is transformers' `rotate_half`, for which the published
 * weights are permuted. The gradient of a rotation is the rotation back; none flows to the angles.
 *
 * @param x [B, H, Q, E]
 * @param angles Cosines and sines
 * @returns [B, H, Q, E]
 * @throws {ShapeError} If E is not that of the angles
 */
export function rotate(x: F32<"B H Q E">, angles: RotaryAngles): F32<"B H Q E"> {
  const width = x.shape[3]!, { cos, sin } = angles;
  if (width !== cos.shape[3]) {
    throw new ShapeError(`Cannot rotate heads of width ${width}: there are ${cos.shape[3]} angles`);
  }
  const half = width / 2;
  const y = customGradient([x as Tensor], ([x]) => ({
    value: tf.add(tf.mul(x, cos), tf.mul(swapHalves(x, half), sin)),
    saved: [cos, sin],
    // Turning back is turning by the opposite angle, whose sine has the other sign.
    gradient: (dy, [cos, sin]) => [tf.sub(tf.mul(dy, cos), tf.mul(swapHalves(dy, half), sin))],
  }));
  return named(y, "B H Q E", {});
}
