/* SPDX-License-Identifier: Apache-2.0 */
/* Files beneath a directory. */
#include "base/file.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char path[64];
    int dir;
};

static int setup(void **state)
{
    static struct place place;
    struct ig_err err = IG_ERR_INIT;
    memcpy(place.path, "/tmp/ingot-file-XXXXXX", 23);
    if (!mkdtemp(place.path)) return 1;
    *state = &place;
    return ig_dir_open(&place.dir, IG_FILE_CWD, place.path, &err) != IG_OK;
}

static int teardown(void **state)
{
    struct place *place = *state;
    struct ig_err err = IG_ERR_INIT;
    close(place->dir);
    return ig_dir_remove_tree(IG_FILE_CWD, place->path, &err) != IG_OK;
}

static void test_replace_and_read(void **state)
{
    struct place *place = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf buf;
    ig_buf_init(&buf, 11);
    assert_int_equal(ig_file_replace(place->dir, "a", IG_STR("hello"), &err), IG_OK);
    assert_int_equal(ig_file_replace(place->dir, "a", IG_STR("hello world"), &err), IG_OK);
    assert_int_equal(ig_file_read(&buf, place->dir, "a", &err), IG_OK);
    assert_string_equal(buf.ptr, "hello world");
    assert_int_equal(ig_file_replace(place->dir, "a", IG_STR("hello world!"), &err), IG_OK);
    assert_int_equal(ig_file_read(&buf, place->dir, "a", &err), IG_TOO_LARGE);
    assert_non_null(strstr(err.message, "larger than 11 bytes"));
    ig_err_clear(&err);
    assert_int_equal(ig_file_read(&buf, place->dir, "absent", &err), IG_NOT_FOUND);
    assert_non_null(strstr(err.message, "'absent'"));
    ig_buf_deinit(&buf);
}

static void test_nothing_leaves_the_directory(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"../x", "/etc/passwd", "sub/../../x", "out/passwd", "out"};
    assert_int_equal(symlinkat("/etc", place->dir, "out"), 0);
    struct ig_err err = IG_ERR_INIT;
    int fd = -1;
    assert_int_equal(ig_dir_make(&fd, place->dir, "sub", &err), IG_OK);
    ig_file_close(&fd);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        ig_err_clear(&err);
        assert_int_not_equal(ig_file_open_read(&fd, place->dir, names[i], &err), IG_OK);
        assert_int_equal(fd, -1);
        if (i == 4) continue; /* a name in the directory itself may be replaced */
        ig_err_clear(&err);
        assert_int_not_equal(ig_file_replace(place->dir, names[i], IG_STR("x"), &err), IG_OK);
        ig_err_clear(&err);
        assert_int_not_equal(ig_file_remove(place->dir, names[i], &err), IG_OK);
    }
    ig_err_clear(&err);
    assert_int_equal(ig_dir_make(&fd, place->dir, "../y", &err), IG_INVALID);
    ig_err_clear(&err);
    assert_int_equal(ig_dir_make(&fd, place->dir, "/tmp/ingot-file-absolute", &err), IG_INVALID);
    assert_int_equal(access("/tmp/ingot-file-absolute", F_OK), -1);
    ig_err_clear(&err);
    assert_int_not_equal(ig_dir_make(&fd, place->dir, "out/ingot-file-new", &err), IG_OK);
    assert_int_equal(access("/etc/ingot-file-new", F_OK), -1);
}

static void test_tree(void **state)
{
    struct place *place = *state;
    struct ig_err err = IG_ERR_INIT;
    int fd = -1;
    assert_int_equal(ig_dir_make(&fd, place->dir, "t/a/b", &err), IG_OK);
    ig_file_close(&fd);
    assert_int_equal(ig_file_replace(place->dir, "t/a/f", IG_STR("x"), &err), IG_OK);
    assert_int_equal(ig_file_replace(place->dir, "keep", IG_STR("x"), &err), IG_OK);
    assert_int_equal(symlinkat("../keep", place->dir, "t/a/link"), 0);
    assert_int_equal(ig_dir_remove_tree(place->dir, "t", &err), IG_OK);
    assert_int_equal(ig_dir_remove_tree(place->dir, "t", &err), IG_OK);
    assert_int_equal(faccessat(place->dir, "t", F_OK, 0), -1);
    assert_int_equal(faccessat(place->dir, "keep", F_OK, 0), 0);
    assert_int_equal(ig_file_remove(place->dir, "absent", &err), IG_OK);
}

/* What ends in no name of its own could reach the directory above. */
static void test_names_must_be_names(void **state)
{
    struct place *place = *state;
    static const char *const names[] = {"", ".", "..", "sub/..", "sub/.", "sub/", "/"};
    struct ig_err err = IG_ERR_INIT;
    int fd = -1;
    assert_int_equal(ig_dir_make(&fd, place->dir, "sub", &err), IG_OK);
    ig_file_close(&fd);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(ig_dir_remove_tree(place->dir, names[i], &err), IG_INVALID);
        ig_err_clear(&err);
        assert_int_equal(ig_file_remove(place->dir, names[i], &err), IG_INVALID);
        ig_err_clear(&err);
        assert_int_equal(ig_file_replace(place->dir, names[i], IG_STR("x"), &err), IG_INVALID);
        ig_err_clear(&err);
    }
    assert_int_equal(faccessat(place->dir, "sub", F_OK, 0), 0);
    struct ig_buf buf;
    ig_buf_init(&buf, 100);
    assert_int_equal(ig_file_read(&buf, place->dir, "sub", &err), IG_IO);
    assert_non_null(strstr(err.message, "directory"));
    ig_err_clear(&err);
    assert_int_equal(ig_file_replace(place->dir, "full", IG_STR("x"), &err), IG_OK);
    ig_mem_fail_after(1);
    assert_int_equal(ig_file_read(&buf, place->dir, "full", &err), IG_NO_MEMORY);
    ig_mem_fail_after(0);
    ig_buf_deinit(&buf);
}

static void test_append_and_size(void **state)
{
    struct place *place = *state;
    struct ig_err err = IG_ERR_INIT;
    int fd = -1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(ig_file_open_append(&fd, place->dir, "log", &err), IG_OK);
        assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        assert_int_equal(ig_file_write_all(fd, "abc", 3, &err), IG_OK);
        ig_file_sync(fd);
        uint64_t size = 0;
        assert_int_equal(ig_file_size(&size, fd, &err), IG_OK);
        assert_int_equal(size, 3 * (i + 1));
        ig_file_close(&fd);
        assert_int_equal(fd, -1);
    }
}

static void test_large_and_deep(void **state)
{
    struct place *place = *state;
    struct ig_err err = IG_ERR_INIT;
    enum { SIZE = 200000 };
    char *bytes = malloc(SIZE);
    assert_non_null(bytes);
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (char)(i * 7);
    assert_int_equal(ig_file_replace(place->dir, "large", (struct ig_str){bytes, SIZE}, &err),
                     IG_OK);
    for (size_t cap = SIZE - 1; cap <= SIZE + 1; cap++) {
        struct ig_buf buf;
        ig_buf_init(&buf, cap);
        ig_err_clear(&err);
        enum ig_code code = ig_file_read(&buf, place->dir, "large", &err);
        assert_int_equal(code, cap < SIZE ? IG_TOO_LARGE : IG_OK);
        if (code == IG_OK) assert_memory_equal(buf.ptr, bytes, SIZE);
        if (code == IG_OK) assert_int_equal(buf.len, SIZE);
        ig_buf_deinit(&buf);
    }
    free(bytes);
    ig_err_clear(&err);
    char deep[70 * 2 + 1];
    for (size_t i = 0; i < 70; i++) memcpy(deep + 2 * i, "d/", 3);
    int fd = -1;
    assert_int_equal(ig_dir_make(&fd, place->dir, deep, &err), IG_OK);
    ig_file_close(&fd);
    assert_int_equal(ig_dir_remove_tree(place->dir, "d", &err), IG_IO);
    ig_err_clear(&err);
    assert_int_equal(ig_dir_remove_tree(place->dir, "d/d/d/d/d/d/d/d/d/d", &err), IG_OK);
    assert_int_equal(ig_dir_remove_tree(place->dir, "d", &err), IG_OK);
    assert_int_equal(ig_dir_make(&fd, place->dir, "holds/x", &err), IG_OK);
    ig_file_close(&fd);
    assert_int_not_equal(ig_file_replace(place->dir, "holds", IG_STR("x"), &err), IG_OK);
    assert_non_null(strstr(err.message, "cannot replace 'holds'"));
    ig_err_clear(&err);
    assert_int_equal(ig_dir_remove_tree(place->dir, "holds", &err), IG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace_and_read),
        cmocka_unit_test(test_nothing_leaves_the_directory),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_names_must_be_names),
        cmocka_unit_test(test_append_and_size),
        cmocka_unit_test(test_large_and_deep),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
