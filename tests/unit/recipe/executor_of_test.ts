import * as tf from "@tensorflow/tfjs-core";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { composeConfig } from "../../../src/config/mod.ts";
import { DeviceError, KernelError } from "../../../src/errors.ts";
import type { Program } from "../../../src/graph/mod.ts";
import { executorOf, onnxOptionsOf, openExecutor } from "../../../src/recipe/executor_of.ts";
import { hasGpu } from "../runtime/cuda/_gpu.ts";
import { testUnusable, warningsOf } from "../runtime/unusable_provider.ts";

const square: Program = {
  name: "square",
  inputs: { x: { dtype: "float32", shape: ["B"] } },
  run: ({ x }) => ({ y: tf.mul(x, x) }),
};

testUnusable("the section device chooses executor, provider and fallback", async (provider) => {
  for (const executor of ["onnx", "onnx-worker"]) {
    const overrides = [`device.executor=${executor}`, `device.provider=${provider}`];
    await warningsOf(async () => {
      const { device } = composeConfig({ overrides });
      const e = await executorOf(device).compile(square);
      assertEquals([executorOf(device).name, e.provider], [executor, "cpu"]);
      await e.dispose();
    });
    const { device } = composeConfig({
      overrides: [...overrides, "device.provider_fallback=error"],
    });
    await assertRejects(
      () => executorOf(device).compile(square),
      KernelError,
      `provider ${provider}`,
    );
  }
});

Deno.test("models that are ONNX already are opened with threads and provider of the section", () => {
  const overrides = ["device.threads=3", "device.provider=cuda", "device.provider_fallback=error"];
  assertEquals(onnxOptionsOf(composeConfig({ overrides }).device), {
    threads: 3,
    provider: "cuda",
    providerFallback: "error",
  });
  assertEquals(onnxOptionsOf(composeConfig({}).device), {
    threads: undefined,
    provider: "cpu",
    providerFallback: "cpu",
  });
});

Deno.test("opening an executor gives what runs the programs", async () => {
  const { device } = composeConfig({ overrides: ["device.executor=cpu"] });
  assertEquals((await openExecutor(device)).name, "cpu");
  const lazily = composeConfig({ overrides: ["device.executor=cuda"] });
  assertEquals(executorOf(lazily.device).name, "cuda");
});

/** Catches: a GPU that is missed only when training begins, or passed over in silence. */
Deno.test({
  name: "without a GPU cuda is refused when it is opened, and auto is onnx",
  ignore: hasGpu,
  fn: async () => {
    const { device } = composeConfig({ overrides: ["device.executor=cuda"] });
    await assertRejects(() => openExecutor(device), DeviceError);
    const auto = composeConfig({ overrides: ["device.executor=auto", "device.precision=tf32"] });
    const lines = await warningsOf(async () => {
      assertEquals((await openExecutor(auto.device)).name, "onnx");
    });
    assertEquals(lines.length, 1);
    assertStringIncludes(lines[0], "programs run on onnx, not on cuda: Cannot ");
  },
});
