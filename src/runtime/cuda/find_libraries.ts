/** Finding and loading CUDA's libraries. @module */
import { join } from "@std/path";
import { DeviceError } from "../../errors.ts";
import {
  companions,
  type LibraryFile,
  libraryFiles,
  type LibraryName,
  libraryPlaces,
  type LibrarySystem,
  thisSystem,
} from "./library_places.ts";

export {
  type LibraryFile,
  libraryFiles,
  type LibraryName,
  type LibraryPlace,
  libraryPlaces,
  type LibrarySystem,
} from "./library_places.ts";

/** How to look for a library. */
export interface LibraryOptions {
  /**
   * Folder to look in first, or several, parted as in PATH. Default: the environment variable
   * DEEPRAG_CUDA_LIBRARIES.
   */
  readonly folder?: string;
  /** Newest version of CUDA that the driver can run, `13`. Default: any. */
  readonly newest?: number;
  /** System to look on. Default: this one. */
  readonly system?: LibrarySystem;
}

/** A library that was found and loaded. */
export interface OpenedLibrary<S extends Deno.ForeignLibraryInterface> {
  /** Its functions. */
  readonly symbols: Deno.StaticForeignLibraryInterface<S>;
  /** File it was loaded from; a bare name if the dynamic loader found it on its own path. */
  readonly path: string;
  /** Give it back. */
  close(): void;
}

const WHAT: Record<LibraryName, string> = {
  cuda: "NVIDIA's driver",
  nvrtc: "NVRTC, which compiles kernels",
  cublasLt: "cuBLASLt, which multiplies matrices",
};

/**
 * Load one of CUDA's libraries from the first place where that works (see {@link libraryPlaces}).
 *
 * @param symbols The functions wanted; a library without one of them is passed over
 * @throws {DeviceError} If there is none; the message names each place and what was there
 */
export function openLibrary<S extends Deno.ForeignLibraryInterface>(
  name: LibraryName,
  symbols: S,
  options: LibraryOptions = {},
): OpenedLibrary<S> {
  const system = options.system ?? thisSystem();
  const files = libraryFiles(name, system.os, options.newest);
  if (libraryFiles(name, system.os).length === 0) {
    throw new DeviceError(
      `Cannot use a GPU on ${system.os}: CUDA's libraries exist for Linux and Windows only. ` +
        "Use another device",
    );
  }
  const seen: string[] = [];
  for (const place of libraryPlaces(name, system, options.folder)) {
    const where = place ?? "the dynamic loader's path";
    const present = place === undefined ? files : filesIn(place, files, system);
    if (present.length === 0) seen.push(`  ${where}: not there`);
    for (const { file } of present) {
      const path = place === undefined ? file : join(place, file);
      try {
        return load(path, symbols, system);
      } catch (error) {
        seen.push(`  ${place === undefined ? `${where}, ${file}` : path}: ${reason(error)}`);
      }
    }
  }
  const wanted = files.map(({ file }) => file).join(" or ") || "any version";
  const limit = options.newest === undefined ? "" : ` for CUDA ${options.newest} or older`;
  throw new DeviceError(
    `Cannot load ${WHAT[name]}: no ${wanted}${limit} in any of\n${seen.join("\n")}\n` +
      remedy(name, options.newest),
  );
}

function filesIn(
  folder: string,
  files: readonly LibraryFile[],
  system: LibrarySystem,
): LibraryFile[] {
  const there = system.names(folder);
  return files.filter(({ file }) => there.includes(file));
}

function load<S extends Deno.ForeignLibraryInterface>(
  path: string,
  symbols: S,
  system: LibrarySystem,
): OpenedLibrary<S> {
  // NVRTC asks the loader for its builtins by name only: one that is loaded already is found.
  const beside: { close(): void }[] = [];
  const close = () => beside.splice(0).forEach((library) => library.close());
  for (const companion of companions(path, system)) {
    try {
      beside.push(system.open(companion, {}));
      system.keep(companion);
    } catch {
      // One of another architecture or version; NVRTC itself says if it misses its own.
    }
  }
  try {
    const library = system.open(path, symbols);
    beside.push(library);
    system.keep(path);
    return { symbols: library.symbols, path, close };
  } catch (error) {
    close();
    throw error;
  }
}

function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n")[0]!.replace(/^(Could not open library: )+/, "");
}

function remedy(name: LibraryName, newest?: number): string {
  if (name === "cuda") {
    return "Install NVIDIA's driver (nvidia-smi must list the GPU), or name the folder of its " +
      "libraries in DEEPRAG_CUDA_LIBRARIES";
  }
  const packages = (newest ?? 13) >= 13
    ? "nvidia-cuda-nvrtc nvidia-cublas"
    : `nvidia-cuda-nvrtc-cu${newest} nvidia-cublas-cu${newest}`;
  return `Run pip install ${packages} (in a virtual environment that is active), install the CUDA ` +
    "toolkit, or name the folder of its libraries in DEEPRAG_CUDA_LIBRARIES";
}
