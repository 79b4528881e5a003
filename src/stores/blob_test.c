/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance suite of every blob driver in stores.def. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/random.h"
#include "stores/blob.h"
#include "stores/temp_testing.h"
#include "support/s3_server.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *driver_name = "files";
static struct s3_server server;
static const char EMPTY[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
static const char ABC[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/* A place of the driver's for each directory; static memory. */
static const struct ig_blob_options *place_of(const struct ig_temp *temp)
{
    static char url[256];
    static struct ig_blob_options options = {.where = url, .cache_bytes = 1 << 20};
    if (strcmp(driver_name, "s3") == 0)
        s3_server_url(url, &server, temp->path + strlen("/tmp/"));
    else
        snprintf(url, sizeof url, "%s", driver_name);
    return &options;
}

/* Changes a byte of what the driver keeps. */
static void damage(const struct ig_temp *temp, const char *digest)
{
    char path[160], byte;
    if (strcmp(driver_name, "s3") == 0) {
        snprintf(path, sizeof path, "%s/%.2s/%s", temp->path + strlen("/tmp/"), digest, digest);
        s3_server_damage(&server, path);
        snprintf(path, sizeof path, "%s/blobs/cache/%s", temp->path, digest);
        assert_int_equal(unlink(path), 0);
        return;
    }
    snprintf(path, sizeof path, "%s/blobs/%.2s/%s", temp->path, digest, digest);
    assert_int_equal(chmod(path, 0600), 0);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(pread(fd, &byte, 1, 0), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, 0), 1);
    close(fd);
}

static struct ig_blob_store *open_store(const struct ig_temp *temp)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = NULL;
    ASSERT_OK(ig_blob_open(&store, place_of(temp), temp->fd, &err));
    return store;
}

static bool count_one(void *context, const char *digest, int64_t committed_ms)
{
    assert_true(committed_ms > 0);
    assert_int_equal(strlen(digest), 64);
    ++*(int *)context;
    return true;
}

static int objects(struct ig_blob_store *store)
{
    struct ig_err err = IG_ERR_INIT;
    int count = 0;
    ASSERT_OK(ig_blob_each(store, "", count_one, &count, &err));
    return count;
}

static void test_put_and_get(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = open_store(&temp);
    char digest[IG_SHA256_HEX];
    struct ig_buf bytes;
    uint64_t size = 0;
    int fd = -1;
    (void)state;
    ig_buf_init(&bytes, 100);
    ASSERT_OK(ig_blob_delete(store, ig_str_view(ABC), &err)); /* not even its folder is there */
    ASSERT_OK(ig_blob_put(digest, store, IG_STR("abc"), &err));
    assert_string_equal(digest, ABC);
    ASSERT_OK(ig_blob_put(digest, store, IG_STR("abc"), &err)); /* the same bytes: one object */
    ASSERT_OK(ig_blob_put(digest, store, IG_STR(""), &err));
    assert_string_equal(digest, EMPTY);
    assert_int_equal(objects(store), 2);
    ig_blob_close(store);

    store = open_store(&temp);
    ASSERT_OK(ig_blob_read(&bytes, store, ig_str_view(ABC), &err));
    assert_true(ig_str_eq(ig_buf_view(&bytes), IG_STR("abc")));
    ASSERT_OK(ig_blob_read(&bytes, store, ig_str_view(EMPTY), &err));
    assert_int_equal(bytes.len, 0);
    ASSERT_OK(ig_blob_get(&fd, &size, store, ig_str_view(ABC), &err));
    assert_int_equal(size, 3);
    ig_file_close(&fd);
    ASSERT_OK(ig_blob_verify(store, ig_str_view(ABC), &err));
    ASSERT_OK(ig_blob_delete(store, ig_str_view(ABC), &err));
    ASSERT_OK(ig_blob_delete(store, ig_str_view(ABC), &err));
    ASSERT_FAILS(ig_blob_read(&bytes, store, ig_str_view(ABC), &err), IG_NOT_FOUND, ABC);
    ig_buf_deinit(&bytes);
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static void test_streaming_and_caps(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = open_store(&temp);
    struct ig_blob_writer *writer = NULL;
    char digest[IG_SHA256_HEX];
    uint64_t size = 0;
    struct ig_buf bytes;
    (void)state;
    ig_buf_init(&bytes, 2);
    ASSERT_OK(ig_blob_begin(&writer, store, 3, &err));
    ASSERT_OK(ig_blob_append(writer, "a", 1, &err));
    ASSERT_OK(ig_blob_append(writer, "bc", 2, &err));
    ASSERT_OK(ig_blob_append(writer, "", 0, &err));
    ASSERT_OK(ig_blob_commit(digest, &size, writer, &err));
    assert_string_equal(digest, ABC);
    assert_int_equal(size, 3);
    ASSERT_FAILS(ig_blob_read(&bytes, store, ig_str_view(ABC), &err), IG_TOO_LARGE, "at most 2");

    ASSERT_OK(ig_blob_begin(&writer, store, 3, &err));
    ASSERT_FAILS(ig_blob_append(writer, "abcd", 4, &err), IG_TOO_LARGE, "more than 3");
    ASSERT_FAILS(ig_blob_commit(digest, &size, writer, &err), IG_CONFLICT, "failed before");
    ASSERT_OK(ig_blob_begin(&writer, store, 0, &err));
    ig_blob_abort(writer);
    assert_int_equal(objects(store), 1);
    ig_buf_deinit(&bytes);
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static void test_bad_digests(void **state)
{
    static const char *const bad[] = {
        "", "abc", "../../../../../../../../../../../../../../../../../../../etc/passwd",
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a/"};
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = open_store(&temp);
    uint64_t size;
    int fd = -1;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ASSERT_FAILS(ig_blob_get(&fd, &size, store, ig_str_view(bad[i]), &err), IG_INVALID,
                     "64 lower-case hex digits");
        ASSERT_FAILS(ig_blob_delete(store, ig_str_view(bad[i]), &err), IG_INVALID, "digest");
    }
    assert_int_equal(fd, -1);
    ASSERT_FAILS(ig_blob_open(&store, &(struct ig_blob_options){.where = "tape"}, temp.fd, &err),
                 IG_INVALID, "'tape'");
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static void test_damage_is_found(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = open_store(&temp);
    char digest[IG_SHA256_HEX];
    struct ig_buf bytes;
    (void)state;
    ig_buf_init(&bytes, 100);
    ASSERT_OK(ig_blob_put(digest, store, IG_STR("abc"), &err));
    damage(&temp, ABC);
    ASSERT_FAILS(ig_blob_read(&bytes, store, ig_str_view(ABC), &err), IG_CORRUPT, ABC);
    ASSERT_FAILS(ig_blob_verify(store, ig_str_view(ABC), &err), IG_CORRUPT, "hash to");
    ig_buf_deinit(&bytes);
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static bool collect(struct ig_blob_store *store, const char *digest, int64_t before_ms)
{
    struct ig_err err = IG_ERR_INIT;
    bool removed = false;
    ASSERT_OK(ig_blob_collect(&removed, store, digest, before_ms, &err));
    return removed;
}

/* What came, came again or was kept since then stays. */
static void test_collect(void **state)
{
    (void)state;
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = open_store(&temp);
    char a[IG_SHA256_HEX], b[IG_SHA256_HEX], start[3];
    int64_t now = ig_clock_unix_ms(), later = now + 3600 * 1000;
    int count = 0;
    ASSERT_OK(ig_blob_put(a, store, IG_STR("a"), &err));
    ASSERT_OK(ig_blob_put(b, store, IG_STR("b"), &err));
    snprintf(start, sizeof start, "%.2s", a);
    ASSERT_OK(ig_blob_each(store, start, count_one, &count, &err));
    assert_int_equal(count, 1);
    assert_false(collect(store, a, now - 3600 * 1000));
    assert_true(collect(store, a, later));
    assert_int_equal(objects(store), 1);
    ASSERT_FAILS(ig_blob_keep(store, ig_str_view(a), &err), IG_NOT_FOUND, "does not exist");
    ASSERT_FAILS(ig_blob_keep(store, IG_STR("../x"), &err), IG_INVALID, "hex digits");
    int64_t before = ig_clock_unix_ms();
    usleep(20000);
    ASSERT_OK(ig_blob_keep(store, ig_str_view(b), &err));
    assert_false(collect(store, b, before + 10));
    before = ig_clock_unix_ms();
    usleep(20000);
    ASSERT_OK(ig_blob_put(b, store, IG_STR("b"), &err));
    assert_false(collect(store, b, before + 10));
    assert_true(collect(store, b, later));
    collect(store, b, later);
    assert_int_equal(objects(store), 0);
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static void test_put_fd(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = open_store(&temp);
    char digest[IG_SHA256_HEX], expected[IG_SHA256_HEX];
    enum { SIZE = 1 << 20 };
    char *bytes = ig_alloc(SIZE);
    uint64_t size = 0;
    int fd = -1;
    (void)state;
    for (size_t i = 0; i < SIZE; i++) bytes[i] = (char)(i * 31 >> 3);
    ASSERT_OK(ig_file_replace(temp.fd, "input", (struct ig_str){bytes, SIZE}, &err));
    ASSERT_OK(ig_file_open_read(&fd, temp.fd, "input", &err));
    ASSERT_OK(ig_blob_put_fd(digest, &size, store, fd, &err));
    ig_sha256_hex(bytes, SIZE, expected);
    assert_string_equal(digest, expected);
    assert_int_equal(size, SIZE);
    ig_file_close(&fd);
    ig_free(bytes);
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static void test_nth_allocation_fails(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_blob_store *store = open_store(&temp);
    bool refused = true;
    (void)state;
    for (uint64_t n = 1; refused; n++) {
        struct ig_err err = IG_ERR_INIT;
        char digest[IG_SHA256_HEX];
        struct ig_blob_store *other = NULL;
        assert_true(n < 200);
        ASSERT_OK(ig_blob_delete(store, ig_str_view(ABC), &err));
        ig_mem_fail_after(n);
        enum ig_code code = ig_blob_open(&other, place_of(&temp), temp.fd, &err);
        if (code == IG_OK) code = ig_blob_put(digest, other, IG_STR("abc"), &err);
        if (code == IG_OK) code = ig_blob_verify(other, ig_str_view(digest), &err);
        refused = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, refused ? IG_NO_MEMORY : IG_OK);
        ig_blob_close(other);
    }
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static _Noreturn void crash_child(const struct ig_temp *temp, int pipe)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = NULL;
    struct ig_rng rng;
    char bytes[5000], digest[IG_SHA256_HEX];
    ig_rng_seed(&rng, (uint64_t)getpid());
    if (ig_blob_open(&store, place_of(temp), temp->fd, &err) != IG_OK) _exit(2);
    for (;;) {
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)ig_rng_u64(&rng);
        if (ig_blob_put(digest, store, (struct ig_str){bytes, sizeof bytes}, &err) != IG_OK)
            _exit(3);
        if (write(pipe, digest, sizeof digest) != sizeof digest) _exit(4);
    }
}

static void test_kill_loses_nothing_acknowledged(void **state)
{
    int rounds = getenv("INGOT_LONG") ? 500 : 20;
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_rng rng;
    char digest[IG_SHA256_HEX], path[100];
    (void)state;
    ig_rng_seed(&rng, 21);
    for (int round = 0; round < rounds; round++) {
        int ends[2], status;
        assert_int_equal(pipe(ends), 0);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) crash_child(&temp, ends[1]);
        close(ends[1]);
        usleep((useconds_t)ig_rng_below(&rng, 20000));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &status, 0), child);
        struct ig_blob_store *store = open_store(&temp);
        while (read(ends[0], digest, sizeof digest) == sizeof digest)
            ASSERT_OK(ig_blob_verify(store, ig_str_view(digest), &err));
        close(ends[0]);
        ig_blob_close(store);
    }
    snprintf(path, sizeof path, "%s/blobs/incoming", temp.path);
    assert_int_equal(rmdir(path), 0); /* leftovers were swept: it is empty */
    ig_temp_remove(&temp);
}

static int start_server(void **state)
{
    (void)state;
    s3_server_start(&server);
    return 0;
}

static int stop_server(void **state)
{
    (void)state;
    s3_server_stop(&server);
    return 0;
}

static int next_driver(void **state)
{
    driver_name = *state;
    return 0;
}

#define SUITE(test, id)                                                                            \
    {                                                                                              \
#test " " #id, test, next_driver, NULL, (void *)(uintptr_t) #id                            \
    }

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IG_STORE_BLOB(id, symbol, doc)                                                             \
    SUITE(test_put_and_get, id), SUITE(test_streaming_and_caps, id), SUITE(test_bad_digests, id),  \
        SUITE(test_damage_is_found, id), SUITE(test_put_fd, id), SUITE(test_collect, id),          \
        SUITE(test_nth_allocation_fails, id), SUITE(test_kill_loses_nothing_acknowledged, id),
#include "stores/stores.def"
#undef IG_STORE_BLOB
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
