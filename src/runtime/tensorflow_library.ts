/** TensorFlow's C library as its Python wheels bring it: found, and asked what it can compute on. @module */
import { basename, join } from "@std/path";
import { SetupError } from "../errors.ts";

/** The libraries of a wheel, in its folder `tensorflow`. */
export const LIBRARIES = ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"] as const;

/** The header that the addon includes first; it stands for all of them. */
const HEADER = "include/tensorflow/c/eager/c_api.h";

const REMEDY = "TensorFlow's Python wheels have both, and nothing else of them is used: " +
  "`python3 -m venv tf && tf/bin/pip install --no-deps tensorflow-cpu`, then --libtensorflow=tf";

/** What this module asks of the machine; tests bring their own. */
export interface Surroundings {
  /** An environment variable. */
  env(name: string): string | undefined;
  /** Where the packages of the Python on the PATH have TensorFlow, if they do. */
  pythonTensorflow(): Promise<string | undefined>;
}

const exists = (path: string): Promise<boolean> => Deno.stat(path).then(() => true, () => false);

const FIND_TENSORFLOW = "import importlib.util as u; s = u.find_spec('tensorflow'); " +
  "print(s.submodule_search_locations[0] if s else '')";

/** The process's surroundings. */
export const surroundings: Surroundings = {
  env: (name) => Deno.env.get(name) || undefined,
  async pythonTensorflow(): Promise<string | undefined> {
    try {
      const { success, stdout } = await new Deno.Command("python3", {
        args: ["-c", FIND_TENSORFLOW],
        stderr: "null",
      }).output();
      return success ? new TextDecoder().decode(stdout).trim() || undefined : undefined;
    } catch {
      return undefined;
    }
  },
};

/** Folders that may be the wheel's `tensorflow`, where `root` is it, has it, or is a Python environment. */
async function foldersOf(root: string): Promise<string[]> {
  const found = [root, join(root, "tensorflow")];
  for (const lib of ["lib", "lib64"]) {
    try {
      for await (const { name } of Deno.readDir(join(root, lib))) {
        if (name.startsWith("python")) {
          found.push(join(root, lib, name, "site-packages", "tensorflow"));
        }
      }
    } catch {
      // no environment
    }
  }
  return found;
}

async function look(root: string): Promise<string | undefined> {
  for (const folder of await foldersOf(root)) {
    const isThere = await Promise.all(LIBRARIES.map((name) => exists(join(folder, name))));
    if (isThere.every(Boolean)) return folder;
  }
  return undefined;
}

/**
 * The folder with TensorFlow's libraries and headers.
 *
 * @param given The wheel's folder `tensorflow`, the folder above it, or a Python environment. Without it,
 * `$VIRTUAL_ENV`, `$CONDA_PREFIX`, `.venv`, `venv` and the Python on the PATH are searched, in this order.
 * @param around What is asked of the machine
 * @returns Its real path
 * @throws {SetupError} If there is no library, with all places that were searched, or one without headers
 */
export async function findTensorflow(
  given?: string,
  around: Surroundings = surroundings,
): Promise<string> {
  const searched: string[] = [];
  const lookAt = async (name: string, root: string | undefined): Promise<string | undefined> => {
    const folder = root && await look(root);
    if (!folder) searched.push(root ? `${name}: ${root}` : `${name}: nothing`);
    return folder;
  };
  const folder = given !== undefined
    ? await lookAt("--libtensorflow", given)
    : await lookAt("$VIRTUAL_ENV", around.env("VIRTUAL_ENV")) ??
      await lookAt("$CONDA_PREFIX", around.env("CONDA_PREFIX")) ??
      await lookAt("here", ".venv") ?? await lookAt("here", "venv") ??
      await lookAt("python3", await around.pythonTensorflow());
  if (!folder) {
    throw new SetupError(
      "library",
      {
        reason: `Cannot find TensorFlow's library (${LIBRARIES.join(", ")}). Looked at\n` +
          searched.map((place) => `  ${place}\n`).join(""),
        remedy: REMEDY,
      },
    );
  }
  if (!await exists(join(folder, HEADER))) {
    throw new SetupError(
      "headers",
      {
        reason:
          `Cannot compile against TensorFlow in ${folder}: its headers are missing (${HEADER})`,
        remedy: REMEDY,
      },
    );
  }
  return await Deno.realPath(folder);
}

/** A device that TensorFlow lists. */
export interface TensorflowDevice {
  /** Such as `/device:GPU:0`. */
  readonly name: string;
  /** `CPU`, `GPU`, … */
  readonly type: string;
}

/** What a library says about itself. */
export interface TensorflowFacts {
  /** Such as `2.21.0`. */
  readonly version: string;
  /** What it can compute on here. */
  readonly devices: readonly TensorflowDevice[];
}

/** Functions of TensorFlow's C interface, <tensorflow/c/eager/c_api.h>. */
const SYMBOLS = {
  TF_Version: { parameters: [], result: "pointer" },
  TF_NewStatus: { parameters: [], result: "pointer" },
  TF_GetCode: { parameters: ["pointer"], result: "i32" },
  TF_Message: { parameters: ["pointer"], result: "pointer" },
  TF_DeleteStatus: { parameters: ["pointer"], result: "void" },
  TFE_NewContextOptions: { parameters: [], result: "pointer" },
  TFE_DeleteContextOptions: { parameters: ["pointer"], result: "void" },
  TFE_NewContext: { parameters: ["pointer", "pointer"], result: "pointer" },
  TFE_DeleteContext: { parameters: ["pointer"], result: "void" },
  TFE_ContextListDevices: { parameters: ["pointer", "pointer"], result: "pointer" },
  TF_DeviceListCount: { parameters: ["pointer"], result: "i32" },
  TF_DeviceListName: { parameters: ["pointer", "i32", "pointer"], result: "pointer" },
  TF_DeviceListType: { parameters: ["pointer", "i32", "pointer"], result: "pointer" },
  TF_DeleteDeviceList: { parameters: ["pointer"], result: "void" },
} as const satisfies Deno.ForeignLibraryInterface;

const textAt = (pointer: Deno.PointerValue): string =>
  pointer ? new Deno.UnsafePointerView(pointer).getCString() : "";

/**
 * Ask a library for its version and devices. The library stays loaded: unloading TensorFlow is not safe.
 *
 * @param folder What {@linkcode findTensorflow} found
 * @throws {SetupError} If it does not load here
 */
export function inspectTensorflow(folder: string): TensorflowFacts {
  quieten();
  let library: Deno.DynamicLibrary<typeof SYMBOLS>;
  try {
    library = Deno.dlopen(join(folder, LIBRARIES[0]), SYMBOLS);
  } catch (cause) {
    throw new SetupError(
      "library",
      {
        reason: `Cannot load ${join(folder, LIBRARIES[0])}: ${(cause as Error).message}`,
        remedy:
          `It has to be made for ${Deno.build.os} on ${Deno.build.arch}, and whole: install the ` +
          "wheel again",
      },
      { cause },
    );
  }
  const c = library.symbols;
  const version = textAt(c.TF_Version()), status = c.TF_NewStatus();
  const check = (): void => {
    if (c.TF_GetCode(status) === 0) return;
    throw new SetupError("library", {
      reason: `Cannot use TensorFlow ${version}: ${textAt(c.TF_Message(status))}`,
      remedy: "Try whether the same TensorFlow works in Python",
    });
  };
  const options = c.TFE_NewContextOptions();
  const context = c.TFE_NewContext(options, status);
  c.TFE_DeleteContextOptions(options);
  check();
  const list = c.TFE_ContextListDevices(context, status);
  check();
  const devices = Array.from({ length: c.TF_DeviceListCount(list) }, (_, i) => ({
    name: textAt(c.TF_DeviceListName(list, i, status)).replace(/^.*(?=\/device:)/, ""),
    type: textAt(c.TF_DeviceListType(list, i, status)),
  }));
  check();
  c.TF_DeleteDeviceList(list);
  c.TFE_DeleteContext(context);
  c.TF_DeleteStatus(status);
  return { version, devices };
}

/** Let TensorFlow write warnings and errors only, unless the user wants otherwise. */
export function quieten(): void {
  if (Deno.env.get("TF_CPP_MIN_LOG_LEVEL") === undefined) Deno.env.set("TF_CPP_MIN_LOG_LEVEL", "1");
}

/** `libtensorflow_cc.so.2` by what changes when it is replaced. */
export async function fingerprint(folder: string): Promise<string> {
  const { size, mtime } = await Deno.stat(join(folder, LIBRARIES[0]));
  return `${basename(LIBRARIES[0])} ${size} bytes, ${mtime?.toISOString() ?? "undated"}`;
}
