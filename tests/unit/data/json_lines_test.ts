import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import fc from "fast-check";
import { DataError } from "../../../src/errors.ts";
import { readJsonLines } from "../../../src/data/mod.ts";
import { withFolder } from "./_folder.ts";

async function failure(content: string | Uint8Array, maxLineBytes?: number): Promise<DataError> {
  let error: DataError | undefined;
  await withFolder({ "a.jsonl": content }, async (folder) => {
    const read = () => Array.fromAsync(readJsonLines(`${folder}/a.jsonl`, { maxLineBytes }));
    error = await assertRejects(read, DataError);
  });
  return error!;
}

Deno.test("readJsonLines: mark, CRLF, blank lines and a missing last line end are fine", async () => {
  const content = '\ufeff{"a":1}\r\n\r\n  \n"caf\u00e9 \ufeff"\r\n\ufeff[2]';
  await withFolder({ "a.jsonl": content, "empty.jsonl": "" }, async (folder) => {
    assertEquals(await Array.fromAsync(readJsonLines(`${folder}/a.jsonl`)), [
      { line: 1, value: { a: 1 } },
      { line: 4, value: "café \ufeff" },
      { line: 5, value: [2] },
    ]);
    assertEquals(await Array.fromAsync(readJsonLines(`${folder}/empty.jsonl`)), []);
  });
});

Deno.test("readJsonLines: records of any size and any Unicode come back", async () => {
  const long = "é".repeat(100_000);
  const record = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constant(long),
    fc.double({ noNaN: true }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(record, { maxLength: 30 }), async (records) => {
      const lines = records.map((r) => JSON.stringify(r) + "\n").join("");
      await withFolder({ "a.jsonl": lines }, async (folder) => {
        const back = await Array.fromAsync(readJsonLines(`${folder}/a.jsonl`));
        assertEquals(back.map((r) => r.value), JSON.parse(JSON.stringify(records)));
      });
    }),
    { numRuns: 30 },
  );
});

Deno.test("readJsonLines: broken JSON names file, line and place", async () => {
  const error = await failure('{"a": 1}\n{"a": 1 "b": 2}\n');
  assertEquals(error.line, 2);
  assertStringIncludes(
    error.message,
    `a.jsonl:2: Cannot read this line: broken JSON: Expected ','`,
  );
  assertStringIncludes(error.message, `near «{"a": 1 "b": 2}»`);
  assertStringIncludes((await failure('{"a": abc}')).message, `'a', "{"a": abc}" is not valid`);
  const far = await failure(`{"a": "${"x".repeat(500)}", 7}`);
  assertStringIncludes(far.message, 'xx", 7}»');
  assertEquals(far.message.length < 300, true);
  assertStringIncludes((await failure('{"a": ')).message, "Unexpected end of JSON input, near «{");
});

Deno.test("readJsonLines: bytes that are not UTF-8 name the line", async () => {
  const error = await failure(Uint8Array.of(0x31, 0x0a, 0x22, 0xe9, 0x22, 0x0a));
  assertEquals(error.line, 2);
  assertStringIncludes(error.message, "it is not UTF-8. Save the file as UTF-8");
});

Deno.test("readJsonLines: an endless line is refused before it fills the memory", async () => {
  const limit = 100;
  const error = await failure(`1\n"${"x".repeat(99)}"\n`, limit);
  assertEquals(error.line, 2);
  assertStringIncludes(error.message, "longer than 100 bytes");
  assertEquals((await failure("x".repeat(300_000), limit)).line, 1);
  await withFolder({ "a.jsonl": `"${"x".repeat(98)}"\n`.repeat(3) }, async (folder) => {
    const back = readJsonLines(`${folder}/a.jsonl`, { maxLineBytes: limit });
    assertEquals((await Array.fromAsync(back)).length, 3);
  });
});

Deno.test("readJsonLines: a missing file or a folder is named", async () => {
  await withFolder({}, async (folder) => {
    const read = (path: string) => Array.fromAsync(readJsonLines(path));
    await assertRejects(() => read(`${folder}/no`), DataError, "no: there is no such file");
    await assertRejects(() => read(folder), DataError, `Cannot read ${folder}`);
  });
});

Deno.test(
  "readJsonLines: stopping early closes the file",
  { sanitizeResources: true },
  async () => {
    await withFolder({ "a.jsonl": "1\n2\n3\n" }, async (folder) => {
      for await (const { value } of readJsonLines(`${folder}/a.jsonl`)) if (value === 2) break;
    });
  },
);
