/** A model for more tokens than it was trained with. @module */
import { ShapeError } from "../errors.ts";
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import { randomStream } from "../tensor/random.ts";
import { type Model, type ModelConfig, vocabularyTables } from "./model.ts";

/** Share of the spread of the known rows that new ones get. */
const SPREAD = 0.01;

/** `table` [V, D] with new rows around the mean of those it has. */
function grown(
  table: HostTensor<"float32">,
  rows: number,
  { seed, name }: { seed: number; name: string },
): HostTensor<"float32"> {
  const [known, width] = table.shape;
  const mean = new Float64Array(width), square = new Float64Array(width);
  table.data.forEach((x, i) => {
    mean[i % width] += x / known;
    square[i % width] += x * x / known;
  });
  const data = new Float32Array(rows * width);
  data.set(table.data);
  for (let row = known; row < rows; row++) {
    const stream = randomStream({ seed, stream: `resize/${name}`, step: row });
    for (let d = 0; d < width; d++) {
      const spread = Math.sqrt(Math.max(0, square[d] - mean[d] ** 2));
      data[row * width + d] = mean[d] + SPREAD * spread * stream.normal();
    }
  }
  return hostTensor("float32", data, [rows, width]);
}

/**
 * A model whose embedding table and output layer have a row for every token of a larger vocabulary. New
 * rows are the mean of the known ones, which bounds what they do to the probabilities of known tokens
 * (Hewitt 2021), plus noise of a hundredth of their spread, so that new tokens can be told apart. A
 * row's numbers depend on the seed and its id alone. The tables are copied, nothing else is.
 *
 * Departure from transformers' `resize_token_embeddings`: it draws the noise with the covariance of the
 * known rows, a billionth of it.
 *
 * @param model A model
 * @param vocabSize Tokens there are now; a model that has as many rows already is returned as it is
 * @param options Seed of the noise, default 0
 * @throws {ShapeError} If the vocabulary is no size
 * @example
 * ```ts
 * import { resizeVocabulary } from "./resize_vocabulary.ts";
 * import { modelParamSpecs, parseModelConfig } from "./model.ts";
 * import { hostTensor, sizeOf } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const config = parseModelConfig({ model_type: "gpt2", n_embd: 4, n_head: 1, vocab_size: 5,
 *   bos_token_id: 0, eos_token_id: 0 });
 * const tensors = Object.fromEntries(
 *   Object.entries(modelParamSpecs(config)).map(([name, { shape }]) => [
 *     name,
 *     hostTensor("float32", new Float32Array(sizeOf(shape)), shape),
 *   ]),
 * );
 * const larger = resizeVocabulary({ config, tensors }, 7);
 * assertEquals(larger.config.vocabSize, 7);
 * assertEquals(larger.tensors["transformer.wte.weight"].shape, [7, 4]);
 * ```
 */
export function resizeVocabulary<Config extends ModelConfig>(
  model: Model<Config>,
  vocabSize: number,
  options: { seed?: number } = {},
): Model<Config> {
  const { config } = model, { seed = 0 } = options;
  if (!Number.isSafeInteger(vocabSize) || vocabSize < 1) {
    throw new ShapeError(`Cannot resize the vocabulary to ${vocabSize} tokens`);
  }
  if (vocabSize <= config.vocabSize) return model;
  const { embedding, head } = vocabularyTables(config);
  const tensors = { ...model.tensors };
  for (const name of config.isTied ? [embedding] : [embedding, head]) {
    tensors[name] = grown(tensors[name], vocabSize, { seed, name });
  }
  return { config: { ...config, vocabSize }, tensors };
}
