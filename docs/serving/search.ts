/**
 * Ask an exported index from Deno.
 *
 *     deno run -A docs/serving/search.ts FOLDER "a question" "another question"
 *
 * Prints one line of JSON for each question. Outside a checkout import from "jsr:@deeprag/deeprag".
 */
import { searcherOfExport } from "../../mod.ts";

const [folder, ...questions] = Deno.args;
const searcher = await searcherOfExport(folder);
const names = JSON.parse(await Deno.readTextFile(`${folder}/documents.json`));

const answers = await searcher.search(questions); // batches questions of similar length
answers.forEach(({ hits, droppedMass }, i) => {
  const documents = hits.map(({ doc, logProb }) => ({
    ...names[doc],
    probability: Math.exp(logProb),
  }));
  console.log(JSON.stringify({ question: questions[i], documents, droppedMass }));
});
await searcher.dispose();
