import { assertEquals } from "@std/assert";
import { contentWords, isStopWord, sentences, STOP_WORDS, words } from "../../../src/text/mod.ts";

Deno.test("sentences end at full stops, not at abbreviations, initials or numbers", () => {
  const expected = [
    "Mr. Smith Jr. met George W. Bush in the U.S. Senate, e.g. in 1990.",
    "It cost $3.50!",
    "No. 5 is fine.",
    "He asked: why?",
    "Oxygen (O 2) burns.",
    "Café ends.",
    "It was called X.com.",
    "Done.",
  ];
  assertEquals(sentences(expected.join(" ")), expected);
});

Deno.test("only blank lines separate sentences without a full stop", () => {
  assertEquals(sentences("A title\n\nA hard\nwrapped line.\r\n \r\nEnd"), [
    "A title",
    "A hard wrapped line.",
    "End",
  ]);
  assertEquals(sentences(" \n\n "), []);
});

Deno.test("words keep their inner marks", () => {
  assertEquals(
    words("“O'Brien” paid US$12,000.50 -- well-known… café; don’t. 東京"),
    ["O'Brien", "paid", "US", "12,000.50", "well-known", "café", "don’t", "東京"],
  );
  assertEquals(words("…"), []);
});

Deno.test("stop words are lower-case single words; case and apostrophes do not hide them", () => {
  for (const word of STOP_WORDS) assertEquals(/^[a-z]+$/.test(word), true, word);
  for (const word of ["The", "WHICH", "don't", "It’s", "they're"]) {
    assertEquals(isStopWord(word), true, word);
  }
  for (const word of ["oil", "US", "Egypt's", "O'Brien", "1973", "May"]) {
    assertEquals(isStopWord(word), false, word);
  }
  assertEquals(contentWords("When was the second oil crisis?"), ["second", "oil", "crisis"]);
});
