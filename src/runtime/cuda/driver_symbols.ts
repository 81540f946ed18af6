/**
 * The functions of libcuda that are used, under the names that cuda.h maps them to. Handles
 * (CUcontext, CUstream, …), CUdeviceptr and host addresses are `u64`; what C writes to or reads at
 * once is `buffer`; size_t is `usize`; every result is a CUresult.
 *
 * @module
 */

/** Functions of the driver; `cuFuncLoad` exists since CUDA 12.4. */
export const DRIVER_SYMBOLS = {
  cuInit: { parameters: ["u32"], result: "i32" },
  cuGetErrorName: { parameters: ["i32", "buffer"], result: "i32" },
  cuGetErrorString: { parameters: ["i32", "buffer"], result: "i32" },
  cuDriverGetVersion: { parameters: ["buffer"], result: "i32" },
  cuDeviceGetCount: { parameters: ["buffer"], result: "i32" },
  cuDeviceGet: { parameters: ["buffer", "i32"], result: "i32" },
  cuDeviceGetName: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuDeviceGetAttribute: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cuDeviceTotalMem_v2: { parameters: ["buffer", "i32"], result: "i32" },
  cuDevicePrimaryCtxRetain: { parameters: ["buffer", "i32"], result: "i32" },
  cuDevicePrimaryCtxRelease_v2: { parameters: ["i32"], result: "i32" },
  cuCtxSetCurrent: { parameters: ["u64"], result: "i32" },
  cuMemGetInfo_v2: { parameters: ["buffer", "buffer"], result: "i32" },
  cuMemAlloc_v2: { parameters: ["buffer", "usize"], result: "i32" },
  cuMemFree_v2: { parameters: ["u64"], result: "i32" },
  cuMemHostAlloc: { parameters: ["buffer", "usize", "u32"], result: "i32" },
  cuMemFreeHost: { parameters: ["u64"], result: "i32" },
  cuMemcpyHtoDAsync_v2: { parameters: ["u64", "u64", "usize", "u64"], result: "i32" },
  cuMemcpyDtoHAsync_v2: { parameters: ["buffer", "u64", "usize", "u64"], result: "i32" },
  cuMemcpyDtoDAsync_v2: { parameters: ["u64", "u64", "usize", "u64"], result: "i32" },
  cuMemsetD8Async: { parameters: ["u64", "u8", "usize", "u64"], result: "i32" },
  cuStreamCreate: { parameters: ["buffer", "u32"], result: "i32" },
  cuStreamDestroy_v2: { parameters: ["u64"], result: "i32" },
  cuStreamSynchronize: { parameters: ["u64"], result: "i32" },
  cuStreamBeginCapture_v2: { parameters: ["u64", "i32"], result: "i32" },
  cuStreamEndCapture: { parameters: ["u64", "buffer"], result: "i32" },
  cuGraphInstantiateWithFlags: { parameters: ["buffer", "u64", "u64"], result: "i32" },
  cuGraphGetNodes: { parameters: ["u64", "buffer", "buffer"], result: "i32" },
  cuGraphLaunch: { parameters: ["u64", "u64"], result: "i32" },
  cuGraphExecDestroy: { parameters: ["u64"], result: "i32" },
  cuGraphDestroy: { parameters: ["u64"], result: "i32" },
  cuModuleLoadData: { parameters: ["buffer", "buffer"], result: "i32" },
  cuModuleUnload: { parameters: ["u64"], result: "i32" },
  cuModuleGetFunction: { parameters: ["buffer", "u64", "buffer"], result: "i32" },
  cuFuncLoad: { parameters: ["u64"], result: "i32", optional: true },
  cuFuncSetAttribute: { parameters: ["u64", "i32", "i32"], result: "i32" },
  cuLaunchKernel: {
    parameters: [
      "u64", // function
      "u32", // grid x, y, z
      "u32",
      "u32",
      "u32", // block x, y, z
      "u32",
      "u32",
      "u32", // bytes of dynamic shared memory
      "u64", // stream
      "buffer", // void** parameters
      "buffer", // void** extra
    ],
    result: "i32",
  },
  cuEventCreate: { parameters: ["buffer", "u32"], result: "i32" },
  cuEventRecord: { parameters: ["u64", "u64"], result: "i32" },
  cuEventSynchronize: { parameters: ["u64"], result: "i32" },
  cuEventElapsedTime: { parameters: ["buffer", "u64", "u64"], result: "i32" },
  cuEventDestroy_v2: { parameters: ["u64"], result: "i32" },
} as const satisfies Deno.ForeignLibraryInterface;

/** CUDA_SUCCESS. */
export const SUCCESS = 0;
/** CUDA_ERROR_OUT_OF_MEMORY. */
export const OUT_OF_MEMORY = 2;
/** CU_STREAM_NON_BLOCKING: does not wait for the legacy default stream. */
export const STREAM_NON_BLOCKING = 1;
/** CU_STREAM_CAPTURE_MODE_RELAXED: kernels may be loaded while a stream is captured. */
export const CAPTURE_RELAXED = 2;
/** CU_EVENT_DEFAULT: an event that takes the time. */
export const EVENT_TIMED = 0;
/** CU_EVENT_DISABLE_TIMING: an event to wait for. */
export const EVENT_UNTIMED = 2;
/** CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT. */
export const ATTRIBUTE_MULTIPROCESSORS = 16;
/** CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR. */
export const ATTRIBUTE_CAPABILITY_MAJOR = 75;
/** CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR. */
export const ATTRIBUTE_CAPABILITY_MINOR = 76;
