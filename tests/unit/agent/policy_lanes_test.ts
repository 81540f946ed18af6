import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import {
  laneCount,
  openPolicy,
  openPolicyLanes,
  openPolicySlots,
  type PolicyChoice,
  type PolicyTurn,
} from "../../../src/agent/mod.ts";
import { ConfigError, ShapeError } from "../../../src/errors.ts";
import {
  type DecoderModel,
  decoderParamSpecs,
  parseDecoderConfig,
} from "../../../src/model/mod.ts";
import { onnxExecutor, ParameterStore } from "../../../src/runtime/mod.ts";

const RULES = { forbidden: [0, 2], retrieveToken: 1, temperature: 1 };
const executor = onnxExecutor({ threads: 1 });

function randomModel(seed: number): DecoderModel {
  const config = parseDecoderConfig({
    model_type: "gpt2",
    vocab_size: 19,
    n_embd: 16,
    n_head: 2,
    n_layer: 2,
    n_positions: 40,
    initializer_range: 0.4,
  });
  const store = new ParameterStore(decoderParamSpecs(config));
  store.initialise(seed);
  return { config, tensors: { ...store.params } };
}

/** Turns of unlike length, in no order. */
const TURNS: PolicyTurn[] = [
  { slot: 3, tokens: [4, 5, 6], mayRetrieve: true, uniform: 0.3 },
  { slot: 0, tokens: [7], mayRetrieve: false, uniform: 0.9 },
  { slot: 4, tokens: [8, 9, 10, 11, 12, 13, 14, 15], mayRetrieve: true },
  { slot: 1, tokens: [16, 17], mayRetrieve: true, uniform: 0.5, otherUniform: 0.1 },
];
const NEXT: PolicyTurn[] = [4, 1, 3].map((slot) => ({
  slot,
  tokens: [slot + 5],
  mayRetrieve: true,
  uniform: 0.4,
}));

/** Choices without the last bits of their logarithms. */
const rounded = (choices: PolicyChoice[]): unknown =>
  JSON.parse(
    JSON.stringify(
      choices,
      (_, x) => typeof x === "number" ? Math.fround(Number(x.toFixed(4))) : x,
    ),
  );

Deno.test("lanes choose what a single lane chooses", async () => {
  const model = randomModel(1);
  const alone = await openPolicySlots(model, RULES, { executor, slots: 5 });
  const lanes = await openPolicyLanes(model, RULES, { lanes: 2, slots: 5, threads: 2 });
  assertEquals([lanes.count, lanes.maxLength], [5, 40]);
  for (const turns of [TURNS, NEXT, NEXT]) {
    assertEquals(rounded(await lanes.choose(turns)), rounded(await alone.choose(turns)));
  }
  for (const slots of [alone, lanes]) slots.clear(4);
  const again = [{ slot: 4, tokens: [9], mayRetrieve: true, uniform: 0.2 }, ...NEXT.slice(1)];
  assertEquals(rounded(await lanes.choose(again)), rounded(await alone.choose(again)));
  for (const slots of [alone, lanes]) slots.reset();
  const [first, second] = [await lanes.choose(TURNS), await alone.choose(TURNS)];
  assertEquals(rounded(first), rounded(second));
  await Promise.all([alone.dispose(), lanes.dispose()]);
});

Deno.test("a live policy is read again after a reset, others keep their weights", async () => {
  const [model, other] = [randomModel(1), randomModel(2)];
  const live = await openPolicyLanes(model, RULES, { lanes: 2, slots: 4, isLive: true });
  const still = await openPolicyLanes(model, RULES, { lanes: 2, slots: 4 });
  const turns = TURNS.filter(({ slot }) => slot < 4);
  const before = await live.choose(turns);
  for (const [name, { data }] of Object.entries(model.tensors)) data.set(other.tensors[name].data);
  for (const slots of [live, still]) slots.reset();
  const fresh = await openPolicySlots(other, RULES, { executor, slots: 4 });
  assertEquals(rounded(await live.choose(turns)), rounded(await fresh.choose(turns)));
  assertEquals(rounded(await still.choose(turns)), rounded(before));
  await Promise.all([live.dispose(), still.dispose(), fresh.dispose()]);
});

Deno.test("lanes refuse what they can't do, and go on", async () => {
  const model = randomModel(1);
  await assertRejects(
    () => openPolicyLanes(model, RULES, { lanes: 3, slots: 2 }),
    ConfigError,
    "is 3; give a whole number from 1 to the number of slots, 2",
  );
  const lanes = await openPolicy(model, RULES, { executor, lanes: 2, slots: 4 });
  const turn = (slot: number, tokens: number[]): PolicyTurn => ({
    slot,
    tokens,
    mayRetrieve: true,
  });
  await assertRejects(
    () => lanes.choose([turn(4, [5])]),
    ShapeError,
    "no slot 4; slots are 0 to 3",
  );
  assertThrows(() => lanes.clear(-1), ShapeError, "no slot -1");
  await assertRejects(() => lanes.choose([turn(1, [99])]), ShapeError, "token 0 is 99");
  await assertRejects(
    () => lanes.choose([turn(0, [5]), turn(1, Array(41).fill(5))]),
    ShapeError,
    "Cannot read 41 tokens in slot 1: the model has 40 positions",
  );
  assertEquals((await lanes.choose([turn(1, [5])])).length, 1);
  await lanes.dispose();
  await lanes.dispose();
  const closed = await assertRejects(() => lanes.choose([turn(1, [5])]));
  assertStringIncludes((closed as Error).message, "closed");
});

Deno.test("as many lanes as threads, each with slots enough", () => {
  assertEquals([laneCount(2, 64), laneCount(8, 64), laneCount(16, 64)], [2, 8, 8]);
  assertEquals([laneCount(2, 15), laneCount(1, 64), laneCount(4, 1)], [1, 1, 1]);
});
