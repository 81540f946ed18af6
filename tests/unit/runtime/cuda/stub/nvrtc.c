/* A stand-in for NVRTC: the "cubin" is the source, prefixed with "STUB " and ended by a zero; a source
   with "#error" does not compile. Prototypes as in NVIDIA's nvrtc.h. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef int nvrtcResult;
typedef struct _nvrtcProgram { char *source, *log; } *nvrtcProgram;

static int alive, compiled;
void stub_programs(int *into) { into[0] = alive; into[1] = compiled; }

const char *nvrtcGetErrorString(nvrtcResult result) { return result == 5 ? "NVRTC_ERROR_INVALID_OPTION" : "NVRTC_ERROR"; }
nvrtcResult nvrtcVersion(int *major, int *minor) { *major = 12; *minor = 8; return 0; }
nvrtcResult nvrtcGetNumSupportedArchs(int *count) { *count = 2; return 0; }
nvrtcResult nvrtcGetSupportedArchs(int *archs) { archs[0] = 80; archs[1] = 90; return 0; }
nvrtcResult nvrtcCreateProgram(nvrtcProgram *prog, const char *src, const char *name, int numHeaders,
                               const char *const *headers, const char *const *includeNames) {
  if (numHeaders || headers || includeNames || strcmp(name, "kernels.cu")) return 3;
  *prog = calloc(1, sizeof **prog);
  (*prog)->source = strdup(src); (*prog)->log = ""; alive++;
  return 0;
}
nvrtcResult nvrtcDestroyProgram(nvrtcProgram *prog) { alive--; free((*prog)->source); free(*prog); *prog = NULL; return 0; }
nvrtcResult nvrtcCompileProgram(nvrtcProgram prog, int numOptions, const char *const *options) {
  compiled++;
  const char *wanted[] = { "--gpu-architecture=sm_90", "--std=c++17", "--fmad=true" };
  if (numOptions != 3) return 5;
  for (int i = 0; i < 3; i++) if (strcmp(options[i], wanted[i])) return 5;
  if (!strstr(prog->source, "#error")) return 0;
  prog->log = "kernels.cu(1): error: told to";
  return 6;
}
nvrtcResult nvrtcGetCUBINSize(nvrtcProgram prog, size_t *size) { *size = strlen(prog->source) + 6; return 0; }
nvrtcResult nvrtcGetCUBIN(nvrtcProgram prog, char *cubin) { strcpy(cubin, "STUB "); strcat(cubin, prog->source); return 0; }
nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram prog, size_t *size) { *size = strlen(prog->log) + 1; return 0; }
nvrtcResult nvrtcGetProgramLog(nvrtcProgram prog, char *log) { strcpy(log, prog->log); return 0; }
