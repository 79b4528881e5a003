/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints, the models that they lead to, their tags, and what is bound to them.
 *
 * Thread rule: stateless over the store. */
#include "base/clock.h"
#include "services/gateway/gateway_priv.h"
#include "services/users/grants.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                                    \
    "e.id, e.name, e.routing, e.strategy, e.attempts, e.fallback, e.experiment, e.tracked,"        \
    " e.created_ms, e.updated_ms, e.created_by, e.updated_by"

struct call {
    const struct ig_principal *who;
    const struct ig_gateway_endpoint_spec *spec;
    const struct ig_gateway_use *use;
    const struct ig_gateway_ask *ask;
    struct ig_str id, name, model, by;
    struct ig_tracking_pair tag;
    int64_t experiment;
    struct ig_arena *arena;
    struct ig_gateway_endpoint found;
    struct ig_gateway_mapping mapping;
    struct ig_gateway_binding binding;
    struct ig_gateway_endpoint *endpoints;
    struct ig_gateway_binding *bindings;
    size_t count, cap;
};

/* ---- reading ---- */

static struct ig_gateway_endpoint read_row(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_gateway_endpoint){
        .id = ig_db_text_dup(rows, 0, arena),
        .name = ig_db_text_dup(rows, 1, arena),
        .routing = ig_gateway_optional(rows, 2, arena),
        .fallback_strategy = ig_gateway_optional(rows, 3, arena),
        .fallback_attempts = ig_db_is_null(rows, 4) ? -1 : ig_db_i64(rows, 4),
        .has_fallback = ig_db_i64(rows, 5) != 0,
        .experiment = ig_db_is_null(rows, 6) ? -1 : ig_db_i64(rows, 6),
        .tracked = ig_db_i64(rows, 7) != 0,
        .marks = ig_gateway_marks_read(rows, 8, arena)};
}

static enum ig_code read_mappings(struct ig_gateway_endpoint *out, struct ig_db_tx *tx,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_gateway_mapping *items = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select m.id, m.fallback, m.weight, m.position, m.created_ms, "
                    "m.created_by, " IG_GATEWAY_MODEL_COLUMNS
                    " from gateway_mappings m join gateway_models d on d.id = m.model"
                    " left join gateway_secrets s on s.id = d.secret"
                    " where m.endpoint = $1 order by m.created_ms, m.number, m.id",
                    IG_DB_VALUES(IG_DB_T(out->id)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) {
            ig_fail(err, IG_NO_MEMORY, "endpoint");
            break;
        }
        items[count++] =
            (struct ig_gateway_mapping){.id = ig_db_text_dup(rows, 0, arena),
                                        .endpoint = out->id,
                                        .fallback = ig_db_i64(rows, 1) != 0,
                                        .weight = ig_db_f64(rows, 2),
                                        .order = ig_db_is_null(rows, 3) ? -1 : ig_db_i64(rows, 3),
                                        .created_ms = ig_db_i64(rows, 4),
                                        .created_by = ig_gateway_optional(rows, 5, arena),
                                        .model = ig_gateway_model_read(rows, 6, arena)};
    }
    ig_db_finish(rows);
    out->mappings = items;
    out->mappings_count = count;
    return err->code;
}

static enum ig_code read_rest(struct ig_gateway_endpoint *out, struct ig_db_tx *tx,
                              struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (read_mappings(out, tx, arena, err) != IG_OK ||
        ig_db_query(&rows, tx,
                    "select key, value from gateway_tags where endpoint = $1 order by key",
                    IG_DB_VALUES(IG_DB_T(out->id)), err) != IG_OK)
        return err->code;
    ig_tracking_pairs_read(&out->tags, rows, arena, err);
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "endpoint") : IG_OK;
}

static enum ig_code find(struct call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    bool by_id = call->id.len > 0;
    struct ig_str key = by_id ? call->id : call->name;
    if (ig_db_query(&rows, tx,
                    by_id ? "select " COLUMNS " from gateway_endpoints e where e.id = $1"
                          : "select " COLUMNS " from gateway_endpoints e where e.name = $1",
                    IG_DB_VALUES(IG_DB_T(key)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        call->found = read_row(rows, call->arena);
    else if (err->code == IG_OK)
        ig_gateway_absent("GatewayEndpoint", by_id ? "endpoint_id" : "name", key, err);
    ig_db_finish(rows);
    return err->code == IG_OK ? read_rest(&call->found, tx, call->arena, err) : err->code;
}

static enum ig_code get_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return find(context, tx, err);
}

enum ig_code ig_gateway_endpoint_get(struct ig_gateway_endpoint *out, struct ig_gateway *gateway,
                                     struct ig_str id, struct ig_str name, struct ig_arena *arena,
                                     struct ig_err *err)
{
    struct call call = {.id = id, .name = name, .arena = arena};
    if (!id.len == !name.len)
        return ig_fail(err, IG_INVALID, "Exactly one of endpoint_id or name must be provided");
    if (ig_db_read(gateway->db, get_work, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code list_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select " COLUMNS
                    " from gateway_endpoints e where exists (select 1 from gateway_mappings m join"
                    " gateway_models d on d.id = m.model where m.endpoint = e.id and"
                    " ($1 = '' or d.provider = $1)) order by e.created_ms, e.id limit $2",
                    IG_DB_VALUES(IG_DB_T(call->ask->provider), IG_DB_I(IG_GATEWAY_LIST_MAX)),
                    err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        call->endpoints = ig_arena_grow(call->arena, call->endpoints, call->count, &call->cap,
                                        sizeof *call->endpoints);
        if (!call->endpoints) {
            ig_fail(err, IG_NO_MEMORY, "endpoints");
            break;
        }
        call->endpoints[call->count++] = read_row(rows, call->arena);
    }
    ig_db_finish(rows);
    for (size_t i = 0; err->code == IG_OK && i < call->count; i++)
        read_rest(&call->endpoints[i], tx, call->arena, err);
    return err->code;
}

enum ig_code ig_gateway_endpoints(const struct ig_gateway_endpoint **out, size_t *count,
                                  struct ig_gateway *gateway, struct ig_str provider,
                                  struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_gateway_ask ask = {.provider = provider.ptr ? provider : IG_STR("")};
    struct call call = {.ask = &ask, .arena = arena};
    if (ig_db_read(gateway->db, list_work, &call, err) != IG_OK) return err->code;
    *out = call.endpoints;
    *count = call.count;
    return IG_OK;
}

/* ---- changes ---- */

static enum ig_code model_must_be_there(struct ig_db_tx *tx, struct ig_str model,
                                        struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from gateway_models where id = $1",
                    IG_DB_VALUES(IG_DB_T(model)), err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK)
        ig_gateway_absent("GatewayModelDefinition", "model_definition_id", model, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code add_mapping(char id[IG_GATEWAY_ID_SIZE], struct ig_db_tx *tx,
                                struct ig_str endpoint, const struct ig_gateway_use *use,
                                int64_t number, struct ig_err *err)
{
    ig_gateway_id_new(id, 'm');
    if (model_must_be_there(tx, use->model, err) != IG_OK) return err->code;
    if (ig_db_exec(tx,
                   "insert into gateway_mappings(id, endpoint, model, fallback, weight, position,"
                   " number, created_ms, created_by) values($1, $2, $3, $4, $5, $6, $7, $8, $9)",
                   IG_DB_VALUES(IG_DB_C(id), IG_DB_T(endpoint), IG_DB_T(use->model),
                                IG_DB_I(use->fallback), IG_DB_F(use->weight),
                                use->order < 0 ? IG_DB_N() : IG_DB_I(use->order), IG_DB_I(number),
                                IG_DB_I(ig_clock_unix_ms()), ig_gateway_or_null(use->by)),
                   err) == IG_OK)
        return IG_OK;
    if (err->code != IG_EXISTS) return err->code;
    ig_err_clear(err);
    return ig_fail(err, IG_EXISTS, "Model definition '%.*s' is already attached to endpoint '%.*s'",
                   IG_STR_ARGS(use->model), IG_STR_ARGS(endpoint));
}

static enum ig_code put_uses(const struct call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    const struct ig_gateway_endpoint_spec *spec = call->spec;
    char id[IG_GATEWAY_ID_SIZE];
    if (!spec->uses) return IG_OK;
    if (ig_db_exec(tx, "delete from gateway_mappings where endpoint = $1",
                   IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    for (size_t i = 0; err->code == IG_OK && i < spec->uses_count; i++) {
        struct ig_gateway_use use = spec->uses[i];
        use.by = spec->by;
        add_mapping(id, tx, call->id, &use, (int64_t)i, err);
    }
    return err->code;
}

static bool has_fallback(const struct ig_gateway_endpoint_spec *spec)
{
    bool fallback = spec->has_fallback;
    for (size_t i = 0; spec->uses && i < spec->uses_count; i++)
        fallback = fallback || spec->uses[i].fallback;
    return fallback;
}

static enum ig_code put_row(const struct call *call, struct ig_db_tx *tx, bool first,
                            struct ig_err *err)
{
    const struct ig_gateway_endpoint_spec *spec = call->spec;
    const struct ig_db_value values[] = {
        IG_DB_T(call->id),
        ig_gateway_or_null(spec->name),
        ig_gateway_or_null(spec->routing),
        ig_gateway_or_null(spec->fallback_strategy),
        spec->fallback_attempts < 0 ? IG_DB_N() : IG_DB_I(spec->fallback_attempts),
        IG_DB_I(has_fallback(spec)),
        call->experiment < 0 ? IG_DB_N() : IG_DB_I(call->experiment),
        IG_DB_I(spec->tracked),
        IG_DB_I(ig_clock_unix_ms()),
        ig_gateway_or_null(spec->by)};
    if (ig_db_exec(tx,
                   first ? "insert into gateway_endpoints(id, name, routing, strategy, attempts,"
                           " fallback, experiment, tracked, created_ms, updated_ms, created_by,"
                           " updated_by) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $10)"
                         : "update gateway_endpoints set name = coalesce($2, name),"
                           " routing = coalesce($3, routing), strategy = coalesce($4, strategy),"
                           " attempts = coalesce($5, attempts),"
                           " fallback = case when cast($6 as bigint) = 1 then 1 else fallback end,"
                           " experiment = coalesce($7, experiment),"
                           " tracked = case when cast($8 as bigint) < 0 then tracked else $8 end,"
                           " updated_ms = $9, updated_by = coalesce($10, updated_by) where id = $1",
                   values, 10, err) == IG_OK)
        return IG_OK;
    if (err->code != IG_EXISTS) return err->code;
    ig_err_clear(err);
    return ig_fail(err, IG_EXISTS, "Endpoint with name '%.*s' already exists",
                   IG_STR_ARGS(spec->name));
}

static enum ig_code put_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    bool first = !call->spec->id.len;
    if (!first && find(call, tx, err) != IG_OK) return err->code;
    if (first && ig_grant_creator(tx, call->who, IG_OBJECT_ENDPOINT, call->id, err) != IG_OK)
        return err->code;
    if (put_row(call, tx, first, err) != IG_OK || put_uses(call, tx, err) != IG_OK ||
        ig_audit_add(tx, call->who, first ? "gateway.endpoint.create" : "gateway.endpoint.update",
                     call->id, IG_STR(""), err) != IG_OK)
        return err->code;
    return find(call, tx, err);
}

/* Where the calls of an endpoint are traced: gateway/NAME, made when it is not there. */
static enum ig_code need_experiment(struct call *call, struct ig_gateway *gateway,
                                    struct ig_str name, struct ig_err *err)
{
    struct ig_tracking_experiment found;
    const struct ig_tracking_pair tags[] = {
        {IG_STR("mlflow.experiment.isGateway"), IG_STR("true")},
        {IG_STR("mlflow.experiment.sourceId"), call->id},
        {IG_STR("mlflow.experiment.sourceType"), IG_STR("GATEWAY")}};
    const char *text = ig_arena_printf(call->arena, "gateway/%.*s", IG_STR_ARGS(name));
    if (!text) return ig_fail(err, IG_NO_MEMORY, "endpoint");
    const struct ig_tracking_experiment_spec spec = {.name = ig_str_view(text), .tags = {tags, 3}};
    if (ig_tracking_experiment_create(&call->experiment, gateway->tracking, call->who, &spec,
                                      err) != IG_EXISTS)
        return err->code;
    ig_err_clear(err);
    if (ig_tracking_experiment_find(&found, gateway->tracking, spec.name, call->arena, err) ==
        IG_OK)
        call->experiment = found.id;
    return err->code;
}

static enum ig_code check_name(struct ig_str name, struct ig_err *err)
{
    if (ig_gateway_check_name(name, "name", err) != IG_OK) return err->code;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], letter = (char)(c | 0x20);
        if ((letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9') || strchr("_-.", c))
            continue;
        return ig_fail(err, IG_INVALID,
                       "Invalid endpoint name '%.*s'. Name can only contain letters, numbers, "
                       "underscores, hyphens, and dots.",
                       IG_STR_ARGS(name));
    }
    return IG_OK;
}

static enum ig_code check(const struct ig_gateway_endpoint_spec *spec, struct ig_err *err)
{
    bool first = !spec->id.len;
    if ((first || spec->name.ptr) && check_name(spec->name, err) != IG_OK) return err->code;
    if ((first || spec->uses) && !spec->uses_count)
        return ig_fail(err, IG_INVALID, "Endpoint must have at least one model configuration");
    if (spec->uses_count <= IG_GATEWAY_MODELS_MAX) return IG_OK;
    return ig_fail(err, IG_INVALID, "model_configs: %zu, at most %d", spec->uses_count,
                   IG_GATEWAY_MODELS_MAX);
}

enum ig_code ig_gateway_endpoint_put(struct ig_gateway_endpoint *out, struct ig_gateway *gateway,
                                     const struct ig_principal *who,
                                     const struct ig_gateway_endpoint_spec *spec,
                                     struct ig_arena *arena, struct ig_err *err)
{
    char id[IG_GATEWAY_ID_SIZE];
    bool first = !spec->id.len;
    struct ig_gateway_endpoint_spec given = *spec;
    struct ig_gateway_endpoint old = {.experiment = -1, .name = spec->name};
    struct call call = {.who = who, .spec = &given, .id = spec->id, .arena = arena};
    if (check(spec, err) != IG_OK) return err->code;
    if (first) {
        ig_gateway_id_new(id, 'e');
        call.id = ig_str_view(id);
        if (given.tracked < 0) given.tracked = 1;
    } else if (ig_gateway_endpoint_get(&old, gateway, spec->id, IG_STR(""), arena, err) != IG_OK) {
        return err->code;
    }
    call.experiment = spec->experiment;
    if (given.tracked == 1 && call.experiment < 0 && old.experiment < 0 &&
        need_experiment(&call, gateway, given.name.ptr ? given.name : old.name, err) != IG_OK)
        return err->code;
    if (ig_db_write(gateway->db, put_work, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const statements[] = {"delete from gateway_mappings where endpoint = $1",
                                             "delete from gateway_bindings where endpoint = $1",
                                             "delete from gateway_tags where endpoint = $1",
                                             "delete from gateway_endpoints where id = $1"};
    const struct call *call = context;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
            return err->code;
    if (!ig_db_changes(tx))
        return ig_gateway_absent("GatewayEndpoint", "endpoint_id", call->id, err);
    if (ig_grants_drop(tx, IG_OBJECT_ENDPOINT, call->id, err) != IG_OK) return err->code;
    return ig_audit_add(tx, call->who, "gateway.endpoint.delete", call->id, IG_STR(""), err);
}

enum ig_code ig_gateway_endpoint_delete(struct ig_gateway *gateway, const struct ig_principal *who,
                                        struct ig_str id, struct ig_err *err)
{
    struct call call = {.who = who, .id = id};
    return ig_db_write(gateway->db, delete_work, &call, err);
}

static enum ig_code attach_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    char id[IG_GATEWAY_ID_SIZE];
    if (find(call, tx, err) != IG_OK) return err->code;
    if (call->found.mappings_count >= IG_GATEWAY_MODELS_MAX)
        return ig_fail(err, IG_INVALID, "Endpoint '%.*s' has %d models, which is the most",
                       IG_STR_ARGS(call->id), IG_GATEWAY_MODELS_MAX);
    if (add_mapping(id, tx, call->id, call->use, (int64_t)call->found.mappings_count, err) !=
            IG_OK ||
        ig_db_exec(tx,
                   "update gateway_endpoints set updated_ms = $2,"
                   " updated_by = coalesce($3, updated_by) where id = $1",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(ig_clock_unix_ms()),
                                ig_gateway_or_null(call->use->by)),
                   err) != IG_OK ||
        find(call, tx, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < call->found.mappings_count; i++)
        if (ig_str_is(call->found.mappings[i].id, id)) call->mapping = call->found.mappings[i];
    return IG_OK;
}

enum ig_code ig_gateway_attach(struct ig_gateway_mapping *out, struct ig_gateway *gateway,
                               struct ig_str endpoint, const struct ig_gateway_use *use,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.id = endpoint, .use = use, .arena = arena};
    if (ig_gateway_check_name(endpoint, "endpoint_id", err) != IG_OK) return err->code;
    if (ig_db_write(gateway->db, attach_work, &call, err) == IG_OK) *out = call.mapping;
    return err->code;
}

static enum ig_code must_be_there(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from gateway_endpoints where id = $1",
                    IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK)
        ig_gateway_absent("GatewayEndpoint", "endpoint_id", id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code detach_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    if (must_be_there(tx, call->id, err) != IG_OK ||
        ig_db_exec(tx, "delete from gateway_mappings where endpoint = $1 and model = $2",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->model)), err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx)) return IG_OK;
    return ig_fail(err, IG_NOT_FOUND, "Model definition '%.*s' is not attached to endpoint '%.*s'",
                   (int)(call->model.len > 64 ? 64 : call->model.len), call->model.ptr,
                   IG_STR_ARGS(call->id));
}

enum ig_code ig_gateway_detach(struct ig_gateway *gateway, struct ig_str endpoint,
                               struct ig_str model, struct ig_err *err)
{
    struct call call = {.id = endpoint, .model = model};
    return ig_db_write(gateway->db, detach_work, &call, err);
}

static enum ig_code tag_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    if (must_be_there(tx, call->id, err) != IG_OK) return err->code;
    if (!call->tag.value.ptr)
        return ig_db_exec(tx, "delete from gateway_tags where endpoint = $1 and key = $2",
                          IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->tag.key)), err);
    return ig_db_exec(
        tx,
        "insert into gateway_tags(endpoint, key, value) values($1, $2, $3)"
        " on conflict (endpoint, key) do update set value = excluded.value",
        IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->tag.key), IG_DB_T(call->tag.value)), err);
}

enum ig_code ig_gateway_tag(struct ig_gateway *gateway, struct ig_str endpoint,
                            struct ig_tracking_pair tag, struct ig_err *err)
{
    struct call call = {.id = endpoint, .tag = tag};
    if (ig_gateway_check_name(tag.key, "key", err) != IG_OK) return err->code;
    if (tag.value.len > 5000) return ig_fail(err, IG_INVALID, "value: more than 5000 bytes");
    return ig_db_write(gateway->db, tag_work, &call, err);
}

enum ig_code ig_gateway_untag(struct ig_gateway *gateway, struct ig_str endpoint, struct ig_str key,
                              struct ig_err *err)
{
    struct call call = {.id = endpoint, .tag = {.key = key}};
    return ig_db_write(gateway->db, tag_work, &call, err);
}

/* ---- bindings ---- */

static enum ig_code bind_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    int64_t now_ms = ig_clock_unix_ms();
    if (must_be_there(tx, call->ask->endpoint, err) != IG_OK) return err->code;
    if (ig_db_exec(tx,
                   "insert into gateway_bindings(endpoint, type, resource, created_ms, updated_ms,"
                   " created_by, updated_by) values($1, $2, $3, $4, $4, $5, $5)",
                   IG_DB_VALUES(IG_DB_T(call->ask->endpoint), IG_DB_T(call->ask->type),
                                IG_DB_T(call->ask->resource), IG_DB_I(now_ms),
                                ig_gateway_or_null(call->by)),
                   err) != IG_OK) {
        if (err->code != IG_EXISTS) return err->code;
        ig_err_clear(err);
        return ig_fail(err, IG_EXISTS, "'%.*s' is bound to endpoint '%.*s' already",
                       IG_STR_ARGS(call->ask->resource), IG_STR_ARGS(call->ask->endpoint));
    }
    call->binding = (struct ig_gateway_binding){call->ask->endpoint,
                                                call->ask->type,
                                                call->ask->resource,
                                                {now_ms, now_ms, call->by, call->by}};
    return IG_OK;
}

enum ig_code ig_gateway_bind(struct ig_gateway_binding *out, struct ig_gateway *gateway,
                             const struct ig_gateway_ask *what, struct ig_str by,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.ask = what, .by = by, .arena = arena};
    if (!ig_str_is(what->type, "scorer"))
        return ig_fail(err, IG_INVALID, "'%.*s' is not a valid GatewayResourceType: 'scorer'",
                       (int)(what->type.len > 64 ? 64 : what->type.len), what->type.ptr);
    if (ig_gateway_check_name(what->resource, "resource_id", err) != IG_OK) return err->code;
    if (ig_db_write(gateway->db, bind_work, &call, err) == IG_OK) *out = call.binding;
    return err->code;
}

static enum ig_code unbind_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    if (ig_db_exec(tx,
                   "delete from gateway_bindings where endpoint = $1 and type = $2 and resource ="
                   " $3",
                   IG_DB_VALUES(IG_DB_T(call->ask->endpoint), IG_DB_T(call->ask->type),
                                IG_DB_T(call->ask->resource)),
                   err) != IG_OK)
        return err->code;
    if (ig_db_changes(tx)) return IG_OK;
    return ig_gateway_absent("GatewayEndpointBinding", "resource_id", call->ask->resource, err);
}

enum ig_code ig_gateway_unbind(struct ig_gateway *gateway, const struct ig_gateway_ask *what,
                               struct ig_err *err)
{
    struct call call = {.ask = what};
    return ig_db_write(gateway->db, unbind_work, &call, err);
}

static enum ig_code bindings_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select endpoint, type, resource, created_ms, updated_ms, created_by,"
                    " updated_by from gateway_bindings where ($1 = '' or endpoint = $1)"
                    " and ($2 = '' or type = $2) and ($3 = '' or resource = $3)"
                    " order by created_ms, endpoint, type, resource limit $4",
                    IG_DB_VALUES(IG_DB_T(call->ask->endpoint), IG_DB_T(call->ask->type),
                                 IG_DB_T(call->ask->resource), IG_DB_I(IG_GATEWAY_LIST_MAX)),
                    err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        call->bindings = ig_arena_grow(call->arena, call->bindings, call->count, &call->cap,
                                       sizeof *call->bindings);
        if (!call->bindings) {
            ig_fail(err, IG_NO_MEMORY, "bindings");
            break;
        }
        call->bindings[call->count++] = (struct ig_gateway_binding){
            ig_db_text_dup(rows, 0, call->arena), ig_db_text_dup(rows, 1, call->arena),
            ig_db_text_dup(rows, 2, call->arena), ig_gateway_marks_read(rows, 3, call->arena)};
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_gateway_bindings(const struct ig_gateway_binding **out, size_t *count,
                                 struct ig_gateway *gateway, const struct ig_gateway_ask *ask,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.ask = ask, .arena = arena};
    if (ig_db_read(gateway->db, bindings_work, &call, err) != IG_OK) return err->code;
    *out = call.bindings;
    *count = call.count;
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "bindings") : IG_OK;
}
