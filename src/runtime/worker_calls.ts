/** Calls to a worker, which answers them one by one and in their order. @module */
import * as errors from "../errors.ts";

type Reply<Result> =
  | { kind: "done"; result: Result }
  | { kind: "failed"; errorName: string; message: string };

interface Waiting<Result> {
  resolve(result: Result): void;
  reject(error: Error): void;
}

/** The part of a worker's global scope that is used here. */
interface WorkerScope<Request, Result> {
  onmessage: ((event: MessageEvent<Request>) => void) | null;
  postMessage(reply: Reply<Result>, transfer: Transferable[]): void;
}

/** An error as the worker threw it, where it is one of ours. */
function errorOf(name: string, message: string): Error {
  if (name === "ShapeError") return new errors.ShapeError(message);
  if (name === "KernelError") return new errors.KernelError(message);
  return new errors.DeepragError(message);
}

/** A worker that is called. It keeps the process alive until it is closed. */
export class WorkerCalls<Request, Result> {
  readonly #worker: Worker;
  readonly #waiting: Waiting<Result>[] = [];
  #failure: Error | undefined;

  /**
   * Start it.
   *
   * @param url Its module, which calls {@linkcode serveCalls}
   * @param name What stands in messages
   */
  constructor(url: URL, name: string) {
    this.#worker = new Worker(url, { type: "module", name });
    this.#worker.onmessage = ({ data }: MessageEvent<Reply<Result>>) => {
      const { resolve, reject } = this.#waiting.shift()!;
      if (data.kind === "done") resolve(data.result);
      else reject(errorOf(data.errorName, data.message));
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#end(new errors.DeepragError(`The worker of ${name} failed: ${event.message}`));
    };
  }

  /** Whether it answers no more. */
  get isClosed(): boolean {
    return this.#failure !== undefined;
  }

  /**
   * Ask for something.
   *
   * @param request What it is asked
   * @param transfer Memory that goes over to the worker
   * @throws {DeepragError} What the worker threw, or that it has ended
   */
  async call(request: Request, transfer: Transferable[] = []): Promise<Result> {
    if (this.#failure) throw this.#failure;
    const { promise, resolve, reject } = Promise.withResolvers<Result>();
    this.#waiting.push({ resolve, reject });
    this.#worker.postMessage(request, transfer);
    return await promise;
  }

  #end(failure: Error): void {
    this.#failure ??= failure;
    for (const { reject } of this.#waiting.splice(0)) reject(failure);
  }

  /** End the worker. Calls that it has not answered fail. */
  close(): void {
    this.#end(new errors.DeepragError("The worker was closed"));
    this.#worker.terminate();
  }
}

/**
 * Answer the calls to this worker.
 *
 * @param answer Makes the result of a request
 * @param memoryOf Memory of a result, which is given away with it
 */
export function serveCalls<Request, Result>(
  answer: (request: Request) => Promise<Result>,
  memoryOf: (result: Result) => Transferable[] = () => [],
): void {
  const scope = globalThis as unknown as WorkerScope<Request, Result>;
  let previous: Promise<void> = Promise.resolve();
  scope.onmessage = ({ data }) => {
    previous = previous.then(async () => {
      try {
        const result = await answer(data);
        scope.postMessage({ kind: "done", result }, memoryOf(result));
      } catch (error) {
        const { name, message } = error as Error;
        scope.postMessage({ kind: "failed", errorName: name, message }, []);
      }
    });
  };
}
