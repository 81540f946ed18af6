/** Another library in a process of its own, asked line by line: so that both are timed in one run. */

/** A running peer. */
export interface Peer<Question, Answer> {
  /** What it said of itself when it was ready. */
  readonly hello: Record<string, string>;
  /** Put a question, wait for the answer. */
  ask(question: Question): Promise<Answer>;
  /** Let it end. */
  stop(): void;
}

/**
 * Start a program that writes one line of JSON when it is ready, and answers each line of JSON by one.
 *
 * @returns undefined if it can't be started or ends before it is ready
 */
export async function startPeer<Question, Answer>(
  command: string,
  args: readonly string[],
  options: { cwd?: string } = {},
): Promise<Peer<Question, Answer> | undefined> {
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(command, {
      args: [...args],
      cwd: options.cwd,
      stdin: "piped",
      stdout: "piped",
      stderr: Deno.env.has("DEBUG") ? "inherit" : "null",
    }).spawn();
  } catch {
    return undefined;
  }
  const reader = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const writer = child.stdin.getWriter();
  let text = "";
  const read = async (): Promise<unknown> => {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) return undefined;
      text += value;
    }
    const end = text.indexOf("\n"), line = text.slice(0, end);
    text = text.slice(end + 1);
    return JSON.parse(line);
  };
  const hello = await read() as Record<string, string> | undefined;
  if (!hello) return undefined;
  return {
    hello,
    ask: async (question) => {
      await writer.write(new TextEncoder().encode(`${JSON.stringify(question)}\n`));
      return await read() as Answer;
    },
    stop: () => void writer.close().catch(() => {}),
  };
}
