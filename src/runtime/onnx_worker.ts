/** The worker of {@linkcode "./worker_executor.ts".workerExecutor}: one session, one run at a time. @module */
import { createSession, OnnxExecutable } from "./onnx_session.ts";
import {
  copyTensors,
  memoryOf,
  type WorkerDone,
  type WorkerReply,
  type WorkerRequest,
} from "./worker_protocol.ts";

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<WorkerRequest>) => void) | null;
  postMessage(reply: WorkerReply, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let executable: OnnxExecutable | undefined;

async function answer(request: WorkerRequest): Promise<WorkerDone> {
  switch (request.kind) {
    case "open": {
      const { model, signature, options } = request;
      const session = await createSession(model, options), { provider, note } = session;
      executable = new OnnxExecutable(session, signature);
      return { kind: "done", outputs: {}, session: { provider, note } };
    }
    case "run": {
      const outputs = await executable!.run(request.inputs, { random: request.random });
      // The runtime's own memory cannot change hands, so the results are copied once.
      return { kind: "done", outputs: copyTensors(outputs) };
    }
    case "close":
      await executable?.dispose();
      return { kind: "done", outputs: {} };
  }
}

let previous: Promise<void> = Promise.resolve();

scope.onmessage = ({ data }) => {
  previous = previous.then(async () => {
    try {
      const done = await answer(data);
      scope.postMessage(done, memoryOf(done.outputs));
    } catch (error) {
      const { name, message } = error as Error;
      scope.postMessage({ kind: "failed", errorName: name, message }, []);
    }
  });
};
