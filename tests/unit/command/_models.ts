/** Commands run on a tiny model in a folder. */
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { join } from "@std/path";
import { runCli } from "../../../src/command/run_cli.ts";
import { saveAdapter, saveModel } from "../../../src/hub/mod.ts";
import { loraConfig, loraParamSpecs, modelProjections } from "../../../src/model/mod.ts";
import { tinyModel } from "../hub/_tiny_pretrained.ts";
import { drawn } from "../model/_tiny_decoder.ts";
import { fakeIo } from "./fake_io.ts";

/** What a command said. */
export interface Said {
  /** Exit code. */
  code: number;
  /** Results. */
  out: string;
  /** Everything else. */
  err: string;
}

/** Run a command line. */
export async function cli(...args: string[]): Promise<Said> {
  let out = "";
  const outRaw = (text: string): void => void (out += text);
  const io = { ...fakeIo(), out: (text: string) => outRaw(`${text}\n`), outRaw };
  const code = await runCli(args, { io });
  return { code, out: out.replace(/\n$/, ""), err: io.errLines.join("\n") };
}

/** Fail unless a command ended as bad input does, with this in its message and nothing said. */
export async function assertRefused(
  command: string,
  args: string[],
  message: string,
): Promise<void> {
  const { code, out, err } = await cli(command, ...args);
  assertStringIncludes(err, message);
  assertEquals([code, out], [2, ""], `${args}`);
  assert(!err.includes("    at "), "no stack");
}

const CHAT = "{% for m in messages %}{{ m.role }} {{ m.content }} {% endfor %}assistant";

/** A saved model, and adapters for it. */
export async function prepare(
  root: string,
  name = "llama",
): Promise<{ model: string; adapter: string }> {
  const model = join(root, "model"), adapter = join(root, "adapter");
  const tiny = tinyModel(name, { eos_token_id: name === "t5" ? 1 : null });
  await saveModel(model, { ...tiny, chatTemplate: CHAT });
  const config = loraConfig({ targets: "all-linear", rank: 2, alpha: 16 });
  const tensors = drawn(loraParamSpecs(config, modelProjections(tiny.config)));
  await saveAdapter(adapter, { config, tensors }, tiny.config);
  return { model, adapter };
}
