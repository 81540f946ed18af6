/** Greedy generation of T5 step by step, with cached keys and values, against transformers. */
import { assert, assertEquals } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import type { Program } from "../../src/graph/mod.ts";
import {
  type KeysValues,
  t5CrossKeysValues,
  t5Decode,
  t5DecodeStep,
  t5Encode,
  t5Logits,
  type T5Model,
} from "../../src/model/mod.ts";
import type { Executor, HostTensors } from "../../src/runtime/executor.ts";
import { named, namedInts } from "../../src/tensor/axes.ts";
import { hostTensor } from "../../src/tensor/host_tensor.ts";
import { executors } from "./_executors.ts";
import {
  batchInputs,
  hostBatch,
  isAvailable,
  type Reference,
  references,
  relativeMax,
} from "./_t5.ts";

const STEP_TOLERANCE = 1e-5;

/** Keys and values as named tensors, and back. */
function flatten(prefix: string, list: readonly KeysValues[]): Record<string, tf.Tensor> {
  return Object.fromEntries(list.flatMap(({ keys, values }, i) => [
    [`${prefix}.${i}.keys`, keys],
    [`${prefix}.${i}.values`, values],
  ]));
}
function gather(prefix: string, layers: number, x: Record<string, tf.Tensor>): KeysValues[] {
  const of = (i: number, part: string) => named(x[`${prefix}.${i}.${part}`], "B H M E", {});
  return Array.from(
    { length: layers },
    (_, i) => ({ keys: of(i, "keys"), values: of(i, "values") }),
  );
}
function inputsOf(prefix: string, { config }: T5Model, axes: [string, string]): Program["inputs"] {
  const shape = [axes[0], config.heads, axes[1], config.headWidth];
  return Object.fromEntries(
    Array.from({ length: config.decoderLayers }, (_, i) =>
      ["keys", "values"].map((
        part,
      ) => [`${prefix}.${i}.${part}`, { dtype: "float32", shape } as const])).flat(),
  );
}

function encoderProgram(model: T5Model): Program {
  const { labels: _, ...inputs } = batchInputs(model);
  return {
    name: "t5_source",
    inputs,
    run: (x) => {
      const source = {
        inputIds: namedInts(x.inputIds, "B S", {}),
        isToken: named(x.isToken, "B S", {}),
      };
      const memory = t5Encode(x, model.config, source);
      return flatten("cross", t5CrossKeysValues(x, model.config, memory));
    },
  };
}

/** One step; the first one has no cache and is a program of its own. */
function stepProgram(model: T5Model, isFirst: boolean): Program {
  const { config } = model;
  const { labels: _, inputIds: __, ...inputs } = batchInputs(model);
  return {
    name: isFirst ? "t5_first_step" : "t5_step",
    inputs: {
      ...inputs,
      token: { dtype: "int32", shape: ["B"] },
      ...inputsOf("cross", model, ["B", "S"]),
      ...(isFirst ? {} : inputsOf("self", model, ["B", "P"])),
    },
    run: (x) => {
      const { hidden, cache } = t5DecodeStep(x, config, {
        token: namedInts(x.token, "N", {}),
        isToken: named(x.isToken, "B S", {}),
        cache: isFirst ? [] : gather("self", config.decoderLayers, x),
        crossKeysValues: gather("cross", config.decoderLayers, x),
      });
      const next = tf.argMax(t5Logits(x, config, hidden), -1);
      // A graph's outputs can't have the names of its inputs.
      return { next: tf.cast(next, "int32"), ...flatten("new", cache) };
    },
  };
}

/** The program's outputs, given those of `all` that it reads. */
async function runWith(
  executor: Executor,
  program: Program,
  all: HostTensors,
): Promise<HostTensors> {
  const executable = await executor.compile(program);
  const inputs = Object.fromEntries(
    Object.keys(executable.inputs).map((name) => [name, all[name]]),
  );
  const outputs = await executable.run(inputs);
  await executable.dispose();
  return outputs;
}

async function greedy(
  executor: Executor,
  reference: Reference,
  steps: number,
): Promise<number[][]> {
  const { inputIds, isToken } = hostBatch(reference.cases[0]);
  const B = inputIds.shape[0];
  const sequences = Array.from({ length: B }, () => [reference.config.startToken]);
  let known: HostTensors = { ...reference.tensors, inputIds, isToken };
  known = { ...known, ...await runWith(executor, encoderProgram(reference), known) };
  const later = await executor.compile(stepProgram(reference, false));
  for (let step = 0; step < steps; step++) {
    known.token = hostTensor("int32", Int32Array.from(sequences, (s) => s[step]), [B]);
    const outputs = step === 0
      ? await runWith(executor, stepProgram(reference, true), known)
      : await later.run(Object.fromEntries(Object.keys(later.inputs).map((n) => [n, known[n]])));
    for (const [name, t] of Object.entries(outputs)) known[name.replace("new.", "self.")] = t;
    outputs.next.data.forEach((token, b) => sequences[b].push(token));
  }
  await later.dispose();
  return sequences;
}

for (const { executor, ignore, ...options } of executors) {
  for (const reference of references) {
    Deno.test({
      name: `${reference.name} on ${executor.name}: greedy generation`,
      ignore: ignore || !isAvailable,
      ...options,
      fn: async () => {
        const { max_new_tokens, sequences } = reference.greedy;
        assertEquals(await greedy(executor, reference, max_new_tokens), sequences);
      },
    });
  }
}

for (const reference of references) {
  Deno.test({
    name: `${reference.name}: beams of one source see what whole targets see`,
    ignore: !isAvailable,
    fn: async () => {
      await tf.ready();
      const { config, tensors, cases: [c] } = reference;
      const beams = 3, targets = [[0, 5, 17, 42], [0, 5, 98, 3], [0, 61, 61, 2]];
      const tensorOf = (t: { data: ArrayLike<number>; shape: readonly number[]; dtype: string }) =>
        tf.tensor(t.data as Float32Array, [...t.shape], t.dtype as "float32");
      const params = Object.fromEntries(Object.entries(tensors).map(([n, t]) => [n, tensorOf(t)]));
      const batch = hostBatch(c);
      const inputIds = namedInts(tensorOf(batch.inputIds), "B S", {});
      const isToken = named(tensorOf(batch.isToken), "B S", {});
      const memory = t5Encode(params, config, { inputIds, isToken });
      const crossKeysValues = t5CrossKeysValues(params, config, memory);
      let cache: KeysValues[] = [];
      const logits: tf.Tensor[] = [];
      const rows = { start: 7, size: 20 };
      for (let t = 0; t < 4; t++) {
        const ids = [...targets, ...targets].map((ids) => ids[t]);
        const token = namedInts(tf.tensor1d(ids, "int32"), "N", {});
        const step = t5DecodeStep(params, config, {
          token,
          isToken,
          cache,
          crossKeysValues,
          beams,
        });
        cache = step.cache;
        logits.push(t5Logits(params, config, step.hidden, { rows }));
      }
      const ids = namedInts(tf.tensor1d([...Array(20).keys()].map((i) => 7 + i), "int32"), "C", {});
      for (let b = 0; b < 2; b++) {
        const of = (x: tf.Tensor) =>
          tf.tile(tf.slice(x, b, 1), [3, ...x.shape.slice(1).map(() => 1)]);
        const whole = t5Decode(params, config, {
          decoderIds: namedInts(tf.tensor2d(targets, [3, 4], "int32"), "B T", {}),
          memory: named(of(memory), "B S D", {}),
          isToken: named(of(isToken), "B S", {}),
        });
        const expected = t5Logits(params, config, whole, { rows: ids });
        const stepped = tf.stack(logits.map((x) => tf.slice(x, b * beams, beams)), 1);
        const error = relativeMax(stepped.dataSync(), expected.dataSync());
        assert(error <= STEP_TOLERANCE, `source ${b} is off by ${error}`);
      }
    },
  });
}
