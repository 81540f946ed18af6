// Peer of decode.ts: times transformers.js' greedy generate over the exported folder.
// Arguments: module of transformers.js, exported folder, threads. Reads {"ids": [[...]], "tokens": n} a
// line, answers {"ms", "ids"}.
import { createInterface } from "node:readline";
import { basename, dirname } from "node:path";
import process from "node:process";

const [module, folder, threads] = process.argv.slice(2);
const { AutoModelForCausalLM, env, Tensor } = await import(module);
env.allowRemoteModels = false;
env.localModelPath = dirname(folder);
const model = await AutoModelForCausalLM.from_pretrained(basename(folder), {
  dtype: "fp32",
  session_options: { intraOpNumThreads: Number(threads), interOpNumThreads: 1 },
});
console.log(JSON.stringify({ "transformers.js": env.version }));
for await (const line of createInterface({ input: process.stdin })) {
  const { ids, tokens } = JSON.parse(line);
  const shape = [ids.length, ids[0].length];
  const input_ids = new Tensor("int64", BigInt64Array.from(ids.flat(), BigInt), shape);
  const ones = new Tensor("int64", new BigInt64Array(ids.flat().length).fill(1n), shape);
  const start = performance.now();
  const out = await model.generate({
    input_ids,
    attention_mask: ones,
    max_new_tokens: tokens,
    do_sample: false,
    eos_token_id: null,
  });
  const ms = performance.now() - start;
  const rows = out.tolist().map((row) => row.slice(shape[1]).map(Number));
  console.log(JSON.stringify({ ms, ids: rows }));
}
