/** Projections that read the same input, joined into one: fewer and larger matrix products. @module */
import { type HostTensor, hostTensor } from "../tensor/host_tensor.ts";
import { decoderNames } from "./_decoder_names.ts";
import type { DecoderModel } from "./model.ts";

/** Rows of matrices, or elements of vectors, one behind the other. */
function joined(parts: readonly HostTensor<"float32">[]): HostTensor<"float32"> {
  const data = new Float32Array(parts.reduce((n, { data }) => n + data.length, 0));
  let at = 0;
  for (const part of parts) {
    data.set(part.data, at);
    at += part.data.length;
  }
  const rows = parts.reduce((n, { shape }) => n + shape[0], 0);
  return hostTensor("float32", data, [rows, ...parts[0].shape.slice(1)]);
}

/**
 * The parameters of a decoder with queries, keys and values in one projection, and both inner ones of
 * the feed-forward layer in another, for programs that do not train: {@linkcode decoderStates} gives
 * the same with them. What is not joined is not copied. GPT-2 is packed as it comes.
 *
 * @param model A model without adapters, or with adapters merged
 */
export function packDecoder(
  { config, tensors }: DecoderModel,
): Record<string, HostTensor<"float32">> {
  const { layer, query, packedQuery, inner, packedInner } = decoderNames(config);
  const packed = { ...tensors };
  for (let i = 0; i < config.layers; i++) {
    for (const [names, target] of [[query, packedQuery], [inner, packedInner]] as const) {
      if (!target) continue;
      for (const part of ["weight", "bias"]) {
        const keys = names.map((name) => `${layer(i)}.${name}.${part}`);
        if (!tensors[keys[0]]) continue;
        packed[`${layer(i)}.${target}.${part}`] = joined(keys.map((key) => tensors[key]));
        for (const key of keys) delete packed[key];
      }
    }
  }
  return packed;
}
