/** `setup-tfjs-node`: compile tfjs-node's addon against a TensorFlow that is on this machine. @module */
import { UsageError } from "../errors.ts";
import type { Command } from "./command.ts";

/** The command. */
export const setupTfjsNode: Command = {
  name: "setup-tfjs-node",
  summary: "compile tfjs-node against your own TensorFlow, for device.executor=tfjs-node",
  details:
    "Gets the published source of @tensorflow/tfjs-node, compiles it against the library and " +
    "headers of a TensorFlow wheel, tries it with a matrix product and a gradient, and says which " +
    "devices TensorFlow lists. The result is kept in this user's cache folder, for every project; " +
    "Linux only. Needed: a C++ compiler, and a wheel, from which Python itself runs nothing: " +
    "python3 -m venv tf && tf/bin/pip install --no-deps tensorflow-cpu. Without --libtensorflow, " +
    "$VIRTUAL_ENV, $CONDA_PREFIX, .venv, venv and the Python on the PATH are searched. Nothing else " +
    "needs this command.",
  takesConfig: false,
  flags: [{
    name: "libtensorflow",
    value: "folder",
    description: "The wheel's folder tensorflow, the folder above it, or a Python environment.",
  }],
  examples: [
    { text: "With the TensorFlow of an environment", line: "setup-tfjs-node --libtensorflow=tf" },
    { text: "With that of the active environment", line: "setup-tfjs-node" },
  ],
  async run({ flags, io }): Promise<void> {
    const given = flags.libtensorflow;
    if (given === "") {
      throw new UsageError("Cannot set up tfjs-node: --libtensorflow names no folder");
    }
    const { buildTfjsNode } = await import("../runtime/build_tfjs_node.ts");
    const { findTensorflow } = await import("../runtime/tensorflow_library.ts");
    const folder = await findTensorflow(given as string | undefined);
    const setup = await buildTfjsNode(folder, { onNews: io.err });
    io.out(`TensorFlow ${setup.tensorflow} in ${setup.libraryFolder}`);
    io.out(`lists ${setup.devices.map(({ name, type }) => `${name} (${type})`).join(", ")}`);
    io.out(
      `${
        setup.wasThere ? "was there already" : "compiled"
      }: tfjs-node ${setup.addon} in ${setup.folder}; ` +
        "a matrix product and a gradient are right",
    );
    io.out("device.executor=tfjs-node computes on it");
  },
};
