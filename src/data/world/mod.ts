/** Worlds in which everything is known. @module */
export {
  type Entity,
  type Fact,
  makeWorld,
  type World,
  type WorldOptions,
  type WorldPart,
} from "./make_world.ts";
export { type EntityKind, type Relation, RELATIONS } from "./relations.ts";
export {
  type WorldDataset,
  worldDataset,
  type WorldDatasetOptions,
  type WorldQuestion,
} from "./world_dataset.ts";
export { questionWordings, shortNames, writeEntityDocument } from "./world_text.ts";
