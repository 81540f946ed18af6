/** NVRTC itself, where it is installed: it needs no GPU. */
import { assert, assertEquals, assertThrows } from "@std/assert";
import { DeviceError } from "../../../../src/errors.ts";
import { Nvrtc } from "../../../../src/runtime/cuda/nvrtc.ts";

function found(): boolean {
  try {
    Nvrtc.open().close();
    return true;
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log("NVRTC is not tested: it is not found here (pip install nvidia-cuda-nvrtc).");
    return false;
  }
}

const ignore = !found();

const SOURCE = `
extern "C" __global__ void scale(float* x, long long n) {
  __shared__ float tile[256];
  long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  tile[threadIdx.x] = i < n ? x[i] : 0.0f;
  __syncthreads();
  if (i < n) x[i] = 2.0f * tile[threadIdx.x] + 1.0f;
}`;

/** e_machine of an ELF file for CUDA. */
const EM_CUDA = 190;

Deno.test({
  name: "machine code for each architecture, with the kernel in it",
  ignore,
  fn(): void {
    const nvrtc = Nvrtc.open();
    try {
      for (const architecture of ["sm_80", "sm_90", "sm_100"]) {
        if (!nvrtc.architectures.includes(architecture)) continue;
        const cubin = nvrtc.compile(SOURCE, architecture);
        assertEquals([...cubin.subarray(0, 4)], [0x7f, 0x45, 0x4c, 0x46]);
        assertEquals(new DataView(cubin.buffer).getUint16(18, true), EM_CUDA);
        assert(new TextDecoder("latin1").decode(cubin).includes(".text.scale"));
      }
      assert(/^\d+\.\d+$/.test(nvrtc.version), nvrtc.version);
    } finally {
      nvrtc.close();
    }
  },
});

Deno.test({
  name: "errors show the compiler's log, and what it compiles for",
  ignore,
  fn(): void {
    const nvrtc = Nvrtc.open();
    try {
      const [architecture] = nvrtc.architectures.slice(-1);
      const broken = SOURCE.replace("tile[256]", "tile[width]");
      assertThrows(
        () => nvrtc.compile(broken, architecture!),
        DeviceError,
        'kernels.cu(3): error: identifier "width" is undefined',
      );
      assertThrows(
        () => nvrtc.compile(SOURCE, "sm_30"),
        DeviceError,
        `Cannot compile for sm_30: NVRTC ${nvrtc.version} knows sm_`,
      );
      assert(nvrtc.compile(SOURCE, architecture!).length > 0);
    } finally {
      nvrtc.close();
    }
  },
});
