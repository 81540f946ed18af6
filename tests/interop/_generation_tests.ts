/** What is generated against transformers' `generate`, token by token. */
import { assert, assertEquals } from "@std/assert";
import {
  forbidTokens,
  generate,
  type GenerateOptions,
  openDecoder,
  openT5,
} from "../../src/generate/mod.ts";
import { onnxExecutor } from "../../src/runtime/mod.ts";
import { test } from "./_peers.ts";
import {
  asDecoder,
  asT5,
  jsonOf,
  load,
  NAMES,
  noPython,
  references,
  Worst,
} from "./_references.ts";

const SCORE_TOLERANCE = 1e-5;
/** Texts that float32 can hardly tell apart may change places: sums are float64 here. */
const TIE_TOLERANCE = 1e-6, MAX_TIES = 2;

/** Options by transformers' names. */
interface Options {
  readonly num_beams: number;
  readonly num_return_sequences?: number;
  readonly eos_token_id?: number[];
  readonly early_stopping?: boolean | "never";
  readonly length_penalty?: number;
  readonly min_new_tokens?: number;
  readonly repetition_penalty?: number;
}

interface Generations {
  readonly prompts: number[][];
  readonly max_new_tokens: number;
  readonly pad_token: number;
  readonly cases: { name: string; options: Options; tokens: number[][]; scores: number[] | null }[];
}

function optionsOf(options: Options, { max_new_tokens, pad_token }: Generations): GenerateOptions {
  return {
    maxNewTokens: max_new_tokens,
    stopTokens: options.eos_token_id,
    minNewTokens: options.min_new_tokens,
    repetitionPenalty: options.repetition_penalty,
    processors: [forbidTokens([pad_token])],
    ...options.num_beams > 1 && {
      beam: {
        beams: options.num_beams,
        count: options.num_return_sequences,
        lengthPenalty: options.length_penalty,
        earlyStopping: options.early_stopping,
      },
    },
  };
}

for (const name of NAMES) {
  test(`${name}: generates what transformers generates`, noPython, async () => {
    const reference = await jsonOf<Generations>(await references(), name, "generations.json");
    const loaded = await load(name), t5 = asT5(loaded), worst = new Worst();
    const executor = onnxExecutor();
    const model = t5
      ? await openT5(t5, { executor })
      : await openDecoder(asDecoder(loaded), { executor });
    const wrong: string[] = [];
    let count = 0, ties = 0;
    for (const { name: which, options, tokens, scores } of reference.cases) {
      const results = (await generate(model, reference.prompts, optionsOf(options, reference)))
        .flat();
      assertEquals(results.length, tokens.length);
      const stops = options.eos_token_id ?? model.endTokens;
      results.forEach((text, i) => {
        // What follows a text's end is padding.
        const end = tokens[i].findIndex((token) => stops.includes(token));
        const expected = end < 0 ? tokens[i] : tokens[i].slice(0, end + 1);
        count++;
        const isSame = `${text.tokens}` === `${expected}`;
        if (!scores) {
          if (!isSame) wrong.push(`${which}, text ${i}: ${text.tokens}, not ${expected}`);
          return;
        }
        // A sum of logarithms of shares: what counts near 0 is the absolute error.
        const error = Math.abs(text.score! - scores[i]) / Math.max(1, Math.abs(scores[i]));
        worst.note("scores", error);
        if (error > (isSame ? SCORE_TOLERANCE : TIE_TOLERANCE)) {
          wrong.push(`${which}, text ${i}: ${text.tokens} ${text.score}, ${expected} ${scores[i]}`);
        } else if (!isSame) ties++;
      });
    }
    await model.dispose();
    assert(wrong.length === 0, `${wrong.length} of ${count} are different:\n${wrong.join("\n")}`);
    assert(ties <= MAX_TIES, `${ties} texts of ${count} are others, as likely`);
    worst.print(
      `${name}: ${count} texts in ${reference.cases.length} ways, ${ties} others as likely, off by`,
    );
  });
}
