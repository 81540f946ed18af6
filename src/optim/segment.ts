/** Where each parameter stands in the flat vector that holds them all. @module */
import { ShapeError } from "../errors.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { sizeOf } from "../tensor/host_tensor.ts";
import { paddedLength } from "./vector_memory.ts";

/** The place of one parameter in a flat vector. */
export interface Segment {
  /** Name of the parameter. */
  readonly name: string;
  /** Sizes of its axes. */
  readonly shape: readonly number[];
  /** Index of its first element; a multiple of 16. */
  readonly offset: number;
  /** Number of its elements. */
  readonly length: number;
  /** Whether weight decay applies. */
  readonly decay: boolean;
  /** Multiplies the learning rate. */
  readonly rateFactor: number;
  /** Whether only the rows named by the batch take part in an update. */
  readonly isRowSparse: boolean;
}

/** All segments of a flat vector. */
export interface Layout {
  /** In the order of the specifications. */
  readonly segments: readonly Segment[];
  /** Elements of the flat vector, paddings included. */
  readonly length: number;
}

/**
 * Lay parameters out one after the other, each starting on a cache line of 16 floats.
 *
 * @param specs Parameters by name, in order
 * @throws {ShapeError} If single rows of a parameter are to be updated and do not hold 4·n elements
 * @example
 * ```ts
 * import { layoutOf } from "./segment.ts";
 * import { assertEquals } from "@std/assert";
 * const init = { kind: "constant", value: 0 } as const;
 * const layout = layoutOf({ w: { shape: [3, 7], init }, b: { shape: [7], init, decay: false } });
 * assertEquals(layout.segments.map((s) => s.offset), [0, 32]);
 * assertEquals(layout.length, 48);
 * ```
 */
export function layoutOf(specs: ParamSpecs): Layout {
  const segments: Segment[] = [];
  let offset = 0;
  for (const [name, spec] of Object.entries(specs)) {
    const { shape, decay = true, rateFactor = 1, isRowSparse = false } = spec;
    const length = sizeOf(shape);
    if (isRowSparse && (shape.length !== 2 || shape[1] % 4 !== 0)) {
      throw new ShapeError(
        `Cannot update single rows of ${name} [${shape}]: it needs two axes, the second a multiple of 4`,
      );
    }
    segments.push({ name, shape: [...shape], offset, length, decay, rateFactor, isRowSparse });
    offset += paddedLength(length);
  }
  return { segments, length: offset };
}

/** Throws where an optimiser that only knows whole parameters meets one of single rows. */
export function refuseRowSparse(rule: string, segment: Segment): void {
  if (!segment.isRowSparse) return;
  throw new ShapeError(
    `Cannot update single rows of ${segment.name} with ${rule}: it keeps state of whole matrices. ` +
      "Use adamw.",
  );
}
