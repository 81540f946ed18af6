/** Prompts and answers from JSON Lines. @module */
import { ProblemList } from "./problems.ts";
import { readRecords } from "./record_fields.ts";

/** A prompt and the answer to learn. */
export interface PromptAnswer {
  /** What is given. */
  readonly prompt: string;
  /** What is to be written. */
  readonly answer: string;
}

/**
 * The pairs of a file, one record a line: `{"prompt": …, "answer": …}`. Other fields are ignored; a prompt
 * may be empty.
 *
 * @param file A `.jsonl` file
 * @throws {DataError} If the file is missing or empty, or with all problems of its records at once
 */
export async function readPairs(file: string): Promise<PromptAnswer[]> {
  const problems = new ProblemList();
  const pairs: PromptAnswer[] = [];
  for await (const fields of readRecords(file, problems)) {
    const pair = {
      prompt: fields.string("prompt", "any"),
      answer: fields.string("answer", "filled"),
    };
    if (fields.isValid) pairs.push(pair);
  }
  if (!pairs.length && problems.isEmpty) {
    problems.add("there is no record", { file, line: 1 });
  }
  problems.throwIfAny(`read the pairs in ${file}`);
  return pairs;
}
