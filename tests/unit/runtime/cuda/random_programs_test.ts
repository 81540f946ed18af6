/** Random programs and their gradients on generated kernels: wide lanes, fusion, views, masks. */
import { assertComputes, streamOf } from "./_compare.ts";
import { testOnHost } from "./_host.ts";
import { randomProgram } from "./_random_program.ts";

/** Chains of sums and products that cancel. */
const TOLERANCE = 2e-4;

for (let step = 0; step < 12; step++) {
  testOnHost(`a random program on a device: ${step}`, async () => {
    const { program, inputs } = randomProgram(streamOf("program", step), 12);
    await assertComputes(program, inputs, {
      random: { seed: 5, stream: "dropout", step },
      bfloat16: false,
      tolerance: TOLERANCE,
    });
  });
}
