import { ShapeError } from "../errors.ts";

/** @throws {ShapeError} If `values` does not hold `length` numbers; `axis` names that length */
export function checkLength(
  name: string,
  values: ArrayLike<number>,
  axis: string,
  length: number,
): void {
  if (values.length === length) return;
  throw new ShapeError(
    `Cannot read ${name} as [${axis}=${length}]: it holds ${values.length} numbers`,
  );
}
