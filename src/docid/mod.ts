/** Schemes that give documents their ids, and the trie of all ids. @module */
export * from "./assign.ts";
export * from "./balance.ts";
export * from "./docids.ts";
export { type Clustering, kMeans, type KMeansOptions } from "./kmeans.ts";
export * from "./eigen.ts";
export * from "./path.ts";
export * from "./slots.ts";
export * from "./svd.ts";
export * from "./trie.ts";
