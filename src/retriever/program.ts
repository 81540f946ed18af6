/** Search and exact ranking as programs, to be run eagerly or recorded. @module */
import type * as tf from "@tensorflow/tfjs-core";
import type { Trie } from "../docid/trie.ts";
import type { Program, ProgramInput } from "../graph/program.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { type BeamOptions, beamSearch } from "./beam.ts";
import { exhaustiveLogProbs } from "./exhaustive.ts";
import type { DocidScorer, Tensors } from "./scorer.ts";

/** Choices of {@linkcode searchProgram}. */
export interface SearchProgramOptions extends BeamOptions {
  /** Parameters of the model: inputs of the program, to be given as constants where it serves. */
  params: ParamSpecs;
  /** Name of the graph. Default `"search"`. */
  name?: string;
}

function programOf(
  scorer: DocidScorer,
  params: ParamSpecs,
  run: (x: { params: Tensors; inputs: Tensors }) => Record<string, tf.Tensor>,
): Omit<Program, "name"> {
  const weights = Object.entries(params).map(([name, { shape }]) =>
    [name, { dtype: "float32", shape }] as [string, ProgramInput]
  );
  const pick = (x: Tensors, names: object): Tensors =>
    Object.fromEntries(Object.keys(names).map((name) => [name, x[name]]));
  return {
    inputs: { ...Object.fromEntries(weights), ...scorer.inputs },
    run: (x) => run({ params: pick(x, params), inputs: pick(x, scorer.inputs) }),
  };
}

/**
 * Questions in, `doc` [B, K], `logProb` [B, K] and `droppedMass` [B] out: see
 * {@linkcode beamSearch}. The trie's tables become constants of the graph.
 *
 * @param scorer The model
 * @param trie Docids
 * @param options Parameters, beam and name
 * @example A lexical index whose only stem points at document 1
 * ```ts
 * import { assignDocids, buildTrie, slotsOf } from "../docid/mod.ts";
 * import { lexicalParamSpecs } from "../model/lexical.ts";
 * import { onnxExecutor } from "../runtime/onnx_executor.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { searchProgram } from "./program.ts";
 * import { lexicalScorer } from "./tree_scorer.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const trie = buildTrie(assignDocids(3, { scheme: "atomic" }));
 * const params = lexicalParamSpecs({ vocabSize: 1, width: 1, slotCount: 3 });
 * const program = searchProgram(lexicalScorer(slotsOf(trie)), trie, { params, beam: 2 });
 * const floats = (...x: number[]) => hostTensor("float32", Float32Array.from(x), [x.length, 1]);
 * const executable = await onnxExecutor().compile(program, {
 *   constants: {
 *     "stem.embedding": floats(1),
 *     "stem.weight": floats(1),
 *     "slot.embedding": floats(0, 5, 1),
 *     "slot.bias": floats(0, 0, 0),
 *   },
 * });
 * const { doc } = await executable.run({
 *   inputIds: hostTensor("int32", Int32Array.of(0), [1, 1]),
 *   isToken: floats(1),
 * });
 * assertEquals(doc.data, Int32Array.of(1, 2));
 * await executable.dispose();
 * ```
 */
export function searchProgram(
  scorer: DocidScorer,
  trie: Trie,
  options: SearchProgramOptions,
): Program {
  return {
    name: options.name ?? "search",
    ...programOf(scorer, options.params, (x) => beamSearch(scorer, trie, { ...x, options })),
  };
}

/**
 * Questions in, `logProb` [B, N] of every document out: see {@linkcode exhaustiveLogProbs}.
 *
 * @param scorer The model
 * @param trie Docids
 * @param options Parameters, and the name of the graph (default `"exhaustive"`)
 */
export function exhaustiveProgram(
  scorer: DocidScorer,
  trie: Trie,
  options: { params: ParamSpecs; name?: string },
): Program {
  return {
    name: options.name ?? "exhaustive",
    ...programOf(scorer, options.params, (x) => ({ logProb: exhaustiveLogProbs(scorer, trie, x) })),
  };
}
