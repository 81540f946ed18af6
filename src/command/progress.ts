/** Progress on a terminal: one line that is redrawn; elsewhere: a line now and then. @module */
import type { ProgressReporter, ProgressUpdate } from "../train/progress.ts";
import { type CommandIo, stylesFor } from "./io.ts";

/** Choices of {@linkcode terminalProgress}. */
export interface TerminalProgressOptions {
  /** What is going on, in a word such as `train`. */
  label: string;
  /** Where to write. */
  io: Pick<CommandIo, "errRaw" | "isTerminal" | "hasColor" | "columns">;
  /** Clock, in milliseconds. Default: `performance.now`. */
  now?: () => number;
  /** Shortest time between two drawings. Default: 100 on a terminal, 10 000 elsewhere. */
  intervalMs?: number;
}

const BAR_WIDTH = 20;
const CLEAR_LINE = "\r\x1b[2K";

/** `0:07`, `12:34` or `1:02:03`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (n: number): string => String(n).padStart(2, "0");
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Shows `label`, a bar, steps, throughput, time left, loss and the last evaluation. */
class TerminalProgress implements ProgressReporter {
  readonly #options: Required<TerminalProgressOptions>;
  #news: ProgressUpdate | undefined;
  #start: { step: number; atMs: number } | undefined;
  #drawnAtMs = -Infinity;
  #drawn: ProgressUpdate | undefined;

  constructor(options: TerminalProgressOptions) {
    const intervalMs = options.io.isTerminal ? 100 : 10_000;
    this.#options = { now: () => performance.now(), intervalMs, ...options };
  }

  update(news: ProgressUpdate): void {
    this.#news = { ...this.#news, ...news };
    const atMs = this.#options.now();
    this.#start ??= { step: news.step, atMs };
    const hasResults = news.metrics !== undefined;
    if (hasResults || atMs - this.#drawnAtMs >= this.#options.intervalMs) this.#draw(atMs);
  }

  message(text: string): void {
    const { io } = this.#options;
    io.errRaw(`${io.isTerminal ? CLEAR_LINE : ""}${text}\n`);
    if (io.isTerminal && this.#news) this.#draw(this.#options.now());
  }

  done(): void {
    const { io, now } = this.#options;
    if (this.#news && this.#drawn !== this.#news) this.#draw(now());
    if (io.isTerminal && this.#news) io.errRaw("\n");
    this.#news = undefined;
  }

  #draw(atMs: number): void {
    const { io } = this.#options;
    this.#drawnAtMs = atMs;
    this.#drawn = this.#news;
    if (!io.isTerminal) {
      io.errRaw(`${this.#text(this.#fields(atMs))}\n`);
      return;
    }
    const room = io.columns - 1;
    const fields = this.#fields(atMs);
    let text = this.#text(fields, this.#bar());
    if (text.length > room) text = this.#text(fields);
    text = text.slice(0, room);
    const { label } = this.#options;
    const head = text.slice(0, label.length);
    io.errRaw(CLEAR_LINE + stylesFor(io).bold(head) + text.slice(label.length));
  }

  #text(fields: string[], bar = ""): string {
    return [this.#options.label, ...(bar ? [bar] : []), ...fields].join("  ");
  }

  #bar(): string {
    const { step, total } = this.#news!;
    if (!total) return "";
    const filled = Math.round(BAR_WIDTH * Math.min(1, step / total));
    return `[${"#".repeat(filled)}${"-".repeat(BAR_WIDTH - filled)}]`;
  }

  #fields(atMs: number): string[] {
    const { step, total, loss, metrics = {}, examplesPerSecond } = this.#news!;
    const fields = [total ? `${step}/${total}` : `step ${step}`];
    if (examplesPerSecond !== undefined) fields.push(`${formatNumber(examplesPerSecond)} ex/s`);
    const { step: from, atMs: sinceMs } = this.#start!;
    if (total && step > from && step < total) {
      const secondsPerStep = (atMs - sinceMs) / 1000 / (step - from);
      fields.push(`ETA ${formatDuration(secondsPerStep * (total - step))}`);
    }
    if (loss !== undefined) fields.push(`loss ${formatNumber(loss)}`);
    for (const [name, value] of Object.entries(metrics)) {
      fields.push(`${name} ${formatNumber(value)}`);
    }
    return fields;
  }
}

/**
 * A reporter for people: on a terminal one line that is redrawn, with a bar where it fits; elsewhere
 * plain lines at most every `intervalMs`. An evaluation is always shown. The time left counts from
 * the first update, so that neither compilation nor the steps before a resume distort it.
 *
 * @example
 * ```ts
 * import { terminalProgress } from "./progress.ts";
 * import { assertEquals } from "@std/assert";
 * let text = "";
 * const io = {
 *   errRaw: (more: string) => void (text += more),
 *   isTerminal: false,
 *   hasColor: false,
 *   columns: 80,
 * };
 * const progress = terminalProgress({ label: "train", io });
 * progress.update({ step: 10, total: 100, loss: 2.5 });
 * progress.done();
 * assertEquals(text, "train  10/100  loss 2.50\n");
 * ```
 */
export function terminalProgress(options: TerminalProgressOptions): ProgressReporter {
  return new TerminalProgress(options);
}
