/** A small file of parameters: adapters, a value head. @module */
import { CheckpointError } from "../errors.ts";
import { openSafetensors, type SafetensorsReader } from "../model/safetensors_source.ts";
import { type HostTensor, hostTensor, sizeOf } from "../tensor/host_tensor.ts";
import type { ParamSpecs } from "../tensor/params.ts";
import { openFileSource } from "./file_source.ts";

/**
 * Exactly the parameters of `specs` from one file.
 *
 * @param path A safetensors file
 * @param specs Parameters by name
 * @param nameOf Name of a stored tensor here; undefined if it does not belong there
 * @throws {DataError} If the file is missing or broken
 * @throws {CheckpointError} If a tensor is missing, of another shape, or does not belong there
 */
export async function readParameters(
  path: string,
  specs: ParamSpecs,
  nameOf: (stored: string) => string | undefined = (stored) => stored,
): Promise<Record<string, HostTensor<"float32">>> {
  await using source = await openFileSource(path);
  const reader: SafetensorsReader = await openSafetensors(source);
  const problems: string[] = [];
  const found = new Map<string, string>();
  for (const [stored, { shape }] of reader.entries) {
    const name = nameOf(stored), spec = name === undefined ? undefined : specs[name];
    if (name === undefined || !spec) problems.push(`${stored} does not belong there`);
    else if (`${shape}` !== `${spec.shape}`) {
      problems.push(`${stored} is [${shape}], not [${spec.shape}]`);
    } else found.set(name, stored);
  }
  // What is there under another name or shape is not missing too.
  if (!problems.length) {
    for (const name of Object.keys(specs)) {
      if (!found.has(name)) problems.push(`${name} is missing`);
    }
  }
  if (problems.length) {
    throw new CheckpointError(
      `Cannot use ${path}: ${problems.length} tensors do not fit\n  ` +
        problems.slice(0, 20).join("\n  "),
    );
  }
  const tensors: Record<string, HostTensor<"float32">> = {};
  for (const [name, { shape }] of Object.entries(specs)) {
    const data = new Float32Array(sizeOf(shape));
    await reader.readInto(found.get(name)!, data);
    tensors[name] = hostTensor("float32", data, shape);
  }
  return tensors;
}
