/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_MLMODEL_H
#define IG_FORMATS_MLMODEL_H

/* MLmodel, the file that describes a model's directory as MLflow writes it (mlflow/models/model.py,
 * 1.x to 3.17): which of its files is a model that can be read, and what its signature says of the
 * inputs. Nothing but native model files is ever named: a pickle is code that runs when it is
 * opened. Pure; texts live in the arena. */

#include "formats/package.h"

enum {
    IG_MLMODEL_BYTES_MAX = 4 << 20,
    IG_MLMODEL_INPUTS_MAX = 100000,
    IG_MLMODEL_EXAMPLE_ROWS_MAX = 16, /* further ones are passed over */
    IG_MLMODEL_EXAMPLE_BYTES_MAX = 4 << 20,
};

enum ig_mlmodel_type {
    IG_MLMODEL_REAL, /* float, double */
    IG_MLMODEL_WHOLE,
    IG_MLMODEL_BOOLEAN,
    IG_MLMODEL_TEXT,
    IG_MLMODEL_OTHER,
};
struct ig_mlmodel_input {
    struct ig_str name, type_name; /* "age", "double" */
    enum ig_mlmodel_type type;
    bool optional;
};
struct ig_mlmodel {
    struct ig_str flavor;      /* "xgboost" */
    struct ig_str file;        /* relative to the directory; not checked for where it leads */
    struct ig_str model_class; /* "xgboost.core.Booster", or empty */
    struct ig_str signature;   /* of the inputs, as it stands (JSON); or empty */
    const struct ig_mlmodel_input *inputs; /* named columns */
    size_t inputs_count;                   /* 0: no signature, or one of tensors */
    struct ig_str example;                 /* file of the input example, as `file`; or empty */
};

/* UNSUPPORTED says what the directory holds and how it is made into what can be served. */
enum ig_code ig_mlmodel_read(struct ig_mlmodel *out, struct ig_str yaml, struct ig_arena *arena,
                             struct ig_err *err);
/* The schema of the model file, opened by itself, with the signature's names and types. The maps
 * are not made; texts are in the arena and the package. UNSUPPORTED when file and signature do not
 * agree. */
enum ig_code ig_mlmodel_schema(struct ig_schema *out, const struct ig_mlmodel *mlmodel,
                               const struct ig_package *file, struct ig_arena *arena,
                               struct ig_err *err);

/* Where the directory's files come from: the bytes stay until the next call. Names are the
 * MLmodel's and the model file's own words: the reader judges where they lead. */
struct ig_mlmodel_files {
    enum ig_code (*read)(struct ig_str *out, void *context, struct ig_str name, struct ig_err *err);
    void *context;
};
/* Rows of an input example by a schema, whose maps need not be made: count x features, in the
 * arena. INVALID: it is not of that model. */
struct ig_mlmodel_rows {
    const double *items;
    size_t count;
};
enum ig_code ig_mlmodel_example(struct ig_mlmodel_rows *out, const struct ig_schema *schema,
                                struct ig_str text, struct ig_arena *arena, struct ig_err *err);
/* A package (a zip) of the model file, with that schema and the input example's rows as golden
 * ones. The package tells, as mlflow_input_example, when that could not be used, and why. */
enum ig_code ig_mlmodel_package(struct ig_buf *zip, const struct ig_mlmodel *mlmodel,
                                const struct ig_mlmodel_files *files, struct ig_str name,
                                struct ig_arena *arena, struct ig_err *err);

#endif
