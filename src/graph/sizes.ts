/**
 * Sizes as expressions of symbols. A program is recorded at several sets of sizes; every size that
 * occurs is then solved for as a sum of integer multiples of products of symbols.
 *
 * @module
 */

/** Values of symbols. */
export type Sizes = Readonly<Record<string, number>>;

/** An integer multiple of a product of symbols, such as 2·B·S. */
export interface SizeTerm {
  /** The factor in front, never 0. */
  readonly coefficient: number;
  /** Symbols of the product; one that is squared stands twice. */
  readonly symbols: readonly string[];
}

/** A size: constant + Σ terms. */
export interface SizeExpr {
  /** Terms with symbols; empty if the size is a plain number. */
  readonly terms: readonly SizeTerm[];
  /** The part without symbols. */
  readonly constant: number;
}

/**
 * The value of a size under given values of its symbols.
 *
 * @param expr A size
 * @param sizes Value of every symbol that occurs in it
 * @example
 * ```ts
 * import { evaluateSize } from "./sizes.ts";
 * import { assertEquals } from "@std/assert";
 * const expr = { terms: [{ coefficient: 2, symbols: ["B", "S"] }], constant: 1 };
 * assertEquals(evaluateSize(expr, { B: 3, S: 5 }), 31);
 * ```
 */
export function evaluateSize(expr: SizeExpr, sizes: Sizes): number {
  return expr.terms.reduce(
    (sum, t) => sum + t.symbols.reduce((p, s) => p * sizes[s], t.coefficient),
    expr.constant,
  );
}

/** Readable form, such as `2*B*S+1`. */
export function formatSize(expr: SizeExpr): string {
  const parts = expr.terms.map((t) =>
    (t.coefficient === 1 ? [] : [`${t.coefficient}`]).concat(t.symbols).join("*")
  );
  if (expr.constant || !parts.length) parts.push(`${expr.constant}`);
  return parts.join("+").replaceAll("+-", "-");
}

/** Whether two solved sizes are the same expression. */
export function isSameSize(a: SizeExpr, b: SizeExpr): boolean {
  return formatSize(a) === formatSize(b);
}

const PRIMES = Array.from({ length: 2000 }, (_, i) => i + 11).filter((n) => {
  for (let d = 2; d * d <= n; d++) if (n % d === 0) return false;
  return true;
});

/** Sets of sizes to record a program at. */
export interface Probes {
  /** Every program must be recordable at these. */
  readonly small: readonly Sizes[];
  /** Far larger ones; a program may refuse them because it has an upper bound. */
  readonly large: readonly Sizes[];
}

/**
 * Prime sizes for `symbols`: five small sets and two large ones, no number twice.
 *
 * @param symbols Names to give sizes to
 * @param avoid Sizes that occur in the program, which a probe must not equal by accident
 * @param attempt Which choice of primes: 0, 1, …
 */
export function probeSizes(
  symbols: readonly string[],
  avoid: ReadonlySet<number>,
  attempt = 0,
): Probes {
  const n = symbols.length;
  const usable = PRIMES.filter((p) => !avoid.has(p));
  const rows = (from: number, count: number) =>
    Array.from(
      { length: count },
      (_, t) => Object.fromEntries(symbols.map((s, i) => [s, usable[from + t * n + i]])),
    );
  const firstLarge = usable.findIndex((p) => p > 200 && p > usable[10 * n]);
  return { small: rows(attempt * 5 * n, 5), large: rows(firstLarge + attempt * 2 * n, 2) };
}

/** Every product of symbols, each at most squared, of at most `degree` factors, short ones first. */
function products(symbols: readonly string[], degree: number): string[][] {
  let all: string[][] = [[]];
  for (const s of symbols) {
    all = [...all, ...all.map((m) => [...m, s]), ...all.map((m) => [...m, s, s])];
  }
  return all.filter((m) => m.length && m.length <= degree).sort((a, b) => a.length - b.length);
}

/** Solve A·x = y by Gaussian elimination; undefined if A is singular. */
function solveLinear(A: number[][], y: number[]): number[] | undefined {
  const n = y.length;
  const m = A.map((row, i) => [...row, y[i]]);
  for (let c = 0; c < n; c++) {
    let pivot = c;
    for (let r = c + 1; r < n; r++) if (Math.abs(m[r][c]) > Math.abs(m[pivot][c])) pivot = r;
    if (Math.abs(m[pivot][c]) < 1e-9) return undefined;
    [m[c], m[pivot]] = [m[pivot], m[c]];
    for (let r = 0; r < n; r++) {
      if (r === c) continue;
      const f = m[r][c] / m[c][c];
      for (let k = c; k <= n; k++) m[r][k] -= f * m[c][k];
    }
  }
  return m.map((row, i) => row[n] / row[i]);
}

/** Finds the expression behind the values that a size took at each probe. */
export class SizeSolver {
  readonly #probes: readonly Sizes[];
  readonly #products: { symbols: string[]; values: number[] }[];
  readonly #found = new Map<string, SizeExpr | undefined>();

  /** @param probes Values of the symbols at each recording */
  constructor(probes: readonly Sizes[]) {
    this.#probes = probes;
    this.#products = products(Object.keys(probes[0]), 4).map((symbols) => ({
      symbols,
      values: probes.map((p) => symbols.reduce((x, s) => x * p[s], 1)),
    }));
  }

  /**
   * The expression with the fewest terms that gives `values[t]` at probe `t` for every `t`. There
   * are more probes than unknowns, so that a wrong guess fails the equations left over.
   *
   * @returns undefined if there is none with at most three terms
   */
  solve(values: readonly number[]): SizeExpr | undefined {
    if (values.every((v) => v === values[0])) return { terms: [], constant: values[0] };
    const key = values.join();
    if (!this.#found.has(key)) this.#found.set(key, this.#search(values));
    return this.#found.get(key);
  }

  #search(values: readonly number[]): SizeExpr | undefined {
    if (!values.every(Number.isInteger)) return undefined;
    const all = this.#products, low = all.filter((p) => p.symbols.length <= 2);
    for (let i = 0; i < all.length; i++) {
      const hit = this.#fit(values, [all[i]]);
      if (hit) return hit;
    }
    for (let i = 0; i < all.length; i++) {
      for (let j = i + 1; j < all.length; j++) {
        const hit = this.#fit(values, [all[i], all[j]]);
        if (hit) return hit;
      }
    }
    for (let i = 0; i < low.length; i++) {
      for (let j = i + 1; j < low.length; j++) {
        for (let k = j + 1; k < low.length; k++) {
          const hit = this.#fit(values, [low[i], low[j], low[k]]);
          if (hit) return hit;
        }
      }
    }
    return undefined;
  }

  #fit(
    values: readonly number[],
    parts: { symbols: string[]; values: number[] }[],
  ): SizeExpr | undefined {
    const n = parts.length + 1;
    const A = Array.from({ length: n }, (_, t) => [...parts.map((p) => p.values[t]), 1]);
    const x = solveLinear(A, values.slice(0, n))?.map(Math.round);
    if (!x || x.slice(0, -1).includes(0)) return undefined;
    const expr: SizeExpr = {
      terms: parts.map((p, i) => ({ coefficient: x[i], symbols: p.symbols })),
      constant: x[n - 1],
    };
    return this.#probes.every((p, t) => evaluateSize(expr, p) === values[t]) ? expr : undefined;
  }
}
