/** A configuration while it is being put together: nested keys, and where each of them came from. @module */

/** Nested keys. Deno has no `__proto__` accessor, so no key can reach a prototype. */
export interface Tree {
  /** A section, a list or a plain value. */
  [key: string]: unknown;
}

/** Is `value` a section rather than a list or a plain value? */
export function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Values and their origins, merged layer by layer. */
export class LayeredTree {
  /** What has been merged so far. */
  readonly values: Tree = {};
  readonly #origins = new Map<string, string>();

  /**
   * Set every leaf of `layer`. Sections merge, lists and plain values replace. A model of another
   * family replaces the model, because the families share no keys.
   *
   * @param layer Keys to set
   * @param origin What to call the layer in messages
   * @param path Section to merge into; empty for the root
   */
  merge(layer: Tree, origin: string, path: readonly string[] = []): void {
    let target = this.values;
    for (const name of path) {
      if (!isTree(target[name])) target[name] = {};
      target = target[name] as Tree;
    }
    this.#mergeInto(target, layer, path.join("."), origin);
  }

  /** Forget everything under a section. */
  clear(section: string): void {
    delete this.values[section];
    for (const key of [...this.#origins.keys()]) {
      if (key === section || key.startsWith(`${section}.`)) this.#origins.delete(key);
    }
  }

  /** Where a key, or else the nearest section around it, was set. */
  originOf(key: string): string | undefined {
    for (let path = key; path; path = path.slice(0, Math.max(0, path.lastIndexOf(".")))) {
      const origin = this.#origins.get(path);
      if (origin) return origin;
    }
    return undefined;
  }

  #mergeInto(target: Tree, layer: Tree, path: string, origin: string): void {
    if (path === "model" && "family" in layer && layer.family !== target.family) {
      for (const key of Object.keys(target)) delete target[key];
    }
    for (const [name, value] of Object.entries(layer)) {
      const key = path ? `${path}.${name}` : name;
      if (!isTree(value)) {
        target[name] = value;
        this.#origins.set(key, origin);
        continue;
      }
      if (!isTree(target[name])) {
        target[name] = {};
        this.#origins.set(key, origin);
      }
      this.#mergeInto(target[name] as Tree, value, key, origin);
    }
  }
}
