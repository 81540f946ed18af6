/** The configuration of a run that is to go on. @module */
import type { ResolvedConfig } from "../config/mod.ts";
import type { CommandContext } from "./command.ts";

/**
 * The configuration of a command; where it names a run to resume, that run's own with the overrides on top.
 *
 * @param config Composes configurations
 * @param resumeOf Folder of the run to resume, as the configuration names it
 * @throws {CheckpointError} If there is no such run
 */
export async function resumedConfig(
  config: CommandContext["config"],
  resumeOf: (config: ResolvedConfig) => string | null,
): Promise<ResolvedConfig> {
  const resolved = config(), resume = resumeOf(resolved);
  if (resume === null) return resolved;
  const { openRunFolder } = await import("../recipe/run_folder.ts");
  const run = await openRunFolder(resume);
  return config({ text: run.config, origin: run.file("config.yaml") });
}
