/**
 * One step of joint training with every document as a candidate, and the peak memory of the process that
 * takes it, for a lexical and a T5 index.
 *
 *     deno run -A bench/joint_memory.ts --data=<folder in JSONL layout> --batch=16
 *
 * Weights are random: what is measured does not depend on them. Further arguments of the form key=value
 * override the configuration: a small policy reads fast. Linux only.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import {
  askingSituation,
  composeConfig,
  JOINT_OBJECTIVES,
  onnxExecutor,
  openDocumentDistribution,
  openJointLearner,
  openJointObjective,
  openPolicyJudge,
  Optimizer,
  ParameterStore,
  policyParamSpecs,
  policyRules,
} from "../mod.ts";
import { loadAgentData, prepareAgent } from "../src/recipe/prepare_agent.ts";
import { prepareIndex } from "../src/recipe/prepare_index.ts";
import { ruleOf } from "../src/recipe/train_index.ts";

const { data: path, batch, model, _: overrides } = parseArgs(Deno.args, {
  string: ["data", "batch", "model"],
  default: { batch: "16" },
});
if (!path) throw new TypeError("give --data=<folder>");

if (!model) {
  for (const name of ["t5_tiny", "t5_small", "dsi_base"]) {
    const { code } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--quiet", import.meta.filename!, ...Deno.args, `--model=${name}`],
      stdout: "inherit",
      stderr: "inherit",
    }).output();
    if (code) Deno.exit(code);
  }
  Deno.exit();
}

const config = composeConfig({
  overrides: [
    "data=jsonl",
    `data.path=${path}`,
    `model=${model}`,
    "docid=semantic",
    ...overrides.map(String),
  ],
});
const data = await loadAgentData(config), executor = onnxExecutor();
const index = prepareIndex(data, config), { model: subject, tokenizer } = index;
const store = new ParameterStore(subject.specs, { rule: ruleOf(config) });
subject.start(store);
await using agent = await prepareAgent(config, data, { executor });
const { protocol } = agent.environment;
const specs = policyParamSpecs(agent.start.config, false);
const policy = new ParameterStore(specs);
policy.initialise(1);
const rules = policyRules(protocol);
const judge = await openPolicyJudge({
  executor,
  config: agent.start.config,
  specs,
  rules,
  rows: 128,
});
const padId = tokenizer.padId ?? 0;
const distribution = await openDocumentDistribution(executor, {
  kind: "exact",
  scorer: subject.scorer,
  trie: subject.trie,
  specs: subject.specs,
  parameters: store.params,
  padId,
  batchSize: Number(batch),
});
const objective = await openJointObjective(executor, {
  objective: JOINT_OBJECTIVES[0],
  isRenormalized: false,
});
const learner = await openJointLearner({
  executor,
  model: subject,
  optimizer: new Optimizer(store),
  encode: (text) => tokenizer.encode(text),
  distribution,
  objective,
  protocol,
  documents: data.documents,
  judge: async (texts) => (await judge.judge(policy.params, texts)).map((one) => one.logProbs),
});
const questions = data.queries.dev.filter(({ answers }) => answers.length).slice(0, Number(batch));
const random = { seed: 1, stream: "bench", step: 0 };
const situations = questions.map((question) => askingSituation(question, 0.1, protocol));
const began = performance.now();
const judged = await learner.judge(situations, random);
const read = performance.now();
await learner.differentiate(judged, { replay: [], replayWeight: 0 });
const done = performance.now();
const peak = Number(/VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync("/proc/self/status"))![1]);
console.log(
  `${model.padEnd(9)} ${data.documents.length} documents × ${questions.length} questions: peak ` +
    `${(peak / 1024 ** 2).toFixed(2)} GiB; p(d|q) and reading ${
      ((read - began) / 1000).toFixed(1)
    } s, ` +
    `gradient of the index ${((done - read) / 1000).toFixed(1)} s`,
);
Deno.exit();
