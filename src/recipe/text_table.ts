/** Tables for a terminal, and how figures stand in them. @module */
import type { Estimate } from "../metric/mod.ts";

/**
 * Rows as lines whose columns stand below each other, the first to the left, the others to the right.
 *
 * @param rows Cells; all rows are as long as the first
 */
export function textTable(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0].map((_, c) => Math.max(...rows.map((row) => row[c].length)));
  return rows.map((row) =>
    row.map((cell, c) => c ? cell.padStart(widths[c]) : cell.padEnd(widths[c])).join("  ")
      .trimEnd()
  );
}

/** A share with its interval, in percent; a share of nothing is a dash. */
export function percentText({ value, low, high }: Estimate): string {
  if (!Number.isFinite(value)) return "–";
  return `${(100 * value).toFixed(1)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;
}

/** A p-value. */
export function pValueText(p: number): string {
  return p < 1e-4 ? p.toExponential(0) : p.toFixed(4);
}
