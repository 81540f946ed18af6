/** Help texts: for a terminal and, unchanged, for docs/usage.md. @module */
import type { Command, Flag } from "./command.ts";
import type { Styles } from "./io.ts";
import { flagsOf } from "./parse.ts";
import { VERSION } from "./version.ts";

const WIDTH = 92;
const RUN = "deno task";

/** Words folded at the width, each line after `indent` spaces. */
function fold(text: string, indent: number): string {
  const lines: string[] = [];
  for (const paragraph of text.split("\n")) {
    let line = "";
    for (const word of paragraph.split(" ")) {
      if (line && indent + line.length + 1 + word.length > WIDTH) {
        lines.push(line);
        line = word;
      } else line = line ? `${line} ${word}` : word;
    }
    lines.push(line);
  }
  return lines.map((line) => (line ? " ".repeat(indent) + line : "")).join("\n");
}

/** Two columns, the second folded. */
function columns(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  return rows.map(([left, right]) => `  ${left.padEnd(width)}${fold(right, width + 2).trimStart()}`)
    .join("\n");
}

const flagLabel = ({ name, value }: Flag): string =>
  name === "help" ? "-h, --help" : `--${name}${value ? `=${value}` : ""}`;

/**
 * The help of one command.
 *
 * @param command The command
 * @param styles How to set headings
 */
export function commandHelp(command: Command, styles: Pick<Styles, "bold">): string {
  const { name, summary, details, takesConfig, positional, examples } = command;
  const usage = [RUN, name, "[flags]"];
  if (takesConfig) usage.push("[key=value …]");
  if (positional) usage.push(positional.name);
  const parts = [
    `${styles.bold(name)}: ${summary}`,
    `${styles.bold("Usage")}\n  ${usage.join(" ")}`,
  ];
  if (details) parts.splice(1, 0, fold(details, 0));
  if (positional) {
    parts.push(`${styles.bold("Words")}\n${columns([[positional.name, positional.description]])}`);
  }
  const flags = flagsOf(command).map((flag) => [flagLabel(flag), flag.description] as const);
  parts.push(`${styles.bold("Flags")}\n${columns(flags)}`);
  if (takesConfig) {
    const overrides = columns([
      [
        "section=file",
        "Take configs/section/file.yaml for the section: data=synthetic, model=dsi_tiny.",
      ],
      ["section.key=value", "Set one key: training.max_steps=100. Wins over all files."],
    ]);
    parts.push(
      `${styles.bold("Configuration")}\n${overrides}\n` +
        fold("--print-config shows every key, docs/generated/configuration.md explains them.", 2),
    );
  }
  const lines = examples.map(({ text, line }) => `  # ${text}\n  ${RUN} ${line}`);
  parts.push(`${styles.bold(examples.length > 1 ? "Examples" : "Example")}\n${lines.join("\n")}`);
  return parts.join("\n\n");
}

/** The help of the whole program. */
export function programHelp(commands: readonly Command[], styles: Pick<Styles, "bold">): string {
  const rows = commands.map(({ name, summary }) => [name, summary] as const);
  return [
    `${styles.bold(`DeepRAG ${VERSION}`)}: retrieval by a model that is trained on your documents`,
    `${styles.bold("Usage")}\n  ${RUN} <command> [flags] [key=value …]\n` +
    `  deno run -A cli.ts <command> …    the same without the task`,
    `${styles.bold("Commands")}\n${columns(rows)}`,
    `${styles.bold("Flags")}\n` +
    columns([
      ["-h, --help", "Show this help; after a command, the help of that command."],
      ["--version", "Show the versions of DeepRAG and Deno."],
      ["--debug", "Show where in the code an error arose."],
    ]),
    fold("Exit code: 0 done, 1 failed, 2 bad input, 130 interrupted.", 0),
  ].join("\n\n");
}
