/** Where CUDA's libraries are looked for, on systems made up for it. */
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { dirname } from "@std/path";
import { DeviceError } from "../../../../src/errors.ts";
import {
  libraryFiles,
  libraryPlaces,
  type LibrarySystem,
  openLibrary,
} from "../../../../src/runtime/cuda/find_libraries.ts";

interface Tried {
  system: LibrarySystem;
  opened: string[];
  closed: string[];
  kept: string[];
}

/** A system with some files, of which some (or bare names) can be loaded. */
function made(
  options: {
    os?: string;
    variables?: Record<string, string>;
    files?: string[];
    loads?: string[];
    links?: Record<string, string>;
  },
): Tried {
  const { os = "linux", variables = {}, files = [], loads = files, links = {} } = options;
  const tried: Tried = { opened: [], closed: [], kept: [], system: {} as LibrarySystem };
  const system: LibrarySystem = {
    os,
    environment: (name) => variables[name],
    names(folder): string[] {
      const below = files.filter((file) => file.startsWith(`${folder}/`));
      return [...new Set(below.map((file) => file.slice(folder.length + 1).split("/")[0]!))];
    },
    resolve: (path) => links[path] ?? (files.includes(path) ? path : undefined),
    open<S extends Deno.ForeignLibraryInterface>(path: string): Deno.DynamicLibrary<S> {
      tried.opened.push(path);
      if (!loads.includes(path)) throw new Error(`${path}: cannot be loaded\nmore`);
      return { symbols: {} as never, close: () => void tried.closed.push(path) };
    },
    keep: (path) => void tried.kept.push(path),
  };
  tried.system = system;
  return tried;
}

Deno.test("the folder asked for comes first, then CUDA_HOME, then the loader", () => {
  const files = ["/mine/libnvrtc.so.12", "/home/lib64/libnvrtc.so.13", "libnvrtc.so.13"];
  const variables = { DEEPRAG_CUDA_LIBRARIES: "/other:/mine", CUDA_HOME: "/home" };
  const { system, opened } = made({ files, variables });
  assertEquals(openLibrary("nvrtc", {}, { system }).path, "/mine/libnvrtc.so.12");
  assertEquals(opened, ["/mine/libnvrtc.so.12"]);
  const folder = "/nowhere";
  assertEquals(openLibrary("nvrtc", {}, { system, folder }).path, "/home/lib64/libnvrtc.so.13");
  const bare = made({ files });
  assertEquals(openLibrary("nvrtc", {}, { system: bare.system }).path, "libnvrtc.so.13");
});

Deno.test("toolkits are tried newest first, by number", () => {
  const files = ["/usr/local/cuda-9.2/x", "/usr/local/cuda-13.0/x", "/usr/local/cuda-12.10/x"];
  const { system } = made({ files: [...files, "/usr/local/cuda-12.9/x", "/usr/local/cudnn/x"] });
  const roots = libraryPlaces("nvrtc", system)
    .filter((place) => place?.startsWith("/usr/local/cu") && place.endsWith("/lib64"))
    .map((place) => dirname(place!));
  assertEquals(
    roots,
    ["cuda-13.0", "cuda-12.10", "cuda-12.9", "cuda-9.2"].map((name) => `/usr/local/${name}`),
  );
});

Deno.test("packages of pip are found in each environment, of CUDA 12 and 13", () => {
  const files = [
    "/venv/lib/python3.12/site-packages/nvidia/cublas/lib/libcublasLt.so.12",
    "/opt/torch/.venv/bin/python3",
    "/opt/torch/.venv/lib/python3.12/site-packages/nvidia/cu13/lib/libcublasLt.so.13",
    "/uv/python/lib/python3.12/site-packages/nvidia/cuda_nvrtc/lib/libnvrtc.so.12",
  ];
  const variables = { VIRTUAL_ENV: "/venv", PATH: "/bin:/opt/torch/.venv/bin", HOME: "/me" };
  const links = { "/opt/torch/.venv/bin/python3": "/uv/python/bin/python3.12" };
  const { system } = made({ files, variables, links });
  assertEquals(openLibrary("cublasLt", {}, { system }).path, files[0]);
  assertEquals(openLibrary("nvrtc", {}, { system }).path, files[3]);
  const other = made({ files: files.slice(1), variables, links });
  assertEquals(openLibrary("cublasLt", {}, { system: other.system }).path, files[2]);
  assert(!libraryPlaces("cuda", system).some((place) => place?.includes("python")));
});

Deno.test("NVRTC's builtins are loaded before it, and all of it stays loaded", () => {
  const folder = "/venv/lib/python3.12/site-packages/nvidia/cu13/lib";
  const names = ["libnvrtc.so.13", "libnvrtc-builtins.so.13.0", "libnvrtc-builtins.alt.so.13.0"];
  const files = names.map((name) => `${folder}/${name}`);
  const { system, opened, closed, kept } = made({ files, variables: { VIRTUAL_ENV: "/venv" } });
  const library = openLibrary("nvrtc", {}, { system });
  const loaded = [`${folder}/libnvrtc-builtins.so.13.0`, `${folder}/libnvrtc.so.13`];
  assertEquals(opened.slice(-2), loaded);
  assertEquals(kept, loaded);
  library.close();
  library.close();
  assertEquals(closed, loaded);
});

Deno.test("a file that cannot be loaded is passed over", () => {
  const files = ["/usr/lib64/libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"];
  const { system } = made({ files, loads: files.slice(1) });
  assertEquals(openLibrary("cuda", {}, { system }).path, files[1]);
});

Deno.test("versions that the driver cannot run are not looked for", () => {
  const files = ["/mine/libnvrtc.so.13", "/mine/libnvrtc.so.12"];
  const { system } = made({ files });
  const path = openLibrary("nvrtc", {}, { system, folder: "/mine", newest: 12 }).path;
  assertEquals(path, files[1]);
  assertEquals(libraryFiles("cublasLt", "linux", 11), [{ file: "libcublasLt.so.11", major: 11 }]);
});

Deno.test("where there is none, the error names what, where, why and the remedy", () => {
  const files = ["/mine/libcublasLt.so.12"];
  const { system } = made({ files, loads: [], variables: { CUDA_PATH: "/toolkit" } });
  const { message } = assertThrows(
    () => openLibrary("cublasLt", {}, { system, folder: "/mine", newest: 12 }),
    DeviceError,
  );
  const lines = message.split("\n");
  assertEquals(
    lines[0],
    "Cannot load cuBLASLt, which multiplies matrices: no libcublasLt.so.12 or libcublasLt.so.11 " +
      "for CUDA 12 or older in any of",
  );
  assertEquals(lines[1], `  ${files[0]}: ${files[0]}: cannot be loaded`);
  assertEquals(lines[2], "  /toolkit/lib64: not there");
  assertStringIncludes(message, "\n  /opt/cuda/lib64: not there\n");
  assertStringIncludes(lines.at(-1)!, "pip install nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12");
});

Deno.test("Windows has its own names; elsewhere there is no CUDA", () => {
  const { system } = made({ os: "windows", files: ["cublasLt64_13.dll"] });
  assertEquals(openLibrary("cublasLt", {}, { system }).path, "cublasLt64_13.dll");
  const mac = made({ os: "darwin" }).system;
  assertThrows(
    () => openLibrary("cuda", {}, { system: mac }),
    DeviceError,
    "Cannot use a GPU on darwin",
  );
});
