/* SPDX-License-Identifier: Apache-2.0 */
/* Reason codes: one JSON text a model in the database, and the same read into memory.
 *
 * Thread rule: change_lock orders changes; `lock` guards `models`, and is held for a copy only. */
#include "services/explain/reasons.h"

#include "base/clock.h"
#include "base/map.h"
#include "base/mem.h"
#include "formats/package.h"

#include <pthread.h>
#include <string.h>

enum { MODELS_MAX = 100000, SPEC_MAX = 8 << 20, SHOWN_MAX = 64 };

static const size_t PACKAGE_MAX_BYTES = (size_t)2 << 30;

struct ig_reasons {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    struct ig_backgrounds *backgrounds;
    pthread_mutex_t change_lock;
    pthread_rwlock_t lock;
    struct ig_map models; /* name -> struct entry */
};

struct entry {
    struct ig_arena arena;
    struct ig_reason_codes codes;
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

/* ---- JSON ---- */

struct texts {
    struct ig_reason_text *items;
    size_t count, cap;
};

/* Doubling in the arena. */
static enum ig_code add_text(struct texts *texts, const struct ig_reason_text *text,
                             struct ig_arena *arena, struct ig_err *err)
{
    if (texts->count == texts->cap) {
        size_t cap = texts->cap ? 2 * texts->cap : 16;
        struct ig_reason_text *grown = ig_arena_array(arena, cap, sizeof *grown);
        if (!grown) return ig_fail(err, IG_NO_MEMORY, "texts: no memory");
        if (texts->count) memcpy(grown, texts->items, texts->count * sizeof *grown);
        texts->items = grown;
        texts->cap = cap;
    }
    texts->items[texts->count++] = *text;
    return IG_OK;
}

static enum ig_code read_texts(struct ig_reason_codes *out, struct ig_json *json)
{
    struct texts texts = {0};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "texts")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_reason_text text = {.feature = ig_arena_dup(json->arena, json->text)};
        if (!ig_json_expect(json, IG_JSON_STRING, "texts")) return json->err->code;
        text.text = ig_arena_dup(json->arena, json->text);
        if (text.text.len == 0 || text.text.len > IG_REASON_TEXT_MAX)
            return ig_fail(json->err, IG_INVALID, "texts.%.*s: a text of 1 to %d bytes is expected",
                           shown(text.feature), text.feature.ptr, IG_REASON_TEXT_MAX);
        if (texts.count == IG_REASON_TEXTS_MAX)
            return ig_fail(json->err, IG_INVALID, "texts: more than %d", IG_REASON_TEXTS_MAX);
        if (add_text(&texts, &text, json->arena, json->err) != IG_OK) return json->err->code;
    }
    out->texts = texts.items;
    out->count = texts.count;
    return json->err->code;
}

static enum ig_code read_member(struct ig_reason_codes *out, struct ig_json *json, bool *adverse)
{
    struct ig_str name = json->text, text;
    if (ig_str_is(name, "texts")) return read_texts(out, json);
    if (ig_str_is(name, "baseline")) {
        if (ig_json_string(json, &text, "baseline"))
            out->baseline = ig_arena_dup(json->arena, text);
        return json->err->code;
    }
    if (!ig_str_is(name, "adverse"))
        return ig_fail(json->err, IG_INVALID,
                       "%.*s: unknown member; known are adverse, baseline, texts", shown(name),
                       name.ptr);
    if (!ig_json_string(json, &text, "adverse")) return json->err->code;
    out->adverse_high = ig_str_is(text, "high");
    *adverse = true;
    if (out->adverse_high || ig_str_is(text, "low")) return IG_OK;
    return ig_fail(json->err, IG_INVALID, "adverse: '%.*s' is neither high nor low", shown(text),
                   text.ptr);
}

enum ig_code ig_reason_codes_read(struct ig_reason_codes *out, struct ig_json *json)
{
    bool adverse = false;
    *out = (struct ig_reason_codes){0};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "reasons")) return json->err->code;
    while (ig_json_member(json))
        if (read_member(out, json, &adverse) != IG_OK) return json->err->code;
    if (json->err->code == IG_OK) ig_json_next(json); /* END, or an error */
    if (json->err->code == IG_OK && !adverse)
        ig_fail(json->err, IG_INVALID, "adverse: missing; say whether a high or a low margin is");
    if (json->err->code == IG_OK && !out->count)
        ig_fail(json->err, IG_INVALID, "texts: missing; each feature has a text");
    return json->err->code;
}

void ig_reason_codes_write(struct ig_json_out *out, const struct ig_reason_codes *codes)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "adverse", codes->adverse_high ? IG_STR("high") : IG_STR("low"));
    if (codes->baseline.len) ig_json_out_kv_str(out, "baseline", codes->baseline);
    ig_json_out_key(out, IG_STR("texts"));
    ig_json_out_object(out);
    for (size_t i = 0; i < codes->count; i++) {
        ig_json_out_key(out, codes->texts[i].feature);
        ig_json_out_str(out, codes->texts[i].text);
    }
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

/* ---- memory ---- */

static bool copy_codes(struct ig_reason_codes *out, const struct ig_reason_codes *codes,
                       struct ig_arena *arena)
{
    struct ig_reason_text *texts = ig_arena_array(arena, codes->count + 1, sizeof *texts);
    if (!texts) return false;
    for (size_t i = 0; i < codes->count; i++) {
        texts[i].feature = ig_arena_dup(arena, codes->texts[i].feature);
        texts[i].text = ig_arena_dup(arena, codes->texts[i].text);
    }
    *out = *codes;
    out->baseline = ig_arena_dup(arena, codes->baseline);
    out->texts = texts;
    return !arena->overflowed;
}

static void free_entry(struct entry *entry)
{
    if (!entry) return;
    ig_arena_deinit(&entry->arena);
    ig_free(entry);
}

/* The model's codes are these from now on; NULL: none. */
static enum ig_code put_entry(struct ig_reasons *reasons, struct ig_str model,
                              const struct ig_reason_codes *codes, struct ig_err *err)
{
    struct entry *entry = codes ? ig_zalloc(sizeof *entry) : NULL;
    if (entry) ig_arena_init(&entry->arena, 4096, 4 * SPEC_MAX);
    if (codes && (!entry || !copy_codes(&entry->codes, codes, &entry->arena))) {
        free_entry(entry);
        return ig_fail(err, IG_NO_MEMORY, "reason codes");
    }
    pthread_rwlock_wrlock(&reasons->lock);
    struct entry *old = ig_map_remove(&reasons->models, model);
    bool kept = !entry || ig_map_put(&reasons->models, model, entry);
    pthread_rwlock_unlock(&reasons->lock);
    free_entry(old);
    if (kept) return IG_OK;
    free_entry(entry);
    return ig_fail(err, IG_EXHAUSTED, "reason codes of more than %d models", MODELS_MAX);
}

enum ig_reasons_found ig_reasons_find(struct ig_reason_codes *out, struct ig_reasons *reasons,
                                      struct ig_str model, struct ig_arena *arena, bool wait)
{
    if (wait)
        pthread_rwlock_rdlock(&reasons->lock);
    else if (pthread_rwlock_tryrdlock(&reasons->lock) != 0)
        return IG_REASONS_BUSY;
    const struct entry *entry = ig_map_get(&reasons->models, model);
    bool found = entry && copy_codes(out, &entry->codes, arena);
    pthread_rwlock_unlock(&reasons->lock);
    return found ? IG_REASONS_FOUND : IG_REASONS_ABSENT;
}

/* ---- changes ---- */

struct change {
    const struct ig_principal *who;
    struct ig_str model, spec; /* spec empty: delete */
};

static enum ig_code write_change(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    if (change->spec.len) {
        if (ig_db_exec(tx,
                       "insert into reasons(model, spec, updated_ms) values($1, $2, $3)"
                       " on conflict (model) do update set spec = excluded.spec,"
                       " updated_ms = excluded.updated_ms",
                       IG_DB_VALUES(IG_DB_T(change->model), IG_DB_T(change->spec),
                                    IG_DB_I(ig_clock_unix_ms())),
                       err) != IG_OK)
            return err->code;
        return ig_audit_add(tx, change->who, "reasons.set", change->model, change->spec, err);
    }
    if (ig_db_exec(tx, "delete from reasons where model = $1", IG_DB_VALUES(IG_DB_T(change->model)),
                   err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx) == 0)
        return ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no reason codes",
                       IG_STR_ARGS(change->model));
    return ig_audit_add(tx, change->who, "reasons.delete", change->model, IG_STR(""), err);
}

static enum ig_code check_features(const struct ig_schema *schema,
                                   const struct ig_reason_codes *codes, struct ig_err *err)
{
    for (size_t i = 0; i < codes->count; i++)
        if (ig_schema_feature_index(schema, codes->texts[i].feature) < 0)
            return ig_fail(err, IG_INVALID, "texts: the model has no feature '%.*s'",
                           shown(codes->texts[i].feature), codes->texts[i].feature.ptr);
    return IG_OK;
}

/* Against the model's latest version and its backgrounds. */
static enum ig_code check_codes(struct ig_reasons *reasons, struct ig_str model,
                                const struct ig_reason_codes *codes, struct ig_err *err)
{
    struct ig_registry_version version;
    struct ig_package *package = NULL;
    struct ig_background_info background;
    struct ig_arena arena;
    struct ig_buf bytes;
    ig_arena_init(&arena, 1 << 14, 1 << 20);
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    if (ig_registry_find(&version, reasons->registry, model, IG_STR(""), &arena, err) == IG_OK &&
        ig_blob_read(&bytes, reasons->blobs, version.digest, err) == IG_OK &&
        ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, err) == IG_OK)
        check_features(&package->schema, codes, err);
    if (err->code == IG_OK && codes->baseline.len &&
        ig_backgrounds_get(&background, reasons->backgrounds, model, codes->baseline, &arena,
                           err) == IG_NOT_FOUND) {
        ig_err_clear(err);
        ig_fail(err, IG_INVALID, "baseline: the model has no background '%.*s'",
                shown(codes->baseline), codes->baseline.ptr);
    }
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code commit(struct ig_reasons *reasons, const struct change *change,
                           const struct ig_reason_codes *codes, struct ig_err *err)
{
    pthread_mutex_lock(&reasons->change_lock);
    if (ig_db_write(reasons->db, write_change, (void *)(uintptr_t)change, err) == IG_OK)
        put_entry(reasons, change->model, codes, err);
    pthread_mutex_unlock(&reasons->change_lock);
    return err->code;
}

enum ig_code ig_reasons_set(struct ig_reasons *reasons, const struct ig_principal *who,
                            struct ig_str model, const struct ig_reason_codes *codes,
                            struct ig_err *err)
{
    struct ig_json_out out;
    struct ig_buf spec;
    if (ig_name_check(model, "model", err) != IG_OK ||
        check_codes(reasons, model, codes, err) != IG_OK)
        return err->code;
    ig_buf_init(&spec, SPEC_MAX);
    ig_json_out_init(&out, &spec);
    ig_reason_codes_write(&out, codes);
    if (spec.overflowed)
        ig_fail(err, IG_TOO_LARGE, "texts: more than %d bytes", SPEC_MAX);
    else
        commit(reasons, &(struct change){who, model, ig_buf_view(&spec)}, codes, err);
    ig_buf_deinit(&spec);
    return err->code;
}

enum ig_code ig_reasons_delete(struct ig_reasons *reasons, const struct ig_principal *who,
                               struct ig_str model, struct ig_err *err)
{
    if (ig_name_check(model, "model", err) != IG_OK) return err->code;
    return commit(reasons, &(struct change){who, model, IG_STR("")}, NULL, err);
}

/* ---- life ---- */

static enum ig_code load_row(struct ig_reasons *reasons, struct ig_str model, struct ig_str spec,
                             struct ig_err *err)
{
    struct ig_reason_codes codes;
    struct ig_arena arena;
    struct ig_json json;
    ig_arena_init(&arena, 1 << 14, 4 * SPEC_MAX);
    ig_json_init(&json, spec, &arena, err);
    if (ig_reason_codes_read(&codes, &json) == IG_OK) put_entry(reasons, model, &codes, err);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code load_all(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select model, spec from reasons", NULL, 0, err);
    while (code == IG_OK && ig_db_next(rows, err))
        code = load_row(context, ig_db_text(rows, 0), ig_db_text(rows, 1), err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_reasons_open(struct ig_reasons **out, struct ig_db *db, struct ig_blob_store *blobs,
                             struct ig_registry *registry, struct ig_backgrounds *backgrounds,
                             struct ig_err *err)
{
    struct ig_reasons *reasons = ig_zalloc(sizeof *reasons);
    if (!reasons) return ig_fail(err, IG_NO_MEMORY, "reason codes");
    *reasons = (struct ig_reasons){
        .db = db, .blobs = blobs, .registry = registry, .backgrounds = backgrounds};
    pthread_mutex_init(&reasons->change_lock, NULL);
    pthread_rwlock_init(&reasons->lock, NULL);
    ig_map_init(&reasons->models, MODELS_MAX);
    if (ig_db_read(db, load_all, reasons, err) == IG_OK) {
        *out = reasons;
        return IG_OK;
    }
    ig_reasons_close(reasons);
    return err->code;
}

void ig_reasons_close(struct ig_reasons *reasons)
{
    if (!reasons) return;
    struct ig_str key;
    void *entry;
    for (size_t at = 0; ig_map_each(&reasons->models, &at, &key, &entry);) free_entry(entry);
    ig_map_deinit(&reasons->models);
    pthread_rwlock_destroy(&reasons->lock);
    pthread_mutex_destroy(&reasons->change_lock);
    ig_free(reasons);
}
