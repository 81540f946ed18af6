import type { CommandIo } from "../../../src/command/io.ts";

/** Streams that remember what was written. */
export interface FakeIo extends CommandIo {
  /** Results. */
  readonly outLines: string[];
  /** Everything else. */
  readonly errLines: string[];
}

/** A pipe, not a terminal, without colour unless wanted. */
export function fakeIo(hasColor = false): FakeIo {
  const outLines: string[] = [], errLines: string[] = [];
  return {
    outLines,
    errLines,
    out: (text) => void outLines.push(text),
    outRaw: (text) => void outLines.push(text),
    err: (text) => void errLines.push(text),
    errRaw: (text) => void errLines.push(text),
    isTerminal: false,
    hasColor,
    columns: 80,
  };
}
