import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { SetupError } from "../../../src/errors.ts";
import { findTensorflow, type Surroundings } from "../../../src/runtime/tensorflow_library.ts";
import { withFolder } from "../../with_folder.ts";
import { fakeWheel } from "./_tensorflow.ts";

const around = (
  env: Record<string, string> = {},
  pythonTensorflow?: string,
): Surroundings => ({
  env: (name) => env[name],
  pythonTensorflow: () => Promise.resolve(pythonTensorflow),
});

const packages = (environment: string) => join(environment, "lib/python3.12/site-packages");

Deno.test("a library is found in a wheel's folder, the folder above it and an environment", () =>
  withFolder(async (folder) => {
    const wheel = await fakeWheel(packages(folder));
    for (const given of [wheel, packages(folder), folder]) {
      assertEquals(await findTensorflow(given, around()), await Deno.realPath(wheel));
    }
  }));

Deno.test("what is given is the only place; else the environment goes before Python", () =>
  withFolder(async (folder) => {
    const [active, conda, python] = await Promise.all(
      ["active", "conda", "python"].map((name) => fakeWheel(packages(join(folder, name)))),
    );
    const env = { VIRTUAL_ENV: join(folder, "active"), CONDA_PREFIX: join(folder, "conda") };
    const find = async (given: string | undefined, all: Surroundings) =>
      await findTensorflow(given, all);
    assertEquals(await find(undefined, around(env, python)), await Deno.realPath(active));
    assertEquals(
      await find(undefined, around({ CONDA_PREFIX: env.CONDA_PREFIX }, python)),
      await Deno.realPath(conda),
    );
    assertEquals(await find(undefined, around({}, python)), await Deno.realPath(python));
    const error = await assertRejects(
      () => find(join(folder, "nowhere"), around(env, python)),
      SetupError,
      `--libtensorflow: ${join(folder, "nowhere")}`,
    );
    assertEquals(error.missing, "library");
    assert(!error.message.includes("VIRTUAL_ENV"));
  }));

Deno.test("without a library the error lists every place and says how to get one", () =>
  withFolder(async (folder) => {
    await fakeWheel(packages(folder), { hasLibraries: false });
    const error = await assertRejects(
      () => findTensorflow(undefined, around({ VIRTUAL_ENV: folder })),
      SetupError,
      "libtensorflow_cc.so.2",
    );
    assertEquals(error.missing, "library");
    for (
      const part of [
        `  $VIRTUAL_ENV: ${folder}\n`,
        "  $CONDA_PREFIX: nothing\n",
        "  here: .venv\n",
        "  here: venv\n",
        "  python3: nothing\n",
        "pip install",
      ]
    ) assertStringIncludes(error.message, part);
  }));

Deno.test("a library without headers is another error", () =>
  withFolder(async (folder) => {
    await fakeWheel(folder, { hasHeaders: false });
    const error = await assertRejects(
      () => findTensorflow(folder, around()),
      SetupError,
      "include/tensorflow/c/eager/c_api.h",
    );
    assertEquals(error.missing, "headers");
    assertStringIncludes(error.remedy, "pip install");
  }));
