import { assertEquals, assertRejects } from "@std/assert";
import { openPolicySlots, policyRules, type PolicyTurn } from "../../../src/agent/mod.ts";
import { ShapeError } from "../../../src/errors.ts";
import { onnxExecutor } from "../../../src/runtime/mod.ts";
import { tinyEnvironment, tinyPolicy } from "./_tiny_agent.ts";

const turn = (slot: number, tokens: number[]): PolicyTurn => ({
  slot,
  tokens,
  mayRetrieve: true,
  uniform: 0.4,
});
const open = () =>
  openPolicySlots(tinyPolicy(), policyRules(tinyEnvironment().protocol), {
    executor: onnxExecutor({ threads: 1 }),
    slots: 4,
  });
/** Choices without the last bits of their logarithms, which other rows of a read may change. */
const rounded = (choices: unknown): unknown =>
  JSON.parse(JSON.stringify(choices, (_, x) => typeof x === "number" ? Number(x.toFixed(4)) : x));

Deno.test("choices stand in the order of the turns, however they are read together", async () => {
  const [all, one] = [await open(), await open()];
  const rounds = [
    [turn(2, [5, 6, 7, 8, 9, 5, 6, 7]), turn(0, [9]), turn(3, [6, 7]), turn(1, [8, 8, 5])],
    [turn(3, [5]), turn(0, [6, 6, 6]), turn(2, [7])],
    [turn(1, [5]), turn(0, [6])],
  ];
  for (const turns of rounds) {
    const alone = [];
    for (const each of turns) alone.push(...await one.choose([each]));
    assertEquals(rounded(await all.choose(turns)), rounded(alone));
  }
  await Promise.all([all.dispose(), one.dispose()]);
});

Deno.test("what can't be read is refused before anything is", async () => {
  const [slots, untouched] = [await open(), await open()];
  const long = [5, 6, 7, 8, 9, 5, 6, 7];
  const refused: [PolicyTurn[], string][] = [
    [[turn(0, [5]), turn(0, long)], "for the slots 0,0"],
    [[turn(0, [5]), turn(4, long)], "no slot 4"],
    [[turn(0, [5]), turn(1, [...long, 99_999])], "is 99999"],
    [[turn(0, [5]), turn(1, [])], "row 1: it has no token"],
    [[], "there is none"],
  ];
  for (const [turns, words] of refused) {
    await assertRejects(() => slots.choose(turns), ShapeError, words);
  }
  const next = [turn(0, [6]), turn(1, long)];
  assertEquals(await slots.choose(next), await untouched.choose(next));
  await Promise.all([slots.dispose(), untouched.dispose()]);
});
