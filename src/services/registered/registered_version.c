/* SPDX-License-Identifier: Apache-2.0 */
/* Versions of models: numbers, stages, tags. A row has an id of its own for searches.
 *
 * Thread rule: stateless over the store. */
#include "services/registered/registered_priv.h"

#include "base/clock.h"
#include "services/approval/approval.h"
#include "services/tracking/logged.h"

struct version_call {
    const struct ig_registered_by *by;
    const struct ig_registered_version_spec *spec;
    const struct ig_registered_package *package;
    struct ig_str name, alias, description;
    struct ig_tracking_pair tag;
    int64_t id, version, stage;
    bool archive;
    struct ig_arena *arena;
    struct ig_registered_version found;
};

/* ---- reading ---- */

enum ig_code ig_registered_version_id(int64_t *id, struct ig_db_tx *tx, struct ig_str name,
                                      int64_t version, struct ig_err *err)
{
    if (ig_registered_check_name(name, "name", err) != IG_OK) return err->code;
    if (ig_registered_ask(id, tx,
                          "select v.id from model_versions v join registered_models m"
                          " on m.id = v.model where m.name = $1 and v.version = $2",
                          IG_DB_VALUES(IG_DB_T(name), IG_DB_I(version)), err))
        return IG_OK;
    if (err->code != IG_OK) return err->code;
    return ig_fail(err, IG_NOT_FOUND, "Model Version (name=%.*s, version=%lld) not found",
                   IG_STR_ARGS(name), (long long)version);
}

static enum ig_code read_aliases(struct ig_registered_version *version, struct ig_db_tx *tx,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str *items = NULL;
    size_t count = 0, cap = 0;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select a.alias from model_versions v join registered_models m on m.id = v.model"
        " join aliases a on a.model = m.name and a.version = v.version"
        " where v.id = $1 order by a.alias",
        IG_DB_VALUES(IG_DB_I(version->id)), err);
    if (code != IG_OK) return code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = ig_db_text_dup(rows, 0, arena);
    }
    ig_db_finish(rows);
    version->aliases = items;
    version->aliases_count = count;
    return err->code;
}

static enum ig_code read_row(struct ig_registered_version *out, struct ig_db_tx *tx, int64_t id,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select m.name, v.version, v.created_ms, v.updated_ms, v.description, v.stage,"
                    " v.source, v.run, v.run_link, v.location, v.model_id, v.package"
                    " from model_versions v"
                    " join registered_models m on m.id = v.model where v.id = $1",
                    IG_DB_VALUES(IG_DB_I(id)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        *out = (struct ig_registered_version){
            .id = id,
            .name = ig_db_text_dup(rows, 0, arena),
            .version = ig_db_i64(rows, 1),
            .created_ms = ig_db_i64(rows, 2),
            .updated_ms = ig_db_i64(rows, 3),
            .description = ig_db_text_dup(rows, 4, arena),
            .stage = ig_str_view(ig_registered_stage_name(ig_db_i64(rows, 5))),
            .source = ig_db_text_dup(rows, 6, arena),
            .run = ig_db_text_dup(rows, 7, arena),
            .run_link = ig_db_text_dup(rows, 8, arena),
            .location = ig_db_text_dup(rows, 9, arena),
            .model_id = ig_db_text_dup(rows, 10, arena),
            .package = ig_db_text_dup(rows, 11, arena),
        };
    else if (err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, "Model Version with id=%lld not found", (long long)id);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_registered_version_read(struct ig_registered_version *out, struct ig_db_tx *tx,
                                        int64_t id, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_registered_version version;
    struct ig_db_rows *rows = NULL;
    if (read_row(&version, tx, id, arena, err) != IG_OK ||
        ig_db_query(&rows, tx,
                    "select key, value from model_version_tags where version = $1 order by key",
                    IG_DB_VALUES(IG_DB_I(id)), err) != IG_OK)
        return err->code;
    ig_tracking_pairs_read(&version.tags, rows, arena, err);
    ig_db_finish(rows);
    if (err->code == IG_OK) read_aliases(&version, tx, arena, err);
    if (err->code == IG_OK && arena->overflowed) ig_fail(err, IG_NO_MEMORY, "model version");
    if (err->code == IG_OK) *out = version;
    return err->code;
}

enum ig_code ig_registered_latest_read(struct ig_registered_versions *out, struct ig_db_tx *tx,
                                       int64_t model, struct ig_arena *arena, struct ig_err *err)
{
    int64_t ids[IG_REGISTERED_STAGES_COUNT];
    size_t count = 0;
    struct ig_db_rows *rows = NULL;
    struct ig_registered_version *items =
        ig_arena_array(arena, IG_REGISTERED_STAGES_COUNT, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "latest versions");
    if (ig_db_query(&rows, tx,
                    "select v.id from model_versions v join (select stage, max(version) as last"
                    " from model_versions where model = $1 group by stage) l on l.stage = v.stage"
                    " and l.last = v.version where v.model = $1 order by v.stage",
                    IG_DB_VALUES(IG_DB_I(model)), err) != IG_OK)
        return err->code;
    while (count < IG_REGISTERED_STAGES_COUNT && ig_db_next(rows, err))
        ids[count++] = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    for (size_t i = 0; err->code == IG_OK && i < count; i++)
        ig_registered_version_read(&items[i], tx, ids[i], arena, err);
    if (err->code == IG_OK) *out = (struct ig_registered_versions){items, count};
    return err->code;
}

static enum ig_code get_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    if (call->name.len &&
        ig_registered_version_id(&call->id, tx, call->name, call->version, err) != IG_OK)
        return err->code;
    return ig_registered_version_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_version_get(struct ig_registered_version *out, struct ig_db *db,
                                       struct ig_str name, struct ig_str version,
                                       struct ig_arena *arena, struct ig_err *err)
{
    struct version_call call = {.name = name, .arena = arena};
    if (ig_registered_check_name(name, "name", err) != IG_OK ||
        ig_registered_version_number(&call.version, version, err) != IG_OK)
        return err->code;
    if (ig_db_read(db, get_version, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

enum ig_code ig_registered_version_get_by_id(struct ig_registered_version *out, struct ig_db *db,
                                             int64_t id, struct ig_arena *arena, struct ig_err *err)
{
    struct version_call call = {.id = id, .arena = arena};
    if (ig_db_read(db, get_version, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

enum ig_code ig_registered_alias_read(int64_t *id, struct ig_db_tx *tx, struct ig_str name,
                                      struct ig_str alias, struct ig_err *err)
{
    bool latest = ig_str_eq_nocase(alias, IG_STR("latest"));
    int64_t model;
    if (ig_registered_model_id(&model, tx, name, err) != IG_OK) return err->code;
    bool found =
        latest ? ig_registered_ask(id, tx,
                                   "select id from model_versions where model = $1"
                                   " order by version desc limit 1",
                                   IG_DB_VALUES(IG_DB_I(model)), err)
               : ig_registered_ask(id, tx,
                                   "select v.id from registered_models m join aliases a"
                                   " on a.model = m.name join model_versions v on v.model = m.id"
                                   " and v.version = a.version where m.id = $1 and a.alias = $2",
                                   IG_DB_VALUES(IG_DB_I(model), IG_DB_T(alias)), err);
    if (found || err->code != IG_OK) return err->code;
    if (latest)
        return ig_fail(err, IG_NOT_FOUND, "Latest version not found for model %.*s.",
                       IG_STR_ARGS(name));
    return ig_fail(err, IG_INVALID, "Registered model alias %.*s not found.", IG_STR_ARGS(alias));
}

static enum ig_code find_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    if (ig_registered_alias_read(&call->id, tx, call->name, call->alias, err) != IG_OK)
        return err->code;
    return ig_registered_version_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_version_find(struct ig_registered_version *out, struct ig_db *db,
                                        struct ig_str name, struct ig_str alias,
                                        struct ig_arena *arena, struct ig_err *err)
{
    struct version_call call = {.name = name, .alias = alias, .arena = arena};
    if (ig_registered_check_name(name, "name", err) != IG_OK ||
        ig_registered_check_alias(alias, err) != IG_OK)
        return err->code;
    if (ig_db_read(db, find_version, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code put_tag(struct ig_db_tx *tx, int64_t id, struct ig_tracking_pair tag,
                            struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into model_version_tags(version, key, value) values($1, $2, $3)"
                      " on conflict (version, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_I(id), IG_DB_T(tag.key), IG_DB_T(tag.value)), err);
}

static enum ig_code insert_version(struct ig_db_tx *tx, struct version_call *call, int64_t model,
                                   const struct ig_registered_source *source, struct ig_err *err)
{
    const struct ig_registered_version_spec *spec = call->spec;
    const struct ig_db_value now = IG_DB_I(ig_clock_unix_ms());
    if (ig_db_exec(tx,
                   "update registered_models set updated_ms = $1, last_version = 1 + case when"
                   " coalesce((select m.last_version from models m"
                   " where m.name = registered_models.name), 0) > last_version"
                   " then (select m.last_version from models m"
                   " where m.name = registered_models.name) else last_version end where id = $2",
                   IG_DB_VALUES(now, IG_DB_I(model)), err) != IG_OK)
        return err->code;
    ig_registered_ask(&call->version, tx,
                      "select last_version from registered_models where id = $1",
                      IG_DB_VALUES(IG_DB_I(model)), err);
    if (err->code == IG_OK)
        ig_registered_ask(&call->id, tx, "select coalesce(max(id), 0) + 1 from model_versions",
                          NULL, 0, err);
    if (err->code != IG_OK) return err->code;
    return ig_db_exec(
        tx,
        "insert into model_versions(id, model, version, description, stage, source, location, run,"
        " run_link, created_ms, updated_ms, model_id)"
        " values($1, $2, $3, $4, 0, $5, $6, $7, $8, $9, $9, $10)",
        IG_DB_VALUES(IG_DB_I(call->id), IG_DB_I(model), IG_DB_I(call->version),
                     IG_DB_T(spec->description), IG_DB_T(source->source), IG_DB_T(source->location),
                     IG_DB_T(source->run), IG_DB_T(spec->run_link), now, IG_DB_T(source->model_id)),
        err);
}

/* Makes what can be served a version of that registry too, and says so, or why not. */
static enum ig_code serve(struct ig_db_tx *tx, const struct version_call *call,
                          const struct ig_registered_source *source, struct ig_err *err)
{
    const struct ig_registered_package *package = call->package;
    struct ig_tracking_pair tag = {IG_STR(IG_REGISTERED_SERVABLE_TAG), IG_STR("yes")};
    int64_t number = 0;
    if (!package->location.len || (!package->digest[0] && !package->why.len)) return IG_OK;
    const struct ig_version_spec spec = {.model = call->name,
                                         .number = call->version,
                                         .digest = ig_str_view(package->digest),
                                         .job_id = IG_STR("")};
    struct ig_str why = package->why;
    if (!ig_str_eq(package->location, source->location))
        why = IG_STR("its source changed while it was read; register it again");
    if (why.len) {
        tag.value = ig_str_view(ig_arena_printf(call->arena, "no: %.*s", IG_STR_ARGS(why)));
        return put_tag(tx, call->id, tag, err);
    }
    if (ig_registry_version_add(&number, tx, call->by->who, &spec, &package->facts, err) != IG_OK ||
        ig_db_exec(tx, "update model_versions set package = $1 where id = $2",
                   IG_DB_VALUES(IG_DB_C(package->digest), IG_DB_I(call->id)), err) != IG_OK)
        return err->code;
    return put_tag(tx, call->id, tag, err);
}

static enum ig_code create_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    struct ig_registered_source source;
    int64_t model;
    if (ig_registered_source_resolve(&source, tx, call->spec, call->arena, err) != IG_OK ||
        ig_registered_model_id(&model, tx, call->name, err) != IG_OK ||
        insert_version(tx, call, model, &source, err) != IG_OK)
        return err->code;
    for (size_t i = 0; err->code == IG_OK && i < call->spec->tags.count; i++)
        put_tag(tx, call->id, call->spec->tags.items[i], err);
    if (err->code == IG_OK) serve(tx, call, &source, err);
    if (err->code == IG_OK && source.model_id.len)
        ig_logged_note_version(tx, source.model_id, call->name, call->version, err);
    if (err->code == IG_OK) ig_registered_tell_version(tx, call->spec, &source, call->version, err);
    if (err->code == IG_OK)
        ig_registered_audit(tx, call->by->who, "model_version.create", call->name, call->version,
                            err);
    if (err->code != IG_OK) return err->code;
    return ig_registered_version_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_version_create(struct ig_registered_version *out,
                                          const struct ig_registered_by *by,
                                          const struct ig_registered_version_spec *spec,
                                          struct ig_err *err)
{
    struct ig_registered_package package;
    struct version_call call = {
        .by = by, .spec = spec, .name = spec->name, .package = &package, .arena = by->arena};
    if (ig_registered_check_name(spec->name, "name", err) != IG_OK ||
        ig_tracking_check_length(spec->source, IG_REGISTERED_SOURCE_MAX, "source", err) != IG_OK ||
        ig_tracking_check_length(spec->run_link, IG_REGISTERED_SOURCE_MAX, "run_link", err) !=
            IG_OK ||
        ig_registered_check_description(spec->description, err) != IG_OK ||
        ig_registered_check_tags(spec->tags, err) != IG_OK)
        return err->code;
    if (by->sources && !ig_source_pattern_fits(by->sources, spec->source))
        return ig_fail(err, IG_INVALID, "Invalid model version source: '%.*s'.",
                       IG_STR_ARGS(ig_tracking_cut(spec->source, 300)));
    ig_registered_package_make(&package, by, spec);
    if (ig_registered_write(by, create_version, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

/* The row that is to be changed. */
static enum ig_code find_row(struct ig_db_tx *tx, struct version_call *call, struct ig_err *err)
{
    return ig_registered_version_id(&call->id, tx, call->name, call->version, err);
}

static enum ig_code audit(struct ig_db_tx *tx, const struct version_call *call, const char *action,
                          struct ig_err *err)
{
    return ig_registered_audit(tx, call->by->who, action, call->name, call->version, err);
}

static enum ig_code describe_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    if (find_row(tx, call, err) != IG_OK ||
        ig_db_exec(tx, "update model_versions set description = $1, updated_ms = $2 where id = $3",
                   IG_DB_VALUES(IG_DB_T(call->description), IG_DB_I(ig_clock_unix_ms()),
                                IG_DB_I(call->id)),
                   err) != IG_OK ||
        audit(tx, call, "model_version.update", err) != IG_OK)
        return err->code;
    return ig_registered_version_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_version_describe(struct ig_registered_version *out,
                                            const struct ig_registered_by *by, struct ig_str name,
                                            struct ig_str version, struct ig_str description,
                                            struct ig_err *err)
{
    struct version_call call = {
        .by = by, .name = name, .description = description, .arena = by->arena};
    if (ig_registered_version_number(&call.version, version, err) != IG_OK ||
        ig_registered_check_description(description, err) != IG_OK)
        return err->code;
    if (ig_db_write(by->db, describe_version, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code move_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    const int64_t now_ms = ig_clock_unix_ms();
    const struct ig_gate_subject subject = {call->name, call->version};
    int64_t model;
    if (find_row(tx, call, err) != IG_OK ||
        ig_registered_model_id(&model, tx, call->name, err) != IG_OK ||
        ig_gate_require_stage(tx, subject, ig_str_view(ig_registered_stage_name(call->stage)),
                              err) != IG_OK)
        return err->code;
    if (call->archive)
        ig_db_exec(tx,
                   "update model_versions set stage = $1, updated_ms = $2"
                   " where model = $3 and stage = $4 and id <> $5",
                   IG_DB_VALUES(IG_DB_I(IG_REGISTERED_ARCHIVED), IG_DB_I(now_ms), IG_DB_I(model),
                                IG_DB_I(call->stage), IG_DB_I(call->id)),
                   err);
    if (err->code == IG_OK)
        ig_db_exec(tx, "update model_versions set stage = $1, updated_ms = $2 where id = $3",
                   IG_DB_VALUES(IG_DB_I(call->stage), IG_DB_I(now_ms), IG_DB_I(call->id)), err);
    if (err->code == IG_OK) ig_registered_model_touch(tx, model, now_ms, err);
    if (err->code == IG_OK) audit(tx, call, "model_version.stage", err);
    if (err->code != IG_OK) return err->code;
    return ig_registered_version_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_registered_version_move(struct ig_registered_version *out,
                                        const struct ig_registered_by *by,
                                        const struct ig_registered_move *move, struct ig_err *err)
{
    struct version_call call = {
        .by = by, .name = move->name, .archive = move->archive, .arena = by->arena};
    if (ig_registered_stage_parse(&call.stage, move->stage, err) != IG_OK) return err->code;
    if (move->archive && call.stage != IG_REGISTERED_STAGING &&
        call.stage != IG_REGISTERED_PRODUCTION)
        return ig_fail(err, IG_INVALID,
                       "Model version transition cannot archive existing model versions because "
                       "'%.*s' is not an Active stage. Valid stages are ['Staging', 'Production']",
                       IG_STR_ARGS(move->stage));
    if (ig_registered_version_number(&call.version, move->version, err) != IG_OK) return err->code;
    if (ig_db_write(by->db, move_version, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_version(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    struct ig_registered_version version;
    int64_t model;
    if (find_row(tx, call, err) != IG_OK ||
        ig_registered_model_id(&model, tx, call->name, err) != IG_OK ||
        read_row(&version, tx, call->id, call->arena, err) != IG_OK ||
        ig_registry_version_drop(tx, call->name, call->version, version.package, err) != IG_OK ||
        ig_db_exec(tx, "delete from aliases where model = $1 and version = $2",
                   IG_DB_VALUES(IG_DB_T(call->name), IG_DB_I(call->version)), err) != IG_OK ||
        ig_db_exec(tx, "delete from model_version_tags where version = $1",
                   IG_DB_VALUES(IG_DB_I(call->id)), err) != IG_OK ||
        ig_db_exec(tx, "delete from model_versions where id = $1", IG_DB_VALUES(IG_DB_I(call->id)),
                   err) != IG_OK ||
        ig_registered_model_touch(tx, model, ig_clock_unix_ms(), err) != IG_OK)
        return err->code;
    return audit(tx, call, "model_version.delete", err);
}

enum ig_code ig_registered_version_delete(const struct ig_registered_by *by, struct ig_str name,
                                          struct ig_str version, struct ig_err *err)
{
    struct version_call call = {.by = by, .name = name, .arena = by->arena};
    if (ig_registered_version_number(&call.version, version, err) != IG_OK) return err->code;
    return ig_db_write(by->db, delete_version, &call, err);
}

static enum ig_code set_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    if (find_row(tx, call, err) != IG_OK || put_tag(tx, call->id, call->tag, err) != IG_OK ||
        ig_registered_tell_tag(tx, call->name, call->version, call->tag, err) != IG_OK)
        return err->code;
    return audit(tx, call, "model_version.tag", err);
}

enum ig_code ig_registered_version_tag(const struct ig_registered_by *by, struct ig_str name,
                                       struct ig_str version, struct ig_tracking_pair tag,
                                       struct ig_err *err)
{
    struct version_call call = {.by = by, .name = name, .tag = tag};
    if (ig_registered_version_number(&call.version, version, err) != IG_OK ||
        ig_registered_check_tag(tag, err) != IG_OK)
        return err->code;
    return ig_registered_write(by, set_tag, &call, err);
}

static enum ig_code delete_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct version_call *call = context;
    if (find_row(tx, call, err) != IG_OK ||
        ig_db_exec(tx, "delete from model_version_tags where version = $1 and key = $2",
                   IG_DB_VALUES(IG_DB_I(call->id), IG_DB_T(call->tag.key)), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return IG_OK;
    if (ig_registered_tell_tag(tx, call->name, call->version, call->tag, err) != IG_OK)
        return err->code;
    return audit(tx, call, "model_version.untag", err);
}

enum ig_code ig_registered_version_untag(const struct ig_registered_by *by, struct ig_str name,
                                         struct ig_str version, struct ig_str key,
                                         struct ig_err *err)
{
    struct version_call call = {.by = by, .name = name, .tag = {.key = key}};
    if (ig_registered_version_number(&call.version, version, err) != IG_OK ||
        ig_tracking_check_key(key, "key", err) != IG_OK)
        return err->code;
    return ig_registered_write(by, delete_tag, &call, err);
}
