/* SPDX-License-Identifier: Apache-2.0 */
/* CSV records: quoting, line ends, gzip, caps. */
#include "base/csv.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

/* All records as "a|b|c\n" or the error's message. */
static const char *joined(struct ig_str input, const struct ig_csv_options *options,
                          struct ig_err *err)
{
    static char text[4096];
    struct ig_csv *csv = NULL;
    const struct ig_str *fields;
    size_t count, used = 0;
    *err = IG_ERR_INIT;
    text[0] = '\0';
    if (ig_csv_open_bytes(&csv, input, options, err) != IG_OK) return err->message;
    while (ig_csv_next(csv, &fields, &count, err))
        for (size_t i = 0; i < count && used < sizeof text - 300; i++)
            used += (size_t)snprintf(text + used, sizeof text - used, "%.*s%c",
                                     (int)(fields[i].len < 200 ? fields[i].len : 200),
                                     fields[i].ptr, i + 1 < count ? '|' : '\n');
    ig_csv_close(csv);
    return err->code ? err->message : text;
}

static void check(const char *input, const char *expected)
{
    struct ig_err err;
    assert_string_equal(joined(ig_str_view(input), NULL, &err), expected);
}

static void test_records(void **state)
{
    (void)state;
    check("a,b\n1,2\n", "a|b\n1|2\n");
    check("a,b\r\n1,2\r\n", "a|b\n1|2\n");
    check("a,b\n1,2", "a|b\n1|2\n");
    check("a,b\n\n\r\n1,2\n\n", "a|b\n1|2\n");
    check("a,,\n,,\n", "a||\n||\n");
    check("\xEF\xBB\xBF"
          "a,b\n",
          "a|b\n");
    check("a\n\"x,y\"\n\"say \"\"hi\"\"\"\n\"two\nlines\"\n\"\"\n",
          "a\nx,y\nsay \"hi\"\ntwo\nlines\n\n");
    check("size\n5\" pipe\na\"b\"c\n", "size\n5\" pipe\na\"b\"c\n");
    check("a,\"\"\"\",b\n", "a|\"|b\n");
    check("", "");
}

static int64_t one_byte(void *context, void *bytes, size_t size, struct ig_err *err)
{
    (void)size;
    (void)err;
    struct ig_str *left = context;
    if (!left->len) return 0;
    *(char *)bytes = *left->ptr++;
    left->len--;
    return 1;
}

/* Records that cross the reader's chunks at every place, against the same without chunks. */
static int64_t three_bytes(void *context, void *bytes, size_t size, struct ig_err *err)
{
    (void)err;
    struct ig_str *left = context;
    size_t count = left->len < 3 ? left->len : 3;
    if (count > size) count = size;
    memcpy(bytes, left->ptr, count);
    left->ptr += count;
    left->len -= count;
    return (int64_t)count;
}

static void test_chunks_do_not_matter(void **state)
{
    (void)state;
    static const char text[] =
        "\xEF\xBB\xBFid;\"a \"\"quoted\"\" name\";x\"y\r\n1;\"line\none\n\n\";\r\n"
        "\n2;\"\";\"\"\"\"\n3;z\"\";\"end;\"";
    static const char expected[] =
        "id|a \"quoted\" name|x\"y\n1|line\none\n\n|\n2||\"\n3|z\"\"|end;\n";
    for (size_t pad = 0; pad < 3; pad++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_str left = ig_str_view(text);
        struct ig_csv *csv = NULL;
        const struct ig_str *fields;
        char joint[400] = "";
        size_t count, used = 0, lines[] = {1, 2, 7, 8}, seen = 0;
        assert_int_equal(ig_csv_open(&csv, pad ? three_bytes : one_byte, &left, NULL, &err), IG_OK);
        while (ig_csv_next(csv, &fields, &count, &err)) {
            assert_int_equal(ig_csv_line(csv), lines[seen++]);
            for (size_t i = 0; i < count; i++)
                used +=
                    (size_t)snprintf(joint + used, sizeof joint - used, "%.*s%c",
                                     (int)fields[i].len, fields[i].ptr, i + 1 < count ? '|' : '\n');
        }
        assert_int_equal(err.code, IG_OK);
        assert_string_equal(joint, expected);
        assert_int_equal(ig_csv_separator(csv), ';');
        ig_csv_close(csv);
    }
}

static void test_separators(void **state)
{
    (void)state;
    check("a\tb,c\td\n1\t2\t3\n", "a|b,c|d\n1|2|3\n");
    check("a;b;c\n1,5;2;3\n", "a|b|c\n1,5|2|3\n");
    check("\"a;;;;b\",c\n", "a;;;;b|c\n");
    struct ig_err err;
    struct ig_csv_options options = {.separator = ';'};
    assert_string_equal(joined(IG_STR("a,b\n"), &options, &err), "a,b\n");
}

static void test_errors(void **state)
{
    (void)state;
    struct ig_err err;
    joined(IG_STR("a,b\n1,\"open\n2,3\n"), NULL, &err);
    assert_int_equal(err.code, IG_PARSE);
    assert_string_equal(err.message,
                        "CSV: the record at line 2 (byte 4) has a quote that never closes");
    assert_int_equal(err.at_byte, 4);
    joined(IG_STR("a,b\n\"x\"y,2\n"), NULL, &err);
    assert_int_equal(err.code, IG_PARSE);
    assert_string_equal(err.message, "CSV: line 2, field 1: a separator was expected after the "
                                     "closing quote, at byte 7");
    assert_int_equal(err.at_byte, 7);
    struct ig_csv_options options = {.fields_max = 3};
    joined(IG_STR("a,b,c\n1,2,3,4\n"), &options, &err);
    assert_int_equal(err.code, IG_TOO_LARGE);
    assert_string_equal(err.message, "CSV: line 2 has more than 3 fields");
    assert_int_equal(err.at_byte, 12);
    options = (struct ig_csv_options){.record_max_bytes = 100};
    char wide[500];
    memset(wide, 'x', sizeof wide);
    joined((struct ig_str){wide, sizeof wide}, &options, &err);
    assert_int_equal(err.code, IG_TOO_LARGE);
    joined(IG_STR("a,b\n11,2222222222222222\n"), &(struct ig_csv_options){.record_max_bytes = 10},
           &err);
    assert_int_equal(err.code, IG_TOO_LARGE);
    assert_string_equal(err.message, "CSV: the record at line 2 exceeds 10 bytes");
    assert_int_equal(err.at_byte, 4);
    options = (struct ig_csv_options){.total_max_bytes = 100};
    joined((struct ig_str){wide, sizeof wide}, &options, &err);
    assert_int_equal(err.code, IG_TOO_LARGE);
}

static void test_byte_by_byte_and_long_records(void **state)
{
    (void)state;
    enum { SIZE = 300000 };
    char *text = malloc(SIZE + 100);
    memcpy(text, "name,v\n\"", 8);
    memset(text + 8, 'y', SIZE);
    memcpy(text + 8 + SIZE, "\nz\",1\nq,2\n", 10);
    struct ig_str left = {text, 8 + SIZE + 10};
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_csv *csv = NULL;
        struct ig_str copy = left;
        const struct ig_str *fields;
        size_t count;
        if (bytewise)
            assert_int_equal(ig_csv_open(&csv, one_byte, &copy, NULL, &err), IG_OK);
        else
            assert_int_equal(ig_csv_open_bytes(&csv, copy, NULL, &err), IG_OK);
        assert_true(ig_csv_next(csv, &fields, &count, &err));
        assert_true(ig_csv_next(csv, &fields, &count, &err));
        assert_int_equal(fields[0].len, SIZE + 2);
        assert_true(ig_str_is(fields[1], "1"));
        assert_int_equal(ig_csv_line(csv), 2);
        assert_true(ig_csv_next(csv, &fields, &count, &err));
        assert_true(ig_str_is(fields[0], "q"));
        assert_int_equal(ig_csv_line(csv), 4);
        assert_false(ig_csv_next(csv, &fields, &count, &err));
        assert_int_equal(err.code, IG_OK);
        ig_csv_close(csv);
    }
    free(text);
}

static size_t compress_text(const char *text, size_t size, unsigned char *out, size_t room)
{
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    stream.next_in = (unsigned char *)(uintptr_t)text;
    stream.avail_in = (unsigned)size;
    stream.next_out = out;
    stream.avail_out = (unsigned)room;
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    size_t used = room - stream.avail_out;
    deflateEnd(&stream);
    return used;
}

static void test_gzip(void **state)
{
    (void)state;
    unsigned char packed[1000];
    size_t first = compress_text("a,b\n1,", 6, packed, sizeof packed);
    size_t both = first + compress_text("2\n", 2, packed + first, sizeof packed - first);
    struct ig_err err;
    assert_string_equal(joined((struct ig_str){(char *)packed, both}, NULL, &err), "a|b\n1|2\n");
    unsigned char marked[100];
    size_t size = compress_text("\xEF\xBB\xBF"
                                "a\n",
                                5, marked, sizeof marked);
    assert_string_equal(joined((struct ig_str){(char *)marked, size}, NULL, &err), "a\n");
    joined((struct ig_str){(char *)packed, first - 4}, NULL, &err);
    assert_int_equal(err.code, IG_PARSE);
    packed[first / 2] ^= 0x55;
    joined((struct ig_str){(char *)packed, both}, NULL, &err);
    assert_int_equal(err.code, IG_PARSE);
}

static void test_gzip_bomb(void **state)
{
    (void)state;
    enum { SIZE = 8 << 20 };
    char *zeros = calloc(1, SIZE);
    unsigned char *packed = malloc(100000);
    memset(zeros, '\n', SIZE);
    size_t used = compress_text(zeros, SIZE, packed, 100000);
    struct ig_csv_options options = {.total_max_bytes = 1 << 20};
    struct ig_err err;
    joined((struct ig_str){(char *)packed, used}, &options, &err);
    assert_int_equal(err.code, IG_TOO_LARGE);
    free(zeros);
    free(packed);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 4; n++) {
        struct ig_err err;
        ig_mem_fail_after(n);
        joined(IG_STR("a,b\n1,2\n"), NULL, &err);
        assert_true(ig_mem_failed());
        ig_mem_fail_after(0);
        assert_int_equal(err.code, IG_NO_MEMORY);
    }
}

static void test_descriptors(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_csv *csv = NULL;
    const struct ig_str *fields;
    size_t count;
    int fd = memfd_create("csv", MFD_CLOEXEC);
    assert_int_equal(write(fd, "a,b\n1,2\n", 8), 8);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(ig_csv_open_fd(&csv, fd, NULL, &err), IG_OK);
    assert_true(ig_csv_next(csv, &fields, &count, &err) && ig_str_is(fields[1], "b"));
    assert_true(ig_csv_next(csv, &fields, &count, &err) && ig_str_is(fields[1], "2"));
    assert_false(ig_csv_next(csv, &fields, &count, &err));
    assert_int_equal(err.code, IG_OK);
    ig_csv_close(csv);
    close(fd);
    assert_int_equal(ig_csv_open_fd(&csv, fd, NULL, &err), IG_OK);
    assert_false(ig_csv_next(csv, &fields, &count, &err));
    assert_int_equal(err.code, IG_IO);
    assert_string_equal(err.message, "CSV: cannot read: Bad file descriptor");
    ig_csv_close(csv);
    ig_csv_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_descriptors),   cmocka_unit_test(test_records),
        cmocka_unit_test(test_separators),    cmocka_unit_test(test_chunks_do_not_matter),
        cmocka_unit_test(test_errors),        cmocka_unit_test(test_byte_by_byte_and_long_records),
        cmocka_unit_test(test_gzip),          cmocka_unit_test(test_gzip_bomb),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
