/** Is there an NVIDIA GPU, and all that the executor cuda needs? @module */
import type { CudaFacts, LibraryFacts } from "../runtime/cuda/cuda_facts.ts";
import { type Finding, gib } from "./doctor_checks.ts";

/** What went wrong in one line, and the remedy if the message ends with one. */
function told({ message }: Error): Pick<Finding, "detail" | "remedy"> {
  const [first, ...rest] = message.split("\n");
  const places = rest.filter((line) => line.startsWith("  ")).map((line) => line.trim());
  const tried = places.filter((place) => !place.endsWith(": not there"));
  const absent = places.length - tried.length;
  const where = [...tried, ...(absent ? [`${absent} places where it is not`] : [])];
  return {
    detail: [first, ...where.slice(0, 1)].join(" ") +
      where.slice(1).map((place) => `; ${place}`).join(""),
    remedy: rest.find((line) => !line.startsWith("  ")),
  };
}

const libraryText = ({ version, path }: LibraryFacts): string => `${version}, ${path}`;

function libraryFinding(
  name: string,
  facts: CudaFacts["nvrtc"] | CudaFacts["cublasLt"],
): Finding {
  if (facts instanceof Error) return { name, status: "missing", ...told(facts), isNeeded: false };
  const architectures = "architectures" in facts ? facts.architectures : [];
  const range = architectures.length
    ? `; compiles for ${architectures[0]} to ${architectures.at(-1)}`
    : "";
  return { name, status: "ok", detail: libraryText(facts) + range, isNeeded: false };
}

/**
 * Is there an NVIDIA GPU, and can it be used?
 *
 * @param facts What there is of CUDA
 */
export function gpuFindings(facts: CudaFacts): Finding[] {
  const { driver, devices, nvrtc, cublasLt } = facts;
  const name = "GPU", isNeeded = false;
  const remedy = "nothing to do: all commands run without one";
  if (driver instanceof Error) {
    return [{ name, status: "missing", detail: told(driver).detail, remedy, isNeeded }];
  }
  const about = `NVIDIA's driver for CUDA ${libraryText(driver)}`;
  if (devices instanceof Error) {
    const problem = told(devices);
    const detail = `${problem.detail}; ${about}`;
    return [{ name, status: "missing", detail, remedy: problem.remedy ?? remedy, isNeeded }];
  }
  if (!devices.length) {
    return [{ name, status: "missing", detail: `none; ${about}`, remedy, isNeeded }];
  }
  const list = devices.map((d) =>
    `${d.name}, ${gib(d.memory)}, compute capability ${d.capability.join(".")}`
  );
  return [
    { name, status: "ok", detail: [...list, about].join("; "), isNeeded },
    libraryFinding("NVRTC", nvrtc),
    libraryFinding("cuBLASLt", cublasLt),
  ];
}
