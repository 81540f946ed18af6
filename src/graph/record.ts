/** Record a program: run it on the tracing backend and solve for its sizes. @module */
import * as tf from "@tensorflow/tfjs-core";
import { DeepragError, KernelError, TraceError } from "../errors.ts";
import type { DType } from "../tensor/host_tensor.ts";
import { recordInto, toTensor, toValue } from "./backend.ts";
import { registerGradients } from "./gradients.ts";
import { type Dialect, Graph } from "./graph.ts";
import type { Program } from "./program.ts";
import type { RecordedInput, Recording } from "./recording.ts";
import { describeSite, withDeepStacks } from "./site.ts";
import { probeSizes, type Sizes } from "./sizes.ts";
import { solveGraphs } from "./solve.ts";

/** Choices of a recording. */
export interface RecordOptions {
  /** Operators it may use. Default `"training"`: com.microsoft operators are allowed. */
  dialect?: Dialect;
  /** Values for symbols whose size is known and will not change. */
  fixed?: Record<string, number>;
}

/** tfjs's own errors for kernels it cannot find, as errors with a place. */
function toKernelError(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof DeepragError) return error;
  const missing = /Kernel '(\w+)' not registered/.exec(error.message);
  if (missing) {
    return new KernelError(
      `Cannot record kernel ${missing[1]} at ${describeSite(error)}: it is not supported. ` +
        "docs/kernels.md lists the kernels that are.",
      { cause: error },
    );
  }
  const noGradient = /gradient function not found for (\w+)/.exec(error.message);
  if (noGradient) {
    return new KernelError(
      `Cannot differentiate kernel ${noGradient[1]} at ${
        describeSite(error)
      }: it has no gradient. ` +
        "docs/kernels.md lists the kernels that have one.",
      { cause: error },
    );
  }
  return error;
}

/** One run of the program at one set of sizes. */
function recordOnce(
  program: Program,
  { inputs, sizes, graph }: { inputs: readonly RecordedInput[]; sizes: Sizes; graph: Graph },
): Graph {
  try {
    recordInto(graph, () => {
      const x: Record<string, tf.Tensor> = {};
      for (const { name, dtype, shape } of inputs) {
        const numbers = shape.map((d) => typeof d === "string" ? sizes[d] : d);
        x[name] = toTensor(graph.input(name, dtype, numbers));
      }
      const outputs = program.run(x);
      for (const [name, tensor] of Object.entries(outputs)) {
        if (!(tensor instanceof tf.Tensor)) {
          const what = outputs instanceof Promise ? "run() is asynchronous" : "it is no tensor";
          throw new TraceError(`Cannot record output "${name}" of ${program.name}: ${what}`);
        }
        graph.outputs.push({ name, value: toValue(tensor) });
      }
      if (outputs instanceof Promise) outputs.catch(() => {});
    });
  } catch (error) {
    throw toKernelError(error);
  }
  return graph;
}

/** The inputs with fixed symbols replaced. */
function bindInputs(program: Program, fixed: Readonly<Record<string, number>>): RecordedInput[] {
  const unused = new Set(Object.keys(fixed));
  const inputs = Object.entries(program.inputs).map(([name, { dtype, shape }]) => ({
    name,
    dtype,
    shape: shape.map((d) => {
      if (typeof d === "number" || !(d in fixed)) return d;
      unused.delete(d);
      return fixed[d];
    }),
  }));
  if (unused.size) {
    throw new TraceError(
      `Cannot fix ${[...unused].join(", ")}: no input of ${program.name} has such a symbol`,
    );
  }
  return inputs;
}

function recordGraphs(
  program: Program,
  options: { inputs: readonly RecordedInput[]; dialect: Dialect; attempt: number },
): { graphs: Graph[]; probes: Sizes[] } {
  const { inputs, dialect, attempt } = options;
  const sizes = inputs.flatMap((i) => i.shape);
  const symbols = [...new Set(sizes.filter((d) => typeof d === "string"))];
  const once = (probe: Sizes) =>
    recordOnce(program, {
      inputs,
      sizes: probe,
      graph: new Graph(dialect, { isSited: attempt > 0 }),
    });
  // Without symbols a second run still shows whether the first one drew random numbers.
  if (!symbols.length) return { graphs: [once({}), once({})], probes: [{}, {}] };
  const avoid = new Set(sizes.filter((d) => typeof d === "number"));
  const { small, large } = probeSizes(symbols, avoid, attempt);
  const probes = [...small], graphs = small.map(once);
  for (const probe of large) {
    try {
      graphs.push(once(probe));
      probes.push(probe);
    } catch (error) {
      // A program that runs at small sizes may have an upper bound (a table of positions).
      if (error instanceof TraceError || error instanceof KernelError) throw error;
    }
  }
  return { graphs, probes };
}

/**
 * Record `program` as a graph that holds for every value of its symbols.
 *
 * The program runs at several sets of prime sizes on a backend that computes nothing; every size
 * that occurs is then solved for as a sum of multiples of products of symbols, and recordings that
 * differ in more than that are refused. A branch that no probe takes (`if (S > 1000)`, `if (S === 1)`)
 * cannot be seen here: check the graph against an eager run at real sizes.
 *
 * @param program What to record; `run` is called several times
 * @param options Operators allowed and symbols to fix
 * @throws {TraceError} If the program reads a value, or a branch, loop, constant or table of it
 *   follows a size; the message names the place
 * @throws {KernelError} If it calls a kernel that cannot be recorded; the message names the place
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { formatSize, record } from "./mod.ts";
 * import { assertEquals } from "@std/assert";
 * const recording = record({
 *   name: "twice",
 *   inputs: { x: { dtype: "float32", shape: ["B", 4] } },
 *   run: ({ x }) => ({ y: tf.concat([x, x], 0) }),
 * });
 * assertEquals(recording.outputs[0].shape.map(formatSize), ["2*B", "4"]);
 * ```
 */
export function record(program: Program, options: RecordOptions = {}): Recording {
  registerGradients();
  const { dialect = "training", fixed = {} } = options;
  const inputs = bindInputs(program, fixed);
  const attemptAt = (attempt: number): Recording => {
    const { graphs, probes } = recordGraphs(program, { inputs, dialect, attempt });
    const solved = solveGraphs(graphs, probes);
    return {
      name: program.name,
      dialect,
      symbols: Object.keys(probes[0]),
      inputs,
      outputs: solved.outputs.map((value, i) => ({
        name: graphs[0].outputs[i].name,
        dtype: value.dtype as DType,
        shape: value.shape,
        value,
      })),
      nodes: solved.nodes,
      keepMasks: solved.keepMasks.map((value, site) => ({
        name: `keep_mask:${site}`,
        site,
        keepProb: graphs[0].keepMasks[site].keepProb,
        shape: value.shape,
      })),
      kernels: [...graphs[0].kernels].sort(),
    };
  };
  return withDeepStacks(() => {
    try {
      return attemptAt(0);
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      // A probe may equal a size inside the program by accident, but not with other primes too. This
      // time remember where each node was made, for the message.
      return attemptAt(1);
    }
  });
}
