/** Programs on a device with kernels of our own making. @module */
import type { Program } from "../../graph/mod.ts";
import type { CompileOptions, Executor } from "../executor.ts";
import type { ParameterStore } from "../parameter_store.ts";
import type { ResidentParameters } from "../resident.ts";
import type { Device, DevicePointer, MatrixPrecision } from "./device.ts";
import { canReside, DeviceParameters } from "./device_parameters.ts";
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
  const residents = new Set<DeviceParameters>();
  const resident = (data: ArrayBufferView): DevicePointer | undefined => {
    for (const one of residents) {
      const pointer = one.isAhead ? one.pointerOf(data) : undefined;
      if (pointer !== undefined) return pointer;
    }
    return undefined;
  };
  return {
    name,
    device,
    library,
    precision,
    // deno-lint-ignore require-await -- errors become rejections, as with every other executor
    async compile(
      program: Program,
      compileOptions: CompileOptions = {},
    ): Promise<DeviceExecutable> {
      const options = { ...compileOptions, precision, resident };
      return new DeviceExecutable(device, library, program, options);
    },
    reside(store: ParameterStore): ResidentParameters | undefined {
      if (!canReside(store)) return undefined;
      store.moveTo((flat, training) => {
        const made: DeviceParameters = new DeviceParameters(store, { flat, training }, {
          device,
          library,
          precision,
          forget: () => residents.delete(made),
        });
        residents.add(made);
        return made;
      });
      return store.resident;
    },
    dispose: () => device.dispose(),
  };
}
