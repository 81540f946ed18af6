/** Where configuration files are found: the user's folder, this package's, or the built-in copies. @module */
import { dirname, fromFileUrl, join } from "@std/path";
import { builtinConfigs } from "./builtin.ts";

/** A configuration file. */
export interface ConfigFile {
  /** What to call it in messages. */
  origin: string;
  /** The YAML. */
  text: string;
}

/** Reads configuration files by name, such as `train/dsi_pretrain`. */
export interface ConfigSource {
  /** The file, or `undefined` where there is none. */
  read(name: string): ConfigFile | undefined;
  /** Names of all files in a folder, such as `data`, without the folder; sorted. */
  list(folder: string): string[];
}

function folderSource(folder: string, label: string): ConfigSource {
  return {
    read(name: string): ConfigFile | undefined {
      try {
        const text = Deno.readTextFileSync(join(folder, `${name}.yaml`));
        return { origin: `${label}/${name}.yaml`, text };
      } catch (error) {
        if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
          return undefined;
        }
        throw error;
      }
    },
    list(sub: string): string[] {
      try {
        return [...Deno.readDirSync(join(folder, sub))]
          .filter((entry) => !entry.isDirectory && entry.name.endsWith(".yaml"))
          .map((entry) => entry.name.slice(0, -".yaml".length));
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return [];
        throw error;
      }
    },
  };
}

const builtinSource: ConfigSource = {
  read(name: string): ConfigFile | undefined {
    const text = Object.hasOwn(builtinConfigs, name) ? builtinConfigs[name] : undefined;
    return text === undefined ? undefined : { origin: `built-in ${name}.yaml`, text };
  },
  list(folder: string): string[] {
    return Object.keys(builtinConfigs)
      .filter((name) => name.startsWith(`${folder}/`))
      .map((name) => name.slice(folder.length + 1));
  },
};

/**
 * All places in the order in which they are searched: `configDir`, the `configs/` folder beside the
 * code where the code is a local file, the copies built into it.
 *
 * @param configDir The user's own folder
 * @param moduleUrl Where this code was loaded from
 */
export function configSource(
  configDir?: string,
  moduleUrl: string = import.meta.url,
): ConfigSource {
  const sources = [builtinSource];
  if (moduleUrl.startsWith("file:")) {
    const root = dirname(dirname(dirname(fromFileUrl(moduleUrl))));
    sources.unshift(folderSource(join(root, "configs"), "configs"));
  }
  if (configDir !== undefined) sources.unshift(folderSource(configDir, configDir));
  return {
    read(name: string): ConfigFile | undefined {
      for (const source of sources) {
        const file = source.read(name);
        if (file) return file;
      }
      return undefined;
    },
    list: (folder: string): string[] =>
      [...new Set(sources.flatMap((source) => source.list(folder)))].sort(),
  };
}
