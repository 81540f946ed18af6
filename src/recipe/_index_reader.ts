/** Reads the files of an index folder: complaints name the folder, the file and the remedy. @module */
import { join } from "@std/path";
import { CheckpointError, DeepragError } from "../errors.ts";

/** Reads the files of one folder. */
export class IndexReader {
  readonly #folder: string;
  readonly #remedy: string;

  /**
   * @param folder The folder
   * @param remedy A sentence that says how to get a whole one
   */
  constructor(folder: string, remedy: string) {
    this.#folder = folder;
    this.#remedy = remedy;
  }

  /**
   * The content of a file.
   *
   * @param parse May throw what `DeepragError`s it likes
   * @throws {CheckpointError} If it is missing, or cannot be parsed
   */
  async read<T>(name: string, parse: (bytes: Uint8Array) => T): Promise<T> {
    let bytes: Uint8Array;
    try {
      bytes = await Deno.readFile(join(this.#folder, name));
    } catch (cause) {
      const isMissing = cause instanceof Deno.errors.NotFound;
      throw this.error(
        isMissing ? `there is no ${name} in it` : `${name}: ${(cause as Error).message}`,
        cause,
      );
    }
    return this.guard(name, () => parse(bytes));
  }

  /**
   * The content of a JSON file that holds an object.
   *
   * @throws {CheckpointError} If it is missing, holds anything else, or cannot be parsed
   */
  async readObject<T>(name: string, parse: (json: Record<string, unknown>) => T): Promise<T> {
    return await this.read(name, (bytes) => {
      const json: unknown = JSON.parse(new TextDecoder().decode(bytes));
      if (typeof json === "object" && json !== null && !Array.isArray(json)) {
        return parse(json as Record<string, unknown>);
      }
      throw new SyntaxError("it does not hold an object");
    });
  }

  /**
   * What `action` gives.
   *
   * @throws {CheckpointError} If it throws a `DeepragError`, or cannot parse JSON
   */
  guard<T>(what: string, action: () => T): T {
    try {
      return action();
    } catch (cause) {
      if (!(cause instanceof DeepragError || cause instanceof SyntaxError)) throw cause;
      throw this.error(`${what}: ${cause.message}`, cause);
    }
  }

  /** An error about the folder. */
  error(problem: string, cause?: unknown): CheckpointError {
    return new CheckpointError(
      `Cannot load an index from ${this.#folder}: ${problem}. ${this.#remedy}`,
      { cause },
    );
  }
}
