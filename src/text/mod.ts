/** Tokenizers and their training, chat templates, sentences and words, BM25 and TF-IDF. @module */
export {
  addTokens,
  type ExtendedTokenizer,
  type NewToken,
  type TokenizerFiles,
} from "./add_tokens.ts";
export {
  bm25Index,
  type Bm25Options,
  bm25Scores,
  bm25Search,
  bm25SearchBatch,
  type Ranking,
  topScores,
} from "./bm25.ts";
export { type BpeOptions, type BpeProgress, trainBpe } from "./bpe_trainer.ts";
export {
  applyChatTemplate,
  type ChatMessage,
  type ChatOptions,
  type ChatTemplateFiles,
  encodeChat,
} from "./chat_template.ts";
export { padBatch, type PaddedBatch, type PadOptions } from "./pad_batch.ts";
export { sentences } from "./sentences.ts";
export { type StemOptions, trainStemTokenizer } from "./stem_tokenizer.ts";
export { STOP_WORDS } from "./stop_words.ts";
export { termCounts, tfIdf } from "./term_matrix.ts";
export { TextStream } from "./text_stream.ts";
export {
  type DecodeOptions,
  type Decoding,
  type EncodeOptions,
  loadTokenizer,
  type Tokenizer,
} from "./tokenizer.ts";
export { type AddedTokenJson, type Json, type TokenizerJson } from "./tokenizer_json.ts";
export { contentWords, isStopWord, words } from "./words.ts";
