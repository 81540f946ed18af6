/** What a teacher shows an agent, step by step. @module */
import type { Lesson } from "../agent/mod.ts";
import type { ResolvedConfig } from "../config/mod.ts";
import { randomStream } from "../tensor/random.ts";
import type { Demonstration } from "../train/demonstration_model.ts";
import type { PreparedAgent } from "./prepare_agent.ts";

/** Parts of a step: short episodes apart from long ones, so that little is padded. */
export const PARTS = 3;

/**
 * Ends of `parts` stretches of rising lengths, cut so that as little as possible is padded:
 * best[p][n] = min over m of best[p − 1][m] + (n − m) · length[n − 1].
 */
function cutsOf(lengths: readonly number[], parts: number): number[] {
  const N = lengths.length;
  let best = Array.from({ length: N + 1 }, (_, n) => ({
    size: n ? n * lengths[n - 1] : 0,
    cuts: [n],
  }));
  for (let p = 1; p < parts; p++) {
    best = best.map((whole, n) => {
      let least = whole;
      for (let m = p; m < n; m++) {
        const size = best[m].size + (n - m) * lengths[n - 1];
        if (size < least.size) least = { size, cuts: [...best[m].cuts, n] };
      }
      return least;
    });
  }
  return best[N].cuts;
}

/** Lessons of a step, in parts by length: a pure function of the step's number. */
function drawLessons(
  { teacher, lessons }: PreparedAgent,
  { seed, agent: { costs } }: ResolvedConfig,
  { stream, step, size }: { stream: string; step: number; size: number },
): Lesson[][] {
  const random = randomStream({ seed, stream, step });
  const texts: Lesson[] = [];
  while (texts.length < size) {
    const question = lessons[random.int(lessons.length)];
    texts.push(...teacher.demonstrate(question, costs[random.int(costs.length)], random));
  }
  texts.length = size;
  texts.sort((a, b) => a.tokens.length - b.tokens.length);
  const cuts = cutsOf(texts.map(({ tokens }) => tokens.length), PARTS);
  return cuts.map((end, p) => texts.slice(cuts[p - 1] ?? 0, end));
}

/** Lessons of the warm start. A step takes the mean over its parts, so that each choice counts alike. */
export function lessonSource(
  agent: PreparedAgent,
  config: ResolvedConfig,
): { batch(index: number, size: number): readonly Demonstration[] } {
  let held: { step: number; parts: Demonstration[][] } | undefined;
  return {
    batch(index, size): readonly Demonstration[] {
      const step = Math.floor(index / PARTS);
      if (held?.step !== step) {
        const parts = drawLessons(agent, config, {
          stream: "agent/lessons",
          step,
          size: PARTS * size,
        });
        const choices = parts.flat().reduce((sum, { actions }) => sum + actions.length, 0);
        const weight = PARTS / choices;
        const weighted = parts.map((part) =>
          part.map(({ tokens, actions, mayRetrieve }) => ({ tokens, actions, mayRetrieve, weight }))
        );
        // Of very few texts there may be fewer parts; one of them counts nothing a second time.
        while (weighted.length < PARTS) weighted.push([{ ...weighted[0][0], weight: 0 }]);
        held = { step, parts: weighted };
      }
      return held.parts[index % PARTS];
    },
  };
}

/**
 * Lessons that are replayed while the policy is optimised. Choices between equally good moves are left
 * out: they are what the policy is to find out by itself.
 */
export function replaySource(
  agent: PreparedAgent,
  config: ResolvedConfig,
): ((step: number) => readonly (readonly Demonstration[])[]) | undefined {
  const size = config.agent.lessons;
  if (size === 0) return undefined;
  return (step) => {
    const parts = drawLessons(agent, config, { stream: "agent/replay", step, size });
    const choices = parts.flat().reduce(
      (sum, { isTied }) => sum + Array.from(isTied).filter((tied) => !tied).length,
      0,
    );
    return parts.map((part) => part.map((lesson) => ({ ...lesson, weight: 1 / choices })));
  };
}
