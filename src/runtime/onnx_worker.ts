/** The worker of {@linkcode "./worker_executor.ts".workerExecutor}: one session, one run at a time. @module */
import type { HostTensors } from "./executor.ts";
import { createSession, OnnxExecutable } from "./onnx_session.ts";
import { serveCalls } from "./worker_calls.ts";
import { copyTensors, memoryOf, type WorkerRequest } from "./worker_protocol.ts";

let executable: OnnxExecutable | undefined;

serveCalls(async (request: WorkerRequest): Promise<HostTensors> => {
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
}, memoryOf);
