/** Copies of configs/, written by configs/generate.ts. Do not edit. @module */

/** YAML by name, without the extension. */
export const builtinConfigs: Readonly<Record<string, string>> = {
  "data/beir": `# yaml-language-server: $schema=../schema.json#/$defs/data
# A BEIR folder: data=beir data.path=<folder with corpus.jsonl, queries.jsonl and qrels/>
name: beir
format: beir
dev_part: dev
`,
  "data/hotpotqa": `# yaml-language-server: $schema=../schema.json#/$defs/data
# Paragraphs of HotpotQA with questions over two of them (CC BY-SA 4.0), as a folder in JSONL layout.
name: hotpotqa
format: jsonl
path: data/hotpotqa
`,
  "data/jsonl": `# yaml-language-server: $schema=../schema.json#/$defs/data
# Your own documents: data=jsonl data.path=<folder with docs.jsonl and queries.<part>.jsonl>
name: jsonl
format: jsonl
`,
  "data/squad_dsi": `# yaml-language-server: $schema=../schema.json#/$defs/data
# 2,067 paragraphs of SQuAD 1.1 with their questions (CC BY-SA 4.0), as a folder in JSONL layout.
name: squad_dsi
format: jsonl
path: data/squad_dsi
`,
  "data/synthetic": `# yaml-language-server: $schema=../schema.json#/$defs/data
# Documents and questions generated from the seed: needs no download.
name: synthetic
format: synthetic
documents: 300
`,
  "data/world": `# yaml-language-server: $schema=../schema.json#/$defs/data
# The oracle world: invented entities, facts and questions for which the best possible agent is known.
name: world
format: world
`,
  defaults: `# yaml-language-server: $schema=schema.json
# What every configuration starts from. Keys set in no file have the default of the schema;
# \`--print-config\` shows them all.
defaults:
  - data: synthetic
  - model: dsi_base
  - docid: semantic
`,
  "docid/atomic": `# yaml-language-server: $schema=../schema.json#/$defs/docid
# One digit with one symbol per document.
scheme: atomic
`,
  "docid/naive": `# yaml-language-server: $schema=../schema.json#/$defs/docid
# The number of the document, written in base 10.
scheme: naive
base: 10
`,
  "docid/semantic": `# yaml-language-server: $schema=../schema.json#/$defs/docid
# Hierarchical k-means: documents about the same things share their first digits.
scheme: semantic
base: 64
lsa_dimensions: 128
restarts: 3
`,
  "model/dsi_base": `# yaml-language-server: $schema=../schema.json#/$defs/model
# Wide enough to hold the BM25 matrix of about 2,000 documents at full rank.
family: lexical
width: 4096
`,
  "model/dsi_small": `# yaml-language-server: $schema=../schema.json#/$defs/model
# For a few hundred to a few thousand documents on a small machine.
family: lexical
width: 1024
`,
  "model/dsi_tiny": `# yaml-language-server: $schema=../schema.json#/$defs/model
# For tests and a first look: trains in seconds.
family: lexical
width: 256
`,
  "model/t5_pretrained": `# yaml-language-server: $schema=../schema.json#/$defs/model
# A published T5 with its own tokenizer. A folder in Hugging Face layout can stand in the place of the id.
family: t5
pretrained: google-t5/t5-small
`,
  "model/t5_small": `# yaml-language-server: $schema=../schema.json#/$defs/model
# The sizes of T5-small (60 M parameters), from random weights.
family: t5
vocab_size: 32128
d_model: 512
d_ff: 2048
d_kv: 64
num_layers: 6
num_decoder_layers: 6
num_heads: 8
`,
  "model/t5_tiny": `# yaml-language-server: $schema=../schema.json#/$defs/model
# For tests.
family: t5
vocab_size: 2048
d_model: 64
d_ff: 256
d_kv: 16
num_layers: 2
num_decoder_layers: 2
num_heads: 4
`,
  "train/agent_frontier": `# yaml-language-server: $schema=../schema.json
# One agent for many prices of a retrieval: the price stands behind each question, and it learns what to
# do at each.
defaults:
  - train/agent_grpo
agent:
  costs: [0.1, 0, 0.3, 0.6, 1.2]
  iterations: 150
`,
  "train/agent_grpo": `# yaml-language-server: $schema=../schema.json
# An agent in the oracle world that learns when to retrieve, by GRPO.
defaults:
  - data: world
agent:
  algorithm: grpo
`,
  "train/agent_ppo": `# yaml-language-server: $schema=../schema.json
# An agent in the oracle world that learns when to retrieve, by PPO.
defaults:
  - data: world
agent:
  algorithm: ppo
`,
  "train/agent_two_hops": `# yaml-language-server: $schema=../schema.json
# An agent whose questions go over two facts: it may have to retrieve none, either one, or both. The world
# is smaller than that of one hop, and more of it is known: a chain of known facts needs both.
defaults:
  - train/agent_grpo
data:
  world:
    hops: 2
    entities: 400
    known_share: 0.4
    held_out_share: 0.4
agent:
  warm_start:
    steps: 3000
  learning_rate: 1e-4
  lessons: 128
  iterations: 50
`,
  "train/demo": `# yaml-language-server: $schema=../schema.json
# The demo: the synthetic documents and a small model, done in a minute.
defaults:
  - data: synthetic
  - model: dsi_tiny
  - docid: semantic
training:
  max_steps: 150
  batch_size: 256
  eval_every: 50
  checkpoint_every: 75
`,
  "train/dsi_pretrain": `# yaml-language-server: $schema=../schema.json
# Trains an index from scratch: documents and questions in, a searchable model out.
defaults:
  - data: synthetic
  - model: dsi_small
  - docid: semantic
training:
  max_steps: 400
  batch_size: 512
  learning_rate: 3e-3
`,
  "train/joint": `# yaml-language-server: $schema=../schema.json
# An agent and its index, end to end, in the oracle world. The index begins with random numbers and too few
# steps on labelled pairs; answers alone teach it the rest. Every document is read that could matter.
defaults:
  - data: world
  - model: dsi_tiny
  - docid: atomic
data:
  world:
    entities: 200
    held_out_share: 0
    kept_wordings: all
model:
  width: 256
  init: random
training:
  max_steps: 40
  batch_size: 64
  learning_rate: 0.01
  slot_rate_factor: 1
  eval_every: 20
  distill:
    weight: 0
  mix:
    template: 0
agent:
  policy:
    vocab_size: 1000
    width: 96
    inner_width: 288
    layers: 3
  warm_start:
    steps: 1800
    learning_rate: 3e-3
    distractor_share: 0.3
  iterations: 40
joint:
  distribution: exact
  candidates: null
  mass: 0.95
  dsi_learning_rate: 0.02
  supervised_weight: 0
`,
  "train/joint_hotpotqa": `# yaml-language-server: $schema=../schema.json
# Real documents: 12,000 paragraphs, 468 questions over two of them. The reader begins with random numbers
# and stays weak, so the index moves little and pairs are replayed. Set data.path to the folder.
defaults:
  - data: hotpotqa
  - model: dsi_base
  - docid: semantic
model:
  width: 1024
  init: projection
training:
  max_steps: 300
  batch_size: 256
  eval_every: 100
  checkpoint_every: 100
  keep_last: 1
agent:
  policy:
    vocab_size: 4000
    width: 96
    inner_width: 288
    layers: 3
  document_tokens: 96
  warm_start:
    steps: 600
    batch_size: 32
    closed_share: 0.3
    distractor_share: 0.3
  iterations: 30
  questions: 32
  eval_every: 10
joint:
  dsi_learning_rate: 3e-4
  candidates: 8
  batch_size: 32
  replay: 128
`,
  "train/joint_no_labels": `# yaml-language-server: $schema=../schema.json
# No question is ever labelled with its document: the index begins with random numbers, and answers alone
# teach it.
defaults:
  - train/joint
agent:
  iterations: 60
joint:
  pretrain: false
  objective: annealed
  temperature: 1.5
  dsi_learning_rate: 0.03
  reader_weight: 0
`,
  "train/squad_dsi": `# yaml-language-server: $schema=../schema.json
# The main benchmark: about 2,000 passages of Wikipedia with people's questions. docs/results.md has its
# figures. Set data.path to the folder.
defaults:
  - data: squad_dsi
  - model: dsi_base
  - docid: semantic
training:
  max_steps: 300
  batch_size: 512
  eval_every: 100
  checkpoint_every: 100
  keep_last: 1
`,
  "train/squad_dsi_100": `# yaml-language-server: $schema=../schema.json
# The same in seconds: 100 of the passages. Set data.path to the folder.
defaults:
  - data: squad_dsi
  - model: dsi_base
  - docid: semantic
docid:
  base: 16
training:
  max_steps: 150
  batch_size: 256
  eval_every: 50
  checkpoint_every: 75
`,
};
