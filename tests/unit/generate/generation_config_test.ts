import { assertEquals, assertThrows } from "@std/assert";
import { ConfigError } from "../../../src/errors.ts";
import {
  type GenerateOptions,
  generationConfigToJson,
  parseGenerationConfig,
} from "../../../src/generate/mod.ts";
import { checkGenerateOptions } from "../../../src/generate/options.ts";

/** Files as they are published, and what they ask for. */
const PUBLISHED: Record<string, [json: Record<string, unknown>, options: GenerateOptions]> = {
  "t5-small": [
    {
      _from_model_config: true,
      decoder_start_token_id: 0,
      eos_token_id: 1,
      pad_token_id: 0,
      transformers_version: "4.27.0.dev0",
    },
    { stopTokens: [1] },
  ],
  "gpt2": [
    {
      bos_token_id: 50256,
      eos_token_id: 50256,
      transformers_version: "4.26.0.dev0",
      _from_model_config: true,
    },
    { stopTokens: [50256] },
  ],
  "SmolLM2-135M-Instruct": [
    {
      _from_model_config: true,
      bos_token_id: 1,
      eos_token_id: 2,
      pad_token_id: 2,
      transformers_version: "4.42.3",
    },
    { stopTokens: [2] },
  ],
  // Neither says a top k: transformers then takes 50.
  "Llama-3.2-1B-Instruct": [
    {
      bos_token_id: 128000,
      do_sample: true,
      eos_token_id: [128001, 128008, 128009],
      temperature: 0.6,
      top_p: 0.9,
      transformers_version: "4.45.0.dev0",
    },
    {
      stopTokens: [128001, 128008, 128009],
      sampling: { temperature: 0.6, topK: 50, topP: 0.9 },
    },
  ],
  "Qwen2.5-0.5B-Instruct": [
    {
      bos_token_id: 151643,
      pad_token_id: 151643,
      do_sample: true,
      eos_token_id: [151645, 151643],
      repetition_penalty: 1.1,
      temperature: 0.7,
      top_p: 0.8,
      top_k: 20,
      transformers_version: "4.37.0",
    },
    {
      stopTokens: [151645, 151643],
      repetitionPenalty: 1.1,
      sampling: { temperature: 0.7, topK: 20, topP: 0.8 },
    },
  ],
};

for (const [name, [json, options]] of Object.entries(PUBLISHED)) {
  Deno.test(`${name}: its generation_config.json is understood`, () => {
    const parsed = parseGenerationConfig(json);
    assertEquals(parsed, options);
    checkGenerateOptions(parsed);
  });
}

Deno.test("beams, lengths and what says nothing", () => {
  assertEquals(parseGenerationConfig({}), {});
  const beams = { num_beams: 4, num_return_sequences: 2, length_penalty: 2, early_stopping: true };
  assertEquals(
    parseGenerationConfig({
      ...beams,
      max_new_tokens: 30,
      min_new_tokens: 5,
      no_repeat_ngram_size: 3,
    }),
    {
      noRepeatNgramSize: 3,
      maxNewTokens: 30,
      minNewTokens: 5,
      beam: { beams: 4, count: 2, lengthPenalty: 2, earlyStopping: true },
    },
  );
  // Without do_sample these say nothing, and neither does a length that counts the prompt.
  const idle = { temperature: 0, top_p: 0.9, top_k: 5, max_length: 20, min_length: 0 };
  assertEquals(parseGenerationConfig({ ...idle, do_sample: false }), {});
  // A top k of 0 is none; null is as if it were not there.
  const all = { do_sample: true, top_k: 0, temperature: null, eos_token_id: null, min_p: null };
  assertEquals(parseGenerationConfig(all), { sampling: { temperature: 1, topP: 1 } });
  const neutral = { no_repeat_ngram_size: 0, num_beam_groups: 1, diversity_penalty: 0.0, min_p: 0 };
  assertEquals(parseGenerationConfig(neutral), {});
});

const problemsOf = (json: unknown): string[] =>
  assertThrows(() => parseGenerationConfig(json), ConfigError).problems
    .map(({ key, message }) => `${key}: ${message}`);

Deno.test("what this project does not do is named, all of it", () => {
  const unsupported = {
    typical_p: 0.9,
    min_p: 0.05,
    forced_bos_token_id: 0,
    suppress_tokens: [1, 2],
    num_beam_groups: 2,
  };
  assertEquals(
    problemsOf(unsupported).sort(),
    [
      "forced_bos_token_id: is 0, not null",
      "min_p: is 0.05, not 0",
      "num_beam_groups: is 2, not 1",
      "suppress_tokens: is [1,2], not []",
      "typical_p: is 0.9, not 1",
    ],
  );
  const [unknown] = problemsOf({ temprature: 0.5 });
  assertEquals(unknown.split(" (")[0], "temprature: is not known here");
  assertEquals(unknown.endsWith("the nearest known field is temperature"), true, unknown);
  const [both, ...more] = problemsOf({ do_sample: true, num_beams: 4 });
  assertEquals([both, more], [
    "do_sample: is true with beams; beams that choose at random are not supported",
    [],
  ]);
});

Deno.test("values that can't be are named", () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ do_sample: true, temperature: 0 }, "temperature: is 0, not a positive number"],
    [{ do_sample: true, top_p: 1.5 }, "top_p: is 1.5, not a number in (0, 1]"],
    [{ do_sample: true, top_k: -1 }, "top_k: is -1, not an integer from 0"],
    [{ num_beams: 0 }, "num_beams: is 0, not a positive integer"],
    [{ num_return_sequences: 3 }, "num_return_sequences: is 3, not 1"],
    [{ do_sample: "yes" }, 'do_sample: is "yes", not true or false'],
    [
      { eos_token_id: [1, "</s>"] },
      'eos_token_id: is [1,"</s>"], not a token id or a list of them',
    ],
    [{ eos_token_id: -1 }, "eos_token_id: is [-1], not a token id or a list of them"],
    [{ max_new_tokens: 0 }, "max_new_tokens: is 0, not a positive integer"],
    [{ early_stopping: "soon" }, 'early_stopping: is "soon", not true, false or "never"'],
  ];
  for (const [json, problem] of wrong) assertEquals(problemsOf(json), [problem]);
  for (const json of [[], null, 7, "text"]) {
    assertEquals(problemsOf(json), ["generation_config.json: is not an object"]);
  }
});

Deno.test("tokens alone make a file that says them", () => {
  const json = generationConfigToJson({
    beginToken: 3,
    endTokens: [1],
    padToken: 0,
    startToken: 0,
  });
  assertEquals(json, {
    _from_model_config: true,
    bos_token_id: 3,
    decoder_start_token_id: 0,
    eos_token_id: 1,
    pad_token_id: 0,
  });
  assertEquals(parseGenerationConfig(json), { stopTokens: [1] });
  assertEquals(generationConfigToJson({ endTokens: [1, 2] }).eos_token_id, [1, 2]);
  assertEquals(generationConfigToJson({ endTokens: [] }), { _from_model_config: true });
});
