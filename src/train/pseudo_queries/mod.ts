/** Training examples for an index: real questions, and questions made from documents. @module */
export { createExampleSampler } from "./example_sampler.ts";
export {
  EXAMPLE_KINDS,
  type ExampleKind,
  type ExampleMix,
  type ExampleSampler,
  type ExampleSamplerOptions,
  type PseudoQuery,
} from "./types.ts";
