import { assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { DocidSearcher } from "../../../src/retriever/searcher.ts";
import type { Executable, HostTensors } from "../../../src/runtime/executor.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";

/** Finds the document whose number is the question's first token; remembers what it was fed. */
function fakeGraph(): { executable: Executable; fed: HostTensors[]; isDisposed: () => boolean } {
  const fed: HostTensors[] = [];
  let isDisposed = false;
  const executable: Executable = {
    inputs: { inputIds: "int32", isToken: "float32" },
    outputs: ["doc", "logProb", "droppedMass"],
    run(inputs): Promise<HostTensors> {
      fed.push(inputs);
      const [B, S] = inputs.inputIds.shape;
      const first = Array.from({ length: B }, (_, b) => inputs.inputIds.data[b * S] as number);
      return Promise.resolve({
        doc: hostTensor("int32", Int32Array.from(first.flatMap((x) => [x, x + 1, -1])), [B, 3]),
        logProb: hostTensor("float32", new Float32Array(B * 3).fill(-0.5), [B, 3]),
        droppedMass: hostTensor("float32", Float32Array.from(first, (x) => x - 2), [B]),
      });
    },
    dispose(): Promise<void> {
      isDisposed = true;
      return Promise.resolve();
    },
  };
  return { executable, fed, isDisposed: () => isDisposed };
}

/** "3 1 4" is three tokens. */
const encode = (text: string): Int32Array => Int32Array.from(text.trim().split(" "), Number);

Deno.test("answers come in the order of the questions, though similar lengths are run together", async () => {
  const { executable, fed, isDisposed } = fakeGraph();
  const searcher = new DocidSearcher({ executable, encode, padId: 99 });
  const results = await searcher.search(["7 1 1 1", "5", "6 2 2", "2", "4 0"], 2);
  assertEquals(results.map(({ hits }) => hits.map(({ doc }) => doc)), [
    [7, 8],
    [5, 6],
    [6, 7],
    [2, 3],
    [4, 5],
  ]);
  assertEquals(results[3].hits[0], { doc: 2, logProb: -0.5 });
  assertEquals(fed.map(({ inputIds }) => [...inputIds.shape]), [[2, 1], [2, 3], [1, 4]]);
  assertEquals([...fed[1].inputIds.data], [4, 0, 99, 6, 2, 2]);
  assertEquals([...fed[1].isToken.data], [1, 1, 0, 1, 1, 1]);
  // A rounding error may push the mass out of its range.
  assertEquals(results.map(({ droppedMass }) => droppedMass), [1, 1, 1, 0, 1]);
  await searcher.dispose();
  assertEquals(isDisposed(), true);
});

Deno.test("long questions are cut, parameters are passed on, no question is no run", async () => {
  const { executable, fed } = fakeGraph();
  const parameters = { w: hostTensor("float32", Float32Array.of(1), [1]) };
  const searcher = new DocidSearcher({ executable, encode, padId: 0, maxTokens: 2, parameters });
  assertEquals(await searcher.search([]), []);
  assertEquals(fed.length, 0);
  await searcher.search(["1 2 3 4"]);
  assertEquals([...fed[0].inputIds.data], [1, 2]);
  assertEquals(fed[0].w, parameters.w);
});

Deno.test("a blank question is an error that says which one, and so is an empty batch", async () => {
  const { executable, fed } = fakeGraph();
  const searcher = new DocidSearcher({ executable, encode, padId: 0 });
  await assertRejects(() => searcher.search(["1", " \n"]), DataError, "text 2 of 2: it is blank");
  await assertRejects(() => searcher.search(["1"], 0), DataError, "in batches of 0");
  assertEquals(fed.length, 0);
});
