/**
 * Trains agents in the oracle world with several seeds and algorithms and prints how far each is from the
 * best possible one. Runs that are finished are read, not trained again; algorithms of one seed share
 * its warm start.
 *
 *     deno run -A bench/agents.ts --seeds=1,2,3 --algorithms=grpo,ppo,reinforce --folder=outputs/agents
 *     deno run -A bench/agents.ts --seeds=1,2,3 --config=train/agent_two_hops --folder=outputs/two_hops
 *
 * Further arguments of the form key=value override the configuration.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path";
import {
  type AgentEvaluation,
  composeConfig,
  type Estimate,
  openRunFolder,
  type PolicyRecord,
  trainAgent,
} from "../mod.ts";

const { seeds, algorithms, folder, config: configName, _: overrides } = parseArgs(Deno.args, {
  string: ["seeds", "algorithms", "folder", "config"],
  default: {
    seeds: "1,2,3",
    algorithms: "grpo",
    folder: "outputs/agents",
    config: "train/agent_grpo",
  },
});

/** Regret of the agent's own episodes from which on it counts as learned: the targets. */
const LEARNED = [0.05, 0.02];
/** Iterations whose mean is looked at. */
const WINDOW = 5;

/** Episodes until the mean regret of some iterations in a row is at most this; undefined: never. */
function episodesTo(most: number, records: readonly PolicyRecord[]): number | undefined {
  const found = records.find((_, i) => {
    const last = records.slice(i + 1 - WINDOW, i + 1);
    return i + 1 >= WINDOW && last.reduce((sum, r) => sum + r.regret!, 0) / WINDOW <= most;
  });
  return found?.episodes;
}

const percent = ({ value, low, high }: Estimate): string =>
  `${(100 * value).toFixed(2)} [${(100 * low).toFixed(2)}, ${(100 * high).toFixed(2)}]`;

console.log(
  "seed  algorithm   warm start: regret %    agent: regret %         on unknown %  on known %  right %  " +
    "retrievals  episodes to 5 %, 2 %  mean regret %  minutes",
);
for (const seed of seeds.split(",")) {
  let warm: string | undefined;
  for (const algorithm of algorithms.split(",")) {
    const dir = join(folder, `seed${seed}-${algorithm}`);
    const isDone = await Deno.stat(join(dir, "evaluation.json")).then(() => true, () => false);
    if (!isDone) {
      const config = composeConfig({
        configName,
        overrides: [
          `seed=${seed}`,
          `agent.algorithm=${algorithm}`,
          `output.dir=${dir}`,
          `agent.warm_start.from=${warm ?? "null"}`,
          ...overrides.map(String),
        ],
      });
      await trainAgent(config);
    }
    warm ??= dir;
    const run = await openRunFolder(dir);
    const { before, ...evaluation }: AgentEvaluation & { before: AgentEvaluation } = JSON.parse(
      await Deno.readTextFile(run.file("evaluation.json")),
    );
    const records = (await run.readMetrics()).filter((r) => r.phase === "policy" && "regret" in r);
    const policy = records as unknown as PolicyRecord[];
    const { seconds: warmSeconds } = JSON.parse(
      await Deno.readTextFile(run.file("warm_start/warm_start.json")),
    );
    const [agent] = evaluation.agents;
    const mean = policy.reduce((sum, r) => sum + r.regret!, 0) / policy.length;
    console.log([
      seed.padEnd(4),
      algorithm.padEnd(10),
      percent(before.agents[0].regret!).padEnd(22),
      percent(agent.regret!).padEnd(22),
      (100 * agent.retrievesOnUnknown!.value).toFixed(1).padStart(12),
      (100 * agent.retrievesOnKnown!.value).toFixed(1).padStart(10),
      (100 * agent.accuracy.value).toFixed(1).padStart(7),
      agent.retrievals.value.toFixed(3).padStart(10),
      LEARNED.map((most) => episodesTo(most, policy) ?? "never").join(", ").padStart(19),
      (100 * mean).toFixed(1).padStart(13),
      `${(warmSeconds / 60).toFixed(1)} + ${(policy.at(-1)!.seconds / 60).toFixed(1)}`,
    ].join("  "));
  }
}
