import { assertEquals, assertThrows } from "@std/assert";
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-cpu";
import { ShapeError } from "../../../src/errors.ts";
import { type Dims, type F32, type I32, named, namedInts } from "../../../src/tensor/axes.ts";

Deno.test("named binds new letters and returns the tensor itself", () => {
  const dims: Dims = {};
  const x = tf.zeros([2, 3, 4]);
  const y: F32<"B T D"> = named(x, "B T D", dims);
  assertEquals(y as tf.Tensor === x, true);
  assertEquals(dims, { B: 2, T: 3, D: 4 });
  named(tf.scalar(1), "", dims);
  const ids: I32<"B 1 T"> = namedInts(tf.zeros([2, 1, 3], "int32"), "B 1 T", dims);
  assertEquals(ids.shape, [2, 1, 3]);
  assertEquals(dims, { B: 2, T: 3, D: 4 });
});

Deno.test("a wrong size names the tensor, the sizes known and the size found", () => {
  assertThrows(
    () => namedInts(tf.zeros([2, 4], "int32"), "B T", { B: 2, T: 3 }, { as: "ids" }),
    ShapeError,
    "Cannot read ids as [B=2, T=3]: axis T is 4",
  );
  assertThrows(
    () => named(tf.zeros([2, 2, 3]), "B S S", {}),
    ShapeError,
    "Cannot read a tensor as [B, S, S]: axis S is 3",
  );
  assertThrows(() => named(tf.zeros([2, 2]), "B 1", {}), ShapeError, "axis 1 is 2");
});

Deno.test("a wrong number of axes or element type is told", () => {
  assertThrows(
    () => named(tf.zeros([2, 3]), "B T D", { B: 2 }),
    ShapeError,
    "Cannot read a tensor as [B=2, T, D]: it has 2 axes, [2,3]",
  );
  assertThrows(
    () => namedInts(tf.zeros([2]), "B", {}, { as: "labels" }),
    ShapeError,
    "Cannot read labels as int32 [B]: it holds float32",
  );
  assertThrows(() => named(tf.zeros([2], "int32"), "B", {}), ShapeError, "holds int32");
});

Deno.test("a refused tensor leaves the sizes as they were", () => {
  const dims: Dims = { T: 3 };
  assertThrows(() => named(tf.zeros([2, 4]), "B T", dims), ShapeError);
  assertEquals(dims, { T: 3 });
});

Deno.test("labels that differ do not mix", () => {
  const takes = (x: F32<"B T">) => x.shape;
  const other = named(tf.zeros([2, 3]), "B S", {});
  // @ts-expect-error: [B, S] is not [B, T]
  assertEquals(takes(other), [2, 3]);
  const ids = namedInts(tf.zeros([2, 3], "int32"), "B T", {});
  // @ts-expect-error: int32 is not float32
  assertEquals(takes(ids), [2, 3]);
});
