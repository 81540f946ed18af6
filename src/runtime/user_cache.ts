/** Where what can be made again is kept for a user. @module */
import { join } from "@std/path";

/** Reads a variable of the environment. */
export type Environment = (name: string) => string | undefined;

/**
 * `$XDG_CACHE_HOME/deeprag/<name>`, else `~/.cache/deeprag/<name>`.
 *
 * @param name What is kept there
 * @param environment Default: that of this process
 * @returns undefined if no home folder is known
 */
export function userCacheFolder(
  name: string,
  environment: Environment = (variable) => Deno.env.get(variable),
): string | undefined {
  const home = environment("HOME") || environment("USERPROFILE");
  const caches = environment("XDG_CACHE_HOME") || (home && join(home, ".cache"));
  return caches ? join(caches, "deeprag", name) : undefined;
}
