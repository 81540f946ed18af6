/** Programs on a device with kernels of our own making. @module */
import type { Program } from "../../graph/mod.ts";
import type { CompileOptions, Executor } from "../executor.ts";
import type { Device, MatrixPrecision } from "./device.ts";
import { DeviceExecutable } from "./device_executable.ts";
import { KernelLibrary } from "./kernel_library.ts";

/** Choices of a device executor, for all its programs. */
export interface DeviceExecutorOptions {
  /** Precision of matrix products, and with bfloat16 of what feeds them. Default float32. */
  precision?: MatrixPrecision;
  /** What it is called. Default `"cuda"`. */
  name?: string;
}

/** An executor that holds a device. */
export interface DeviceExecutor extends Executor {
  /** What runs the programs. */
  readonly device: Device;
  /** Kernels compiled so far. */
  readonly library: KernelLibrary;
  /** Precision of matrix products. */
  readonly precision: MatrixPrecision;
  /** Free the device and all that lives on it. */
  dispose(): void;
}

/**
 * Runs programs on a device: the recording is bound to the sizes of the inputs, fused into kernels that
 * are generated for them, and replayed as a whole from the second run on.
 *
 * @param device What runs the kernels
 */
export function deviceExecutor(
  device: Device,
  options: DeviceExecutorOptions = {},
): DeviceExecutor {
  const { precision = "float32", name = "cuda" } = options;
  const library = new KernelLibrary(device);
  return {
    name,
    device,
    library,
    precision,
    // deno-lint-ignore require-await -- errors become rejections, as with every other executor
    async compile(program: Program, compileOptions: CompileOptions = {}) {
      return new DeviceExecutable(device, library, program, { ...compileOptions, precision });
    },
    dispose: () => device.dispose(),
  };
}
