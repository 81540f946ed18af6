/** Episodes of a policy, many at once. @module */
import { ConfigError } from "../errors.ts";
import type { Document, Query } from "../data/mod.ts";
import type { PolicyRules } from "../model/mod.ts";
import { randomStream } from "../tensor/random.ts";
import type { PolicyChoice, PolicySlots, TokenChoice } from "./policy_slots.ts";
import type { AgentProtocol } from "./protocol.ts";
import type { DocumentRetriever } from "./retriever.ts";
import type { Trajectory, TrajectoryRetrieval } from "./trajectory.ts";

/** An episode to be played. */
export interface EpisodeRequest {
  /** The question. */
  readonly question: Query;
  /** Price of one retrieval, which the policy sees. */
  readonly cost: number;
  /** Number of the episode: different ones make different random choices. */
  readonly episode: number;
}

/** What a policy lives in. */
export interface AgentEnvironment {
  /** How questions and documents are put to the policy. */
  readonly protocol: AgentProtocol;
  /** Finds documents. */
  readonly retriever: DocumentRetriever;
  /** The documents. */
  readonly documents: readonly Document[];
  /** Most tokens that are written between two boundaries: question, document, end. */
  readonly turnTokens: number;
}

/** Choices of {@linkcode rollout}. */
export interface RolloutOptions {
  /** Seed of all random choices. */
  readonly seed: number;
  /** Take the likeliest token instead of drawing one. Default `false`. */
  readonly isGreedy?: boolean;
  /** Documents that a retrieval returns; the first one is read. Default 1. */
  readonly top?: number;
  /**
   * Decides instead of the policy whether to retrieve, wherever the policy would retrieve or begin to
   * answer. Default: the policy.
   */
  readonly gate?: (state: GateState) => boolean;
  /** Called for each episode that ends. */
  readonly onEnd?: (trajectory: Trajectory) => void;
  /** Called after each choice of a token. */
  readonly onChoice?: (choice: TokenChoice, episode: number) => void;
}

/** What a gate knows when it decides. */
export interface GateState {
  /** Probability that the policy gives a retrieval. */
  readonly retrieveProb: number;
  /** Retrievals so far. */
  readonly retrievals: number;
}

/** What a policy may choose under a protocol. */
export function policyRules(protocol: AgentProtocol, temperature = 1): PolicyRules {
  return { forbidden: protocol.forbidden, retrieveToken: protocol.ids.retrieve, temperature };
}

/** An episode at work. */
class Episode {
  readonly request: EpisodeRequest;
  readonly tokens: number[];
  readonly actions: number[] = [];
  readonly mayRetrieve: number[] = [];
  readonly logProbs: number[] = [];
  readonly retrieveProbs: number[] = [];
  readonly retrievals: TrajectoryRetrieval[] = [];
  readonly promptLength: number;
  /** Tokens to be read next. */
  pending: number[];
  /** Position behind the last boundary. */
  turn: number;
  /** Position of the answer's first token, once there is one. */
  answerFrom: number | undefined;
  answers = 0;

  constructor(request: EpisodeRequest, prompt: number[]) {
    this.request = request;
    this.tokens = [...prompt];
    this.pending = prompt;
    this.promptLength = this.turn = prompt.length;
  }

  give(tokens: readonly number[]): void {
    this.tokens.push(...tokens);
    this.pending = [...this.pending, ...tokens];
  }
}

/** Documents and prompts are read when this share of the slots waits for that. */
const WAITING_SHARE = 0.125;

/**
 * Play episodes. State is token ids: nothing that the policy wrote is ever decoded and encoded again; only
 * a query becomes text, for the retriever.
 *
 * In each state the policy chooses a token. On the retrieve token, the text it wrote since the last
 * boundary (the question, if it wrote none) goes to the retriever, and the document comes back between
 * its tags with the budget that is left; without budget, and behind the answer token, a retrieval cannot
 * be chosen. The end token ends the episode; one that becomes too long is cut off.
 *
 * All slots work at once: where an episode ends, the next begins. Slots that read a document or a prompt
 * wait until several do, and are read together; the order of work depends on nothing but the episodes,
 * so that the same seed gives the same trajectories.
 *
 * @param slots Where the policy writes; they are cleared
 * @param environment What it lives in
 * @param requests Episodes
 * @param options Seed, and who decides
 * @returns One trajectory per request, in their order
 * @throws {ConfigError} If a prompt and one turn do not fit into the model, or a gate decides and the policy
 *   was opened without `hasOther`
 */
export async function rollout(
  slots: PolicySlots,
  environment: AgentEnvironment,
  requests: readonly EpisodeRequest[],
  options: RolloutOptions,
): Promise<Trajectory[]> {
  const { protocol, retriever, documents, turnTokens } = environment;
  const { seed, isGreedy = false, top = 1, gate, onEnd, onChoice } = options;
  const { ids, budget } = protocol;
  const { count } = slots;
  // One position stays free: where an episode is cut off, the state behind its last token has a value.
  const longest = slots.maxLength - 1;
  const playing: (Episode | undefined)[] = Array(count).fill(undefined);
  const results: Trajectory[] = Array(requests.length);
  let started = 0;

  const begin = (slot: number): void => {
    slots.clear(slot);
    playing[slot] = undefined;
    if (started >= requests.length) return;
    const request = requests[started];
    const prompt = protocol.prompt(request.question.query, request.cost);
    if (prompt.length + turnTokens > longest) {
      throw new ConfigError([{
        key: "agent.turn_tokens",
        message:
          `and a question of ${prompt.length} tokens do not fit into the model, which reads ` +
          `${slots.maxLength}`,
      }]);
    }
    playing[slot] = new Episode(request, prompt);
    indices[slot] = started++;
  };
  const indices: number[] = Array(count).fill(-1);

  const end = (slot: number, isTruncated: boolean): void => {
    const episode = playing[slot]!;
    const { answerFrom, tokens, request } = episode;
    const answer = answerFrom === undefined || isTruncated
      ? undefined
      : protocol.text(tokens.slice(answerFrom, -1));
    const trajectory: Trajectory = {
      ...request,
      tokens: Int32Array.from(tokens),
      promptLength: episode.promptLength,
      actions: Int32Array.from(episode.actions),
      mayRetrieve: Uint8Array.from(episode.mayRetrieve),
      behaviorLogProbs: Float32Array.from(episode.logProbs),
      retrieveProbs: Float32Array.from(episode.retrieveProbs),
      retrievals: episode.retrievals,
      answer,
      isTruncated,
      isWellFormed: episode.answers === 1 && Boolean(answer),
    };
    results[indices[slot]] = trajectory;
    onEnd?.(trajectory);
    begin(slot);
  };

  const canRetrieve = ({ retrievals, answerFrom }: Episode): boolean =>
    retrievals.length < budget && answerFrom === undefined;

  /** Let the policy read what is pending in these slots and choose. */
  const choose = async (chosen: readonly number[]): Promise<void> => {
    const made = await slots.choose(chosen.map((slot) => {
      const episode = playing[slot]!, { request, actions } = episode;
      const draw = (stream: string): number | undefined =>
        isGreedy
          ? undefined
          : randomStream({ seed, stream: `${stream}/${request.episode}`, step: actions.length })
            .uniform();
      return {
        slot,
        tokens: episode.pending,
        mayRetrieve: canRetrieve(episode),
        uniform: draw("rollout"),
        otherUniform: gate && draw("gate"),
      };
    }));
    const asking: { slot: number; query: string; isWritten: boolean }[] = [];
    chosen.forEach((slot, i) => {
      const episode = playing[slot]!;
      const { tokens, actions, request } = episode;
      const mayRetrieve = canRetrieve(episode);
      const isDecision = made[i].token === ids.retrieve || made[i].token === ids.answer;
      const choice = gate && mayRetrieve && isDecision ? gated(made[i], episode) : made[i];
      const { token } = choice;
      actions.push(tokens.length);
      tokens.push(token);
      episode.mayRetrieve.push(Number(mayRetrieve));
      episode.logProbs.push(choice.logProb);
      episode.retrieveProbs.push(choice.retrieveProb);
      episode.pending = [token];
      onChoice?.(
        { token, logProb: choice.logProb, retrieveProb: choice.retrieveProb },
        request.episode,
      );
      if (token === ids.end) return end(slot, false);
      if (token === ids.retrieve) {
        const written = protocol.text(tokens.slice(episode.turn, -1));
        const query = written || request.question.query;
        asking.push({ slot, query, isWritten: written !== "" });
        return;
      }
      if (token === ids.answer) {
        episode.answers++;
        episode.answerFrom = tokens.length;
      }
      if (tokens.length - episode.turn >= turnTokens || tokens.length >= longest) {
        end(slot, true);
      }
    });
    if (!asking.length) return;
    const found = await retriever.retrieve(
      asking.map(({ slot, query }) => {
        const { request, retrievals } = playing[slot]!;
        return {
          query,
          question: request.question,
          seen: retrievals.flatMap((r) => r.documents.slice(0, 1).map(({ doc }) => doc)),
          random: { seed, stream: `retrieval/${request.episode}`, step: retrievals.length },
        };
      }),
      top,
    );
    asking.forEach(({ slot, query, isWritten }, i) => {
      const episode = playing[slot]!;
      const action = episode.actions.length - 1;
      episode.retrievals.push({ action, query, isWritten, documents: found[i] });
      const best = found[i].at(0);
      const left = budget - episode.retrievals.length;
      const given = protocol.document(best && documents[best.doc], left);
      if (episode.tokens.length + given.length + 1 > longest) return end(slot, true);
      episode.give(given);
      episode.turn = episode.tokens.length;
    });
  };

  /** What the gate decides, in the place of the policy's own choice between retrieving and not. */
  const gated = (choice: PolicyChoice, episode: Episode): TokenChoice => {
    const { retrieveProb } = choice;
    const isWanted = gate!({ retrieveProb, retrievals: episode.retrievals.length });
    if (isWanted) return { token: ids.retrieve, logProb: Math.log(retrieveProb), retrieveProb };
    return choice.token === ids.retrieve ? choice.other! : choice;
  };

  if (gate && !slots.hasOther) {
    throw new ConfigError([{
      key: "gate",
      message: "needs a policy that also chooses without a retrieval; open it with hasOther",
    }]);
  }
  slots.reset();
  for (let slot = 0; slot < count; slot++) begin(slot);
  while (true) {
    const busy = playing.flatMap((episode, slot) => episode ? [slot] : []);
    if (!busy.length) return results;
    const lengthOf = (slot: number): number => playing[slot]!.pending.length;
    const several = busy.filter((slot) => lengthOf(slot) > 1);
    const isDue = several.length === busy.length || several.length >= WAITING_SHARE * count;
    await choose(isDue ? several : busy.filter((slot) => lengthOf(slot) === 1));
  }
}
