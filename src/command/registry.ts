/** All commands, in the order in which a newcomer meets them. @module */
import { ask } from "./ask.ts";
import type { Command } from "./command.ts";
import { demo } from "./demo.ts";
import { doctor } from "./doctor.ts";
import { evaluateModel } from "./evaluate_model.ts";
import { exportCommand } from "./export.ts";
import { exportModelCommand } from "./export_model.ts";
import { fineTuneCommand } from "./fine_tune.ts";
import { generateText } from "./generate_text.ts";
import { prepareData } from "./prepare_data.ts";
import { retrieve } from "./retrieve.ts";
import { setupTfjsNode } from "./setup_tfjs_node.ts";
import { trainAgentCommand } from "./train_agent.ts";
import { trainDsiCommand } from "./train_dsi.ts";
import { trainJointCommand } from "./train_joint.ts";

/** All commands. */
export const commands: readonly Command[] = [
  demo,
  prepareData,
  trainDsiCommand,
  trainAgentCommand,
  trainJointCommand,
  evaluateModel,
  retrieve,
  ask,
  exportCommand,
  generateText,
  fineTuneCommand,
  exportModelCommand,
  doctor,
  setupTfjsNode,
];
