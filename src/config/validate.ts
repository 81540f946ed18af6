/** From nested keys to a configuration, or to the list of everything that is wrong with them. @module */
import { closestString } from "@std/text/closest-string";
import { ConfigError, type ConfigProblem } from "../errors.ts";
import { configKeys } from "./json_schema.ts";
import { relationProblems } from "./relations.ts";
import { configSchema } from "./schema.ts";
import { isTree, type LayeredTree, type Tree } from "./tree.ts";
import type { ResolvedConfig } from "./types.ts";

const lastName = (key: string): string => key.slice(key.lastIndexOf(".") + 1);

/** What to write instead of an unknown key. */
function unknownKeyMessage(key: string, family: unknown): string {
  const known = configKeys();
  const other = known.find((k) => k.key === key);
  if (other) return `is a key of the family ${other.family}, but model.family is ${family}`;
  const parent = key.slice(0, key.length - lastName(key).length);
  const usable = known.filter((k) => !k.family || k.family === family);
  const siblings = new Set(
    usable.filter((k) => k.key.startsWith(parent))
      .map((k) => parent + k.key.slice(parent.length).split(".")[0]),
  );
  const elsewhere = usable.find((k) => lastName(k.key) === lastName(key));
  const nearest = elsewhere?.key ?? closestString(key, [...siblings]);
  return `is no such key; did you mean ${nearest}?`;
}

function freeze<T>(value: T): T {
  if (typeof value === "object" && value !== null) {
    Object.values(value).forEach(freeze);
    Object.freeze(value);
  }
  return value;
}

/** A copy of `tree` without the keys at `paths`, so that what is left can be checked further. */
function without(tree: Tree, paths: readonly (readonly PropertyKey[])[]): Tree {
  const copy = structuredClone({ ...tree }) as Tree;
  for (const path of paths) {
    let node: unknown = copy;
    for (const name of path.slice(0, -1)) node = isTree(node) ? node[String(name)] : undefined;
    if (isTree(node)) delete node[String(path.at(-1))];
  }
  return copy;
}

/** Strings with `${`: interpolation, which other tools offer and this one does not. */
function interpolations(value: unknown, key: string): ConfigProblem[] {
  if (typeof value === "string" && value.includes("${")) {
    return [{ key, message: `holds "\${", but values cannot refer to other keys: write it out` }];
  }
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, v]) =>
    interpolations(v, key ? `${key}.${name}` : name)
  );
}

/**
 * Check nested keys against the schema.
 *
 * @param tree The merged layers
 * @param earlier Problems found while the layers were read; reported together with the rest
 * @throws {ConfigError} With every problem, its key path and where the key was set
 */
export function validateConfig(
  tree: LayeredTree,
  earlier: readonly ConfigProblem[] = [],
): ResolvedConfig {
  const parsed = configSchema.safeParse(tree.values);
  const problems: ConfigProblem[] = interpolations(tree.values, "");
  const bad: PropertyKey[][] = [];
  const family = isTree(tree.values.model) ? tree.values.model.family : undefined;
  for (const issue of parsed.error?.issues ?? []) {
    if (issue.code === "unrecognized_keys") {
      for (const name of issue.keys) {
        const key = [...issue.path, name].join(".");
        problems.push({ key, message: unknownKeyMessage(key, family) });
        bad.push([...issue.path, name]);
      }
    } else {
      problems.push({ key: issue.path.join("."), message: issue.message });
      bad.push([...issue.path]);
    }
  }
  const usable = parsed.success ? parsed : configSchema.safeParse(without(tree.values, bad));
  if (usable.success) {
    const suspects = [...bad.map((path) => path.join(".")), ...earlier.map(({ key }) => key)];
    problems.push(...relationProblems(usable.data, suspects));
  }
  const located = problems.map(({ key, message }) => {
    const origin = tree.originOf(key);
    return { key, message: origin ? `${message} (${origin})` : message };
  });
  const all = new Map([...earlier, ...located].map((p) => [`${p.key}\n${p.message}`, p]));
  if (all.size) throw new ConfigError([...all.values()]);
  return freeze(parsed.data as ResolvedConfig);
}
