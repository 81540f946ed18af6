/** Coordinates as C++ text, against plain index arithmetic. */
import { assertEquals } from "@std/assert";
import {
  constant,
  Coordinates,
  laneText,
  Position,
} from "../../../../src/runtime/cuda/coordinates.ts";
import { type RandomStream, randomStream } from "../../../../src/tensor/random.ts";

const product = (sizes: readonly number[]): number => sizes.reduce((a, b) => a * b, 1);

/** The number that a text of C++ stands for: whole numbers, `t`, `l`, + - * / % and brackets. */
function evaluate(text: string, names: Readonly<Record<string, number>>): number {
  const tokens = text.match(/\d+|[a-z]+|[()+*/%]/g) ?? [];
  let next = 0;
  const atom = (): number => {
    const token = tokens[next++];
    if (token !== "(") return names[token] ?? Number(token);
    const value = sum();
    next++;
    return value;
  };
  const term = (): number => {
    let value = atom();
    while (["*", "/", "%"].includes(tokens[next])) {
      const operator = tokens[next++], other = atom();
      value = operator === "*"
        ? value * other
        : operator === "/"
        ? Math.floor(value / other)
        : value % other;
    }
    return value;
  };
  function sum(): number {
    let value = term();
    while (tokens[next] === "+") {
      next++;
      value += term();
    }
    return value;
  }
  return sum();
}

/** Index of each axis of the element that stands at `at` of a tensor of `shape`. */
function indicesOf(at: number, shape: readonly number[]): number[] {
  const out = shape.slice();
  for (let k = shape.length - 1, rest = at; k >= 0; k--) {
    out[k] = rest % shape[k];
    rest = Math.floor(rest / shape[k]);
  }
  return out;
}
const placeOf = (indices: readonly number[], shape: readonly number[]): number =>
  shape.reduce((sum, size, k) => sum * size + indices[k], 0);

/** Another shape of as many elements. */
function drawShape(random: RandomStream, count: number): number[] {
  const shape: number[] = [];
  for (let left = count; left > 1;) {
    const divisors = Array.from({ length: left }, (_, i) => i + 1).filter((d) =>
      d > 1 && left % d === 0
    );
    const d = divisors[random.int(divisors.length)];
    shape.push(d);
    left /= d;
  }
  if (random.int(2)) shape.splice(random.int(shape.length + 1), 0, 1);
  return shape;
}

interface Chain {
  readonly what: string;
  readonly position: Position;
  readonly shape: readonly number[];
  /** Place in the last operand of the element at a place of the first result. */
  readonly place: (at: number) => number;
}

function lengthened({ what, position, shape, place }: Chain, random: RandomStream): Chain {
  const then =
    (f: (indices: number[]) => readonly number[], to: readonly number[]) => (at: number) =>
      placeOf(f(indicesOf(place(at), shape)), to);
  const ones = shape.flatMap((d, k) => d === 1 ? [k] : []);
  switch (random.int(ones.length ? 4 : 3)) {
    case 3: {
      const axis = ones[random.int(ones.length)], size = 2 + random.int(4), at = random.int(size);
      const to = shape.with(axis, size);
      return {
        what: `${what} ${at} of ${size} on ${axis}`,
        position: position.replace(axis, size, constant(at)),
        shape: to,
        place: then((indices) => indices.with(axis, at), to),
      };
    }
    case 0: {
      const to = drawShape(random, product(shape));
      return { what: `${what} [${to}]`, position: position.reshape(to), shape: to, place };
    }
    case 1: {
      const perm = random.shuffle(shape.map((_, k) => k)), to = shape.slice();
      perm.forEach((p, k) => to[p] = shape[k]);
      const moved = (indices: number[]): number[] => {
        const out = indices.slice();
        perm.forEach((p, k) => out[p] = indices[k]);
        return out;
      };
      return {
        what: `${what} perm ${perm}`,
        position: position.transpose(perm),
        shape: to,
        place: then(moved, to),
      };
    }
    default: {
      const isOne = shape.map(() => random.int(3) === 0);
      const missing = shape.length && random.int(4) === 0 ? 1 : 0;
      const to = shape.map((d, k) => isOne[k] ? 1 : d).slice(missing);
      const first = (indices: number[]): number[] =>
        indices.map((x, k) => isOne[k] ? 0 : x).slice(missing);
      return {
        what: `${what} from [${to}]`,
        position: position.broadcast(to),
        shape: to,
        place: then(first, to),
      };
    }
  }
}

/** Catches: a wrong cut of merged axes, a bound that is too small, lanes that are taken for neighbours. */
for (const lanes of [1, 2, 4, 8]) {
  Deno.test(`compositions of reshape, transpose, broadcast and slice with ${lanes} lanes`, () => {
    const math = new Coordinates(lanes);
    for (let step = 0; step < 400; step++) {
      const random = randomStream({ seed: 1, stream: `coordinates/${lanes}`, step });
      const start = Array.from({ length: 1 + random.int(4) }, () => 1 + random.int(5));
      start[start.length - 1] *= lanes;
      const count = product(start);
      let chain: Chain = {
        what: `[${start}]`,
        position: Position.of(math, start, {
          text: "t",
          use: lanes > 1 ? "counts" : "same",
          bound: count,
        }),
        shape: start,
        place: (at) => at,
      };
      for (let k = random.int(6); k >= 0; k--) chain = lengthened(chain, random);
      const { what, position, shape, place } = chain, linear = position.linear();
      assertEquals([position.shape, position.rank], [shape, shape.length], what);
      for (let at = 0; at < count; at++) {
        const l = at % lanes, t = at - l, where = `${what}: ${laneText(linear)} at ${at}`;
        const value = evaluate(laneText(linear), { t, l });
        assertEquals(value, place(at), where);
        assertEquals(value < linear.bound, true, `${where}: not below ${linear.bound}`);
        if (linear.constant !== undefined) assertEquals(linear.constant, value, where);
        if (linear.use === "counts") {
          assertEquals(evaluate(linear.text, { t, l: 0 }) % lanes, 0, where);
        }
        if (linear.use === "same") assertEquals(value, place(t), where);
        shape.forEach((_, k) => {
          const axis = position.axis(k), index = evaluate(laneText(axis), { t, l });
          assertEquals(index, indicesOf(value, shape)[k], `${where}, axis ${k}`);
        });
      }
    }
  });
}

/** Catches: divisions in kernels that only run through their operands. */
Deno.test("a position that only runs through memory needs no division", () => {
  const math = new Coordinates(4);
  const at = { text: "t", use: "counts", bound: 4096 } as const;
  const position = Position.of(math, [8, 16, 32], at).reshape([128, 32]).reshape([4, 2, 16, 32]);
  assertEquals(position.linear().text, "t");
  assertEquals(position.use, "counts");
  const [left, right] = [position.range(0, 2), position.range(2, 4)];
  assertEquals([left.linear().text, right.linear().text], ["((t / 512))", "((t % 512))"]);
});
