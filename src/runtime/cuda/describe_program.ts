/** Lowered programs as text, to be read and compared. @module */
import type { LoweredProgram } from "./lower.ts";
import { describeProduct } from "./matrix_shapes.ts";
import { accessesOf, type Place, placesOf, type Step } from "./step.ts";

const placeText = ({ slot, offset }: Place): string => `s${slot}${offset ? `+${offset}` : ""}`;

function stepText(step: Step, kernels: Map<string, number>): string {
  const [reads, writes] = [accessesOf(step).reads, accessesOf(step).writes]
    .map((places) => places.map(placeText).join(" "));
  switch (step.kind) {
    case "clear":
      return `clear -> ${writes}, ${step.bytes} bytes`;
    case "product":
      return `product ${reads} -> ${writes}: ${describeProduct(step.product)}`;
    case "kernel": {
      if (!kernels.has(step.text)) kernels.set(step.text, kernels.size);
      const blocks = step.grid.join("x").replace(/(x1)+$/, "");
      return `k${kernels.get(step.text)} ${step.label} ${reads} -> ${writes}: ` +
        `${blocks} blocks of ${step.threads}`;
    }
  }
}

/**
 * The steps of a program and the memory they use. Kernels of equal text have equal numbers.
 *
 * ```text
 * 12 recorded operations, 1 launches of 1 kernels, 1 products, 512 bytes passing
 * once:
 * steps:
 *  0 product s0 s1 -> s2: [8, 4] (row stride 4) · [4, 4] (row stride 4), float32 to float32 …
 *  1 k0 row s2 -> s3: 1 blocks of 256
 * memory:
 *  s2 passing 128 bytes at 0, steps 0 to 1
 * ```
 */
export function describeProgram(program: LoweredProgram): string {
  const { once, steps, slots, offsets, passingBytes, recordedCount } = program;
  const kernels = new Map<string, number>();
  const lines = (list: readonly Step[]): string[] =>
    list.map((step, i) => `${String(i).padStart(3)} ${stepText(step, kernels)}`);
  const [before, always] = [lines(once), lines(steps)];
  const uses = slots.map((): number[] => []);
  steps.forEach((step, i) => placesOf(step).forEach(({ slot }) => uses[slot].push(i)));
  const memory = slots.map(({ kind, name, bytes }, i) => {
    const [first, last] = [uses[i][0], uses[i].at(-1)];
    const where = offsets[i] === undefined ? "" : ` at ${offsets[i]}`;
    const when = first === undefined
      ? ""
      : first === last
      ? `, step ${first}`
      : `, steps ${first} to ${last}`;
    return `  s${i} ${kind}${name === undefined ? "" : ` ${name}`} ${bytes} bytes${where}${when}`;
  });
  const count = (kind: Step["kind"]): number => steps.filter((step) => step.kind === kind).length;
  return [
    `${recordedCount} recorded operations, ${
      count("kernel")
    } launches of ${kernels.size} kernels, ` +
    `${count("product")} products, ${passingBytes} bytes passing`,
    ...(before.length ? ["once:", ...before] : []),
    "steps:",
    ...always,
    "memory:",
    ...memory,
    "",
  ].join("\n");
}
