/** Models in folders and on the Hugging Face Hub: found, downloaded, opened and saved. @module */
export { type Adapter, ADAPTER_FILES, loadAdapter, mergeAdapter, saveAdapter } from "./adapter.ts";
export { type FileSource, openFileSource } from "./file_source.ts";
export { type DownloadProgress, findModel, type FindModelOptions } from "./find_model.ts";
export { needJsonFile, readJsonFile, readTextFile } from "./json_file.ts";
export { defaultCacheDir, isFile } from "./model_cache.ts";
export { openWeights, type UnlistedTensor, type Weights } from "./open_weights.ts";
export {
  type LoadedModel,
  loadModel,
  type ModelSideFiles,
  type PretrainedModel,
  readSideFiles,
  saveModel,
  type SaveModelOptions,
  tokenizerOf,
  writeSideFiles,
} from "./pretrained.ts";
export { saveWeights, type SaveWeightsOptions } from "./save_weights.ts";
export { MODEL_FILES, type WantedFiles } from "./wanted_files.ts";
export {
  parseWeightIndex,
  type WeightIndex,
  WEIGHTS_FILE,
  WEIGHTS_INDEX_FILE,
} from "./weight_index.ts";
