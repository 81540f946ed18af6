/**
 * Other people's programs: a Python with packages, Node's packages, and a folder to run them in. What
 * cannot be installed here is a problem to print, not an error.
 */
import { parseArgs } from "@std/cli/parse-args";
import { fromFileUrl, join } from "@std/path";

/** Limit of one installation. */
const INSTALL_LIMIT_MS = 240_000;

/** Where programs run; gone when the tests are over. */
export const folder = await Deno.makeTempDir();
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** Path of a file beside this one. */
export const beside = (name: string): string => fromFileUrl(new URL(name, import.meta.url));

/** What a program printed, or why there is nothing to be had of it. */
export interface Output {
  readonly stdout: string;
  readonly stderr: string;
  readonly problem?: string;
}

/** Output of a program that runs in `folder`. */
export async function run(
  command: string,
  args: string[],
  options: { limitMs?: number; env?: Record<string, string> } = {},
): Promise<Output> {
  const { limitMs = 60_000, env } = options;
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
      env,
      cwd: folder,
      signal: AbortSignal.timeout(limitMs),
    }).output();
    const [out, error] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
    const last = error.split("\n").at(-1) || out.split("\n").at(-1);
    return {
      stdout: out,
      stderr: error,
      ...!success && { problem: `${command} failed or took too long: ${last}` },
    };
  } catch (error) {
    return { stdout: "", stderr: "", problem: `${command}: ${(error as Error).message}` };
  }
}

/** Packages of a Python program, and what it imports of them. */
export interface PythonNeeds {
  readonly packages: readonly string[];
  readonly modules: readonly string[];
  /** Limit of the installation. */
  readonly limitMs?: number;
}

/** A Python with the packages: the one that was named, the usual one, or a new environment. */
export async function findPython(
  { packages, modules, limitMs = INSTALL_LIMIT_MS }: PythonNeeds,
): Promise<{ python: string; problem?: string }> {
  const named = parseArgs(Deno.args).python as string | undefined;
  const works = async (python: string) =>
    (await run(python, ["-c", `import ${modules.join(", ")}`])).problem;
  if (named) return { python: named, problem: await works(named) };
  if (!await works("python3")) return { python: "python3" };
  const python = join(folder, "venv", "bin", "python");
  for (
    const [command, ...args] of [
      ["python3", "-m", "venv", join(folder, "venv")],
      [python, "-m", "pip", "install", "--quiet", "--retries=1", ...packages],
    ]
  ) {
    const { problem } = await run(command, args, { limitMs });
    if (problem) return { python, problem };
  }
  return { python, problem: await works(python) };
}

/** Why packages of npm can't be installed in `folder`, where they can't; their scripts do not run. */
export async function installFromNpm(packages: readonly string[]): Promise<string | undefined> {
  const flags = ["--ignore-scripts", "--no-audit", "--no-fund"];
  const limits = { limitMs: INSTALL_LIMIT_MS };
  return (await run("npm", ["install", ...flags, ...packages], limits)).problem;
}

/** A test that is skipped, with the reason printed, where something is missing. */
export function test(name: string, missing: string | undefined, fn: () => Promise<void>): void {
  if (missing) console.log(`skipped: ${name}: ${missing}`);
  Deno.test({ name, ignore: missing !== undefined, fn });
}
