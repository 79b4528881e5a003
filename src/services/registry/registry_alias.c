/* SPDX-License-Identifier: Apache-2.0 */
/* Aliases, and how a reference (number, alias, nothing) becomes a version. One read transaction
 * resolves and reads, so an alias that moves meanwhile gives either the old or the new version,
 * whole. */
#include "services/registry/registry_priv.h"

#include "services/approval/approval.h"

#include <stdio.h>

enum { LIST_MAX = 1000, MLFLOW_ALIAS_MAX = 1020 };

static bool all_digits(struct ig_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
    }
    return text.len > 0;
}

static enum ig_code check_alias(struct ig_str alias, struct ig_err *err)
{
    enum ig_code code = ig_name_check(alias, "alias", err);
    if (code == IG_OK && all_digits(alias))
        code = ig_fail(err, IG_INVALID, "alias name '%.*s': all digits would read as a version",
                       IG_STR_ARGS(alias));
    return code;
}

/* By either registry's rules: MLflow's clients make some that none could here. */
static bool may_be_alias(struct ig_str text)
{
    bool good = text.len <= MLFLOW_ALIAS_MAX && ig_str_utf8_valid(text);
    for (size_t i = 0; good && i < text.len; i++) {
        char c = text.ptr[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || (c == '.' && i > 0) || (unsigned char)c >= 0x80;
    }
    return good;
}

struct call {
    const struct ig_principal *who;
    struct ig_str model, alias;
    int64_t version;
    struct ig_arena *arena;
    struct ig_registry_aliases aliases;
    struct ig_registry_version found;
};

static enum ig_code audit(struct ig_db_tx *tx, const struct call *call, const char *action,
                          struct ig_err *err)
{
    char object[2 * IG_NAME_SIZE], detail[48];
    snprintf(object, sizeof object, "%.*s@%.*s", IG_STR_ARGS(call->model),
             IG_STR_ARGS(call->alias));
    snprintf(detail, sizeof detail, "{\"version\":%lld}", (long long)call->version);
    return ig_audit_add(tx, call->who, action, ig_str_view(object), ig_str_view(detail), err);
}

/* Names need no escapes; version 0: it was removed. */
static enum ig_code tell(struct ig_db_tx *tx, const struct call *call, int64_t version,
                         struct ig_err *err)
{
    char text[2 * IG_NAME_SIZE + 96];
    int length = snprintf(text, sizeof text, "{\"name\":\"%.*s\",\"alias\":\"%.*s\"",
                          IG_STR_ARGS(call->model), IG_STR_ARGS(call->alias));
    if (version)
        length += snprintf(text + length, sizeof text - (size_t)length, ",\"version\":\"%lld\"",
                           (long long)version);
    snprintf(text + length, sizeof text - (size_t)length, "}");
    return ig_webhook_emit(tx, version ? IG_WEBHOOK_ALIAS_CREATED : IG_WEBHOOK_ALIAS_DELETED,
                           ig_str_view(text), err);
}

static enum ig_code version_must_exist(struct ig_db_tx *tx, const struct call *call,
                                       struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from versions where model = $1 and version = $2",
                    IG_DB_VALUES(IG_DB_T(call->model), IG_DB_I(call->version)), err) != IG_OK)
        return err->code;
    bool found = ig_db_next(rows, err);
    ig_db_finish(rows);
    if (err->code != IG_OK || found) return err->code;
    return ig_registry_absent(tx, call->model, call->version, err);
}

static enum ig_code set_alias(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    const struct ig_gate_subject subject = {call->model, call->version};
    enum ig_code code = version_must_exist(tx, call, err);
    if (code == IG_OK) code = ig_gate_require(tx, subject, call->alias, err);
    if (code != IG_OK) return code;
    code = ig_db_exec(
        tx,
        "insert into aliases(model, alias, version) values($1, $2, $3)"
        " on conflict (model, alias) do update set version = excluded.version",
        IG_DB_VALUES(IG_DB_T(call->model), IG_DB_T(call->alias), IG_DB_I(call->version)), err);
    if (code != IG_OK) return code;
    if (tell(tx, call, call->version, err) != IG_OK) return err->code;
    return audit(tx, call, "alias.set", err);
}

enum ig_code ig_registry_alias_set(struct ig_registry *registry, const struct ig_principal *who,
                                   struct ig_str model, struct ig_str alias, int64_t version,
                                   struct ig_err *err)
{
    struct call call = {.who = who, .model = model, .alias = alias, .version = version};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code == IG_OK) code = check_alias(alias, err);
    if (code != IG_OK) return code;
    code = ig_db_write(registry->db, set_alias, &call, err);
    if (code == IG_OK) ig_webhooks_wake(registry->webhooks);
    return code;
}

static enum ig_code no_alias(const struct call *call, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no alias '%.*s'", IG_STR_ARGS(call->model),
                   IG_STR_ARGS(call->alias));
}

static enum ig_code delete_alias(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    enum ig_code code = ig_registry_model_must_exist(tx, call->model, err);
    if (code == IG_OK)
        code = ig_db_exec(tx, "delete from aliases where model = $1 and alias = $2",
                          IG_DB_VALUES(IG_DB_T(call->model), IG_DB_T(call->alias)), err);
    if (code != IG_OK) return code;
    if (ig_db_changes(tx) == 0) return no_alias(call, err);
    if (tell(tx, call, 0, err) != IG_OK) return err->code;
    return audit(tx, call, "alias.delete", err);
}

enum ig_code ig_registry_alias_delete(struct ig_registry *registry, const struct ig_principal *who,
                                      struct ig_str model, struct ig_str alias, struct ig_err *err)
{
    struct call call = {.who = who, .model = model, .alias = alias};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code == IG_OK) code = check_alias(alias, err);
    if (code != IG_OK) return code;
    code = ig_db_write(registry->db, delete_alias, &call, err);
    if (code == IG_OK) ig_webhooks_wake(registry->webhooks);
    return code;
}

static enum ig_code list_aliases(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    struct ig_registry_alias *items = ig_arena_array(call->arena, LIST_MAX, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "list of aliases");
    enum ig_code code = ig_registry_model_must_exist(tx, call->model, err);
    if (code == IG_OK)
        code = ig_db_query(
            &rows, tx,
            "select alias, version from aliases where model = $1 order by alias limit $2",
            IG_DB_VALUES(IG_DB_T(call->model), IG_DB_I(LIST_MAX)), err);
    while (code == IG_OK && count < LIST_MAX && ig_db_next(rows, err)) {
        items[count++] = (struct ig_registry_alias){
            .alias = ig_db_text_dup(rows, 0, call->arena),
            .version = ig_db_i64(rows, 1),
        };
    }
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of aliases");
    if (err->code == IG_OK) call->aliases = (struct ig_registry_aliases){items, count};
    return err->code;
}

enum ig_code ig_registry_alias_list(struct ig_registry_aliases *out, struct ig_registry *registry,
                                    struct ig_str model, struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.model = model, .arena = arena};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code == IG_OK) code = ig_db_read(registry->db, list_aliases, &call, err);
    if (code == IG_OK) *out = call.aliases;
    return code;
}

static enum ig_code latest_version(struct ig_db_tx *tx, struct call *call, struct ig_err *err)
{
    if (ig_db_get_i64(&call->version, tx, "select max(version) from versions where model = $1",
                      IG_DB_VALUES(IG_DB_T(call->model)), err) != IG_OK ||
        call->version || ig_registry_model_must_exist(tx, call->model, err) != IG_OK)
        return err->code;
    return ig_fail(err, IG_NOT_FOUND, "model '%.*s' has no version yet", IG_STR_ARGS(call->model));
}

static enum ig_code version_of_alias(struct ig_db_tx *tx, struct call *call, struct ig_err *err)
{
    if (ig_db_get_i64(&call->version, tx,
                      "select version from aliases where model = $1 and alias = $2",
                      IG_DB_VALUES(IG_DB_T(call->model), IG_DB_T(call->alias)), err) != IG_OK ||
        call->version)
        return err->code;
    if (ig_str_eq_nocase(call->alias, IG_STR("latest"))) return latest_version(tx, call, err);
    if (ig_registry_model_must_exist(tx, call->model, err) != IG_OK) return err->code;
    return no_alias(call, err);
}

static enum ig_code find(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    enum ig_code code = IG_OK;
    if (call->alias.len == 0)
        code = latest_version(tx, call, err);
    else if (call->version == 0)
        code = version_of_alias(tx, call, err);
    if (code != IG_OK) return code;
    return ig_registry_version_read(&call->found, tx, call->model, call->version, call->arena, err);
}

enum ig_code ig_registry_find(struct ig_registry_version *out, struct ig_registry *registry,
                              struct ig_str model, struct ig_str ref, struct ig_arena *arena,
                              struct ig_err *err)
{
    struct call call = {.model = model, .alias = ref, .arena = arena};
    enum ig_code code = ig_name_check(model, "model", err);
    if (code == IG_OK && all_digits(ref)) {
        if (!ig_str_to_i64(ref, &call.version) || call.version < 1)
            code = ig_fail(err, IG_INVALID, "model version '%.*s': expected a number from 1",
                           ref.len > 40 ? 40 : (int)ref.len, ref.ptr);
    } else if (code == IG_OK && !may_be_alias(ref)) {
        code = check_alias(ref, err);
    }
    if (code == IG_OK) code = ig_db_read(registry->db, find, &call, err);
    if (code == IG_OK) *out = call.found;
    return code;
}

enum ig_code ig_registry_resolve(struct ig_registry_version *out, struct ig_registry *registry,
                                 struct ig_str uri, struct ig_arena *arena, struct ig_err *err)
{
    static const struct ig_str scheme = {"models:/", 8};
    struct ig_str ref = {"", 0};
    if (!ig_str_starts(uri, scheme))
        return ig_fail(err, IG_INVALID,
                       "model '%.*s': expected models:/NAME/VERSION, models:/NAME/ALIAS or "
                       "models:/NAME@ALIAS",
                       uri.len > 140 ? 140 : (int)uri.len, uri.len ? uri.ptr : "");
    struct ig_str rest = {uri.ptr + scheme.len, uri.len - scheme.len};
    struct ig_str name = rest;
    for (size_t i = 0; i < rest.len; i++) {
        if (rest.ptr[i] != '/' && rest.ptr[i] != '@') continue;
        name.len = i;
        ref = (struct ig_str){rest.ptr + i + 1, rest.len - i - 1};
        if (ref.len == 0)
            return ig_fail(err, IG_INVALID, "model '%.*s': nothing after the name", (int)uri.len,
                           uri.ptr);
        break;
    }
    return ig_registry_find(out, registry, name, ref, arena, err);
}
