/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/audit/audit.h"
#include "stores/db_testing.h"
#include "stores/statement_testing.h"
#include "stores/temp_testing.h"

#include <string.h>

static void test_chain(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_db_options options = ig_db_testing_options(temp.fd);
    const struct ig_principal who = {.id = "k1", .name = "ci", .scopes = IG_SCOPE_WRITE};
    struct ig_audit_list list;
    struct ig_arena arena;
    struct ig_db *db = NULL;
    (void)state;
    ig_arena_init(&arena, 4096, 1 << 20);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_audit_verify(db, &err));
    ASSERT_OK(ig_audit_record(db, &who, "key.create", IG_STR("k2"), &err));
    ASSERT_OK(ig_audit_record(db, &IG_PRINCIPAL_LOCAL, "key.revoke", IG_STR("k2"), &err));
    ASSERT_OK(ig_audit_record(db, &who, "key.create", IG_STR("k3"), &err));
    ASSERT_OK(ig_audit_verify(db, &err));

    ASSERT_OK(ig_audit_list(&list, db, &arena, 0, 2, &err));
    assert_int_equal(list.count, 2);
    assert_int_equal(list.items[0].seq, 3);
    assert_true(ig_str_is(list.items[0].object, "k3"));
    assert_true(ig_str_is(list.items[1].principal_name, "local"));
    ASSERT_OK(ig_audit_list(&list, db, &arena, 2, 0, &err));
    assert_int_equal(list.count, 1);
    assert_true(ig_str_is(list.items[0].principal_id, "k1"));
    assert_true(ig_str_is(list.items[0].action, "key.create"));

    static const char edit[] = "update audit set object = 'k9' where seq = 2";
    ig_statement_write(db, edit);
    ASSERT_FAILS(ig_audit_verify(db, &err), IG_CORRUPT, "audit record 2");
    static const char back[] = "update audit set object = 'k2' where seq = 2";
    ig_statement_write(db, back);
    ASSERT_OK(ig_audit_verify(db, &err));
    static const char cut[] = "delete from audit where seq = 1";
    ig_statement_write(db, cut);
    ASSERT_FAILS(ig_audit_verify(db, &err), IG_CORRUPT, "audit record 1");
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_chain)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
