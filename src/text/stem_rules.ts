/**
 * A light English stemmer as a list of replacements.
 *
 * Each rule is a regular expression whose matches are replaced by fixed text, one rule after the other
 * over the whole text, so that it can be written into a `tokenizer.json` and gives the same stems in
 * every library that reads one. The expressions keep to what Oniguruma and JavaScript share: look-behind
 * of fixed width (several widths as alternatives), no captures.
 *
 * The rules expect lower-case text without accents and with one character in front of the first word.
 * They are inflectional for the most part (Porter 1980, steps 1a–1c and 5, with guards of their own);
 * of the derivational suffixes only -ly, -ness, -ment, -ful, -less and -ion stayed: taking off more (-er,
 * -al, -ive, -able, -ity, -ance, …) found no more right documents on SQuAD or Natural Questions.
 *
 * @module
 */

/** One replacement: every match of `pattern` becomes `content`. */
export interface ReplaceRule {
  /** A regular expression in the syntax that Oniguruma and JavaScript (flag `u`) share. */
  readonly pattern: string;
  /** What stands there afterwards, literally. */
  readonly content: string;
}

const END = "(?![\\p{L}\\p{N}])";
const BEFORE = "[^\\p{L}\\p{N}]";
const LETTER = "[a-z]";
const VOWEL = "[aeiouy]";
const CONSONANT = "[b-df-hj-np-tvwxz]";

/** A word so far of one short syllable, as in hop-ing, us-ing: its e is kept or put back. */
const SHORT = [0, 1, 2, 3].map((n) => `${BEFORE}${CONSONANT}{${n}}[aeiou][b-df-hj-np-tvz]`).join(
  "|",
);

/** A vowel not far to the left: what precedes the suffix can be a word. */
const HAS_VOWEL = `(?<=${[0, 1, 2, 3, 4].map((n) => `${VOWEL}${CONSONANT}{${n}}`).join("|")})`;

/** The second of two equal consonants after a vowel, as in plan-n-ing; not that of add-ing. */
const DOUBLED = [..."bdgmnprt"].map((c) => `(?<=${LETTER}[aeiou]${c})${c}`).join("|");

/** Rules that join what punctuation splits: u.s. → us, 12,000 → 12000, egypt's → egypt. */
export const JOIN_RULES: readonly ReplaceRule[] = [
  { pattern: `(?<=${BEFORE}[a-z])\\.(?=[a-z]${END})`, content: "" },
  { pattern: "(?<=[0-9]),(?=[0-9]{3}(?![0-9]))", content: "" },
  { pattern: `['\u2019]s${END}`, content: "" },
];

/** Rules that take suffixes off, in order. */
export const STEM_RULES: readonly ReplaceRule[] = [
  // crisis, analysis → crise, analyse, where their plurals end up too
  { pattern: `(?<=${LETTER}${VOWEL}s)is${END}`, content: "e" },
  // oils, classe(s), partie(s), whose e goes below; not this, bus, glass
  { pattern: `(?<=${LETTER}[a-hj-rtv-z])s${END}`, content: "" },
  // tied, planning, using, voted, studied, causing; not need, string
  { pattern: `(?<=${BEFORE}${LETTER})ied${END}`, content: "ie" },
  { pattern: `(?:${DOUBLED})(?:ing|ed)${END}`, content: "" },
  { pattern: `(?<=${SHORT})(?:ing|ed)${END}`, content: "e" },
  { pattern: `${HAS_VOWEL}(?<!e)ed${END}`, content: "" },
  { pattern: `${HAS_VOWEL}ing${END}`, content: "" },
  // party → parti like partie(s); quickly, happily; kindness, treatment, useful
  { pattern: `(?<=${LETTER}${CONSONANT})y${END}`, content: "i" },
  { pattern: `(?<=${LETTER}{3})li${END}`, content: "" },
  { pattern: `(?<=${LETTER}{4})(?:ness|ment|ful|less)${END}`, content: "" },
  // creation, production → creat, product like create, product
  { pattern: `(?<=${LETTER}{2}[st])ion${END}`, content: "" },
  // cause, caused, causing → caus; the e of note and use stays; controll → control
  { pattern: `(?<!${SHORT})(?<=${LETTER}{3})e${END}`, content: "" },
  { pattern: `(?<=${LETTER}{4}l)l${END}`, content: "" },
];

/**
 * A rule that removes whole words.
 *
 * @param words Lower-case words of letters and digits
 */
export function stopWordRule(words: Iterable<string>): ReplaceRule {
  return { pattern: `(?<=${BEFORE})(?:${[...words].join("|")})${END}`, content: "" };
}
