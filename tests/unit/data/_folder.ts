/** A folder that exists while `use` runs, filled with the given files. */
export async function withFolder(
  files: Record<string, string | Uint8Array>,
  use: (folder: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, content] of Object.entries(files)) {
      const slash = name.lastIndexOf("/");
      if (slash > 0) await Deno.mkdir(`${folder}/${name.slice(0, slash)}`, { recursive: true });
      const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Where the shared corpora lie, if they do. */
export const SHARED_DATA = new URL("../../../../shared/data/", import.meta.url);

/** Whether the shared corpora are missing; says what is skipped because of it. */
export function isMissing(folder: string, skipped: string): boolean {
  try {
    Deno.statSync(new URL(`${folder}/docs.jsonl`, SHARED_DATA));
    return false;
  } catch {
    console.log(`skipping "${skipped}": ../shared/data/${folder} is not there`);
    return true;
  }
}
