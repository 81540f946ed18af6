/** The documentation says what is there: links, quoted files, tasks, configuration files, commands. */
import { assert, assertEquals } from "@std/assert";
import { dirname, fromFileUrl, join, relative } from "@std/path";
import { commands } from "../../src/command/registry.ts";
import { builtinConfigs } from "../../src/config/builtin.ts";

const MACHINE_PATH = /(?<![\w.<])\/(?:tmp|work|root|home)\/\S*/;

const root = fromFileUrl(new URL("../../", import.meta.url));

async function pages(folder: string): Promise<string[]> {
  const found: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) {
    if (isFile && name.endsWith(".md")) found.push(join(folder, name));
  }
  return found;
}

const texts = new Map<string, string>();
for (const folder of ["", "docs", "docs/generated", "tests"]) {
  for (const path of await pages(join(root, folder))) {
    texts.set(relative(root, path), await Deno.readTextFile(path));
  }
}

const exists = (path: string): Promise<boolean> => Deno.stat(path).then(() => true, () => false);

Deno.test("every relative link leads to a file", async () => {
  const broken: string[] = [];
  for (const [page, text] of texts) {
    for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      if (!await exists(join(root, dirname(page), target))) broken.push(`${page}: ${target}`);
    }
  }
  assertEquals(broken, []);
});

Deno.test("files quoted in docs/serving.md are the files", async () => {
  const text = texts.get(join("docs", "serving.md"))!;
  const quotes = [...text.matchAll(/<!-- (\S+) -->\n\n```[^\n]*\n([\s\S]*?)\n?```\n/g)];
  assertEquals(quotes.length, 4);
  for (const [, path, quote] of quotes) {
    assertEquals(`${quote}\n`, await Deno.readTextFile(join(root, path)), path);
  }
});

Deno.test("every task, command and configuration file that is named exists", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  const unknown: string[] = [];
  for (const [page, text] of texts) {
    const inCode = [...text.matchAll(/`([^`\n]+)`/g), ...text.matchAll(/```\w*\n([\s\S]*?)```/g)];
    for (const [, code] of inCode) {
      for (const [, task] of code.matchAll(/\btask ([a-z][\w:-]*)/g)) {
        if (!(task in tasks)) unknown.push(`${page}: task ${task}`);
      }
      for (const [, name] of code.matchAll(/--config-name=([a-z][\w/]*)/g)) {
        if (!(name in builtinConfigs)) unknown.push(`${page}: ${name}`);
      }
      for (const [, section, name] of code.matchAll(/(?<![-\w])(data|model|docid)=(\w+)/g)) {
        if (!(`${section}/${name}` in builtinConfigs)) unknown.push(`${page}: ${section}=${name}`);
      }
    }
  }
  assertEquals(unknown, []);
  for (const { name } of commands) assert(name in tasks, `the command ${name} is no task`);
});

interface Cell {
  cell_type: string;
  source: string | string[];
  execution_count?: number | null;
  outputs?: { output_type: string }[];
}

Deno.test("notebooks import only mod.ts and were saved as they ran", async () => {
  for await (const { name } of Deno.readDir(join(root, "notebooks"))) {
    if (!name.endsWith(".ipynb")) continue;
    const text = await Deno.readTextFile(join(root, "notebooks", name));
    assert(!MACHINE_PATH.test(text), `${name} names a path of a machine`);
    const cells = (JSON.parse(text).cells as Cell[]).filter((c) => c.cell_type === "code");
    cells.forEach(({ source, execution_count, outputs }, i) => {
      const code = [source].flat().join("");
      for (const [, from] of code.matchAll(/\bfrom "([^"]+)"|\bimport\(/g)) {
        assertEquals(from, "../mod.ts", name);
      }
      assertEquals(execution_count, i + 1, `${name}: cell ${i + 1} was not run in order`);
      assert(outputs!.every((o) => o.output_type !== "error"), `${name}: cell ${i + 1} failed`);
    });
    const last = [cells.at(-1)!.source].flat().join("");
    assert(last.includes("throw new Error"), `${name} does not check its figures`);
  }
});

Deno.test("no page names a path of the machine it was written on", () => {
  const wrong = [...texts].flatMap(([page, text]) =>
    [...text.matchAll(new RegExp(MACHINE_PATH, "g"))].map(([path]) => `${page}: ${path}`)
  );
  assertEquals(wrong, []);
});
