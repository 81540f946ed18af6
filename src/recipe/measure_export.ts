/** What an exported model costs: size, speed, and what its precision loses. @module */
import { ConfigError, DataError } from "../errors.ts";
import { generate, type SequenceModel } from "../generate/mod.ts";
import { randomStream } from "../tensor/random.ts";
import type { ExportedFile, ExportPrecision } from "./export_model.ts";
import { openExported } from "./open_exported.ts";

/** Choices of {@linkcode measureExport}. */
export interface MeasureExportOptions {
  /** Token ids to start from; an encoder-decoder reads them as sources. Default: four random rows. */
  readonly prompts?: readonly ArrayLike<number>[];
  /** Tokens that are written behind each prompt and compared. Default 48. */
  readonly tokens?: number;
  /** Threads of one operator. Default: all cores. */
  readonly threads?: number;
  /** Seed of random prompts and of what is written behind them. Default 0. */
  readonly seed?: number;
}

/** Figures of one precision. */
export interface ExportFigures {
  /** How the weights are stored. */
  readonly precision: ExportPrecision;
  /** Bytes of its files. */
  readonly sizeBytes: number;
  /** Milliseconds to open the files. */
  readonly loadMs: number;
  /** Milliseconds per token, one row, median; NaN if only one was read. */
  readonly tokenMs: number;
  /** Mean Kullback–Leibler divergence of the next token, float32 against this, in nats. */
  readonly divergence: number;
  /** How much less likely the text is: mean −log p here less that of float32, in nats per token. */
  readonly lossIncrease: number;
  /** Share of places at which the likeliest token is the same. */
  readonly agreement: number;
  /** Places compared. */
  readonly places: number;
}

/** Log-probabilities at every place of every row, and the time each took. */
interface Reading {
  readonly logProbs: Float32Array[];
  readonly tokenMs: number[];
}

const median = (x: readonly number[]): number =>
  x.length ? x.toSorted((a, b) => a - b)[x.length >> 1] : NaN;

/** Reads `texts` behind `prompts`, one row at a time. */
async function read(
  model: SequenceModel,
  prompts: readonly ArrayLike<number>[],
  texts: readonly ArrayLike<number>[],
): Promise<Reading> {
  const logProbs: Float32Array[] = [], tokenMs: number[] = [];
  for (let row = 0; row < prompts.length; row++) {
    const state = await model.start([prompts[row]]);
    for (let t = 0; t < texts[row].length; t++) {
      const { logits, logSumExp } = state.next;
      logProbs.push(logits.map((x) => x - logSumExp[0]));
      if (t + 1 === texts[row].length) break;
      const began = performance.now();
      await state.extend([[texts[row][t]]]);
      tokenMs.push(performance.now() - began);
    }
  }
  return { logProbs, tokenMs };
}

const argMax = (x: Float32Array): number => {
  let best = 0;
  for (let i = 1; i < x.length; i++) if (x[i] > x[best]) best = i;
  return best;
};

/** Compares readings of the same texts. */
function compare(
  reference: Reading,
  reading: Reading,
  tokens: readonly number[],
): Pick<ExportFigures, "divergence" | "lossIncrease" | "agreement" | "places"> {
  let divergence = 0, lossIncrease = 0, same = 0;
  reference.logProbs.forEach((p, i) => {
    const q = reading.logProbs[i];
    let sum = 0;
    for (let v = 0; v < p.length; v++) sum += Math.exp(p[v]) * (p[v] - q[v]);
    divergence += sum;
    lossIncrease += p[tokens[i]] - q[tokens[i]];
    if (argMax(p) === argMax(q)) same++;
  });
  const n = reference.logProbs.length;
  return {
    divergence: divergence / n,
    lossIncrease: lossIncrease / n,
    agreement: same / n,
    places: n,
  };
}

/**
 * Measure every precision of an export against its float32 files: the float32 model writes texts by
 * sampling from its own probabilities, and each precision reads them token by token.
 *
 * @param folder The exported folder
 * @param files What `exportModel` returned; float32 must be among it
 * @param options What to read
 * @returns One line per precision
 * @throws {ConfigError} If no token is to be compared
 * @throws {DataError} If there are no float32 files
 */
export async function measureExport(
  folder: string,
  files: readonly ExportedFile[],
  options: MeasureExportOptions = {},
): Promise<ExportFigures[]> {
  const { tokens = 48, threads, seed = 0 } = options;
  if (!(Number.isSafeInteger(tokens) && tokens > 0)) {
    throw new ConfigError([{ key: "tokens", message: `is ${tokens}, not a positive integer` }]);
  }
  const precisions = [...new Set(files.map(({ precision }) => precision))]
    .sort((a, b) => Number(b === "float32") - Number(a === "float32"));
  if (precisions[0] !== "float32") {
    throw new DataError(
      `Cannot measure the export in ${folder}: it has no float32 files to compare with`,
    );
  }
  const figures: ExportFigures[] = [];
  let prompts = options.prompts, texts: Int32Array[] = [], reference: Reading | undefined;
  for (const precision of precisions) {
    const began = performance.now();
    const model = await openExported(folder, { precision, threads });
    const loadMs = performance.now() - began;
    try {
      if (!reference) {
        prompts ??= Array.from({ length: 4 }, (_, row) => {
          const stream = randomStream({ seed, stream: "measure", step: row });
          // Half of what the model can read, if that is little.
          const length = Math.max(1, Math.min(8, Math.floor(model.maxLength / 2)));
          return Int32Array.from({ length }, () => stream.int(model.vocabSize));
        });
        const written = await generate(model, prompts, {
          maxNewTokens: tokens,
          stopTokens: [],
          sampling: { seed },
        });
        texts = written.map(([text]) => text.tokens);
      }
      const reading = await read(model, prompts!, texts);
      reference ??= reading;
      figures.push({
        precision,
        sizeBytes: files.filter((f) => f.precision === precision)
          .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
        loadMs,
        tokenMs: median(reading.tokenMs),
        ...compare(reference, reading, texts.flatMap((text) => Array.from(text))),
      });
    } finally {
      await model.dispose();
    }
  }
  return figures;
}

/** Figures as a table. */
export function formatExportFigures(figures: readonly ExportFigures[]): string {
  const rows = figures.map((f) => [
    f.precision,
    `${(f.sizeBytes / 2 ** 20).toFixed(1)} MiB`,
    `${f.loadMs.toFixed(0)} ms`,
    `${f.tokenMs.toFixed(2)} ms`,
    f.divergence.toExponential(1),
    `${f.lossIncrease >= 0 ? "+" : "−"}${Math.abs(f.lossIncrease).toFixed(4)}`,
    `${(100 * f.agreement).toFixed(1)} %`,
  ]);
  const head = ["precision", "size", "load", "token", "KL nats", "loss nats", "same top"];
  const table = [head, ...rows];
  const widths = head.map((_, c) => Math.max(...table.map((row) => row[c].length)));
  return table.map((row) =>
    row.map((cell, c) => c === 0 ? cell.padEnd(widths[c]) : cell.padStart(widths[c])).join("  ")
  ).join("\n");
}
