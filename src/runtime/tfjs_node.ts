/** TensorFlow as a backend of tfjs: the addon that setup-tfjs-node compiled, or the published GPU package. @module */
import { createRequire } from "node:module";
import { join } from "@std/path";
import * as tf from "@tensorflow/tfjs-core";
import { KernelError, SetupError } from "../errors.ts";
import { fingerprint, quieten, type TensorflowDevice } from "./tensorflow_library.ts";
import { userCacheFolder } from "./user_cache.ts";

/** Name under which tfjs knows the backend of both packages. */
export const TENSORFLOW = "tensorflow";

/** The compiled file of a setup. */
export const ADDON = "tfjs_binding.node";

/** Symbol of the global object under which a setup's scripts find the tfjs-core of this process. */
export const CORE = "deeprag.tfjs-core";

/** `setup.json`: what a setup was made of. */
export interface TfjsNodeSetup {
  /** Version of `@tensorflow/tfjs-node`. */
  readonly addon: string;
  /** Version of TensorFlow. */
  readonly tensorflow: string;
  /** Folder of its libraries. The addon loads them from there. */
  readonly libraryFolder: string;
  /** Size and time of the library it was compiled against. */
  readonly fingerprint: string;
  /** What TensorFlow listed. */
  readonly devices: readonly TensorflowDevice[];
}

/** A setup that is there. */
export interface FoundSetup extends TfjsNodeSetup {
  /** Its folder. */
  readonly folder: string;
}

const REMEDY =
  "Run `deno task setup-tfjs-node --libtensorflow=<folder>`; docs/tfjs-node.md says what " +
  "it needs. device.executor=onnx, the default, needs none of it";

/**
 * Where setups are kept: `XDG_CACHE_HOME/deeprag/tfjs-node`, else `~/.cache/deeprag/tfjs-node`.
 *
 * @throws {SetupError} If neither is known
 */
export function setupRoot(): string {
  const folder = userCacheFolder("tfjs-node");
  if (folder) return folder;
  throw new SetupError(
    "addon",
    {
      reason: "Cannot tell where setups of tfjs-node are kept: no home folder is known",
      remedy: "Set XDG_CACHE_HOME to a folder",
    },
  );
}

/** The setup in a folder; nothing if there is none. */
export async function readSetup(folder: string): Promise<FoundSetup | undefined> {
  try {
    const setup = JSON.parse(await Deno.readTextFile(join(folder, "setup.json"))) as TfjsNodeSetup;
    return { ...setup, folder };
  } catch {
    return undefined;
  }
}

/** File that names the setup in use. */
export const currentFile = (root: string): string => join(root, "current");

/** The setup that was made last; nothing if there is none. */
export async function currentSetup(root: string = setupRoot()): Promise<FoundSetup | undefined> {
  const name = await Deno.readTextFile(currentFile(root)).catch(() => "");
  return name ? await readSetup(join(root, name.trim())) : undefined;
}

/** Where the backend of this process came from: TensorFlow can be loaded only once. */
let loadedFrom: string | undefined;

/** tfjs-node calls a function that Node 23 and Deno don't have any more. */
function polyfill(): void {
  const util = createRequire(import.meta.url)("node:util") as Record<string, unknown>;
  util.isNullOrUndefined ??= (x: unknown): boolean => x === null || x === undefined;
}

/** What TensorFlow reads once, when it is loaded. It takes these choices from the environment only. */
function prepare(threads: number | undefined): void {
  quieten();
  polyfill();
  if (threads === undefined) return;
  for (const name of ["TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"]) {
    if (!Deno.env.get(name)) Deno.env.set(name, String(threads));
  }
}

/** Register the backend, unless this process has it from the same place. */
function loadOnce(from: string, load: () => void | Promise<void>): void | Promise<void> {
  if (loadedFrom === from) return;
  if (loadedFrom !== undefined) {
    throw new KernelError(
      `Cannot load TensorFlow from ${from}: this process has it from ${loadedFrom}, and it can be ` +
        "loaded only once",
    );
  }
  const done = (): void => void (loadedFrom = from);
  const loading = load();
  return loading ? loading.then(done) : done();
}

interface Scripts {
  NodeJSKernelBackend: new (binding: unknown, name: string) => tf.KernelBackend;
}

/**
 * Load the addon and the kernels of a setup and register them with tfjs.
 *
 * @param folder Folder of the setup
 * @param options Threads of one operator; the first one that loads decides
 * @throws {SetupError} If it does not load
 * @throws {KernelError} If this process has TensorFlow from elsewhere
 */
export function loadSetup(folder: string, { threads }: { threads?: number } = {}): void {
  loadOnce(folder, () => {
    prepare(threads);
    Object.assign(globalThis, { [Symbol.for(CORE)]: tf });
    const require = createRequire(join(folder, "package.json"));
    try {
      const binding = require(join(folder, ADDON));
      require(join(folder, "dist", "register_all_kernels.js"));
      const scripts = require(join(folder, "dist", "nodejs_kernel_backend.js")) as Scripts;
      // The lowest priority: tfjs never chooses it by itself.
      tf.registerBackend(
        TENSORFLOW,
        () => new scripts.NodeJSKernelBackend(binding, "tfjs-node"),
        0,
      );
    } catch (cause) {
      throw new SetupError(
        "addon",
        {
          reason: `Cannot load ${join(folder, ADDON)}: ${(cause as Error).message}`,
          remedy: REMEDY,
        },
        { cause },
      );
    }
  });
}

/**
 * Load the setup that was made last.
 *
 * @throws {SetupError} If there is none, its TensorFlow is gone or another one, or it does not load
 */
export async function loadTfjsNode(
  options: { threads?: number } = {},
  root: string = setupRoot(),
): Promise<void> {
  const setup = await currentSetup(root);
  if (!setup) {
    throw new SetupError(
      "addon",
      {
        reason: "Cannot use the executor tfjs-node: it was not set up for this user",
        remedy: REMEDY,
      },
    );
  }
  const { libraryFolder, folder } = setup;
  const now = await fingerprint(libraryFolder).catch(() => undefined);
  if (now !== setup.fingerprint) {
    throw new SetupError(
      "library",
      {
        reason: `Cannot use the executor tfjs-node: TensorFlow in ${libraryFolder} ` +
          (now ? "is not the one it was set up with" : "is gone"),
        remedy: REMEDY,
      },
    );
  }
  loadSetup(folder, options);
}

/** The package that brings TensorFlow 2.9 for CUDA 11.2 with it. */
const GPU_PACKAGE = "@tensorflow/tfjs-node-gpu";

/**
 * Load `@tensorflow/tfjs-node-gpu`, which the project has to have among its own dependencies.
 *
 * @param specifier Another module in its place, for tests
 * @throws {SetupError} If it is not there or does not load
 */
export async function loadTfjsNodeGpu(
  options: { threads?: number } = {},
  specifier: string = GPU_PACKAGE,
): Promise<void> {
  const refuse = (cause: unknown): SetupError =>
    new SetupError("package", {
      reason: `Cannot use the executor tfjs-node-gpu: ${GPU_PACKAGE} does not load: ` +
        (cause as Error).message.split("\n")[0].replace(/[. ]+$/, ""),
      remedy:
        `\`deno add --allow-scripts=npm:${GPU_PACKAGE} npm:${GPU_PACKAGE}@4.22.0\` installs it; ` +
        "it needs CUDA 11.2. For newer cards there is device.executor=tfjs-node with a TensorFlow " +
        "of your own",
    }, { cause });
  try {
    import.meta.resolve(specifier);
  } catch (error) {
    throw refuse(error);
  }
  await loadOnce(specifier, async () => {
    prepare(options.threads);
    try {
      await import(specifier);
      if (!tf.findBackendFactory(TENSORFLOW)) throw new Error("it registers no backend");
    } catch (error) {
      throw refuse(error);
    }
  });
}
