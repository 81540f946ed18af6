/** Gathers documents and questions and notes everything that does not fit together. @module */
import type { DataLocation } from "../errors.ts";
import { ProblemList } from "./problems.ts";
import type { Dataset, Document, Query } from "./types.ts";

/** Where something first stood. */
type Places = Map<string, Required<DataLocation>>;

/** What both file formats fill. Documents come first, then questions. */
export class DatasetBuilder {
  /** Everything that is wrong so far. */
  readonly problems: ProblemList = new ProblemList();
  readonly #documents: Document[] = [];
  readonly #documentPlaces: Places = new Map();
  readonly #queries: Record<string, Query[]> = {};
  readonly #queryPlaces: Record<string, Places> = {};

  /** Documents so far. */
  get documents(): readonly Document[] {
    return this.#documents;
  }

  /** A file without a single record is a problem, unless something worse was found before. */
  checkDocuments(file: string): void {
    if (this.#documents.length === 0 && this.problems.isEmpty) {
      this.problems.add("the file holds no documents", { file, line: 1 });
    }
  }

  /** Add a document; a second one with the same id is a problem. */
  addDocument(document: Document, location: Required<DataLocation>): void {
    if (this.#isNew(this.#documentPlaces, "doc_id", document.docId, location)) {
      this.#documents.push(document);
    }
  }

  /** Note that an id was claimed by a document too broken to add, so that questions may name it. */
  claimDocument(docId: string, location: Required<DataLocation>): void {
    if (docId !== "" && !this.#documentPlaces.has(docId)) this.#documentPlaces.set(docId, location);
  }

  /** Start a part, which may stay empty. */
  addPart(part: string): void {
    this.#queries[part] ??= [];
    this.#queryPlaces[part] ??= new Map();
  }

  /** Add a question; a second one with the same id in the part is a problem. */
  addQuery(part: string, query: Query, location: Required<DataLocation>): void {
    this.addPart(part);
    if (this.#isNew(this.#queryPlaces[part], "query_id", query.queryId, location)) {
      this.#queries[part].push(query);
    }
  }

  /** An id that no document has is a problem. */
  checkReference(docId: string, location: Required<DataLocation>): void {
    if (!this.#documentPlaces.has(docId)) {
      this.problems.add(`no document has the doc_id "${docId}"`, location);
    }
  }

  /** The dataset. */
  build(): Dataset {
    return { documents: this.#documents, queries: this.#queries };
  }

  #isNew(places: Places, key: string, id: string, location: Required<DataLocation>): boolean {
    const first = places.get(id);
    if (first !== undefined) {
      this.problems.add(`${key} "${id}" is taken by ${first.file}:${first.line}`, location);
      return false;
    }
    places.set(id, location);
    return true;
  }
}
