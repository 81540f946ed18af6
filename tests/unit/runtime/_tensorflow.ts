/** A TensorFlow that is not one, and whether this user has a real one set up. */
import { join } from "@std/path";
import { currentSetup } from "../../../src/runtime/tfjs_node.ts";

/** Make the files that a search looks for in `<folder>/tensorflow`. @returns That folder */
export async function fakeWheel(
  folder: string,
  { hasHeaders = true, hasLibraries = true } = {},
): Promise<string> {
  const path = join(folder, "tensorflow");
  await Deno.mkdir(join(path, "include/tensorflow/c/eager"), { recursive: true });
  if (hasLibraries) {
    for (const name of ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]) {
      await Deno.writeTextFile(join(path, name), "");
    }
  }
  if (hasHeaders) await Deno.writeTextFile(join(path, "include/tensorflow/c/eager/c_api.h"), "");
  return path;
}

/** The functions that are asked for version and devices, with two devices and no arithmetic. */
const FAKE_SOURCE = `
  extern "C" {
  const char* TF_Version() { return "0.0.7"; }
  void* TF_NewStatus() { return (void*)1; }
  int TF_GetCode(void*) { return 0; }
  const char* TF_Message(void*) { return ""; }
  void TF_DeleteStatus(void*) {}
  void* TFE_NewContextOptions() { return (void*)1; }
  void TFE_DeleteContextOptions(void*) {}
  void* TFE_NewContext(void*, void*) { return (void*)1; }
  void TFE_DeleteContext(void*) {}
  void* TFE_ContextListDevices(void*, void*) { return (void*)1; }
  int TF_DeviceListCount(void*) { return 2; }
  const char* TF_DeviceListName(void*, int i, void*) {
    return i ? "/job:localhost/replica:0/task:0/device:GPU:0" : "/job:localhost/replica:0/task:0/device:CPU:0";
  }
  const char* TF_DeviceListType(void*, int i, void*) { return i ? "GPU" : "CPU"; }
  void TF_DeleteDeviceList(void*) {}
  }`;

/** A wheel whose libraries load, compiled from a few lines. */
export async function compiledWheel(folder: string, compiler: string): Promise<string> {
  const path = await fakeWheel(folder), source = join(folder, "fake.cc");
  await Deno.writeTextFile(source, FAKE_SOURCE);
  for (const name of ["libtensorflow_cc.so.2", "libtensorflow_framework.so.2"]) {
    const args = ["-shared", "-fPIC", source, "-o", join(path, name)];
    const { success, stderr } = await new Deno.Command(compiler, { args }).output();
    if (!success) throw new Error(new TextDecoder().decode(stderr));
  }
  return path;
}

/** Why tests on tfjs-node can't run here; nothing if they can. It is printed once. */
export async function whyNoTfjsNode(): Promise<string | undefined> {
  if (await currentSetup()) return undefined;
  const reason = "tfjs-node was not set up for this user (deno task setup-tfjs-node)";
  console.log(`skipped: tests on tfjs-node: ${reason}`);
  return reason;
}
