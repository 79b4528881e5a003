/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's users, and what each was given of which object: `mlflow server --app-name basic-auth`.
 * Who may call is the table's to say (api/routes.def). */
#include "api/mlflow_access.h"
#include "api/mlflow_request.h"
#include "api/rest.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- JSON ---- */

static void write_identity(struct ig_json_out *out, const struct ig_user *user)
{
    ig_json_out_kv_i64(out, "id", user->id);
    ig_json_out_kv_str(out, "username", user->name);
    ig_json_out_kv_bool(out, "is_admin", user->is_admin);
}

static void write_grant(struct ig_json_out *out, const struct ig_grant *grant)
{
    struct ig_str rest = grant->object;
    ig_json_out_object(out);
    if (grant->kind == IG_OBJECT_SCORER)
        ig_json_out_kv_str(out, "experiment_id", ig_str_cut(&rest, '/'));
    if (grant->kind == IG_OBJECT_MODEL) ig_json_out_kv_str(out, "workspace", IG_STR("default"));
    ig_json_out_kv_str(out, ig_object_field(grant->kind), rest);
    ig_json_out_kv_i64(out, "user_id", grant->user);
    ig_json_out_kv_str(out, "permission", ig_str_view(ig_permission_name(grant->permission)));
    ig_json_out_object_end(out);
}

static void write_grants(struct ig_json_out *out, const char *name, enum ig_object kind,
                         const struct ig_grant_list *list)
{
    ig_json_out_key(out, ig_str_view(name));
    ig_json_out_array(out);
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i].kind == kind) write_grant(out, &list->items[i]);
    ig_json_out_array_end(out);
}

static enum ig_code reply_user(struct ig_call *call, const struct ig_user *user, bool whole)
{
    struct ig_grant_list grants = {0};
    struct ig_json_out out;
    if (whole &&
        ig_grant_list(&grants, call->app->users, user->id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("user"));
    ig_json_out_object(&out);
    write_identity(&out, user);
    if (whole) {
        write_grants(&out, "experiment_permissions", IG_OBJECT_EXPERIMENT, &grants);
        write_grants(&out, "registered_model_permissions", IG_OBJECT_MODEL, &grants);
        write_grants(&out, "scorer_permissions", IG_OBJECT_SCORER, &grants);
    }
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- users ---- */

enum ig_code ig_mlflow_user_create(struct ig_call *call)
{
    struct ig_user_spec spec = {.name = IG_STR(""), .password = IG_STR("")};
    struct ig_user user = {0};
    const struct ig_mlflow_field fields[] = {{"username", IG_MLFLOW_TEXT, &spec.name, false},
                                             {"password", IG_MLFLOW_TEXT, &spec.password, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (!spec.name.len || !spec.password.len)
        return ig_fail(&call->err, IG_INVALID, "Username and password cannot be empty.");
    if (ig_user_create(&user.id, call->app->users, &call->who, &spec, &call->err) != IG_OK)
        return call->err.code;
    user.name = spec.name;
    return reply_user(call, &user, true);
}

static enum ig_code read_name(struct ig_str *name, struct ig_call *call)
{
    const struct ig_mlflow_field field = {"username", IG_MLFLOW_TEXT, name, true};
    *name = IG_STR("");
    return ig_mlflow_read(call, &field, 1);
}

enum ig_code ig_mlflow_user_get(struct ig_call *call)
{
    struct ig_str name;
    struct ig_user user;
    if (read_name(&name, call) != IG_OK ||
        ig_user_get(&user, call->app->users, name, call->arena, &call->err) != IG_OK)
        return call->err.code;
    return reply_user(call, &user, true);
}

enum ig_code ig_mlflow_user_current(struct ig_call *call)
{
    const struct ig_user user = {.id = call->who.user,
                                 .name = ig_str_view(call->who.name),
                                 .is_admin = ig_principal_allows(&call->who, IG_SCOPE_ADMIN)};
    return reply_user(call, &user, false);
}

enum ig_code ig_mlflow_user_list(struct ig_call *call)
{
    struct ig_user_list list;
    struct ig_json_out out;
    if (ig_user_list(&list, call->app->users, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("users"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) {
        ig_json_out_object(&out);
        write_identity(&out, &list.items[i]);
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* A browser that was left open must not do to change a password. */
static enum ig_code check_current(struct ig_call *call, struct ig_str name, struct ig_str password)
{
    struct ig_principal who;
    if (!password.len)
        return ig_fail(&call->err, IG_INVALID,
                       "Current password is required when changing your own password.");
    if (ig_users_verify(&who, call->app->users, name, password, &call->err) != IG_UNAUTHENTICATED)
        return call->err.code;
    ig_err_clear(&call->err);
    return ig_fail(&call->err, IG_INVALID, "Current password does not match.");
}

enum ig_code ig_mlflow_user_password(struct ig_call *call)
{
    struct ig_str name = IG_STR(""), password = IG_STR(""), current = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"username", IG_MLFLOW_TEXT, &name, true},
                                             {"password", IG_MLFLOW_TEXT, &password, true},
                                             {"current_password", IG_MLFLOW_TEXT, &current, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    bool own = call->who.user && ig_str_is(name, call->who.name);
    if (own && check_current(call, name, current) != IG_OK) return call->err.code;
    if (own && ig_str_eq(password, current))
        return ig_fail(&call->err, IG_INVALID,
                       "New password must differ from the current password.");
    if (ig_user_set_password(call->app->users, &call->who, name, password, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_user_admin(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    bool is_admin = false;
    const struct ig_mlflow_field fields[] = {{"username", IG_MLFLOW_TEXT, &name, true},
                                             {"is_admin", IG_MLFLOW_BOOL, &is_admin, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_user_set_admin(call->app->users, &call->who, name, is_admin, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_user_delete(struct ig_call *call)
{
    struct ig_str name;
    if (read_name(&name, call) != IG_OK) return call->err.code;
    if (call->who.user && ig_str_is(name, call->who.name))
        return ig_fail(&call->err, IG_INVALID,
                       "Users cannot delete their own account. Ask another admin to delete this "
                       "user instead.");
    if (ig_user_delete(call->app->users, &call->who, name, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

/* ---- what a user was given; the route's need says of which kind of object ---- */

static enum ig_object kind_of(const struct ig_route *route)
{
    switch (route->need) {
    case IG_NEED_EXPERIMENT:
        return IG_OBJECT_EXPERIMENT;
    case IG_NEED_MODEL:
        return IG_OBJECT_MODEL;
    case IG_NEED_SCORER_GRANT:
        return IG_OBJECT_SCORER;
    case IG_NEED_SECRET:
        return IG_OBJECT_SECRET;
    case IG_NEED_ENDPOINT:
        return IG_OBJECT_ENDPOINT;
    default:
        return IG_OBJECT_DEFINITION;
    }
}

static enum ig_code read_ask(struct ig_grant_ask *ask, struct ig_call *call, bool permission)
{
    struct ig_str object = IG_STR(""), experiment = IG_STR(""), word = IG_STR("");
    enum ig_object kind = kind_of(call->route);
    const struct ig_mlflow_field fields[] = {{ig_object_field(kind), IG_MLFLOW_TEXT, &object, true},
                                             {"username", IG_MLFLOW_TEXT, &ask->user, true},
                                             {"permission", IG_MLFLOW_TEXT, &word, permission},
                                             {kind == IG_OBJECT_SCORER ? "experiment_id" : "",
                                              IG_MLFLOW_TEXT, &experiment,
                                              kind == IG_OBJECT_SCORER}};
    *ask = (struct ig_grant_ask){.kind = kind, .user = IG_STR("")};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (kind == IG_OBJECT_EXPERIMENT) object = ig_mlflow_experiment_object(call, object);
    if (kind == IG_OBJECT_SCORER) object = ig_mlflow_scorer_object(call, experiment, object);
    ask->object = object;
    return permission ? ig_permission_parse(&ask->permission, word, &call->err) : IG_OK;
}

static enum ig_code reply_grant(struct ig_call *call, const struct ig_grant *grant)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, ig_str_view(ig_object_member(grant->kind)));
    write_grant(&out, grant);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_grant_create(struct ig_call *call)
{
    struct ig_grant_ask ask;
    int64_t user = 0;
    if (read_ask(&ask, call, true) != IG_OK ||
        ig_grant_create(&user, call->app->users, &call->who, &ask, &call->err) != IG_OK)
        return call->err.code;
    return reply_grant(call, &(struct ig_grant){ask.kind, ask.object, ask.permission, user});
}

enum ig_code ig_mlflow_grant_get(struct ig_call *call)
{
    struct ig_grant_ask ask;
    struct ig_grant grant;
    if (read_ask(&ask, call, false) != IG_OK ||
        ig_grant_get(&grant, call->app->users, &ask, &call->err) != IG_OK)
        return call->err.code;
    return reply_grant(call, &grant);
}

enum ig_code ig_mlflow_grant_update(struct ig_call *call)
{
    struct ig_grant_ask ask;
    if (read_ask(&ask, call, true) != IG_OK ||
        ig_grant_update(call->app->users, &call->who, &ask, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_grant_delete(struct ig_call *call)
{
    struct ig_grant_ask ask;
    if (read_ask(&ask, call, false) != IG_OK ||
        ig_grant_delete(call->app->users, &call->who, &ask, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
