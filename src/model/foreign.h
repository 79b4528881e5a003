/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_MODEL_FOREIGN_H
#define IG_MODEL_FOREIGN_H

/* A model that another library holds and runs, seen as a function from rows to values. What made it
 * fills the facts and the functions (kernels/ort); a struct ig_model owns it and an engine runs it;
 * nobody else knows what stands behind it. Thread rule: facts are immutable, every function but
 * `free` may be called by all threads at once.
 *
 * Unlike Ingot's own kernels a foreign run may fail. The values of rows that failed are then
 * a NaN that no computation makes (ig_foreign_mark), and `failure` tells the last reason. */

#include "base/err.h"
#include "base/str.h"
#include "model/model.h"

struct ig_foreign_input {
    struct ig_str name;
    bool text;        /* words, by model->inputs[].categories; else numbers */
    uint32_t columns; /* features that go in by it */
};

struct ig_foreign {
    struct ig_str runtime; /* "onnxruntime" */
    struct ig_str version; /* "1.32.0" */
    struct ig_str reason;  /* why not Ingot's own kernels; the maker's arena or a constant */
    const struct ig_foreign_input *inputs; /* their columns in order are the features */
    uint32_t inputs_count;
    uint32_t features_count, values_count; /* a row */
    bool beside_label;                     /* another output names the row's class */
    bool uneven;                           /* how long a row takes may depend on its numbers */
    size_t memory_bytes;                   /* an estimate */

    /* rows[rows_count x features_count] to values[rows_count x values_count]; `model` is the one
     * that owns this. A row's values depend on no other row. `scratch` is 64-byte aligned and holds
     * scratch_bytes(foreign, rows_count). After timeout_ms (0: never) it is told to stop, which it
     * does when it next can, and rows without values have failed. */
    void (*run)(const struct ig_model *model, const double *rows, size_t rows_count, double *values,
                void *scratch, uint32_t timeout_ms);
    size_t (*scratch_bytes)(const struct ig_foreign *foreign, size_t rows_count);
    /* Why a run failed last; IG_OK when none has. */
    enum ig_code (*failure)(const struct ig_foreign *foreign, struct ig_err *err);
    void (*free)(struct ig_foreign *foreign);
};

/* Sets, and looks for, the values of rows that failed. */
void ig_foreign_mark(double *values, size_t count);
bool ig_foreign_marked(const double *values, size_t count);
/* The same with the member of an ensemble that failed (up to 254). -1: none is marked, or told. */
void ig_foreign_mark_member(double *values, size_t count, size_t member);
int32_t ig_foreign_marked_member(const double *values, size_t count);

#endif
