/** From the section `data` of a configuration to documents and questions. @module */
import type { DataConfig } from "../config/mod.ts";
import { type Dataset, type Query, readDataset, syntheticDataset } from "../data/mod.ts";
import { type WorldDataset, worldDataset } from "../data/world/mod.ts";
import { DataError } from "../errors.ts";

/** The questions of a part. The usual part may be missing; one that was named must be there. */
function partOf(dataset: Dataset, name: string, role: "train" | "dev"): readonly Query[] {
  const queries = dataset.queries[name];
  if (queries === undefined && name !== role) {
    throw new DataError(
      `Cannot use part "${name}": the dataset has ${
        Object.keys(dataset.queries).join(", ") || "no questions"
      }. Set data.${role}_part`,
    );
  }
  return queries ?? [];
}

/** The first documents, and the questions that still have a right one. */
function firstDocuments(dataset: Dataset, count: number): Dataset {
  const documents = dataset.documents.slice(0, count);
  const kept = new Set(documents.map(({ docId }) => docId));
  const queries = Object.entries(dataset.queries).map(([part, all]) => {
    const narrowed = all.map((query) => ({
      ...query,
      docIds: query.docIds.filter((docId) => kept.has(docId)),
    }));
    return [part, narrowed.filter(({ docIds }, i) => docIds.length || !all[i].docIds.length)];
  });
  return { documents, queries: Object.fromEntries(queries) };
}

/** The oracle world of a configuration. */
export function worldOf({ world }: DataConfig, seed: number): WorldDataset {
  return worldDataset({
    seed,
    entities: world.entities,
    hops: world.hops as 1 | 2,
    knownShare: world.known_share,
    knownQuestions: world.known_questions,
    heldOutShare: world.held_out_share,
    devQuestions: world.dev_questions,
    keptWordings: world.kept_wordings,
  });
}

/**
 * Read or generate the dataset of a configuration. Whatever `data.train_part` and `data.dev_part`
 * name comes out as the parts `train` and `dev`; further parts keep their names.
 *
 * @param config The section `data`
 * @param seed Seed of a generated dataset
 * @throws {DataError} If files are missing or wrong, or there is no part of a given name
 * @example
 * ```ts
 * import { composeConfig } from "../config/mod.ts";
 * import { loadDataset } from "./load_dataset.ts";
 * import { assertEquals } from "@std/assert";
 * const { data, seed } = composeConfig({ overrides: ["data=synthetic", "data.documents=30"] });
 * assertEquals((await loadDataset(data, seed)).documents.length, 30);
 * ```
 */
export async function loadDataset(config: DataConfig, seed: number): Promise<Dataset> {
  const { format, path, train_part, dev_part, max_documents, max_queries } = config;
  const whole = format === "world"
    ? worldOf(config, seed)
    : format === "synthetic"
    ? syntheticDataset({
      seed,
      documents: config.documents,
      trainQuestions: config.train_questions,
      devQuestions: config.dev_questions,
      withoutTraining: config.without_training,
    })
    : await readDataset(path!);
  const used = new Set(["train", "dev", train_part, dev_part]);
  const others = Object.entries(whole.queries).filter(([part]) => !used.has(part));
  const named: Dataset = {
    documents: whole.documents,
    queries: {
      train: partOf(whole, train_part, "train"),
      dev: partOf(whole, dev_part, "dev"),
      ...Object.fromEntries(others),
    },
  };
  const { documents, queries } = max_documents === null
    ? named
    : firstDocuments(named, max_documents);
  if (max_queries === null) return { documents, queries };
  const cut = Object.entries(queries).map(([part, all]) => [part, all.slice(0, max_queries)]);
  return { documents, queries: Object.fromEntries(cut) };
}
