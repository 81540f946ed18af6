import { assertEquals, assertThrows } from "@std/assert";
import fc from "fast-check";
import { ShapeError } from "../../../src/errors.ts";
import {
  csrTimesDense,
  type SparseMatrix,
  sparseMatrix,
  stackCsr,
  transposeCsr,
} from "../../../src/tensor/sparse.ts";

/** A dense matrix of small integers (so that float32 sums are exact), and its CSR form. */
function csrOf(dense: number[][], cols: number): SparseMatrix {
  const offsets = [0], indices: number[] = [], values: number[] = [];
  for (const row of dense) {
    row.forEach((value, c) => {
      if (value !== 0) indices.push(c), values.push(value);
    });
    offsets.push(indices.length);
  }
  return sparseMatrix({
    rows: dense.length,
    cols,
    offsets: Int32Array.from(offsets),
    indices: Int32Array.from(indices),
    values: Float32Array.from(values),
  });
}

const matrices = fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })).chain(
  ([rows, cols]) =>
    fc.array(fc.array(fc.integer({ min: -2, max: 2 }), { minLength: cols, maxLength: cols }), {
      minLength: rows,
      maxLength: rows,
    }),
);

Deno.test("transposing twice gives the matrix back, in rising column order", () => {
  fc.assert(fc.property(matrices, (dense) => {
    const matrix = csrOf(dense, dense[0].length);
    assertEquals(transposeCsr(transposeCsr(matrix)), matrix);
  }));
});

Deno.test("stacked matrices are the rows of all, one below the other", () => {
  fc.assert(fc.property(matrices, fc.nat(6), (dense, at) => {
    const cols = dense[0].length, parts = [dense.slice(0, at), dense.slice(at)];
    assertEquals(stackCsr(parts.map((part) => csrOf(part, cols))), csrOf(dense, cols));
  }));
  const [two, three] = [csrOf([[1, 2]], 2), csrOf([[1, 2, 3]], 3)];
  assertThrows(() => stackCsr([two, three]), ShapeError, "with 2, 3 columns");
  assertThrows(() => stackCsr([]), ShapeError, "with no columns");
});

Deno.test("sparse products equal dense ones, transposed or not", () => {
  fc.assert(fc.property(matrices, fc.integer({ min: 1, max: 3 }), (dense, width) => {
    const cols = dense[0].length;
    const multiply = (left: number[][], inner: number): number[] => {
      const right = Array.from({ length: inner * width }, (_, i) => i - 3);
      return left.flatMap((row) =>
        Array.from(
          { length: width },
          (_, j) => row.reduce((sum, value, k) => sum + value * right[k * width + j], 0),
        )
      );
    };
    const right = (inner: number) => Float32Array.from({ length: inner * width }, (_, i) => i - 3);
    const matrix = csrOf(dense, cols);
    assertEquals(
      [...csrTimesDense(matrix, right(cols), width)].map((x) => x + 0),
      [
        ...multiply(dense, cols),
      ].map((x) => x + 0),
    );
    const flipped = dense[0].map((_, c) => dense.map((row) => row[c]));
    assertEquals(
      [...csrTimesDense(transposeCsr(matrix), right(dense.length), width)].map((x) => x + 0),
      multiply(flipped, dense.length).map((x) => x + 0),
    );
  }));
});

Deno.test("a matrix that contradicts itself is named", () => {
  const good = csrOf([[1, 0], [0, 1]], 2);
  const bad: [Partial<SparseMatrix>, string][] = [
    [{ rows: 3 }, "3 offsets, not 4"],
    [{ values: new Float32Array(1) }, "2 indices and 1 values"],
    [{ offsets: Int32Array.of(1, 1, 2) }, "first offset is 1"],
    [{ offsets: Int32Array.of(0, 1, 1) }, "last offset is 1"],
    [{ offsets: Int32Array.of(0, 3, 2) }, "offset 2 is smaller"],
    [{ indices: Int32Array.of(0, 2) }, "entry 1 stands in column 2"],
  ];
  for (const [part, message] of bad) {
    assertThrows(() => sparseMatrix({ ...good, ...part }), ShapeError, message);
  }
  assertThrows(() => csrTimesDense(good, new Float32Array(3), 2), ShapeError, "that needs 4");
});
