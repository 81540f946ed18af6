/**
 * The C++ library below the host device: memory, matrix products, and the threads of a block as
 * fibers that take turns on one thread of the operating system.
 *
 * @module
 */
import { HOST_INTERFACE } from "./host_shim.ts";

/**
 * A kernel that waits runs each thread on a stack of its own. A thread runs until it waits; a warp goes
 * on when all its threads that still run wait in the same line, a block likewise. What can never go on,
 * and what the processor refuses, ends the launch with a message.
 */
const SCHEDULER = String.raw`
typedef unsigned long long Word;
#if defined(__x86_64__)
asm(R"(
.text
.type deeprag_switch,@function
deeprag_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  popq %rcx
  jmp *%rcx
)");
static void* newStack(char* top, void (*entry)()) {
  Word* sp = (Word*)top - 8;
  memset(sp, 0, 64);
  sp[6] = (Word)entry;
  return sp;
}
#elif defined(__aarch64__)
asm(R"(
.text
.type deeprag_switch,%function
deeprag_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
)");
static void* newStack(char* top, void (*entry)()) {
  Word* sp = (Word*)top - 20;
  memset(sp, 0, 160);
  sp[11] = (Word)entry;
  return sp;
}
#else
#error "the host device knows x86-64 and aarch64 only"
#endif
extern "C" void deeprag_switch(void** save, void* to);

struct Fiber { void* sp; int line; unsigned mask; };
/* Sets of lanes of a warp, and what they gave and get. Those that wait are mixed if not in one place. */
struct Warp { unsigned live, ready, atWarp, atBlock; bool isMixed; Word given[32], all[32]; };
static const unsigned MOST_THREADS = 1024;
static const size_t STACK_BYTES = 65536;
static const Word CANARY = 0x5afe57acc0ffee00ull;
static Fiber fibers[MOST_THREADS];
static char* stacks;
static Warp warps[MOST_THREADS / 32];
static unsigned current;
static void* scheduler;
static const DeepragJob* job;
static volatile bool isRunning;
static pthread_t runner;
static jmp_buf escape;
static char message[512];

__attribute__((noreturn, format(printf, 1, 2))) static void fail(const char* format, ...) {
  va_list list;
  va_start(list, format);
  const int n = snprintf(message, sizeof message, "in block (%u, %u, %u), ", job->block->x, job->block->y, job->block->z);
  vsnprintf(message + n, sizeof message - n, format, list);
  va_end(list);
  _longjmp(escape, 1);
}
/* Goes on with the next lane of the warp that can run, or else with the scheduler. */
static void proceed(void** save) {
  Warp& w = warps[current / 32];
  if (!w.ready) return deeprag_switch(save, scheduler);
  current = job->thread->x = (current & ~31u) + __builtin_ctz(w.ready);
  w.ready &= w.ready - 1;
  deeprag_switch(save, fibers[current].sp);
}
static void enter() {
  job->body(job->arguments, current, current + 1);
  warps[current / 32].live &= ~(1u << current % 32);
  void* unused;
  proceed(&unused);
}
static Fiber& arrive(int line, unsigned mask) {
  if (!job->hasBarriers) fail("thread %u waits in line %d, but its signature says that no thread does", job->thread->x, line);
  Fiber& f = fibers[current];
  f.line = line;
  f.mask = mask;
  return f;
}
static void waitBlock(int line) {
  Fiber& f = arrive(line, 0);
  warps[current / 32].atBlock |= 1u << current % 32;
  proceed(&f.sp);
}
static const Word* waitWarp(int line, unsigned mask, Word value) {
  Fiber& f = arrive(line, mask);
  const unsigned lane = current % 32;
  if (!(mask >> lane & 1)) fail("thread %u waits in line %d for a mask without its own lane", current, line);
  Warp& w = warps[current / 32];
  if (w.atWarp) {
    const Fiber& other = fibers[(current & ~31u) + __builtin_ctz(w.atWarp)];
    w.isMixed |= other.line != line || other.mask != mask;
  }
  w.atWarp |= 1u << lane;
  w.given[lane] = value;
  proceed(&f.sp);
  return w.all;
}
static void release(Warp& w, unsigned lanes) {
  memset(w.all, 0xff, sizeof w.all);
  for (unsigned rest = lanes; rest; rest &= rest - 1) w.all[__builtin_ctz(rest)] = w.given[__builtin_ctz(rest)];
  w.ready |= lanes;
  w.atWarp &= ~lanes;
}
/* Lets lanes go on that all wait for each other. */
static void releaseWarp(unsigned first) {
  Warp& w = warps[first / 32];
  unsigned waiting = w.atWarp;
  if (waiting && !w.isMixed) {
    if (!(fibers[first + __builtin_ctz(waiting)].mask & w.live & ~waiting)) release(w, waiting);
    return;
  }
  w.isMixed = false;
  while (waiting) {
    const Fiber& f = fibers[first + __builtin_ctz(waiting)];
    unsigned same = 0;
    for (unsigned rest = waiting; rest; rest &= rest - 1) {
      const Fiber& other = fibers[first + __builtin_ctz(rest)];
      if (other.line == f.line && other.mask == f.mask) same |= rest & -rest;
    }
    waiting &= ~same;
    /* Values of one group only are passed on at a time. */
    if (f.mask & w.live & ~same || w.ready) w.isMixed = true;
    else release(w, same);
  }
}
__attribute__((noreturn)) static void failStuck(unsigned a, unsigned b) {
  const char* const what[] = {"block", "warp"};
  fail("threads wait for each other for ever: thread %u for its %s in line %d, thread %u for its %s in line %d",
    a, what[warps[a / 32].atWarp >> a % 32 & 1], fibers[a].line,
    b, what[warps[b / 32].atWarp >> b % 32 & 1], fibers[b].line);
}
/* All threads that still run must wait in one place, for the block. */
static bool releaseBlock() {
  const unsigned none = ~0u;
  unsigned first = none;
  for (unsigned t = 0; t < job->threads; t++) {
    if (!(warps[t / 32].live >> t % 32 & 1)) continue;
    if (first == none) first = t;
    if (fibers[t].line != fibers[first].line || fibers[t].mask != fibers[first].mask) failStuck(first, t);
  }
  if (first == none) return false;
  for (unsigned i = 0; i * 32 < job->threads; i++) {
    warps[i].ready = warps[i].atBlock;
    warps[i].atBlock = 0;
  }
  return true;
}
static void runBlock() {
  const unsigned threads = job->threads;
  for (unsigned t = 0; t < threads; t++) {
    /* Tops are staggered, or all would compete for the same lines of the cache. */
    fibers[t].sp = newStack(stacks + (t + 1) * STACK_BYTES - t % 32 * 320, enter);
  }
  for (unsigned first = 0; first < threads; first += 32) {
    Warp& w = warps[first / 32];
    w.live = w.ready = threads - first < 32 ? (1u << (threads - first)) - 1 : ~0u;
    w.atWarp = w.atBlock = 0;
    w.isMixed = false;
  }
  do {
    for (unsigned first = 0; first < threads; first += 32) {
      while (warps[first / 32].ready) {
        current = first;
        proceed(&scheduler);
        releaseWarp(first);
      }
    }
  } while (releaseBlock());
}
static const int SIGNALS[] = {SIGSEGV, SIGBUS, SIGFPE};
static struct sigaction before[3];
static int faultNumber;
static void* faultAddress;
static void onFault() {
  if (faultNumber == SIGFPE) fail("thread %u divides an integer by zero", job->thread->x);
  fail("thread %u touches address %p outside memory, or one that is not aligned", job->thread->x, faultAddress);
}
/* The launch ends after the return from here: only that gives back the thread's rights to V8's memory. */
static void onSignal(int number, siginfo_t* info, void* context) {
  if (isRunning && pthread_equal(pthread_self(), runner)) {
    isRunning = false;
    faultNumber = number;
    faultAddress = info->si_addr;
    mcontext_t& machine = ((ucontext_t*)context)->uc_mcontext;
#if defined(__x86_64__)
    machine.gregs[REG_RSP] = ((machine.gregs[REG_RSP] - 256) & ~15ll) - 8;
    machine.gregs[REG_RIP] = (greg_t)onFault;
#else
    machine.pc = (Word)onFault;
#endif
    return;
  }
  const struct sigaction& old = before[number == SIGSEGV ? 0 : number == SIGBUS ? 1 : 2];
  if (old.sa_flags & SA_SIGINFO) old.sa_sigaction(number, info, context);
  else if (old.sa_handler == SIG_DFL || old.sa_handler == SIG_IGN) signal(number, SIG_DFL);
  else old.sa_handler(number);
}
static void prepare() {
  static bool isPrepared;
  if (isPrepared) return;
  isPrepared = true;
  struct sigaction action = {};
  action.sa_sigaction = onSignal;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&action.sa_mask);
  for (int i = 0; i < 3; i++) sigaction(SIGNALS[i], &action, &before[i]);
}
static int run(const DeepragJob* what) {
  prepare();
  job = what;
  message[0] = 0;
  if (job->hasBarriers && !stacks) {
    stacks = (char*)aligned_alloc(4096, MOST_THREADS * STACK_BYTES);
    if (!stacks) { snprintf(message, sizeof message, "no memory for the stacks of its threads"); return 1; }
  }
  if (job->hasBarriers) for (unsigned t = 0; t < job->threads; t++) *(Word*)(stacks + t * STACK_BYTES) = CANARY;
  runner = pthread_self();
  isRunning = true;
  if (_setjmp(escape)) { isRunning = false; return 1; }
  dim3& b = *job->block;
  for (b.z = 0; b.z < job->grid[2]; b.z++)
    for (b.y = 0; b.y < job->grid[1]; b.y++)
      for (b.x = 0; b.x < job->grid[0]; b.x++) {
        if (job->hasBarriers) runBlock();
        else job->body(job->arguments, 0, job->threads);
      }
  isRunning = false;
  if (job->hasBarriers) for (unsigned t = 0; t < job->threads; t++) {
    if (*(Word*)(stacks + t * STACK_BYTES) == CANARY) continue;
    snprintf(message, sizeof message, "a thread needs more than %zu bytes of stack", STACK_BYTES);
    return 1;
  }
  return 0;
}
static const DeepragHost host = {run, waitBlock, waitWarp};
extern "C" const DeepragHost* deeprag_host() { return &host; }
extern "C" void deeprag_message(char* into, size_t bytes) { snprintf(into, bytes, "%s", message); }
extern "C" void deeprag_close() { free(stacks); stacks = nullptr; }
`;

/** Memory has a zone of a known pattern on both sides, and is all ones (a NaN) at first. */
const MEMORY = String.raw`
static const size_t ALIGNMENT = 256, ZONE_BYTES = 64;
static const int ZONE = 0xa5;
extern "C" Word deeprag_allocate(Word bytes) {
  const size_t all = (ALIGNMENT + bytes + ZONE_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  if (all < bytes) return 0;
  char* start = (char*)aligned_alloc(ALIGNMENT, all);
  if (!start) return 0;
  memset(start, ZONE, ALIGNMENT);
  memset(start + ALIGNMENT, 0xff, bytes);
  memset(start + ALIGNMENT + bytes, ZONE, ZONE_BYTES);
  return (Word)(start + ALIGNMENT);
}
extern "C" void deeprag_free(Word p) { free((char*)p - ALIGNMENT); }
extern "C" void deeprag_move(Word to, Word from, Word bytes) { memmove((void*)to, (void*)from, bytes); }
extern "C" void deeprag_upload(Word to, const void* from, Word bytes) { memcpy((void*)to, from, bytes); }
extern "C" void deeprag_download(void* into, Word from, Word bytes) { memcpy(into, (void*)from, bytes); }
extern "C" void deeprag_clear(Word p, Word bytes) { memset((void*)p, 0, bytes); }
static bool isZone(const unsigned char* p) {
  for (size_t i = 0; i < ZONE_BYTES; i++) if (p[i] != ZONE) return false;
  return true;
}
/* Pairs of pointer and bytes: place of the first whose zones were written to, or -1. */
extern "C" long long deeprag_damaged(const Word* table, Word n) {
  for (Word i = 0; i < n; i++) {
    const unsigned char* p = (const unsigned char*)table[2 * i];
    if (!isZone(p - ZONE_BYTES) || !isZone(p + table[2 * i + 1])) return i;
  }
  return -1;
}
`;

/** Products: operands are rounded, sums are float64 and rounded to float32 before the addend. */
const PRODUCT = String.raw`
enum Precision { FLOAT32, TF32, BFLOAT16 };
static inline float ofBits(unsigned u) { float x; memcpy(&x, &u, 4); return x; }
static inline unsigned bitsOf(float x) { unsigned u; memcpy(&u, &x, 4); return u; }
static inline unsigned short toBf16(float x) {
  const unsigned u = bitsOf(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return 0x7fff;
  return (u + 0x7fffu + (u >> 16 & 1)) >> 16;
}
static inline float toTf32(float x) {
  const unsigned u = bitsOf(x);
  return (u & 0x7f800000u) == 0x7f800000u ? x : ofBits((u + 0x1000u) & ~0x1fffu);
}
static inline float load(const void* p, bool isBf16, long long i) {
  return isBf16 ? ofBits((unsigned)((const unsigned short*)p)[i] << 16) : ((const float*)p)[i];
}
/* rows x columns, rounded and row-major, of a matrix that may be stored transposed. */
static void gather(double* out, const void* p, bool isBf16, long long at, long long stride, bool isTransposed,
                   long long rows, long long columns, int precision) {
  for (long long i = 0; i < rows; i++)
    for (long long j = 0; j < columns; j++) {
      float x = load(p, isBf16, at + (isTransposed ? j * stride + i : i * stride + j));
      if (precision == TF32) x = toTf32(x);
      if (precision == BFLOAT16) x = ofBits((unsigned)toBf16(x) << 16);
      out[i * columns + j] = x;
    }
}
enum Epilogue { NONE, RELU, RELU_GRADIENT };
/* d: m n k batch | transposeA B | is operand, c bfloat16 | precision | row, batch stride of a, b, c |
   epilogue, row stride of its bits */
extern "C" int deeprag_multiply(const long long* d, Word a, Word b, Word c, Word addend, Word auxiliary) {
  const long long m = d[0], n = d[1], k = d[2], batch = d[3];
  const bool isC16 = d[7];
  double* left = (double*)malloc(sizeof(double) * (m * k + 1));
  double* right = (double*)malloc(sizeof(double) * (k * n + 1));
  double* sums = (double*)malloc(sizeof(double) * (n + 1));
  const bool isEnough = left && right && sums;
  for (long long q = 0; isEnough && q < batch; q++) {
    if (q == 0 || d[10]) gather(left, (void*)a, d[6], q * d[10], d[9], d[4], m, k, d[8]);
    if (q == 0 || d[12]) gather(right, (void*)b, d[6], q * d[12], d[11], d[5], k, n, d[8]);
    for (long long i = 0; i < m; i++) {
      for (long long j = 0; j < n; j++) sums[j] = 0;
      for (long long h = 0; h < k; h++) {
        const double x = left[i * k + h];
        const double* row = right + h * n;
        for (long long j = 0; j < n; j++) sums[j] += x * row[j];
      }
      const long long at = q * d[14] + i * d[13];
      unsigned char* bits = (unsigned char*)(auxiliary + (q * m + i) * d[16] / 8);
      if (d[15] == RELU) memset(bits, 0, d[16] / 8);
      for (long long j = 0; j < n; j++) {
        float x = sums[j];
        if (addend) x += load((void*)addend, isC16, at + j);
        if (d[15] == RELU && x > 0) bits[j / 8] |= 1 << j % 8;
        if (d[15] != NONE && !(bits[j / 8] >> j % 8 & 1)) x = 0;
        if (isC16) ((unsigned short*)c)[at + j] = toBf16(x);
        else ((float*)c)[at + j] = x;
      }
    }
  }
  free(left);
  free(right);
  free(sums);
  return isEnough ? 0 : 1;
}
`;

/** Source of the library. */
export const HOST_RUNTIME = `
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
${HOST_INTERFACE}
${SCHEDULER}
${MEMORY}
${PRODUCT}
`;

/** Its functions, as `Deno.dlopen` wants them. */
export const HOST_SYMBOLS = {
  deeprag_host: { parameters: [], result: "pointer" },
  deeprag_message: { parameters: ["buffer", "usize"], result: "void" },
  deeprag_close: { parameters: [], result: "void" },
  deeprag_allocate: { parameters: ["u64"], result: "u64" },
  deeprag_free: { parameters: ["u64"], result: "void" },
  deeprag_move: { parameters: ["u64", "u64", "u64"], result: "void" },
  deeprag_upload: { parameters: ["u64", "buffer", "u64"], result: "void" },
  deeprag_download: { parameters: ["buffer", "u64", "u64"], result: "void" },
  deeprag_clear: { parameters: ["u64", "u64"], result: "void" },
  deeprag_damaged: { parameters: ["buffer", "u64"], result: "i64" },
  deeprag_multiply: { parameters: ["buffer", "u64", "u64", "u64", "u64", "u64"], result: "i32" },
} as const;
