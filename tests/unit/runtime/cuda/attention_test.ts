/** Fused attention against the same in float64. */
import { assert, assertEquals } from "@std/assert";
import {
  type AddendView,
  attentionBackward,
  attentionForward,
  type AttentionSizes,
  canAttend,
  type HeadView,
} from "../../../../src/runtime/cuda/attention_kernels.ts";
import type { Device, DevicePointer } from "../../../../src/runtime/cuda/device.ts";
import { KernelLibrary } from "../../../../src/runtime/cuda/kernel_library.ts";
import type { KernelStep, Place, Step } from "../../../../src/runtime/cuda/step.ts";
import { randomStream } from "../../../../src/tensor/random.ts";
import { hostDevice, testOnHost } from "./_host.ts";

const toHalf = (x: number): number => {
  const u = new Uint32Array(Float32Array.of(x).buffer)[0];
  return (u + 0x7fff + ((u >>> 16) & 1)) >>> 16;
};
const fromHalf = (h: number): number => new Float32Array(Uint32Array.of(h << 16).buffer)[0];

/** Memory by number of slot. */
class Memory {
  readonly pointers: DevicePointer[] = [];
  readonly sizes: number[] = [];
  constructor(readonly device: Device) {}
  add(bytes: number, data?: ArrayBufferView): Place {
    const pointer = this.device.allocate(Math.max(16, bytes));
    if (data) this.device.upload(pointer, data);
    this.pointers.push(pointer);
    this.sizes.push(bytes);
    return { slot: this.pointers.length - 1 };
  }
  halves({ slot }: Place): Float64Array {
    const h = new Uint16Array(this.sizes[slot] / 2);
    this.device.download(this.pointers[slot], h);
    return Float64Array.from(h, fromHalf);
  }
  floats({ slot }: Place): Float32Array {
    const x = new Float32Array(this.sizes[slot] / 4);
    this.device.download(this.pointers[slot], x);
    return x;
  }
  async run(step: Step): Promise<void> {
    const s = step as KernelStep, library = new KernelLibrary(this.device);
    await library.add([s]);
    this.device.launch({
      kernel: library.get(s.text),
      grid: s.grid,
      threads: s.threads,
      parameters: s.parameters.map((p) => typeof p === "number" ? p : this.pointers[p.slot]),
    });
  }
  free(): void {
    this.device.synchronize();
    for (const p of this.pointers) this.device.free(p);
  }
}

type Order = "rows" | "heads" | "thirds";
/** How [B, S, H, E] lies: heads beside each other in a row, one after the other, or a third of wider rows. */
function viewIn(order: Order, rows: number, { heads: H, width: E }: AttentionSizes): HeadView {
  if (order === "rows") return { batch: rows * H * E, head: E, row: H * E, offset: 0 };
  if (order === "heads") return { batch: H * rows * E, head: rows * E, row: E, offset: 0 };
  return { batch: rows * 3 * H * E, head: E, row: 3 * H * E, offset: H * E };
}

interface Case {
  sizes: AttentionSizes;
  order?: Order;
  addends?: ("bias" | "padding" | "full")[];
  hidden?: boolean;
}

const size = (batch: number, heads: number, queries: number, keys: number, width: number) => ({
  batch,
  heads,
  queries,
  keys,
  width,
});
const cases: Case[] = [
  { sizes: size(2, 2, 64, 64, 64), addends: ["bias", "padding"] },
  { sizes: size(2, 1, 8, 64, 64), order: "heads", addends: ["padding"] },
  { sizes: size(3, 2, 8, 8, 64), order: "thirds", addends: ["full"] },
  { sizes: size(1, 1, 1, 1, 16) },
  { sizes: size(2, 2, 7, 33, 32), addends: ["bias", "padding", "full"] },
  { sizes: size(1, 1, 65, 100, 64), order: "thirds", addends: ["bias"] },
  { sizes: size(1, 1, 128, 128, 128), addends: ["padding"] },
  { sizes: size(1, 2, 20, 17, 16), order: "heads", addends: ["padding"], hidden: true },
];

/** ‖a − b‖ / ‖b‖ */
function relative(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let difference = 0, sum = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i] - b[i]) ** 2;
    sum += b[i] ** 2;
  }
  return Math.sqrt(difference / (sum || 1));
}

for (const { sizes, order = "rows", addends: kinds = [], hidden } of cases) {
  const { batch: B, heads: H, queries: Q, keys: M, width: E } = sizes;
  const title = `attention of ${B}×${H}×${Q}×${M}×${E}, ${order}${hidden ? ", hidden rows" : ""}`;
  testOnHost(title, async () => {
    const memory = new Memory(await hostDevice());
    const random = randomStream({ seed: 4, stream: "attention", step: Q * M + E });
    const viewQ = viewIn(order, Q, sizes), viewM = viewIn(order, M, sizes);
    assert(canAttend(sizes, [viewQ, viewM]));
    /** Numbers by (b, h, row, e), and as they lie. */
    const tensor = (rows: number, view: HeadView, scale: number) => {
      const wide = order === "thirds" ? 3 : 1;
      const stored = new Uint16Array(B * rows * H * E * wide).fill(0x7fc0);
      const values = new Float64Array(B * H * rows * E);
      for (let b = 0, i = 0; b < B; b++) {
        for (let h = 0; h < H; h++) {
          for (let row = 0; row < rows; row++) {
            for (let e = 0; e < E; e++, i++) {
              const half = toHalf(random.normal() * scale);
              values[i] = fromHalf(half);
              stored[b * view.batch + h * view.head + row * view.row + view.offset + e] = half;
            }
          }
        }
      }
      return { values, viewed: { place: memory.add(stored.byteLength, stored), view } };
    };
    const result = (rows: number, view: HeadView) => {
      const bytes = B * rows * H * E * (order === "thirds" ? 3 : 1) * 2;
      const viewed = { place: memory.add(bytes), view };
      return {
        viewed,
        read: () => {
          const all = memory.halves(viewed.place), out = new Float64Array(B * H * rows * E);
          for (let b = 0, i = 0; b < B; b++) {
            for (let h = 0; h < H; h++) {
              for (let row = 0; row < rows; row++) {
                for (let e = 0; e < E; e++, i++) {
                  out[i] = all[b * view.batch + h * view.head + row * view.row + view.offset + e];
                }
              }
            }
          }
          return out;
        },
      };
    };
    const q = tensor(Q, viewQ, 0.4), k = tensor(M, viewM, 0.4), v = tensor(M, viewM, 1);
    const dO = tensor(Q, viewQ, 1);
    const added: { place: Place; view: AddendView; at: (...i: number[]) => number }[] = kinds.map(
      (kind) => {
        const strides = kind === "bias"
          ? { batch: 0, head: Q * M, query: M, key: 1 }
          : kind === "padding"
          ? { batch: M, head: 0, query: 0, key: 1 }
          : { batch: H * Q * M, head: Q * M, query: M, key: 1 };
        const count = kind === "bias" ? H * Q * M : kind === "padding" ? B * M : B * H * Q * M;
        const data = Float32Array.from(
          { length: count },
          () =>
            kind === "padding" ? (hidden || random.uniform() < 0.3 ? -1e9 : 0) : random.normal(),
        );
        const half = kind === "full";
        const stored = half ? Uint16Array.from(data, toHalf) : data;
        const numbers = half ? Float64Array.from(stored, fromHalf) : data;
        const at = (b: number, h: number, i: number, j: number): number =>
          numbers[b * strides.batch + h * strides.head + i * strides.query + j];
        return {
          place: memory.add(stored.byteLength, stored),
          view: { ...strides, storage: half ? "bfloat16" : "float32", offset: 0 },
          at,
        };
      },
    );
    const out = result(Q, viewQ), stats = memory.add(B * H * Q * 8);
    const tensors = { query: q.viewed, key: k.viewed, value: v.viewed, addends: added, stats };
    await memory.run(attentionForward(sizes, { ...tensors, out: out.viewed }));
    const [dq, dk, dv] = [result(Q, viewQ), result(M, viewM), result(M, viewM)];
    const scoreGradient = memory.add(B * H * Q * M * 2);
    const backward = attentionBackward(sizes, {
      ...tensors,
      out: out.viewed,
      outGradient: dO.viewed,
      queryGradient: dq.viewed,
      keyGradient: dk.viewed,
      valueGradient: dv.viewed,
      scoreGradient,
    });
    await memory.run(backward);
    const first = dk.read();
    await memory.run(backward);
    assertEquals(dk.read(), first, "the same bits twice");

    // The same in float64.
    const want = {
      out: new Float64Array(B * H * Q * E),
      dq: new Float64Array(B * H * Q * E),
      dk: new Float64Array(B * H * M * E),
      dv: new Float64Array(B * H * M * E),
      ds: new Float64Array(B * H * Q * M),
      stats: new Float64Array(B * H * Q * 2),
    };
    for (let b = 0; b < B; b++) {
      for (let h = 0; h < H; h++) {
        const n = b * H + h;
        for (let i = 0; i < Q; i++) {
          const row = (n * Q + i) * E, s: number[] = [];
          for (let j = 0; j < M; j++) {
            let x = 0;
            for (let e = 0; e < E; e++) x += q.values[row + e] * k.values[(n * M + j) * E + e];
            // In float32, as what hides is so large that nothing else is left of a sum with it.
            s.push(added.reduce((sum, a) => Math.fround(sum + a.at(b, h, i, j)), x));
          }
          const top = Math.max(...s), sum = s.reduce((t, x) => t + Math.exp(x - top), 0);
          want.stats.set([top, 1 / sum], 2 * (n * Q + i));
          const p = s.map((x) => Math.exp(x - top) / sum);
          for (let j = 0; j < M; j++) {
            for (let e = 0; e < E; e++) {
              want.out[row + e] += p[j] * v.values[(n * M + j) * E + e];
              want.dv[(n * M + j) * E + e] += p[j] * dO.values[row + e];
            }
          }
          let dot = 0;
          for (let e = 0; e < E; e++) dot += want.out[row + e] * dO.values[row + e];
          for (let j = 0; j < M; j++) {
            let dp = 0;
            for (let e = 0; e < E; e++) dp += dO.values[row + e] * v.values[(n * M + j) * E + e];
            const ds = p[j] * (dp - dot);
            want.ds[(n * Q + i) * M + j] = ds;
            for (let e = 0; e < E; e++) {
              want.dq[row + e] += ds * k.values[(n * M + j) * E + e];
              want.dk[(n * M + j) * E + e] += ds * q.values[row + e];
            }
          }
        }
      }
    }
    // P and dS are rounded to bfloat16, 2⁻⁹ relative; so are O, which D is made of, and the results.
    const limit = 1.5e-2;
    const check = (name: keyof typeof want, actual: ArrayLike<number>, most = limit): void => {
      const error = M === 1 && name !== "out" && name !== "dv" && name !== "stats"
        ? Math.max(...Array.from(actual, Math.abs)) / 10 // exactly 0 without rounding
        : relative(actual, want[name]);
      assert(error <= most, `${name} is off by ${error}`);
    };
    check("stats", memory.floats(stats), 1e-3);
    check("out", out.read());
    check("dv", dv.read());
    check("dq", dq.read());
    check("dk", dk.read());
    check("ds", memory.halves(scoreGradient));
    memory.free();
  });
}
