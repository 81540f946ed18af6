/** Which tensor of a file is which parameter of a model. @module */
import { CheckpointError } from "../errors.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import { type Model, type ModelConfig, modelParamSpecs, vocabularyTables } from "./model.ts";

/** A tensor as a file's header describes it. */
export interface StoredTensor {
  /** Its name in the file. */
  readonly name: string;
  /** Sizes of the axes. */
  readonly shape: readonly number[];
  /** Its element type in the file. */
  readonly type: string;
}

/** What to read of a file, and as what. */
export interface WeightsPlan {
  /** The configuration. */
  readonly config: ModelConfig;
  /** Tensors to read: name in the file and name of the parameter. */
  readonly reads: readonly { readonly from: string; readonly to: string }[];
  /** Those of them that should equal the embedding table: further copies, or an output layer. */
  readonly copies: readonly string[];
}

/** Names under which older T5 files repeat the embedding table. */
const T5_COPIES = ["encoder.embed_tokens.weight", "decoder.embed_tokens.weight"];

/** Tensors of published files that no model uses: masks, frequencies, and a table T5 never had. */
const UNUSED = [
  /^decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight$/,
  /^transformer\.h\.\d+\.attn\.(bias|masked_bias)$/,
  /^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$/,
];

/** Element types that become float32. */
const FLOAT_TYPES = ["F32", "F16", "BF16"];

const MAX_LISTED = 20;

function fail(problems: readonly string[]): never {
  const more = problems.length - MAX_LISTED;
  throw new CheckpointError(
    `Cannot use these weights: ${problems.length} do not fit the configuration\n` +
      problems.slice(0, MAX_LISTED).map((p) => `  ${p}`).join("\n") +
      (more > 0 ? `\n  … and ${more} more` : ""),
  );
}

/**
 * What to read of a file. GPT-2's tensors may lack the prefix `transformer.`, as in its published
 * files; masks and rotary frequencies in older files are left out.
 *
 * @param config Configuration of the model
 * @param stored Every tensor of the file, or of all its shards
 * @throws {CheckpointError} If a parameter is missing, of another shape or type, or a tensor is none of
 *   the model's; all of it is told at once
 */
export function planWeights(config: ModelConfig, stored: readonly StoredTensor[]): WeightsPlan {
  const specs = modelParamSpecs(config);
  const { embedding, head } = vocabularyTables(config);
  const isBare = config.family === "gpt2" && stored.some(({ name }) => name === "wte.weight");
  const canonical = (name: string): string =>
    isBare && !name.startsWith("lm_head.") ? `transformer.${name}` : name;
  const copies = [
    ...config.family === "t5" ? T5_COPIES : [],
    ...config.isTied ? [head] : [],
  ];
  const problems: string[] = [];
  const reads: { from: string; to: string }[] = [];
  const found = new Set<string>();
  for (const { name: from, shape, type } of stored) {
    const to = canonical(from);
    if (UNUSED.some((name) => name.test(to))) continue;
    const spec = Object.hasOwn(specs, to)
      ? specs[to]
      : copies.includes(to)
      ? specs[embedding]
      : undefined;
    if (!spec) problems.push(`${from} is no parameter of this model`);
    else if (found.has(to)) problems.push(`${from} is there twice`);
    else if (!FLOAT_TYPES.includes(type)) {
      problems.push(`${from} is ${type}, not F32, F16 or BF16`);
    } else if (`${shape}` !== `${spec.shape}`) {
      problems.push(`${from} is [${shape}], not [${spec.shape}]`);
    } else reads.push({ from, to });
    found.add(to);
  }
  for (const name of Object.keys(specs)) if (!found.has(name)) problems.push(`${name} is missing`);
  if (problems.length) fail(problems);
  return { config, reads, copies: copies.filter((name) => found.has(name)) };
}

const isSame = (a: HostTensor, b: HostTensor): boolean =>
  a.data === b.data || a.data.every((x, i) => Object.is(x, b.data[i]));

/**
 * The model, once everything of a plan was read.
 *
 * As transformers does, an output layer of its own wins over a configuration that calls it tied
 * (transformers 5 writes that for every T5); further copies of the embedding table are taken for what
 * they are if they are equal.
 *
 * @param plan What was read
 * @param tensors By the names of the parameters
 * @throws {CheckpointError} If a copy of the embedding table differs from it
 */
export function settleModel(
  plan: WeightsPlan,
  tensors: Readonly<Record<string, HostTensor<"float32">>>,
): Model {
  const { embedding, head } = vocabularyTables(plan.config);
  let isTied = plan.config.isTied;
  const problems: string[] = [];
  for (const name of plan.copies) {
    if (isSame(tensors[name], tensors[embedding])) continue;
    if (name === head) isTied = false;
    else problems.push(`${name} differs from ${embedding}, of which it should be a copy`);
  }
  if (problems.length) fail(problems);
  const config = { ...plan.config, isTied } as ModelConfig;
  const names = Object.keys(modelParamSpecs(config));
  return { config, tensors: Object.fromEntries(names.map((name) => [name, tensors[name]])) };
}
