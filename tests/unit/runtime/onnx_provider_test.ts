import * as tf from "@tensorflow/tfjs-core";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { InferenceSession } from "onnxruntime-node";
import { KernelError } from "../../../src/errors.ts";
import { type Program, record, toOnnx } from "../../../src/graph/mod.ts";
import {
  eagerExecutor,
  onnxExecutor,
  type OnnxProvider,
  openOnnx,
  workerExecutor,
} from "../../../src/runtime/mod.ts";
import { openOnProvider, reasonOf } from "../../../src/runtime/onnx_provider.ts";
import { OnnxExecutable } from "../../../src/runtime/onnx_session.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { testUnusable, usableProviders, warningsOf } from "./unusable_provider.ts";

const square: Program = {
  name: "square",
  inputs: { x: { dtype: "float32", shape: ["B"] } },
  run: ({ x }) => ({ y: tf.mul(x, x) }),
};
const x = hostTensor("float32", Float32Array.of(2, 3), [2]);
const { model } = toOnnx(record(square, { dialect: "export" }));

testUnusable(
  "a provider that can't be used is said once, and the cpu computes",
  async (provider, { reason }) => {
    const seen: unknown[] = [];
    const warnings = await warningsOf(async (soFar) => {
      // The worker first: what it notices has to be said out here.
      for (
        const open of [
          () => workerExecutor({ provider }).compile(square),
          () => onnxExecutor({ provider }).compile(square),
          () => openOnnx(model, { provider }),
        ]
      ) {
        const e = await open();
        seen.push(e.provider, ...(await e.run({ x })).y.data, soFar.length);
        await e.dispose();
      }
    });
    assertEquals(seen, ["cpu", 4, 9, 1, "cpu", 4, 9, 1, "cpu", 4, 9, 1]);
    assertEquals(warnings, [
      `provider ${provider} is not available here (${reason}); running on cpu`,
    ]);
  },
);

testUnusable(
  "without a fallback nothing runs, and the error has reason and remedy",
  async (provider, { reason, remedy }) => {
    const options = { provider, providerFallback: "error" } as const;
    const opening = [
      () => onnxExecutor(options).compile(square),
      () => workerExecutor(options).compile(square),
      () => openOnnx(model, options),
    ];
    for (const open of opening) {
      const { message } = await assertRejects(open, KernelError);
      assertStringIncludes(
        message,
        `provider ${provider} is not available here (${reason}). To do: ${remedy}`,
      );
    }
  },
);

for (const provider of usableProviders) {
  Deno.test(`${provider} can be used, computes, and is what an executable says`, async () => {
    const options = { provider, providerFallback: "error", threads: 1 } as const;
    for (const executor of [onnxExecutor(options), workerExecutor(options)]) {
      const e = await executor.compile(square);
      assertEquals(e.provider, provider);
      assertEquals((await e.run({ x })).y.data, Float32Array.of(4, 9));
      await e.dispose();
    }
  });
}

Deno.test("an executable that ONNX Runtime does not run has no provider", async () => {
  const e = await eagerExecutor("cpu").compile(square);
  assertEquals(e.provider, undefined);
  await e.dispose();
});

/** Opens nothing; refuses on some providers. @returns What was tried, in order */
function opener(...broken: OnnxProvider[]): [OnnxProvider[], (p: OnnxProvider) => Promise<string>] {
  const tried: OnnxProvider[] = [];
  return [tried, (provider) => {
    tried.push(provider);
    if (!broken.includes(provider)) return Promise.resolve("a session");
    return Promise.reject(new Error(`${provider}: no kernel for Foo\n  at graph.cc`));
  }];
}

Deno.test("a model that a working provider can't open goes to the cpu, and is said", async () => {
  const works = () => Promise.resolve(undefined);
  const [tried, open] = opener("cuda");
  assertEquals(await openOnProvider(open, { provider: "cuda" }, works), {
    opened: "a session",
    provider: "cpu",
    note: "provider cuda can't open this model (cuda: no kernel for Foo); running on cpu",
  });
  assertEquals(tried, ["cuda", "cpu"]);
  const strict = { provider: "cuda", providerFallback: "error" } as const;
  await assertRejects(() => openOnProvider(open, strict, works), Error, "cuda: no kernel");
  const [, never] = opener("cuda", "cpu");
  await assertRejects(
    () => openOnProvider(never, { provider: "cuda" }, works),
    Error,
    "cpu: no kernel",
  );
  const [direct, opens] = opener();
  assertEquals(await openOnProvider(opens, { provider: "webgpu" }, works), {
    opened: "a session",
    provider: "webgpu",
  });
  assertEquals(await openOnProvider(opens), { opened: "a session", provider: "cpu" });
  assertEquals(direct, ["webgpu", "cpu"]);
});

Deno.test("a provider that nobody knows is refused whatever the fallback", async () => {
  await assertRejects(
    () => openOnnx(model, { provider: "tpu" as "cpu" }),
    KernelError,
    'there is no provider "tpu": choose one of cpu, cuda, webgpu',
  );
});

Deno.test("of an error of ONNX Runtime only the sentence that says why is kept", () => {
  const adapter = "/src/webgpu_context.cc:136 WebGpuContext::Initialize(Config const&) " +
    "result.status == Success was false. Failed to get a WebGPU adapter: No supported adapters\n\n";
  assertEquals(
    reasonOf(new Error(adapter)),
    "Failed to get a WebGPU adapter: No supported adapters",
  );
  assertEquals(reasonOf(new Error("CUDA failure 35\n at x")), "CUDA failure 35");
  assertEquals(reasonOf(new Error("")), "ONNX Runtime does not say why");
});

Deno.test("webgpu is not given empty inputs, which crash it", async () => {
  let runs = 0;
  const session = {
    run: () => Promise.resolve(void runs++ as unknown),
    release: () => Promise.resolve(),
  } as unknown as InferenceSession;
  const signature = {
    name: "decoder",
    inputs: { past: { dtype: "float32" as const, shape: [1, "P", 2] } },
    outputs: [],
    masks: [],
  };
  const past = hostTensor("float32", new Float32Array(0), [1, 0, 2]);
  const on = (provider: OnnxProvider) =>
    new OnnxExecutable({ opened: session, provider }, signature);
  await on("cpu").run({ past });
  await assertRejects(
    () => on("webgpu").run({ past }),
    KernelError,
    "Cannot run decoder on the provider webgpu: its input past is empty, [1, 0, 2]",
  );
  assertEquals(runs, 1);
});
