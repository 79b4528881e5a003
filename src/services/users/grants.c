/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: stateless over the store. */
#include "services/users/users.h"

#include "base/json.h"

#include <stdio.h>

static const char *const PERMISSIONS[] = {
#define IG_PERMISSION(id, name, doc) name,
#include "services/users/permissions.def"
#undef IG_PERMISSION
};

struct object {
    const char *word, *name, *field, *member;
};
static const struct object OBJECTS[] = {
#define IG_OBJECT(id, word, name, field, member) {word, name, field, member},
#include "services/users/objects.def"
#undef IG_OBJECT
};

/* ---- words ---- */

const char *ig_permission_name(enum ig_permission permission)
{
    return PERMISSIONS[permission];
}

enum ig_code ig_permission_parse(enum ig_permission *out, struct ig_str name, struct ig_err *err)
{
    for (unsigned i = 0; i < IG_PERMISSIONS_COUNT; i++) {
        if (!ig_str_is(name, PERMISSIONS[i])) continue;
        *out = (enum ig_permission)i;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID,
                   "Invalid permission '%.*s'. Valid permissions are: ('READ', 'USE', 'EDIT',"
                   " 'MANAGE', 'NO_PERMISSIONS', 'DENY')",
                   name.len > 64 ? 64 : (int)name.len, name.ptr);
}

const char *ig_object_word(enum ig_object kind)
{
    return OBJECTS[kind].word;
}

enum ig_code ig_object_parse(enum ig_object *out, struct ig_str word, struct ig_err *err)
{
    for (unsigned i = 0; i < IG_OBJECTS_COUNT; i++) {
        if (!ig_str_is(word, OBJECTS[i].word)) continue;
        *out = (enum ig_object)i;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID,
                   "Invalid resource type '%.*s'. Valid resource types are: ('experiment',"
                   " 'gateway_endpoint', 'gateway_model_definition', 'gateway_secret',"
                   " 'prompt', 'registered_model', 'scorer', 'workspace')",
                   word.len > 64 ? 64 : (int)word.len, word.ptr);
}

const char *ig_object_field(enum ig_object kind)
{
    return OBJECTS[kind].field;
}

const char *ig_object_member(enum ig_object kind)
{
    return OBJECTS[kind].member;
}

/* ---- with an object ---- */

enum ig_code ig_grant_creator(struct ig_db_tx *tx, const struct ig_principal *who,
                              enum ig_object kind, struct ig_str object, struct ig_err *err)
{
    if (!who->user) return IG_OK;
    return ig_db_exec(tx,
                      "insert into user_grants(kind, object, user_id, permission)"
                      " values($1, $2, $3, $4) on conflict (kind, object, user_id) do nothing",
                      IG_DB_VALUES(IG_DB_I(kind), IG_DB_T(object), IG_DB_I(who->user),
                                   IG_DB_I(IG_PERMISSION_MANAGE)),
                      err);
}

enum ig_code ig_grants_drop(struct ig_db_tx *tx, enum ig_object kind, struct ig_str object,
                            struct ig_err *err)
{
    return ig_db_exec(tx, "delete from user_grants where kind = $1 and object = $2",
                      IG_DB_VALUES(IG_DB_I(kind), IG_DB_T(object)), err);
}

enum ig_code ig_grants_drop_scorers(struct ig_db_tx *tx, struct ig_str experiment,
                                    struct ig_err *err)
{
    return ig_db_exec(tx, "delete from user_grants where kind = $1 and object like ($2 || '/%')",
                      IG_DB_VALUES(IG_DB_I(IG_OBJECT_SCORER), IG_DB_T(experiment)), err);
}

enum ig_code ig_grants_rename(struct ig_db_tx *tx, enum ig_object kind, struct ig_str from,
                              struct ig_str to, struct ig_err *err)
{
    if (ig_str_eq(from, to)) return IG_OK;
    if (ig_grants_drop(tx, kind, to, err) != IG_OK) return err->code;
    return ig_db_exec(tx, "update user_grants set object = $1 where kind = $2 and object = $3",
                      IG_DB_VALUES(IG_DB_T(to), IG_DB_I(kind), IG_DB_T(from)), err);
}

/* ---- what one user was given ---- */

struct grant_call {
    const struct ig_principal *who;
    const struct ig_grant_ask *ask;
    int64_t user;
    struct ig_grant found;
};

/* "experiment_id=7", and of a scorer "experiment_id=7, scorer_name=x". */
static void describe(char *out, size_t size, const struct ig_grant_ask *ask, const char *last)
{
    struct ig_str rest = ask->object;
    if (ask->kind == IG_OBJECT_SCORER) {
        struct ig_str experiment = ig_str_cut(&rest, '/');
        snprintf(out, size, "experiment_id=%.*s, scorer_name=%.*s%s",
                 experiment.len > 64 ? 64 : (int)experiment.len, experiment.ptr,
                 rest.len > 200 ? 200 : (int)rest.len, rest.ptr ? rest.ptr : "", last);
        return;
    }
    snprintf(out, size, "%s%s=%.*s%s", ask->kind == IG_OBJECT_MODEL ? "workspace=default, " : "",
             OBJECTS[ask->kind].field, rest.len > 256 ? 256 : (int)rest.len, rest.ptr, last);
}

static enum ig_code no_grant(const struct ig_grant_ask *ask, struct ig_err *err)
{
    char what[512];
    describe(what, sizeof what, ask, ask->kind == IG_OBJECT_SCORER ? "," : "");
    return ig_fail(err, IG_NOT_FOUND, "%s permission with %s and username=%.*s not found",
                   OBJECTS[ask->kind].name, what, IG_STR_ARGS(ask->user));
}

static enum ig_code audit(struct ig_db_tx *tx, const struct grant_call *call, const char *action,
                          struct ig_err *err)
{
    char object[600];
    snprintf(object, sizeof object, "%s/%.*s", OBJECTS[call->ask->kind].word,
             call->ask->object.len > 500 ? 500 : (int)call->ask->object.len, call->ask->object.ptr);
    struct ig_json_out out;
    struct ig_buf detail;
    ig_buf_init(&detail, 4096);
    ig_json_out_init(&out, &detail);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "user", call->ask->user);
    ig_json_out_kv_str(&out, "permission", ig_str_view(PERMISSIONS[call->ask->permission]));
    ig_json_out_object_end(&out);
    ig_audit_add(tx, call->who, action, ig_str_view(object), ig_buf_view(&detail), err);
    ig_buf_deinit(&detail);
    return err->code;
}

static enum ig_code create_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct grant_call *call = context;
    const struct ig_grant_ask *ask = call->ask;
    struct ig_err local = IG_ERR_INIT;
    char what[512];
    if (ig_user_find(&call->user, tx, ask->user, err) != IG_OK) return err->code;
    enum ig_code code = ig_db_exec(tx,
                                   "insert into user_grants(kind, object, user_id, permission)"
                                   " values($1, $2, $3, $4)",
                                   IG_DB_VALUES(IG_DB_I(ask->kind), IG_DB_T(ask->object),
                                                IG_DB_I(call->user), IG_DB_I(ask->permission)),
                                   &local);
    if (code == IG_OK) return audit(tx, call, "permission.create", err);
    if (code != IG_EXISTS) return ig_fail(err, code, "%s", local.message);
    describe(what, sizeof what, ask, "");
    return ig_fail(err, IG_EXISTS, "%s permission (%s, username=%.*s) already exists.",
                   OBJECTS[ask->kind].name, what, IG_STR_ARGS(ask->user));
}

static enum ig_code get_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct grant_call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_user_find(&call->user, tx, call->ask->user, err) != IG_OK ||
        ig_db_query(
            &rows, tx,
            "select permission from user_grants where kind = $1 and object = $2"
            " and user_id = $3",
            IG_DB_VALUES(IG_DB_I(call->ask->kind), IG_DB_T(call->ask->object), IG_DB_I(call->user)),
            err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err))
        call->found = (struct ig_grant){call->ask->kind, call->ask->object,
                                        (enum ig_permission)ig_db_i64(rows, 0), call->user};
    else if (err->code == IG_OK)
        no_grant(call->ask, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code update_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct grant_call *call = context;
    if (get_grant(tx, context, err) != IG_OK ||
        ig_db_exec(tx,
                   "update user_grants set permission = $1 where kind = $2 and object = $3"
                   " and user_id = $4",
                   IG_DB_VALUES(IG_DB_I(call->ask->permission), IG_DB_I(call->ask->kind),
                                IG_DB_T(call->ask->object), IG_DB_I(call->user)),
                   err) != IG_OK)
        return err->code;
    return audit(tx, call, "permission.update", err);
}

static enum ig_code delete_grant(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct grant_call *call = context;
    if (get_grant(tx, context, err) != IG_OK ||
        ig_db_exec(
            tx, "delete from user_grants where kind = $1 and object = $2 and user_id = $3",
            IG_DB_VALUES(IG_DB_I(call->ask->kind), IG_DB_T(call->ask->object), IG_DB_I(call->user)),
            err) != IG_OK)
        return err->code;
    return audit(tx, call, "permission.delete", err);
}

enum ig_code ig_grant_create(int64_t *user, struct ig_users *users, const struct ig_principal *who,
                             const struct ig_grant_ask *ask, struct ig_err *err)
{
    struct grant_call call = {.who = who, .ask = ask};
    if (ig_db_write(ig_users_db(users), create_grant, &call, err) == IG_OK) *user = call.user;
    return err->code;
}

enum ig_code ig_grant_get(struct ig_grant *out, struct ig_users *users,
                          const struct ig_grant_ask *ask, struct ig_err *err)
{
    struct grant_call call = {.ask = ask};
    if (ig_db_read(ig_users_db(users), get_grant, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

enum ig_code ig_grant_update(struct ig_users *users, const struct ig_principal *who,
                             const struct ig_grant_ask *ask, struct ig_err *err)
{
    struct grant_call call = {.who = who, .ask = ask};
    return ig_db_write(ig_users_db(users), update_grant, &call, err);
}

enum ig_code ig_grant_delete(struct ig_users *users, const struct ig_principal *who,
                             const struct ig_grant_ask *ask, struct ig_err *err)
{
    struct grant_call call = {.who = who, .ask = ask};
    return ig_db_write(ig_users_db(users), delete_grant, &call, err);
}

struct listing {
    int64_t user;
    struct ig_arena *arena;
    struct ig_grant_list list;
};

static enum ig_code list_grants(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_grant *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select kind, object, permission from user_grants where user_id = $1"
                    " order by kind, object",
                    IG_DB_VALUES(IG_DB_I(listing->user)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(listing->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_grant){(enum ig_object)ig_db_i64(rows, 0),
                                           ig_db_text_dup(rows, 1, listing->arena),
                                           (enum ig_permission)ig_db_i64(rows, 2), listing->user};
    }
    ig_db_finish(rows);
    if (listing->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "permissions of a user");
    listing->list = (struct ig_grant_list){items, count};
    return err->code;
}

enum ig_code ig_grant_list(struct ig_grant_list *out, struct ig_users *users, int64_t user,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.user = user, .arena = arena};
    if (ig_db_read(ig_users_db(users), list_grants, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}

/* ---- all in all ---- */

struct permissions_call {
    enum ig_permission *out, fallback;
    const struct ig_permission_ask *ask;
};

_Static_assert(IG_PERMISSION_NONE == 0 && IG_PERMISSION_READ == 1 && IG_PERMISSION_MANAGE == 4 &&
                   IG_PERMISSION_DENY == 5,
               "SQL below and rows have these numbers");
#define ROLE_GRANTS                                                                                \
    "role_grants g join user_roles u on u.role = g.role join roles w on w.id = g.role"             \
    " and w.workspace = 'default'"

#define IS_PROMPT(name)                                                                            \
    "exists (select 1 from registered_models pm join registered_tags pt on pt.model = pm.id"       \
    " where pm.name = " name                                                                       \
    " and pt.key = 'mlflow.prompt.is_prompt' and lower(pt.value) = 'true')"

/* The other word under which something was said of an object, or its own. */
static enum ig_code other_kind(int64_t *out, struct ig_db_tx *tx, enum ig_object kind,
                               struct ig_str object, struct ig_err *err)
{
    int64_t is_prompt = 0;
    *out = kind;
    if (kind != IG_OBJECT_MODEL && kind != IG_OBJECT_PROMPT) return IG_OK;
    if (ig_db_get_i64(&is_prompt, tx, "select case when " IS_PROMPT("$1") " then 1 else 0 end",
                      IG_DB_VALUES(IG_DB_T(object)), err) != IG_OK)
        return err->code;
    if (is_prompt) *out = kind == IG_OBJECT_MODEL ? IG_OBJECT_PROMPT : IG_OBJECT_MODEL;
    return IG_OK;
}

/* In rising order. What is given is at least the fallback, unless it is nothing. */
static enum ig_permission fold(struct ig_db_rows *rows, enum ig_permission fallback,
                               struct ig_err *err)
{
    enum ig_permission best = fallback;
    for (bool first = true; ig_db_next(rows, err); first = false) {
        enum ig_permission next = (enum ig_permission)ig_db_i64(rows, 0);
        if (next == IG_PERMISSION_DENY) return IG_PERMISSION_NONE;
        if (next == IG_PERMISSION_NONE && first) best = IG_PERMISSION_NONE;
        if (next == IG_PERMISSION_NONE) continue;
        if (best < fallback) best = fallback;
        if (best < next) best = next;
    }
    return best;
}

static enum ig_code read_permissions(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct permissions_call *call = context;
    const struct ig_permission_ask *asked = call->ask;
    for (size_t i = 0; i < asked->count; i++) {
        struct ig_db_rows *rows = NULL;
        int64_t other = 0;
        if (other_kind(&other, tx, asked->kind, asked->objects[i], err) != IG_OK ||
            ig_db_query(&rows, tx,
                        "select p from (select permission as p from user_grants"
                        " where kind in ($1, $6) and object in ('*', $2) and user_id = $3"
                        " union all select g.permission as p from " ROLE_GRANTS
                        " where u.user_id = $3 and ((g.kind = $4 and g.permission = $5) or"
                        " (g.kind in ($1, $6) and g.object in ('*', $2)))) permissions order by p",
                        IG_DB_VALUES(IG_DB_I(asked->kind), IG_DB_T(asked->objects[i]),
                                     IG_DB_I(asked->user), IG_DB_I(IG_OBJECT_WORKSPACE),
                                     IG_DB_I(IG_PERMISSION_MANAGE), IG_DB_I(other)),
                        err) != IG_OK)
            return err->code;
        call->out[i] = fold(rows, call->fallback, err);
        ig_db_finish(rows);
    }
    return err->code;
}

enum ig_code ig_permissions_of(enum ig_permission *out, struct ig_users *users,
                               const struct ig_permission_ask *ask, struct ig_err *err)
{
    struct permissions_call call = {out, ig_users_fallback(users), ask};
    return ig_db_read(ig_users_db(users), read_permissions, &call, err);
}

/* Whether what was said of it, by the user's own grants or by roles, is so. */
static void add_said_under(struct ig_buf *sql, enum ig_object kind, const char *name, size_t value,
                           const char *so)
{
    ig_buf_printf(sql,
                  "(exists (select 1 from user_grants g where g.kind = %d and g.object in ('*', %s)"
                  " and g.user_id = $%zu and g.permission %s)",
                  (int)kind, name, value, so);
    ig_buf_printf(sql,
                  " or exists (select 1 from " ROLE_GRANTS " where u.user_id = $%zu"
                  " and g.permission %s and ((g.kind = %d and g.permission = %d) or (g.kind = %d"
                  " and g.object in ('*', %s)))))",
                  value, so, (int)IG_OBJECT_WORKSPACE, (int)IG_PERMISSION_MANAGE, (int)kind, name);
}

static void add_said(struct ig_buf *sql, enum ig_object kind, const char *name, size_t value,
                     const char *so)
{
    if (kind != IG_OBJECT_MODEL) {
        add_said_under(sql, kind, name, value, so);
        return;
    }
    ig_buf_add_char(sql, '(');
    add_said_under(sql, kind, name, value, so);
    ig_buf_printf(sql, " or (" IS_PROMPT("%s") " and ", name);
    add_said_under(sql, IG_OBJECT_PROMPT, name, value, so);
    ig_buf_add_cstr(sql, "))");
}

void ig_grants_condition(struct ig_buf *sql, const struct ig_viewer *viewer, enum ig_object kind,
                         const char *name, size_t value)
{
    ig_buf_add_cstr(sql, "(not ");
    add_said(sql, kind, name, value, "= 5"); /* IG_PERMISSION_DENY */
    ig_buf_add_cstr(sql, " and (");
    add_said(sql, kind, name, value, "between 1 and 4");
    if (viewer->fallback > IG_PERMISSION_NONE) {
        ig_buf_add_cstr(sql, " or not ");
        add_said(sql, kind, name, value, "= 0");
    }
    ig_buf_add_cstr(sql, "))");
}
