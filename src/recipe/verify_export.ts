/** Proof that a file that was written answers as the model it came from. @module */
import type { Program } from "../graph/mod.ts";
import {
  eagerExecutor,
  type Executable,
  type HostTensors,
  openOnnx,
  type OutputError,
  verifyProgram,
} from "../runtime/mod.ts";
import { hostTensor } from "../tensor/host_tensor.ts";
import { randomStream } from "../tensor/random.ts";

/** Documents that are less apart than this (in nats) may change places. */
const NEARLY_EQUAL = 1e-3;

const SIZES = [{ B: 1, S: 1 }, { B: 2, S: 5 }, { B: 5, S: 3 }];

/**
 * Compare a search graph in a file with the program it was written from, run eagerly, on random
 * questions of several sizes. Every document has to be the same, unless its neighbours in the ranking
 * are as probable.
 *
 * @param path The `.onnx` file
 * @param program What it was written from
 * @param options `constants`: the parameters, which the file holds; `tokens`: ids of questions are
 *   drawn from `first` to `end` − 1
 * @returns The worst error of each output
 * @throws {TraceError} If an output differs
 */
export function verifyExport(
  path: string,
  program: Program,
  options: { constants: HostTensors; tokens: { first: number; end: number } },
): Promise<OutputError[]> {
  const { constants, tokens } = options;
  const reference = eagerExecutor("cpu");
  return verifyProgram(program, {
    executor: {
      name: path,
      compile: async () =>
        withSettledTies(await openOnnx(path), await reference.compile(program, { constants })),
    },
    reference,
    compile: { constants },
    usual: 1,
    sizes: SIZES,
    makeInputs: ({ B, S }) => randomQuestions(B, S, tokens),
  });
}

/** `exported`, with the documents of `reference` wherever a neighbour is nearly as probable. */
function withSettledTies(exported: Executable, reference: Executable): Executable {
  return {
    inputs: exported.inputs,
    outputs: exported.outputs,
    async run(inputs): Promise<HostTensors> {
      const ours = await exported.run(inputs), theirs = await reference.run(inputs);
      const { data, shape } = ours.doc, K = shape[1];
      const logProb = theirs.logProb.data;
      // Who stands behind the last one is not known.
      const isTie = (i: number): boolean =>
        i % K === K - 1 || !(logProb[i] - logProb[i + 1] > NEARLY_EQUAL);
      const doc = Int32Array.from(
        data,
        (d, i) => isTie(i) || (i % K > 0 && isTie(i - 1)) ? theirs.doc.data[i] : d,
      );
      return { ...ours, doc: hostTensor("int32", doc, shape) };
    },
    async dispose(): Promise<void> {
      await exported.dispose();
      await reference.dispose();
    },
  };
}

/** Questions of random tokens, the last half of every other one padding. */
function randomQuestions(
  B: number,
  S: number,
  { first, end }: { first: number; end: number },
): HostTensors {
  const random = randomStream({ seed: 0, stream: "verify", step: B * 1000 + S });
  const ids = Int32Array.from({ length: B * S }, () => first + random.int(end - first));
  const isToken = Float32Array.from(
    { length: B * S },
    (_, i) => Math.floor(i / S) % 2 && i % S >= Math.ceil(S / 2) ? 0 : 1,
  );
  return {
    inputIds: hostTensor("int32", ids, [B, S]),
    isToken: hostTensor("float32", isToken, [B, S]),
  };
}
