/** Executors whose GPU is opened when it is first needed, against stand-ins for CUDA's libraries. */
import * as tf from "@tensorflow/tfjs-core";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeviceError } from "../../../../src/errors.ts";
import type { Program } from "../../../../src/graph/mod.ts";
import { type LibrarySystem, thisSystem } from "../../../../src/runtime/cuda/library_places.ts";
import { cudaExecutor, cudaOr, eagerExecutor } from "../../../../src/runtime/mod.ts";
import { hostTensor } from "../../../../src/tensor/host_tensor.ts";
import { warningsOf } from "../unusable_provider.ts";
import { stubTest } from "./stub_libraries.ts";

const square: Program = {
  name: "square",
  inputs: { x: { dtype: "float32", shape: ["B"] } },
  run: ({ x }) => ({ y: tf.mul(x, x) }),
};

/** A Linux without any of CUDA. */
const bare: LibrarySystem = {
  os: "linux",
  environment: () => undefined,
  names: () => [],
  resolve: () => undefined,
  open: () => {
    throw new Error("no such file");
  },
  keep: () => {},
};

/** Catches: libraries that are loaded when an executor is made, and places that are not named. */
Deno.test("cuda: nothing is opened before a program is compiled; then each place is named", async () => {
  let opened = 0;
  const system: LibrarySystem = {
    ...bare,
    open: () => {
      opened++;
      throw new Error("no such file");
    },
  };
  const executor = cudaExecutor({ system, precision: "tf32", libraries: "/asked/for" });
  assertEquals([executor.name, opened], ["cuda", 0]);
  const { message } = await assertRejects(() => executor.compile(square), DeviceError);
  assertEquals(opened, 1);
  for (
    const place of ["/asked/for: not there", "the dynamic loader's path", "/usr/lib64: not there"]
  ) {
    assert(message.includes(place), message);
  }
});

/** Catches: a failure that is remembered when it is over. */
stubTest("cuda: what failed is tried again", async ({ folder }) => {
  let isThere = false;
  const whole = thisSystem();
  const system: LibrarySystem = {
    ...whole,
    names: (path) => isThere ? whole.names(path) : [],
    open: (path, symbols) => isThere ? whole.open(path, symbols) : bare.open(path, symbols),
  };
  const executor = cudaExecutor({ system, libraries: folder, cache: false });
  await assertRejects(() => executor.open(), DeviceError);
  isThere = true;
  const opened = await executor.open();
  assertEquals(opened.device.name, "Stub 7");
  assertEquals(await executor.open(), opened);
  opened.dispose();
});

/** Catches: a context for each executor, precisions mixed up, a GPU that was closed and is handed out. */
stubTest("cuda: executors of equal options are one, and all share the GPU", async ({ folder }) => {
  const options = { libraries: folder, cache: false } as const;
  const [a, b, c] = await Promise.all([
    cudaExecutor(options).open(),
    cudaExecutor({ ...options, precision: "float32" }).open(),
    cudaExecutor({ ...options, precision: "bfloat16" }).open(),
  ]);
  assert(a === b && a !== c && a.device === c.device);
  assertEquals([a.precision, c.precision], ["float32", "bfloat16"]);
  a.dispose();
  const d = await cudaExecutor(options).open();
  assert(d.device !== a.device, "what was closed is opened again");
  d.dispose();
});

/** Catches: a fallback that hides a mistake, news that are missing or come with each program. */
Deno.test("auto: without a GPU the other executor runs programs, and says so once", async () => {
  const executor = cudaOr({ system: bare }, eagerExecutor("cpu"));
  assertEquals(executor.name, "auto");
  const lines = await warningsOf(async () => {
    const executable = await executor.compile(square);
    const x = hostTensor("float32", Float32Array.of(2, 3), [2]);
    assertEquals([...(await executable.run({ x })).y.data], [4, 9]);
    await executable.dispose();
    await (await executor.compile(square)).dispose();
    await cudaOr({ system: bare }, eagerExecutor("cpu")).open();
  });
  assertEquals(executor.name, "cpu");
  assertEquals(lines, [
    "programs run on cpu, not on cuda: Cannot load NVIDIA's driver: no libcuda.so.1 in any of the places " +
    "that doctor names",
  ]);
  const broken: LibrarySystem = {
    ...bare,
    names: () => {
      throw new TypeError("a mistake");
    },
  };
  await assertRejects(() => cudaOr({ system: broken }, eagerExecutor("cpu")).open(), TypeError);
});
