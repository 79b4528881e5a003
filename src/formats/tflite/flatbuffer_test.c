/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/tflite/flatbuffer.h"

#include <string.h>

/* Root offset, identifier, a vtable of 4 fields (the third absent), its table, a vector of two
 * int32 and a text. */
static const uint8_t small[] = {
    20,  0,   0,   0,                                     /* 0: root table at 20 */
    'T', 'E', 'S', 'T',                                   /* 4 */
    12,  0,   16,  0,   4,   0,   8, 0, 0,   0,   12,  0, /* 8: vtable: sizes, fields 0..3 */
    12,  0,   0,   0,                                     /* 20: table: vtable is 12 bytes before */
    7,   0,   0,   0,                                     /* 24: field 0: 7 */
    8,   0,   0,   0,                                     /* 28: field 1: vector at 36 */
    16,  0,   0,   0,                                     /* 32: field 3: text at 48 */
    2,   0,   0,   0,   5,   0,   0, 0, 255, 255, 255, 255, /* 36: 5, -1 */
    2,   0,   0,   0,   'h', 'i',                           /* 48 */
};

static struct ig_flatbuffer_table open_small(struct ig_flatbuffer *buffer, const uint8_t *bytes,
                                             size_t size, struct ig_err *err)
{
    return ig_flatbuffer_root(buffer, (struct ig_str){(const char *)bytes, size}, "TEST", err);
}

static void reads_fields(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_flatbuffer buffer;
    struct ig_flatbuffer_table table = open_small(&buffer, small, sizeof small, &err);
    assert_int_equal(err.code, IG_OK);
    assert_int_equal(ig_flatbuffer_i32(&buffer, table, 0, 3), 7);
    assert_int_equal(ig_flatbuffer_u8(&buffer, table, 0, 3), 7);
    assert_int_equal(ig_flatbuffer_i32(&buffer, table, 2, 3), 3);
    assert_int_equal(ig_flatbuffer_i32(&buffer, table, 9, 4), 4);
    assert_false(ig_flatbuffer_has(&buffer, table, 2));
    assert_true(ig_flatbuffer_f32(&buffer, table, 2, 1.5F) == 1.5F);
    struct ig_flatbuffer_vector vector = ig_flatbuffer_vector(&buffer, table, 1, 4);
    assert_int_equal(vector.count, 2);
    assert_int_equal(ig_flatbuffer_i32_at(&buffer, vector, 0), 5);
    assert_int_equal(ig_flatbuffer_i32_at(&buffer, vector, 1), -1);
    assert_true(ig_flatbuffer_i64_at(&buffer, (struct ig_flatbuffer_vector){vector.at, 1}, 0) ==
                INT64_C(-4294967291));
    assert_true(ig_str_is(ig_flatbuffer_text(&buffer, table, 3), "hi"));
    assert_int_equal(ig_flatbuffer_child(&buffer, table, 2).at, 0);
    assert_int_equal(err.code, IG_OK);
}

/* Sets a byte, reads all, and expects an error at that place. */
static void refuse(size_t at, uint8_t value, int64_t at_byte)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_flatbuffer buffer;
    uint8_t bytes[sizeof small];
    memcpy(bytes, small, sizeof bytes);
    bytes[at] = value;
    struct ig_flatbuffer_table table = open_small(&buffer, bytes, sizeof bytes, &err);
    (void)ig_flatbuffer_i32(&buffer, table, 0, 0);
    (void)ig_flatbuffer_vector(&buffer, table, 1, 4);
    assert_int_equal(ig_flatbuffer_text(&buffer, table, 3).len, 0);
    if (err.code != IG_PARSE || err.at_byte != at_byte)
        fail_msg("byte %zu: %s at %lld", at, err.message, (long long)err.at_byte);
}

static void refuses_what_leaves_the_buffer(void **state)
{
    (void)state;
    refuse(0, 200, 200);                      /* the root */
    refuse(4, 'X', 4);                        /* the identifier */
    refuse(20, 60, 20);                       /* the vtable, before the buffer */
    refuse(23, 255, 16777204 + 20 - 12 + 12); /* behind it */
    refuse(8, 3, 8);                          /* a vtable without its own head */
    refuse(8, 200, 8);                        /* one too long */
    refuse(10, 200, 20);                      /* a table too long */
    refuse(12, 14, 12);                       /* a field that leaves its table */
    refuse(28, 100, 128);                     /* a vector */
    refuse(36, 20, 40);                       /* with too many items */
    refuse(39, 255, 40);
    refuse(48, 3, 52); /* a text */
    for (size_t size = 0; size < sizeof small; size++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_flatbuffer buffer;
        struct ig_flatbuffer_table table = open_small(&buffer, small, size, &err);
        (void)ig_flatbuffer_text(&buffer, table, 3);
        assert_int_equal(err.code, IG_PARSE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_fields),
        cmocka_unit_test(refuses_what_leaves_the_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
