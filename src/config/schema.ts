/**
 * Every key of a configuration: what it means, its default and its range. This file is the only
 * place where they stand; `configs/generate.ts` writes the JSON Schema, the TypeScript types and the
 * reference page from it.
 *
 * @module
 */
import { z } from "zod";
import {
  choice,
  optionalReal,
  optionalText,
  optionalWhole,
  real,
  reals,
  section,
  show,
  text,
  toggle,
  whole,
} from "./fields.ts";

const world = section(
  "The oracle world: entities, facts and questions in which the best possible agent is known.",
  {
    entities: whole("Entities, each with a document.", { min: 20, max: 5000, preset: 1000 }),
    hops: whole("Facts that a question goes over.", { min: 1, max: 2, preset: 1 }),
    known_share: real("Share of the entities whose facts the agent is taught by heart.", {
      min: 0,
      max: 1,
      preset: 0.25,
    }),
    known_questions: real("Share of the facts that questions go over which are known.", {
      min: 0,
      max: 1,
      preset: 0.5,
    }),
    held_out_share: real("Share of the other entities that nobody asks about before the test.", {
      min: 0,
      max: 1,
      preset: 0.3333,
    }),
    dev_questions: whole("Most held-out questions.", { min: 1, max: 100_000, preset: 600 }),
    kept_wordings: choice(
      "Facts of which one wording is kept for the test (one hop). known: those that are known; all: also " +
        "those that training asks for in other words.",
      ["known", "all"],
      "known",
    ),
  },
);

const data = section("Documents and questions.", {
  name: text("Name used in reports and folder names.", "dataset"),
  format: choice(
    "jsonl: docs.jsonl and queries.<part>.jsonl; beir: corpus.jsonl, queries.jsonl, qrels/; " +
      "synthetic: generated from the seed; world: an oracle world, generated from the seed.",
    ["jsonl", "beir", "synthetic", "world"],
    "jsonl",
  ),
  path: optionalText(
    "Folder of the files, relative to the current folder. Not for synthetic and world.",
  ),
  documents: whole("Documents to generate (synthetic only).", {
    min: 20,
    max: 20_000,
    preset: 300,
  }),
  train_questions: whole("Training questions per generated document that has any.", {
    min: 0,
    max: 12,
    preset: 6,
  }),
  dev_questions: whole("Held-out questions per generated document.", {
    min: 0,
    max: 6,
    preset: 2,
  }),
  without_training: real("Share of generated documents without any training question.", {
    min: 0,
    max: 1,
    preset: 0.15,
  }),
  world: world.prefault({}),
  train_part: text("Part whose questions are trained on.", "train"),
  dev_part: text("Part whose questions are evaluated on.", "dev"),
  max_documents: optionalWhole("Use only the first documents; null means all.", {
    min: 2,
    max: 100_000_000,
  }),
  max_queries: optionalWhole("Use only the first questions of each part; null means all.", {
    min: 1,
    max: 100_000_000,
  }),
});

const lexical = section("Learned weighted sum of stem embeddings.", {
  family: z.literal("lexical").describe("Family of the model."),
  width: whole("Width of the stem and docid embeddings. The main lever of quality.", {
    min: 1,
    max: 65_536,
    preset: 4096,
  }),
  init: choice(
    "svd: start from the singular vectors of the stemmed BM25 matrix; projection: from a random " +
      "projection of it, for widths far below the documents; random: small normal numbers.",
    ["svd", "projection", "random"],
    "svd",
  ),
  vocab_min_frequency: whole("Stems that occur in fewer documents are left out.", {
    min: 1,
    max: 1_000_000,
    preset: 1,
  }),
  head: choice(
    "leaf: one vector per document, the logit of a prefix is the logsumexp of its documents'; tree: " +
      "one vector per prefix and document.",
    ["tree", "leaf"],
    "leaf",
  ),
});

const t5 = section("T5 encoder-decoder, from random numbers or from a pretrained model.", {
  family: z.literal("t5").describe("Family of the model."),
  pretrained: optionalText(
    "T5 to start from: a folder in Hugging Face layout or an id of the Hub. Its tokenizer and sizes are " +
      "taken too, the keys below do not count but for dropout_rate; null means random numbers.",
  ),
  vocab_size: whole("Tokens of the byte-level BPE vocabulary.", {
    min: 300,
    max: 1_000_000,
    preset: 8192,
  }),
  d_model: whole("Width of the residual stream.", { min: 8, max: 16_384, preset: 256 }),
  d_ff: whole("Width of the feed-forward layers.", { min: 8, max: 65_536, preset: 1024 }),
  d_kv: whole("Width of one attention head.", { min: 4, max: 1024, preset: 64 }),
  num_layers: whole("Encoder layers.", { min: 1, max: 96, preset: 4 }),
  num_decoder_layers: whole("Decoder layers.", { min: 1, max: 96, preset: 4 }),
  num_heads: whole("Attention heads.", { min: 1, max: 256, preset: 4 }),
  feed_forward_proj: choice(
    "relu: T5 v1.0 with tied embeddings; gated-gelu: T5 v1.1, untied.",
    ["relu", "gated-gelu"],
    "relu",
  ),
  dropout_rate: real("Share of activations dropped while training.", {
    min: 0,
    max: 0.9,
    preset: 0.1,
  }),
});

const families = ["lexical", "t5"] as const;

const model = z.discriminatedUnion("family", [lexical, t5], {
  error: ({ code, input }) =>
    code === "invalid_union"
      ? `must be one of ${families.join(", ")}, is ${
        show((input as { family?: unknown } | undefined)?.family)
      }`
      : `must be a section with keys, is ${show(input)}`,
}).describe("The model. Which keys there are depends on family.");

const docid = section("How documents get their ids.", {
  scheme: choice(
    "atomic: one digit, one symbol per document; naive: the document's number in the given base; " +
      "semantic: hierarchical k-means over LSA vectors (Tay et al. 2022).",
    ["atomic", "naive", "semantic"],
    "semantic",
  ),
  base: whole("Codes per digit (naive, semantic).", { min: 2, max: 4096, preset: 64 }),
  balanced: toggle("Clusters of a node get equal shares of its documents (semantic).", false),
  leaf_size: optionalWhole(
    "A cluster of at most this many documents is not divided further (semantic); null means base.",
    { min: 1, max: 1_000_000 },
  ),
  max_depth: optionalWhole(
    "Most digits of a docid (semantic); null means two more than the fewest that can hold all.",
    { min: 1, max: 64 },
  ),
  lsa_dimensions: whole("Dimensions of the LSA vectors that are clustered (semantic).", {
    min: 2,
    max: 4096,
    preset: 128,
  }),
  restarts: whole("k-means runs per node, of which the tightest is kept (semantic).", {
    min: 1,
    max: 100,
    preset: 3,
  }),
});

const ratio = (description: string, preset: number): ReturnType<typeof real> =>
  real(description, { min: 0, max: 1000, preset });

const mix = section("Ratios in which kinds of examples are drawn. 0 leaves a kind out.", {
  question: ratio("Real training questions.", 2),
  template: ratio("Question templates refilled with words of the document.", 1),
  keywords: ratio("Bags of the document's telling words.", 0),
  span: ratio("Spans of the document.", 0),
  sentence: ratio("Sentences of the document.", 0),
});

const distill = section("Distillation from stemmed BM25 (lexical).", {
  weight: real("Weight of the BM25 distribution; the label gets the rest. 0 means off.", {
    min: 0,
    max: 1,
    preset: 0.6,
  }),
  temperature: real("BM25 scores are divided by this before the softmax.", {
    min: 0.01,
    max: 1000,
    preset: 2,
  }),
});

const training = section("How the model is trained.", {
  max_steps: whole("Optimiser steps of the whole run.", { min: 1, max: 100_000_000, preset: 1200 }),
  max_minutes: optionalReal(
    "Stop after this many minutes even if steps are left; null means never.",
    {
      min: 0.01,
      max: 100_000,
    },
  ),
  batch_size: whole("Examples per forward pass.", { min: 1, max: 65_536, preset: 512 }),
  accumulate: whole("Batches whose gradients are added up before one step.", {
    min: 1,
    max: 4096,
    preset: 1,
  }),
  optimizer: choice(
    "adamw: decoupled weight decay (Loshchilov & Hutter 2019); adafactor: factored second moments " +
      "(Shazeer & Stern 2018).",
    ["adamw", "adafactor"],
    "adamw",
  ),
  learning_rate: real("Highest learning rate.", { min: 1e-8, max: 10, preset: 3e-3 }),
  slot_rate_factor: real("Multiplies the learning rate of the docids' vectors (lexical).", {
    min: 0,
    max: 1000,
    preset: 0.033,
  }),
  beta1: real("Decay of the first moment (adamw).", { min: 0, max: 0.9999, preset: 0.9 }),
  beta2: real("Decay of the second moment (adamw).", { min: 0, max: 0.999999, preset: 0.99 }),
  weight_decay: real("Decoupled weight decay.", { min: 0, max: 10, preset: 0 }),
  clip_norm: real("Largest global norm of the gradient; 0 means no clipping.", {
    min: 0,
    max: 1e6,
    preset: 1,
  }),
  schedule: choice(
    "Course of the learning rate after warm-up.",
    ["cosine", "linear", "constant", "inverse_sqrt"],
    "cosine",
  ),
  warmup_ratio: real("Share of the steps in which the learning rate rises from 0.", {
    min: 0,
    max: 1,
    preset: 0.03,
  }),
  min_factor: real("Learning rate at the end, as a share of the highest (cosine, linear).", {
    min: 0,
    max: 1,
    preset: 0.02,
  }),
  ema_decay: real("Decay of the running average of the weights; 0 means off.", {
    min: 0,
    max: 0.999999,
    preset: 0,
  }),
  token_dropout: real("Share of a question's tokens left out while training.", {
    min: 0,
    max: 0.95,
    preset: 0.15,
  }),
  mix: mix.prefault({}),
  distill: distill.prefault({}),
  unseen_share: real(
    "Share of the made examples that go to documents without a training question.",
    { min: 0, max: 1, preset: 0.1 },
  ),
  mask_unseen_negatives: toggle(
    "Leave documents without a training question out of the softmax on real questions.",
    true,
  ),
  shuffle_labels: toggle(
    "Control: permute the labels across documents. Must end at chance.",
    false,
  ),
  eval_every: whole("Steps between evaluations on the dev part; 0 means only at the end.", {
    min: 0,
    max: 100_000_000,
    preset: 200,
  }),
  checkpoint_every: whole("Steps between checkpoints; 0 means only at the end.", {
    min: 0,
    max: 100_000_000,
    preset: 200,
  }),
  keep_last: whole("Checkpoints kept besides the best.", { min: 1, max: 1000, preset: 2 }),
  log_every: whole("Steps between lines of metrics.jsonl.", {
    min: 1,
    max: 1_000_000,
    preset: 10,
  }),
  resume: optionalText("Run folder to continue, such as outputs/2026-01-31/12-00-00."),
});

const reward = section("What an answer earns: a sum of terms with these weights.", {
  em: real("Exact match.", { min: -1000, max: 1000, preset: 1 }),
  f1: real("F1 of the answer's words.", { min: -1000, max: 1000, preset: 0 }),
  rouge_l: real("ROUGE-L of the answer.", { min: -1000, max: 1000, preset: 0 }),
  format: real("One answer, nothing after it, nothing blank.", {
    min: -1000,
    max: 1000,
    preset: 0,
  }),
});

const policy = section("The language model that decides: a decoder.", {
  pretrained: optionalText(
    "Decoder to start from: a folder in Hugging Face layout or an id of the Hub. Its tokenizer gets the " +
      "agent's tokens, and the keys below do not count; null means a small Llama from random numbers.",
  ),
  vocab_size: whole("Tokens of the byte-level BPE vocabulary.", {
    min: 300,
    max: 1_000_000,
    preset: 1200,
  }),
  width: whole("Width of the residual stream.", { min: 8, max: 16_384, preset: 128 }),
  inner_width: whole("Width of the feed-forward layers.", { min: 8, max: 65_536, preset: 384 }),
  layers: whole("Layers.", { min: 1, max: 96, preset: 4 }),
  heads: whole("Attention heads; divides the width.", { min: 1, max: 256, preset: 4 }),
});

const warmStart = section("Supervised learning from a teacher's episodes, before any reward.", {
  from: optionalText(
    "Run whose warm start is taken instead of a new one: of the same data, tokenizer and sizes.",
  ),
  steps: whole("Optimiser steps; 0 for none.", { min: 0, max: 100_000_000, preset: 4500 }),
  batch_size: whole("Episodes per step, rounded up to a multiple of 3.", {
    min: 1,
    max: 65_536,
    preset: 64,
  }),
  learning_rate: real("Highest learning rate.", { min: 1e-8, max: 10, preset: 2e-3 }),
  distractor_share: real(
    "Share of the teacher's retrievals that bring a wrong document first, whereupon it retrieves again: so " +
      "a policy learns to tell whether a document answers the question.",
    { min: 0, max: 1, preset: 0 },
  ),
  closed_share: real(
    "Share of the episodes that answer from memory (not for a world, where what is known decides).",
    { min: 0, max: 1, preset: 0.5 },
  ),
});

const agent = section("The agent: a policy that answers, and decides when to retrieve.", {
  policy: policy.prefault({}),
  budget: whole("Retrievals that an episode may have.", { min: 0, max: 8, preset: 2 }),
  document_tokens: whole("Tokens of a document that are read.", {
    min: 1,
    max: 100_000,
    preset: 96,
  }),
  turn_tokens: whole("Most tokens written between two boundaries.", {
    min: 2,
    max: 100_000,
    preset: 16,
  }),
  retriever: choice(
    "index: a trained run; own: the index of the agent's own run (train-joint sets it); bm25: over stems; " +
      "exact: the document whose title is named; empty, random: controls; oracle: always a right document.",
    ["index", "own", "bm25", "exact", "empty", "random", "oracle"],
    "bm25",
  ),
  index: optionalText("Run folder of the trained index (retriever index)."),
  title_weight: real(
    "w: scores are those of title and text and w − 1 times those of titles alone (retriever bm25).",
    { min: 1, max: 100, preset: 2 },
  ),
  noise: real("Probability that a retrieval gives a random document instead.", {
    min: 0,
    max: 1,
    preset: 0,
  }),
  costs: reals("λ, prices of a retrieval; each question is asked at one of them.", {
    min: 0,
    max: 1000,
    preset: [0.1],
  }),
  reward: reward.prefault({}),
  warm_start: warmStart.prefault({}),
  algorithm: choice(
    "ppo: clipped ratio with a value head (Schulman et al. 2017); grpo: relative to the question's " +
      "other episodes (Shao et al. 2024); dr_grpo: the same without its biases (Liu et al. 2025); " +
      "reinforce: the simple control.",
    ["ppo", "grpo", "dr_grpo", "reinforce"],
    "grpo",
  ),
  iterations: whole("Batches of episodes; 0 leaves it at the warm start.", {
    min: 0,
    max: 100_000_000,
    preset: 60,
  }),
  max_minutes: optionalReal("Stop after this many minutes of policy optimisation.", {
    min: 0.01,
    max: 100_000,
  }),
  questions: whole("Questions of an iteration.", { min: 1, max: 65_536, preset: 64 }),
  group_size: whole("Episodes per question.", { min: 1, max: 1024, preset: 4 }),
  lessons: whole("Lessons of the teacher that are replayed in each step; 0 means none.", {
    min: 0,
    max: 65_536,
    preset: 64,
  }),
  epochs: whole("Passes over the episodes of an iteration (not reinforce).", {
    min: 1,
    max: 100,
    preset: 1,
  }),
  minibatches: whole("Steps per pass (not reinforce).", { min: 1, max: 1024, preset: 4 }),
  learning_rate: real("Highest learning rate; falls linearly to a tenth.", {
    min: 1e-8,
    max: 10,
    preset: 1.5e-4,
  }),
  clip_norm: real("Largest global norm of the gradient.", { min: 1e-6, max: 1e6, preset: 1 }),
  clip_low: real("The ratio is clipped to 1 − this …", { min: 0, max: 1, preset: 0.2 }),
  clip_high: real("… and 1 + this.", { min: 0, max: 100, preset: 0.2 }),
  clip_value: real("Values are clipped to this much around those of the rollout (ppo).", {
    min: 0,
    max: 1000,
    preset: 0.5,
  }),
  value_coefficient: real("Weight of the value loss (ppo).", { min: 0, max: 1000, preset: 0.5 }),
  value_gradient: choice(
    "What the value loss trains (ppo). head: the value head alone; all: the decoder through it as well.",
    ["head", "all"],
    "head",
  ),
  value_rate: real("Learning rate of the value head, as a multiple of the policy's (ppo).", {
    min: 1e-3,
    max: 1e4,
    preset: 1,
  }),
  entropy_coefficient: real("Weight of the entropy, reward per nat.", {
    min: 0,
    max: 1000,
    preset: 0,
  }),
  kl_coefficient: real("β, what a nat of divergence from the warm start costs.", {
    min: 0,
    max: 1000,
    preset: 0.001,
  }),
  kl_target: optionalReal("Nats per action that β is steered to; null leaves β as it is.", {
    min: 1e-6,
    max: 1000,
  }),
  gamma: real("Discount of rewards per action (ppo).", { min: 0, max: 1, preset: 1 }),
  lambda: real("λ of generalised advantage estimation (ppo).", { min: 0, max: 1, preset: 0.95 }),
  temperature: real("Logits are divided by this when the policy writes.", {
    min: 0.01,
    max: 100,
    preset: 1,
  }),
  slots: whole("Episodes played at once.", { min: 1, max: 4096, preset: 64 }),
  eval_every: whole("Iterations between evaluations; 0 means only at the end.", {
    min: 0,
    max: 100_000_000,
    preset: 10,
  }),
  checkpoint_every: whole("Iterations between checkpoints; 0 means only at the end.", {
    min: 0,
    max: 100_000_000,
    preset: 20,
  }),
  keep_last: whole("Checkpoints kept besides the best.", { min: 1, max: 1000, preset: 1 }),
  trajectories_every: whole("Iterations between files of trajectories; 0 means none.", {
    min: 0,
    max: 100_000_000,
    preset: 20,
  }),
  resume: optionalText("Run folder to continue, such as outputs/2026-01-31/12-00-00."),
});

const joint = section(
  "Joint training: the index learns from what its documents do for the answers, while the agent is rewarded.",
  {
    index: optionalText(
      "Run folder of a trained index to go on with, over the same documents; null trains one here first.",
    ),
    pretrain: toggle(
      "Train the index on labelled pairs first, as the section training says. false: it begins as model.init " +
        "makes it, and answers alone teach it. Only without joint.index.",
      true,
    ),
    objective: choice(
      "What the index learns. marginal: likelihood of the answer over its documents (Guu et al. 2020); " +
        "annealed: the same by a posterior in which p(d|q) counts less; emdr2: marginal with the gradient " +
        "stopped between index and reader (Sachan et al. 2021); pdist: to rank as the reader's likelihoods " +
        "do (Izacard et al. 2023); expected_utility: the mean reward, enumerated; drawn_utility: the same " +
        "by REINFORCE.",
      ["marginal", "annealed", "emdr2", "pdist", "expected_utility", "drawn_utility"],
      "marginal",
    ),
    distribution: choice(
      "Which documents are read for it, as far as joint.mass wants it. exact: all; top_k: the best, " +
        "renormalised; gumbel_top_k: drawn without replacement; draws: drawn with replacement.",
      ["exact", "top_k", "gumbel_top_k", "draws"],
      "top_k",
    ),
    candidates: optionalWhole(
      "Documents read for a question. null means all (exact).",
      { min: 1, max: 1_000_000, preset: 16 },
    ),
    mass: real(
      "Candidates are read best first until those unread can't hold more than 1 − this of the posterior, " +
        "p(d|q,y) (exact, top_k). 1 means all are read.",
      { min: 0.01, max: 1, preset: 0.99 },
    ),
    temperature: real(
      "What log p(d|q) is divided by in the posterior (annealed), or the reader's log-likelihoods are (pdist).",
      { min: 0.01, max: 1000, preset: 1 },
    ),
    queries: choice(
      "What the index learns from. asked: the queries of the agent's episodes; all: also the question itself " +
        "where an episode asked nothing.",
      ["asked", "all"],
      "all",
    ),
    extra_questions: whole(
      "Questions of an iteration that the index learns from besides those of the episodes: looked up as they " +
        "are.",
      { min: 0, max: 65_536, preset: 0 },
    ),
    batch_size: whole("Queries of one step of the index.", { min: 1, max: 65_536, preset: 16 }),
    dsi_learning_rate: real(
      "Peak learning rate of the index, scheduled as that of the policy; 0 freezes it: the control.",
      { min: 0, max: 10, preset: 1e-3 },
    ),
    clip_norm: real("Largest global norm of the index's gradient.", {
      min: 1e-6,
      max: 1e6,
      preset: 1,
    }),
    reader_weight: real(
      "Weight of the objective's gradient in the reader; 0 stops it between index and reader.",
      { min: 0, max: 1000, preset: 1 },
    ),
    gate_weight: real(
      "Weight of the exactly differentiated decision to retrieve, for one step; 0 leaves it to the reward.",
      { min: 0, max: 1000, preset: 0 },
    ),
    supervised_weight: real("Weight of the replayed labelled pairs; 0 for no labels at all.", {
      min: 0,
      max: 1000,
      preset: 1,
    }),
    replay: whole("Labelled pairs replayed in each step of the index.", {
      min: 0,
      max: 65_536,
      preset: 64,
    }),
    resume: optionalText("Run folder to continue, such as outputs/2026-01-31/12-00-00."),
  },
);

const evaluation = section("How the model is evaluated.", {
  beam: whole("Prefixes kept by the search, and documents returned.", {
    min: 1,
    max: 1000,
    preset: 10,
  }),
  batch_size: whole("Questions searched at once.", { min: 1, max: 65_536, preset: 64 }),
  bootstrap_samples: whole("Resamplings behind each confidence interval.", {
    min: 10,
    max: 1_000_000,
    preset: 1000,
  }),
});

const exportSection = section("How the model is exported to ONNX.", {
  verify: toggle("Compare the graph with the eager model at several sizes. Takes seconds.", true),
  beam: whole("Prefixes kept by the exported search graph.", { min: 1, max: 1000, preset: 10 }),
  path: optionalText("Folder to write to; null means export/ in the run folder."),
});

const device = section("What the programs run on.", {
  executor: choice(
    "onnx: ONNX Runtime; onnx-worker: the same in a Worker; wasm, cpu: tfjs backends; tfjs-node: your " +
      "own TensorFlow, after setup-tfjs-node; tfjs-node-gpu: the published package, for CUDA 11.2; " +
      "cuda: an NVIDIA GPU, by kernels of our own; auto: cuda if it can be used here, else onnx.",
    ["onnx", "onnx-worker", "wasm", "cpu", "tfjs-node", "tfjs-node-gpu", "cuda", "auto"],
    "onnx",
  ),
  precision: choice(
    "Precision of matrix products on cuda: float32; tf32, whose operands have 10 bits behind the " +
      "point; bfloat16, which halves what feeds them too. Sums and weights are float32 in each.",
    ["float32", "tf32", "bfloat16"],
    "float32",
  ),
  libraries: optionalText(
    "Folder of CUDA's libraries, or several, parted as in PATH; null means that they are looked for.",
  ),
  threads: optionalWhole("Threads of one operator; null means all cores.", { min: 1, max: 1024 }),
  provider: choice(
    "What computes for the executors onnx and onnx-worker: ONNX Runtime's provider cpu, cuda or webgpu. " +
      "doctor says which can be used.",
    ["cpu", "cuda", "webgpu"],
    "cpu",
  ),
  provider_fallback: choice(
    "If the provider can't be used: cpu says so and computes there; error stops.",
    ["cpu", "error"],
    "cpu",
  ),
});

const output = section("Where results go.", {
  dir: optionalText("Folder of the run; null means outputs/<date>/<time>."),
});

/** A whole configuration. Sections that are left out take their defaults; `model` is needed. */
export const configSchema = z.strictObject({
  data: data.prefault({}),
  model,
  docid: docid.prefault({}),
  training: training.prefault({}),
  agent: agent.prefault({}),
  joint: joint.prefault({}),
  evaluation: evaluation.prefault({}),
  export: exportSection.prefault({}),
  device: device.prefault({}),
  output: output.prefault({}),
  seed: whole("Seed of every random stream.", { min: 0, max: Number.MAX_SAFE_INTEGER, preset: 1 }),
}).describe("Configuration of DeepRAG.");

/** Sections that a group file such as `configs/data/synthetic.yaml` can fill. */
export const sectionNames: readonly string[] = [
  "data",
  "model",
  "docid",
  "training",
  "agent",
  "joint",
  "evaluation",
  "export",
  "device",
  "output",
];
