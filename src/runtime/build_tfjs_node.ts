/** Compiles the addon of `@tensorflow/tfjs-node` against a TensorFlow that is already on this machine. @module */
import { join } from "@std/path";
import { makeFolder, writeAtomically } from "../data/atomic_write.ts";
import { SetupError } from "../errors.ts";
import { fingerprint, inspectTensorflow, LIBRARIES } from "./tensorflow_library.ts";
import {
  ADDON,
  CORE,
  currentFile,
  type FoundSetup,
  readSetup,
  setupRoot,
  type TfjsNodeSetup,
} from "./tfjs_node.ts";

/** Version of `@tensorflow/tfjs-node`; that of tfjs-core, whose kernels it implements. */
export const ADDON_VERSION = "4.22.0";
const HEADERS_VERSION = "1.9.0";

/** Folders in which setups are made begin like this. */
const STAGE = ".stage-";
/** No build takes longer. */
const OLD_MS = 3_600_000;

/** Packages to fetch. No install script is run: that of tfjs-node would download another TensorFlow. */
const PACKAGE = {
  private: true,
  dependencies: { "@tensorflow/tfjs-node": ADDON_VERSION, "node-api-headers": HEADERS_VERSION },
  // tfjs-node wants the union package, 250 MB of it; here its scripts use the core that is there anyway.
  overrides: { "@tensorflow/tfjs": `npm:@tensorflow/tfjs-core@${ADDON_VERSION}` },
};

/** Choices of {@linkcode buildTfjsNode}. */
export interface BuildOptions {
  /** Folder of all setups. Default: {@linkcode setupRoot}. */
  readonly root?: string;
  /** Compiler. Default: `$CXX`, else the first of `g++`, `clang++` and `c++` that runs. */
  readonly compiler?: string;
  /** A node_modules that has the packages already. Default: they are fetched. */
  readonly modules?: string;
  /** Told what is being done. */
  readonly onNews?: (text: string) => void;
}

/** What was built, and whether it was there before. */
export interface BuildResult extends FoundSetup {
  /** Whether nothing had to be done. */
  readonly wasThere: boolean;
}

/** A command's output, or why there is none. */
async function run(
  command: string,
  args: string[],
  cwd?: string,
): Promise<{ success: boolean; text: string }> {
  try {
    const { success, stdout, stderr } = await new Deno.Command(command, {
      args,
      cwd,
      env: { NO_COLOR: "1" },
    }).output();
    const decoder = new TextDecoder();
    return { success, text: `${decoder.decode(stdout)}${decoder.decode(stderr)}`.trim() };
  } catch (error) {
    return { success: false, text: (error as Error).message };
  }
}

/**
 * A C++ compiler.
 *
 * @param given The only one to try
 * @throws {SetupError} If none runs
 */
export async function findCompiler(
  given: string | undefined = Deno.env.get("CXX"),
): Promise<string> {
  const names = given ? [given] : ["g++", "clang++", "c++"];
  for (const name of names) {
    if ((await run(name, ["--version"])).success) return name;
  }
  throw new SetupError(
    "compiler",
    {
      reason: `Cannot compile the addon: there is no C++ compiler (tried ${names.join(", ")})`,
      remedy:
        "Install one (Debian and Ubuntu: `apt-get install g++`; Fedora: `dnf install gcc-c++`), " +
        "or name it in $CXX",
    },
  );
}

/** Name of a setup's folder: everything that makes it another one. */
async function nameOf(libraryFolder: string, tensorflow: string): Promise<string> {
  const text = `${libraryFolder}\n${await fingerprint(libraryFolder)}`;
  const hash = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)),
  );
  return `${ADDON_VERSION}-tensorflow-${tensorflow}-${hash.toHex().slice(0, 12)}`;
}

/** Fetch the packages into `folder`. @returns Folder of the modules */
async function fetchPackages(folder: string): Promise<string> {
  await Deno.mkdir(folder);
  await Deno.writeTextFile(join(folder, "package.json"), JSON.stringify(PACKAGE));
  await Deno.writeTextFile(join(folder, "deno.json"), JSON.stringify({ nodeModulesDir: "auto" }));
  const { success, text } = await run(Deno.execPath(), ["install", "--quiet"], folder);
  const modules = join(folder, "node_modules");
  if (
    success && await Deno.stat(join(modules, "@tensorflow", "tfjs-node", "binding")).catch(() => 0)
  ) {
    return modules;
  }
  throw new SetupError(
    "package",
    {
      reason: `Cannot get @tensorflow/tfjs-node ${ADDON_VERSION} from the npm registry:\n${text}\n`,
      remedy: "Its source is needed once: run this where `deno install` reaches a registry",
    },
  );
}

/** Copy the scripts that run, and give them this process's tfjs-core in the place of the union package. */
async function copyScripts(source: string, target: string): Promise<void> {
  const copy = async (name: string): Promise<void> => {
    await Deno.mkdir(join(target, name), { recursive: true });
    for await (const entry of Deno.readDir(join(source, name))) {
      const path = join(name, entry.name);
      if (entry.isDirectory) await copy(path);
      else if (path.endsWith(".js") && !path.endsWith("_test.js")) {
        await Deno.copyFile(join(source, path), join(target, path));
      }
    }
  };
  await copy("dist");
  await Deno.copyFile(join(source, "package.json"), join(target, "package.json"));
  // Messages for TensorBoard: the one file that needs google-protobuf, and nothing here writes them.
  await Deno.writeTextFile(join(target, "dist", "proto", "api_pb.js"), "module.exports = {};\n");
  for (const name of ["tfjs", "tfjs-core"]) {
    const folder = join(target, "node_modules", "@tensorflow", name);
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(
      join(folder, "index.js"),
      `module.exports = globalThis[Symbol.for(${JSON.stringify(CORE)})];\n`,
    );
  }
}

async function compile(
  compiler: string,
  { modules, libraryFolder, target }: { modules: string; libraryFolder: string; target: string },
): Promise<void> {
  const source = join(modules, "@tensorflow", "tfjs-node");
  const { success, text } = await run(compiler, [
    ...["-std=c++17", "-O2", "-fPIC", "-shared", "-DNAPI_VERSION=8", "-w"],
    `-I${join(modules, "node-api-headers", "include")}`,
    `-I${source}`, // its files include "../binding/…"
    `-I${join(source, "binding")}`,
    `-I${join(libraryFolder, "include")}`,
    join(source, "binding", "tfjs_backend.cc"),
    join(source, "binding", "tfjs_binding.cc"),
    ...["-o", join(target, ADDON)],
    `-L${libraryFolder}`,
    ...LIBRARIES.map((name) => `-l:${name}`),
    `-Wl,-rpath,${libraryFolder}`,
  ]);
  if (success) return;
  const lines = text.split("\n"),
    shown = lines.filter((l) => /error|undefined/.test(l)).slice(0, 5);
  throw new SetupError(
    "compiler",
    {
      reason: `Cannot compile the addon with ${compiler}:\n${
        (shown.length ? shown : lines.slice(-5)).join("\n")
      }\n`,
      remedy: "It needs C++17 (g++ 8 or clang 7) and the headers of the same TensorFlow",
    },
  );
}

/**
 * Compile the addon, try it, and make it the one that the executor `tfjs-node` uses. A setup is put in
 * its place by one rename, after it was tried: what fails leaves nothing behind.
 *
 * @param libraryFolder What `findTensorflow` found
 * @param options Where setups are kept, and the compiler
 * @throws {SetupError} If the compiler, a package or a working library is missing
 */
export async function buildTfjsNode(
  libraryFolder: string,
  options: BuildOptions = {},
): Promise<BuildResult> {
  const { root = setupRoot(), onNews = () => {} } = options;
  if (Deno.build.os !== "linux") {
    throw new SetupError(
      "platform",
      {
        reason: `Cannot set up tfjs-node on ${Deno.build.os}: this command knows only Linux`,
        remedy: "device.executor=onnx works here",
      },
    );
  }
  const { version: tensorflow, devices } = inspectTensorflow(libraryFolder);
  const name = await nameOf(libraryFolder, tensorflow), folder = join(root, name);
  await makeFolder(root);
  const use = async (wasThere: boolean): Promise<BuildResult> => {
    await writeAtomically(currentFile(root), `${name}\n`);
    return { ...(await readSetup(folder))!, wasThere };
  };
  if (await readSetup(folder)) {
    await check(folder);
    return use(true);
  }
  const compiler = await findCompiler(options.compiler);
  await removeOldStages(root);
  const stage = await Deno.makeTempDir({ dir: root, prefix: STAGE });
  try {
    if (!options.modules) onNews(`fetching @tensorflow/tfjs-node ${ADDON_VERSION} …`);
    const modules = options.modules ?? await fetchPackages(join(stage, "packages"));
    const target = join(stage, "setup");
    await Deno.mkdir(target);
    await copyScripts(join(modules, "@tensorflow", "tfjs-node"), target);
    onNews(`compiling against TensorFlow ${tensorflow} with ${compiler} …`);
    await compile(compiler, { modules, libraryFolder, target });
    onNews("trying it …");
    await check(target);
    const setup: TfjsNodeSetup = {
      addon: ADDON_VERSION,
      tensorflow,
      libraryFolder,
      fingerprint: await fingerprint(libraryFolder),
      devices,
    };
    await Deno.writeTextFile(join(target, "setup.json"), `${JSON.stringify(setup, null, 2)}\n`);
    await place(target, folder);
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
  return use(false);
}

/** Try a setup: a matrix product and a gradient. */
async function check(folder: string): Promise<void> {
  const script = new URL("./check_tfjs_node.ts", import.meta.url);
  const { success, text } = await run(Deno.execPath(), [
    "run",
    "-A",
    "--quiet",
    script.href,
    folder,
  ]);
  if (success) return;
  throw new SetupError("addon", {
    reason: `Cannot use the addon that was compiled: trying it failed\n${text}\n`,
    remedy: "Try another version of TensorFlow; 2.21 is known to work",
  });
}

/** Remove what builds left that were killed. */
async function removeOldStages(root: string): Promise<void> {
  for await (const { name } of Deno.readDir(root)) {
    if (!name.startsWith(STAGE)) continue;
    const path = join(root, name), { mtime } = await Deno.stat(path);
    if (Date.now() - mtime!.getTime() > OLD_MS) await Deno.remove(path, { recursive: true });
  }
}

/** Rename; where another process was faster, its setup is as good. */
async function place(from: string, to: string): Promise<void> {
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!await readSetup(to)) throw error;
  }
}
