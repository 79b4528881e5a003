/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_USERS_TESTING_H
#define IG_SERVICES_USERS_USERS_TESTING_H

/* Users on a database of their own: the administrator "root" and "ann". */

#include "services/users/password.h"
#include "services/users/password_testing.h"
#include "services/users/users.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static struct ig_temp temp;
static struct ig_db *db;
static struct ig_users *users;
static struct ig_arena arena;
static struct ig_err err;
static int64_t root, ann;

#define PASSWORD "correct horse"

static inline void open_users(enum ig_permission fallback)
{
    const struct ig_users_options options = {.db = db, .fallback = fallback};
    ASSERT_OK(ig_users_open(&users, &options, &err));
}

struct made_user {
    const char *name;
    bool is_admin;
    int64_t id;
};

static inline enum ig_code insert_user(struct ig_db_tx *tx, void *context, struct ig_err *failure)
{
    char hash[IG_PASSWORD_HASH_SIZE];
    struct made_user *made = context;
    if (ig_password_hash(hash, IG_STR(PASSWORD), failure) != IG_OK ||
        ig_user_next_id(&made->id, tx, "users", failure) != IG_OK)
        return failure->code;
    return ig_db_exec(tx,
                      "insert into users(id, name, password, is_admin, version, created_ms)"
                      " values($1, $2, $3, $4, $1, 0)",
                      IG_DB_VALUES(IG_DB_I(made->id), IG_DB_C(made->name), IG_DB_C(hash),
                                   IG_DB_I(made->is_admin)),
                      failure);
}

static inline int64_t make_user(const char *name, bool is_admin)
{
    struct made_user made = {.name = name, .is_admin = is_admin};
    ASSERT_OK(ig_db_write(db, insert_user, &made, &err));
    return made.id;
}

static inline int setup(void **state)
{
    (void)state;
    ig_password_set_cost(2);
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    const struct ig_db_options options = ig_db_testing_options(temp.fd);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    root = make_user("root", true);
    ann = make_user("ann", false);
    open_users(IG_PERMISSION_READ);
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    ig_users_close(users);
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
    return 0;
}

static inline void expect(enum ig_code code, enum ig_code wanted)
{
    if (code != wanted) fail_msg("%s: %s", ig_code_name(code), err.message);
    ig_err_clear(&err);
}

/* What a user may do with an object. */
static inline enum ig_permission permission(int64_t user, enum ig_object kind, const char *object)
{
    enum ig_permission has = IG_PERMISSION_NONE;
    const struct ig_str name = ig_str_view(object);
    const struct ig_permission_ask ask = {user, kind, &name, 1};
    ASSERT_OK(ig_permissions_of(&has, users, &ask, &err));
    return has;
}

#endif
