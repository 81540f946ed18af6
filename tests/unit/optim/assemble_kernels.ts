/**
 * Assembles the WebAssembly sources of the project. As a script it writes the TypeScript modules that
 * hold the bytes; as a module it lets tests prove that the committed bytes are what the sources say.
 *
 *     deno run -A tests/unit/optim/assemble_kernels.ts
 *
 * @module
 */
// deno-lint-ignore no-import-prefix -- an assembler is needed here only, not by the product
import wabt from "npm:wabt@1.0.37";

const SOURCES = ["src/optim/kernels", "src/tensor/keep_mask"];

const root = new URL("../../../", import.meta.url);

/** The bytes of one WebAssembly module, as base64. */
export async function assemble(source: string): Promise<string> {
  const text = await Deno.readTextFile(new URL(`${source}.wat`, root));
  const module = (await wabt()).parseWat(`${source}.wat`, text, { simd: true });
  const bytes = module.toBinary({}).buffer;
  return btoa(String.fromCharCode(...bytes));
}

if (import.meta.main) {
  for (const source of SOURCES) {
    const lines = (await assemble(source)).match(/.{1,92}/g)!.map((x) => `  "${x}",`).join("\n");
    const file = source.split("/").at(-1)!;
    await Deno.writeTextFile(
      new URL(`${source}_wasm.ts`, root),
      `/** Generated from \`${file}.wat\` by \`tests/unit/optim/assemble_kernels.ts\`. @module */

/** The assembled module, base64. */
export const ${file.toUpperCase()}_BASE64: string = [
${lines}
].join("");
`,
    );
  }
}
