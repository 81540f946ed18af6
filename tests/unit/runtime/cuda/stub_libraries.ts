/** Stand-ins for CUDA's libraries, built from stub/*.c, so that bindings can be tested without a GPU. */
import { basename, fromFileUrl, join } from "@std/path";
import { type CudaOptions, openCudaDevice } from "../../../../src/runtime/cuda/open_cuda_device.ts";
import type { CudaDevice } from "../../../../src/runtime/cuda/cuda_device.ts";

/** What is alive in the stand-ins. */
export interface Alive {
  /** Allocations, pinned allocations, streams, events, modules, graphs, executables, contexts. */
  readonly driver: readonly number[];
  /** Handles and descriptors of cuBLASLt. */
  readonly cublas: number;
  /** Programs of NVRTC. */
  readonly programs: number;
}

/** The stand-ins. */
export interface StubLibraries {
  /** Folder they lie in. */
  readonly folder: string;
  alive(): Alive;
  /** Kernels that ran so far. */
  launches(): number;
  /** Compilations so far. */
  compilations(): number;
  /** Way and compute type of the last product. */
  lastProduct(): { way: number; compute: number };
}

/** Nothing is alive. */
export const NOTHING: Alive = { driver: [0, 0, 0, 0, 0, 0, 0, 0], cublas: 0, programs: 0 };

const source = fromFileUrl(new URL("./stub/", import.meta.url));

async function gcc(folder: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("gcc", {
    args: ["-O1", "-shared", "-fPIC", ...args],
    cwd: folder,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

async function build(): Promise<StubLibraries | undefined> {
  if (Deno.build.os !== "linux") return undefined;
  const folder = await Deno.makeTempDir({ prefix: "cuda_stub_" });
  globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  try {
    // A name of its own: each test file of a process has its stand-ins.
    const soname = `-Wl,-soname,lib${basename(folder)}.so`;
    await gcc(folder, soname, "-o", "libcuda.so.1", join(source, "cuda.c"));
    const linked = ["-L.", "-l:libcuda.so.1"];
    await gcc(folder, "-o", "libcublasLt.so.12", join(source, "cublas_lt.c"), ...linked);
    await gcc(folder, "-o", "libnvrtc.so.12", join(source, "nvrtc.c"));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  const into = { parameters: ["buffer"], result: "void" } as const;
  const driver = Deno.dlopen(join(folder, "libcuda.so.1"), { stub_counts: into }).symbols;
  const cublas = Deno.dlopen(join(folder, "libcublasLt.so.12"), { stub_products: into }).symbols;
  const nvrtc = Deno.dlopen(join(folder, "libnvrtc.so.12"), { stub_programs: into }).symbols;
  const read = (f: (into: Int32Array<ArrayBuffer>) => void, count: number) => {
    const values = new Int32Array(new ArrayBuffer(4 * count));
    f(values);
    return [...values];
  };
  const counts = () => read(driver.stub_counts, 9);
  const products = () => read(cublas.stub_products, 3);
  const programs = () => read(nvrtc.stub_programs, 2);
  return {
    folder,
    alive: () => ({
      driver: counts().slice(0, 8),
      cublas: products()[0]!,
      programs: programs()[0]!,
    }),
    launches: () => counts()[8]!,
    compilations: () => programs()[1]!,
    lastProduct: () => ({ way: products()[1]!, compute: products()[2]! }),
  };
}

/** The stand-ins; undefined without a gcc. */
export const stub = await build();

if (!stub) console.log("The CUDA bindings are not tested against stand-ins: there is no gcc here.");

/** A test that needs the stand-ins. Libraries stay open on purpose. */
export function stubTest(name: string, f: (stub: StubLibraries) => void | Promise<void>): void {
  Deno.test({ name, ignore: !stub, sanitizeResources: false, fn: () => f(stub!) });
}

/** Open the stand-in of a GPU, use it, and give it back. */
export async function withDevice(
  options: CudaOptions,
  f: (device: CudaDevice) => void | Promise<void>,
): Promise<void> {
  const device = await openCudaDevice({ libraries: stub!.folder, cache: false, ...options });
  try {
    await f(device);
  } finally {
    device.dispose();
  }
}

/** Set an environment variable while `f` runs; the stand-ins read STUB_FAIL, STUB_MEMORY, STUB_MAJOR. */
export async function withVariable<T>(
  name: string,
  value: string,
  f: () => T | Promise<T>,
): Promise<T> {
  Deno.env.set(name, value);
  try {
    return await f();
  } finally {
    Deno.env.delete(name);
  }
}
