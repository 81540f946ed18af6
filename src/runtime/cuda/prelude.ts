/** What every generated source begins with. @module */

/** Helpers of generated kernels. Bool is a byte and bfloat16 two bytes in memory. */
export const PRELUDE = String.raw`
#if defined(__CUDA_ARCH__)
#define SHARED_BYTES(name, bytes) __shared__ __align__(16) unsigned char name[bytes]
#define SHARED_DYNAMIC(name, bytes) extern __shared__ __align__(16) unsigned char name[]
#else
#define SHARED_BYTES(name, bytes) alignas(16) static unsigned char name[bytes]
#define SHARED_DYNAMIC(name, bytes) alignas(16) static unsigned char name[bytes]
#endif
typedef unsigned char Bool;
struct Bf16 { unsigned short bits; };
__device__ __forceinline__ float infinity() { return __int_as_float(0x7f800000); }
__device__ __forceinline__ float nanOf() { return __int_as_float(0x7fc00000); }
__device__ __forceinline__ float maxOf(float a, float b) { return a > b || a != a ? a : b; }
__device__ __forceinline__ float minOf(float a, float b) { return a < b || a != a ? a : b; }
__device__ __forceinline__ float softplus(float x) {
  return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}
__device__ __forceinline__ int floorMod(int a, int b) {
  int r = a % b;
  return r != 0 && ((r < 0) != (b < 0)) ? r + b : r;
}
__device__ __forceinline__ float read(const float* p) { return *p; }
__device__ __forceinline__ int read(const int* p) { return *p; }
__device__ __forceinline__ bool read(const Bool* p) { return *p != 0; }
__device__ __forceinline__ float read(const Bf16* p) {
  return __uint_as_float((unsigned)p->bits << 16);
}
/* Round to nearest, ties to even; a NaN stays one. */
__device__ __forceinline__ Bf16 toBf16(float x) {
  Bf16 out;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(x));
#else
  unsigned u = __float_as_uint(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) out.bits = 0x7fff;
  else out.bits = (unsigned short)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
#endif
  return out;
}
__device__ __forceinline__ void write(float* p, float x) { *p = x; }
__device__ __forceinline__ void write(int* p, int x) { *p = x; }
__device__ __forceinline__ void write(Bool* p, bool x) { *p = x ? 1 : 0; }
__device__ __forceinline__ void write(Bf16* p, float x) { *p = toBf16(x); }
template <class T, int N> struct alignas(sizeof(T) * N) Pack { T v[N]; };
/* V neighbours at a time, in pieces of at most 16 bytes. */
template <int V, class T, class R>
__device__ __forceinline__ void readPack(R (&out)[V], const T* p) {
  constexpr int N = sizeof(T) * V <= 16 ? V : 16 / sizeof(T);
#pragma unroll
  for (int i = 0; i < V; i += N) {
    const Pack<T, N> t = *reinterpret_cast<const Pack<T, N>*>(p + i);
#pragma unroll
    for (int k = 0; k < N; k++) out[i + k] = read(&t.v[k]);
  }
}
template <int V, class T, class R>
__device__ __forceinline__ void writePack(T* p, const R (&x)[V]) {
  constexpr int N = sizeof(T) * V <= 16 ? V : 16 / sizeof(T);
#pragma unroll
  for (int i = 0; i < V; i += N) {
    Pack<T, N> t;
#pragma unroll
    for (int k = 0; k < N; k++) write(&t.v[k], x[i + k]);
    *reinterpret_cast<Pack<T, N>*>(p + i) = t;
  }
}
/* Block of Philox4x32-10: see random.ts. key: two words of key, two of step. */
__device__ __forceinline__ void philox(unsigned (&c)[4], unsigned long long block, const unsigned* key) {
  unsigned c0 = (unsigned)block, c1 = (unsigned)(block >> 32), c2 = key[2], c3 = key[3];
  unsigned k0 = key[0], k1 = key[1];
#pragma unroll
  for (int round = 0; round < 10; round++) {
    const unsigned l0 = 0xd2511f53u * c0, h0 = __umulhi(0xd2511f53u, c0);
    const unsigned l1 = 0xcd9e8d57u * c2, h1 = __umulhi(0xcd9e8d57u, c2);
    c0 = h1 ^ c1 ^ k0;
    c1 = l1;
    c2 = h0 ^ c3 ^ k1;
    c3 = l0;
    k0 += 0x9e3779b9u;
    k1 += 0xbb67ae85u;
  }
  c[0] = c0; c[1] = c1; c[2] = c2; c[3] = c3;
}
__device__ __forceinline__ float keep(unsigned long long i, const unsigned* key, unsigned last) {
  unsigned c[4];
  philox(c, i / 4, key);
  return c[i % 4] <= last ? 1.0f : 0.0f;
}
template <int V>
__device__ __forceinline__ void keepPack(float (&out)[V], unsigned long long i, const unsigned* key, unsigned last) {
#pragma unroll
  for (int k = 0; k < V; k += 4) {
    unsigned c[4];
    philox(c, (i + k) / 4, key);
#pragma unroll
    for (int j = 0; j < 4; j++) out[k + j] = c[j] <= last ? 1.0f : 0.0f;
  }
}
struct Sum {
  template <class T> __device__ __forceinline__ static T of(T a, T b) { return a + b; }
};
struct Prod {
  template <class T> __device__ __forceinline__ static T of(T a, T b) { return a * b; }
};
struct Max {
  __device__ __forceinline__ static float of(float a, float b) { return maxOf(a, b); }
  __device__ __forceinline__ static int of(int a, int b) { return a > b ? a : b; }
};
struct Min {
  __device__ __forceinline__ static float of(float a, float b) { return minOf(a, b); }
  __device__ __forceinline__ static int of(int a, int b) { return a < b ? a : b; }
};
/* The reduction of one number each of T neighbouring threads; every one of them gets it. */
template <class Op, int T, class R>
__device__ __forceinline__ R across(R x) {
  constexpr int W = T < 32 ? T : 32;
#pragma unroll
  for (int d = W / 2; d > 0; d /= 2) x = Op::of(x, __shfl_xor_sync(0xffffffffu, x, d));
  if constexpr (T > 32) {
    __shared__ R parts[T / 32];
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = parts[0];
#pragma unroll
    for (int i = 1; i < T / 32; i++) x = Op::of(x, parts[i]);
  }
  return x;
}
`;
