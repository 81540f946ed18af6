/** Overrides as they are written on the command line. @module */
import { parse } from "@std/yaml";

/** `data=squad`: the file of a section. `data.path=/x`: the value of a key. */
export interface Override {
  /** Key path, in parts. */
  path: string[];
  /** What stands after the `=`, as written. */
  raw: string;
  /** The same read as YAML: a number, true, false, null, a list, or text. */
  value: unknown;
}

const SHAPE = /^\+{0,2}([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)=(.*)$/s;

/** Lists, sections and quoted text are YAML; of plain words only numbers, true, false and null are. */
function parseValue(raw: string): unknown {
  const text = raw.trim();
  const isNested = /^[[{"']/.test(text);
  let value: unknown;
  try {
    value = parse(text, { schema: "core" });
  } catch (error) {
    if (isNested) throw error;
    return raw;
  }
  const isPlain = typeof value === "number" || typeof value === "boolean" || value === null;
  return isNested || isPlain ? value : raw;
}

/** Does an argument look like an override rather than a question or a file name? */
export function isOverride(argument: string): boolean {
  return SHAPE.test(argument);
}

/**
 * Read one override. `+key=value` and `++key=value`, which Hydra uses to add keys, mean the same as
 * `key=value`: the schema decides which keys there are.
 *
 * @returns The override, or a sentence that says what is wrong with it
 * @example
 * ```ts
 * import { parseOverride } from "./override.ts";
 * import { assertEquals } from "@std/assert";
 * const override = parseOverride("training.learning_rate=1e-3");
 * assertEquals(override, {
 *   path: ["training", "learning_rate"],
 *   raw: "1e-3",
 *   value: 0.001,
 * });
 * ```
 */
export function parseOverride(argument: string): Override | string {
  const match = SHAPE.exec(argument);
  if (!match) {
    if (argument.startsWith("~")) return "keys cannot be removed; set the key to null instead";
    return "is not an override: write section.key=value, such as training.max_steps=10";
  }
  try {
    return { path: match[1].split("."), raw: match[2], value: parseValue(match[2]) };
  } catch (error) {
    const reason = error instanceof Error ? error.message.split("\n")[0] : String(error);
    return `has a value that is not YAML: ${reason}`;
  }
}
