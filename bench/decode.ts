/**
 * Greedy decoding with cached keys and values: ours against transformers' `generate` and against
 * transformers.js, the same weights, interleaved in one run, tokens compared.
 *
 *     deno run -A bench/decode.ts [--python=python3] [--transformers-js=FILE] [--rounds=7]
 *         [--tokens=64] [--prompt=64] [--batches=1,16] [--threads=2] [--layers=12]
 *
 * A Llama of 55 M parameters (width 512, 12 layers, vocabulary 32,000, tied), random weights, float32.
 * Time per token is (time of n+1 tokens − time of 1 token) / n, so that reading the prompt does not
 * count; that is printed apart. `--transformers-js` is the path of `dist/transformers.node.mjs` of an
 * installed @huggingface/transformers; it runs the folder that `export-model` writes, under Deno.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { toFileUrl } from "@std/path";
import { generate, openDecoder } from "../src/generate/mod.ts";
import { saveModel } from "../src/hub/mod.ts";
import { decoderParamSpecs } from "../src/model/mod.ts";
import { exportModel } from "../src/recipe/export_model.ts";
import { onnxExecutor } from "../src/runtime/onnx_executor.ts";
import { ParameterStore } from "../src/runtime/parameter_store.ts";
import { randomStream } from "../src/tensor/random.ts";
import { llama } from "./_llama.ts";
import { median } from "./_median.ts";
import { type Peer, startPeer } from "./_peer.ts";

const options = parseArgs(Deno.args, {
  string: [
    "python",
    "transformers-js",
    "rounds",
    "tokens",
    "prompt",
    "batches",
    "threads",
    "layers",
  ],
  default: {
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
    rounds: "7",
    tokens: "64",
    prompt: "64",
    batches: "1,16",
    threads: String(navigator.hardwareConcurrency),
    layers: "12",
  },
});
const [rounds, tokens, prompt, threads, layers] = [
  options.rounds,
  options.tokens,
  options.prompt,
  options.threads,
  options.layers,
].map(Number);

interface Question {
  ids: number[][];
  tokens: number;
}
interface Answer {
  ms: number;
  ids: number[][];
}
type Ask = (question: Question) => Promise<Answer>;

const config = llama(layers);
const store = new ParameterStore(decoderParamSpecs(config));
store.initialise(1);
console.log(`${(store.parameterCount / 1e6).toFixed(1)} M parameters, ${threads} threads`);
const model = { config, tensors: { ...store.params } };

const folder = await Deno.makeTempDir();
await saveModel(`${folder}/saved`, model);
const systems: Record<string, Ask> = {};
const peers: Peer<Question, Answer>[] = [];

async function addPeer(name: string, command: string, args: string[]): Promise<void> {
  const peer = await startPeer<Question, Answer>(command, args);
  if (!peer) return console.log(`${name}: skipped, it can't be started (DEBUG=1 shows why)`);
  console.log(`peer: ${Object.entries(peer.hello).map((pair) => pair.join(" ")).join(", ")}`);
  peers.push(peer);
  systems[name] = (question) => peer.ask(question);
}

const here = (file: string) => new URL(file, import.meta.url).pathname;
const loading = performance.now();
const ours = await openDecoder(model, { executor: onnxExecutor({ threads }), threads });
console.log(`ours: recorded and compiled in ${Math.round(performance.now() - loading)} ms`);
systems.ours = async ({ ids, tokens }) => {
  const began = performance.now();
  const texts = await generate(ours, ids, { maxNewTokens: tokens, stopTokens: [] });
  return { ms: performance.now() - began, ids: texts.map(([{ tokens }]) => [...tokens]) };
};
await addPeer("transformers", options.python, [
  here("decode_transformers.py"),
  `${folder}/saved`,
  String(threads),
]);
if (options["transformers-js"]) {
  await exportModel(model, `${folder}/exported`);
  const module = toFileUrl(await Deno.realPath(options["transformers-js"])).href;
  await addPeer("transformers.js", Deno.execPath(), [
    "run",
    "-A",
    "--no-lock",
    "--node-modules-dir=manual",
    here("decode_transformers_js.mjs"),
    module,
    `${folder}/exported`,
    String(threads),
  ]);
} else console.log("transformers.js: skipped, --transformers-js does not say where it is");

/** How far apart the logits of two tokens are, after what stands before. */
async function gapOf(before: number[], a: number, b: number): Promise<number> {
  const { next: { logits } } = await ours.start([before]);
  return Math.abs(logits[a] - logits[b]);
}

const stream = randomStream({ seed: 2, stream: "bench/decode", step: 0 });
for (const batch of options.batches.split(",").map(Number)) {
  const perToken: Record<string, number[]> = {}, first: Record<string, number[]> = {};
  let differing = 0, compared = 0, largestGap = 0;
  for (let round = 0; round < rounds + 1; round++) {
    const ids = Array.from(
      { length: batch },
      () => Array.from({ length: prompt }, () => stream.int(config.vocabSize)),
    );
    const texts: Record<string, number[][]> = {};
    for (const [name, ask] of Object.entries(systems)) {
      const one = await ask({ ids, tokens: 1 });
      const all = await ask({ ids, tokens: tokens + 1 });
      texts[name] = all.ids;
      if (round === 0) continue; // warm-up
      (perToken[name] ??= []).push((all.ms - one.ms) / tokens);
      (first[name] ??= []).push(one.ms);
    }
    for (const [name, rows] of Object.entries(texts)) {
      if (name === "ours") continue;
      for (const [b, row] of rows.entries()) {
        compared++;
        const place = row.findIndex((token, t) => token !== texts.ours[b][t]);
        if (place < 0) continue;
        differing++;
        const before = [...ids[b], ...row.slice(0, place)];
        largestGap = Math.max(largestGap, await gapOf(before, row[place], texts.ours[b][place]));
      }
    }
  }
  console.log(`batch ${batch}, prompt ${prompt}: ms per token median (min), ms of the first token`);
  for (const [name, ms] of Object.entries(perToken)) {
    console.log(
      `  ${name.padEnd(16)} ${median(ms).toFixed(2).padStart(8)} (${Math.min(...ms).toFixed(2)})  ${
        median(first[name]).toFixed(0).padStart(6)
      }`,
    );
  }
  for (const name of Object.keys(perToken).filter((name) => name !== "ours")) {
    const ratio = median(perToken.ours) / median(perToken[name]);
    const least = Math.min(...perToken.ours) / Math.min(...perToken[name]);
    console.log(`  ours / ${name}: ${ratio.toFixed(3)} (of the minima ${least.toFixed(3)})`);
  }
  console.log(
    `  ${compared} texts compared, ${differing} differ` +
      (differing
        ? `, each at a place where both tokens' logits are within ${largestGap.toExponential(1)}`
        : ""),
  );
}
for (const peer of peers) peer.stop();
await ours.dispose();
await Deno.remove(folder, { recursive: true });
