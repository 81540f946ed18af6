/**
 * Where a thread of a generated kernel stands, as C++ text: coordinates, and positions in a tensor.
 *
 * A thread computes V neighbouring elements, its lanes. A coordinate is the same for all of them, or
 * counts along with them (`base + l`), or is anything else. Only the second kind can be read and
 * written V elements at a time.
 *
 * @module
 */

import { sizeOf } from "../../tensor/host_tensor.ts";

/** How a coordinate changes from lane to lane. */
export type LaneUse = "same" | "counts" | "any";

/** A number that a thread computes; never negative, below `bound`. */
export interface Coordinate {
  /** C++ text; where it counts, the text of its value in lane 0, a multiple of V. */
  readonly text: string;
  /** Its value, if it is a number. */
  readonly constant?: number;
  /** How it changes from lane to lane. */
  readonly use: LaneUse;
  /** The smallest number known to be above it. */
  readonly bound: number;
}

/** The coordinate that is a number. */
export function constant(value: number): Coordinate {
  return { text: `${value}`, constant: value, use: "same", bound: value + 1 };
}

/** The value of a coordinate in lane `l`. */
export function laneText(c: Coordinate): string {
  return c.use === "counts" ? `(${c.text} + l)` : c.text;
}

/** Arithmetic on coordinates, for kernels of so many lanes. */
export class Coordinates {
  /** V */
  readonly lanes: number;

  /** @param lanes V */
  constructor(lanes: number) {
    this.lanes = lanes;
  }

  /** The coordinate, if it need not count, in a form that is right in every lane. */
  #any(c: Coordinate, text: (x: string) => string, bound: number): Coordinate {
    const use = c.use === "same" ? "same" : "any";
    return { text: text(laneText(c)), use, bound };
  }

  /** c + n */
  add(c: Coordinate, n: number): Coordinate {
    if (n === 0) return c;
    if (c.constant !== undefined) return constant(c.constant + n);
    const bound = c.bound + Math.max(n, 0);
    if (c.use === "counts" && n % this.lanes === 0) {
      return { text: `(${c.text} + ${n})`, use: "counts", bound };
    }
    return this.#any(c, (x) => `(${x} + ${n})`, bound);
  }

  /** ⌊c / n⌋ */
  divide(c: Coordinate, n: number): Coordinate {
    if (n === 1) return c;
    if (c.bound <= n) return constant(0);
    if (c.constant !== undefined) return constant(Math.floor(c.constant / n));
    const bound = Math.ceil(c.bound / n);
    if (c.use === "counts" && n % this.lanes === 0) {
      return { text: `(${c.text} / ${n})`, use: "same", bound };
    }
    return this.#any(c, (x) => `(${x} / ${n})`, bound);
  }

  /** c mod n */
  remainder(c: Coordinate, n: number): Coordinate {
    if (c.bound <= n) return c;
    if (n === 1) return constant(0);
    if (c.constant !== undefined) return constant(c.constant % n);
    if (c.use === "counts" && n % this.lanes === 0) {
      return { text: `(${c.text} % ${n})`, use: "counts", bound: n };
    }
    return this.#any(c, (x) => `(${x} % ${n})`, n);
  }

  /** Σ cᵢ · sᵢ */
  combine(terms: readonly { c: Coordinate; stride: number }[]): Coordinate {
    const isMultiple = ({ c, stride }: { c: Coordinate; stride: number }): boolean =>
      (c.constant === undefined ? stride : c.constant * stride) % this.lanes === 0;
    const moving = terms.filter(({ c }) => c.use !== "same");
    const counts = moving.length === 1 && moving[0].c.use === "counts" && moving[0].stride === 1 &&
      terms.every((t) => t === moving[0] || isMultiple(t));
    let sum = 0, bound = 1;
    const texts: string[] = [];
    for (const { c, stride } of terms) {
      bound += (c.bound - 1) * stride;
      if (c.constant !== undefined) {
        sum += c.constant * stride;
        continue;
      }
      const text = counts ? c.text : laneText(c);
      texts.push(stride === 1 ? text : `${text} * ${stride}`);
    }
    if (!texts.length) return constant(sum);
    if (sum) texts.push(`${sum}`);
    const isPlain = texts.length === 1 && !texts[0].includes(" ");
    return {
      text: isPlain ? texts[0] : `(${texts.join(" + ")})`,
      use: counts ? "counts" : moving.length ? "any" : "same",
      bound,
    };
  }
}

/** Some neighbouring axes and the one coordinate that counts through them. */
interface Part {
  readonly sizes: readonly number[];
  readonly at: Coordinate;
}

/**
 * A position in a tensor. Axes that nothing tells apart share one coordinate, so that a kernel that only
 * runs through its operands computes no division at all.
 */
export class Position {
  readonly #math: Coordinates;
  readonly #parts: readonly Part[];

  private constructor(math: Coordinates, parts: readonly Part[]) {
    this.#math = math;
    this.#parts = parts;
  }

  /** The position `at` of a tensor of `shape`, counted row by row. */
  static of(math: Coordinates, shape: readonly number[], at: Coordinate): Position {
    return new Position(math, shape.length ? [{ sizes: [...shape], at }] : []);
  }

  /** A position of two coordinates: one for the first axes, one for the others. */
  static ofTwo(
    math: Coordinates,
    shape: readonly number[],
    axis: number,
    [outer, inner]: readonly [Coordinate, Coordinate],
  ): Position {
    const parts = [{ sizes: shape.slice(0, axis), at: outer }, {
      sizes: shape.slice(axis),
      at: inner,
    }].filter((p) => p.sizes.length);
    return new Position(math, parts);
  }

  /** A position of one coordinate for each axis. */
  static ofAxes(
    math: Coordinates,
    shape: readonly number[],
    coordinates: readonly Coordinate[],
  ): Position {
    return new Position(math, shape.map((size, i) => ({ sizes: [size], at: coordinates[i] })));
  }

  /** Number of axes. */
  get rank(): number {
    return this.#parts.reduce((n, p) => n + p.sizes.length, 0);
  }

  /** Sizes of the axes. */
  get shape(): number[] {
    return this.#parts.flatMap((p) => p.sizes);
  }

  /** The parts with a boundary before each of these axes. */
  #cut(axes: readonly number[]): Part[] {
    const wanted = new Set(axes);
    const out: Part[] = [];
    let first = 0;
    for (const part of this.#parts) {
      let { sizes, at } = part;
      // From the left: what is split off is the quotient by the rest.
      for (let k = 1; k < sizes.length;) {
        if (!wanted.has(first + k)) {
          k++;
          continue;
        }
        const right = sizes.slice(k), rest = sizeOf(right);
        out.push({ sizes: sizes.slice(0, k), at: this.#math.divide(at, rest) });
        at = this.#math.remainder(at, rest);
        first += k;
        sizes = right;
        k = 1;
      }
      out.push({ sizes, at });
      first += sizes.length;
    }
    return out;
  }

  /** Axes [from, to), as a position of their own. */
  #slice(parts: readonly Part[], from: number, to: number): Part[] {
    let first = 0;
    return parts.filter((p) => {
      const begin = first;
      first += p.sizes.length;
      return begin >= from && begin < to && p.sizes.length > 0;
    });
  }

  /** The coordinate of one axis. */
  axis(axis: number): Coordinate {
    const parts = this.#cut([axis, axis + 1]);
    return this.#slice(parts, axis, axis + 1)[0].at;
  }

  /** Axes [from, to) only. */
  range(from: number, to: number): Position {
    return new Position(this.#math, this.#slice(this.#cut([from, to]), from, to));
  }

  /** The axes of `this`, then those of `other`. */
  join(other: Position): Position {
    return new Position(this.#math, [...this.#parts, ...other.#parts]);
  }

  /** Another coordinate, and size, for one axis. */
  replace(axis: number, size: number, at: Coordinate): Position {
    const rank = this.rank;
    return this.range(0, axis)
      .join(new Position(this.#math, [{ sizes: [size], at }]))
      .join(this.range(axis + 1, rank));
  }

  /** The position of the same element in a tensor of the same elements and another shape. */
  reshape(shape: readonly number[]): Position {
    const own = this.shape;
    // Groups of axes of equal product, as short as possible.
    const groups: { from: number; to: number; sizes: number[] }[] = [];
    let i = 0, j = 0;
    while (i < own.length || j < shape.length) {
      const from = i, sizes: number[] = [];
      let a = i < own.length ? own[i++] : 1, b = 1;
      if (j < shape.length) sizes.push(b = shape[j++]);
      while (a !== b) {
        if (a < b && i < own.length) a *= own[i++];
        else if (j < shape.length) {
          sizes.push(shape[j]);
          b *= shape[j++];
        } else if (i < own.length) a *= own[i++];
        else break;
      }
      groups.push({ from, to: i, sizes });
    }
    const bounds = new Set(groups.flatMap((g) => [g.from, g.to]));
    // A part that covers whole groups stays one.
    let first = 0;
    const needed: number[] = [];
    for (const { sizes } of this.#parts) {
      const last = first + sizes.length;
      if (!bounds.has(first) || !bounds.has(last)) {
        for (const b of bounds) if (b > first && b < last) needed.push(b);
      }
      first = last;
    }
    const parts = this.#cut(needed), out: Part[] = [];
    let p = 0, g = 0, done = 0;
    while (p < parts.length || g < groups.length) {
      const taken: Part[] = [], sizes: number[] = [];
      let a = done, b = done;
      do {
        if (a <= b && p < parts.length) {
          taken.push(parts[p]);
          a += parts[p++].sizes.length;
        } else {
          sizes.push(...groups[g].sizes);
          b = groups[g++].to;
        }
      } while (a !== b);
      while (g < groups.length && groups[g].to === b) sizes.push(...groups[g++].sizes);
      done = a;
      if (!sizes.length) continue;
      const strideOf = (k: number): number =>
        sizeOf(taken.slice(k + 1).map((part) => sizeOf(part.sizes)));
      const at = taken.length === 1
        ? taken[0].at
        : this.#math.combine(taken.map(({ at }, k) => ({ c: at, stride: strideOf(k) })));
      out.push({ sizes, at });
    }
    return new Position(this.#math, out);
  }

  /** The position in an operand that broadcasting stretches to this one. */
  broadcast(shape: readonly number[]): Position {
    const own = this.shape, missing = own.length - shape.length;
    const isKept = (i: number): boolean => i >= missing && own[i] === shape[i - missing];
    const cuts: number[] = [];
    for (let i = 1; i < own.length; i++) {
      if (i <= missing || isKept(i) !== isKept(i - 1)) cuts.push(i);
    }
    const parts = this.#cut(cuts);
    const out: Part[] = [];
    let first = 0;
    for (const { sizes, at } of parts) {
      if (first >= missing) {
        const mine = shape.slice(first - missing, first - missing + sizes.length);
        out.push({ sizes: mine, at: isKept(first) ? at : constant(0) });
      }
      first += sizes.length;
    }
    return new Position(this.#math, out);
  }

  /** The position in the operand of a transposition of which this is a position in the result. */
  transpose(perm: readonly number[]): Position {
    const cuts: number[] = [];
    for (let i = 1; i < perm.length; i++) if (perm[i] !== perm[i - 1] + 1) cuts.push(i);
    const parts = this.#cut(cuts);
    const placed: { part: Part; to: number }[] = [];
    let first = 0;
    for (const part of parts) {
      // A part may have been cut further before; every piece still runs along neighbouring axes.
      placed.push({ part, to: perm[first] });
      first += part.sizes.length;
    }
    placed.sort((a, b) => a.to - b.to);
    return new Position(this.#math, placed.map((p) => p.part));
  }

  /** How many elements stand before this one, in a tensor that is stored row by row. */
  linear(): Coordinate {
    const sizes = this.#parts.map((p) => sizeOf(p.sizes));
    return this.#math.combine(this.#parts.map(({ at }, k) => ({
      c: at,
      stride: sizeOf(sizes.slice(k + 1)),
    })));
  }

  /** How it changes from lane to lane, as an element of a stored tensor. */
  get use(): LaneUse {
    return this.linear().use;
  }

  /** Equal texts mean equal positions. */
  get key(): string {
    return this.#parts.map(({ sizes, at }) =>
      `${sizes.join("x")}:${at.use === "counts" ? "l+" : ""}${at.text}`
    ).join(";");
  }
}
