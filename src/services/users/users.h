/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_USERS_H
#define IG_SERVICES_USERS_USERS_H

/* People with names and passwords, beside the keys of services/auth. An administrator may do
 * everything; what any other may do with which object services/users/grants.h says. Once there is a
 * user there always is an administrator: the last one can neither be deleted nor made less. Changes
 * are audited, take effect before they return, and end what was remembered of an old password. */

#include "services/audit/audit.h"
#include "services/users/grants.h"

enum {
    IG_USER_NAME_MAX = IG_KEY_NAME_SIZE - 1, /* bytes of UTF-8 without ':' and control bytes */
    IG_PASSWORD_MIN = 12,                    /* bytes */
    IG_PASSWORD_MAX = 1024,
};

struct ig_users;

struct ig_users_options {
    struct ig_db *db;
    /* As in ig_auth_options. */
    void (*wait_quiescent)(void *context);
    void *context;
    enum ig_permission fallback; /* of who was given nothing of an object */
};

enum ig_code ig_users_open(struct ig_users **out, const struct ig_users_options *options,
                           struct ig_err *err);
void ig_users_close(struct ig_users *users); /* NULL is allowed */
struct ig_db *ig_users_db(struct ig_users *users);
enum ig_permission ig_users_fallback(const struct ig_users *users);

/* Loop-safe. */
bool ig_users_exist(const struct ig_users *users); /* false for NULL too */
/* Whether this password was right before, and still is; then *who is filled. */
bool ig_users_recall(struct ig_principal *who, struct ig_users *users, struct ig_str name,
                     struct ig_str password);
/* EXHAUSTED when the name was tried in vain too often. */
enum ig_code ig_users_may_try(struct ig_users *users, struct ig_str name, struct ig_err *err);

/* Below: worker threads only. */
/* UNAUTHENTICATED, which does not say what was wrong; EXHAUSTED when too many wait for it or failed
 * before. Takes tens of milliseconds when it is not recalled, one caller after the other. */
enum ig_code ig_users_verify(struct ig_principal *who, struct ig_users *users, struct ig_str name,
                             struct ig_str password, struct ig_err *err);

struct ig_user {
    int64_t id;
    struct ig_str name;
    bool is_admin;
};
struct ig_user_list {
    const struct ig_user *items; /* by id */
    size_t count;
};
struct ig_user_spec {
    struct ig_str name, password;
    bool is_admin;
};
/* CONFLICT when the first user is to be no administrator; EXISTS. */
enum ig_code ig_user_create(int64_t *id, struct ig_users *users, const struct ig_principal *who,
                            const struct ig_user_spec *spec, struct ig_err *err);
enum ig_code ig_user_get(struct ig_user *out, struct ig_users *users, struct ig_str name,
                         struct ig_arena *arena, struct ig_err *err); /* NOT_FOUND */
enum ig_code ig_user_list(struct ig_user_list *out, struct ig_users *users, struct ig_arena *arena,
                          struct ig_err *err);
enum ig_code ig_user_set_password(struct ig_users *users, const struct ig_principal *who,
                                  struct ig_str name, struct ig_str password, struct ig_err *err);
/* CONFLICT for the last administrator. */
enum ig_code ig_user_set_admin(struct ig_users *users, const struct ig_principal *who,
                               struct ig_str name, bool is_admin, struct ig_err *err);
enum ig_code ig_user_delete(struct ig_users *users, const struct ig_principal *who,
                            struct ig_str name, struct ig_err *err);

/* Inside a service's own transaction: the number of a user; NOT_FOUND in MLflow's words. */
enum ig_code ig_user_find(int64_t *id, struct ig_db_tx *tx, struct ig_str name, struct ig_err *err);
/* The next number of a table's rows, which was never another's. `table` is a literal. */
enum ig_code ig_user_next_id(int64_t *id, struct ig_db_tx *tx, const char *table,
                             struct ig_err *err);

#endif
