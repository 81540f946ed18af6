/** Where the time of a training step goes, by kind of ONNX operator. */
import * as ort from "onnxruntime-node";
import { type Program, record, toOnnx, withGradients } from "../src/graph/mod.ts";
import type { HostTensors } from "../src/runtime/mod.ts";

/** What to profile. */
export interface ProfileOptions {
  /** Parameters to differentiate with respect to. */
  parameters: readonly string[];
  /** Everything the program reads. */
  inputs: HostTensors;
  /** Threads of one operator. */
  threads: number;
  /** Runs, the first of which does not count. Default 4. */
  runs?: number;
}

/** One line of ONNX Runtime's profile. */
interface Event {
  cat: string;
  name: string;
  dur: number;
  args?: { op_name?: string; output_type_shape?: Record<string, number[]>[] };
}

const MATRIX_PRODUCTS = ["Gemm", "MatMul", "FusedMatMul"];

/** Print the time of each kind of operator, and of the slowest nodes. */
export async function profileProgram(program: Program, options: ProfileOptions): Promise<void> {
  const { parameters, inputs, threads, runs = 4 } = options;
  const { model } = toOnnx(record(withGradients(program, { loss: "loss", parameters })));
  const folder = await Deno.makeTempDir();
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    enableMemPattern: false,
    enableProfiling: true,
    profileFilePrefix: `${folder}/profile`,
  });
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { dtype, data, shape }]) => [
      name,
      new ort.Tensor(dtype as "float32", data as Float32Array, shape),
    ]),
  );
  for (let i = 0; i < runs; i++) await session.run(feeds);
  session.endProfiling();
  await session.release();
  let events: Event[] = [];
  for await (const { name } of Deno.readDir(folder)) {
    events = JSON.parse(await Deno.readTextFile(`${folder}/${name}`));
  }
  await Deno.remove(folder, { recursive: true });
  const perRun: Event[][] = [];
  for (const event of events) {
    if (event.name === "model_run") perRun.push([]);
  }
  // A run's own event follows those of its nodes, which all stand in order of their end.
  let run = 0;
  for (const event of events) {
    if (event.name === "model_run") run++;
    else if (event.cat === "Node" && event.name.endsWith("_kernel_time")) perRun[run]?.push(event);
  }
  const counted = perRun.slice(1).flat(), scale = 1e-3 / (runs - 1);
  const byOp = new Map<string, [ms: number, count: number]>();
  const byNode = new Map<string, number>();
  for (const { dur, args, name } of counted) {
    const op = args?.op_name ?? name;
    const [ms, n] = byOp.get(op) ?? [0, 0];
    byOp.set(op, [ms + dur * scale, n + 1 / (runs - 1)]);
    const shapes = JSON.stringify(args?.output_type_shape ?? []);
    const key = `${op} → ${shapes}`;
    byNode.set(key, (byNode.get(key) ?? 0) + dur * scale);
  }
  const total = [...byOp.values()].reduce((sum, [ms]) => sum + ms, 0);
  const products = MATRIX_PRODUCTS.reduce((sum, op) => sum + (byOp.get(op)?.[0] ?? 0), 0);
  console.log(
    `operators take ${total.toFixed(1)} ms a run, ${
      (100 * (1 - products / total)).toFixed(1)
    } % of it outside of matrix products`,
  );
  for (const [op, [ms, n]] of [...byOp].sort(([, a], [, b]) => b[0] - a[0]).slice(0, 18)) {
    console.log(`  ${op.padEnd(18)} ${ms.toFixed(1).padStart(8)} ms  ${n.toFixed(0).padStart(5)}`);
  }
  for (const [key, ms] of [...byNode].sort(([, a], [, b]) => b - a).slice(0, 30)) {
    console.log(`  ${ms.toFixed(1).padStart(8)} ms  ${key}`);
  }
}
