/** Products with an epilogue: on the device that is tested, and through a stand-in for cuBLASLt. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DeviceError } from "../../../../src/errors.ts";
import type {
  Device,
  Epilogue,
  MatrixProduct,
  MatrixType,
  PreparedProduct,
} from "../../../../src/runtime/cuda/device.ts";
import {
  auxiliaryBytes,
  auxiliaryStride,
  ELEMENT_BYTES,
  storedMatrices,
} from "../../../../src/runtime/cuda/matrix_shapes.ts";
import { hostDevice, testOnHost } from "./_host.ts";
import { stub, stubTest, withDevice } from "./stub_libraries.ts";

/** The same test on both. */
function onBoth(name: string, f: (device: Device) => void): void {
  testOnHost(`${name}, on the host`, async () => f(await hostDevice()));
  stubTest(`${name}, by cuBLASLt`, () => withDevice({}, f));
}

interface Options {
  readonly m?: number;
  readonly n?: number;
  readonly k?: number;
  readonly batch?: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  readonly pad?: number;
  readonly type?: MatrixType;
  readonly cType?: MatrixType;
}

function productOf(epilogue: Epilogue, options: Options = {}): MatrixProduct {
  const { m = 3, n = 4, k = 5, batch = 1, transposeA = false, transposeB = false } = options;
  const { pad = 0, type = "float32", cType = type } = options;
  const matrix = (rows: number, columns: number, type: MatrixType) => ({
    type,
    rowStride: columns + pad,
    batchStride: rows * (columns + pad) + pad,
  });
  return {
    ...{ m, n, k, batch, transposeA, transposeB },
    a: transposeA ? matrix(k, m, type) : matrix(m, k, type),
    b: transposeB ? matrix(n, k, type) : matrix(k, n, type),
    c: matrix(m, n, cType),
    precision: type,
    hasAddend: false,
    epilogue,
  };
}

/** Odd numbers: an odd count of products of two is never 0, and its sum is exact in 8 bits. */
const odd = (count: number, seed: number) =>
  Array.from({ length: count }, (_, i) => 2 * ((i * 7 + seed * 13 + (i >> 3)) % 6) - 5);

function uploaded(device: Device, values: readonly number[], type: MatrixType): bigint {
  const pointer = device.allocate(Math.max(values.length * ELEMENT_BYTES[type], 4));
  const floats = Float32Array.from(values);
  const bits = new Uint32Array(floats.buffer);
  device.upload(pointer, type === "float32" ? floats : Uint16Array.from(bits, (u) => u >>> 16));
  return pointer;
}

function downloaded(device: Device, from: bigint, count: number, type: MatrixType): number[] {
  const floats = new Float32Array(count);
  if (type === "float32") device.download(from, floats);
  else {
    const halves = new Uint16Array(count);
    device.download(from, halves);
    new Uint32Array(floats.buffer).set(Uint32Array.from(halves, (u) => u << 16));
  }
  return [...floats];
}

/** Where element [z, i, j] is in c and in the bits. */
function* places(p: MatrixProduct): Generator<{ c: number; bit: number; at: number[] }> {
  for (let z = 0; z < p.batch; z++) {
    for (let i = 0; i < p.m; i++) {
      for (let j = 0; j < p.n; j++) {
        const c = z * p.c.batchStride + i * p.c.rowStride + j;
        yield { c, bit: (z * p.m + i) * auxiliaryStride(p) + j, at: [z, i, j] };
      }
    }
  }
}

const isSet = (bytes: Uint8Array, bit: number) => (bytes[bit >> 3] >> (bit & 7) & 1) === 1;

/** Elements that hold a matrix of each of a batch. */
const sizeOf = (p: MatrixProduct, operand: "a" | "b" | "c") =>
  p.batch * (p[operand].batchStride + storedMatrices(p)[operand].columns);

const UNTOUCHED = 77;

/** Multiply; what is in c, and what the definition says of the product itself. */
function multiplied(device: Device, p: MatrixProduct, auxiliary: bigint, seed: number): {
  actual: number[];
  product: number[];
} {
  const [left, right] = [odd(sizeOf(p, "a"), seed), odd(sizeOf(p, "b"), seed + 1)];
  const a = uploaded(device, left, p.a.type), b = uploaded(device, right, p.b.type);
  const c = uploaded(device, Array(sizeOf(p, "c")).fill(UNTOUCHED), p.c.type);
  device.multiply(device.prepareProduct(p), { a, b, c, auxiliary });
  const actual = downloaded(device, c, sizeOf(p, "c"), p.c.type);
  for (const pointer of [a, b, c]) device.free(pointer);
  const product = Array<number>(actual.length).fill(UNTOUCHED);
  for (const { c: at, at: [z, i, j] } of places(p)) {
    product[at] = 0;
    for (let l = 0; l < p.k; l++) {
      const x = p.transposeA ? l * p.a.rowStride + i : i * p.a.rowStride + l;
      const y = p.transposeB ? j * p.b.rowStride + l : l * p.b.rowStride + j;
      product[at] += left[z * p.a.batchStride + x] * right[z * p.b.batchStride + y];
    }
  }
  return { actual, product };
}

/** Relu of one product, and the gradient of it with another product of the same size. */
function checkRoundTrip(device: Device, options: Options): void {
  const forward = productOf("relu", options);
  const backward = productOf("reluGradient", { ...options, k: 7 });
  const what = JSON.stringify(options);
  assert(device.canMultiply(forward) && device.canMultiply(backward), what);
  const bytes = new Uint8Array(auxiliaryBytes(forward)).fill(0x5a);
  const auxiliary = device.allocate(bytes.length);
  device.upload(auxiliary, bytes);
  const y = multiplied(device, forward, auxiliary, 1);
  device.download(auxiliary, bytes);
  const dx = multiplied(device, backward, auxiliary, 3);
  const [relu, gradient] = [[...y.product], [...dx.product]];
  for (const { c, bit, at } of places(forward)) {
    const isPositive = y.product[c] > 0;
    assertEquals(isSet(bytes, bit), isPositive, `${what}: bit of ${at}`);
    if (!isPositive) relu[c] = gradient[c] = 0;
  }
  assertEquals(y.actual, relu, what);
  assertEquals(dx.actual, gradient, what);
  const after = new Uint8Array(bytes.length);
  device.download(auxiliary, after);
  assertEquals(after, bytes, what);
  device.free(auxiliary);
}

const flags = [false, true];

/** Catches: bits of other elements, rows, or matrices; a c that is written beside its matrices. */
onBoth("relu, then its gradient: any columns, transposed, padded, in batches", (device) => {
  for (const transposeA of flags) {
    for (const transposeB of flags) {
      for (const batch of [1, 3]) {
        for (const [m, n] of [[3, 4], [1, 128], [2, 130], [5, 1]]) {
          for (const pad of [0, 3]) {
            checkRoundTrip(device, { m, n, batch, transposeA, transposeB, pad });
          }
        }
      }
    }
  }
});

testOnHost("relu, then its gradient, of bfloat16", async () => {
  const device = await hostDevice();
  for (const cType of ["float32", "bfloat16"] as const) {
    for (const batch of [1, 3]) {
      checkRoundTrip(device, { m: 6, n: 136, k: 9, batch, type: "bfloat16", cType });
      checkRoundTrip(device, { m: 6, n: 136, batch, type: "bfloat16", cType, transposeB: true });
    }
  }
});

/** Catches: bits of before that stay. */
onBoth("relu of a sum of nothing is 0, and so is its gradient", (device) => {
  for (const pad of [0, 3]) {
    const options = { n: 130, k: 0, batch: 2, pad };
    const p = productOf("relu", options);
    const bytes = new Uint8Array(auxiliaryBytes(p)).fill(0xff);
    const auxiliary = device.allocate(bytes.length);
    device.upload(auxiliary, bytes);
    const { actual, product } = multiplied(device, p, auxiliary, 1);
    assertEquals(actual, product);
    device.download(auxiliary, bytes);
    for (const { bit } of places(p)) assert(!isSet(bytes, bit));
    bytes.fill(0xff);
    device.upload(auxiliary, bytes);
    const gradient = multiplied(device, productOf("reluGradient", options), auxiliary, 1);
    assertEquals(gradient.actual, gradient.product);
    device.free(auxiliary);
  }
  const none = device.allocate(0);
  for (const options of [{ m: 0 }, { n: 0 }, { batch: 0 }]) {
    multiplied(device, productOf("relu", options), none, 1);
  }
  device.free(none);
});

/** Catches: bits that are there before the replay, and an address of one product in another. */
onBoth("recorded products keep the bits that each was given", (device) => {
  const p = productOf("relu", { m: 1, n: 2, k: 1 }), q = productOf("reluGradient", p);
  const [relu, gradient] = [device.prepareProduct(p), device.prepareProduct(q)];
  const put = (...values: number[]) => uploaded(device, values, "float32");
  const one = put(1), rows = [put(3, -3), put(-2, 2)], to = put(...Array(8).fill(UNTOUCHED));
  const both = [0, 1].map(() => device.allocate(auxiliaryBytes(p)));
  const replay = device.record(() => {
    const run = (prepared: PreparedProduct, i: number, b: bigint, place: number) => {
      const c = to + BigInt(8 * place);
      device.multiply(prepared, { a: one, b, c, auxiliary: both[i] });
    };
    [0, 1].forEach((i) => run(relu, i, rows[i], i));
    [0, 1].forEach((i) => run(gradient, i, rows[0], 2 + i));
  });
  assertEquals(downloaded(device, to, 8, "float32"), Array(8).fill(UNTOUCHED));
  replay.launch();
  assertEquals(downloaded(device, to, 8, "float32"), [3, 0, 0, 2, 3, 0, 0, -3]);
  device.upload(rows[0], Float32Array.of(-4, 4));
  replay.launch();
  assertEquals(downloaded(device, to, 8, "float32"), [0, 4, 0, 2, 0, 4, 0, 4]);
  replay.dispose();
  for (const pointer of [one, ...rows, to, ...both]) device.free(pointer);
});

/** Catches: an epilogue that reads or writes where nothing was given. */
onBoth("epilogues that are refused", (device) => {
  for (const epilogue of ["relu", "reluGradient"] as const) {
    for (const k of [0, 5]) {
      const p = productOf(epilogue, { k });
      const prepared = device.prepareProduct(p);
      const a = device.allocate(400);
      const multiply = (auxiliary?: bigint) => () =>
        device.multiply(prepared, { a, b: a, c: a, auxiliary });
      assertThrows(multiply(), DeviceError, "no memory for the bits of its epilogue");
      assertThrows(multiply(a + 8n), DeviceError, "do not start at a multiple of 16 bytes");
      device.free(a);
      const both = { ...p, hasAddend: true };
      assertThrows(() => device.prepareProduct(both), DeviceError, "an addend and an epilogue");
      assertThrows(() => device.canMultiply(both), DeviceError, "an addend and an epilogue");
    }
  }
});

testOnHost("bits that do not fit into their memory", async () => {
  const device = await hostDevice();
  const prepared = device.prepareProduct(productOf("relu"));
  const a = device.allocate(400), auxiliary = device.allocate(32);
  const multiply = () => device.multiply(prepared, { a, b: a, c: a, auxiliary });
  // Without bounds on a GPU.
  if (device.architecture === "host") assertThrows(multiply, DeviceError, "48 bytes");
  for (const pointer of [a, auxiliary]) device.free(pointer);
});

/** Catches: bits of elements that are 0, which only these two promise, and a NaN that is kept. */
onBoth("what is 0 is not positive, nor is a NaN", (device) => {
  if (device.architecture !== "host" && device.name !== "Stub 7") return;
  const p = productOf("relu", { m: 1, n: 4, k: 1 });
  const [a, b] = [[1], [0, NaN, 2, -0]].map((values) => uploaded(device, values, "float32"));
  const c = device.allocate(16), auxiliary = device.allocate(auxiliaryBytes(p));
  device.multiply(device.prepareProduct(p), { a, b, c, auxiliary });
  const bytes = new Uint8Array(auxiliaryBytes(p));
  device.download(auxiliary, bytes);
  assertEquals([0, 1, 2, 3].map((bit) => isSet(bytes, bit)), [false, false, true, false]);
  assertEquals(downloaded(device, c, 4, "float32").map(Math.abs), [0, 0, 2, 0]);
  for (const pointer of [a, b, c, auxiliary]) device.free(pointer);
});

Deno.test("bytes of an epilogue's bits", () => {
  const bytes = (options: Options) => auxiliaryBytes(productOf("relu", options));
  assertEquals(bytes({ m: 3, n: 1 }), 3 * 16);
  assertEquals(bytes({ m: 3, n: 128, batch: 2 }), 2 * 3 * 16);
  assertEquals(bytes({ m: 3, n: 129, pad: 9 }), 3 * 32);
  assertEquals([bytes({ m: 0 }), bytes({ n: 0 }), bytes({ batch: 0 })], [0, 0, 0]);
  assertEquals(auxiliaryBytes({ ...productOf("relu"), epilogue: undefined }), 0);
});

/** Catches: a product that is only found out to be impossible where it is prepared, and leaks. */
stubTest("an epilogue that cuBLASLt has no way for can be asked for", async () => {
  await withDevice({}, (device) => {
    const before = stub!.alive();
    const plain = { ...productOf("relu"), precision: "bfloat16" } as const;
    for (const epilogue of ["relu", "reluGradient"] as const) {
      const p = { ...plain, epilogue };
      assertEquals(device.canMultiply(p), false);
      const prepare = () => device.prepareProduct(p);
      assertThrows(prepare, DeviceError, `with ${epilogue}: cuBLASLt 12.8.5 has no way`);
      assertEquals(device.canMultiply({ ...p, precision: "tf32" }), true);
      assertEquals(device.canMultiply({ ...p, k: 0 }), true);
    }
    assertEquals(device.canMultiply({ ...plain, epilogue: undefined }), true);
    assertEquals(stub!.alive().cublas, before.cublas);
    device.prepareProduct({ ...plain, epilogue: undefined });
    device.record(() => assertEquals(device.canMultiply(plain), false)).dispose();
  });
});

stubTest("tuning times products with an epilogue, too", async () => {
  await withDevice({ tune: true }, (device) => {
    checkRoundTrip(device, { n: 130, batch: 3 });
    assertEquals(stub!.lastProduct().way, 3);
    assertEquals(device.allocations, 0);
  });
});
