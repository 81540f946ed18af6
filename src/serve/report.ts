/** A run of joint training as one page of HTML that stands on its own. @module */
import { biasCaption, type JointEvaluation } from "../recipe/evaluate_joint_run.ts";
import { beamRows, biasRows } from "../recipe/joint_bias.ts";
import { formatAgentEvaluation } from "../recipe/evaluate_agent.ts";
import { formatEvaluation } from "../recipe/evaluate_index.ts";
import { systemRows } from "../recipe/evaluate_system.ts";
import type { BiasReport } from "../train/measure_bias.ts";
import type { MetricsRecord } from "../recipe/run_folder.ts";
import { barsSvg, curvePoints, curveSvg, estimatorSvg } from "./plot.ts";

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
};

/** Text as HTML. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (c) => ESCAPES[c]);
}

const table = ([header, ...rows]: readonly (readonly string[])[]): string =>
  `<table><thead><tr>${
    header.map((cell) => `<th>${escapeHtml(cell)}</th>`).join("")
  }</tr></thead><tbody>` +
  rows.map((row) => `<tr>${row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`)
    .join("\n") +
  "</tbody></table>";

const section = (title: string, text: string, ...parts: readonly string[]): string =>
  `<section><h2>${escapeHtml(title)}</h2>\n<p>${escapeHtml(text)}</p>\n${
    parts.join("\n")
  }\n</section>`;

const STYLE = `
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2937; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
p { max-width: 50rem } .plots { display: flex; flex-wrap: wrap; gap: 1rem }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem }
th, td { padding: .25rem .6rem; text-align: right; border-bottom: 1px solid #e5e7eb; white-space: nowrap }
th:first-child, td:first-child, .gradient :nth-child(2) { text-align: left } th { color: #6b7280; font-weight: 600 }
pre { background: #f9fafb; padding: .8rem; overflow-x: auto; font-size: .8rem }
svg { max-width: 100%; height: auto }`;

/** Curves of joint training: metric, axis label and title. */
const CURVES: readonly (readonly [string, string, string])[] = [
  ["dev accuracy", "right answers (share)", "Right answers on part dev"],
  ["hits@1", "Hits@1", "Index: right document first"],
  ["joint_loss", "loss", "Loss of the index's objective"],
  ["answer_prob", "probability", "Right answer, over the documents read"],
  ["return", "reward", "Return of the episodes"],
  ["retrieval_rate", "share", "Episodes with a retrieval"],
];

/** What a page is made of. */
export interface JointReportOptions {
  /** Name of the run. */
  readonly run: string;
  /** The evaluation. */
  readonly evaluation: JointEvaluation;
  /** Lines of metrics.jsonl. */
  readonly metrics: readonly MetricsRecord[];
}

const wide = (html: string): string => `<div class="wide">${html}</div>`;

/** What the bias meter found at one moment. */
function gradientSections(when: string, bias: BiasReport): string[] {
  const plots = (["marginal", "expected_utility"] as const).map((target) =>
    estimatorSvg(bias.estimators.filter((e) => e.target === target && e.documentsRead > 0), {
      title: target === "marginal" ? "Marginal likelihood" : "Expected utility",
    })
  );
  return [
    section(
      `The gradient ${when}`,
      `${biasCaption(bias)}.`,
      `<div class="gradient">${wide(table(biasRows(bias)))}</div>`,
      `<div class="plots">${plots.join("\n")}</div>`,
    ),
    section(
      `Beam search ${when}`,
      "What a beam of each width loses: whether it finds the most probable document, how much less probable the " +
        "one it finds is, and whether the right document's prefix is still in the beam after each digit.",
      wide(table(beamRows(bias))),
    ),
  ];
}

/** The page. It loads nothing, and says the same as the evaluation's text. */
export function jointReport({ run, evaluation, metrics }: JointReportOptions): string {
  const { systems, agent, index, bias, part } = evaluation;
  const joint = metrics.filter(({ phase }) => phase === "joint");
  const curves = CURVES.flatMap(([name, label, title]) => {
    const points = curvePoints(joint, name);
    return points.length > 1
      ? [curveSvg(points, { label, title, axis: "iteration", width: 480 })]
      : [];
  });
  return [
    '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHtml(run)}</title><style>${STYLE}</style></head><body>`,
    `<h1>Joint training</h1><p>${escapeHtml(run)}</p>`,
    section(
      "The system",
      `${systems.questions} questions of part ${part}; the same policy with each retriever, at ${systems.cost} a ` +
        "retrieval. Brackets hold 95 % intervals; p is McNemar's test of right answers against the first row; " +
        `a supporting fact is a ${systems.factLevel}.`,
      wide(table(systemRows(systems))),
      barsSvg(
        systems.systems.map(({ name, em }) => ({ name, ...em })),
        { label: "right answers (share)" },
      ),
    ),
    ...(curves.length
      ? [
        section(
          "Training",
          "Iteration by iteration; the dark line is a mean over neighbours.",
          `<div class="plots">${curves.join("\n")}</div>`,
        ),
      ]
      : []),
    ...(bias ? gradientSections("before joint training", bias.before) : []),
    ...(bias ? gradientSections("after joint training", bias.after) : []),
    ...(index
      ? [section("The index", "Beside BM25.", `<pre>${escapeHtml(formatEvaluation(index))}</pre>`)]
      : []),
    section(
      "The agent",
      "Beside simpler ones.",
      `<pre>${escapeHtml(formatAgentEvaluation(agent))}</pre>`,
    ),
    "</body></html>\n",
  ].join("\n");
}
