/** Providers of ONNX Runtime that this machine has, and one that it lacks. */
import {
  ONNX_PROVIDERS,
  type OnnxProvider,
  type ProviderProblem,
  providerProblem,
} from "../../../src/runtime/mod.ts";

const usable: OnnxProvider[] = [];
let unusable: { provider: OnnxProvider; problem: ProviderProblem } | undefined;
for (const provider of ONNX_PROVIDERS) {
  const problem = await providerProblem(provider);
  if (!problem) usable.push(provider);
  else unusable ??= { provider, problem };
}

/** Those that work here: always cpu. */
export const usableProviders: readonly OnnxProvider[] = usable;

/** Register a test about a provider that can't be used; a machine that has all of them skips it. */
export function testUnusable(
  name: string,
  body: (provider: OnnxProvider, problem: ProviderProblem) => Promise<void>,
): void {
  Deno.test({
    name: unusable ? name : `${name} (skipped: every provider works here)`,
    ignore: !unusable,
    fn: () => body(unusable!.provider, unusable!.problem),
  });
}

/** What is written to the console as a warning meanwhile. */
export async function warningsOf(
  body: (soFar: readonly string[]) => Promise<void>,
): Promise<string[]> {
  const { warn } = console, lines: string[] = [];
  console.warn = (...words: unknown[]) => void lines.push(words.join(" "));
  try {
    await body(lines);
  } finally {
    console.warn = warn;
  }
  return lines;
}
