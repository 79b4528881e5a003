/* SPDX-License-Identifier: Apache-2.0 */
/* Models, their tags and aliases. Versions stand in registered_version.c, where their files may lie
 * in registered_source.c.
 *
 * 1. A model's row has a number of its own, so that renaming it moves nothing.
 * 2. last_version only grows, so a deleted version's number never comes again.
 *
 * Thread rule: stateless over the store. */
#include "services/registered/registered_priv.h"

#include "base/clock.h"
#include "services/approval/approval.h"
#include "services/users/grants.h"

#include <stdio.h>

struct model_call {
    const struct ig_registered_by *by;
    const struct ig_registered_spec *spec;
    struct ig_str name, new_name, description, alias;
    struct ig_tracking_pair tag;
    struct ig_registered_stages stages;
    int64_t id, version;
    struct ig_arena *arena;
    struct ig_registered_model model;
    struct ig_registered_versions versions;
};

/* ---- shared ---- */

bool ig_registered_ask(int64_t *out, struct ig_db_tx *tx, const char *sql,
                       const struct ig_db_value *values, size_t values_count, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, values, values_count, err) != IG_OK) return false;
    bool found = ig_db_next(rows, err) && !ig_db_is_null(rows, 0);
    if (found) *out = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return found;
}

static enum ig_code no_model(struct ig_str name, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Registered Model with name=%.*s not found",
                   IG_STR_ARGS(name));
}

enum ig_code ig_registered_model_id(int64_t *id, struct ig_db_tx *tx, struct ig_str name,
                                    struct ig_err *err)
{
    if (ig_registered_check_name(name, "name", err) != IG_OK) return err->code;
    if (ig_registered_ask(id, tx, "select id from registered_models where name = $1",
                          IG_DB_VALUES(IG_DB_T(name)), err))
        return IG_OK;
    return err->code == IG_OK ? no_model(name, err) : err->code;
}

enum ig_code ig_registered_model_touch(struct ig_db_tx *tx, int64_t id, int64_t now_ms,
                                       struct ig_err *err)
{
    return ig_db_exec(tx, "update registered_models set updated_ms = $1 where id = $2",
                      IG_DB_VALUES(IG_DB_I(now_ms), IG_DB_I(id)), err);
}

enum ig_code ig_registered_audit(struct ig_db_tx *tx, const struct ig_principal *who,
                                 const char *action, struct ig_str name, int64_t version,
                                 struct ig_err *err)
{
    char object[4 * IG_REGISTERED_NAME_MAX + 32];
    int length = snprintf(object, sizeof object, "%.*s", IG_STR_ARGS(name));
    if (version)
        snprintf(object + length, sizeof object - (size_t)length, "/%lld", (long long)version);
    return ig_audit_add(tx, who, action, ig_str_view(object), IG_STR(""), err);
}

enum ig_code ig_registered_write(const struct ig_registered_by *by, ig_db_work *work, void *call,
                                 struct ig_err *err)
{
    enum ig_code code = ig_db_write(by->db, work, call, err);
    if (code == IG_OK) ig_webhooks_wake(by->webhooks);
    return code;
}

/* ---- reading ---- */

static enum ig_code read_row(struct ig_registered_model *out, struct ig_db_tx *tx, int64_t id,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select name, description, created_ms, updated_ms from registered_models where id = $1",
        IG_DB_VALUES(IG_DB_I(id)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        *out = (struct ig_registered_model){.name = ig_db_text_dup(rows, 0, arena),
                                            .description = ig_db_text_dup(rows, 1, arena),
                                            .created_ms = ig_db_i64(rows, 2),
                                            .updated_ms = ig_db_i64(rows, 3)};
    else if (err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, "Registered Model with id=%lld not found", (long long)id);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_pairs(struct ig_tracking_pairs *out, struct ig_db_tx *tx, const char *sql,
                               int64_t id, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, IG_DB_VALUES(IG_DB_I(id)), err) != IG_OK) return err->code;
    ig_tracking_pairs_read(out, rows, arena, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_tags(struct ig_tracking_pairs *out, struct ig_db_tx *tx, int64_t id,
                              struct ig_arena *arena, struct ig_err *err)
{
    return read_pairs(out, tx,
                      "select key, value from registered_tags where model = $1 order by key", id,
                      arena, err);
}

static enum ig_code read_model(struct ig_registered_model *out, struct ig_db_tx *tx, int64_t id,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_registered_model model;
    enum ig_code code = read_row(&model, tx, id, arena, err);
    if (code == IG_OK) code = read_tags(&model.tags, tx, id, arena, err);
    if (code == IG_OK)
        code = read_pairs(&model.aliases, tx,
                          "select alias, cast(version as text) from aliases where model ="
                          " (select name from registered_models where id = $1) order by alias",
                          id, arena, err);
    if (code == IG_OK) code = ig_registered_latest_read(&model.latest, tx, id, arena, err);
    if (code == IG_OK && arena->overflowed) code = ig_fail(err, IG_NO_MEMORY, "registered model");
    if (code == IG_OK) *out = model;
    return code;
}

static enum ig_code get_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    if (call->name.len && ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK)
        return err->code;
    return read_model(&call->model, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_get(struct ig_registered_model *out, struct ig_db *db,
                               struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct model_call call = {.name = name, .arena = arena};
    if (ig_registered_check_name(name, "name", err) != IG_OK) return err->code;
    if (ig_db_read(db, get_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

enum ig_code ig_registered_get_by_id(struct ig_registered_model *out, struct ig_db *db, int64_t id,
                                     struct ig_arena *arena, struct ig_err *err)
{
    struct model_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, get_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

static enum ig_code get_latest(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    struct ig_registered_versions all;
    bool wanted[IG_REGISTERED_STAGES_COUNT] = {false};
    size_t count = 0;
    int64_t stage;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK) return err->code;
    for (size_t i = 0; i < call->stages.count; i++) {
        if (ig_registered_stage_parse(&stage, call->stages.items[i], err) != IG_OK)
            return err->code;
        wanted[stage] = true;
    }
    if (ig_registered_latest_read(&all, tx, call->id, call->arena, err) != IG_OK) return err->code;
    struct ig_registered_version *items =
        ig_arena_array(call->arena, IG_REGISTERED_STAGES_COUNT, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "latest versions");
    for (size_t i = 0; i < all.count; i++) {
        bool known = ig_registered_stage_parse(&stage, all.items[i].stage, err) == IG_OK;
        if (known && (!call->stages.count || wanted[stage])) items[count++] = all.items[i];
    }
    call->versions = (struct ig_registered_versions){items, count};
    return err->code;
}

enum ig_code ig_registered_latest(struct ig_registered_versions *out, struct ig_db *db,
                                  struct ig_str name, struct ig_registered_stages stages,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct model_call call = {.name = name, .stages = stages, .arena = arena};
    if (ig_db_read(db, get_latest, &call, err) == IG_OK) *out = call.versions;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code put_tag(struct ig_db_tx *tx, int64_t id, struct ig_tracking_pair tag,
                            struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into registered_tags(model, key, value) values($1, $2, $3)"
                      " on conflict (model, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_I(id), IG_DB_T(tag.key), IG_DB_T(tag.value)), err);
}

/* Models and prompts share their names. */
static enum ig_code name_taken(struct ig_db_tx *tx, const struct model_call *call, int64_t id,
                               struct ig_err *err)
{
    struct ig_tracking_pairs tags = {0};
    struct ig_str name = ig_tracking_cut(call->spec->name, 100);
    if (read_tags(&tags, tx, id, call->arena, err) != IG_OK) return err->code;
    bool old = ig_registered_is_prompt(tags), new = ig_registered_is_prompt(call->spec->tags);
    if (old == new)
        return ig_fail(err, IG_EXISTS, "%s (name=%.*s) already exists.",
                       old ? "Prompt" : "Registered Model", IG_STR_ARGS(name));
    return ig_fail(err, IG_EXISTS,
                   "Tried to create a %s with name '%.*s', but the name is already taken by a %s. "
                   "MLflow does not allow creating a model and a prompt with the same name.",
                   new ? "prompt" : "registered model", IG_STR_ARGS(name),
                   old ? "prompt" : "registered model");
}

static enum ig_code create_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    const struct ig_registered_spec *spec = call->spec;
    int64_t there;
    if (ig_registered_ask(&there, tx, "select id from registered_models where name = $1",
                          IG_DB_VALUES(IG_DB_T(spec->name)), err))
        return name_taken(tx, call, there, err);
    if (err->code == IG_OK)
        ig_registered_ask(&call->id, tx, "select coalesce(max(id), 0) + 1 from registered_models",
                          NULL, 0, err);
    if (err->code == IG_OK)
        ig_db_exec(tx,
                   "insert into registered_models(id, name, description, created_ms, updated_ms,"
                   " last_version) values($1, $2, $3, $4, $4, 0)",
                   IG_DB_VALUES(IG_DB_I(call->id), IG_DB_T(spec->name), IG_DB_T(spec->description),
                                IG_DB_I(ig_clock_unix_ms())),
                   err);
    for (size_t i = 0; err->code == IG_OK && i < spec->tags.count; i++)
        put_tag(tx, call->id, spec->tags.items[i], err);
    if (err->code == IG_OK) ig_grant_creator(tx, call->by->who, IG_OBJECT_MODEL, spec->name, err);
    if (err->code == IG_OK)
        ig_registered_audit(tx, call->by->who, "registered_model.create", spec->name, 0, err);
    if (err->code != IG_OK || ig_registered_tell_model(tx, spec, err) != IG_OK) return err->code;
    return read_model(&call->model, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_create(struct ig_registered_model *out,
                                  const struct ig_registered_by *by,
                                  const struct ig_registered_spec *spec, struct ig_err *err)
{
    struct model_call call = {.by = by, .spec = spec, .arena = by->arena};
    if (ig_registered_check_name(spec->name, "name", err) != IG_OK ||
        ig_registered_check_description(spec->description, err) != IG_OK ||
        ig_registered_check_tags(spec->tags, err) != IG_OK)
        return err->code;
    if (ig_registered_write(by, create_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

static enum ig_code rename_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    const struct ig_db_value now = IG_DB_I(ig_clock_unix_ms());
    struct ig_err local = IG_ERR_INIT;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        (!ig_str_eq(call->name, call->new_name) &&
         ig_registry_model_rename(tx, call->name, call->new_name, err) != IG_OK))
        return err->code;
    enum ig_code code =
        ig_db_exec(tx, "update registered_models set name = $1, updated_ms = $2 where id = $3",
                   IG_DB_VALUES(IG_DB_T(call->new_name), now, IG_DB_I(call->id)), &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS, "Registered Model (name=%.*s) already exists.",
                       IG_STR_ARGS(ig_tracking_cut(call->new_name, 100)));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    if (ig_db_exec(tx, "update model_versions set updated_ms = $1 where model = $2",
                   IG_DB_VALUES(now, IG_DB_I(call->id)), err) != IG_OK ||
        ig_grants_rename(tx, IG_OBJECT_MODEL, call->name, call->new_name, err) != IG_OK ||
        ig_grants_rename(tx, IG_OBJECT_PROMPT, call->name, call->new_name, err) != IG_OK ||
        ig_registered_audit(tx, call->by->who, "registered_model.rename", call->new_name, 0, err) !=
            IG_OK)
        return err->code;
    return read_model(&call->model, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_rename(struct ig_registered_model *out,
                                  const struct ig_registered_by *by, struct ig_str name,
                                  struct ig_str new_name, struct ig_err *err)
{
    struct model_call call = {.by = by, .name = name, .new_name = new_name, .arena = by->arena};
    if (ig_registered_check_name(new_name, "new_name", err) != IG_OK) return err->code;
    if (ig_db_write(by->db, rename_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

static enum ig_code describe_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        ig_db_exec(tx,
                   "update registered_models set description = $1, updated_ms = $2 where id = $3",
                   IG_DB_VALUES(IG_DB_T(call->description), IG_DB_I(ig_clock_unix_ms()),
                                IG_DB_I(call->id)),
                   err) != IG_OK ||
        ig_registered_audit(tx, call->by->who, "registered_model.update", call->name, 0, err) !=
            IG_OK)
        return err->code;
    return read_model(&call->model, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_describe(struct ig_registered_model *out,
                                    const struct ig_registered_by *by, struct ig_str name,
                                    struct ig_str description, struct ig_err *err)
{
    struct model_call call = {
        .by = by, .name = name, .description = description, .arena = by->arena};
    if (ig_registered_check_description(description, err) != IG_OK) return err->code;
    if (ig_db_write(by->db, describe_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

/* What is served of the model goes with it, and the name when nothing else has it. */
static enum ig_code drop_served(struct ig_db_tx *tx, const struct model_call *call,
                                struct ig_err *err)
{
    int64_t version = 0;
    struct ig_db_rows *rows = NULL;
    for (bool more = true, served = false; more && err->code == IG_OK;) {
        char digest[IG_SHA256_HEX] = "";
        if (ig_db_query(&rows, tx,
                        "select version, package from model_versions where model = $1"
                        " and version > $2 and package <> '' order by version limit 1",
                        IG_DB_VALUES(IG_DB_I(call->id), IG_DB_I(version)), err) != IG_OK)
            break;
        more = ig_db_next(rows, err);
        if (more) {
            version = ig_db_i64(rows, 0);
            snprintf(digest, sizeof digest, "%.*s", IG_STR_ARGS(ig_db_text(rows, 1)));
        }
        ig_db_finish(rows);
        served = served || more;
        if (more) ig_registry_version_drop(tx, call->name, version, ig_str_view(digest), err);
        if (!more && served && err->code == IG_OK) ig_registry_model_drop(tx, call->name, err);
    }
    return err->code;
}

static enum ig_code delete_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const statements[] = {
        ("delete from aliases where model = (select name from registered_models where id = $1)"
         " and version in (select version from model_versions where model = $1)"),
        ("delete from model_version_tags"
         " where version in (select id from model_versions where model = $1)"),
        "delete from model_versions where model = $1",
        "delete from registered_tags where model = $1",
        "delete from registered_models where id = $1",
    };
    struct model_call *call = context;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        drop_served(tx, call, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_I(call->id)), err) != IG_OK)
            return err->code;
    if (ig_gate_drop(tx, call->name, err) != IG_OK ||
        ig_grants_drop(tx, IG_OBJECT_MODEL, call->name, err) != IG_OK ||
        ig_grants_drop(tx, IG_OBJECT_PROMPT, call->name, err) != IG_OK)
        return err->code;
    return ig_registered_audit(tx, call->by->who, "registered_model.delete", call->name, 0, err);
}

enum ig_code ig_registered_delete(const struct ig_registered_by *by, struct ig_str name,
                                  struct ig_err *err)
{
    struct model_call call = {.by = by, .name = name};
    return ig_db_write(by->db, delete_model, &call, err);
}

static enum ig_code set_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        put_tag(tx, call->id, call->tag, err) != IG_OK ||
        ig_registered_tell_tag(tx, call->name, 0, call->tag, err) != IG_OK)
        return err->code;
    return ig_registered_audit(tx, call->by->who, "registered_model.tag", call->name, 0, err);
}

enum ig_code ig_registered_tag(const struct ig_registered_by *by, struct ig_str name,
                               struct ig_tracking_pair tag, struct ig_err *err)
{
    struct model_call call = {.by = by, .name = name, .tag = tag};
    if (ig_registered_check_tag(tag, err) != IG_OK) return err->code;
    return ig_registered_write(by, set_tag, &call, err);
}

static enum ig_code delete_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        ig_db_exec(tx, "delete from registered_tags where model = $1 and key = $2",
                   IG_DB_VALUES(IG_DB_I(call->id), IG_DB_T(call->tag.key)), err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx) && (ig_registered_tell_tag(tx, call->name, 0, call->tag, err) != IG_OK ||
                              ig_registered_audit(tx, call->by->who, "registered_model.untag",
                                                  call->name, 0, err) != IG_OK))
        return err->code;
    return IG_OK;
}

enum ig_code ig_registered_untag(const struct ig_registered_by *by, struct ig_str name,
                                 struct ig_str key, struct ig_err *err)
{
    struct model_call call = {.by = by, .name = name, .tag = {.key = key}};
    if (ig_tracking_check_key(key, "key", err) != IG_OK) return err->code;
    return ig_registered_write(by, delete_tag, &call, err);
}

static enum ig_code set_alias(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    int64_t version_row;
    const struct ig_gate_subject subject = {call->name, call->version};
    if (ig_registered_version_id(&version_row, tx, call->name, call->version, err) != IG_OK ||
        ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        ig_gate_require(tx, subject, call->alias, err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into aliases(model, alias, version) values($1, $2, $3)"
                   " on conflict (model, alias) do update set version = excluded.version",
                   IG_DB_VALUES(IG_DB_T(call->name), IG_DB_T(call->alias), IG_DB_I(call->version)),
                   err) != IG_OK ||
        ig_registered_tell_alias(tx, call->name, call->alias, call->version, err) != IG_OK)
        return err->code;
    return ig_registered_audit(tx, call->by->who, "registered_model.alias", call->name,
                               call->version, err);
}

enum ig_code ig_registered_alias(const struct ig_registered_by *by, struct ig_str name,
                                 struct ig_str alias, struct ig_str version, struct ig_err *err)
{
    struct model_call call = {.by = by, .name = name, .alias = alias};
    if (ig_registered_check_name(name, "name", err) != IG_OK ||
        ig_registered_check_new_alias(alias, err) != IG_OK ||
        ig_registered_version_number(&call.version, version, err) != IG_OK)
        return err->code;
    return ig_registered_write(by, set_alias, &call, err);
}

static enum ig_code delete_alias(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct model_call *call = context;
    if (ig_registered_model_id(&call->id, tx, call->name, err) != IG_OK ||
        ig_db_exec(tx, "delete from aliases where model = $1 and alias = $2",
                   IG_DB_VALUES(IG_DB_T(call->name), IG_DB_T(call->alias)), err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx) &&
        (ig_registered_tell_alias(tx, call->name, call->alias, 0, err) != IG_OK ||
         ig_registered_audit(tx, call->by->who, "registered_model.unalias", call->name, 0, err) !=
             IG_OK))
        return err->code;
    return IG_OK;
}

enum ig_code ig_registered_unalias(const struct ig_registered_by *by, struct ig_str name,
                                   struct ig_str alias, struct ig_err *err)
{
    struct model_call call = {.by = by, .name = name, .alias = alias};
    if (ig_registered_check_name(name, "name", err) != IG_OK ||
        ig_registered_check_alias(alias, err) != IG_OK)
        return err->code;
    return ig_registered_write(by, delete_alias, &call, err);
}
