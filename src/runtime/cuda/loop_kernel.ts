/** Kernels that run through positions: every thread computes its elements of all members. @module */
import type { BoundValue } from "./bound_graph.ts";
import { type Coordinate, Position } from "./coordinates.ts";
import { Emitter, REGISTERS, type StorageType } from "./emitter.ts";
import { type GeneratedKernel, kernelText, lanesFor, type Written } from "./generated_kernel.ts";

const THREADS = 256;

/**
 * A kernel that computes values of equally many elements.
 *
 * @param members What it writes, in an order in which each can be computed from those before
 * @param storageOf How values lie in memory
 * @param isFast Whether speed counts more than the last digits
 * @throws {NotFusable} If a thread needs what another one computes
 */
export function loopKernel(
  members: readonly Written[],
  storageOf: (value: BoundValue) => StorageType | undefined,
  isFast = false,
): GeneratedKernel {
  const { count } = members[0].value;
  const width = Math.min(...members.map((m) => m.value.shape.at(-1) ?? 1));
  const isEven = members.every((m) => (m.value.shape.at(-1) ?? 1) % width === 0);
  const lanes = isEven ? lanesFor(width, members.map((m) => m.storage), count) : 1;
  const values = members.map((m) => m.value);
  const e = new Emitter(lanes, storageOf, { members: values, isFast });
  const at: Coordinate = { text: "t", use: lanes > 1 ? "counts" : "same", bound: count };
  const head: string[] = [], stores: string[] = [], inLanes: string[] = [];
  members.forEach(({ value, storage }, i) => {
    const position = Position.of(e.math, value.shape, at);
    const text = e.evaluate(value, position);
    e.define(value, position, text);
    if (lanes === 1) stores.push(`write(q${i} + t, ${text});`);
    else {
      head.push(`${REGISTERS[storage]} y${i}[V];`);
      inLanes.push(`y${i}[l] = ${text};`);
      stores.push(`writePack<V>(q${i} + t, y${i});`);
    }
  });
  if (count > 2 ** 31 - 1) e.isWide = true;
  const { row, before, body } = e.startLoop();
  const reads = e.buffers;
  const text = kernelText({
    reads,
    writes: members,
    threads: THREADS,
    isWide: e.isWide,
    body: [
      `constexpr int V = ${lanes};`,
      `const long long at = (long long)blockIdx.x * ${THREADS} + threadIdx.x;`,
      "if (at >= n) return;",
      "const Index t = (Index)at * V;",
      ...head,
      ...row,
      ...before,
      ...(lanes === 1
        ? body
        : ["#pragma unroll", "for (int l = 0; l < V; l++) {", ...body, ...inLanes, "}"]),
      ...stores,
    ],
  });
  const n = count / lanes;
  return {
    text,
    reads,
    writes: members,
    n,
    grid: [Math.ceil(n / THREADS), 1, 1],
    threads: THREADS,
    hasBarriers: false,
  };
}
