/** All commands, in the order in which a newcomer meets them. @module */
import type { Command } from "./command.ts";
import { doctor } from "./doctor.ts";
import { prepareData } from "./prepare_data.ts";

/** All commands. */
export const commands: readonly Command[] = [prepareData, doctor];
