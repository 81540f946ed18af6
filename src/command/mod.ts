/** The command line interface. @module */
export type { Command, CommandContext, Example, Flag, Positional } from "./command.ts";
export {
  type Interrupt,
  type InterruptOptions,
  type InterruptSignal,
  onInterrupt,
} from "./interrupt.ts";
export type { CommandIo } from "./io.ts";
export { loadDataset } from "../recipe/load_dataset.ts";
export { terminalProgress, type TerminalProgressOptions } from "./progress.ts";
export { ExitCode, runCli, type RunCliOptions } from "./run_cli.ts";
export { VERSION } from "./version.ts";
