/** What an ONNX model declares about its inputs and outputs. @module */
import { ShapeError, TraceError } from "../errors.ts";
import { type HostTensor, sizeOf } from "../tensor/host_tensor.ts";
import type { OnnxOptions } from "./onnx_options.ts";
import type { ValueSpec } from "./onnx_proto.ts";
import type { RecordedInput, RecordedOutput } from "./recording.ts";
import { formatSize, type SizeExpr } from "./sizes.ts";

/** Inputs and outputs of a model by name. */
export interface Border {
  /** Name of the model, for messages. */
  readonly name: string;
  /** Inputs, constants included. */
  readonly inputs: readonly RecordedInput[];
  /** Outputs. */
  readonly outputs: readonly Pick<RecordedOutput, "name" | "dtype">[];
}

/**
 * Check that every constant fits its input.
 *
 * @throws {ShapeError} If one doesn't, or there is no such input
 */
export function checkConstants(
  { name: model, inputs }: Border,
  constants: Readonly<Record<string, HostTensor>>,
): void {
  const byName = new Map(inputs.map((i) => [i.name, i]));
  for (const [name, tensor] of Object.entries(constants)) {
    const input = byName.get(name);
    if (!input) throw new ShapeError(`Cannot use constant "${name}": ${model} has no such input`);
    const fits = input.dtype === tensor.dtype && input.shape.length === tensor.shape.length &&
      input.shape.every((d, i) => d === tensor.shape[i]) &&
      tensor.data.length === sizeOf(tensor.shape);
    if (!fits) {
      throw new ShapeError(
        `Cannot use constant "${name}": it is ${tensor.dtype} [${tensor.shape}], the input is ` +
          `${input.dtype} [${input.shape}]`,
      );
    }
  }
}

/**
 * Check that no name is used twice.
 *
 * @throws {TraceError} If an output has the name of an input
 */
export function checkNames({ name, inputs, outputs }: Border): void {
  const names = new Set(inputs.map((i) => i.name));
  const clash = outputs.find((o) => names.has(o.name));
  if (clash) {
    throw new TraceError(
      `Cannot export ${name}: "${clash.name}" names an input and an output. Rename one.`,
    );
  }
}

/**
 * The names that are int64 in the file.
 *
 * @throws {ShapeError} If one is no int32 input or output
 */
export function int64Names(border: Border, names: readonly string[] = []): Set<string> {
  const types = new Map([...border.inputs, ...border.outputs].map((v) => [v.name, v.dtype]));
  for (const name of names) {
    const dtype = types.get(name);
    if (dtype === "int32") continue;
    throw new ShapeError(
      dtype
        ? `Cannot write "${name}" as int64: it is ${dtype}. Only int32 can become int64.`
        : `Cannot write "${name}" as int64: ${border.name} has no such input or output to feed or read`,
    );
  }
  return new Set(names);
}

/** Writes sizes with the names that symbols have in the file. */
export class SymbolNames {
  readonly #names: ReadonlyMap<string, string>;
  readonly #isRenamed: boolean;

  /**
   * @param symbols All symbols of the model
   * @param symbolNames Their names in the file
   * @throws {ShapeError} If two symbols would have one name, or a name can't stand in an expression
   */
  constructor(symbols: Iterable<string>, symbolNames: OnnxOptions["symbolNames"]) {
    this.#isRenamed = symbolNames !== undefined;
    const wanted = new Map(Object.entries(symbolNames ?? {}));
    const names = new Map<string, string>(), seen = new Map<string, string>();
    for (const symbol of symbols) {
      const name = wanted.get(symbol) ?? symbol;
      if (wanted.has(symbol) && !/^[A-Za-z_][\w. ]*$/.test(name)) {
        throw new ShapeError(
          `Cannot name size ${symbol} "${name}": use letters, digits, _ and a letter in front`,
        );
      }
      const other = seen.get(name);
      if (other !== undefined && other !== symbol) {
        throw new ShapeError(
          `Cannot name sizes ${other} and ${symbol} both "${name}": they differ`,
        );
      }
      names.set(symbol, name);
      seen.set(name, symbol);
    }
    this.#names = names;
  }

  /** Whether a size of the file has this name. */
  has(name: string): boolean {
    return [...this.#names.values()].includes(name);
  }

  /** Sizes of an input. */
  dims(shape: readonly (number | string)[]): (number | string)[] {
    return shape.map((d) => typeof d === "string" ? this.#names.get(d) ?? d : d);
  }

  /**
   * Sizes of an output, such as `["batch_size", "past_sequence_length + 1"]`. Terms stand in the
   * order of the alphabet, so that equal sizes are equal texts.
   */
  exprs(shape: readonly SizeExpr[]): (number | string)[] {
    return shape.map((e) => {
      if (!e.terms.length) return e.constant;
      const terms = e.terms.map((t) => ({
        ...t,
        symbols: (this.dims(t.symbols) as string[]).sort(),
      })).sort((a, b) => a.symbols.join() < b.symbols.join() ? -1 : 1);
      const text = formatSize({ ...e, terms });
      return this.#isRenamed ? text.replaceAll(/(?<=.)[+-]/g, (sign) => ` ${sign} `) : text;
    });
  }
}

/** Declarations of the inputs that are fed. */
export function declareInputs(
  fed: readonly RecordedInput[],
  { symbols, int64 }: { symbols: SymbolNames; int64: ReadonlySet<string> },
): ValueSpec[] {
  return fed.map(({ name, dtype, shape }) => ({
    name,
    dtype: int64.has(name) ? "int64" : dtype,
    dims: symbols.dims(shape),
  }));
}

/** Declaration of an output under `name`. */
export function declareOutput(
  { name, dtype, shape }: RecordedOutput,
  { symbols, int64, as = name }: {
    symbols: SymbolNames;
    int64: ReadonlySet<string>;
    as?: string;
  },
): ValueSpec {
  return { name: as, dtype: int64.has(name) ? "int64" : dtype, dims: symbols.exprs(shape) };
}
