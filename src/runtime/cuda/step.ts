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

/** The types of the parameters of a kernel's text. */
export function parameterTypes(text: string): string[] {
  const begin = text.indexOf("NAME(") + "NAME(".length;
  return text.slice(begin, text.indexOf(") {", begin)).split(",").map((type) => type.trim());
}

/** The places a step reads, and those it writes. */
export function accessesOf(step: Step): { reads: Place[]; writes: Place[] } {
  switch (step.kind) {
    case "clear":
      return { reads: [], writes: [step.to] };
    case "product":
      return { reads: [step.a, step.b, ...(step.addend ? [step.addend] : [])], writes: [step.c] };
    case "kernel": {
      // What is written is no pointer to a constant.
      const types = parameterTypes(step.text), reads: Place[] = [], writes: Place[] = [];
      step.parameters.forEach((p, i) => {
        if (typeof p !== "number") (types[i].startsWith("const") ? reads : writes).push(p);
      });
      return { reads, writes };
    }
  }
}

/** The places a step uses. */
export function placesOf(step: Step): Place[] {
  const { reads, writes } = accessesOf(step);
  return [...reads, ...writes];
}
