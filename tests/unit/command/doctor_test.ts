import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { findingsTable } from "../../../src/command/doctor.ts";
import {
  checkDeno,
  checkDisk,
  checkJupyter,
  checkSqlite,
  checkWasm,
  type Finding,
} from "../../../src/command/doctor_checks.ts";
import { gpuFindings } from "../../../src/command/doctor_gpu.ts";
import { stylesFor } from "../../../src/command/io.ts";
import { runCli } from "../../../src/command/run_cli.ts";
import { DeviceError } from "../../../src/errors.ts";
import type { CudaFacts } from "../../../src/runtime/cuda/cuda_facts.ts";
import { ONNX_PROVIDERS, providerProblem } from "../../../src/runtime/mod.ts";
import { fakeIo } from "./fake_io.ts";

Deno.test("doctor --json answers every question; what is not ok says what to do", async () => {
  const io = fakeIo();
  const code = await runCli(["doctor", "--json"], { io });
  const findings: Record<string, string>[] = JSON.parse(io.outLines[0]);
  const names = findings.map(({ name }) => name);
  for (
    const name of ["Deno", "CPU", "Memory", "SQLite FTS5", "Executor onnx", "Executor wasm", "GPU"]
  ) assert(names.includes(name), name);
  for (const { name, status, remedy } of findings) {
    assert(status === "ok" || remedy || name === "WebAssembly SIMD", `${name} has no remedy`);
  }
  const isBroken = findings.some(({ status, isNeeded }) => status === "missing" && isNeeded);
  assertEquals(code, isBroken ? 1 : 0);
});

Deno.test("executors are judged by a product that they must get right", async () => {
  const io = fakeIo();
  await runCli(["doctor"], { io });
  for (const name of ["onnx", "onnx-worker", "wasm", "cpu"]) {
    const line = io.outLines[0].split("\n").find((l) => l.startsWith(`Executor ${name} `))!;
    assertStringIncludes(line, " ok ");
  }
});

Deno.test("every provider of ONNX Runtime has a line: it can be used, or why not", async () => {
  const io = fakeIo();
  await runCli(["doctor", "--json"], { io });
  const findings: Finding[] = JSON.parse(io.outLines[0]);
  for (const provider of ONNX_PROVIDERS) {
    const problem = await providerProblem(provider);
    assertEquals(findings.find(({ name }) => name === `Provider ${provider}`), {
      name: `Provider ${provider}`,
      status: problem ? "missing" : "ok",
      detail: problem?.reason ?? `device.provider=${provider} can be used`,
      ...problem && { remedy: problem.remedy },
      isNeeded: provider === "cpu",
    });
  }
});

Deno.test("a GPU has a line for each thing it needs, with version and file, or why it is missing", () => {
  const facts: CudaFacts = {
    driver: { version: "13.0", path: "libcuda.so.1" },
    devices: [{ name: "Big GPU", capability: [9, 0], multiprocessors: 132, memory: 80 * 2 ** 30 }],
    nvrtc: { version: "13.0", path: "/a/libnvrtc.so.13", architectures: ["sm_75", "sm_90"] },
    cublasLt: { version: "13.1.0", path: "/a/libcublasLt.so.13" },
  };
  const shown = (findings: Finding[]): string[] =>
    findings.map(({ name, status, detail, remedy }) =>
      [name, status, detail, ...remedy ? [remedy] : []].join(" | ")
    );
  assertEquals(shown(gpuFindings(facts)), [
    "GPU | ok | Big GPU, 80.0 GiB, compute capability 9.0; NVIDIA's driver for CUDA 13.0, libcuda.so.1",
    "NVRTC | ok | 13.0, /a/libnvrtc.so.13; compiles for sm_75 to sm_90",
    "cuBLASLt | ok | 13.1.0, /a/libcublasLt.so.13",
  ]);
  const missing = new DeviceError(
    "Cannot load it: no x.so in any of\n  /a: not there\n  /b/x.so: wrong format\n  /c: not there\nInstall it",
  );
  const detail =
    "Cannot load it: no x.so in any of /b/x.so: wrong format; 2 places where it is not";
  assertEquals(
    shown(gpuFindings({ ...facts, nvrtc: missing }))[1],
    `NVRTC | missing | ${detail} | Install it`,
  );
  const nothing = "nothing to do: all commands run without one";
  assertEquals(shown(gpuFindings({ ...facts, driver: missing, devices: missing })), [
    `GPU | missing | ${detail} | ${nothing}`,
  ]);
  const unusable = new DeviceError(
    "Cannot start the driver: cuInit gave CUDA_ERROR_NO_DEVICE (100)",
  );
  assertEquals(shown(gpuFindings({ ...facts, devices: unusable })), [
    `GPU | missing | ${unusable.message}; NVIDIA's driver for CUDA 13.0, libcuda.so.1 | ${nothing}`,
  ]);
});

Deno.test("an old Deno, a folder that cannot be written and a missing kernel have remedies", async () => {
  assertEquals(checkDeno("2.9.6").status, "ok");
  assertEquals(checkDeno("2.10.0").status, "ok");
  assertStringIncludes(checkDeno("2.8.9").remedy!, "npx --yes deno@");
  const file = await Deno.makeTempFile();
  const disk = checkDisk(join(file, "outputs"));
  assertEquals([disk.status, disk.isNeeded], ["missing", true]);
  await Deno.remove(file);
  const jupyter = await checkJupyter([]);
  assertEquals([jupyter.status, jupyter.remedy], ["missing", "deno jupyter --install"]);
});

Deno.test("the check of the folder leaves nothing behind", async () => {
  const root = await Deno.makeTempDir();
  assertEquals(checkDisk(join(root, "outputs")).name, `Folder ${join(root, "outputs")}/`);
  assertEquals([...Deno.readDirSync(root)], []);
  await Deno.remove(root);
});

Deno.test("a kernel is found where Jupyter looks for it", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.mkdir(join(folder, "kernels", "deno"), { recursive: true });
  await Deno.writeTextFile(join(folder, "kernels", "deno", "kernel.json"), "{}");
  assertEquals((await checkJupyter(["no/such", folder])).status, "ok");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("this test needs what doctor calls needed", async () => {
  assertEquals(checkWasm().status, "ok");
  assertEquals((await checkSqlite()).status, "ok");
});

Deno.test("the table aligns names and puts remedies below", () => {
  const table = findingsTable([
    { name: "One", status: "ok", detail: "there", isNeeded: true },
    { name: "Longer", status: "missing", detail: "gone", remedy: "get it", isNeeded: false },
  ], stylesFor({ hasColor: false }));
  assertEquals(
    table,
    [
      "One     ok       there",
      "Longer  missing  gone",
      "                 -> get it",
    ].join("\n"),
  );
});
