/**
 * Trains agents together with their index, and the same agents with the index frozen, and prints what joint
 * training brought and what it cost: medians over iterations, of all and of the last quarter. Runs that
 * are finished are read, not trained again; the frozen run takes the warm start of the joint one, and its
 * index is made by the same steps.
 *
 *     deno run -A bench/joint.ts --seeds=1,2,3 --folder=outputs/joint
 *     deno run -A bench/joint.ts --seeds=1 --variants=joint --config=train/joint_no_labels --folder=outputs/none
 *
 * Further arguments of the form key=value override the configuration.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { join } from "@std/path";
import {
  composeConfig,
  type Estimate,
  type JointFigures,
  type MetricsRecord,
  openRunFolder,
  trainJoint,
} from "../mod.ts";
import { configOf } from "../src/recipe/run_config.ts";
import { median } from "./_median.ts";

const { seeds, variants, folder, config: configName, _: overrides } = parseArgs(Deno.args, {
  string: ["seeds", "variants", "folder", "config"],
  default: {
    seeds: "1,2,3",
    variants: "joint,frozen",
    folder: "outputs/joint",
    config: "train/joint",
  },
});

/** What makes a variant. */
const VARIANTS: Readonly<Record<string, readonly string[]>> = {
  joint: [],
  frozen: ["joint.dsi_learning_rate=0", "joint.reader_weight=0"],
};

const percent = ({ value, low, high }: Estimate): string =>
  `${(100 * value).toFixed(1)} [${(100 * low).toFixed(1)}, ${(100 * high).toFixed(1)}]`;

/** Median seconds of an iteration, evaluations left out: of all, and of the last quarter. */
function secondsPerIteration(metrics: readonly MetricsRecord[]): { all: number; last: number } {
  const lines = metrics.filter((line) => line.phase === "joint" && "episodes" in line);
  const times = lines.map((line) => Number(line.episodes)).map((episodes, i) =>
    (episodes - Number(lines[i - 1]?.episodes ?? 0)) / Number(lines[i].episodes_per_second)
  );
  return { all: median(times), last: median(times.slice(-Math.ceil(times.length / 4))) };
}

/** Median seconds of a step of the index on labelled pairs. */
function secondsPerIndexStep(metrics: readonly MetricsRecord[], batchSize: number): number {
  const lines = metrics.filter((line) => line.phase === "index" && "examplesPerSecond" in line);
  return median(lines.map((line) => batchSize / Number(line.examplesPerSecond)));
}

const column = (lines: readonly MetricsRecord[], name: string): number => {
  const values = lines.flatMap((line) => typeof line[name] === "number" ? [line[name]] : []);
  return values.reduce((a, b) => a + b, 0) / values.length;
};

console.log(
  "seed  variant  Hits@1 %: before  after   right %: before  after [95 %]           retrievals  " +
    "seconds an iteration, at last, of it the index  documents read a query",
);
for (const seed of seeds.split(",")) {
  let warm: string | undefined;
  const seconds: Record<string, ReturnType<typeof secondsPerIteration> & { index: number }> = {};
  for (const variant of variants.split(",")) {
    const dir = join(folder, `seed${seed}-${variant}`);
    const isDone = await Deno.stat(join(dir, "evaluation.json")).then(() => true, () => false);
    if (!isDone) {
      await trainJoint(composeConfig({
        configName,
        overrides: [
          ...overrides.map(String),
          ...VARIANTS[variant],
          `seed=${seed}`,
          `output.dir=${dir}`,
          ...(warm ? [`agent.warm_start.from=${warm}`] : []),
        ],
      }));
    }
    warm ??= dir;
    const run = await openRunFolder(dir);
    const { before, after }: { before: JointFigures; after: JointFigures } = JSON.parse(
      await Deno.readTextFile(run.file("evaluation.json")),
    );
    const metrics = await run.readMetrics();
    const lines = metrics.filter((line) => "joint_seconds" in line);
    const { training } = configOf(run);
    seconds[variant] = {
      ...secondsPerIteration(metrics),
      index: secondsPerIndexStep(metrics, training.batch_size),
    };
    const hits = ({ index }: JointFigures): string => (100 * (index?.["hits@1"] ?? NaN)).toFixed(1);
    const [then, now] = [before.agent!.agents[0], after.agent!.agents[0]];
    const reads = lines.map((line) => Number(line.documents_read) / Number(line.index_queries));
    console.log([
      seed.padStart(4),
      variant.padEnd(7),
      hits(before).padStart(16),
      hits(after).padStart(6),
      (100 * then.accuracy.value).toFixed(1).padStart(16),
      percent(now.accuracy).padStart(21),
      now.retrievals.value.toFixed(3).padStart(15),
      seconds[variant].all.toFixed(2).padStart(12),
      seconds[variant].last.toFixed(2).padStart(11),
      (lines.length ? column(lines, "joint_seconds") : 0).toFixed(2).padStart(10),
      (reads.length ? reads.reduce((a, b) => a + b, 0) / reads.length : 0).toFixed(1).padStart(20),
    ].join("  "));
  }
  const { joint, frozen } = seconds;
  if (joint && frozen && frozen.index > 0) {
    const ratio = (of: "all" | "last"): string =>
      (joint[of] / (frozen[of] + frozen.index)).toFixed(2);
    console.log(
      `      an iteration together / (that of the agent alone + a labelled step of the index, ` +
        `${frozen.index.toFixed(3)} s): ${ratio("all")}, at last ${ratio("last")}`,
    );
  }
}
