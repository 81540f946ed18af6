/** Messages as the text that a chat model was trained on. @module */
import { DataError, DeepragError } from "../errors.ts";
import { renderBounded } from "./_bounded_template.ts";
import { strftime } from "./_strftime.ts";
import { isObject, show } from "./_tokenizer_part.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** One message of a talk. Templates may read further fields, such as `tool_calls`. */
export interface ChatMessage {
  /** Who speaks: `system`, `user`, `assistant`, `tool` or what else the template knows. */
  role: string;
  /** What is said: a text, or a list of parts such as `{ type: "text", text: "…" }`. */
  content?: unknown;
  /** Whatever else the template reads. */
  [field: string]: unknown;
}

/** Where a model's chat template stands. */
export interface ChatTemplateFiles {
  /** Content of `chat_template.jinja`, as newer models have it; goes before `tokenizerConfig`. */
  chatTemplate?: string;
  /** Parsed content of `tokenizer_config.json`: the template of older models, and special tokens. */
  tokenizerConfig?: unknown;
}

/** Options of {@linkcode applyChatTemplate}. */
export interface ChatOptions {
  /** Whether to end with what begins the assistant's answer. Default `false`. */
  addGenerationPrompt?: boolean;
  /** JSON schemas of the tools that the model may call. Default: none. */
  tools?: readonly unknown[];
  /** Documents to answer from, for templates that take them. Default: none. */
  documents?: readonly unknown[];
  /** Which of several templates to use. Default: `tool_use` with tools where there is one, or `default`. */
  templateName?: string;
  /** Further variables of the template, such as `enable_thinking`. Default: none. */
  variables?: Readonly<Record<string, unknown>>;
  /** What `strftime_now` takes for now. Default: now. */
  now?: Date;
}

const SPECIAL_TOKENS = [
  "bos_token",
  "eos_token",
  "unk_token",
  "sep_token",
  "pad_token",
  "cls_token",
  "mask_token",
] as const;

function fail(state: string, cause?: unknown): never {
  throw new DataError(`Cannot apply the chat template: ${state}`, {}, { cause });
}

function templateOf(files: ChatTemplateFiles, { templateName, tools }: ChatOptions): string {
  const config = isObject(files.tokenizerConfig) ? files.tokenizerConfig : {};
  const source = files.chatTemplate ?? config.chat_template;
  if (typeof source === "string") return source;
  if (source === undefined || source === null) {
    fail(
      "the model has none; pass the text of its chat_template.jinja, take the instruct variant of the " +
        "model, or write the prompt yourself",
    );
  }
  const byName = new Map<unknown, string>();
  for (const entry of Array.isArray(source) ? source : []) {
    if (isObject(entry) && typeof entry.template === "string") {
      byName.set(entry.name, entry.template);
    }
  }
  const name = templateName ??
    (tools !== undefined && byName.has("tool_use") ? "tool_use" : "default");
  return byName.get(name) ??
    fail(
      byName.size === 0
        ? `"chat_template" is ${show(source)}, neither a text nor a list of named texts`
        : `there is none called ${show(name)}; there are ${
          [...byName.keys()].map(show).join(", ")
        }`,
    );
}

/** `bos_token` and so on, as texts; those that the model lacks stay undefined. */
function specialTokens(config: unknown): Record<string, string> {
  const found: Record<string, string> = {};
  if (!isObject(config)) return found;
  for (const name of SPECIAL_TOKENS) {
    const value = config[name];
    const text = isObject(value) ? value.content : value;
    if (typeof text === "string") found[name] = text;
  }
  return found;
}

/**
 * The prompt that a model's own template makes of messages: the text that `apply_chat_template` of
 * Python's `transformers` gives.
 *
 * The template may use `messages`, `add_generation_prompt`, `tools`, `documents`, the special tokens,
 * `raise_exception` and `strftime_now`. It is a program from a file that somebody else wrote: it reaches
 * nothing but these, and is stopped when it takes a million steps (a few seconds), or makes a list of
 * more than a million items or a text of more than 16 million characters. What one single filter does is
 * bounded only by the size of what it is given.
 *
 * Departures from Jinja, all of them `@huggingface/jinja`'s: `none` is printed as nothing, `true` as
 * `true`, 1.0 as 1, a list as JSON; lengths and slices of texts count UTF-16 code units.
 *
 * @param files The template and the special tokens
 * @param messages The talk so far, oldest first
 * @throws {DataError} If there is no template, it is broken, it refuses the messages or does not end
 * @example
 * ```ts
 * import { applyChatTemplate } from "./chat_template.ts";
 * import { assertEquals } from "@std/assert";
 * const tokenizerConfig = {
 *   eos_token: "</s>",
 *   chat_template: "{% for m in messages %}{{ m.role }}: {{ m.content + eos_token }}\n{% endfor %}" +
 *     "{% if add_generation_prompt %}assistant:{% endif %}",
 * };
 * const prompt = applyChatTemplate({ tokenizerConfig }, [{ role: "user", content: "Hello" }], {
 *   addGenerationPrompt: true,
 * });
 * assertEquals(prompt, "user: Hello</s>\nassistant:");
 * ```
 */
export function applyChatTemplate(
  files: ChatTemplateFiles,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): string {
  const { addGenerationPrompt = false, tools = null, documents = null, variables } = options;
  const template = templateOf(files, options);
  try {
    return renderBounded(template, {
      ...specialTokens(files.tokenizerConfig),
      ...variables,
      messages,
      tools,
      documents,
      add_generation_prompt: addGenerationPrompt,
      raise_exception: (message: unknown) => fail(`it says ${show(message)}`),
      strftime_now: (format: unknown) => strftime(options.now ?? new Date(), String(format)),
    });
  } catch (cause) {
    if (cause instanceof DeepragError) throw cause;
    fail(cause instanceof Error ? cause.message.slice(0, 500) : String(cause), cause);
  }
}

/**
 * The ids of {@linkcode applyChatTemplate}'s text. The tokenizer adds no tokens of its own: the template
 * has written those that the model needs.
 *
 * @param tokenizer The model's tokenizer
 * @param files The template and the special tokens
 * @param messages The talk so far, oldest first
 * @throws {DataError} As {@linkcode applyChatTemplate}
 */
export function encodeChat(
  tokenizer: Tokenizer,
  files: ChatTemplateFiles,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): Int32Array {
  return tokenizer.encode(applyChatTemplate(files, messages, options), { addSpecialTokens: false });
}
