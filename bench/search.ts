/**
 * Trie-constrained beam search: our one graph against transformers' `generate` with
 * `prefix_allowed_tokens_fn`, the same weights, interleaved in one run, results compared.
 *
 *     deno run -A bench/search.ts [--python=python3] [--documents=10000] [--digits=4] [--base=10]
 *         [--beam=10] [--rounds=15] [--threads=2]
 *
 * T5 v1.0, width 256, 4 + 4 layers, vocabulary 8,192, random weights; questions of 8 to 32 tokens. The
 * interpreter can also be named by DEEPRAG_PYTHON; without transformers only our figures are printed.
 *
 * "vocabulary" computes what `generate` computes: log-softmax over the whole vocabulary at each
 * digit. "trie" is what this project's index uses: log-softmax over the children of a node.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { assignDocids, buildTrie, type Docids, pathTables } from "../src/docid/mod.ts";
import { parseT5Config, serialiseModel, type T5Config, t5ParamSpecs } from "../src/model/mod.ts";
import { searchProgram, t5Scorer } from "../src/retriever/mod.ts";
import { onnxExecutor } from "../src/runtime/onnx_executor.ts";
import type { Executable } from "../src/runtime/executor.ts";
import { type HostTensor, hostTensor, sizeOf } from "../src/tensor/host_tensor.ts";
import { randomStream } from "../src/tensor/random.ts";
import { median } from "./_median.ts";
import { startPeer } from "./_peer.ts";

const options = parseArgs(Deno.args, {
  string: ["python", "documents", "digits", "base", "beam", "rounds", "threads"],
  default: {
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
    documents: "10000",
    digits: "4",
    base: "10",
    beam: "10",
    rounds: "15",
    threads: String(navigator.hardwareConcurrency),
  },
});
const [documents, digits, base, beam, rounds, threads] = [
  options.documents,
  options.digits,
  options.base,
  options.beam,
  options.rounds,
  options.threads,
].map(Number);
const S = 32, FIRST_TOKEN = 100;
const stream = randomStream({ seed: 1, stream: "bench/search", step: 0 });

const config = parseT5Config({
  model_type: "t5",
  vocab_size: 8192,
  d_model: 256,
  d_kv: 64,
  num_heads: 4,
  d_ff: 1024,
  num_layers: 4,
});

function randomWeights(config: T5Config): Record<string, HostTensor<"float32">> {
  return Object.fromEntries(
    Object.entries(t5ParamSpecs(config)).map(([name, { shape, init }]) => {
      const draw = (): number => init.kind === "normal" ? init.std * stream.normal() : init.value;
      const data = Float32Array.from({ length: sizeOf(shape) }, draw);
      return [name, hostTensor("float32", data, shape)];
    }),
  );
}

/** Docids of exactly `digits` digits: all there are, or as many as wanted of them at random. */
function someDocids(): Docids {
  const all = assignDocids(base ** digits, { scheme: "naive", base }).digits;
  const chosen = all.length === documents ? all : stream.shuffle([...all]).slice(0, documents);
  return { scheme: "naive", base, digits: chosen, collisions: 0 };
}

interface Question {
  inputIds: HostTensor<"int32">;
  isToken: HostTensor<"float32">;
}

function someQuestions(B: number): Question {
  const ids = new Int32Array(B * S), isToken = new Float32Array(B * S);
  for (let b = 0; b < B; b++) {
    const length = b === 0 ? S : 8 + stream.int(S - 7);
    for (let s = 0; s < length; s++) {
      ids[b * S + s] = 2 + stream.int(config.vocabSize - 2);
      isToken[b * S + s] = 1;
    }
  }
  return {
    inputIds: hostTensor("int32", ids, [B, S]),
    isToken: hostTensor("float32", isToken, [B, S]),
  };
}

interface Answer {
  ms: number;
  doc: number[];
  logProb: number[];
}

/** transformers, or nothing where there is none. */
async function startTransformers(
  folder: string,
): Promise<{ ask: (q: Question) => Promise<Answer>; stop: () => void } | undefined> {
  const script = new URL("search_transformers.py", import.meta.url).pathname;
  const args = [script, folder, String(beam), String(threads)];
  const peer = await startPeer<{ ids: number[][]; mask: number[][] }, Answer>(options.python, args);
  if (!peer) return undefined;
  const { transformers, torch } = peer.hello;
  console.log(`peer: transformers ${transformers}, torch ${torch}, ${threads} threads`);
  const rows = (t: HostTensor): number[][] =>
    Array.from({ length: t.shape[0] }, (_, b) => [...t.data.slice(b * S, (b + 1) * S)]);
  return {
    ask: ({ inputIds, isToken }) => peer.ask({ ids: rows(inputIds), mask: rows(isToken) }),
    stop: peer.stop,
  };
}

async function ask(executable: Executable, question: Question): Promise<Answer> {
  const start = performance.now();
  const { doc, logProb } = await executable.run({ ...question });
  const ms = performance.now() - start;
  return { ms, doc: [...doc.data], logProb: [...logProb.data] };
}

/** Scores closer than this may change places between two libraries. */
const TIE = 1e-4;

/** Documents that differ although their scores are no ties, and the largest difference in score. */
function compare(a: Answer, b: Answer): { wrong: number; gap: number } {
  let wrong = 0, gap = 0;
  a.doc.forEach((doc, i) => {
    gap = Math.max(gap, Math.abs(a.logProb[i] - b.logProb[i]));
    const isTie = [i - 1, i + 1].some((j) => Math.abs(a.logProb[i] - a.logProb[j]) < TIE);
    if (doc !== b.doc[i] && !isTie) wrong++;
  });
  return { wrong, gap };
}

const weights = randomWeights(config);
const docids = someDocids();
const trie = buildTrie(docids);
const tokenOf = (depth: number, code: number): number => FIRST_TOKEN + depth * base + code;
const folder = Deno.makeTempDirSync();
for (const [name, bytes] of Object.entries(serialiseModel(config, weights))) {
  Deno.writeFileSync(`${folder}/${name}`, bytes);
}
const { token } = pathTables(trie);
const sequences = docids.digits.map((_, doc) =>
  Array.from({ length: digits }, (_, d) => tokenOf(d, token[doc * digits + d]))
);
Deno.writeTextFileSync(`${folder}/docids.json`, JSON.stringify(sequences));

const executor = onnxExecutor({ threads });
const variants: Record<string, Executable> = {};
for (const normalise of ["vocabulary", "trie"] as const) {
  const start = performance.now();
  const program = searchProgram(t5Scorer(config, trie, { tokenOf, normalise }), trie, {
    params: t5ParamSpecs(config),
    beam,
  });
  variants[normalise] = await executor.compile(program, { constants: weights, dialect: "export" });
  console.log(`recorded and compiled (${normalise}): ${Math.round(performance.now() - start)} ms`);
}
const peer = await startTransformers(folder);

console.log(`${documents} documents, ${digits} digits of base ${base}, beam ${beam}, median ms`);
for (const B of [1, 32]) {
  const times: Record<string, number[]> = { vocabulary: [], trie: [], peer: [] };
  let wrong = 0, gap = 0, compared = 0;
  for (let round = 0; round < rounds + 2; round++) {
    const question = someQuestions(B);
    const answers: Record<string, Answer> = {};
    for (const name of Object.keys(variants)) answers[name] = await ask(variants[name], question);
    if (peer) answers.peer = await peer.ask(question);
    if (answers.peer) {
      const found = compare(answers.vocabulary, answers.peer);
      wrong += found.wrong;
      gap = Math.max(gap, found.gap);
      compared += answers.peer.doc.length;
    }
    if (round < 2) continue; // warm-up
    for (const [name, { ms }] of Object.entries(answers)) times[name].push(ms);
  }
  const figures = Object.entries(times).filter(([, ms]) => ms.length > 0)
    .map(([name, ms]) => `${name} ${median(ms).toFixed(1)}`).join("   ");
  console.log(`batch ${B}: ${figures}`);
  if (!peer) continue;
  const ratio = (name: string): string => (median(times[name]) / median(times.peer)).toFixed(3);
  console.log(`  ours / transformers: vocabulary ${ratio("vocabulary")}, trie ${ratio("trie")}`);
  console.log(
    `  ${compared} documents compared: ${wrong} differ, largest gap in log-probability ` +
      gap.toExponential(1),
  );
  if (wrong > 0) Deno.exitCode = 1;
}
peer?.stop();
if (!peer) console.log(`transformers: skipped, "${options.python}" cannot import it`);
for (const executable of Object.values(variants)) await executable.dispose();
Deno.removeSync(folder, { recursive: true });
