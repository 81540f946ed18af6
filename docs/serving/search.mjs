/**
 * A search function over the files of an export, for Node and browsers alike.
 *
 * @param ort onnxruntime-node or onnxruntime-web
 * @param files `{ model, tokenizer, tokenizerConfig, documents }`: the bytes of search.onnx, and the
 *   parsed contents of tokenizer.json, tokenizer_config.json and documents.json
 */
import { Tokenizer } from "@huggingface/tokenizers";

const MAX_TOKENS = 256;

export async function createSearch(ort, files) {
  const tokenizer = new Tokenizer(files.tokenizer, files.tokenizerConfig);
  const session = await ort.InferenceSession.create(files.model);

  return async function search(question) {
    const ids = tokenizer.encode(question).ids.slice(0, MAX_TOKENS);
    // A question without a single known word is one position that holds no token.
    const length = Math.max(1, ids.length);
    const inputIds = new Int32Array(length);
    inputIds.set(ids);
    const isToken = new Float32Array(length).fill(1, 0, ids.length);
    const { doc, logProb, droppedMass } = await session.run({
      inputIds: new ort.Tensor("int32", inputIds, [1, length]),
      isToken: new ort.Tensor("float32", isToken, [1, length]),
    });
    const found = [];
    for (let k = 0; k < doc.data.length; k++) {
      if (doc.data[k] < 0) continue; // fewer documents than the beam is wide
      found.push({ ...files.documents[doc.data[k]], probability: Math.exp(logProb.data[k]) });
    }
    return { question, documents: found, droppedMass: droppedMass.data[0] };
  };
}
