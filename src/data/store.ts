/** Documents in a SQLite file: fetched by index or id, searched with BM25. @module */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { DataError } from "../errors.ts";
import { corpusFingerprint, EMPTY_FINGERPRINT } from "./fingerprint.ts";
import { toSearchQuery } from "./search_query.ts";
import type { Document } from "./types.ts";

/** Version of the tables below. A store of a newer version is refused, as is any older one. */
const SCHEMA_VERSION = 1;

const SCHEMA = `
  CREATE TABLE metadata (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE documents (
    position INTEGER PRIMARY KEY, doc_id TEXT NOT NULL UNIQUE, title TEXT NOT NULL, text TEXT NOT NULL
  );
  CREATE VIRTUAL TABLE words USING fts5(
    title, text, content='documents', content_rowid='position', tokenize='unicode61'
  );
  CREATE VIRTUAL TABLE stems USING fts5(
    title, text, content='documents', content_rowid='position', tokenize='porter unicode61'
  );`;

/** A document and its position in the corpus. */
export interface StoredDocument extends Document {
  /** Position in the corpus, from 0. */
  readonly index: number;
}

/** One result of a search. */
export interface FullTextHit {
  /** Position of the document in the corpus, from 0. */
  readonly index: number;
  /** Id of the document. */
  readonly docId: string;
  /** BM25 score: higher is better, comparable only within one query. */
  readonly score: number;
}

/** Choices of {@linkcode DocumentStore.open}. */
export interface OpenStoreOptions {
  /** How long to wait for another process that is writing. Default 5000. */
  timeoutMs?: number;
}

/** Choices of {@linkcode DocumentStore.put}. */
export interface PutOptions {
  /** Drop all documents of the store first, in the same transaction. Default: append. */
  replace?: boolean;
}

/** Choices of {@linkcode DocumentStore.search}. */
export interface FullTextOptions {
  /** Most results to give. Default 10. */
  k?: number;
  /** Compare word stems (Porter) instead of words. Default `false`. */
  stemmed?: boolean;
}

/**
 * A corpus in one SQLite file (write-ahead log), with two full-text indexes over title and text.
 *
 * Scores are FTS5's BM25 with its fixed k₁ = 1.2, b = 0.75. Searches are synchronous and take about
 * 1 ms for 2,000 paragraphs, 10 ms for 12,000 longer texts (one core).
 *
 * @example
 * ```ts
 * import { DocumentStore } from "./store.ts";
 * import { assertEquals } from "@std/assert";
 * using store = DocumentStore.open(":memory:");
 * store.put([
 *   { docId: "otter", title: "Otters", text: "They hold hands while sleeping." },
 *   { docId: "mole", title: "Moles", text: "They dig." },
 * ]);
 * assertEquals(store.search("Who sleeps?", { stemmed: true })[0].docId, "otter");
 * assertEquals(store.get(1)?.title, "Moles");
 * ```
 */
export class DocumentStore {
  /** Path as given to `open`. */
  readonly path: string;
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(path: string, database: DatabaseSync) {
    this.path = path;
    this.#database = database;
  }

  /**
   * Open a store, or make an empty one.
   *
   * @param path File, or `":memory:"` for one that vanishes when closed
   * @throws {DataError} If the file is damaged, is no document store, was written by another
   *   version, or stays locked by another process
   */
  static open(path: string, options: OpenStoreOptions = {}): DocumentStore {
    const { timeoutMs = 5000 } = options;
    const action = `open the document store ${path}`;
    const database = guard(action, () => new DatabaseSync(path, { timeout: timeoutMs }));
    const store = new DocumentStore(path, database);
    try {
      guard(action, () => store.#prepare(action));
    } catch (error) {
      database.close();
      throw error;
    }
    return store;
  }

  /** Number of documents. */
  get count(): number {
    return this.#read("SELECT count(*) AS n FROM documents")!.n as number;
  }

  /** {@linkcode corpusFingerprint} of the stored documents: tells whether a corpus changed. */
  get fingerprint(): string {
    return this.#read("SELECT value FROM metadata WHERE key = 'fingerprint'")!.value as string;
  }

  /**
   * Add documents after those that are there: all of them, or none if anything fails.
   *
   * @throws {DataError} If an id is taken, or the file cannot be written
   */
  put(documents: Iterable<Document>, options: PutOptions = {}): void {
    const action = `write to the document store ${this.path}`;
    guard(action, () => this.#database.exec("BEGIN IMMEDIATE"));
    try {
      guard(action, () => {
        if (options.replace) this.#clear();
        this.#append(documents, action);
        this.#database.exec("COMMIT");
      });
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  /**
   * A document by its position (a number) or its id (a string); `undefined` if there is none.
   */
  get(indexOrDocId: number | string): StoredDocument | undefined {
    const column = typeof indexOrDocId === "number" ? "position" : "doc_id";
    const row = this.#read(`${SELECT_DOCUMENT} WHERE ${column} = ?`, indexOrDocId);
    return row && toDocument(row);
  }

  /** All documents in order, one at a time. The store must not be written to meanwhile. */
  *documents(): Generator<StoredDocument, void, undefined> {
    const rows = this.#database.prepare(`${SELECT_DOCUMENT} ORDER BY position`).iterate();
    for (const row of rows) yield toDocument(row as Row);
  }

  /**
   * The documents that match any word of a question best, by BM25 over title and text.
   *
   * Any text is a valid question. Stop words are dropped unless there is nothing else.
   *
   * @returns Best first, ties in corpus order; fewer than k where fewer documents share a word
   * @throws {DataError} If `k` is not a positive whole number, or the file is damaged
   */
  search(question: string, options: FullTextOptions = {}): FullTextHit[] {
    const { k = 10, stemmed = false } = options;
    if (!Number.isSafeInteger(k) || k < 1) {
      throw new DataError(`Cannot search for the best ${k}: give a whole number of at least 1`);
    }
    const query = toSearchQuery(question);
    if (query === undefined) return [];
    const table = stemmed ? "stems" : "words";
    const sql = `SELECT m.position AS "index", d.doc_id AS docId, m.score AS score FROM
      (SELECT rowid AS position, -rank AS score FROM ${table} WHERE ${table} MATCH ?
       ORDER BY rank, rowid LIMIT ?) AS m
      JOIN documents AS d USING (position) ORDER BY score DESC, position`;
    const rows = guard(
      `search the document store ${this.path}`,
      () => this.#statement(sql).all(query, k) as Row[],
    );
    return rows.map(({ index, docId, score }) => ({ index, docId, score } as FullTextHit));
  }

  /** Close the file. The store cannot be used afterwards. */
  close(): void {
    if (!this.#database.isOpen) return;
    this.#statements.clear();
    this.#database.close();
  }

  /** Closes the store at the end of a `using` block. */
  [Symbol.dispose](): void {
    this.close();
  }

  #prepare(action: string): void {
    const tables = this.#database.prepare("SELECT name FROM sqlite_master").all();
    if (tables.length === 0) {
      this.#database.exec("PRAGMA journal_mode = WAL");
      this.#create();
    }
    if (tables.length > 0 && !tables.some(({ name }) => name === "metadata")) {
      throw new DataError(
        `Cannot ${action}: it is a database of something else. Choose another path`,
      );
    }
    const row = this.#read("SELECT value FROM metadata WHERE key = 'schema_version'");
    if (Number(row?.value) !== SCHEMA_VERSION) {
      throw new DataError(
        `Cannot ${action}: its tables have version ${row?.value}, this program reads version ` +
          `${SCHEMA_VERSION}. Delete the file and prepare the data again`,
      );
    }
    this.#database.exec("PRAGMA synchronous = NORMAL");
  }

  #create(): void {
    this.#database.exec("BEGIN IMMEDIATE");
    // Another process may have made the tables while this one waited for its turn.
    if (this.#database.prepare("SELECT name FROM sqlite_master").all().length === 0) {
      this.#database.exec(SCHEMA);
      const set = this.#database.prepare("INSERT INTO metadata VALUES (?, ?)");
      set.run("schema_version", String(SCHEMA_VERSION));
      set.run("fingerprint", EMPTY_FINGERPRINT);
    }
    this.#database.exec("COMMIT");
  }

  #clear(): void {
    this.#database.exec(`
      INSERT INTO words(words) VALUES ('delete-all');
      INSERT INTO stems(stems) VALUES ('delete-all');
      DELETE FROM documents;
      UPDATE metadata SET value = '${EMPTY_FINGERPRINT}' WHERE key = 'fingerprint'`);
  }

  #append(documents: Iterable<Document>, action: string): void {
    let position = this.count, fingerprint = this.fingerprint;
    const inserts = [
      "INSERT INTO words(rowid, title, text)",
      "INSERT INTO stems(rowid, title, text)",
    ]
      .map((insert) => this.#statement(`${insert} VALUES (?, ?, ?)`));
    const insert = this.#statement("INSERT OR IGNORE INTO documents VALUES (?, ?, ?, ?)");
    for (const document of documents) {
      const { docId, title, text } = document;
      if (insert.run(position, docId, title, text).changes === 0) {
        throw new DataError(`Cannot ${action}: the doc_id "${docId}" is taken`);
      }
      for (const statement of inserts) statement.run(position, title, text);
      fingerprint = corpusFingerprint([document], fingerprint);
      position++;
    }
    this.#statement("UPDATE metadata SET value = ? WHERE key = 'fingerprint'").run(fingerprint);
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #read(sql: string, ...values: (string | number)[]): Row | undefined {
    return guard(
      `read the document store ${this.path}`,
      () => this.#statement(sql).get(...values) as Row | undefined,
    );
  }
}

type Row = Record<string, unknown>;

const SELECT_DOCUMENT = "SELECT position, doc_id, title, text FROM documents";

function toDocument({ position, doc_id, title, text }: Row): StoredDocument {
  return { index: position, docId: doc_id, title, text } as StoredDocument;
}

/** What SQLite says (Deno does not always pass its result code on) and what a person can do about it. */
const SQLITE_REASONS: [RegExp, string][] = [
  [/is locked|is busy/, "another process is writing to it. Wait for that process or end it"],
  [/readonly/, "it may not be written. Check the permissions of the file and its folder"],
  [
    /malformed|constructor failed|corrupt/,
    "the file is damaged. Delete it and prepare the data again",
  ],
  [/is full/, "the disk is full"],
  [
    /unable to open/,
    "it cannot be opened or made. Check that its folder exists and may be written",
  ],
  [
    /not a database/,
    "it is not a SQLite file. Choose another path, or delete it and prepare again",
  ],
];

/** Run `use`; what SQLite refuses becomes a {@linkcode DataError} with a remedy. */
function guard<T>(action: string, use: () => T): T {
  try {
    return use();
  } catch (cause) {
    const isFromSqlite = cause instanceof Error && "code" in cause &&
      cause.code === "ERR_SQLITE_ERROR";
    if (!isFromSqlite) throw cause;
    const known = SQLITE_REASONS.find(([pattern]) => pattern.test(cause.message));
    throw new DataError(`Cannot ${action}: ${known?.[1] ?? cause.message}`, {}, { cause });
  }
}
