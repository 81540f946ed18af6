/** Adapters that PEFT made, here: added, differentiated and merged. */
import { assert, assertEquals } from "@std/assert";
import { join } from "@std/path";
import { type Program, withGradients } from "../../src/graph/mod.ts";
import { loadAdapter } from "../../src/hub/mod.ts";
import {
  decoderLogits,
  decoderLoss,
  decoderStates,
  isConv1d,
  type LoraScaling,
  loraScaling,
  mergeLora,
  t5Decode,
  t5Encode,
  t5Logits,
  t5Loss,
  t5ShiftRight,
} from "../../src/model/mod.ts";
import { onnxExecutor } from "../../src/runtime/mod.ts";
import { named, namedInts } from "../../src/tensor/axes.ts";
import * as decoders from "../parity/_decoder.ts";
import * as t5s from "../parity/_t5.ts";
import { relativeL2, relativeMax } from "../parity/_t5.ts";
import type { LoadedModel } from "../../src/hub/mod.ts";
import { test } from "./_peers.ts";
import {
  ADAPTED,
  asDecoder,
  asT5,
  batchIn,
  countedRows,
  load,
  noPython,
  references,
  tensorsOf,
  Worst,
} from "./_references.ts";

const VALUE_TOLERANCE = 1e-5, GRADIENT_TOLERANCE = 1e-4, MERGE_TOLERANCE = 1e-6;

/** Loss and logits, with adapters among the parameters. */
function adaptedProgram(model: LoadedModel, lora: LoraScaling): Program {
  const t5 = asT5(model);
  if (t5) {
    const { config } = t5;
    return {
      name: "t5_adapted",
      inputs: t5s.batchInputs(t5),
      run: (x) => {
        const batch = t5s.batchOf(x), { isToken } = batch;
        const memory = t5Encode(x, config, batch, { lora });
        const decoderIds = t5ShiftRight(config, batch.labels);
        const hidden = t5Decode(x, config, { decoderIds, memory, isToken }, { lora });
        return { loss: t5Loss(x, config, batch, { lora }), logits: t5Logits(x, config, hidden) };
      },
    };
  }
  const decoder = asDecoder(model), { config } = decoder;
  return {
    name: "decoder_adapted",
    inputs: decoders.batchInputs(decoder),
    run: (x) => {
      const inputs = {
        inputIds: namedInts(x.inputIds, "B S", {}),
        isToken: named(x.isToken, "B S", {}),
      };
      const labels = namedInts(x.labels, "B S", {});
      const { hidden } = decoderStates(x, config, inputs, { lora });
      return {
        loss: decoderLoss(x, config, { ...inputs, labels }, { lora }),
        logits: decoderLogits(x, config, hidden),
      };
    },
  };
}

for (const name of ADAPTED) {
  test(`${name}: PEFT's adapter, its gradients and its merger`, noPython, async () => {
    const path = join(await references(), name, "adapter");
    const model = await load(name), adapter = await loadAdapter(path, model.config);
    const expected = await tensorsOf(path, "values.safetensors");
    const parameters = Object.keys(adapter.tensors), worst = new Worst();
    const tensors = { ...model.tensors, ...adapter.tensors };
    const executable = await onnxExecutor().compile(
      withGradients(
        adaptedProgram({ ...model, tensors }, loraScaling(adapter.config)),
        { loss: "loss", parameters },
      ),
    );
    const outputs = await executable.run({ ...tensors, ...batchIn(expected) });
    await executable.dispose();
    const isT5 = !!asT5(model);
    const error = worst.note(
      "logits",
      relativeMax(
        countedRows(outputs.logits, expected, isT5),
        countedRows(expected.logits, expected, isT5),
      ),
    );
    assert(error <= VALUE_TOLERANCE, `logits are off by ${error}`);
    const lossError = Math.abs(outputs.loss.data[0] / expected.loss.data[0] - 1);
    assert(worst.note("loss", lossError) <= VALUE_TOLERANCE, `loss is off by ${lossError}`);
    assertEquals(
      parameters.map((p) => `grad:base_model.model.${p}`).sort(),
      Object.keys(expected).filter((key) => key.startsWith("grad:")).sort(),
    );
    for (const parameter of parameters) {
      const theirs = expected[`grad:base_model.model.${parameter}`];
      const error = relativeL2(outputs[`grad:${parameter}`].data, theirs.data);
      assert(
        worst.note("gradients", error) <= GRADIENT_TOLERANCE,
        `the gradient of ${parameter} is off by ${error}`,
      );
    }
    const merged = mergeLora(model.tensors, adapter.tensors, {
      config: adapter.config,
      isConv1d: isConv1d(model.config),
    });
    const theirs = await tensorsOf(path, "merged.safetensors");
    assertEquals(Object.keys(merged).sort(), Object.keys(theirs).sort());
    for (const [parameter, { data }] of Object.entries(theirs)) {
      const error = worst.note("merged", relativeMax(merged[parameter].data, data));
      assert(error <= MERGE_TOLERANCE, `${parameter}, merged, is off by ${error}`);
    }
    worst.print(`${name}, ${parameters.length} parameters of an adapter, off by`);
  });
}
