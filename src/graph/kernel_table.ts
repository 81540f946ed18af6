/** What is supported of each kernel of tfjs. @module */
import * as tf from "@tensorflow/tfjs-core";
import { kernels } from "./backend.ts";
import { differentiable, stepwise } from "./gradients.ts";

/** Support of one kernel. */
export interface KernelSupport {
  /** Its name in tfjs. */
  readonly kernel: string;
  /** Whether it can be recorded. */
  readonly recorded: boolean;
  /** `"yes"`; `"zero"` for a kernel that is constant almost everywhere; or `"none"`: an error. */
  readonly gradient: "yes" | "zero" | "none";
  /** Whether there is a test case for it. */
  readonly tested: boolean;
}

/**
 * Support of every kernel that tfjs names, in alphabetical order.
 *
 * @param tested Kernels with a test case
 * @example
 * ```ts
 * import { kernelTable } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 * const matMul = kernelTable().find((k) => k.kernel === "BatchMatMul")!;
 * assertEquals([matMul.recorded, matMul.gradient], [true, "yes"]);
 * ```
 */
export function kernelTable(tested: ReadonlySet<string> = new Set()): KernelSupport[] {
  // tfjs exports each kernel's name as a constant of that name.
  const named = Object.entries(tf).filter(([key, value]) => key === value).map(([key]) => key);
  return [...new Set([...named, ...Object.keys(kernels)])].sort().map((kernel) => ({
    kernel,
    recorded: Object.hasOwn(kernels, kernel),
    gradient: stepwise.has(kernel) ? "zero" : differentiable.has(kernel) ? "yes" : "none",
    tested: tested.has(kernel),
  }));
}
