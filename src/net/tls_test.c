/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates and keys: what is refused, and in which words; what is read again. Sessions between
 * the two sides of this module over a pair of sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/tls_testing.h"

#include "base/mem.h"

static struct pki pki;
static const char *ca, *certificate, *key, *other_certificate, *other_key;

static int setup(void **state)
{
    (void)state;
    pki_make(&pki);
    ca = pki.files[0];
    certificate = pki_path(&pki, "own.pem");
    key = pki_path(&pki, "own.key");
    other_certificate = pki_path(&pki, "other.pem");
    other_key = pki_path(&pki, "other.key");
    pki_issue(&pki, &PKI_LOCAL, certificate, key);
    pki_issue(&pki, &PKI_LOCAL, other_certificate, other_key);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pki_remove(&pki);
    return 0;
}

static void copy_file(const char *to, const char *from, long most)
{
    char bytes[8192];
    FILE *in = fopen(from, "r"), *out = fopen(to, "w");
    assert_true(in && out);
    size_t size = fread(bytes, 1, sizeof bytes, in);
    if (most >= 0 && (size_t)most < size) size = (size_t)most;
    fwrite(bytes, 1, size, out);
    fclose(in);
    fclose(out);
}

static void write_file(const char *to, const char *text)
{
    FILE *out = fopen(to, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

static void expect_refused(const char *certificate_file, const char *key_file, enum ig_code code,
                           const char *words)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tls *tls = NULL;
    enum ig_code got = ig_tls_new(&tls, certificate_file, key_file, &err);
    if (got != code || !strstr(err.message, words))
        fail_msg("expected %s '%s', got %s '%s'", ig_code_name(code), words, ig_code_name(got),
                 err.message);
    assert_null(tls);
}

static void test_files_that_cannot_be_used(void **state)
{
    (void)state;
    const char *bad = pki_path(&pki, "bad.pem"), *weak = pki_path(&pki, "weak.pem");
    const char *weak_key = pki_path(&pki, "weak.key"), *locked = pki_path(&pki, "locked.key");
    expect_refused("no such certificate", key, IG_NOT_FOUND, "'no such certificate'");
    expect_refused(certificate, "no such key", IG_NOT_FOUND, "'no such key'");
    expect_refused(certificate, other_key, IG_INVALID, other_key);
    expect_refused(certificate, other_key, IG_INVALID, "does not belong to the certificate");
    expect_refused(key, key, IG_PARSE, "no certificate in PEM in it");
    expect_refused(certificate, certificate, IG_PARSE, "no private key in PEM in it");
    write_file(bad, "");
    expect_refused(bad, key, IG_PARSE, bad);
    expect_refused(certificate, bad, IG_PARSE, bad);
    copy_file(bad, certificate, 300);
    expect_refused(bad, key, IG_PARSE, bad);
    copy_file(bad, certificate, 900); /* the chain's end is lost */
    expect_refused(bad, key, IG_PARSE, "its chain is malformed");
    /* A key behind a pass phrase: nobody is asked for it. */
    EVP_PKEY *own = EVP_EC_gen("P-256");
    FILE *file = fopen(locked, "w");
    PEM_write_PrivateKey(file, own, EVP_aes_256_cbc(), (const unsigned char *)"secret", 6, NULL,
                         NULL);
    fclose(file);
    EVP_PKEY_free(own);
    expect_refused(certificate, locked, IG_PARSE, "it needs a pass phrase, expected one without");
    EVP_PKEY *small = EVP_RSA_gen(1024);
    X509 *made = pki_certificate(&pki, small, &PKI_LOCAL);
    file = fopen(weak, "w");
    PEM_write_X509(file, made);
    fclose(file);
    file = fopen(weak_key, "w");
    PEM_write_PrivateKey(file, small, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(made);
    EVP_PKEY_free(small);
    expect_refused(weak, weak_key, IG_INVALID, "key too small");
}

static void expect_news(struct ig_tls *tls, bool force, enum ig_tls_news news, const char *words)
{
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_tls_refresh(tls, force, &err), news);
    if (!strstr(err.message, words)) fail_msg("'%s' is not in '%s'", words, err.message);
}

static void test_refresh(void **state)
{
    (void)state;
    const char *live = pki_path(&pki, "live.pem"), *live_key = pki_path(&pki, "live.key");
    struct ig_err err = IG_ERR_INIT;
    struct ig_tls *tls = NULL;
    copy_file(live, certificate, -1);
    copy_file(live_key, key, -1);
    assert_int_equal(ig_tls_new(&tls, live, live_key, &err), IG_OK);
    expect_news(tls, false, IG_TLS_SAME, "");
    expect_news(tls, true, IG_TLS_RENEWED, "");
    /* One file before the other: the pair is whole with the second. */
    copy_file(live, other_certificate, -1);
    expect_news(tls, false, IG_TLS_KEPT, "does not belong to the certificate");
    expect_news(tls, false, IG_TLS_SAME, ""); /* said once */
    expect_news(tls, true, IG_TLS_KEPT, live_key);
    copy_file(live_key, other_key, -1);
    expect_news(tls, false, IG_TLS_RENEWED, "");
    /* Replaced by renaming, as tools do, with a file of the same size and time. */
    const char *next = pki_path(&pki, "next.pem");
    copy_file(next, live, -1);
    rename(next, live);
    expect_news(tls, false, IG_TLS_RENEWED, "");
    unlink(live);
    expect_news(tls, false, IG_TLS_KEPT, live);
    expect_news(tls, false, IG_TLS_SAME, "");
    copy_file(live, other_certificate, -1);
    expect_news(tls, false, IG_TLS_RENEWED, "");
    ig_tls_free(tls);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tls *tls = NULL;
        struct ig_tls_trust *trust = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_tls_new(&tls, certificate, key, &err);
        if (!code) code = ig_tls_trust_new(&trust, ca, &err);
        struct ig_tls_session *session = code ? NULL : ig_tls_accept(tls, -1);
        failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(session != NULL, !failed);
        ig_tls_session_free(session);
        ig_tls_trust_free(trust);
        ig_tls_free(tls);
    }
}

/* Both sides, turn by turn. */
struct pair {
    struct ig_tls *tls;
    struct ig_tls_trust *trust;
    struct ig_tls_session *server, *client;
    int fds[2];
};

static struct pair pair_open(void)
{
    struct ig_err err = IG_ERR_INIT;
    struct pair pair = {0};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair.fds),
                     0);
    if (ig_tls_new(&pair.tls, certificate, key, &err) || ig_tls_trust_new(&pair.trust, ca, &err))
        fail_msg("%s", err.message);
    pair.server = ig_tls_accept(pair.tls, pair.fds[0]);
    pair.client = ig_tls_connect(pair.trust, pair.fds[1], "localhost");
    assert_true(pair.server && pair.client);
    /* Both outlive what they were made of. */
    ig_tls_free(pair.tls);
    ig_tls_trust_free(pair.trust);
    return pair;
}

static void pair_greet(struct pair *pair)
{
    int64_t client = -EAGAIN, server = -EAGAIN;
    for (int i = 0; i < 10 && (client < 0 || server < 0); i++) {
        if (client < 0) client = ig_tls_handshake(pair->client);
        if (server < 0) server = ig_tls_handshake(pair->server);
    }
    assert_int_equal(client, 1);
    assert_int_equal(server, 1);
    assert_true(ig_tls_established(pair->client) && ig_tls_established(pair->server));
    assert_int_equal(ig_tls_protocol(pair->server), IG_TLS_HTTP1);
}

static void pair_close(struct pair *pair)
{
    ig_tls_session_free(pair->server);
    ig_tls_session_free(pair->client);
    close(pair->fds[0]);
    if (pair->fds[1] >= 0) close(pair->fds[1]);
}

static void test_reads_fill_their_room(void **state)
{
    (void)state;
    char bytes[100];
    struct pair pair = pair_open();
    assert_int_equal(ig_tls_read(pair.server, bytes, 10), -EAGAIN);
    assert_int_equal(ig_tls_wants(pair.server), POLLIN);
    pair_greet(&pair);
    for (int i = 0; i < 5; i++) assert_int_equal(ig_tls_write(pair.client, "0123456789", 10), 10);
    assert_true(ig_tls_readable(pair.server));
    assert_int_equal(ig_tls_read(pair.server, bytes, 35), 35); /* over the borders of records */
    assert_int_equal(ig_tls_read(pair.server, bytes + 35, 60), 15);
    assert_memory_equal(bytes, "01234567890123456789012345678901234567890123456789", 50);
    assert_false(ig_tls_readable(pair.server));
    assert_int_equal(ig_tls_read(pair.server, bytes, 1), -EAGAIN);
    /* The client has only tickets to read. */
    assert_false(ig_tls_readable(pair.client));
    /* What comes with the last word is read first. */
    assert_int_equal(ig_tls_write(pair.client, "bye", 3), 3);
    assert_true(ig_tls_end(pair.client));
    assert_int_equal(ig_tls_read(pair.server, bytes, 100), 3);
    assert_true(ig_tls_over(pair.server));
    assert_int_equal(ig_tls_read(pair.server, bytes, 100), 0);
    assert_true(ig_tls_readable(pair.server));
    /* The other way is still open. */
    assert_int_equal(ig_tls_write(pair.server, "answer", 6), 6);
    assert_int_equal(ig_tls_read(pair.client, bytes, 100), 6);
    pair_close(&pair);
}

static void test_writes_that_are_refused_come_again(void **state)
{
    (void)state;
    static char out[1 << 20], in[sizeof out], moved[sizeof out];
    size_t written = 0, got = 0;
    unsigned refused = 0;
    struct pair pair = pair_open();
    pair_greet(&pair);
    for (size_t i = 0; i < sizeof out; i++) out[i] = (char)(i * i % 253);
    while (got < sizeof out) {
        /* From another place each time. */
        size_t size = sizeof out - written;
        memcpy(moved, out + written, size);
        int64_t n = size ? ig_tls_write(pair.server, moved, size) : -EAGAIN;
        assert_true(n > 0 || n == -EAGAIN);
        if (n > 0) written += (size_t)n;
        if (n > 0) continue;
        refused++;
        if (size) assert_int_equal(ig_tls_wants(pair.server), POLLOUT);
        int64_t more = ig_tls_read(pair.client, in + got, sizeof in - got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    assert_true(refused > 1);
    assert_memory_equal(in, out, sizeof out);
    pair_close(&pair);
}

static void test_a_peer_that_vanishes(void **state)
{
    (void)state;
    char bytes[100];
    struct ig_err err = IG_ERR_INIT;
    struct pair pair = pair_open();
    pair_greet(&pair);
    assert_int_equal(ig_tls_write(pair.client, "last", 4), 4);
    close(pair.fds[1]);
    pair.fds[1] = -1;
    assert_int_equal(ig_tls_read(pair.server, bytes, 100), 4);
    assert_true(ig_tls_read(pair.server, bytes, 100) < 0); /* no end was announced */
    assert_true(ig_tls_write(pair.server, "x", 1) < 0);
    assert_true(ig_tls_end(pair.server)); /* nothing more can be said */
    assert_int_equal(ig_tls_explain(pair.server, "the peer", &err), IG_IO);
    assert_non_null(strstr(err.message, "the peer"));
    pair_close(&pair);
}

static void test_bytes_changed_on_the_way(void **state)
{
    (void)state;
    char bytes[300];
    struct pair pair = pair_open();
    pair_greet(&pair);
    assert_int_equal(ig_tls_write(pair.client, "secret", 6), 6);
    ssize_t size = recv(pair.fds[0], bytes, sizeof bytes, 0);
    assert_true(size > 6);
    assert_null(memmem(bytes, (size_t)size, "secret", 6));
    bytes[size - 1] ^= 1;
    assert_int_equal(send(pair.fds[1], bytes, (size_t)size, 0), size);
    assert_int_equal(ig_tls_read(pair.server, bytes, sizeof bytes), -EPROTO);
    pair_close(&pair);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_that_cannot_be_used),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_every_allocation_fails),
        cmocka_unit_test(test_reads_fill_their_room),
        cmocka_unit_test(test_writes_that_are_refused_come_again),
        cmocka_unit_test(test_a_peer_that_vanishes),
        cmocka_unit_test(test_bytes_changed_on_the_way),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
