/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EXPLAIN_BACKGROUNDS_H
#define IG_SERVICES_EXPLAIN_BACKGROUNDS_H

/* Named background populations of registered models: CSV tables in the blob store, which
 * explanations compare with. Names as in services/registry. Thread-safe; worker threads only, but
 * for ig_backgrounds_find. */

#include "formats/background.h"
#include "services/registry/registry.h"

struct ig_backgrounds;

/* Without a database there are no names: tables are read by their digests alone. */
enum ig_code ig_backgrounds_open(struct ig_backgrounds **out, struct ig_db *db,
                                 struct ig_blob_store *blobs, struct ig_registry *registry,
                                 struct ig_err *err);
void ig_backgrounds_close(struct ig_backgrounds *backgrounds); /* NULL is allowed */

struct ig_background_info {
    struct ig_str model, name;
    struct ig_str digest; /* SHA-256 of the table */
    int64_t rows_count;
    int64_t created_ms;
};
struct ig_background_list {
    const struct ig_background_info *items; /* by name */
    size_t count;
};
struct ig_background_spec {
    struct ig_str model, name;
    struct ig_str digest; /* of an uploaded table */
};
/* Creates or replaces it. The table is read by the schema of the model's latest version first:
 * INVALID when it does not fit. */
enum ig_code ig_backgrounds_set(struct ig_backgrounds *backgrounds, const struct ig_principal *who,
                                const struct ig_background_spec *spec, struct ig_err *err);
enum ig_code ig_backgrounds_get(struct ig_background_info *out, struct ig_backgrounds *backgrounds,
                                struct ig_str model, struct ig_str name, struct ig_arena *arena,
                                struct ig_err *err);
enum ig_code ig_backgrounds_list(struct ig_background_list *out, struct ig_backgrounds *backgrounds,
                                 struct ig_str model, struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_backgrounds_delete(struct ig_backgrounds *backgrounds,
                                   const struct ig_principal *who, struct ig_str model,
                                   struct ig_str name, struct ig_err *err);
/* Its rows by a version's schema. */
enum ig_code ig_backgrounds_read(struct ig_background_table **out,
                                 struct ig_backgrounds *backgrounds, struct ig_str digest,
                                 const struct ig_schema *schema, struct ig_err *err);

enum ig_background_found { IG_BACKGROUND_ABSENT, IG_BACKGROUND_FOUND, IG_BACKGROUND_BUSY };
/* The digest that a name has at present. Loop-safe: never waits, BUSY while a change is under way
 * (ask again from the pool with `wait`). */
enum ig_background_found ig_backgrounds_find(char digest[IG_SHA256_HEX],
                                             struct ig_backgrounds *backgrounds,
                                             struct ig_str model, struct ig_str name, bool wait);

#endif
