/** What a kernel generator gives: C++ text, and what to launch it with. @module */
import type { BoundValue } from "./bound_graph.ts";
import { type Buffer, MEMORY_TYPE, type StorageType } from "./emitter.ts";
import { literal } from "./expressions.ts";

/** A value that a kernel writes. */
export interface Written {
  /** The value. */
  readonly value: BoundValue;
  /** How it is stored. */
  readonly storage: StorageType;
}

/** A generated kernel. */
export interface GeneratedKernel {
  /** The function without its name: `NAME` stands in its place. Equal texts are one kernel. */
  readonly text: string;
  /** What is read, in the order of the first parameters. */
  readonly reads: readonly Buffer[];
  /** What is written, in the order of the next parameters. */
  readonly writes: readonly Written[];
  /** The last parameter. */
  readonly n: number;
  /** Blocks. */
  readonly grid: readonly [number, number, number];
  /** Threads of a block. */
  readonly threads: number;
  /** Whether threads wait for each other. */
  readonly hasBarriers: boolean;
}

/**
 * A kernel's text from its pieces.
 *
 * @param body Statements; `Index` is the type of positions, `n` the last parameter
 */
export function kernelText(
  { reads, writes, threads, isWide, body }: {
    reads: readonly Buffer[];
    writes: readonly Written[];
    threads: number;
    isWide: boolean;
    body: readonly string[];
  },
): string {
  const parameters = [
    ...reads.map(({ name, storage }) =>
      `const ${storage ? MEMORY_TYPE[storage] : "unsigned"}* __restrict__ ${name}`
    ),
    ...writes.map(({ storage }, i) => `${MEMORY_TYPE[storage]}* __restrict__ q${i}`),
    "long long n",
  ];
  return [
    `extern "C" __global__ void __launch_bounds__(${threads}) NAME(${parameters.join(", ")}) {`,
    `typedef ${isWide ? "long long" : "int"} Index;`,
    ...body,
    "}",
  ].join("\n");
}

/**
 * How many neighbours a thread computes: what fills 16 bytes, if rows divide evenly.
 *
 * @param width Elements of a row
 * @param types Types of what is read and written at all positions
 * @param count Elements in all; few of them are better spread over more threads
 */
export function lanesFor(width: number, types: Iterable<StorageType>, count: number): number {
  let lanes = 4;
  for (const type of types) if (type === "bfloat16") lanes = 8;
  while (lanes > 1 && (width % lanes !== 0 || count / lanes < ENOUGH_THREADS)) lanes /= 2;
  return lanes;
}

/** Threads that fill a large device. */
const ENOUGH_THREADS = 1 << 15;

/** What a reduction begins with, as C++ text, by its name and element type. */
export const IDENTITY: Readonly<Record<string, Record<"float32" | "int32", string>>> = {
  Sum: { float32: "0.0f", int32: "0" },
  Prod: { float32: "1.0f", int32: "1" },
  Max: { float32: "(-infinity())", int32: literal(-(2 ** 31), "int32") },
  Min: { float32: "infinity()", int32: "2147483647" },
};
