/** A random policy of a few hundred numbers over thirty-five tokens, and what it lives in. @module */
import {
  type AgentEnvironment,
  agentProtocol,
  agentTokens,
  type DocumentRetriever,
  type RetrievalRequest,
} from "../../../src/agent/mod.ts";
import type { Document, Query } from "../../../src/data/mod.ts";
import type { DecoderModel } from "../../../src/model/mod.ts";
import { addTokens, loadTokenizer, type Tokenizer } from "../../../src/text/mod.ts";
import { tinyTokenizer } from "../hub/_tiny_pretrained.ts";
import { tinyDecoder } from "../model/_tiny_decoder.ts";

/** Twenty words and the agent's tokens. */
export const TOKENIZER: Tokenizer = loadTokenizer(
  addTokens({ tokenizerJson: tinyTokenizer() }, [...agentTokens]).tokenizerJson,
  { pad_token: "<pad>" },
);

/** Texts of three to thirteen tokens. */
export const DOCUMENTS: readonly Document[] = [
  { docId: "o", title: "otter", text: "the otter sleeps on its back in the sea" },
  { docId: "h", title: "heron", text: "a heron wades in the river" },
  { docId: "s", title: "sea", text: "the sea" },
  {
    docId: "r",
    title: "river",
    text: "a heron wades in its river , the otter sleeps on the river",
  },
];

/** Questions of two to seven tokens. */
export const QUESTIONS: readonly Query[] = [
  { queryId: "0", query: "who sleeps ?", docIds: ["o"], answers: ["the otter", "otter"] },
  { queryId: "1", query: "who wades in the river ?", docIds: ["h"], answers: ["heron"] },
  { queryId: "2", query: "otter ?", docIds: ["o"], answers: ["sea"] },
  { queryId: "3", query: "who sleeps on its back ?", docIds: ["o"], answers: ["otter"] },
  { queryId: "4", query: "a heron in the sea ?", docIds: ["s"], answers: ["a", "the"] },
];

/** How much larger the logits of what moves an episode on are. */
const EMPHASIS = 3;

/** A policy whose choices are far from even, and that retrieves, answers and ends now and then. */
export function tinyPolicy(
  family: "llama" | "gpt2" = "llama",
  over: Record<string, unknown> = {},
): DecoderModel {
  const sizes = family === "gpt2" ? { n_layer: 1, n_positions: 64 } : { num_hidden_layers: 1 };
  const policy = tinyDecoder(family, {
    vocab_size: TOKENIZER.vocabSize,
    pad_token_id: 0,
    ...sizes,
    ...over,
  });
  const { data, shape: [, D] } =
    policy.tensors[family === "gpt2" ? "transformer.wte.weight" : "lm_head.weight"];
  for (const token of ["<RET>", "<ANS>", "<END>"]) {
    const row = TOKENIZER.tokenToId(token)! * D;
    for (let i = row; i < row + D; i++) data[i] *= EMPHASIS;
  }
  return policy;
}

/**
 * Finds the documents that share a word with the query, in their order turned round by the request's
 * stream; for half of the others nothing, and for the rest the first document.
 */
export const wordRetriever: DocumentRetriever = {
  name: "words",
  scoreUnit: "words",
  retrieve: (requests, top = 1) =>
    Promise.resolve(requests.map((request) => found(request).slice(0, top))),
};

function found({ query, seen, random }: RetrievalRequest): { doc: number; score: number }[] {
  const wanted = new Set(query.split(" "));
  const scored = DOCUMENTS.map(({ text }, doc) => ({
    doc,
    score: new Set(text.split(" ").filter((word) => wanted.has(word))).size,
  })).filter(({ score }) => score > 0);
  if (!scored.length) return random.step % 2 ? [] : [{ doc: 0, score: 0 }];
  const turned = scored.map((_, i) => scored[(i + random.seed + seen.length) % scored.length]);
  return turned;
}

/** An environment around the tiny tokenizer, with overrides. */
export function tinyEnvironment(
  over: { budget?: number; documentTokens?: number } & Partial<AgentEnvironment> = {},
): AgentEnvironment {
  const { budget = 2, documentTokens = 8, ...rest } = over;
  return {
    protocol: agentProtocol(TOKENIZER, { budget, documentTokens }),
    retriever: wordRetriever,
    documents: DOCUMENTS,
    turnTokens: 12,
    ...rest,
  };
}
