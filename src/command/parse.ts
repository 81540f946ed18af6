/** From the words of a command line to flags, overrides and other words. @module */
import { parseArgs } from "@std/cli/parse-args";
import { closestString } from "@std/text/closest-string";
import { isOverride } from "../config/mod.ts";
import { UsageError } from "../errors.ts";
import type { Command, Flag } from "./command.ts";

/** Flags that every command has. */
export const commonFlags: readonly Flag[] = [
  { name: "help", description: "Show this help." },
  { name: "debug", description: "Show where in the code an error arose." },
];

/** Flags of commands that take a configuration. */
export const configFlags: readonly Flag[] = [
  {
    name: "config-name",
    value: "NAME",
    description: "Start from configs/NAME.yaml, such as train/dsi_pretrain.",
  },
  {
    name: "config-dir",
    value: "FOLDER",
    description: "Look for configuration files here first.",
  },
  {
    name: "print-config",
    description: "Print the whole configuration as YAML and do nothing else.",
  },
];

/** A command line that has been read. */
export interface CommandLine {
  /** Flags that were given: text, or `true` for a switch. */
  flags: Record<string, string | true>;
  /** `key=value` words of a command that takes a configuration. */
  overrides: string[];
  /** All other words. */
  words: string[];
}

/** All flags of a command, its own first. */
export function flagsOf(command: Command): Flag[] {
  return [...command.flags, ...(command.takesConfig ? configFlags : []), ...commonFlags];
}

function unknownFlag(command: Command, flag: string): UsageError {
  const name = flag.replace(/^-+/, "").replace(/=.*$/s, "");
  const bare = flag.replace(/^-+/, "");
  const remedy = command.takesConfig && (name.includes(".") || isOverride(bare))
    ? `write ${bare} without dashes`
    : `did you mean --${closestString(name, flagsOf(command).map((f) => f.name))}?`;
  return new UsageError(`Cannot run ${command.name}: it has no flag --${name}; ${remedy}`);
}

/**
 * Read the words that follow the name of a command. What stands after `--` is never a flag or an
 * override.
 *
 * @throws {UsageError} If a flag is unknown or lacks its value, or there are words it does not take
 */
export function parseCommandLine(command: Command, args: readonly string[]): CommandLine {
  const known = flagsOf(command);
  const isValued = (flag: Flag): boolean => flag.value !== undefined;
  const parsed = parseArgs(args, {
    string: ["_", ...known.filter(isValued).map((flag) => flag.name)],
    boolean: known.filter((flag) => !isValued(flag)).map((flag) => flag.name),
    collect: known.filter(isValued).map((flag) => flag.name),
    alias: { help: "h" },
    "--": true,
    unknown: (word: string, key?: string) => {
      if (key !== undefined) throw unknownFlag(command, word);
      return true;
    },
  });
  const flags: Record<string, string | true> = {};
  for (const { name, value } of known) {
    const given: unknown = value === undefined ? parsed[name] : parsed[name][0];
    if (given === "") {
      throw new UsageError(
        `Cannot run ${command.name}: --${name} needs a value, as in ` +
          `--${name}=${value}`,
      );
    }
    if (value !== undefined && parsed[name].length > 1) {
      throw new UsageError(`Cannot run ${command.name}: --${name} is given more than once`);
    }
    if (given === true || typeof given === "string") flags[name] = given;
  }
  const overrides: string[] = [];
  const words: string[] = [];
  for (const word of parsed._.map(String)) {
    // Without other words to take, everything is an override: a wrong one is reported with the rest.
    const goesToConfig = command.takesConfig && (isOverride(word) || !command.positional);
    (goesToConfig ? overrides : words).push(word);
  }
  words.push(...(parsed["--"] ?? []));
  if (!command.positional && words.length) {
    throw new UsageError(`Cannot run ${command.name}: it takes no words such as "${words[0]}"`);
  }
  return { flags, overrides, words };
}
