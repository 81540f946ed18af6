/** The worker of {@linkcode "./worker_executor.ts".workerExecutor}: one session, one run at a time. @module */
import { createSession, OnnxExecutable } from "./onnx_session.ts";
import type { HostTensors } from "./executor.ts";
import { copyTensors, memoryOf, type WorkerReply, type WorkerRequest } from "./worker_protocol.ts";

/** The part of a worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<WorkerRequest>) => void) | null;
  postMessage(reply: WorkerReply, transfer: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let executable: OnnxExecutable | undefined;

async function answer(request: WorkerRequest): Promise<HostTensors> {
  switch (request.kind) {
    case "open": {
      const { model, signature, threads } = request;
      executable = new OnnxExecutable(await createSession(model, { threads }), signature);
      return {};
    }
    case "run":
      // The runtime's own memory cannot change hands, so the results are copied once.
      return copyTensors(await executable!.run(request.inputs, { random: request.random }));
    case "close":
      await executable?.dispose();
      return {};
  }
}

let previous: Promise<void> = Promise.resolve();

scope.onmessage = ({ data }) => {
  previous = previous.then(async () => {
    try {
      const outputs = await answer(data);
      scope.postMessage({ kind: "done", outputs }, memoryOf(outputs));
    } catch (error) {
      const { name, message } = error as Error;
      scope.postMessage({ kind: "failed", errorName: name, message }, []);
    }
  });
};
