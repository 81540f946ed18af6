/** The command line interface in a process of its own, which gets Ctrl-C when it is at work. */
import { join } from "@std/path";

const main = `
  import { runCli } from "${new URL("../../../src/command/run_cli.ts", import.meta.url)}";
  Deno.exit(await runCli(Deno.args));
`;

/** How it ended. */
export interface Interrupted {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/**
 * Run a command and interrupt it as soon as its messages hold a text.
 *
 * @param folder Where the script goes
 * @param sign What it prints when it is at work
 * @param args The command and its arguments
 */
export async function interruptCli(
  folder: string,
  sign: string,
  args: readonly string[],
): Promise<Interrupted> {
  const script = join(folder, "main.ts");
  await Deno.writeTextFile(script, main);
  const config = new URL("../../../deno.json", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--config", config, script, ...args],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let err = "", isKilled = false;
  const output = new Response(child.stdout).text();
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    err += chunk;
    if (!isKilled && err.includes(sign)) {
      isKilled = true;
      child.kill("SIGINT");
    }
  }
  return { code: (await child.status).code, out: await output, err };
}
