/** The decoder that benches run: Llama's shape, width 512, vocabulary 32,000, tied; 55 M at 12 layers. */
import { type DecoderConfig, parseDecoderConfig } from "../src/model/mod.ts";

/** Its configuration. */
export const llama = (layers: number): DecoderConfig =>
  parseDecoderConfig({
    model_type: "llama",
    vocab_size: 32000,
    hidden_size: 512,
    intermediate_size: 1408,
    num_hidden_layers: layers,
    num_attention_heads: 8,
    num_key_value_heads: 8,
    tie_word_embeddings: true,
    initializer_range: 0.05,
  });
