import { assert, assertEquals, assertLess, assertThrows } from "@std/assert";
import fc from "fast-check";
import { orthonormalised } from "../../../src/docid/_orthonormal.ts";
import { symmetricEigen } from "../../../src/docid/eigen.ts";
import { lsaVectors, sparseSvd, svdStart } from "../../../src/docid/svd.ts";
import { DataError } from "../../../src/errors.ts";
import { type RandomStream, randomStream } from "../../../src/tensor/random.ts";
import type { SparseMatrix } from "../../../src/tensor/sparse.ts";

/** Rounding of float32 through a few products, relative to the largest singular value. */
const FLOAT32 = 2e-6;
/** Rounding of float64 over a whole decomposition. */
const FLOAT64 = 1e-12;

const stream = (step: number): RandomStream => randomStream({ seed: 11, stream: "svd", step });

/** A random matrix of which a share `density` is filled, rows of `rank` directions if given. */
function randomSparse(rows: number, cols: number, density: number, step = 0): SparseMatrix {
  const draw = stream(step);
  const offsets = [0], indices: number[] = [], values: number[] = [];
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < cols; c++) {
      if (draw.uniform() < density) indices.push(c), values.push(draw.uniform() + 0.1);
    }
    offsets.push(indices.length);
  }
  return {
    rows,
    cols,
    offsets: Int32Array.from(offsets),
    indices: Int32Array.from(indices),
    values: Float32Array.from(values),
  };
}

function dense(matrix: SparseMatrix): number[][] {
  return Array.from({ length: matrix.rows }, (_, r) => {
    const row: number[] = Array(matrix.cols).fill(0);
    for (let i = matrix.offsets[r]; i < matrix.offsets[r + 1]; i++) {
      row[matrix.indices[i]] += matrix.values[i];
    }
    return row;
  });
}

/** Largest |a - b| over all elements of a·bᵀ against M. */
function worstGap(
  M: number[][],
  a: Float32Array,
  b: Float32Array,
  width: number,
): number {
  let worst = 0;
  M.forEach((row, i) =>
    row.forEach((expected, j) => {
      let sum = 0;
      for (let k = 0; k < width; k++) sum += a[i * width + k] * b[j * width + k];
      worst = Math.max(worst, Math.abs(sum - expected));
    })
  );
  return worst;
}

Deno.test("eigenvectors are orthonormal and satisfy A·v = λ·v, also with equal eigenvalues", () => {
  const cases = fc.record({
    n: fc.integer({ min: 1, max: 24 }),
    step: fc.nat(),
    values: fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 24, maxLength: 24 }),
    isDiagonal: fc.boolean(),
  });
  fc.assert(fc.property(cases, ({ n, step, values, isDiagonal }) => {
    const draw = stream(step);
    const A = new Float64Array(n * n);
    for (let i = 0; i < n; i++) {
      A[i * n + i] = values[i];
      for (let j = 0; j < i && !isDiagonal; j++) A[i * n + j] = A[j * n + i] = draw.int(4) - 1;
    }
    const { values: found, vectors } = symmetricEigen(A, n);
    for (let p = 0; p < n; p++) {
      if (p > 0) assert(found[p] <= found[p - 1]);
      for (let q = 0; q < n; q++) {
        let product = 0, Av = 0;
        for (let i = 0; i < n; i++) {
          product += vectors[i * n + p] * vectors[i * n + q];
          Av += A[q * n + i] * vectors[i * n + p];
        }
        assertLess(Math.abs(product - (p === q ? 1 : 0)), FLOAT64);
        assertLess(Math.abs(Av - found[p] * vectors[q * n + p]), 50 * FLOAT64);
      }
    }
  }));
});

Deno.test("eigenvalues of the path graph are 2 - 2·cos(πk/n), in closed form", () => {
  const n = 30;
  const A = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    A[i * n + i] = i === 0 || i === n - 1 ? 1 : 2;
    if (i > 0) A[i * n + i - 1] = A[(i - 1) * n + i] = -1;
  }
  const { values } = symmetricEigen(A, n);
  values.forEach((value, i) => {
    assertLess(Math.abs(value - (2 - 2 * Math.cos(Math.PI * (n - 1 - i) / n))), FLOAT64);
  });
});

Deno.test("the full-rank start gives back the matrix, also where documents repeat or are empty", () => {
  for (const [rows, cols] of [[90, 40], [40, 90], [1, 5], [5, 1]]) {
    const matrix = randomSparse(rows, cols, 0.2);
    const { termVectors, docVectors, singularValues } = svdStart(matrix, { rank: 1000 });
    const width = Math.min(rows, cols);
    assertEquals(termVectors.shape, [rows, width]);
    assertEquals(docVectors.shape, [cols, width]);
    const gap = worstGap(dense(matrix), termVectors.data, docVectors.data, width);
    assertLess(gap, FLOAT32 * Math.max(1, singularValues[0]));
  }
  const twice = randomSparse(30, 10, 0.3);
  const repeated = { // every column appears twice, and the last is empty
    ...twice,
    cols: 21,
    offsets: twice.offsets.map((x) => 2 * x),
    indices: Int32Array.from([...twice.indices].flatMap((c) => [c, c + 10])),
    values: Float32Array.from([...twice.values].flatMap((v) => [v, v])),
  };
  const { V, S } = sparseSvd(repeated, { rank: 21 });
  assert(V.data.every((x, i) => S[i % 21] > 0 || x === 0));
  const { termVectors, docVectors, singularValues } = svdStart(repeated, { rank: 21 });
  assertEquals([...singularValues].filter((s) => s > 0).length, 10);
  assertLess(
    worstGap(dense(repeated), termVectors.data, docVectors.data, 21),
    FLOAT32 * singularValues[0],
  );
});

Deno.test("the randomised method agrees with the exact one", () => {
  const matrix = randomSparse(400, 150, 0.05);
  const exact = sparseSvd(matrix, { rank: 20, method: "exact" });
  const random = sparseSvd(matrix, { rank: 20, method: "randomised", powerIterations: 20 });
  exact.S.forEach((s, i) => assertLess(Math.abs(random.S[i] / s - 1), 1e-4));
  // Products of vectors, because the sign of a vector is free.
  for (let i = 0; i < 5; i++) {
    let product = 0;
    for (let r = 0; r < 150; r++) product += exact.V.data[r * 20 + i] * random.V.data[r * 20 + i];
    assertLess(1 - Math.abs(product), 1e-3);
  }
});

Deno.test("a matrix of small rank is found exactly, and the rest of the vectors is 0", () => {
  const draw = stream(5);
  const left = Array.from({ length: 60 * 3 }, () => draw.normal());
  const right = Array.from({ length: 200 * 3 }, () => draw.normal());
  const M = Array.from(
    { length: 60 },
    (_, i) =>
      Array.from(
        { length: 200 },
        (_, j) => [0, 1, 2].reduce((s, k) => s + left[i * 3 + k] * right[j * 3 + k], 0),
      ),
  );
  const matrix = {
    rows: 60,
    cols: 200,
    offsets: Int32Array.from({ length: 61 }, (_, i) => 200 * i),
    indices: Int32Array.from({ length: 12000 }, (_, i) => i % 200),
    values: Float32Array.from(M.flat()),
  };
  const { U, S, V } = sparseSvd(matrix, { rank: 8, method: "randomised" });
  assertEquals([...S].map((s) => s > 0), [...Array(8).keys()].map((i) => i < 3));
  const scaled = U.data.map((x, i) => x * S[i % 8]);
  assertLess(worstGap(M, scaled, V.data, 8), FLOAT32 * S[0]);
  assert(V.data.every((x, i) => i % 8 < 3 || x === 0));
});

Deno.test("latent vectors keep the angles between documents, and empty documents are 0", () => {
  const matrix = randomSparse(50, 80, 0.1, 3);
  const emptied = {
    ...matrix,
    offsets: matrix.offsets.map((x, i) => i > 49 ? matrix.offsets[49] : x),
  };
  const W = 50, M = dense(emptied);
  const { data, shape } = lsaVectors(emptied, { dimensions: W });
  assertEquals(shape, [50, W]);
  const cosine = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
    const dot = (x: ArrayLike<number>, y: ArrayLike<number>): number =>
      Array.from(x).reduce((s, v, i) => s + v * y[i], 0);
    return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  };
  const row = (i: number): Float32Array => data.subarray(i * W, (i + 1) * W);
  for (let i = 0; i < 48; i++) {
    assertLess(Math.abs(cosine(row(i), row(i + 1)) - cosine(M[i], M[i + 1])), 1e-5);
    assertLess(Math.abs(row(i).reduce((s, x) => s + x * x, 0) - 1), 1e-5);
  }
  assert(row(49).every((x) => x === 0));
});

Deno.test("a basis is orthonormal, and a column that depends on others becomes 0", () => {
  const n = 2500, width = 4;
  const draw = stream(9);
  const X = new Float32Array(n * width);
  for (let i = 0; i < n; i++) {
    const a = draw.normal(), b = draw.normal();
    X.set([a, 1000 * b, a - 2 * b, draw.uniform()], i * width);
  }
  const Q = orthonormalised(X, { n, width, passes: 2 });
  for (let p = 0; p < width; p++) {
    for (let q = 0; q < width; q++) {
      let product = 0;
      for (let i = 0; i < n; i++) product += Q[i * width + p] * Q[i * width + q];
      assertLess(Math.abs(product - (p === q && p !== 2 ? 1 : 0)), FLOAT32);
    }
  }
});

Deno.test("a matrix with NaN or infinity is refused", () => {
  for (const bad of [NaN, Infinity]) {
    const A = Float64Array.of(1, 2, 0, 2, 1, bad, 0, bad, 1);
    assertThrows(() => symmetricEigen(A, 3), DataError, "not finite");
  }
});

Deno.test("rank must be a positive integer", () => {
  assertThrows(() => svdStart(randomSparse(3, 3, 1), { rank: 0 }), DataError, "rank is 0");
});
