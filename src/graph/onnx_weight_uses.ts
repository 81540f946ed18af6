/** What the nodes of a model do with its matrices. @module */
import type { NodeSpec } from "./onnx_proto.ts";

/**
 * What a node does with a constant matrix:
 * - `"lookup"`: takes rows of it by index;
 * - `"rows"`: multiplies by its transpose, so that a row gives a column of the result;
 * - `"columns"`: multiplies by it, so that a column gives a column of the result.
 */
export type MatrixUse = "lookup" | "rows" | "columns";

const isOff = (n: NodeSpec, attribute: string): boolean => !n.attributes?.[attribute];

/** What `node` does with its operand number `index`, if it is one of {@linkcode MatrixUse}. */
export function matrixUse(node: NodeSpec, index: number): MatrixUse | undefined {
  if (node.domain) return undefined;
  if (node.op === "Gather") return index === 0 && isOff(node, "axis") ? "lookup" : undefined;
  if (index !== 1) return undefined;
  if (node.op === "MatMul") return "columns";
  if (node.op !== "Gemm" || node.inputs.length > 2 || !isOff(node, "transA")) return undefined;
  return isOff(node, "transB") ? "columns" : "rows";
}

/** The uses of a constant. */
export interface MatrixUses {
  /** What is done with it as a matrix. */
  readonly uses: Set<MatrixUse>;
  /** Operators that use it in another way. */
  readonly others: Set<string>;
}

/** Every use of each of `names` in `bodies`. */
export function usesOf(
  names: ReadonlySet<string>,
  bodies: readonly (readonly NodeSpec[])[],
): Map<string, MatrixUses> {
  const found = new Map<string, MatrixUses>(
    [...names].map((n) => [n, { uses: new Set(), others: new Set() }]),
  );
  for (const node of bodies.flat()) {
    node.inputs.forEach((input, i) => {
      const entry = found.get(input);
      if (!entry) return;
      const use = matrixUse(node, i);
      if (use) entry.uses.add(use);
      else entry.others.add(node.op);
    });
  }
  return found;
}
