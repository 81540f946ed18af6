/** The command line interface as a process of its own: it can be killed. */
import { fromFileUrl } from "@std/path";

const CLI = fromFileUrl(new URL("../../cli.ts", import.meta.url));
const CONFIG = fromFileUrl(new URL("../../deno.json", import.meta.url));

/** A process that has ended. */
export interface Ended {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly seconds: number;
}

/** A process that runs. */
export interface Child {
  readonly pid: number;
  /** Send a signal. */
  kill(signal: Deno.Signal): void;
  /** Wait for its end. */
  ended(): Promise<Ended>;
}

/** Start `cli.ts` with these words, in a folder. */
export function startCli(args: readonly string[], cwd?: string): Child {
  const began = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "--no-check", `--config=${CONFIG}`, CLI, ...args],
    cwd,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    env: { NO_COLOR: "1" },
  }).spawn();
  // Read from the start: a full pipe would stop the process.
  const output = child.output();
  return {
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    async ended(): Promise<Ended> {
      const { code, stdout, stderr } = await output;
      const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
      const seconds = (performance.now() - began) / 1000;
      return { code, out: text(stdout), err: text(stderr), seconds };
    },
  };
}

/** Run `cli.ts` to its end. */
export function runCliProcess(args: readonly string[], cwd?: string): Promise<Ended> {
  return startCli(args, cwd).ended();
}

/** Wait until `condition` holds; fail after a time in which it always should. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: string,
  timeoutMs = 60_000,
): Promise<void> {
  for (const end = performance.now() + timeoutMs; performance.now() < end;) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error(`waited ${timeoutMs / 1000} s in vain until ${what}`);
}
