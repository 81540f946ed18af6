/** Low-rank adapters beside the projections of a model, in PEFT's file format. @module */
import { ConfigError, ShapeError } from "../errors.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { type ConfigTables, readConfig, RULES } from "./config_reader.ts";
import type { Projection } from "./decoder_params.ts";

/** How a forward pass adds adapters: what is left of {@linkcode LoraConfig} there. */
export interface LoraScaling {
  /** A, rank of the adapters. */
  readonly rank: number;
  /** Multiplied with what an adapter adds. */
  readonly factor: number;
  /** Rate of dropout on the input of an adapter. */
  readonly dropoutRate: number;
}

/** Which projections get an adapter, and of what kind. */
export interface LoraConfig {
  /** A, rank of the adapters. */
  readonly rank: number;
  /** α: the adapters are multiplied by α / A. */
  readonly alpha: number;
  /** Rate of dropout on the input of an adapter, in training. */
  readonly dropoutRate: number;
  /**
   * Projections with an adapter, as in PEFT: names or their last parts (`["q_proj", "v_proj"]`), a
   * regular expression for the whole name, or `"all-linear"`.
   */
  readonly targets: readonly string[] | string;
  /** Is the factor α / √A instead (Kalajdzievski 2023)? */
  readonly isRankStabilised: boolean;
  /** Model the adapters belong to, if known: an id or a folder. */
  readonly baseModel?: string;
}

/** Defaults of PEFT. */
const DEFAULTS = { rank: 8, alpha: 8, dropoutRate: 0, isRankStabilised: false };

/**
 * A configuration with PEFT's defaults: rank 8, α 8, no dropout.
 *
 * @param over What differs; `targets` must be said
 * @throws {ConfigError} If a value is out of range
 */
export function loraConfig(
  over: Partial<LoraConfig> & Pick<LoraConfig, "targets">,
): LoraConfig {
  return parseLoraConfig(loraConfigToJson({ ...DEFAULTS, ...over }));
}

/** What forward passes need of a configuration; dropout only in training. */
export function loraScaling(config: LoraConfig, { isTraining = false } = {}): LoraScaling {
  const { rank, alpha, isRankStabilised } = config;
  return {
    rank,
    factor: alpha / (isRankStabilised ? Math.sqrt(rank) : rank),
    dropoutRate: isTraining ? config.dropoutRate : 0,
  };
}

/**
 * The projections that get an adapter.
 *
 * @param config Targets
 * @param projections All projections of the model
 * @throws {ConfigError} If a target names none of them
 */
export function loraTargets(
  config: LoraConfig,
  projections: readonly Projection[],
): Projection[] {
  const { targets } = config;
  const known = [...new Set(projections.map((p) => p.name.replace(/^.*\.\d+\./, "")))];
  const none = (what: string): never => {
    throw new ConfigError([{
      key: "target_modules",
      message: `${what} is no projection of this model; it has ${known.join(", ")}`,
    }]);
  };
  if (targets === "all-linear") return [...projections];
  if (typeof targets === "string") {
    let whole: RegExp;
    try {
      whole = new RegExp(`^(?:${targets})$`);
    } catch {
      return none(`the expression ${targets}`);
    }
    const found = projections.filter((p) => whole.test(p.name));
    return found.length ? found : none(`the expression ${targets}`);
  }
  const isHit = (name: string, target: string): boolean =>
    name === target || name.endsWith(`.${target}`);
  for (const target of targets) {
    if (!projections.some((p) => isHit(p.name, target))) none(target);
  }
  return projections.filter((p) => targets.some((target) => isHit(p.name, target)));
}

/**
 * The parameters of the adapters, to stand among those of the model:
 *
 *   y = x Wᵀ + b + factor · (x Aᵀ) Bᵀ      A: [A, I]      B: [O, A], 0 at the start
 *
 * Source: Hu et al. 2021. Departure: A starts normal with variance 1/(3 I), which is that of PEFT's
 * uniform numbers.
 *
 * @param config Rank and targets
 * @param projections All projections of the model
 * @throws {ConfigError} If a target names none of them
 */
export function loraParamSpecs(
  config: LoraConfig,
  projections: readonly Projection[],
): ParamSpecs {
  const specs: ParamSpecs = {};
  for (const { name, inputs, outputs } of loraTargets(config, projections)) {
    specs[`${name}.lora_A.weight`] = {
      shape: [config.rank, inputs],
      init: { kind: "normal", std: (3 * inputs) ** -0.5 },
    };
    specs[`${name}.lora_B.weight`] = {
      shape: [outputs, config.rank],
      init: { kind: "constant", value: 0 },
    };
  }
  return specs;
}

/**
 * The weights of a model with the adapters in them: `W + factor · B A`. Tensors without an adapter are
 * not copied.
 *
 * @param tensors Parameters of the model
 * @param adapters Parameters of {@linkcode loraParamSpecs}
 * @param config Rank, α, and whether projections are stored as [I, O]
 * @throws {ShapeError} If an adapter does not fit its projection
 */
export function mergeLora(
  tensors: Readonly<Record<string, HostTensor<"float32">>>,
  adapters: Readonly<Record<string, HostTensor<"float32">>>,
  { config, isConv1d = false }: { config: LoraConfig; isConv1d?: boolean },
): Record<string, HostTensor<"float32">> {
  const { factor } = loraScaling(config);
  const merged = { ...tensors };
  for (const [key, down] of Object.entries(adapters)) {
    if (!key.endsWith(".lora_A.weight")) continue;
    const name = key.slice(0, -".lora_A.weight".length);
    const base = tensors[`${name}.weight`], up = adapters[`${name}.lora_B.weight`];
    const [rank, I] = down.shape, O = up?.shape[0];
    const shape = isConv1d ? [I, O] : [O, I];
    if (!base || up?.shape[1] !== rank || `${base.shape}` !== `${shape}`) {
      throw new ShapeError(
        `Cannot merge the adapter of ${name}: lora_A is [${down.shape}], lora_B [${up?.shape}], ` +
          `the weight [${base?.shape}]`,
      );
    }
    const data = base.data.slice();
    const row = new Float64Array(I);
    for (let o = 0; o < O; o++) {
      row.fill(0);
      for (let a = 0; a < rank; a++) {
        const scale = up.data[o * rank + a];
        for (let i = 0; i < I; i++) row[i] += scale * down.data[a * I + i];
      }
      const [start, step] = isConv1d ? [o, O] : [o * I, 1];
      for (let i = 0; i < I; i++) data[start + i * step] += factor * row[i];
    }
    merged[`${name}.weight`] = hostTensor("float32", data, base.shape);
  }
  return merged;
}

const PREFIX = "base_model.model.";

/** Name of an adapter's parameter in PEFT's `adapter_model.safetensors`. */
export const toPeftName = (name: string): string => PREFIX + name;

/** The name here of a parameter in PEFT's file; undefined if it is no part of an adapter. */
export function fromPeftName(name: string): string | undefined {
  if (!name.startsWith(PREFIX) || !/\.lora_[AB]\.weight$/.test(name)) return undefined;
  return name.slice(PREFIX.length);
}

const TABLES: ConfigTables<LoraConfig> = {
  places: {
    rank: ["r", DEFAULTS.rank],
    alpha: ["lora_alpha", DEFAULTS.alpha],
    dropoutRate: ["lora_dropout", DEFAULTS.dropoutRate],
    targets: ["target_modules", undefined],
    isRankStabilised: ["use_rslora", DEFAULTS.isRankStabilised],
    baseModel: ["base_model_name_or_path", undefined],
  },
  rules: {
    rank: RULES.size,
    alpha: RULES.positive,
    dropoutRate: RULES.rate,
    targets: [
      "a name, a list of names or an expression",
      (x) =>
        (typeof x === "string" && x !== "") ||
        (Array.isArray(x) && x.length > 0 && x.every((name) => typeof name === "string")),
    ],
    isRankStabilised: RULES.flag,
    baseModel: ["a text", (x) => x === undefined || typeof x === "string"],
  },
  only: {
    peft_type: ["LORA"],
    bias: ["none"],
    lora_bias: [false],
    use_dora: [false],
    use_qalora: [false],
    modules_to_save: [[]],
    alpha_pattern: [{}],
    rank_pattern: [{}],
    exclude_modules: [[]],
    layers_to_transform: [[]],
    layer_replication: [[]],
    target_parameters: [[]],
    trainable_token_indices: [[]],
    alora_invocation_tokens: [[]],
    arrow_config: [],
    use_bdlora: [false],
    kasa_config: [],
    monteclora_config: [],
    velora_config: [],
    ensure_weight_tying: [false],
    // Others change the model's own weights before a training (PiSSA, OLoRA, LoftQ, …).
    init_lora_weights: [true, false, "gaussian", "eva", "orthogonal", "mica"],
  },
  // How a training started, or how another program stores its weights.
  inert: [
    "task_type",
    "inference_mode",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "fan_in_fan_out",
    "peft_version",
    "revision",
    "auto_mapping",
    "layers_pattern",
    "megatron_config",
    "megatron_core",
    "qalora_group_size",
  ],
  required: ["peft_type"],
  file: "adapter_config.json",
  derive: (config) => {
    if (config.baseModel === undefined) delete config.baseModel;
  },
};

/**
 * Adapters from the contents of PEFT's `adapter_config.json`.
 *
 * @param json The parsed file
 * @throws {ConfigError} With every problem: another kind of adapter, unknown fields, wrong values
 * @example
 * ```ts
 * import { loraScaling, parseLoraConfig } from "./lora.ts";
 * import { assertEquals } from "@std/assert";
 * const config = parseLoraConfig({ peft_type: "LORA", r: 4, lora_alpha: 8, target_modules: ["q"] });
 * assertEquals(loraScaling(config), { rank: 4, factor: 2, dropoutRate: 0 });
 * ```
 */
export function parseLoraConfig(json: unknown): LoraConfig {
  return readConfig(json, TABLES);
}

/**
 * The contents of `adapter_config.json`: {@linkcode parseLoraConfig} gives the configuration back, and
 * PEFT loads it.
 *
 * @param config A configuration
 * @param options `isConv1d`: whether the model's projections are stored as [I, O]; `taskType`: what
 * PEFT calls the kind of model
 */
export function loraConfigToJson(
  config: LoraConfig,
  options: { isConv1d?: boolean; taskType?: "CAUSAL_LM" | "SEQ_2_SEQ_LM" } = {},
): Record<string, unknown> {
  const { isConv1d = false, taskType = "CAUSAL_LM" } = options;
  return {
    peft_type: "LORA",
    task_type: taskType,
    base_model_name_or_path: config.baseModel ?? null,
    r: config.rank,
    lora_alpha: config.alpha,
    lora_dropout: config.dropoutRate,
    target_modules: config.targets,
    use_rslora: config.isRankStabilised,
    fan_in_fan_out: isConv1d,
    bias: "none",
    inference_mode: true,
  };
}
