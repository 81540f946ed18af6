/** What is read of a document. @module */
import type { Document } from "./types.ts";

/** Title and text as one text, wherever a document is read as one. */
export function documentText({ title, text }: Pick<Document, "title" | "text">): string {
  return title ? `${title} ${text}` : text;
}
