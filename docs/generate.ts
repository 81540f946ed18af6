/**
 * Writes every generated file of the repository: the configuration's schema, types, built-in copies
 * and reference, the usage page and the kernel table.
 *
 *     deno task generate
 *
 * Each script runs in a process of its own, since the later ones import what the first one writes.
 *
 * @module
 */
const root = new URL("../", import.meta.url);

for (const script of ["configs/generate.ts", "docs/usage.ts", "docs/kernels.ts"]) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", script],
    cwd: root,
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) {
    console.error(`${script} failed`);
    Deno.exit(code);
  }
}
