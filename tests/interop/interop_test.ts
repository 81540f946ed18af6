/**
 * The programs of docs/serving/ against Deno: the same export, the same questions, the same answers
 * from Python, from Node, and from onnxruntime-web under Node and in a headless browser.
 *
 *     deno task test:interop
 *     deno task test:interop -- --python=venv/bin/python    a Python that has the packages
 *
 * What cannot be installed here is skipped, and the reason is printed.
 */
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { fromFileUrl, join } from "@std/path";
import {
  composeConfig,
  exportIndex,
  loadDataset,
  loadIndex,
  RUN_FILES,
  searcherOfExport,
  trainDsi,
} from "../../mod.ts";
import { findPython, folder, installFromNpm, run, test } from "./_peers.ts";

/** Two builds of ONNX Runtime add float32 numbers in different orders. */
const PROBABILITY_TOLERANCE = 1e-5;
/** The page shows four digits. */
const SHOWN_TOLERANCE = 1e-4;

const PACKAGES = {
  python: {
    packages: ["onnxruntime==1.30.0", "tokenizers==0.23.2"],
    modules: ["numpy", "onnxruntime", "tokenizers"],
  },
  node: ["onnxruntime-node@1.30.0", "onnxruntime-web@1.30.0", "@huggingface/tokenizers@0.2.0"],
};

const serving = fromFileUrl(new URL("../../docs/serving/", import.meta.url));

async function findBrowser(): Promise<{ browser: string; problem?: string }> {
  for (const browser of ["chromium", "chromium-browser", "google-chrome"]) {
    if (!(await run(browser, ["--version"])).problem) return { browser };
  }
  return { browser: "", problem: "no chromium or google-chrome on PATH" };
}

interface Answer {
  readonly question: string;
  readonly documents: readonly { doc_id: string; title: string; probability: number }[];
  readonly droppedMass: number;
}

/** Export a small index to `folder/export`; questions, and the answers that Deno gives. */
async function makeExport(): Promise<Answer[]> {
  const config = composeConfig({
    configName: "train/demo",
    overrides: [
      "data.documents=60",
      "model.width=64",
      "training.max_steps=20",
      `output.dir=${join(folder, "run")}`,
    ],
  });
  const { documents, queries } = await loadDataset(config.data, config.seed);
  const { run } = await trainDsi({ documents, queries }, config);
  const path = join(folder, "export");
  await exportIndex(await loadIndex(run.file(RUN_FILES.model)), path, { beam: 10, documents });

  const questions = [
    ...queries.dev.slice(0, 20).map(({ query }) => query),
    "zzgrx qwv", // no known word
    "?!", // no word
    "The U.S. owner’s 1,234 cafés, naïve Ångströms and Οδυσσεύς",
    documents.slice(0, 12).map(({ text }) => text).join(" "), // more than 256 tokens
  ];
  const searcher = await searcherOfExport(path);
  const results = await searcher.search(questions);
  await searcher.dispose();
  return results.map(({ hits, droppedMass }, i) => ({
    question: questions[i],
    documents: hits.map(({ doc, logProb }) => ({
      doc_id: documents[doc].docId,
      title: documents[doc].title,
      probability: Math.exp(logProb),
    })),
    droppedMass,
  }));
}

/** Documents of equal probability may stand in either order: probabilities are compared by rank. */
function assertSameAnswer(actual: Answer, expected: Answer): void {
  assertEquals(actual.question, expected.question);
  assertEquals(actual.documents.length, expected.documents.length);
  const byId = new Map(expected.documents.map((d) => [d.doc_id, d]));
  const last = expected.documents.at(-1)!.probability;
  actual.documents.forEach(({ doc_id, title, probability }, k) => {
    assertAlmostEquals(probability, expected.documents[k].probability, PROBABILITY_TOLERANCE);
    const same = byId.get(doc_id);
    // The last one may have changed places with the first one that is not returned.
    if (!same) assertAlmostEquals(probability, last, PROBABILITY_TOLERANCE);
    else {
      assertEquals(title, same.title);
      assertAlmostEquals(probability, same.probability, PROBABILITY_TOLERANCE);
    }
  });
  assertAlmostEquals(actual.droppedMass, expected.droppedMass, PROBABILITY_TOLERANCE);
}

const expected = await makeExport();
for (const name of ["search.mjs", "search_node.mjs", "index.html"]) {
  await Deno.copyFile(join(serving, name), join(folder, name));
}
const { python, problem: noPython } = await findPython(PACKAGES.python);
const noNode = (await run("node", ["--version"])).problem ??
  await installFromNpm(PACKAGES.node);
const { browser, problem } = await findBrowser();
const noBrowser = noNode ?? problem;

/** Run a program that prints a line of JSON for each question; all answers must be Deno's. */
async function check(command: string, ...args: string[]): Promise<void> {
  const { stdout, problem } = await run(command, [...args, ...expected.map((e) => e.question)]);
  assertEquals(problem, undefined);
  const answers = stdout.split("\n").map((line) => JSON.parse(line) as Answer);
  assertEquals(answers.length, expected.length);
  answers.forEach((answer, i) => assertSameAnswer(answer, expected[i]));
}

test("docs/serving/search.ts answers as the searcher does", undefined, async () => {
  await check(Deno.execPath(), "run", "-A", "--quiet", join(serving, "search.ts"), "export");
});

test("Python with onnxruntime and tokenizers answers as Deno does", noPython, async () => {
  await check(python, join(serving, "search.py"), "export");
});

test("Node with onnxruntime-node answers as Deno does", noNode, async () => {
  await check("node", "search_node.mjs", "export");
});

test("onnxruntime-web under Node answers as Deno does", noNode, async () => {
  const text = await Deno.readTextFile(join(folder, "search_node.mjs"));
  const web = text.replace(`from "onnxruntime-node"`, `from "onnxruntime-web"`);
  assert(web !== text);
  await Deno.writeTextFile(join(folder, "search_web.mjs"), web);
  await check("node", "search_web.mjs", "export");
});

test("a browser with onnxruntime-web answers as Deno does", noBrowser, async () => {
  const types: Record<string, string> = {
    html: "text/html",
    mjs: "text/javascript",
    json: "application/json",
    wasm: "application/wasm",
  };
  await using server = Deno.serve(
    { port: 0, onListen: () => {} },
    async (request): Promise<Response> => {
      const { pathname } = new URL(request.url);
      try {
        const bytes = await Deno.readFile(join(folder, pathname));
        const type = types[pathname.split(".").at(-1)!] ?? "application/octet-stream";
        return new Response(bytes, { headers: { "content-type": type } });
      } catch {
        return new Response("", { status: 404 });
      }
    },
  );
  for (const { question, documents } of expected.slice(0, 3)) {
    const url = `http://localhost:${server.addr.port}/index.html?q=${encodeURIComponent(question)}`;
    const flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=30000"];
    const { stdout, problem } = await run(browser, [...flags, "--dump-dom", url]);
    assertEquals(problem, undefined);
    const items = [...stdout.matchAll(/<li data-doc-id="([^"]*)">[^<]*\(([\d.]+)\)<\/li>/g)];
    assertEquals(items.length, documents.length, stdout.slice(0, 2000));
    assertEquals(items[0][1], documents[0].doc_id);
    items.forEach(([, , probability], k) =>
      assertAlmostEquals(Number(probability), documents[k].probability, SHOWN_TOLERANCE)
    );
  }
});
