/** Where in the user's code a node was made: the first stack frame outside this folder and tfjs. @module */

const HERE = new URL(".", import.meta.url).href;
const FRAME_LIMIT = 60;

/** Take a stack now, to be formatted only if an error needs it. */
export function captureSite(): Error {
  return new Error();
}

/**
 * Readable form of a captured stack.
 *
 * @param site What {@linkcode captureSite} gave, or any error
 * @returns Such as `encode (file:///…/model.ts:12:5)`
 */
export function describeSite(site: Error | undefined): string {
  const frames = (site?.stack ?? "").split("\n").filter((l) => /^\s+at /.test(l));
  const frame = frames.find((l) =>
    !l.includes(HERE) && !/@tensorflow|tfjs-|tf-core|<anonymous>\)?$|\b(ext|node):/.test(l)
  );
  return frame ? frame.trim().replace(/^at (async )?/, "") : "an unknown place";
}

/** Run `f` with stacks deep enough to see through tfjs. */
export function withDeepStacks<T>(f: () => T): T {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = FRAME_LIMIT;
  try {
    return f();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
