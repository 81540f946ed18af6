/** The first step of every executor. @module */
import { type Program, record, type Recording } from "../graph/mod.ts";
import type { CompileOptions } from "./executor.ts";
import { type Signature, withoutConstants } from "./signature.ts";

/**
 * Record a program for the sizes that its constants fix, and say what goes in and out of it.
 *
 * @throws {ShapeError} If a constant does not fit
 * @throws {TraceError | KernelError} If the program cannot be recorded
 */
export function recordProgram(
  program: Program,
  options: CompileOptions = {},
): { recording: Recording; signature: Signature } {
  const { constants = {}, dialect = "training" } = options;
  const { inputs, fixed } = withoutConstants(program, constants);
  const recording = record(program, { dialect, fixed });
  const outputs = recording.outputs.map(({ name, dtype, shape }) => ({ name, dtype, shape }));
  return {
    recording,
    signature: { name: program.name, inputs, outputs, masks: recording.keepMasks },
  };
}
