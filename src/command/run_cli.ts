/** The command line interface: from words to an exit code. @module */
import { closestString } from "@std/text/closest-string";
import { composeConfig, printConfig } from "../config/mod.ts";
import {
  CheckpointError,
  ConfigError,
  DataError,
  DeepragError,
  ShapeError,
  UsageError,
} from "../errors.ts";
import type { Command } from "./command.ts";
import { commandHelp, programHelp } from "./help.ts";
import { type CommandIo, processIo, stylesFor } from "./io.ts";
import { parseCommandLine } from "./parse.ts";
import { commands as allCommands } from "./registry.ts";
import { VERSION } from "./version.ts";

/** What a command line can end with. */
export const ExitCode = {
  /** Done. */
  done: 0,
  /** Something went wrong that the user's input is not to blame for. */
  failed: 1,
  /** Configuration, data, files or command line are wrong. */
  badInput: 2,
  /** Stopped by Ctrl-C. */
  interrupted: 130,
  /** The reader of our output went away, as `head` does. */
  brokenPipe: 141,
} as const;

const inputErrors = [UsageError, ConfigError, DataError, ShapeError, CheckpointError];

/** Surroundings of {@linkcode runCli}; the defaults are those of the process. */
export interface RunCliOptions {
  /** Where output goes. */
  io?: CommandIo;
  /** Commands to choose from. */
  commands?: readonly Command[];
}

function reportError(error: unknown, io: CommandIo, isDebug: boolean): number {
  if (error instanceof Deno.errors.BrokenPipe) return ExitCode.brokenPipe;
  const styles = stylesFor(io);
  const isOurs = error instanceof DeepragError;
  const message = error instanceof Error ? error.message : String(error);
  const name = error instanceof Error && !isOurs ? `${error.name}: ` : "";
  io.err(`${styles.red("error")}: ${name}${message}`);
  if (isDebug) {
    let cause: unknown = error;
    for (let prefix = ""; cause instanceof Error; prefix = "Caused by: ", cause = cause.cause) {
      io.err(styles.dim(prefix + (cause.stack ?? cause.message)));
    }
  } else if (!isOurs) {
    io.err(styles.dim("This is not an error we foresaw. --debug shows where it arose."));
  }
  return inputErrors.some((type) => error instanceof type) ? ExitCode.badInput : ExitCode.failed;
}

function findCommand(name: string, commands: readonly Command[]): Command {
  const command = commands.find((c) => c.name === name);
  if (command) return command;
  const nearest = closestString(name, commands.map((c) => c.name));
  throw new UsageError(
    `Cannot run ${name}: there is no such command; did you mean ${nearest}? ` +
      "--help lists all commands",
  );
}

async function runCommand(
  command: Command,
  args: readonly string[],
  io: CommandIo,
): Promise<number> {
  const { flags, overrides, words } = parseCommandLine(command, args);
  if (flags.help) {
    io.out(commandHelp(command, stylesFor(io)));
    return ExitCode.done;
  }
  const text = (name: string): string | undefined =>
    typeof flags[name] === "string" ? flags[name] : undefined;
  const layers = {
    configName: text("config-name") ?? command.defaultConfig,
    configDir: text("config-dir"),
    overrides,
  };
  if (flags["print-config"]) {
    io.out(printConfig(composeConfig(layers)).trimEnd());
    return ExitCode.done;
  }
  const code = await command.run({
    flags,
    words,
    io,
    config: (resolved) => composeConfig({ ...layers, resolved }),
  });
  return code ?? ExitCode.done;
}

/**
 * Run a command line. Errors are written, not thrown.
 *
 * @param args Words after the name of the program
 * @returns The exit code: 0 done, 1 failed, 2 bad input, 130 interrupted
 * @example
 * ```ts
 * import { runCli } from "./run_cli.ts";
 * import { assertEquals } from "@std/assert";
 * const lines: string[] = [];
 * const io = {
 *   out: (text: string) => void lines.push(text),
 *   outRaw: () => {},
 *   err: () => {},
 *   errRaw: () => {},
 *   isTerminal: false,
 *   hasColor: false,
 *   columns: 80,
 * };
 * assertEquals(await runCli(["--version"], { io }), 0);
 * assertEquals(lines[0].startsWith("DeepRAG "), true);
 * ```
 */
export async function runCli(
  args: readonly string[],
  options: RunCliOptions = {},
): Promise<number> {
  const { io = processIo(), commands = allCommands } = options;
  const isDebug = args.includes("--debug");
  try {
    const [first, ...rest] = args[0] === "--debug" ? args.slice(1) : args;
    const asksForHelp = first === undefined || ["help", "--help", "-h"].includes(first);
    if (asksForHelp) {
      const name = rest.find((word) => !word.startsWith("-"));
      const help = name
        ? commandHelp(findCommand(name, commands), stylesFor(io))
        : programHelp(commands, stylesFor(io));
      (first === undefined ? io.err : io.out)(help);
      return first === undefined ? ExitCode.badInput : ExitCode.done;
    }
    if (first === "--version") {
      io.out(`DeepRAG ${VERSION} (Deno ${Deno.version.deno}, V8 ${Deno.version.v8})`);
      return ExitCode.done;
    }
    return await runCommand(findCommand(first, commands), rest, io);
  } catch (error) {
    return reportError(error, io, isDebug);
  }
}
