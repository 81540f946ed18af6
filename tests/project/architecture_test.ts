/** The import rules of docs/architecture.md, proved over the module graph that Deno itself sees. */
import { assertEquals } from "@std/assert";
import { fromFileUrl, relative } from "@std/path";

/** Folders of `src/` from the bottom up; those on one line may not import each other. */
const LAYERS: readonly (readonly string[])[] = [
  ["errors.ts"],
  ["tensor"],
  ["nn", "optim", "rl", "metric", "text", "data", "config"],
  ["model"],
  ["docid"],
  ["graph"],
  ["hub"],
  ["runtime"],
  ["generate"],
  ["retriever"],
  ["agent"],
  ["train"],
  ["recipe"],
  ["serve"],
  ["command"],
];

/** Folders that must run anywhere, browsers included: no `Deno.*` in them. */
const PURE = ["tensor", "nn", "rl", "optim", "model", "graph", "docid", "metric", "text"];

interface ModuleInfo {
  specifier: string;
  local?: string;
  dependencies?: {
    specifier: string;
    isDynamic?: boolean;
    code?: { specifier?: string };
    type?: { specifier?: string };
  }[];
}

const root = new URL("../../", import.meta.url);
const rootPath = fromFileUrl(root);

async function moduleGraph(entry: string): Promise<ModuleInfo[]> {
  const { stdout, success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["info", "--json", entry],
    cwd: rootPath,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return JSON.parse(new TextDecoder().decode(stdout)).modules;
}

/** `graph` for src/graph/record.ts, `errors.ts` for src/errors.ts, undefined outside src/. */
function folderOf(url: string): string | undefined {
  if (!url.startsWith(root.href)) return undefined;
  return relative(rootPath, fromFileUrl(url)).match(/^src\/([^/]+)/)?.[1];
}

const layerOf = (folder: string) => LAYERS.findIndex((layer) => layer.includes(folder));

const modules = [
  ...new Map(
    [...await moduleGraph("mod.ts"), ...await moduleGraph("cli.ts")].map((m) => [m.specifier, m]),
  ).values(),
];

Deno.test("a folder imports only folders above it in the list", () => {
  const wrong: string[] = [];
  for (const module of modules) {
    const from = folderOf(module.specifier);
    if (!from) continue;
    if (layerOf(from) < 0) wrong.push(`src/${from} has no place in the layers`);
    for (const dependency of module.dependencies ?? []) {
      const url = dependency.code?.specifier ?? dependency.type?.specifier ?? "";
      const to = folderOf(url);
      if (!to || to === from) continue;
      if (layerOf(to) >= layerOf(from)) {
        wrong.push(`${relative(rootPath, fromFileUrl(module.specifier))} imports src/${to}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("only src/runtime imports onnxruntime-node and only dynamically tfjs-node", () => {
  const wrong: string[] = [];
  for (const module of modules) {
    const from = folderOf(module.specifier);
    if (!from) continue;
    for (const { specifier, isDynamic } of module.dependencies ?? []) {
      if (specifier.startsWith("onnxruntime-node") && from !== "runtime") {
        wrong.push(`${from} imports onnxruntime-node`);
      }
      if (specifier.includes("tfjs-node") && (from !== "runtime" || !isDynamic)) {
        wrong.push(`${from} imports ${specifier}`);
      }
    }
  }
  assertEquals(wrong, []);
});

Deno.test("folders that must run anywhere do not mention Deno.*", async () => {
  const wrong: string[] = [];
  for (const module of modules) {
    const from = folderOf(module.specifier);
    if (!from || !PURE.includes(from)) continue;
    const code = (await Deno.readTextFile(new URL(module.specifier)))
      .replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
    if (/\bDeno\./.test(code)) wrong.push(relative(rootPath, fromFileUrl(module.specifier)));
  }
  assertEquals(wrong, []);
});

Deno.test("the two import maps name the same modules", async () => {
  const local = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  const jsr = JSON.parse(await Deno.readTextFile(new URL("deno.jsr.json", root)));
  const npmOnly = new Set(["fast-check"]);
  const names = Object.keys(local.imports).filter((n) => !npmOnly.has(n)).sort();
  assertEquals(Object.keys(jsr.imports).sort(), names);
  assertEquals([jsr.name, jsr.version, jsr.license], [local.name, local.version, local.license]);
  for (const name of names) {
    const [here, there]: string[] = [local.imports[name], jsr.imports[name]];
    if (!name.startsWith("@std/")) {
      assertEquals(here, there);
      continue;
    }
    // npm:deno-std@1.4.0/cli/parse_args.js and jsr:@std/cli@^1/parse-args are one module.
    const path = here.replace(/^npm:deno-std@[^/]+\//, "").replace(/\.js$/, "").replace(
      /\/mod$/,
      "",
    )
      .replaceAll("_", "-");
    assertEquals(there.replace(/^jsr:@std\//, "").replace(/@[^/]+/, ""), path, name);
    assertEquals(name, `@std/${path}`);
  }
});
