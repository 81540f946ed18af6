/** Proof that two executors compute the same: what makes an exported graph trustworthy. @module */
import { TraceError } from "../errors.ts";
import type { Program } from "../graph/mod.ts";
import type { CompileOptions, Executor, HostTensors } from "./executor.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import type { RandomKey } from "../tensor/random.ts";

/** Choices of {@linkcode verifyProgram}. */
export interface VerifyOptions {
  /** Whose results are in doubt. */
  executor: Executor;
  /** Whose results are believed: an eager one. */
  reference: Executor;
  /**
   * Values of the symbols to try. Default: all of them 1, 2, 5 and 8 in turn, mixed so that no two
   * symbols are equal every time.
   */
  sizes?: readonly Readonly<Record<string, number>>[];
  /** Inputs for given sizes, in range for the program: token ids below the vocabulary, for one. */
  makeInputs: (sizes: Readonly<Record<string, number>>) => HostTensors;
  /** Largest relative error of an output, see {@linkcode OutputError}. Default 1e-4. */
  tolerance?: number;
  /**
   * What counts as a value of usual size: errors of smaller ones are held against this. Default 0.
   * Give 1 for log-probabilities, and for shares that may be about 0.
   */
  usual?: number;
  /** What both executors are told. */
  compile?: CompileOptions;
  /** Stream for the program's random masks. Default: a fixed one. */
  random?: RandomKey;
}

/** How far two executors were apart on one output. */
export interface OutputError {
  /** Name of the output. */
  readonly output: string;
  /** Largest ‖a − b‖ / max(‖b‖, usual·√n, 1e-6) over all sizes, for n elements. */
  readonly relativeError: number;
  /** Where it was largest. */
  readonly sizes: Readonly<Record<string, number>>;
}

const TRIED = [1, 2, 5, 8];

/** Each symbol takes every size once, in an order of its own. */
function defaultSizes(program: Program, constants: HostTensors): Record<string, number>[] {
  const inputs = Object.entries(program.inputs).filter(([name]) => !Object.hasOwn(constants, name));
  const fixed = new Set(
    Object.keys(constants).flatMap((name) => program.inputs[name]?.shape ?? []),
  );
  const symbols = [...new Set(inputs.flatMap(([, { shape }]) => shape))]
    .filter((d) => typeof d === "string" && !fixed.has(d)) as string[];
  if (!symbols.length) return [{}];
  const all = TRIED.map((n) => Object.fromEntries(symbols.map((s) => [s, n])));
  const mixed = symbols.length === 1
    ? []
    : TRIED.map((_, t) =>
      Object.fromEntries(symbols.map((s, i) => [s, TRIED[(t + i) % TRIED.length]]))
    );
  return [...all, ...mixed];
}

/** See {@linkcode OutputError}; infinite where types, shapes, whole numbers or places of NaN differ. */
function relativeError(a: HostTensor, b: HostTensor, usual: number): number {
  if (a.dtype !== b.dtype || a.shape.join() !== b.shape.join()) return Infinity;
  let difference = 0, norm = 0;
  for (let i = 0; i < b.data.length; i++) {
    const x = a.data[i], y = b.data[i];
    if (x === y || (Number.isNaN(x) && Number.isNaN(y))) {
      if (Number.isFinite(y)) norm += y * y;
      continue;
    }
    if (b.dtype !== "float32" || !Number.isFinite(x - y)) return Infinity;
    difference += (x - y) ** 2;
    norm += y * y;
  }
  const scale = Math.max(Math.sqrt(norm), usual * Math.sqrt(b.data.length), 1e-6);
  return Math.sqrt(difference) / scale;
}

const describe = (t: HostTensor): string => `${t.dtype} [${t.shape.join(", ")}]`;
const show = (sizes: Readonly<Record<string, number>>): string =>
  Object.entries(sizes).map(([s, n]) => `${s}=${n}`).join(" ") || "its only size";

/**
 * Run a program on two executors at several sizes and compare every output. A recording is made at a
 * few large prime sizes; this is what finds a branch (`if (S > 1)`) that none of them took.
 *
 * @param program What to verify
 * @param options Both executors, sizes and inputs
 * @returns The worst error of each output
 * @throws {TraceError} If an output differs by more than the tolerance, or a size runs on one of the
 *   executors only; the message names output and size
 * @example
 * ```ts
 * import * as tf from "@tensorflow/tfjs-core";
 * import { eagerExecutor, onnxExecutor, verifyProgram } from "./mod.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assert } from "@std/assert";
 * const [{ relativeError }] = await verifyProgram({
 *   name: "tanh",
 *   inputs: { x: { dtype: "float32", shape: ["B"] } },
 *   run: ({ x }) => ({ y: tf.tanh(x) }),
 * }, {
 *   executor: onnxExecutor(),
 *   reference: eagerExecutor("cpu"),
 *   makeInputs: ({ B }) => ({ x: hostTensor("float32", new Float32Array(B).fill(0.3), [B]) }),
 * });
 * assert(relativeError < 1e-5);
 * ```
 */
export async function verifyProgram(
  program: Program,
  options: VerifyOptions,
): Promise<OutputError[]> {
  const { executor, reference, makeInputs, tolerance = 1e-4, usual = 0, compile = {} } = options;
  const { random = { seed: 0, stream: "verify", step: 0 } } = options;
  const sizes = options.sizes ?? defaultSizes(program, compile.constants ?? {});
  const worst = new Map<string, OutputError>();
  const ours = await executor.compile(program, compile);
  const theirs = await reference.compile(program, compile);
  try {
    for (const s of sizes) {
      const inputs = makeInputs(s);
      const expected = await theirs.run(inputs, { random });
      let actual: HostTensors;
      try {
        actual = await ours.run(inputs, { random });
      } catch (cause) {
        throw new TraceError(
          `Cannot verify ${program.name} at ${show(s)}: it runs on ${reference.name} but not on ` +
            `${executor.name}: ${(cause as Error).message}`,
          { cause },
        );
      }
      for (const output of theirs.outputs) {
        const a = actual[output], b = expected[output];
        const error = relativeError(a, b, usual);
        if (!(error <= tolerance)) {
          const how = Number.isFinite(error)
            ? `${error.toExponential(2)} (tolerance ${tolerance})`
            : describe(a) !== describe(b)
            ? `${describe(a)} against ${describe(b)}`
            : b.dtype === "float32"
            ? "infinite or NaN on one side only"
            : "whole numbers that are not the same";
          throw new TraceError(
            `Cannot verify ${program.name}: output ${output} differs between ${executor.name} and ` +
              `${reference.name} at ${
                show(s)
              }: ${how}. A branch or loop of the program may follow ` +
              "a size.",
          );
        }
        if (error >= (worst.get(output)?.relativeError ?? -1)) {
          worst.set(output, { output, relativeError: error, sizes: s });
        }
      }
    }
  } finally {
    await ours.dispose();
    await theirs.dispose();
  }
  return [...worst.values()];
}
