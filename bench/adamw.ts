/**
 * One AdamW step with global-norm clipping, ours against `torch.optim.AdamW`, interleaved in one run.
 *
 *     deno run -A bench/adamw.ts [--python=python3] [--floats=60000000] [--rounds=5] [--threads=2]
 *
 * The interpreter can also be named by the environment variable DEEPRAG_PYTHON; without PyTorch only
 * our own figure is printed.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { adamw, clipFactor, layoutOf, VectorMemory } from "../src/optim/mod.ts";
import { median } from "./_median.ts";

const options = parseArgs(Deno.args, {
  string: ["python", "floats", "rounds", "threads"],
  default: {
    python: Deno.env.get("DEEPRAG_PYTHON") ?? "python3",
    floats: "60000000",
    rounds: "5",
    threads: String(navigator.hardwareConcurrency),
  },
});
const floats = Number(options.floats), rounds = Number(options.rounds);
const PARTS = 64;

/** A function that does one of our steps and returns its milliseconds. */
function ourStep(): () => number {
  const shape = [Math.floor(floats / PARTS)];
  const init = { kind: "constant", value: 0 } as const;
  const layout = layoutOf(
    Object.fromEntries(Array.from({ length: PARTS }, (_, i) => [`p${i}`, { shape, init }])),
  );
  const rule = adamw();
  const memory = new VectorMemory(2 * layout.length + rule.stateLength(layout));
  const params = memory.allocate(layout.length);
  const gradients = memory.allocate(layout.length).fill(0.01);
  const state = memory.allocate(rule.stateLength(layout)), scratch = memory.allocate(0);
  let step = 0;
  return () => {
    const start = performance.now();
    const scale = clipFactor(Math.sqrt(memory.sumOfSquares(gradients)), 1);
    step++;
    rule.update({ memory, layout, params, gradients, state, scratch, step, lr: 1e-3, scale });
    return performance.now() - start;
  };
}

/** A running PyTorch peer that does `n` steps per call, or `undefined` where there is none. */
async function startPeer(): Promise<
  { step: (n: number) => Promise<Record<string, number[]>>; stop: () => void } | undefined
> {
  const script = new URL("adamw_torch.py", import.meta.url).pathname;
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(options.python, {
      args: [script, String(floats), options.threads],
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
  } catch {
    return undefined;
  }
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const writer = child.stdin.getWriter();
  const read = async (): Promise<Record<string, number[]> | undefined> => {
    let text = "";
    while (!text.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) return undefined;
      text += value;
    }
    return JSON.parse(text);
  };
  const hello = await read();
  if (!hello) return undefined;
  console.log(`peer: torch ${hello.torch}, ${options.threads} threads`);
  return {
    step: async (n) => {
      await writer.write(new TextEncoder().encode(`${n}\n`));
      return (await read())!;
    },
    stop: () => void writer.close().catch(() => {}),
  };
}

const step = ourStep(), peer = await startPeer();
const ours: number[] = [], theirs: Record<string, number[]> = {};
for (let round = 0; round <= rounds; round++) {
  const mine = [step(), step(), step()];
  const other = peer ? await peer.step(3) : {};
  if (round === 0) continue; // warm-up
  ours.push(...mine);
  for (const [name, ms] of Object.entries(other)) (theirs[name] ??= []).push(...ms);
}
peer?.stop();
console.log(`${floats} parameters, clip + step, median of ${ours.length}`);
console.log(`  ours          ${median(ours).toFixed(1)} ms`);
for (const [name, ms] of Object.entries(theirs)) {
  const ratio = median(ours) / median(ms);
  console.log(`  torch ${name}   ${median(ms).toFixed(1)} ms   ours / torch ${ratio.toFixed(2)}`);
}
if (!peer) console.log(`  torch: skipped, "${options.python}" cannot import it`);
