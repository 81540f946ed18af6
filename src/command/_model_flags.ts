import { UsageError } from "../errors.ts";
import type { DownloadProgress, FindModelOptions } from "../hub/mod.ts";
import type { ExportPrecision } from "../recipe/export_model.ts";
import type { CommandContext, Flag } from "./command.ts";

/** Flags of every command that takes a model. */
export const modelFlags: readonly Flag[] = [
  {
    name: "model",
    value: "folder|id",
    description:
      "A folder in Hugging Face layout, or a model of the Hub such as openai-community/gpt2.",
  },
  { name: "adapter", value: "folder", description: "Low-rank adapters of PEFT to merge into it." },
  {
    name: "revision",
    value: "name",
    description: "Branch, tag or commit on the Hub; main by default.",
  },
  { name: "offline", description: "Use the Hub's cache on this machine alone." },
];

type Flags = CommandContext["flags"];

/** Precisions of exported files, as they are typed. */
export const PRECISIONS: readonly ExportPrecision[] = ["float32", "float16", "int8"];

/** Whether a word is one of them. */
export const isPrecision = (word: string): word is ExportPrecision =>
  (PRECISIONS as readonly string[]).includes(word);

/** The value of `--model`. */
export function modelOf(command: string, flags: Flags): string {
  if (typeof flags.model === "string") return flags.model;
  throw new UsageError(
    `Cannot run ${command}: there is no model. Name one with --model=<folder or id>`,
  );
}

/** Fail if flags that need, or exclude, another one are given. */
export function refuseTogether(
  flags: Flags,
  names: readonly string[],
  reason: string,
): void {
  const given = names.find((name) => flags[name] !== undefined);
  if (given !== undefined) throw new UsageError(`Cannot take --${given}: ${reason}`);
}

/** A number behind a flag, or undefined. */
export function numberOf(
  flags: Flags,
  name: string,
  { least, most = Infinity, isWhole = true }: { least: number; most?: number; isWhole?: boolean },
): number | undefined {
  if (flags[name] === undefined) return undefined;
  const value = Number(flags[name]);
  const fits = Number.isFinite(value) && value >= least && value <= most &&
    (!isWhole || Number.isSafeInteger(value));
  if (fits) return value;
  const range = most === Infinity ? `from ${least} on` : `from ${least} to ${most}`;
  throw new UsageError(
    `Cannot take --${name}=${flags[name]}: it must be ${isWhole ? "a whole number" : "a number"} ` +
      range,
  );
}

/** What the Hub is told, with a line of progress for each file. */
export function hubOf({ flags, io }: Pick<CommandContext, "flags" | "io">): FindModelOptions {
  const shown = new Map<string, number>();
  const onProgress = ({ file, doneBytes, totalBytes }: DownloadProgress): void => {
    const tenth = totalBytes ? Math.floor(10 * doneBytes / totalBytes) : 0;
    if (shown.get(file) === tenth) return;
    shown.set(file, tenth);
    const mib = (bytes: number) => (bytes / 2 ** 20).toFixed(1);
    io.err(`${file}: ${mib(doneBytes)}${totalBytes ? ` of ${mib(totalBytes)}` : ""} MiB`);
  };
  return {
    ...typeof flags.revision === "string" && { revision: flags.revision },
    ...flags.offline && { offline: true },
    onProgress,
    onNote: (note) => io.err(note),
  };
}
