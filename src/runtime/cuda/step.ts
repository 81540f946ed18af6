/** What a lowered program consists of: launches, products and clears on numbered places in memory. @module */
import type { MatrixProduct } from "./device.ts";

/** A place in memory: a slot, and where in it. */
export interface Place {
  /** Number of the slot. */
  readonly slot: number;
  /** Bytes from its beginning. Default 0. */
  readonly offset?: number;
}

/** A kernel to launch. */
export interface KernelStep {
  readonly kind: "kernel";
  /** Its text, with `NAME` in the place of its name. */
  readonly text: string;
  /** Its parameters. */
  readonly parameters: readonly (Place | number)[];
  /** Blocks. */
  readonly grid: readonly [number, number, number];
  /** Threads of a block. */
  readonly threads: number;
  /** Whether threads wait for each other. */
  readonly hasBarriers: boolean;
  /** Functions that its text needs. */
  readonly helpers?: string;
  /** Bytes of dynamic shared memory, if it needs more than a source may reserve. */
  readonly sharedBytes?: number;
  /** Operations of its matrix products, if it has any. */
  readonly flops?: number;
  /** What it computes, for dumps and messages. */
  readonly label: string;
}

/** A matrix product. */
export interface ProductStep {
  readonly kind: "product";
  readonly product: MatrixProduct;
  readonly a: Place;
  readonly b: Place;
  readonly c: Place;
  /** What is added to it. */
  readonly addend?: Place;
}

/** Memory to be set to 0. */
export interface ClearStep {
  readonly kind: "clear";
  readonly to: Place;
  readonly bytes: number;
}

/** One step of a lowered program. */
export type Step = KernelStep | ProductStep | ClearStep;

/** The places a step reads and writes. */
export function placesOf(step: Step): Place[] {
  switch (step.kind) {
    case "kernel":
      return step.parameters.filter((p): p is Place => typeof p !== "number");
    case "product":
      return [step.a, step.b, step.c, ...(step.addend ? [step.addend] : [])];
    case "clear":
      return [step.to];
  }
}
