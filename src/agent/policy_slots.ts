/** A policy that writes into slots and chooses what it writes. @module */
import { type DecoderSlotsOptions, openDecoderSlots } from "../generate/mod.ts";
import { type DecoderModel, policyChoices, type PolicyRules } from "../model/mod.ts";
import { named } from "../tensor/axes.ts";

/** A choice. */
export interface TokenChoice {
  /** The token. */
  readonly token: number;
  /** Its log-probability among what could be chosen, in nats. */
  readonly logProb: number;
  /** Probability of the retrieve token. */
  readonly retrieveProb: number;
}

/** A choice, and what it would be without a retrieval. */
export interface PolicyChoice extends TokenChoice {
  /** The choice where a retrieval can't be chosen, if the policy makes it. */
  readonly other?: TokenChoice;
}

/** What a slot is to read, and how it chooses what comes next. */
export interface PolicyTurn {
  /** The slot. */
  readonly slot: number;
  /** Tokens to read, at least one. */
  readonly tokens: ArrayLike<number>;
  /** Whether a retrieval can be chosen. */
  readonly mayRetrieve: boolean;
  /** Where in [0, 1) the cumulative distribution is cut. Default: the likeliest token is taken. */
  readonly uniform?: number;
  /** The same for the choice without a retrieval. Default: `uniform`. */
  readonly otherUniform?: number;
}

/** A policy in slots. */
export interface PolicySlots {
  /** Number of slots. */
  readonly count: number;
  /** Most tokens of a text. */
  readonly maxLength: number;
  /** Whether it also chooses without a retrieval, as a gate needs it. */
  readonly hasOther: boolean;
  /**
   * Read and choose. Turns of similar length are read together, so that little is padded.
   *
   * @param turns Of different slots
   * @returns The choice of each, in their order
   * @throws {ShapeError} If a slot comes twice or does not exist, a turn has no token or one that does not
   *   exist, or a text becomes too long; nothing was read then
   */
  choose(turns: readonly PolicyTurn[]): Promise<PolicyChoice[]>;
  /** Empty a slot. */
  clear(slot: number): void;
  /** Empty all slots, and take the weights as they are now where the policy is live. */
  reset(): void;
  /** Free the program. */
  dispose(): Promise<void>;
}

/** Choices of {@linkcode openPolicySlots}. */
export interface PolicySlotsOptions extends Omit<DecoderSlotsOptions, "head"> {
  /**
   * Whether the choice without a retrieval is made too, which a gate needs; it costs another softmax over the
   * vocabulary. Default `true`.
   */
  readonly hasOther?: boolean;
}

/**
 * Open a policy. It draws in the graph that computes its logits ({@linkcode policyChoices}): a few numbers
 * come out of it in the place of a whole vocabulary.
 *
 * @param model A decoder
 * @param rules What it may choose, and at which temperature
 * @param options What runs it, and how many slots there are
 */
export async function openPolicySlots(
  model: DecoderModel,
  rules: PolicyRules,
  options: PolicySlotsOptions,
): Promise<PolicySlots> {
  const { hasOther = true, ...decoder } = options;
  const slots = await openDecoderSlots(model, {
    ...decoder,
    head: {
      inputs: {
        mayRetrieve: "float32",
        uniforms: "float32",
        ...(hasOther && { otherUniforms: "float32" }),
      },
      outputs: {
        tokens: { dtype: "int32" },
        logProbs: { dtype: "float32" },
        retrieveProbs: { dtype: "float32" },
        ...(hasOther && {
          otherTokens: { dtype: "int32" },
          otherLogProbs: { dtype: "float32" },
        }),
      },
      run: (logits, { mayRetrieve, uniforms, otherUniforms }) => ({
        ...policyChoices({
          logits,
          mayRetrieve: named(mayRetrieve, "B", {}),
          uniforms: named(uniforms, "B", {}),
          ...(hasOther && { otherUniforms: named(otherUniforms, "B", {}) }),
        }, rules),
      }),
    },
  });
  return {
    count: options.slots,
    maxLength: slots.maxLength,
    hasOther,
    async choose(turns): Promise<PolicyChoice[]> {
      const { tokens, logProbs, retrieveProbs, otherTokens, otherLogProbs } = await slots.read(
        turns.map(({ slot }) => slot),
        turns.map(({ tokens }) => tokens),
        {
          mayRetrieve: turns.map(({ mayRetrieve }) => Number(mayRetrieve)),
          uniforms: turns.map(({ uniform = -1 }) => uniform),
          otherUniforms: turns.map(({ uniform = -1, otherUniform = uniform }) => otherUniform),
        },
      );
      return turns.map((_, i) => {
        const retrieveProb = retrieveProbs.data[i];
        return {
          token: tokens.data[i],
          logProb: logProbs.data[i],
          retrieveProb,
          ...(hasOther && {
            other: { token: otherTokens.data[i], logProb: otherLogProbs.data[i], retrieveProb },
          }),
        };
      });
    },
    clear: (slot) => slots.clear(slot),
    reset: () => slots.reset(),
    dispose: () => slots.dispose(),
  };
}
