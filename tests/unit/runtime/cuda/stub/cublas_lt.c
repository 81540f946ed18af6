/* A stand-in for libcublasLt: float32 products, column-major, one element after the other. Prototypes
   as in NVIDIA's cublasLt.h. Descriptors alive are counted; addresses that are less aligned than was
   promised are refused. There are epilogues, but not for CUBLAS_COMPUTE_32F_FAST_16BF. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef int cublasStatus_t;
typedef int cublasComputeType_t;
typedef int cudaDataType_t;
typedef struct CUstream_st *cudaStream_t;
typedef struct cublasLtContext *cublasLtHandle_t;
typedef struct { uint64_t data[8]; } cublasLtMatmulAlgo_t;
typedef struct {
  cublasLtMatmulAlgo_t algo;
  size_t workspaceSize;
  cublasStatus_t state;
  float wavesCount;
  int reserved[4];
} cublasLtMatmulHeuristicResult_t;
typedef struct {
  int compute, scale, transa, transb;
  uint32_t epilogue;
  void *aux;
  int64_t aux_ld, aux_stride;
} *cublasLtMatmulDesc_t;
typedef struct { int type; uint64_t rows, cols; int64_t ld; int32_t batch; int64_t stride; } *cublasLtMatrixLayout_t;
typedef struct { uint64_t workspace; uint32_t alignment[4]; } *cublasLtMatmulPreference_t;

#define INVALID 7
#define NOT_SUPPORTED 15
#define ALIVE 0x600d
enum { DEFAULT = 1, RELU_AUX = 130, DRELU = 136 };

int stub_enqueue(cudaStream_t stream, void (*work)(void *), const void *data, size_t bytes);
char *stub_memory(unsigned long long p, size_t bytes);

static int alive, last_way, last_compute;
void stub_products(int *into) { into[0] = alive; into[1] = last_way; into[2] = last_compute; }

size_t cublasLtGetVersion(void) { return 120805; }
const char *cublasLtGetStatusString(cublasStatus_t status) { return status == 13 ? "the GPU program failed to execute" : "a status"; }
cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) { alive++; *handle = (cublasLtHandle_t)ALIVE; return 0; }
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) { alive--; return handle == (cublasLtHandle_t)ALIVE ? 0 : INVALID; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *desc, cublasComputeType_t compute, cudaDataType_t scale) {
  *desc = calloc(1, sizeof **desc);
  (*desc)->compute = compute; (*desc)->scale = scale; (*desc)->epilogue = DEFAULT; alive++;
  return 0;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) { alive--; free(desc); return 0; }
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, int attr, const void *buf, size_t bytes) {
  struct { int attr; void *field; size_t bytes; } known[] = {
    {3, &desc->transa, sizeof(int32_t)}, {4, &desc->transb, sizeof(int32_t)}, {7, &desc->epilogue, sizeof(uint32_t)},
    {11, &desc->aux, sizeof(void *)}, {12, &desc->aux_ld, sizeof(int64_t)}, {13, &desc->aux_stride, sizeof(int64_t)},
  };
  for (size_t i = 0; i < sizeof known / sizeof *known; i++)
    if (known[i].attr == attr && known[i].bytes == bytes) { memcpy(known[i].field, buf, bytes); return 0; }
  return INVALID;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *layout, cudaDataType_t type, uint64_t rows, uint64_t cols, int64_t ld) {
  if (!rows || !cols || ld < (int64_t)rows) return INVALID;
  *layout = calloc(1, sizeof **layout);
  (*layout)->type = type; (*layout)->rows = rows; (*layout)->cols = cols; (*layout)->ld = ld; (*layout)->batch = 1;
  alive++;
  return 0;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) { alive--; free(layout); return 0; }
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout, int attr, const void *buf, size_t bytes) {
  if (attr == 5 && bytes == sizeof(int32_t)) memcpy(&layout->batch, buf, bytes);
  else if (attr == 6 && bytes == sizeof(int64_t)) memcpy(&layout->stride, buf, bytes);
  else return INVALID;
  return 0;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *pref) { *pref = calloc(1, sizeof **pref); alive++; return 0; }
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t pref) { alive--; free(pref); return 0; }
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t pref, int attr, const void *buf, size_t bytes) {
  if (attr == 1 && bytes == sizeof(uint64_t)) memcpy(&pref->workspace, buf, bytes);
  else if (attr >= 5 && attr <= 8 && bytes == sizeof(uint32_t)) memcpy(&pref->alignment[attr - 5], buf, bytes);
  else return INVALID;
  return 0;
}

static int fits(cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t d) {
  uint64_t m = op->transa ? a->cols : a->rows, k = op->transa ? a->rows : a->cols;
  uint64_t k2 = op->transb ? b->cols : b->rows, n = op->transb ? b->rows : b->cols;
  return m == d->rows && n == d->cols && k == k2 && a->batch == d->batch && b->batch == d->batch;
}

/* Whether the bits of an epilogue can lie where they are said to. */
static int can_mask(cublasLtMatmulDesc_t op, cublasLtMatrixLayout_t d) {
  if (op->epilogue == DEFAULT) return 1;
  if (op->epilogue != RELU_AUX && op->epilogue != DRELU) return 0;
  if (!op->aux || (uintptr_t)op->aux % 16 || op->aux_ld % 128 || op->aux_ld < (int64_t)d->rows) return 0;
  return d->batch == 1 || (op->aux_stride % 128 == 0 && op->aux_stride >= op->aux_ld * (int64_t)d->cols);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t op,
    cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
    cublasLtMatmulPreference_t pref, int requested, cublasLtMatmulHeuristicResult_t results[], int *found) {
  if (handle != (cublasLtHandle_t)ALIVE || op->scale != 0 || c->type != d->type) return INVALID;
  if (pref->workspace < (32u << 20)) return INVALID;
  *found = 0;
  if (a->type != 0 || b->type != 0 || d->type != 0) return NOT_SUPPORTED;
  if (!fits(op, a, b, d) || !can_mask(op, d)) return INVALID;
  if (op->epilogue != DEFAULT && op->compute == 75) return NOT_SUPPORTED;
  for (int i = 0; i < requested && i < 4; i++) {
    memset(&results[i], 0, sizeof results[i]);
    for (int j = 0; j < 8; j++) results[i].algo.data[j] = 1000 + j;
    results[i].algo.data[0] = i;
    results[i].algo.data[1] = pref->alignment[0];
    results[i].workspaceSize = pref->workspace;
    results[i].state = i == 1 ? NOT_SUPPORTED : 0;
    (*found)++;
  }
  return 0;
}

struct product {
  float alpha, beta;
  const float *a, *b, *c; float *d;
  int transa, transb, batch;
  long m, n, k, lda, ldb, ldc, sa, sb, sc;
  int epilogue;
  uint8_t *bits;
  long bits_ld, bits_stride;
};
static void multiply(void *data) {
  struct product *p = data;
  for (int z = 0; z < p->batch; z++)
    for (long j = 0; j < p->n; j++)
      for (long i = 0; i < p->m; i++) {
        float sum = 0;
        for (long l = 0; l < p->k; l++) {
          float x = p->a[z * p->sa + (p->transa ? l + i * p->lda : i + l * p->lda)];
          float y = p->b[z * p->sb + (p->transb ? j + l * p->ldb : l + j * p->ldb)];
          sum += x * y;
        }
        long at = z * p->sc + i + j * p->ldc;
        float result = p->alpha * sum + (p->beta ? p->beta * p->c[at] : 0);
        if (p->epilogue != DEFAULT) {
          long bit = z * p->bits_stride + j * p->bits_ld + i;
          uint8_t *byte = p->bits + bit / 8, mask = 1 << bit % 8;
          if (p->epilogue == RELU_AUX) *byte = result > 0 ? *byte | mask : *byte & ~mask;
          if (!(*byte & mask)) result = 0;
        }
        p->d[at] = result;
      }
}

static float *memory(const void *p, cublasLtMatrixLayout_t l) {
  return (float *)stub_memory((uintptr_t)p, 4 * ((l->batch - 1) * l->stride + (l->cols - 1) * l->ld + l->rows));
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t op, const void *alpha,
    const void *A, cublasLtMatrixLayout_t a, const void *B, cublasLtMatrixLayout_t b, const void *beta,
    const void *C, cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
    const cublasLtMatmulAlgo_t *algo, void *workspace, size_t workspaceBytes, cudaStream_t stream) {
  if (handle != (cublasLtHandle_t)ALIVE || !fits(op, a, b, d) || !can_mask(op, d)) return INVALID;
  for (int j = 2; j < 8; j++) if (algo->data[j] != (uint64_t)1000 + j) return INVALID;
  if (algo->data[0] == 1 || algo->data[0] > 3) return NOT_SUPPORTED;
  uintptr_t all = (uintptr_t)A | (uintptr_t)B | (uintptr_t)C | (uintptr_t)D;
  if (all % algo->data[1]) return 13;
  if (!stub_memory((uintptr_t)workspace, workspaceBytes)) return INVALID;
  last_way = (int)algo->data[0]; last_compute = op->compute;
  struct product p = {
    *(const float *)alpha, *(const float *)beta, memory(A, a), memory(B, b), memory(C, c), memory(D, d),
    op->transa, op->transb, d->batch, d->rows, d->cols, op->transa ? a->rows : a->cols,
    a->ld, b->ld, d->ld, a->stride, b->stride, d->stride, op->epilogue, 0, op->aux_ld, op->aux_stride,
  };
  if (op->epilogue != DEFAULT) {
    long bits = (d->batch - 1) * op->aux_stride + op->aux_ld * d->cols;
    p.bits = (uint8_t *)stub_memory((uintptr_t)op->aux, bits / 8);
    if (!p.bits) return INVALID;
  }
  if (!p.a || !p.b || !p.c || !p.d || c->ld != d->ld || c->stride != d->stride) return INVALID;
  return stub_enqueue(stream, multiply, &p, sizeof p) ? 13 : 0;
}
