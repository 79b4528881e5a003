/* SPDX-License-Identifier: Apache-2.0 */
/* Scorers and their versions; what their content says is read in scorers_content.c.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/scorers.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"
#include "services/tracking/scorers_priv.h"
#include "services/tracking/tracking_filter.h"
#include "services/tracking/tracking_priv.h"
#include "services/users/grants.h"

#include <stdio.h>

enum { OBJECT_SIZE = IG_SCORER_NAME_MAX * 4 + 64 };

struct scorer_call {
    const struct ig_principal *who;
    const struct ig_scorer_ref *ref;
    const struct ig_scorer_list *list;
    const struct ig_scorer_config *config;
    const struct ig_str *ids;
    size_t ids_count;
    struct ig_str content, endpoint; /* of the gateway that the content names, ptr NULL: none */
    struct ig_arena *arena;
    bool stored;                /* contents as they are stored, their endpoints by id */
    char id[IG_SCORER_ID_SIZE]; /* of the scorer, empty: there is none; or one that is made */
    struct ig_scorer found;
    struct ig_scorers scorers;
    struct ig_scorer_config made;
    struct ig_scorer_configs configs;
};

static const struct ig_str GATEWAY = {"gateway:/", 9};

static bool is_of_gateway(struct ig_str model)
{
    return model.ptr && ig_str_starts(model, GATEWAY);
}

/* 8-4-4-4-12 hex digits. */
static void make_id(char out[IG_SCORER_ID_SIZE])
{
    unsigned char random[16];
    char hex[33];
    ig_random_bytes(random, sizeof random);
    random[6] = (unsigned char)((random[6] & 0x0F) | 0x40); /* RFC 9562, version 4 */
    random[8] = (unsigned char)((random[8] & 0x3F) | 0x80);
    ig_hex(hex, random, sizeof random);
    snprintf(out, IG_SCORER_ID_SIZE, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

static enum ig_code no_scorer(const struct ig_scorer_ref *ref, struct ig_err *err)
{
    struct ig_str name = ig_tracking_cut(ref->name, 100);
    if (ref->version == IG_SCORER_ANY_VERSION)
        return ig_fail(err, IG_NOT_FOUND, "Scorer with name '%.*s' not found for experiment %lld.",
                       IG_STR_ARGS(name), (long long)ref->experiment);
    return ig_fail(err, IG_NOT_FOUND,
                   "Scorer with name '%.*s' and version %lld not found for experiment %lld.",
                   IG_STR_ARGS(name), (long long)ref->version, (long long)ref->experiment);
}

/* ---- reading ---- */

/* call->id: of the name in an active experiment. */
static enum ig_code find(struct scorer_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    call->id[0] = '\0';
    if (ig_tracking_experiment_must_be_active(tx, call->ref->experiment, err) != IG_OK ||
        ig_db_query(&rows, tx, "select id from scorers where experiment = $1 and name = $2",
                    IG_DB_VALUES(IG_DB_I(call->ref->experiment), IG_DB_T(call->ref->name)),
                    err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        snprintf(call->id, sizeof call->id, "%.*s", IG_STR_ARGS(ig_db_text(rows, 0)));
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code must_find(struct scorer_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_scorer_ref any = *call->ref;
    any.version = IG_SCORER_ANY_VERSION;
    if (find(call, tx, err) != IG_OK) return err->code;
    return call->id[0] ? IG_OK : no_scorer(&any, err);
}

#define COLUMNS                                                                                    \
    "select s.id, s.name, v.content, s.experiment, v.version, v.created_ms from scorers s"         \
    " join scorer_versions v on v.scorer = s.id "

/* Adds the rows to call->scorers. */
static enum ig_code read_scorers(struct scorer_call *call, size_t *cap, struct ig_db_rows *rows,
                                 struct ig_err *err)
{
    struct ig_scorer *items = (struct ig_scorer *)call->scorers.items;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(call->arena, items, call->scorers.count, cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "scorers");
        items[call->scorers.count++] =
            (struct ig_scorer){.id = ig_db_text_dup(rows, 0, call->arena),
                               .name = ig_db_text_dup(rows, 1, call->arena),
                               .content = ig_db_text_dup(rows, 2, call->arena),
                               .experiment = ig_db_i64(rows, 3),
                               .version = ig_db_i64(rows, 4),
                               .created_ms = ig_db_i64(rows, 5)};
        call->scorers.items = items;
    }
    if (err->code == IG_OK && call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "scorers");
    return err->code;
}

/* One column of an endpoint of the gateway, by another; ptr NULL: it is gone. */
static enum ig_code find_endpoint(struct ig_str *out, struct ig_db_tx *tx, const char *sql,
                                  struct ig_str key, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    *out = (struct ig_str){NULL, 0};
    if (ig_db_query(&rows, tx, sql, IG_DB_VALUES(IG_DB_T(key)), err) != IG_OK) return err->code;
    if (ig_db_next(rows, err)) {
        *out = ig_db_text_dup(rows, 0, arena);
        if (!out->ptr) ig_fail(err, IG_NO_MEMORY, "scorer");
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code put_endpoint(struct ig_str *content, struct ig_str endpoint,
                                 struct ig_arena *arena, struct ig_err *err)
{
    const char *text =
        ig_arena_printf(arena, "%.*s%.*s", IG_STR_ARGS(GATEWAY), IG_STR_ARGS(endpoint));
    if (!text) return ig_fail(err, IG_NO_MEMORY, "scorer");
    return ig_scorer_content_with(content, *content, ig_str_view(text), arena, err);
}

/* An endpoint is stored by its id and told by the name that it has now; one that is gone is null.
 */
static enum ig_code name_endpoints(struct scorer_call *call, struct ig_db_tx *tx,
                                   struct ig_err *err)
{
    struct ig_scorer *items = (struct ig_scorer *)call->scorers.items;
    for (size_t i = 0; i < call->scorers.count && err->code == IG_OK; i++) {
        struct ig_str model, name, none = {NULL, 0};
        if (ig_scorer_content_read(&model, items[i].content, call->arena, err) != IG_OK) break;
        if (!is_of_gateway(model)) continue;
        struct ig_str id = {model.ptr + GATEWAY.len, model.len - GATEWAY.len};
        if (find_endpoint(&name, tx, "select name from gateway_endpoints where id = $1", id,
                          call->arena, err) != IG_OK)
            break;
        if (name.ptr)
            put_endpoint(&items[i].content, name, call->arena, err);
        else
            ig_scorer_content_with(&items[i].content, items[i].content, none, call->arena, err);
    }
    return err->code;
}

static enum ig_code read_versions(struct scorer_call *call, struct ig_db_tx *tx, const char *sql,
                                  struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    size_t cap = 0;
    call->scorers = (struct ig_scorers){NULL, 0};
    if (ig_db_query(&rows, tx, sql, IG_DB_VALUES(IG_DB_C(call->id), IG_DB_I(call->ref->version)),
                    err) != IG_OK)
        return err->code;
    read_scorers(call, &cap, rows, err);
    ig_db_finish(rows);
    if (err->code == IG_OK && !call->scorers.count) return no_scorer(call->ref, err);
    return err->code == IG_OK && !call->stored ? name_endpoints(call, tx, err) : err->code;
}

/* The version that is asked for, or the last. */
static enum ig_code read_one(struct scorer_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    if (read_versions(call, tx,
                      COLUMNS "where s.id = $1 and (v.version = $2 or ($2 = -1 and v.version ="
                              " (select max(version) from scorer_versions where scorer = $1)))",
                      err) == IG_OK)
        call->found = call->scorers.items[0];
    return err->code;
}

static enum ig_code get_scorer(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    if (must_find(context, tx, err) != IG_OK) return err->code;
    return read_one(context, tx, err);
}

enum ig_code ig_scorer_get(struct ig_scorer *out, struct ig_db *db, const struct ig_scorer_ref *ref,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct scorer_call call = {.ref = ref, .arena = arena};
    if (ig_db_read(db, get_scorer, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code list_versions(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    if (must_find(context, tx, err) != IG_OK) return err->code;
    return read_versions(context, tx, COLUMNS "where s.id = $1 and $2 = -1 order by v.version",
                         err);
}

enum ig_code ig_scorer_versions(struct ig_scorers *out, struct ig_db *db,
                                const struct ig_scorer_ref *ref, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_scorer_ref all = *ref;
    struct scorer_call call = {.ref = &all, .arena = arena};
    all.version = IG_SCORER_ANY_VERSION;
    if (ig_db_read(db, list_versions, &call, err) == IG_OK) *out = call.scorers;
    return err->code;
}

#define LAST                                                                                       \
    COLUMNS "join experiments e on e.id = s.experiment where e.stage = 'active'"                   \
            " and v.version = (select max(version) from scorer_versions where scorer = s.id)"

static enum ig_code list_last(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct scorer_call *call = context;
    const struct ig_scorer_list *list = call->list;
    struct ig_db_rows *rows = NULL;
    size_t cap = 0;
    call->scorers = (struct ig_scorers){NULL, 0};
    for (size_t i = 0; i < list->experiments_count; i++) {
        if (list->strict &&
            ig_tracking_experiment_must_be_active(tx, list->experiments[i], err) != IG_OK)
            return err->code;
        if (ig_db_query(&rows, tx, LAST " and s.experiment = $1 order by s.name",
                        IG_DB_VALUES(IG_DB_I(list->experiments[i])), err) != IG_OK)
            return err->code;
        read_scorers(call, &cap, rows, err);
        ig_db_finish(rows);
        if (err->code != IG_OK) return err->code;
    }
    if (list->all) {
        if (ig_db_query(&rows, tx, LAST " order by s.experiment, s.name", NULL, 0, err) != IG_OK)
            return err->code;
        read_scorers(call, &cap, rows, err);
        ig_db_finish(rows);
    }
    return err->code == IG_OK ? name_endpoints(call, tx, err) : err->code;
}

enum ig_code ig_scorer_last(struct ig_scorers *out, struct ig_db *db,
                            const struct ig_scorer_list *list, struct ig_arena *arena,
                            struct ig_err *err)
{
    struct scorer_call call = {.list = list, .arena = arena};
    if (ig_db_read(db, list_last, &call, err) == IG_OK) *out = call.scorers;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code add_scorer(struct scorer_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    make_id(call->id);
    return ig_db_exec(
        tx, "insert into scorers(id, experiment, name) values($1, $2, $3)",
        IG_DB_VALUES(IG_DB_C(call->id), IG_DB_I(call->ref->experiment), IG_DB_T(call->ref->name)),
        err);
}

/* Fills *id with that of the endpoint that the content names, and puts it there. */
static enum ig_code take_endpoint(struct ig_str *id, struct scorer_call *call, struct ig_db_tx *tx,
                                  struct ig_err *err)
{
    *id = (struct ig_str){NULL, 0};
    if (!call->endpoint.ptr ||
        find_endpoint(id, tx, "select id from gateway_endpoints where name = $1", call->endpoint,
                      call->arena, err) != IG_OK)
        return err->code;
    if (!id->ptr)
        return ig_fail(err, IG_NOT_FOUND, "GatewayEndpoint not found (name='%.*s')",
                       IG_STR_ARGS(ig_tracking_cut(call->endpoint, 100)));
    return put_endpoint(&call->content, *id, call->arena, err);
}

#define UNBIND "delete from gateway_bindings where type = 'scorer' and resource = $1"

/* What the last version asks is what the gateway says uses the endpoint. */
static enum ig_code bind(const struct scorer_call *call, struct ig_db_tx *tx,
                         struct ig_str endpoint, struct ig_err *err)
{
    const struct ig_db_value id = IG_DB_C(call->id);
    if (!endpoint.ptr || ig_db_exec(tx, UNBIND, &id, 1, err) != IG_OK) return err->code;
    return ig_db_exec(tx,
                      "insert into gateway_bindings(endpoint, type, resource, created_ms,"
                      " updated_ms) values($1, 'scorer', $2, $3, $3)",
                      IG_DB_VALUES(IG_DB_T(endpoint), id, IG_DB_I(ig_clock_unix_ms())), err);
}

/* "7/name": as the audit and permissions have it. */
static struct ig_str name_object(char out[OBJECT_SIZE], const struct ig_scorer_ref *ref)
{
    snprintf(out, OBJECT_SIZE, "%lld/%.*s", (long long)ref->experiment, IG_STR_ARGS(ref->name));
    return ig_str_view(out);
}

static enum ig_code register_scorer(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct scorer_call *call = context;
    struct ig_str endpoint;
    char object[OBJECT_SIZE];
    if (find(call, tx, err) != IG_OK || take_endpoint(&endpoint, call, tx, err) != IG_OK ||
        (!call->id[0] && add_scorer(call, tx, err) != IG_OK) ||
        bind(call, tx, endpoint, err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into scorer_versions(scorer, version, experiment, content, created_ms)"
                   " select $1, coalesce(max(version), 0) + 1, $2, $3, $4 from scorer_versions"
                   " where scorer = $1",
                   IG_DB_VALUES(IG_DB_C(call->id), IG_DB_I(call->ref->experiment),
                                IG_DB_T(call->content), IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK ||
        ig_grant_creator(tx, call->who, IG_OBJECT_SCORER, name_object(object, call->ref), err) !=
            IG_OK)
        return err->code;
    return read_one(call, tx, err);
}

enum ig_code ig_scorer_register(struct ig_scorer *out, struct ig_db *db,
                                const struct ig_scorer_by *by, const struct ig_scorer *scorer,
                                struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_scorer_ref ref = {by->experiment, scorer->name, IG_SCORER_ANY_VERSION};
    struct scorer_call call = {
        .who = by->who, .ref = &ref, .content = scorer->content, .arena = arena};
    struct ig_str model;
    if (!ig_str_trim(scorer->name).len)
        return ig_fail(err, IG_INVALID, "Scorer name cannot be empty or contain only whitespace.");
    if (ig_tracking_check_length(scorer->name, IG_SCORER_NAME_MAX, "name", err) != IG_OK)
        return err->code;
    if (scorer->content.len > IG_SCORER_CONTENT_MAX)
        return ig_fail(err, IG_INVALID, "serialized_scorer: %zu bytes, expected at most %d",
                       scorer->content.len, IG_SCORER_CONTENT_MAX);
    if (ig_scorer_content_read(&model, scorer->content, arena, err) != IG_OK) return err->code;
    if (model.ptr && !ig_str_trim(model).len)
        return ig_fail(err, IG_INVALID, "Scorer model cannot be empty or contain only whitespace.");
    if (is_of_gateway(model))
        call.endpoint = (struct ig_str){model.ptr + GATEWAY.len, model.len - GATEWAY.len};
    if (ig_db_write(db, register_scorer, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_all(struct scorer_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    static const char *const statements[] = {UNBIND, "delete from scorer_configs where scorer = $1",
                                             "delete from scorers where id = $1"};
    for (size_t i = 0; err->code == IG_OK && i < sizeof statements / sizeof statements[0]; i++)
        ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_C(call->id)), err);
    return err->code;
}

static enum ig_code delete_scorer(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct scorer_call *call = context;
    bool all = call->ref->version == IG_SCORER_ANY_VERSION;
    char object[OBJECT_SIZE];
    if (must_find(call, tx, err) != IG_OK ||
        ig_db_exec(tx,
                   "delete from scorer_versions where scorer = $1 and ($2 = -1 or version = $2)",
                   IG_DB_VALUES(IG_DB_C(call->id), IG_DB_I(call->ref->version)), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return no_scorer(call->ref, err);
    struct ig_str name = name_object(object, call->ref);
    if (all && (delete_all(call, tx, err) != IG_OK ||
                ig_grants_drop(tx, IG_OBJECT_SCORER, name, err) != IG_OK))
        return err->code;
    if (!all)
        snprintf(object + name.len, sizeof object - name.len, "/%lld",
                 (long long)call->ref->version);
    return ig_audit_add(tx, call->who, "scorer.delete", ig_str_view(object), IG_STR(""), err);
}

enum ig_code ig_scorer_delete(struct ig_db *db, const struct ig_principal *who,
                              const struct ig_scorer_ref *ref, struct ig_err *err)
{
    struct scorer_call call = {.who = who, .ref = ref};
    return ig_db_write(db, delete_scorer, &call, err);
}

/* ---- configurations ---- */

static enum ig_code check_model(struct scorer_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_str model;
    call->stored = true;
    if (read_one(call, tx, err) != IG_OK ||
        ig_scorer_content_read(&model, call->found.content, call->arena, err) != IG_OK)
        return err->code;
    if (is_of_gateway(model)) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Scorer '%.*s' does not use a gateway model. Automatic evaluation is only "
                   "supported for scorers that use gateway models.",
                   IG_STR_ARGS(ig_tracking_cut(call->ref->name, 100)));
}

static enum ig_code put_config(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct scorer_call *call = context;
    const struct ig_scorer_config *config = call->config;
    if (must_find(call, tx, err) != IG_OK ||
        (config->sample_rate > 0 && check_model(call, tx, err) != IG_OK))
        return err->code;
    call->made = *config;
    call->made.scorer = ig_arena_dup(call->arena, ig_str_view(call->id));
    call->made.experiment = call->ref->experiment;
    if (!call->made.scorer.ptr) return ig_fail(err, IG_NO_MEMORY, "scorer");
    return ig_db_exec(
        tx,
        "insert into scorer_configs(scorer, id, experiment, sample_rate, filter)"
        " values($1, $2, $3, $4, $5) on conflict (scorer) do update set id = excluded.id,"
        " sample_rate = excluded.sample_rate, filter = excluded.filter",
        IG_DB_VALUES(IG_DB_C(call->id), IG_DB_T(config->id), IG_DB_I(call->ref->experiment),
                     IG_DB_F(config->sample_rate),
                     config->filter.ptr ? IG_DB_T(config->filter) : IG_DB_N()),
        err);
}

enum ig_code ig_scorer_config_put(struct ig_scorer_config *out, struct ig_db *db,
                                  const struct ig_scorer_ref *ref,
                                  const struct ig_scorer_config *config, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct ig_scorer_ref last = *ref;
    struct ig_scorer_config made = *config;
    struct scorer_call call = {.ref = &last, .config = &made, .arena = arena};
    struct ig_tracking_filter filter;
    unsigned char random[16];
    char id[33];
    last.version = IG_SCORER_ANY_VERSION;
    if (!(config->sample_rate >= 0 && config->sample_rate <= 1))
        return ig_fail(err, IG_INVALID, "sample_rate must be between 0.0 and 1.0, got %g",
                       config->sample_rate);
    if (config->filter.ptr &&
        ig_tracking_filter_parse(&filter, IG_TRACKING_TRACES, config->filter, arena, err) != IG_OK)
        return err->code;
    ig_random_bytes(random, sizeof random);
    ig_hex(id, random, sizeof random);
    made.id = ig_arena_dup(arena, ig_str_view(id));
    if (!made.id.ptr) return ig_fail(err, IG_NO_MEMORY, "scorer");
    if (ig_db_write(db, put_config, &call, err) == IG_OK) *out = call.made;
    return err->code;
}

static enum ig_code read_config(struct ig_scorer_config *out, struct scorer_call *call,
                                struct ig_db_tx *tx, struct ig_str scorer, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    *out = (struct ig_scorer_config){.id = {NULL, 0}};
    if (ig_db_query(&rows, tx,
                    "select id, scorer, experiment, sample_rate, filter from scorer_configs"
                    " where scorer = $1",
                    IG_DB_VALUES(IG_DB_T(scorer)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        *out = (struct ig_scorer_config){.id = ig_db_text_dup(rows, 0, call->arena),
                                         .scorer = ig_db_text_dup(rows, 1, call->arena),
                                         .experiment = ig_db_i64(rows, 2),
                                         .sample_rate = ig_db_f64(rows, 3)};
    if (out->id.ptr && !ig_db_is_null(rows, 4)) out->filter = ig_db_text_dup(rows, 4, call->arena);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_configs(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct scorer_call *call = context;
    struct ig_scorer_config *items =
        ig_arena_array(call->arena, call->ids_count + 1, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "scorers");
    for (size_t i = 0; i < call->ids_count; i++) {
        if (read_config(&items[count], call, tx, call->ids[i], err) != IG_OK) return err->code;
        count += items[count].id.ptr != NULL;
    }
    call->configs = (struct ig_scorer_configs){items, count};
    return call->arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "scorers") : IG_OK;
}

enum ig_code ig_scorer_configs(struct ig_scorer_configs *out, struct ig_db *db,
                               const struct ig_str *scorers, size_t scorers_count,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct scorer_call call = {.ids = scorers, .ids_count = scorers_count, .arena = arena};
    if (scorers_count > IG_SCORER_CONFIGS_MAX)
        return ig_fail(err, IG_INVALID, "scorer_ids: %zu given, expected at most %d", scorers_count,
                       IG_SCORER_CONFIGS_MAX);
    if (ig_db_read(db, read_configs, &call, err) == IG_OK) *out = call.configs;
    return err->code;
}
