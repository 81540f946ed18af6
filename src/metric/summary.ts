/** The table of retrieval figures that every evaluation reports. @module */
import { ShapeError } from "../errors.ts";
import {
  bootstrapMeanInterval,
  type BootstrapOptions,
  type Estimate,
  wilsonInterval,
} from "./intervals.ts";
import { hitAt, reciprocalAt } from "./ranks.ts";

/** What {@linkcode summariseRetrieval} summarises. */
export interface RetrievalRanks extends BootstrapOptions {
  /** [Q] as {@linkcode bestRank} gives them: `undefined` where a question has no right document. */
  readonly ranks: readonly (number | undefined)[];
  /** Further rows: name to membership [Q]. A row `"all"` always comes first. */
  readonly groups?: Readonly<Record<string, readonly boolean[]>>;
}

/** One row: the figures of one group of questions. Figures of an empty group are NaN. */
export interface RetrievalRow {
  /** `"all"` or the name of the group. */
  readonly group: string;
  /** Questions that count. */
  readonly questions: number;
  /** Questions left out because they have no right document. */
  readonly excluded: number;
  /** Share with the right document first, with Wilson's interval. */
  readonly hitsAt1: Estimate;
  /** Share with the right document among the first ten, with Wilson's interval. */
  readonly hitsAt10: Estimate;
  /** Mean reciprocal rank to depth ten, with a bootstrap interval. */
  readonly mrrAt10: Estimate;
}

/**
 * Hits@1, Hits@10 and MRR@10 with 95 % confidence intervals, for all questions and for each group.
 *
 * @returns Row `"all"`, then one row a group in the given order
 * @throws {ShapeError} If a group does not have one entry a question
 * @throws {DataError} If a rank is not a rank
 * @example
 * ```ts
 * import { summariseRetrieval } from "./summary.ts";
 * import { assertEquals } from "@std/assert";
 * const [all, old] = summariseRetrieval({
 *   ranks: [1, 3, Infinity, undefined],
 *   groups: { "with training questions": [true, true, false, true] },
 * });
 * assertEquals([all.questions, all.excluded, all.hitsAt10.value], [3, 1, 2 / 3]);
 * assertEquals([old.questions, old.hitsAt1.value], [2, 0.5]);
 * ```
 */
export function summariseRetrieval(input: RetrievalRanks): RetrievalRow[] {
  const { ranks, groups = {}, ...bootstrap } = input;
  const rows = [row("all", ranks, bootstrap)];
  for (const [group, isMember] of Object.entries(groups)) {
    if (isMember.length !== ranks.length) {
      throw new ShapeError(
        `Cannot summarise group "${group}": it has ${isMember.length} entries for ` +
          `${ranks.length} questions`,
      );
    }
    rows.push(row(group, ranks.filter((_, i) => isMember[i]), bootstrap));
  }
  return rows;
}

function row(
  group: string,
  ranks: readonly (number | undefined)[],
  bootstrap: BootstrapOptions,
): RetrievalRow {
  const counted = ranks.filter((rank) => rank !== undefined);
  const hits = (k: number) =>
    wilsonInterval(counted.map(hitAt(k)).reduce((a, b) => a + b, 0), counted.length);
  return {
    group,
    questions: counted.length,
    excluded: ranks.length - counted.length,
    hitsAt1: hits(1),
    hitsAt10: hits(10),
    mrrAt10: bootstrapMeanInterval(counted.map(reciprocalAt(10)), bootstrap),
  };
}
