/** Builds C++ for this processor, and remembers what it built. @module */
import { join } from "@std/path";
import { DeviceError } from "../../errors.ts";
import { userCacheFolder } from "../user_cache.ts";

const FLAGS = [
  "-std=c++17",
  "-shared",
  "-fPIC",
  "-w",
  // One rounding for each operation, as the source says.
  "-ffp-contract=off",
  "-fno-math-errno",
  "-fno-strict-aliasing",
  "-fwrapv",
  "-fno-exceptions",
  "-fno-rtti",
  "-fno-stack-protector",
  "-fno-asynchronous-unwind-tables",
  // Equal names in two libraries are two things.
  "-fno-gnu-unique",
  "-fvisibility-inlines-hidden",
  "-Wl,-Bsymbolic",
  // Jumps between stacks are wanted here.
  "-U_FORTIFY_SOURCE",
];

/** A C++ compiler that was found to work. */
export interface HostCompiler {
  /**
   * Build a shared library; one that was built before is taken from the cache.
   *
   * @param source C++
   * @param flags More flags
   * @returns Path of a file of its own, which the caller removes: a library that two threads of this
   *   process load from one file would share its variables
   * @throws {DeviceError} If it does not compile; the message holds the compiler's log
   */
  build(source: string, flags: readonly string[]): Promise<string>;
}

/**
 * Find the C++ compiler.
 *
 * @param command Default: `g++`
 * @throws {DeviceError} If there is none
 */
export async function findHostCompiler(command = "g++"): Promise<HostCompiler> {
  const version = await run(command, ["--version"]).catch((cause) => {
    throw new DeviceError(
      `Cannot open the host device: there is no C++ compiler ${command}. ` +
        "Install it (Debian, Ubuntu: `apt install g++`), or pass `compiler`.",
      { cause },
    );
  });
  const identity = `${command}\n${version.output}\n${Deno.build.arch}`;
  const folder = await cacheFolder();
  return {
    async build(source, flags): Promise<string> {
      const all = [...FLAGS, ...flags];
      const key = await digest([identity, ...all, source].join("\0"));
      const kept = join(folder, `${key}.so`);
      const own = join(folder, `${key}.${crypto.randomUUID()}.so`);
      try {
        await Deno.copyFile(kept, own);
        return own;
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound)) throw error;
      }
      const { isOk, output } = await run(
        command,
        [...all, "-x", "c++", "-", "-o", own, "-lm"],
        source,
      );
      if (!isOk) throw new DeviceError(`Cannot compile kernels: ${command} says\n${output}`);
      const copy = `${own}.new`;
      await Deno.copyFile(own, copy);
      await Deno.rename(copy, kept);
      return own;
    },
  };
}

/** Where libraries are kept from one process to the next. */
async function cacheFolder(): Promise<string> {
  const own = Deno.env.get("DEEPRAG_CACHE");
  const folder = own ? join(own, "host") : userCacheFolder("host");
  try {
    if (folder) {
      await Deno.mkdir(folder, { recursive: true });
      return folder;
    }
  } catch {
    // A cache that can't be written is none.
  }
  return await Deno.makeTempDir({ prefix: "deeprag-host-" });
}

async function digest(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(bytes).toHex().slice(0, 32);
}

async function run(
  command: string,
  args: readonly string[],
  input = "",
): Promise<{ isOk: boolean; output: string }> {
  const child = new Deno.Command(command, {
    args: [...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
    env: { LC_ALL: "C" },
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(input)).then(() => writer.close())
    .catch(() => undefined); // It ended without reading; its status says why.
  const [{ success, stdout, stderr }] = await Promise.all([child.output(), written]);
  const decoder = new TextDecoder();
  return { isOk: success, output: decoder.decode(stdout) + decoder.decode(stderr) };
}
