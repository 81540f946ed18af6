import { assert, assertEquals } from "@std/assert";
import type { z } from "zod";
import { generatedFiles } from "../../../configs/generate.ts";
import { builtinConfigs } from "../../../src/config/builtin.ts";
import { composeConfig, configKeys, type ResolvedConfig } from "../../../src/config/mod.ts";
import { configSource } from "../../../src/config/source.ts";
import { configSchema } from "../../../src/config/schema.ts";

const root = new URL("../../../", import.meta.url);

Deno.test("generated files are up to date (deno run -A configs/generate.ts)", () => {
  for (const [path, text] of Object.entries(generatedFiles())) {
    assertEquals(Deno.readTextFileSync(new URL(path, root)), text, `${path} is out of date`);
  }
});

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends (<T>() => T extends B ? 1 : 2) ? true
  : false;
type Flat<T> = T extends object ? { [K in keyof T]: Flat<T[K]> } : T;

Deno.test("the generated types are those that zod infers", () => {
  const same: Same<Flat<ResolvedConfig>, Flat<DeepReadonly<z.infer<typeof configSchema>>>> = true;
  assert(same);
});

Deno.test("every built-in file composes, by itself or as a configuration", () => {
  for (const name of Object.keys(builtinConfigs)) {
    const [folder, file] = name.split("/");
    const overrides = folder === "data" ? ["data.path=x"] : [];
    if (folder === "train" || !file) composeConfig({ configName: name });
    else composeConfig({ overrides: [`${folder}=${file}`, ...overrides] });
  }
});

Deno.test("code that was loaded from the network needs no files", () => {
  const source = configSource(
    undefined,
    "https://jsr.io/@deeprag/deeprag/0.1.0/src/config/source.ts",
  );
  assertEquals(source.read("defaults")?.origin, "built-in defaults.yaml");
  assertEquals(source.list("docid"), ["atomic", "naive", "semantic"]);
  assertEquals(source.read("toString"), undefined);
});

Deno.test("every built-in file points editors to the schema", () => {
  for (const [name, text] of Object.entries(builtinConfigs)) {
    const [folder, file] = name.split("/");
    const schema = !file
      ? "schema.json"
      : folder === "train"
      ? "../schema.json"
      : `../schema.json#/$defs/${folder}`;
    assertEquals(text.split("\n")[0], `# yaml-language-server: $schema=${schema}`, name);
  }
});

Deno.test("every key has a description and a default inside its range", () => {
  for (const { key, description, preset } of configKeys()) {
    assert(description.length > 5, `${key} has no description`);
    assert(preset !== undefined || key === "model.family", `${key} has no default`);
  }
  // Defaults are not checked when they are filled in; feeding them back in checks them.
  for (const model of ["dsi_tiny", "t5_tiny"]) {
    const config = composeConfig({ overrides: [`model=${model}`] });
    configSchema.parse(structuredClone(config));
  }
});
