/** Names of models, revisions and files, checked before they become paths or addresses. @module */
import { DataError } from "../errors.ts";

const PART = /^[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?$/;

/**
 * Is this the id of a model on the Hub: `name` or `owner/name`, each of at most 96 letters, digits,
 * `-`, `_` and `.`, not starting or ending with `-` or `.`, without `--` or `..`, not ending in
 * `.git`?
 *
 * @example
 * ```ts
 * import { isModelId } from "./model_id.ts";
 * import { assertEquals } from "@std/assert";
 * assertEquals(["t5-small", "google/t5-v1_1-small", "../t5"].map(isModelId), [true, true, false]);
 * ```
 */
export function isModelId(id: string): boolean {
  const parts = id.split("/");
  return parts.length <= 2 && parts.every((part) => PART.test(part)) &&
    !id.includes("--") && !id.includes("..") && !id.endsWith(".git");
}

/** Is this the full hash of a commit, which never comes to mean something else? */
export function isCommit(revision: string): boolean {
  return /^[0-9a-f]{40}$/.test(revision);
}

/** Relative, without empty, `.` or `..` parts, and without what a file system may treat specially. */
function isPlainPath(path: string): boolean {
  return !/[\\:*?"<>|\p{Cc}]/u.test(path) &&
    path.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

/**
 * A branch, tag or commit that can stand in a path.
 *
 * @throws {DataError} If it can't
 */
export function checkRevision(revision: string): string {
  if (isPlainPath(revision)) return revision;
  throw new DataError(
    `Cannot use the revision ${JSON.stringify(revision)}: it is no branch, tag or commit hash`,
  );
}

/**
 * A file of a repository, with `/` between folders.
 *
 * @throws {DataError} If the name could lead out of the repository
 */
export function checkFileName(file: string): string {
  if (isPlainPath(file)) return file;
  throw new DataError(
    `Cannot get the file ${JSON.stringify(file)}: it is no path inside of a repository`,
  );
}
