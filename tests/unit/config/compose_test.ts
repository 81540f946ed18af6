import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import fc from "fast-check";
import { composeConfig, type ComposeOptions, printConfig } from "../../../src/config/mod.ts";
import { ConfigError } from "../../../src/errors.ts";

/** Problems of a composition that must fail, as `key: message`. */
function problemsOf(options: ComposeOptions): string[] {
  const error = assertThrows(() => composeConfig(options), ConfigError);
  return error.problems.map(({ key, message }) => `${key}: ${message}`);
}

/** A folder of YAML files that goes away after the test. */
function withFiles(files: Record<string, string>, test: (folder: string) => void): void {
  const folder = Deno.makeTempDirSync();
  try {
    for (const [name, text] of Object.entries(files)) {
      const path = `${folder}/${name}.yaml`;
      Deno.mkdirSync(path.slice(0, path.lastIndexOf("/")), { recursive: true });
      Deno.writeTextFileSync(path, text);
    }
    test(folder);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

Deno.test("the original's own command line composes", () => {
  const config = composeConfig({
    configName: "train/dsi_pretrain",
    overrides: ["data=synthetic", "model=dsi_small", "training.max_steps=10"],
  });
  assertEquals(config.training.max_steps, 10);
  assertEquals(config.data.format, "synthetic");
  assertEquals(config.model.family, "lexical");
});

Deno.test("nothing at all composes to the defaults", () => {
  const config = composeConfig();
  assertEquals(config.data.name, "synthetic");
  assertEquals(config.training.distill, { weight: 0.6, temperature: 2 });
});

Deno.test("each layer wins over the one below: schema, defaults, file, command line", () => {
  withFiles({
    "train/mine": "training:\n  batch_size: 7\n  log_every: 3\nseed: 5\n",
  }, (configDir) => {
    const config = composeConfig({
      configDir,
      configName: "train/mine",
      overrides: ["training.batch_size=9"],
    });
    assertEquals(config.training.batch_size, 9);
    assertEquals(config.training.log_every, 3);
    assertEquals(config.seed, 5);
    assertEquals(config.training.keep_last, 2);
  });
});

Deno.test("a file chosen for a section replaces the section; keys merge into it", () => {
  withFiles({
    "train/mine": "defaults:\n  - model: dsi_small\nmodel:\n  vocab_min_frequency: 2\n",
    "model/bare": "family: lexical\n",
  }, (configDir) => {
    const options = { configDir, configName: "train/mine" };
    const merged = composeConfig(options).model;
    assert(merged.family === "lexical");
    assertEquals([merged.width, merged.vocab_min_frequency], [1024, 2]);
    const replaced = composeConfig({ ...options, overrides: ["model=bare"] }).model;
    assert(replaced.family === "lexical");
    assertEquals(replaced.vocab_min_frequency, 1);
  });
});

Deno.test("single keys win over a chosen file wherever they stand on the command line", () => {
  const a = composeConfig({ overrides: ["data.documents=22", "data=synthetic"] });
  const b = composeConfig({ overrides: ["data=synthetic", "data.documents=22"] });
  assertEquals(a.data.documents, 22);
  assertEquals(a, b);
});

Deno.test("another model family replaces the model", () => {
  const config = composeConfig({ overrides: ["model.d_model=64", "model.family=t5"] });
  assert(config.model.family === "t5");
  assertEquals([config.model.d_model, config.model.num_layers], [64, 4]);
});

Deno.test("a group file can build on a sibling, a whole file on another", () => {
  withFiles({
    "model/mine": "defaults:\n  - t5_small\nnum_layers: 3\n",
    "train/base": "seed: 8\ntraining:\n  log_every: 4\n",
    "train/top": "defaults:\n  - train/base\n  - model: mine\ntraining:\n  keep_last: 6\n",
  }, (configDir) => {
    const config = composeConfig({ configDir, configName: "train/top" });
    assert(config.model.family === "t5");
    assertEquals([config.model.num_layers, config.model.d_ff], [3, 2048]);
    assertEquals([config.seed, config.training.log_every, config.training.keep_last], [8, 4, 6]);
  });
});

Deno.test("a user's file hides the built-in one of the same name", () => {
  withFiles({ "data/synthetic": "format: synthetic\ndocuments: 33\n" }, (configDir) => {
    assertEquals(composeConfig({ configDir }).data.documents, 33);
  });
});

Deno.test("values are read as YAML, but plain words stay text", () => {
  const config = composeConfig({
    overrides: [
      "data.path=/a: b #c",
      "training.learning_rate=3e-3",
      "training.mask_unseen_negatives=false",
      "+training.max_minutes=null",
      "data.name='quoted'",
    ],
  });
  assertEquals(config.data.path, "/a: b #c");
  assertEquals(config.training.learning_rate, 0.003);
  assertEquals(config.training.mask_unseen_negatives, false);
  assertEquals(config.training.max_minutes, null);
  assertEquals(config.data.name, "quoted");
});

Deno.test("all problems of all layers are reported at once, with key, range and origin", () => {
  withFiles({ "train/bad": "training:\n  batch_sise: 3\n  beta1: 2\n" }, (configDir) => {
    const problems = problemsOf({
      configDir,
      configName: "train/bad",
      overrides: [
        "trainin.max_steps=1",
        "training.batch_size=1e9",
        "evaluation.beam=100000",
        "training.max_steps=-1",
        "training.clip_norm=.nan",
        "device.executor=gpu",
        "data=squadd",
        "oops",
      ],
    });
    assertEquals(
      problems.sort(),
      [
        "data: there is no file data/squadd.yaml; did you mean squad_dsi? " +
        "(there are: beir, hotpotqa, jsonl, squad_dsi, synthetic, world) (command line)",
        "device.executor: must be one of onnx, onnx-worker, wasm, cpu, tfjs-node, tfjs-node-gpu, cuda, " +
        'auto, is "gpu" (command line)',
        "evaluation.beam: must be a whole number from 1 to 1000, is 100000 (command line)",
        "oops: is not an override: write section.key=value, such as training.max_steps=10",
        `training.batch_sise: is no such key; did you mean training.batch_size? (${configDir}/train/bad.yaml)`,
        "training.batch_size: must be a whole number from 1 to 65536, is 1000000000 (command line)",
        `training.beta1: must be a number from 0 to 0.9999, is 2 (${configDir}/train/bad.yaml)`,
        "training.clip_norm: must be a number from 0 to 1000000, is NaN (command line)",
        "training.max_steps: must be a whole number from 1 to 100000000, is -1 (command line)",
        "trainin: is no such key; did you mean training? (command line)",
      ].sort(),
    );
  });
});

Deno.test("an unknown key names the key of that name elsewhere, or the family it belongs to", () => {
  assertEquals(problemsOf({ overrides: ["max_steps=3", "model.d_model=3", "model.widht=3"] }), [
    "model.d_model: is a key of the family t5, but model.family is lexical (command line)",
    "model.widht: is no such key; did you mean model.width? (command line)",
    "max_steps: is no such key; did you mean training.max_steps? (command line)",
  ]);
});

Deno.test("keys that are each in range must also fit together, even beside other problems", () => {
  assertEquals(
    problemsOf({
      overrides: [
        "seed=-1",
        "data=jsonl",
        "training.optimizer=adafactor",
        "training.accumulate=2",
        "training.shuffle_labels=true",
        "training.mix={question: 0, template: 0, keywords: 0, span: 0, sentence: 0}",
      ],
    }),
    [
      `seed: must be a whole number from 0 to ${2 ** 53 - 1}, is -1 (command line)`,
      "data.path: is needed because data.format is jsonl: set data.path=<folder>",
      "training.shuffle_labels: is a control only if nothing else knows the documents: set " +
      "model.init=random training.distill.weight=0 (command line)",
      "training.optimizer: must be adamw for a lexical model: adafactor keeps statistics of whole " +
      "matrices, and a step touches only some rows (command line)",
      "training.accumulate: must be 1 for a lexical model, whose batches touch different rows; " +
      "use a larger training.batch_size (command line)",
      "training.mix: needs at least one ratio above 0 (command line)",
    ],
  );
});

Deno.test("a provider has a known name and belongs to an executor of ONNX Runtime", () => {
  const { device } = composeConfig({});
  assertEquals([device.provider, device.provider_fallback], ["cpu", "cpu"]);
  const problems = (...overrides: string[]): string[] => problemsOf({ overrides });
  assertEquals(problems("device.provider=tpu", "device.provider_fallback=none"), [
    'device.provider: must be one of cpu, cuda, webgpu, is "tpu" (command line)',
    'device.provider_fallback: must be one of cpu, error, is "none" (command line)',
  ]);
  assertEquals(problems("device.provider=cuda", "device.executor=wasm"), [
    "device.provider: must be cpu for device.executor=wasm: providers belong to onnx and onnx-worker " +
    "(command line)",
  ]);
  for (const executor of ["onnx", "onnx-worker"]) {
    const overrides = ["device.provider=webgpu", `device.executor=${executor}`];
    assertEquals(composeConfig({ overrides }).device.provider, "webgpu");
  }
});

Deno.test("precision and libraries belong to the executors cuda and auto", () => {
  const { device } = composeConfig({});
  assertEquals([device.precision, device.libraries], ["float32", null]);
  const problems = (...overrides: string[]): string[] => problemsOf({ overrides });
  assertEquals(problems("device.precision=float16", "device.executor=cuda"), [
    'device.precision: must be one of float32, tf32, bfloat16, is "float16" (command line)',
  ]);
  assertEquals(
    problems("device.precision=tf32", "device.libraries=/opt/cuda", "device.executor=wasm"),
    [
      "device.precision: must be float32 for device.executor=wasm: only cuda and auto compute in " +
      "another one (command line)",
      "device.libraries: must be null for device.executor=wasm: only cuda and auto use CUDA's " +
      "libraries (command line)",
    ],
  );
  for (const executor of ["cuda", "auto"]) {
    const overrides = [
      `device.executor=${executor}`,
      "device.precision=bfloat16",
      "device.libraries=/x",
    ];
    const { device } = composeConfig({ overrides });
    assertEquals([device.precision, device.libraries], ["bfloat16", "/x"]);
  }
});

Deno.test("joint training: objective, candidates and start must fit together", () => {
  const problems = (...overrides: string[]): string[] => problemsOf({ overrides });
  assertEquals(problems("joint.objective=drawn_utility"), [
    "joint.distribution: must be draws for joint.objective=drawn_utility (command line)",
  ]);
  assertEquals(problems("joint.distribution=draws"), [
    "joint.distribution: can be draws only with joint.objective=drawn_utility (command line)",
  ]);
  assertEquals(problems("joint.objective=annealed", "joint.distribution=gumbel_top_k"), [
    "joint.objective: can't be annealed with joint.distribution=gumbel_top_k, whose weights correct " +
    "for the chance of being drawn and must not be flattened: take exact or top_k (command line)",
  ]);
  assertEquals(problems("joint.candidates=null"), [
    "joint.candidates: is needed for joint.distribution=top_k: give a number (command line)",
  ]);
  const draws = ["joint.objective=drawn_utility", "joint.distribution=draws"];
  assertEquals(problems(...draws, "joint.candidates=1"), [
    "joint.candidates: must be 2 or more for joint.distribution=draws: a draw is compared with the " +
    "others (command line)",
  ]);
  assertEquals(problems(...draws, "joint.gate_weight=1"), [
    "joint.gate_weight: must be 0 for joint.distribution=draws: the value of a retrieval is a sum over " +
    "different documents (command line)",
  ]);
  assertEquals(problems("joint.index=a/run", "joint.pretrain=false"), [
    "joint.pretrain: is false, but joint.index names a trained index: leave one of them out " +
    "(command line)",
  ]);
  assertEquals(problems("joint.gate_weight=1", "agent.budget=0"), [
    "joint.gate_weight: needs agent.budget of 1 or more: without one there is nothing to decide " +
    "(command line)",
  ]);
  for (const fine of [draws, ["joint.distribution=exact", "joint.candidates=null"]]) {
    assertEquals(composeConfig({ overrides: fine }).joint.mass, 0.99);
  }
});

Deno.test("sections, texts and families of the wrong kind say what they must be", () => {
  assertEquals(problemsOf({ overrides: ["training=3", "data.name=2024", "model.family=gpt9"] }), [
    `data.name: must be text, is 2024 (write '"2024"') (command line)`,
    'model.family: must be one of lexical, t5, is "gpt9" (command line)',
    "training: must be a section with keys, is 3 (command line)",
  ]);
});

Deno.test("interpolation, cycles, broken YAML and missing files are problems, not surprises", () => {
  withFiles({
    "train/a": "defaults:\n  - train/b\n",
    "train/b": "defaults:\n  - train/a\n",
    "train/broken": "seed: [1\n",
    "train/list": "- 1\n",
    "train/odd": "defaults:\n  - {data: synthetic, model: dsi_tiny}\n  - optimizer: adam\n",
    "train/interpolated": "data:\n  name: ${seed}\n",
  }, (configDir) => {
    const first = (configName: string): string => problemsOf({ configDir, configName })[0];
    assertStringIncludes(first("train/a"), "go in a circle: train/a -> train/b -> train/a");
    assertStringIncludes(first("train/broken"), "is not YAML");
    assertStringIncludes(first("train/list"), "is not a mapping");
    assertStringIncludes(first("train/odd"), "neither a file name nor");
    assertStringIncludes(first("train/interpolated"), "cannot refer to other keys");
    assertStringIncludes(first("../../etc/passwd"), "there is no file ../../etc/passwd.yaml");
    assertStringIncludes(first("train/dsi_pretrian"), "did you mean train/dsi_pretrain?");
  });
  assertStringIncludes(
    problemsOf({ overrides: ["data=/my/documents"] })[0],
    "for a folder write data.path=<folder>",
  );
  assertStringIncludes(problemsOf({ overrides: ["training.mix={a"] })[0], "not YAML");
  assertStringIncludes(problemsOf({ configDir: "no/such/folder" })[0], "--config-dir");
});

Deno.test("a key named __proto__ reaches nothing", () => {
  withFiles({ "train/evil": "__proto__:\n  seed: 4\n" }, (configDir) => {
    assertStringIncludes(
      problemsOf({ configDir, configName: "train/evil" })[0],
      "__proto__: is no such key",
    );
  });
  assertStringIncludes(problemsOf({ overrides: ["__proto__.seed=4"] })[0], "is no such key");
  assertEquals(({} as Record<string, unknown>).seed, undefined);
});

Deno.test("a configuration cannot be changed", () => {
  const config = composeConfig() as unknown as { training: { max_steps: number } };
  assertThrows(() => config.training.max_steps = 5, TypeError);
});

Deno.test("what printConfig writes composes to the same configuration", () => {
  const override = fc.oneof(
    fc.integer({ min: 1, max: 65536 }).map((n) => `training.batch_size=${n}`),
    fc.double({ min: 1e-8, max: 10, noNaN: true }).map((x) => `training.learning_rate=${x}`),
    fc.double({ min: 0, max: 1, noNaN: true }).map((x) => `training.distill.weight=${x}`),
    fc.string({ minLength: 1 }).filter((s) => !s.includes("${")).map((s) =>
      `data.path=${JSON.stringify(s)}`
    ),
    fc.constantFrom("model=t5_tiny", "model=dsi_base", "docid=atomic", "data.name=~x", "seed=0"),
  );
  fc.assert(
    fc.property(fc.array(override, { maxLength: 6 }), (overrides) => {
      const config = composeConfig({ overrides });
      const text = printConfig(config);
      assertEquals(composeConfig({ resolved: { text, origin: "config.yaml" } }), config);
    }),
    { numRuns: 50 },
  );
});

Deno.test("overrides apply on top of a resolved configuration", () => {
  const text = printConfig(composeConfig({ overrides: ["model=t5_tiny", "seed=3"] }));
  const config = composeConfig({
    resolved: { text, origin: "run/config.yaml" },
    overrides: ["training.max_steps=20"],
  });
  assert(config.model.family === "t5");
  assertEquals([config.model.d_model, config.seed, config.training.max_steps], [64, 3, 20]);
});
