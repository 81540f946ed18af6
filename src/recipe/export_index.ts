/** A trained index as files that any ONNX Runtime and any tokenizers library can use. @module */
import { join } from "@std/path";
import { type Document, type FileContent, writeAtomically } from "../data/mod.ts";
import { docidsToJson } from "../docid/mod.ts";
import { DataError } from "../errors.ts";
import { record, toOnnx } from "../graph/mod.ts";
import { searchProgram } from "../retriever/mod.ts";
import type { OutputError } from "../runtime/mod.ts";
import type { HostTensor } from "../tensor/host_tensor.ts";
import { FIRST_STEM } from "./prepare_index.ts";
import { INDEX_FILES, type LoadedIndex, tokenizerConfigOf } from "./index_folder.ts";
import { verifyExport } from "./verify_export.ts";

/** Files of an export. */
export const EXPORT_FILES = {
  search: "search.onnx",
  documents: "documents.json",
  ...INDEX_FILES,
} as const;

/** Key of the exported config.json: how many documents the graph returns. */
export const SEARCH_BEAM = "search_beam";

/** Choices of {@linkcode exportIndex}. */
export interface ExportOptions {
  /** Documents returned, and prefixes kept, K. */
  readonly beam: number;
  /**
   * The documents in the order of the index: their ids and titles are written as documents.json, so
   * that what uses the export can say which document number 7 is. Default: no such file.
   */
  readonly documents?: Iterable<Document>;
  /** Compare the written graph with the eager model at several sizes. Default `true`. */
  readonly verify?: boolean;
}

/** What was written. */
export interface ExportReport {
  /** Files with their sizes. */
  readonly files: readonly { readonly name: string; readonly sizeBytes: number }[];
  /** Nodes of the graph. */
  readonly nodes: number;
  /** Largest error of each output, if compared. */
  readonly verification?: readonly OutputError[];
}

/**
 * Write `search.onnx` (questions as `inputIds` and `isToken` in; `doc`, `logProb`, `droppedMass` out;
 * standard ONNX operators only), `tokenizer.json`, `docids.json` and, where documents are given,
 * `documents.json` into a folder.
 *
 * @param index A loaded index
 * @param folder Is made if it is not there
 * @throws {TraceError} If the graph does not compute what the model computes
 * @throws {DataError} If there are more or fewer documents than the index has
 */
export async function exportIndex(
  index: LoadedIndex,
  folder: string,
  options: ExportOptions,
): Promise<ExportReport> {
  const { scorer, trie, specs, tokenizer } = index;
  const names = options.documents &&
    Array.from(options.documents, ({ docId, title }) => ({ doc_id: docId, title }));
  if (names && names.length !== trie.docCount) {
    throw new DataError(
      `Cannot export an index over ${trie.docCount} documents with the names of ${names.length}`,
    );
  }
  const program = searchProgram(scorer, trie, { beam: options.beam, params: specs });
  const constants = Object.fromEntries(
    Object.keys(specs).map((name) => [name, index.tensors[name]]),
  ) as Record<string, HostTensor>;
  const recording = record(program, { dialect: "export" });
  const { model, externalData } = toOnnx(recording, {
    constants,
    dataFileName: `${EXPORT_FILES.search}.data`,
  });
  await Deno.mkdir(folder, { recursive: true });
  const files: { name: string; sizeBytes: number }[] = [];
  const write = async (
    name: string,
    content: string | Uint8Array | readonly Uint8Array[],
  ): Promise<void> => {
    await writeAtomically(join(folder, name), content as FileContent);
    files.push({ name, sizeBytes: (await Deno.stat(join(folder, name))).size });
  };
  // The graph last, and under another name until it is verified: a folder with a graph is a whole
  // export.
  if (externalData) await write(externalData.fileName, externalData.chunks);
  await write(EXPORT_FILES.tokenizer, JSON.stringify(index.tokenizerJson));
  await write(
    EXPORT_FILES.tokenizerConfig,
    `${JSON.stringify(tokenizerConfigOf(tokenizer), null, 2)}\n`,
  );
  if (names) await write(EXPORT_FILES.documents, JSON.stringify(names));
  await write(EXPORT_FILES.docids, JSON.stringify(docidsToJson(index.docids)));
  const modelConfig = { ...index.modelConfig, [SEARCH_BEAM]: options.beam };
  await write(EXPORT_FILES.config, `${JSON.stringify(modelConfig, null, 2)}\n`);
  const path = join(folder, EXPORT_FILES.search), unverified = `${path}.unverified`;
  await writeAtomically(unverified, model);
  let verification: OutputError[] | undefined;
  try {
    if (options.verify ?? true) {
      const tokens = { first: FIRST_STEM, end: tokenizer.vocabSize };
      verification = await verifyExport(unverified, program, { constants, tokens });
    }
    await Deno.rename(unverified, path);
  } catch (error) {
    await Deno.remove(unverified);
    throw error;
  }
  files.push({ name: EXPORT_FILES.search, sizeBytes: (await Deno.stat(path)).size });
  return { files, nodes: recording.nodes.length, verification };
}
