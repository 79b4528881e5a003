/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts: what is taken, in which order parts are put together, what is refused, what
 * garbage collection drops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "services/tracking/artifact_uploads.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

#include <string.h>

static struct {
    struct ig_temp temp;
    struct ig_db *db;
    struct ig_arena arena;
    char id[IG_UPLOAD_ID_SIZE];
} world;
static struct ig_err err;
#define PATH IG_STR("0/run/artifacts/big.bin")

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    world.temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(world.temp.fd);
    ig_arena_init(&world.arena, 1 << 16, 64 << 20);
    ASSERT_OK(ig_db_open(&world.db, &options, &err));
    ASSERT_OK(ig_upload_create(world.id, world.db, PATH, 4, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_db_close(world.db);
    ig_arena_deinit(&world.arena);
    ig_temp_remove(&world.temp);
    return 0;
}

static struct ig_str digest(char letter)
{
    char *text = ig_arena_alloc(&world.arena, IG_SHA256_HEX);
    memset(text, letter, IG_SHA256_HEX - 1);
    text[IG_SHA256_HEX - 1] = '\0';
    return ig_str_view(text);
}

static void put(int64_t number, char letter)
{
    struct ig_artifact object = {.size_bytes = number};
    memcpy(object.digest, digest(letter).ptr, IG_SHA256_HEX);
    ASSERT_OK(ig_upload_put(world.db, ig_str_view(world.id), number, &object, &err));
}

static enum ig_code parts(struct ig_upload_parts *out, const struct ig_upload_part *named,
                          size_t count)
{
    const struct ig_upload upload = {ig_str_view(world.id), PATH};
    ig_err_clear(&err);
    return ig_upload_parts(out, world.db, &upload, (struct ig_upload_parts){named, count},
                           &world.arena, &err);
}

static void test_order(void **state)
{
    (void)state;
    const struct ig_upload upload = {ig_str_view(world.id), PATH};
    struct ig_upload_parts found;
    put(3, 'c');
    put(1, 'x');
    put(2, 'b');
    put(1, 'a'); /* in place of the other */
    char quoted[IG_SHA256_HEX + 2] = "\"";
    memcpy(quoted + 1, digest('c').ptr, IG_SHA256_HEX - 1);
    quoted[IG_SHA256_HEX] = '"';
    const struct ig_upload_part named[] = {
        {1, digest('a')}, {2, digest('b')}, {3, {quoted, IG_SHA256_HEX + 1}}};
    assert_int_equal(parts(&found, named, 3), IG_OK);
    assert_int_equal(found.count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(found.items[i].number, i + 1);
        assert_int_equal(found.items[i].digest.len, IG_SHA256_HEX - 1);
        assert_int_equal(found.items[i].digest.ptr[0], 'a' + (char)i);
    }
    assert_int_equal(parts(&found, named + 1, 2), IG_OK); /* those that are named */
    assert_int_equal(found.count, 2);
    ASSERT_OK(ig_upload_end(world.db, &upload, &err));
    assert_int_equal(parts(&found, named, 3), IG_NOT_FOUND);
    ASSERT_FAILS(ig_upload_end(world.db, &upload, &err), IG_NOT_FOUND, "upload_id: no upload");
}

static void test_refused(void **state)
{
    (void)state;
    const struct ig_upload elsewhere = {ig_str_view(world.id), IG_STR("0/other")};
    struct ig_upload_parts found;
    char id[IG_UPLOAD_ID_SIZE];
    struct ig_artifact object = {.size_bytes = 1};
    put(1, 'a');
    put(2, 'b');
    const struct ig_upload_part wrong[][2] = {{{2, digest('b')}, {1, digest('a')}},
                                              {{1, digest('a')}, {1, digest('a')}},
                                              {{1, digest('a')}, {2, digest('a')}},
                                              {{1, digest('a')}, {3, digest('c')}},
                                              {{1, digest('a')}, {2, IG_STR("")}}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(parts(&found, wrong[i], 2), IG_INVALID);
        assert_non_null(strstr(err.message, "parts[1]: part "));
    }
    assert_int_equal(parts(&found, wrong[0], 0), IG_INVALID);
    ig_err_clear(&err);
    ASSERT_FAILS(ig_upload_expects(world.db, ig_str_view(world.id), 0, &err), IG_INVALID,
                 "part_number: 0, the upload has parts 1 to 4");
    ASSERT_FAILS(ig_upload_put(world.db, ig_str_view(world.id), 5, &object, &err), IG_INVALID,
                 "part_number: 5");
    ASSERT_FAILS(ig_upload_expects(world.db, IG_STR("' or 1=1"), 1, &err), IG_NOT_FOUND,
                 "no upload '' or 1=1'");
    ASSERT_FAILS(ig_upload_end(world.db, &elsewhere, &err), IG_NOT_FOUND, "no upload");
    ASSERT_FAILS(ig_upload_create(id, world.db, IG_STR("../x"), 1, &err), IG_INVALID, "path");
    ASSERT_FAILS(ig_upload_create(id, world.db, PATH, 0, &err), IG_INVALID, "num_parts: 0");
    ASSERT_FAILS(ig_upload_create(id, world.db, PATH, 10001, &err), IG_INVALID, "1 to 10000");
    ASSERT_OK(ig_upload_expects(world.db, ig_str_view(world.id), 4, &err));
}

static void test_dropped(void **state)
{
    (void)state;
    put(1, 'a');
    ASSERT_OK(ig_uploads_drop(world.db, ig_clock_unix_ms() - 60000, &err));
    ASSERT_OK(ig_upload_expects(world.db, ig_str_view(world.id), 1, &err));
    ASSERT_OK(ig_uploads_drop(world.db, ig_clock_unix_ms() + 1, &err));
    ASSERT_FAILS(ig_upload_expects(world.db, ig_str_view(world.id), 1, &err), IG_NOT_FOUND,
                 "no upload");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_order), CASE(test_refused), CASE(test_dropped)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
