/* SPDX-License-Identifier: Apache-2.0 */
/* A function of needs.def finds the objects that a call is about, as permissions name them. Runs,
 * logged models, traces and artifacts have no permissions of their own: they are their
 * experiment's.
 *
 * Thread rule: stateless over the store. */
#include "api/mlflow_access.h"

#include "api/mlflow_gateway.h"
#include "api/mlflow_request.h"
#include "api/mlflow_traces.h"
#include "services/registered/registered.h"
#include "services/tracking/owners.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct found {
    enum ig_object kind;
    struct ig_str *items;
    size_t count, cap;
};
typedef enum ig_code find_objects(struct found *found, struct ig_call *call);

/* ---- arguments ---- */

static enum ig_code add(struct found *found, struct ig_call *call, struct ig_str object)
{
    found->items =
        ig_arena_grow(call->arena, found->items, found->count, &found->cap, sizeof *found->items);
    if (!found->items || call->arena->overflowed)
        return ig_fail(&call->err, IG_NO_MEMORY, "what a call is about");
    found->items[found->count++] = object;
    return IG_OK;
}

/* A stream's arguments stand in the query, whatever its method. */
static enum ig_code read_text(struct ig_str *out, struct ig_call *call, const char *name,
                              bool required)
{
    const struct ig_mlflow_field field = {name, IG_MLFLOW_TEXT, out, required};
    *out = IG_STR("");
    if (call->route->class != IG_ROUTE_STREAM) return ig_mlflow_read(call, &field, 1);
    if (ig_call_query_str(out, call, name) != IG_OK) return call->err.code;
    if (!out->len && strcmp(name, "run_id") == 0 &&
        ig_call_query_str(out, call, "run_uuid") != IG_OK)
        return call->err.code;
    if (required && !out->len)
        return ig_fail(&call->err, IG_INVALID, "Missing value for required parameter '%s'.", name);
    return IG_OK;
}

struct ig_str ig_mlflow_experiment_object(struct ig_call *call, struct ig_str text)
{
    int64_t id;
    if (!ig_str_to_i64(text, &id)) return text;
    return ig_str_view(ig_arena_printf(call->arena, "%lld", (long long)id));
}

struct ig_str ig_mlflow_scorer_object(struct ig_call *call, struct ig_str experiment,
                                      struct ig_str name)
{
    experiment = ig_mlflow_experiment_object(call, experiment);
    return ig_str_view(
        ig_arena_printf(call->arena, "%.*s/%.*s", IG_STR_ARGS(experiment), IG_STR_ARGS(name)));
}

static enum ig_code add_experiment(struct found *found, struct ig_call *call, int64_t id)
{
    const char *text = ig_arena_printf(call->arena, "%lld", (long long)id);
    return add(found, call, ig_str_view(text));
}

static enum ig_code add_owner(struct found *found, struct ig_call *call,
                              enum ig_tracking_owned kind, struct ig_str id)
{
    int64_t experiment = 0;
    if (ig_tracking_owner(&experiment, call->app->db, kind, id, &call->err) != IG_OK)
        return call->err.code;
    return add_experiment(found, call, experiment);
}

/* ---- what a call is about ---- */

static enum ig_code find_by_field(struct found *found, struct ig_call *call)
{
    struct ig_str object;
    if (read_text(&object, call, ig_object_field(found->kind), true) != IG_OK)
        return call->err.code;
    if (found->kind == IG_OBJECT_EXPERIMENT) object = ig_mlflow_experiment_object(call, object);
    return add(found, call, object);
}

static enum ig_code find_experiment(struct found *found, struct ig_call *call)
{
    struct ig_str name;
    int64_t id = 0;
    if (read_text(&name, call, "experiment_name", true) != IG_OK ||
        ig_tracking_owner_named(&id, call->app->db, name, &call->err) != IG_OK)
        return call->err.code;
    return add_experiment(found, call, id);
}

static enum ig_code find_header(struct found *found, struct ig_call *call)
{
    struct ig_str id = ig_http_header(&call->exchange->request, IG_STR("x-mlflow-experiment-id"));
    if (!id.len)
        return ig_fail(&call->err, IG_INVALID, "Missing required header: X-Mlflow-Experiment-Id");
    return add(found, call, ig_mlflow_experiment_object(call, ig_str_trim(id)));
}

static enum ig_code find_experiments(struct found *found, struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_str id = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"experiment_ids", IG_MLFLOW_TEXTS, &ids, false},
                                             {"experiment_id", IG_MLFLOW_TEXT, &id, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (id.len) add(found, call, ig_mlflow_experiment_object(call, id));
    for (size_t i = 0; call->err.code == IG_OK && i < ids.count; i++)
        add(found, call, ig_mlflow_experiment_object(call, ids.items[i]));
    return call->err.code;
}

static enum ig_code find_run(struct found *found, struct ig_call *call)
{
    struct ig_str id;
    if (read_text(&id, call, "run_id", true) != IG_OK) return call->err.code;
    return add_owner(found, call, IG_TRACKING_OWNED_RUN, id);
}

/* Histories name runs as run_id, again for each, or as run_ids. */
static enum ig_code find_runs(struct found *found, struct ig_call *call)
{
    struct ig_mlflow_texts one = {0}, more = {0};
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXTS, &one, false},
                                             {"run_ids", IG_MLFLOW_TEXTS, &more, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    for (size_t i = 0; call->err.code == IG_OK && i < one.count; i++)
        add_owner(found, call, IG_TRACKING_OWNED_RUN, one.items[i]);
    for (size_t i = 0; call->err.code == IG_OK && i < more.count; i++)
        add_owner(found, call, IG_TRACKING_OWNED_RUN, more.items[i]);
    return call->err.code;
}

static enum ig_code find_logged(struct found *found, struct ig_call *call)
{
    return add_owner(found, call, IG_TRACKING_OWNED_MODEL, call->params[0]);
}

/* In the path, or as the query names it. */
static enum ig_code find_trace(struct found *found, struct ig_call *call)
{
    struct ig_str id = call->params[0];
    if (!id.len && (ig_call_query_str(&id, call, "trace_id") != IG_OK ||
                    (!id.len && ig_call_query_str(&id, call, "request_id") != IG_OK)))
        return call->err.code;
    return add_owner(found, call, IG_TRACKING_OWNED_TRACE, id);
}

/* What is not there is left out of the answer. */
static enum ig_code find_traces(struct found *found, struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    const struct ig_mlflow_field field = {"trace_ids", IG_MLFLOW_TEXTS, &ids, true};
    if (ig_mlflow_read(call, &field, 1) != IG_OK) return call->err.code;
    for (size_t i = 0; call->err.code == IG_OK && i < ids.count; i++)
        if (add_owner(found, call, IG_TRACKING_OWNED_TRACE, ids.items[i]) == IG_NOT_FOUND)
            ig_err_clear(&call->err);
    return call->err.code;
}

/* The experiment that it is to be of, and that it is of when it is there already. */
static enum ig_code find_new_trace(struct found *found, struct ig_call *call)
{
    struct ig_str id, experiment;
    if (ig_mlflow_trace_named(&id, &experiment, call) != IG_OK ||
        add(found, call, ig_mlflow_experiment_object(call, experiment)) != IG_OK)
        return call->err.code;
    if (add_owner(found, call, IG_TRACKING_OWNED_TRACE, id) == IG_NOT_FOUND)
        ig_err_clear(&call->err);
    return call->err.code;
}

/* "7/..." of the path, or of the query's path where a directory is listed. A path of no experiment
 * is what nothing was said of. */
static enum ig_code find_artifact(struct found *found, struct ig_call *call)
{
    struct ig_str path = call->params[0];
    int64_t id;
    if (!path.len && ig_call_query_str(&path, call, "path") != IG_OK) return call->err.code;
    struct ig_str first = ig_str_cut(&path, '/');
    return ig_str_to_i64(first, &id) ? add_experiment(found, call, id)
                                     : add(found, call, IG_STR(""));
}

static enum ig_code find_scorer(struct found *found, struct ig_call *call)
{
    struct ig_str experiment, name;
    const char *field = call->route->need == IG_NEED_SCORER ? "name" : "scorer_name";
    if (read_text(&experiment, call, "experiment_id", true) != IG_OK ||
        read_text(&name, call, field, true) != IG_OK)
        return call->err.code;
    return add(found, call, ig_mlflow_scorer_object(call, experiment, name));
}

/* A run or logged model that is not there gives nothing away. */
static enum ig_code add_owner_if_there(struct found *found, struct ig_call *call,
                                       enum ig_tracking_owned kind, struct ig_str id)
{
    if (id.len && add_owner(found, call, kind, id) == IG_NOT_FOUND) ig_err_clear(&call->err);
    return call->err.code;
}

/* Whose files a new version's are. */
static enum ig_code find_version_owners(struct found *found, struct ig_call *call)
{
    struct ig_str run, model;
    if (read_text(&run, call, "run_id", false) != IG_OK ||
        read_text(&model, call, "model_id", false) != IG_OK ||
        add_owner_if_there(found, call, IG_TRACKING_OWNED_RUN, run) != IG_OK)
        return call->err.code;
    return add_owner_if_there(found, call, IG_TRACKING_OWNED_MODEL, model);
}

/* Where a version is made from another one. */
static enum ig_code find_version_copied(struct found *found, struct ig_call *call)
{
    struct ig_str source;
    if (read_text(&source, call, "source", false) != IG_OK) return call->err.code;
    struct ig_str model = ig_registered_source_model(source);
    return model.len ? add(found, call, model) : IG_OK;
}

static enum ig_code find_secret_used(struct found *found, struct ig_call *call)
{
    struct ig_str id;
    if (read_text(&id, call, "secret_id", false) != IG_OK) return call->err.code;
    return id.len ? add(found, call, id) : IG_OK;
}

static enum ig_code find_definitions_used(struct found *found, struct ig_call *call)
{
    struct ig_mlflow_gateway_extra *extra = ig_arena_zalloc(call->arena, sizeof *extra);
    if (!extra) return ig_fail(&call->err, IG_NO_MEMORY, "models of an endpoint");
    if (ig_mlflow_gateway_extra_read(extra, call) != IG_OK) return call->err.code;
    for (size_t i = 0; call->err.code == IG_OK && i < extra->uses_count; i++)
        if (extra->uses[i].model.len) add(found, call, extra->uses[i].model);
    return call->err.code;
}

static const struct {
    find_objects *find;
    enum ig_object kind;
    const char *doc;
} NEEDS[] = {
    {NULL, IG_OBJECT_WORKSPACE, "administrators"},
#define IG_NEED(id, find, kind, doc) {find, IG_OBJECT_##kind, doc},
#include "api/needs.def"
#undef IG_NEED
};

const char *ig_need_doc(enum ig_need need)
{
    return NEEDS[need].doc;
}

/* ---- checks ---- */

static enum ig_code denied(struct ig_call *call)
{
    return ig_fail(&call->err, IG_DENIED, "Permission denied.");
}

/* What something is changed to use, or made from. */
static const struct {
    enum ig_need need, besides;
    enum ig_permission permission;
} BESIDES[] = {
    {IG_NEED_DEFINITION, IG_NEED_SECRET_USED, IG_PERMISSION_USE},
    {IG_NEED_ENDPOINT, IG_NEED_DEFINITIONS_USED, IG_PERMISSION_USE},
    {IG_NEED_VERSION_NEW, IG_NEED_VERSION_OWNERS, IG_PERMISSION_READ},
    {IG_NEED_VERSION_NEW, IG_NEED_VERSION_COPIED, IG_PERMISSION_READ},
};

static enum ig_code check_objects(struct ig_call *call, enum ig_need need,
                                  enum ig_permission permission)
{
    struct found found = {.kind = NEEDS[need].kind};
    if (!NEEDS[need].find) return IG_OK;
    if (NEEDS[need].find(&found, call) != IG_OK) return call->err.code;
    enum ig_permission *has = ig_arena_array(call->arena, found.count + 1, sizeof *has);
    if (!has || call->arena->overflowed)
        return ig_fail(&call->err, IG_NO_MEMORY, "permissions of %zu objects", found.count);
    const struct ig_permission_ask ask = {call->who.user, found.kind, found.items, found.count};
    if (ig_permissions_of(has, call->app->users, &ask, &call->err) != IG_OK) return call->err.code;
    for (size_t i = 0; i < found.count; i++)
        if (has[i] < permission) return denied(call);
    return IG_OK;
}

static enum ig_code check_self(struct ig_call *call)
{
    struct ig_str name;
    if (read_text(&name, call, "username", true) != IG_OK) return call->err.code;
    return ig_str_is(name, call->who.name) ? IG_OK : denied(call);
}

enum ig_code ig_mlflow_access_check(struct ig_call *call)
{
    const struct ig_route *route = call->route;
    switch (route->need) {
    case IG_NEED_ADMIN:
        return denied(call);
    case IG_NEED_SELF:
        return check_self(call);
    case IG_NEED_ROLE:
    case IG_NEED_USER_ROLES:
    case IG_NEED_PERMISSION:
    case IG_NEED_PERMISSION_SEEN:
        return ig_mlflow_roles_check(call);
    default:
        break;
    }
    check_objects(call, route->need, route->permission);
    for (size_t i = 0; call->err.code == IG_OK && i < COUNT(BESIDES); i++)
        if (BESIDES[i].need == route->need && route->permission == IG_PERMISSION_EDIT)
            check_objects(call, BESIDES[i].besides, BESIDES[i].permission);
    return call->err.code;
}

struct ig_viewer ig_mlflow_viewer(const struct ig_call *call)
{
    if (!call->who.user || (call->who.scopes & IG_SCOPE_ADMIN)) return (struct ig_viewer){0};
    return (struct ig_viewer){call->who.user, ig_users_fallback(call->app->users)};
}

enum ig_code ig_mlflow_has(bool *has, struct ig_call *call, enum ig_permission permission,
                           enum ig_object kind, struct ig_str object)
{
    enum ig_permission given = IG_PERMISSION_MANAGE;
    const struct ig_permission_ask ask = {call->who.user, kind, &object, 1};
    if (ig_mlflow_viewer(call).user &&
        ig_permissions_of(&given, call->app->users, &ask, &call->err) != IG_OK)
        return call->err.code;
    *has = given >= permission;
    return IG_OK;
}

enum ig_code ig_mlflow_readable(int64_t *experiments, size_t *count, struct ig_call *call)
{
    size_t left = 0;
    if (!ig_mlflow_viewer(call).user) return IG_OK;
    for (size_t i = 0; i < *count; i++) {
        char text[24];
        bool has = false;
        snprintf(text, sizeof text, "%lld", (long long)experiments[i]);
        if (ig_mlflow_has(&has, call, IG_PERMISSION_READ, IG_OBJECT_EXPERIMENT,
                          ig_str_view(text)) != IG_OK)
            return call->err.code;
        if (has) experiments[left++] = experiments[i];
    }
    *count = left;
    return IG_OK;
}
