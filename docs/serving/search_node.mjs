/**
 * Ask an exported index from Node.
 *
 *     npm install --ignore-scripts onnxruntime-node @huggingface/tokenizers
 *     node search_node.mjs FOLDER "a question" "another question"
 *
 * Prints one line of JSON for each question. `onnxruntime-web` in the place of `onnxruntime-node`
 * works too: slower, without native code.
 */
import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-node";
import { createSearch } from "./search.mjs";

const [folder, ...questions] = process.argv.slice(2);
const json = async (name) => JSON.parse(await readFile(`${folder}/${name}`, "utf8"));
const search = await createSearch(ort, {
  model: await readFile(`${folder}/search.onnx`),
  tokenizer: await json("tokenizer.json"),
  tokenizerConfig: await json("tokenizer_config.json"),
  documents: await json("documents.json"),
});
for (const question of questions) console.log(JSON.stringify(await search(question)));
