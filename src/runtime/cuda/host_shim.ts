/** C++ around CUDA sources that makes them programs of this processor. @module */
import type { KernelSignature } from "./device.ts";

/** What kernels and the runtime that schedules their threads know of each other. */
export const HOST_INTERFACE = String.raw`
struct dim3 { unsigned x, y, z; };
struct DeepragJob {
  void (*body)(const unsigned long long* arguments, unsigned first, unsigned last);
  const unsigned long long* arguments;
  dim3 *thread, *block;
  unsigned grid[3], threads;
  int hasBarriers;
};
struct DeepragHost {
  int (*run)(const DeepragJob* job);
  void (*waitBlock)(int line);
  /* One value of each of the 32 lanes; all bits are set for a lane that gave none. */
  const unsigned long long* (*waitWarp)(int line, unsigned mask, unsigned long long value);
};
`;

/** Unary functions of C's mathematics that have the same name in CUDA. */
const UNARY = [
  "expf exp2f expm1f logf log2f log10f log1pf sqrtf cbrtf sinf cosf tanf asinf acosf atanf sinhf",
  "coshf tanhf asinhf acoshf atanhf erff erfcf fabsf floorf ceilf rintf nearbyintf roundf truncf",
].join(" ").split(" ").map((name) => `float ${name}(float) noexcept;`).join(" ");

const BINARY = "powf fmaxf fminf fmodf atan2f hypotf copysignf fdimf remainderf".split(" ")
  .map((name) => `float ${name}(float, float) noexcept;`).join(" ");

/** Vector types: name, element, number of elements. */
const VECTORS = [
  ["float2", "float", 2],
  ["float4", "float", 4],
  ["int2", "int", 2],
  ["int4", "int", 4],
  ["uint2", "unsigned", 2],
  ["uint4", "unsigned", 4],
  ["ushort2", "unsigned short", 2],
  ["ushort4", "unsigned short", 4],
  ["uchar4", "unsigned char", 4],
] as const;

const VECTOR_TYPES = VECTORS.map(([name, element, n]) => {
  const fields = ["x", "y", "z", "w"].slice(0, n);
  const parameters = fields.map((f) => `${element} ${f}`).join(", ");
  return `struct alignas(sizeof(${element}) * ${n}) ${name} { ${element} ${fields.join(", ")}; };
static inline ${name} make_${name}(${parameters}) { return {${fields.join(", ")}}; }`;
}).join("\n");

const MIN_MAX = ["int", "unsigned", "long long", "unsigned long long"].map((type) =>
  `static inline ${type} min(${type} a, ${type} b) { return b < a ? b : a; }
static inline ${type} max(${type} a, ${type} b) { return a < b ? b : a; }`
).join("\n");

/**
 * What stands before a kernel source: CUDA's words, built-in variables and functions. Shared memory is
 * static, as one block runs at a time. The lines of the source are counted from 1 after it.
 */
export const HOST_PRELUDE = String.raw`
#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __shared__ static
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define INFINITY __builtin_inff()
#define NAN __builtin_nanf("")
${HOST_INTERFACE}
static const DeepragHost* deeprag_host;
static dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;
extern "C" {
${UNARY}
${BINARY}
float fmaf(float, float, float) noexcept;
float ldexpf(float, int) noexcept;
double sqrt(double) noexcept; double fabs(double) noexcept;
}
${VECTOR_TYPES}
${MIN_MAX}
static inline float min(float a, float b) { return fminf(a, b); }
static inline float max(float a, float b) { return fmaxf(a, b); }
static inline int abs(int x) { return x < 0 ? -x : x; }
static inline long long abs(long long x) { return x < 0 ? -x : x; }
static inline float abs(float x) { return fabsf(x); }
static inline bool isnan(float x) { return __builtin_isnan(x); }
static inline bool isinf(float x) { return __builtin_isinf(x); }
static inline bool isfinite(float x) { return __builtin_isfinite(x); }
static inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
static inline float __expf(float x) { return expf(x); }
static inline float __logf(float x) { return logf(x); }
static inline float __powf(float x, float y) { return powf(x, y); }
static inline float __sinf(float x) { return sinf(x); }
static inline float __cosf(float x) { return cosf(x); }
static inline float __fdividef(float x, float y) { return x / y; }
static inline float __frcp_rn(float x) { return 1.0f / x; }
static inline float __fadd_rn(float x, float y) { return x + y; }
static inline float __fmul_rn(float x, float y) { return x * y; }
template <class To, class From> static inline To deeprag_bits(From x) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  To out;
  __builtin_memcpy(&out, &x, sizeof(To));
  return out;
}
static inline unsigned __float_as_uint(float x) { return deeprag_bits<unsigned>(x); }
static inline int __float_as_int(float x) { return deeprag_bits<int>(x); }
static inline float __uint_as_float(unsigned x) { return deeprag_bits<float>(x); }
static inline float __int_as_float(int x) { return deeprag_bits<float>(x); }
static inline unsigned __umulhi(unsigned a, unsigned b) { return (unsigned long long)a * b >> 32; }
static inline int __mulhi(int a, int b) { return (long long)a * b >> 32; }
static inline int __popc(unsigned x) { return __builtin_popcount(x); }
static inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
static inline int __ffs(int x) { return __builtin_ffs(x); }
static inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
static inline int __clzll(long long x) { return x ? __builtin_clzll(x) : 64; }
template <class T> static inline T __ldg(const T* p) { return *p; }
static inline void __threadfence() {}
static inline void __threadfence_block() {}
template <class T, class U> static inline T atomicAdd(T* p, U x) { T old = *p; *p = old + (T)x; return old; }
template <class T, class U> static inline T atomicSub(T* p, U x) { T old = *p; *p = old - (T)x; return old; }
template <class T, class U> static inline T atomicOr(T* p, U x) { T old = *p; *p = old | (T)x; return old; }
template <class T, class U> static inline T atomicAnd(T* p, U x) { T old = *p; *p = old & (T)x; return old; }
template <class T, class U> static inline T atomicExch(T* p, U x) { T old = *p; *p = (T)x; return old; }
template <class T, class U> static inline T atomicMax(T* p, U x) { T old = *p; if (old < (T)x) *p = (T)x; return old; }
template <class T, class U> static inline T atomicMin(T* p, U x) { T old = *p; if ((T)x < old) *p = (T)x; return old; }
template <class T, class U, class V> static inline T atomicCAS(T* p, U expected, V x) {
  T old = *p;
  if (old == (T)expected) *p = (T)x;
  return old;
}
template <class T> static inline T deeprag_lane(int line, unsigned mask, T x, int lane) {
  static_assert(sizeof(T) <= 8, "a shuffled value has at most 8 bytes");
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &x, sizeof(T));
  const unsigned long long* all = deeprag_host->waitWarp(line, mask, bits);
  T out;
  __builtin_memcpy(&out, &all[lane], sizeof(T));
  return out;
}
template <class T> static inline T deeprag_shfl(int line, unsigned mask, T x, int from, int width = 32) {
  const int lane = threadIdx.x % 32;
  return deeprag_lane(line, mask, x, (lane & ~(width - 1)) + (from & (width - 1)));
}
template <class T> static inline T deeprag_shfl_xor(int line, unsigned mask, T x, int bits, int width = 32) {
  const int lane = threadIdx.x % 32, from = lane ^ bits;
  return deeprag_lane(line, mask, x, from < (lane & ~(width - 1)) + width ? from : lane);
}
template <class T> static inline T deeprag_shfl_down(int line, unsigned mask, T x, unsigned by, int width = 32) {
  const int lane = threadIdx.x % 32;
  return deeprag_lane(line, mask, x, (lane & (width - 1)) + (int)by < width ? lane + (int)by : lane);
}
template <class T> static inline T deeprag_shfl_up(int line, unsigned mask, T x, unsigned by, int width = 32) {
  const int lane = threadIdx.x % 32;
  return deeprag_lane(line, mask, x, (lane & (width - 1)) >= (int)by ? lane - (int)by : lane);
}
static inline unsigned deeprag_ballot(int line, unsigned mask, int isTrue) {
  const unsigned long long* all = deeprag_host->waitWarp(line, mask, isTrue != 0);
  unsigned out = 0;
  for (int i = 0; i < 32; i++) out |= (unsigned)(all[i] == 1) << i;
  return out;
}
static inline void deeprag_syncwarp(int line, unsigned mask = 0xffffffffu) {
  deeprag_host->waitWarp(line, mask, 0);
}
#define __syncthreads() deeprag_host->waitBlock(__LINE__)
#define __syncwarp(...) deeprag_syncwarp(__LINE__ __VA_OPT__(, ) __VA_ARGS__)
#define __shfl_sync(...) deeprag_shfl(__LINE__, __VA_ARGS__)
#define __shfl_xor_sync(...) deeprag_shfl_xor(__LINE__, __VA_ARGS__)
#define __shfl_down_sync(...) deeprag_shfl_down(__LINE__, __VA_ARGS__)
#define __shfl_up_sync(...) deeprag_shfl_up(__LINE__, __VA_ARGS__)
#define __ballot_sync(...) deeprag_ballot(__LINE__, __VA_ARGS__)
#define __any_sync(...) (deeprag_ballot(__LINE__, __VA_ARGS__) != 0)
#define __all_sync(mask, isTrue) (deeprag_ballot(__LINE__, mask, !(isTrue)) == 0)
template <class T> struct DeepragKind { static constexpr char value = '?'; };
template <class T> struct DeepragKind<T*> {
  static constexpr char value = 'p';
  static inline T* from(unsigned long long x) { return reinterpret_cast<T*>(x); }
};
template <> struct DeepragKind<long long> {
  static constexpr char value = 'i';
  static inline long long from(unsigned long long x) { return static_cast<long long>(x); }
};
template <int... I> struct DeepragIndices {};
template <int N, int... I> struct DeepragCount : DeepragCount<N - 1, N - 1, I...> {};
template <int... I> struct DeepragCount<0, I...> { typedef DeepragIndices<I...> type; };
template <class... A, int... I>
static inline void deeprag_call(
  void (*f)(A...), const unsigned long long* a, unsigned first, unsigned last, DeepragIndices<I...>
) {
  for (unsigned t = first; t < last; t++) {
    threadIdx.x = t;
    f(DeepragKind<A>::from(a[I])...);
  }
}
template <class... A>
static inline void deeprag_body(void (*f)(A...), const unsigned long long* a, unsigned first, unsigned last) {
  deeprag_call(f, a, first, last, typename DeepragCount<sizeof...(A)>::type());
}
template <class... A> constexpr bool deeprag_takes(void (*)(A...), const char* kinds) {
  const char own[] = {DeepragKind<A>::value..., 0};
  int i = 0;
  while (own[i] && own[i] == kinds[i]) i++;
  return own[i] == 0 && kinds[i] == 0;
}
extern "C" void deeprag_bind(const DeepragHost* host) { deeprag_host = host; }
#line 1 "kernels"
`;

/** Name of the function that launches a kernel. */
export function launcherName(kernel: string): string {
  return `deeprag_launch_${kernel}`;
}

/** What stands after a kernel source: one launcher for each kernel. */
export function launcherText({ name, parameters, hasBarriers }: KernelSignature): string {
  const kinds = parameters.map((p) => p === "pointer" ? "p" : "i").join("");
  return `
static_assert(deeprag_takes(${name}, "${kinds}"), "parameters of ${name} are not those of its signature");
static void deeprag_body_${name}(const unsigned long long* a, unsigned first, unsigned last) {
  deeprag_body(${name}, a, first, last);
}
extern "C" int ${launcherName(name)}(const long long* d, const unsigned long long* a) {
  threadIdx = blockIdx = {0, 0, 0};
  gridDim = {(unsigned)d[0], (unsigned)d[1], (unsigned)d[2]};
  blockDim = {(unsigned)d[3], 1, 1};
  const DeepragJob job = {
    deeprag_body_${name}, a, &threadIdx, &blockIdx,
    {gridDim.x, gridDim.y, gridDim.z}, blockDim.x, ${hasBarriers ? 1 : 0},
  };
  return deeprag_host->run(&job);
}`;
}
