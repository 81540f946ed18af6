/**
 * Models here against the libraries that people use: transformers, PEFT and ONNX Runtime in Python,
 * transformers.js in Deno. Models are made, and tokenizers trained, by those libraries.
 *
 *     deno task test:interop
 *     deno task test:interop -- --python=venv/bin/python    a Python that has the packages
 *
 * What cannot be installed here is skipped, and the reason is printed.
 */
import "./_value_tests.ts";
import "./_generation_tests.ts";
import "./_adapter_tests.ts";
import "./_written_tests.ts";
import "./_export_tests.ts";
