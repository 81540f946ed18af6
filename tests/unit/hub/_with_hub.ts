/** The setting of most tests of findModel. */
import { findModel, type FindModelOptions } from "../../../src/hub/find_model.ts";
import { writeSafetensors } from "../../../src/model/safetensors.ts";
import { hostTensor } from "../../../src/tensor/host_tensor.ts";
import { startHub, type TestHub } from "./_hub_server.ts";

export const utf8 = (text: string) => new TextEncoder().encode(text);
/** One tensor of three numbers. */
export const weights = writeSafetensors({
  w: hostTensor("float32", Float32Array.of(1, 2, 3), [3]),
});
/** A model without its optional files but one. */
export const small = (): Record<string, Uint8Array> => ({
  "config.json": utf8('{"model_type":"t5"}'),
  "tokenizer.json": utf8("{}"),
  "model.safetensors": weights,
});
/** An index of weights. */
export const index = (map: Record<string, string>) => utf8(JSON.stringify({ weight_map: map }));

export interface Setting {
  hub: TestHub;
  cacheDir: string;
  find: (options?: FindModelOptions) => Promise<string>;
}

/** A hub with the model owner/model, and a cache that is removed afterwards. */
export async function withHub(
  files: Record<string, Uint8Array>,
  use: (setting: Setting) => Promise<void>,
): Promise<void> {
  const cacheDir = await Deno.makeTempDir();
  await using hub = startHub(files, ["model.safetensors"]);
  const find = (options: FindModelOptions = {}) =>
    findModel("owner/model", {
      endpoint: hub.endpoint,
      cacheDir,
      token: "secret",
      offline: false,
      retryDelaysMs: [1, 1],
      ...options,
    });
  try {
    await use({ hub, cacheDir, find });
  } finally {
    await Deno.remove(cacheDir, { recursive: true });
  }
}
