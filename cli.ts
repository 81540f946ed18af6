/**
 * Command line interface: `deno run -A cli.ts <command> [flags] [key=value …]`.
 *
 * @module
 */
import { runCli } from "./src/command/run_cli.ts";

if (import.meta.main) Deno.exit(await runCli(Deno.args));
