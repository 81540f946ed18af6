/** A language model with its tokenizer: text in, text out. @module */
import { DataError } from "../errors.ts";
import {
  generate,
  type GeneratedText,
  type GenerateOptions,
  openDecoder,
  openT5,
  parseGenerationConfig,
  type SamplingOptions,
  type SequenceModel,
} from "../generate/mod.ts";
import {
  type Adapter,
  type FindModelOptions,
  type LoadedModel,
  loadModel,
  mergeAdapter,
  type ModelSideFiles,
  readSideFiles,
  tokenizerOf,
} from "../hub/mod.ts";
import { isDecoder, type ModelConfig, type T5Model } from "../model/mod.ts";
import { type Executor, onnxExecutor } from "../runtime/mod.ts";
import {
  type ChatMessage,
  type ChatOptions,
  encodeChat,
  TextStream,
  type Tokenizer,
} from "../text/mod.ts";
import { openExported, type OpenExportedOptions } from "./open_exported.ts";

/**
 * How to write a text. What is left out comes from the model's `generation_config.json`, also of
 * `sampling` each part by itself.
 */
export interface TextOptions extends Omit<GenerateOptions, "sampling"> {
  /** Choose tokens at random; `false`: take the likeliest one whatever the model's file says. */
  sampling?: SamplingOptions | false;
  /** Called with each piece of text as it becomes certain; in a beam once, at the end. */
  onText?: (piece: string, prompt: number) => void;
}

/** A written text. */
export interface WrittenText extends GeneratedText {
  /** The text, without special tokens. */
  readonly text: string;
}

/** Choices of {@linkcode openLanguageModel}. */
export interface OpenLanguageModelOptions {
  /** What runs it. Default: ONNX Runtime in this thread. */
  executor?: Executor;
  /** Low-rank adapters to merge into the weights: a folder of PEFT's, or loaded ones. */
  adapter?: string | Adapter;
  /** Threads of one operator. Default: all cores. */
  threads?: number;
  /** Whether `generation_config.json` counts. Default `true`. */
  useDefaults?: boolean;
  /** Where and how to look on the Hub. */
  hub?: FindModelOptions;
}

/** A language model ready to write. Dispose of it with `await using`. */
export class LanguageModel implements AsyncDisposable {
  /** Sizes and choices of the model; absent for an exported folder that was opened without weights. */
  readonly config?: ModelConfig;
  /** The tokenizer. */
  readonly tokenizer: Tokenizer;
  /** What generates, in tokens. */
  readonly sequences: SequenceModel;
  /** How the model wants to generate. */
  readonly defaults: GenerateOptions;
  readonly #side: ModelSideFiles;

  /** A model from its parts; see {@linkcode openLanguageModel}. */
  constructor(
    sequences: SequenceModel,
    tokenizer: Tokenizer,
    side: ModelSideFiles & { config?: ModelConfig } = {},
  ) {
    this.sequences = sequences;
    this.tokenizer = tokenizer;
    this.config = side.config;
    this.#side = side;
    this.defaults = side.generationConfig === undefined
      ? {}
      : parseGenerationConfig(side.generationConfig);
  }

  /**
   * Continue a text, or answer it with an encoder-decoder.
   *
   * @param prompt The text; the tokenizer adds the special tokens that the model expects
   * @param options How to write
   * @throws {ConfigError} If options are out of range or contradict each other
   * @throws {ShapeError} If the prompt is empty or too long
   */
  async write(prompt: string, options: TextOptions = {}): Promise<WrittenText> {
    return (await this.writeAll([prompt], options))[0][0];
  }

  /**
   * {@linkcode LanguageModel.write} for several texts at once.
   *
   * @param prompts The texts
   * @param options How to write
   * @returns For each prompt its texts, best first
   */
  async writeAll(
    prompts: readonly string[],
    options: TextOptions = {},
  ): Promise<WrittenText[][]> {
    return await this.writeTokens(this.tokenizer.encodeBatch(prompts), options);
  }

  /**
   * The assistant's next message in a talk.
   *
   * @param messages The talk so far, oldest first
   * @param options How to write, and what the template wants to know
   * @throws {DataError} If the model has no chat template, or it refuses the messages
   */
  async chat(
    messages: readonly ChatMessage[],
    options: TextOptions & { template?: ChatOptions } = {},
  ): Promise<WrittenText> {
    const { template, ...rest } = options;
    const ids = encodeChat(this.tokenizer, this.#side, messages, {
      addGenerationPrompt: true,
      ...template,
    });
    return (await this.writeTokens([ids], rest))[0][0];
  }

  /** {@linkcode LanguageModel.writeAll} for prompts that are tokens already. */
  async writeTokens(
    prompts: readonly ArrayLike<number>[],
    options: TextOptions = {},
  ): Promise<WrittenText[][]> {
    const { onText, onToken, sampling, ...given } = options;
    const rest = withoutGaps(given);
    const whole: GenerateOptions = { ...this.defaults, ...rest };
    // Whoever asks for one way of choosing does not get the default one too.
    if (sampling !== undefined && !rest.beam) delete whole.beam;
    if (sampling === false || rest.beam) delete whole.sampling;
    if (sampling) {
      whole.sampling = { ...this.defaults.sampling, ...withoutGaps(sampling) };
    }
    const streams = onText && !whole.beam
      ? prompts.map(() => new TextStream(this.tokenizer))
      : undefined;
    // Published models have more rows than their tokenizers have tokens; such an id stands for nothing.
    const isKnown = (id: number) => this.tokenizer.idToToken(id) !== undefined;
    if (streams || onToken) {
      whole.onToken = (event) => {
        const piece = streams?.[event.prompt].push([event.token].filter(isKnown));
        if (piece) onText!(piece, event.prompt);
        return onToken?.(event);
      };
    }
    const results = await generate(this.sequences, prompts, whole);
    streams?.forEach((stream, prompt) => {
      const rest = stream.end();
      if (rest) onText!(rest, prompt);
    });
    const written = results.map((texts) =>
      texts.map((text) => ({ ...text, text: this.tokenizer.decode(text.tokens.filter(isKnown)) }))
    );
    if (onText && !streams) written.forEach(([{ text }], prompt) => onText(text, prompt));
    return written;
  }

  /** Free the programs. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.sequences.dispose();
  }
}

/** Without what is `undefined`, which says nothing. */
function withoutGaps<T extends object>(options: T): T {
  const said = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(said) as T;
}

function needTokenizer(tokenizer: Tokenizer | undefined, folder: string): Tokenizer {
  if (tokenizer) return tokenizer;
  throw new DataError(
    `Cannot write text with the model in ${folder}: it has no tokenizer.json. Have transformers save ` +
      "the tokenizer again, which writes one",
  );
}

/**
 * A model of a folder or of the Hub, ready to write.
 *
 * @param model A folder, a model id, or a loaded model
 * @param options What runs it, adapters, and how to look on the Hub
 * @throws {DataError} If a file is missing or broken; there must be a `tokenizer.json`
 * @throws {RemoteError} If the Hub does not give the model
 * @throws {ConfigError} If the model is none of those this project has
 * @throws {CheckpointError} If the weights do not fit the configuration
 */
export async function openLanguageModel(
  model: string | LoadedModel,
  options: OpenLanguageModelOptions = {},
): Promise<LanguageModel> {
  const { executor = onnxExecutor(), adapter, threads, useDefaults = true, hub } = options;
  let loaded = typeof model === "string" ? await loadModel(model, hub) : model;
  if (!useDefaults) loaded = { ...loaded, generationConfig: undefined };
  // Rather told now than after the model was prepared.
  if (loaded.generationConfig !== undefined) parseGenerationConfig(loaded.generationConfig);
  const tokenizer = needTokenizer(loaded.tokenizer, loaded.folder);
  if (adapter) loaded = await mergeAdapter(loaded, adapter);
  const sequences = isDecoder(loaded)
    ? await openDecoder(loaded, { executor, threads })
    : await openT5(loaded as T5Model, { executor, threads });
  return new LanguageModel(sequences, tokenizer, loaded);
}

/**
 * An exported folder with its tokenizer, ready to write.
 *
 * @param folder A folder of `exportModel`, or one in the same layout
 * @param options Precision, threads and provider
 * @throws {DataError} If a file is missing or broken
 */
export async function openExportedLanguageModel(
  folder: string,
  options: OpenExportedOptions = {},
): Promise<LanguageModel> {
  const side = await readSideFiles(folder);
  const tokenizer = needTokenizer(tokenizerOf(side), folder);
  return new LanguageModel(await openExported(folder, options), tokenizer, side);
}
