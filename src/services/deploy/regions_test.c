/* SPDX-License-Identifier: Apache-2.0 */
/* Real objects of shared memory under names of this process. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/regions.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OWNER IG_STR("owner")

static struct ig_regions *regions;
static struct ig_arena arena;
static struct ig_err err;
static char key[64];
static int fd = -1;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    snprintf(key, sizeof key, "/ingot-regions-test-%d", (int)getpid());
    fd = shm_open(key, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0 || ftruncate(fd, 100) != 0) return -1;
    return ig_regions_new(&regions, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_regions_free(regions);
    ig_arena_deinit(&arena);
    close(fd);
    return shm_unlink(key);
}

static enum ig_code add(const char *name, const char *at, uint64_t offset, uint64_t size)
{
    const struct ig_region region = {ig_str_view(name), ig_str_view(at), offset, size};
    err = IG_ERR_INIT;
    return ig_regions_add(regions, OWNER, &region, &err);
}

static enum ig_code get(void *out, struct ig_str owner, uint64_t offset, uint64_t size)
{
    const struct ig_region_part part = {IG_STR("r"), offset, size};
    err = IG_ERR_INIT;
    return ig_regions_read(out, regions, owner, &part, &err);
}

static enum ig_code put(uint64_t offset, const char *text)
{
    const struct ig_region_part part = {IG_STR("r"), offset, strlen(text)};
    err = IG_ERR_INIT;
    return ig_regions_write(regions, OWNER, &part, text, &err);
}

static void test_copies(void **state)
{
    (void)state;
    char bytes[16] = "", seen[16] = "";
    assert_int_equal(add("r", key, 10, 20), IG_OK);
    assert_int_equal(put(5, "hello"), IG_OK);
    assert_int_equal(pread(fd, seen, 5, 15), 5);
    assert_string_equal(seen, "hello");
    assert_int_equal(get(bytes, OWNER, 5, 5), IG_OK);
    assert_string_equal(bytes, "hello");
    assert_int_equal(get(bytes, OWNER, 16, 5), IG_INVALID);
    assert_int_equal(get(bytes, OWNER, UINT64_MAX, 5), IG_INVALID);
    assert_int_equal(put(16, "hello"), IG_INVALID);
    assert_int_equal(get(bytes, IG_STR("other"), 0, 5), IG_NOT_FOUND);
    ig_regions_remove(regions, IG_STR("other"), IG_STR("r"));
    assert_int_equal(get(bytes, OWNER, 0, 5), IG_OK);
    ig_regions_remove(regions, OWNER, IG_STR("r"));
    assert_int_equal(get(bytes, OWNER, 0, 5), IG_NOT_FOUND);
}

/* An object that shrinks under a region is an error, and does not grow again by a write. */
static void test_shrinks(void **state)
{
    (void)state;
    char bytes[100];
    struct stat info;
    assert_int_equal(add("r", key, 0, 100), IG_OK);
    assert_int_equal(ftruncate(fd, 50), 0);
    assert_int_equal(get(bytes, OWNER, 0, 50), IG_OK);
    assert_int_equal(get(bytes, OWNER, 0, 51), IG_INVALID);
    assert_non_null(strstr(err.message, "has become shorter"));
    assert_int_equal(put(48, "hello"), IG_INVALID);
    assert_int_equal(fstat(fd, &info), 0);
    assert_int_equal(info.st_size, 50);
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const KEYS[] = {"",       "/",     "//a",  "/a/b",   "/../a", "/.",
                                       "/sem.x", "sem.x", "/a b", "/a\x7f", "..",    "/etc/passwd"};
    char name[300];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = 0;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (add("r", KEYS[i], 0, 1) != IG_INVALID) fail_msg("%s: %s", KEYS[i], err.message);
    assert_int_equal(add("r", name, 0, 1), IG_INVALID);
    assert_int_equal(add(name, key, 0, 1), IG_INVALID);
    assert_int_equal(add("", key, 0, 1), IG_INVALID);
    assert_int_equal(add("a\nb", key, 0, 1), IG_INVALID);
    assert_int_equal(add("r", "/ingot-there-is-none", 0, 1), IG_NOT_FOUND);
    assert_int_equal(add("r", key, 0, 0), IG_INVALID);
    assert_int_equal(add("r", key, 0, 101), IG_INVALID);
    assert_int_equal(add("r", key, 100, 1), IG_INVALID);
    assert_int_equal(add("r", key, UINT64_MAX, 2), IG_INVALID);
    assert_int_equal(ftruncate(fd, 2L << 30), 0);
    assert_int_equal(add("r", key, 0, (1U << 30) + 1), IG_INVALID);
    assert_int_equal(add("r", key, 0, 1U << 30), IG_OK);
    assert_int_equal(add("r", key, 0, 1), IG_EXISTS);
    assert_int_equal(ftruncate(fd, 100), 0);
}

/* What is not ours, or no plain object, is not opened. */
static void test_foreign(void **state)
{
    (void)state;
    char path[128], link[160];
    snprintf(path, sizeof path, "/dev/shm%s-fifo", key);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(add("r", path + strlen("/dev/shm"), 0, 1), IG_DENIED);
    unlink(path);
    snprintf(link, sizeof link, "/dev/shm%s-link", key);
    snprintf(path, sizeof path, "/dev/shm%s", key);
    assert_int_equal(symlink(path, link), 0);
    assert_int_equal(add("r", link + strlen("/dev/shm"), 0, 1), IG_DENIED);
    unlink(link);
    if (geteuid() != 0) return; /* only root can give an object away */
    assert_int_equal(fchown(fd, 65534, 65534), 0);
    assert_int_equal(add("r", key, 0, 1), IG_DENIED);
    assert_int_equal(fchown(fd, 0, 0), 0);
}

static void test_many(void **state)
{
    (void)state;
    struct ig_regions_list list;
    char name[16];
    for (int i = 0; i < IG_REGIONS_MAX; i++) {
        snprintf(name, sizeof name, "r%d", i);
        assert_int_equal(add(name, key + 1, 1, (uint64_t)i % 99 + 1), IG_OK);
    }
    assert_int_equal(add("more", key, 0, 1), IG_EXHAUSTED);
    err = IG_ERR_INIT;
    assert_int_equal(ig_regions_list(&list, regions, OWNER, IG_STR(""), &arena, &err), IG_OK);
    assert_int_equal(list.count, IG_REGIONS_MAX);
    assert_int_equal(ig_regions_list(&list, regions, OWNER, IG_STR("r7"), &arena, &err), IG_OK);
    assert_int_equal(list.count, 1);
    assert_true(ig_str_is(list.items[0].key, key));
    assert_int_equal(list.items[0].size_bytes, 8);
    assert_int_equal(ig_regions_list(&list, regions, IG_STR("x"), IG_STR("r7"), &arena, &err),
                     IG_NOT_FOUND);
    ig_regions_remove(regions, IG_STR("x"), IG_STR(""));
    ig_regions_remove(regions, OWNER, IG_STR(""));
    err = IG_ERR_INIT;
    assert_int_equal(ig_regions_list(&list, regions, OWNER, IG_STR(""), &arena, &err), IG_OK);
    assert_int_equal(list.count, 0);
    assert_int_equal(add("more", key, 0, 1), IG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_shrinks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_foreign, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
