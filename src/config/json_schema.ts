/** JSON Schema of the YAML files, for editors, and the list of all keys read from it. @module */
import { z } from "zod";
import { configSchema } from "./schema.ts";

/** The parts of JSON Schema that occur here. */
export interface JsonSchema {
  /** What the key means. */
  description?: string;
  /** JSON type. */
  type?: string;
  /** Keys of a section. */
  properties?: Record<string, JsonSchema>;
  /** Alternatives: a value or null, or the families of a model. */
  anyOf?: JsonSchema[];
  /** Words that are allowed. */
  enum?: unknown[];
  /** The only value that is allowed. */
  const?: unknown;
  /** Value when the key is not set. */
  default?: unknown;
  /** Smallest number. */
  minimum?: number;
  /** Largest number. */
  maximum?: number;
  /** Elements of a list. */
  items?: JsonSchema;
  /** Everything else. */
  [keyword: string]: unknown;
}

/** Keys may be left out of a file, and a half-written file fits either family: relax both. */
function relax(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(relax);
  if (node === null || typeof node !== "object") return node;
  const entries = Object.entries(node)
    .filter(([key]) => key !== "required" && key !== "$schema")
    .map(([key, value]) => [key === "oneOf" ? "anyOf" : key, relax(value)]);
  return Object.fromEntries(entries);
}

/** A `defaults:` list: files that are read before the keys of this one. */
const defaultsList = (isGroup: boolean): JsonSchema => ({
  description: isGroup
    ? "Files of the same folder that are read before this one."
    : "Files that are read before the keys of this one: `- data: synthetic` chooses " +
      "data/synthetic.yaml for the section, `- train/base` reads a whole configuration.",
  type: "array",
  items: isGroup ? { type: "string" } : {
    anyOf: [
      { type: "string" },
      { type: "object", additionalProperties: { type: "string" }, maxProperties: 1 },
    ],
  },
});

/**
 * JSON Schema of the configuration files. The root describes a whole configuration; `#/$defs/data`
 * and its like describe the file of one section. Every key may be left out.
 *
 * @example
 * ```ts
 * import { configJsonSchema } from "./json_schema.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(configJsonSchema().properties!.seed.default, 1);
 * ```
 */
export function configJsonSchema(): JsonSchema {
  const root = relax(z.toJSONSchema(configSchema, { io: "input" })) as JsonSchema;
  const $defs: Record<string, JsonSchema> = {};
  for (const [name, node] of Object.entries(root.properties!)) {
    const isSection = node.properties || node.anyOf?.some((branch) => branch.properties);
    if (!isSection) continue;
    $defs[name] = structuredClone(node);
    for (const branch of $defs[name].anyOf ?? [$defs[name]]) {
      branch.properties = { defaults: defaultsList(true), ...branch.properties };
    }
    delete $defs[name].default;
    // Editors add to a definition the keywords of the root that it does not have itself; those of
    // the root do not fit here.
    if ($defs[name].anyOf) {
      Object.assign($defs[name], { type: "object", properties: {}, additionalProperties: true });
    }
    root.properties![name] = { ...node };
    delete root.properties![name].default;
  }
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "DeepRAG configuration",
    ...root,
    properties: { defaults: defaultsList(false), ...root.properties },
    $defs,
  };
}

/** One key that can be set. */
export interface ConfigKey {
  /** Dotted path, such as `training.mix.span`. */
  key: string;
  /** What it means. */
  description: string;
  /** What it may be, in words, such as `a whole number from 1 to 64`. */
  allowed: string;
  /** Value when nobody sets it; `undefined` where it must be set. */
  preset: unknown;
  /** The family of model the key belongs to, where it belongs to one. */
  family?: string;
}

function allowedValues(node: JsonSchema): string {
  const branches = node.anyOf;
  if (branches) return branches.map(allowedValues).join(" or ");
  if (node.const !== undefined) return String(node.const);
  if (node.enum) return node.enum.join(", ");
  if (node.type === "integer" || node.type === "number") {
    const kind = node.type === "integer" ? "whole number" : "number";
    return `${kind} from ${node.minimum} to ${node.maximum}`;
  }
  if (node.items) return `list of ${allowedValues(node.items).replace("number", "numbers")}`;
  return { string: "text", boolean: "true or false" }[node.type!] ?? node.type!;
}

function walk(node: JsonSchema, path: string, family: string | undefined, keys: ConfigKey[]): void {
  for (const [name, child] of Object.entries(node.properties ?? {})) {
    if (name === "defaults") continue;
    const key = path ? `${path}.${name}` : name;
    const variants = child.anyOf?.filter((branch) => branch.properties) ?? [];
    if (child.properties) walk(child, key, family, keys);
    else if (variants.length) {
      for (const branch of variants) {
        walk(branch, key, String(branch.properties!.family.const), keys);
      }
    } else {
      keys.push({
        key,
        description: child.description ?? "",
        allowed: allowedValues(child),
        preset: child.default,
        family,
      });
    }
  }
}

/** Every key that can be set, in the order of the schema. */
export function configKeys(): ConfigKey[] {
  const keys: ConfigKey[] = [];
  walk(configJsonSchema(), "", undefined, keys);
  return keys;
}
