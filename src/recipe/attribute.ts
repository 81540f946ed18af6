/** Which documents an answer's gradient pushes up or down. @module */
import { askingSituation, policyRules } from "../agent/mod.ts";
import { ConfigError, DataError } from "../errors.ts";
import { isDecoder } from "../model/mod.ts";
import { openDocumentDistribution } from "../retriever/mod.ts";
import { candidateReader } from "../train/candidate_reader.ts";
import { openPolicyJudge } from "../train/score_trajectories.ts";
import { policyParamSpecs } from "../train/policy_program.ts";
import { openExecutor } from "./executor_of.ts";
import { loadIndex, parametersOf } from "./index_folder.ts";
import { JOINT_FILES } from "./joint_files.ts";
import type { OpenedAgent } from "./open_agent.ts";

/** What one document has to do with an answer. */
export interface DocumentAttribution {
  /** Its index. */
  readonly doc: number;
  /** Its id. */
  readonly docId: string;
  /** Its title. */
  readonly title: string;
  /** p(d | q). */
  readonly prior: number;
  /** p(y | q, d): how likely the policy would answer so after reading it. */
  readonly likelihood: number;
  /** p(d | q, y). */
  readonly posterior: number;
  /**
   * ∂ log p(y|q) / ∂ z_d = p(d|q,y) − p(d|q), where z_d is the document's logit under a softmax over all
   * documents: what a step on this answer would do, up if positive. The pushes of all documents sum to 0.
   */
  readonly push: number;
}

/** Attribution of one answer. */
export interface Attribution {
  /** What was asked. */
  readonly question: string;
  /** The answer that is explained. */
  readonly answer: string;
  /** log p(y | q) = log Σ_d p(d|q) p(y|q,d), nats. */
  readonly logLikelihood: number;
  /** Documents, the largest push up first. */
  readonly documents: readonly DocumentAttribution[];
}

/** Choices of {@linkcode attributeAnswer}. */
export interface AttributeOptions {
  /** The answer to explain. Default: the one the agent gives. */
  readonly answer?: string;
  /**
   * Most documents that are read; the most probable ones are. Default: all. The probability of those left out
   * bounds what they could add to p(y|q).
   */
  readonly most?: number;
}

/**
 * Which documents an answer's gradient pushes up or down: the exact derivative of its marginal likelihood,
 * with the question itself as the query.
 *
 * @param agent An agent with an index of its own
 * @param question The question
 * @param options The answer
 * @throws {DataError} If the question is blank, or the agent gives no answer and none was named
 * @throws {ConfigError} If the agent has no index of its own, or may not retrieve
 */
export async function attributeAnswer(
  agent: OpenedAgent,
  question: string,
  options: AttributeOptions = {},
): Promise<Attribution> {
  const { environment: { protocol, documents }, config, model, run } = agent;
  if (!question.trim()) throw new DataError("Cannot attribute an answer: the question is blank");
  if (config.agent.retriever !== "own" || protocol.budget < 1 || !isDecoder(model)) {
    throw new ConfigError([{
      key: "agent.retriever",
      message:
        "must be own, with a budget of 1 or more: only a run of train-joint has an index whose " +
        "gradient an answer can reach",
    }]);
  }
  const answer = options.answer ?? (await agent.ask(question)).answer;
  if (!answer?.trim()) {
    throw new DataError(
      `Cannot attribute the answer to "${question}": the agent gives none. Name one`,
    );
  }
  const executor = await openExecutor(config.device);
  const index = await loadIndex(run.file(JOINT_FILES.model));
  const distribution = await openDocumentDistribution(executor, {
    kind: "exact",
    size: options.most,
    scorer: index.scorer,
    trie: index.trie,
    specs: index.specs,
    parameters: parametersOf(index),
    padId: index.tokenizer.padId ?? 0,
  });
  const scorer = await openPolicyJudge({
    executor,
    config: model.config,
    specs: policyParamSpecs(model.config, false),
    rules: policyRules(protocol, config.agent.temperature),
    rows: 128,
  });
  try {
    const query = { queryId: "question", query: question, docIds: [], answers: [answer] };
    const situation = askingSituation(query, config.agent.costs[0], protocol);
    const read = candidateReader({
      encode: (text) => index.tokenizer.encode(text),
      distribution,
      protocol,
      documents,
      judge: async (texts) =>
        (await scorer.judge(model.tensors, texts)).map(({ logProbs }) => logProbs),
      maxLength: model.config.maxPositions,
    });
    const { judged: [one] } = await read([situation], {
      seed: config.seed,
      stream: "attribution",
      step: 0,
    });
    if (!one) {
      throw new DataError(
        `Cannot attribute an answer to "${question}": the index knows no word of it, or with a document it ` +
          "is longer than the policy reads",
      );
    }
    const { set: { docs, logProbs } } = one, logs = Array.from(one.logLikelihoods);
    const joint = logs.map((log, k) => logProbs[k] + log);
    const highest = Math.max(...joint);
    const logLikelihood = highest +
      Math.log(joint.reduce((sum, x) => sum + Math.exp(x - highest), 0));
    return {
      question,
      answer,
      logLikelihood,
      documents: Array.from(docs, (doc, k): DocumentAttribution => {
        const prior = Math.exp(logProbs[k]), posterior = Math.exp(joint[k] - logLikelihood);
        return {
          doc,
          docId: documents[doc].docId,
          title: documents[doc].title,
          prior,
          likelihood: Math.exp(logs[k]),
          posterior,
          push: posterior - prior,
        };
      }).sort((a, b) => b.push - a.push || a.doc - b.doc),
    };
  } finally {
    await distribution.dispose();
    await scorer.dispose();
  }
}
