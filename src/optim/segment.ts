/** Where each parameter stands in the flat vector that holds them all. @module */
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
  for (const [name, { shape, decay = true }] of Object.entries(specs)) {
    const length = sizeOf(shape);
    segments.push({ name, shape: [...shape], offset, length, decay });
    offset += paddedLength(length);
  }
  return { segments, length: offset };
}
