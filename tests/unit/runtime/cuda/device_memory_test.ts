/** Nothing is left on a device; too little memory is an error that leaves the executor as it was. */
import * as tf from "@tensorflow/tfjs-core";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { DeviceError, ShapeError } from "../../../../src/errors.ts";
import { deviceExecutor } from "../../../../src/runtime/cuda/cuda_executor.ts";
import type { Device } from "../../../../src/runtime/cuda/device.ts";
import { openHostDevice } from "../../../../src/runtime/cuda/host_device.ts";
import type { HostTensors } from "../../../../src/runtime/mod.ts";
import { hostTensor } from "../../../../src/tensor/host_tensor.ts";
import type { Program } from "../../../../src/graph/mod.ts";
import { hasCompiler } from "./_host.ts";

const LIMIT_BYTES = 4 << 20;

/** y = softmax(x·w) with a table that is a constant. */
const program: Program = {
  name: "layer",
  inputs: {
    x: { dtype: "float32", shape: ["B", 64] },
    w: { dtype: "float32", shape: [64, 32] },
  },
  run: ({ x, w }) => ({ y: tf.softmax(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D)) }),
};
const zeros = (...shape: number[]) =>
  hostTensor("float32", new Float32Array(shape.reduce((a, b) => a * b)), shape);
const w = zeros(64, 32);
const feeds = (B: number): HostTensors => ({ x: zeros(B, 64) });

/** @param broken Why the test is skipped for now */
function testWithDevice(
  name: string,
  body: (device: Device) => Promise<void>,
  broken?: string,
): void {
  Deno.test({
    name: `a device's memory: ${name}${broken ? ` (skipped: ${broken})` : ""}`,
    ignore: !hasCompiler || broken !== undefined,
    fn: async () => {
      const device = await openHostDevice({ memoryLimit: LIMIT_BYTES });
      try {
        await body(device);
        assertEquals(device.allocations, 0);
        assertEquals(device.memory().free, LIMIT_BYTES);
      } finally {
        device.dispose();
      }
    },
  });
}

/** Catches: constants, arenas or replays that outlive their program. */
testWithDevice("programs that were disposed of leave nothing", async (device) => {
  const executor = deviceExecutor(device);
  const executables = [
    await executor.compile(program, { constants: { w } }),
    await executor.compile(program, { constants: { w } }),
  ];
  for (const e of executables) for (const B of [3, 0, 3, 5]) await e.run(feeds(B));
  assert(device.allocations > 0);
  for (const e of executables) await e.dispose();
});

/** Catches: sizes that are kept for ever. */
testWithDevice("more sets of sizes than are kept prepared", async (device) => {
  const e = await deviceExecutor(device).compile(program, { constants: { w } });
  for (let B = 1; B <= 12; B++) await e.run(feeds(B));
  const kept = device.allocations;
  for (let B = 13; B <= 30; B++) await e.run(feeds(B));
  assertEquals(device.allocations, kept);
  await e.dispose();
});

/** Catches: memory that a failed run keeps, and an executor that is broken afterwards. */
testWithDevice("a batch that is too large", async (device) => {
  const executor = deviceExecutor(device);
  const e = await executor.compile(program, { constants: { w } });
  await e.run(feeds(4));
  const before = device.allocations, { free } = device.memory();
  for (let i = 0; i < 3; i++) {
    const error = await assertRejects(() => e.run(feeds(100_000)), DeviceError, "Cannot allocate");
    assert(/MiB are free/.test(error.message), error.message);
    assertEquals([device.allocations, device.memory().free], [before, free]);
  }
  const { y } = await e.run(feeds(4));
  assertEquals([...y.data], new Array(4 * 32).fill(1 / 32));
  await e.dispose();
});

/** Catches: constants that fit while the program does not, and are left behind. */
testWithDevice("constants that are too large", async (device) => {
  const large: Program = {
    name: "large",
    inputs: {
      a: { dtype: "float32", shape: [700_000] },
      b: { dtype: "float32", shape: [700_000] },
    },
    run: ({ a, b }) => ({ y: tf.sum(tf.mul(a, b)) }),
  };
  const constants = { a: zeros(700_000), b: zeros(700_000) };
  await assertRejects(() => deviceExecutor(device).compile(large, { constants }), DeviceError);
});

/** Catches: runs that were refused and hold on to something. */
testWithDevice("inputs that do not fit", async (device) => {
  const e = await deviceExecutor(device).compile(program, { constants: { w } });
  const before = device.allocations;
  await assertRejects(() => e.run({ x: zeros(3, 5) }), ShapeError);
  assertEquals(device.allocations, before);
  await e.dispose();
});
