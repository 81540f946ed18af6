import { composeConfig, openRunFolder } from "../mod.ts";
import { loadAgentData } from "../src/recipe/prepare_agent.ts";
import { openIndex } from "../src/recipe/open_index.ts";
const run = await openRunFolder(Deno.args[0]);
const config = composeConfig({ configName: "train/joint_no_labels", overrides: ["seed=" + (Deno.args[1] ?? "1")] });
const data: any = await loadAgentData(config);
const { entities, facts } = data.world;
await using index = await openIndex(run, { beam: 10 });
const byId = new Map(data.documents.map((d: any) => [d.docId, d]));
const tally: Record<string, number[]> = {};
for (const q of data.queries.dev) {
  const e = entities[facts[q.chain[0]].entity];
  const key = e.part;
  const t = tally[key] ??= [0, 0, 0];
  const { documents } = await index.search(q.query);
  const rank = documents.findIndex((d: any) => q.docIds.includes(d.docId));
  t[0]++; if (rank === 0) t[1]++; if (rank >= 0) t[2]++;
  if (rank !== 0) console.log(key, "|", q.query, "→", q.answers[0], "| first:", documents[0].title, documents[0].probability.toFixed(2), "| right:", rank, documents[rank]?.probability.toFixed(4), "|", documents[0].text.includes(q.answers[0]) ? "HAS ANSWER" : "");
}
console.log(tally);
