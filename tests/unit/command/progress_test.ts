import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { formatDuration, terminalProgress } from "../../../src/command/progress.ts";
import type { ProgressReporter } from "../../../src/train/progress.ts";

/** A reporter on a terminal (or not) whose clock stands still until it is told to go on. */
function fakeProgress(options: { isTerminal: boolean; columns?: number; hasColor?: boolean }): {
  progress: ProgressReporter;
  writes: string[];
  clock: { ms: number };
} {
  const writes: string[] = [];
  const clock = { ms: 0 };
  const progress = terminalProgress({
    label: "train",
    now: () => clock.ms,
    io: {
      errRaw: (text) => void writes.push(text),
      hasColor: options.hasColor ?? false,
      isTerminal: options.isTerminal,
      columns: options.columns ?? 120,
    },
  });
  return { progress, writes, clock };
}

Deno.test("a terminal shows bar, rate, time left, loss and results on one redrawn line", () => {
  const { progress, writes, clock } = fakeProgress({ isTerminal: true });
  progress.update({ step: 100, total: 400, loss: 5, examplesPerSecond: 1234.5 });
  clock.ms = 50_000; // 100 steps in 50 s; 200 steps are left
  progress.update({ step: 200, total: 400, loss: 2.345, metrics: { "hits@1": 0.8125 } });
  assertEquals(
    writes.at(-1),
    "\r\x1b[2Ktrain  [##########----------]  200/400  1235 ex/s  ETA 1:40  loss 2.35  hits@1 0.813",
  );
  progress.done();
  assertEquals(writes.at(-1), "\n");
});

Deno.test("a terminal is redrawn at most every 100 ms, and in the end", () => {
  const { progress, writes, clock } = fakeProgress({ isTerminal: true });
  for (let step = 1; step <= 100; step++) {
    clock.ms = step * 10;
    progress.update({ step, total: 100 });
  }
  assertEquals(writes.length, 10);
  progress.done();
  assertStringIncludes(writes.at(-2)!, "100/100");
});

Deno.test("a narrow terminal loses the bar first and never wraps", () => {
  for (const columns of [70, 40, 12]) {
    const { progress, writes } = fakeProgress({ isTerminal: true, columns });
    progress.update({ step: 5, total: 10, loss: 1, examplesPerSecond: 10, metrics: { hits: 0.5 } });
    const line = writes[0].slice("\r\x1b[2K".length);
    assert(line.length < columns, line);
    assertEquals(line.includes("["), columns === 70);
  }
});

Deno.test("without a terminal there are plain lines, at most every ten seconds", () => {
  const { progress, writes, clock } = fakeProgress({ isTerminal: false });
  for (let step = 0; step <= 25; step++) {
    clock.ms = step * 1000;
    progress.update({ step, total: 25, loss: 1 });
  }
  progress.done();
  assertEquals(writes, [
    "train  0/25  loss 1.00\n",
    "train  10/25  ETA 0:15  loss 1.00\n",
    "train  20/25  ETA 0:05  loss 1.00\n",
    "train  25/25  loss 1.00\n",
  ]);
});

Deno.test("results are shown at once and stay on later lines", () => {
  const { progress, writes, clock } = fakeProgress({ isTerminal: false });
  progress.update({ step: 1 });
  progress.update({ step: 2, metrics: { mrr: 0.25 } });
  clock.ms = 20_000;
  progress.update({ step: 3, loss: NaN });
  assertEquals(writes.slice(1), [
    "train  step 2  mrr 0.250\n",
    "train  step 3  loss NaN  mrr 0.250\n",
  ]);
});

Deno.test("a message replaces the line, which is drawn again below it", () => {
  const { progress, writes } = fakeProgress({ isTerminal: true });
  progress.update({ step: 1, total: 2 });
  progress.message("saved");
  assertEquals(writes[1], "\r\x1b[2Ksaved\n");
  assertStringIncludes(writes[2], "1/2");
  const plain = fakeProgress({ isTerminal: false });
  plain.progress.message("saved");
  assertEquals(plain.writes, ["saved\n"]);
});

Deno.test("colour is written only where it is allowed", () => {
  for (const hasColor of [true, false]) {
    const { progress, writes } = fakeProgress({ isTerminal: true, hasColor });
    progress.update({ step: 1, total: 2 });
    assertEquals(writes[0].includes("\x1b[1m"), hasColor);
  }
});

Deno.test("done without an update writes nothing", () => {
  const { progress, writes } = fakeProgress({ isTerminal: true });
  progress.done();
  assertEquals(writes, []);
});

Deno.test("durations read as people write them", () => {
  assertEquals([0, 7.4, 59.6, 754, 3723].map(formatDuration), [
    "0:00",
    "0:07",
    "1:00",
    "12:34",
    "1:02:03",
  ]);
});
