/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/auth/auth.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <stdatomic.h>
#include <string.h>

struct keys {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_auth *auth;
    struct ig_arena arena;
};

static void open_keys(struct keys *keys, void (*wait)(void *), void *context)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options db = ig_db_testing_options(keys->temp.fd);
    ASSERT_OK(ig_db_open(&keys->db, &db, &err));
    struct ig_auth_options auth = {
        .db = keys->db, .wait_quiescent = wait, .context = context, .keys_max = 4};
    ASSERT_OK(ig_auth_open(&keys->auth, &auth, &err));
}

static void close_keys(struct keys *keys)
{
    ig_auth_close(keys->auth);
    ig_db_close(keys->db);
}

static int setup(void **state)
{
    static struct keys keys;
    memset(&keys, 0, sizeof keys);
    keys.temp = ig_temp_make();
    ig_arena_init(&keys.arena, 8192, 1 << 20);
    open_keys(&keys, NULL, NULL);
    *state = &keys;
    return 0;
}

static int teardown(void **state)
{
    struct keys *keys = *state;
    close_keys(keys);
    ig_arena_deinit(&keys->arena);
    ig_temp_remove(&keys->temp);
    return 0;
}

static struct ig_key_created create(struct keys *keys, const char *name, unsigned scopes,
                                    int64_t expires_ms)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_key_created made;
    const struct ig_key_spec spec = {ig_str_view(name), scopes, expires_ms};
    ASSERT_OK(ig_auth_key_create(&made, keys->auth, &spec, &err));
    return made;
}

static void test_create_authenticate_revoke(void **state)
{
    struct keys *keys = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_principal who;
    assert_false(ig_auth_keys_exist(keys->auth));
    struct ig_key_created made = create(keys, "ci", IG_SCOPE_READ | IG_SCOPE_INFER, 0);
    assert_true(ig_auth_keys_exist(keys->auth));
    assert_int_equal(strlen(made.token), IG_KEY_TOKEN_SIZE - 1);
    struct ig_str token = ig_str_view(made.token);
    for (int round = 0; round < 2; round++) { /* the second time after a restart */
        ASSERT_OK(ig_auth_authenticate(&who, keys->auth, token, &err));
        assert_string_equal(who.id, made.id);
        assert_string_equal(who.name, "ci");
        assert_true(ig_principal_allows(&who, IG_SCOPE_READ));
        assert_false(ig_principal_allows(&who, IG_SCOPE_WRITE));
        close_keys(keys);
        open_keys(keys, NULL, NULL);
    }
    ASSERT_OK(ig_auth_key_revoke(keys->auth, ig_str_view(made.id), &err));
    ASSERT_OK(ig_auth_key_revoke(keys->auth, ig_str_view(made.id), &err));
    ASSERT_FAILS(ig_auth_authenticate(&who, keys->auth, token, &err), IG_UNAUTHENTICATED,
                 "not valid");
    assert_true(ig_auth_keys_exist(keys->auth)); /* a revoked key does not open the door */
    ASSERT_FAILS(ig_auth_key_revoke(keys->auth, IG_STR("nobody"), &err), IG_NOT_FOUND, "nobody");
}

static void test_every_wrong_token_is_refused(void **state)
{
    struct keys *keys = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_principal who;
    struct ig_key_created made = create(keys, "a", IG_SCOPE_READ, 0);
    struct ig_key_created other = create(keys, "b", IG_SCOPE_READ, 0);
    char token[IG_KEY_TOKEN_SIZE];
    for (size_t i = 0; i < IG_KEY_TOKEN_SIZE - 1; i++) { /* each character matters */
        memcpy(token, made.token, sizeof token);
        token[i] = token[i] == '0' ? '1' : '0';
        ASSERT_FAILS(ig_auth_authenticate(&who, keys->auth, ig_str_view(token), &err),
                     IG_UNAUTHENTICATED, "not valid");
    }
    ASSERT_FAILS(ig_auth_authenticate(&who, keys->auth, IG_STR(""), &err), IG_UNAUTHENTICATED,
                 "not valid");
    memcpy(token, made.token, sizeof token); /* one's id with the other's secret */
    memcpy(token + 30, other.token + 30, sizeof token - 30);
    ASSERT_FAILS(ig_auth_authenticate(&who, keys->auth, ig_str_view(token), &err),
                 IG_UNAUTHENTICATED, "not valid");
    ASSERT_OK(ig_auth_authenticate(&who, keys->auth, ig_str_view(other.token), &err));
}

static void test_expiry(void **state)
{
    struct keys *keys = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_principal who;
    struct ig_key_created made = create(keys, "brief", IG_SCOPE_READ, ig_clock_unix_ms() + 60);
    ASSERT_OK(ig_auth_authenticate(&who, keys->auth, ig_str_view(made.token), &err));
    usleep(80000);
    ASSERT_FAILS(ig_auth_authenticate(&who, keys->auth, ig_str_view(made.token), &err),
                 IG_UNAUTHENTICATED, "not valid");
}

static void test_bad_specs(void **state)
{
    struct keys *keys = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_key_created made;
    struct ig_key_spec spec = {IG_STR("a b"), IG_SCOPE_READ, 0};
    ASSERT_FAILS(ig_auth_key_create(&made, keys->auth, &spec, &err), IG_INVALID, "'a b'");
    spec.name = IG_STR("ok");
    spec.scopes = 0;
    ASSERT_FAILS(ig_auth_key_create(&made, keys->auth, &spec, &err), IG_INVALID, "scope");
    spec.scopes = IG_SCOPE_READ;
    spec.expires_ms = 5;
    ASSERT_FAILS(ig_auth_key_create(&made, keys->auth, &spec, &err), IG_INVALID, "past");
    spec.expires_ms = 0;
    for (int i = 0; i < 4; i++) create(keys, "k", IG_SCOPE_READ, 0);
    ASSERT_FAILS(ig_auth_key_create(&made, keys->auth, &spec, &err), IG_EXHAUSTED, "at most 4");
}

/* The database file holds no secret either. */
static void expect_no_secret(const struct keys *keys, const struct ig_key_created *key)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf rows;
    if (ig_db_testing_database("")) return; /* its files are elsewhere */
    ig_buf_init(&rows, 16 << 20);
    ASSERT_OK(ig_file_read(&rows, keys->temp.fd, "ingot.db", &err));
    assert_non_null(memmem(rows.ptr, rows.len, key->id, 26));
    assert_null(memmem(rows.ptr, rows.len, key->token + 30, 64));
    ig_buf_deinit(&rows);
}

static void test_listing_shows_no_secret(void **state)
{
    struct keys *keys = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_key_list list;
    create(keys, "first", IG_SCOPE_ADMIN, 0);
    usleep(2000);
    struct ig_key_created second = create(keys, "second", IG_SCOPE_READ, 0);
    ASSERT_OK(ig_auth_key_list(&list, keys->auth, &keys->arena, &err));
    assert_int_equal(list.count, 2);
    assert_true(ig_str_is(list.items[0].name, "second"));
    assert_true(ig_str_is(list.items[0].id, second.id));
    assert_int_equal(list.items[1].scopes, IG_SCOPE_ADMIN);
    assert_true(list.items[0].created_ms > 0 && list.items[0].revoked_ms == 0);
    ig_db_close(keys->db);
    expect_no_secret(keys, &second);
    ig_auth_close(keys->auth);
    open_keys(keys, NULL, NULL);
}

static void test_scopes(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    unsigned scopes = 0;
    struct ig_buf text;
    (void)state;
    ig_buf_init(&text, 100);
    ASSERT_OK(ig_scopes_parse(&scopes, IG_STR("read, train"), &err));
    assert_int_equal(scopes, IG_SCOPE_READ | IG_SCOPE_TRAIN);
    ig_scopes_format(&text, scopes);
    assert_string_equal(text.ptr, "read,train");
    ig_buf_deinit(&text);
    ASSERT_FAILS(ig_scopes_parse(&scopes, IG_STR("read,root"), &err), IG_INVALID,
                 "scope 'root' is unknown, expected some of read,infer,write,train,admin");
    const struct ig_principal admin = {.scopes = IG_SCOPE_ADMIN};
    assert_true(ig_principal_allows(&admin, IG_SCOPE_TRAIN));
    assert_true(ig_principal_allows(&IG_PRINCIPAL_LOCAL, IG_SCOPE_ADMIN));
}

static void test_nth_call_and_allocation_fail(void **state)
{
    struct keys *keys = *state;
    const struct ig_key_spec spec = {IG_STR("k"), IG_SCOPE_READ, 0};
    for (int kind = 0; kind < 2; kind++) {
        bool refused = true;
        for (uint64_t n = 1; refused; n++) {
            struct ig_err err = IG_ERR_INIT;
            struct ig_key_created made;
            struct ig_key_list list;
            assert_true(n < 100);
            if (kind == 0)
                ig_db_fail_after(n);
            else
                ig_mem_fail_after(n);
            enum ig_code code = ig_auth_key_list(&list, keys->auth, &keys->arena, &err);
            if (code == IG_OK && list.count < 4)
                code = ig_auth_key_create(&made, keys->auth, &spec, &err);
            refused = kind == 0 ? ig_db_failed() : ig_mem_failed();
            ig_db_fail_after(0);
            ig_mem_fail_after(0);
            if (refused && code != IG_EXHAUSTED)
                assert_int_equal(code, kind == 0 ? IG_IO : IG_NO_MEMORY);
            ig_arena_deinit(&keys->arena); /* so that the list allocates again */
            ig_arena_init(&keys->arena, 8192, 1 << 20);
        }
    }
}

/* Readers on "loops" against changes: the turn counters stand for a loop's quiescence. */
enum { LOOPS = 3 };

struct loops {
    struct ig_auth *auth;
    atomic_uint turns[LOOPS];
    atomic_bool stop;
    char token[IG_KEY_TOKEN_SIZE];
};
struct loop {
    struct loops *all;
    int index;
};

static void wait_for_turns(void *context)
{
    struct loops *loops = context;
    for (int i = 0; i < LOOPS; i++) {
        unsigned before = atomic_load(&loops->turns[i]);
        while (atomic_load(&loops->turns[i]) == before && !atomic_load(&loops->stop)) usleep(50);
    }
}

static void *loop_main(void *context)
{
    struct loop *loop = context;
    while (!atomic_load(&loop->all->stop)) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_principal who;
        IG_ASSERT(ig_auth_authenticate(&who, loop->all->auth, ig_str_view(loop->all->token),
                                       &err) == IG_OK);
        atomic_fetch_add(&loop->all->turns[loop->index], 1);
    }
    return NULL;
}

static void test_changes_beside_readers(void **state)
{
    struct keys *keys = *state;
    struct ig_err err = IG_ERR_INIT;
    static struct loops loops;
    struct loop each[LOOPS];
    uint64_t threads[LOOPS];
    memset(&loops, 0, sizeof loops);
    memcpy(loops.token, create(keys, "stays", IG_SCOPE_READ, 0).token, sizeof loops.token);
    struct ig_key_created other = create(keys, "goes", IG_SCOPE_READ, 0);
    close_keys(keys);
    open_keys(keys, wait_for_turns, &loops);
    loops.auth = keys->auth;
    for (int i = 0; i < LOOPS; i++) {
        each[i] = (struct loop){&loops, i};
        ASSERT_OK(ig_thread_start(&threads[i], "loop", loop_main, &each[i], &err));
    }
    for (int i = 0; i < 10; i++)
        ASSERT_OK(ig_auth_key_revoke(keys->auth, ig_str_view(other.id), &err));
    atomic_store(&loops.stop, true);
    for (int i = 0; i < LOOPS; i++) ig_thread_join(threads[i]);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_create_authenticate_revoke),
        CASE(test_every_wrong_token_is_refused),
        CASE(test_expiry),
        CASE(test_bad_specs),
        CASE(test_listing_shows_no_secret),
        CASE(test_scopes),
        CASE(test_nth_call_and_allocation_fail),
        CASE(test_changes_beside_readers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
