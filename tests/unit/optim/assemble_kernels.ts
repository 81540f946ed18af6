/**
 * Assembles `src/optim/kernels.wat`. As a script it writes `src/optim/kernels_wasm.ts`; as a module
 * it lets a test prove that the committed bytes are what the source says.
 *
 *     deno run -A tests/unit/optim/assemble_kernels.ts
 *
 * @module
 */
// deno-lint-ignore no-import-prefix -- an assembler is needed here only, not by the product
import wabt from "npm:wabt@1.0.37";

const SOURCE = new URL("../../../src/optim/kernels.wat", import.meta.url);
const TARGET = new URL("../../../src/optim/kernels_wasm.ts", import.meta.url);

/** The bytes of the WebAssembly module, as base64. */
export async function assembleKernels(): Promise<string> {
  const source = await Deno.readTextFile(SOURCE);
  const module = (await wabt()).parseWat("kernels.wat", source, { simd: true });
  const bytes = module.toBinary({}).buffer;
  return btoa(String.fromCharCode(...bytes));
}

if (import.meta.main) {
  const lines = (await assembleKernels()).match(/.{1,92}/g)!.map((x) => `  "${x}",`).join("\n");
  await Deno.writeTextFile(
    TARGET,
    `/** Generated from \`kernels.wat\` by \`tests/unit/optim/assemble_kernels.ts\`. @module */

/** The assembled kernels, base64. */
export const KERNELS_BASE64: string = [
${lines}
].join("");
`,
  );
}
