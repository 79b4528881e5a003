/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "services/users/users_testing.h"

static enum ig_code verify(struct ig_principal *who, const char *name, const char *password)
{
    return ig_users_verify(who, users, ig_str_view(name), ig_str_view(password), &err);
}

static bool recall(const char *name, const char *password)
{
    struct ig_principal who;
    return ig_users_recall(&who, users, ig_str_view(name), ig_str_view(password));
}

static void test_verify(void **state)
{
    (void)state;
    struct ig_principal who;
    assert_true(ig_users_exist(users));
    assert_false(ig_users_exist(NULL));
    assert_false(recall("ann", PASSWORD)); /* not seen yet */
    ASSERT_OK(verify(&who, "ann", PASSWORD));
    assert_int_equal(who.user, ann);
    assert_string_equal(who.name, "ann");
    assert_int_equal(who.scopes, 0);
    assert_true(recall("ann", PASSWORD));
    ASSERT_OK(verify(&who, "root", PASSWORD));
    assert_int_equal(who.scopes, IG_SCOPES_ALL);
    expect(verify(&who, "ann", "wrong horse"), IG_UNAUTHENTICATED);
    expect(verify(&who, "bob", PASSWORD), IG_UNAUTHENTICATED);
    expect(verify(&who, "", ""), IG_UNAUTHENTICATED);
    assert_false(recall("ann", "wrong horse"));
}

/* What was remembered of a password ends with it, also under the same name. */
static void test_change(void **state)
{
    (void)state;
    struct ig_principal who;
    ASSERT_OK(verify(&who, "ann", PASSWORD));
    ASSERT_OK(ig_user_set_password(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"),
                                   IG_STR("battery staple"), &err));
    assert_false(recall("ann", PASSWORD));
    expect(verify(&who, "ann", PASSWORD), IG_UNAUTHENTICATED);
    ASSERT_OK(verify(&who, "ann", "battery staple"));
    ASSERT_OK(ig_user_delete(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), &err));
    assert_false(recall("ann", "battery staple"));
    const struct ig_user_spec again = {IG_STR("ann"), IG_STR("battery staple"), false};
    int64_t id = 0;
    ASSERT_OK(ig_user_create(&id, users, &IG_PRINCIPAL_LOCAL, &again, &err));
    assert_false(recall("ann", "battery staple"));
    assert_true(id > ann); /* a number never comes again */
}

/* After a few wrong ones a name has to wait, but who is known already goes on. */
static void test_guessing(void **state)
{
    (void)state;
    struct ig_principal who;
    enum ig_code code = IG_UNAUTHENTICATED;
    ASSERT_OK(verify(&who, "root", PASSWORD));
    int tries = 0;
    for (; code == IG_UNAUTHENTICATED && tries < 50; tries++) {
        ig_err_clear(&err);
        code = verify(&who, "root", "guess");
    }
    assert_int_equal(tries, 11);
    expect(code, IG_EXHAUSTED);
    expect(ig_users_may_try(users, IG_STR("root"), &err), IG_EXHAUSTED);
    assert_true(recall("root", PASSWORD));
    ASSERT_OK(verify(&who, "ann", PASSWORD));
}

static enum ig_code create(const char *name, const char *password)
{
    const struct ig_user_spec spec = {ig_str_view(name), ig_str_view(password), false};
    int64_t id;
    return ig_user_create(&id, users, &IG_PRINCIPAL_LOCAL, &spec, &err);
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_user user;
    expect(create("ann", PASSWORD), IG_EXISTS);
    expect(create("", PASSWORD), IG_INVALID);
    expect(create("a:b", PASSWORD), IG_INVALID);
    expect(create("a\nb", PASSWORD), IG_INVALID);
    expect(create("\xff", PASSWORD), IG_INVALID);
    expect(create("bob", "short"), IG_INVALID);
    expect(ig_user_get(&user, users, IG_STR("bob"), &arena, &err), IG_NOT_FOUND);
    expect(ig_user_delete(users, &IG_PRINCIPAL_LOCAL, IG_STR("bob"), &err), IG_NOT_FOUND);
    /* Someone always can manage the others. */
    expect(ig_user_delete(users, &IG_PRINCIPAL_LOCAL, IG_STR("root"), &err), IG_CONFLICT);
    expect(ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("root"), false, &err), IG_CONFLICT);
    ASSERT_OK(ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), true, &err));
    ASSERT_OK(ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("root"), false, &err));
}

static void test_first(void **state)
{
    (void)state;
    ASSERT_OK(ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), true, &err));
    struct ig_temp other = ig_temp_make();
    struct ig_db *empty = NULL;
    struct ig_users *nobody = NULL;
    struct ig_principal who;
    const struct ig_db_options options = {.dirfd = other.fd};
    const struct ig_user_spec spec = {IG_STR("ann"), IG_STR(PASSWORD), false};
    int64_t id;
    ASSERT_OK(ig_db_open(&empty, &options, &err));
    const struct ig_users_options none = {.db = empty};
    ASSERT_OK(ig_users_open(&nobody, &none, &err));
    assert_false(ig_users_exist(nobody));
    expect(ig_users_verify(&who, nobody, IG_STR("ann"), IG_STR(PASSWORD), &err),
           IG_UNAUTHENTICATED);
    expect(ig_user_create(&id, nobody, &IG_PRINCIPAL_LOCAL, &spec, &err), IG_CONFLICT);
    assert_false(ig_users_exist(nobody));
    ig_users_close(nobody);
    ig_db_close(empty);
    ig_temp_remove(&other);
}

/* Users outlive the server; nothing of a password is in the rows but its hash. */
static void test_reopened(void **state)
{
    (void)state;
    struct ig_principal who;
    struct ig_user_list list;
    struct ig_audit_list audit;
    ASSERT_OK(ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), true, &err));
    ig_users_close(users);
    open_users(IG_PERMISSION_READ);
    ASSERT_OK(verify(&who, "ann", PASSWORD));
    ASSERT_OK(ig_user_list(&list, users, &arena, &err));
    assert_int_equal(list.count, 2);
    assert_true(list.items[0].is_admin);
    assert_true(ig_str_is(list.items[1].name, "ann"));
    ASSERT_OK(ig_audit_list(&audit, db, &arena, 0, 10, &err));
    assert_int_equal(audit.count, 1);
    assert_true(ig_str_is(audit.items[0].action, "user.admin"));
    assert_true(ig_str_is(audit.items[0].object, "ann"));
}

/* Whatever call of the store fails, the answer is an error, and the next one works. */
static void test_store_fails(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        assert_true(n < 50);
        ig_err_clear(&err);
        ig_db_fail_after(n);
        enum ig_code code =
            ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("ann"), true, &err);
        ig_db_fail_after(0);
        if (code == IG_OK) break;
        assert_int_equal(code, IG_IO);
    }
    ig_err_clear(&err);
    ASSERT_OK(ig_user_set_admin(users, &IG_PRINCIPAL_LOCAL, IG_STR("root"), false, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_verify, setup, teardown),
        cmocka_unit_test_setup_teardown(test_change, setup, teardown),
        cmocka_unit_test_setup_teardown(test_guessing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first, setup, teardown),
        cmocka_unit_test_setup_teardown(test_reopened, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
