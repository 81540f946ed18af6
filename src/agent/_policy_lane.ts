/** The worker of {@linkcode "./policy_lanes.ts".openPolicyLanes}: some of the slots. @module */
import type { DecoderModel, PolicyRules } from "../model/mod.ts";
import { type HostTensors, onnxExecutor } from "../runtime/mod.ts";
import { serveCalls } from "../runtime/worker_calls.ts";
import {
  openPolicySlots,
  type PolicyChoice,
  type PolicySlots,
  type PolicySlotsOptions,
  type PolicyTurn,
} from "./policy_slots.ts";

/** What is done in a lane before it chooses. */
export type LaneCommand =
  | { kind: "clear"; slot: number }
  | { kind: "reset"; tensors?: HostTensors };

/** What a lane is asked. */
export type LaneRequest =
  | {
    kind: "open";
    model: DecoderModel;
    rules: PolicyRules;
    options: Omit<PolicySlotsOptions, "executor">;
  }
  | { kind: "choose"; before: readonly LaneCommand[]; turns: readonly PolicyTurn[] }
  | { kind: "close" };

/** What it answers: choices, where it was asked for them. */
export type LaneReply = readonly PolicyChoice[];

let lane: { slots: PolicySlots; tensors: HostTensors } | undefined;

function obey(command: LaneCommand): void {
  const { slots, tensors } = lane!;
  if (command.kind === "clear") return slots.clear(command.slot);
  for (const [name, { data }] of Object.entries(command.tensors ?? {})) {
    tensors[name].data.set(data);
  }
  slots.reset();
}

serveCalls(async (request: LaneRequest): Promise<LaneReply> => {
  switch (request.kind) {
    case "open": {
      const { model, rules, options } = request, executor = onnxExecutor();
      const slots = await openPolicySlots(model, rules, { ...options, executor });
      lane = { slots, tensors: options.isLive ? model.tensors : {} };
      return [];
    }
    case "choose":
      request.before.forEach(obey);
      return await lane!.slots.choose(request.turns);
    case "close":
      await lane?.slots.dispose();
      return [];
  }
});
