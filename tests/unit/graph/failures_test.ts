import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DeepragError, KernelError, ShapeError, TraceError } from "../../../src/errors.ts";
import { type Program, record, toOnnx, withGradients } from "../../../src/graph/mod.ts";

type Run = (x: tf.Tensor) => tf.Tensor;
type ErrorClass = typeof TraceError | typeof KernelError;

const program = (run: Run): Program => ({
  name: "wrong",
  inputs: { x: { dtype: "float32", shape: ["B", "S"] } },
  run: ({ x }) => ({ y: run(x) }),
});

/** Recording `run` must fail, and the message must name this file as the place. */
function assertRefused(run: Run, type: ErrorClass, ...words: string[]): void {
  const error = assertThrows(() => record(program(run)), type);
  for (const word of ["failures_test.ts", ...words]) assertStringIncludes(error.message, word);
}

Deno.test("a table made in JavaScript from a size is refused", () => {
  assertRefused(
    (x) => {
      const S = x.shape[1]!;
      return tf.add(x, tf.tensor2d(Array.from({ length: S }, (_, i) => i), [1, S]));
    },
    TraceError,
    "table of shape",
  );
});

Deno.test("a constant that follows a size is refused, with the remedy", () => {
  assertRefused((x) => tf.div(tf.sum(x, 1), x.shape[1]!), TraceError, "constant", "sizeScalar");
});

Deno.test("a branch on a size is refused", () => {
  assertRefused((x) => x.shape[1]! > 215 ? tf.neg(x) : tf.exp(x), TraceError, "Neg", "Exp");
});

Deno.test("operands that change places with a size are refused", () => {
  assertRefused(
    (x) => {
      const pair = [tf.neg(x), tf.exp(x)];
      if (x.shape[1]! > 215) pair.reverse();
      return tf.add(tf.sub(pair[0], pair[1]), tf.mul(tf.neg(x), tf.exp(x)));
    },
    TraceError,
    "which tensor it is follows a size",
  );
});

Deno.test("a loop over a size is refused", () => {
  assertRefused(
    (x) => {
      let y: tf.Tensor = tf.zeros([x.shape[0], 1]);
      for (let i = 0; i < x.shape[1]!; i++) y = tf.add(y, tf.exp(tf.slice(x, [0, i], [-1, 1])));
      return y;
    },
    TraceError,
    "path follows a size",
  );
});

Deno.test("a size that is no expression of the symbols is refused", () => {
  assertRefused(
    (x) => tf.slice(x, [0, 0], [-1, Math.ceil(x.shape[1]! / 2)]),
    TraceError,
    "Cannot express a size",
  );
});

Deno.test("reading a value is refused", () => {
  assertRefused((x) => tf.mul(x, x.dataSync()[0]), TraceError, "Cannot read a tensor");
  assertRefused((x) => tf.mul(x, (tf.sum(x).arraySync() as number) + 1), TraceError, "Cannot read");
});

Deno.test("reading a value asynchronously is refused, awaited or not", () => {
  assertRefused((x) => (x.data(), x), TraceError, "Cannot read a tensor");
  const run = (async ({ x }: Record<string, tf.Tensor>) => {
    await x.data();
    return { y: x };
  }) as unknown as Program["run"];
  assertThrows(() => record({ ...program((x) => x), run }), TraceError, "Cannot read a tensor");
});

Deno.test("random numbers baked into a trace are refused, with and without symbols", () => {
  assertRefused((x) => tf.add(x, tf.randomNormal([200, 1, 1])), TraceError, "random", "keepMask");
  const fixed = { B: 2, S: 200 };
  const noisy = program((x) => tf.add(x, tf.randomNormal([200, 1, 1])));
  assertThrows(() => record(noisy, { fixed }), TraceError, "random");
  assertThrows(() => record(program((x) => tf.dropout(x, 0.5)), { fixed }), TraceError, "random");
});

Deno.test("an unsupported kernel, form or gradient is named", () => {
  assertRefused((x) => tf.selu(x), KernelError, "Selu");
  assertRefused((x) => tf.step(x, 0.5), KernelError, "Step", "alpha");
  const product = program((x) => tf.prod(x));
  const slope = withGradients(product, { loss: "y", parameters: ["x"] });
  assertThrows(() => record(slope), KernelError, "Cannot differentiate kernel Prod");
});

Deno.test("an exception restores the backend, and another recording can start", async () => {
  await tf.setBackend("cpu");
  const broken = program(() => {
    throw new RangeError("mine");
  });
  assertThrows(() => record(broken), RangeError, "mine");
  assertEquals(tf.getBackend(), "cpu");
  assertEquals(tf.add(1, 2).arraySync(), 3);
  assertEquals(record(program((x) => tf.neg(x))).nodes.length, 1);
});

Deno.test("a recording inside a recording is refused", () => {
  const outer = program((x) => {
    record(program((y) => y));
    return x;
  });
  assertThrows(() => record(outer), TraceError, "Cannot start a recording");
});

Deno.test("a tensor kept from an earlier recording is refused", () => {
  let kept: tf.Tensor | undefined;
  assertRefused((x) => tf.add(x, kept ??= tf.keep(tf.neg(x))), TraceError, "has ended");
});

Deno.test("recording leaves no tensors behind", async () => {
  await tf.setBackend("cpu");
  const before = tf.memory().numTensors;
  const steps = program((x) => tf.mean(tf.softmax(tf.mul(x, 3))));
  record(withGradients(steps, { loss: "y", parameters: ["x"] }));
  assertThrows(() => record(program((x) => tf.mul(x, x.dataSync()[0]))), TraceError);
  assertEquals(tf.memory().numTensors, before);
});

Deno.test("an eager tensor used by a program becomes a constant and stays usable", async () => {
  await tf.setBackend("cpu");
  const table = tf.tensor1d(Array.from({ length: 100 }, (_, i) => i));
  const sum = program((x) => tf.add(tf.sum(x), tf.sum(table)));
  assertEquals(record(sum).nodes.map((n) => n.op), ["ReduceSum", "ReduceSum", "Add"]);
  assertEquals(tf.sum(table).arraySync(), 4950);
  table.dispose();
});

Deno.test("bad names and options are refused", () => {
  const same = program((x) => x);
  assertThrows(() => record(same, { fixed: { Q: 1 } }), TraceError, "Cannot fix Q");
  const clash: Program = { ...same, run: ({ x }) => ({ x: tf.neg(x) }) };
  assertThrows(() => toOnnx(record(clash)), TraceError, "Rename");
  const options = { loss: "y", parameters: ["nothing"] };
  assertThrows(() => withGradients(same, options), ShapeError, "nothing");
  assertThrows(
    () => record(withGradients(same, { loss: "y", parameters: ["x"] })),
    ShapeError,
    "not []",
  );
  const apart = withGradients({
    name: "apart",
    inputs: { x: { dtype: "float32", shape: [] }, w: { dtype: "float32", shape: [] } },
    run: ({ x }) => ({ loss: tf.square(x) }),
  }, { loss: "loss", parameters: ["x", "w"] });
  assertThrows(() => record(apart), DeepragError, "does not depend on w");
});

Deno.test("shapes that do not fit are refused, though only tfjs's own kernels check them", () => {
  const wrong: Run[] = [
    (x) => tf.concat([x, tf.ones([7, 1])], 1),
    (x) => tf.matMul(x as tf.Tensor2D, tf.ones([7, 1]) as tf.Tensor2D),
    (x) => tf.unsortedSegmentSum(x, tf.tensor1d([0, 0, 1], "int32"), 2),
    (x) => tf.gatherND(x, tf.zeros([2, 3], "int32")),
    (x) => tf.gather(x, tf.zeros([3, 1], "int32") as tf.Tensor2D, 1, 1),
  ];
  for (const run of wrong) {
    const error = assertThrows(() => record(program(run)), ShapeError, "do not fit together");
    assertStringIncludes(error.message, "failures_test.ts");
  }
});

Deno.test("what a program may do with sizes is accepted", () => {
  const fine: Run[] = [
    (x) => tf.concat([x, tf.zeros(x.shape)], 1),
    (x) => tf.concat([tf.reshape(x, [-1]), tf.tensor1d([1, 2, 3])]),
    (x) => tf.slice(x, [0, 0], [-1, x.shape[1]! - 1]),
    (x) => tf.matMul(x as tf.Tensor2D, x as tf.Tensor2D, true, false),
    (x) => tf.add(x, tf.reshape(tf.range(0, x.size), x.shape)),
  ];
  for (const run of fine) assert(record(program(run)).nodes.length > 0);
});

Deno.test("a program that has an upper bound on its sizes can be recorded", () => {
  const positions = program((x) => {
    if (x.shape[1]! > 128) throw new ShapeError("too long");
    return tf.add(x, tf.slice(tf.zeros([128]), 0, x.shape[1]!));
  });
  assertEquals(record(positions).symbols, ["B", "S"]);
});

Deno.test("a size inside the program that equals a probe does no harm", () => {
  for (const width of [11, 13, 17, 19, 23, 29, 31, 37, 41, 43]) {
    // A reshape to the same shape is no node, which it would be at B = width only.
    const table = program((x) => {
      const row = tf.reshape(tf.sum(x, 1), [1, -1]);
      return tf.reshape(tf.mul(tf.fill([width, 1], 2), row), [x.shape[0], width]);
    });
    assertEquals(record(table).outputs[0].shape[1], { terms: [], constant: width });
  }
});
