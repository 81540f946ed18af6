/**
 * Attention as one kernel forwards and one backwards, on the matrix units: a block has all keys and
 * values of one head in shared memory, a warp has 16 queries, and scores never leave the registers but
 * for the sums over queries.
 *
 * @module
 */
import { MEMORY_TYPE, type StorageType } from "./emitter.ts";
import { MATRIX_PRIMITIVES } from "./matrix_primitives.ts";
import type { Place, Step } from "./step.ts";

/** Sizes of an attention. */
export interface AttentionSizes {
  /** B */
  readonly batch: number;
  /** H */
  readonly heads: number;
  /** Q */
  readonly queries: number;
  /** M */
  readonly keys: number;
  /** E */
  readonly width: number;
}

/** Where the rows of all heads lie; the elements of a row follow each other. */
export interface HeadView {
  /** Elements from one sequence to the next. */
  readonly batch: number;
  /** Elements from one head to the next. */
  readonly head: number;
  /** Elements from one position to the next. */
  readonly row: number;
  /** Elements before the first. */
  readonly offset: number;
}

/** Where something that is added to the scores lies; a stride is 0 where it is the same for all. */
export interface AddendView {
  readonly storage: StorageType;
  readonly batch: number;
  readonly head: number;
  readonly query: number;
  readonly key: number;
  readonly offset: number;
}

/** A tensor of an attention: where it is, and how it lies there. */
export interface Viewed<V> {
  readonly place: Place;
  readonly view: V;
}

/** Most queries, and most keys, of a sequence. */
const MOST_ROWS = 128;
/** Widths of a head that have kernels. */
const WIDTHS = [16, 32, 64, 128];
/** Numbers that are read at a time. */
const ALIGNED = 8;
/** What is left free behind each row in shared memory, so that rows start in different banks. */
const PADDING = 8;

/** Whether there are kernels for these sizes and views. */
export function canAttend(sizes: AttentionSizes, views: readonly HeadView[]): boolean {
  const { queries, keys, width } = sizes;
  return queries > 0 && keys > 0 && queries <= MOST_ROWS && keys <= MOST_ROWS &&
    WIDTHS.includes(width) &&
    views.every((v) => Object.values(v).every((n) => n % ALIGNED === 0));
}

const tiles = (n: number): number => Math.ceil(n / 16);

/** Copies the rows of a head into shared memory, and zeros behind them. */
const fill = (
  to: string,
  from: string,
  { rows, width, view, threads }: { rows: number; width: number; view: HeadView; threads: number },
): string => {
  const pieces = width / ALIGNED, padded = 16 * tiles(rows);
  return `  for (int i = threadIdx.x; i < ${padded * pieces}; i += ${threads}) {
    const int row = i / ${pieces}, column = i % ${pieces} * ${ALIGNED};
    Pack<Bf16, 8> x;
    if (row < ${rows}) x = *reinterpret_cast<const Pack<Bf16, 8>*>(${from} + (b * ${view.batch} + h * ${view.head} + row * ${view.row} + ${view.offset} + column));
    else for (int k = 0; k < 8; k++) x.v[k].bits = 0;
    *reinterpret_cast<Pack<Bf16, 8>*>(${to} + row * ${width + PADDING} + column) = x;
  }
`;
};

/** The scores of a warp's 16 queries, in \`s\`, with everything that is added to them. */
function scores(
  { queries, keys, width }: AttentionSizes,
  addends: readonly AddendView[],
): string {
  const stride = width + PADDING, columns = 2 * tiles(keys);
  const added = addends.map((a, i) => {
    const at = (row: string, column: string): string =>
      `read(addend${i} + (b * ${a.batch} + h * ${a.head} + ${row} * ${a.query} + ${column} * ${a.key} + ${a.offset}))`;
    return `x += ${at("row", "column")};`;
  });
  return `    float s[${columns}][4];
#pragma unroll
    for (int j = 0; j < ${columns}; j++) {
      s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0.0f;
#pragma unroll
      for (int e = 0; e < ${width}; e += 16) {
        const Bf16* p = sharedK + (8 * j + g) * ${stride} + e + 2 * t;
        multiplyTile(s[j], a[e / 16], two(p), two(p + 8));
      }
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int row = q + g + i / 2 * 8, column = 8 * j + 2 * t + i % 2;
        if (row < ${queries} && column < ${keys}) {
          float x = s[j][i];
          ${added.join("\n          ")}
          s[j][i] = x;
        } else s[j][i] = -infinity();
      }
    }
`;
}

/** Reduces \`name[2]\` over the four threads that share a row. */
const acrossRow = (name: string, op: string): string =>
  `#pragma unroll
    for (int d = 1; d < 4; d *= 2) {
      ${name}[0] = ${op}::of(${name}[0], __shfl_xor_sync(0xffffffffu, ${name}[0], d));
      ${name}[1] = ${op}::of(${name}[1], __shfl_xor_sync(0xffffffffu, ${name}[1], d));
    }
`;

/** What forward and backward kernels read first. */
function commonReads(
  { query, key, value, addends }: Pick<AttentionTensors, "query" | "key" | "value" | "addends">,
): { parameters: string[]; values: Place[] } {
  return {
    parameters: [
      "const Bf16* __restrict__ query",
      "const Bf16* __restrict__ key",
      "const Bf16* __restrict__ value",
      ...addends.map(({ view }, i) =>
        `const ${MEMORY_TYPE[view.storage]}* __restrict__ addend${i}`
      ),
    ],
    values: [query, key, value, ...addends].map((t) => t.place),
  };
}

/** Bytes that stay within what every kernel may have without asking for more. */
const STATIC_BYTES = 48 << 10;

interface KernelParts {
  readonly label: string;
  readonly parameters: readonly string[];
  readonly values: readonly Place[];
  readonly sharedBytes: number;
  readonly threads: number;
  readonly sizes: AttentionSizes;
  /** Products of queries × keys × width. */
  readonly products: number;
  readonly body: string;
}

function kernel(parts: KernelParts): Step {
  const { label, parameters, values, sharedBytes, threads, sizes, products, body } = parts;
  const { batch, heads } = sizes;
  const text = `extern "C" __global__ void __launch_bounds__(${threads}) NAME(${
    [...parameters, "long long n"].join(", ")
  }) {
  ${sharedBytes > STATIC_BYTES ? "SHARED_DYNAMIC" : "SHARED_BYTES"}(memory, ${sharedBytes});
  Bf16* const shared = reinterpret_cast<Bf16*>(memory);
  const long long b = blockIdx.x / ${heads}, h = blockIdx.x % ${heads};
  const int warp = threadIdx.x / 32, g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
${body}}`;
  return {
    kind: "kernel",
    label,
    text,
    helpers: MATRIX_PRIMITIVES,
    flops: 2 * batch * heads * sizes.queries * sizes.keys * sizes.width * products,
    parameters: [...values, batch * heads],
    grid: [batch * heads, 1, 1],
    threads,
    hasBarriers: true,
    sharedBytes: sharedBytes > STATIC_BYTES ? sharedBytes : undefined,
  };
}

/** Reads a warp's 16 queries from memory as left operands, \`a\`. */
const queryTiles = (
  { queries, width }: AttentionSizes,
  view: HeadView,
): string =>
  `    unsigned a[${width / 16}][4];
#pragma unroll
    for (int e = 0; e < ${width}; e += 16) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int row = q + g + i % 2 * 8;
        const Bf16* p = query + (b * ${view.batch} + h * ${view.head} + row * ${view.row} + ${view.offset} + e + 2 * t + i / 2 * 8);
        a[e / 16][i] = row < ${queries} ? two(p) : 0u;
      }
    }
`;

/** Tensors of a forward attention. */
export interface AttentionTensors {
  readonly query: Viewed<HeadView>;
  readonly key: Viewed<HeadView>;
  readonly value: Viewed<HeadView>;
  readonly addends: readonly Viewed<AddendView>[];
  /** P · V */
  readonly out: Viewed<HeadView>;
  /** Largest score of each row, and 1 / Σ exp of what is below it: [B, H, Q, 2] float32. */
  readonly stats: Place;
}

/**
 * O = softmax(Q·Kᵀ + addends)·V. Scores and sums are float32, what the matrix units multiply is
 * bfloat16.
 */
export function attentionForward(sizes: AttentionSizes, tensors: AttentionTensors): Step {
  const { queries, keys, width, heads } = sizes;
  const { query, key, value, out, stats } = tensors;
  const reads = commonReads(tensors);
  const addends = tensors.addends.map((a) => a.view);
  const warps = Math.min(4, tiles(queries)), threads = 32 * warps;
  const stride = width + PADDING, rows = 16 * tiles(keys);
  const loading = { rows: keys, width, threads };
  return kernel({
    label: "attention",
    sizes,
    products: 2,
    threads,
    sharedBytes: 2 * rows * stride * 2,
    parameters: [
      ...reads.parameters,
      "Bf16* __restrict__ out",
      "float* __restrict__ stats",
    ],
    values: [...reads.values, out.place, stats],
    body: `  Bf16* const sharedK = shared;
  Bf16* const sharedV = shared + ${rows * stride};
${fill("sharedK", "key", { ...loading, view: key.view })}${
      fill("sharedV", "value", { ...loading, view: value.view })
    }  __syncthreads();
  for (int q = warp * 16; q < ${queries}; q += ${16 * warps}) {
${queryTiles(sizes, query.view)}${
      scores(sizes, addends)
    }    float top[2] = {-infinity(), -infinity()}, sum[2] = {0.0f, 0.0f};
#pragma unroll
    for (int j = 0; j < ${2 * tiles(keys)}; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) top[i / 2] = Max::of(top[i / 2], s[j][i]);
    }
${acrossRow("top", "Max")}    if (q + g >= ${queries}) top[0] = 0.0f;
    if (q + g + 8 >= ${queries}) top[1] = 0.0f;
#pragma unroll
    for (int j = 0; j < ${2 * tiles(keys)}; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        s[j][i] = __expf(s[j][i] - top[i / 2]);
        sum[i / 2] += s[j][i];
      }
    }
${acrossRow("sum", "Sum")}    const float share[2] = {1.0f / sum[0], 1.0f / sum[1]};
#pragma unroll
    for (int j = 0; j < ${2 * tiles(keys)}; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) s[j][i] *= share[i / 2];
    }
    float o[${width / 8}][4] = {};
#pragma unroll
    for (int k = 0; k < ${tiles(keys)}; k++) {
      unsigned p[4];
      leftScores(p, s, k);
      addProduct<${width}>(o, p, sharedV + 16 * k * ${stride}, ${stride});
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = q + g + 8 * half;
      if (row >= ${queries}) continue;
      storeRow<${width}>(out + (b * ${out.view.batch} + h * ${out.view.head} + row * ${out.view.row} + ${out.view.offset}), o, half);
      if (t == 0) {
        float* p = stats + ((b * ${heads} + h) * ${queries} + row) * 2;
        p[0] = top[half];
        p[1] = share[half];
      }
    }
  }
`,
  });
}

/** Tensors of a backward attention. */
export interface AttentionGradientTensors extends Omit<AttentionTensors, "out"> {
  /** What the forward pass gave. */
  readonly out: Viewed<HeadView>;
  /** Its gradient. */
  readonly outGradient: Viewed<HeadView>;
  readonly queryGradient: Viewed<HeadView>;
  readonly keyGradient: Viewed<HeadView>;
  readonly valueGradient: Viewed<HeadView>;
  /** Gradient of the scores, [B, H, Q, M] bfloat16, where it is needed. */
  readonly scoreGradient?: Place;
}

/**
 * The gradients of {@linkcode attentionForward}: with P computed anew from the row statistics,
 * D = Σ dO∘O and dS = P∘(dO·Vᵀ − D),
 *
 *   dV = Pᵀ·dO      dQ = dS·K      dK = dSᵀ·Q
 */
export function attentionBackward(
  sizes: AttentionSizes,
  tensors: AttentionGradientTensors,
): Step {
  const { queries, keys, width, heads } = sizes;
  const addends = tensors.addends.map((a) => a.view);
  const { query, key, value, out, outGradient, scoreGradient } = tensors;
  const [dq, dk, dv] = [tensors.queryGradient, tensors.keyGradient, tensors.valueGradient];
  const warps = Math.min(8, Math.max(tiles(queries), tiles(keys))), threads = 32 * warps;
  const stride = width + PADDING;
  const [Q, M] = [16 * tiles(queries), 16 * tiles(keys)], wide = M + PADDING;
  const ofKeys = { rows: keys, width, threads }, ofQueries = { rows: queries, width, threads };
  const buffers = [M * stride, M * stride, Q * stride, Q * stride, Q * wide];
  const at = buffers.map((_, i) => buffers.slice(0, i).reduce((x, y) => x + y, 0));
  /** Σ over queries of a transposed tile of \`sharedX\` times rows in shared memory. */
  const overQueries = (rows: string, to: string, view: HeadView): string =>
    `  for (int k = warp * 16; k < ${keys}; k += ${16 * warps}) {
    float o[${width / 8}][4] = {};
#pragma unroll
    for (int q = 0; q < ${Q}; q += 16) {
      unsigned x[4], a[4];
      transposedTile(x, sharedX + q * ${wide} + k, ${wide});
      a[0] = x[0]; a[1] = x[2]; a[2] = x[1]; a[3] = x[3];
      addProduct<${width}>(o, a, ${rows} + q * ${stride}, ${stride});
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = k + g + 8 * half;
      if (row >= ${keys}) continue;
      storeRow<${width}>(${to} + (b * ${view.batch} + h * ${view.head} + row * ${view.row} + ${view.offset}), o, half);
    }
  }
`;
  /** A warp's 16 rows of \`s\` into shared memory. */
  const keepScores = `#pragma unroll
    for (int j = 0; j < ${2 * tiles(keys)}; j++) {
      *reinterpret_cast<unsigned*>(sharedX + (q + g) * ${wide} + 8 * j + 2 * t) = packTwo(s[j][0], s[j][1]);
      *reinterpret_cast<unsigned*>(sharedX + (q + g + 8) * ${wide} + 8 * j + 2 * t) = packTwo(s[j][2], s[j][3]);
    }
`;
  const reads = commonReads(tensors);
  const parameters = [
    ...reads.parameters,
    "const Bf16* __restrict__ out",
    "const float* __restrict__ stats",
    "const Bf16* __restrict__ outGradient",
    "Bf16* __restrict__ queryGradient",
    "Bf16* __restrict__ keyGradient",
    "Bf16* __restrict__ valueGradient",
    ...(scoreGradient ? ["Bf16* __restrict__ scoreGradient"] : []),
  ];
  // Each warp has at most one tile of queries, so that its scores stay in registers between the parts.
  return kernel({
    label: "attention gradient",
    sizes,
    products: 5,
    threads,
    sharedBytes: 2 * buffers.reduce((x, y) => x + y, 0),
    parameters,
    values: [
      ...reads.values,
      out.place,
      tensors.stats,
      outGradient.place,
      dq.place,
      dk.place,
      dv.place,
      ...(scoreGradient ? [scoreGradient] : []),
    ],
    body: `  Bf16* const sharedK = shared;
  Bf16* const sharedV = shared + ${at[1]};
  Bf16* const sharedQ = shared + ${at[2]};
  Bf16* const sharedG = shared + ${at[3]};
  Bf16* const sharedX = shared + ${at[4]};
${fill("sharedK", "key", { ...ofKeys, view: key.view })}${
      fill("sharedV", "value", { ...ofKeys, view: value.view })
    }${fill("sharedQ", "query", { ...ofQueries, view: query.view })}${
      fill("sharedG", "outGradient", { ...ofQueries, view: outGradient.view })
    }  __syncthreads();
  const int q = warp * 16;
  const bool hasQueries = q < ${queries};
  float s[${2 * tiles(keys)}][4];
  if (hasQueries) {
    unsigned a[${width / 16}][4];
#pragma unroll
    for (int e = 0; e < ${width}; e += 16) leftTile(a[e / 16], sharedQ + q * ${stride} + e, ${stride});
${scores(sizes, addends).replace(/^ {4}float s\[.*\n/, "")}    float top[2], share[2];
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = q + g + 8 * half;
      const float* p = stats + ((b * ${heads} + h) * ${queries} + row) * 2;
      top[half] = row < ${queries} ? p[0] : 0.0f;
      share[half] = row < ${queries} ? p[1] : 0.0f;
    }
#pragma unroll
    for (int j = 0; j < ${2 * tiles(keys)}; j++) {
#pragma unroll
      for (int i = 0; i < 4; i++) s[j][i] = __expf(s[j][i] - top[i / 2]) * share[i / 2];
    }
${keepScores}  }
  __syncthreads();
${overQueries("sharedG", "valueGradient", dv.view)}  __syncthreads();
  if (hasQueries) {
    float dot[2] = {0.0f, 0.0f};
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = q + g + 8 * half;
      if (row >= ${queries}) continue;
      const Bf16* p = out + (b * ${out.view.batch} + h * ${out.view.head} + row * ${out.view.row} + ${out.view.offset});
#pragma unroll
      for (int e = 2 * t; e < ${width}; e += 8) {
        const Bf16* d = sharedG + row * ${stride} + e;
        dot[half] += read(p + e) * read(d) + read(p + e + 1) * read(d + 1);
      }
    }
${acrossRow("dot", "Sum")}    unsigned a[${width / 16}][4];
#pragma unroll
    for (int e = 0; e < ${width}; e += 16) leftTile(a[e / 16], sharedG + q * ${stride} + e, ${stride});
#pragma unroll
    for (int j = 0; j < ${2 * tiles(keys)}; j++) {
      float d[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
      for (int e = 0; e < ${width}; e += 16) {
        const Bf16* p = sharedV + (8 * j + g) * ${stride} + e + 2 * t;
        multiplyTile(d, a[e / 16], two(p), two(p + 8));
      }
#pragma unroll
      for (int i = 0; i < 4; i++) s[j][i] *= d[i] - dot[i / 2];
${
      scoreGradient
        ? `#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int row = q + g + 8 * half, column = 8 * j + 2 * t;
        if (row >= ${queries}) continue;
        Bf16* p = scoreGradient + ((b * ${heads} + h) * ${queries} + row) * ${keys} + column;
${
          keys % 2 === 0
            ? `        if (column < ${keys}) *reinterpret_cast<unsigned*>(p) = packTwo(s[j][2 * half], s[j][2 * half + 1]);`
            : `        if (column < ${keys}) write(p, s[j][2 * half]);
        if (column + 1 < ${keys}) write(p + 1, s[j][2 * half + 1]);`
        }
      }
`
        : ""
    }    }
${keepScores}    float o[${width / 8}][4] = {};
#pragma unroll
    for (int k = 0; k < ${tiles(keys)}; k++) {
      unsigned x[4];
      leftScores(x, s, k);
      addProduct<${width}>(o, x, sharedK + 16 * k * ${stride}, ${stride});
    }
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = q + g + 8 * half;
      if (row >= ${queries}) continue;
      storeRow<${width}>(queryGradient + (b * ${dq.view.batch} + h * ${dq.view.head} + row * ${dq.view.row} + ${dq.view.offset}), o, half);
    }
  }
  __syncthreads();
${overQueries("sharedQ", "keyGradient", dk.view)}`,
  });
}
