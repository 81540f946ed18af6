import type { RotaryOptions, RotaryScaling } from "../nn/mod.ts";

/** Notes a problem of a key. */
export type Report = (key: string, message: string) => void;

type Json = Readonly<Record<string, unknown>>;

const isPositive = (x: unknown): x is number =>
  typeof x === "number" && Number.isFinite(x) && x > 0;

/** What transformers 5 calls `rope_parameters`, 4 `rope_theta` and `rope_scaling`. */
export function readRotary(json: Json, maxPositions: unknown, report: Report): RotaryOptions {
  const key = (json.rope_parameters ?? null) === null ? "rope_scaling" : "rope_parameters";
  const given = json[key] ?? {};
  if (typeof given !== "object" || Array.isArray(given)) {
    report(key, `is ${JSON.stringify(given)}, not an object`);
    return { theta: 10000 };
  }
  const { type, rope_type, rope_theta: own, ...rest } = given as Json;
  const kind = rope_type ?? type ?? "default";
  const theta = own ?? json.rope_theta ?? 10000;
  if (!isPositive(theta)) {
    report("rope_theta", `is ${JSON.stringify(theta)}, not a positive number`);
  }
  const number = (name: string, fallback?: unknown): number => {
    const value = rest[name] ?? fallback;
    if (!isPositive(value)) {
      report(`${key}.${name}`, `is ${JSON.stringify(value) ?? "missing"}, not a positive number`);
    }
    return value as number;
  };
  const expect = (...names: string[]): void => {
    for (const name of Object.keys(rest)) {
      if (!names.includes(name)) report(`${key}.${name}`, `is not known for ${kind} scaling`);
    }
  };
  let scaling: RotaryScaling | undefined;
  if (kind === "default") expect("factor");
  else if (kind === "linear") {
    expect("factor");
    scaling = { kind, factor: number("factor") };
  } else if (kind === "llama3") {
    expect("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings");
    scaling = {
      kind,
      factor: number("factor"),
      lowFactor: number("low_freq_factor"),
      highFactor: number("high_freq_factor"),
      originalPositions: number("original_max_position_embeddings", maxPositions),
    };
    if (!(scaling.lowFactor < scaling.highFactor)) {
      report(`${key}.low_freq_factor`, `is not below high_freq_factor`);
    }
  } else {
    report(`${key}.rope_type`, `is ${JSON.stringify(kind)}, not default, linear or llama3`);
  }
  return { theta: theta as number, ...scaling && { scaling } };
}

/** Rotary options as transformers 4 writes them and 5 still reads them. */
export function rotaryToJson({ theta, scaling }: RotaryOptions): Record<string, unknown> {
  if (!scaling) return { rope_theta: theta, rope_scaling: null };
  const { kind, factor } = scaling;
  const more = kind === "linear" ? {} : {
    low_freq_factor: scaling.lowFactor,
    high_freq_factor: scaling.highFactor,
    original_max_position_embeddings: scaling.originalPositions,
  };
  return { rope_theta: theta, rope_scaling: { rope_type: kind, factor, ...more } };
}
