/**
 * A small agent in a small world: the warm start teaches to read and to remember, policy optimisation when
 * to do which. What it must reach is a floor far below what larger ones reach (docs/results.md).
 */
import { assert, assertGreaterOrEqual, assertLessOrEqual } from "@std/assert";
import { composeConfig, formatAgentEvaluation, trainAgent } from "../../mod.ts";
import { withFolder } from "../with_folder.ts";

Deno.test("a small agent learns to look up what it does not know, and nothing else", () =>
  withFolder(async (folder) => {
    const config = composeConfig({
      configName: "train/agent_grpo",
      overrides: [
        "data.world.entities=300",
        "data.world.dev_questions=300",
        "agent.policy.vocab_size=1000",
        "agent.policy.width=96",
        "agent.policy.inner_width=288",
        "agent.policy.layers=3",
        "agent.warm_start.steps=900",
        "agent.warm_start.batch_size=96",
        "agent.warm_start.learning_rate=0.003",
        "agent.iterations=25",
        "agent.questions=48",
        "agent.learning_rate=3e-4",
        "agent.eval_every=0",
        "agent.trajectories_every=0",
        `output.dir=${folder}/run`,
      ],
    });
    const { before, evaluation, ended, seconds } = await trainAgent(config);
    assert(ended === "finished" && before && evaluation);
    console.log(
      `${seconds.warmStart.toFixed(0)} s of warm start, ${seconds.policy.toFixed(0)} s of policy ` +
        `optimisation\n${formatAgentEvaluation(evaluation)}`,
    );
    const [agent, never, always] = evaluation.agents, [first] = before.agents;
    assertLessOrEqual(agent.regret!.value, 0.12);
    assertLessOrEqual(agent.regret!.value, first.regret!.value);
    assertGreaterOrEqual(agent.return.value, always.return.value);
    assertGreaterOrEqual(agent.return.value, never.return.value + 0.2);
    assertGreaterOrEqual(agent.retrievesOnUnknown!.value, 0.85);
    assertLessOrEqual(agent.retrievesOnKnown!.value, 0.15);
  }));
