/** Where a command writes: two streams and what is known about the terminal behind them. @module */

/** Output of a command. Results go to `out`, everything about the work itself to `err`. */
export interface CommandIo {
  /** Write a line of results. */
  out(text: string): void;
  /** Write to the stream of results as it is, without a line break. */
  outRaw(text: string): void;
  /** Write a line of news, warnings and errors. */
  err(text: string): void;
  /** Write to the error stream as it is, without a line break. */
  errRaw(text: string): void;
  /** Whether a person watches `err` on a terminal, so that a line can be redrawn. */
  readonly isTerminal: boolean;
  /** Whether escape sequences for colour may be written. */
  readonly hasColor: boolean;
  /** Width of the terminal in characters. */
  readonly columns: number;
}

function writeAll(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
}

function consoleColumns(): number {
  try {
    return Deno.consoleSize().columns;
  } catch {
    return 80;
  }
}

/** The streams of this process. `NO_COLOR` and pipes switch colour off. */
export function processIo(): CommandIo {
  const isTerminal = Deno.stderr.isTerminal();
  return {
    out: (text) => writeAll(Deno.stdout, `${text}\n`),
    outRaw: (text) => writeAll(Deno.stdout, text),
    err: (text) => writeAll(Deno.stderr, `${text}\n`),
    errRaw: (text) => writeAll(Deno.stderr, text),
    isTerminal,
    hasColor: isTerminal && Deno.stdout.isTerminal() && !Deno.noColor,
    get columns(): number {
      return isTerminal ? consoleColumns() : 80;
    },
  };
}

/** Text in bold, dim, red, green or yellow where colour is allowed, as it is elsewhere. */
export type Styles = Record<"bold" | "dim" | "red" | "green" | "yellow", (text: string) => string>;

/** {@linkcode Styles} for an output. */
export function stylesFor({ hasColor }: Pick<CommandIo, "hasColor">): Styles {
  const style = (on: number, off: number) => (text: string): string =>
    hasColor ? `\x1b[${on}m${text}\x1b[${off}m` : text;
  return {
    bold: style(1, 22),
    dim: style(2, 22),
    red: style(31, 39),
    green: style(32, 39),
    yellow: style(33, 39),
  };
}
