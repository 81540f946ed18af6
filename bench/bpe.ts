/**
 * Training a byte-level BPE vocabulary on generated text, ours against Python's `tokenizers`.
 *
 *     deno run -A bench/bpe.ts [--python=python3] [--megabytes=10] [--vocab=32000] [--rounds=3]
 *
 * The interpreter can also be named by the environment variable DEEPRAG_PYTHON; without `tokenizers`
 * only our own figure is printed. Python is measured on one core and with all of them. The merges of
 * both are compared, too.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { randomStream } from "../src/tensor/random.ts";
import { trainBpe } from "../src/text/mod.ts";
import { median } from "./_median.ts";

const options = parseArgs(Deno.args, {
  string: ["python", "megabytes", "vocab", "rounds"],
  default: {
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
    megabytes: "10",
    vocab: "32000",
    rounds: "3",
  },
});
const sizeBytes = Number(options.megabytes) * 1e6, vocabSize = Number(options.vocab);
const rounds = Number(options.rounds);

const SYLLABLES =
  "ba be ci co da dre el en fa fi ga gro ha hi in ja ke ki la lo ma mi na no os pa pe"
    .concat(" qua ra ri sa sho ta ti tion um va ve wa xi yo za ing er ed é ü ß st ndr").split(" ");
const DISTINCT_WORDS = 200_000;
const WORDS_PER_TEXT = 120;

/** Texts of made-up words whose frequencies follow Zipf's law, with numbers and punctuation. */
function generateTexts(): string[] {
  const spelling = randomStream({ seed: 1, stream: "spelling", step: 0 });
  const words = Array.from({ length: DISTINCT_WORDS }, (_, rank) => {
    const syllables = 1 + Math.floor(Math.log10(rank + 1) / 1.6) + spelling.int(2);
    const word = Array.from({ length: syllables }, () => SYLLABLES[spelling.int(SYLLABLES.length)]);
    return spelling.int(5) === 0
      ? word.join("").replace(/^./u, (c) => c.toUpperCase())
      : word.join("");
  });
  const draw = randomStream({ seed: 1, stream: "draw", step: 0 });
  const texts: string[] = [];
  for (let size = 0; size < sizeBytes;) {
    let text = "";
    for (let i = 0; i < WORDS_PER_TEXT; i++) {
      const word = draw.int(40) === 0
        ? String(draw.int(3000))
        : words[Math.floor(DISTINCT_WORDS ** draw.uniform()) - 1];
      text += word + (draw.int(9) === 0 ? ", " : draw.int(14) === 0 ? ".\n" : " ");
    }
    texts.push(text);
    size += new TextEncoder().encode(text).length;
  }
  return texts;
}

interface PeerResult {
  seconds: number;
  merges: string[];
}

/** One training run of Python's `tokenizers`, or why there is none. */
function runPeer(file: string, parallel: boolean): PeerResult | string {
  const script = new URL("bpe_tokenizers.py", import.meta.url).pathname;
  try {
    const { success, stdout, stderr } = new Deno.Command(options.python, {
      args: [script, file, options.vocab],
      env: { TOKENIZERS_PARALLELISM: String(parallel) },
    }).outputSync();
    if (!success) return new TextDecoder().decode(stderr).trim().split("\n").at(-1) ?? "it failed";
    return JSON.parse(new TextDecoder().decode(stdout));
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const texts = generateTexts();
const file = Deno.makeTempFileSync({ suffix: ".json" });
try {
  Deno.writeTextFileSync(file, JSON.stringify(texts));
  const ours: number[] = [], oneCore: number[] = [], allCores: number[] = [];
  let merges: unknown, peerMerges: unknown;
  for (let round = 0; round < rounds; round++) {
    const start = performance.now();
    const json = trainBpe(texts, { vocabSize, specialTokens: ["<pad>", "</s>", "<unk>"] });
    ours.push((performance.now() - start) / 1000);
    merges = json.model.merges;
    for (const [parallel, seconds] of [[false, oneCore], [true, allCores]] as const) {
      const result = runPeer(file, parallel);
      if (typeof result === "string") {
        if (round === 0) console.log(`no figure for Python's tokenizers: ${result}`);
        break;
      }
      seconds.push(result.seconds);
      peerMerges = result.merges;
    }
  }
  console.log(`${options.megabytes} MB, ${options.vocab} tokens, median of ${rounds}:`);
  console.log(`  deno, one core           ${median(ours).toFixed(2)} s`);
  const rows = [["one core", oneCore], ["all cores", allCores]] as const;
  for (const [name, seconds] of rows.filter(([, seconds]) => seconds.length > 0)) {
    const ratio = (median(ours) / median(seconds)).toFixed(2);
    console.log(
      `  python, ${name.padEnd(9)}        ${median(seconds).toFixed(2)} s   ratio ${ratio}`,
    );
  }
  if (peerMerges !== undefined) {
    const same = JSON.stringify(merges) === JSON.stringify(peerMerges);
    console.log(`  merges ${same ? "are equal" : "differ"}`);
  }
} finally {
  Deno.removeSync(file);
}
