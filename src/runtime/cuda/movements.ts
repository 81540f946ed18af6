/** Operations that only move elements: where each of them comes from. @module */
import type { BoundNode, BoundValue } from "./bound_graph.ts";
import { type Coordinate, laneText, Position } from "./coordinates.ts";
import type { Emitter } from "./emitter.ts";
import { literal } from "./expressions.ts";

/** An index that was read, as a coordinate of an axis of `size`. */
const asCoordinate = (text: string, at: Position, size: number): Coordinate => ({
  text: `(Index)${text}`,
  use: at.use === "same" ? "same" : "any",
  bound: size,
});

/** A position with some axes moved by a constant. */
function shifted(
  e: Emitter,
  position: Position,
  by: readonly number[],
  shape: readonly number[],
): Position {
  return by.reduce((p, n, axis) => {
    if (!n && p.shape[axis] === shape[axis]) return p;
    const at = e.math.add(p.axis(axis), n);
    return p.replace(axis, shape[axis], { ...at, bound: shape[axis] });
  }, position);
}

function readConcat(e: Emitter, out: BoundValue, node: BoundNode, position: Position): string {
  const axis = node.attributes.axis as number;
  const at = position.axis(axis);
  const isWide = at.use === "counts" && e.canBranchWide &&
    node.inputs.every((x) => x.shape[axis] % e.math.lanes === 0);
  const text = isWide ? at.text : laneText(at);
  let begin = 0;
  // An empty part has no positions of its own.
  const ways = node.inputs.filter((x) => x.shape[axis] > 0).map((x) => {
    const from = begin, size = x.shape[axis];
    begin += size;
    const inside: Coordinate = {
      text: from ? `(${text} - ${from})` : text,
      use: isWide ? "counts" : at.use === "same" ? "same" : "any",
      bound: size,
    };
    return {
      condition: begin === out.shape[axis] ? undefined : `${text} < ${begin}`,
      read: () => e.read(x, position.replace(axis, size, inside)),
    };
  });
  return isWide ? e.chooseWide(out, position, ways) : e.choose(out, position, ways);
}

function readPad(e: Emitter, out: BoundValue, node: BoundNode, position: Position): string {
  const [x, fill] = node.inputs, from = node.attributes.from as readonly number[];
  const tests: string[] = [];
  let inside = position;
  x.shape.forEach((size, axis) => {
    const before = from[axis], after = out.shape[axis] - size - before;
    if (!before && !after) return;
    const at = inside.axis(axis), text = laneText(at);
    if (before) tests.push(`${text} >= ${before}`);
    if (after) tests.push(`${text} < ${before + size}`);
    inside = inside.replace(axis, size, {
      text: before ? `(${text} - ${before})` : text,
      use: at.use === "same" ? "same" : "any",
      bound: size,
    });
  });
  return e.choose(out, position, [
    { condition: tests.join(" && ") || "true", read: () => e.read(x, inside) },
    { read: () => e.read(fill, position.range(0, 0)) },
  ]);
}

function readGather(e: Emitter, node: BoundNode, position: Position): string {
  const [x, indices] = node.inputs, axis = node.attributes.axis as number;
  const end = axis + indices.shape.length;
  const where = position.range(axis, end);
  const index = asCoordinate(e.read(indices, where), where, x.shape[axis]);
  const picked = Position.ofAxes(e.math, [x.shape[axis]], [index]);
  return e.read(
    x,
    position.range(0, axis).join(picked).join(position.range(end, position.rank)),
  );
}

function readGatherNd(e: Emitter, node: BoundNode, position: Position): string {
  const [x, indices] = node.inputs, batch = node.attributes.batchDims as number;
  const lead = indices.shape.length - 1, depth = indices.shape[lead];
  const where = position.range(0, lead);
  const picked = Array.from({ length: depth }, (_, k) => {
    const column = Position.ofAxes(e.math, [depth], [
      { text: `${k}`, constant: k, use: "same", bound: k + 1 },
    ]);
    return asCoordinate(e.read(indices, where.join(column)), where, x.shape[batch + k]);
  });
  const inner = Position.ofAxes(e.math, x.shape.slice(batch, batch + depth), picked);
  return e.read(
    x,
    position.range(0, batch).join(inner).join(position.range(lead, position.rank)),
  );
}

const TRANSPARENT = new Set([
  ...["Expand", "Gather", "GatherND", "Reshape", "Slice", "Split", "Tile", "Transpose"],
]);

/** Whether a number of the result is a number of an operand, whichever it is. */
export const isTransparent = (op: string): boolean => TRANSPARENT.has(op);

/**
 * The number at `position` of a result of `node`.
 *
 * @returns undefined if the operation moves nothing
 */
export function readMovement(
  e: Emitter,
  node: BoundNode,
  index: number,
  position: Position,
): string | undefined {
  const [x] = node.inputs, out = node.outputs[index], { attributes } = node;
  switch (node.op) {
    case "Reshape":
      return e.read(x, position.reshape(x.shape));
    case "Expand":
      return e.read(x, position.broadcast(x.shape));
    case "Transpose":
      return e.read(x, position.transpose(attributes.perm as readonly number[]));
    case "Slice":
      return e.read(x, shifted(e, position, attributes.from as readonly number[], x.shape));
    case "Split": {
      const axis = attributes.axis as number;
      const before = node.outputs.slice(0, index).reduce((n, o) => n + o.shape[axis], 0);
      return e.read(
        x,
        shifted(e, position, x.shape.map((_, i) => i === axis ? before : 0), x.shape),
      );
    }
    case "Tile":
      return e.read(
        x,
        x.shape.reduce(
          (p, size, axis) =>
            size === out.shape[axis]
              ? p
              : p.replace(axis, size, e.math.remainder(p.axis(axis), size)),
          position,
        ),
      );
    case "Concat":
      return readConcat(e, out, node, position);
    case "Pad":
      return readPad(e, out, node, position);
    case "Gather":
      return readGather(e, node, position);
    case "GatherND":
      return readGatherNd(e, node, position);
    case "OneHot": {
      const last = position.rank - 1;
      const class_ = e.read(x, position.range(0, last));
      const [off, on] = attributes.values as readonly number[];
      const text = `(${class_} == (int)${laneText(position.axis(last))} ? ${
        literal(on, "float32")
      } : ${literal(off, "float32")})`;
      return e.named(out, position, text);
    }
    case "Range": {
      const { start, step } = attributes as { start: number; step: number };
      return e.named(out, position, `(int)(${start} + ${laneText(position.axis(0))} * ${step})`);
    }
  }
  return undefined;
}
