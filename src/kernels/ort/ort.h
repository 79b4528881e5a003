/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_ORT_ORT_H
#define IG_KERNELS_ORT_ORT_H

/* ONNX models run by ONNX Runtime, where that is installed: found by dlopen at the first model that
 * wants it, never linked. A model becomes a struct ig_foreign. One thread a run, no spinning, no
 * arena, so that it fits into a worker pool; a session is shared by all threads.
 *
 * A model's rows: every input's elements in order, its first dimension being the rows' where the
 * file leaves it open. Values: the elements of one output, the last of a float type, else the last
 * numeric one. */

#include "model/foreign.h"

enum ig_ort_use {
    IG_ORT_AUTO,   /* for graphs that Ingot's own kernels do not know */
    IG_ORT_NEVER,  /* the library is not even loaded */
    IG_ORT_ALWAYS, /* for every ONNX file, to compare */
};

/* For the whole process, before the first model is loaded: `use` is "auto", "ingot" or
 * "onnxruntime", `library` an absolute path, or empty for where the system has it. Without a call
 * the environment decides: INGOT_ONNX_ENGINE, INGOT_ONNXRUNTIME_LIBRARY. */
enum ig_code ig_ort_setup(const char *use, const char *library, struct ig_err *err);
enum ig_code ig_ort_use(enum ig_ort_use *out, struct ig_err *err);

/* `bytes` are an ONNX file without data in other files, needed during the call only; `reason` is
 * copied. Tries a row of zeros, so the graph's code has run when it returns. UNSUPPORTED with what
 * stands against it: no library, a type or shape that rows cannot give, the library's own word. */
enum ig_code ig_ort_new(struct ig_foreign **out, struct ig_str bytes, struct ig_str reason,
                        struct ig_err *err);

#endif
