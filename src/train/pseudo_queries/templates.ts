/** Forms of questions with blanks for content words. @module */
import { isStopWord, words } from "../../text/words.ts";

/** A place for a content word, and the punctuation that stays behind it. */
export interface Blank {
  /** Such as `"?"`; may be empty. */
  readonly after: string;
}

/** A question cut at white space, some pieces of which are blanks. */
export type Template = readonly (string | Blank)[];

/** Fewest mined templates that stand alone; with fewer, the built-in ones join them. */
export const FEWEST_TEMPLATES = 100;

/** Common forms of English questions; `_` is a blank. */
export const BUILT_IN_TEMPLATES: readonly Template[] = [
  "What is _ _?",
  "What is the _ of _?",
  "What is the name of the _ that _ _?",
  "What was the _ of the _ _?",
  "What are _ and _ _?",
  "What did _ _ in _?",
  "What does _ _ to _?",
  "What kind of _ is _ _?",
  "What type of _ did _ _?",
  "What _ was _ by _?",
  "What _ _ the _ of _?",
  "Which _ was _ in _?",
  "Which _ has the most _ _?",
  "Which of the _ is _ for _?",
  "Who _ the _ _?",
  "Who was the _ of _?",
  "Who was _ by the _ _?",
  "Who is the _ who _ _?",
  "When did the _ _ _?",
  "When was _ _?",
  "In what year was the _ _ _?",
  "What year did _ _ the _?",
  "Where is the _ of _ _?",
  "Where did _ _?",
  "Where was the _ _ _?",
  "Why did _ _ the _?",
  "Why is _ _ for _?",
  "How did _ _ the _ of _?",
  "How is _ _?",
  "How many _ _ in _?",
  "How many _ does the _ _ have?",
  "How much _ was _ to _?",
  "How long did the _ _ in _ last?",
  "How is the _ related to _ and _?",
  "Is _ a _ of _?",
  "To whom did _ _ the _?",
].map((form) => form.split(" ").map((p) => p.startsWith("_") ? { after: p.slice(1) } : p));

/**
 * The template of a question: its words that also stand in the right document, function words aside, are
 * blanked. Words that are nowhere in the document stay: they are how people ask.
 *
 * @param question The question
 * @param isInDocument Whether a content word stands in the right document
 * @returns `undefined` if there would be no blank
 * @example
 * ```ts
 * import { mineTemplate } from "./templates.ts";
 * import { assertEquals } from "@std/assert";
 * const document = new Set(["oil", "embargo"]);
 * assertEquals(
 *   mineTemplate("Who proclaimed the oil embargo?", (word) => document.has(word)),
 *   ["Who", "proclaimed", "the", { after: "" }, { after: "?" }],
 * );
 * ```
 */
export function mineTemplate(
  question: string,
  isInDocument: (word: string) => boolean,
): Template | undefined {
  const pieces = question.split(/\s+/).filter((piece) => piece !== "");
  const template = pieces.map((piece): string | Blank => {
    const isBlank = words(piece).some((word) => !isStopWord(word) && isInDocument(word));
    return isBlank ? { after: AFTER_WORDS.exec(piece)![0] } : piece;
  });
  return template.some((piece) => typeof piece !== "string") ? template : undefined;
}

/** What follows the last letter or digit of a piece. */
const AFTER_WORDS = /[^\p{L}\p{M}\p{N}]*$/u;
