/** The training step that is timed: T5 in two sizes, on a batch of made-up ids. @module */
import { parameterInputs, type Program } from "../src/graph/mod.ts";
import {
  parseT5Config,
  type T5Config,
  t5Loss,
  type T5Options,
  t5ParamSpecs,
} from "../src/model/mod.ts";
import { adamw } from "../src/optim/mod.ts";
import { type HostTensors, ParameterStore } from "../src/runtime/mod.ts";
import { named, namedInts } from "../src/tensor/axes.ts";
import { hostTensor } from "../src/tensor/host_tensor.ts";
import { randomStream } from "../src/tensor/random.ts";

const CONFIGS: Record<string, { json: Record<string, unknown>; sizes: [number, number, number] }> =
  {
    small: {
      json: { vocab_size: 8192, d_model: 256, d_ff: 1024, num_heads: 4, num_layers: 4 },
      sizes: [64, 32, 8],
    },
    "t5-small": { json: {}, sizes: [32, 64, 8] },
    "t5-base": {
      json: { d_model: 768, d_ff: 3072, num_heads: 12, num_layers: 12 },
      sizes: [128, 128, 32],
    },
  };

/** A model, its parameters with AdamW, and a batch. */
export interface T5Step {
  config: T5Config;
  /** B, S, T. */
  sizes: [number, number, number];
  store: ParameterStore;
  program: Program;
  batch: HostTensors;
}

/** The loss of a T5 by its parameters and a batch of ids. */
export function t5LossProgram(config: T5Config, options: T5Options): Program {
  return {
    name: "t5_loss",
    inputs: {
      ...parameterInputs(t5ParamSpecs(config)),
      inputIds: { dtype: "int32", shape: ["B", "S"] },
      isToken: { dtype: "float32", shape: ["B", "S"] },
      labels: { dtype: "int32", shape: ["B", "T"] },
    },
    run: (x) => ({
      loss: t5Loss(x, config, {
        inputIds: namedInts(x.inputIds, "B S", {}),
        isToken: named(x.isToken, "B S", {}),
        labels: namedInts(x.labels, "B T", {}),
      }, options),
    }),
  };
}

/**
 * The step of that name: `small`, `t5-small` or `t5-base`.
 *
 * @param options.sizes B, S, T; each name has its own
 * @param options.isQuick Whether parameters are uniform numbers, which are drawn faster than normal ones
 */
export function t5Step(
  name: string,
  { hasShortTargets = true, isQuick = false, sizes }: {
    hasShortTargets?: boolean;
    isQuick?: boolean;
    sizes?: [number, number, number];
  } = {},
): T5Step {
  const choice = CONFIGS[name];
  if (!choice) throw new Error(`--config is one of ${Object.keys(CONFIGS).join(", ")}`);
  const config = parseT5Config({ model_type: "t5", ...choice.json });
  const [B, S, T] = sizes ?? choice.sizes;

  const specs = t5ParamSpecs(config);
  const program = t5LossProgram(config, { hasShortTargets });

  const store = new ParameterStore(specs, { rule: adamw({ weightDecay: 0.01 }) });
  if (isQuick) {
    let x = 1;
    for (const { name } of store.layout.segments) {
      const { init } = specs[name], { data } = store.params[name];
      if (init.kind === "constant") data.fill(init.value);
      // A linear congruential generator, scaled to the same variance.
      else {for (let i = 0; i < data.length; i++) {
          x = (Math.imul(x, 1664525) + 1013904223) | 0;
          data[i] = x / 2 ** 31 * Math.sqrt(3) * init.std;
        }}
    }
  } else store.initialise(1);
  const random = randomStream({ seed: 1, stream: "batch", step: 0 });
  const ids = (n: number) =>
    Int32Array.from({ length: n }, () => 2 + random.int(config.vocabSize - 2));
  const lengths = Array.from({ length: B }, () => S - random.int(Math.max(1, S / 4)));
  const batch = {
    inputIds: hostTensor("int32", ids(B * S), [B, S]),
    isToken: hostTensor(
      "float32",
      Float32Array.from({ length: B * S }, (_, i) => i % S < lengths[Math.floor(i / S)] ? 1 : 0),
      [B, S],
    ),
    labels: hostTensor("int32", ids(B * T), [B, T]),
  };
  return { config, sizes: [B, S, T], store, program, batch };
}
