/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_GRANTS_H
#define IG_SERVICES_USERS_GRANTS_H

/* What users may do with which object, by MLflow's rules: the greatest of the server's fallback, of
 * what the user was given and of what its roles in the workspace "default" give, which may be for
 * all objects of a kind ("*"). DENY among them leaves nothing, and NO_PERMISSIONS takes the
 * fallback away. An object is named by a text and need not be there. Worker threads only. */

#include "services/auth/auth.h"

enum ig_permission {
#define IG_PERMISSION(id, name, doc) IG_PERMISSION_##id,
#include "services/users/permissions.def"
#undef IG_PERMISSION
    IG_PERMISSIONS_COUNT
};
enum ig_object {
#define IG_OBJECT(id, word, name, field, member) IG_OBJECT_##id,
#include "services/users/objects.def"
#undef IG_OBJECT
    IG_OBJECTS_COUNT
};

const char *ig_permission_name(enum ig_permission permission); /* "NO_PERMISSIONS" */
/* INVALID in MLflow's words. */
enum ig_code ig_permission_parse(enum ig_permission *out, struct ig_str name, struct ig_err *err);
const char *ig_object_word(enum ig_object kind);
enum ig_code ig_object_parse(enum ig_object *out, struct ig_str word, struct ig_err *err);
const char *ig_object_field(enum ig_object kind);
const char *ig_object_member(enum ig_object kind);

/* Inside the transaction that makes, removes or renames an object. The user that makes it may do
 * everything with it; nothing for who is no user. */
enum ig_code ig_grant_creator(struct ig_db_tx *tx, const struct ig_principal *who,
                              enum ig_object kind, struct ig_str object, struct ig_err *err);
enum ig_code ig_grants_drop(struct ig_db_tx *tx, enum ig_object kind, struct ig_str object,
                            struct ig_err *err);
/* Of every scorer of an experiment. */
enum ig_code ig_grants_drop_scorers(struct ig_db_tx *tx, struct ig_str experiment,
                                    struct ig_err *err);
enum ig_code ig_grants_rename(struct ig_db_tx *tx, enum ig_object kind, struct ig_str from,
                              struct ig_str to, struct ig_err *err);

/* What one user was given of one object. */
struct ig_grant {
    enum ig_object kind;
    struct ig_str object;
    enum ig_permission permission;
    int64_t user;
};
struct ig_grant_list {
    const struct ig_grant *items; /* by kind and object */
    size_t count;
};
struct ig_users;
struct ig_grant_ask {
    enum ig_object kind;
    struct ig_str object, user; /* the user's name */
    enum ig_permission permission;
};
/* EXISTS, NOT_FOUND in MLflow's words. Audited. */
enum ig_code ig_grant_create(int64_t *user, struct ig_users *users, const struct ig_principal *who,
                             const struct ig_grant_ask *ask, struct ig_err *err);
enum ig_code ig_grant_get(struct ig_grant *out, struct ig_users *users,
                          const struct ig_grant_ask *ask, struct ig_err *err);
enum ig_code ig_grant_update(struct ig_users *users, const struct ig_principal *who,
                             const struct ig_grant_ask *ask, struct ig_err *err);
enum ig_code ig_grant_delete(struct ig_users *users, const struct ig_principal *who,
                             const struct ig_grant_ask *ask, struct ig_err *err);
enum ig_code ig_grant_list(struct ig_grant_list *out, struct ig_users *users, int64_t user,
                           struct ig_arena *arena, struct ig_err *err);

/* What is allowed all in all, of each of the objects of one kind. */
struct ig_permission_ask {
    int64_t user;
    enum ig_object kind;
    const struct ig_str *objects;
    size_t count;
};
enum ig_code ig_permissions_of(enum ig_permission *out, struct ig_users *users,
                               const struct ig_permission_ask *ask, struct ig_err *err);

/* For a search: who asks, and what goes for an object that nothing was said of. user 0: sees all.
 */
struct ig_viewer {
    int64_t user;
    enum ig_permission fallback;
};
/* A condition that holds where the viewer may see the object of that kind whose name is the SQL
 * expression `name`: constants, and $VALUE for the user's number. */
void ig_grants_condition(struct ig_buf *sql, const struct ig_viewer *viewer, enum ig_object kind,
                         const char *name, size_t value);

#endif
