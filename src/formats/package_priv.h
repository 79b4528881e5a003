/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PACKAGE_PRIV_H
#define IG_FORMATS_PACKAGE_PRIV_H

/* The parts of a package: its files, wherever they lie, and its manifest ingot.yaml. Thread rule:
 * one thread. */

#include "formats/package.h"

enum {
    PKG_MANIFEST_MAX_BYTES = 64 << 20,
    PKG_ENCODER_MAX_BYTES = 64 << 20,
    PKG_GOLDEN_MAX_BYTES = 512 << 20,
    PKG_GOLDEN_MAX_ROWS = 10000, /* each is computed at every load */
};

/* A directory (dirfd, zip NULL), or a zip in memory (zip, a zip_t). */
struct pkg_files {
    int dirfd;
    void *zip;
};

/* `bytes` stay the caller's while the zip is open. */
enum ig_code pkg_files_open_zip(struct pkg_files *files, struct ig_str bytes, struct ig_err *err);
void pkg_files_close(struct pkg_files *files);
/* A whole file into buf (reset first), at most buf->max_bytes; NOT_FOUND when there is none. */
enum ig_code pkg_files_read(const struct pkg_files *files, struct ig_buf *buf, const char *name,
                            struct ig_err *err);

struct pkg_entry {
    const char *name;
    struct ig_str bytes;
};

/* A deterministic zip: the entries in the order given, a fixed time stamp. */
enum ig_code pkg_zip_write(struct ig_buf *zip, const struct pkg_entry *entries, size_t count,
                           struct ig_err *err);

#define PKG_ENCODER_NAME "encoder.json" /* as it is written; the manifest may name another */

struct pkg_manifest {
    struct ig_str model_file;   /* a plain name */
    struct ig_str format;       /* or empty: by the bytes */
    struct ig_str encoder_file; /* or empty */
    double golden_tolerance;
};

/* Fills package->schema (not indexed), name and metadata_json in package->arena. */
enum ig_code pkg_manifest_read(struct pkg_manifest *out, struct ig_package *package,
                               struct ig_str yaml, struct ig_err *err);
/* Writes ingot.yaml. */
enum ig_code pkg_manifest_write(struct ig_buf *yaml, const struct ig_package_spec *spec,
                                const struct ig_format *format, struct ig_err *err);

/* The schema of a bare model file, from what the file says. */
enum ig_code pkg_schema_from_model(struct ig_schema *schema, const struct ig_model *model,
                                   struct ig_arena *arena, struct ig_err *err);
/* Fits the manifest's schema to the model: counts must agree; missing class names become "0",
 * "1"... */
enum ig_code pkg_schema_check(struct ig_schema *schema, const struct ig_model *model,
                              struct ig_arena *arena, struct ig_err *err);
/* Copies a schema's categories, where it has any, into the model's text inputs, which take words as
 * they are. */
enum ig_code pkg_schema_lend_words(struct ig_model *model, const struct ig_schema *schema,
                                   struct ig_err *err);

/* Puts an encoder before a network, so that the model takes rows of the schema. It lies in `arena`,
 * which the model borrows. INVALID when it does not fit the network or the schema. */
enum ig_code pkg_encoder_attach(struct ig_model *model, const struct ig_schema *schema,
                                struct ig_str json, struct ig_arena *arena, struct ig_err *err);

/* golden.csv from rows, with margins of `engine`. */
enum ig_code pkg_golden_write(struct ig_buf *csv, const struct ig_package_spec *spec,
                              const struct ig_engine *engine, struct ig_err *err);
/* Recomputes every row; the first that differs by more than `tolerance` is CORRUPT. */
enum ig_code pkg_golden_check(struct ig_package *package, struct ig_str csv, double tolerance,
                              struct ig_err *err);

#endif
