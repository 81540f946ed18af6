import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import * as fc from "fast-check";
import { type PromptAnswer, readPairs } from "../../../src/data/mod.ts";
import { DataError } from "../../../src/errors.ts";
import { withFolder } from "./_folder.ts";

async function read(content: string): Promise<readonly PromptAnswer[]> {
  let pairs: readonly PromptAnswer[] = [];
  await withFolder({ "pairs.jsonl": content }, async (folder) => {
    pairs = await readPairs(`${folder}/pairs.jsonl`);
  });
  return pairs;
}

async function refused(content: string): Promise<{ error: DataError; lines: string[] }> {
  let error: DataError | undefined, lines: string[] = [];
  await withFolder({ "pairs.jsonl": content }, async (folder) => {
    error = await assertRejects(() => readPairs(`${folder}/pairs.jsonl`), DataError);
    lines = error.message.replaceAll(`${folder}/`, "").split("\n");
  });
  return { error: error!, lines };
}

Deno.test("pairs are read in order; other fields, blank lines and empty prompts are fine", async () => {
  const content =
    '{"prompt": "a", "answer": "b", "source": 7}\n\n{"answer":" c\\n","prompt":""}\r\n';
  assertEquals(await read(content), [
    { prompt: "a", answer: "b" },
    { prompt: "", answer: " c\n" },
  ]);
});

Deno.test("any prompt and any answer come back", async () => {
  const pair = fc.record({
    prompt: fc.string({ unit: "binary" }),
    answer: fc.string({ unit: "binary" }).filter((answer) => answer.trim() !== ""),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(pair, { minLength: 1, maxLength: 20 }), async (pairs) => {
      const content = pairs.map((p) => JSON.stringify(p)).join("\n");
      assertEquals(await read(content), JSON.parse(JSON.stringify(pairs)));
    }),
    { numRuns: 20 },
  );
});

Deno.test("every record that is wrong is told, with its line", async () => {
  const { lines } = await refused([
    '{"prompt": "a", "answer": "b"}',
    '{"answer": "b"}',
    '{"prompt": "a", "answer": "  "}',
    '{"prompt": 7, "answer": ["b"]}',
    "",
    '["a", "b"]',
    '{"prompt": "a", ',
  ].join("\n"));
  assertEquals(lines.slice(0, 6), [
    "Cannot read the pairs in pairs.jsonl: 6 problems",
    '  pairs.jsonl:2: "prompt" is missing; write "prompt": "" for none',
    '  pairs.jsonl:3: "answer" is empty',
    '  pairs.jsonl:4: "prompt" is a number, not a string',
    '  pairs.jsonl:4: "answer" is an array, not a string',
    "  pairs.jsonl:6: the record is an array, not an object",
  ]);
  assertMatch(lines[6], /^ {2}pairs\.jsonl:7: broken JSON: /);
  const one = await refused('{"prompt": "a", "answer": "b"}\n{"prompt": "a"}\n');
  assertEquals(one.lines, [
    'pairs.jsonl:2: Cannot read the pairs in pairs.jsonl: "answer" is missing',
  ]);
  assertEquals(one.error.line, 2);
});

Deno.test("a file without records, and none at all, are errors", async () => {
  for (const content of ["", "\n  \n"]) {
    const { lines } = await refused(content);
    assertEquals(lines, [
      "pairs.jsonl:1: Cannot read the pairs in pairs.jsonl: there is no record",
    ]);
  }
  await withFolder({}, async (folder) => {
    for (const path of [`${folder}/none.jsonl`, folder]) {
      const { message } = await assertRejects(() => readPairs(path), DataError);
      assertMatch(message, /Cannot read/);
    }
  });
});
