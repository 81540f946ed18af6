/** A lexical index over a dozen random documents, and what a step of it gives. */
import type { Trie } from "../../../src/docid/trie.ts";
import { adamw, type OptimizerRule } from "../../../src/optim/mod.ts";
import { onnxExecutor } from "../../../src/runtime/onnx_executor.ts";
import { ParameterStore } from "../../../src/runtime/parameter_store.ts";
import { createTrainStep, type TrainStepResult } from "../../../src/runtime/train_step.ts";
import type { SparseMatrix } from "../../../src/tensor/sparse.ts";
import { randomStream } from "../../../src/tensor/random.ts";
import { bm25Index } from "../../../src/text/bm25.ts";
import type { IndexExample, IndexModel } from "../../../src/train/index_model.ts";
import { lexicalIndex, type LexicalIndexOptions } from "../../../src/train/lexical_index.ts";

/** Ids 0 and 1 are padding and unknown. */
export const FIRST_STEM = 2;
/** Stems, special tokens included. */
export const VOCABULARY = 30;

/** BM25 over documents of random stems. */
export function randomBm25(docCount: number, seed = 1): SparseMatrix {
  const random = randomStream({ seed, stream: "corpus", step: 0 });
  const tokens = Array.from(
    { length: docCount },
    () => Array.from({ length: 8 }, () => FIRST_STEM + random.int(VOCABULARY - FIRST_STEM)),
  );
  return bm25Index(tokens, VOCABULARY, { ignoredIds: [0, 1] });
}

/** A lexical index over a trie with everything else given a value. */
export function tinyIndex(trie: Trie, over: Partial<LexicalIndexOptions> = {}): IndexModel {
  return lexicalIndex({
    bm25: randomBm25(trie.docCount),
    trie,
    head: "leaf",
    width: trie.docCount,
    init: "svd",
    distill: { weight: 0.5, temperature: 2 },
    slotRateFactor: 0.1,
    isUnseen: new Uint8Array(trie.docCount),
    firstStem: FIRST_STEM,
    seed: 1,
    ...over,
  });
}

/** Random texts about random documents: a pure function of the step. */
export function randomExamples(
  docCount: number,
  size: number,
  { step = 0, isReal }: { step?: number; isReal?: boolean } = {},
): IndexExample[] {
  const random = randomStream({ seed: 7, stream: "texts", step });
  return Array.from({ length: size }, () => ({
    tokenIds: Array.from({ length: 1 + random.int(5) }, () => random.int(VOCABULARY)),
    doc: random.int(docCount),
    isReal: isReal ?? random.int(2) === 1,
  }));
}

/** The parameters of a model at step 0. */
export function startOf(model: IndexModel, rule: OptimizerRule = adamw()): ParameterStore {
  const store = new ParameterStore(model.specs, { rule });
  model.start(store);
  return store;
}

/** Loss of a batch, with its gradients left in the store. */
export async function lossOf(
  model: IndexModel,
  store: ParameterStore,
  examples: readonly IndexExample[],
): Promise<TrainStepResult> {
  const train = await createTrainStep(onnxExecutor({ threads: 1 }), model.trainingProgram, store);
  try {
    const { inputs, rows } = model.batch(examples);
    return await train.step(inputs, { rows, random: { seed: 0, stream: "dropout", step: 0 } });
  } finally {
    await train.dispose();
  }
}
