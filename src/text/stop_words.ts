/** Common English words that say little about what a text is about. @module */

/**
 * English function words in lower case, question words among them: articles, pronouns, prepositions,
 * conjunctions, auxiliaries and the pieces that an apostrophe leaves behind (`don`, `t`, …). "us" and
 * "may" are not among them: in lower case they are also a country and a month.
 */
export const STOP_WORDS: ReadonlySet<string> = new Set(
  `a an the this that these those some any each every either neither no other another such same own
  i me my mine myself we our ours ourselves you your yours yourself yourselves
  he him his himself she her hers herself it its itself they them their theirs themselves one
  who whom whose which what when where why how
  am is are was were be been being do does did doing done have has had having
  can could might must shall should will would
  and or but nor so yet if then else than because while until although though unless whether as
  of in on at by for with about against between among into through during before after above below
  to from up down out off over under again further within without upon toward towards via per
  not only very too also just both all few more most much many several
  here there now ever once
  s t d ll m re ve don isn aren wasn weren didn doesn hasn hadn couldn wouldn shouldn`.split(/\s+/),
);
