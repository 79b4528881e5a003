/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: stateless over the store. */
#include "services/users/roles.h"

#include <stdio.h>

enum { ROLES_MAX = 100000 };

/* The workspaces that a user administers. */
#define ADMINISTERED(user)                                                                         \
    "(select w.workspace from roles w join user_roles u on u.role = w.id"                          \
    " join role_grants g on g.role = w.id where u.user_id = " user                                 \
    " and g.kind = 6 and g.object = '*' and g.permission = 4)"
_Static_assert(IG_OBJECT_WORKSPACE == 6 && IG_PERMISSION_MANAGE == 4, "rows have these numbers");

struct role_call {
    const struct ig_principal *who;
    const struct ig_role_spec *spec;
    const struct ig_role_filter *filter;
    struct ig_role_grant *grant;
    struct ig_role_given given;
    struct ig_str user;
    struct ig_arena *arena;
    struct ig_role_list list;
    struct ig_role_given_list givens;
};

/* ---- shared ---- */

static enum ig_code audit(struct ig_db_tx *tx, const struct role_call *call, const char *action,
                          int64_t id, struct ig_err *err)
{
    char object[32];
    snprintf(object, sizeof object, "%lld", (long long)id);
    return ig_audit_add(tx, call->who, action, ig_str_view(object), IG_STR(""), err);
}

static enum ig_code no_role(int64_t id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Role with id=%lld not found", (long long)id);
}

/* True with the first column of the first row. */
static bool ask(int64_t *out, struct ig_db_tx *tx, const char *sql,
                const struct ig_db_value *values, size_t count, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, values, count, err) != IG_OK) return false;
    bool found = ig_db_next(rows, err);
    if (found) *out = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return found && err->code == IG_OK;
}

static enum ig_code must_be_there(struct ig_db_tx *tx, int64_t id, struct ig_err *err)
{
    int64_t there;
    if (ask(&there, tx, "select id from roles where id = $1", IG_DB_VALUES(IG_DB_I(id)), err))
        return IG_OK;
    return err->code == IG_OK ? no_role(id, err) : err->code;
}

static enum ig_code check_text(struct ig_str text, const char *field, bool required,
                               struct ig_err *err)
{
    if (required && !ig_str_trim(text).len)
        return ig_fail(err, IG_INVALID, "%s cannot be empty.", field);
    if (text.len > IG_ROLE_TEXT_MAX)
        return ig_fail(err, IG_INVALID, "%s: more than %d bytes", field, IG_ROLE_TEXT_MAX);
    return IG_OK;
}

/* ---- reading ---- */

static enum ig_code read_grants(struct ig_role *role, struct ig_db_tx *tx, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_role_grant *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select id, kind, object, permission from role_grants where role = $1"
                    " order by id",
                    IG_DB_VALUES(IG_DB_I(role->id)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_role_grant){
            ig_db_i64(rows, 0), role->id, (enum ig_object)ig_db_i64(rows, 1),
            ig_db_text_dup(rows, 2, arena), (enum ig_permission)ig_db_i64(rows, 3)};
    }
    ig_db_finish(rows);
    role->grants = items;
    role->grants_count = count;
    return err->code;
}

static enum ig_code list_roles(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    const struct ig_role_filter *filter = call->filter;
    struct ig_role *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    struct ig_str workspace = filter->workspace.ptr ? filter->workspace : IG_STR("");
    if (ig_db_query(&rows, tx,
                    "select r.id, r.name, r.workspace, r.description from roles r"
                    " where ($1 = 0 or r.id = $1) and ($2 = '' or r.workspace = $2) and ($3 = 0 or"
                    " exists (select 1 from user_roles a where a.role = r.id and a.user_id = $3))"
                    " and ($4 = 0 or r.workspace in " ADMINISTERED("$4") ") order by r.id",
                    IG_DB_VALUES(IG_DB_I(filter->id), IG_DB_T(workspace), IG_DB_I(filter->user),
                                 IG_DB_I(filter->seen_by)),
                    err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count] = (struct ig_role){.id = ig_db_i64(rows, 0),
                                        .name = ig_db_text_dup(rows, 1, call->arena),
                                        .workspace = ig_db_text_dup(rows, 2, call->arena)};
        if (!ig_db_is_null(rows, 3))
            items[count].description = ig_db_text_dup(rows, 3, call->arena);
        count++;
    }
    ig_db_finish(rows);
    for (size_t i = 0; err->code == IG_OK && i < count; i++)
        read_grants(&items[i], tx, call->arena, err);
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "list of roles");
    if (err->code == IG_OK && filter->id && !count) return no_role(filter->id, err);
    call->list = (struct ig_role_list){items, count};
    return err->code;
}

enum ig_code ig_role_list(struct ig_role_list *out, struct ig_users *users,
                          const struct ig_role_filter *filter, struct ig_arena *arena,
                          struct ig_err *err)
{
    struct role_call call = {.filter = filter, .arena = arena};
    if (ig_db_read(ig_users_db(users), list_roles, &call, err) == IG_OK) *out = call.list;
    return err->code;
}

/* ---- roles ---- */

static enum ig_code create_role(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    const struct ig_role_spec *spec = call->spec;
    struct ig_err local = IG_ERR_INIT;
    int64_t count = 0;
    if (ask(&count, tx, "select count(*) from roles", NULL, 0, err) && count >= ROLES_MAX)
        return ig_fail(err, IG_EXHAUSTED, "there are %lld roles already", (long long)count);
    if (err->code != IG_OK || ig_user_next_id(&call->given.role, tx, "roles", err) != IG_OK)
        return err->code;
    enum ig_code code = ig_db_exec(
        tx, "insert into roles(id, workspace, name, description) values($1, $2, $3, $4)",
        IG_DB_VALUES(IG_DB_I(call->given.role), IG_DB_T(spec->workspace), IG_DB_T(spec->name),
                     spec->description.ptr ? IG_DB_T(spec->description) : IG_DB_N()),
        &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS, "Role (name=%.*s, workspace=%.*s) already exists.",
                       IG_STR_ARGS(spec->name), IG_STR_ARGS(spec->workspace));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    return audit(tx, call, "role.create", call->given.role, err);
}

enum ig_code ig_role_create(struct ig_role *out, struct ig_users *users,
                            const struct ig_principal *who, const struct ig_role_spec *spec,
                            struct ig_err *err)
{
    struct role_call call = {.who = who, .spec = spec};
    if (check_text(spec->name, "Role name", true, err) != IG_OK ||
        check_text(spec->workspace, "Workspace", true, err) != IG_OK ||
        check_text(spec->description, "Role description", false, err) != IG_OK)
        return err->code;
    if (ig_db_write(ig_users_db(users), create_role, &call, err) == IG_OK)
        *out = (struct ig_role){.id = call.given.role,
                                .name = spec->name,
                                .workspace = spec->workspace,
                                .description = spec->description};
    return err->code;
}

static enum ig_code update_role(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    const struct ig_role_spec *spec = call->spec;
    struct ig_err local = IG_ERR_INIT;
    if (must_be_there(tx, spec->id, err) != IG_OK) return err->code;
    enum ig_code code =
        ig_db_exec(tx,
                   "update roles set name = coalesce($1, name),"
                   " description = coalesce($2, description) where id = $3",
                   IG_DB_VALUES(spec->name.ptr ? IG_DB_T(spec->name) : IG_DB_N(),
                                spec->description.ptr ? IG_DB_T(spec->description) : IG_DB_N(),
                                IG_DB_I(spec->id)),
                   &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS, "Role with name=%.*s already exists in this workspace",
                       IG_STR_ARGS(spec->name));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    if (audit(tx, call, "role.update", spec->id, err) != IG_OK) return err->code;
    return list_roles(tx, context, err);
}

enum ig_code ig_role_update(struct ig_role *out, struct ig_users *users,
                            const struct ig_principal *who, const struct ig_role_spec *spec,
                            struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_role_filter filter = {.id = spec->id};
    struct role_call call = {.who = who, .spec = spec, .filter = &filter, .arena = arena};
    if (!spec->name.ptr && !spec->description.ptr)
        return ig_fail(err, IG_INVALID,
                       "At least one of 'name' or 'description' must be provided to update a "
                       "role.");
    if ((spec->name.ptr && check_text(spec->name, "Role name", true, err) != IG_OK) ||
        check_text(spec->description, "Role description", false, err) != IG_OK)
        return err->code;
    if (ig_db_write(ig_users_db(users), update_role, &call, err) == IG_OK)
        *out = call.list.items[0];
    return err->code;
}

static enum ig_code delete_role(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const statements[] = {"delete from role_grants where role = $1",
                                             "delete from user_roles where role = $1",
                                             "delete from roles where id = $1"};
    const struct role_call *call = context;
    if (must_be_there(tx, call->given.role, err) != IG_OK) return err->code;
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++)
        if (ig_db_exec(tx, statements[i], IG_DB_VALUES(IG_DB_I(call->given.role)), err) != IG_OK)
            return err->code;
    return audit(tx, call, "role.delete", call->given.role, err);
}

enum ig_code ig_role_delete(struct ig_users *users, const struct ig_principal *who, int64_t id,
                            struct ig_err *err)
{
    struct role_call call = {.who = who, .given = {.role = id}};
    return ig_db_write(ig_users_db(users), delete_role, &call, err);
}

/* ---- what a role may do ---- */

/* A workspace is used or managed, and has no parts; the rest never gets nothing. */
static enum ig_code check_grant(const struct ig_role_grant *grant, struct ig_err *err)
{
    bool workspace = grant->kind == IG_OBJECT_WORKSPACE;
    bool good = workspace ? grant->permission == IG_PERMISSION_USE ||
                                grant->permission == IG_PERMISSION_MANAGE
                          : grant->permission != IG_PERMISSION_NONE;
    if (!good)
        return ig_fail(err, IG_INVALID, "Invalid permission '%s' for resource_type='%s'.",
                       ig_permission_name(grant->permission), ig_object_word(grant->kind));
    if (grant->object.ptr && workspace && !ig_str_is(grant->object, "*"))
        return ig_fail(err, IG_INVALID,
                       "Invalid resource_pattern '%.*s' for resource_type='workspace'. This "
                       "resource type supports only wildcard ('*') grants.",
                       grant->object.len > 64 ? 64 : (int)grant->object.len, grant->object.ptr);
    return grant->object.ptr ? check_text(grant->object, "resource_pattern", true, err) : IG_OK;
}

static enum ig_code add_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    struct ig_role_grant *grant = call->grant;
    struct ig_err local = IG_ERR_INIT;
    if (must_be_there(tx, grant->role, err) != IG_OK ||
        ig_user_next_id(&grant->id, tx, "role_grants", err) != IG_OK)
        return err->code;
    enum ig_code code = ig_db_exec(
        tx,
        "insert into role_grants(id, role, kind, object, permission) values($1, $2, $3, $4, $5)",
        IG_DB_VALUES(IG_DB_I(grant->id), IG_DB_I(grant->role), IG_DB_I(grant->kind),
                     IG_DB_T(grant->object), IG_DB_I(grant->permission)),
        &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS,
                       "Role permission (role_id=%lld, resource_type=%s, resource_pattern=%.*s) "
                       "already exists.",
                       (long long)grant->role, ig_object_word(grant->kind),
                       IG_STR_ARGS(grant->object));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    return audit(tx, call, "role.permission.add", grant->role, err);
}

enum ig_code ig_role_grant_add(struct ig_role_grant *grant, struct ig_users *users,
                               const struct ig_principal *who, struct ig_err *err)
{
    struct role_call call = {.who = who, .grant = grant};
    if (check_grant(grant, err) != IG_OK) return err->code;
    return ig_db_write(ig_users_db(users), add_grant, &call, err);
}

static enum ig_code find_grant(struct role_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_role_grant *grant = call->grant;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select role, kind, object from role_grants where id = $1",
                    IG_DB_VALUES(IG_DB_I(grant->id)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        grant->role = ig_db_i64(rows, 0);
        grant->kind = (enum ig_object)ig_db_i64(rows, 1);
        if (call->arena) grant->object = ig_db_text_dup(rows, 2, call->arena);
    } else if (err->code == IG_OK) {
        ig_fail(err, IG_NOT_FOUND, "Role permission with id=%lld not found", (long long)grant->id);
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code update_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    if (find_grant(call, tx, err) != IG_OK || check_grant(call->grant, err) != IG_OK ||
        ig_db_exec(tx, "update role_grants set permission = $1 where id = $2",
                   IG_DB_VALUES(IG_DB_I(call->grant->permission), IG_DB_I(call->grant->id)),
                   err) != IG_OK)
        return err->code;
    return audit(tx, call, "role.permission.update", call->grant->role, err);
}

enum ig_code ig_role_grant_update(struct ig_role_grant *grant, struct ig_users *users,
                                  const struct ig_principal *who, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct role_call call = {.who = who, .grant = grant, .arena = arena};
    return ig_db_write(ig_users_db(users), update_grant, &call, err);
}

static enum ig_code remove_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    if (find_grant(call, tx, err) != IG_OK ||
        ig_db_exec(tx, "delete from role_grants where id = $1",
                   IG_DB_VALUES(IG_DB_I(call->grant->id)), err) != IG_OK)
        return err->code;
    return audit(tx, call, "role.permission.remove", call->grant->role, err);
}

enum ig_code ig_role_grant_remove(struct ig_users *users, const struct ig_principal *who,
                                  int64_t id, struct ig_err *err)
{
    struct ig_role_grant grant = {.id = id};
    struct role_call call = {.who = who, .grant = &grant};
    return ig_db_write(ig_users_db(users), remove_grant, &call, err);
}

/* ---- who has a role ---- */

static enum ig_code assign(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    struct ig_role_given *given = &call->given;
    struct ig_err local = IG_ERR_INIT;
    if (ig_user_find(&given->user, tx, call->user, err) != IG_OK ||
        must_be_there(tx, given->role, err) != IG_OK ||
        ig_user_next_id(&given->id, tx, "user_roles", err) != IG_OK)
        return err->code;
    enum ig_code code = ig_db_exec(
        tx, "insert into user_roles(id, user_id, role) values($1, $2, $3)",
        IG_DB_VALUES(IG_DB_I(given->id), IG_DB_I(given->user), IG_DB_I(given->role)), &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS,
                       "User role assignment (user_id=%lld, role_id=%lld) already exists",
                       (long long)given->user, (long long)given->role);
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    return audit(tx, call, "role.assign", given->role, err);
}

enum ig_code ig_role_assign(struct ig_role_given *out, struct ig_users *users,
                            const struct ig_principal *who, struct ig_str user, int64_t role,
                            struct ig_err *err)
{
    struct role_call call = {.who = who, .user = user, .given = {.role = role}};
    if (ig_db_write(ig_users_db(users), assign, &call, err) == IG_OK) *out = call.given;
    return err->code;
}

static enum ig_code unassign(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    struct ig_role_given *given = &call->given;
    if (ig_user_find(&given->user, tx, call->user, err) != IG_OK ||
        ig_db_exec(tx, "delete from user_roles where user_id = $1 and role = $2",
                   IG_DB_VALUES(IG_DB_I(given->user), IG_DB_I(given->role)), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx))
        return ig_fail(err, IG_NOT_FOUND,
                       "User role assignment (user_id=%lld, role_id=%lld) not found",
                       (long long)given->user, (long long)given->role);
    return audit(tx, call, "role.unassign", given->role, err);
}

enum ig_code ig_role_unassign(struct ig_users *users, const struct ig_principal *who,
                              struct ig_str user, int64_t role, struct ig_err *err)
{
    struct role_call call = {.who = who, .user = user, .given = {.role = role}};
    return ig_db_write(ig_users_db(users), unassign, &call, err);
}

static enum ig_code list_users(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct role_call *call = context;
    struct ig_role_given *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    if (must_be_there(tx, call->given.role, err) != IG_OK ||
        ig_db_query(&rows, tx,
                    "select id, user_id, role from user_roles where role = $1"
                    " order by id",
                    IG_DB_VALUES(IG_DB_I(call->given.role)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] =
            (struct ig_role_given){ig_db_i64(rows, 0), ig_db_i64(rows, 1), ig_db_i64(rows, 2)};
    }
    ig_db_finish(rows);
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "users of a role");
    call->givens = (struct ig_role_given_list){items, count};
    return err->code;
}

enum ig_code ig_role_users(struct ig_role_given_list *out, struct ig_users *users, int64_t role,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct role_call call = {.given = {.role = role}, .arena = arena};
    if (ig_db_read(ig_users_db(users), list_users, &call, err) == IG_OK) *out = call.givens;
    return err->code;
}

/* ---- checks ---- */

struct standing_call {
    struct ig_role_standing *standing;
    int64_t user, other;
    bool found;
};

#define WORKSPACE                                                                                  \
    "(select $2 union all select workspace from roles where id = $3 union all select r.workspace"  \
    " from roles r join role_grants g on g.role = r.id where g.id = $4)"

static enum ig_code read_standing(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct standing_call *call = context;
    struct ig_role_standing *standing = call->standing;
    struct ig_str workspace = standing->workspace.ptr ? standing->workspace : IG_STR("");
    const struct ig_db_value values[] = {IG_DB_I(call->user), IG_DB_T(workspace),
                                         IG_DB_I(standing->role), IG_DB_I(standing->grant)};
    int64_t one;
    standing->is_admin =
        ask(&one, tx,
            "select 1 from (" ADMINISTERED("$1") ") a"
                                                 " where a.workspace in " WORKSPACE " limit 1",
            values, 4, err);
    standing->is_member =
        err->code == IG_OK && ask(&one, tx,
                                  "select 1 from roles m join user_roles u on u.role = m.id"
                                  " where u.user_id = $1 and m.workspace in " WORKSPACE " limit 1",
                                  values, 4, err);
    return err->code;
}

enum ig_code ig_role_stand(struct ig_role_standing *standing, struct ig_users *users, int64_t user,
                           struct ig_err *err)
{
    struct standing_call call = {.standing = standing, .user = user};
    return ig_db_read(ig_users_db(users), read_standing, &call, err);
}

static enum ig_code read_administers(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct standing_call *call = context;
    int64_t one;
    call->found = ask(&one, tx,
                      "select 1 from roles r join user_roles o on o.role = r.id"
                      " where o.user_id = $2 and r.workspace in " ADMINISTERED("$1") " limit 1",
                      IG_DB_VALUES(IG_DB_I(call->user), IG_DB_I(call->other)), err);
    return err->code;
}

enum ig_code ig_role_administers(bool *out, struct ig_users *users, int64_t user, int64_t other,
                                 struct ig_err *err)
{
    struct standing_call call = {.user = user, .other = other};
    if (ig_db_read(ig_users_db(users), read_administers, &call, err) == IG_OK) *out = call.found;
    return err->code;
}
