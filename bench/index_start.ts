/**
 * What a lexical index that is narrower than its documents ranks at step 0, from singular vectors and from
 * a random projection, and how long that start takes.
 *
 *     deno run -A bench/index_start.ts --data=<folder in JSONL layout> --widths=256,512,1024
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { composeConfig, hitsAt, ParameterStore } from "../mod.ts";
import { loadAgentData } from "../src/recipe/prepare_agent.ts";
import { prepareIndex } from "../src/recipe/prepare_index.ts";

const { data: path, widths, inits, part } = parseArgs(Deno.args, {
  string: ["data", "widths", "inits", "part"],
  default: { widths: "256,512,1024", inits: "svd,projection", part: "dev" },
});
if (!path) throw new TypeError("give --data=<folder>");

const common = ["data=jsonl", `data.path=${path}`, "model=dsi_base", "docid=atomic"];
const data = await loadAgentData(composeConfig({ overrides: common }));
const N = data.documents.length;
const docOf = new Map(data.documents.map(({ docId }, d) => [docId, d]));
const questions = data.queries[part].map(({ query, docIds }) => ({
  query,
  docs: docIds.flatMap((id) => docOf.get(id) ?? []),
})).filter(({ docs }) => docs.length);

console.log(`${N} documents, ${questions.length} questions of part ${part}`);
console.log("init        width  Hits@1  Hits@10  seconds of the start");
for (const width of widths.split(",")) {
  for (const init of inits.split(",")) {
    const config = composeConfig({
      overrides: [...common, `model.width=${width}`, `model.init=${init}`],
    });
    const { model, tokenizer } = prepareIndex(data, config);
    const store = new ParameterStore(model.specs);
    const began = performance.now();
    model.start(store);
    const seconds = (performance.now() - began) / 1000;
    const { "stem.embedding": { data: E, shape: [, D] }, "slot.embedding": { data: U } } =
      store.params;
    const ranks = questions.map(({ query, docs }) => {
      const vector = new Float64Array(D);
      for (const stem of tokenizer.encode(query)) {
        for (let r = 0; r < D; r++) vector[r] += E[stem * D + r];
      }
      const scores = Float64Array.from({ length: N }, (_, d) => {
        let score = 0;
        for (let r = 0; r < D; r++) score += vector[r] * U[d * D + r];
        return score;
      });
      const best = Math.max(...docs.map((d) => scores[d]));
      return 1 + scores.filter((score) => score > best).length;
    });
    console.log(
      `${init.padEnd(10)} ${String(D).padStart(6)}  ${hitsAt(1, ranks).toFixed(3).padStart(6)}  ` +
        `${hitsAt(10, ranks).toFixed(3).padStart(7)}  ${seconds.toFixed(1).padStart(8)}`,
    );
  }
}
