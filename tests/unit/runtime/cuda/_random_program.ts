/** Random programs: operations in an order that nobody thought of. */
import * as tf from "@tensorflow/tfjs-core";
import type { Program } from "../../../../src/graph/mod.ts";
import type { HostTensors } from "../../../../src/runtime/mod.ts";
import { keepMask } from "../../../../src/tensor/keep_mask.ts";
import type { RandomStream } from "../../../../src/tensor/random.ts";
import { normals, programOf, wholes, withLoss } from "./_compare.ts";

const MOST_ELEMENTS = 1 << 19;

type Step = (values: tf.Tensor[], x: Record<string, tf.Tensor>) => tf.Tensor;

const tame = (x: tf.Tensor): tf.Tensor => tf.tanh(x);

const unary: ((x: tf.Tensor) => tf.Tensor)[] = [
  (x) => tf.exp(tf.mul(tame(x), 0.5)),
  (x) => tf.sigmoid(x),
  (x) => tf.relu(x),
  (x) => tf.neg(x),
  (x) => tf.sqrt(tf.add(tf.square(x), 0.1)),
  (x) => tf.mul(x, x),
  (x) => tf.where(tf.greater(x, 0.25), x, tf.mul(x, 0.1)),
];

/** A step of shape `shape`, made from one value of shape `s`; undefined if this one does not apply. */
function drawStep(
  random: RandomStream,
  shapes: readonly number[][],
): { shape: number[]; step: Step; uses: number[] } {
  for (;;) {
    // Recent values are likelier: chains get long.
    const i = Math.max(0, shapes.length - 1 - random.int(Math.min(4, shapes.length)));
    const s = shapes[i], rank = s.length, size = s.reduce((a, b) => a * b, 1);
    const axis = random.int(rank), last = rank - 1;
    const made = (
      shape: number[],
      f: (v: tf.Tensor, x: Record<string, tf.Tensor>) => tf.Tensor,
    ) => ({
      shape,
      step: ((values, x) => f(values[i], x)) as Step,
      uses: [i],
    });
    switch (random.int(15)) {
      case 0: {
        const f = unary[random.int(unary.length)];
        return made(s, f);
      }
      case 1: {
        const others = shapes.map((_, j) => j).filter((j) =>
          shapes[j].length === rank && shapes[j].every((d, k) => d === s[k] || d === 1)
        );
        const j = others[random.int(others.length)], op = random.int(4);
        return {
          shape: s,
          uses: [i, j],
          step: (values) => {
            const [a, b] = [values[i], values[j]];
            return op === 0
              ? tf.add(a, b)
              : op === 1
              ? tf.sub(b, a)
              : op === 2
              ? tf.mul(a, tame(b))
              : tf.maximum(a, b);
          },
        };
      }
      case 2: {
        const op = random.int(3), at = random.int(2) ? last : axis;
        return made(
          s.with(at, 1),
          (v) =>
            op === 0
              ? tf.mean(v, at, true)
              : op === 1
              ? tf.max(v, at, true)
              : tf.mul(tf.sum(v, at, true), 1 / Math.sqrt(s[at])),
        );
      }
      case 3:
        return made(s, (v) => tf.softmax(v));
      case 4: {
        const perm = random.shuffle(s.map((_, k) => k));
        return made(perm.map((p) => s[p]), (v) => tf.transpose(v, perm));
      }
      case 5: {
        if (rank < 2 || rank > 3) continue;
        const k = random.int(rank - 1), merged = s.slice();
        merged.splice(k, 2, s[k] * s[k + 1]);
        return made(merged, (v) => tf.reshape(v, merged));
      }
      case 6: {
        const by = [2, 3, 4, 8].filter((d) => s[axis] % d === 0 && s[axis] > d);
        if (!by.length || rank > 3) continue;
        const d = by[random.int(by.length)], cut = s.slice();
        cut.splice(axis, 1, s[axis] / d, d);
        return made(cut, (v) => tf.reshape(v, cut));
      }
      case 7: {
        if (s[axis] < 2) continue;
        const begin = s.map(() => 0), to = s.slice();
        const half = random.int(2) ? Math.ceil(s[axis] / 2) : s[axis] - 1;
        begin[axis] = s[axis] - half;
        to[axis] = half;
        return made(to, (v) => tf.slice(v, begin, to));
      }
      case 8: {
        const pads = s.map((_, k): [number, number] =>
          k === axis ? [random.int(5), random.int(5)] : [0, 0]
        );
        const to = s.map((d, k) => d + pads[k][0] + pads[k][1]);
        if (rank > 4) continue;
        return made(to, (v) => tf.pad(v, pads, 0.5));
      }
      case 9: {
        if (2 * size > MOST_ELEMENTS) continue;
        return made(s.with(axis, 2 * s[axis]), (v) => tf.concat([v, tame(v)], axis));
      }
      case 10: {
        const n = random.int(2) ? 1 : 2;
        if (n * size > MOST_ELEMENTS) continue;
        return made(
          s.with(axis, n * s[axis]),
          (v) => tf.tile(v, s.map((_, k) => k === axis ? n : 1)),
        );
      }
      case 11: {
        const rows = 1 + random.int(9);
        if (size / s[0] * rows > MOST_ELEMENTS) continue;
        return made([rows, ...s.slice(1)], (v, x) => {
          const ids = tf.slice(x.ids as tf.Tensor1D, 0, rows);
          const inside = tf.mod(ids, tf.scalar(s[0], "int32"));
          return tf.gather(v, tf.cast(inside, "int32"));
        });
      }
      case 12: {
        if (rank < 2) continue;
        const [m, k] = s.slice(-2);
        if (Math.max(m, k) > 1200) continue;
        const isLeft = random.int(2) === 1, n = isLeft ? m : k;
        if (size / (m * k) * n * n * Math.max(m, k) > 1 << 24) continue;
        return made(
          [...s.slice(0, -2), n, n],
          (v) => tf.mul(tf.matMul(v, tame(v), !isLeft, isLeft), 1 / Math.sqrt(isLeft ? k : m)),
        );
      }
      case 13:
        return made(s, (v) => tf.mul(tf.mul(v, keepMask(s, 0.75)), 1 / 0.75));
      case 14: {
        const isExclusive = random.int(2) === 1;
        return made(s, (v) => tf.mul(tf.cumsum(v, axis, isExclusive), 1 / s[axis]));
      }
    }
  }
}

/** A program of `length` random operations on inputs of up to `MOST_ELEMENTS` elements. */
export function randomProgram(
  random: RandomStream,
  length: number,
): { program: Program; inputs: HostTensors } {
  const starts = [[64, 8, 256], [33, 17], [256, 512], [5, 4, 12, 36], [1, 1000], [7, 3, 4]];
  const a = starts[random.int(starts.length)];
  const b = random.int(2) ? a.map((d) => random.int(2) ? d : 1) : starts[random.int(starts.length)];
  const inputs: HostTensors = {
    a: normals(random, a),
    b: normals(random, b),
    ids: wholes(random, [16], 1000),
  };
  const shapes = [a, b], steps: Step[] = [], needs = [new Set(["a"]), new Set(["b"])];
  for (let k = 0; k < length; k++) {
    const { shape, step, uses } = drawStep(random, shapes);
    needs.push(new Set(uses.flatMap((u) => [...needs[u]])));
    shapes.push(shape);
    steps.push(step);
  }
  const kept = shapes.map((_, k) => k).filter((k) =>
    k >= shapes.length - 2 || k > 1 && random.int(4) === 0
  );
  const program = programOf("random", inputs, (x) => {
    const values = [x.a, x.b];
    for (const step of steps) values.push(step(values, x));
    return Object.fromEntries(kept.map((k) => [`y${k}`, values[k]]));
  });
  const parameters = ["a", "b"].filter((name) => kept.some((k) => needs[k].has(name)));
  return { program: withLoss(program, parameters), inputs };
}
