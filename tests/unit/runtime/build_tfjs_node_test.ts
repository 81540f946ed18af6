import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SetupError } from "../../../src/errors.ts";
import { buildTfjsNode, findCompiler } from "../../../src/runtime/build_tfjs_node.ts";
import { inspectTensorflow } from "../../../src/runtime/tensorflow_library.ts";
import {
  currentFile,
  currentSetup,
  loadTfjsNode,
  loadTfjsNodeGpu,
} from "../../../src/runtime/tfjs_node.ts";
import { withFolder } from "../../with_folder.ts";
import { compiledWheel, fakeWheel } from "./_tensorflow.ts";

const compiler = await findCompiler().catch((error: SetupError) => {
  console.log(`skipped: tests that compile: ${error.reason}`);
  return "";
});
const ignore = !compiler || Deno.build.os !== "linux";

/** A node_modules with an addon and scripts of a line each. */
async function fakeModules(folder: string, addon: string): Promise<string> {
  const modules = join(folder, "node_modules"), package_ = join(modules, "@tensorflow/tfjs-node");
  const files: Record<string, string> = {
    "binding/tfjs_backend.cc": addon,
    "binding/tfjs_binding.cc": "",
    "package.json": "{}",
    "dist/register_all_kernels.js": "",
    "dist/register_all_kernels_test.js": "",
    "dist/nodejs_kernel_backend.js": "",
    "dist/proto/api_pb.js": "require('google-protobuf')",
  };
  for (const [name, text] of Object.entries(files)) {
    await Deno.mkdir(join(package_, name, ".."), { recursive: true });
    await Deno.writeTextFile(join(package_, name), text);
  }
  await Deno.mkdir(join(modules, "node-api-headers/include"), { recursive: true });
  return modules;
}

const namesIn = (folder: string): string[] => [...Deno.readDirSync(folder)].map(({ name }) => name);

Deno.test("without a compiler the error names those that were tried", async () => {
  const error = await assertRejects(
    () => findCompiler("no-such-compiler"),
    SetupError,
    "no-such-compiler",
  );
  assertEquals(error.missing, "compiler");
  assertStringIncludes(error.remedy, "apt-get install g++");
});

Deno.test(
  { name: "a library says its version and devices", ignore },
  () =>
    withFolder(async (folder) => {
      assertEquals(inspectTensorflow(await compiledWheel(folder, compiler)), {
        version: "0.0.7",
        devices: [
          { name: "/device:CPU:0", type: "CPU" },
          { name: "/device:GPU:0", type: "GPU" },
        ],
      });
    }),
);

Deno.test("a library that does not load is a typed error", () =>
  withFolder(async (folder) => {
    const wheel = await fakeWheel(folder); // empty files
    const error = await assertRejects(
      () => Promise.resolve().then(() => inspectTensorflow(wheel)),
      SetupError,
      "Cannot load",
    );
    assertEquals(error.missing, "library");
  }));

Deno.test(
  { name: "what does not compile leaves nothing behind", ignore },
  () =>
    withFolder(async (folder) => {
      const wheel = await compiledWheel(folder, compiler), root = join(folder, "setups");
      const modules = await fakeModules(folder, "this is no C++;");
      const error = await assertRejects(
        () => buildTfjsNode(wheel, { root, modules, compiler }),
        SetupError,
        "error:",
      );
      assertEquals(error.missing, "compiler");
      assertEquals(namesIn(root), []);
    }),
);

Deno.test(
  { name: "what compiles and fails when it is tried leaves nothing behind", ignore },
  () =>
    withFolder(async (folder) => {
      const wheel = await compiledWheel(folder, compiler), root = join(folder, "setups");
      const crash = "__attribute__((constructor)) void f() { *(volatile int*)0 = 1; }";
      for (const addon of ["", crash]) {
        const modules = await fakeModules(folder, addon);
        const error = await assertRejects(
          () => buildTfjsNode(wheel, { root, modules, compiler }),
          SetupError,
          "trying it failed",
        );
        assertEquals(error.missing, "addon");
        assertEquals(namesIn(root), []);
      }
    }),
);

Deno.test("a setup that is missing, or whose library changed or went away, says what to do", () =>
  withFolder(async (folder) => {
    const wheel = await fakeWheel(folder), root = join(folder, "setups");
    const refuse = async (...words: string[]): Promise<void> => {
      const error = await assertRejects(() => loadTfjsNode({}, root), SetupError);
      for (const part of [...words, "setup-tfjs-node --libtensorflow"]) {
        assertStringIncludes(error.message, part);
      }
    };
    await refuse("it was not set up for this user");
    await Deno.mkdir(join(root, "one"), { recursive: true });
    await Deno.writeTextFile(currentFile(root), "one\n");
    await refuse("it was not set up for this user"); // named, but not there
    await Deno.writeTextFile(
      join(root, "one/setup.json"),
      JSON.stringify({ libraryFolder: wheel, fingerprint: "another" }),
    );
    assertEquals((await currentSetup(root))?.folder, join(root, "one"));
    await refuse(wheel, "is not the one it was set up with");
    await Deno.remove(wheel, { recursive: true });
    await refuse(wheel, "is gone");
  }));

Deno.test("the published GPU package is refused where it is missing or does not load", async () => {
  const refuse = async (specifier: string | undefined, part: string): Promise<void> => {
    const error = await assertRejects(() => loadTfjsNodeGpu({}, specifier), SetupError, part);
    assertEquals(error.missing, "package");
    assertStringIncludes(error.remedy, "CUDA 11.2");
    assertStringIncludes(error.remedy, "deno add");
  };
  await refuse(undefined, "@tensorflow/tfjs-node-gpu");
  await refuse(
    "data:text/javascript,throw new Error('libcudart.so.11.0: not found')",
    "does not load: libcudart.so.11.0: not found",
  );
  await refuse("data:text/javascript,0", "it registers no backend");
});

Deno.test("the GPU package gets the function that it misses", async () => {
  const script =
    "import util from 'node:util'; throw new Error(String(util.isNullOrUndefined(null)))";
  await assertRejects(
    () => loadTfjsNodeGpu({}, `data:text/javascript,${encodeURIComponent(script)}`),
    SetupError,
    "does not load: true",
  );
});
