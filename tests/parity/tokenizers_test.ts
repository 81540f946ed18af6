/** T5's and GPT-2's published tokenizers give the ids that their own libraries give. */
import { assertEquals } from "@std/assert";
import { loadTokenizer } from "../../src/text/tokenizer.ts";

const FOLDER = new URL("../../../shared/tokenizers/", import.meta.url);

/** The file whose ids stand beside each tokenizer.json; cases of other vocabularies are set aside. */
const PUBLISHED_AS: Record<string, string> = { t5: "Xenova/t5-small", gpt2: "Xenova/gpt2" };

interface Case {
  tokenizer: string;
  case: string;
  text: string;
  ids: number[];
  tokens: string[];
  decoded: string;
}

function readJson(path: string): unknown {
  return JSON.parse(Deno.readTextFileSync(new URL(path, FOLDER)));
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(new URL(path, FOLDER)).isFile;
  } catch {
    return false;
  }
}

for (const [name, published] of Object.entries(PUBLISHED_AS)) {
  const ignore = !exists(`${name}/expected.json`);
  if (ignore) console.log(`skipped: ${name} tokenizer (no shared/tokenizers/${name})`);
  Deno.test({
    name: `${name} gives the published ids, tokens and decoded texts`,
    ignore,
    fn(): void {
      // The expected texts were decoded with the clean-up of spaces that both models ship with.
      const tokenizer = loadTokenizer(readJson(`${name}/tokenizer.json`), {
        clean_up_tokenization_spaces: true,
      });
      const all = readJson(`${name}/expected.json`) as Case[];
      const cases = all.filter((c) => c.tokenizer === published);
      for (const { case: label, text, ids, tokens, decoded } of cases) {
        const got = tokenizer.encode(text);
        assertEquals([...got], ids, label);
        assertEquals(tokenizer.decode(got, { skipSpecialTokens: false }), decoded, label);
        const bare = tokenizer.encode(text, { addSpecialTokens: false });
        assertEquals(bare.length, tokens.length, label);
        bare.forEach((id, i) => {
          if (id !== tokenizer.unkId) assertEquals(tokenizer.idToToken(id), tokens[i], label);
        });
      }
      console.log(`${name}: ${cases.length} cases of ${published} (of ${all.length} in the file)`);
    },
  });
}
