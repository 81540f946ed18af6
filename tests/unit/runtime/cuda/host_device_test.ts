/** The device that runs CUDA sources on this processor. @module */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { DeviceError } from "../../../../src/errors.ts";
import type {
  Device,
  DevicePointer,
  Kernel,
  KernelParameter,
  MatrixPrecision,
  MatrixProduct,
  MatrixType,
} from "../../../../src/runtime/cuda/device.ts";
import {
  type HostDeviceOptions,
  openHostDevice,
} from "../../../../src/runtime/cuda/host_device.ts";

const hasCompiler = await openHostDevice().then((d) => (d.dispose(), true), (error) => {
  console.log(`host_device_test.ts skips: ${error.message}`);
  return false;
});

/** A test with a device that is disposed of, whatever happens. */
function test(
  name: string,
  body: (device: Device) => Promise<void>,
  options?: HostDeviceOptions,
): void {
  Deno.test({
    name: `host device: ${name}`,
    ignore: !hasCompiler,
    fn: async () => {
      const device = await openHostDevice(options);
      let isDone = false;
      try {
        await body(device);
        isDone = true;
      } finally {
        try {
          device.dispose();
        } catch (error) {
          // deno-lint-ignore no-unsafe-finally
          if (isDone) throw error;
        }
      }
    },
  });
}

/** Compile `extern "C" __global__ void k(parameters) { body }`; `p` in `kinds` is a pointer. */
async function kernelOf(
  device: Device,
  parameters: string,
  body: string,
  kinds: string,
  hasBarriers = true,
): Promise<Kernel> {
  const source = `extern "C" __global__ void k(${parameters}) {\n${body}\n}`;
  const [kernel] = await device.compile(source, [{
    name: "k",
    parameters: Array.from(kinds, (c): KernelParameter => c === "p" ? "pointer" : "integer"),
    hasBarriers,
  }]);
  return kernel;
}

function put(device: Device, data: ArrayBufferView): DevicePointer {
  const pointer = device.allocate(data.byteLength);
  device.upload(pointer, data);
  return pointer;
}

function floats(device: Device, from: DevicePointer, n: number): number[] {
  const out = new Float32Array(n);
  device.download(from, out);
  return [...out];
}

function integers(device: Device, from: DevicePointer, n: number): number[] {
  const out = new Int32Array(n);
  device.download(from, out);
  return [...out];
}

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Catches: wrong indices of blocks or threads, wrong order or width of arguments. */
test("an elementwise kernel over a grid of three axes", async (device) => {
  const kernel = await kernelOf(
    device,
    "const int* a, int* b, long long n",
    `const unsigned block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
     const unsigned i = block * blockDim.x + threadIdx.x;
     if (i < n) b[i] = 2 * a[i];`,
    "ppi",
    false,
  );
  const n = 2 * 3 * 4 * 5;
  const a = put(device, Int32Array.from(range(n)));
  const b = device.allocate(4 * n);
  device.launch({ kernel, grid: [4, 3, 2], threads: 5, parameters: [a, b, n - 1] });
  // All ones: what was not written.
  assertEquals(integers(device, b, n), [...range(n - 1).map((i) => 2 * i), -1]);
});

/** Catches: a built-in that is not there, or has another meaning. */
test("built-in functions", async (device) => {
  const kernel = await kernelOf(
    device,
    "float* f, int* i",
    `f[0] = rsqrtf(4.0f); f[1] = fmaf(2.0f, 3.0f, 1.0f); f[2] = rintf(2.5f); f[3] = log1pf(0.0f);
     f[4] = INFINITY; f[5] = __fdividef(1.0f, 8.0f); f[6] = fmodf(7.5f, 2.0f); f[7] = powf(2.0f, 10.0f);
     f[8] = make_float4(1, 2, 3, 4).w; f[9] = __uint_as_float(0x3f800000u); f[10] = min(1.5f, 2.5f);
     i[0] = __float_as_int(1.0f) >> 20; i[1] = __umulhi(0x80000000u, 6u); i[2] = __popc(0xf0fu);
     i[3] = __ffs(8); i[4] = __clz(1); i[5] = __clz(0); i[6] = max(-3, 2); i[7] = isnan(NAN) + isinf(1.0f);
     i[8] = 5; i[9] = atomicAdd(i + 8, 2); i[10] = __ldg(i + 8); i[11] = sizeof(ushort4) + alignof(int4);`,
    "pp",
    false,
  );
  const [f, i] = [device.allocate(4 * 11), device.allocate(4 * 12)];
  device.launch({ kernel, grid: [1, 1, 1], threads: 1, parameters: [f, i] });
  assertEquals(floats(device, f, 11), [0.5, 7, 2, 0, Infinity, 0.125, 1.5, 1024, 4, 1, 1.5]);
  assertEquals(integers(device, i, 12), [0x3f8, 3, 8, 4, 31, 32, 2, 1, 7, 5, 7, 24]);
});

const SUM_IN_SHARED = `__shared__ int parts[256];
  const int t = threadIdx.x;
  parts[t] = a[blockIdx.x * 256 + t];
  for (int d = 128; d > 0; d /= 2) {
    __syncthreads();
    if (t < d) parts[t] += parts[t + d];
  }
  if (t == 0) b[blockIdx.x] = parts[0];`;

const SUM_BY_SHUFFLES = `__shared__ int parts[8];
  int x = a[blockIdx.x * 256 + threadIdx.x];
  for (int d = 16; d > 0; d /= 2) x += __shfl_xor_sync(0xffffffffu, x, d);
  if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
  __syncthreads();
  x = 0;
  for (int i = 0; i < 8; i++) x += parts[i];
  if (threadIdx.x == 77) b[blockIdx.x] = x;`;

/** Catches: threads that do not wait, shared memory that is not shared, mixed-up lanes. */
for (const [name, body] of Object.entries({ SUM_IN_SHARED, SUM_BY_SHUFFLES })) {
  test(`a sum over a block: ${name}`, async (device) => {
    const kernel = await kernelOf(device, "const int* a, int* b", body, "pp");
    const blocks = 5;
    const values = range(256 * blocks).map((i) => (i * 7919) % 1000);
    const a = put(device, Int32Array.from(values));
    const b = device.allocate(4 * blocks);
    device.launch({ kernel, grid: [blocks, 1, 1], threads: 256, parameters: [a, b] });
    const sums = range(blocks).map((i) =>
      values.slice(256 * i, 256 * (i + 1)).reduce((x, y) => x + y)
    );
    assertEquals(integers(device, b, blocks), sums);
  });
}

/** Catches: a lane that reads the wrong lane, one that is not there, or a value of the next shuffle. */
test("shuffles of a last warp that is not full", async (device) => {
  const kernel = await kernelOf(
    device,
    "int* b, long long* wide",
    `const int t = threadIdx.x;
     b[t] = __shfl_down_sync(0xffffffffu, t, 1);
     b[40 + t] = __shfl_up_sync(0xffffffffu, t, 2);
     b[80 + t] = __shfl_sync(0xffffffffu, t, 5);
     b[120 + t] = (int)__ballot_sync(0xffffffffu, t % 3 == 0);
     b[160 + t] = __shfl_xor_sync(0xffffffffu, t, 1, 8);
     __syncwarp();
     wide[t] = __shfl_sync(0xffffffffu, (long long)t << 40, 1);`,
    "pp",
  );
  const [b, wide] = [device.allocate(4 * 200), device.allocate(8 * 40)];
  device.launch({ kernel, grid: [1, 1, 1], threads: 40, parameters: [b, wide] });
  const out = integers(device, b, 200);
  // Lane 31 has no lane above it; lane 7 of the last warp has one that is not there: all ones.
  assertEquals(out.slice(0, 40), range(40).map((t) => t === 31 ? 31 : t === 39 ? -1 : t + 1));
  assertEquals(out.slice(40, 80), range(40).map((t) => t % 32 < 2 ? t : t - 2));
  assertEquals(out.slice(80, 120), range(40).map((t) => t < 32 ? 5 : 37));
  const isThird = (from: number, to: number): number =>
    range(to - from).reduce((bits, i) => bits | ((from + i) % 3 === 0 ? 1 << i : 0), 0);
  assertEquals(
    out.slice(120, 160),
    range(40).map((t) => t < 32 ? isThird(0, 32) : isThird(32, 40)),
  );
  assertEquals(out.slice(160), range(40).map((t) => t ^ 1));
  const values = new BigInt64Array(40);
  device.download(wide, values);
  assertEquals([...values], range(40).map((t) => BigInt(t < 32 ? 1 : 33) << 40n));
});

/** Catches: halves of a warp that disturb each other, or wait for each other without need. */
test("shuffles in two halves of a warp with masks of their own", async (device) => {
  const kernel = await kernelOf(
    device,
    "int* b",
    `int x = threadIdx.x;
     if (threadIdx.x < 16) for (int d = 8; d > 0; d /= 2) x += __shfl_xor_sync(0x0000ffffu, x, d);
     else x = __shfl_sync(0xffff0000u, x, 20);
     b[threadIdx.x] = __shfl_xor_sync(0xffffffffu, x, 16);`,
    "p",
  );
  const b = device.allocate(4 * 32);
  device.launch({ kernel, grid: [1, 1, 1], threads: 32, parameters: [b] });
  assertEquals(integers(device, b, 32), range(32).map((t) => t < 16 ? 20 : 120));
});

/** Catches: threads that ended and are waited for. */
test("threads that return before the others wait", async (device) => {
  const kernel = await kernelOf(
    device,
    "int* b",
    `__shared__ int all[64];
     if (threadIdx.x >= 50) return;
     all[threadIdx.x] = threadIdx.x;
     __syncthreads();
     b[threadIdx.x] = all[49 - threadIdx.x] + __shfl_xor_sync(0xffffffffu, 100, 1);`,
    "p",
  );
  const b = device.allocate(4 * 50);
  device.launch({ kernel, grid: [3, 1, 1], threads: 64, parameters: [b] });
  assertEquals(integers(device, b, 50), range(50).map((t) => 149 - t));
});

/** Catches: a test run that hangs or dies of a wrong kernel, and a message that does not help. */
test("kernels that never end, or touch what is not there", async (device) => {
  const a = device.allocate(4);
  const run = async (body: string, hasBarriers = true): Promise<string> => {
    const kernel = await kernelOf(device, "int* b, long long n", body, "pi", hasBarriers);
    const launch = { kernel, grid: [2, 1, 1], threads: 64, parameters: [a, 0] } as const;
    return assertThrows(() => device.launch(launch), DeviceError, "Cannot run kernel k: ").message;
  };
  const apart = await run("if (threadIdx.x == 33)\n__syncthreads();\nelse\n__syncthreads();");
  assertStringIncludes(
    apart,
    "thread 0 for its block in line 5, thread 33 for its block in line 3",
  );
  const mixed = await run("if (threadIdx.x < 8)\n__shfl_sync(~0u, 1, 0);\nelse\n__syncthreads();");
  assertStringIncludes(mixed, "thread 0 for its warp in line 3, thread 8 for its block in line 5");
  assertStringIncludes(await run("__shfl_sync(2u, 1, 0);"), "a mask without its own lane");
  assertStringIncludes(await run("__syncthreads();", false), "its signature says that no thread");
  assertStringIncludes(
    await run("__syncthreads(); if (blockIdx.x == 1) *(int*)n = 1;"),
    "in block (1, 0, 0), thread 0 touches address",
  );
  assertStringIncludes(await run("b[0] = b[0] / (int)n;", false), "divides an integer by zero");
  // And the device goes on.
  const kernel = await kernelOf(device, "int* b", "__syncthreads(); b[0] = 3;", "p");
  device.launch({ kernel, grid: [1, 1, 1], threads: 64, parameters: [a] });
  assertEquals(integers(device, a, 1), [3]);
});

/** Catches: launches that a GPU refuses, and arguments that do not fit. */
test("launches that are refused", async (device) => {
  const kernel = await kernelOf(device, "int* b", "b[0] = 1;", "p", false);
  const a = device.allocate(4);
  const launch = { kernel, grid: [1, 1, 1], threads: 1, parameters: [a] } as const;
  const refuses = (
    change: Partial<typeof launch> | Record<string, unknown>,
    state: string,
  ): void => {
    assertThrows(() => device.launch({ ...launch, ...change }), DeviceError, state);
  };
  refuses({ grid: [0, 1, 1] }, "a grid of [0,1,1] blocks");
  refuses({ grid: [1, 65536, 1] }, "a grid of [1,65536,1] blocks");
  refuses({ threads: 1025 }, "1025 threads");
  refuses({ parameters: [] }, "it has 1 parameters, not 0");
  refuses({ parameters: [4096n] }, "parameter 0, 0x1000, is not in any allocation");
  const other = await openHostDevice();
  assertThrows(() => other.launch(launch), DeviceError, "another device compiled it");
  other.dispose();
});

/** Catches: writes next to an allocation that no test would see. */
test("writes outside an allocation", async (device) => {
  const kernel = await kernelOf(device, "int* b, long long i", "b[i] = 7;", "pi", false);
  for (const i of [25, -1]) {
    const a = device.allocate(100);
    device.synchronize();
    device.launch({ kernel, grid: [1, 1, 1], threads: 1, parameters: [a, i] });
    assertThrows(() => device.synchronize(), DeviceError, "outside the allocation of 100 bytes");
    assertThrows(() => device.free(a), DeviceError, "outside the allocation of 100 bytes");
    device.synchronize();
  }
  const a = device.allocate(100);
  const past = new Uint8Array(10);
  assertThrows(() => device.upload(a + 91n, past), DeviceError, "9 bytes are left");
  assertThrows(() => device.download(a - 300n, past), DeviceError, "not in any allocation");
  assertThrows(() => device.clear(a, 101), DeviceError, "100 bytes are left");
  assertThrows(() => device.free(a + 1n), DeviceError, "not the start of an allocation");
});

/** Catches: copies of a part of a view, and bytes that are all set or all left. */
test("memory: upload, copy, clear, download", (device) => {
  const a = device.allocate(8);
  assertEquals(a % 256n, 0n);
  assertEquals(floats(device, a, 2), [NaN, NaN]);
  device.upload(a, new DataView(Uint8Array.of(9, 1, 2, 3, 4, 5, 6, 7, 8, 9).buffer, 1, 8));
  device.copy(a + 2n, a, 4);
  device.clear(a + 7n, 1);
  const out = new Uint8Array(10);
  device.download(a, out.subarray(1, 9));
  assertEquals([...out], [0, 1, 2, 1, 2, 3, 4, 7, 0, 0]);
  return Promise.resolve();
});

/** A number that needs all 24 bits, from a counter. */
function valueAt(i: number): number {
  return Math.fround(((i * 2654435761) % 2 ** 32) / 2 ** 31 - 1);
}

/** Nearest value of a grid of `bits` explicit bits; ties to even, or away from zero. */
function rounded(x: number, bits: number, isEven: boolean): number {
  if (x === 0) return 0;
  const unit = 2 ** (Math.floor(Math.log2(Math.abs(x))) - bits);
  const q = Math.abs(x) / unit;
  const low = Math.floor(q);
  const isUp = q - low === 0.5 ? !isEven || low % 2 === 1 : q - low > 0.5;
  return Math.sign(x) * (low + Number(isUp)) * unit;
}

const toBf16 = (x: number): number => rounded(x, 7, true);

/** A matrix in memory, and what can be read there. */
function matrixOf(device: Device, n: number, type: MatrixType, seed: number): {
  pointer: DevicePointer;
  values: number[];
} {
  const values = range(n).map((i) => valueAt(i + seed));
  if (type === "float32") return { pointer: put(device, Float32Array.from(values)), values };
  const bits = new Uint32Array(Float32Array.from(values, toBf16).buffer);
  return {
    pointer: put(device, Uint16Array.from(bits, (u) => u >>> 16)),
    values: values.map(toBf16),
  };
}

function checkProduct(device: Device, product: MatrixProduct): void {
  const { m, n, k, batch, transposeA, transposeB, a, b, c, precision, hasAddend } = product;
  const size = 1000;
  const left = matrixOf(device, size, a.type, 1);
  const right = matrixOf(device, size, b.type, 5000);
  const into = matrixOf(device, size, c.type, 9000);
  const round = (x: number): number =>
    precision === "float32" ? x : precision === "tf32" ? rounded(x, 10, false) : toBf16(x);
  const expected = [...into.values];
  for (let q = 0; q < batch; q++) {
    for (let i = 0; i < m; i++) {
      for (let j = 0; j < n; j++) {
        let sum = 0;
        for (let h = 0; h < k; h++) {
          const [x, y] = transposeA ? [h, i] : [i, h];
          const [z, w] = transposeB ? [j, h] : [h, j];
          sum += round(left.values[q * a.batchStride + x * a.rowStride + y]) *
            round(right.values[q * b.batchStride + z * b.rowStride + w]);
        }
        const at = q * c.batchStride + i * c.rowStride + j;
        const whole = Math.fround(Math.fround(sum) + (hasAddend ? into.values[at] : 0));
        expected[at] = c.type === "float32" ? whole : toBf16(whole);
      }
    }
  }
  const prepared = device.prepareProduct(product);
  const [pa, pb, pc] = [left.pointer, right.pointer, into.pointer];
  const bytes = size * (c.type === "float32" ? 4 : 2);
  const apart = device.allocate(bytes);
  device.copy(apart, pc, bytes);
  // An addend elsewhere, which stays as it is, and then in place.
  for (const into of [apart, pc]) {
    device.multiply(prepared, { a: pa, b: pb, c: into, ...hasAddend ? { addend: pc } : {} });
    if (c.type === "float32") {
      assertEquals(floats(device, into, size), expected);
    } else {
      const bits = new Uint16Array(size);
      device.download(into, bits);
      assertEquals([...new Float32Array(Uint32Array.from(bits, (u) => u << 16).buffer)], expected);
    }
  }
  for (const pointer of [pa, pb, pc, apart]) device.free(pointer);
}

/** Catches: swapped axes, strides or batches, a rounding that is not the format's, a lost addend. */
test("products against a reference", (device) => {
  const types: [MatrixType, MatrixType, MatrixPrecision][] = [
    ["float32", "float32", "float32"],
    ["float32", "float32", "tf32"],
    ["float32", "float32", "bfloat16"],
    ["float32", "bfloat16", "tf32"],
    ["bfloat16", "float32", "bfloat16"],
    ["bfloat16", "bfloat16", "bfloat16"],
  ];
  const sizes = { m: 3, n: 4, k: 5, batch: 3 };
  for (const [type, cType, precision] of types) {
    for (const bits of range(32)) {
      const [transposeA, transposeB, hasAddend, isWide, isShared] = range(5).map((i) =>
        (bits >> i & 1) === 1
      );
      const more = isWide ? 3 : 0;
      checkProduct(device, {
        ...sizes,
        transposeA,
        transposeB,
        hasAddend,
        precision,
        a: { type, rowStride: (transposeA ? 3 : 5) + more, batchStride: isShared ? 0 : 50 },
        b: { type, rowStride: (transposeB ? 5 : 4) + more, batchStride: 60 },
        c: { type: cType, rowStride: 4 + more, batchStride: 70 },
      });
    }
  }
  return Promise.resolve();
});

/** Catches: halves that round the wrong way. */
test("products round ties of bfloat16 to even and of tf32 away from zero", (device) => {
  const one = put(device, Float32Array.of(1));
  const c = device.allocate(4);
  const scalar = { type: "float32", rowStride: 1, batchStride: 0 } as const;
  const times1 = (x: number, precision: MatrixPrecision): number => {
    const sizes = { m: 1, n: 1, k: 1, batch: 1, transposeA: false, transposeB: false };
    const prepared = device.prepareProduct({
      ...sizes,
      ...{ a: scalar, b: scalar, c: scalar, precision, hasAddend: false },
    });
    device.multiply(prepared, { a: put(device, Float32Array.of(x)), b: one, c });
    return floats(device, c, 1)[0];
  };
  assertEquals(times1(1 + 2 ** -8, "bfloat16"), 1);
  assertEquals(times1(1 + 3 * 2 ** -8, "bfloat16"), 1 + 2 ** -6);
  assertEquals(times1(1 + 2 ** -11, "tf32"), 1 + 2 ** -10);
  assertEquals(times1(-1 - 2 ** -11, "tf32"), -1 - 2 ** -10);
  assertEquals(times1(1 + 2 ** -20, "float32"), 1 + 2 ** -20);
  assertEquals(times1(Infinity, "tf32"), Infinity);
  assertEquals(times1(NaN, "bfloat16"), NaN);
  return Promise.resolve();
});

/** Catches: products that a GPU would refuse, or that run over an operand. */
test("products that are refused", (device) => {
  const matrix = { type: "float32", rowStride: 2, batchStride: 0 } as const;
  const product: MatrixProduct = {
    ...{ m: 2, n: 2, k: 2, batch: 1, transposeA: false, transposeB: false },
    ...{ a: matrix, b: matrix, c: matrix, precision: "float32", hasAddend: true },
  };
  const refuses = (change: Partial<MatrixProduct>, state: string): void => {
    assertThrows(() => device.prepareProduct({ ...product, ...change }), DeviceError, state);
  };
  const narrow = { ...matrix, type: "bfloat16" } as const;
  refuses({ a: narrow }, "a is bfloat16 and b is float32");
  refuses({ a: narrow, b: narrow }, "its precision is float32");
  refuses({ c: { ...matrix, rowStride: 1 } }, "c has rows of 2 and strides 1, 0");
  refuses({ batch: 2 }, "every matrix of c is the same one");
  const [full, short] = [device.allocate(16), device.allocate(12)];
  const prepared = device.prepareProduct(product);
  const multiply = (pointers: Parameters<Device["multiply"]>[1]) => (): void =>
    device.multiply(prepared, pointers);
  assertThrows(multiply({ a: full, b: full, c: full }), DeviceError, "no addend was given");
  const b = short;
  assertThrows(multiply({ a: full, b, c: full, addend: full }), DeviceError, "12 bytes are left");
  return Promise.resolve();
});

/** Catches: work that is done while it is recorded, or another order or number of steps. */
test("a recording is done when it is replayed, and only then", async (device) => {
  const kernel = await kernelOf(device, "int* b", "b[0] = 3 * b[0] + 1;", "p", false);
  const [a, b] = [put(device, Int32Array.of(1)), put(device, Int32Array.of(0))];
  const parameters = [a];
  const replay = device.record(() => {
    device.launch({ kernel, grid: [1, 1, 1], threads: 1, parameters });
    device.copy(b, a, 4);
    device.launch({ kernel, grid: [1, 1, 1], threads: 1, parameters });
  });
  parameters[0] = b;
  assertEquals(integers(device, a, 1), [1]);
  replay.launch();
  assertEquals([integers(device, a, 1), integers(device, b, 1)], [[13], [4]]);
  replay.launch();
  assertEquals([integers(device, a, 1), integers(device, b, 1)], [[121], [40]]);
  replay.dispose();
  assertThrows(() => replay.launch(), DeviceError, "disposed");
  for (const act of [() => device.synchronize(), () => device.upload(a, new Int32Array(1))]) {
    assertThrows(() => device.record(act), DeviceError, "the device is recording");
  }
  device.synchronize();
});

/** Catches: a limit that does not count what was freed, or a message without sizes. */
test("memory is limited", (device) => {
  const mib = 2 ** 20;
  const a = device.allocate(3 * mib);
  assertEquals(device.memory(), { free: mib, total: 4 * mib });
  const error = assertThrows(() => device.allocate(2 * mib), DeviceError);
  assertStringIncludes(error.message, "Cannot allocate 2.0 MiB: 1.0 MiB are free");
  assertStringIncludes(error.message, "Use a smaller batch");
  device.free(a);
  device.allocate(4 * mib);
  return Promise.resolve();
}, { memoryLimit: 4 * 2 ** 20 });

/** Catches: allocations that are not counted, and use after the end. */
test("a device that was disposed of", async () => {
  const device = await openHostDevice();
  const [a] = [device.allocate(1), device.allocate(0)];
  assertEquals(device.allocations, 2);
  device.free(a);
  assertEquals(device.allocations, 1);
  device.dispose();
  assertEquals(device.allocations, 0);
  for (
    const act of [
      () => device.allocate(1),
      () => device.clear(a, 1),
      () => device.synchronize(),
      () => device.memory(),
      () => device.dispose(),
    ]
  ) assertThrows(act, DeviceError, "disposed of");
  await assertRejects(() => device.compile("", []), DeviceError, "disposed of");
});

/** Catches: a log that is lost, and a signature that does not fit its source. */
test("sources that do not compile", async (device) => {
  const fails = async (body: string, kinds: string): Promise<string> => {
    const error = await assertRejects(
      () => kernelOf(device, "int* b, long long n", body, kinds),
      DeviceError,
      "Cannot compile kernels",
    );
    return error.message;
  };
  const log = await fails("b[0] = 1;\nb[1] = nonsense;", "pi");
  assertStringIncludes(log, "kernels:3:");
  assertStringIncludes(log, "nonsense");
  assertStringIncludes(await fails("", "pp"), "parameters of k are not those of its signature");
});

/** Catches: a missing compiler that is not explained. */
Deno.test("host device: no compiler", async () => {
  const open = (): Promise<Device> => openHostDevice({ compiler: "no-such-compiler" });
  const error = await assertRejects(open, DeviceError, "there is no C++ compiler no-such-compiler");
  assert(error.message.includes("apt install g++"));
});
