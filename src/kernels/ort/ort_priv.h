/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_ORT_ORT_PRIV_H
#define IG_KERNELS_ORT_ORT_PRIV_H

/* ONNX Runtime's C API as far as it is used: the functions of ort_entries.def, found by their place
 * in the table that the library hands out; and sessions. Thread rule: a library is immutable once
 * open, a session but for the note of its last failure. */

#include "base/arena.h"
#include "model/foreign.h"
#include "model/graph.h"

#include <pthread.h>
#include <stddef.h>

/* The API asked for; every entry that is used is older. Its runtimes are 1.15 (2023) and later. */
enum { ORT_API_VERSION = 15 };

struct ort_status;
struct ort_env;
struct ort_options;
struct ort_run_options;
struct ort_handle;
struct ort_value;
struct ort_type;
struct ort_shape;
struct ort_memory;
struct ort_allocator;

struct ort_api {
#define IG_ORT_ENTRY(index, result, name, parameters, doc) result(*name) parameters;
#include "kernels/ort/ort_entries.def"
#undef IG_ORT_ENTRY
};

/* What the library's one symbol, OrtGetApiBase, returns. */
struct ort_base {
    void *const *(*GetApi)(uint32_t version); /* NULL: not known to this runtime */
    const char *(*GetVersionString)(void);
};

struct ort_library {
    struct ort_api api;
    struct ort_env *env;
    struct ort_memory *memory;
    struct ort_allocator *allocator;
    char version[32]; /* "1.32.0" */
};

/* Loads a library by its path or name. It stays for the life of the process, as its threads and
 * tables may. UNSUPPORTED: it does not load, or is none that can be used here. */
enum ig_code ort_library_open(struct ort_library *out, const char *path, struct ig_err *err);
/* The process's own, loaded at the first call by what ig_ort_setup or the environment says. */
enum ig_code ort_library_get(const struct ort_library **out, struct ig_err *err);

/* A status into an error; true when there was none. Releases the status. */
bool ort_good(const struct ort_library *library, struct ort_status *status, const char *what,
              struct ig_err *err);

/* ---- sessions ---- */

struct ort_end {
    const char *name;
    enum ig_tensor_type type;
    bool open; /* its first dimension is the rows' */
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t count;   /* elements a row; of an output 0 */
    uint32_t first; /* feature that its first element is */
};

struct ort_session {
    struct ig_foreign foreign; /* first: callers hold it alone */
    const struct ort_library *library;
    struct ort_handle *handle;
    struct ig_arena arena;
    struct ort_end *inputs;
    const char **input_names;
    const char *output_name;
    bool batches;
    pthread_mutex_t lock;
    char failed[400]; /* why the last run that failed did */
    enum ig_code failed_code;
};

/* Rows run so many at a time, or alone. */
enum { ORT_BATCH_ROWS = 16, ORT_ALIGNMENT = 64 };

struct ort_batch {
    const struct ig_model *model; /* NULL: a trial, whose texts are empty */
    const double *rows;
    size_t count;
    const struct ort_run_options *options; /* or NULL */
};

/* The output of a batch, which the caller releases; false with err set. `scratch` as for a run of
 * count rows. */
bool ort_run_batch(struct ort_value **out, const struct ort_session *session,
                   const struct ort_batch *batch, void *scratch, struct ig_err *err);
/* The same as numbers: count x values_count. */
bool ort_run_values(double *values, const struct ort_session *session,
                    const struct ort_batch *batch, void *scratch, struct ig_err *err);
/* The elements of an output, whose number a graph may let depend on the rows. */
struct ort_elements {
    const void *data;
    enum ig_tensor_type type;
    size_t count;
};
bool ort_open_output(struct ort_elements *out, const struct ort_library *library,
                     struct ort_value *output, struct ig_err *err);
/* What struct ig_foreign asks for. */
void ort_run(const struct ig_model *model, const double *rows, size_t rows_count, double *values,
             void *scratch, uint32_t timeout_ms);
size_t ort_scratch_bytes(const struct ig_foreign *foreign, size_t rows_count);
enum ig_code ort_failure(const struct ig_foreign *foreign, struct ig_err *err);

/* ---- runs that may not take longer than a time (ort_watch.c) ---- */

/* On the stack of the run's thread. */
struct ort_watch {
    struct ort_watch *next;
    const struct ort_library *library;
    struct ort_run_options *options; /* for the run */
    uint64_t deadline_ns;
    bool late; /* under the watch's lock */
};

/* From now on; false with err set. */
bool ort_watch_begin(struct ort_watch *out, const struct ort_library *library, uint32_t timeout_ms,
                     struct ig_err *err);
bool ort_watch_is_late(struct ort_watch *watch); /* any run that has its options is ending */
void ort_watch_end(struct ort_watch *watch);

#endif
