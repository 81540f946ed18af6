/** What people look at: plots. @module */
export { type CurveOptions, type CurvePoint, curvePoints, curveSvg } from "./plot.ts";
