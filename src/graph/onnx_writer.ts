/** A recording as an ONNX model. @module */
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
import { encodeModel } from "./onnx_proto.ts";
import type { Recording } from "./recording.ts";

/**
 * `recording` as an ONNX model: opset 17, IR version 8, and com.microsoft operators only if the
 * dialect of the recording allows them. Symbols stay symbols; their values are read from the shapes
 * of the inputs when the model runs. Constants are copied once; those that no output needs are left out.
 *
 * @param recording What to write
 * @param options Constants and how to store them, types and sizes to declare, when to use a data file
 * @throws {ShapeError} If a constant does not fit its input, or `int64` or `symbolNames` asks for
 *   what can't be
 * @throws {TraceError} If an output has the name of an input, or a symbol occurs only in constants
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { record, toOnnx } from "./mod.ts";
 * import { assert } from "@std/assert";
 * const recording = record({
 *   name: "square",
 *   inputs: { x: { dtype: "float32", shape: ["B"] } },
 *   run: ({ x }) => ({ y: tf.square(x) }),
 * });
 * assert(toOnnx(recording).model.length > 50);
 * ```
 */
export function toOnnx(recording: Recording, options: OnnxOptions = {}): WrittenModel {
  const { constants = {}, precision = "float32" } = options;
  const { name } = recording;
  checkConstants(recording, constants);
  checkNames(recording);
  const fed = recording.inputs.filter((i) => !(i.name in constants));
  const int64 = int64Names({ ...recording, inputs: fed }, options.int64);
  const symbols = new SymbolNames(recording.symbols, options.symbolNames);
  const names = new NamePool([...recording.inputs, ...recording.outputs].map((v) => v.name));
  const pool = new ConstantPool(names);
  const writer = new GraphWriter({ fed, int64, names, constants: pool });
  for (const node of recording.nodes) writer.add(node);
  writer.nameOutputs(
    recording.outputs.map((o) => ({ value: o.value, output: o.name, as: o.name })),
  );
  pool.addUsed(new Set(writer.nodes.flatMap((n) => n.inputs)), constants);
  const inputs = declareInputs(fed, { symbols, int64 });
  for (const { name, shape } of recording.keepMasks) {
    inputs.push({ name, dtype: "float32", dims: symbols.exprs(shape) });
  }
  const outputs = recording.outputs.map((o) => declareOutput(o, { symbols, int64 }));
  const parts = { bodies: [writer.nodes], initializers: pool.specs };
  const { prelude, bodies, initializers, report } = storeWeights(parts, { precision, names });
  const externalData = moveOut(initializers, options);
  const nodes = [...prelude, ...bodies[0]];
  const model = encodeModel({ name, nodes, initializers, inputs, outputs });
  return { model, externalData, weights: report };
}
