/** What a command is: plain data and one function. One file of this folder holds one command. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import type { CommandIo } from "./io.ts";

/** A flag such as `--json` or `--top=5`. */
export interface Flag {
  /** Name without the dashes. */
  readonly name: string;
  /** What to call its value in the help; a flag without one is a switch. */
  readonly value?: string;
  /** What it does. */
  readonly description: string;
}

/** A command line to copy. */
export interface Example {
  /** What it does. */
  readonly text: string;
  /** The command and its arguments, as after `deno task`. */
  readonly line: string;
}

/** Words that are neither flags nor overrides. */
export interface Positional {
  /** What to call them in the help. */
  readonly name: string;
  /** What they mean. */
  readonly description: string;
}

/** What a command gets to see. */
export interface CommandContext {
  /** Values of the flags that were given: text, or `true` for a switch. */
  readonly flags: Readonly<Record<string, string | true>>;
  /** Words that are neither flags nor overrides. */
  readonly words: readonly string[];
  /** Where output goes. */
  readonly io: CommandIo;
  /**
   * The configuration of the command line. With `resolved`, such as the config.yaml of a run, the
   * overrides apply on top of that instead.
   *
   * @throws {ConfigError} With all problems
   */
  config(resolved?: { text: string; origin: string }): ResolvedConfig;
}

/** A command of the command line interface. */
export interface Command {
  /** What is typed. */
  readonly name: string;
  /** One line without a full stop. */
  readonly summary: string;
  /** What else a user should know, as whole sentences. */
  readonly details?: string;
  /** Whether it takes `--config-name` and overrides. */
  readonly takesConfig: boolean;
  /** What `--config-name` is where it is not given. Default: nothing but the defaults. */
  readonly defaultConfig?: string;
  /** Words it takes besides; none by default. */
  readonly positional?: Positional;
  /** Its own flags. */
  readonly flags: readonly Flag[];
  /** At least one. */
  readonly examples: readonly Example[];
  /**
   * Do it. Heavy modules are imported in here, so that `--help` stays fast.
   *
   * @returns The exit code where it is not 0
   */
  run(context: CommandContext): Promise<number | void>;
}
