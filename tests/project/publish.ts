/**
 * `deno publish --dry-run` of the JSR configuration. Where the JSR registry can't be reached, the
 * `@std` names are mapped to their npm repackaging for this check, and that is said.
 *
 *     deno run -A tests/project/publish.ts
 */
const root = new URL("../../", import.meta.url);
const jsr = JSON.parse(await Deno.readTextFile(new URL("deno.jsr.json", root)));
const local = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));

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

let config = "deno.jsr.json";
const temporary = new URL("deno.publish.tmp.json", root);
if (!await canReachJsr()) {
  console.log("JSR can't be reached from here: checking with the npm repackaging of @std.");
  for (const name of Object.keys(jsr.imports)) {
    if (name.startsWith("@std/")) jsr.imports[name] = local.imports[name];
  }
  jsr.compilerOptions = local.compilerOptions;
  jsr.publish.exclude = ["deno.publish.tmp.json"];
  await Deno.writeTextFile(temporary, JSON.stringify(jsr));
  config = "deno.publish.tmp.json";
}
try {
  const { code } = await new Deno.Command(Deno.execPath(), {
    args: ["publish", "--dry-run", "--allow-dirty", "--quiet", "--config", config],
    cwd: root,
  }).output().then((r) => {
    if (!r.success) console.error(new TextDecoder().decode(r.stderr));
    return r;
  });
  if (code !== 0) Deno.exit(code);
  console.log("publish --dry-run: ok");
} finally {
  await Deno.remove(temporary).catch(() => {});
}
