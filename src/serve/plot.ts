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

/** A document to draw in. linkedom's types need the DOM library, which a Deno project doesn't load. */
function newDocument(): Plot.PlotOptions["document"] {
  return (parseHTML("<!doctype html><html><body></body></html>") as unknown as {
    document: Plot.PlotOptions["document"];
  }).document;
}

const STYLE = { background: "white", fontFamily: "sans-serif" } as const;

/** An `<svg>` element as text that stands on its own. */
function standalone(figure: ReturnType<typeof Plot.plot>): string {
  figure.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return figure.outerHTML;
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
  const document = newDocument();
  const window = Math.max(1, options.smooth ?? Math.round(drawn.length / 20));
  const { reference } = options;
  const figure = Plot.plot({
    document,
    width: options.width ?? 640,
    height: 320,
    marginLeft: 56,
    style: STYLE,
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
  return standalone(figure);
}

/** A figure of one system, with its interval. */
export interface Bar {
  /** Name of the system. */
  readonly name: string;
  /** The figure. */
  readonly value: number;
  /** Ends of its interval. */
  readonly low: number;
  /** See `low`. */
  readonly high: number;
}

/**
 * Systems side by side: a dot each, with its interval, from 0 to 1.
 *
 * @param bars Systems, the first on top
 * @param options Name and unit of the figure
 * @throws {DeepragError} If there is nothing to draw
 */
export function barsSvg(bars: readonly Bar[], options: { label: string }): string {
  const drawn = bars.filter(({ value }) => Number.isFinite(value));
  if (!drawn.length) throw new DeepragError(`Cannot plot ${options.label}: there is no system`);
  return standalone(Plot.plot({
    document: newDocument(),
    width: 640,
    height: 60 + 32 * drawn.length,
    marginLeft: 190,
    style: STYLE,
    x: { label: options.label, domain: [0, 1], grid: true },
    y: { label: null, domain: drawn.map(({ name }) => name) },
    marks: [
      Plot.link(drawn, {
        x1: "low",
        x2: "high",
        y1: "name",
        y2: "name",
        stroke: "#93c5fd",
        strokeWidth: 6,
      }),
      Plot.dot(drawn, { x: "value", y: "name", fill: "#1d4ed8", r: 4 }),
    ],
  }));
}

/** An estimator of a gradient. */
export interface EstimatorPoint {
  /** Its name. */
  readonly name: string;
  /** Mean number of documents read for a question. */
  readonly documentsRead: number;
  /** cos(ĝ, g), mean over draws. */
  readonly cosine: number;
}

/**
 * Estimators by what they cost and how right they are: documents read (logarithmic) against the cosine with
 * the exact gradient.
 *
 * @param points Estimators
 * @param options Title above the plot
 * @throws {DeepragError} If there is nothing to draw
 */
export function estimatorSvg(
  points: readonly EstimatorPoint[],
  options: { title: string },
): string {
  if (!points.length) throw new DeepragError(`Cannot plot ${options.title}: there is no estimator`);
  return standalone(Plot.plot({
    document: newDocument(),
    width: 520,
    height: 360,
    marginTop: 36,
    marginRight: 110,
    style: STYLE,
    x: {
      type: "log",
      label: "documents read for a question",
      grid: true,
      ticks: 5,
      tickFormat: "~g",
    },
    y: {
      label: "cosine with the exact gradient",
      domain: [Math.min(0, ...points.map(({ cosine }) => cosine)), 1],
      grid: true,
    },
    marks: [
      Plot.ruleY([1], { stroke: "#b45309", strokeDasharray: "5 4" }),
      Plot.dot(points, { x: "documentsRead", y: "cosine", fill: "#1d4ed8", r: 4 }),
      Plot.text(points, {
        x: "documentsRead",
        y: "cosine",
        text: "name",
        textAnchor: "start",
        dx: 8,
        fontSize: 10,
      }),
      Plot.text([options.title], { frameAnchor: "top", dy: -14, fontWeight: "bold" }),
    ],
  }));
}
