/** `doctor`: what this machine can do, and why not the rest. @module */
import type { Command } from "./command.ts";
import {
  checkCpu,
  checkDeno,
  checkDisk,
  checkJupyter,
  checkMemory,
  checkSqlite,
  checkWasm,
  type Finding,
} from "./doctor_checks.ts";
import { checkExecutors, checkProviders } from "./doctor_executors.ts";
import { gpuFindings } from "./doctor_gpu.ts";
import { type Styles, stylesFor } from "./io.ts";

/** All findings, in the order in which they are shown. */
async function examine(): Promise<Finding[]> {
  const { cudaFacts } = await import("../runtime/cuda/cuda_facts.ts");
  const facts = cudaFacts();
  return [
    checkDeno(),
    await checkCpu(),
    checkMemory(),
    checkWasm(),
    await checkSqlite(),
    ...await checkExecutors(Array.isArray(facts.devices) && facts.devices.length > 0),
    ...await checkProviders(),
    ...gpuFindings(facts),
    checkDisk(),
    await checkJupyter(),
  ];
}

/** Findings as a table, remedies below their lines. */
export function findingsTable(findings: readonly Finding[], styles: Styles): string {
  const colour = { ok: styles.green, limited: styles.yellow, missing: styles.red };
  const width = Math.max(...findings.map(({ name }) => name.length));
  return findings.map(({ name, status, detail, remedy, isNeeded }) => {
    const shade = status === "missing" && !isNeeded ? styles.dim : colour[status];
    const line = `${name.padEnd(width)}  ${shade(status.padEnd(7))}  ${detail}`;
    return remedy ? `${line}\n${" ".repeat(width + 11)}${styles.dim(`-> ${remedy}`)}` : line;
  }).join("\n");
}

/** The command. */
export const doctor: Command = {
  name: "doctor",
  summary: "say what this machine can do, and why not the rest",
  details:
    "Runs a small program on every executor and every provider of ONNX Runtime, and looks for all that the commands use. Exit " +
    "code 1 means that something is missing that commands need.",
  takesConfig: false,
  flags: [{ name: "json", description: "Write the findings as JSON." }],
  examples: [
    { text: "A table to read", line: "doctor" },
    { text: "The same for a program", line: "doctor --json" },
  ],
  async run({ flags, io }): Promise<number> {
    const findings = await examine();
    io.out(
      flags.json ? JSON.stringify(findings, null, 2) : findingsTable(findings, stylesFor(io)),
    );
    return findings.some(({ status, isNeeded }) => isNeeded && status === "missing") ? 1 : 0;
  },
};
