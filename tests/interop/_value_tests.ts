/** Losses, logits and gradients of freshly made models against transformers. */
import { assert } from "@std/assert";
import { withGradients } from "../../src/graph/mod.ts";
import { onnxExecutor } from "../../src/runtime/mod.ts";
import * as decoders from "../parity/_decoder.ts";
import * as t5s from "../parity/_t5.ts";
import { relativeL2, relativeMax } from "../parity/_t5.ts";
import {
  asDecoder,
  asT5,
  batchIn,
  countedRows,
  load,
  NAMES,
  noPython,
  references,
  SIDES,
  tensorsOf,
  Worst,
} from "./_references.ts";
import { test } from "./_peers.ts";

const VALUE_TOLERANCE = 1e-5, GRADIENT_TOLERANCE = 1e-4;

const executor = onnxExecutor();

for (const name of NAMES) {
  test(`${name}: loss, logits and every gradient are transformers'`, noPython, async () => {
    const model = await load(name), t5 = asT5(model), worst = new Worst();
    const { tensors } = model, parameters = Object.keys(tensors);
    const values = await executor.compile(
      t5 ? t5s.valueProgram(t5) : decoders.valueProgram(asDecoder(model)),
    );
    const gradients = await executor.compile(withGradients(
      t5 ? t5s.lossProgram(t5) : decoders.lossProgram(asDecoder(model)),
      { loss: "loss", parameters },
    ));
    for (const side of SIDES) {
      const expected = await tensorsOf(await references(), name, "values", `${side}.safetensors`);
      const inputs = { ...tensors, ...batchIn(expected) };
      const { loss, logits } = await values.run(inputs);
      const lossError = worst.note("loss", Math.abs(loss.data[0] / expected.loss.data[0] - 1));
      assert(lossError <= VALUE_TOLERANCE, `padded ${side}: loss is off by ${lossError}`);
      const error = worst.note(
        "logits",
        relativeMax(
          countedRows(logits, expected, !!t5),
          countedRows(expected.logits, expected, !!t5),
        ),
      );
      assert(error <= VALUE_TOLERANCE, `padded ${side}: logits are off by ${error}`);
      const outputs = await gradients.run(inputs);
      for (const parameter of parameters) {
        const key = `grad:${parameter}`;
        const error = worst.note("gradients", relativeL2(outputs[key].data, expected[key].data));
        assert(error <= GRADIENT_TOLERANCE, `padded ${side}: ${key} is off by ${error}`);
      }
    }
    await values.dispose();
    await gradients.dispose();
    worst.print(`${name}, ${parameters.length} parameters, padded on either side, off by`);
  });
}
