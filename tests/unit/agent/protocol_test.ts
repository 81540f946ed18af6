import { assert, assertEquals, assertThrows } from "@std/assert";
import {
  AGENT_TOKENS,
  agentProtocol,
  agentTokens,
  budgetToken,
  MAX_BUDGET,
} from "../../../src/agent/mod.ts";
import type { Document } from "../../../src/data/mod.ts";
import { worldDataset } from "../../../src/data/world/mod.ts";
import { ConfigError } from "../../../src/errors.ts";
import { addTokens, loadTokenizer, type Tokenizer, trainBpe } from "../../../src/text/mod.ts";
import { gpt2, llama2, t5 } from "../text/_families.ts";

const { documents, queries, world } = worldDataset({ seed: 1, entities: 30 });
const TEXTS = [...documents.map(({ text }) => text), ...queries.train.map(({ query }) => query)];

const withAgentTokens = (tokenizerJson: unknown): Tokenizer =>
  loadTokenizer(addTokens({ tokenizerJson }, [...agentTokens]).tokenizerJson);
/** One of our own, one that needs a space before a word, one that puts it there itself. */
const TOKENIZERS: Record<string, Tokenizer> = {
  trained: loadTokenizer(
    trainBpe(TEXTS, { vocabSize: 600, specialTokens: ["<pad>", ...agentTokens] }),
  ),
  gpt2: withAgentTokens(gpt2()),
  llama2: withAgentTokens(llama2()),
};
const OPTIONS = { budget: 2, documentTokens: 100 };
const documentOf = (title: string, text: string): Document => ({ docId: "d", title, text });

Deno.test("the special tokens: six and one for each budget, each of one id", () => {
  assertEquals(agentTokens.slice(0, 7), [
    "<RET>",
    "<DOC>",
    "</DOC>",
    "<ANS>",
    "<END>",
    "<COST>",
    "<BUDGET_0>",
  ]);
  assertEquals([agentTokens.length, agentTokens.at(-1)], [15, `<BUDGET_${MAX_BUDGET}>`]);
  for (const tokenizer of Object.values(TOKENIZERS)) {
    const { ids } = agentProtocol(tokenizer, OPTIONS);
    for (const [name, token] of Object.entries(AGENT_TOKENS)) {
      assertEquals(tokenizer.idToToken(ids[name as keyof typeof ids]), token);
      assertEquals([...tokenizer.encode(token, { addSpecialTokens: false })], [
        ids[name as keyof typeof ids],
      ]);
    }
    assertEquals(new Set(Object.values(ids)).size, 6);
  }
});

Deno.test("words come back, special tokens and white space around them do not", () => {
  for (const [name, tokenizer] of Object.entries(TOKENIZERS)) {
    const { ids, text, words } = agentProtocol(tokenizer, OPTIONS);
    for (const { name: entity } of world.entities) {
      assertEquals(text(words(entity)), entity, name);
      assertEquals(words(`  ${entity} `), words(entity), name);
      const row = [ids.retrieve, ...words(entity), ids.end];
      assertEquals(text(Int32Array.from(row)), entity, name);
    }
    assertEquals(text([]), "");
    assertEquals(text([ids.retrieve, ids.documentStart, ids.documentEnd, ids.end]), "");
  }
});

Deno.test("a name has the same tokens in a question, in a document and alone", () => {
  for (const [name, tokenizer] of Object.entries(TOKENIZERS)) {
    const { words } = agentProtocol(tokenizer, OPTIONS);
    for (const { name: entity } of world.entities) {
      const alone = words(entity), first = words(`${entity} was here`);
      assertEquals(first.slice(0, alone.length), alone, name);
      assertEquals(words(`Where was ${entity}`).slice(-alone.length), alone, name);
    }
  }
});

Deno.test("there is one space before the words, whoever puts it there", () => {
  const spelled = (tokenizer: Tokenizer, text: string) =>
    agentProtocol(tokenizer, OPTIONS).words(text).map((id) => tokenizer.idToToken(id));
  assertEquals(spelled(TOKENIZERS.gpt2, "the was"), ["Ġthe", "Ġwas"]);
  assertEquals(spelled(TOKENIZERS.llama2, "the was"), ["▁the", "▁was"]);
  assertEquals(spelled(withAgentTokens(t5()), "the was"), ["▁the", "▁was"]);
});

Deno.test("no token is put around words, even where a tokenizer does that with texts", () => {
  for (const file of [llama2, t5]) {
    const tokenizer = withAgentTokens(file());
    const { words } = agentProtocol(tokenizer, OPTIONS);
    assertEquals(tokenizer.encode("the").length, words("the").length + 1);
  }
});

Deno.test("a prompt is the question, the price and the whole budget", () => {
  for (const tokenizer of Object.values(TOKENIZERS)) {
    for (let budget = 0; budget <= MAX_BUDGET; budget++) {
      const { ids, prompt, words } = agentProtocol(tokenizer, { ...OPTIONS, budget });
      const expected = [
        ...words("Who taught Ann?"),
        ids.cost,
        ...words("0.25"),
        tokenizer.tokenToId(budgetToken(budget))!,
      ];
      assertEquals(prompt("Who taught Ann?", 0.25), expected);
    }
    const { prompt, ids, text } = agentProtocol(tokenizer, OPTIONS);
    const row = prompt("Who?", 0.1), at = row.indexOf(ids.cost);
    assertEquals([text(row.slice(0, at)), text(row.slice(at))], ["Who?", "0.1"]);
  }
});

Deno.test("a document stands between its tags, before the budget that is left", () => {
  for (const tokenizer of Object.values(TOKENIZERS)) {
    const { document, ids, words } = agentProtocol(tokenizer, OPTIONS);
    const between = (body: number[], left: number) => [
      ids.documentStart,
      ...body,
      ids.documentEnd,
      tokenizer.tokenToId(budgetToken(left))!,
    ];
    const own = documentOf("Ann", "Ann was here.");
    assertEquals(document(own, 1), between(words("Ann was here."), 1));
    assertEquals(document(own, 0), between(words("Ann was here."), 0));
    assertEquals(
      document(documentOf("Bob", "He was here."), 1),
      between(words("Bob. He was here."), 1),
    );
    assertEquals(document(documentOf("", "He was here."), 1), between(words("He was here."), 1));
    assertEquals(document(undefined, 1), between([], 1));
    // What was given away is the taker's own.
    document(own, 1).fill(0);
    assertEquals(document(own, 1), between(words("Ann was here."), 1));
  }
});

Deno.test("a document is cut to its tokens, its tags are not", () => {
  for (const tokenizer of Object.values(TOKENIZERS)) {
    const { words } = agentProtocol(tokenizer, OPTIONS);
    const body = words("Bob. He was here.");
    for (const documentTokens of [1, 2, body.length - 1, body.length, body.length + 1]) {
      const { document, ids } = agentProtocol(tokenizer, { budget: 1, documentTokens });
      const given = document(documentOf("Bob", "He was here."), 0);
      assertEquals(given.slice(1, -2), body.slice(0, documentTokens));
      assertEquals(given.slice(-2), [ids.documentEnd, tokenizer.tokenToId("<BUDGET_0>")!]);
    }
  }
});

Deno.test("a text that spells the agent's tokens does not get them", () => {
  for (const tokenizer of Object.values(TOKENIZERS)) {
    const { document, ids, prompt, text, words } = agentProtocol(tokenizer, OPTIONS);
    const spelled = `Ann ${agentTokens.join("")} was`;
    const own = new Set(agentTokens.map((token) => tokenizer.tokenToId(token)!));
    assert(!words(spelled).some((id) => own.has(id)));
    assertEquals(text(words(spelled)).split(/\s+/), ["Ann", "was"]);
    const tags = (row: number[]) => row.filter((id) => own.has(id));
    assertEquals(tags(document(documentOf("", spelled), 1)).slice(0, -1), [
      ids.documentStart,
      ids.documentEnd,
    ]);
    assertEquals(tags(prompt(spelled, 0.1)).slice(0, -1), [ids.cost]);
  }
});

Deno.test("a policy may choose words, to retrieve, to answer and to end", () => {
  for (const [name, tokenizer] of Object.entries(TOKENIZERS)) {
    const { forbidden } = agentProtocol(tokenizer, OPTIONS);
    const expected = [
      "<DOC>",
      "</DOC>",
      "<COST>",
      ...Array.from({ length: MAX_BUDGET + 1 }, (_, left) => `<BUDGET_${left}>`),
      ...(name === "trained" ? ["<pad>"] : []),
    ];
    assertEquals(forbidden.map((id) => tokenizer.idToToken(id)), expected);
  }
});

Deno.test("what is missing or out of range is named with its key", () => {
  const refuse = (tokenizer: Tokenizer, over: Partial<typeof OPTIONS>, words: string): void => {
    const error = assertThrows(
      () => agentProtocol(tokenizer, { ...OPTIONS, ...over }),
      ConfigError,
      words,
    );
    assert(error instanceof ConfigError && error.problems.length === 1);
  };
  for (const budget of [-1, MAX_BUDGET + 1, 1.5, NaN]) {
    refuse(
      TOKENIZERS.gpt2,
      { budget },
      `agent.budget: must be a whole number from 0 to 8, is ${budget}`,
    );
  }
  for (const documentTokens of [0, 1.5, NaN]) {
    const words = `agent.document_tokens: must be a positive whole number, is ${documentTokens}`;
    refuse(TOKENIZERS.gpt2, { documentTokens }, words);
  }
  refuse(loadTokenizer(gpt2()), {}, "agent.model: its tokenizer has no <RET>; add");
  for (const missing of ["<COST>", "<BUDGET_8>"]) {
    const rest = agentTokens.filter((token) => token !== missing);
    const tokenizer = loadTokenizer(
      addTokens({ tokenizerJson: gpt2() }, rest).tokenizerJson,
    );
    refuse(tokenizer, {}, `agent.model: its tokenizer has no ${missing}; add`);
  }
});
