import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertNotEquals,
  assertThrows,
} from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { withGradients } from "../../../src/graph/mod.ts";
import {
  decoderLoss,
  decoderStates,
  isConv1d,
  loraConfig,
  loraParamSpecs,
  loraScaling,
  mergeLora,
  modelProjections,
  t5Loss,
} from "../../../src/model/mod.ts";
import { namedInts } from "../../../src/tensor/axes.ts";
import { type HostTensor, hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";
import { KEEP_MASK, type KeepMaskAttrs } from "../../../src/tensor/keep_mask.ts";
import { assertParity, runEager } from "../../parity.ts";
import { drawn, ids, paramsOf, tinyDecoder } from "./_tiny_decoder.ts";
import { batchOf, tinyConfig, tinyTensors } from "./_tiny_t5.ts";

/** The same numbers added up in another order. */
const FLOAT32_TOLERANCE = 1e-5;

const llama = tinyDecoder("llama"), t5 = tinyConfig();

/** A model and what an adapter changes of its states. */
for (const family of ["gpt2", "llama", "qwen2"] as const) {
  const model = tinyDecoder(family), { config, tensors } = model;
  const adapter = loraConfig({ targets: "all-linear", rank: 2, alpha: 3 });
  const specs = loraParamSpecs(adapter, modelProjections(config));
  const adapters = drawn(specs), lora = loraScaling(adapter);
  const statesOf = (all: Record<string, HostTensor>, options = {}): Float32Array =>
    decoderStates(paramsOf(all), config, { inputIds: ids([[3, 4, 5]]) }, options)
      .hidden.dataSync() as Float32Array;

  Deno.test(`${family}: adapters do nothing at the start`, () => {
    const fresh = Object.fromEntries(
      Object.entries(adapters).map(([name, t]) => [
        name,
        name.includes("lora_B") ? hostTensor("float32", t.data.map(() => 0), t.shape) : t,
      ]),
    );
    assertEquals(statesOf({ ...tensors, ...fresh }, { lora }), statesOf(tensors));
  });

  Deno.test(`${family}: adapters are the merged weights W + factor · B A`, () => {
    const merged = mergeLora(tensors, adapters, { config: adapter, isConv1d: isConv1d(config) });
    const beside = statesOf({ ...tensors, ...adapters }, { lora });
    const within = statesOf(merged), without = statesOf(tensors);
    beside.forEach((x, i) => assertAlmostEquals(x, within[i], 10 * FLOAT32_TOLERANCE));
    assert(beside.some((x, i) => Math.abs(x - without[i]) > 0.1), "they change nothing");
    // One element by hand, in float64.
    const [name] = modelProjections(config).slice(-1).map((p) => p.name);
    const down = adapters[`${name}.lora_A.weight`], up = adapters[`${name}.lora_B.weight`];
    const [rank, I] = down.shape, [O] = up.shape, [o, i] = [O - 2, 1];
    let sum = 0;
    for (let a = 0; a < rank; a++) sum += up.data[o * rank + a] * down.data[a * I + i];
    const at = isConv1d(config) ? i * O + o : o * I + i;
    const expected = tensors[`${name}.weight`].data[at] + 3 / 2 * sum;
    assertAlmostEquals(merged[`${name}.weight`].data[at], expected, FLOAT32_TOLERANCE);
    const untouched = family === "gpt2" ? "transformer.wte.weight" : "model.norm.weight";
    assert(merged[untouched] === tensors[untouched], "it was copied");
  });

  Deno.test(`${family}: gradients of adapters alone, eager and recorded`, async () => {
    const all = { ...tensors, ...adapters };
    const program = {
      name: `lora_${family}`,
      inputs: {
        ...Object.fromEntries(
          Object.entries(all).map((
            [name, { shape }],
          ) => [name, { dtype: "float32", shape }] as const),
        ),
        inputIds: { dtype: "int32", shape: ["B", "S"] },
      },
      run: (x: Record<string, tf.Tensor>) => {
        const inputIds = namedInts(x.inputIds, "B S", {});
        return { loss: decoderLoss(x, config, { inputIds, labels: inputIds }, { lora }) };
      },
    } as const;
    const parameters = Object.keys(adapters);
    const inputs = { ...all, inputIds: hostTensor("int32", Int32Array.of(3, 4, 5, 1), [2, 2]) };
    await assertParity(program, inputs, {
      gradients: { loss: "loss", parameters },
      dialects: ["training"],
    });
    const graph = withGradients(program, { loss: "loss", parameters });
    const outputs = await runEager(graph, inputs);
    assertEquals(
      Object.keys(outputs).sort(),
      ["loss", ...parameters.map((p) => `grad:${p}`)].sort(),
    );
    // One derivative by central differences of the loss.
    const [name] = parameters, step = 1e-2;
    const lossAt = async (change: number): Promise<number> => {
      const data = all[name].data.slice();
      data[0] += change;
      const { loss } = await runEager(program, {
        ...inputs,
        [name]: hostTensor("float32", data, all[name].shape),
      });
      return loss.data[0];
    };
    const slope = (await lossAt(step) - await lossAt(-step)) / (2 * step);
    assertAlmostEquals(outputs[`grad:${name}`].data[0], slope, 2e-3);
  });
}

Deno.test("adapters that do not fit are refused", () => {
  const adapter = loraConfig({ targets: ["q_proj"], rank: 2 });
  const adapters = drawn(loraParamSpecs(adapter, modelProjections(llama.config)));
  const name = "model.layers.0.self_attn.q_proj";
  const { [`${name}.lora_B.weight`]: _, ...half } = adapters;
  assertThrows(
    () => mergeLora(llama.tensors, half, { config: adapter }),
    ShapeError,
    `Cannot merge the adapter of ${name}: lora_A is [2,8], lora_B [undefined], the weight [24,8]`,
  );
  assertThrows(
    () => mergeLora(llama.tensors, adapters, { config: adapter, isConv1d: true }),
    ShapeError,
    "Cannot merge the adapter",
  );
  assertThrows(
    () =>
      decoderStates(paramsOf({ ...llama.tensors, ...adapters }), llama.config, {
        inputIds: ids([[1]]),
      }, { lora: { rank: 3, factor: 1, dropoutRate: 0 } }),
    ShapeError,
    "lora_A.weight as [A=3, I]: axis A is 2",
  );
});

Deno.test("T5 with adapters equals T5 with merged weights, short targets or not", () => {
  const tensors = tinyTensors(t5);
  const adapter = loraConfig({ targets: "all-linear", rank: 2, alpha: 1 });
  const adapters = drawn(loraParamSpecs(adapter, modelProjections(t5)));
  const batch = batchOf([[3, 4, 5], [6, 2, 0]], [[7, 8], [9, -100]]);
  const lossOf = (all: Record<string, HostTensor>, options = {}) =>
    t5Loss(paramsOf(all), t5, batch, options).dataSync()[0];
  const expected = lossOf(mergeLora(tensors, adapters, { config: adapter }));
  const all = { ...tensors, ...adapters }, lora = loraScaling(adapter);
  assertAlmostEquals(lossOf(all, { lora }), expected, FLOAT32_TOLERANCE);
  assertAlmostEquals(lossOf(all, { lora, hasShortTargets: true }), expected, FLOAT32_TOLERANCE);
  assert(Math.abs(lossOf(tensors) - expected) > 1e-3);
  assertEquals(lossOf(all), lossOf(tensors));
});

const sizes: number[] = [];
tf.registerKernel({
  kernelName: KEEP_MASK,
  backendName: "cpu",
  kernelFunc: ({ attrs }) => {
    const { shape } = attrs as unknown as KeepMaskAttrs;
    sizes.push(sizeOf(shape));
    return tf.zeros(shape);
  },
});

Deno.test("dropout acts on the input of an adapter alone, once for each", () => {
  const adapters = drawn(
    loraParamSpecs(loraConfig({ targets: ["q_proj"], rank: 2 }), modelProjections(llama.config)),
  );
  const params = paramsOf({ ...llama.tensors, ...adapters });
  const statesAt = (dropoutRate: number): unknown => {
    sizes.length = 0;
    const lora = { rank: 2, factor: 1, dropoutRate };
    return decoderStates(params, llama.config, { inputIds: ids([[3, 4, 5]]) }, { lora })
      .hidden.arraySync();
  };
  const whole = statesAt(0);
  assertEquals(sizes, []);
  // With everything dropped an adapter adds nothing, and the projection beside it is as ever.
  const without = decoderStates(paramsOf(llama.tensors), llama.config, {
    inputIds: ids([[3, 4, 5]]),
  }).hidden.arraySync();
  assertEquals(statesAt(0.5), without);
  assertEquals(sizes, [24, 24]);
  assertNotEquals(whole, without);
});
