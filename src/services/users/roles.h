/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_ROLES_H
#define IG_SERVICES_USERS_ROLES_H

/* Roles: permissions under a name, given to users. A role is of a workspace, which is a word: roles
 * of "default" say what their users may do here, those of others are kept. Who has MANAGE of a
 * workspace by a role administers the roles of it. Errors in MLflow's words; changes are audited.
 * Worker threads only. */

#include "services/users/users.h"

enum { IG_ROLE_TEXT_MAX = 1024 }; /* bytes of a name, a workspace, a description, an object */

struct ig_role_grant {
    int64_t id, role;
    enum ig_object kind;
    struct ig_str object; /* or "*" */
    enum ig_permission permission;
};
struct ig_role {
    int64_t id;
    struct ig_str name, workspace;
    struct ig_str description;          /* ptr NULL: none */
    const struct ig_role_grant *grants; /* by number */
    size_t grants_count;
};
struct ig_role_list {
    const struct ig_role *items; /* by number */
    size_t count;
};
struct ig_role_given { /* to a user */
    int64_t id, user, role;
};
struct ig_role_given_list {
    const struct ig_role_given *items;
    size_t count;
};

struct ig_role_spec { /* ptr NULL of a text: stays, or none */
    int64_t id;       /* of a role that is changed */
    struct ig_str name, workspace, description;
};
enum ig_code ig_role_create(struct ig_role *out, struct ig_users *users,
                            const struct ig_principal *who, const struct ig_role_spec *spec,
                            struct ig_err *err);
enum ig_code ig_role_update(struct ig_role *out, struct ig_users *users,
                            const struct ig_principal *who, const struct ig_role_spec *spec,
                            struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_role_delete(struct ig_users *users, const struct ig_principal *who, int64_t id,
                            struct ig_err *err);

struct ig_role_filter {
    int64_t id;              /* this one alone, NOT_FOUND; 0: any */
    struct ig_str workspace; /* ptr NULL: any */
    int64_t user;            /* that were given to this user; 0: any */
    int64_t seen_by;         /* in workspaces that this user administers; 0: any */
};
enum ig_code ig_role_list(struct ig_role_list *out, struct ig_users *users,
                          const struct ig_role_filter *filter, struct ig_arena *arena,
                          struct ig_err *err);

/* What a role may do; `grant->id` is filled, or says which one is changed or removed. */
enum ig_code ig_role_grant_add(struct ig_role_grant *grant, struct ig_users *users,
                               const struct ig_principal *who, struct ig_err *err);
enum ig_code ig_role_grant_update(struct ig_role_grant *grant, struct ig_users *users,
                                  const struct ig_principal *who, struct ig_arena *arena,
                                  struct ig_err *err);
enum ig_code ig_role_grant_remove(struct ig_users *users, const struct ig_principal *who,
                                  int64_t id, struct ig_err *err);

enum ig_code ig_role_assign(struct ig_role_given *out, struct ig_users *users,
                            const struct ig_principal *who, struct ig_str user, int64_t role,
                            struct ig_err *err);
enum ig_code ig_role_unassign(struct ig_users *users, const struct ig_principal *who,
                              struct ig_str user, int64_t role, struct ig_err *err);
enum ig_code ig_role_users(struct ig_role_given_list *out, struct ig_users *users, int64_t role,
                           struct ig_arena *arena, struct ig_err *err);

/* For checks: how a user stands to a workspace, or to that of a role or of what a role may do
 * (workspace.ptr NULL); neither when there is none. */
struct ig_role_standing {
    struct ig_str workspace;
    int64_t role, grant;
    bool is_admin, is_member; /* filled */
};
enum ig_code ig_role_stand(struct ig_role_standing *standing, struct ig_users *users, int64_t user,
                           struct ig_err *err);
/* Whether `user` administers a workspace in which the other one has a role. */
enum ig_code ig_role_administers(bool *out, struct ig_users *users, int64_t user, int64_t other,
                                 struct ig_err *err);

#endif
