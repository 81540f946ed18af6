/**
 * Reductions over any axes but the last ones, such as the gradient of a bias: a thread adds up its
 * share of the elements that become one number, and a second kernel adds up the shares. The order is
 * always the same, so the result is too.
 *
 * @module
 */
import { sizeOf } from "../../tensor/host_tensor.ts";
import { type BoundValue, nodeOf } from "./bound_graph.ts";
import { type Coordinate, Position } from "./coordinates.ts";
import { Emitter, type StorageType } from "./emitter.ts";
import { type GeneratedKernel, IDENTITY, kernelText, lanesFor } from "./generated_kernel.ts";

/** A reduction in one kernel, or in two. */
export interface Fold {
  /** The kernel that reads the operands. */
  readonly first: GeneratedKernel;
  /** The kernel that reads what the first one left in each buffer of shares, if it left any. */
  readonly second?: { readonly text: string; readonly n: number; readonly grid: number };
  /** Number of shares; 1 if there is no second kernel. */
  readonly shares: number;
}

/** Threads of a block of the second kernel: 32 numbers × 8 shares. */
export const COMBINE_THREADS = 256;

/** Most shares that a reduction is cut into. */
const MAX_SHARES = 256;
/** Blocks that keep a large device busy. */
const WANTED_BLOCKS = 512;
/** Threads of a block of the first kernel. */
const THREADS = 256;

interface Reduction {
  readonly op: string;
  readonly operand: BoundValue;
  readonly axes: readonly number[];
}

/** What a reduction reduces. */
export function reductionOf(value: BoundValue): Reduction {
  const node = nodeOf(value);
  return {
    op: node.op.slice("Reduce".length),
    operand: node.inputs[0],
    axes: node.attributes.axes as readonly number[],
  };
}

/** The position of the element of `shape` that is the `d`th reduced one of the `o`th kept one. */
function positionIn(
  e: Emitter,
  { shape, axes }: { shape: readonly number[]; axes: readonly number[] },
  [o, d]: readonly [Coordinate, Coordinate],
): Position {
  const all = shape.map((_, i) => i);
  const keptAxes = all.filter((i) => !axes.includes(i));
  const kept = Position.of(e.math, keptAxes.map((i) => shape[i]), o);
  const gone = Position.of(e.math, all.filter((i) => axes.includes(i)).map((i) => shape[i]), d);
  let position = kept.range(0, 0), k = 0, g = 0;
  for (let i = 0; i < shape.length;) {
    const isGone = axes.includes(i);
    let end = i + 1;
    while (end < shape.length && axes.includes(end) === isGone) end++;
    const width = end - i;
    position = position.join(isGone ? gone.range(g, g + width) : kept.range(k, k + width));
    if (isGone) g += width;
    else k += width;
    i = end;
  }
  return position;
}

/**
 * Kernels for reductions of equal shape and axes.
 *
 * @param values Their results
 * @param storageOf How values lie in memory
 * @param options.preferred Storage of what is mostly read, which says how wide a read is best
 * @param options.isFast Whether speed counts more than the last digits
 */
export function foldKernels(
  values: readonly BoundValue[],
  storageOf: (value: BoundValue) => StorageType | undefined,
  { preferred, isFast }: { preferred: StorageType; isFast: boolean },
): Fold {
  const { operand: { shape }, axes } = reductionOf(values[0]);
  const outputs = values[0].count, length = sizeOf(axes.map((i) => shape[i]));
  const keepsLast = !axes.includes(shape.length - 1);
  const lanes = keepsLast ? lanesFor(shape.at(-1)!, [preferred], outputs * length) : 1;
  // So many threads side by side along the results, and so many rows of them in a block.
  const across = Math.min(THREADS, 2 ** Math.ceil(Math.log2(Math.max(1, outputs / lanes))));
  const down = THREADS / across;
  const blocks = Math.ceil(outputs / lanes / across);
  const wanted = Math.ceil(WANTED_BLOCKS / blocks);
  const shares = Math.max(1, Math.min(MAX_SHARES, wanted, Math.ceil(length / (4 * down))));
  const share = Math.ceil(length / shares);
  const e = new Emitter(lanes, storageOf, { members: values, isFast });
  const o: Coordinate = { text: "t", use: lanes > 1 ? "counts" : "same", bound: outputs };
  const d: Coordinate = { text: "c", use: "same", bound: length };
  const isWide = outputs * length > 2 ** 31 - 1;
  const head: string[] = [], inLanes: string[] = [], stores: string[] = [];
  values.forEach((value, i) => {
    const { op, operand } = reductionOf(value);
    const type = value.dtype === "int32" ? "int32" : "float32";
    const text = e.read(operand, positionIn(e, { shape: operand.shape, axes }, [o, d]));
    head.push(
      `${type === "int32" ? "int" : "float"} s${i}[V];`,
      `for (int l = 0; l < V; l++) s${i}[l] = ${IDENTITY[op][type]};`,
    );
    inLanes.push(`s${i}[l] = ${op}::of(s${i}[l], ${text});`);
    const cType = type === "int32" ? "int" : "float";
    if (down > 1) {
      stores.push(
        `__shared__ ${cType} parts${i}[${down}][${across * lanes}];`,
        `for (int l = 0; l < V; l++) parts${i}[y][x * V + l] = s${i}[l];`,
        "__syncthreads();",
        `if (y == 0) for (int k = 1; k < ${down}; k++) {`,
        `for (int l = 0; l < V; l++) s${i}[l] = ${op}::of(s${i}[l], parts${i}[k][x * V + l]);`,
        "}",
      );
    }
    stores.push(
      `if (y == 0 && isInside) writePack<V>(q${i} + ((long long)blockIdx.y * ${outputs} + t), s${i});`,
    );
  });
  const { row, before, body } = e.startLoop();
  const writes = values.map((value) => ({
    value,
    storage: value.dtype === "int32" ? "int32" as const : "float32" as const,
  }));
  const text = kernelText({
    reads: e.buffers,
    writes,
    threads: THREADS,
    isWide: isWide || e.isWide,
    body: [
      `constexpr int V = ${lanes};`,
      `const int x = threadIdx.x % ${across}, y = threadIdx.x / ${across};`,
      `const long long at = (long long)blockIdx.x * ${across} + x;`,
      "const bool isInside = at < n;",
      "const Index t = (Index)(isInside ? at : n - 1) * V;",
      ...head,
      ...row,
      `const Index begin = (Index)blockIdx.y * ${share};`,
      `const Index end = begin + ${share} < ${length} ? begin + ${share} : ${length};`,
      "#pragma unroll 4",
      `for (Index c = begin + y; c < end; c += ${down}) {`,
      ...before,
      "#pragma unroll",
      "for (int l = 0; l < V; l++) {",
      ...body,
      ...inLanes,
      "}",
      "}",
      ...stores,
    ],
  });
  const first: GeneratedKernel = {
    text,
    reads: e.buffers,
    writes,
    n: outputs / lanes,
    grid: [blocks, shares, 1],
    threads: THREADS,
    hasBarriers: down > 1,
  };
  if (shares === 1) return { first, shares };
  const { op } = reductionOf(values[0]);
  const type = values[0].dtype === "int32" ? "int32" : "float32";
  const cType = type === "int32" ? "int" : "float";
  const combine = [
    `extern "C" __global__ void __launch_bounds__(${COMBINE_THREADS}) NAME(`,
    `const ${cType}* __restrict__ p0, ${cType}* __restrict__ q0, long long n) {`,
    `__shared__ ${cType} parts[8][33];`,
    "const int x = threadIdx.x % 32, y = threadIdx.x / 32;",
    "const long long o = (long long)blockIdx.x * 32 + x;",
    `${cType} s = ${IDENTITY[op][type]};`,
    `if (o < n) for (int i = y; i < ${shares}; i += 8) s = ${op}::of(s, p0[i * n + o]);`,
    "parts[y][x] = s;",
    "__syncthreads();",
    "if (y == 0 && o < n) {",
    `for (int i = 1; i < 8; i++) s = ${op}::of(s, parts[i][x]);`,
    "q0[o] = s;",
    "}",
    "}",
  ].join("\n");
  return {
    first,
    second: { text: combine, n: outputs, grid: Math.ceil(outputs / 32) },
    shares,
  };
}
