/**
 * What goes into a program and comes out of it, as data: shared by every executor, so that all of
 * them refuse the same inputs with the same words.
 *
 * @module
 */
import { DeepragError, ShapeError } from "../errors.ts";
// Not from mod.ts: a worker that only runs sessions needs no tfjs.
import { evaluateSize, formatSize, type SizeExpr, type Sizes } from "../graph/sizes.ts";
import type { Program, ProgramInput } from "../graph/program.ts";
import { type DType, DTYPE_ARRAYS, type HostTensor, sizeOf } from "../tensor/host_tensor.ts";
import { fillKeepMask } from "../tensor/fill_keep_mask.ts";
import type { RandomKey } from "../tensor/random.ts";
import type { HostTensors } from "./executor.ts";

/** An output as far as it is known before the program runs. */
export interface OutputSignature {
  /** Its name. */
  readonly name: string;
  /** Element type. */
  readonly dtype: DType;
  /** Sizes in terms of the symbols of the inputs. */
  readonly shape: readonly SizeExpr[];
}

/** A random mask that an executor fills before every run. */
export interface MaskSignature {
  /** Name of the input that receives it. */
  readonly name: string;
  /** Which call of the program it is, from 0. */
  readonly site: number;
  /** Probability of a one. */
  readonly keepProb: number;
  /** Sizes in terms of the symbols of the inputs. */
  readonly shape: readonly SizeExpr[];
}

/** Inputs, outputs and random masks of a program that is ready to run. Plain data. */
export interface Signature {
  /** Used in messages. */
  readonly name: string;
  /** Inputs to be fed. A string as size is a symbol. */
  readonly inputs: Readonly<Record<string, ProgramInput>>;
  /** Outputs. */
  readonly outputs: readonly OutputSignature[];
  /** Random masks. */
  readonly masks: readonly MaskSignature[];
}

const show = (shape: readonly (number | string)[]): string => `[${shape.join(", ")}]`;

const isTensorOf = (t: HostTensor, dtype: DType): boolean =>
  t.dtype === dtype && t.data instanceof DTYPE_ARRAYS[dtype];

function fail(name: string, problems: readonly string[]): never {
  const n = problems.length;
  throw new ShapeError(
    `Cannot run ${name}: ${n} tensor${n === 1 ? " does" : "s do"} not fit\n  ` +
      problems.join("\n  "),
  );
}

/** A feed whose type or rank is wrong, in words; undefined if both are right. */
function mismatch(t: HostTensor, input: ProgramInput): string | undefined {
  const expected = `expected ${input.dtype} ${show(input.shape)}`;
  if (!isTensorOf(t, input.dtype)) {
    return `is ${t.dtype} ${show(t.shape)} in a ${t.data.constructor.name}, ${expected}`;
  }
  if (t.shape.length !== input.shape.length) return `is ${show(t.shape)}, ${expected}`;
  if (t.data.length !== sizeOf(t.shape)) {
    return `has ${t.data.length} elements but shape ${show(t.shape)}, ${expected}`;
  }
  return undefined;
}

/**
 * The value of every symbol under given inputs.
 *
 * @param signature What is expected
 * @param feeds What was given
 * @throws {ShapeError} If inputs are missing, unknown or misshapen, or disagree about a symbol; all
 *   of them are listed
 * @example
 * ```ts
 * import { bindSizes } from "./signature.ts";
 * import { hostTensor } from "../tensor/host_tensor.ts";
 * import { assertEquals } from "@std/assert";
 * const x = { dtype: "float32", shape: ["B", 2] } as const;
 * const signature = { name: "f", inputs: { x }, outputs: [], masks: [] };
 * const feeds = { x: hostTensor("float32", new Float32Array(6), [3, 2]) };
 * assertEquals(bindSizes(signature, feeds), { B: 3 });
 * ```
 */
export function bindSizes(signature: Signature, feeds: HostTensors): Sizes {
  const { name, inputs } = signature;
  const sizes: Record<string, number> = {}, from: Record<string, string> = {};
  const problems: string[] = [];
  for (const [input, spec] of Object.entries(inputs)) {
    const t = Object.hasOwn(feeds, input) ? feeds[input] : undefined;
    const wrong = t ? mismatch(t, spec) : `is missing, expected ${spec.dtype} ${show(spec.shape)}`;
    if (!t || wrong) {
      problems.push(`${input} ${wrong}`);
      continue;
    }
    spec.shape.forEach((d, axis) => {
      const got = t.shape[axis];
      const is = `${input} is ${show(t.shape)}, expected ${show(spec.shape)}`;
      if (typeof d === "number") {
        if (d !== got) problems.push(`${is}: axis ${axis} is ${got}`);
      } else if (!(d in sizes)) {
        sizes[d] = got;
        from[d] = input;
      } else if (sizes[d] !== got) {
        problems.push(`${is}: axis ${d} is ${sizes[d]} in ${from[d]} and ${got} here`);
      }
    });
  }
  for (const given of Object.keys(feeds)) {
    if (Object.hasOwn(inputs, given)) continue;
    const known = Object.keys(inputs).join(", ") || "none";
    problems.push(`${given} is no input; inputs are ${known}`);
  }
  if (problems.length) fail(name, problems);
  return sizes;
}

/**
 * Check buffers that a caller gave for outputs.
 *
 * @throws {ShapeError} If one is unknown or does not fit exactly; all of them are listed
 */
export function checkOutputs(signature: Signature, given: HostTensors, sizes: Sizes): void {
  const problems: string[] = [];
  for (const [output, t] of Object.entries(given)) {
    const spec = signature.outputs.find((o) => o.name === output);
    if (!spec) {
      const known = signature.outputs.map((o) => o.name).join(", ");
      problems.push(`${output} is no output; outputs are ${known}`);
      continue;
    }
    const shape = spec.shape.map((e) => evaluateSize(e, sizes));
    const symbols = show(spec.shape.map(formatSize));
    const fits = isTensorOf(t, spec.dtype) && t.shape.join() === shape.join() &&
      t.data.length === sizeOf(shape);
    if (!fits) {
      problems.push(
        `output buffer ${output} is ${t.dtype} ${show(t.shape)} of ${t.data.length} elements, ` +
          `expected ${spec.dtype} ${symbols} = ${show(shape)}`,
      );
    }
  }
  if (problems.length) fail(signature.name, problems);
}

/**
 * The stream a program draws from.
 *
 * @throws {DeepragError} If there is none
 */
export function requireRandom(name: string, random: RandomKey | undefined): RandomKey {
  if (random) return random;
  throw new DeepragError(
    `Cannot run ${name}: it draws random masks. Give the run a stream: { random: { seed, stream, step } }.`,
  );
}

/**
 * Inputs of a program that are left when some became constants, and the symbols those fix.
 *
 * @throws {ShapeError} If a constant is unknown, misshapen, or disagrees with another one about a
 *   symbol; all of them are listed
 */
export function withoutConstants(
  program: Program,
  constants: HostTensors,
): { inputs: Record<string, ProgramInput>; fixed: Record<string, number> } {
  const specs = Object.entries(program.inputs);
  const unknown = Object.keys(constants).filter((c) => !Object.hasOwn(program.inputs, c));
  if (unknown.length) fail(program.name, unknown.map((c) => `constant ${c} is no input`));
  const fixed = bindSizes({
    name: program.name,
    inputs: Object.fromEntries(specs.filter(([name]) => Object.hasOwn(constants, name))),
    outputs: [],
    masks: [],
  }, constants);
  const left = specs.filter(([name]) => !Object.hasOwn(constants, name));
  const inputs = left.map(([name, { dtype, shape }]) => [
    name,
    { dtype, shape: shape.map((d) => typeof d === "string" ? fixed[d] ?? d : d) },
  ]);
  return { inputs: Object.fromEntries(inputs), fixed: { ...fixed } };
}

/** Draws the random masks of runs, reusing their memory from one run to the next. */
export class MaskFiller {
  readonly #signature: Signature;
  readonly #free = new Map<string, Float32Array>();

  /** A filler for the masks of one program. */
  constructor(signature: Signature) {
    this.#signature = signature;
  }

  /** The masks of one run, by name of the input; give them back with `release`. */
  fill(sizes: Sizes, random: RandomKey | undefined): HostTensors {
    const { name, masks } = this.#signature;
    if (!masks.length) return {};
    const key = requireRandom(name, random);
    return Object.fromEntries(masks.map((mask) => {
      const shape = mask.shape.map((e) => evaluateSize(e, sizes));
      const size = sizeOf(shape);
      const held = this.#free.get(mask.name);
      this.#free.delete(mask.name);
      const buffer = held && held.length >= size ? held : new Float32Array(size);
      const data = fillKeepMask(buffer.subarray(0, size), key, mask.site, mask.keepProb);
      return [mask.name, { dtype: "float32", shape, data }];
    }));
  }

  /** Let the memory of masks be used again; call it when the run has ended. */
  release(masks: HostTensors): void {
    for (const [name, { data }] of Object.entries(masks)) {
      const { buffer, byteOffset } = data as Float32Array<ArrayBuffer>;
      this.#free.set(name, new Float32Array(buffer, byteOffset));
    }
  }
}
