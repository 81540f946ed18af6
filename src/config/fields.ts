/** Builders of schema fields: each has a default, a description and a message that names its range. @module */
import { z } from "zod";

/** A value as a person would write it on the command line. */
export function show(value: unknown): string {
  if (value === undefined) return "missing";
  return typeof value === "number" ? String(value) : JSON.stringify(value);
}

/** `error` option of a zod check: one sentence for every way in which the value is wrong. */
function expected(what: string): { error: (issue: { input?: unknown }) => string } {
  return { error: ({ input }) => `must be ${what}, is ${show(input)}` };
}

/** Range and default of a number. */
export interface NumberField {
  /** Smallest allowed value. */
  min: number;
  /** Largest allowed value. */
  max: number;
  /** Value when nobody sets the key. */
  preset: number;
}

function bounded(field: Omit<NumberField, "preset">, isWhole: boolean): z.ZodNumber {
  const { min, max } = field;
  const says = expected(`a ${isWhole ? "whole " : ""}number from ${min} to ${max}`);
  const number = z.number(says).min(min, says).max(max, says);
  return isWhole ? number.int(says) : number;
}

/** A whole number within a range. */
export function whole(description: string, field: NumberField): z.ZodDefault<z.ZodNumber> {
  return bounded(field, true).default(field.preset).describe(description);
}

/** A real number within a range. */
export function real(description: string, field: NumberField): z.ZodDefault<z.ZodNumber> {
  return bounded(field, false).default(field.preset).describe(description);
}

/** A whole number within a range, or null, which is the default. */
export function optionalWhole(
  description: string,
  { preset = null, ...field }: Omit<NumberField, "preset"> & { preset?: number | null },
): z.ZodDefault<z.ZodNullable<z.ZodNumber>> {
  return bounded(field, true).nullable().default(preset).describe(description);
}

/** A list of real numbers within a range, at least one. */
export function reals(
  description: string,
  field: { min: number; max: number; preset: readonly number[] },
): z.ZodDefault<z.ZodArray<z.ZodNumber>> {
  const { min, max, preset } = field;
  return z.array(bounded({ min, max }, false), expected(`a list such as [${preset.join(", ")}]`))
    .min(1, expected("a list of at least one number")).default([...preset]).describe(description);
}

/** A positive real number within a range, or null, which is the default. */
export function optionalReal(
  description: string,
  field: Omit<NumberField, "preset">,
): z.ZodDefault<z.ZodNullable<z.ZodNumber>> {
  return bounded(field, false).nullable().default(null).describe(description);
}

/** `true` or `false`. */
export function toggle(description: string, preset: boolean): z.ZodDefault<z.ZodBoolean> {
  return z.boolean(expected("true or false")).default(preset).describe(description);
}

/** One of several words. */
export function choice<const W extends readonly [string, ...string[]]>(
  description: string,
  words: W,
  preset: W[number],
): z.ZodDefault<z.ZodEnum<{ [K in W[number]]: K }>> {
  const says = expected(`one of ${words.join(", ")}`);
  return z.enum(words, says).default(preset as never).describe(description);
}

const says = {
  text: {
    error: ({ input }: { input?: unknown }): string =>
      `must be text, is ${show(input)}` +
      (typeof input === "number" || typeof input === "boolean" ? ` (write '"${input}"')` : ""),
  },
};

/** Text that is not empty. */
export function text(description: string, preset: string): z.ZodDefault<z.ZodString> {
  return z.string(says.text).min(1, expected("text that is not empty")).default(preset)
    .describe(description);
}

/** Text that is not empty, or null, which is the default. */
export function optionalText(description: string): z.ZodDefault<z.ZodNullable<z.ZodString>> {
  return z.string(says.text).min(1, expected("text that is not empty (or null)")).nullable()
    .default(null).describe(description);
}

/** A section: only the given keys. Unknown keys are reported by {@linkcode z.strictObject} as such. */
export function section<S extends z.core.$ZodLooseShape>(
  description: string,
  shape: S,
): z.ZodObject<S, z.core.$strict> {
  return z.strictObject(shape, {
    error: ({ code, input }) =>
      code === "unrecognized_keys" ? undefined : `must be a section with keys, is ${show(input)}`,
  }).describe(description);
}
