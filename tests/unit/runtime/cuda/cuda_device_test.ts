/** The CUDA device against stand-ins for CUDA's libraries: every call's arguments are checked there. */
import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { DeviceError } from "../../../../src/errors.ts";
import type { CudaDevice } from "../../../../src/runtime/cuda/cuda_device.ts";
import { cudaFacts } from "../../../../src/runtime/cuda/cuda_facts.ts";
import type { Kernel, MatrixProduct } from "../../../../src/runtime/cuda/device.ts";
import { openCudaDevice } from "../../../../src/runtime/cuda/open_cuda_device.ts";
import { NOTHING, stub, stubTest, withDevice, withVariable } from "./stub_libraries.ts";

const SOURCE = 'extern "C" __global__ void fill(…); extern "C" __global__ void add(…);';
const FILL = {
  name: "fill",
  parameters: ["pointer", "integer", "integer"],
  hasBarriers: false,
} as const;
const ADD = {
  name: "add",
  parameters: ["pointer", "pointer", "pointer", "integer"],
  hasBarriers: false,
} as const;

/** Floats on the device. */
function uploaded(device: CudaDevice, values: ArrayLike<number>): bigint {
  const pointer = device.allocate(4 * values.length);
  device.upload(pointer, Float32Array.from(values));
  return pointer;
}

function downloaded(device: CudaDevice, pointer: bigint, count: number): number[] {
  const values = new Float32Array(count);
  device.download(pointer, values);
  return [...values];
}

stubTest("a device says what it is", async () => {
  await withDevice({}, (device) => {
    assertEquals(device.name, "Stub 7");
    assertEquals(device.architecture, "sm_90");
    assertEquals(device.multiprocessors, 132);
    assertEquals(device.memory(), { free: 1 << 30, total: 1 << 30 });
  });
});

stubTest("what is uploaded, copied and cleared comes back", async () => {
  await withDevice({}, (device) => {
    const values = Float32Array.from([1, -2, 3.5, 4]);
    const a = device.allocate(16);
    device.upload(a, values);
    values.fill(0);
    assertEquals(downloaded(device, a, 4), [1, -2, 3.5, 4]);
    device.upload(a + 4n, new Uint8Array(Float32Array.of(9, 9, 7).buffer, 8, 4));
    assertEquals(downloaded(device, a, 4), [1, 7, 3.5, 4]);
    const b = device.allocate(16);
    device.clear(b, 16);
    device.copy(b + 8n, a, 8);
    assertEquals(downloaded(device, b, 4), [0, 0, 1, 7]);
    device.upload(a, new Float32Array(0));
    device.download(a, new Float32Array(0));
    const shared = new Float32Array(new SharedArrayBuffer(16));
    device.download(b, shared);
    assertEquals([...shared], [0, 0, 1, 7]);
  });
});

stubTest("an upload larger than the staging memory, and many small ones", async () => {
  await withDevice({}, (device) => {
    const large = Int32Array.from({ length: 5 << 20 }, (_, i) => i * 7);
    const pointer = device.allocate(large.byteLength);
    for (let i = 0; i < 300; i++) device.upload(pointer, large.subarray(i, i + 1));
    device.upload(pointer, large);
    const back = new Int32Array(large.length);
    device.download(pointer, back);
    assert(back.every((value, i) => value === large[i]));
  });
});

stubTest("memory is counted, freed once, and of no bytes still has an address", async () => {
  await withDevice({}, (device) => {
    const none = device.allocate(0);
    const some = device.allocate(1000);
    assert(none !== some && none !== 0n);
    assertEquals(device.allocations, 2);
    device.free(none);
    assertEquals(device.allocations, 1);
    assertThrows(() => device.free(none), DeviceError, "is not reserved");
    device.clear(some, 1000);
    device.free(some);
    assertEquals(device.allocations, 0);
    assertThrows(() => device.allocate(-1), DeviceError, "not a size");
    assertThrows(() => device.allocate(0.5), DeviceError, "not a size");
  });
});

stubTest("too little memory is an error that says how much", async () => {
  await withVariable("STUB_MEMORY", String(100 << 20), () =>
    withDevice({}, (device) => {
      device.allocate(40 << 20);
      const error = assertThrows(() => device.allocate(70 << 20), DeviceError);
      assertStringIncludes(error.message, "Cannot reserve 70 MiB on Stub 7: 60 MiB of 100 MiB");
      assertStringIncludes(error.message, "smaller batch");
      assertEquals(device.allocations, 1);
    }));
});

stubTest("kernels get their arguments, 64-bit and negative ones too", async () => {
  await withDevice({}, async (device) => {
    const [fill, add] = await device.compile(SOURCE, [FILL, ADD]) as [Kernel, Kernel];
    const [a, b, c] = [0, 1, 2].map(() => device.allocate(4 * 6)) as [bigint, bigint, bigint];
    const grid = [1, 2, 3] as const;
    const launch = { kernel: fill, grid, threads: 1, parameters: [a, 6, -5] };
    device.launch(launch);
    device.launch(launch);
    device.launch({ kernel: fill, grid, threads: 1, parameters: [b, 6n, 2n ** 40n] });
    assertEquals(downloaded(device, a, 6), Array(6).fill(-5));
    assertEquals(downloaded(device, b, 6), Array(6).fill(2 ** 40));
    device.launch({ kernel: fill, grid, threads: 1, parameters: [b, 5, 105] });
    device.launch({ kernel: add, grid, threads: 1, parameters: [a, b, c, 5] });
    assertEquals(downloaded(device, c, 5), Array(5).fill(100));
    const before = stub!.launches();
    device.launch({ kernel: fill, grid: [0, 1, 1], threads: 32, parameters: [a, 0, 1] });
    assertEquals(stub!.launches(), before);
    const wrong = { kernel: fill, grid, threads: 1, parameters: [a, 6] };
    assertThrows(() => device.launch(wrong), DeviceError, "2 arguments for 3 parameters");
    await withDevice({}, (other) => {
      assertThrows(() => other.launch(launch), DeviceError, "another device");
    });
    device.launch(launch);
  });
});

stubTest("a source that does not compile, and a kernel that is not in it", async () => {
  await withDevice({}, async (device) => {
    await assertRejects(() => device.compile("#error", []), DeviceError, "error: told to");
    const missing = { ...FILL, name: "missing" };
    await assertRejects(() => device.compile(SOURCE, [missing]), DeviceError, "find the kernel");
  });
});

stubTest("a kernel is compiled once for its cache", async () => {
  const cache = await Deno.makeTempDir();
  const before = stub!.compilations();
  for (let i = 0; i < 3; i++) {
    await withDevice({ cache }, async (device) => void await device.compile(SOURCE, [FILL]));
  }
  assertEquals(stub!.compilations() - before, 1);
  await Deno.remove(cache, { recursive: true });
});

/** c from the definition, with the strides of the product. */
function reference(
  p: MatrixProduct,
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  c: ArrayLike<number>,
): number[] {
  const result = Array.from(c);
  for (let z = 0; z < p.batch; z++) {
    for (let i = 0; i < p.m; i++) {
      for (let j = 0; j < p.n; j++) {
        const at = z * p.c.batchStride + i * p.c.rowStride + j;
        let sum = p.hasAddend ? c[at]! : 0;
        for (let l = 0; l < p.k; l++) {
          const [ai, aj] = p.transposeA ? [l, i] : [i, l];
          const [bi, bj] = p.transposeB ? [j, l] : [l, j];
          sum += a[z * p.a.batchStride + ai * p.a.rowStride + aj]! *
            b[z * p.b.batchStride + bi * p.b.rowStride + bj]!;
        }
        result[at] = sum;
      }
    }
  }
  return result;
}

function product(options: Partial<MatrixProduct> & { pad?: number } = {}): MatrixProduct {
  const { m = 3, n = 4, k = 5, batch = 1, transposeA = false, transposeB = false, pad = 0 } =
    options;
  const matrix = (rows: number, columns: number) => ({
    type: "float32" as const,
    rowStride: columns + pad,
    batchStride: rows * (columns + pad) + pad,
  });
  return {
    m,
    n,
    k,
    batch,
    transposeA,
    transposeB,
    a: transposeA ? matrix(k, m) : matrix(m, k),
    b: transposeB ? matrix(n, k) : matrix(k, n),
    c: matrix(m, n),
    precision: "float32",
    hasAddend: false,
    ...Object.fromEntries(Object.entries(options).filter(([key]) => key !== "pad")),
  };
}

/** Small integers, so that sums are exact. */
const numbers = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => (i * 7 + seed * 13) % 11 - 5);

function checkProduct(device: CudaDevice, p: MatrixProduct, offset = 0, isInPlace = false): void {
  const size = 400;
  const [a, b, c, d] = [1, 2, 3, 4].map((seed) => numbers(size, seed)) as number[][];
  const [pa, pb, pc, pd] = [a, b, c, d].map((v) => uploaded(device, v!)) as bigint[];
  const skip = BigInt(4 * offset);
  device.multiply(device.prepareProduct(p), {
    a: pa! + skip,
    b: pb! + skip,
    c: pc! + skip,
    ...p.hasAddend ? { addend: (isInPlace ? pc! : pd!) + skip } : {},
  });
  const start = p.hasAddend && !isInPlace ? d! : c!;
  const expected = reference(p, a!.slice(offset), b!.slice(offset), start.slice(offset));
  const actual = downloaded(device, pc!, size).slice(offset);
  // Outside of the matrices c stays as it was.
  for (let z = 0; z < p.batch; z++) {
    for (let i = 0; i < p.m; i++) {
      for (let j = 0; j < p.n; j++) {
        const at = z * p.c.batchStride + i * p.c.rowStride + j;
        assertEquals(actual[at], expected[at], `${JSON.stringify(p)} at ${z}, ${i}, ${j}`);
        actual[at] = c![offset + at]!;
      }
    }
  }
  assertEquals(actual, c!.slice(offset));
  for (const pointer of [pa, pb, pc, pd]) device.free(pointer!);
}

stubTest("products: transposed, padded, in batches, with an addend", async () => {
  await withDevice({}, (device) => {
    for (const transposeA of [false, true]) {
      for (const transposeB of [false, true]) {
        for (const batch of [1, 3]) {
          for (const hasAddend of [false, true]) {
            for (const pad of [0, 3]) {
              const p = product({ transposeA, transposeB, batch, hasAddend, pad });
              checkProduct(device, p);
              if (hasAddend) checkProduct(device, p, 0, true);
            }
          }
        }
      }
    }
  });
});

stubTest(
  "products: one row, one column, one matrix for a batch, single rows of any stride",
  async () => {
    await withDevice({}, (device) => {
      checkProduct(device, product({ m: 1 }));
      checkProduct(device, product({ n: 1, transposeB: true }));
      checkProduct(device, product({ k: 1 }));
      const one = { type: "float32", rowStride: 4, batchStride: 0 } as const;
      checkProduct(device, product({ batch: 3, b: one }));
      checkProduct(device, product({ m: 1, a: { ...one, rowStride: 0 } }));
    });
  },
);

stubTest("products: operands that start anywhere get a way that can read them", async () => {
  await withDevice({}, (device) => {
    const p = product({ m: 4, n: 4, k: 4, batch: 2 });
    checkProduct(device, p);
    checkProduct(device, p, 1);
    checkProduct(device, p, 4);
  });
});

stubTest(
  "products: a sum of nothing is 0 or the addend; of no elements it is nothing",
  async () => {
    await withDevice({}, (device) => {
      for (const hasAddend of [false, true]) {
        for (const pad of [0, 3]) {
          checkProduct(device, product({ k: 0, batch: 2, hasAddend, pad }));
          checkProduct(device, product({ m: 0, hasAddend, pad }));
          checkProduct(device, product({ batch: 0, hasAddend, pad }));
        }
      }
      checkProduct(device, product({ k: 0, hasAddend: true }), 0, true);
    });
  },
);

stubTest("products: the precision asked for, and what is refused", async () => {
  await withDevice({}, (device) => {
    const compute = (precision: MatrixProduct["precision"]) => {
      checkProduct(device, product({ precision }));
      return stub!.lastProduct().compute;
    };
    assertEquals([compute("float32"), compute("tf32"), compute("bfloat16")], [68, 77, 75]);
    const bf16 = { type: "bfloat16", rowStride: 5, batchStride: 0 } as const;
    const refused = (p: MatrixProduct, why: string) =>
      assertThrows(() => device.prepareProduct(p), DeviceError, why);
    refused(product({ a: bf16 }), "b is float32");
    refused(product({ a: bf16, b: bf16 }), "no way to compute it");
    refused(product({ c: { ...bf16, type: "float32", rowStride: 3 } }), "rows of c overlap");
    refused(product({ batch: 2, c: { ...bf16, type: "float32" } }), "matrices of c overlap");
    const prepared = device.prepareProduct(product({ hasAddend: true }));
    const a = device.allocate(400);
    assertThrows(() => device.multiply(prepared, { a, b: a, c: a }), DeviceError, "no addend");
  });
});

stubTest("tuning takes the way that is fastest", async () => {
  await withDevice({ tune: true }, (device) => {
    checkProduct(device, product({ batch: 2, hasAddend: true }));
    assertEquals(stub!.lastProduct().way, 3);
    assertEquals(device.allocations, 0);
  });
  await withDevice({}, (device) => {
    checkProduct(device, product({ batch: 2, hasAddend: true }));
    assertEquals(stub!.lastProduct().way, 0);
  });
});

stubTest("recorded work is done when it is repeated, not before", async () => {
  await withDevice({}, async (device) => {
    const [add] = await device.compile(SOURCE, [ADD]) as [Kernel];
    const total = uploaded(device, Array(20).fill(0));
    const step = uploaded(device, numbers(20, 1));
    const [a, b, c] = [15, 20, 12].map((n, i) => uploaded(device, numbers(n, i)));
    const p = product();
    const prepared = device.prepareProduct(p);
    const replay = device.record(() => {
      const parameters = [total, step, total, 20];
      device.launch({ kernel: add, grid: [1, 1, 1], threads: 32, parameters });
      device.multiply(prepared, { a: a!, b: b!, c: c! });
      device.copy(a!, b!, 4);
      device.clear(a! + 4n, 4);
    });
    assertEquals(replay.nodes, 4);
    assertEquals(downloaded(device, total, 20), Array(20).fill(0));
    for (let i = 0; i < 3; i++) replay.launch();
    assertEquals(downloaded(device, total, 20), numbers(20, 1).map((x) => 3 * x));
    const changed = numbers(15, 0);
    [changed[0], changed[1]] = [numbers(20, 1)[0]!, 0];
    assertEquals(downloaded(device, c!, 12), reference(p, changed, numbers(20, 1), Array(12)));
    replay.dispose();
    replay.dispose();
    assertThrows(() => replay.launch(), DeviceError, "was freed");
    const empty = device.record(() => {});
    assertEquals(empty.nodes, 0);
    empty.launch();
  });
});

stubTest("what cannot be recorded ends the recording, as any error does", async () => {
  await withDevice({}, (device) => {
    const a = device.allocate(16);
    const forbidden = [
      () => device.allocate(4),
      () => device.free(a),
      () => device.upload(a, new Float32Array(1)),
      () => device.download(a, new Float32Array(1)),
      () => device.synchronize(),
      () => device.record(() => {}),
    ];
    for (const f of forbidden) {
      assertThrows(() => device.record(f), DeviceError, "while work is recorded");
      device.synchronize();
    }
    assertThrows(
      () =>
        device.record(() => {
          throw new RangeError("mine");
        }),
      RangeError,
      "mine",
    );
    device.clear(a, 16);
    assertEquals(downloaded(device, a, 4), [0, 0, 0, 0]);
  });
});

stubTest("dispose frees everything, and nothing can be done after it", async () => {
  assertEquals(stub!.alive(), NOTHING);
  const device = await openCudaDevice({ libraries: stub!.folder, cache: false, tune: true });
  const [fill] = await device.compile(SOURCE, [FILL]) as [Kernel];
  const a = uploaded(device, numbers(20, 1));
  const prepared = device.prepareProduct(product());
  const replay = device.record(() => device.clear(a, 4));
  const c = device.allocate(4096);
  device.multiply(prepared, { a, b: a, c });
  device.multiply(prepared, { a, b: a, c: c + 4n });
  const alive = stub!.alive();
  assertEquals(alive.driver, [3, 1, 1, 2, 1, 0, 1, 1]);
  assertEquals(alive.cublas, 1 + 4);
  device.dispose();
  device.dispose();
  assertEquals(stub!.alive(), NOTHING);
  const after = [
    () => device.allocate(4),
    () => device.free(a),
    () => device.memory(),
    () => device.upload(a, new Float32Array(1)),
    () => device.download(a, new Float32Array(1)),
    () => device.copy(a, c, 4),
    () => device.clear(a, 4),
    () => device.launch({ kernel: fill, grid: [1, 1, 1], threads: 1, parameters: [a, 1, 1] }),
    () => device.canMultiply(product()),
    () => device.prepareProduct(product()),
    () => device.multiply(prepared, { a, b: a, c }),
    () => device.record(() => {}),
    () => replay.launch(),
    () => device.synchronize(),
  ];
  for (const f of after) assertThrows(f, DeviceError, "was given back");
  await assertRejects(() => device.compile(SOURCE, [FILL]), DeviceError, "was given back");
});

stubTest("a call that fails is named, with the driver's code", async () => {
  const failing = (call: string, code: number, f: () => unknown) =>
    withVariable("STUB_FAIL", `${call}:${code}`, f);
  await withDevice({}, async (device) => {
    const [fill] = await device.compile(SOURCE, [FILL]) as [Kernel];
    const a = device.allocate(16);
    const kernel = { kernel: fill, grid: [1, 1, 1], threads: 32, parameters: [a, 4, 1] } as const;
    const cases: [string, number, () => unknown, string][] = [
      [
        "cuStreamSynchronize",
        700,
        () => device.synchronize(),
        "Cannot finish the GPU's work: cuStreamSynchronize gave CUDA_ERROR_ILLEGAL_ADDRESS (700: " +
        "an illegal memory access was encountered)",
      ],
      [
        "cuLaunchKernel",
        999,
        () => device.launch(kernel),
        "Cannot launch fill as 1×1×1 blocks of 32 threads: cuLaunchKernel gave CUDA_ERROR_OTHER (999)",
      ],
      [
        "cuMemcpyHtoDAsync_v2",
        700,
        () => device.upload(a, new Float32Array(4)),
        "cuMemcpyHtoDAsync",
      ],
      ["cuMemAlloc_v2", 700, () => device.allocate(4), "Cannot reserve memory: cuMemAlloc gave"],
      [
        "cuGraphInstantiateWithFlags",
        700,
        () => device.record(() => device.clear(a, 4)),
        "cuGraphInstantiateWithFlags gave",
      ],
    ];
    for (const [call, code, f, message] of cases) {
      await failing(call, code, () => assertThrows(f, DeviceError, message));
    }
  });
  assertEquals(stub!.alive(), NOTHING);
});

stubTest("opening fails with a reason, and leaves nothing open", async () => {
  const refused = (message: string, options = {}) =>
    assertRejects(
      () => openCudaDevice({ libraries: stub!.folder, cache: false, ...options }),
      DeviceError,
      message,
    );
  await withVariable(
    "STUB_FAIL",
    "cuInit:100",
    () => refused("Cannot start the driver: cuInit gave CUDA_ERROR_NO_DEVICE (100"),
  );
  await withVariable("STUB_MAJOR", "6", () => refused("its compute capability is 6.0"));
  await withVariable("STUB_MAJOR", "12", () => refused("it is sm_120, and NVRTC 12.8"));
  await withVariable("STUB_FAIL", "cuStreamCreate:2", () => refused("cuStreamCreate gave"));
  await refused("Cannot use GPU 1: there is 1", { index: 1 });
  assertEquals(stub!.alive(), NOTHING);
});

stubTest("facts for the doctor", async () => {
  const folder = stub!.folder;
  assertEquals(cudaFacts({ libraries: folder }), {
    driver: { version: "12.8", path: `${folder}/libcuda.so.1` },
    devices: [{ name: "Stub 7", capability: [9, 0], multiprocessors: 132, memory: 1 << 30 }],
    nvrtc: {
      version: "12.8",
      path: `${folder}/libnvrtc.so.12`,
      architectures: ["sm_80", "sm_90"],
    },
    cublasLt: { version: "12.8.5", path: `${folder}/libcublasLt.so.12` },
  });
  await withVariable("STUB_FAIL", "cuInit:100", () => {
    const { driver, devices, nvrtc } = cudaFacts({ libraries: folder });
    assert(driver instanceof DeviceError && devices === driver);
    assert(!(nvrtc instanceof DeviceError));
  });
});
