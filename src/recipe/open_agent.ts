/** A trained agent, ready to be asked. @module */
import { join } from "@std/path";
import {
  type AgentEnvironment,
  type DocumentRetriever,
  openPolicySlots,
  policyRules,
  type PolicySlots,
  rollout,
  type Trajectory,
} from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { type Document, DocumentStore, isThere } from "../data/mod.ts";
import { CheckpointError, ConfigError, DataError } from "../errors.ts";
import { type LoadedModel, loadModel } from "../hub/mod.ts";
import { isDecoder } from "../model/mod.ts";
import { onnxOptionsOf, openExecutor } from "./executor_of.ts";
import { environmentOf, prepareRetriever } from "./prepare_agent.ts";
import { latestRun, openRunFolder, type RunFolder, type RunLocation } from "./run_folder.ts";
import { AGENT_FILES } from "./agent_files.ts";
import { configOf } from "./run_config.ts";

/** A document as a retrieval showed it. */
export interface ShownDocument extends Document {
  /** How well it fits, in the retriever's unit. */
  readonly score: number;
}

/** What an agent did, from one boundary to the next. */
export interface AgentStep {
  /** What it did at the end of what it wrote; `stop`: neither, as before an answer or where it was cut off. */
  readonly move: "retrieve" | "answer" | "stop";
  /** What it wrote before that; for an answer the answer itself. */
  readonly text: string;
  /** Probability of a retrieval when it made the move. */
  readonly retrieveProb: number;
  /** What was looked for (`retrieve`). */
  readonly query?: string;
  /** What was found, best first; the first was read (`retrieve`). */
  readonly documents?: readonly ShownDocument[];
}

/** An agent's answer to one question. */
export interface AgentAnswer {
  /** The answer; undefined if it gave none. */
  readonly answer: string | undefined;
  /** What it did. */
  readonly steps: readonly AgentStep[];
  /** Retrievals, and what they cost. */
  readonly retrievals: number;
  /** Price of a retrieval that it was told. */
  readonly cost: number;
  /** Time it took. */
  readonly milliseconds: number;
  /** Everything else. */
  readonly trajectory: Trajectory;
}

/** Choices of {@linkcode OpenedAgent.ask}. */
export interface AskOptions {
  /** Price of a retrieval. Default: the first one it was trained with. */
  readonly cost?: number;
  /** Draw tokens at random instead of the likeliest ones, with this seed. */
  readonly seed?: number;
}

/** An agent that can be asked. */
export interface OpenedAgent extends AsyncDisposable {
  /** Its run. */
  readonly run: RunFolder;
  /** Its configuration, with what was overridden. */
  readonly config: ResolvedConfig;
  /** Its policy. */
  readonly model: LoadedModel;
  /** What it lives in. */
  readonly environment: AgentEnvironment;
  /** Its retriever without noise. */
  readonly base: DocumentRetriever;
  /** Where it writes. */
  readonly slots: PolicySlots;
  /**
   * Ask it one question. Several that are asked at once are answered one after the other.
   *
   * @throws {DataError} If the question is blank
   */
  ask(question: string, options?: AskOptions): Promise<AgentAnswer>;
}

/** Choices of {@linkcode openAgent}. */
export interface OpenAgentOptions {
  /** Its configuration. Default: that of the run. */
  readonly config?: ResolvedConfig;
  /** Documents of a retrieval that are shown. Default 1. */
  readonly top?: number;
  /** Episodes played at once. Default 1. */
  readonly slots?: number;
}

/** Whether a run has a trained policy. */
export function hasPolicy(run: RunLocation): Promise<boolean> {
  return isThere(run.file(join(AGENT_FILES.policy, "config.json")));
}

/**
 * The agent's run at `path`, or the latest one that has a trained policy.
 *
 * @throws {CheckpointError} If there is none; the message says what to do
 */
export async function findAgentRun(path?: string): Promise<RunFolder> {
  if (path !== undefined) {
    const run = await openRunFolder(path);
    if (await hasPolicy(run)) return run;
    throw new CheckpointError(
      `Cannot use the run ${path}: it has no trained policy. Finish it with ` +
        `train-agent agent.resume=${path}, if it is an agent's`,
    );
  }
  const latest = await latestRun(hasPolicy);
  if (latest) return latest;
  throw new CheckpointError(
    "Cannot find a trained agent: there is no finished run of one in outputs. Train one with " +
      "`deno task train-agent`, or name its folder with --run=<folder>",
  );
}

async function documentsOf(run: RunFolder): Promise<Document[]> {
  const path = run.file(AGENT_FILES.documents);
  if (!await isThere(path)) {
    throw new CheckpointError(
      `Cannot use the run ${run.path}: it has no documents. Train again, or restore ${path}`,
    );
  }
  using store = DocumentStore.open(path);
  return Array.from({ length: store.count }, (_, i) => {
    const { docId, title, text } = store.get(i)!;
    return { docId, title, text };
  });
}

/** The moves of an episode. */
function stepsOf(trajectory: Trajectory, environment: AgentEnvironment): AgentStep[] {
  const { protocol, documents } = environment, { ids } = protocol;
  const { tokens, actions, retrieveProbs } = trajectory;
  const steps: AgentStep[] = [];
  let written: number[] = [], retrieval = 0, answerProb: number | undefined;
  actions.forEach((at, i) => {
    const token = tokens[at], retrieveProb = retrieveProbs[i], text = protocol.text(written);
    if (token === ids.retrieve) {
      const { query, documents: found } = trajectory.retrievals[retrieval++];
      steps.push({
        move: "retrieve",
        text,
        retrieveProb,
        query,
        documents: found.map(({ doc, score }) => ({ ...documents[doc], score })),
      });
      written = [];
    } else if (token === ids.answer) {
      answerProb ??= retrieveProb;
      if (text) steps.push({ move: "stop", text, retrieveProb });
      written = [];
    } else if (token === ids.end) {
      steps.push({
        move: answerProb === undefined ? "stop" : "answer",
        text,
        retrieveProb: answerProb ?? retrieveProb,
      });
    } else written.push(token);
  });
  if (trajectory.isTruncated && written.length) {
    steps.push({ move: "stop", text: protocol.text(written), retrieveProb: retrieveProbs.at(-1)! });
  }
  return steps;
}

/**
 * Open an agent.
 *
 * @param run A run with a trained policy
 * @param options Overrides
 * @throws {CheckpointError} If its files are missing or do not fit each other
 */
export async function openAgent(
  run: RunFolder,
  options: OpenAgentOptions = {},
): Promise<OpenedAgent> {
  const { top = 1, slots: count = 1 } = options;
  const config = options.config ?? configOf(run);
  const model = await loadModel(run.file(AGENT_FILES.policy));
  if (!isDecoder(model) || !model.tokenizer) {
    throw new CheckpointError(
      `Cannot use the run ${run.path}: its policy is no decoder with a ` +
        "tokenizer. Train again",
    );
  }
  const documents = await documentsOf(run);
  const executor = await openExecutor(config.device);
  const prepared = await prepareRetriever(config.agent, documents, {
    executor,
    onnx: onnxOptionsOf(config.device),
    top,
    own: run.path,
  });
  const environment = environmentOf(config, model.tokenizer, documents, prepared.retriever);
  const slots = await openPolicySlots(
    model,
    policyRules(environment.protocol, config.agent.temperature),
    { executor, slots: count },
  );
  /** The last question: the slots are for one at a time. */
  let asking: Promise<unknown> = Promise.resolve();
  return {
    run,
    config,
    model,
    environment,
    base: prepared.base,
    slots,
    async ask(question, { cost = config.agent.costs[0], seed } = {}): Promise<AgentAnswer> {
      if (!question.trim()) throw new DataError("Cannot ask the agent: the question is blank");
      if (!(cost >= 0 && Number.isFinite(cost))) {
        throw new ConfigError([{ key: "cost", message: `is ${cost}; give a price of 0 or more` }]);
      }
      const query = { queryId: "question", query: question, docIds: [], answers: [] };
      const play = async (): Promise<{ trajectory: Trajectory; milliseconds: number }> => {
        const began = performance.now();
        const [trajectory] = await rollout(
          slots,
          environment,
          [{ question: query, cost, episode: 0 }],
          { seed: seed ?? 0, isGreedy: seed === undefined, top },
        );
        return { trajectory, milliseconds: performance.now() - began };
      };
      const asked = asking.then(play);
      asking = asked.catch(() => {});
      const { trajectory, milliseconds } = await asked;
      return {
        answer: trajectory.answer,
        steps: stepsOf(trajectory, environment),
        retrievals: trajectory.retrievals.length,
        cost,
        milliseconds,
        trajectory,
      };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await asking;
      await slots.dispose();
      await prepared[Symbol.asyncDispose]();
    },
  };
}
