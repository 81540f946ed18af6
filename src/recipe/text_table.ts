/** Tables for a terminal. @module */

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
