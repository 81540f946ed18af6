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

for (
  const args of [
    ["run", "--allow-all", "--quiet", "configs/generate.ts"],
    ["run", "--allow-all", "--quiet", "docs/usage.ts"],
    ["run", "--allow-all", "--quiet", "docs/kernels.ts"],
    ["fmt", "--quiet", "src/config"],
  ]
) {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args,
    cwd: root,
    stdout: "inherit",
    stderr: "inherit",
  }).output();
  if (code !== 0) {
    console.error(`deno ${args.join(" ")} failed`);
    Deno.exit(code);
  }
}
