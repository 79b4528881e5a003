/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's roles, and its calls that give one user a permission of any object. */
#include "api/mlflow_access.h"
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "services/users/roles.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- JSON ---- */

static void write_grant(struct ig_json_out *out, const struct ig_role_grant *grant)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "id", grant->id);
    ig_json_out_kv_i64(out, "role_id", grant->role);
    ig_json_out_kv_str(out, "resource_type", ig_str_view(ig_object_word(grant->kind)));
    ig_json_out_kv_str(out, "resource_pattern", grant->object);
    ig_json_out_kv_str(out, "permission", ig_str_view(ig_permission_name(grant->permission)));
    ig_json_out_object_end(out);
}

static void write_grants(struct ig_json_out *out, const char *name, const struct ig_role *role)
{
    ig_json_out_key(out, ig_str_view(name));
    ig_json_out_array(out);
    for (size_t i = 0; i < role->grants_count; i++) write_grant(out, &role->grants[i]);
    ig_json_out_array_end(out);
}

static void write_role(struct ig_json_out *out, const struct ig_role *role)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "id", role->id);
    ig_json_out_kv_str(out, "name", role->name);
    ig_json_out_kv_str(out, "workspace", role->workspace);
    ig_json_out_key(out, IG_STR("description"));
    if (role->description.ptr)
        ig_json_out_str(out, role->description);
    else
        ig_json_out_null(out);
    write_grants(out, "permissions", role);
    ig_json_out_object_end(out);
}

static enum ig_code reply_role(struct ig_call *call, const struct ig_role *role)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("role"));
    write_role(&out, role);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code reply_roles(struct ig_call *call, const struct ig_role_list *list)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("roles"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list->count; i++) write_role(&out, &list->items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code reply_grant(struct ig_call *call, const struct ig_role_grant *grant)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("role_permission"));
    write_grant(&out, grant);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static void write_given(struct ig_json_out *out, const struct ig_role_given *given)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "id", given->id);
    ig_json_out_kv_i64(out, "user_id", given->user);
    ig_json_out_kv_i64(out, "role_id", given->role);
    ig_json_out_object_end(out);
}

/* ---- roles ---- */

/* Texts are left NULL where they are not given. */
static enum ig_code read_spec(struct ig_role_spec *spec, struct ig_call *call, bool new)
{
    *spec = (struct ig_role_spec){0};
    const struct ig_mlflow_field fields[] = {
        {"role_id", IG_MLFLOW_I64, &spec->id, !new},
        {"name", IG_MLFLOW_TEXT, &spec->name, new},
        {"workspace", IG_MLFLOW_TEXT, &spec->workspace, new},
        {"description", IG_MLFLOW_TEXT, &spec->description, false}};
    return ig_mlflow_read(call, fields, COUNT(fields));
}

enum ig_code ig_mlflow_role_create(struct ig_call *call)
{
    struct ig_role_spec spec;
    struct ig_role role = {0};
    if (read_spec(&spec, call, true) != IG_OK ||
        ig_role_create(&role, call->app->users, &call->who, &spec, &call->err) != IG_OK)
        return call->err.code;
    return reply_role(call, &role);
}

enum ig_code ig_mlflow_role_update(struct ig_call *call)
{
    struct ig_role_spec spec;
    struct ig_role role = {0};
    if (read_spec(&spec, call, false) != IG_OK ||
        ig_role_update(&role, call->app->users, &call->who, &spec, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    return reply_role(call, &role);
}

static enum ig_code read_id(int64_t *id, struct ig_call *call, const char *name)
{
    const struct ig_mlflow_field field = {name, IG_MLFLOW_I64, id, true};
    *id = 0;
    return ig_mlflow_read(call, &field, 1);
}

static enum ig_code find_role(struct ig_role *role, struct ig_call *call)
{
    struct ig_role_filter filter = {0};
    struct ig_role_list list;
    if (read_id(&filter.id, call, "role_id") != IG_OK) return call->err.code;
    if (filter.id == 0) filter.id = -1; /* there is none */
    if (ig_role_list(&list, call->app->users, &filter, call->arena, &call->err) == IG_OK)
        *role = list.items[0];
    return call->err.code;
}

enum ig_code ig_mlflow_role_get(struct ig_call *call)
{
    struct ig_role role = {0};
    return find_role(&role, call) == IG_OK ? reply_role(call, &role) : call->err.code;
}

enum ig_code ig_mlflow_role_list(struct ig_call *call)
{
    struct ig_role_filter filter = {0};
    struct ig_role_list list;
    const struct ig_mlflow_field field = {"workspace", IG_MLFLOW_TEXT, &filter.workspace, false};
    if (ig_mlflow_read(call, &field, 1) != IG_OK) return call->err.code;
    if (filter.workspace.ptr && !ig_str_trim(filter.workspace).len)
        return ig_fail(&call->err, IG_INVALID,
                       "Parameter 'workspace' must be a non-empty string when provided.");
    if (ig_role_list(&list, call->app->users, &filter, call->arena, &call->err) != IG_OK)
        return call->err.code;
    return reply_roles(call, &list);
}

enum ig_code ig_mlflow_role_delete(struct ig_call *call)
{
    int64_t id;
    if (read_id(&id, call, "role_id") != IG_OK ||
        ig_role_delete(call->app->users, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

/* ---- what a role may do ---- */

/* As permissions name it. */
static struct ig_str object_of(struct ig_call *call, enum ig_object kind, struct ig_str text)
{
    struct ig_str rest = text;
    if (kind == IG_OBJECT_EXPERIMENT) return ig_mlflow_experiment_object(call, text);
    if (kind != IG_OBJECT_SCORER || ig_str_is(text, "*")) return text;
    struct ig_str experiment = ig_str_cut(&rest, '/');
    return rest.ptr ? ig_mlflow_scorer_object(call, experiment, rest) : text;
}

enum ig_code ig_mlflow_role_grant_add(struct ig_call *call)
{
    struct ig_role_grant grant = {.object = IG_STR("")};
    struct ig_str type = IG_STR(""), permission = IG_STR("");
    const struct ig_mlflow_field fields[] = {
        {"role_id", IG_MLFLOW_I64, &grant.role, true},
        {"resource_type", IG_MLFLOW_TEXT, &type, true},
        {"resource_pattern", IG_MLFLOW_TEXT, &grant.object, true},
        {"permission", IG_MLFLOW_TEXT, &permission, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_permission_parse(&grant.permission, permission, &call->err) != IG_OK ||
        ig_object_parse(&grant.kind, type, &call->err) != IG_OK)
        return call->err.code;
    grant.object = object_of(call, grant.kind, grant.object);
    if (ig_role_grant_add(&grant, call->app->users, &call->who, &call->err) != IG_OK)
        return call->err.code;
    return reply_grant(call, &grant);
}

enum ig_code ig_mlflow_role_grant_update(struct ig_call *call)
{
    struct ig_role_grant grant = {.object = {NULL, 0}};
    struct ig_str permission = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"role_permission_id", IG_MLFLOW_I64, &grant.id, true},
                                             {"permission", IG_MLFLOW_TEXT, &permission, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_permission_parse(&grant.permission, permission, &call->err) != IG_OK ||
        ig_role_grant_update(&grant, call->app->users, &call->who, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    return reply_grant(call, &grant);
}

enum ig_code ig_mlflow_role_grant_remove(struct ig_call *call)
{
    int64_t id;
    if (read_id(&id, call, "role_permission_id") != IG_OK ||
        ig_role_grant_remove(call->app->users, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_role_grant_list(struct ig_call *call)
{
    struct ig_role role = {0};
    struct ig_json_out out;
    if (find_role(&role, call) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_grants(&out, "role_permissions", &role);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- who has a role ---- */

static enum ig_code read_assignment(struct ig_str *user, int64_t *role, struct ig_call *call)
{
    const struct ig_mlflow_field fields[] = {{"username", IG_MLFLOW_TEXT, user, true},
                                             {"role_id", IG_MLFLOW_I64, role, true}};
    *user = IG_STR("");
    *role = 0;
    return ig_mlflow_read(call, fields, COUNT(fields));
}

enum ig_code ig_mlflow_role_assign(struct ig_call *call)
{
    struct ig_role_given given;
    struct ig_json_out out;
    struct ig_str user;
    int64_t role;
    if (read_assignment(&user, &role, call) != IG_OK ||
        ig_role_assign(&given, call->app->users, &call->who, user, role, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("assignment"));
    write_given(&out, &given);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_role_unassign(struct ig_call *call)
{
    struct ig_str user;
    int64_t role;
    if (read_assignment(&user, &role, call) != IG_OK ||
        ig_role_unassign(call->app->users, &call->who, user, role, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_role_users(struct ig_call *call)
{
    struct ig_role_given_list list;
    struct ig_json_out out;
    int64_t role;
    if (read_id(&role, call, "role_id") != IG_OK ||
        ig_role_users(&list, call->app->users, role, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("assignments"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_given(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* The roles of a user; who is neither it nor an administrator sees those of workspaces that it
 * administers. */
static enum ig_code roles_of(struct ig_role_list *list, struct ig_call *call, struct ig_user *user)
{
    struct ig_role_filter filter = {.user = user->id};
    if (ig_mlflow_viewer(call).user && user->id != call->who.user) filter.seen_by = call->who.user;
    return ig_role_list(list, call->app->users, &filter, call->arena, &call->err);
}

static enum ig_code read_user(struct ig_user *user, struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    const struct ig_mlflow_field field = {"username", IG_MLFLOW_TEXT, &name, true};
    if (ig_mlflow_read(call, &field, 1) != IG_OK) return call->err.code;
    return ig_user_get(user, call->app->users, name, call->arena, &call->err);
}

enum ig_code ig_mlflow_user_roles(struct ig_call *call)
{
    struct ig_user user = {0};
    struct ig_role_list list;
    if (read_user(&user, call) != IG_OK || roles_of(&list, call, &user) != IG_OK)
        return call->err.code;
    return reply_roles(call, &list);
}

/* ---- one user's permissions ---- */

static void write_row(struct ig_json_out *out, const struct ig_role *role,
                      const struct ig_role_grant *grant)
{
    ig_json_out_object(out);
    ig_json_out_kv_i64(out, "role_id", role->id);
    ig_json_out_kv_str(out, "role_name", role->name);
    ig_json_out_kv_str(out, "workspace", role->workspace);
    ig_json_out_kv_str(out, "resource_type", ig_str_view(ig_object_word(grant->kind)));
    ig_json_out_kv_str(out, "resource_pattern", grant->object);
    ig_json_out_kv_str(out, "permission", ig_str_view(ig_permission_name(grant->permission)));
    ig_json_out_object_end(out);
}

/* What a user was given itself stands under a role of its own, as with MLflow. */
static enum ig_code reply_permissions(struct ig_call *call, struct ig_user *user)
{
    struct ig_grant_list grants = {0};
    struct ig_role_list roles = {0};
    struct ig_json_out out;
    struct ig_role own = {.workspace = IG_STR("default")};
    if (roles_of(&roles, call, user) != IG_OK ||
        ig_grant_list(&grants, call->app->users, user->id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    own.name = ig_str_view(ig_arena_printf(call->arena, "__user_%lld__", (long long)user->id));
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_bool(&out, "is_admin", user->is_admin);
    ig_json_out_key(&out, IG_STR("permissions"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < grants.count; i++) {
        const struct ig_grant *grant = &grants.items[i];
        write_row(&out, &own,
                  &(struct ig_role_grant){.kind = grant->kind,
                                          .object = grant->object,
                                          .permission = grant->permission});
    }
    for (size_t i = 0; i < roles.count; i++)
        for (size_t k = 0; k < roles.items[i].grants_count; k++)
            write_row(&out, &roles.items[i], &roles.items[i].grants[k]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_permission_list(struct ig_call *call)
{
    struct ig_user user = {0};
    return read_user(&user, call) == IG_OK ? reply_permissions(call, &user) : call->err.code;
}

enum ig_code ig_mlflow_permission_own(struct ig_call *call)
{
    struct ig_user user = {.id = call->who.user,
                           .is_admin = ig_principal_allows(&call->who, IG_SCOPE_ADMIN)};
    return reply_permissions(call, &user);
}

static enum ig_code read_ask(struct ig_grant_ask *ask, struct ig_call *call, bool permission)
{
    struct ig_str type = IG_STR(""), word = IG_STR("");
    *ask = (struct ig_grant_ask){.object = IG_STR(""), .user = IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"username", IG_MLFLOW_TEXT, &ask->user, true},
                                             {"resource_type", IG_MLFLOW_TEXT, &type, true},
                                             {"resource_id", IG_MLFLOW_TEXT, &ask->object, true},
                                             {"permission", IG_MLFLOW_TEXT, &word, permission}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_object_parse(&ask->kind, type, &call->err) != IG_OK)
        return call->err.code;
    if (ask->kind == IG_OBJECT_WORKSPACE)
        return ig_fail(&call->err, IG_INVALID,
                       "resource_type 'workspace' is not supported by the per-user permission "
                       "convenience APIs. Use the role APIs instead.");
    ask->object = object_of(call, ask->kind, ask->object);
    if (!permission) return IG_OK;
    if (ig_permission_parse(&ask->permission, word, &call->err) != IG_OK) return call->err.code;
    if (ask->permission != IG_PERMISSION_NONE) return IG_OK;
    return ig_fail(&call->err, IG_INVALID,
                   "Invalid permission '%.*s' for resource_type='%s'. Resource-level grants accept "
                   "only: ('DENY', 'EDIT', 'MANAGE', 'READ', 'USE').",
                   IG_STR_ARGS(word), ig_object_word(ask->kind));
}

enum ig_code ig_mlflow_permission_grant(struct ig_call *call)
{
    struct ig_grant_ask ask;
    int64_t user;
    if (read_ask(&ask, call, true) != IG_OK ||
        ig_grant_create(&user, call->app->users, &call->who, &ask, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_permission_revoke(struct ig_call *call)
{
    struct ig_grant_ask ask;
    if (read_ask(&ask, call, false) != IG_OK ||
        ig_grant_delete(call->app->users, &call->who, &ask, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_permission_get(struct ig_call *call)
{
    struct ig_grant_ask ask;
    struct ig_user user = {0};
    enum ig_permission has = IG_PERMISSION_MANAGE;
    struct ig_json_out out;
    if (read_ask(&ask, call, false) != IG_OK ||
        ig_user_get(&user, call->app->users, ask.user, call->arena, &call->err) != IG_OK)
        return call->err.code;
    const struct ig_permission_ask asked = {user.id, ask.kind, &ask.object, 1};
    if (ig_permissions_of(&has, call->app->users, &asked, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_bool(&out, "allowed", has >= IG_PERMISSION_USE);
    ig_json_out_kv_str(&out, "permission", ig_str_view(ig_permission_name(has)));
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- who may ---- */

static enum ig_code denied(struct ig_call *call)
{
    return ig_fail(&call->err, IG_DENIED, "Permission denied.");
}

/* Of a role's workspace, or of one that is named. */
static enum ig_code check_role(struct ig_call *call)
{
    struct ig_role_standing standing = {.workspace = {NULL, 0}};
    const struct ig_mlflow_field fields[] = {
        {"role_id", IG_MLFLOW_I64, &standing.role, false},
        {"role_permission_id", IG_MLFLOW_I64, &standing.grant, false},
        {"workspace", IG_MLFLOW_TEXT, &standing.workspace, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (standing.role || standing.grant) standing.workspace = (struct ig_str){NULL, 0};
    if (standing.role) standing.grant = 0;
    if (ig_role_stand(&standing, call->app->users, call->who.user, &call->err) != IG_OK)
        return call->err.code;
    bool seen = call->route->permission == IG_PERMISSION_READ && standing.is_member;
    return seen || standing.is_admin ? IG_OK : denied(call);
}

/* The user itself, and who administers a workspace of it. */
static enum ig_code check_user(struct ig_call *call)
{
    struct ig_user user = {0};
    bool may = false;
    if (read_user(&user, call) != IG_OK) {
        if (call->err.code != IG_NOT_FOUND) return call->err.code;
        ig_err_clear(&call->err);
        return denied(call);
    }
    if (user.id == call->who.user) return IG_OK;
    if (ig_role_administers(&may, call->app->users, call->who.user, user.id, &call->err) != IG_OK)
        return call->err.code;
    return may ? IG_OK : denied(call);
}

/* What one may manage one may give; of all objects of a kind who administers the workspace. To see
 * it, the user itself may as well. */
static enum ig_code check_grant(struct ig_call *call)
{
    struct ig_grant_ask ask;
    struct ig_role_standing standing = {.workspace = IG_STR("default")};
    bool may = false, get = call->route->need == IG_NEED_PERMISSION_SEEN;
    if (read_ask(&ask, call, false) != IG_OK) return call->err.code;
    if (get && ig_str_is(ask.user, call->who.name)) return IG_OK;
    if (!get && !ig_str_is(ask.object, "*")) {
        if (ig_mlflow_has(&may, call, IG_PERMISSION_MANAGE, ask.kind, ask.object) != IG_OK)
            return call->err.code;
        return may ? IG_OK : denied(call);
    }
    if (ig_role_stand(&standing, call->app->users, call->who.user, &call->err) != IG_OK)
        return call->err.code;
    return standing.is_admin ? IG_OK : denied(call);
}

enum ig_code ig_mlflow_roles_check(struct ig_call *call)
{
    switch (call->route->need) {
    case IG_NEED_ROLE:
        return check_role(call);
    case IG_NEED_USER_ROLES:
        return check_user(call);
    default:
        return check_grant(call);
    }
}
