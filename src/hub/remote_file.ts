/** What the Hub says about a file before it is downloaded. @module */
import { RemoteError } from "../errors.ts";
import { type Answer, ask, type Connection } from "./connection.ts";
import { isCommit } from "./model_id.ts";

/** One file of one revision of a model. */
export interface FileAddress {
  /** Id of the model. */
  readonly id: string;
  /** Branch, tag or commit. */
  readonly revision: string;
  /** Path in the repository. */
  readonly file: string;
}

/** A file the Hub has. */
export interface RemoteFile {
  /** Names the content: SHA-256 of large files, git's SHA-1 of small ones. */
  readonly etag: string;
  /** Bytes of the content, where the server says so. */
  readonly sizeBytes?: number;
}

/** What the Hub says. */
export interface Lookup {
  /** The commit that the revision means, where the server says so. */
  readonly commit?: string;
  /** Undefined if the commit has no such file. */
  readonly remote?: RemoteFile;
}

/** Address of the content of a file. */
export function urlOf(endpoint: string, { id, revision, file }: FileAddress): string {
  const path = file.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${id}/resolve/${encodeURIComponent(revision)}/${path}`;
}

/**
 * Asks the Hub about a file.
 *
 * @throws {RemoteError} If the model or revision does not exist, may not be read, or the answer makes
 * no sense
 */
export async function lookUp(connection: Connection, address: FileAddress): Promise<Lookup> {
  const url = urlOf(connection.endpoint, address);
  const answer = await ask(connection, { method: "HEAD", url });
  try {
    const { status } = answer.response;
    const commit = commitOf(answer);
    if (status < 400) return { commit, remote: describe(answer, url) };
    if (isMissingFile(answer, address)) return { commit };
    throw refusal(connection, address, answer);
  } finally {
    await answer.close();
  }
}

function commitOf(answer: Answer): string | undefined {
  const commit = answer.header("x-repo-commit");
  return commit !== null && isCommit(commit) ? commit : undefined;
}

/** A file that is not there, as opposed to a model or a revision that isn't. */
function isMissingFile(answer: Answer, { revision }: FileAddress): boolean {
  if (answer.response.status !== 404) return false;
  const code = answer.header("x-error-code");
  if (code !== null) return code === "EntryNotFound";
  return answer.header("x-repo-commit") !== null || isCommit(revision);
}

function describe(answer: Answer, url: string): RemoteFile {
  const { response } = answer;
  const raw = answer.header("x-linked-etag") ?? response.headers.get("etag");
  const etag = raw?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
  // It becomes a file name.
  if (!etag || !/^[A-Za-z0-9_-]{1,128}$/.test(etag)) {
    throw new RemoteError(`Cannot get ${url}: its etag is ${raw ?? "missing"}. Is this a Hub?`);
  }
  // Some servers answer HEAD with the length of their empty answer.
  const length = response.ok ? response.headers.get("content-length") : null;
  const size = answer.header("x-linked-size") ?? (length === "0" ? null : length);
  return { etag, sizeBytes: size !== null && /^\d{1,15}$/.test(size) ? Number(size) : undefined };
}

/** The error for an answer that refuses a file. */
export function refusal(
  { endpoint, token }: Connection,
  { id, revision, file }: FileAddress,
  answer: Answer,
): RemoteError {
  const { status } = answer.response;
  const code = answer.header("x-error-code");
  const page = `${endpoint}/${id}`;
  const what = `Cannot get ${file} of the model ${id} from ${endpoint}`;
  if (code === "GatedRepo" || status === 403) {
    return new RemoteError(
      `${what}: access is refused (status ${status}). If the model is gated, accept its terms at ` +
        `${page}` + (token ? "; the token must belong to that account" : ", then set HF_TOKEN"),
    );
  }
  if (code === "RevisionNotFound") {
    return new RemoteError(
      `${what}: it has no branch, tag or commit ${revision}. ${page}/tree/main lists them`,
    );
  }
  if (code === "EntryNotFound") {
    return new RemoteError(`${what}: revision ${revision} has no such file. See ${page}/tree/main`);
  }
  if (status === 401 || status === 404) {
    return new RemoteError(
      `${what}: there is no such model, or it is private (status ${status}). Check the spelling; ` +
        (token ? "the token must have access to it" : "for a private model set HF_TOKEN") +
        `. There is no folder ${id} here either`,
    );
  }
  return new RemoteError(`${what}: the answer has status ${status}. See ${page}`);
}
