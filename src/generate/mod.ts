/** Texts from models: reading step by step with cached keys and values, sampling, beam search. @module */
export { type BeamSearchOptions, searchBeams, type TextStart } from "./beam_search.ts";
export {
  type DecoderSequenceOptions,
  type DecoderStepOptions,
  decoderStepProgram,
  type HeadOutput,
  type LogitsHead,
  openDecoder,
  plainHead,
} from "./decoder_sequences.ts";
export {
  type DecoderSlots,
  type DecoderSlotsOptions,
  type HeadInputs,
  openDecoderSlots,
} from "./decoder_slots.ts";
export { generate, type GeneratedText } from "./generate.ts";
export { type CacheSizes, KeyValueCache } from "./key_value_cache.ts";
export * from "./logits_processors.ts";
export {
  type GenerateOptions,
  type SamplingOptions,
  type TextBeamOptions,
  type TokenEvent,
} from "./options.ts";
export type { NextTokenLogits, SequenceModel, SequenceState } from "./sequence_model.ts";
export { openT5 } from "./t5_sequences.ts";
export {
  type DecoderBranches,
  decoderBranches,
  decoderExportProgram,
  encoderExportProgram,
  EXPORT_SYMBOLS,
  type ParameterInputs,
  SEQ2SEQ_SYMBOLS,
} from "./export_programs.ts";
export { generationConfigToJson, parseGenerationConfig } from "./generation_config.ts";
export {
  exportedDecoder,
  exportedSeq2Seq,
  type ExportedSizes,
  type Seq2SeqFiles,
} from "./exported_sequences.ts";
