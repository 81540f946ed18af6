/** Types of a configuration, written by configs/generate.ts. Do not edit. @module */

/** The oracle world: entities, facts and questions in which the best possible agent is known. */
export interface WorldConfig {
  /** Entities, each with a document. Default: 1000. */
  readonly entities: number;
  /** Facts that a question goes over. Default: 1. */
  readonly hops: number;
  /** Share of the entities whose facts the agent is taught by heart. Default: 0.25. */
  readonly known_share: number;
  /** Share of the facts that questions go over which are known. Default: 0.5. */
  readonly known_questions: number;
  /** Share of the other entities that nobody asks about before the test. Default: 0.3333. */
  readonly held_out_share: number;
  /** Most held-out questions. Default: 600. */
  readonly dev_questions: number;
  /**
   * Facts of which one wording is kept for the test (one hop). known: those that are known;
   * all: also those that training asks for in other words. Default: known.
   */
  readonly kept_wordings: "known" | "all";
}

/** Documents and questions. */
export interface DataConfig {
  /** Name used in reports and folder names. Default: dataset. */
  readonly name: string;
  /**
   * jsonl: docs.jsonl and queries.<part>.jsonl; beir: corpus.jsonl, queries.jsonl, qrels/;
   * synthetic: generated from the seed; world: an oracle world, generated from the seed.
   * Default: jsonl.
   */
  readonly format: "jsonl" | "beir" | "synthetic" | "world";
  /**
   * Folder of the files, relative to the current folder. Not for synthetic and world. Default:
   * null.
   */
  readonly path: string | null;
  /** Documents to generate (synthetic only). Default: 300. */
  readonly documents: number;
  /** Training questions per generated document that has any. Default: 6. */
  readonly train_questions: number;
  /** Held-out questions per generated document. Default: 2. */
  readonly dev_questions: number;
  /** Share of generated documents without any training question. Default: 0.15. */
  readonly without_training: number;
  /** The oracle world: entities, facts and questions in which the best possible agent is known. */
  readonly world: WorldConfig;
  /** Part whose questions are trained on. Default: train. */
  readonly train_part: string;
  /** Part whose questions are evaluated on. Default: dev. */
  readonly dev_part: string;
  /** Use only the first documents; null means all. Default: null. */
  readonly max_documents: number | null;
  /** Use only the first questions of each part; null means all. Default: null. */
  readonly max_queries: number | null;
}

/** Learned weighted sum of stem embeddings. */
export interface LexicalModelConfig {
  /** Family of the model. */
  readonly family: "lexical";
  /** Width of the stem and docid embeddings. The main lever of quality. Default: 4096. */
  readonly width: number;
  /**
   * svd: start from the singular vectors of the stemmed BM25 matrix; projection: from a random
   * projection of it, for widths far below the documents; random: small normal numbers.
   * Default: svd.
   */
  readonly init: "svd" | "projection" | "random";
  /** Stems that occur in fewer documents are left out. Default: 1. */
  readonly vocab_min_frequency: number;
  /**
   * leaf: one vector per document, the logit of a prefix is the logsumexp of its documents';
   * tree: one vector per prefix and document. Default: leaf.
   */
  readonly head: "tree" | "leaf";
}

/** T5 encoder-decoder, from random numbers or from a pretrained model. */
export interface T5ModelConfig {
  /** Family of the model. */
  readonly family: "t5";
  /**
   * T5 to start from: a folder in Hugging Face layout or an id of the Hub. Its tokenizer and
   * sizes are taken too, the keys below do not count but for dropout_rate; null means random
   * numbers. Default: null.
   */
  readonly pretrained: string | null;
  /** Tokens of the byte-level BPE vocabulary. Default: 8192. */
  readonly vocab_size: number;
  /** Width of the residual stream. Default: 256. */
  readonly d_model: number;
  /** Width of the feed-forward layers. Default: 1024. */
  readonly d_ff: number;
  /** Width of one attention head. Default: 64. */
  readonly d_kv: number;
  /** Encoder layers. Default: 4. */
  readonly num_layers: number;
  /** Decoder layers. Default: 4. */
  readonly num_decoder_layers: number;
  /** Attention heads. Default: 4. */
  readonly num_heads: number;
  /** relu: T5 v1.0 with tied embeddings; gated-gelu: T5 v1.1, untied. Default: relu. */
  readonly feed_forward_proj: "relu" | "gated-gelu";
  /** Share of activations dropped while training. Default: 0.1. */
  readonly dropout_rate: number;
}

/** How documents get their ids. */
export interface DocidConfig {
  /**
   * atomic: one digit, one symbol per document; naive: the document's number in the given
   * base; semantic: hierarchical k-means over LSA vectors (Tay et al. 2022). Default:
   * semantic.
   */
  readonly scheme: "atomic" | "naive" | "semantic";
  /** Codes per digit (naive, semantic). Default: 64. */
  readonly base: number;
  /** Clusters of a node get equal shares of its documents (semantic). Default: false. */
  readonly balanced: boolean;
  /**
   * A cluster of at most this many documents is not divided further (semantic); null means
   * base. Default: null.
   */
  readonly leaf_size: number | null;
  /**
   * Most digits of a docid (semantic); null means two more than the fewest that can hold all.
   * Default: null.
   */
  readonly max_depth: number | null;
  /** Dimensions of the LSA vectors that are clustered (semantic). Default: 128. */
  readonly lsa_dimensions: number;
  /** k-means runs per node, of which the tightest is kept (semantic). Default: 3. */
  readonly restarts: number;
}

/** Ratios in which kinds of examples are drawn. 0 leaves a kind out. */
export interface MixConfig {
  /** Real training questions. Default: 2. */
  readonly question: number;
  /** Question templates refilled with words of the document. Default: 1. */
  readonly template: number;
  /** Bags of the document's telling words. Default: 0. */
  readonly keywords: number;
  /** Spans of the document. Default: 0. */
  readonly span: number;
  /** Sentences of the document. Default: 0. */
  readonly sentence: number;
}

/** Distillation from stemmed BM25 (lexical). */
export interface DistillConfig {
  /** Weight of the BM25 distribution; the label gets the rest. 0 means off. Default: 0.6. */
  readonly weight: number;
  /** BM25 scores are divided by this before the softmax. Default: 2. */
  readonly temperature: number;
}

/** How the model is trained. */
export interface TrainingConfig {
  /** Optimiser steps of the whole run. Default: 1200. */
  readonly max_steps: number;
  /** Stop after this many minutes even if steps are left; null means never. Default: null. */
  readonly max_minutes: number | null;
  /** Examples per forward pass. Default: 512. */
  readonly batch_size: number;
  /** Batches whose gradients are added up before one step. Default: 1. */
  readonly accumulate: number;
  /**
   * adamw: decoupled weight decay (Loshchilov & Hutter 2019); adafactor: factored second
   * moments (Shazeer & Stern 2018). Default: adamw.
   */
  readonly optimizer: "adamw" | "adafactor";
  /** Highest learning rate. Default: 0.003. */
  readonly learning_rate: number;
  /** Multiplies the learning rate of the docids' vectors (lexical). Default: 0.033. */
  readonly slot_rate_factor: number;
  /** Decay of the first moment (adamw). Default: 0.9. */
  readonly beta1: number;
  /** Decay of the second moment (adamw). Default: 0.99. */
  readonly beta2: number;
  /** Decoupled weight decay. Default: 0. */
  readonly weight_decay: number;
  /** Largest global norm of the gradient; 0 means no clipping. Default: 1. */
  readonly clip_norm: number;
  /** Course of the learning rate after warm-up. Default: cosine. */
  readonly schedule: "cosine" | "linear" | "constant" | "inverse_sqrt";
  /** Share of the steps in which the learning rate rises from 0. Default: 0.03. */
  readonly warmup_ratio: number;
  /** Learning rate at the end, as a share of the highest (cosine, linear). Default: 0.02. */
  readonly min_factor: number;
  /** Decay of the running average of the weights; 0 means off. Default: 0. */
  readonly ema_decay: number;
  /** Share of a question's tokens left out while training. Default: 0.15. */
  readonly token_dropout: number;
  /** Ratios in which kinds of examples are drawn. 0 leaves a kind out. */
  readonly mix: MixConfig;
  /** Distillation from stemmed BM25 (lexical). */
  readonly distill: DistillConfig;
  /** Share of the made examples that go to documents without a training question. Default: 0.1. */
  readonly unseen_share: number;
  /**
   * Leave documents without a training question out of the softmax on real questions. Default:
   * true.
   */
  readonly mask_unseen_negatives: boolean;
  /** Control: permute the labels across documents. Must end at chance. Default: false. */
  readonly shuffle_labels: boolean;
  /** Steps between evaluations on the dev part; 0 means only at the end. Default: 200. */
  readonly eval_every: number;
  /** Steps between checkpoints; 0 means only at the end. Default: 200. */
  readonly checkpoint_every: number;
  /** Checkpoints kept besides the best. Default: 2. */
  readonly keep_last: number;
  /** Steps between lines of metrics.jsonl. Default: 10. */
  readonly log_every: number;
  /** Run folder to continue, such as outputs/2026-01-31/12-00-00. Default: null. */
  readonly resume: string | null;
}

/** The language model that decides: a decoder. */
export interface PolicyConfig {
  /**
   * Decoder to start from: a folder in Hugging Face layout or an id of the Hub. Its tokenizer
   * gets the agent's tokens, and the keys below do not count; null means a small Llama from
   * random numbers. Default: null.
   */
  readonly pretrained: string | null;
  /** Tokens of the byte-level BPE vocabulary. Default: 1200. */
  readonly vocab_size: number;
  /** Width of the residual stream. Default: 128. */
  readonly width: number;
  /** Width of the feed-forward layers. Default: 384. */
  readonly inner_width: number;
  /** Layers. Default: 4. */
  readonly layers: number;
  /** Attention heads; divides the width. Default: 4. */
  readonly heads: number;
}

/** What an answer earns: a sum of terms with these weights. */
export interface RewardConfig {
  /** Exact match. Default: 1. */
  readonly em: number;
  /** F1 of the answer's words. Default: 0. */
  readonly f1: number;
  /** ROUGE-L of the answer. Default: 0. */
  readonly rouge_l: number;
  /** One answer, nothing after it, nothing blank. Default: 0. */
  readonly format: number;
}

/** Supervised learning from a teacher's episodes, before any reward. */
export interface WarmStartConfig {
  /**
   * Run whose warm start is taken instead of a new one: of the same data, tokenizer and sizes.
   * Default: null.
   */
  readonly from: string | null;
  /** Optimiser steps; 0 for none. Default: 4500. */
  readonly steps: number;
  /** Episodes per step, rounded up to a multiple of 3. Default: 64. */
  readonly batch_size: number;
  /** Highest learning rate. Default: 0.002. */
  readonly learning_rate: number;
  /**
   * Share of the teacher's retrievals that bring a wrong document first, whereupon it
   * retrieves again: so a policy learns to tell whether a document answers the question.
   * Default: 0.
   */
  readonly distractor_share: number;
  /**
   * Share of the episodes that answer from memory (not for a world, where what is known
   * decides). Default: 0.5.
   */
  readonly closed_share: number;
}

/** The agent: a policy that answers, and decides when to retrieve. */
export interface AgentConfig {
  /** The language model that decides: a decoder. */
  readonly policy: PolicyConfig;
  /** Retrievals that an episode may have. Default: 2. */
  readonly budget: number;
  /** Tokens of a document that are read. Default: 96. */
  readonly document_tokens: number;
  /** Most tokens written between two boundaries. Default: 16. */
  readonly turn_tokens: number;
  /**
   * index: a trained run; own: the index of the agent's own run (train-joint sets it); bm25:
   * over stems; exact: the document whose title is named; empty, random: controls; oracle:
   * always a right document. Default: bm25.
   */
  readonly retriever: "index" | "own" | "bm25" | "exact" | "empty" | "random" | "oracle";
  /** Run folder of the trained index (retriever index). Default: null. */
  readonly index: string | null;
  /**
   * w: scores are those of title and text and w − 1 times those of titles alone (retriever
   * bm25). Default: 2.
   */
  readonly title_weight: number;
  /** Probability that a retrieval gives a random document instead. Default: 0. */
  readonly noise: number;
  /** λ, prices of a retrieval; each question is asked at one of them. */
  readonly costs: readonly number[];
  /** What an answer earns: a sum of terms with these weights. */
  readonly reward: RewardConfig;
  /** Supervised learning from a teacher's episodes, before any reward. */
  readonly warm_start: WarmStartConfig;
  /**
   * ppo: clipped ratio with a value head (Schulman et al. 2017); grpo: relative to the
   * question's other episodes (Shao et al. 2024); dr_grpo: the same without its biases (Liu et
   * al. 2025); reinforce: the simple control. Default: grpo.
   */
  readonly algorithm: "ppo" | "grpo" | "dr_grpo" | "reinforce";
  /** Batches of episodes; 0 leaves it at the warm start. Default: 60. */
  readonly iterations: number;
  /** Stop after this many minutes of policy optimisation. Default: null. */
  readonly max_minutes: number | null;
  /** Questions of an iteration. Default: 64. */
  readonly questions: number;
  /** Episodes per question. Default: 4. */
  readonly group_size: number;
  /** Lessons of the teacher that are replayed in each step; 0 means none. Default: 64. */
  readonly lessons: number;
  /** Passes over the episodes of an iteration (not reinforce). Default: 1. */
  readonly epochs: number;
  /** Steps per pass (not reinforce). Default: 4. */
  readonly minibatches: number;
  /** Highest learning rate; falls linearly to a tenth. Default: 0.00015. */
  readonly learning_rate: number;
  /** Largest global norm of the gradient. Default: 1. */
  readonly clip_norm: number;
  /** The ratio is clipped to 1 − this … Default: 0.2. */
  readonly clip_low: number;
  /** … and 1 + this. Default: 0.2. */
  readonly clip_high: number;
  /** Values are clipped to this much around those of the rollout (ppo). Default: 0.5. */
  readonly clip_value: number;
  /** Weight of the value loss (ppo). Default: 0.5. */
  readonly value_coefficient: number;
  /**
   * What the value loss trains (ppo). head: the value head alone; all: the decoder through it
   * as well. Default: head.
   */
  readonly value_gradient: "head" | "all";
  /** Learning rate of the value head, as a multiple of the policy's (ppo). Default: 1. */
  readonly value_rate: number;
  /** Weight of the entropy, reward per nat. Default: 0. */
  readonly entropy_coefficient: number;
  /** β, what a nat of divergence from the warm start costs. Default: 0.001. */
  readonly kl_coefficient: number;
  /** Nats per action that β is steered to; null leaves β as it is. Default: null. */
  readonly kl_target: number | null;
  /** Discount of rewards per action (ppo). Default: 1. */
  readonly gamma: number;
  /** λ of generalised advantage estimation (ppo). Default: 0.95. */
  readonly lambda: number;
  /** Logits are divided by this when the policy writes. Default: 1. */
  readonly temperature: number;
  /** Episodes played at once. Default: 64. */
  readonly slots: number;
  /** Iterations between evaluations; 0 means only at the end. Default: 10. */
  readonly eval_every: number;
  /** Iterations between checkpoints; 0 means only at the end. Default: 20. */
  readonly checkpoint_every: number;
  /** Checkpoints kept besides the best. Default: 1. */
  readonly keep_last: number;
  /** Iterations between files of trajectories; 0 means none. Default: 20. */
  readonly trajectories_every: number;
  /** Run folder to continue, such as outputs/2026-01-31/12-00-00. Default: null. */
  readonly resume: string | null;
}

/**
 * Joint training: the index learns from what its documents do for the answers, while the agent
 * is rewarded.
 */
export interface JointConfig {
  /**
   * Run folder of a trained index to go on with, over the same documents; null trains one here
   * first. Default: null.
   */
  readonly index: string | null;
  /**
   * Train the index on labelled pairs first, as the section training says. false: it begins as
   * model.init makes it, and answers alone teach it. Only without joint.index. Default: true.
   */
  readonly pretrain: boolean;
  /**
   * What the index learns. marginal: likelihood of the answer over its documents (Guu et al.
   * 2020); annealed: the same by a posterior in which p(d|q) counts less; emdr2: marginal with
   * the gradient stopped between index and reader (Sachan et al. 2021); pdist: to rank as the
   * reader's likelihoods do (Izacard et al. 2023); expected_utility: the mean reward,
   * enumerated; drawn_utility: the same by REINFORCE. Default: marginal.
   */
  readonly objective:
    | "marginal"
    | "annealed"
    | "emdr2"
    | "pdist"
    | "expected_utility"
    | "drawn_utility";
  /**
   * Which documents are read for it, as far as joint.mass wants it. exact: all; top_k: the
   * best, renormalised; gumbel_top_k: drawn without replacement; draws: drawn with
   * replacement. Default: top_k.
   */
  readonly distribution: "exact" | "top_k" | "gumbel_top_k" | "draws";
  /** Documents read for a question. null means all (exact). Default: 16. */
  readonly candidates: number | null;
  /**
   * Candidates are read best first until those unread can't hold more than 1 − this of the
   * posterior, p(d|q,y) (exact, top_k). 1 means all are read. Default: 0.99.
   */
  readonly mass: number;
  /**
   * What log p(d|q) is divided by in the posterior (annealed), or the reader's log-likelihoods
   * are (pdist). Default: 1.
   */
  readonly temperature: number;
  /**
   * What the index learns from. asked: the queries of the agent's episodes; all: also the
   * question itself where an episode asked nothing. Default: all.
   */
  readonly queries: "asked" | "all";
  /**
   * Questions of an iteration that the index learns from besides those of the episodes: looked
   * up as they are. Default: 0.
   */
  readonly extra_questions: number;
  /** Queries of one step of the index. Default: 16. */
  readonly batch_size: number;
  /**
   * Peak learning rate of the index, scheduled as that of the policy; 0 freezes it: the
   * control. Default: 0.001.
   */
  readonly dsi_learning_rate: number;
  /** Largest global norm of the index's gradient. Default: 1. */
  readonly clip_norm: number;
  /**
   * Weight of the objective's gradient in the reader; 0 stops it between index and reader.
   * Default: 1.
   */
  readonly reader_weight: number;
  /**
   * Weight of the exactly differentiated decision to retrieve, for one step; 0 leaves it to
   * the reward. Default: 0.
   */
  readonly gate_weight: number;
  /** Weight of the replayed labelled pairs; 0 for no labels at all. Default: 1. */
  readonly supervised_weight: number;
  /** Labelled pairs replayed in each step of the index. Default: 64. */
  readonly replay: number;
  /** Run folder to continue, such as outputs/2026-01-31/12-00-00. Default: null. */
  readonly resume: string | null;
}

/** How the model is evaluated. */
export interface EvaluationConfig {
  /** Prefixes kept by the search, and documents returned. Default: 10. */
  readonly beam: number;
  /** Questions searched at once. Default: 64. */
  readonly batch_size: number;
  /** Resamplings behind each confidence interval. Default: 1000. */
  readonly bootstrap_samples: number;
}

/** How the model is exported to ONNX. */
export interface ExportConfig {
  /** Compare the graph with the eager model at several sizes. Takes seconds. Default: true. */
  readonly verify: boolean;
  /** Prefixes kept by the exported search graph. Default: 10. */
  readonly beam: number;
  /** Folder to write to; null means export/ in the run folder. Default: null. */
  readonly path: string | null;
}

/** What the programs run on. */
export interface DeviceConfig {
  /**
   * onnx: ONNX Runtime; onnx-worker: the same in a Worker; wasm, cpu: tfjs backends;
   * tfjs-node: your own TensorFlow, after setup-tfjs-node; tfjs-node-gpu: the published
   * package, for CUDA 11.2; cuda: an NVIDIA GPU, by kernels of our own; auto: cuda if it can
   * be used here, else onnx. Default: onnx.
   */
  readonly executor:
    | "onnx"
    | "onnx-worker"
    | "wasm"
    | "cpu"
    | "tfjs-node"
    | "tfjs-node-gpu"
    | "cuda"
    | "auto";
  /**
   * Precision of matrix products on cuda: float32; tf32, whose operands have 10 bits behind
   * the point; bfloat16, which halves what feeds them too. Sums and weights are float32 in
   * each. Default: float32.
   */
  readonly precision: "float32" | "tf32" | "bfloat16";
  /**
   * Folder of CUDA's libraries, or several, parted as in PATH; null means that they are looked
   * for. Default: null.
   */
  readonly libraries: string | null;
  /** Threads of one operator; null means all cores. Default: null. */
  readonly threads: number | null;
  /**
   * What computes for the executors onnx and onnx-worker: ONNX Runtime's provider cpu, cuda or
   * webgpu. doctor says which can be used. Default: cpu.
   */
  readonly provider: "cpu" | "cuda" | "webgpu";
  /** If the provider can't be used: cpu says so and computes there; error stops. Default: cpu. */
  readonly provider_fallback: "cpu" | "error";
}

/** Where results go. */
export interface OutputConfig {
  /** Folder of the run; null means outputs/<date>/<time>. Default: null. */
  readonly dir: string | null;
}

/** Configuration of DeepRAG. */
export interface ResolvedConfig {
  /** Documents and questions. */
  readonly data: DataConfig;
  /** The model. Which keys there are depends on family. */
  readonly model: LexicalModelConfig | T5ModelConfig;
  /** How documents get their ids. */
  readonly docid: DocidConfig;
  /** How the model is trained. */
  readonly training: TrainingConfig;
  /** The agent: a policy that answers, and decides when to retrieve. */
  readonly agent: AgentConfig;
  /**
   * Joint training: the index learns from what its documents do for the answers, while the
   * agent is rewarded.
   */
  readonly joint: JointConfig;
  /** How the model is evaluated. */
  readonly evaluation: EvaluationConfig;
  /** How the model is exported to ONNX. */
  readonly export: ExportConfig;
  /** What the programs run on. */
  readonly device: DeviceConfig;
  /** Where results go. */
  readonly output: OutputConfig;
  /** Seed of every random stream. Default: 1. */
  readonly seed: number;
}
