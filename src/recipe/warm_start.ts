/** A policy that has learned from a teacher, before it is rewarded. @module */
import { join } from "@std/path";
import { policyRules } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { isThere, makeFolder, writeAtomically } from "../data/mod.ts";
import { CheckpointError } from "../errors.ts";
import { loadModel, saveModel } from "../hub/mod.ts";
import type { DecoderModel } from "../model/mod.ts";
import { adamw } from "../optim/mod.ts";
import type { Executor } from "../runtime/mod.ts";
import { type Demonstration, demonstrationModel } from "../train/demonstration_model.ts";
import type { ProgressReporter } from "../train/progress.ts";
import { tensorsOf } from "../train/text_model.ts";
import { trainModel } from "../train/train_model.ts";
import { AGENT_FILES } from "./agent_files.ts";
import { lessonSource, PARTS } from "./agent_lessons.ts";
import type { PreparedAgent } from "./prepare_agent.ts";
import { type MetricsLog, openRunFolder, type RunFolder } from "./run_folder.ts";

/** The policy after its warm start: trained now, or by an earlier session. */
export async function warmStart(
  agent: PreparedAgent,
  config: ResolvedConfig,
  run: RunFolder,
  options: {
    executor: Executor;
    progress: ProgressReporter;
    signal?: AbortSignal;
    identity: string;
    openLog: (phase: string, step: number) => Promise<MetricsLog>;
    /** That of another run, where it was read before. */
    taken?: WarmStart;
  },
): Promise<Partial<WarmStart> & { seconds: number }> {
  const { start, environment } = agent, { warm_start: warm } = config.agent;
  const folder = run.file(AGENT_FILES.warmStart);
  const save = async (policy: DecoderModel, seconds: number): Promise<void> => {
    await makeFolder(folder);
    await writeAtomically(join(folder, WARM_START_FILE), `${JSON.stringify({ seconds })}\n`);
    await saveModel(folder, { ...start, ...policy });
  };
  if (await isThere(join(folder, "config.json"))) return await loadWarmStart(folder, start);
  if (warm.from !== null) {
    const taken = options.taken ?? await takeWarmStart(warm.from, start);
    await save(taken.policy, taken.seconds);
    options.progress.message(`warm start of ${warm.from}`);
    return taken;
  }
  let log: MetricsLog | undefined;
  const subject = demonstrationModel(start, policyRules(environment.protocol), config);
  const { store, ended, seconds } = await trainModel<Demonstration>({
    model: subject,
    executor: options.executor,
    examples: lessonSource(agent, config),
    seed: config.seed,
    rule: adamw({ beta2: 0.98, weightDecay: 0.01 }),
    learningRate: warm.learning_rate,
    schedule: {
      kind: "linear",
      warmupSteps: Math.ceil(warm.steps / 20),
      totalSteps: Math.max(1, warm.steps),
      minFactor: 0.1,
    },
    steps: warm.steps,
    batchSize: Math.max(1, Math.ceil(warm.batch_size / PARTS)),
    accumulate: PARTS,
    clipNorm: 1,
    logEvery: 20,
    checkpoints: {
      folder: run.file(AGENT_FILES.warmCheckpoints),
      every: 200,
      keepLast: 1,
      resume: config.agent.resume !== null,
      identity: options.identity,
    },
    onStart: async (step) => {
      log = await options.openLog("warm start", step);
    },
    log: (record) => log!.append({ phase: "warm start", ...record }),
    progress: options.progress,
    signal: options.signal,
  });
  if (ended === "interrupted") return { seconds };
  const policy: DecoderModel = { config: start.config, tensors: tensorsOf(store) };
  await save(policy, seconds);
  return { policy, seconds };
}

/** A policy after its warm start, and how long that took. */
export interface WarmStart {
  readonly policy: DecoderModel;
  readonly seconds: number;
}

/** How long a warm start took. */
const WARM_START_FILE = "warm_start.json";

/**
 * A policy after its warm start.
 *
 * @throws {CheckpointError} If there is none, or its sizes or tokenizer are not those of `start`
 */
async function loadWarmStart(
  folder: string,
  start: PreparedAgent["start"],
): Promise<WarmStart> {
  if (!await isThere(join(folder, "config.json"))) {
    throw new CheckpointError(
      `Cannot take the warm start of ${folder}: there is none. Name the folder of a run of train-agent`,
    );
  }
  const { config, tensors, tokenizerJson } = await loadModel(folder);
  const key = (...what: unknown[]): string => JSON.stringify(what);
  if (key(config, tokenizerJson) !== key(start.config, start.tokenizerJson)) {
    throw new CheckpointError(
      `Cannot take the warm start of ${folder}: it has another tokenizer or other sizes. Give the data, ` +
        "seed and agent.policy that it was made with",
    );
  }
  const { seconds } = JSON.parse(await Deno.readTextFile(join(folder, WARM_START_FILE)));
  return { policy: { config, tensors } as DecoderModel, seconds };
}

/** The warm start of another run. */
export async function takeWarmStart(
  from: string,
  start: PreparedAgent["start"],
): Promise<WarmStart> {
  return await loadWarmStart((await openRunFolder(from)).file(AGENT_FILES.warmStart), start);
}
