/**
 * Episodes of an agent: our rollout over slots against the same agent on transformers' `generate`, the same
 * weights, interleaved in one run, tokens compared.
 *
 *     deno run -A --v8-flags=--expose-gc bench/rollout.ts [--policy=RUN/policy] [--python=python3]
 *         [--rounds=5] [--episodes=512] [--slots=64,16] [--layers=17] [--wide-episodes=256] [--threads=2]
 *         [--live]
 *
 * Greedy episodes in the world of data=world, questions of its training and dev parts in turn. The policy
 * is that of a run of train-agent; without one, a short warm start makes one (a few minutes). It plays
 * twice: at its own size, and inside a Llama of width 512 and as many layers as `--layers` says (17: 55 M
 * parameters; 0: not at all). There is nothing of that size that was trained for this world, and what
 * random weights write are no episodes. So the wide model has the policy's weights in a corner of its own,
 * and random ones where they can't change what it writes: it plays the policy's episodes at its own price.
 *
 * Tokens per second are all tokens of the episodes, read and written, by the time of the whole rollout.
 * The search for documents does not count, on neither side. Our side computes the probability of each
 * choice as it plays, `generate` does not: that is to our disadvantage. The peer sorts the prompts by
 * length; a batch stays together until its last episode has ended, those that have ended leave it after
 * each turn, and keys and values are kept from turn to turn. To read whole texts again each turn, with
 * batches filled up, took 1.10 (policy) and 1.15 times (wide) the processor time, on one thread.
 *
 * `--live` reads our weights where they lie, as a training does, in place of constants.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { dirname, fromFileUrl, join } from "@std/path";
import {
  type DocumentRetriever,
  type EpisodeRequest,
  openPolicySlots,
  policyRules,
  type PolicySlots,
  rollout,
} from "../src/agent/mod.ts";
import { composeConfig } from "../src/config/mod.ts";
import { openDecoderSlots } from "../src/generate/mod.ts";
import { loadModel, saveModel } from "../src/hub/mod.ts";
import { type DecoderModel, decoderParamSpecs, isDecoder } from "../src/model/mod.ts";
import { onnxExecutor, ParameterStore } from "../src/runtime/mod.ts";
import { environmentOf, loadAgentData, prepareRetriever } from "../src/recipe/prepare_agent.ts";
import { openRunFolder } from "../src/recipe/run_folder.ts";
import { randomStream } from "../src/tensor/random.ts";
import { llama } from "./_llama.ts";
import { median } from "./_median.ts";
import { startPeer } from "./_peer.ts";

const options = parseArgs(Deno.args, {
  string: [
    "policy",
    "python",
    "rounds",
    "episodes",
    "slots",
    "layers",
    "wide-episodes",
    "threads",
  ],
  boolean: ["live"],
  default: {
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
    rounds: "5",
    episodes: "512",
    slots: "64,16",
    layers: "17",
    "wide-episodes": "256",
    threads: String(navigator.hardwareConcurrency),
  },
});
const [rounds, layers, threads] = [options.rounds, options.layers, options.threads].map(Number);
const here = (file: string): string => fromFileUrl(new URL(file, import.meta.url));
const folder = await Deno.makeTempDir();

/** A run whose policy knows the form of an episode, and a little of a small world. */
async function warmStart(): Promise<string> {
  const began = performance.now(), path = join(folder, "run");
  const { success } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "-A",
      "--quiet",
      here("../cli.ts"),
      "train-agent",
      "data=world",
      "data.world.entities=100",
      "data.world.dev_questions=20",
      "agent.warm_start.steps=300",
      "agent.iterations=0",
      `output.dir=${path}`,
    ],
    stdout: "null",
    stderr: Deno.env.has("DEBUG") ? "inherit" : "null",
  }).output();
  if (!success) throw new Error("the warm start failed (DEBUG=1 shows why)");
  console.log(`warm start: ${Math.round((performance.now() - began) / 1000)} s`);
  return join(path, "policy");
}

const policyFolder = options.policy ?? await warmStart();
const run = await openRunFolder(dirname(await Deno.realPath(policyFolder)));
const config = composeConfig({
  resolved: { text: run.config, origin: run.file("config.yaml") },
});
const policy = await loadModel(policyFolder);
if (!isDecoder(policy) || policy.config.family !== "llama" || !policy.tokenizer) {
  throw new Error(`${policyFolder} is no Llama with a tokenizer`);
}
const data = await loadAgentData(config);
await using found = await prepareRetriever(config.agent, data.documents);
let searchMs = 0;
/** The run's retriever, by a clock of its own. */
const retriever: DocumentRetriever = {
  ...found.retriever,
  async retrieve(...request): ReturnType<DocumentRetriever["retrieve"]> {
    const began = performance.now();
    const documents = await found.retriever.retrieve(...request);
    searchMs += performance.now() - began;
    return documents;
  },
};
const environment = environmentOf(config, policy.tokenizer, data.documents, retriever);
const { protocol } = environment;

const { train = [], dev = [] } = data.queries;
const stream = randomStream({ seed: 1, stream: "bench/rollout", step: 0 });
const questions = [stream.shuffle([...train]), stream.shuffle([...dev])].filter((of) => of.length);
const { costs } = config.agent;
const requests = (count: number): EpisodeRequest[] =>
  Array.from({ length: count }, (_, episode) => {
    const of = questions[episode % questions.length];
    return {
      question: of[Math.floor(episode / questions.length) % of.length],
      cost: costs[episode % costs.length],
      episode,
    };
  });

/**
 * The policy within a model of width 512. What it does not use of the residual stream stays 0: a norm then
 * divides by a root that is smaller by √(D/D′), which its weights make up for. Head h becomes head h; its
 * features go to the places that turn at the same speed, for the frequency of place i is θ^(−2i/E).
 * Further layers read, and add nothing.
 */
function widened({ config: small, tensors: from }: DecoderModel): DecoderModel {
  const wide = llama(layers);
  const [D, E] = [small.modelWidth / wide.modelWidth, small.headWidth / wide.headWidth];
  const isSmaller = D <= 1 && Number.isInteger(1 / E) && small.heads <= wide.heads &&
    small.keyValueHeads === small.heads && small.innerWidth <= wide.innerWidth &&
    small.layers <= layers && small.isTied;
  if (!isSmaller) throw new Error("the policy does not fit into the wide model (--layers=0)");
  const sizes = {
    ...small,
    modelWidth: wide.modelWidth,
    headWidth: wide.headWidth,
    heads: wide.heads,
    keyValueHeads: wide.keyValueHeads,
    innerWidth: wide.innerWidth,
    layers,
    epsilon: small.epsilon * D,
  };
  const store = new ParameterStore(decoderParamSpecs(sizes));
  store.initialise(1);
  const tensors = { ...store.params };
  const same = (i: number): number => i;
  const ofHead = (i: number): number => {
    const half = small.headWidth / 2, e = i % small.headWidth;
    return Math.floor(i / small.headWidth) * wide.headWidth +
      (e % half) / E + (e < half ? 0 : wide.headWidth / 2);
  };
  for (const [name, { data }] of Object.entries(tensors)) {
    const isOutput = /(embed_tokens|o_proj|down_proj)\.weight$/.test(name);
    const isScore = name in from && /(q_proj|k_proj)\.weight$/.test(name);
    if (isOutput || isScore) data.fill(0);
  }
  for (const [name, { data, shape }] of Object.entries(from)) {
    const { data: to, shape: { [shape.length - 1]: width } } = tensors[name];
    const row = /[qkv]_proj/.test(name) ? ofHead : same;
    const column = name.includes("o_proj") ? ofHead : same;
    // Scores are divided by √E.
    const scale = name.includes("q_proj") ? E ** -0.5 : shape.length === 1 ? D ** 0.5 : 1;
    const columns = shape[shape.length - 1];
    data.forEach((x, i) => {
      to[row(Math.floor(i / columns)) * width + column(i % columns)] = scale * x;
    });
  }
  return { config: sizes, tensors };
}

type Question =
  | { do: "play"; prompts: number[][]; rows: number }
  | { do: "found"; given: number[][] }
  | { do: "reset" | "memory" };
interface Answer {
  find?: [episode: number, retrievals: number, written: number[]][];
  ms: number;
  episodes: number[][];
  megabytes: number;
}
interface Played {
  ms: number;
  episodes: ArrayLike<number>[];
}

const total = (rows: ArrayLike<number>[]): number => rows.reduce((n, { length }) => n + length, 0);
const differsAt = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  const longest = Math.max(a.length, b.length);
  for (let t = 0; t < longest; t++) if (a[t] !== b[t]) return t;
  return -1;
};

/** How far apart the logits of two tokens are, after what stands before. */
async function gapOf(
  model: DecoderModel,
  before: ArrayLike<number>,
  [a, b]: [number, number],
): Promise<number> {
  const slots = await openDecoderSlots(model, { executor: onnxExecutor({ threads }), slots: 1 });
  const { logits } = await slots.read([0], [before]);
  await slots.dispose();
  return Math.abs((logits.data[a] as number) - (logits.data[b] as number));
}

async function ours(slots: PolicySlots, all: readonly EpisodeRequest[]): Promise<Played> {
  searchMs = 0;
  const began = performance.now();
  const episodes = await rollout(slots, environment, all, { seed: 1, isGreedy: true });
  const ms = performance.now() - began - searchMs;
  return { ms, episodes: episodes.map(({ tokens }) => tokens) };
}

/** The documents that the peer asks for, as our rollout would give them. */
async function documentsFor(
  asked: NonNullable<Answer["find"]>,
  all: readonly EpisodeRequest[],
): Promise<number[][]> {
  const documents = await retriever.retrieve(asked.map(([episode, step, written]) => {
    const { question } = all[episode];
    const query = protocol.text(written) || question.query;
    return { query, question, seen: [], random: { seed: 1, stream: `retrieval/${episode}`, step } };
  }));
  return asked.map(([, before], i) => {
    const best = documents[i].at(0);
    return protocol.document(best && data.documents[best.doc], protocol.budget - before - 1);
  });
}

/** Measure a model; returns its episodes. */
async function measure(
  name: string,
  model: DecoderModel,
  count: number,
): Promise<ArrayLike<number>[]> {
  const saved = join(folder, name);
  await saveModel(saved, model);
  const { retrieve, answer, end } = protocol.ids;
  const peer = await startPeer<Question, Answer>(options.python, [
    here("rollout_transformers.py"),
    saved,
    String(threads),
    JSON.stringify({
      retrieve,
      answer,
      end,
      pad: policy.tokenizer!.padId,
      forbidden: protocol.forbidden,
      budget: protocol.budget,
      turn_tokens: environment.turnTokens,
    }),
  ]);
  if (!peer) console.log("transformers: skipped, it can't be started (DEBUG=1 shows why)");
  else console.log(`peer: ${Object.entries(peer.hello).map((pair) => pair.join(" ")).join(", ")}`);
  const theirs = async (rows: number, all: readonly EpisodeRequest[]): Promise<Played> => {
    const prompts = all.map(({ question, cost }) => protocol.prompt(question.query, cost));
    const ask = async (question: Question): Promise<Answer> => {
      const reply = await peer!.ask(question);
      if (!reply) throw new Error("transformers stopped (DEBUG=1 shows why)");
      return reply;
    };
    let reply = await ask({ do: "play", prompts, rows });
    while (reply.find) {
      reply = await ask({ do: "found", given: await documentsFor(reply.find, all) });
    }
    return reply;
  };

  const size = Object.values(model.tensors).reduce((sum, { data }) => sum + data.length, 0);
  const { modelWidth, layers } = model.config;
  console.log(
    `${name}: width ${modelWidth}, ${layers} layers, ${(size / 1e6).toFixed(1)} M parameters, ` +
      `${threads} threads`,
  );
  const all = requests(count);
  let episodes: ArrayLike<number>[] = [];
  for (const [i, rows] of options.slots.split(",").map(Number).entries()) {
    const executor = onnxExecutor({ threads });
    const slots = await openPolicySlots(model, policyRules(protocol), {
      executor,
      threads,
      hasOther: false,
      slots: rows,
      isLive: options.live,
    });
    // Peaks count from here: loading holds the weights several times.
    (globalThis as { gc?: () => void }).gc?.();
    await Deno.writeTextFile("/proc/self/clear_refs", "5");
    await peer?.ask({ do: "reset" });
    const perSecond: Record<string, number[]> = { ours: [], transformers: [] };
    let differing = 0, largestGap = 0;
    for (let round = 0; round < rounds + 1; round++) {
      const asked = round === 0 ? all.slice(0, rows) : all; // warm-up
      const we = await ours(slots, asked);
      const they = peer && await theirs(rows, asked);
      if (round === 0) continue;
      perSecond.ours.push(1000 * total(we.episodes) / we.ms);
      if (they) perSecond.transformers.push(1000 * total(they.episodes) / they.ms);
      if (round < rounds) continue;
      episodes = we.episodes;
      for (const [e, row] of (they?.episodes ?? []).entries()) {
        const t = differsAt(row, episodes[e]);
        if (t < 0) continue;
        differing++;
        const before = Array.from(row).slice(0, t), [a, b] = [row[t], episodes[e][t]];
        largestGap = Math.max(largestGap, await gapOf(model, before, [a, b]));
      }
    }
    if (i === 0) {
      const has = (token: number): number =>
        episodes.reduce((n, row) => n + Number(Array.from(row).includes(token)), 0) / count;
      console.log(
        `  ${count} episodes of ${(total(episodes) / count).toFixed(1)} tokens; retrieve ${
          (100 * has(retrieve)).toFixed(0)
        } %, end ${(100 * has(end)).toFixed(0)} %`,
      );
      console.log("  slots  tokens/s: ours, transformers   ours / transformers   peak MB");
    }
    const status = await Deno.readTextFile("/proc/self/status");
    const megabytes = Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024;
    const peerMegabytes = peer && (await peer.ask({ do: "memory" })).megabytes;
    await slots.dispose();
    const ratios = perSecond.transformers.map((x, i) => perSecond.ours[i] / x);
    const [a, b] = [perSecond.ours, perSecond.transformers].map((x) => median(x)?.toFixed(0));
    console.log(
      `  ${String(rows).padEnd(5)}  ${a.padStart(14)}` +
        (peer
          ? `  ${b.padStart(12)}   ${median(ratios).toFixed(2).padStart(8)} (${
            Math.min(...ratios).toFixed(2)
          } … ${Math.max(...ratios).toFixed(2)})   ${megabytes.toFixed(0)}, ${
            peerMegabytes!.toFixed(0)
          }`
          : `   ${megabytes.toFixed(0)}`),
    );
    if (!peer) continue;
    console.log(
      `         ${count} episodes compared, ${differing} differ` +
        (differing
          ? `, each first where both tokens' logits are within ${largestGap.toExponential(1)}`
          : ""),
    );
  }
  peer?.stop();
  return episodes;
}

const own = await measure("policy", policy, Number(options.episodes));
if (layers > 0) {
  const count = Number(options["wide-episodes"]);
  const wide = await measure("wide", widened(policy), count);
  const compared = Math.min(count, own.length);
  const equal = wide.slice(0, compared).filter((row, e) => differsAt(row, own[e]) < 0).length;
  console.log(`  ${equal} of ${compared} are the policy's own`);
}
await Deno.remove(folder, { recursive: true });
