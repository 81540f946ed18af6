/** Matrix operands as strides over what lies in memory, against plain indexing. */
import { assert, assertEquals } from "@std/assert";
import type { BoundNode, BoundValue } from "../../../../src/runtime/cuda/bound_graph.ts";
import { operandOf, rowMajor, viewOf } from "../../../../src/runtime/cuda/views.ts";
import { type RandomStream, randomStream } from "../../../../src/tensor/random.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

let nextId = 0;

function valueOf(shape: readonly number[], source: BoundValue["source"]): BoundValue {
  return { id: nextId++, dtype: "float32", shape, count: product(shape), source };
}

/** What an operation makes of a value, and the place in memory of each of its elements. */
interface Traced {
  readonly value: BoundValue;
  readonly places: readonly number[];
}

function result(
  of: Traced,
  op: "Reshape" | "Transpose",
  { shape, places, perm }: { shape: number[]; places: readonly number[]; perm?: number[] },
): Traced {
  const outputs: BoundValue[] = [];
  const attributes: BoundNode["attributes"] = perm ? { perm } : {};
  const node = { order: 0, op, inputs: [of.value], outputs, attributes };
  outputs.push(valueOf(shape, { kind: "node", node, index: 0 }));
  return { value: outputs[0], places };
}

function transposed(of: Traced, perm: number[]): Traced {
  const { shape } = of.value, to = perm.map((p) => shape[p]), from = rowMajor(shape);
  const places = Array.from({ length: of.value.count }, (_, at) => {
    let rest = at, place = 0;
    for (let k = to.length - 1; k >= 0; k--) {
      place += rest % to[k] * from[perm[k]];
      rest = Math.floor(rest / to[k]);
    }
    return of.places[place];
  });
  return result(of, "Transpose", { shape: to, places, perm });
}

/** A shape of as many elements, of two to four axes. */
function drawShape(random: RandomStream, count: number): number[] {
  const shape: number[] = [];
  let left = count;
  for (let axes = 1 + random.int(3); axes > 0; axes--) {
    const divisors = Array.from({ length: left }, (_, i) => i + 1).filter((d) => left % d === 0);
    const d = divisors[random.int(divisors.length)];
    shape.push(d);
    left /= d;
  }
  return [...shape, left];
}

/** Catches: a stride of the wrong axis, axes merged that do not follow each other, a lost transposition. */
Deno.test("operands of random views read what plain indexing reads", () => {
  let views = 0, operands = 0, transpositions = 0;
  for (let step = 0; step < 1500; step++) {
    const random = randomStream({ seed: 1, stream: "views", step });
    const start = Array.from({ length: 2 + random.int(3) }, () => 1 + random.int(5));
    const base = valueOf(start, { kind: "input", name: "x" });
    let traced: Traced = { value: base, places: Array.from({ length: base.count }, (_, i) => i) };
    for (let k = random.int(5); k > 0; k--) {
      const { shape } = traced.value;
      traced = random.int(2)
        ? transposed(traced, random.shuffle(shape.map((_, i) => i)))
        : result(traced, "Reshape", {
          shape: drawShape(random, traced.value.count),
          places: traced.places,
        });
    }
    const { value, places } = traced, { shape } = value;
    const view = viewOf(value, () => false);
    const isWhole = view.base === base;
    views += Number(isWhole);
    // What is no view of the input is a view of a value that is written out first.
    const written = isWhole ? places : undefined;
    const strides = view.strides;
    if (written) {
      written.forEach((place, at) => {
        let rest = at, sum = 0;
        for (let k = shape.length - 1; k >= 0; k--) {
          sum += rest % shape[k] * strides[k];
          rest = Math.floor(rest / shape[k]);
        }
        assertEquals(sum, place, `[${start}] as [${shape}], strides ${strides}`);
      });
    }
    const batch = [
      ...Array(random.int(2)).fill(2),
      ...shape.slice(0, -2).map((d) => d === 1 && random.int(2) ? 3 : d),
    ];
    const operand = operandOf(view, shape, batch);
    if (!operand || !written) continue;
    operands++;
    const { isTransposed, offset, rowStride, batchStride } = operand;
    transpositions += Number(isTransposed);
    const [rows, columns] = shape.slice(-2);
    const [wide] = isTransposed ? [rows] : [columns];
    assert(rowStride >= wide, "a row is longer than the way to the next one");
    for (let b = 0; b < product(batch); b++) {
      // The matrix of the operand that belongs to the b-th product.
      let rest = b, matrix = 0, size = 1;
      for (let k = batch.length - 1; k >= 0; k--) {
        const axis = k - (batch.length - (shape.length - 2)), at = rest % batch[k];
        rest = Math.floor(rest / batch[k]);
        if (axis < 0) continue;
        if (shape[axis] > 1) matrix += at * size;
        size *= shape[axis];
      }
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) {
          const place = offset + b * batchStride +
            (isTransposed ? c * rowStride + r : r * rowStride + c);
          const expected = places[(matrix * rows + r) * columns + c];
          assertEquals(place, expected, `[${start}] as [${shape}] for [${batch}], ${b} ${r} ${c}`);
        }
      }
    }
  }
  // The test must not pass because there was nothing to compare.
  assert(
    views > 500 && operands > 300 && transpositions > 50,
    `${[views, operands, transpositions]}`,
  );
});

/** Catches: a copy of heads that need none. */
Deno.test("heads cut out of a projection, and keys transposed, need no copy", () => {
  const [B, T, H, E] = [2, 5, 3, 4];
  const x = valueOf([B, T, H * E], { kind: "input", name: "x" });
  const start = { value: x, places: Array.from({ length: x.count }, (_, i) => i) };
  const cut = result(start, "Reshape", { shape: [B, T, H, E], places: start.places });
  const heads = transposed(cut, [0, 2, 1, 3]), keys = transposed(cut, [0, 2, 3, 1]);
  // Sequences and heads are not one batch of equal steps unless there is one of either.
  assertEquals(operandOf(viewOf(heads.value, () => false), [B, H, T, E], [B, H]), undefined);
  const one = (traced: Traced, shape: number[]) =>
    operandOf(
      { ...viewOf(traced.value, () => false) },
      [1, ...shape.slice(1)],
      [1, H],
    );
  assertEquals(one(heads, [B, H, T, E]), {
    base: x,
    isTransposed: false,
    offset: 0,
    rowStride: H * E,
    batchStride: E,
  });
  assertEquals(one(keys, [B, H, E, T]), {
    base: x,
    isTransposed: true,
    offset: 0,
    rowStride: H * E,
    batchStride: E,
  });
});
