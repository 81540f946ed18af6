/**
 * The functions of libcublasLt that are used, as cublasLt.h has them. Handles, descriptors and
 * addresses on the GPU are `u64`; what C writes to or reads at once is `buffer`; size_t is `usize`;
 * results are a cublasStatus_t unless said otherwise.
 *
 * @module
 */

const SET_ATTRIBUTE = { parameters: ["u64", "i32", "buffer", "usize"], result: "i32" } as const;

/** Functions of cuBLASLt; the texts of errors exist since CUDA 11.4. */
export const CUBLAS_SYMBOLS = {
  cublasLtGetVersion: { parameters: [], result: "usize" }, // the version itself
  cublasLtGetStatusString: { parameters: ["i32"], result: "u64", optional: true }, // const char*
  cublasLtCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtDestroy: { parameters: ["u64"], result: "i32" },
  cublasLtMatmulDescCreate: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  cublasLtMatmulDescDestroy: { parameters: ["u64"], result: "i32" },
  cublasLtMatmulDescSetAttribute: SET_ATTRIBUTE,
  cublasLtMatrixLayoutCreate: {
    parameters: ["buffer", "i32", "u64", "u64", "i64"],
    result: "i32",
  },
  cublasLtMatrixLayoutDestroy: { parameters: ["u64"], result: "i32" },
  cublasLtMatrixLayoutSetAttribute: SET_ATTRIBUTE,
  cublasLtMatmulPreferenceCreate: { parameters: ["buffer"], result: "i32" },
  cublasLtMatmulPreferenceDestroy: { parameters: ["u64"], result: "i32" },
  cublasLtMatmulPreferenceSetAttribute: SET_ATTRIBUTE,
  cublasLtMatmulAlgoGetHeuristic: {
    parameters: [
      "u64", // handle
      "u64", // operation
      "u64", // layouts of A, B, C, D
      "u64",
      "u64",
      "u64",
      "u64", // preference
      "i32", // how many are asked for
      "buffer", // cublasLtMatmulHeuristicResult_t[]
      "buffer", // int*: how many there are
    ],
    result: "i32",
  },
  cublasLtMatmul: {
    parameters: [
      "u64", // handle
      "u64", // operation
      "buffer", // alpha, on the host
      "u64", // A and its layout
      "u64",
      "u64", // B and its layout
      "u64",
      "buffer", // beta, on the host
      "u64", // C and its layout
      "u64",
      "u64", // D and its layout
      "u64",
      "buffer", // cublasLtMatmulAlgo_t*
      "u64", // workspace
      "usize", // its bytes
      "u64", // stream
    ],
    result: "i32",
  },
} as const satisfies Deno.ForeignLibraryInterface;

/** CUBLAS_STATUS_SUCCESS. */
export const STATUS_SUCCESS = 0;
/** CUBLAS_STATUS_NOT_SUPPORTED. */
export const STATUS_NOT_SUPPORTED = 15;

/** cublasComputeType_t by the precision of float32 operands; bfloat16 ones are computed in 32F. */
export const COMPUTE_TYPE = {
  /** CUBLAS_COMPUTE_32F. */
  float32: 68,
  /** CUBLAS_COMPUTE_32F_FAST_TF32. */
  tf32: 77,
  /** CUBLAS_COMPUTE_32F_FAST_16BF. */
  bfloat16: 75,
} as const;

/** cudaDataType: CUDA_R_32F and CUDA_R_16BF. */
export const DATA_TYPE = { float32: 0, bfloat16: 14 } as const;

/** cublasOperation_t: CUBLAS_OP_N and CUBLAS_OP_T. */
export const OPERATION = { asIs: 0, transposed: 1 } as const;

/** CUBLASLT_MATMUL_DESC_TRANSA and TRANSB, int32. */
export const DESC_TRANSPOSE = { a: 3, b: 4 } as const;
/** CUBLASLT_MATMUL_DESC_EPILOGUE, uint32. */
export const DESC_EPILOGUE = 7;
/** CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, void*, and what is counted in bits, int64. */
export const DESC_AUXILIARY = {
  /** CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER. */
  pointer: 11,
  /** CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, a multiple of 128. */
  leadingDimension: 12,
  /** CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE, a multiple of 128. */
  batchStride: 13,
} as const;
/** cublasLtEpilogue_t: CUBLASLT_EPILOGUE_RELU_AUX and DRELU. */
export const EPILOGUE = { relu: 2 | 128, reluGradient: 8 | 128 } as const;
/** CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, int32. */
export const LAYOUT_BATCH_COUNT = 5;
/** CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, int64, in elements. */
export const LAYOUT_BATCH_STRIDE = 6;
/** CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64. */
export const PREFERENCE_WORKSPACE = 1;
/** CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES to _D_BYTES, uint32. */
export const PREFERENCE_ALIGNMENTS = [5, 6, 7, 8] as const;

/** cublasLtMatmulHeuristicResult_t: algo (uint64_t[8]), size_t, status, float, int[4]. */
export const RESULT_BYTES = 96;
/** Bytes of `algo`, at its start. */
export const ALGORITHM_BYTES = 64;
/** Where `state` is in it. */
export const RESULT_STATE_AT = 72;
