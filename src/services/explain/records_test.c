/* SPDX-License-Identifier: Apache-2.0 */
/* Records append, chain, survive a restart; a changed one shows; deployments are switched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "services/explain/records.h"
#include "services/registry/world_testing.h"
#include "stores/statement_testing.h"

#include <stdio.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;

static struct ig_world world;

static int setup(void **state)
{
    ig_world_open(&world);
    (void)state;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_world_close(&world);
    return 0;
}

static void test_switch(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_records *records;
    (void)state;
    ASSERT_OK(ig_records_open(&records, world.db, &err));
    assert_int_equal(ig_records_wanted(records, IG_STR("credit"), false), IG_RECORDS_NO);
    ASSERT_OK(ig_records_set(records, who, IG_STR("credit"), true, &err));
    ASSERT_OK(ig_records_set(records, who, IG_STR("credit"), true, &err));
    assert_int_equal(ig_records_wanted(records, IG_STR("credit"), true), IG_RECORDS_YES);
    ig_records_close(records);
    ASSERT_OK(ig_records_open(&records, world.db, &err));
    assert_int_equal(ig_records_wanted(records, IG_STR("credit"), false), IG_RECORDS_YES);
    ASSERT_OK(ig_records_set(records, who, IG_STR("credit"), false, &err));
    assert_int_equal(ig_records_wanted(records, IG_STR("credit"), false), IG_RECORDS_NO);
    assert_int_equal(ig_records_set(records, who, IG_STR("no such/name"), true, &err), IG_INVALID);
    ig_records_close(records);
}

static void test_chain(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_records *records;
    struct ig_record record;
    struct ig_record_list list;
    struct ig_arena arena;
    char ids[3][IG_ID_SIZE];
    int64_t count;
    (void)state;
    ig_arena_init(&arena, 1 << 12, 1 << 20);
    ASSERT_OK(ig_records_open(&records, world.db, &err));
    ASSERT_OK(ig_records_verify(&count, records, &err));
    assert_int_equal(count, 0);
    for (int i = 0; i < 3; i++) {
        char content[32];
        snprintf(content, sizeof content, "{\"n\":%d}", i);
        ASSERT_OK(ig_records_add(ids[i], records, IG_STR("credit"), ig_str_view(content), &err));
    }
    ASSERT_OK(ig_records_verify(&count, records, &err));
    assert_int_equal(count, 3);
    ASSERT_OK(ig_records_get(&record, records, ig_str_view(ids[1]), &arena, &err));
    assert_true(ig_str_is(record.content, "{\"n\":1}") && record.seq == 2);
    ASSERT_OK(ig_records_list(&list, records, 3, 10, &arena, &err));
    assert_int_equal(list.count, 2);
    assert_true(ig_str_is(list.items[0].id, ids[1]) && list.items[0].content.len == 0);
    assert_int_equal(ig_records_get(&record, records, IG_STR("x"), &arena, &err), IG_NOT_FOUND);
    ig_err_clear(&err);
    ig_statement_write(world.db, "update records set content = '{\"n\":7}' where seq = 2");
    assert_int_equal(ig_records_verify(&count, records, &err), IG_CORRUPT);
    assert_string_equal(err.message, "record 2 does not follow from the one before");
    assert_int_equal(count, 1);
    ig_err_clear(&err);
    ig_statement_write(world.db, "delete from records where seq = 2");
    assert_int_equal(ig_records_verify(&count, records, &err), IG_CORRUPT);
    ig_records_close(records);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_switch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chain, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
