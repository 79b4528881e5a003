/* SPDX-License-Identifier: Apache-2.0 */
/* Names, numbers and versions of all users lie in an immutable snapshot, sorted by name, as keys do
 * in services/auth: every change writes the row first, then swaps the snapshot, waits until no loop
 * can hold the old one, and frees it.
 *
 * 1. A password is stored nowhere; the row has its hash, memory a keyed digest.
 * 2. `version` is drawn at random whenever a password is set, so what was remembered of an old
 *    password, or of another user of that name, fits no more.
 * 3. An unknown name costs as much time as a wrong password.
 *
 * Thread rule: `snapshot` is read on loops, and by those who hold change_lock, under which it is
 * swapped; slow verification is one at a time, behind verify_lock. */
#include "services/users/users.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/users/credentials.h"
#include "services/users/password.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

enum { USERS_MAX = 100000, WAITING_MAX = 64 };

struct account {
    char name[IG_USER_NAME_MAX + 1];
    int64_t id, version;
    bool is_admin;
};
struct snapshot {
    size_t count;
    struct account accounts[];
};

struct ig_users {
    struct ig_users_options options;
    pthread_mutex_t change_lock, verify_lock;
    _Atomic(struct snapshot *) snapshot;
    struct ig_credentials *credentials; /* NULL without users */
    atomic_uint waiting;                /* for verify_lock */
};

/* ---- the snapshot ---- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct account *)a)->name, ((const struct account *)b)->name);
}

static enum ig_code count_users(size_t *out, struct ig_db_tx *tx, struct ig_err *err)
{
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from users", NULL, 0, err) == IG_OK)
        *out = (size_t)count;
    return err->code;
}

static enum ig_code read_snapshot(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct snapshot **out = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    if (count_users(&count, tx, err) != IG_OK) return err->code;
    struct snapshot *fresh = ig_zalloc(sizeof *fresh + count * sizeof fresh->accounts[0]);
    if (!fresh) return ig_fail(err, IG_NO_MEMORY, "table of %zu users", count);
    ig_db_query(&rows, tx, "select name, id, version, is_admin from users", NULL, 0, err);
    while (err->code == IG_OK && fresh->count < count && ig_db_next(rows, err)) {
        struct account *account = &fresh->accounts[fresh->count++];
        struct ig_str name = ig_db_text(rows, 0);
        if (name.len > IG_USER_NAME_MAX)
            ig_fail(err, IG_CORRUPT, "users: a name is too long");
        else
            memcpy(account->name, name.ptr, name.len);
        account->id = ig_db_i64(rows, 1);
        account->version = ig_db_i64(rows, 2);
        account->is_admin = ig_db_i64(rows, 3) != 0;
    }
    ig_db_finish(rows);
    if (err->code != IG_OK) {
        ig_free(fresh);
        return err->code;
    }
    qsort(fresh->accounts, fresh->count, sizeof fresh->accounts[0], by_name);
    *out = fresh;
    return IG_OK;
}

/* Under change_lock, or before anyone else knows `users`. */
static enum ig_code reload(struct ig_users *users, struct ig_err *err)
{
    struct snapshot *fresh = NULL;
    enum ig_code code = ig_db_read(users->options.db, read_snapshot, &fresh, err);
    if (code != IG_OK) return code;
    if (fresh->count && !users->credentials) users->credentials = ig_credentials_new();
    if (fresh->count && !users->credentials) {
        ig_free(fresh);
        return ig_fail(err, IG_NO_MEMORY, "users");
    }
    struct snapshot *old = atomic_exchange(&users->snapshot, fresh);
    if (old && users->options.wait_quiescent) users->options.wait_quiescent(users->options.context);
    ig_free(old);
    return IG_OK;
}

enum ig_code ig_users_open(struct ig_users **out, const struct ig_users_options *options,
                           struct ig_err *err)
{
    struct ig_users *users = ig_zalloc(sizeof *users);
    if (!users) return ig_fail(err, IG_NO_MEMORY, "users");
    users->options = *options;
    pthread_mutex_init(&users->change_lock, NULL);
    pthread_mutex_init(&users->verify_lock, NULL);
    enum ig_code code = reload(users, err);
    if (code != IG_OK) {
        ig_users_close(users);
        return code;
    }
    *out = users;
    return IG_OK;
}

void ig_users_close(struct ig_users *users)
{
    if (!users) return;
    ig_free(atomic_load(&users->snapshot));
    ig_credentials_free(users->credentials);
    pthread_mutex_destroy(&users->change_lock);
    pthread_mutex_destroy(&users->verify_lock);
    ig_free(users);
}

struct ig_db *ig_users_db(struct ig_users *users)
{
    return users->options.db;
}

enum ig_permission ig_users_fallback(const struct ig_users *users)
{
    return users->options.fallback;
}

/* ---- who is it ---- */

bool ig_users_exist(const struct ig_users *users)
{
    return users && atomic_load_explicit(&users->snapshot, memory_order_acquire)->count > 0;
}

static bool good_name(struct ig_str name)
{
    if (!name.len || name.len > IG_USER_NAME_MAX || !ig_str_utf8_valid(name)) return false;
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 127 || name.ptr[i] == ':')
            return false;
    return true;
}

static const struct account *find_account(const struct snapshot *snapshot, struct ig_str name)
{
    struct account wanted = {0};
    if (!good_name(name)) return NULL;
    memcpy(wanted.name, name.ptr, name.len);
    return bsearch(&wanted, snapshot->accounts, snapshot->count, sizeof wanted, by_name);
}

static void fill(struct ig_principal *who, int64_t id, struct ig_str name, bool is_admin)
{
    *who = (struct ig_principal){.user = id, .scopes = is_admin ? IG_SCOPES_ALL : 0};
    snprintf(who->id, sizeof who->id, "user:%lld", (long long)id);
    memcpy(who->name, name.ptr, name.len);
}

bool ig_users_recall(struct ig_principal *who, struct ig_users *users, struct ig_str name,
                     struct ig_str password)
{
    unsigned char digest[IG_SHA256_BYTES];
    const struct snapshot *snapshot = atomic_load_explicit(&users->snapshot, memory_order_acquire);
    const struct account *account = find_account(snapshot, name);
    if (!account) return false;
    ig_credentials_digest(digest, users->credentials, name, password);
    if (!ig_credentials_find(users->credentials, digest, account->version)) return false;
    fill(who, account->id, name, account->is_admin);
    return true;
}

enum ig_code ig_users_may_try(struct ig_users *users, struct ig_str name, struct ig_err *err)
{
    if (!ig_users_exist(users) ||
        ig_credentials_may_try(users->credentials, name, ig_clock_unix_ms()))
        return IG_OK;
    return ig_fail(err, IG_EXHAUSTED,
                   "too many wrong passwords for this user name: wait up to a minute");
}

struct row {
    struct ig_str name;
    char hash[IG_PASSWORD_HASH_SIZE];
    int64_t id, version;
    bool is_admin;
};

static enum ig_code read_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct row *row = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select id, version, is_admin, password from users where name = $1",
                    IG_DB_VALUES(IG_DB_T(row->name)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        row->id = ig_db_i64(rows, 0);
        row->version = ig_db_i64(rows, 1);
        row->is_admin = ig_db_i64(rows, 2) != 0;
        snprintf(row->hash, sizeof row->hash, "%.*s", IG_STR_ARGS(ig_db_text(rows, 3)));
    }
    ig_db_finish(rows);
    return err->code;
}

/* Behind verify_lock, where another caller may have asked the same before. */
static enum ig_code verify(struct ig_principal *who, struct ig_users *users, struct ig_str name,
                           struct ig_str password, struct ig_err *err)
{
    struct row row = {.name = good_name(name) ? name : IG_STR("")};
    unsigned char digest[IG_SHA256_BYTES];
    if (ig_users_may_try(users, name, err) != IG_OK ||
        ig_db_read(users->options.db, read_row, &row, err) != IG_OK)
        return err->code;
    ig_credentials_digest(digest, users->credentials, name, password);
    bool known = row.id && ig_credentials_find(users->credentials, digest, row.version);
    if (!known && (!ig_password_matches(ig_str_view(row.hash), password) || !row.id)) {
        ig_credentials_failed(users->credentials, name, ig_clock_unix_ms());
        return ig_fail(err, IG_UNAUTHENTICATED, "the user name or the password is not right");
    }
    if (!known) ig_credentials_keep(users->credentials, digest, row.version);
    fill(who, row.id, name, row.is_admin);
    return IG_OK;
}

enum ig_code ig_users_verify(struct ig_principal *who, struct ig_users *users, struct ig_str name,
                             struct ig_str password, struct ig_err *err)
{
    if (!ig_users_exist(users))
        return ig_fail(err, IG_UNAUTHENTICATED, "the user name or the password is not right");
    if (atomic_fetch_add(&users->waiting, 1) >= WAITING_MAX) {
        ig_fail(err, IG_EXHAUSTED, "too many sign in at once: try again");
    } else {
        ig_pool_wait_begin();
        pthread_mutex_lock(&users->verify_lock);
        ig_pool_wait_end();
        verify(who, users, name, password, err);
        pthread_mutex_unlock(&users->verify_lock);
    }
    atomic_fetch_sub(&users->waiting, 1);
    return err->code;
}

/* ---- changes ---- */

struct change {
    const struct ig_principal *who;
    struct ig_str name, password;
    bool is_admin;
    const char *action;
    char hash[IG_PASSWORD_HASH_SIZE];
    int64_t id;
};

static int64_t new_version(void)
{
    uint64_t bits;
    ig_random_bytes(&bits, sizeof bits);
    return (int64_t)(bits >> 1) | 1;
}

static enum ig_code audit(struct ig_db_tx *tx, const struct change *change, struct ig_err *err)
{
    return ig_audit_add(tx, change->who, change->action, change->name, IG_STR(""), err);
}

enum ig_code ig_user_find(int64_t *id, struct ig_db_tx *tx, struct ig_str name, struct ig_err *err)
{
    struct row row = {.name = name};
    if (read_row(tx, &row, err) != IG_OK) return err->code;
    if (!row.id)
        return ig_fail(err, IG_NOT_FOUND, "User with username=%.*s not found",
                       name.len > IG_USER_NAME_MAX ? IG_USER_NAME_MAX : (int)name.len, name.ptr);
    *id = row.id;
    return IG_OK;
}

enum ig_code ig_user_next_id(int64_t *id, struct ig_db_tx *tx, const char *table,
                             struct ig_err *err)
{
    if (ig_db_exec(tx,
                   "insert into last_ids(name, id) values($1, 1)"
                   " on conflict (name) do update set id = last_ids.id + 1",
                   IG_DB_VALUES(IG_DB_C(table)), err) != IG_OK)
        return err->code;
    return ig_db_get_i64(id, tx, "select id from last_ids where name = $1",
                         IG_DB_VALUES(IG_DB_C(table)), err);
}

static enum ig_code create_user(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct change *change = context;
    struct ig_err local = IG_ERR_INIT;
    size_t count = 0;
    if (count_users(&count, tx, err) != IG_OK) return err->code;
    if (!count && !change->is_admin)
        return ig_fail(err, IG_CONFLICT,
                       "the first user has to be an administrator: ingot user create NAME --admin");
    if (count >= USERS_MAX) return ig_fail(err, IG_EXHAUSTED, "there are %zu users already", count);
    if (ig_user_next_id(&change->id, tx, "users", err) != IG_OK) return err->code;
    enum ig_code code =
        ig_db_exec(tx,
                   "insert into users(id, name, password, is_admin, version, created_ms)"
                   " values($1, $2, $3, $4, $5, $6)",
                   IG_DB_VALUES(IG_DB_I(change->id), IG_DB_T(change->name), IG_DB_C(change->hash),
                                IG_DB_I(change->is_admin), IG_DB_I(new_version()),
                                IG_DB_I(ig_clock_unix_ms())),
                   &local);
    if (code == IG_EXISTS)
        return ig_fail(err, IG_EXISTS, "User (username=%.*s) already exists.",
                       IG_STR_ARGS(change->name));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    return audit(tx, change, err);
}

/* CONFLICT when nobody but this user is an administrator. */
static enum ig_code keep_an_admin(struct ig_db_tx *tx, int64_t id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from users where is_admin = 1 and id <> $1 limit 1",
                    IG_DB_VALUES(IG_DB_I(id)), err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK)
        ig_fail(err, IG_CONFLICT, "this is the last administrator: make another one first");
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code set_password(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct change *change = context;
    if (ig_user_find(&change->id, tx, change->name, err) != IG_OK ||
        ig_db_exec(tx, "update users set password = $1, version = $2 where id = $3",
                   IG_DB_VALUES(IG_DB_C(change->hash), IG_DB_I(new_version()), IG_DB_I(change->id)),
                   err) != IG_OK)
        return err->code;
    return audit(tx, change, err);
}

static enum ig_code set_admin(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct change *change = context;
    if (ig_user_find(&change->id, tx, change->name, err) != IG_OK ||
        (!change->is_admin && keep_an_admin(tx, change->id, err) != IG_OK) ||
        ig_db_exec(tx, "update users set is_admin = $1 where id = $2",
                   IG_DB_VALUES(IG_DB_I(change->is_admin), IG_DB_I(change->id)), err) != IG_OK)
        return err->code;
    return audit(tx, change, err);
}

static enum ig_code delete_user(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct change *change = context;
    if (ig_user_find(&change->id, tx, change->name, err) != IG_OK ||
        keep_an_admin(tx, change->id, err) != IG_OK ||
        ig_db_exec(tx, "delete from user_grants where user_id = $1",
                   IG_DB_VALUES(IG_DB_I(change->id)), err) != IG_OK ||
        ig_db_exec(tx, "delete from user_roles where user_id = $1",
                   IG_DB_VALUES(IG_DB_I(change->id)), err) != IG_OK ||
        ig_db_exec(tx, "delete from users where id = $1", IG_DB_VALUES(IG_DB_I(change->id)), err) !=
            IG_OK)
        return err->code;
    return audit(tx, change, err);
}

static enum ig_code apply(struct ig_users *users, ig_db_work *work, struct change *change,
                          struct ig_err *err)
{
    pthread_mutex_lock(&users->change_lock);
    if (ig_db_write(users->options.db, work, change, err) == IG_OK) reload(users, err);
    pthread_mutex_unlock(&users->change_lock);
    explicit_bzero(change->hash, sizeof change->hash);
    return err->code;
}

static enum ig_code check_password(struct ig_str password, struct ig_err *err)
{
    if (password.len >= IG_PASSWORD_MIN && password.len <= IG_PASSWORD_MAX &&
        !memchr(password.ptr, '\0', password.len))
        return IG_OK;
    return ig_fail(err, IG_INVALID, "password: expected %d to %d characters", IG_PASSWORD_MIN,
                   IG_PASSWORD_MAX);
}

enum ig_code ig_user_create(int64_t *id, struct ig_users *users, const struct ig_principal *who,
                            const struct ig_user_spec *spec, struct ig_err *err)
{
    struct change change = {
        .who = who, .name = spec->name, .is_admin = spec->is_admin, .action = "user.create"};
    if (!good_name(spec->name))
        return ig_fail(
            err, IG_INVALID, "username '%.*s': expected 1 to %d bytes of text without ':'",
            spec->name.len > 140 ? 140 : (int)spec->name.len, spec->name.ptr, IG_USER_NAME_MAX);
    if (check_password(spec->password, err) != IG_OK ||
        ig_password_hash(change.hash, spec->password, err) != IG_OK)
        return err->code;
    if (apply(users, create_user, &change, err) == IG_OK) *id = change.id;
    return err->code;
}

enum ig_code ig_user_set_password(struct ig_users *users, const struct ig_principal *who,
                                  struct ig_str name, struct ig_str password, struct ig_err *err)
{
    struct change change = {.who = who, .name = name, .action = "user.password"};
    if (check_password(password, err) != IG_OK ||
        ig_password_hash(change.hash, password, err) != IG_OK)
        return err->code;
    return apply(users, set_password, &change, err);
}

enum ig_code ig_user_set_admin(struct ig_users *users, const struct ig_principal *who,
                               struct ig_str name, bool is_admin, struct ig_err *err)
{
    struct change change = {.who = who,
                            .name = name,
                            .is_admin = is_admin,
                            .action = is_admin ? "user.admin" : "user.no-admin"};
    return apply(users, set_admin, &change, err);
}

enum ig_code ig_user_delete(struct ig_users *users, const struct ig_principal *who,
                            struct ig_str name, struct ig_err *err)
{
    struct change change = {.who = who, .name = name, .action = "user.delete"};
    return apply(users, delete_user, &change, err);
}

/* ---- reading ---- */

struct listing {
    struct ig_str name; /* empty: all */
    struct ig_arena *arena;
    struct ig_user_list list;
};

static enum ig_code read_users(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_user *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select id, name, is_admin from users where $1 = '' or name = $1 order by id",
                    IG_DB_VALUES(IG_DB_T(listing->name)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(listing->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_user){
            ig_db_i64(rows, 0), ig_db_text_dup(rows, 1, listing->arena), ig_db_i64(rows, 2) != 0};
    }
    ig_db_finish(rows);
    if (listing->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "list of users");
    listing->list = (struct ig_user_list){items, count};
    return err->code;
}

enum ig_code ig_user_list(struct ig_user_list *out, struct ig_users *users, struct ig_arena *arena,
                          struct ig_err *err)
{
    struct listing listing = {.name = IG_STR(""), .arena = arena};
    if (ig_db_read(users->options.db, read_users, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}

enum ig_code ig_user_get(struct ig_user *out, struct ig_users *users, struct ig_str name,
                         struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {.name = name, .arena = arena};
    if (name.len && ig_db_read(users->options.db, read_users, &listing, err) != IG_OK)
        return err->code;
    if (!listing.list.count)
        return ig_fail(err, IG_NOT_FOUND, "User with username=%.*s not found",
                       name.len > IG_USER_NAME_MAX ? IG_USER_NAME_MAX : (int)name.len, name.ptr);
    *out = listing.list.items[0];
    return IG_OK;
}
