import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { DeepragError } from "../../../src/errors.ts";
import { barsSvg, curveSvg, estimatorSvg } from "../../../src/serve/plot.ts";

const falling = Array.from({ length: 40 }, (_, step) => ({ step, value: 4 - step / 10 }));

/** Places of a path "M x,y L x,y …" or its shorter forms. */
function pathsOf(svg: string): string[] {
  return [...svg.matchAll(/<path[^>]* d="(M[^"]*)"/g)].map(([, d]) => d);
}

Deno.test("a curve is one SVG that stands on its own: points, their mean, names", () => {
  const svg = curveSvg(falling, { label: "loss (nats)", title: "Training <loss>", width: 500 });
  assert(/^<svg[^>]*>.*<\/svg>$/s.test(svg));
  assertStringIncludes(svg, 'xmlns="http://www.w3.org/2000/svg"');
  assertStringIncludes(svg, 'width="500"');
  assertStringIncludes(svg, "loss (nats)");
  assertStringIncludes(svg, "Training &lt;loss&gt;");
  assertEquals(svg.match(/<svg/g)!.length, 1);
  const lines = pathsOf(svg).filter((d) => d.split(/[L,]/).length > 20);
  assertEquals(lines.length, 2);
});

Deno.test("what is not finite is left out; nothing to draw is an error", () => {
  const gap = [...falling, { step: 40, value: NaN }, { step: 41, value: Infinity }];
  assertEquals(
    curveSvg(gap, { label: "loss", smooth: 1 }),
    curveSvg(falling, { label: "loss", smooth: 1 }),
  );
  assertThrows(
    () => curveSvg([{ step: 0, value: NaN }], { label: "loss" }),
    DeepragError,
    "Cannot plot loss: no finite point among 1",
  );
});

Deno.test("a reference is a line with its name; the mean is as wide as it is told", () => {
  const options = { label: "Hits@1" };
  const svg = curveSvg(falling, { ...options, reference: { value: 2, label: "BM25" } });
  assertStringIncludes(svg, ">BM25</text>");
  assertStringIncludes(svg, "stroke-dasharray");
  assert(!curveSvg(falling, options).includes("stroke-dasharray"));
  const jagged = falling.map(({ step }) => ({ step, value: step % 2 }));
  const [plain, wide] = [1, 10].map((smooth) =>
    new Set(pathsOf(curveSvg(jagged, { ...options, smooth })))
  );
  assertEquals([plain.size < wide.size, plain.size], [true, wide.size - 1]);
});

Deno.test("systems and estimators are drawn by name; of nothing there is no plot", () => {
  const bars = barsSvg([
    { name: "this index", value: 0.8, low: 0.7, high: 0.9 },
    { name: "none", value: NaN, low: NaN, high: NaN },
  ], { label: "right answers (share)" });
  assert(bars.startsWith("<svg") && bars.includes("this index") && !bars.includes(">none<"));
  assertThrows(() => barsSvg([], { label: "right" }), DeepragError, "no system");
  const points = [
    { name: "top_k 4", documentsRead: 4, cosine: 0.4 },
    { name: "exact", documentsRead: 200, cosine: 1 },
  ];
  const svg = estimatorSvg(points, { title: "Marginal likelihood" });
  for (const what of ["top_k 4", "exact", "Marginal likelihood"]) assert(svg.includes(what), what);
  assert(!svg.includes("NaN"));
  assertThrows(() => estimatorSvg([], { title: "x" }), DeepragError, "no estimator");
});
