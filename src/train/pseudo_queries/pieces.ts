/** Pieces of text without white space, each encoded once. @module */

/** Gives every distinct piece of text a number, and keeps its token ids. */
export class PieceTable {
  readonly #encode: (piece: string) => ArrayLike<number>;
  readonly #number = new Map<string, number>();
  readonly #text: string[] = [];
  readonly #ids: (Int32Array | undefined)[] = [];

  /**
   * An empty table.
   *
   * @param encode Token ids of a piece; called once for each that is asked for
   */
  constructor(encode: (piece: string) => ArrayLike<number>) {
    this.#encode = encode;
  }

  /** Number of a piece. */
  add(piece: string): number {
    let n = this.#number.get(piece);
    if (n === undefined) {
      n = this.#text.length;
      this.#number.set(piece, n);
      this.#text.push(piece);
    }
    return n;
  }

  /** Numbers of the pieces between the white space of a text. */
  addAll(text: string): Int32Array {
    return Int32Array.from(text.split(/\s+/).filter((piece) => piece !== ""), (p) => this.add(p));
  }

  /** A piece by its number. */
  text(n: number): string {
    return this.#text[n];
  }

  /** Token ids of a piece by its number. */
  ids(n: number): Int32Array {
    return this.#ids[n] ??= Int32Array.from(this.#encode(this.#text[n]));
  }
}
