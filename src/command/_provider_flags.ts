/** Flags that choose what computes, for commands without a configuration. @module */
import { UsageError } from "../errors.ts";
import type { ProviderOptions } from "../runtime/mod.ts";
import type { CommandContext, Flag } from "./command.ts";

/** As `device.provider` and `device.provider_fallback` elsewhere. */
export const providerFlags: readonly Flag[] = [
  {
    name: "provider",
    value: "name",
    description: "ONNX Runtime's provider that computes: cpu, cuda or webgpu; cpu by default.",
  },
  {
    name: "provider-fallback",
    value: "cpu|error",
    description: "If it can't be used: say so and take the cpu, which is the default, or stop.",
  },
];

function oneOf<const W extends string>(
  flags: CommandContext["flags"],
  name: string,
  words: readonly W[],
): W | undefined {
  const given = flags[name];
  const word = words.find((w) => w === given);
  if (given === undefined || word) return word;
  throw new UsageError(`Cannot take --${name}=${given}: it takes ${words.join(", ")}`);
}

/** The choice of a command line. */
export function providerOf(flags: CommandContext["flags"]): ProviderOptions {
  return {
    provider: oneOf(flags, "provider", ["cpu", "cuda", "webgpu"]),
    providerFallback: oneOf(flags, "provider-fallback", ["cpu", "error"]),
  };
}
