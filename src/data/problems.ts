/** Collects what is wrong with some data, so that all of it can be reported at once. @module */
import { DataError, type DataLocation } from "../errors.ts";

/** How many problems a message spells out. */
const SHOWN = 20;

/** A growing list of problems, each with its place. Memory stays small however many there are. */
export class ProblemList {
  readonly #shown: { message: string; location: Required<DataLocation> }[] = [];
  #count = 0;

  /** Whether nothing is wrong so far. */
  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Note one problem. */
  add(message: string, location: Required<DataLocation>): void {
    if (++this.#count <= SHOWN) this.#shown.push({ message, location });
  }

  /**
   * Complain if there was anything to complain about.
   *
   * @param action What could not be done, such as "read the dataset in data/squad"
   * @throws {DataError} With the first twenty problems and a count of the others
   */
  throwIfAny(action: string): void {
    if (this.#count === 0) return;
    if (this.#count === 1) {
      const { message, location } = this.#shown[0];
      throw new DataError(`Cannot ${action}: ${message}`, location);
    }
    const lines = this.#shown.map(({ message, location }) =>
      `\n  ${location.file}:${location.line}: ${message}`
    );
    const rest = this.#count - this.#shown.length;
    if (rest > 0) lines.push(`\n  … and ${rest} more`);
    throw new DataError(`Cannot ${action}: ${this.#count} problems${lines.join("")}`);
  }
}
