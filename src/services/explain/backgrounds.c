/* SPDX-License-Identifier: Apache-2.0 */
/* Backgrounds: rows in the database, and what their names stand for in memory.
 *
 * 1. The table was read by the model's schema before its row is written, so a name always stands
 *    for rows that fitted a version.
 * 2. `names` follows the database: it is changed after the commit, under `lock` and `change_lock`.
 *
 * Thread rule: change_lock orders changes; `lock` guards `names` and is held for a look-up only. */
#include "services/explain/backgrounds.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "formats/package.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 1000, NAMES_MAX = 100000, KEY_SIZE = 2 * IG_NAME_SIZE };

static const size_t TABLE_MAX_BYTES = (size_t)1 << 30;

struct ig_backgrounds {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    pthread_mutex_t change_lock;
    pthread_rwlock_t lock;
    struct ig_map names; /* "model/name" -> its digest */
};

static struct ig_str key_of(char key[KEY_SIZE], struct ig_str model, struct ig_str name)
{
    int length = snprintf(key, KEY_SIZE, "%.*s/%.*s", IG_STR_ARGS(model), IG_STR_ARGS(name));
    return (struct ig_str){key, (size_t)length};
}

static bool is_name(struct ig_str text)
{
    return text.len > 0 && text.len <= IG_NAME_MAX;
}

enum ig_background_found ig_backgrounds_find(char digest[IG_SHA256_HEX],
                                             struct ig_backgrounds *backgrounds,
                                             struct ig_str model, struct ig_str name, bool wait)
{
    char key[KEY_SIZE];
    if (!is_name(model) || !is_name(name)) return IG_BACKGROUND_ABSENT;
    if (wait)
        pthread_rwlock_rdlock(&backgrounds->lock);
    else if (pthread_rwlock_tryrdlock(&backgrounds->lock) != 0)
        return IG_BACKGROUND_BUSY;
    const char *found = ig_map_get(&backgrounds->names, key_of(key, model, name));
    if (found) memcpy(digest, found, IG_SHA256_HEX);
    pthread_rwlock_unlock(&backgrounds->lock);
    return found ? IG_BACKGROUND_FOUND : IG_BACKGROUND_ABSENT;
}

/* ---- reading ---- */

enum ig_code ig_backgrounds_read(struct ig_background_table **out,
                                 struct ig_backgrounds *backgrounds, struct ig_str digest,
                                 const struct ig_schema *schema, struct ig_err *err)
{
    struct ig_buf csv;
    ig_buf_init(&csv, TABLE_MAX_BYTES);
    if (ig_blob_read(&csv, backgrounds->blobs, digest, err) == IG_OK)
        ig_background_table_read(out, ig_buf_view(&csv), schema, err);
    ig_buf_deinit(&csv);
    return err->code;
}

struct listing {
    struct ig_str model; /* empty: all */
    struct ig_str name;  /* empty: all of the model */
    struct ig_arena *arena;
    struct ig_background_list list;
};

static enum ig_code read_list(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_arena *arena = listing->arena;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0, max = listing->model.len ? LIST_MAX : NAMES_MAX;
    struct ig_background_info *items = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select model, name, digest, rows_count, created_ms from backgrounds"
        " where ($1 = '' or model = $1) and ($2 = '' or name = $2) order by model, name limit $3",
        IG_DB_VALUES(IG_DB_T(listing->model), IG_DB_T(listing->name), IG_DB_I((int64_t)max)), err);
    while (code == IG_OK && count < max && ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_background_info){
            .model = ig_db_text_dup(rows, 0, arena),
            .name = ig_db_text_dup(rows, 1, arena),
            .digest = ig_db_text_dup(rows, 2, arena),
            .rows_count = ig_db_i64(rows, 3),
            .created_ms = ig_db_i64(rows, 4),
        };
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of backgrounds");
    if (err->code == IG_OK) listing->list = (struct ig_background_list){items, count};
    return err->code;
}

static enum ig_code not_there(struct ig_str model, struct ig_str name, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no background '%.*s'", IG_STR_ARGS(model),
                   IG_STR_ARGS(name));
}

enum ig_code ig_backgrounds_list(struct ig_background_list *out, struct ig_backgrounds *backgrounds,
                                 struct ig_str model, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_registry_model found;
    struct listing listing = {.model = model, .name = IG_STR(""), .arena = arena};
    if (ig_registry_model_get(&found, backgrounds->registry, model, arena, err) != IG_OK)
        return err->code;
    if (ig_db_read(backgrounds->db, read_list, &listing, err) != IG_OK) return err->code;
    *out = listing.list;
    return IG_OK;
}

enum ig_code ig_backgrounds_get(struct ig_background_info *out, struct ig_backgrounds *backgrounds,
                                struct ig_str model, struct ig_str name, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct listing listing = {.model = model, .name = name, .arena = arena};
    if (ig_name_check(model, "model", err) != IG_OK) return err->code;
    if (ig_name_check(name, "background", err) != IG_OK) return err->code;
    if (ig_db_read(backgrounds->db, read_list, &listing, err) != IG_OK) return err->code;
    if (listing.list.count == 0) return not_there(model, name, err);
    *out = listing.list.items[0];
    return IG_OK;
}

/* ---- changes ---- */

struct change {
    const struct ig_principal *who;
    struct ig_str model, name, digest;
    int64_t rows_count;
};

static enum ig_code audit(struct ig_db_tx *tx, const struct change *change, const char *action,
                          struct ig_err *err)
{
    char object[KEY_SIZE], detail[96];
    struct ig_str key = key_of(object, change->model, change->name);
    snprintf(detail, sizeof detail, "{\"digest\":\"%.*s\"}", IG_STR_ARGS(change->digest));
    return ig_audit_add(tx, change->who, action, key, ig_str_view(detail), err);
}

static enum ig_code write_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    if (ig_db_exec(tx,
                   "insert into backgrounds(model, name, digest, rows_count, created_ms)"
                   " values($1, $2, $3, $4, $5) on conflict (model, name) do update set"
                   " digest = excluded.digest, rows_count = excluded.rows_count,"
                   " created_ms = excluded.created_ms",
                   IG_DB_VALUES(IG_DB_T(change->model), IG_DB_T(change->name),
                                IG_DB_T(change->digest), IG_DB_I(change->rows_count),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return audit(tx, change, "background.set", err);
}

static enum ig_code delete_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    if (ig_db_exec(tx, "delete from backgrounds where model = $1 and name = $2",
                   IG_DB_VALUES(IG_DB_T(change->model), IG_DB_T(change->name)), err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx) == 0) return not_there(change->model, change->name, err);
    return audit(tx, change, "background.delete", err);
}

/* The name stands for `digest` from now on; empty: for nothing. */
static enum ig_code set_name(struct ig_backgrounds *backgrounds, const struct change *change,
                             struct ig_err *err)
{
    char key[KEY_SIZE], *digest = NULL;
    struct ig_str text = key_of(key, change->model, change->name);
    if (change->digest.len) {
        digest = ig_zalloc(IG_SHA256_HEX);
        if (!digest) return ig_fail(err, IG_NO_MEMORY, "name of a background");
        memcpy(digest, change->digest.ptr, IG_SHA256_HEX - 1);
    }
    pthread_rwlock_wrlock(&backgrounds->lock);
    char *old = ig_map_remove(&backgrounds->names, text);
    bool kept = !digest || ig_map_put(&backgrounds->names, text, digest);
    pthread_rwlock_unlock(&backgrounds->lock);
    ig_free(old);
    if (kept) return IG_OK;
    ig_free(digest);
    return ig_fail(err, IG_EXHAUSTED, "more than %d backgrounds", NAMES_MAX);
}

/* Reads the table by the latest version's schema; *rows_count gets its length. */
static enum ig_code try_table(struct ig_backgrounds *backgrounds,
                              const struct ig_background_spec *spec, int64_t *rows_count,
                              struct ig_err *err)
{
    struct ig_registry_version version;
    struct ig_package *package = NULL;
    struct ig_background_table *table = NULL;
    struct ig_arena arena;
    struct ig_buf bytes;
    ig_arena_init(&arena, 1 << 14, 1 << 20);
    ig_buf_init(&bytes, TABLE_MAX_BYTES);
    if (ig_registry_find(&version, backgrounds->registry, spec->model, IG_STR(""), &arena, err) ==
            IG_OK &&
        ig_blob_read(&bytes, backgrounds->blobs, version.digest, err) == IG_OK &&
        ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, err) == IG_OK &&
        ig_backgrounds_read(&table, backgrounds, spec->digest, &package->schema, err) == IG_OK &&
        table) {
        *rows_count = (int64_t)table->background.rows_count;
        ig_background_table_free(table);
    }
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    ig_arena_deinit(&arena);
    return err->code;
}

enum ig_code ig_backgrounds_set(struct ig_backgrounds *backgrounds, const struct ig_principal *who,
                                const struct ig_background_spec *spec, struct ig_err *err)
{
    struct change change = {
        .who = who, .model = spec->model, .name = spec->name, .digest = spec->digest};
    if (ig_name_check(spec->model, "model", err) != IG_OK) return err->code;
    if (ig_name_check(spec->name, "background", err) != IG_OK) return err->code;
    if (ig_blob_keep(backgrounds->blobs, spec->digest, err) != IG_OK) return err->code;
    if (try_table(backgrounds, spec, &change.rows_count, err) != IG_OK) return err->code;
    pthread_mutex_lock(&backgrounds->change_lock);
    if (ig_db_write(backgrounds->db, write_row, &change, err) == IG_OK)
        set_name(backgrounds, &change, err);
    pthread_mutex_unlock(&backgrounds->change_lock);
    return err->code;
}

enum ig_code ig_backgrounds_delete(struct ig_backgrounds *backgrounds,
                                   const struct ig_principal *who, struct ig_str model,
                                   struct ig_str name, struct ig_err *err)
{
    struct change change = {.who = who, .model = model, .name = name, .digest = IG_STR("")};
    if (ig_name_check(model, "model", err) != IG_OK) return err->code;
    if (ig_name_check(name, "background", err) != IG_OK) return err->code;
    pthread_mutex_lock(&backgrounds->change_lock);
    if (ig_db_write(backgrounds->db, delete_row, &change, err) == IG_OK)
        set_name(backgrounds, &change, err);
    pthread_mutex_unlock(&backgrounds->change_lock);
    return err->code;
}

/* ---- life ---- */

static enum ig_code load_names(struct ig_backgrounds *backgrounds, struct ig_err *err)
{
    struct ig_arena arena;
    struct listing listing = {.model = IG_STR(""), .name = IG_STR(""), .arena = &arena};
    ig_arena_init(&arena, 1 << 16, (size_t)128 << 20);
    enum ig_code code = ig_db_read(backgrounds->db, read_list, &listing, err);
    for (size_t i = 0; code == IG_OK && i < listing.list.count; i++) {
        const struct ig_background_info *info = &listing.list.items[i];
        struct change change = {.model = info->model, .name = info->name, .digest = info->digest};
        code = set_name(backgrounds, &change, err);
    }
    ig_arena_deinit(&arena);
    return code;
}

enum ig_code ig_backgrounds_open(struct ig_backgrounds **out, struct ig_db *db,
                                 struct ig_blob_store *blobs, struct ig_registry *registry,
                                 struct ig_err *err)
{
    struct ig_backgrounds *backgrounds = ig_zalloc(sizeof *backgrounds);
    if (!backgrounds) return ig_fail(err, IG_NO_MEMORY, "backgrounds");
    backgrounds->db = db;
    backgrounds->blobs = blobs;
    backgrounds->registry = registry;
    pthread_mutex_init(&backgrounds->change_lock, NULL);
    pthread_rwlock_init(&backgrounds->lock, NULL);
    ig_map_init(&backgrounds->names, NAMES_MAX);
    if (!db || load_names(backgrounds, err) == IG_OK) {
        *out = backgrounds;
        return IG_OK;
    }
    ig_backgrounds_close(backgrounds);
    return err->code;
}

void ig_backgrounds_close(struct ig_backgrounds *backgrounds)
{
    if (!backgrounds) return;
    struct ig_str key;
    void *digest;
    for (size_t at = 0; ig_map_each(&backgrounds->names, &at, &key, &digest);) ig_free(digest);
    ig_map_deinit(&backgrounds->names);
    pthread_rwlock_destroy(&backgrounds->lock);
    pthread_mutex_destroy(&backgrounds->change_lock);
    ig_free(backgrounds);
}
