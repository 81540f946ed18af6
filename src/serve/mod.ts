/** What people look at: plots, and the page of a run. @module */
export {
  type Bar,
  barsSvg,
  type CurveOptions,
  type CurvePoint,
  curvePoints,
  curveSvg,
  type EstimatorPoint,
  estimatorSvg,
} from "./plot.ts";
export { jointReport, type JointReportOptions } from "./report.ts";
