/* SPDX-License-Identifier: Apache-2.0 */
/* The store on S3 where S3 fails: by status, by cut connections, by bytes that change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "stores/blob.h"
#include "stores/temp_testing.h"
#include "support/s3_server.h"

#include <dirent.h>
#include <pthread.h>
#include <string.h>

enum { MB = 1 << 20, CACHE_BYTES = 1 << 20 };

static struct s3_server server;

struct world {
    struct ig_temp temp;
    struct ig_blob_store *store;
    char url[256];
    const char *prefix;
    struct ig_err err;
    struct ig_buf bytes;
};

static struct ig_blob_store *open_at(const struct world *world, uint64_t cache_bytes, bool reads)
{
    const struct ig_blob_options options = {.where = world->url, .cache_bytes = cache_bytes};
    struct ig_blob_store *store = NULL;
    struct ig_err err = IG_ERR_INIT;
    if (reads)
        ASSERT_OK(ig_blob_open_reader(&store, &options, world->temp.fd, &err));
    else
        ASSERT_OK(ig_blob_open(&store, &options, world->temp.fd, &err));
    return store;
}

static void reopen(struct world *world, uint64_t cache_bytes)
{
    ig_blob_close(world->store);
    world->store = open_at(world, cache_bytes, false);
}

static void world_open(struct world *world)
{
    *world = (struct world){.temp = ig_temp_make(), .err = IG_ERR_INIT};
    world->prefix = strrchr(world->temp.path, '/') + 1;
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    s3_server_url(world->url, &server, world->prefix);
    ig_buf_init(&world->bytes, 64 * MB);
    world->store = open_at(world, CACHE_BYTES, false);
    server.shared->requests = server.shared->refused = server.shared->parts = 0;
}

static void world_close(struct world *world)
{
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    ig_blob_close(world->store);
    ig_buf_deinit(&world->bytes);
    ig_temp_remove(&world->temp);
}

static int entries(const struct world *world, const char *folder)
{
    char path[120];
    int count = 0;
    snprintf(path, sizeof path, "%s/blobs/%s", world->temp.path, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

/* Of `size` bytes that differ by `seed`. */
static enum ig_code put(char digest[IG_SHA256_HEX], struct world *world, size_t size, unsigned seed)
{
    ig_buf_reset(&world->bytes);
    assert_true(ig_buf_reserve(&world->bytes, size));
    for (size_t i = 0; i < size; i++)
        world->bytes.ptr[i] = (char)((i * 2654435761u >> 7) + seed * 40503u);
    world->bytes.len = size;
    return ig_blob_put(digest, world->store, ig_buf_view(&world->bytes), &world->err);
}

/* Past the cache. */
static enum ig_code verify(struct world *world, const char *digest)
{
    return ig_blob_verify(world->store, ig_str_view(digest), &world->err);
}

#define WORLD_OK(call)                                                                             \
    do {                                                                                           \
        if ((call) != IG_OK) fail_msg("%s: %s", #call, world.err.message);                         \
    } while (0)
#define WORLD_FAILS(call, expected, text)                                                          \
    do {                                                                                           \
        enum ig_code code_ = (call);                                                               \
        if (code_ != (expected) || !strstr(world.err.message, (text)))                             \
            fail_msg("%s: %s: '%s', expected '%s'", #call, ig_code_name(code_), world.err.message, \
                     (text));                                                                      \
        ig_err_clear(&world.err);                                                                  \
    } while (0)

static void test_passing_failures_are_tried_again(void **state)
{
    static const struct {
        int status;
        const char *code;
    } refusals[] = {{500, "InternalError"},
                    {503, "SlowDown"},
                    {429, "TooManyRequests"},
                    {400, "RequestTimeout"},
                    {502, ""}};
    static const enum s3_fault faults[] = {S3_FAULT_CUT, S3_FAULT_LOSE, S3_FAULT_GARBAGE};
    struct world world;
    char digest[IG_SHA256_HEX];
    unsigned seed = 0;
    (void)state;
    world_open(&world);
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        s3_server_refuse(&server, 2, refusals[i].status, refusals[i].code);
        WORLD_OK(put(digest, &world, 1000, ++seed));
        WORLD_OK(verify(&world, digest));
    }
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        s3_server_fail(&server, faults[i], 2, NULL, NULL);
        WORLD_OK(put(digest, &world, 1000, ++seed));
        s3_server_fail(&server, faults[i], 2, NULL, NULL);
        WORLD_OK(verify(&world, digest));
    }
    assert_int_equal(s3_server_count(&server, world.prefix), (int)seed);
    world_close(&world);
}

static void test_lasting_failures(void **state)
{
    struct world world;
    char digest[IG_SHA256_HEX];
    (void)state;
    world_open(&world);
    s3_server_refuse(&server, 100, 503, "SlowDown");
    WORLD_FAILS(put(digest, &world, 10, 1), IG_UNAVAILABLE, "S3: HEAD ingot-test/...: 503");
    assert_int_equal(server.shared->refused, 5);
    s3_server_fail(&server, S3_FAULT_REFUSE, 100, "PUT", NULL);
    WORLD_FAILS(put(digest, &world, 10, 1), IG_UNAVAILABLE, "503 SlowDown: The words of SlowDown");
    s3_server_fail(&server, S3_FAULT_CUT, 100, NULL, NULL);
    WORLD_FAILS(put(digest, &world, 10, 1), IG_UNAVAILABLE, "S3: ");
    server.shared->refused = 0;
    s3_server_refuse(&server, 100, 403, "AccessDenied");
    s3_server_fail(&server, S3_FAULT_REFUSE, 100, "PUT", NULL);
    WORLD_FAILS(put(digest, &world, 10, 1), IG_DENIED, "403 AccessDenied: The words");
    assert_int_equal(server.shared->refused, 2); /* the HEAD before it said 404; not tried again */
    s3_server_refuse(&server, 100, 403, "AccessDenied");
    WORLD_FAILS(put(digest, &world, 10, 1), IG_DENIED, "403 AccessDenied: The words");
    s3_server_refuse(&server, 100, 301, "PermanentRedirect");
    WORLD_FAILS(put(digest, &world, 10, 1), IG_IO, "region");
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    assert_int_equal(entries(&world, "incoming"), 0);
    assert_int_equal(s3_server_count(&server, world.prefix), 0);
    WORLD_OK(put(digest, &world, 10, 1));
    world_close(&world);
}

static void test_who_and_where(void **state)
{
    struct ig_temp temp = ig_temp_make();
    struct ig_err err = IG_ERR_INIT;
    struct ig_blob_store *store = NULL;
    char url[256], other[256];
    const struct ig_blob_options options = {.where = url};
    (void)state;
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    s3_server_url(url, &server, "who");
    setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret", 1);
    enum ig_code code = ig_blob_open(&store, &options, temp.fd, &err);
    assert_int_equal(code, IG_DENIED);
    assert_non_null(strstr(err.message, "SignatureDoesNotMatch"));
    assert_null(strstr(err.message, "not-the-secret"));
    ig_err_clear(&err);
    setenv("AWS_SECRET_ACCESS_KEY", S3_SERVER_SECRET_KEY, 1);
    setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE", 1);
    ASSERT_FAILS(ig_blob_open(&store, &options, temp.fd, &err), IG_DENIED, "InvalidAccessKeyId");
    setenv("AWS_ACCESS_KEY_ID", S3_SERVER_ACCESS_KEY, 1);
    snprintf(other, sizeof other, "s3://other-bucket/%s", strstr(url, "who"));
    const struct ig_blob_options wrong = {.where = other};
    ASSERT_FAILS(ig_blob_open(&store, &wrong, temp.fd, &err), IG_IO,
                 "bucket 'other-bucket' does not exist");
    const struct ig_blob_options nobody = {
        .where = "s3://ingot-test?path_style=true&endpoint=http://127.0.0.1:1"};
    ASSERT_FAILS(ig_blob_open(&store, &nobody, temp.fd, &err), IG_UNAVAILABLE, "blobs: S3: ");
    /* Who may not list unfinished uploads may work all the same. */
    s3_server_refuse(&server, 1, 403, "AccessDenied");
    ASSERT_OK(ig_blob_open(&store, &options, temp.fd, &err));
    ig_blob_close(store);
    s3_server_refuse(&server, 1, 501, "NotImplemented");
    ASSERT_OK(ig_blob_open(&store, &options, temp.fd, &err));
    ig_blob_close(store);
    ig_temp_remove(&temp);
}

static void test_keys_that_end(void **state)
{
    static const char OLD[] = "[default]\naws_access_key_id=" S3_SERVER_ACCESS_KEY
                              "\naws_secret_access_key=" S3_SERVER_SECRET_KEY "\n";
    static const char NEW[] =
        "[default]\naws_access_key_id=" S3_SERVER_ACCESS_KEY
        "\naws_secret_access_key=" S3_SERVER_SECRET_KEY "\naws_session_token=t\n";
    struct world world;
    char digest[IG_SHA256_HEX], path[100];
    (void)state;
    world_open(&world);
    snprintf(path, sizeof path, "%s/keys", world.temp.path);
    unsetenv("AWS_ACCESS_KEY_ID");
    setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1);
    WORLD_OK(ig_file_replace(world.temp.fd, "keys", ig_str_view(OLD), &world.err));
    reopen(&world, CACHE_BYTES);
    s3_server_refuse(&server, 2, 400, "ExpiredToken");
    WORLD_FAILS(put(digest, &world, 10, 1), IG_IO, "ExpiredToken"); /* the file says nothing new */
    WORLD_OK(ig_file_replace(world.temp.fd, "keys", ig_str_view(NEW), &world.err));
    s3_server_refuse(&server, 2, 400, "ExpiredToken");
    WORLD_OK(put(digest, &world, 10, 1));
    WORLD_OK(verify(&world, digest));
    setenv("AWS_ACCESS_KEY_ID", S3_SERVER_ACCESS_KEY, 1);
    unsetenv("AWS_SHARED_CREDENTIALS_FILE");
    world_close(&world);
}

static void test_bytes_that_change(void **state)
{
    struct world world;
    char digest[IG_SHA256_HEX], key[160];
    struct ig_buf back;
    (void)state;
    world_open(&world);
    ig_buf_init(&back, MB);
    s3_server_fail(&server, S3_FAULT_FLIP, 1, "PUT", NULL);
    WORLD_OK(put(digest, &world, 5000, 1));
    WORLD_OK(verify(&world, digest));
    s3_server_fail(&server, S3_FAULT_FLIP, 100, "PUT", NULL);
    WORLD_FAILS(put(key, &world, 5000, 2), IG_CORRUPT, "XAmzContentSHA256Mismatch");

    reopen(&world, 0);
    snprintf(key, sizeof key, "%s/blobs/cache/%s", world.temp.path, digest);
    assert_int_not_equal(access(key, F_OK), 0);
    s3_server_fail(&server, S3_FAULT_FLIP, 1, "GET", NULL);
    WORLD_OK(ig_blob_read(&back, world.store, ig_str_view(digest), &world.err));
    s3_server_fail(&server, S3_FAULT_FLIP, 2, "GET", NULL);
    WORLD_FAILS(ig_blob_read(&back, world.store, ig_str_view(digest), &world.err), IG_CORRUPT,
                "hash to");
    s3_server_fail(&server, S3_FAULT_TRUNCATE, 3, "GET", NULL);
    WORLD_OK(ig_blob_read(&back, world.store, ig_str_view(digest), &world.err));
    s3_server_fail(&server, S3_FAULT_TRUNCATE, 100, "GET", NULL);
    WORLD_FAILS(ig_blob_read(&back, world.store, ig_str_view(digest), &world.err), IG_UNAVAILABLE,
                digest);
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    assert_int_equal(entries(&world, "incoming"), 0);

    reopen(&world, CACHE_BYTES); /* a copy hides no damage from who looks for it */
    WORLD_OK(ig_blob_read(&back, world.store, ig_str_view(digest), &world.err));
    snprintf(key, sizeof key, "%s/%.2s/%s", world.prefix, digest, digest);
    s3_server_damage(&server, key);
    WORLD_OK(ig_blob_read(&back, world.store, ig_str_view(digest), &world.err));
    WORLD_FAILS(verify(&world, digest), IG_CORRUPT, "hash to");
    ig_buf_deinit(&back);
    world_close(&world);
}

static void test_parts(void **state)
{
    struct world world;
    char digest[IG_SHA256_HEX];
    (void)state;
    world_open(&world);
    WORLD_OK(put(digest, &world, 16 * MB, 1));
    assert_int_equal(server.shared->parts, 0);
    WORLD_OK(put(digest, &world, 16 * MB + 1, 2));
    assert_int_equal(server.shared->parts, 2);
    WORLD_OK(verify(&world, digest));
    WORLD_OK(put(digest, &world, 16 * MB + 1, 2)); /* is there */
    assert_int_equal(server.shared->parts, 2);

    s3_server_fail(&server, S3_FAULT_LOSE, 1, "POST", "?uploadId="); /* the end's answer */
    WORLD_OK(put(digest, &world, 40 * MB, 3));
    WORLD_OK(verify(&world, digest));
    s3_server_refuse(&server, 0, 500, "InternalError");
    s3_server_fail(&server, S3_FAULT_LATE, 1, "POST", "?uploadId=");
    WORLD_OK(put(digest, &world, 17 * MB, 4));
    WORLD_OK(verify(&world, digest));
    s3_server_fail(&server, S3_FAULT_FLIP, 1, "PUT", "partNumber=2");
    WORLD_OK(put(digest, &world, 17 * MB, 5));
    WORLD_OK(verify(&world, digest));
    s3_server_fail(&server, S3_FAULT_CUT, 2, "PUT", "partNumber=2");
    WORLD_OK(put(digest, &world, 17 * MB, 6));
    WORLD_OK(verify(&world, digest));
    assert_int_equal(s3_server_uploads(&server), 0);

    int count = s3_server_count(&server, world.prefix);
    s3_server_refuse(&server, 0, 400, "InvalidRequest");
    s3_server_fail(&server, S3_FAULT_REFUSE, 100, "PUT", "partNumber=2");
    WORLD_FAILS(put(digest, &world, 17 * MB, 7), IG_IO, "InvalidRequest");
    s3_server_refuse(&server, 0, 400, "InvalidPart");
    s3_server_fail(&server, S3_FAULT_REFUSE, 100, "POST", "?uploadId=");
    WORLD_FAILS(put(digest, &world, 17 * MB, 7), IG_IO, "InvalidPart");
    assert_int_equal(s3_server_uploads(&server), 0);
    assert_int_equal(s3_server_count(&server, world.prefix), count);
    world_close(&world);
}

static void test_unfinished_uploads(void **state)
{
    struct world world;
    struct ig_err err = IG_ERR_INIT;
    char digest[IG_SHA256_HEX];
    (void)state;
    world_open(&world);
    server.shared->began_ms_ago = 23 * 3600 * 1000;
    s3_server_refuse(&server, 0, 403, "AccessDenied");
    s3_server_fail(&server, S3_FAULT_REFUSE, 100, NULL, "uploadId="); /* parts, and their end */
    WORLD_FAILS(put(digest, &world, 17 * MB, 1), IG_DENIED, "AccessDenied");
    server.shared->began_ms_ago = 25 * 3600 * 1000;
    WORLD_FAILS(put(digest, &world, 17 * MB, 2), IG_DENIED, "AccessDenied");
    s3_server_fail(&server, S3_FAULT_CUT, 0, NULL, NULL);
    assert_int_equal(s3_server_uploads(&server), 2);
    reopen(&world, CACHE_BYTES);
    assert_int_equal(s3_server_uploads(&server), 1); /* a day has not passed */
    server.shared->began_ms_ago = 0;

    /* One of somebody else's, whose name would be another request. */
    char path[100], text[200];
    snprintf(path, sizeof path, "%s/u,theirs", server.dir);
    snprintf(text, sizeof text, "o,%s,ba,..?delete#\ntheirs\n2010-11-10T20:48:33.000Z",
             world.prefix);
    ASSERT_OK(ig_file_replace(IG_FILE_CWD, path, ig_str_view(text), &err));
    server.shared->requests = 0;
    reopen(&world, CACHE_BYTES);
    assert_int_equal(server.shared->requests, 1);
    assert_int_equal(unlink(path), 0);
    world_close(&world);
}

static bool note(void *context, const char *digest, int64_t committed_ms)
{
    assert_in_range(committed_ms, 1, INT64_MAX - 1);
    ig_buf_add_cstr(context, digest);
    return true;
}

static void test_pages(void **state)
{
    struct world world, inner;
    char digests[10][IG_SHA256_HEX], digest[IG_SHA256_HEX];
    struct ig_buf found;
    (void)state;
    world_open(&world);
    world_open(&inner);
    ig_buf_init(&found, MB);
    for (unsigned i = 0; i < 10; i++) WORLD_OK(put(digests[i], &world, 10 + i, i));
    ig_blob_close(inner.store); /* objects of another store below the prefix, and beside it */
    char below[100];
    snprintf(below, sizeof below, "%s/more", world.prefix);
    s3_server_url(inner.url, &server, below);
    inner.store = open_at(&inner, CACHE_BYTES, false);
    WORLD_OK(put(digest, &inner, 99, 99));
    snprintf(below, sizeof below, "%sx", world.prefix);
    s3_server_url(inner.url, &server, below);
    reopen(&inner, CACHE_BYTES);
    WORLD_OK(put(digest, &inner, 99, 99));
    WORLD_OK(ig_blob_each(world.store, "", note, &found, &world.err));
    assert_int_equal(found.len, 640);
    for (unsigned i = 0; i < 10; i++) assert_non_null(strstr(found.ptr, digests[i]));
    for (unsigned i = 0; i < 10; i++)
        WORLD_OK(ig_blob_delete(world.store, ig_str_view(digests[i]), &world.err));
    ig_buf_reset(&found);
    WORLD_OK(ig_blob_each(world.store, "", note, &found, &world.err));
    assert_int_equal(found.len, 0);
    assert_int_equal(entries(&world, "cache"), 0);
    ig_buf_deinit(&found);
    world_close(&inner);
    world_close(&world);
}

static bool is_kept(const struct world *world, const char *digest)
{
    char path[160];
    snprintf(path, sizeof path, "%s/blobs/cache/%s", world->temp.path, digest);
    return access(path, F_OK) == 0;
}

static void touch(struct world *world, const char *digest)
{
    int fd = -1;
    uint64_t size;
    if (ig_blob_get(&fd, &size, world->store, ig_str_view(digest), &world->err) != IG_OK)
        fail_msg("%s", world->err.message);
    ig_file_close(&fd);
    usleep(20000); /* a file's times are not finer than the kernel's ticks */
}

static void test_cache(void **state)
{
    struct world world;
    char digests[6][IG_SHA256_HEX], byte[2];
    uint64_t size = 0;
    int fd = -1;
    (void)state;
    world_open(&world);
    for (unsigned i = 0; i < 3; i++) {
        WORLD_OK(put(digests[i], &world, 300000, i));
        usleep(20000);
    }
    assert_int_equal(entries(&world, "cache"), 3);
    touch(&world, digests[0]);
    WORLD_OK(ig_blob_get(&fd, &size, world.store, ig_str_view(digests[1]), &world.err));
    usleep(20000);
    touch(&world, digests[0]);
    touch(&world, digests[2]);
    WORLD_OK(put(digests[3], &world, 300000, 3));
    assert_false(is_kept(&world, digests[1]));
    assert_true(is_kept(&world, digests[0]) && is_kept(&world, digests[3]));
    assert_int_equal(pread(fd, byte, 1, 299999), 1); /* who has it open keeps it */
    ig_file_close(&fd);

    server.shared->requests = 0;
    touch(&world, digests[3]);
    assert_int_equal(server.shared->requests, 0);
    touch(&world, digests[1]);
    assert_int_equal(server.shared->requests, 1);
    assert_true(is_kept(&world, digests[1]));
    WORLD_OK(put(digests[4], &world, 2 * MB, 4)); /* more than the cache */
    assert_false(is_kept(&world, digests[4]));
    touch(&world, digests[4]);
    reopen(&world, 300000); /* the bound is another after a restart */
    assert_int_equal(entries(&world, "cache"), 0);
    touch(&world, digests[1]);
    assert_int_equal(entries(&world, "cache"), 1);
    world_close(&world);
}

struct worker {
    struct ig_blob_store *store;
    unsigned seed;
    const char *digest;
    struct ig_err err;
};

static void *work(void *context)
{
    struct worker *worker = context;
    struct ig_buf back;
    char digest[IG_SHA256_HEX], bytes[2000];
    ig_buf_init(&back, MB);
    for (unsigned i = 0; i < 40 && worker->err.code == IG_OK; i++) {
        memset(bytes, (int)(worker->seed + i) % 50, sizeof bytes); /* others put the same */
        struct ig_str text = {bytes, 1000 + (worker->seed + i) % 50};
        if (ig_blob_put(digest, worker->store, text, &worker->err) != IG_OK ||
            ig_blob_read(&back, worker->store, ig_str_view(digest), &worker->err) != IG_OK)
            break;
        if (!ig_str_eq(ig_buf_view(&back), text)) ig_fail(&worker->err, IG_CORRUPT, "differs");
    }
    ig_buf_deinit(&back);
    return NULL;
}

static void test_threads(void **state)
{
    enum { THREADS = 6 };
    struct world world;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    (void)state;
    world_open(&world);
    reopen(&world, 8000); /* a few of them */
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){world.store, i * 7, NULL, IG_ERR_INIT};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (workers[i].err.code != IG_OK) fail_msg("%s", workers[i].err.message);
    }
    assert_int_equal(s3_server_count(&server, world.prefix), 50);
    assert_int_equal(entries(&world, "incoming"), 0);
    assert_true(entries(&world, "cache") <= 8);
    world_close(&world);
}

static void *fetch(void *context)
{
    struct worker *worker = context;
    struct ig_buf back;
    ig_buf_init(&back, 32 * MB);
    ig_blob_read(&back, worker->store, ig_str_view(worker->digest), &worker->err);
    ig_buf_deinit(&back);
    return NULL;
}

static void test_many_want_one(void **state)
{
    enum { THREADS = 8 };
    static const uint64_t caches[] = {64 * MB, 1 * MB}; /* it fits; it does not */
    struct world world;
    struct worker workers[THREADS];
    pthread_t threads[THREADS];
    char digest[IG_SHA256_HEX];
    (void)state;
    world_open(&world);
    WORLD_OK(put(digest, &world, 16 * MB, 1));
    for (size_t i = 0; i < 2; i++) {
        reopen(&world, caches[i]);
        server.shared->requests = 0;
        for (unsigned k = 0; k < THREADS; k++) {
            workers[k] = (struct worker){world.store, k, digest, IG_ERR_INIT};
            assert_int_equal(pthread_create(&threads[k], NULL, fetch, &workers[k]), 0);
        }
        for (unsigned k = 0; k < THREADS; k++) {
            pthread_join(threads[k], NULL);
            if (workers[k].err.code != IG_OK) fail_msg("%s", workers[k].err.message);
        }
        if (i == 0) assert_int_equal(server.shared->requests, 1);
        if (i == 1) assert_true(server.shared->requests > 1);
    }
    world_close(&world);
}

static void test_reader(void **state)
{
    struct world world;
    char digest[IG_SHA256_HEX], other[IG_SHA256_HEX];
    struct ig_blob_store *reader;
    struct ig_buf back;
    (void)state;
    world_open(&world);
    ig_buf_init(&back, MB);
    WORLD_OK(put(digest, &world, 1000, 1));
    WORLD_OK(put(other, &world, 1000, 2));
    char path[160];
    snprintf(path, sizeof path, "%s/blobs/cache/%s", world.temp.path, other);
    assert_int_equal(unlink(path), 0);
    server.shared->requests = 0;
    reader = open_at(&world, 0, true);
    WORLD_OK(ig_blob_read(&back, reader, ig_str_view(digest), &world.err));
    assert_int_equal(server.shared->requests, 0);
    WORLD_OK(ig_blob_read(&back, reader, ig_str_view(other), &world.err));
    assert_int_equal(server.shared->requests, 1);
    assert_int_equal(entries(&world, "cache"), 1); /* it changes nothing */
    assert_int_equal(entries(&world, "incoming"), 0);
    ig_blob_close(reader);
    ig_buf_deinit(&back);
    world_close(&world);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passing_failures_are_tried_again),
        cmocka_unit_test(test_lasting_failures),
        cmocka_unit_test(test_who_and_where),
        cmocka_unit_test(test_keys_that_end),
        cmocka_unit_test(test_bytes_that_change),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_unfinished_uploads),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_many_want_one),
        cmocka_unit_test(test_reader),
    };
    return cmocka_run_group_tests(tests, start_server, stop_server);
}
