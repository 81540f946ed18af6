/** One short text that changes whenever a corpus does. @module */
import { createHash } from "node:crypto";
import type { Document } from "./types.ts";

/** Fingerprint of no documents, and the start of every chain. */
export const EMPTY_FINGERPRINT: string = sha256("deeprag corpus 1");

/**
 * Fingerprint of a corpus: ids, titles, texts and their order. It is a chain,
 *
 *   f₀ = sha256("deeprag corpus 1"),   fᵢ = sha256(fᵢ₋₁ ‖ JSON [docId, title, text]),
 *
 * so that a store that grows can carry it along.
 *
 * @param documents In order
 * @param start Fingerprint of the documents before these. Default: none
 * @returns 64 hexadecimal digits
 * @example
 * ```ts
 * import { corpusFingerprint } from "./fingerprint.ts";
 * import { assertEquals } from "@std/assert";
 * const a = { docId: "a", title: "", text: "one" }, b = { docId: "b", title: "", text: "two" };
 * assertEquals(corpusFingerprint([a, b]), corpusFingerprint([b], corpusFingerprint([a])));
 * ```
 */
export function corpusFingerprint(
  documents: Iterable<Document>,
  start: string = EMPTY_FINGERPRINT,
): string {
  let fingerprint = start;
  for (const { docId, title, text } of documents) {
    fingerprint = sha256(fingerprint + JSON.stringify([docId, title, text]));
  }
  return fingerprint;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
