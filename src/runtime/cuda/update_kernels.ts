/** Kernels of an optimiser step: norm of the gradients, AdamW, sums of batches. @module */

/** A kernel of an optimiser step. */
export interface UpdateKernel {
  /** The function, with `NAME` in the place of its name. */
  readonly text: string;
  /** Threads of a block. */
  readonly threads: number;
  /** Whether threads wait for each other. */
  readonly hasBarriers: boolean;
}

/** Blocks of the first kernel of the norm, each of which leaves a sum. */
export const NORM_BLOCKS = 1024;
/**
 * Numbers that AdamW is told of a stretch of equal treatment: 1 − β₁, β₂, 1 − β₂, rate, correction,
 * ε, what is kept of a parameter, 1 − decay of the average.
 */
export const STRETCH_NUMBERS = 8;

/** Σ of a block's `s`, in `parts[0]`. */
const BLOCK_SUM = `  parts[threadIdx.x] = s;
  __syncthreads();
  for (int d = 128; d > 0; d /= 2) {
    if (threadIdx.x < d) parts[threadIdx.x] += parts[threadIdx.x + d];
    __syncthreads();
  }
`;

/** Σ g² of each block's share, in float64: what the host's own optimiser does. */
export const NORM_PARTS: UpdateKernel = {
  threads: 256,
  hasBarriers: true,
  text: `extern "C" __global__ void __launch_bounds__(256) NAME(
const float* __restrict__ p0, double* __restrict__ q0, long long n) {
  __shared__ double parts[256];
  double s = 0.0;
  for (long long i = (long long)blockIdx.x * 256 + threadIdx.x; i < n / 4; i += ${NORM_BLOCKS} * 256) {
    float x[4];
    readPack<4>(x, p0 + i * 4);
#pragma unroll
    for (int k = 0; k < 4; k++) s += (double)x[k] * (double)x[k];
  }
${BLOCK_SUM}  if (threadIdx.x == 0) q0[blockIdx.x] = parts[0];
}`,
};

/**
 * The verdict on the gradients: their norm, and what to multiply them with, or NaN if they are not
 * finite. p1: the factor that comes before clipping, and the largest norm (0: no limit).
 */
export const NORM_VERDICT: UpdateKernel = {
  threads: 256,
  hasBarriers: true,
  text: `extern "C" __global__ void __launch_bounds__(256) NAME(
const double* __restrict__ p0, const float* __restrict__ p1, float* __restrict__ q0, long long n) {
  __shared__ double parts[256];
  double s = 0.0;
  for (int i = threadIdx.x; i < n; i += 256) s += p0[i];
${BLOCK_SUM}  if (threadIdx.x == 0) {
    const double scale = (double)p1[0], limit = (double)p1[1];
    const double norm = sqrt(parts[0]) * (scale < 0.0 ? -scale : scale);
    const double factor = limit > 0.0 ? limit / (norm + 1e-6) : 1.0;
    const bool isFinite = norm - norm == 0.0;
    q0[0] = (float)norm;
    q0[1] = isFinite ? (float)(scale * (factor < 1.0 ? factor : 1.0)) : nanOf();
  }
}`,
};

/** What AdamW makes of four neighbours, in the order of operations of the host's kernel. */
const ADAMW_FORMULA = `  const float rest1 = p1[0], beta2 = p1[1], rest2 = p1[2], rate = p1[3];
  const float correction = p1[4], epsilon = p1[5], keep = p1[6];
#pragma unroll
  for (int k = 0; k < 4; k++) {
    const float x = g[k] * scale;
    m[k] = m[k] + rest1 * (x - m[k]);
    v[k] = beta2 * v[k] + rest2 * (x * x);
    p[k] = keep * p[k] - (rate * m[k]) / (sqrtf(v[k]) * correction + epsilon);
  }
`;

/** A kernel whose threads have four neighbours each, the first of them at `i`. */
const byFours = (parameters: string, body: string): UpdateKernel => ({
  threads: 256,
  hasBarriers: false,
  text: `extern "C" __global__ void __launch_bounds__(256) NAME(
${parameters}, long long n) {
  const long long i = ((long long)blockIdx.x * 256 + threadIdx.x) * 4;
  if (i >= n) return;
${body}}`,
});

/** AdamW on the parameters at `at` by the gradients at i. */
const adamwAt = (at: string): string =>
  `  float g[4], p[4], m[4], v[4];
  readPack<4>(g, p0 + i);
  readPack<4>(p, q0 + ${at});
  readPack<4>(m, q1 + ${at});
  readPack<4>(v, q2 + ${at});
${ADAMW_FORMULA}  writePack<4>(q0 + ${at}, p);
  writePack<4>(q1 + ${at}, m);
  writePack<4>(q2 + ${at}, v);
`;

/** Ends a thread where the gradients are not finite. */
const UNLESS_REFUSED = `  const float scale = p2[1];
  if (scale != scale) return;
`;

/**
 * AdamW on a stretch of equal treatment, in the order of operations of the host's kernel; with it the
 * copy in bfloat16 for matrix products and the moving average, where there are any. p1: the numbers of
 * the stretch; p2: the verdict.
 */
export function adamwKernel(
  { hasHalf, hasAverage }: { hasHalf: boolean; hasAverage: boolean },
): UpdateKernel {
  const parameters = [
    "const float* __restrict__ p0",
    "const float* __restrict__ p1",
    "const float* __restrict__ p2",
    "float* __restrict__ q0",
    "float* __restrict__ q1",
    "float* __restrict__ q2",
    ...(hasHalf ? ["Bf16* __restrict__ q3"] : []),
    ...(hasAverage ? ["float* __restrict__ q4"] : []),
  ];
  const half = hasHalf ? "  writePack<4>(q3 + i, p);\n" : "";
  const average = hasAverage
    ? `  float a[4];
  readPack<4>(a, q4 + i);
#pragma unroll
  for (int k = 0; k < 4; k++) a[k] = a[k] + p1[7] * (p[k] - a[k]);
  writePack<4>(q4 + i, a);
`
    : "";
  return byFours(parameters.join(", "), UNLESS_REFUSED + adamwAt("i") + half + average);
}

/** Rows of a matrix one after the other, q0[u] = p0[p1[u]]. */
export const GATHER_ROWS: UpdateKernel = byFours(
  "const float* __restrict__ p0, const int* __restrict__ p1, float* __restrict__ q0, long long width",
  `  float x[4];
  readPack<4>(x, p0 + (long long)p1[i / width] * width + i % width);
  writePack<4>(q0 + i, x);
`,
);

/** {@linkcode adamwKernel} on rows of matrices; their gradients stand one after the other. */
export const ADAMW_ROWS: UpdateKernel = byFours(
  "const float* __restrict__ p0, const float* __restrict__ p1, const float* __restrict__ p2, " +
    "const int* __restrict__ p3, float* __restrict__ q0, float* __restrict__ q1, " +
    "float* __restrict__ q2, long long width",
  `${UNLESS_REFUSED}  const long long at = (long long)p3[i / width] * width + i % width;
${adamwAt("at")}`,
);

/** q0 += p0. */
export const ADD: UpdateKernel = byFours(
  "const float* __restrict__ p0, float* __restrict__ q0",
  `  float x[4], y[4];
  readPack<4>(x, p0 + i);
  readPack<4>(y, q0 + i);
#pragma unroll
  for (int k = 0; k < 4; k++) y[k] += x[k];
  writePack<4>(q0 + i, y);
`,
);

/** q0 = p0 in bfloat16. */
export const TO_HALF: UpdateKernel = byFours(
  "const float* __restrict__ p0, Bf16* __restrict__ q0",
  `  float x[4];
  readPack<4>(x, p0 + i);
  writePack<4>(q0 + i, x);
`,
);
