/** Looks for files. @module */

/** Whether there is a file or a folder at a path. What may not be looked at counts as missing. */
export async function isThere(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
