/** Where CUDA's libraries may lie, in the order in which they are looked for. @module */
import { basename, dirname, join } from "@std/path";

/** The three libraries: the driver, the compiler of kernels, the matrix products. */
export type LibraryName = "cuda" | "nvrtc" | "cublasLt";

/** What the search needs of the system it runs on; tests give their own. */
export interface LibrarySystem {
  /** `"linux"`, `"windows"`, or another one, where there is nothing to find. */
  readonly os: string;
  /** An environment variable. */
  environment(name: string): string | undefined;
  /** The names in a folder; none if it can't be read. */
  names(folder: string): readonly string[];
  /** A path without symbolic links; undefined if it is not there. */
  resolve(path: string): string | undefined;
  /** Load a library. Throws if that does not work or a symbol is missing. */
  open<S extends Deno.ForeignLibraryInterface>(path: string, symbols: S): Deno.DynamicLibrary<S>;
  /** Keep a loaded library in memory until the process ends, also when it is closed. */
  keep(path: string): void;
}

/** One file name that a library goes by. */
export interface LibraryFile {
  /** `"libnvrtc.so.13"`. */
  readonly file: string;
  /** Version of CUDA it belongs to; undefined if it belongs to any. */
  readonly major?: number;
}

const LINUX: Record<LibraryName, readonly LibraryFile[]> = {
  cuda: [{ file: "libcuda.so.1" }],
  nvrtc: [
    { file: "libnvrtc.so.13", major: 13 },
    { file: "libnvrtc.so.12", major: 12 },
    { file: "libnvrtc.so.11.2", major: 11 },
  ],
  cublasLt: [13, 12, 11].map((major) => ({ file: `libcublasLt.so.${major}`, major })),
};

const WINDOWS: Record<LibraryName, readonly LibraryFile[]> = {
  cuda: [{ file: "nvcuda.dll" }],
  nvrtc: [
    { file: "nvrtc64_130_0.dll", major: 13 },
    { file: "nvrtc64_120_0.dll", major: 12 },
    { file: "nvrtc64_112_0.dll", major: 11 },
  ],
  cublasLt: [13, 12, 11].map((major) => ({ file: `cublasLt64_${major}.dll`, major })),
};

/**
 * The names a library goes by, newest first.
 *
 * @param os `"linux"` or `"windows"`; there are none elsewhere
 * @param newest Leave out what is newer than this version of CUDA: the driver could not run it
 */
export function libraryFiles(
  name: LibraryName,
  os: string,
  newest: number = Infinity,
): readonly LibraryFile[] {
  const table = os === "linux" ? LINUX : os === "windows" ? WINDOWS : undefined;
  return table?.[name].filter(({ major }) => (major ?? 0) <= newest) ?? [];
}

/** A place to look in: a folder, or undefined for the dynamic loader's own path. */
export type LibraryPlace = string | undefined;

/** Order version-like names downwards: `cuda-13.0` before `cuda-12.10` before `cuda-12.9`. */
const newestFirst = (a: string, b: string): number =>
  b.localeCompare(a, "en", { numeric: true, sensitivity: "base" });

const TOOLKIT_FOLDERS = ["lib64", "lib", "targets/x86_64-linux/lib", "targets/sbsa-linux/lib"];

const SYSTEM_FOLDERS = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib/aarch64-linux-gnu",
  "/usr/lib64",
  "/usr/lib/wsl/lib",
  "/usr/local/nvidia/lib64",
  "/opt/cuda/lib64",
];

/**
 * Places to look in, in order: the folder asked for (`folder`, else DEEPRAG_CUDA_LIBRARIES; several
 * are parted as in PATH);
 * CUDA_HOME and CUDA_PATH; the dynamic loader's own path, LD_LIBRARY_PATH included; the toolkits in
 * /usr/local/cuda*, newest first; the system's folders; the packages that pip and conda install: in
 * VIRTUAL_ENV, in CONDA_PREFIX, around the `python3` on PATH (as it is named, and where its links
 * lead), in ~/.local, /usr and /usr/local. The driver comes with none of those packages, so it is not
 * looked for there.
 */
export function libraryPlaces(
  name: LibraryName,
  system: LibrarySystem,
  folder?: string,
): LibraryPlace[] {
  const asked = folder ?? system.environment("DEEPRAG_CUDA_LIBRARIES");
  const homes = [system.environment("CUDA_HOME"), system.environment("CUDA_PATH")]
    .filter((home) => home !== undefined && home !== "") as string[];
  const separator = system.os === "windows" ? ";" : ":";
  const places: LibraryPlace[] = (asked ?? "").split(separator).filter((entry) => entry !== "");
  if (system.os === "windows") {
    const below = homes.flatMap((home) => [join(home, "bin"), join(home, "bin", "x64")]);
    return unique([...places, ...below, undefined]);
  }
  const toolkits = system.names("/usr/local").filter((entry) => /^cuda(-[\d.]+)?$/.test(entry))
    .sort(newestFirst).map((entry) => `/usr/local/${entry}`);
  const inside = (roots: string[]) =>
    roots.flatMap((root) => TOOLKIT_FOLDERS.map((below) => join(root, below)));
  if (name === "cuda") return unique([...places, undefined, ...SYSTEM_FOLDERS]);
  return unique([
    ...places,
    ...inside(homes),
    undefined,
    ...inside(toolkits),
    ...SYSTEM_FOLDERS,
    ...pythonPrefixes(system).flatMap((prefix) => wheelFolders(prefix, system)),
  ]);
}

function unique(places: LibraryPlace[]): LibraryPlace[] {
  return [...new Set(places)];
}

function pythonPrefixes(system: LibrarySystem): string[] {
  const home = system.environment("HOME");
  const binaries = (system.environment("PATH") ?? "").split(":");
  const folder = binaries.find((entry) => entry !== "" && system.names(entry).includes("python3"));
  const python = folder && join(folder, "python3");
  const resolved = python && system.resolve(python);
  return [
    system.environment("VIRTUAL_ENV"),
    system.environment("CONDA_PREFIX"),
    python && dirname(dirname(python)),
    resolved && dirname(dirname(resolved)),
    home && join(home, ".local"),
    "/usr",
    "/usr/local",
  ].filter((prefix) => prefix !== undefined && prefix !== "") as string[];
}

/** `nvidia/cu13/lib` (CUDA 13), `nvidia/cuda_nvrtc/lib` and `nvidia/cublas/lib` (CUDA 12). */
function wheelFolders(prefix: string, system: LibrarySystem): string[] {
  // Conda's own packages lie in the prefix's lib itself.
  const folders: string[] = [join(prefix, "lib")];
  for (const lib of ["lib", "lib64"]) {
    const pythons = system.names(join(prefix, lib)).filter((name) =>
      /^python3(\.\d+)?$/.test(name)
    );
    for (const python of pythons.sort(newestFirst)) {
      for (const packages of ["site-packages", "dist-packages"]) {
        const nvidia = join(prefix, lib, python, packages, "nvidia");
        const parts = system.names(nvidia)
          .filter((name) => /^(cu\d+|cuda_nvrtc|cublas)$/.test(name)).sort(newestFirst);
        folders.push(...parts.map((part) => join(nvidia, part, "lib")));
      }
    }
  }
  return folders;
}

/** The system this runs on. */
export function thisSystem(): LibrarySystem {
  return {
    os: Deno.build.os,
    environment: (name) => Deno.env.get(name) || undefined,
    names(folder): string[] {
      try {
        return [...Deno.readDirSync(folder)].map((entry) => entry.name);
      } catch {
        return [];
      }
    },
    resolve(path): string | undefined {
      try {
        return Deno.realPathSync(path);
      } catch {
        return undefined;
      }
    },
    open: (path, symbols) => Deno.dlopen(path, symbols),
    keep: keepLoaded,
  };
}

/** RTLD_LAZY | RTLD_NODELETE of glibc's dlfcn.h. */
const LAZY_FOREVER = 0x1 | 0x1000;

/**
 * NVIDIA's libraries start threads and register handlers that run when the process ends: unloading
 * their code before that crashes. Closing them must not unload them.
 */
function keepLoaded(path: string): void {
  if (Deno.build.os !== "linux") return;
  for (const file of ["libc.so.6", "libdl.so.2"]) {
    try {
      const loader = Deno.dlopen(file, {
        dlopen: { parameters: ["buffer", "i32"], result: "pointer" },
      });
      loader.symbols.dlopen(new TextEncoder().encode(`${path}\0`), LAZY_FOREVER);
      loader.close();
      return;
    } catch {
      // Before glibc 2.34 dlopen is in libdl; where it is in neither, closing does unload.
    }
  }
}

/** The files that NVRTC loads by itself and that must be found beside it. */
export function companions(path: string, system: LibrarySystem): string[] {
  if (!basename(path).startsWith("libnvrtc.so") || dirname(path) === ".") return [];
  const folder = dirname(path);
  return system.names(folder).filter((name) => /^libnvrtc-builtins\.so\.\d/.test(name))
    .sort(newestFirst).map((name) => join(folder, name));
}
