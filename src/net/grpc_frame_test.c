/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/grpc_frame.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define BYTES(literal) ((struct ig_str){literal, sizeof(literal) - 1})

static void test_frame_is_flag_length_message(void **state)
{
    (void)state;
    struct ig_grpc_frame frame;
    struct ig_str two = BYTES("\0\0\0\0\3abc\1\0\0\0\1z");
    assert_int_equal(ig_grpc_frame_parse(&frame, two, 100), IG_GRPC_FRAME_WHOLE);
    assert_false(frame.compressed);
    assert_true(ig_str_is(frame.message, "abc"));
    assert_int_equal(frame.whole_bytes, 8);
    struct ig_str rest = {two.ptr + 8, two.len - 8};
    assert_int_equal(ig_grpc_frame_parse(&frame, rest, 100), IG_GRPC_FRAME_WHOLE);
    assert_true(frame.compressed);
    assert_true(ig_str_is(frame.message, "z"));
}

static void test_empty_message_is_one(void **state)
{
    (void)state;
    struct ig_grpc_frame frame;
    assert_int_equal(ig_grpc_frame_parse(&frame, BYTES("\0\0\0\0\0"), 0), IG_GRPC_FRAME_WHOLE);
    assert_int_equal(frame.message.len, 0);
    assert_int_equal(frame.whole_bytes, 5);
}

static void test_part_of_a_frame_wants_more(void **state)
{
    (void)state;
    struct ig_grpc_frame frame;
    struct ig_str whole = BYTES("\0\0\0\1\2");
    for (size_t length = 0; length < 5; length++) {
        struct ig_str part = {whole.ptr, length};
        assert_int_equal(ig_grpc_frame_parse(&frame, part, 1000), IG_GRPC_FRAME_MORE);
        assert_int_equal(frame.whole_bytes, 0);
    }
    assert_int_equal(ig_grpc_frame_parse(&frame, whole, 1000), IG_GRPC_FRAME_MORE);
    assert_int_equal(frame.whole_bytes, 5 + 258);
}

static void test_length_is_checked_on_the_prefix(void **state)
{
    (void)state;
    struct ig_grpc_frame frame;
    struct ig_str huge = BYTES("\0\xff\xff\xff\xff"), ten = BYTES("\0\0\0\0\12");
    assert_int_equal(ig_grpc_frame_parse(&frame, huge, 1 << 20), IG_GRPC_FRAME_TOO_LARGE);
    assert_int_equal(ig_grpc_frame_parse(&frame, ten, 9), IG_GRPC_FRAME_TOO_LARGE);
    assert_int_equal(ig_grpc_frame_parse(&frame, ten, 10), IG_GRPC_FRAME_MORE);
    assert_int_equal(ig_grpc_frame_parse(&frame, BYTES("\2"), 10), IG_GRPC_FRAME_BAD);
}

static void test_built_frames_are_big_endian(void **state)
{
    (void)state;
    struct ig_buf out;
    ig_buf_init(&out, 1000);
    size_t first = ig_grpc_frame_open(&out);
    for (int i = 0; i < 258; i++) ig_buf_add_char(&out, 'x');
    assert_true(ig_grpc_frame_close(&out, first));
    size_t second = ig_grpc_frame_open(&out);
    assert_true(ig_grpc_frame_close(&out, second));
    assert_int_equal(out.len, 5 + 258 + 5);
    assert_memory_equal(out.ptr, "\0\0\0\1\2x", 6);
    assert_memory_equal(out.ptr + 263, "\0\0\0\0\0", 5);
    size_t third = ig_grpc_frame_open(&out);
    for (int i = 0; i < 1000; i++) ig_buf_add_char(&out, 'x');
    assert_false(ig_grpc_frame_close(&out, third));
    ig_buf_deinit(&out);
}

/* `bits` as for deflateInit2: 15 zlib, 31 gzip. */
static size_t deflated(unsigned char *out, size_t size, const char *bytes, size_t length, int bits)
{
    z_stream stream = {0};
    assert_int_equal(
        deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, bits, 8, Z_DEFAULT_STRATEGY),
        Z_OK);
    stream.next_in = (Bytef *)bytes;
    stream.avail_in = (uInt)length;
    stream.next_out = out;
    stream.avail_out = (uInt)size;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    deflateEnd(&stream);
    return size - stream.avail_out;
}

static void test_gzip_and_zlib_are_inflated(void **state)
{
    (void)state;
    enum { LENGTH = 300000 };
    char *text = test_malloc(LENGTH);
    unsigned char *packed = test_malloc(LENGTH);
    for (int i = 0; i < LENGTH; i++) text[i] = (char)((unsigned)i * (unsigned)i >> 3);
    for (int bits = 15; bits <= 31; bits += 16) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_buf out;
        ig_buf_init(&out, 1 << 20);
        size_t size = deflated(packed, LENGTH, text, LENGTH, bits);
        struct ig_str bytes = {(char *)packed, size};
        assert_int_equal(ig_grpc_inflate(&out, bytes, LENGTH, &err), IG_OK);
        assert_int_equal(out.len, LENGTH);
        assert_memory_equal(out.ptr, text, LENGTH);
        ig_buf_reset(&out);
        assert_int_equal(ig_grpc_inflate(&out, bytes, LENGTH - 1, &err), IG_TOO_LARGE);
        assert_int_equal(out.len, 0);
        for (size_t cut = 0; cut < size; cut += size / 7) {
            ig_err_clear(&err);
            assert_int_equal(ig_grpc_inflate(&out, (struct ig_str){bytes.ptr, cut}, LENGTH, &err),
                             IG_PARSE);
        }
        ig_buf_deinit(&out);
    }
    test_free(text);
    test_free(packed);
}

static void test_bad_compressed_messages(void **state)
{
    (void)state;
    unsigned char packed[100];
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, 1 << 20);
    assert_int_equal(ig_grpc_inflate(&out, IG_STR("no gzip at all"), 100, &err), IG_PARSE);
    ig_err_clear(&err);
    size_t size = deflated(packed, sizeof packed - 1, "abc", 3, 31);
    packed[size] = 'x';
    assert_int_equal(ig_grpc_inflate(&out, (struct ig_str){(char *)packed, size + 1}, 100, &err),
                     IG_PARSE);
    assert_string_equal(err.message, "1 bytes stand behind the compressed message");
    ig_err_clear(&err);
    ig_mem_fail_after(1);
    assert_int_equal(ig_grpc_inflate(&out, (struct ig_str){(char *)packed, size}, 100, &err),
                     IG_NO_MEMORY);
    ig_mem_fail_after(0);
    ig_buf_deinit(&out);
}

static void test_a_bomb_stops_at_its_cap(void **state)
{
    (void)state;
    enum { LENGTH = 50 << 20, CAP = 1 << 20 };
    char *zeros = calloc(LENGTH, 1);
    unsigned char *packed = test_malloc(1 << 20);
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf out;
    ig_buf_init(&out, SIZE_MAX / 2);
    size_t size = deflated(packed, 1 << 20, zeros, LENGTH, 31);
    assert_int_equal(ig_grpc_inflate(&out, (struct ig_str){(char *)packed, size}, CAP, &err),
                     IG_TOO_LARGE);
    assert_true(out.cap <= 3 * CAP);
    ig_buf_deinit(&out);
    test_free(packed);
    free(zeros);
}

static void test_timeouts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ns; /* 0: refused */
    } CASES[] = {{"1H", 3600000000000u},
                 {"2M", 120000000000u},
                 {"3S", 3000000000u},
                 {"40m", 40000000u},
                 {"5u", 5000u},
                 {"6n", 6u},
                 {"99999999n", 99999999},
                 {"99999999H", UINT64_MAX},
                 {"123456789n", 0},
                 {"S", 0},
                 {"", 0},
                 {"1", 0},
                 {"-1S", 0},
                 {"1s", 0},
                 {"1 S", 0},
                 {"1.5S", 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        uint64_t ns = 77;
        bool valid = ig_grpc_timeout_parse(&ns, ig_str_view(CASES[i].text));
        assert_int_equal(valid, CASES[i].ns != 0);
        assert_true(ns == (valid ? CASES[i].ns : 77));
    }
}

static void test_messages_are_percent_encoded(void **state)
{
    (void)state;
    struct ig_buf out;
    ig_buf_init(&out, 1000);
    ig_grpc_message_encode(&out, IG_STR("a b~100%\r\n\xc3\xa9"), 100);
    assert_true(ig_str_is(ig_buf_view(&out), "a b~100%25%0D%0A%C3%A9"));
    ig_buf_reset(&out);
    ig_grpc_message_encode(&out, IG_STR("abc\n"), 5);
    assert_true(ig_str_is(ig_buf_view(&out), "abc"));
    ig_buf_deinit(&out);
}

static void test_statuses(void **state)
{
    (void)state;
    assert_int_equal(ig_grpc_status_of_http(404), IG_GRPC_UNIMPLEMENTED);
    assert_int_equal(ig_grpc_status_of_http(413), IG_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(ig_grpc_status_of_http(503), IG_GRPC_UNAVAILABLE);
    assert_int_equal(ig_grpc_status_of_http(418), IG_GRPC_UNKNOWN);
    assert_int_equal(ig_grpc_encoding_of(IG_STR("")), IG_GRPC_IDENTITY);
    assert_int_equal(ig_grpc_encoding_of(IG_STR("GZIP")), IG_GRPC_GZIP);
    assert_int_equal(ig_grpc_encoding_of(IG_STR("deflate")), IG_GRPC_DEFLATE);
    assert_int_equal(ig_grpc_encoding_of(IG_STR("snappy")), IG_GRPC_ENCODING_OTHER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frame_is_flag_length_message),
        cmocka_unit_test(test_empty_message_is_one),
        cmocka_unit_test(test_part_of_a_frame_wants_more),
        cmocka_unit_test(test_length_is_checked_on_the_prefix),
        cmocka_unit_test(test_built_frames_are_big_endian),
        cmocka_unit_test(test_gzip_and_zlib_are_inflated),
        cmocka_unit_test(test_bad_compressed_messages),
        cmocka_unit_test(test_a_bomb_stops_at_its_cap),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_messages_are_percent_encoded),
        cmocka_unit_test(test_statuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
