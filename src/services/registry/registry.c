/* SPDX-License-Identifier: Apache-2.0 */
/* Models and versions: rows over packages in the blob store. Aliases and resolving stand in
 * registry_alias.c.
 *
 * 1. A version's package was opened (its golden rows held) before its row was written.
 * 2. The blob is durable before the row: a row never names missing bytes.
 * 3. models.last_version only grows, so a number is never used again, even after a delete.
 * 4. What others refer to (deployments) is protected by foreign keys, so this service need not know
 *    them. Aliases have none, since they may name versions of MLflow's registry alone.
 *
 * Thread rule: stateless over the stores. */
#include "services/registry/registry_priv.h"

#include "services/approval/approval.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/package.h"

#include <stdio.h>
#include <string.h>

enum { LIST_MAX = 1000 };
static const size_t PACKAGE_MAX_BYTES = (size_t)2 << 30;

static bool is_letter_or_digit(char at)
{
    return (at >= 'a' && at <= 'z') || (at >= 'A' && at <= 'Z') || (at >= '0' && at <= '9');
}

enum ig_code ig_name_check(struct ig_str name, const char *what, struct ig_err *err)
{
    bool good = name.len > 0 && name.len <= IG_NAME_MAX && is_letter_or_digit(name.ptr[0]);
    for (size_t i = 1; good && i < name.len; i++) {
        char at = name.ptr[i];
        good = is_letter_or_digit(at) || at == '.' || at == '_' || at == '-';
    }
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "%s name '%.*s': expected 1 to %d letters, digits, '.', '_' or '-', the first a "
                   "letter or digit",
                   what, name.len > 140 ? 140 : (int)name.len, name.len ? name.ptr : "",
                   IG_NAME_MAX);
}

enum ig_code ig_registry_open(struct ig_registry **out, struct ig_db *db,
                              struct ig_blob_store *blobs, struct ig_err *err)
{
    struct ig_registry *registry = ig_zalloc(sizeof *registry);
    if (!registry) return ig_fail(err, IG_NO_MEMORY, "registry");
    registry->db = db;
    registry->blobs = blobs;
    *out = registry;
    return IG_OK;
}

void ig_registry_close(struct ig_registry *registry)
{
    ig_free(registry);
}

void ig_registry_attach(struct ig_registry *registry, struct ig_webhooks *webhooks)
{
    registry->webhooks = webhooks;
}

void ig_registry_changed(struct ig_registry *registry)
{
    ig_webhooks_wake(registry->webhooks);
}

static enum ig_code no_model(struct ig_str name, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "model '%.*s' does not exist", IG_STR_ARGS(name));
}

enum ig_code ig_registry_model_must_exist(struct ig_db_tx *tx, struct ig_str name,
                                          struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select 1 from models where name = $1",
                                    IG_DB_VALUES(IG_DB_T(name)), err);
    if (code != IG_OK) return code;
    bool found = ig_db_next(rows, err);
    ig_db_finish(rows);
    if (found || err->code != IG_OK) return err->code;
    code = ig_db_query(&rows, tx, "select 1 from registered_models where name = $1",
                       IG_DB_VALUES(IG_DB_T(name)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no version that can be served",
                IG_STR_ARGS(name));
    else if (err->code == IG_OK)
        no_model(name, err);
    ig_db_finish(rows);
    return err->code;
}

struct model_call {
    const struct ig_principal *who;
    struct ig_str name, description;
    struct ig_arena *arena;
    struct ig_registry_model model;
    struct ig_registry_models models;
};

static enum ig_code create_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct model_call *call = context;
    struct ig_err local = IG_ERR_INIT;
    enum ig_code code = ig_db_exec(
        tx,
        "insert into models(name, description, created_ms, last_version)"
        " values($1, $2, $3, 0)",
        IG_DB_VALUES(IG_DB_T(call->name), IG_DB_T(call->description), IG_DB_I(ig_clock_unix_ms())),
        &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS, "model '%.*s' exists already", IG_STR_ARGS(call->name));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    return ig_audit_add(tx, call->who, "model.create", call->name, IG_STR(""), err);
}

enum ig_code ig_registry_model_create(struct ig_registry *registry, const struct ig_principal *who,
                                      struct ig_str name, struct ig_str description,
                                      struct ig_err *err)
{
    struct model_call call = {.who = who, .name = name, .description = description};
    enum ig_code code = ig_name_check(name, "model", err);
    if (code == IG_OK && (description.len > 4096 || !ig_str_utf8_valid(description)))
        code = ig_fail(err, IG_INVALID, "model description: expected at most 4096 bytes of UTF-8");
    if (code != IG_OK) return code;
    return ig_db_write(registry->db, create_model, &call, err);
}

static struct ig_registry_model model_of_row(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_registry_model){
        .name = ig_db_text_dup(rows, 0, arena),
        .description = ig_db_text_dup(rows, 1, arena),
        .created_ms = ig_db_i64(rows, 2),
        .latest_version = ig_db_i64(rows, 3),
    };
}

static enum ig_code get_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select name, description, created_ms,"
        " (select max(version) from versions where model = name) from models where name = $1",
        IG_DB_VALUES(IG_DB_T(call->name)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        call->model = model_of_row(rows, call->arena);
    else if (err->code == IG_OK)
        no_model(call->name, err);
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "model");
    return err->code;
}

enum ig_code ig_registry_model_get(struct ig_registry_model *out, struct ig_registry *registry,
                                   struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct model_call call = {.name = name, .arena = arena};
    enum ig_code code = ig_name_check(name, "model", err);
    if (code == IG_OK) code = ig_db_read(registry->db, get_model, &call, err);
    if (code == IG_OK) *out = call.model;
    return code;
}

static enum ig_code list_models(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    struct ig_db_rows *rows = NULL;
    struct ig_registry_model *items = ig_arena_array(call->arena, LIST_MAX, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "list of models");
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select name, description, created_ms,"
        " (select max(version) from versions where model = name) from models where name > $1"
        " order by name limit $2",
        IG_DB_VALUES(IG_DB_T(call->name), IG_DB_I(LIST_MAX)), err);
    while (code == IG_OK && count < LIST_MAX && ig_db_next(rows, err))
        items[count++] = model_of_row(rows, call->arena);
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of models");
    if (err->code == IG_OK) call->models = (struct ig_registry_models){items, count};
    return err->code;
}

enum ig_code ig_registry_model_list(struct ig_registry_models *out, struct ig_registry *registry,
                                    struct ig_str after, struct ig_arena *arena, struct ig_err *err)
{
    struct model_call call = {.name = after, .arena = arena};
    enum ig_code code = ig_db_read(registry->db, list_models, &call, err);
    if (code == IG_OK) *out = call.models;
    return code;
}

static enum ig_code delete_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct model_call *call = context;
    struct ig_err local = IG_ERR_INIT;
    const struct ig_db_value name = IG_DB_T(call->name);
    enum ig_code code = ig_registry_model_must_exist(tx, call->name, err);
    if (code != IG_OK) return code;
    code = ig_db_exec(tx,
                      "delete from aliases where model = $1 and version not in (select v.version"
                      " from model_versions v join registered_models m on m.id = v.model"
                      " where m.name = $1)",
                      &name, 1, &local);
    if (code == IG_OK)
        code = ig_db_exec(tx, "delete from versions where model = $1", &name, 1, &local);
    if (code == IG_OK)
        code = ig_db_exec(tx, "delete from models where name = $1", &name, 1, &local);
    if (code == IG_CONFLICT)
        return ig_fail(err, IG_CONFLICT, "model '%.*s' has a version that is deployed",
                       IG_STR_ARGS(call->name));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    if (ig_gate_drop(tx, call->name, err) != IG_OK) return err->code;
    return ig_audit_add(tx, call->who, "model.delete", call->name, IG_STR(""), err);
}

enum ig_code ig_registry_model_delete(struct ig_registry *registry, const struct ig_principal *who,
                                      struct ig_str name, struct ig_err *err)
{
    struct model_call call = {.who = who, .name = name};
    enum ig_code code = ig_name_check(name, "model", err);
    if (code != IG_OK) return code;
    return ig_db_write(registry->db, delete_model, &call, err);
}

enum ig_code ig_registry_version_check(struct ig_version_facts *out, struct ig_registry *registry,
                                       const struct ig_version_spec *spec, struct ig_err *err)
{
    struct ig_version_facts facts = {0};
    struct ig_package *package = NULL;
    struct ig_buf bytes;
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    enum ig_code code = ig_name_check(spec->model, "model", err);
    if (code == IG_OK) code = ig_blob_keep(registry->blobs, spec->digest, err);
    if (code == IG_OK) code = ig_blob_read(&bytes, registry->blobs, spec->digest, err);
    if (code == IG_OK) {
        facts.size_bytes = bytes.len;
        code = ig_package_open_bytes(&package, ig_buf_view(&bytes), NULL, err);
    }
    if (code == IG_OK) {
        memcpy(facts.model_digest, package->model_digest, sizeof facts.model_digest);
        snprintf(facts.format, sizeof facts.format, "%s", package->format->name);
        *out = facts;
    }
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    return code;
}

/* The model's next number, making the model when it is new. */
static enum ig_code next_version(int64_t *version, struct ig_db_tx *tx, struct ig_str model,
                                 struct ig_err *err)
{
    enum ig_code code = ig_db_exec(tx,
                                   "insert into models(name, description, created_ms, last_version)"
                                   " values($1, '', $2, 0) on conflict (name) do nothing",
                                   IG_DB_VALUES(IG_DB_T(model), IG_DB_I(ig_clock_unix_ms())), err);
    if (code == IG_OK)
        code = ig_db_exec(tx,
                          "update models set last_version = 1 + case when coalesce((select"
                          " r.last_version from registered_models r where r.name = models.name), 0)"
                          " > last_version then (select r.last_version from registered_models r"
                          " where r.name = models.name) else last_version end where name = $1",
                          IG_DB_VALUES(IG_DB_T(model)), err);
    if (code != IG_OK) return code;
    return ig_db_get_i64(version, tx, "select last_version from models where name = $1",
                         IG_DB_VALUES(IG_DB_T(model)), err);
}

/* The number is the spec's, which no version had before. */
static enum ig_code take_number(struct ig_db_tx *tx, const struct ig_version_spec *spec,
                                struct ig_err *err)
{
    if (ig_db_exec(tx,
                   "insert into models(name, description, created_ms, last_version)"
                   " values($1, '', $2, 0) on conflict (name) do nothing",
                   IG_DB_VALUES(IG_DB_T(spec->model), IG_DB_I(ig_clock_unix_ms())), err) != IG_OK)
        return err->code;
    return ig_db_exec(tx, "update models set last_version = $1 where name = $2",
                      IG_DB_VALUES(IG_DB_I(spec->number), IG_DB_T(spec->model)), err);
}

/* Of a version that is MLflow's as well, that registry tells. */
static enum ig_code tell_version(struct ig_db_tx *tx, const struct ig_version_spec *spec,
                                 int64_t number, struct ig_err *err)
{
    char text[2 * IG_NAME_SIZE + 256];
    bool wanted = false;
    if (spec->number || ig_webhook_wanted(&wanted, tx, IG_WEBHOOK_VERSION_CREATED, err) != IG_OK ||
        !wanted)
        return err->code;
    snprintf(text, sizeof text,
             "{\"name\":\"%.*s\",\"version\":\"%lld\",\"source\":\"models:/%.*s/%lld\","
             "\"run_id\":null,\"tags\":{},\"description\":null}",
             IG_STR_ARGS(spec->model), (long long)number, IG_STR_ARGS(spec->model),
             (long long)number);
    return ig_webhook_emit(tx, IG_WEBHOOK_VERSION_CREATED, ig_str_view(text), err);
}

enum ig_code ig_registry_version_add(int64_t *version, struct ig_db_tx *tx,
                                     const struct ig_principal *who,
                                     const struct ig_version_spec *spec,
                                     const struct ig_version_facts *facts, struct ig_err *err)
{
    char object[IG_NAME_SIZE + 24];
    int64_t number = spec->number;
    struct ig_str metrics = spec->metrics_json.len ? spec->metrics_json : IG_STR("{}");
    struct ig_str source = spec->source.len ? spec->source : IG_STR("");
    enum ig_code code =
        number ? take_number(tx, spec, err) : next_version(&number, tx, spec->model, err);
    if (code == IG_OK)
        code = ig_db_exec(
            tx,
            "insert into versions(model, version, digest, model_digest, size_bytes, created_ms,"
            " job_id, metrics, format, state, source)"
            " values($1, $2, $3, $4, $5, $6, $7, $8, $9, 'ready', $10)",
            IG_DB_VALUES(IG_DB_T(spec->model), IG_DB_I(number), IG_DB_T(spec->digest),
                         IG_DB_C(facts->model_digest), IG_DB_I((int64_t)facts->size_bytes),
                         IG_DB_I(ig_clock_unix_ms()), IG_DB_T(spec->job_id), IG_DB_T(metrics),
                         IG_DB_C(facts->format), IG_DB_T(source)),
            err);
    if (code == IG_OK) code = tell_version(tx, spec, number, err);
    if (code != IG_OK) return code;
    snprintf(object, sizeof object, "%.*s/%lld", IG_STR_ARGS(spec->model), (long long)number);
    code = ig_audit_add(tx, who, "version.create", ig_str_view(object), IG_STR(""), err);
    if (code == IG_OK) *version = number;
    return code;
}

struct version_call {
    const struct ig_principal *who;
    const struct ig_version_spec *spec;
    struct ig_version_facts facts;
    struct ig_str model;
    int64_t number;
    struct ig_arena *arena;
    struct ig_registry_version version;
    struct ig_registry_versions versions;
};

static enum ig_code create_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    return ig_registry_version_add(&call->number, tx, call->who, call->spec, &call->facts, err);
}

enum ig_code ig_registry_version_create(int64_t *version, struct ig_registry *registry,
                                        const struct ig_principal *who,
                                        const struct ig_version_spec *spec, struct ig_err *err)
{
    struct version_call call = {.who = who, .spec = spec};
    enum ig_code code = ig_registry_version_check(&call.facts, registry, spec, err);
    if (code == IG_OK) code = ig_db_write(registry->db, create_version, &call, err);
    if (code != IG_OK) return code;
    ig_webhooks_wake(registry->webhooks);
    *version = call.number;
    return IG_OK;
}

/* Names of a version's aliases, comma-separated. */
static struct ig_str aliases_of(struct ig_db_tx *tx, struct ig_str model, int64_t version,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct ig_buf text;
    struct ig_db_rows *rows = NULL;
    ig_buf_init(&text, 1 << 20);
    enum ig_code code = ig_db_query(
        &rows, tx, "select alias from aliases where model = $1 and version = $2 order by alias",
        IG_DB_VALUES(IG_DB_T(model), IG_DB_I(version)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        if (text.len) ig_buf_add_char(&text, ',');
        ig_buf_add_str(&text, ig_db_text(rows, 0));
    }
    ig_db_finish(rows);
    if (text.overflowed) ig_fail(err, IG_NO_MEMORY, "aliases");
    struct ig_str copy = {ig_arena_cstr(arena, ig_buf_view(&text)), text.len};
    ig_buf_deinit(&text);
    return copy;
}

/* Columns as IG_REGISTRY_VERSION_COLUMNS. */
static struct ig_registry_version version_of_row(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_registry_version){
        .model = ig_db_text_dup(rows, 0, arena),
        .version = ig_db_i64(rows, 1),
        .digest = ig_db_text_dup(rows, 2, arena),
        .model_digest = ig_db_text_dup(rows, 3, arena),
        .size_bytes = ig_db_i64(rows, 4),
        .created_ms = ig_db_i64(rows, 5),
        .job_id = ig_db_text_dup(rows, 6, arena),
        .metrics_json = ig_db_text_dup(rows, 7, arena),
        .format = ig_db_text_dup(rows, 8, arena),
        .state = ig_db_text_dup(rows, 9, arena),
        .source = ig_db_text_dup(rows, 10, arena),
    };
}

enum ig_code ig_registry_version_read(struct ig_registry_version *out, struct ig_db_tx *tx,
                                      struct ig_str model, int64_t version, struct ig_arena *arena,
                                      struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_registry_version found = {0};
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select model, version, digest, model_digest, size_bytes, created_ms, job_id,"
                    " metrics, format, state, source from versions"
                    " where model = $1 and version = $2",
                    IG_DB_VALUES(IG_DB_T(model), IG_DB_I(version)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err)) found = version_of_row(rows, arena);
    ig_db_finish(rows);
    if (err->code == IG_OK && !found.version) return ig_registry_absent(tx, model, version, err);
    if (err->code == IG_OK) found.aliases = aliases_of(tx, model, version, arena, err);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "model version");
    if (err->code == IG_OK) *out = found;
    return err->code;
}

static enum ig_code get_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    return ig_registry_version_read(&call->version, tx, call->model, call->number, call->arena,
                                    err);
}

enum ig_code ig_registry_version_get(struct ig_registry_version *out, struct ig_registry *registry,
                                     struct ig_str model, int64_t version, struct ig_arena *arena,
                                     struct ig_err *err)
{
    struct version_call call = {.model = model, .number = version, .arena = arena};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code == IG_OK) code = ig_db_read(registry->db, get_version, &call, err);
    if (code == IG_OK) *out = call.version;
    return code;
}

static enum ig_code list_versions(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    struct ig_db_rows *rows = NULL;
    struct ig_registry_version *items = ig_arena_array(call->arena, LIST_MAX, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "list of versions");
    enum ig_code code = ig_registry_model_must_exist(tx, call->model, err);
    if (code == IG_OK)
        code = ig_db_query(
            &rows, tx,
            "select model, version, digest, model_digest, size_bytes, created_ms, job_id, metrics,"
            " format, state, source from versions where model = $1 order by version desc"
            " limit $2",
            IG_DB_VALUES(IG_DB_T(call->model), IG_DB_I(LIST_MAX)), err);
    while (code == IG_OK && count < LIST_MAX && ig_db_next(rows, err)) {
        items[count] = version_of_row(rows, call->arena);
        items[count].aliases = aliases_of(tx, call->model, items[count].version, call->arena, err);
        count++;
    }
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of versions");
    if (err->code == IG_OK) call->versions = (struct ig_registry_versions){items, count};
    return err->code;
}

enum ig_code ig_registry_version_list(struct ig_registry_versions *out,
                                      struct ig_registry *registry, struct ig_str model,
                                      struct ig_arena *arena, struct ig_err *err)
{
    struct version_call call = {.model = model, .arena = arena};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code == IG_OK) code = ig_db_read(registry->db, list_versions, &call, err);
    if (code == IG_OK) *out = call.versions;
    return code;
}

struct package_call {
    struct ig_str digest;
    bool found;
};

static enum ig_code find_package(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct package_call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from versions where digest = $1 limit 1",
                    IG_DB_VALUES(IG_DB_T(call->digest)), err) != IG_OK)
        return err->code;
    call->found = ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_registry_has_package(bool *out, struct ig_registry *registry, struct ig_str digest,
                                     struct ig_err *err)
{
    struct package_call call = {.digest = digest};
    if (ig_db_read(registry->db, find_package, &call, err) != IG_OK) return err->code;
    *out = call.found;
    return IG_OK;
}

static bool has_alias(struct ig_db_tx *tx, const struct version_call *call, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from aliases where model = $1 and version = $2",
                    IG_DB_VALUES(IG_DB_T(call->model), IG_DB_I(call->number)), err) != IG_OK)
        return false;
    bool found = ig_db_next(rows, err);
    ig_db_finish(rows);
    return found;
}

static enum ig_code delete_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct version_call *call = context;
    struct ig_err local = IG_ERR_INIT;
    char object[IG_NAME_SIZE + 24];
    enum ig_code code = ig_registry_model_must_exist(tx, call->model, err);
    if (code != IG_OK) return code;
    code = ig_db_exec(tx,
                      "delete from versions where model = $1 and version = $2 and not exists"
                      " (select 1 from aliases where model = $1 and version = $2)",
                      IG_DB_VALUES(IG_DB_T(call->model), IG_DB_I(call->number)), &local);
    if (code == IG_OK && ig_db_changes(tx) == 0 && has_alias(tx, call, &local)) code = IG_CONFLICT;
    if (code == IG_CONFLICT)
        return ig_fail(err, IG_CONFLICT, "version %lld of model '%.*s' is deployed or has an alias",
                       (long long)call->number, IG_STR_ARGS(call->model));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    if (ig_db_changes(tx) == 0)
        return ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no version %lld",
                       IG_STR_ARGS(call->model), (long long)call->number);
    snprintf(object, sizeof object, "%.*s/%lld", IG_STR_ARGS(call->model), (long long)call->number);
    return ig_audit_add(tx, call->who, "version.delete", ig_str_view(object), IG_STR(""), err);
}

enum ig_code ig_registry_version_delete(struct ig_registry *registry,
                                        const struct ig_principal *who, struct ig_str model,
                                        int64_t version, struct ig_err *err)
{
    struct version_call call = {.who = who, .model = model, .number = version};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code != IG_OK) return code;
    return ig_db_write(registry->db, delete_version, &call, err);
}
