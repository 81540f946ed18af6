import { loadModel, saveModel } from "../src/hub/mod.ts";
import { type DecoderModel, decoderParamSpecs } from "../src/model/mod.ts";
import { ParameterStore } from "../src/runtime/mod.ts";
import { llama } from "./_llama.ts";
const layers = 17;
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

await saveModel("/tmp/h/rb/wide", widened(await loadModel("/tmp/runs/w1b/policy") as DecoderModel));
