/** Generated kernels in NVRTC itself, where it is installed: it needs no GPU. */
import { assert } from "@std/assert";
import { DeviceError } from "../../../../src/errors.ts";
import { type Program, record, type Sizes, withGradients } from "../../../../src/graph/mod.ts";
import { t5LossProgram } from "../../../../bench/_t5_step.ts";
import { parseT5Config, t5ParamSpecs } from "../../../../src/model/mod.ts";
import { bindGraph } from "../../../../src/runtime/cuda/bound_graph.ts";
import type { MatrixPrecision } from "../../../../src/runtime/cuda/device.ts";
import { sourceOf } from "../../../../src/runtime/cuda/kernel_library.ts";
import { lower } from "../../../../src/runtime/cuda/lower.ts";
import type { WeightOffsets } from "../../../../src/runtime/cuda/stack_projections.ts";
import { Nvrtc } from "../../../../src/runtime/cuda/nvrtc.ts";
import type { KernelStep, Step } from "../../../../src/runtime/cuda/step.ts";
import { ParameterStore } from "../../../../src/runtime/mod.ts";
import { kernelCases, programOf, SIZES } from "../../graph/kernel_cases.ts";
import { streamOf } from "./_compare.ts";
import { randomProgram } from "./_random_program.ts";

const nvrtc = (() => {
  try {
    return Nvrtc.open();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log("skipped: kernels in NVRTC, it is not found here (pip install nvidia-cuda-nvrtc)");
    return undefined;
  }
})();

function test(name: string, fn: () => void): void {
  // The library stays loaded as long as the file.
  Deno.test({ name: `NVRTC compiles ${name}`, ignore: !nvrtc, sanitizeResources: false, fn });
}

const isKernel = (step: Step): step is KernelStep => step.kind === "kernel";

function kernelsOf(
  program: Program,
  sizes: Sizes,
  precision: MatrixPrecision,
  offsets: WeightOffsets = new Map(),
): KernelStep[] {
  const { once, steps } = lower(bindGraph(record(program), sizes), { precision, offsets });
  return [...once, ...steps].filter(isKernel);
}

/** Compile, and find every kernel in what comes out. */
function assertCompiles(steps: readonly KernelStep[], architecture: string): void {
  const { source, signatures } = sourceOf(steps);
  const cubin = new TextDecoder("latin1").decode(nvrtc!.compile(source, architecture));
  for (const { name } of signatures) assert(cubin.includes(`.text.${name}`), name);
}

/** The loss of a T5 with everything in it: two attentions, a bias of positions, dropout. */
function t5(): { program: Program; offsets: WeightOffsets } {
  const config = parseT5Config({
    model_type: "t5",
    vocab_size: 8192,
    d_model: 256,
    d_ff: 1024,
    num_heads: 4,
    num_layers: 2,
    dropout_rate: 0.1,
    feed_forward_proj: "gated-gelu",
  });
  const specs = t5ParamSpecs(config);
  const program = t5LossProgram(config, { dropoutRate: 0.1 });
  const { layout } = new ParameterStore(specs);
  return {
    program: withGradients(program, { loss: "loss", parameters: Object.keys(specs) }),
    offsets: new Map(layout.segments.map(({ name, offset }) => [name, offset])),
  };
}

/** Catches: what g++ takes and NVRTC does not, assembler of another architecture. */
for (const precision of ["float32", "bfloat16"] as const) {
  for (const architecture of ["sm_80", "sm_90", "sm_100"]) {
    test(`the training step of T5 in ${precision} for ${architecture}`, () => {
      if (!nvrtc!.architectures.includes(architecture)) {
        console.log(`skipped: NVRTC ${nvrtc!.version} does not know ${architecture}`);
        return;
      }
      const { program, offsets } = t5();
      const steps = kernelsOf(program, { B: 64, S: 32, T: 8 }, precision, offsets);
      assert(steps.length > 50, `${steps.length} kernels`);
      assertCompiles(steps, architecture);
    });
  }
}

test("random programs", () => {
  for (const precision of ["float32", "bfloat16"] as const) {
    const steps = Array.from({ length: 6 }, (_, step) => {
      const { program } = randomProgram(streamOf("program", step), 12);
      return kernelsOf(program, {}, precision);
    });
    assertCompiles(steps.flat(), "sm_90");
  }
});

test("the kernels of every operation", () => {
  const steps = kernelCases.filter((c) => !c.isRandom).flatMap((c) =>
    kernelsOf(programOf(c), SIZES[0], "float32")
  );
  assertCompiles(steps, "sm_90");
});
