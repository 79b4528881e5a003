/* SPDX-License-Identifier: Apache-2.0 */
/* Objects stream both ways in constant memory: 64 MB, or 1 GB with INGOT_LONG=1. The server's
 * memory is read while it works. */
#include "support/live.h"

#include "base/hash.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 1 << 20, GROWTH_MAX = 24 << 20 };

static struct live live;
static uint64_t pieces = 64;

static int setup(void **state)
{
    (void)state;
    const char *long_run = getenv("INGOT_LONG");
    if (long_run && strcmp(long_run, "1") == 0) pieces = 1024;
    live_make(&live);
    live_start(&live, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* A file of random-looking megabytes; its digest. */
static int make_file(char digest[IG_SHA256_HEX])
{
    static uint64_t words[PIECE / 8];
    unsigned char raw[IG_SHA256_BYTES];
    uint64_t state = 88172645463325252u;
    struct ig_sha256 *hash = ig_sha256_new();
    int fd = open(live_path(&live, "big"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0 && hash);
    for (uint64_t i = 0; i < pieces; i++) {
        for (size_t k = 0; k < PIECE / 8; k++) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            words[k] = state;
        }
        ig_sha256_update(hash, words, PIECE);
        assert_int_equal(write(fd, words, PIECE), PIECE);
    }
    ig_sha256_final(hash, raw);
    ig_sha256_free(hash);
    ig_hex(digest, raw, sizeof raw);
    return fd;
}

static bool add_to_hash(void *hash, struct ig_str bytes)
{
    ig_sha256_update(hash, bytes.ptr, bytes.len);
    return true;
}

static void test_up_and_down(void **state)
{
    (void)state;
    char digest[IG_SHA256_HEX], path[128], got[IG_SHA256_HEX];
    unsigned char raw[IG_SHA256_BYTES];
    int fd = make_file(digest);
    uint64_t before = live_peak_bytes(&live);
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest);
    struct ig_client_call up = {.method = "PUT",
                                .path = path,
                                .has_body_fd = true,
                                .body_fd = fd,
                                .body_fd_bytes = pieces * PIECE};
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    assert_int_equal(live_send(&live, &up), 201);
    assert_string_equal(live_text(&live, "digest"), digest);
    assert_true(live_number(&live, "size_bytes") == (double)(pieces * PIECE));
    struct ig_sha256 *hash = ig_sha256_new();
    struct ig_client_call down = {
        .method = "GET", .path = path, .on_bytes = add_to_hash, .on_bytes_context = hash};
    assert_int_equal(live_send(&live, &down), 200);
    assert_int_equal(live.reply.body_bytes, pieces * PIECE);
    ig_sha256_final(hash, raw);
    ig_sha256_free(hash);
    ig_hex(got, raw, sizeof raw);
    assert_string_equal(got, digest);
    uint64_t growth = live_peak_bytes(&live) - before;
    print_message("%llu MB each way, the server grew by %.1f MB\n", (unsigned long long)pieces,
                  (double)growth / (1 << 20));
    assert_true(growth < GROWTH_MAX);
    close(fd);
}

static void test_wrong_digest(void **state)
{
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "/api/v1/blobs/%064d", 7);
    struct ig_client_call call = {.method = "PUT", .path = path, .body = {"abc", 3}};
    assert_int_equal(live_send(&live, &call), 400);
    assert_non_null(strstr(live_text(&live, "error.message"),
                           "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"));
    assert_int_equal(live_call(&live, "GET", path, NULL), 404);
}

static void test_cap(void **state)
{
    (void)state;
    int fd = open(live_path(&live, "big"), O_RDONLY | O_CLOEXEC);
    live_stop(&live, SIGTERM);
    live_start(&live, (const char *const[]){"--set", "blob_max_mb=1", NULL});
    struct ig_client_call call = {.method = "POST",
                                  .path = "/api/v1/blobs",
                                  .has_body_fd = true,
                                  .body_fd = fd,
                                  .body_fd_bytes = 8 * PIECE};
    struct ig_err err = IG_ERR_INIT;
    ig_buf_reset(&live.reply.body);
    /* The server refuses before it has read all, so the client may see either the answer or the
     * end of the connection. */
    if (ig_client_call(live.client, &call, &live.reply, &err) == IG_OK)
        assert_int_equal(live.reply.status, 413);
    assert_int_equal(live_call(&live, "GET", "/healthz", NULL), 200);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_up_and_down),
        cmocka_unit_test(test_wrong_digest),
        cmocka_unit_test(test_cap),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
