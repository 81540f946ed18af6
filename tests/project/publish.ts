/**
 * `deno publish --dry-run` of the JSR configuration. Where the JSR registry can't be reached, a copy
 * of the package is checked whose `@std` names are mapped to their npm repackaging, and that is said.
 *
 *     deno run -A tests/project/publish.ts
 */
import { dirname, fromFileUrl, join } from "@std/path";

const root = fromFileUrl(new URL("../../", import.meta.url));

async function canReachJsr(): Promise<boolean> {
  try {
    const response = await fetch("https://jsr.io/@std/yaml/meta.json", {
      signal: AbortSignal.timeout(3000),
    });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

async function dryRun(folder: string, config: string, ...flags: string[]): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--config", config, ...flags],
    cwd: folder,
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
  if (!success) {
    console.error(text);
    Deno.exit(1);
  }
  const files = text.match(/^\s+file:\S+ \(.*\)$/gm) ?? [];
  const needed = ["mod.ts", "cli.ts", "README.md", "LICENSE", "src/errors.ts"];
  const missing = needed.filter((name) => !files.some((line) => line.includes(`/${name} (`)));
  if (missing.length) {
    console.error(`publish --dry-run leaves out ${missing.join(", ")}:\n${text}`);
    Deno.exit(1);
  }
  console.log(`publish --dry-run: ok, ${files.length} files`);
}

/** Copy the package to `folder`, with import maps that need npm alone. */
async function copyPackage(folder: string): Promise<void> {
  const jsr = JSON.parse(await Deno.readTextFile(join(root, "deno.jsr.json")));
  const local = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  const names = ["mod.ts", "cli.ts", "README.md", "LICENSE", "CHANGELOG.md", "deno.jsr.json"];
  const walk = async (path: string): Promise<void> => {
    for await (const { name, isDirectory } of Deno.readDir(join(root, path))) {
      if (isDirectory) await walk(join(path, name));
      else names.push(join(path, name));
    }
  };
  await walk("src");
  await walk("types");
  for (const name of names) {
    await Deno.mkdir(dirname(join(folder, name)), { recursive: true });
    await Deno.copyFile(join(root, name), join(folder, name));
  }
  for (const name of Object.keys(jsr.imports)) {
    if (name.startsWith("@std/")) jsr.imports[name] = local.imports[name];
  }
  jsr.compilerOptions = local.compilerOptions;
  jsr.nodeModulesDir = "none";
  await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify(jsr));
}

if (await canReachJsr()) await dryRun(root, "deno.jsr.json");
else {
  console.log("JSR can't be reached from here: checking a copy with the npm repackaging of @std.");
  const folder = await Deno.makeTempDir();
  try {
    await copyPackage(folder);
    // The types were checked with the checkout; what is left are the rules of JSR.
    await dryRun(folder, "deno.json", "--no-check");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
