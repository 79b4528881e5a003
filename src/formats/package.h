/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PACKAGE_H
#define IG_FORMATS_PACKAGE_H

/* A model package: a directory or a zip with the model file, ingot.yaml (schema, training metadata)
 * and golden.csv (rows with their expected margins). Opening one loads the model, makes it ready to
 * run and checks every golden row; a mismatch refuses the load and names the row. A bare model file
 * opens too: its schema then comes from the file's own feature names. Immutable once open; shared
 * by all threads. */

#include "base/hash.h"
#include "formats/format.h"
#include "formats/schema.h"
#include "kernels/engine.h"
#include "kernels/explain/importance.h"

struct ig_package {
    struct ig_arena arena;
    struct ig_schema schema;
    struct ig_model *model;
    struct ig_engine *engine;
    const struct ig_format *format;
    struct ig_str name;               /* from ingot.yaml, or empty */
    struct ig_str runtime;            /* of an engine that is not Ingot's own: "onnxruntime", and */
    struct ig_str runtime_version;    /* "1.32.0" */
    struct ig_str runtime_reason;     /* why not Ingot's own; else all three are empty */
    struct ig_str metadata_json;      /* training metadata as one JSON object, "{}" when none */
    char model_digest[IG_SHA256_HEX]; /* SHA-256 of the model file */
    uint32_t golden_rows_count;
    uint64_t model_bytes; /* of the model file; a face has 0 */
    size_t memory_bytes;  /* estimate of all it holds */
    /* Of a face: each kind by feature, NULL where there is none. */
    const double *importances[IG_IMPORTANCES_COUNT];
};

struct ig_package_limits {
    uint64_t file_max_bytes; /* each file, unpacked; 0: 2 GiB */
    bool skip_golden;        /* inspection of a broken package */
};

/* `path`: a directory, a zip or a model file, below `dirfd` (IG_FILE_CWD: a user's own path). */
enum ig_code ig_package_open(struct ig_package **out, int dirfd, const char *path,
                             const struct ig_package_limits *limits, struct ig_err *err);
/* A zip or a model file in memory; borrowed during the call only. */
enum ig_code ig_package_open_bytes(struct ig_package **out, struct ig_str bytes,
                                   const struct ig_package_limits *limits, struct ig_err *err);
void ig_package_free(struct ig_package *package);

struct ig_package_spec {
    struct ig_str model_bytes;
    const struct ig_schema *schema;
    struct ig_str encoder_json; /* of a network that takes rows of a table, or empty */
    struct ig_str name;
    struct ig_str metadata_json; /* one JSON object or empty */
    const double *golden_rows;   /* golden_count x features_count; margins are computed here */
    size_t golden_count;
};
/* Writes a zip, deterministic for the same spec, into `zip`; the result is opened once as a proof.
 */
enum ig_code ig_package_write(struct ig_buf *zip, const struct ig_package_spec *spec,
                              struct ig_err *err);

/* What a process has to know of a package whose model another one runs: schema, names, digest, and
 * the model's shape, and the importances that training left in it. */
void ig_package_face_write(struct ig_buf *out, const struct ig_package *package);
/* A package whose engine is NULL and whose model has its shape alone: kind, counts, transform and
 * its precision; no foreign model stands behind it, its runtime is told all the same.
 * CORRUPT for bytes that are none; they are aligned to 8. */
enum ig_code ig_package_face_read(struct ig_package **out, struct ig_str bytes, struct ig_err *err);
/* As ig_importance_run, of a package or a face. With groups among the players (else NULL)
 * out[players->count], of each as if its features were one: sums over its splits, or their mean. */
enum ig_code ig_package_importance(double *out, const struct ig_package *package,
                                   enum ig_importance kind, const struct ig_players *players,
                                   struct ig_err *err);
/* Whether its file tells the gains of splits. */
bool ig_package_has_gains(const struct ig_package *package);

#endif
