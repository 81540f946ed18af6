import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { type InterruptSignal, onInterrupt } from "../../../src/command/interrupt.ts";

Deno.test("the first signal aborts and calls the handler, the second one exits", () => {
  const listeners = new Map<InterruptSignal, () => void>();
  const exits: number[] = [];
  let calls = 0;
  const interrupt = onInterrupt(() => {
    calls++;
    assert(interrupt.signal.aborted, "aborted before the handler runs");
  }, {
    addListener: (signal, listener) => void listeners.set(signal, listener),
    removeListener: (signal) => void listeners.delete(signal),
    exit: (code) => void exits.push(code),
  });
  assertEquals(interrupt.signal.aborted, false);
  listeners.get("SIGINT")!();
  assertEquals([calls, exits], [1, []]);
  listeners.get("SIGINT")!();
  assertEquals([calls, exits], [1, [130]]);
  interrupt[Symbol.dispose]();
  assertEquals(listeners.size, 0);
});

/** A program that saves at the first signal, or waits for the second one. */
const program = (waits: boolean): string => `
  import { onInterrupt } from "${new URL("../../../src/command/interrupt.ts", import.meta.url)}";
  setTimeout(() => Deno.exit(99), 10_000);
  using interrupt = onInterrupt(() => console.log("saving"));
  console.log("ready");
  while (!interrupt.signal.aborted || ${waits}) await new Promise((r) => setTimeout(r, 5));
  console.log("saved");
  Deno.exit(0);
`;

async function signalProgram(waits: boolean): Promise<{ code: number; text: string }> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", program(waits)],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (chunk.includes("ready") || (waits && chunk.includes("saving"))) child.kill("SIGINT");
  }
  return { code: (await child.status).code, text };
}

Deno.test({
  name: "a real process saves at the first Ctrl-C and ends at the second",
  ignore: Deno.build.os === "windows",
  async fn(): Promise<void> {
    const once = await signalProgram(false);
    assertEquals(once.code, 0);
    assertStringIncludes(once.text, "saved");
    const twice = await signalProgram(true);
    assertEquals(twice.code, 130);
    assert(!twice.text.includes("saved"));
  },
});
