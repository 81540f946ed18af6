/** Kernels that read or write by index. Indices must be in range: nothing checks them at run time. @module */
import { axisOf, checkShapes, type KernelTable, unsupportedForm } from "./kernel.ts";
import type { Graph } from "./graph.ts";
import { binary, cast, reshape, scatterAdd, transpose, where } from "./peepholes.ts";
import type { Traced } from "./value.ts";

/** Gather along `axis` with the first `batchDims` axes of both operands matched. */
function gatherBatched(
  g: Graph,
  [x, indices]: readonly [Traced, Traced],
  { axis, batchDims }: { axis: number; batchDims: number },
): Traced {
  // Bring the axis right behind the batch axes, gather there, and bring the axes it passed back.
  const batch = (v: Traced) => `${v.shape.slice(0, batchDims)}`;
  checkShapes("GatherV2", batchDims <= axis && batch(x) === batch(indices), x, indices);
  const all = x.shape.map((_, i) => i);
  const passed = all.slice(batchDims, axis), rest = all.slice(axis + 1);
  const moved = transpose(g, x, [...all.slice(0, batchDims), axis, ...passed, ...rest]);
  const index = reshape(g, cast(g, indices, "int64"), [...indices.shape, 1]);
  const shape = [...indices.shape, ...moved.shape.slice(batchDims + 1)];
  const found = g.node("GatherND", [moved, index], { shape, dtype: x.dtype }, {
    batch_dims: batchDims,
  });
  const axes = shape.map((_, i) => i);
  const picked = axes.slice(batchDims, indices.shape.length);
  const back = axes.slice(indices.shape.length, indices.shape.length + passed.length);
  return transpose(g, found, [
    ...axes.slice(0, batchDims),
    ...back,
    ...picked,
    ...axes.slice(indices.shape.length + passed.length),
  ]);
}

/** Kernels that read or write by index. */
export const indexKernels: KernelTable = {
  GatherNd: ({ graph: g, inputs: { params, indices } }) => {
    const depth = indices.shape[indices.shape.length - 1];
    checkShapes("GatherNd", depth <= params.shape.length, params, indices);
    const shape = [...indices.shape.slice(0, -1), ...params.shape.slice(depth)];
    return g.node("GatherND", [params, cast(g, indices, "int64")], {
      shape,
      dtype: params.dtype,
    });
  },
  GatherV2: ({ graph: g, inputs: { x, indices }, attributes }) => {
    const axis = axisOf(attributes.axis, x.shape), batchDims = attributes.batchDims ?? 0;
    if (batchDims) return gatherBatched(g, [x, indices], { axis, batchDims });
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return g.node("Gather", [x, indices], { shape, dtype: x.dtype }, { axis });
  },
  OneHot: ({ graph: g, inputs: { indices }, attributes }) => {
    const { depth, onValue, offValue, dtype } = attributes;
    // ONNX counts a negative index from the end; in tfjs it is off everywhere, like one too large.
    const isNegative = binary(g, "Less", [indices, g.uniform(0, [], "int32")], "bool");
    const index = where(
      g,
      isNegative,
      cast(g, g.size(depth), "int64"),
      cast(g, indices, "int64"),
    );
    const values = g.constant(Float32Array.of(offValue, onValue), [2], "float32");
    // ONNX Runtime has no OneHot with integer values.
    const type = { shape: [...indices.shape, depth], dtype: "float32" } as const;
    return cast(g, g.node("OneHot", [index, g.size(depth), values], type, { axis: -1 }), dtype);
  },
  UnsortedSegmentSum: ({ graph: g, inputs: { x, segmentIds }, attributes: { numSegments } }) => {
    if (x.dtype !== "float32") {
      throw unsupportedForm("UnsortedSegmentSum", "it is for float32. Cast before and after.");
    }
    const isRow = segmentIds.shape.length === 1 && segmentIds.shape[0] === x.shape[0];
    checkShapes("UnsortedSegmentSum", isRow, x, segmentIds);
    const dense = g.uniform(0, [numSegments, ...x.shape.slice(1)], x.dtype);
    return scatterAdd(g, dense, segmentIds, x);
  },
};
