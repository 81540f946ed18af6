/** Requests to the Hub: redirects, the token, and patience. @module */
import { RemoteError } from "../errors.ts";

/** How to talk to a Hub. */
export interface Connection {
  /** Address without a slash at the end. */
  readonly endpoint: string;
  /** Sent to the endpoint and to no other host. */
  readonly token?: string;
  /** Sends one request. */
  readonly fetch: typeof fetch;
  /** Ends everything. */
  readonly signal?: AbortSignal;
  /** Wait before each further attempt. */
  readonly retryDelaysMs: readonly number[];
  /** An answer that brings nothing for so long counts as lost. */
  readonly stallMs: number;
}

/** The server could not be asked, so a copy in the cache is as good as can be had. */
export class UnreachableError extends RemoteError {}

/** An answer and the redirects that led to it. */
export interface Answer {
  /** The last response. */
  readonly response: Response;
  /** A header of the first response that has it, redirects included. */
  header(name: string): string | null;
  /** Keeps the answer from counting as lost for another while. */
  feed(): void;
  /** Must be called in the end: drops what was not read. */
  close(): Promise<void>;
}

/** What to ask. */
export interface Question {
  /** HEAD stops at the first response that describes the file, GET follows to its content. */
  method: "HEAD" | "GET";
  /** Absolute address. */
  url: string;
  /** Further headers. */
  headers?: Readonly<Record<string, string>>;
}

const MAX_REDIRECTS = 8;
const MAX_RETRY_AFTER_MS = 60_000;
const isTemporary = (status: number) => status === 408 || status === 429 || status >= 500;
const isRedirect = (status: number) => [301, 302, 303, 307, 308].includes(status);

/** Waits, unless the signal ends it. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal!.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/**
 * Asks until there is an answer that isn't a temporary failure, at most as often as the connection
 * allows.
 *
 * @throws {UnreachableError} If there is none
 */
export async function ask(connection: Connection, question: Question): Promise<Answer> {
  const { signal, retryDelaysMs, endpoint } = connection;
  for (let attempt = 0;; attempt++) {
    let problem: string, wait = retryDelaysMs[attempt], cause: unknown;
    try {
      const answer = await askOnce(connection, question);
      if (!isTemporary(answer.response.status)) return answer;
      problem = `it answers with status ${answer.response.status}`;
      const after = Number(answer.response.headers.get("retry-after")) * 1000;
      if (after > wait) wait = Math.min(after, MAX_RETRY_AFTER_MS);
      await answer.close();
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof RemoteError) throw error;
      problem = (error as Error).message;
      cause = error;
    }
    if (attempt >= retryDelaysMs.length) {
      throw new UnreachableError(
        `Cannot reach ${new URL(question.url).host}: ${problem} (${attempt + 1} attempts). ` +
          `Check the network and ${endpoint}, or try again later; what is complete is kept`,
        { cause },
      );
    }
    await pause(wait, signal);
  }
}

async function askOnce(connection: Connection, question: Question): Promise<Answer> {
  const hops: Response[] = [];
  let url = new URL(question.url);
  for (;;) {
    const { response, feed, stop } = await send(connection, { ...question, url: url.href });
    hops.push(response);
    const close = async () => {
      stop();
      await response.body?.cancel().catch(() => {});
    };
    const describesFile = question.method === "HEAD" && response.headers.has("x-linked-etag");
    const location = response.headers.get("location");
    if (!isRedirect(response.status) || describesFile || location === null) {
      const header = (name: string) =>
        hops.find(({ headers }) => headers.has(name))?.headers.get(name) ?? null;
      return { response, header, feed, close };
    }
    await close();
    if (hops.length > MAX_REDIRECTS) {
      throw new RemoteError(`Cannot get ${question.url}: it leads from one address to the next`);
    }
    const next = new URL(location, url);
    const isSafe = next.protocol === "https:" ||
      (next.protocol === "http:" && url.protocol === "http:");
    if (!isSafe) {
      throw new RemoteError(
        `Cannot get ${question.url}: it leads to ${next.protocol}//${next.host}, which is not https`,
      );
    }
    url = next;
  }
}

interface Sent {
  response: Response;
  feed: () => void;
  stop: () => void;
}

async function send(connection: Connection, question: Question): Promise<Sent> {
  const { endpoint, token, fetch, signal, stallMs } = connection;
  // Content in its own bytes: sizes and ranges count those.
  const headers = new Headers({ "accept-encoding": "identity", ...question.headers });
  if (token && new URL(question.url).origin === new URL(endpoint).origin) {
    headers.set("authorization", `Bearer ${token}`);
  }
  const lost = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const feed = () => {
    clearTimeout(timer);
    timer = setTimeout(
      () => lost.abort(new Error(`nothing came for ${stallMs / 1000} seconds`)),
      stallMs,
    );
  };
  const stop = () => clearTimeout(timer);
  feed();
  try {
    const response = await fetch(question.url, {
      method: question.method,
      headers,
      redirect: "manual",
      signal: signal ? AbortSignal.any([signal, lost.signal]) : lost.signal,
    });
    return { response, feed, stop };
  } catch (error) {
    stop();
    throw error;
  }
}
