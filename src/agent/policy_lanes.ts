/** A policy whose slots are computed side by side, each lane of them in a worker. @module */
import { ConfigError, ShapeError } from "../errors.ts";
import { type DecoderModel, longestText, type PolicyRules } from "../model/mod.ts";
import { WorkerCalls } from "../runtime/worker_calls.ts";
import type { LaneCommand, LaneReply, LaneRequest } from "./_policy_lane.ts";
import {
  openPolicySlots,
  type PolicyChoice,
  type PolicySlots,
  type PolicySlotsOptions,
  type PolicyTurn,
} from "./policy_slots.ts";

/** Choices of {@linkcode openPolicyLanes}. */
export interface PolicyLanesOptions extends Omit<PolicySlotsOptions, "executor" | "threads"> {
  /** Lanes, at most one a slot. */
  readonly lanes: number;
  /** Threads of all lanes together. Default: all cores. */
  readonly threads?: number;
}

/** Fewer slots are not worth a lane of their own. */
const SLOTS_PER_LANE = 8;

/** How many lanes are fastest: as many as there are threads, if each has slots enough. */
export function laneCount(threads: number, slots: number): number {
  return Math.max(1, Math.min(threads, Math.floor(slots / SLOTS_PER_LANE)));
}

/**
 * Open a policy in several lanes. Slot s stands in lane s mod L; a lane has its share of the threads and a
 * program of its own in ONNX Runtime. Steps of a small policy are too short for several threads to share:
 * two lanes of one thread take little more than half the time of one lane of two. Which slots are
 * computed together changes sums in their last bits.
 *
 * The weights are copied into each lane: a live policy is copied again when it chooses after `reset`.
 *
 * @param model A decoder
 * @param rules What it may choose, and at which temperature
 * @param options Lanes and slots
 * @throws {ConfigError} If there are more lanes than slots
 */
export async function openPolicyLanes(
  model: DecoderModel,
  rules: PolicyRules,
  options: PolicyLanesOptions,
): Promise<PolicySlots> {
  const { lanes: L, slots: count, expected, isLive } = options;
  const { threads = navigator.hardwareConcurrency } = options;
  if (!Number.isInteger(L) || L < 1 || L > count) {
    throw new ConfigError([{
      key: "lanes",
      message: `is ${L}; give a whole number from 1 to the number of slots, ${count}`,
    }]);
  }
  const lanes = Array.from({ length: L }, (_, lane) => ({
    calls: new WorkerCalls<LaneRequest, LaneReply>(
      new URL("./_policy_lane.ts", import.meta.url),
      `policy lane ${lane}`,
    ),
    /** What is to be done before the next choice. */
    before: [] as LaneCommand[],
  }));
  const close = (): void => lanes.forEach(({ calls }) => calls.close());
  try {
    await Promise.all(lanes.map(({ calls }, lane) =>
      calls.call({
        kind: "open",
        model,
        rules,
        options: {
          slots: Math.ceil((count - lane) / L),
          expected,
          isLive,
          threads: Math.max(1, Math.floor(threads / L)),
        },
      })
    ));
  } catch (error) {
    close();
    throw error;
  }
  const maxLength = longestText(model.config);
  const lengths: number[] = Array(count).fill(0);
  const checkSlot = (slot: number): void => {
    if (slot in lengths) return;
    throw new ShapeError(`There is no slot ${slot}; slots are 0 to ${count - 1}`);
  };
  const placeOf = (slot: number): number => Math.floor(slot / L);

  return {
    count,
    maxLength,
    async choose(turns): Promise<PolicyChoice[]> {
      const choices: PolicyChoice[] = Array(turns.length);
      const chosen: number[][] = lanes.map(() => []);
      turns.forEach(({ slot, tokens }, i) => {
        checkSlot(slot);
        const end = lengths[slot] + tokens.length;
        if (end > maxLength) {
          throw new ShapeError(
            `Cannot read ${end} tokens in slot ${slot}: the model has ${maxLength} positions`,
          );
        }
        chosen[slot % L].push(i);
      });
      // Of several that fail, the first is told; none is still at work then.
      const done = await Promise.allSettled(lanes.map(async ({ calls, before }, lane) => {
        const of = chosen[lane];
        if (!of.length) return;
        const request: LaneRequest = {
          kind: "choose",
          before: before.splice(0),
          turns: of.map((i): PolicyTurn => ({ ...turns[i], slot: placeOf(turns[i].slot) })),
        };
        const made = await calls.call(request);
        of.forEach((i, k) => {
          choices[i] = made[k];
          lengths[turns[i].slot] += turns[i].tokens.length;
        });
      }));
      const failed = done.find((result) => result.status === "rejected");
      if (failed) throw failed.reason;
      return choices;
    },
    clear(slot): void {
      checkSlot(slot);
      lengths[slot] = 0;
      lanes[slot % L].before.push({ kind: "clear", slot: placeOf(slot) });
    },
    reset(): void {
      lengths.fill(0);
      for (const lane of lanes) {
        lane.before = [{ kind: "reset", tensors: isLive ? model.tensors : undefined }];
      }
    },
    async dispose(): Promise<void> {
      if (lanes[0].calls.isClosed) return;
      await Promise.allSettled(lanes.map(({ calls }) => calls.call({ kind: "close" })));
      close();
    },
  };
}

/** Choices of {@linkcode openPolicy}. */
export interface OpenPolicyOptions extends PolicySlotsOptions {
  /** Lanes; with more than one it is ONNX Runtime that runs them. Default 1. */
  readonly lanes?: number;
}

/** Open a policy in this thread, or in several lanes. */
export function openPolicy(
  model: DecoderModel,
  rules: PolicyRules,
  { lanes = 1, ...options }: OpenPolicyOptions,
): Promise<PolicySlots> {
  return lanes === 1
    ? openPolicySlots(model, rules, options)
    : openPolicyLanes(model, rules, { ...options, lanes });
}
