/** `generate-text`: let a language model write. @module */
import { UsageError } from "../errors.ts";
import {
  hubOf,
  isPrecision,
  modelFlags,
  modelOf,
  numberOf,
  refuseTogether,
} from "./_model_flags.ts";
import { providerFlags, providerOf } from "./_provider_flags.ts";
import type { Command } from "./command.ts";

/** The command. */
export const generateText: Command = {
  name: "generate-text",
  summary: "let a language model continue or answer a text",
  details:
    "Takes T5, Flan-T5, GPT-2, Llama and Qwen2 models in Hugging Face layout, from a folder or " +
    "from the Hub. Without sampling or beams the likeliest token is taken each time, unless the " +
    "model's generation_config.json says otherwise; flags change its parts one by one.",
  takesConfig: false,
  positional: { name: "prompt", description: "The text; quotes are not needed." },
  flags: [
    ...modelFlags,
    {
      name: "exported",
      value: "precision",
      description: "--model is an exported folder: float32, float16 or int8.",
    },
    ...providerFlags,
    { name: "chat", description: "The prompt is a message to a chat model." },
    { name: "system", value: "text", description: "What a chat model is told first." },
    { name: "max-tokens", value: "n", description: "Most tokens to write; 128 by default." },
    {
      name: "temperature",
      value: "t",
      description: "Choose at random; below 1 likely tokens become likelier.",
    },
    { name: "top-k", value: "k", description: "Choose at random among the k likeliest tokens." },
    {
      name: "top-p",
      value: "p",
      description: "Choose at random among the likeliest tokens that hold this probability.",
    },
    { name: "seed", value: "n", description: "Seed of the choice; 0 by default." },
    {
      name: "greedy",
      description: "Take the likeliest token each time, whatever the model's file says.",
    },
    {
      name: "no-defaults",
      description: "Leave the model's generation_config.json out.",
    },
    { name: "beams", value: "k", description: "Search for a likely text with k beams instead." },
    { name: "json", description: "Write text, tokens and log-probabilities as JSON." },
  ],
  examples: [
    {
      text: "Continue a text",
      line: 'generate-text --model=openai-community/gpt2 "The otter is" --max-tokens=30',
    },
    {
      text: "Ask a chat model, choosing at random",
      line:
        'generate-text --model=my_model --chat --temperature=0.7 --top-p=0.9 "Where do otters live?"',
    },
    {
      text: "From an exported folder, quantised",
      line: 'generate-text --model=exported --exported=int8 "The otter is"',
    },
  ],
  async run({ words, flags, io }): Promise<void> {
    const prompt = words.join(" ");
    if (!prompt.trim()) {
      throw new UsageError(
        "Cannot write: there is no prompt. Write one behind the command: generate-text --model=… " +
          '"Once upon a time"',
      );
    }
    const source = modelOf("generate-text", flags);
    const temperature = numberOf(flags, "temperature", { least: 1e-3, most: 100, isWhole: false });
    const topK = numberOf(flags, "top-k", { least: 1 });
    const topP = numberOf(flags, "top-p", { least: 1e-6, most: 1, isWhole: false });
    const seed = numberOf(flags, "seed", { least: 0 });
    const beams = numberOf(flags, "beams", { least: 1, most: 64 });
    const maxNewTokens = numberOf(flags, "max-tokens", { least: 1 });
    const precision = flags.exported as string | undefined;
    if (precision !== undefined && !isPrecision(precision)) {
      throw new UsageError(
        `Cannot open the precision ${precision}: --exported takes float32, float16 or int8`,
      );
    }
    if (precision !== undefined) {
      const isFolder = "an exported folder is opened as it is";
      refuseTogether(flags, ["adapter", "revision", "offline", "no-defaults"], isFolder);
    }
    if (!flags.chat) refuseTogether(flags, ["system"], "it belongs to --chat");
    const sampling = { temperature, topK, topP };
    const isSampled = Object.values(sampling).some((x) => x !== undefined);
    const chosen = ["temperature", "top-k", "top-p", "seed"];
    if (beams !== undefined) {
      refuseTogether(flags, [...chosen, "greedy"], "--beams searches, it does not choose");
    }
    if (flags.greedy) refuseTogether(flags, chosen, "--greedy takes the likeliest token");
    const provider = providerOf(flags);
    const { openExportedLanguageModel, openLanguageModel } = await import(
      "../recipe/language_model.ts"
    );
    const { onnxExecutor } = await import("../runtime/mod.ts");
    const loading = performance.now();
    await using model = precision
      ? await openExportedLanguageModel(source, { precision, ...provider })
      : await openLanguageModel(source, {
        executor: onnxExecutor(provider),
        hub: hubOf({ flags, io }),
        adapter: flags.adapter as string | undefined,
        useDefaults: flags["no-defaults"] !== true,
      });
    if (seed !== undefined && !isSampled && !model.defaults.sampling) {
      throw new UsageError(
        "Cannot use --seed: this model takes the likeliest token; add --temperature, --top-k or --top-p",
      );
    }
    const began = performance.now();
    const options = {
      ...maxNewTokens !== undefined && { maxNewTokens },
      ...(isSampled || seed !== undefined) && { sampling: { ...sampling, seed } },
      ...flags.greedy && { sampling: false as const },
      ...beams !== undefined && { beam: { beams } },
    };
    const all = flags.json ? options : { ...options, onText: (piece: string) => io.outRaw(piece) };
    const messages = [
      ...typeof flags.system === "string" ? [{ role: "system", content: flags.system }] : [],
      { role: "user", content: prompt },
    ];
    const { text, tokens, logProbs, end, score } = flags.chat
      ? await model.chat(messages, all)
      : await model.write(prompt, all);
    const milliseconds = performance.now() - began;
    if (flags.json) {
      io.out(JSON.stringify(
        {
          prompt,
          text,
          tokens: [...tokens],
          logProbs: [...logProbs],
          end,
          score,
          milliseconds,
        },
        null,
        2,
      ));
      return;
    }
    io.out("");
    io.err(
      `${tokens.length} tokens, ${(milliseconds / tokens.length).toFixed(1)} ms each (${
        ((began - loading) / 1000).toFixed(1)
      } s to load)`,
    );
  },
};
