/** Softmax in the pieces that fusion works with. @module */
import type { BoundGraph, BoundNode, BoundValue } from "./bound_graph.ts";
import { GraphBuilder, nextIdOf } from "./rewrite_graph.ts";

/** exp(x − max) / Σ, over the last axis. */
function pieces(builder: GraphBuilder, { inputs: [old] }: BoundNode): BoundValue {
  const x = builder.get(old), axes = [x.shape.length - 1];
  const row = { dtype: x.dtype, shape: x.shape.with(-1, 1) };
  const [max] = builder.node("ReduceMax", [x], [row], { axes });
  const [e] = builder.node("Exp", builder.node("Sub", [x, max], [x]), [x]);
  const [sum] = builder.node("ReduceSum", [e], [row], { axes });
  return builder.node("Div", [e, sum], [x])[0];
}

/** A graph without softmax. */
export function expandSoftmax(graph: BoundGraph): BoundGraph {
  if (!graph.nodes.some((n) => n.op === "Softmax")) return graph;
  const builder = new GraphBuilder(nextIdOf(graph));
  for (const node of graph.nodes) {
    if (node.op === "Softmax") builder.set(node.outputs[0], pieces(builder, node));
    else builder.copy(node);
  }
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: builder.get(value) }));
  return builder.graph(outputs, graph);
}
