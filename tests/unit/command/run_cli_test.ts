import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { usagePage } from "../../../docs/usage.ts";
import type { Command, CommandContext } from "../../../src/command/command.ts";
import { parseCommandLine } from "../../../src/command/parse.ts";
import { commands } from "../../../src/command/registry.ts";
import { runCli } from "../../../src/command/run_cli.ts";
import { VERSION } from "../../../src/command/version.ts";
import { composeConfig } from "../../../src/config/mod.ts";
import {
  CheckpointError,
  DataError,
  KernelError,
  RemoteError,
  ShapeError,
} from "../../../src/errors.ts";
import { fakeIo } from "./fake_io.ts";

const root = new URL("../../../", import.meta.url);

/** A command that takes everything and does what it is told. */
function fakeCommand(run: (context: CommandContext) => number | void): Command {
  return {
    name: "retrieve",
    summary: "answer a question",
    takesConfig: true,
    positional: { name: "QUESTION", description: "What to ask." },
    flags: [
      { name: "json", description: "Write JSON." },
      { name: "top", value: "N", description: "How many." },
    ],
    examples: [{ text: "Ask", line: 'retrieve "Who?"' }],
    run: (context) => Promise.resolve().then(() => run(context)),
  };
}

async function runFake(
  args: string[],
  run: (context: CommandContext) => number | void = () => {},
): Promise<{ code: number; out: string; err: string }> {
  const io = fakeIo();
  const code = await runCli(args, { io, commands: [fakeCommand(run)] });
  return { code, out: io.outLines.join("\n"), err: io.errLines.join("\n") };
}

Deno.test("flags, overrides and words go where they belong", async () => {
  let seen: CommandContext | undefined;
  const { code } = await runFake(
    ["retrieve", "--json", "Who sleeps?", "seed=3", "--top", "5", "42", "--", "a=b", "--json"],
    (context) => void (seen = context),
  );
  assertEquals(code, 0);
  assertEquals(seen!.flags, { json: true, top: "5" });
  assertEquals(seen!.words, ["Who sleeps?", "42", "a=b", "--json"]);
  assertEquals(seen!.config().seed, 3);
});

Deno.test("overrides apply on top of a run's configuration", async () => {
  let seen: number[] = [];
  const text = "seed: 9\nmodel: {family: t5}\ndata: {format: synthetic}\n";
  await runFake(["retrieve", "evaluation.beam=20"], ({ config }) => {
    const { seed, evaluation } = config({ text, origin: "config.yaml" });
    seen = [seed, evaluation.beam];
  });
  assertEquals(seen, [9, 20]);
});

Deno.test("each kind of error has its exit code and a message without a stack", async () => {
  const cases: [Error, number][] = [
    [new DataError("bad line", { file: "a.jsonl", line: 3 }), 2],
    [new ShapeError("bad shape"), 2],
    [new CheckpointError("no run"), 2],
    [new KernelError("no kernel"), 1],
    [new RemoteError("no network"), 1],
    [new TypeError("a bug"), 1],
  ];
  for (const [error, expected] of cases) {
    const throws = (): never => {
      throw error;
    };
    const quiet = await runFake(["retrieve"], throws);
    assertEquals(quiet.code, expected, error.name);
    assertStringIncludes(quiet.err, `error: ${error instanceof TypeError ? "TypeError: " : ""}`);
    assertStringIncludes(quiet.err, error.message);
    assert(!quiet.err.includes("    at "), "no stack");
    assertEquals(quiet.out, "");
    const loud = await runFake(["retrieve", "--debug"], throws);
    assertStringIncludes(loud.err, "    at ");
  }
});

Deno.test("a cause is shown with --debug only", async () => {
  const throws = (): never => {
    throw new DataError("outer", {}, { cause: new Error("inner") });
  };
  assert(!(await runFake(["retrieve"], throws)).err.includes("inner"));
  assertStringIncludes(
    (await runFake(["--debug", "retrieve"], throws)).err,
    "Caused by: Error: inner",
  );
});

Deno.test("a command's own exit code counts", async () => {
  assertEquals((await runFake(["retrieve"], () => 130)).code, 130);
});

Deno.test("wrong command lines name what is nearest", async () => {
  const cases: [string[], string][] = [
    [["retreive"], "there is no such command; did you mean retrieve?"],
    [["retrieve", "--confg-name=x"], "it has no flag --confg-name; did you mean --config-name?"],
    [["retrieve", "--seed=3"], "write seed=3 without dashes"],
    [["retrieve", "--top="], "--top needs a value, as in --top=N"],
    [["retrieve", "--top=1", "--top=2"], "--top is given more than once"],
    [["retrieve", "--jsno"], "did you mean --json?"],
  ];
  for (const [args, message] of cases) {
    const { code, err } = await runFake(args, ({ config }) => void config());
    assertEquals(code, 2);
    assertStringIncludes(err, message);
  }
});

Deno.test("help is printed for all and for one, and costs no work", async () => {
  const never = (): never => {
    throw new Error("must not run");
  };
  for (const args of [["--help"], ["help"], ["-h"]]) {
    const { code, out } = await runFake(args, never);
    assertEquals(code, 0);
    assertStringIncludes(out, "answer a question");
  }
  for (const args of [["help", "retrieve"], ["retrieve", "--help"], ["retrieve", "-h", "bad=1"]]) {
    const { code, out } = await runFake(args, never);
    assertEquals(code, 0);
    assertStringIncludes(out, "--top=N");
    assertStringIncludes(out, 'deno task retrieve "Who?"');
  }
  const bare = await runFake([]);
  assertEquals([bare.code, bare.out], [2, ""]);
  assertStringIncludes(bare.err, "Commands");
});

Deno.test("--print-config prints YAML that composes to the same", async () => {
  const { code, out } = await runFake(["retrieve", "--print-config", "seed=12"], () => {
    throw new Error("must not run");
  });
  assertEquals(code, 0);
  assertStringIncludes(out, "seed: 12");
});

Deno.test("colour goes to terminals only", async () => {
  for (const hasColor of [true, false]) {
    const io = fakeIo(hasColor);
    await runCli(["nothing"], { io });
    assertEquals(io.errLines[0].includes("\x1b["), hasColor);
  }
});

Deno.test("the examples of every command are command lines that it accepts", () => {
  for (const command of commands) {
    assert(!command.summary.endsWith("."), command.name);
    assert(command.examples.length > 0, command.name);
    for (const { line } of command.examples) {
      const [name, ...args] = line.match(/"[^"]*"|\S+/g)!.map((word) => word.replaceAll('"', ""));
      assertEquals(name, command.name);
      const { flags, overrides } = parseCommandLine(command, args);
      composeConfig({ configName: flags["config-name"] as string | undefined, overrides });
    }
  }
});

Deno.test("docs/usage.md is up to date (deno run -A docs/usage.ts)", () => {
  assertEquals(Deno.readTextFileSync(new URL("docs/usage.md", root)), usagePage());
});

Deno.test("the version is that of deno.json", () => {
  const { version } = JSON.parse(Deno.readTextFileSync(new URL("deno.json", root)));
  assertEquals(VERSION, version);
});

async function subprocess(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "cli.ts", ...args],
    cwd: root,
  }).output();
  const text = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  return { code, out: text(stdout), err: text(stderr) };
}

Deno.test("a real process: exit codes, streams, no stack, no colour in a pipe", async () => {
  const [help, badKey, badValue, unknown] = await Promise.all([
    subprocess("prepare-data", "--help"),
    subprocess("prepare-data", "training.max_step=3"),
    subprocess("prepare-data", "training.batch_size=1e9", "evaluation.beam=-1"),
    subprocess("prepare-dta"),
  ]);
  assertEquals([help.code, help.err], [0, ""]);
  assertStringIncludes(help.out, "prepare-data data=synthetic");
  assertEquals([badKey.code, badKey.out], [2, ""]);
  assertEquals(
    badKey.err,
    "error: Cannot use this configuration: 1 problem\n" +
      "  training.max_step: is no such key; did you mean training.max_steps? (command line)\n",
  );
  assertEquals(badValue.code, 2);
  assertEquals(badValue.err.trim().split("\n").length, 3);
  assertStringIncludes(badValue.err, "from 1 to 65536, is 1000000000");
  assertEquals(unknown.code, 2);
  assertStringIncludes(unknown.err, "did you mean prepare-data?");
});
