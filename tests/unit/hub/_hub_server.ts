/** A Hub on this machine that can be told to misbehave. */

const encodeHex = (bytes: ArrayBuffer): string =>
  [...new Uint8Array(bytes)].map((x) => x.toString(16).padStart(2, "0")).join("");

export const COMMIT = "a".repeat(40);
export const OTHER_COMMIT = "b".repeat(40);

/** git's hash of a file, by WebCrypto, which the code under test doesn't use. */
export async function gitHash(bytes: Uint8Array): Promise<string> {
  const head = new TextEncoder().encode(`blob ${bytes.length}\0`);
  return encodeHex(await crypto.subtle.digest("SHA-1", Uint8Array.of(...head, ...bytes)));
}

export async function sha256(bytes: Uint8Array): Promise<string> {
  return encodeHex(await crypto.subtle.digest("SHA-256", bytes.slice()));
}

export interface Seen {
  method: string;
  path: string;
  host: string;
  authorization: string | null;
  range: string | null;
}

type Handler = (
  request: Request,
  seen: Seen,
) => Response | undefined | Promise<Response | undefined>;

export interface TestHub extends AsyncDisposable {
  endpoint: string;
  /** Where large files are redirected to. */
  cdn: string;
  /** Every request, in order. */
  seen: Seen[];
  /** Files of the repository owner/model. */
  files: Record<string, Uint8Array>;
  /** Files that live on the other host. */
  large: Set<string>;
  /** Which commit each revision means. */
  refs: Record<string, string>;
  /** Answers in place of the hub where it returns something. */
  before?: Handler;
  /** The same for the other host. */
  beforeCdn?: Handler;
  /** Stops answering. */
  stop(): Promise<void>;
}

const failed = (status: number, code: string, headers: Record<string, string> = {}) =>
  new Response(null, { status, headers: { "x-error-code": code, ...headers } });

/** The content, or the part that was asked for. */
export function content(request: Request, bytes: Uint8Array, headers: HeadersInit = {}): Response {
  const all = new Headers(headers);
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1] ?? 0);
  if (start > 0 && start >= bytes.length) {
    return new Response(null, {
      status: 416,
      headers: { "content-range": `bytes */${bytes.length}` },
    });
  }
  all.set("content-length", `${bytes.length - start}`);
  if (request.method === "HEAD") return new Response(null, { headers: all });
  if (start > 0) {
    all.set("content-range", `bytes ${start}-${bytes.length - 1}/${bytes.length}`);
    return new Response(bytes.slice(start), { status: 206, headers: all });
  }
  return new Response(bytes.slice(), { headers: all });
}

/** The first `count` bytes of an answer that announces more, then the connection breaks. */
export function cut(bytes: Uint8Array, count: number, headers: HeadersInit = {}): Response {
  const all = new Headers(headers);
  all.set("content-length", `${bytes.length}`);
  let isSent = false;
  const body = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      if (!isSent) {
        isSent = true;
        if (count > 0) controller.enqueue(bytes.slice(0, count));
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
      controller.error(new Error("cut"));
    },
  });
  return new Response(body, { headers: all });
}

export function startHub(files: Record<string, Uint8Array>, large: string[] = []): TestHub {
  const seen: Seen[] = [];
  const note = (request: Request): Seen => {
    const { pathname, host } = new URL(request.url);
    const entry: Seen = {
      method: request.method,
      path: decodeURIComponent(pathname),
      host,
      authorization: request.headers.get("authorization"),
      range: request.headers.get("range"),
    };
    seen.push(entry);
    return entry;
  };
  const quiet = {
    hostname: "127.0.0.1",
    port: 0,
    onListen: () => {},
    onError: () => new Response(),
  };
  const cdnServer = Deno.serve(quiet, async (request) => {
    const entry = note(request);
    const special = await hub.beforeCdn?.(request, entry);
    return special ?? content(request, hub.files[entry.path.slice(1)]);
  });
  const server = Deno.serve(quiet, async (request) => {
    const entry = note(request);
    const special = await hub.before?.(request, entry);
    if (special) return special;
    const parts = /^\/owner\/model\/resolve\/([^/]+)\/(.+)$/.exec(new URL(request.url).pathname);
    if (!parts) return failed(401, "RepoNotFound");
    const revision = decodeURIComponent(parts[1]), file = decodeURIComponent(parts[2]);
    const commit = hub.refs[revision] ?? Object.values(hub.refs).find((c) => c === revision);
    if (!commit) return failed(404, "RevisionNotFound");
    const bytes = hub.files[file];
    const headers = { "x-repo-commit": commit };
    if (!bytes) return failed(404, "EntryNotFound", headers);
    if (!hub.large.has(file)) {
      return content(request, bytes, { ...headers, etag: `W/"${await gitHash(bytes)}"` });
    }
    return new Response(null, {
      status: 302,
      headers: {
        ...headers,
        location: `${hub.cdn}/${file}`,
        "x-linked-etag": `"${await sha256(bytes)}"`,
        "x-linked-size": `${bytes.length}`,
      },
    });
  });
  let isRunning = true;
  const hub: TestHub = {
    endpoint: `http://127.0.0.1:${server.addr.port}`,
    cdn: `http://127.0.0.1:${cdnServer.addr.port}`,
    seen,
    files,
    large: new Set(large),
    refs: { main: COMMIT },
    async stop(): Promise<void> {
      if (!isRunning) return;
      isRunning = false;
      await Promise.all([server.shutdown(), cdnServer.shutdown()]);
    },
    [Symbol.asyncDispose]: () => hub.stop(),
  };
  return hub;
}
