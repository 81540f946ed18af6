/**
 * Writes docs/usage.md from the help texts of the commands:
 *
 *     deno run -A docs/usage.ts
 *
 * @module
 */
import { commandHelp, programHelp } from "../src/command/help.ts";
import { commands } from "../src/command/registry.ts";

const plain = { bold: (text: string): string => text };

/** The page. */
export function usagePage(): string {
  const block = (text: string): string => "```text\n" + text + "\n```\n";
  return [
    "# Usage\n",
    "Written by `docs/usage.ts` from the help of the commands. Do not edit.\n",
    block(programHelp(commands, plain)),
    ...commands.flatMap((command) => [`## ${command.name}\n`, block(commandHelp(command, plain))]),
  ].join("\n");
}

if (import.meta.main) {
  Deno.writeTextFileSync(new URL("usage.md", import.meta.url), usagePage());
  console.log("wrote docs/usage.md");
}
