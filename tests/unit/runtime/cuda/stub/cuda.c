/* A stand-in for libcuda: memory is malloc's, kernels are two known by name, and what is alive is
   counted. Work is done as late as it may be: when someone waits for it. Prototypes as in NVIDIA's cuda.h. Addresses on the "GPU" have bit 62 set, so that host
   addresses passed in their place are noticed. STUB_FAIL="cuMemAlloc_v2:2" makes a call fail. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int CUresult;
typedef int CUdevice;
typedef int CUdevice_attribute;
typedef int CUstreamCaptureMode;
typedef unsigned long long CUdeviceptr;
typedef struct CUctx_st *CUcontext;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUgraph_st *CUgraph;
typedef struct CUgraphNode_st *CUgraphNode;
typedef struct CUgraphExec_st *CUgraphExec;

#define TAG (1ull << 62)
#define INVALID_VALUE 1
#define OUT_OF_MEMORY 2
#define INVALID_CONTEXT 201
#define INVALID_HANDLE 400
#define NOT_FOUND 500
#define CAPTURE_UNSUPPORTED 900

enum { MEMORY, HOST, STREAMS, EVENTS, MODULES, GRAPHS, EXECUTABLES, CONTEXTS, LAUNCHES, COUNTS };
static int counts[COUNTS];
void stub_counts(int *into) { memcpy(into, counts, sizeof counts); }

static int fails(const char *name, CUresult *code) {
  const char *wanted = getenv("STUB_FAIL");
  size_t n = strlen(name);
  if (!wanted || strncmp(wanted, name, n) || wanted[n] != ':') return 0;
  *code = atoi(wanted + n + 1);
  return 1;
}
#define ENTER(name) do { CUresult code_; if (fails(name, &code_)) return code_; } while (0)

/* ---- what is done when a stream gets there, or recorded ---- */
typedef void (*Work)(void *data);
typedef struct Node { Work work; void *data; size_t bytes; struct Node *next; } Node;
struct CUgraph_st { Node *first, **last; size_t count; };
struct CUgraphExec_st { Node *first; };
struct CUstream_st { struct CUgraph_st *capturing; unsigned flags; Node *pending, **last; };
static int pending; /* on all streams */
struct CUctx_st { int unused; };
static struct CUctx_st primary;
static CUcontext current;

static Node *node(Work work, const void *data, size_t bytes) {
  Node *made = malloc(sizeof *made);
  made->work = work; made->bytes = bytes; made->next = NULL;
  made->data = memcpy(malloc(bytes + 1), data, bytes);
  return made;
}
CUresult stub_enqueue(CUstream stream, Work work, const void *data, size_t bytes) {
  if (!current) return INVALID_CONTEXT;
  if (!stream || stream->flags != 1) return INVALID_HANDLE;
  Node *made = node(work, data, bytes);
  if (stream->capturing) {
    *stream->capturing->last = made;
    stream->capturing->last = &made->next;
    stream->capturing->count++;
  } else {
    *stream->last = made;
    stream->last = &made->next;
    pending++;
  }
  return 0;
}
/* Do work in order until `done` is set, or all of it. */
static void drain(CUstream stream, const int *done) {
  while (stream->pending && !(done && *done)) {
    Node *first = stream->pending;
    if (!(stream->pending = first->next)) stream->last = &stream->pending;
    first->work(first->data);
    free(first->data); free(first);
    pending--;
  }
}

/* ---- memory ---- */
typedef struct Block { char *at; size_t bytes; struct Block *next; } Block;
static Block *blocks;
static size_t used;
static size_t limit(void) { return getenv("STUB_MEMORY") ? strtoull(getenv("STUB_MEMORY"), 0, 10) : 1ull << 30; }
char *stub_memory(CUdeviceptr p, size_t bytes) {
  if (!(p & TAG)) return NULL;
  char *at = (char *)(uintptr_t)(p & ~TAG);
  for (Block *b = blocks; b; b = b->next)
    if (at >= b->at && at + bytes <= b->at + b->bytes) return at;
  return NULL;
}

CUresult cuInit(unsigned int flags) { ENTER("cuInit"); return flags ? INVALID_VALUE : 0; }
CUresult cuGetErrorName(CUresult error, const char **text) {
  *text = error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" :
    error == 100 ? "CUDA_ERROR_NO_DEVICE" : error == 500 ? "CUDA_ERROR_NOT_FOUND" : "CUDA_ERROR_OTHER";
  return 0;
}
CUresult cuGetErrorString(CUresult error, const char **text) {
  if (error == 999) { *text = NULL; return INVALID_VALUE; }
  *text = error == 700 ? "an illegal memory access was encountered" : "what went wrong";
  return 0;
}
CUresult cuDriverGetVersion(int *version) { *version = 12080; return 0; }
CUresult cuDeviceGetCount(int *count) { *count = 1; return 0; }
CUresult cuDeviceGet(CUdevice *device, int ordinal) { *device = 7 + ordinal; return 0; }
CUresult cuDeviceGetName(char *name, int len, CUdevice dev) {
  snprintf(name, len, "Stub %d", dev);
  return 0;
}
CUresult cuDeviceGetAttribute(int *pi, CUdevice_attribute attrib, CUdevice dev) {
  if (dev != 7) return 101;
  const char *major = getenv("STUB_MAJOR");
  *pi = attrib == 16 ? 132 : attrib == 75 ? (major ? atoi(major) : 9) : attrib == 76 ? 0 : -1;
  return 0;
}
CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice dev) { *bytes = limit(); return dev == 7 ? 0 : 101; }
CUresult cuDevicePrimaryCtxRetain(CUcontext *pctx, CUdevice dev) {
  if (dev != 7) return 101;
  counts[CONTEXTS]++; *pctx = &primary; return 0;
}
CUresult cuDevicePrimaryCtxRelease_v2(CUdevice dev) { counts[CONTEXTS]--; return dev == 7 ? 0 : 101; }
CUresult cuCtxSetCurrent(CUcontext ctx) { current = ctx; return ctx == &primary ? 0 : INVALID_CONTEXT; }
CUresult cuMemGetInfo_v2(size_t *free_, size_t *total) { *total = limit(); *free_ = limit() - used; return 0; }
CUresult cuMemAlloc_v2(CUdeviceptr *dptr, size_t bytes) {
  ENTER("cuMemAlloc_v2");
  if (!current) return INVALID_CONTEXT;
  if (bytes == 0) return INVALID_VALUE;
  if (used + bytes > limit()) return OUT_OF_MEMORY;
  Block *b = malloc(sizeof *b);
  b->at = aligned_alloc(256, (bytes + 255) / 256 * 256); b->bytes = bytes; b->next = blocks;
  memset(b->at, 0xff, bytes);
  blocks = b; used += bytes; counts[MEMORY]++;
  *dptr = (uintptr_t)b->at | TAG;
  return 0;
}
CUresult cuMemFree_v2(CUdeviceptr p) {
  if (pending) return 999; /* the real one waits; the device should have */
  for (Block **b = &blocks; *b; b = &(*b)->next)
    if (((uintptr_t)(*b)->at | TAG) == p) {
      Block *gone = *b;
      *b = gone->next; used -= gone->bytes; counts[MEMORY]--;
      free(gone->at); free(gone);
      return 0;
    }
  return INVALID_VALUE;
}
CUresult cuMemHostAlloc(void **pp, size_t bytes, unsigned int flags) {
  if (flags) return INVALID_VALUE;
  counts[HOST]++; *pp = malloc(bytes); return 0;
}
CUresult cuMemFreeHost(void *p) { counts[HOST]--; free(p); return 0; }

struct copy { void *to; const void *from; size_t bytes; };
static void copy(void *data) { struct copy *c = data; memmove(c->to, c->from, c->bytes); }
static void clear(void *data) { struct copy *c = data; memset(c->to, (int)(uintptr_t)c->from, c->bytes); }
static CUresult enqueue_copy(CUstream stream, Work work, void *to, const void *from, size_t bytes) {
  struct copy c = { to, from, bytes };
  return stub_enqueue(stream, work, &c, sizeof c);
}
CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  ENTER("cuMemcpyHtoDAsync_v2");
  void *at = stub_memory(to, bytes);
  return at && !((uintptr_t)from & TAG) ? enqueue_copy(stream, copy, at, from, bytes) : INVALID_VALUE;
}
CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  void *at = stub_memory(from, bytes);
  return at ? enqueue_copy(stream, copy, to, at, bytes) : INVALID_VALUE;
}
CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  void *a = stub_memory(to, bytes), *b = stub_memory(from, bytes);
  return a && b ? enqueue_copy(stream, copy, a, b, bytes) : INVALID_VALUE;
}
CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char uc, size_t n, CUstream stream) {
  void *at = stub_memory(to, n);
  return at ? enqueue_copy(stream, clear, at, (void *)(uintptr_t)uc, n) : INVALID_VALUE;
}

CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
  ENTER("cuStreamCreate");
  *stream = calloc(1, sizeof **stream); (*stream)->flags = flags; (*stream)->last = &(*stream)->pending; counts[STREAMS]++;
  return 0;
}
CUresult cuStreamDestroy_v2(CUstream stream) { counts[STREAMS]--; free(stream); return 0; }
CUresult cuStreamSynchronize(CUstream stream) {
  ENTER("cuStreamSynchronize");
  if (stream->capturing) return CAPTURE_UNSUPPORTED;
  drain(stream, NULL);
  return 0;
}
CUresult cuStreamBeginCapture_v2(CUstream stream, CUstreamCaptureMode mode) {
  if (stream->capturing || mode < 0 || mode > 2) return INVALID_VALUE;
  CUgraph graph = calloc(1, sizeof *graph);
  graph->last = &graph->first; counts[GRAPHS]++;
  stream->capturing = graph;
  return 0;
}
CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
  if (!stream->capturing) return INVALID_VALUE;
  *graph = stream->capturing; stream->capturing = NULL;
  return 0;
}
CUresult cuGraphGetNodes(CUgraph graph, CUgraphNode *nodes, size_t *count) {
  if (nodes) return INVALID_VALUE;
  *count = graph->count; return 0;
}
CUresult cuGraphInstantiateWithFlags(CUgraphExec *exec, CUgraph graph, unsigned long long flags) {
  ENTER("cuGraphInstantiateWithFlags");
  if (flags) return INVALID_VALUE;
  *exec = calloc(1, sizeof **exec); counts[EXECUTABLES]++;
  Node **last = &(*exec)->first;
  for (Node *n = graph->first; n; n = n->next) { *last = node(n->work, n->data, n->bytes); last = &(*last)->next; }
  return 0;
}
CUresult cuGraphLaunch(CUgraphExec exec, CUstream stream) {
  ENTER("cuGraphLaunch");
  if (!stream || !current) return INVALID_HANDLE;
  for (Node *n = exec->first; n; n = n->next) stub_enqueue(stream, n->work, n->data, n->bytes);
  return 0;
}
static void free_nodes(Node *n) { while (n) { Node *next = n->next; free(n->data); free(n); n = next; } }
CUresult cuGraphExecDestroy(CUgraphExec exec) { counts[EXECUTABLES]--; free_nodes(exec->first); free(exec); return 0; }
CUresult cuGraphDestroy(CUgraph graph) { counts[GRAPHS]--; free_nodes(graph->first); free(graph); return 0; }

/* ---- kernels: an image is its source, prefixed with "STUB " ---- */
struct CUmod_st { char *text; };
struct CUfunc_st { int kind; };
static struct CUfunc_st fill_function = { 1 }, add_function = { 2 };
CUresult cuModuleLoadData(CUmodule *module, const void *image) {
  if (strncmp(image, "STUB ", 5)) return 200;
  *module = calloc(1, sizeof **module); (*module)->text = strdup(image); counts[MODULES]++;
  return 0;
}
CUresult cuModuleUnload(CUmodule module) { counts[MODULES]--; free(module->text); free(module); return 0; }
CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  if (!strstr(module->text, name)) return NOT_FOUND;
  *function = !strcmp(name, "fill") ? &fill_function : &add_function;
  return 0;
}
/* fill(float *to, long long n, long long value): to[i] = value; add(a, b, to, n): to[i] = a[i] + b[i] */
struct launch { int kind; unsigned grid[3], threads; uint64_t arguments[4]; };
static void run(void *data) {
  struct launch *l = data;
  counts[LAUNCHES]++;
  if (l->kind == 1) {
    long long n = l->arguments[1], value = l->arguments[2];
    float *to = (float *)stub_memory(l->arguments[0], n * 4);
    long long threads = (long long)l->grid[0] * l->grid[1] * l->grid[2] * l->threads;
    for (long long i = 0; i < n && i < threads; i++) to[i] = (float)value;
  } else {
    long long n = l->arguments[3];
    float *a = (float *)stub_memory(l->arguments[0], n * 4), *b = (float *)stub_memory(l->arguments[1], n * 4);
    float *to = (float *)stub_memory(l->arguments[2], n * 4);
    for (long long i = 0; i < n; i++) to[i] = a[i] + b[i];
  }
}
CUresult cuFuncSetAttribute(CUfunction f, int attribute, int value) {
  ENTER("cuFuncSetAttribute");
  return f && attribute == 8 && value > 0 ? 0 : INVALID_VALUE;
}

CUresult cuLaunchKernel(CUfunction f, unsigned int gridX, unsigned int gridY, unsigned int gridZ,
                        unsigned int blockX, unsigned int blockY, unsigned int blockZ,
                        unsigned int sharedBytes, CUstream stream, void **parameters, void **extra) {
  ENTER("cuLaunchKernel");
  if (!gridX || !gridY || !gridZ || !blockX || blockY != 1 || blockZ != 1 || sharedBytes || extra) return INVALID_VALUE;
  struct launch l = { f->kind, { gridX, gridY, gridZ }, blockX, { 0 } };
  for (int i = 0; i < (f->kind == 1 ? 3 : 4); i++) memcpy(&l.arguments[i], parameters[i], 8);
  return stub_enqueue(stream, run, &l, sizeof l);
}

struct CUevent_st { unsigned flags; int done; CUstream stream; };
CUresult cuEventCreate(CUevent *event, unsigned int flags) {
  *event = calloc(1, sizeof **event); (*event)->flags = flags; (*event)->done = 1; counts[EVENTS]++;
  return 0;
}
static void happen(void *data) { (*(CUevent *)data)->done = 1; }
CUresult cuEventRecord(CUevent event, CUstream stream) {
  event->done = 0; event->stream = stream;
  return stub_enqueue(stream, happen, &event, sizeof event);
}
CUresult cuEventSynchronize(CUevent event) {
  if (!event->done) drain(event->stream, &event->done);
  return event->done ? 0 : INVALID_HANDLE;
}
/* A clock that runs backwards: of the ways to compute a product, the last one seems fastest. */
CUresult cuEventElapsedTime(float *ms, CUevent start, CUevent end) {
  static float next = 1000;
  if (start == end || start->flags & 2 || end->flags & 2 || !start->done || !end->done) return INVALID_HANDLE;
  *ms = next -= 1;
  return 0;
}
CUresult cuEventDestroy_v2(CUevent event) { counts[EVENTS]--; free(event); return 0; }
