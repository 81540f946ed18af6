/**
 * Composition in the manner of Hydra: files choose a file per section and set keys, the command
 * line does the same after them, and whatever nobody sets has the default of the schema.
 *
 * @module
 */
import { closestString } from "@std/text/closest-string";
import { parse, stringify } from "@std/yaml";
import { ConfigError, type ConfigProblem } from "../errors.ts";
import { type Override, parseOverride } from "./override.ts";
import { sectionNames } from "./schema.ts";
import { type ConfigSource, configSource } from "./source.ts";
import { isTree, LayeredTree, type Tree } from "./tree.ts";
import type { ResolvedConfig } from "./types.ts";
import { validateConfig } from "./validate.ts";

/** What to compose. */
export interface ComposeOptions {
  /** Configuration file by name, such as `train/dsi_pretrain`. */
  configName?: string;
  /** A resolved configuration to start from instead, such as that of a run: its YAML and its path. */
  resolved?: { text: string; origin: string };
  /** Overrides such as `data=synthetic` and `training.max_steps=10`; they win over all files. */
  overrides?: readonly string[];
  /** Folder of the user's own files, searched before the built-in ones. */
  configDir?: string;
}

const COMMAND_LINE = "command line";
const NAME = /^[\w-]+(\/[\w-]+)*$/;

class Composer {
  readonly tree = new LayeredTree();
  readonly problems: ConfigProblem[] = [];
  readonly #source: ConfigSource;
  readonly #open: string[] = [];

  constructor(source: ConfigSource) {
    this.#source = source;
  }

  /** Replace a section by the file of that name. */
  choose(section: string, name: string, origin: string): void {
    this.tree.clear(section);
    this.#readFile(`${section}/${name}`, { section, key: section, origin });
  }

  /** Merge a whole configuration file. */
  readRoot(name: string, origin: string): void {
    this.#readFile(name, { key: origin === COMMAND_LINE ? "--config-name" : "defaults", origin });
  }

  /** Merge a text that stands for a whole configuration, such as a run's config.yaml. */
  readText(text: string, origin: string): void {
    const keys = this.#parse(text, origin);
    if (keys) this.tree.merge(keys, origin);
  }

  /** Merge the command line: choices of files first, then single keys. */
  applyOverrides(overrides: readonly string[]): void {
    const layer: Tree = {};
    for (const argument of overrides) {
      const override = parseOverride(argument);
      if (typeof override === "string") {
        this.problems.push({ key: argument, message: override });
      } else if (isChoice(override)) {
        this.choose(override.path[0], override.value as string, COMMAND_LINE);
      } else {
        setIn(layer, override);
      }
    }
    this.tree.merge(layer, COMMAND_LINE);
  }

  #readFile(name: string, from: { section?: string; key: string; origin: string }): void {
    const { section, key, origin } = from;
    const file = NAME.test(name) ? this.#source.read(name) : undefined;
    if (!file) {
      this.problems.push({ key, message: `${this.#missing(name, section)} (${origin})` });
      return;
    }
    if (this.#open.includes(name)) {
      const circle = [...this.#open.slice(this.#open.indexOf(name)), name].join(" -> ");
      this.problems.push({ key: "defaults", message: `go in a circle: ${circle}` });
      return;
    }
    const { defaults, ...keys } = this.#parse(file.text, file.origin) ?? {};
    this.#open.push(name);
    this.#readDefaults(defaults, file.origin, section);
    this.#open.pop();
    this.tree.merge(keys, file.origin, section ? [section] : []);
  }

  /** The files named in a `defaults:` list, in order. */
  #readDefaults(defaults: unknown, origin: string, section?: string): void {
    const entries = Array.isArray(defaults) ? defaults : defaults === undefined ? [] : [defaults];
    for (const entry of entries) {
      if (typeof entry === "string") {
        if (section) this.#readFile(`${section}/${entry}`, { section, key: section, origin });
        else this.readRoot(entry, origin);
        continue;
      }
      const pairs = isTree(entry) ? Object.entries(entry) : [];
      const [name, file] = pairs[0] ?? [];
      if (pairs.length !== 1 || typeof file !== "string" || section || !isSection(name)) {
        this.problems.push({
          key: "defaults",
          message: `has an entry that is neither a file name nor <section>: <file>: ` +
            `${JSON.stringify(entry)} (${origin})`,
        });
      } else {
        this.choose(name, file, origin);
      }
    }
  }

  #parse(text: string, origin: string): Tree | undefined {
    try {
      const value = parse(text, { schema: "core" }) ?? {};
      if (isTree(value)) return value;
      this.problems.push({ key: origin, message: "is not a mapping of keys to values" });
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.problems.push({ key: origin, message: `is not YAML: ${reason.trim()}` });
    }
    return undefined;
  }

  /** What to say when there is no file of a name: the nearest one, and all there are. */
  #missing(name: string, section?: string): string {
    const wanted = section ? name.slice(section.length + 1) : name;
    if (section && /[\\/.]/.test(wanted)) {
      return `takes the name of a file, is "${wanted}"; for a folder write ${section}.path=<folder>`;
    }
    const folder = name.slice(0, Math.max(0, name.lastIndexOf("/")));
    const there = section
      ? this.#source.list(section)
      : [...new Set(["train", folder])].flatMap((sub) =>
        sub ? this.#source.list(sub).map((file) => `${sub}/${file}`) : []
      );
    const nearest = there.length ? `; did you mean ${closestString(wanted, there)}?` : "";
    return `there is no file ${name}.yaml${nearest} (there are: ${there.join(", ") || "none"})`;
  }
}

const isSection = (name: string | undefined): name is string =>
  name !== undefined && sectionNames.includes(name);

/** `data=squad` chooses a file; `data={name: x}` and `seed=3` set keys. */
function isChoice({ path, value }: Override): boolean {
  return path.length === 1 && isSection(path[0]) && typeof value === "string";
}

function setIn(tree: Tree, { path, value }: Override): void {
  let node = tree;
  for (const name of path.slice(0, -1)) {
    if (!isTree(node[name])) node[name] = {};
    node = node[name] as Tree;
  }
  node[path.at(-1)!] = value;
}

function checkFolder(configDir: string | undefined): void {
  if (configDir === undefined) return;
  try {
    if (Deno.statSync(configDir).isDirectory) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new ConfigError([{ key: "--config-dir", message: `there is no folder ${configDir}` }]);
}

/**
 * Compose and check a configuration. Later layers win:
 *
 * 1. the defaults of the schema,
 * 2. `defaults.yaml`, which chooses a file for `data`, `model` and `docid`,
 * 3. the file `configName`: first its `defaults:` list, then its own keys,
 * 4. the overrides: first the chosen files (`model=dsi_tiny`), then single keys (`seed=3`).
 *
 * Choosing a file for a section replaces the whole section; keys merge into it.
 *
 * @throws {ConfigError} With every problem of every layer, its key path and where it was set
 * @example
 * ```ts
 * import { composeConfig } from "./compose.ts";
 * import { assertEquals } from "@std/assert";
 * const config = composeConfig({
 *   configName: "train/dsi_pretrain",
 *   overrides: ["data=synthetic", "model=dsi_small", "training.max_steps=10"],
 * });
 * assertEquals(config.training.max_steps, 10);
 * assertEquals(config.data.format, "synthetic");
 * ```
 */
export function composeConfig(options: ComposeOptions = {}): ResolvedConfig {
  const { configName, resolved, overrides = [], configDir } = options;
  checkFolder(configDir);
  const composer = new Composer(configSource(configDir));
  if (resolved) composer.readText(resolved.text, resolved.origin);
  else {
    composer.readRoot("defaults", "built-in");
    if (configName !== undefined) composer.readRoot(configName, COMMAND_LINE);
  }
  composer.applyOverrides(overrides);
  return validateConfig(composer.tree, composer.problems);
}

/**
 * A configuration as YAML that {@linkcode composeConfig} reads back to the same values.
 *
 * @example
 * ```ts
 * import { composeConfig, printConfig } from "./compose.ts";
 * import { assertEquals } from "@std/assert";
 * const config = composeConfig({ overrides: ["seed=7"] });
 * const text = printConfig(config);
 * assertEquals(composeConfig({ resolved: { text, origin: "config.yaml" } }), config);
 * ```
 */
export function printConfig(config: ResolvedConfig): string {
  return stringify(config, { schema: "core", lineWidth: -1 });
}
