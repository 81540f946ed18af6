/** Ctrl-C: the first time asks the work to save and stop, the second time ends the process. @module */

/** The first of these ends the work in order, the second one at once. */
export type InterruptSignal = "SIGINT" | "SIGTERM";

/** A watch over interrupts; dispose of it when the work is done. */
export interface Interrupt extends Disposable {
  /** Aborted by the first interrupt. */
  readonly signal: AbortSignal;
}

/** What {@linkcode onInterrupt} needs of its surroundings; the defaults are those of the process. */
export interface InterruptOptions {
  /** Start to listen. */
  addListener?: (signal: InterruptSignal, listener: () => void) => void;
  /** Stop to listen. */
  removeListener?: (signal: InterruptSignal, listener: () => void) => void;
  /** End the process. */
  exit?: (code: number) => void;
}

const EXIT_INTERRUPTED = 130;

/**
 * Watch for Ctrl-C and for requests to terminate.
 *
 * A signal is only noticed when the event loop turns. A loop of synchronous steps must therefore
 * await a timer now and then; awaiting promises that are already settled is not enough.
 *
 * @param handler Called once, at the first interrupt, after {@linkcode Interrupt.signal} is aborted
 * @example
 * ```ts
 * import { onInterrupt } from "./interrupt.ts";
 * import { assertEquals } from "@std/assert";
 * {
 *   using interrupt = onInterrupt(() => console.error("Saving. Press Ctrl-C again to stop at once."));
 *   assertEquals(interrupt.signal.aborted, false);
 * }
 * ```
 */
export function onInterrupt(handler: () => void, options: InterruptOptions = {}): Interrupt {
  const {
    addListener = Deno.addSignalListener,
    removeListener = Deno.removeSignalListener,
    exit = Deno.exit,
  } = options;
  const controller = new AbortController();
  const listener = (): void => {
    if (controller.signal.aborted) {
      exit(EXIT_INTERRUPTED);
      return;
    }
    controller.abort(new DOMException("Interrupted", "AbortError"));
    handler();
  };
  const signals: InterruptSignal[] = Deno.build.os === "windows"
    ? ["SIGINT"]
    : ["SIGINT", "SIGTERM"];
  for (const signal of signals) addListener(signal, listener);
  return {
    signal: controller.signal,
    [Symbol.dispose](): void {
      for (const signal of signals) removeListener(signal, listener);
    },
  };
}
