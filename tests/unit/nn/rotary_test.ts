import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import fc from "fast-check";
import { ShapeError } from "../../../src/errors.ts";
import {
  rotaryAngles,
  rotaryFrequencies,
  type RotaryOptions,
  rotate,
} from "../../../src/nn/mod.ts";
import { named, namedInts } from "../../../src/tensor/axes.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { assertParity } from "../../parity.ts";
import { assertClose, dot, normals, numericGradient, rowsOf } from "./_reference.ts";

const GRADIENT_TOLERANCE = 3e-6;
/** float32 rounds a power, a quotient and a mean of two; PyTorch's power is another one. */
const FREQUENCY_TOLERANCE = 3e-7;

/** For E = 16, as ROPE_INIT_FUNCTIONS and LlamaRotaryEmbedding of transformers 5.18 give them. */
// deno-fmt-ignore
const FREQUENCIES: Record<string, [RotaryOptions, number[]]> = {
  "θ = 10⁴": [{ theta: 1e4 }, [
    1, 0.3162277638912201, 0.10000000149011612, 0.03162277862429619, 0.009999999776482582,
    0.003162277862429619, 0.0010000000474974513, 0.0003162277862429619,
  ]],
  "θ = 10⁶": [{ theta: 1e6 }, [
    1, 0.17782793939113617, 0.03162277862429619, 0.005623413249850273, 0.0010000000474974513,
    0.00017782794020604342, 3.162277425872162e-05, 5.62341347176698e-06,
  ]],
  linear: [{ theta: 1e4, scaling: { kind: "linear", factor: 4 } }, [
    0.25, 0.07905694097280502, 0.02500000037252903, 0.007905694656074047, 0.0024999999441206455,
    0.0007905694656074047, 0.0002500000118743628, 7.905694656074047e-05,
  ]],
  "llama3 as in Llama 3.2": [
    {
      theta: 5e5,
      scaling: {
        kind: "llama3", factor: 32, lowFactor: 1, highFactor: 4, originalPositions: 8192,
      },
    },
    [
      1, 0.193922758102417, 0.03760603070259094, 0.00729266507551074, 0.000429556705057621,
      8.570255886297673e-06, 1.6619674170215148e-06, 3.2229328894572973e-07,
    ],
  ],
  "llama3 on short texts": [
    {
      theta: 1e4,
      scaling: { kind: "llama3", factor: 4, lowFactor: 1, highFactor: 4, originalPositions: 64 },
    },
    [
      1, 0.2546479105949402, 0.02546478994190693, 0.007905694656074047, 0.0024999999441206455,
      0.0007905694656074047, 0.0002500000118743628, 7.905694656074047e-05,
    ],
  ],
};

for (const [name, [options, expected]] of Object.entries(FREQUENCIES)) {
  Deno.test(`rotaryFrequencies equal those of transformers: ${name}`, () => {
    const got = rotaryFrequencies(16, options);
    expected.forEach((f, i) =>
      assertAlmostEquals(got[i] / f, 1, FREQUENCY_TOLERANCE, `frequency ${i}`)
    );
  });
}

Deno.test("heads of odd width have no frequencies", () => {
  assertThrows(() => rotaryFrequencies(5, { theta: 10 }), ShapeError, "width 5: it is odd");
});

const [B, H, Q, E] = [2, 3, 4, 6];
const F = rotaryFrequencies(E, { theta: 100 });
const POSITIONS = [[0, 1, 2, 3], [7, 0, 3, 12]];
const anglesOf = (positions: number[][], frequencies = F) =>
  rotaryAngles(
    namedInts(tf.tensor2d(positions, undefined, "int32"), "B Q", {}),
    frequencies,
  );

/** y₁ = x₁ cos − x₂ sin, y₂ = x₂ cos + x₁ sin, with x₂ half a head after x₁. */
function reference(x: ArrayLike<number>): number[] {
  return rowsOf(x, E).flatMap((row, i) => {
    const position = POSITIONS[Math.floor(i / (H * Q))][i % Q];
    return row.map((v, e) => {
      const half = E / 2, angle = position * F[e % half];
      const partner = e < half ? -row[e + half] : row[e - half];
      return v * Math.cos(angle) + partner * Math.sin(angle);
    });
  });
}
const turn = (x: tf.Tensor) => rotate(named(x, "B H Q E", {}), anglesOf(POSITIONS));

Deno.test("rotate: value and gradient against float64", () => {
  const x = normals("x", B * H * Q * E), dy = normals("dy", B * H * Q * E);
  const xt = tf.tensor4d(x, [B, H, Q, E]);
  assertClose(turn(xt).dataSync(), reference(x));
  const got = tf.grad(turn)(xt, tf.tensor4d(dy, [B, H, Q, E]));
  assertClose(
    got.dataSync(),
    numericGradient((x) => dot(reference(x), dy), x),
    GRADIENT_TOLERANCE,
  );
});

Deno.test("a rotation keeps norms, and products depend on the distance alone", () => {
  const rotated = (x: number[], position: number): number[] => {
    const turned = rotate(
      named(tf.tensor4d(x, [1, 1, 1, E]), "B H Q E", {}),
      anglesOf([[position]]),
    );
    return Array.from(turned.dataSync());
  };
  const vector = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), {
    minLength: E,
    maxLength: E,
  });
  const position = fc.integer({ min: 0, max: 200 });
  fc.assert(
    fc.property(vector, vector, position, position, position, (q, k, m, n, shift) => {
      const at = rotated(q, m), key = rotated(k, n);
      assertAlmostEquals(dot(at, at), dot(q, q), 1e-4);
      const moved = dot(rotated(q, m + shift), rotated(k, n + shift));
      // Angles of up to 400 radians are good to 2e-5.
      assertAlmostEquals(dot(at, key), moved, 3e-3);
    }),
    { numRuns: 60, seed: 3 },
  );
});

Deno.test("rotate refuses angles for another width", () => {
  const x = named(tf.zeros([B, H, Q, 8]), "B H Q E", {});
  assertThrows(
    () => rotate(x, anglesOf(POSITIONS)),
    ShapeError,
    "Cannot rotate heads of width 8: there are 6 angles",
  );
});

Deno.test("rotate: eager and recorded agree at other sizes", async () => {
  const of = (B: number, Q: number) => ({
    x: hostTensor("float32", normals("px", B * H * Q * E), [B, H, Q, E]),
    dy: hostTensor("float32", normals("pdy", B * H * Q * E), [B, H, Q, E]),
    positions: hostTensor("int32", Int32Array.from({ length: B * Q }, (_, i) => 5 * i % 17), [
      B,
      Q,
    ]),
  });
  await assertParity(
    {
      name: "rotate",
      inputs: {
        x: { dtype: "float32", shape: ["B", H, "Q", E] },
        dy: { dtype: "float32", shape: ["B", H, "Q", E] },
        positions: { dtype: "int32", shape: ["B", "Q"] },
      },
      run: ({ x, dy, positions }) => {
        const angles = rotaryAngles(namedInts(positions, "B Q", {}), F);
        const y = rotate(named(x, "B H Q E", {}), angles) as tf.Tensor;
        return { y, loss: tf.sum(tf.mul(y, dy)) };
      },
    },
    [of(2, 3), of(1, 1), of(3, 5)],
    { gradients: { loss: "loss", parameters: ["x"] } },
  );
});

Deno.test("angles are products of positions and frequencies, position by position", () => {
  const { cos, sin } = anglesOf([[0, 3]], Float32Array.of(1, 0.5));
  const expected = (f: (x: number) => number) => [0, 0, 3, 1.5].map(f);
  const [c, s] = [cos, sin].map((x) => Array.from(x.dataSync()));
  assertEquals(cos.shape, [1, 1, 2, 4]);
  assertClose([...c.slice(0, 2), ...c.slice(4, 6)], expected(Math.cos));
  assertClose([...s.slice(2, 4), ...s.slice(6, 8)], expected(Math.sin));
  assertClose(s.slice(4, 6), expected((x) => -Math.sin(x)).slice(2));
});
