/**
 * Writes what is derived from the schema (src/config/schema.ts) and from the YAML files here:
 *
 *     deno run -A configs/generate.ts
 *
 * `schema.json` for editors, the TypeScript types, the copies built into the code, and the reference
 * page of all keys. A test fails when one of them is out of date.
 *
 * @module
 */
import { configJsonSchema, configKeys, type JsonSchema } from "../src/config/json_schema.ts";

const root = new URL("../", import.meta.url);

function yamlFiles(folder = new URL("configs/", root), prefix = ""): Record<string, string> {
  const files: Record<string, string> = {};
  const entries = [...Deno.readDirSync(folder)].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const { name, isDirectory } of entries) {
    const url = new URL(name, folder);
    if (isDirectory) Object.assign(files, yamlFiles(new URL(`${url}/`), `${prefix}${name}/`));
    else if (name.endsWith(".yaml")) {
      files[prefix + name.slice(0, -".yaml".length)] = Deno.readTextFileSync(url);
    }
  }
  return files;
}

function builtinModule(): string {
  const entries = Object.entries(yamlFiles()).map(([name, text]) => {
    const literal = text.replaceAll("\\", "\\\\").replaceAll("`", "\\`").replaceAll("${", "\\${");
    const key = /^\w+$/.test(name) ? name : JSON.stringify(name);
    return `  ${key}: \`${literal}\`,\n`;
  });
  return "/** Copies of configs/, written by configs/generate.ts. Do not edit. @module */\n\n" +
    "/** YAML by name, without the extension. */\n" +
    `export const builtinConfigs: Readonly<Record<string, string>> = {\n${entries.join("")}};\n`;
}

/** A comment that says what a key means, folded at the line width. */
function comment(node: JsonSchema, indent: string): string {
  const preset = node.default === undefined || typeof node.default === "object" &&
      node.default !== null
    ? ""
    : ` Default: ${node.default}.`;
  const words = `${node.description}${preset}`.split(" ");
  const lines = [""];
  for (const word of words) {
    const line = lines.at(-1)!;
    if (indent.length + 3 + line.length + 1 + word.length > 95) lines.push(word);
    else lines[lines.length - 1] = line ? `${line} ${word}` : word;
  }
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

const capital = (name: string): string =>
  name.split("_").map((part) => part[0].toUpperCase() + part.slice(1)).join("");

/** Interfaces of a section and of the sections inside it; `name` is that of the interface. */
function interfaces(name: string, node: JsonSchema, out: string[]): void {
  const fields = Object.entries(node.properties!).map(([key, child]) => {
    let type: string;
    const variants = child.anyOf?.filter((branch) => branch.properties) ?? [];
    if (child.properties) {
      type = `${capital(key)}Config`;
      interfaces(type, child, out);
    } else if (variants.length) {
      const types = variants.map((branch) => {
        const family = `${capital(String(branch.properties!.family.const))}${capital(key)}Config`;
        interfaces(family, branch, out);
        return family;
      });
      type = types.join(" | ");
    } else type = typeOf(child);
    return `${comment(child, "  ")}${field(key, type)}`;
  });
  out.push(`${comment(node, "")}export interface ${name} {\n${fields.join("")}}\n`);
}

/** A field as `deno fmt` writes it: a union that is too long for a line has a line for each member. */
function field(key: string, type: string): string {
  const line = `  readonly ${key}: ${type};\n`;
  if (line.length <= 101 || !type.includes(" | ")) return line;
  return `  readonly ${key}:\n${type.split(" | ").map((one) => `    | ${one}`).join("\n")};\n`;
}

function typeOf(node: JsonSchema): string {
  if (node.anyOf) return node.anyOf.map(typeOf).join(" | ");
  if (node.const !== undefined) return JSON.stringify(node.const);
  if (node.enum) return node.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (node.items) return `readonly ${typeOf(node.items)}[]`;
  return node.type === "integer" ? "number" : node.type!;
}

function typesModule(): string {
  const { properties, description } = configJsonSchema();
  const { defaults: _, ...sections } = properties!;
  const out: string[] = [];
  interfaces("ResolvedConfig", { description, properties: sections }, out);
  return "/** Types of a configuration, written by configs/generate.ts. Do not edit. @module */\n\n" +
    out.join("\n");
}

function referencePage(): string {
  const rows = configKeys().map(({ key, family, description, allowed, preset }) => {
    const note = family ? `\`${family}\`: ` : "";
    const start = preset === undefined
      ? "must be set"
      : `\`${Array.isArray(preset) ? JSON.stringify(preset) : preset}\``;
    return `| \`${key}\` | ${note}${description} | ${start} | ${allowed} |\n`;
  });
  return "# Every configuration key\n\nWritten by `configs/generate.ts` from `src/config/schema.ts`." +
    " Keys marked with a family exist only for models of that family.\n\n" +
    `| key | meaning | default | allowed |\n| --- | --- | --- | --- |\n${rows.join("")}`;
}

/** Every generated file: its path in the repository and its text. */
export function generatedFiles(): Record<string, string> {
  return {
    "configs/schema.json": `${JSON.stringify(configJsonSchema(), null, 2)}\n`,
    "src/config/types.ts": typesModule(),
    "src/config/builtin.ts": builtinModule(),
    "docs/generated/configuration.md": referencePage(),
  };
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(generatedFiles())) {
    const url = new URL(path, root);
    Deno.mkdirSync(new URL(".", url), { recursive: true });
    Deno.writeTextFileSync(url, text);
    console.log(`wrote ${path}`);
  }
}
