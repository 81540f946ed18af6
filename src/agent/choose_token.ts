/** Draws what a policy does next. @module */
import type { PolicyRules } from "../model/mod.ts";

/** A choice. */
export interface TokenChoice {
  /** The token. */
  readonly token: number;
  /** Its log-probability among what could be chosen, in nats. */
  readonly logProb: number;
  /** Probability of the retrieve token. */
  readonly retrieveProb: number;
}

/** What there is to choose from. */
export interface TokenChoiceInputs {
  /** [V] logits of the next token. */
  readonly logits: Float32Array;
  /** What can be chosen at all, and at which temperature. */
  readonly rules: PolicyRules;
  /** Whether a retrieval can be chosen. */
  readonly mayRetrieve: boolean;
}

/**
 * Choose a token.
 *
 *   p = softmax(logits / τ) over the tokens that can be chosen
 *
 * @param inputs Logits and rules
 * @param uniform Where in [0, 1) the cumulative distribution is cut; undefined takes the likeliest token
 * @example
 * ```ts
 * import { chooseToken } from "./choose_token.ts";
 * import { assertAlmostEquals, assertEquals } from "@std/assert";
 * const rules = { forbidden: [0], retrieveToken: 1, temperature: 1 };
 * const logits = Float32Array.of(9, Math.log(3), 0);
 * const choice = chooseToken({ logits, rules, mayRetrieve: true }, 0.8);
 * assertEquals(choice.token, 2);
 * assertAlmostEquals(choice.retrieveProb, 0.75, 1e-6);
 * ```
 */
export function chooseToken(inputs: TokenChoiceInputs, uniform?: number): TokenChoice {
  const { logits, rules: { forbidden, retrieveToken, temperature }, mayRetrieve } = inputs;
  const closed = mayRetrieve ? forbidden : [...forbidden, retrieveToken];
  const held = closed.map((token) => logits[token]);
  for (const token of closed) logits[token] = -Infinity;
  try {
    let top = -1;
    for (let v = 0; v < logits.length; v++) if (top < 0 || logits[v] > logits[top]) top = v;
    const highest = logits[top];
    let sum = 0;
    for (let v = 0; v < logits.length; v++) sum += Math.exp((logits[v] - highest) / temperature);
    let token = top;
    if (uniform !== undefined) {
      let left = uniform * sum;
      for (let v = 0; v < logits.length; v++) {
        const weight = Math.exp((logits[v] - highest) / temperature);
        if (weight === 0) continue;
        token = v;
        left -= weight;
        if (left < 0) break;
      }
    }
    return {
      token,
      logProb: (logits[token] - highest) / temperature - Math.log(sum),
      retrieveProb: Math.exp((logits[retrieveToken] - highest) / temperature) / sum,
    };
  } finally {
    closed.forEach((token, i) => logits[token] = held[i]);
  }
}
