/**
 * Every error class of the project. Imports nothing.
 *
 * Message form: "Cannot *action*: *current state*", then the remedy if there is one.
 *
 * @module
 */

/** Base of every error this project throws on purpose: bad input or a broken promise, never a bug. */
export class DeepragError extends Error {
  /** Name of the class. */
  override name = "DeepragError";
}

/** A tensor does not have the axes or sizes that its name promises. */
export class ShapeError extends DeepragError {
  /** Name of the class. */
  override name = "ShapeError";
}

/** Where a piece of bad data stands. */
export interface DataLocation {
  /** Path as the user gave it. */
  file?: string;
  /** 1-based line. */
  line?: number;
}

/** A data file is missing, broken or contradicts another one. */
export class DataError extends DeepragError {
  /** Name of the class. */
  override name = "DataError";
  /** Path of the offending file, where one is known. */
  readonly file?: string;
  /** 1-based line of the offending record, where one is known. */
  readonly line?: number;

  /** The location, where given, is put in front of `message` as `file:line:`. */
  constructor(message: string, location: DataLocation = {}, options?: ErrorOptions) {
    const { file, line } = location;
    super(file ? `${file}${line ? `:${line}` : ""}: ${message}` : message, options);
    this.file = file;
    this.line = line;
  }
}

/** One problem of a configuration: the dotted path of the key, and what is wrong with it. */
export interface ConfigProblem {
  /** Dotted path, such as `training.max_steps`. */
  key: string;
  /** What is wrong and what would be right. */
  message: string;
}

/** A configuration has problems. All of them are reported at once. */
export class ConfigError extends DeepragError {
  /** Name of the class. */
  override name = "ConfigError";
  /** Every problem found. */
  readonly problems: readonly ConfigProblem[];

  /**
   * Lists all problems in the message.
   *
   * @param problems Every problem found; at least one
   * @param what What can't be used. Default: `this configuration`
   */
  constructor(problems: readonly ConfigProblem[], what = "this configuration") {
    const list = problems.map((p) => `  ${p.key}: ${p.message}`).join("\n");
    const n = problems.length;
    super(`Cannot use ${what}: ${n} problem${n === 1 ? "" : "s"}\n${list}`);
    this.problems = problems;
  }
}

/** A command line names a command or flag that does not exist, or leaves out what is needed. */
export class UsageError extends DeepragError {
  /** Name of the class. */
  override name = "UsageError";
}

/** A kernel is not available on the backend that was asked to run or record it. */
export class KernelError extends DeepragError {
  /** Name of the class. */
  override name = "KernelError";
}

/** A model did something while being recorded that a graph cannot express. */
export class TraceError extends DeepragError {
  /** Name of the class. */
  override name = "TraceError";
}

/** A checkpoint or weight file is missing, truncated, or does not fit the model. */
export class CheckpointError extends DeepragError {
  /** Name of the class. */
  override name = "CheckpointError";
}

/** What {@linkcode SetupError} found missing. */
export type MissingPart = "compiler" | "library" | "headers" | "package" | "addon" | "platform";

/** Something that has to be installed on this machine is not there, or does not work. */
export class SetupError extends DeepragError {
  /** Name of the class. */
  override name = "SetupError";
  /** What is missing. */
  readonly missing: MissingPart;
  /** The message without its remedy. */
  readonly reason: string;
  /** What to do about it. */
  readonly remedy: string;

  /** The message is `reason`, then `remedy`. */
  constructor(
    missing: MissingPart,
    { reason, remedy }: { reason: string; remedy: string },
    options?: ErrorOptions,
  ) {
    super(`${reason}${reason.endsWith("\n") ? "" : ". "}${remedy}`, options);
    this.missing = missing;
    this.reason = reason;
    this.remedy = remedy;
  }
}

/** A remote resource could not be had, or is not what it claims to be. */
export class RemoteError extends DeepragError {
  /** Name of the class. */
  override name = "RemoteError";
}

/** A GPU, its driver or one of its libraries is missing, refused to work, or ran out of memory. */
export class DeviceError extends DeepragError {
  /** Name of the class. */
  override name = "DeviceError";
}
