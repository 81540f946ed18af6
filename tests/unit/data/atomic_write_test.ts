import { assertEquals, assertRejects } from "@std/assert";
import { DataError } from "../../../src/errors.ts";
import { stageFile, writeAtomically } from "../../../src/data/mod.ts";
import { withFolder } from "./_folder.ts";

const names = (folder: string) => Array.from(Deno.readDirSync(folder), (e) => e.name).sort();

Deno.test("writeAtomically: pieces of any size arrive in order", async () => {
  const sizes = [0, 1, 700_000, 700_000, 1 << 20, 3_000_000, 5, (1 << 20) - 5, 1];
  const pieces = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
  async function* later(): AsyncGenerator<Uint8Array | string> {
    for (const piece of pieces) yield await Promise.resolve(piece);
    yield "é\n";
  }
  const expected = new Uint8Array(await new Blob([...pieces, "é\n"]).arrayBuffer());
  await withFolder({ a: "old" }, async (folder) => {
    await writeAtomically(`${folder}/a`, later());
    const written = await Deno.readFile(`${folder}/a`);
    assertEquals(written.length, expected.length);
    assertEquals(written.every((byte, i) => byte === expected[i]), true);
    await writeAtomically(`${folder}/b`, "text");
    await writeAtomically(`${folder}/c`, Uint8Array.of(65));
    assertEquals(
      Deno.readTextFileSync(`${folder}/b`) + Deno.readTextFileSync(`${folder}/c`),
      "textA",
    );
    assertEquals(names(folder), ["a", "b", "c"]);
  });
});

Deno.test("stageFile: the old file stays until commit; discard leaves nothing", async () => {
  await withFolder({ a: "old" }, async (folder) => {
    const staged = await stageFile(`${folder}/a`, "new");
    assertEquals(Deno.readTextFileSync(`${folder}/a`), "old");
    await staged.commit();
    await staged.discard();
    assertEquals(Deno.readTextFileSync(`${folder}/a`), "new");
    await (await stageFile(`${folder}/a`, "newer")).discard();
    assertEquals([Deno.readTextFileSync(`${folder}/a`), names(folder)], ["new", ["a"]]);
  });
});

Deno.test("writeAtomically: failures name the file and leave nothing behind", async () => {
  function* broken(): Generator<string> {
    yield "half";
    throw new RangeError("planted");
  }
  await withFolder({ a: "old", "folder/x": "" }, async (folder) => {
    await assertRejects(() => writeAtomically(`${folder}/a`, broken()), RangeError, "planted");
    await assertRejects(
      () => writeAtomically(`${folder}/no/a`, "new"),
      DataError,
      `Cannot write ${folder}/no/a: No such file`,
    );
    await assertRejects(
      () => writeAtomically(`${folder}/folder`, "new"),
      DataError,
      "Cannot write",
    );
    assertEquals(Deno.readTextFileSync(`${folder}/a`), "old");
    assertEquals(names(folder), ["a", "folder"]);
  });
});
