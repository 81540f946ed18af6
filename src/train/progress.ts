/** How a training loop tells how far it is; who shows it, and where, is not its business. @module */

/** News after a step. */
export interface ProgressUpdate {
  /** Steps done, counted over the whole run. */
  readonly step: number;
  /** Steps of the whole run, where they are known. */
  readonly total?: number;
  /** Training loss, mean per example. */
  readonly loss?: number;
  /** Results of an evaluation, such as `{ "hits@1": 0.81 }`. Those of the last one stay valid. */
  readonly metrics?: Readonly<Record<string, number>>;
  /** Throughput. */
  readonly examplesPerSecond?: number;
}

/** Shows progress. */
export interface ProgressReporter {
  /** Take note of a step. Cheap: may be called after every one. */
  update(news: ProgressUpdate): void;
  /** Say something that is worth a line of its own, such as "saved a checkpoint". */
  message(text: string): void;
  /** The work has ended, well or not. */
  done(): void;
}

/** A reporter that shows nothing. */
export const silentProgress: ProgressReporter = {
  update: () => {},
  message: () => {},
  done: () => {},
};
