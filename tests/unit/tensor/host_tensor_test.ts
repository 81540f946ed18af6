import { assertEquals, assertThrows } from "@std/assert";
import { ShapeError } from "../../../src/errors.ts";
import { hostTensor, sizeOf } from "../../../src/tensor/host_tensor.ts";

Deno.test("hostTensor is a view and refuses a wrong number of elements", () => {
  const data = Float32Array.of(1, 2, 3, 4, 5, 6);
  assertEquals(hostTensor("float32", data, [2, 3]).data === data, true);
  assertThrows(
    () => hostTensor("float32", data, [2, 2]),
    ShapeError,
    "Cannot read 6 elements as [2,2]: that shape holds 4",
  );
  assertEquals(sizeOf([]), 1);
  assertEquals(sizeOf([3, 0]), 0);
});
