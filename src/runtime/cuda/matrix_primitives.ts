/** What kernels on the matrix units are written with. @module */

/** The matrix units' primitives, and the same in plain C++ for processors. */
export const MATRIX_PRIMITIVES = String.raw`
__device__ __forceinline__ unsigned packTwo(float a, float b) {
  return (unsigned)toBf16(a).bits | (unsigned)toBf16(b).bits << 16;
}
/* d += a · b, of 16×16 and 16×8. */
__device__ __forceinline__ void multiplyTile(float (&d)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
#if defined(__CUDA_ARCH__)
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
    : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
    : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  const int lane = threadIdx.x % 32, g = lane / 4, t = lane % 4;
  float sums[4] = {d[0], d[1], d[2], d[3]};
  for (int k = 0; k < 4; k++) {
    unsigned rows[4];
    for (int i = 0; i < 4; i++) rows[i] = __shfl_sync(0xffffffffu, a[i], g * 4 + k);
    for (int j = 0; j < 2; j++) {
      const unsigned x = __shfl_sync(0xffffffffu, b0, (2 * t + j) * 4 + k);
      const unsigned y = __shfl_sync(0xffffffffu, b1, (2 * t + j) * 4 + k);
      for (int half = 0; half < 2; half++) {
        const unsigned low = rows[half], high = rows[2 + half];
        sums[2 * half + j] += __uint_as_float(low << 16) * __uint_as_float(x << 16) +
          __uint_as_float(low & 0xffff0000u) * __uint_as_float(x & 0xffff0000u) +
          __uint_as_float(high << 16) * __uint_as_float(y << 16) +
          __uint_as_float(high & 0xffff0000u) * __uint_as_float(y & 0xffff0000u);
      }
    }
  }
  for (int i = 0; i < 4; i++) d[i] = sums[i];
#endif
}
/* Two neighbours of a row in shared memory. */
__device__ __forceinline__ unsigned two(const Bf16* p) { return *reinterpret_cast<const unsigned*>(p); }
/* Rows and columns of a 16×16 tile in shared memory, exchanged: what a left operand, or two right ones, need. */
__device__ __forceinline__ void transposedTile(unsigned (&r)[4], const Bf16* tile, int stride) {
  const int lane = threadIdx.x % 32;
#if defined(__CUDA_ARCH__)
  const Bf16* row = tile + (lane % 8 + (lane / 8 % 2) * 8) * stride + lane / 16 * 8;
  const unsigned address = (unsigned)__cvta_generic_to_shared(row);
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
    : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
#else
  const int g = lane / 4, t = lane % 4;
  for (int i = 0; i < 4; i++) {
    const Bf16* p = tile + (2 * t + (i % 2) * 8) * stride + i / 2 * 8 + g;
    r[i] = (unsigned)p[0].bits | (unsigned)p[stride].bits << 16;
  }
#endif
}
/* The left operand of a 16×16 tile in shared memory as it is. */
__device__ __forceinline__ void leftTile(unsigned (&a)[4], const Bf16* tile, int stride) {
  const int lane = threadIdx.x % 32;
  const Bf16* p = tile + lane / 4 * stride + lane % 4 * 2;
  a[0] = two(p);
  a[1] = two(p + 8 * stride);
  a[2] = two(p + 8);
  a[3] = two(p + 8 * stride + 8);
}
/* o += a · rows, of 16×16 and 16×E, the rows in shared memory. */
template <int E>
__device__ __forceinline__ void addProduct(float (&o)[E / 8][4], const unsigned (&a)[4], const Bf16* rows, int stride) {
#pragma unroll
  for (int e = 0; e < E; e += 16) {
    unsigned b[4];
    transposedTile(b, rows + e, stride);
    multiplyTile(o[e / 8], a, b[0], b[1]);
    multiplyTile(o[e / 8 + 1], a, b[2], b[3]);
  }
}
/* This thread's part of one of its two rows of a 16×E tile. */
template <int E>
__device__ __forceinline__ void storeRow(Bf16* row, const float (&o)[E / 8][4], int half) {
  Bf16* p = row + threadIdx.x % 4 * 2;
#pragma unroll
  for (int e = 0; e < E / 8; e++) {
    *reinterpret_cast<unsigned*>(p + 8 * e) = packTwo(o[e][2 * half], o[e][2 * half + 1]);
  }
}
/* Columns 16k to 16k + 15 of a warp's scores, as a left operand. */
template <int C>
__device__ __forceinline__ void leftScores(unsigned (&a)[4], const float (&s)[C][4], int k) {
  a[0] = packTwo(s[2 * k][0], s[2 * k][1]);
  a[1] = packTwo(s[2 * k][2], s[2 * k][3]);
  a[2] = packTwo(s[2 * k + 1][0], s[2 * k + 1][1]);
  a[3] = packTwo(s[2 * k + 1][2], s[2 * k + 1][3]);
}
`;
