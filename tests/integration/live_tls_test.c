/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of the real program: the server with a certificate of a CA of its own, the command line that
 * trusts it or not, certificates that change while it runs, and what it refuses at start. */
#include "support/live.h"

#include "net/tls_testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <time.h>

static struct live live;
static struct pki pki;
static const char *certificate, *key;
static char use_certificate[160], use_key[160];

#define RUN(run, ...) live_run(run, &live, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    pki_make(&pki);
    certificate = pki_path(&pki, "own.pem");
    key = pki_path(&pki, "own.key");
    pki_issue(&pki, &PKI_LOCAL, certificate, key);
    snprintf(use_certificate, sizeof use_certificate, "tls_certificate=%s", certificate);
    snprintf(use_key, sizeof use_key, "tls_key=%s", key);
    live.ca = pki.files[0];
    live_start(&live, (const char *const[]){"--set", use_certificate, "--set", use_key, NULL});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    pki_remove(&pki);
    return 0;
}

static void test_calls_over_tls(void **state)
{
    (void)state;
    enum { SIZE = 5 << 20 };
    char *bytes = calloc(1, SIZE);
    assert_memory_equal(live.url, "https://127.0.0.1:", 18);
    assert_int_equal(live_call(&live, "GET", "/api/v1/models", NULL), 200);
    assert_int_equal(strlen(live_upload(&live, bytes, SIZE)), 64);
    free(bytes);
    live_write_table(&live, "table.csv", 300);
    assert_string_equal(live_wait_job(&live, live_submit(&live, "m", "table.csv", 5)), "succeeded");
    assert_int_equal(live_call(&live, "GET", "/metrics", NULL), 200);
    assert_non_null(strstr(live_body(&live), "ingot_tls_handshakes_failed_total 0\n"));
    assert_null(strstr(live_body(&live), "ingot_tls_handshakes_total 0\n"));
}

static void test_command_line(void **state)
{
    (void)state;
    static struct live_run run;
    char plain[64];
    RUN(&run, "model", "list");
    if (run.code) fail_msg("%s", run.err);
    const char *ca = live.ca;
    live.ca = NULL;
    RUN(&run, "model", "list");
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "its certificate is of an unknown CA"));
    RUN(&run, "model", "list", "--ca", ca);
    assert_int_equal(run.code, 0);
    RUN(&run, "model", "list", "--ca", "no such file");
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "CA file: "));
    snprintf(plain, sizeof plain, "http%s", live.url + 5);
    RUN(&run, "model", "list", "--server", plain);
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "TLS is spoken here"));
    live.ca = ca;
}

/* The common name that a new connection is shown. */
static const char *shown(void)
{
    static char name[64];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtol(live.url + 18, NULL, 10))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), 1);
    X509 *peer = SSL_get1_peer_certificate(ssl);
    X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, name, sizeof name);
    X509_free(peer);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    return name;
}

static void wait_shown(const char *name)
{
    for (int i = 0; i < 1000 && strcmp(shown(), name) != 0; i++)
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    assert_string_equal(shown(), name);
}

static void test_renewal(void **state)
{
    (void)state;
    struct pki_names names = PKI_LOCAL;
    assert_string_equal(shown(), "local");
    names.subject = "second";
    pki_issue(&pki, &names, certificate, key);
    kill(live.pid, SIGHUP);
    wait_shown("second");
    assert_int_equal(live_call(&live, "GET", "/api/v1/models", NULL), 200);
    /* A key that is none: the server says so and goes on. */
    FILE *file = fopen(key, "w");
    fputs("no key\n", file);
    fclose(file);
    kill(live.pid, SIGHUP);
    nanosleep(&(struct timespec){0, 200000000}, NULL);
    assert_string_equal(shown(), "second");
    /* Noticed without a signal. */
    names.subject = "third";
    pki_issue(&pki, &names, certificate, key);
    wait_shown("third");
}

static void expect_refused(const char *first, const char *second, const char *words)
{
    static struct live_run run;
    RUN(&run, "server", "--data", live_path(&live, "other"), "--set", first, "--set", second);
    assert_int_equal(run.code, 1);
    if (!strstr(run.err, words)) fail_msg("'%s' is not in '%s'", words, run.err);
}

static void test_refused_at_start(void **state)
{
    (void)state;
    char other[160], other_key[160];
    const char *pem = pki_path(&pki, "other.pem"), *wrong = pki_path(&pki, "other.key");
    pki_issue(&pki, &PKI_LOCAL, pem, wrong);
    snprintf(other, sizeof other, "tls_certificate=%s", pem);
    snprintf(other_key, sizeof other_key, "tls_key=%s", wrong);
    expect_refused(use_certificate, other_key, "does not belong to the certificate");
    expect_refused(use_certificate, other_key, wrong);
    expect_refused(use_certificate, "tls_key=", "tls_certificate: expected with tls_key");
    expect_refused("tls_certificate=", use_key, "tls_key: expected with tls_certificate");
    expect_refused("tls_certificate=/no/such", use_key, "/no/such");
}

/* TLS is what other addresses than loopback need, besides keys. */
static void test_exposure(void **state)
{
    (void)state;
    static struct live_run run;
    struct live other;
    live_make(&other);
    const char *data = live_path(&other, "data");
    RUN(&run, "server", "--data", data, "--listen", "0.0.0.0:0", "--set", use_certificate, "--set",
        use_key);
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "there are no API keys"));
    RUN(&run, "key", "create", "ops", "--scope", "admin", "--data", data);
    assert_int_equal(run.code, 0);
    snprintf(other.headers, sizeof other.headers, "X-API-Key: %.*s\r\n",
             (int)strcspn(run.out, "\n"), run.out);
    live_start(&other, (const char *const[]){"--listen", "0.0.0.0:0", "--set", use_certificate,
                                             "--set", use_key, NULL});
    assert_memory_equal(other.url, "https://0.0.0.0:", 16);
    assert_int_equal(live_stop(&other, SIGTERM), 0);
    live_remove(&other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls_over_tls),   cmocka_unit_test(test_command_line),
        cmocka_unit_test(test_refused_at_start), cmocka_unit_test(test_exposure),
        cmocka_unit_test(test_renewal),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
