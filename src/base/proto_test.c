/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/proto.h"

#include <string.h>

static void test_reads(void **state)
{
    (void)state;
    /* 1: 150, 2: "testing", 3: fixed64 1, 4: fixed32 7, 5: packed 3, 270, 86942 (the guide's) */
    static const unsigned char BYTES[] =
        "\x08\x96\x01\x12\x07testing\x19\x01\0\0\0\0\0\0\0\x25\x07\0\0\0"
        "\x2a\x06\x03\x8e\x02\x9e\xa7\x05";
    struct ig_proto proto, packed;
    struct ig_proto_field field;
    uint64_t value;
    ig_proto_init(&proto, (struct ig_str){(const char *)BYTES, sizeof BYTES - 1});
    assert_true(ig_proto_next(&proto, &field));
    assert_true(field.number == 1 && field.value == 150);
    assert_true(ig_proto_next(&proto, &field));
    assert_true(field.number == 2 && ig_str_is(field.bytes, "testing"));
    assert_true(ig_proto_next(&proto, &field));
    assert_true(field.wire == IG_PROTO_64 && field.value == 1);
    assert_true(ig_proto_next(&proto, &field));
    assert_true(field.wire == IG_PROTO_32 && field.value == 7);
    assert_true(ig_proto_next(&proto, &field));
    ig_proto_init(&packed, field.bytes);
    assert_true(ig_proto_varint(&packed, &value) && value == 3);
    assert_true(ig_proto_varint(&packed, &value) && value == 270);
    assert_true(ig_proto_varint(&packed, &value) && value == 86942);
    assert_false(ig_proto_varint(&packed, &value) || packed.bad);
    assert_false(ig_proto_next(&proto, &field) || proto.bad);
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        size_t size;
    } CASES[] = {
        {"\x08", 1},                                              /* no value */
        {"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 12}, /* a varint too long */
        {"\x12\x05x", 3},                                         /* cut */
        {"\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f", 10},         /* longer than all */
        {"\x19\x01", 2},
        {"\x25\x01", 2},
        {"\x0b", 1}, /* a group */
        {"\x07", 1},
        {"\x00\x01", 2}, /* number 0 */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_proto proto;
        struct ig_proto_field field;
        ig_proto_init(&proto, (struct ig_str){CASES[i].bytes, CASES[i].size});
        assert_false(ig_proto_next(&proto, &field));
        assert_true(proto.bad);
        assert_false(ig_proto_next(&proto, &field));
    }
}

static void test_writes_what_it_reads(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_proto proto, inner;
    struct ig_proto_field field;
    ig_buf_init(&buf, 1 << 20);
    size_t at = ig_proto_open(&buf, 3);
    ig_proto_add_varint(&buf, 1, UINT64_MAX);
    ig_proto_add_bytes(&buf, 2, IG_STR("x"));
    ig_proto_close(&buf, at);
    ig_proto_add_varint(&buf, 4, 0);
    ig_proto_add_f32(&buf, 5, -1.5F);
    ig_proto_add_f64(&buf, 6, 0.1);
    ig_proto_init(&proto, ig_buf_view(&buf));
    assert_true(ig_proto_next(&proto, &field) && field.number == 3);
    ig_proto_init(&inner, field.bytes);
    assert_true(ig_proto_next(&inner, &field) && field.value == UINT64_MAX);
    assert_true(ig_proto_next(&inner, &field) && ig_str_is(field.bytes, "x"));
    assert_false(ig_proto_next(&inner, &field) || inner.bad);
    assert_true(ig_proto_next(&proto, &field) && field.number == 4 && field.value == 0);
    assert_true(ig_proto_next(&proto, &field) && field.number == 5 && field.value == 0xBFC00000);
    assert_true(ig_proto_next(&proto, &field) && field.number == 6);
    assert_true(field.wire == IG_PROTO_64 && field.value == 0x3FB999999999999A);
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_writes_what_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
