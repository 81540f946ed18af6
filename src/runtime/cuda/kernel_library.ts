/** Compiled kernels by their text: what many programs and sizes share is compiled once. @module */
import type { Device, Kernel, KernelParameter, KernelSignature } from "./device.ts";
import { PRELUDE } from "./prelude.ts";
import { type KernelStep, parameterTypes, type Step } from "./step.ts";

/** A name that equal texts share: 64 bits of two chained FNV-1a. */
function nameOf(text: string): string {
  let a = 0x811c9dc5, b = 0xcbf29ce4;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    a = Math.imul(a ^ c, 0x01000193);
    b = Math.imul(b ^ c ^ (a >>> 13), 0x01000193);
  }
  return `k_${(a >>> 0).toString(16).padStart(8, "0")}${(b >>> 0).toString(16).padStart(8, "0")}`;
}

/** The kinds of the parameters of a kernel's text. */
function parametersOf(text: string): KernelParameter[] {
  return parameterTypes(text).map((type) => type.includes("*") ? "pointer" : "integer");
}

/** A source of several kernels, and what to find in it. */
export function sourceOf(
  steps: readonly KernelStep[],
): { source: string; signatures: KernelSignature[] } {
  const texts = new Map(steps.map((s) => [s.text, s]));
  const signatures = [...texts.values()].map(({ text, hasBarriers, sharedBytes }) => ({
    name: nameOf(text),
    parameters: parametersOf(text),
    hasBarriers,
    sharedBytes,
  }));
  const bodies = [...texts.keys()].map((text) => text.replace("NAME(", `${nameOf(text)}(`));
  const helpers = new Set(steps.map((s) => s.helpers ?? ""));
  return { source: [PRELUDE, ...helpers, ...bodies].join("\n"), signatures };
}

/** Kernels that were compiled for a device. */
export class KernelLibrary {
  readonly #device: Device;
  readonly #kernels = new Map<string, Kernel>();

  /** A library without kernels. */
  constructor(device: Device) {
    this.#device = device;
  }

  /** Number of kernels. */
  get size(): number {
    return this.#kernels.size;
  }

  /**
   * Compile what is missing, in one go.
   *
   * @throws {DeviceError} If a kernel does not compile
   */
  async add(steps: readonly Step[]): Promise<void> {
    const missing = steps.filter((s): s is KernelStep =>
      s.kind === "kernel" && !this.#kernels.has(s.text)
    );
    if (!missing.length) return;
    const { source, signatures } = sourceOf(missing);
    const kernels = await this.#device.compile(source, signatures);
    const texts = [...new Set(missing.map((s) => s.text))];
    texts.forEach((text, i) => this.#kernels.set(text, kernels[i]));
  }

  /** The kernel of a text that was added. */
  get(text: string): Kernel {
    return this.#kernels.get(text)!;
  }
}
