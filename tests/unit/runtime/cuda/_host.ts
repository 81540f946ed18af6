/** The device that builds CUDA sources for this processor, where there is a compiler. */
import type { Device } from "../../../../src/runtime/cuda/device.ts";
import { openCudaDevice } from "../../../../src/runtime/cuda/open_cuda_device.ts";
import { openHostDevice } from "../../../../src/runtime/cuda/host_device.ts";

let opened: Promise<Device> | undefined;

/** With DEEPRAG_TEST_DEVICE=cuda the same tests run on a GPU. */
const isOnGpu = Deno.env.get("DEEPRAG_TEST_DEVICE") === "cuda";

/** One device for all tests of a file. */
export const hostDevice = (): Promise<Device> =>
  opened ??= isOnGpu ? openCudaDevice() : openHostDevice();

/** Whether generated kernels can be built for this processor. */
export const hasCompiler: boolean = isOnGpu || await (async () => {
  try {
    return (await new Deno.Command("g++", { args: ["--version"], stdout: "null" }).output())
      .success;
  } catch {
    return false;
  }
})();
if (!hasCompiler) console.log("skipped: generated kernels on this processor, there is no g++");

/** A test that needs the device. */
export function testOnHost(name: string, fn: () => Promise<void>): void {
  // The device lives as long as the file.
  Deno.test({ name, ignore: !hasCompiler, sanitizeResources: false, fn });
}
