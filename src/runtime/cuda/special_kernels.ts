/** Operations that are more than a formula per element: order, running sums, rows added by index. @module */
import { sizeOf } from "../../tensor/host_tensor.ts";
import type { BoundNode } from "./bound_graph.ts";
import { MEMORY_TYPE, type StorageType } from "./emitter.ts";
import type { Place, Step } from "./step.ts";

/** What an operation is lowered with. */
export interface SpecialContext {
  /** Operands, in memory. */
  readonly inputs: readonly { place: Place; storage: StorageType }[];
  /** Results, in memory. */
  readonly outputs: readonly Place[];
  /** Memory that is needed for the moment. */
  scratch(bytes: number): Place;
}

const kernel = (
  label: string,
  { parameters, body }: { parameters: readonly string[]; body: string },
  launch: {
    values: readonly (Place | number)[];
    grid: readonly [number, number, number];
    threads: number;
    hasBarriers: boolean;
  },
): Step => ({
  kind: "kernel",
  label,
  text: `extern "C" __global__ void __launch_bounds__(${launch.threads}) NAME(${
    [...parameters, "long long n"].join(", ")
  }) {\n${body.trim()}\n}`,
  parameters: launch.values,
  grid: launch.grid,
  threads: launch.threads,
  hasBarriers: launch.hasBarriers,
});

const reading = (storage: StorageType, name: string): string =>
  `const ${MEMORY_TYPE[storage]}* __restrict__ ${name}`;

/** Sizes before, of, and behind an axis. */
function around(shape: readonly number[], axis: number): [number, number, number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))];
}

/** Better: greater (or smaller) value, then the smaller index. */
const better = (sign: ">" | "<"): string => `
#define BETTER(v, i, w, j) ((v) ${sign} (w) || ((v) == (w) && (i) < (j)))`;

/** Register type of a stored number that is ordered. */
const registerOf = (storage: StorageType): string => storage === "int32" ? "int" : "float";

/** The best of one (value, index) pair of each of 256 threads, in \`v\` and \`i\`. */
const BEST_OF_BLOCK = `
  for (int d = 16; d > 0; d /= 2) {
    const T w = __shfl_xor_sync(0xffffffffu, v, d);
    const int j = __shfl_xor_sync(0xffffffffu, i, d);
    if (j >= 0 && (i < 0 || BETTER(w, j, v, i))) { v = w; i = j; }
  }
  __syncthreads();
  if (threadIdx.x % 32 == 0) { values[threadIdx.x / 32] = v; places[threadIdx.x / 32] = i; }
  __syncthreads();
  v = values[0]; i = places[0];
  for (int k = 1; k < 8; k++) {
    if (places[k] >= 0 && (i < 0 || BETTER(values[k], places[k], v, i))) { v = values[k]; i = places[k]; }
  }`;

function argument(node: BoundNode, { inputs, outputs }: SpecialContext): Step[] {
  const [outer, size, inner] = around(node.inputs[0].shape, node.attributes.axis as number);
  const storage = inputs[0].storage, rows = outer * inner;
  if (!rows) return [];
  return [kernel(node.op, {
    parameters: [reading(storage, "p0"), "int* __restrict__ q0"],
    body: `${better(node.op === "ArgMax" ? ">" : "<")}
  typedef ${registerOf(storage)} T;
  __shared__ T values[8];
  __shared__ int places[8];
  const long long row = blockIdx.x;
  const ${MEMORY_TYPE[storage]}* x = p0 + row / ${inner} * ${size * inner}ll + row % ${inner};
  T v = 0;
  int i = -1;
  for (int c = threadIdx.x; c < ${size}; c += 256) {
    const T w = read(x + c * ${inner}ll);
    if (i < 0 || BETTER(w, c, v, i)) { v = w; i = c; }
  }
  ${BEST_OF_BLOCK}
  if (threadIdx.x == 0) q0[row] = i;
#undef BETTER`,
  }, {
    values: [inputs[0].place, outputs[0], rows],
    grid: [rows, 1, 1],
    threads: 256,
    hasBarriers: true,
  })];
}

function topK(node: BoundNode, { inputs, outputs }: SpecialContext): Step[] {
  const [x] = node.inputs, storage = inputs[0].storage;
  const size = x.shape.at(-1)!,
    k = node.outputs[0].shape.at(-1)!,
    rows = k ? node.outputs[0].count / k : 0;
  if (!rows) return [];
  return [kernel(node.op, {
    parameters: [
      reading(storage, "p0"),
      `${MEMORY_TYPE[storage]}* __restrict__ q0`,
      "int* __restrict__ q1",
    ],
    body: `${better(">")}
  typedef ${registerOf(storage)} T;
  __shared__ T values[8];
  __shared__ int places[8];
  const long long row = blockIdx.x;
  const ${MEMORY_TYPE[storage]}* x = p0 + row * ${size};
  T lastValue = 0;
  int last = -1;
  for (int rank = 0; rank < ${k}; rank++) {
    T v = 0;
    int i = -1;
    for (int c = threadIdx.x; c < ${size}; c += 256) {
      const T w = read(x + c);
      /* Only what comes after the one found last. */
      if (last >= 0 && !BETTER(lastValue, last, w, c)) continue;
      if (i < 0 || BETTER(w, c, v, i)) { v = w; i = c; }
    }
    ${BEST_OF_BLOCK}
    if (threadIdx.x == 0) { write(q0 + row * ${k} + rank, v); q1[row * ${k} + rank] = i; }
    lastValue = v;
    last = i;
  }
#undef BETTER`,
  }, {
    values: [inputs[0].place, outputs[0], outputs[1], rows],
    grid: [rows, 1, 1],
    threads: 256,
    hasBarriers: true,
  })];
}

function cumulative(node: BoundNode, { inputs, outputs }: SpecialContext): Step[] {
  const { axis, exclusive, reverse } = node.attributes as Record<string, number>;
  const [outer, size, inner] = around(node.inputs[0].shape, axis);
  const { storage, place } = inputs[0], rows = outer * inner;
  if (!rows || !size) return [];
  const c = reverse ? `${size - 1} - k` : "k";
  return [kernel(node.op, {
    parameters: [reading(storage, "p0"), `${MEMORY_TYPE[storage]}* __restrict__ q0`],
    body: `
  const long long row = (long long)blockIdx.x * 128 + threadIdx.x;
  if (row >= n) return;
  const long long first = row / ${inner} * ${size * inner}ll + row % ${inner};
  ${registerOf(storage)} s = 0;
  for (int k = 0; k < ${size}; k++) {
    const long long at = first + (${c}) * ${inner}ll;
    const ${registerOf(storage)} x = read(p0 + at);
    ${exclusive ? "write(q0 + at, s); s += x;" : "s += x; write(q0 + at, s);"}
  }`,
  }, {
    values: [place, outputs[0], rows],
    grid: [Math.ceil(rows / 128), 1, 1],
    threads: 128,
    hasBarriers: false,
  })];
}

/** Items that a block of the sort looks at. */
const ITEMS = 1024;
/** Sorted positions that a block adds up. */
const RUN = 128;

/** A digit of a key that is out of range is that of \`segments\`, which no segment has. */
const keyText = (segments: number): string =>
  `(unsigned)p0[i] < ${segments}u ? (unsigned)p0[i] : ${segments}u`;

/**
 * Positions ordered by id, equal ids in their own order: a radix sort whose blocks count, then place
 * their items one after another. Nothing is added atomically, so the order is always the same.
 */
function sortedPositions(
  ids: Place,
  { rows, segments }: { rows: number; segments: number },
  scratch: SpecialContext["scratch"],
): { steps: Step[]; keys: Place; positions: Place } {
  const blocks = Math.ceil(rows / ITEMS), steps: Step[] = [];
  const bits = Math.max(1, Math.ceil(Math.log2(segments + 1)));
  const passes = Math.ceil(bits / 8);
  const counts = scratch(256 * blocks * 4);
  const buffers = Array.from({ length: 2 }, () => ({
    keys: scratch(rows * 4),
    positions: scratch(rows * 4),
  }));
  for (let pass = 0; pass < passes; pass++) {
    const isFirst = pass === 0, from = buffers[(pass + 1) % 2], to = buffers[pass % 2];
    const source = isFirst ? ids : from.keys, shift = 8 * pass;
    const key = isFirst ? keyText(segments) : "(unsigned)p0[i]";
    const digits = `
  __shared__ unsigned char digits[${ITEMS}];
  const long long begin = (long long)blockIdx.x * ${ITEMS};
  const int count = n - begin < ${ITEMS} ? (int)(n - begin) : ${ITEMS};
  for (int k = threadIdx.x; k < count; k += 256) {
    const long long i = begin + k;
    digits[k] = (unsigned char)((${key}) >> ${shift});
  }
  __syncthreads();`;
    steps.push(
      kernel("sort: count", {
        parameters: ["const int* __restrict__ p0", "int* __restrict__ q0"],
        body: `${digits}
  int found = 0;
  for (int k = 0; k < count; k++) found += digits[k] == threadIdx.x;
  q0[(long long)threadIdx.x * gridDim.x + blockIdx.x] = found;`,
      }, {
        values: [source, counts, rows],
        grid: [blocks, 1, 1],
        threads: 256,
        hasBarriers: true,
      }),
      kernel("sort: scan", {
        parameters: ["int* __restrict__ q0"],
        body: `
  __shared__ int sums[256];
  const long long share = (n + 255) / 256, begin = threadIdx.x * share;
  const long long end = begin + share < n ? begin + share : n;
  int s = 0;
  for (long long i = begin; i < end; i++) s += q0[i];
  sums[threadIdx.x] = s;
  __syncthreads();
  int before = 0;
  for (int k = 0; k < threadIdx.x; k++) before += sums[k];
  for (long long i = begin; i < end; i++) {
    const int here = q0[i];
    q0[i] = before;
    before += here;
  }`,
      }, {
        values: [counts, 256 * blocks],
        grid: [1, 1, 1],
        threads: 256,
        hasBarriers: true,
      }),
      kernel("sort: place", {
        parameters: [
          "const int* __restrict__ p0",
          ...(isFirst ? [] : ["const int* __restrict__ p2"]),
          "const int* __restrict__ p1",
          "int* __restrict__ q0",
          "int* __restrict__ q1",
        ],
        body: `${digits}
  int to = p1[(long long)threadIdx.x * gridDim.x + blockIdx.x];
  for (int k = 0; k < count; k++) {
    if (digits[k] != threadIdx.x) continue;
    const long long i = begin + k;
    q0[to] = (int)(${key});
    q1[to++] = ${isFirst ? "(int)i" : "p2[i]"};
  }`,
      }, {
        values: [
          source,
          ...(isFirst ? [] : [from.positions]),
          counts,
          to.keys,
          to.positions,
          rows,
        ],
        grid: [blocks, 1, 1],
        threads: 256,
        hasBarriers: true,
      }),
    );
  }
  return { steps, ...buffers[(passes + 1) % 2] };
}

/**
 * out[s] = Σ of the rows whose id is s, in their order. Blocks add up runs of equal ids within
 * {@linkcode RUN} sorted positions; a run that goes on in the next block is put together afterwards.
 */
function segmentSum(node: BoundNode, { inputs, outputs, scratch }: SpecialContext): Step[] {
  const [rows, width] = node.inputs[1].shape.length
    ? [node.inputs[1].shape[0], node.outputs[0].shape[1]]
    : [0, 0];
  const segments = node.outputs[0].shape[0], [out] = outputs;
  const clear: Step = { kind: "clear", to: out, bytes: segments * width * 4 };
  if (!segments || !width) return [];
  if (!rows) return [clear];
  const { steps, keys, positions } = sortedPositions(inputs[0].place, { rows, segments }, scratch);
  const chunks = Math.ceil(rows / RUN);
  const threads = Math.min(256, 32 * Math.ceil(width / 32)), tiles = Math.ceil(width / threads);
  const heads = scratch(chunks * width * 4), tails = scratch(chunks * width * 4);
  const updates = MEMORY_TYPE[inputs[1].storage];
  const common = `
  const int x = blockIdx.y * ${threads} + threadIdx.x;
  const long long chunk = blockIdx.x, begin = chunk * ${RUN};
  const long long end = begin + ${RUN} < n ? begin + ${RUN} : n;
  if (x >= ${width}) return;`;
  return [
    clear,
    ...steps,
    kernel("segment sum", {
      parameters: [
        "const int* __restrict__ p0",
        "const int* __restrict__ p1",
        `const ${updates}* __restrict__ p2`,
        "float* __restrict__ q0",
        "float* __restrict__ q1",
        "float* __restrict__ q2",
      ],
      body: `${common}
  int key = p0[begin];
  bool continues = begin > 0 && p0[begin - 1] == key;
  float s = 0.0f;
  for (long long i = begin; i < end; i++) {
    const int next = p0[i];
    if (next != key) {
      if (continues) q1[chunk * ${width} + x] = s;
      else if (key < ${segments}) q0[(long long)key * ${width} + x] = s;
      continues = false;
      key = next;
      s = 0.0f;
    }
    s += read(p2 + (long long)p1[i] * ${width} + x);
  }
  if (continues) q1[chunk * ${width} + x] = s;
  else if (end < n && p0[end] == key) q2[chunk * ${width} + x] = s;
  else if (key < ${segments}) q0[(long long)key * ${width} + x] = s;`,
    }, {
      values: [keys, positions, inputs[1].place, out, heads, tails, rows],
      grid: [chunks, tiles, 1],
      threads,
      hasBarriers: false,
    }),
    ...(chunks === 1 ? [] : [kernel("segment sum: join", {
      parameters: [
        "const int* __restrict__ p0",
        "const float* __restrict__ p1",
        "const float* __restrict__ p2",
        "float* __restrict__ q0",
      ],
      body: `${common}
  if (end >= n) return;
  const int key = p0[end - 1];
  if (p0[end] != key || key >= ${segments}) return;
  /* A run that began before this chunk is put together where it began. */
  if (begin > 0 && p0[begin - 1] == key) return;
  float s = p2[chunk * ${width} + x];
  for (long long next = end; next < n && p0[next] == key; next += ${RUN}) {
    s += p1[next / ${RUN} * ${width} + x];
  }
  q0[(long long)key * ${width} + x] = s;`,
    }, {
      values: [keys, heads, tails, out, rows],
      grid: [chunks, tiles, 1],
      threads,
      hasBarriers: false,
    })]),
  ];
}

const rules: Readonly<Record<string, (node: BoundNode, context: SpecialContext) => Step[]>> = {
  ArgMax: argument,
  ArgMin: argument,
  CumSum: cumulative,
  SegmentSum: segmentSum,
  TopK: topK,
};

/** Whether an operation has kernels of its own. */
export const isSpecial = (op: string): boolean => Object.hasOwn(rules, op);

/** The steps of such an operation. */
export function specialSteps(node: BoundNode, context: SpecialContext): Step[] {
  return rules[node.op](node, context);
}
