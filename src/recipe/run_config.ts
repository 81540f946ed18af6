/** The configuration that a run was made with. @module */
import { composeConfig, type ResolvedConfig } from "../config/mod.ts";
import type { RunFolder } from "./run_folder.ts";

/**
 * The resolved configuration of a run.
 *
 * @throws {ConfigError} If its config.yaml is no configuration
 */
export function configOf(run: RunFolder): ResolvedConfig {
  return composeConfig({ resolved: { text: run.config, origin: run.file("config.yaml") } });
}
