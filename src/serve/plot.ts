/** Plots as SVG text, without a browser: Observable Plot on linkedom. @module */
import * as Plot from "@observablehq/plot";
import { parseHTML } from "linkedom";
import { DeepragError } from "../errors.ts";
import type { MetricsRecord } from "../recipe/run_folder.ts";

/** One logged moment of a training. */
export interface CurvePoint {
  /** Optimiser step, from 0. */
  readonly step: number;
  /** What was measured there. */
  readonly value: number;
}

/**
 * The points of one metric among the lines of a metrics.jsonl.
 *
 * @param records What `RunFolder.readMetrics` gives
 * @param name Metric, such as `"loss"` or `"hits@1"`; lines without a number of that name are left out
 * @example
 * ```ts
 * import { curvePoints } from "./plot.ts";
 * import { assertEquals } from "@std/assert";
 * const records = [{ step: 10, loss: 2 }, { step: 10, "hits@1": 0.5 }, { step: 20, loss: 1 }];
 * assertEquals(curvePoints(records, "loss"), [{ step: 10, value: 2 }, { step: 20, value: 1 }]);
 * ```
 */
export function curvePoints(records: readonly MetricsRecord[], name: string): CurvePoint[] {
  return records.flatMap(({ step, [name]: value }) =>
    typeof value === "number" ? [{ step, value }] : []
  );
}

/** What a curve shows. */
export interface CurveOptions {
  /** Title above the plot. */
  readonly title?: string;
  /** Name and unit of the vertical axis. */
  readonly label: string;
  /** Name of the horizontal axis. Default `"step"`. */
  readonly axis?: string;
  /** Also draw a mean over this many neighbouring points. Default: a twentieth of them. */
  readonly smooth?: number;
  /** Width in pixels. Default 640. */
  readonly width?: number;
  /** A horizontal line to compare with, such as a baseline, and its name. */
  readonly reference?: { readonly value: number; readonly label: string };
}

/**
 * A training curve as one `<svg>` element that stands on its own.
 *
 * @param points What to draw, in order; values that are not finite are left out
 * @param options Labels and size
 * @throws {DeepragError} If there is nothing to draw
 * @example
 * ```ts
 * import { curveSvg } from "./plot.ts";
 * import { assert } from "@std/assert";
 * const svg = curveSvg([{ step: 0, value: 2 }, { step: 1, value: 1 }], { label: "loss (nats)" });
 * assert(svg.startsWith("<svg") && svg.includes("loss (nats)"));
 * ```
 */
export function curveSvg(points: readonly CurvePoint[], options: CurveOptions): string {
  const drawn = points.filter((p) => Number.isFinite(p.value));
  if (drawn.length === 0) {
    throw new DeepragError(
      `Cannot plot ${options.label}: no finite point among ${points.length}; train for some steps first`,
    );
  }
  // linkedom's types need the DOM library, which a Deno project doesn't load.
  const { document } = parseHTML("<!doctype html><html><body></body></html>") as unknown as {
    document: Plot.PlotOptions["document"];
  };
  const window = Math.max(1, options.smooth ?? Math.round(drawn.length / 20));
  const { reference } = options;
  const figure = Plot.plot({
    document,
    width: options.width ?? 640,
    height: 320,
    marginLeft: 56,
    style: { background: "white", fontFamily: "sans-serif" },
    x: { label: options.axis ?? "step", grid: false },
    y: { label: options.label, grid: true },
    marks: [
      ...(reference
        ? [
          Plot.ruleY([reference.value], { stroke: "#b45309", strokeDasharray: "5 4" }),
          Plot.text([reference], {
            y: "value",
            text: "label",
            frameAnchor: "right",
            dy: -7,
            fill: "#b45309",
          }),
        ]
        : []),
      Plot.line(drawn, { x: "step", y: "value", stroke: "#93c5fd", strokeWidth: 1 }),
      Plot.line(
        drawn,
        Plot.windowY({ k: window, anchor: "middle" }, {
          x: "step",
          y: "value",
          stroke: "#1d4ed8",
          strokeWidth: 2,
        }),
      ),
      ...(options.title
        ? [Plot.text([options.title], { frameAnchor: "top", dy: -14, fontWeight: "bold" })]
        : []),
    ],
    marginTop: 36,
  });
  figure.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return figure.outerHTML;
}
