/** NVRTC: CUDA C++ to machine code, in this process. @module */
import { DeviceError } from "../../errors.ts";
import { type LibraryOptions, type OpenedLibrary, openLibrary } from "./find_libraries.ts";
import { cText, integers, textAt, textIn, textTable, words } from "./host_memory.ts";

/** As nvrtc.h has them: an nvrtcProgram is `u64`, every result an nvrtcResult. */
const SYMBOLS = {
  nvrtcGetErrorString: { parameters: ["i32"], result: "u64" },
  nvrtcVersion: { parameters: ["buffer", "buffer"], result: "i32" },
  nvrtcGetNumSupportedArchs: { parameters: ["buffer"], result: "i32" },
  nvrtcGetSupportedArchs: { parameters: ["buffer"], result: "i32" },
  nvrtcCreateProgram: {
    parameters: ["buffer", "buffer", "buffer", "i32", "buffer", "buffer"],
    result: "i32",
  },
  nvrtcDestroyProgram: { parameters: ["buffer"], result: "i32" },
  nvrtcCompileProgram: { parameters: ["u64", "i32", "buffer"], result: "i32" },
  nvrtcGetCUBINSize: { parameters: ["u64", "buffer"], result: "i32" },
  nvrtcGetCUBIN: { parameters: ["u64", "buffer"], result: "i32" },
  nvrtcGetProgramLogSize: { parameters: ["u64", "buffer"], result: "i32" },
  nvrtcGetProgramLog: { parameters: ["u64", "buffer"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

const SUCCESS = 0;
const ERROR_COMPILATION = 6;
/** Bytes of the compiler's log that an error shows at most. */
const LOG_SHOWN = 8_000;

/** Options that every kernel is compiled with. */
export const COMPILE_OPTIONS: readonly string[] = ["--std=c++17", "--fmad=true"];

/** The compiler. */
export class Nvrtc {
  /** File it was loaded from. */
  readonly path: string;
  /** Its version: `"13.0"`. */
  readonly version: string;
  /** Architectures it compiles for: `["sm_75", …]`. */
  readonly architectures: readonly string[];
  readonly #library: OpenedLibrary<typeof SYMBOLS>;
  readonly #c: OpenedLibrary<typeof SYMBOLS>["symbols"];

  private constructor(library: OpenedLibrary<typeof SYMBOLS>) {
    this.#library = library;
    this.#c = library.symbols;
    this.path = library.path;
    const [major, minor, count] = [integers(1), integers(1), integers(1)];
    const action = "start the compiler of kernels";
    this.#check(action, "nvrtcVersion", this.#c.nvrtcVersion(major, minor));
    this.#check(action, "nvrtcGetNumSupportedArchs", this.#c.nvrtcGetNumSupportedArchs(count));
    const list = integers(count[0]!);
    this.#check(action, "nvrtcGetSupportedArchs", this.#c.nvrtcGetSupportedArchs(list));
    this.version = `${major[0]}.${minor[0]}`;
    this.architectures = [...list].map((number) => `sm_${number}`);
  }

  /** Load it. @throws {DeviceError} If it is not found */
  static open(options: LibraryOptions = {}): Nvrtc {
    const library = openLibrary("nvrtc", SYMBOLS, options);
    try {
      return new Nvrtc(library);
    } catch (error) {
      library.close();
      throw error;
    }
  }

  /**
   * Compile CUDA C++.
   *
   * @param source Self-contained: no headers
   * @param architecture `"sm_90"`
   * @returns A cubin: machine code for that architecture
   * @throws {DeviceError} If the architecture is not one of {@link architectures}, or the source does
   * not compile; the message then holds the compiler's log
   */
  compile(source: string, architecture: string): Uint8Array<ArrayBuffer> {
    if (!this.architectures.includes(architecture)) {
      throw new DeviceError(
        `Cannot compile for ${architecture}: NVRTC ${this.version} knows ` +
          `${this.architectures.join(", ")}. Install the version of CUDA made for this GPU`,
      );
    }
    const program = words(1);
    const created = this.#c.nvrtcCreateProgram(
      program,
      cText(source),
      cText("kernels.cu"),
      0,
      null,
      null,
    );
    this.#check("compile kernels", "nvrtcCreateProgram", created);
    try {
      return this.#compiled(program[0]!, architecture);
    } finally {
      this.#c.nvrtcDestroyProgram(program);
    }
  }

  #compiled(program: bigint, architecture: string): Uint8Array<ArrayBuffer> {
    const options = [`--gpu-architecture=${architecture}`, ...COMPILE_OPTIONS].map(cText);
    const code = this.#c.nvrtcCompileProgram(program, options.length, textTable(options));
    if (code === ERROR_COMPILATION) {
      throw new DeviceError(
        `Cannot compile kernels for ${architecture}: the source has errors\n${this.#log(program)}`,
      );
    }
    if (code !== SUCCESS) {
      throw new DeviceError(
        `Cannot compile kernels for ${architecture}: nvrtcCompileProgram gave ` +
          `${this.#error(code)} with ${this.path}\n${this.#log(program)}`,
      );
    }
    const size = words(1);
    const action = "take the compiled kernels";
    this.#check(action, "nvrtcGetCUBINSize", this.#c.nvrtcGetCUBINSize(program, size));
    const cubin = new Uint8Array(new ArrayBuffer(Number(size[0]!)));
    this.#check(action, "nvrtcGetCUBIN", this.#c.nvrtcGetCUBIN(program, cubin));
    return cubin;
  }

  #log(program: bigint): string {
    const size = words(1);
    if (this.#c.nvrtcGetProgramLogSize(program, size) !== SUCCESS || size[0] === 0n) return "";
    const log = new Uint8Array(new ArrayBuffer(Number(size[0]!)));
    if (this.#c.nvrtcGetProgramLog(program, log) !== SUCCESS) return "";
    const text = textIn(log).trim();
    return text.length <= LOG_SHOWN ? text : `${text.slice(0, LOG_SHOWN)}\n…`;
  }

  #error(code: number): string {
    return `${textAt(this.#c.nvrtcGetErrorString(code)) || "an unknown error"} (${code})`;
  }

  #check(action: string, call: string, code: number): void {
    if (code === SUCCESS) return;
    throw new DeviceError(`Cannot ${action}: ${call} gave ${this.#error(code)}`);
  }

  /** Give the library back. */
  close(): void {
    this.#library.close();
  }
}
