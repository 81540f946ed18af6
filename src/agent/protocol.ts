/**
 * What a policy reads and writes besides words: its special tokens, and how a question, a document and
 * the budget are put to it.
 *
 * An episode is one row of tokens:
 *
 *     question <COST> 0.1 <BUDGET_2>  [query] <RET> <DOC> document </DOC> <BUDGET_1>  [thought] <ANS> answer <END>
 *     └── given ───────────────────┘  └ chosen ───┘ └── given ────────────────────┘  └── chosen ────────────────┘
 *
 * @module
 */
import { ConfigError } from "../errors.ts";
import type { Document } from "../data/mod.ts";
import type { Tokenizer } from "../text/mod.ts";

/** Largest retrieval budget there is a token for. */
export const MAX_BUDGET = 8;

/** Spelling of the special tokens of an agent. */
export const AGENT_TOKENS = {
  retrieve: "<RET>",
  documentStart: "<DOC>",
  documentEnd: "</DOC>",
  answer: "<ANS>",
  end: "<END>",
  cost: "<COST>",
} as const;

/** Spelling of the token that shows how many retrievals are left. */
export const budgetToken = (left: number): string => `<BUDGET_${left}>`;

/** Every special token of an agent, in the order in which a new vocabulary gets them. */
export const agentTokens: readonly string[] = [
  ...Object.values(AGENT_TOKENS),
  ...Array.from({ length: MAX_BUDGET + 1 }, (_, left) => budgetToken(left)),
];

/** Choices of {@linkcode agentProtocol}. */
export interface ProtocolOptions {
  /** Retrievals that an episode may have, 0 to {@linkcode MAX_BUDGET}. */
  readonly budget: number;
  /** Tokens of a document that are read; the rest is cut off. */
  readonly documentTokens: number;
}

/** Special tokens by id, and the tokens of whatever is put to a policy. */
export interface AgentProtocol extends ProtocolOptions {
  /** The tokenizer. */
  readonly tokenizer: Tokenizer;
  /** Ids of {@linkcode AGENT_TOKENS}. */
  readonly ids: Readonly<Record<keyof typeof AGENT_TOKENS, number>>;
  /** Ids that a policy must never choose: tags of documents, cost and budget, padding. */
  readonly forbidden: readonly number[];
  /** Tokens of a question, the price of a retrieval and the whole budget. */
  prompt(question: string, cost: number): number[];
  /**
   * Tokens of a document between its tags, cut to its budget, and of the budget that is left. Nothing
   * stands between the tags where nothing was found.
   */
  document(document: Document | undefined, left: number): number[];
  /** Tokens of words within a row. */
  words(text: string): number[];
  /** The words of tokens, special ones left out, white space trimmed. */
  text(tokens: ArrayLike<number>): string;
}

/**
 * The protocol of a tokenizer.
 *
 * Words are encoded with a space before them wherever they stand, so that a name has the same tokens in
 * a question, a document and an answer. Tokenizers that put a space there themselves are left to it.
 * Where words spell one of the agent's tokens it is left out: a document cannot close its own tag.
 *
 * @param tokenizer A tokenizer that knows {@linkcode agentTokens}
 * @param options Budgets
 * @throws {ConfigError} If a special token is missing or a budget is out of range
 */
export function agentProtocol(tokenizer: Tokenizer, options: ProtocolOptions): AgentProtocol {
  const { budget, documentTokens } = options;
  if (!Number.isInteger(budget) || budget < 0 || budget > MAX_BUDGET) {
    throw new ConfigError([{
      key: "agent.budget",
      message: `must be a whole number from 0 to ${MAX_BUDGET}, is ${budget}`,
    }]);
  }
  if (!Number.isInteger(documentTokens) || documentTokens < 1) {
    throw new ConfigError([{
      key: "agent.document_tokens",
      message: `must be a positive whole number, is ${documentTokens}`,
    }]);
  }
  const idOf = (token: string): number => {
    const id = tokenizer.tokenToId(token);
    if (id !== undefined) return id;
    throw new ConfigError([{
      key: "agent.model",
      message: `its tokenizer has no ${token}; add the agent's tokens with addTokens`,
    }]);
  };
  const ids = Object.fromEntries(
    Object.entries(AGENT_TOKENS).map(([name, token]) => [name, idOf(token)]),
  ) as AgentProtocol["ids"];
  const budgets = Array.from({ length: MAX_BUDGET + 1 }, (_, left) => idOf(budgetToken(left)));
  const own = new Set([...Object.values(ids), ...budgets]);
  const encode = (text: string): number[] =>
    [...tokenizer.encode(text, { addSpecialTokens: false })].filter((id) => !own.has(id));
  const [first] = encode("a");
  const space = tokenizer.idToToken(first)?.startsWith("▁") ? "" : " ";
  const words = (text: string): number[] => encode(space + text.trim());
  const cut = new WeakMap<Document, number[]>();
  const bodyOf = (document: Document): number[] => {
    let body = cut.get(document);
    if (!body) {
      const { title, text } = document;
      body = words(title && !text.includes(title) ? `${title}. ${text}` : text)
        .slice(0, documentTokens);
      cut.set(document, body);
    }
    return body;
  };
  const { padId } = tokenizer;
  return {
    budget,
    documentTokens,
    tokenizer,
    ids,
    forbidden: [
      ids.documentStart,
      ids.documentEnd,
      ids.cost,
      ...budgets,
      ...(padId === undefined ? [] : [padId]),
    ],
    words,
    prompt: (
      question,
      cost,
    ) => [...words(question), ids.cost, ...words(`${cost}`), budgets[budget]],
    document: (document, left) => [
      ids.documentStart,
      ...(document ? bodyOf(document) : []),
      ids.documentEnd,
      budgets[left],
    ],
    text: (tokens) => tokenizer.decode(tokens).trim(),
  };
}
