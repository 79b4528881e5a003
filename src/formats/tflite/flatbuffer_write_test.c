/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/tflite/flatbuffer.h"
#include "formats/tflite/flatbuffer_write.h"

static void is_read_as_it_was_written(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, 4096);
    struct ig_flatbuffer_writer writer = {&out};
    const struct ig_flatbuffer_field fields[] = {
        {0, 1, 200}, {1, 4, 0}, {3, 4, (uint32_t)-7}, {4, 1, 1}, {6, 4, 0}, {7, 4, 0},
    };
    const int64_t numbers[] = {INT64_MIN, 5};
    ig_flatbuffer_write_head(&writer, "ABCD");
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&writer, fields, 6);
    ig_flatbuffer_link(&writer, IG_FLATBUFFER_ROOT, slots.table);
    ig_flatbuffer_write_text(&writer, slots.at[1], IG_STR("three"));
    size_t first = ig_flatbuffer_write_vector(&writer, slots.at[4], numbers, 2, 8, 16);
    assert_int_equal(first % 16, 0);
    const struct ig_flatbuffer_field inner = {2, 4, 9};
    ig_flatbuffer_link(&writer, slots.at[5], ig_flatbuffer_write_table(&writer, &inner, 1).table);

    struct ig_flatbuffer buffer;
    struct ig_flatbuffer_table table = ig_flatbuffer_root(&buffer, ig_buf_view(&out), "ABCD", &err);
    assert_int_equal(ig_flatbuffer_u8(&buffer, table, 0, 0), 200);
    assert_true(ig_str_is(ig_flatbuffer_text(&buffer, table, 1), "three"));
    assert_false(ig_flatbuffer_has(&buffer, table, 2));
    assert_int_equal(ig_flatbuffer_i32(&buffer, table, 3, 0), -7);
    assert_int_equal(ig_flatbuffer_u8(&buffer, table, 4, 0), 1);
    struct ig_flatbuffer_vector vector = ig_flatbuffer_vector(&buffer, table, 6, 8);
    assert_int_equal(vector.count, 2);
    assert_true(ig_flatbuffer_i64_at(&buffer, vector, 0) == INT64_MIN);
    assert_int_equal(ig_flatbuffer_i32(&buffer, ig_flatbuffer_child(&buffer, table, 7), 2, 0), 9);
    assert_int_equal(err.code, IG_OK);
    ig_buf_deinit(&out);
}

/* Past the buffer's end it does nothing, and says so. */
static void overflows_quietly(void **state)
{
    (void)state;
    struct ig_buf out;
    ig_buf_init(&out, 40);
    struct ig_flatbuffer_writer writer = {&out};
    const struct ig_flatbuffer_field field = {0, 4, 0};
    ig_flatbuffer_write_head(&writer, "ABCD");
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&writer, &field, 1);
    ig_flatbuffer_write_vector(&writer, slots.at[0], NULL, 100, 4, 4);
    ig_flatbuffer_link(&writer, IG_FLATBUFFER_ROOT, slots.table);
    assert_true(out.overflowed);
    ig_buf_deinit(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_as_it_was_written),
        cmocka_unit_test(overflows_quietly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
