/** Two recordings as one ONNX model. @module */
import { ShapeError, TraceError } from "../errors.ts";
import {
  checkConstants,
  checkNames,
  declareInputs,
  declareOutput,
  int64Names,
  SymbolNames,
} from "./onnx_border.ts";
import { ConstantPool, NamePool } from "./onnx_constants.ts";
import { moveOut } from "./onnx_data_file.ts";
import { GraphWriter } from "./onnx_graph_writer.ts";
import type { OnnxOptions, WrittenModel } from "./onnx_options.ts";
import { storeWeights } from "./onnx_precision.ts";
import { encodeModel, type GraphSpec, type NodeSpec, type ValueSpec } from "./onnx_proto.ts";
import type { RecordedInput, Recording } from "./recording.ts";

/** Two recordings to become one model, and the input that chooses. */
export interface OnnxMerge {
  /** Name of the model. */
  readonly name: string;
  /** Name of the input that chooses, bool [1], such as `use_cache_branch`. */
  readonly condition: string;
  /** What runs if it is true. */
  readonly whenTrue: Recording;
  /** What runs if it is false; it has the same outputs, of the same types and ranks. */
  readonly whenFalse: Recording;
}

/** The inputs of both recordings, those of the first one in front. */
function unionOf({ name, whenTrue, whenFalse }: OnnxMerge): RecordedInput[] {
  const inputs = new Map(whenTrue.inputs.map((i) => [i.name, i]));
  for (const input of whenFalse.inputs) {
    const other = inputs.get(input.name);
    const show = ({ dtype, shape }: RecordedInput) => `${dtype} [${shape.join(", ")}]`;
    if (other && show(other) !== show(input)) {
      throw new ShapeError(
        `Cannot merge into ${name}: input "${input.name}" is ${show(other)} in ${whenTrue.name} ` +
          `and ${show(input)} in ${whenFalse.name}`,
      );
    }
    if (!other) inputs.set(input.name, input);
  }
  return [...inputs.values()];
}

/** Check that the outputs agree in name, type and rank, and that nothing is random. */
function checkBranches({ name, whenTrue, whenFalse }: OnnxMerge): void {
  for (const r of [whenTrue, whenFalse]) {
    if (r.keepMasks.length) {
      throw new TraceError(`Cannot merge ${r.name} into ${name}: it draws random masks`);
    }
  }
  const describe = (r: Recording) =>
    new Map(r.outputs.map((o) => [o.name, `${o.dtype} of ${o.shape.length} axes`]));
  const a = describe(whenTrue), b = describe(whenFalse);
  for (const output of new Set([...a.keys(), ...b.keys()])) {
    if (a.get(output) === b.get(output)) continue;
    throw new ShapeError(
      `Cannot merge into ${name}: output "${output}" is ${a.get(output) ?? "absent"} in ` +
        `${whenTrue.name} and ${b.get(output) ?? "absent"} in ${whenFalse.name}`,
    );
  }
}

/** Declares what holds for both: a size that differs becomes a symbol of its own. */
function declareBoth(a: ValueSpec, b: ValueSpec, symbols: SymbolNames): ValueSpec {
  const dims = a.dims.map((d, axis) => {
    if (d === b.dims[axis]) return d;
    let symbol = `${a.name.replaceAll(/[^\w.]/g, "_")}_axis_${axis}`;
    while (symbols.has(symbol)) symbol += "_";
    return symbol;
  });
  return { ...a, dims };
}

/**
 * Two recordings as one ONNX model with an `If`, such as the first and every further step of a
 * decoder. The model has the inputs of both; a recording need not use all of them, but what both have
 * must agree in type and shape. A branch reads sizes from its own inputs only, so that the others may be
 * fed placeholders of any size. Constants belong to the model, not to a branch: both use the same ones.
 *
 * @param merge The recordings and the input that chooses
 * @param options As for {@linkcode toOnnx}; names refer to inputs and outputs of either recording
 * @throws {ShapeError} If the recordings disagree about an input or output, or a constant doesn't fit
 * @throws {TraceError} If a name is used twice, or a recording draws random masks
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { type Program, record, toMergedOnnx } from "./mod.ts";
 * import { assert } from "@std/assert";
 * const inputs: Program["inputs"] = { x: { dtype: "float32", shape: ["B"] } };
 * const model = toMergedOnnx({
 *   name: "twice_or_square",
 *   condition: "is_square",
 *   whenTrue: record({ name: "square", inputs, run: ({ x }) => ({ y: tf.square(x) }) }),
 *   whenFalse: record({ name: "twice", inputs, run: ({ x }) => ({ y: tf.mul(x, 2) }) }),
 * });
 * assert(model.model.length > 50);
 * ```
 */
export function toMergedOnnx(merge: OnnxMerge, options: OnnxOptions = {}): WrittenModel {
  const { name, condition, whenTrue, whenFalse } = merge;
  const { constants = {}, precision = "float32" } = options;
  checkBranches(merge);
  const chooser: RecordedInput = { name: condition, dtype: "bool", shape: [1] };
  const inputs = unionOf(merge), { outputs } = whenTrue;
  if (inputs.some((i) => i.name === condition)) {
    throw new TraceError(
      `Cannot merge into ${name}: "${condition}" is an input of its own. Rename the condition.`,
    );
  }
  checkConstants({ name, inputs, outputs }, constants);
  checkNames({ name, inputs: [...inputs, chooser], outputs });
  const isFed = (i: RecordedInput) => !(i.name in constants);
  const fed = inputs.filter(isFed);
  const int64 = int64Names({ name, inputs: fed, outputs }, options.int64);
  const symbols = new SymbolNames(
    [...whenTrue.symbols, ...whenFalse.symbols],
    options.symbolNames,
  );
  const names = new NamePool([...inputs, chooser, ...outputs].map((v) => v.name));
  const pool = new ConstantPool(names);

  const branches = [whenTrue, whenFalse].map((recording) => {
    const writer = new GraphWriter({
      fed: recording.inputs.filter(isFed),
      int64,
      names,
      constants: pool,
    });
    for (const node of recording.nodes) writer.add(node);
    // In the order of the first one: the results of an If go by position.
    const wanted = outputs.map((o) => {
      const output = recording.outputs.find((p) => p.name === o.name)!;
      return { output, as: names.fresh() };
    });
    writer.nameOutputs(
      wanted.map(({ output, as }) => ({ value: output.value, output: output.name, as })),
    );
    const declared = wanted.map(({ output, as }) => declareOutput(output, { symbols, int64, as }));
    return { name: recording.name, nodes: writer.nodes, outputs: declared };
  });

  pool.addUsed(
    new Set(branches.flatMap((b) => b.nodes.flatMap((n) => n.inputs))),
    constants,
  );
  const parts = { bodies: branches.map((b) => b.nodes), initializers: pool.specs };
  const { prelude, bodies, initializers, report } = storeWeights(parts, { precision, names });
  const externalData = moveOut(initializers, options);
  const [then, otherwise] = branches.map(({ name, outputs }, i): GraphSpec => ({
    name,
    nodes: bodies[i],
    initializers: [],
    inputs: [],
    outputs,
  }));
  const choice: NodeSpec = {
    op: "If",
    inputs: [condition],
    outputs: outputs.map((o) => o.name),
    attributes: { then_branch: { graph: then }, else_branch: { graph: otherwise } },
  };
  const model = encodeModel({
    name,
    nodes: [...prelude, choice],
    initializers,
    inputs: declareInputs([...fed, chooser], { symbols, int64 }),
    outputs: outputs.map((o, i) =>
      declareBoth({ ...then.outputs[i], name: o.name }, otherwise.outputs[i], symbols)
    ),
  });
  return { model, externalData, weights: report };
}
