/* SPDX-License-Identifier: Apache-2.0 */
/* The server's TLS as a client sees it byte by byte: handshakes good, slow and malformed, ends with
 * and without a last word, certificates that change under way. What is above TLS runs over it in
 * the other programs (RUN_PLAIN_AND_TLS). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http_server_testing.h"

#include <netinet/tcp.h>

static struct ig_http_server *server;

static int start_with(struct ig_http_server_options options)
{
    server = test_start(&options);
    return 0;
}

static int start(void **state)
{
    (void)state;
    return start_with(test_options());
}

static int stop(void **state)
{
    (void)state;
    atomic_store(&seen.gate, 1);
    return test_stop(server, 1000) || seen.begun != seen.ended;
}

static struct ig_http_stats stats_now(void)
{
    struct ig_http_stats stats;
    ig_http_server_stats(server, &stats);
    return stats;
}

/* A client of OpenSSL whose records pass through memory. */

struct raw {
    int fd;
    SSL_CTX *context;
    SSL *ssl;
    bool drips; /* sends each byte for itself */
    bool eof;
};

static int plain_dial(void)
{
    int on = 1, fd = dial_socket(server, false);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static struct raw raw_new(const char *protocols)
{
    struct raw raw = {.fd = plain_dial(), .context = SSL_CTX_new(TLS_client_method())};
    SSL_CTX_set_security_level(raw.context, 0); /* to offer what is to be refused */
    raw.ssl = SSL_new(raw.context);
    SSL_set_bio(raw.ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(raw.ssl);
    if (protocols)
        SSL_set_alpn_protos(raw.ssl, (const unsigned char *)protocols, (unsigned)strlen(protocols));
    return raw;
}

static void raw_free(struct raw *raw)
{
    SSL_free(raw->ssl);
    SSL_CTX_free(raw->context);
    close(raw->fd);
}

static void raw_flush(struct raw *raw)
{
    char bytes[4096];
    for (int n; (n = BIO_read(SSL_get_wbio(raw->ssl), bytes, sizeof bytes)) > 0;) {
        size_t step = raw->drips ? 1 : (size_t)n;
        for (size_t at = 0; at < (size_t)n; at += step) send_bytes(raw->fd, bytes + at, step);
    }
}

/* Sends what is to be sent and takes what comes; whether the call that returned `result` is worth
 * another try. */
static bool raw_turn(struct raw *raw, int result)
{
    char bytes[4096];
    raw_flush(raw);
    if (result == 1 || SSL_get_error(raw->ssl, result) != SSL_ERROR_WANT_READ) return false;
    ssize_t got = recv(raw->fd, bytes, sizeof bytes, 0);
    raw->eof = got <= 0;
    if (got > 0) BIO_write(SSL_get_rbio(raw->ssl), bytes, (int)got);
    return got > 0;
}

static bool raw_connect(struct raw *raw)
{
    int result;
    do {
        ERR_clear_error();
        result = SSL_do_handshake(raw->ssl);
    } while (raw_turn(raw, result));
    return result == 1;
}

static void raw_send(struct raw *raw, const char *text)
{
    assert_int_equal(SSL_write(raw->ssl, text, (int)strlen(text)), (int)strlen(text));
    raw_flush(raw);
}

/* Until `text` has come. */
static bool raw_until(struct raw *raw, char *bytes, size_t size, const char *text)
{
    size_t got = 0;
    for (;;) {
        size_t more = 0;
        bytes[got] = '\0';
        if (strstr(bytes, text)) return true;
        ERR_clear_error();
        int result = SSL_read_ex(raw->ssl, bytes + got, size - 1 - got, &more);
        got += more;
        if (result != 1 && !raw_turn(raw, result)) return false;
    }
}

enum end { CLOSE_NOTIFY, CUT_OFF, BROKEN };

/* How the connection ends, behind whatever comes before. */
static enum end raw_end(struct raw *raw)
{
    char bytes[4096];
    for (;;) {
        size_t more = 0;
        ERR_clear_error();
        int result = SSL_read_ex(raw->ssl, bytes, sizeof bytes, &more);
        if (result == 1 || raw_turn(raw, result)) continue;
        if (SSL_get_error(raw->ssl, result) == SSL_ERROR_ZERO_RETURN) return CLOSE_NOTIFY;
        return raw->eof ? CUT_OFF : BROKEN;
    }
}

static const char NOW[] = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";

static void assert_answers(struct raw *raw)
{
    char reply[2000];
    raw_send(raw, NOW);
    assert_true(raw_until(raw, reply, sizeof reply, "\r\n\r\nnow"));
    assert_status(reply, 200);
}

/* Handshakes. */

static void test_versions(void **state)
{
    (void)state;
    static const int SPOKEN[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < 2; i++) {
        struct raw raw = raw_new(NULL);
        SSL_set_min_proto_version(raw.ssl, SPOKEN[i]);
        SSL_set_max_proto_version(raw.ssl, SPOKEN[i]);
        assert_true(raw_connect(&raw));
        assert_int_equal(SSL_version(raw.ssl), SPOKEN[i]);
        assert_null(SSL_get_current_compression(raw.ssl));
        assert_answers(&raw);
        raw_free(&raw);
    }
    struct raw old = raw_new(NULL);
    SSL_set_min_proto_version(old.ssl, TLS1_VERSION);
    SSL_set_max_proto_version(old.ssl, TLS1_1_VERSION);
    assert_false(raw_connect(&old));
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_PROTOCOL_VERSION);
    raw_free(&old);
    struct raw weak = raw_new(NULL);
    SSL_set_max_proto_version(weak.ssl, TLS1_2_VERSION);
    SSL_set_cipher_list(weak.ssl, "ECDHE-ECDSA-AES128-SHA:AES128-GCM-SHA256");
    assert_false(raw_connect(&weak));
    raw_free(&weak);
    assert_int_equal(stats_now().tls_handshakes, 2);
}

static void test_protocols(void **state)
{
    (void)state;
    static const struct {
        const char *offered, *agreed;
    } CASES[] = {{"\x02h2\x08http/1.1", "h2"},
                 {"\x08http/1.1\x02h2", "h2"},
                 {"\x08http/1.0\x08http/1.1", "http/1.1"},
                 {NULL, ""}};
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        const unsigned char *agreed = NULL;
        unsigned size = 0;
        struct raw raw = raw_new(CASES[i].offered);
        assert_true(raw_connect(&raw));
        SSL_get0_alpn_selected(raw.ssl, &agreed, &size);
        assert_int_equal(size, strlen(CASES[i].agreed));
        assert_memory_equal(agreed ? (const char *)agreed : "", CASES[i].agreed, size);
        raw_free(&raw);
    }
    struct raw other = raw_new("\x03"
                               "foo");
    assert_false(raw_connect(&other));
    assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_NO_APPLICATION_PROTOCOL);
    raw_free(&other);
}

/* What was agreed on is what is spoken. */
static void test_other_protocol_than_agreed(void **state)
{
    (void)state;
    char reply[2000];
    struct raw two = raw_new("\x02h2"), one = raw_new("\x08http/1.1"), none = raw_new(NULL);
    assert_true(raw_connect(&two) && raw_connect(&one) && raw_connect(&none));
    raw_send(&two, NOW);
    assert_false(raw_until(&two, reply, sizeof reply, "HTTP/1.1"));
    raw_send(&one, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_true(raw_until(&one, reply, sizeof reply, "HTTP/1.1 505 "));
    SSL_write(none.ssl, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
    raw_flush(&none);
    size_t got = 0;
    while (SSL_read_ex(none.ssl, reply, 9, &got) != 1) assert_true(raw_turn(&none, -1));
    assert_int_equal(reply[3], 4); /* SETTINGS */
    raw_free(&two);
    raw_free(&one);
    raw_free(&none);
    assert_int_equal(seen.begun, 0);
}

static void test_renegotiation_is_refused(void **state)
{
    (void)state;
    struct raw raw = raw_new(NULL);
    SSL_set_max_proto_version(raw.ssl, TLS1_2_VERSION);
    assert_true(raw_connect(&raw));
    SSL_renegotiate(raw.ssl);
    assert_false(raw_connect(&raw));
    raw_free(&raw);
}

static void test_tickets_resume(void **state)
{
    (void)state;
    SSL_SESSION *ticket = NULL;
    for (int i = 0; i < 3; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct raw raw = raw_new(NULL);
        if (ticket) SSL_set_session(raw.ssl, ticket);
        if (i == 2) assert_int_equal(ig_tls_refresh(over_tls, true, &err), IG_TLS_RENEWED);
        assert_true(raw_connect(&raw));
        assert_answers(&raw); /* the ticket comes before the answer */
        assert_int_equal(SSL_session_reused(raw.ssl), i == 1);
        SSL_SESSION_free(ticket);
        ticket = SSL_get1_session(raw.ssl);
        SSL_shutdown(raw.ssl);
        raw_flush(&raw);
        raw_free(&raw);
    }
    SSL_SESSION_free(ticket);
}

/* Records cut into bytes, and bytes that are records. */
static void test_records_in_pieces(void **state)
{
    (void)state;
    char reply[2000];
    struct raw raw = raw_new("\x08http/1.1");
    raw.drips = true;
    assert_true(raw_connect(&raw));
    assert_answers(&raw);
    raw.drips = false;
    for (const char *at = NOW; *at; at++) raw_send(&raw, (char[]){*at, '\0'});
    assert_true(raw_until(&raw, reply, sizeof reply, "\r\n\r\nnow"));
    raw_free(&raw);
}

/* Records without a byte for HTTP, far more than one read takes, and a request behind them. */
static void test_key_updates(void **state)
{
    (void)state;
    char reply[2000];
    struct raw raw = raw_new(NULL);
    assert_true(raw_connect(&raw));
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8000; i++) {
            SSL_key_update(raw.ssl, SSL_KEY_UPDATE_NOT_REQUESTED);
            assert_int_equal(SSL_do_handshake(raw.ssl), 1);
        }
        assert_int_equal(SSL_write(raw.ssl, NOW, sizeof NOW - 1), sizeof NOW - 1);
        raw_flush(&raw);
        assert_true(raw_until(&raw, reply, sizeof reply, "\r\n\r\nnow"));
    }
    raw_free(&raw);
}

/* The same for HTTP/2: more records than one read takes lie in the socket, and nothing follows. */
static void test_small_records_of_http2(void **state)
{
    (void)state;
    static char bytes[100000];
    static const char PING[] = "\0\0\x08\x06\0\0\0\0\0the last";
    char unknown[49] = "\0\0\x28\xfa"; /* of a type that is passed over */
    struct ig_http_server_options options = test_options();
    options.loops = 1;
    start_with(options);
    struct raw spins = raw_new(NULL), raw = raw_new("\x02h2");
    assert_true(raw_connect(&spins) && raw_connect(&raw));
    SSL_write(raw.ssl, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
    raw_flush(&raw);
    raw_send(&spins, "GET /spin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(reaches(&seen.waiting, 1));
    for (int i = 0; i < 800; i++)
        assert_int_equal(SSL_write(raw.ssl, unknown, sizeof unknown), sizeof unknown);
    assert_int_equal(SSL_write(raw.ssl, PING, 17), 17);
    raw_flush(&raw);
    atomic_store(&seen.gate, 1);
    size_t got = 0;
    while (!memmem(bytes, got, "the last", 8)) {
        size_t more = 0;
        ERR_clear_error();
        int result = SSL_read_ex(raw.ssl, bytes + got, sizeof bytes - got, &more);
        got += more;
        if (result != 1) assert_true(raw_turn(&raw, result));
    }
    raw_free(&spins);
    raw_free(&raw);
    assert_int_equal(test_stop(server, 1000), 0);
}

/* What is not TLS. */

static void test_plain_http_is_told(void **state)
{
    (void)state;
    static const char *const PLAIN[] = {
        "GET /now HTTP/1.1\r\nHost: a\r\n\r\n", "PRI * HTTP/2.0",
        "POST /stream/sink HTTP/1.1\r\nContent-Length: 99\r\n\r\nx"};
    for (size_t i = 0; i < sizeof PLAIN / sizeof PLAIN[0]; i++) {
        char reply[2000];
        int fd = plain_dial();
        send_text(fd, PLAIN[i]);
        receive_all(fd, reply, sizeof reply);
        assert_status(reply, 400);
        assert_has(reply, "Connection: close");
        assert_has(reply, "TLS is spoken here: the URL begins with https://");
        close(fd);
    }
    assert_int_equal(seen.begun, 0);
}

static void test_garbage(void **state)
{
    (void)state;
    const struct ig_str GARBAGE[] = {
        IG_STR("\x16\x03\x01\xff\xff"
               "0123456789"),
        IG_STR("\x16\x03\x01\x00\x05hello and more of it"),
        IG_STR("\x17\x03\x03\x00\x05hello"),
        IG_STR("\x15\x03\x01\x00\x02\x01\x00"),
        IG_STR("\x80\x2e\x01\x03\x01 an old hello"),
        IG_STR("\0\0\0\0\0\0\0\0"),
    };
    for (size_t i = 0; i < sizeof GARBAGE / sizeof GARBAGE[0]; i++) {
        char reply[2000];
        int fd = plain_dial();
        send_bytes(fd, GARBAGE[i].ptr, GARBAGE[i].len);
        shutdown(fd, SHUT_WR);
        receive_all(fd, reply, sizeof reply);
        assert_lacks(reply, "HTTP");
        close(fd);
    }
    struct raw raw = raw_new(NULL);
    assert_true(raw_connect(&raw));
    assert_answers(&raw);
    send_text(raw.fd, "\x17\x03\x03\x01\x01 no record of this session");
    shutdown(raw.fd, SHUT_WR);
    assert_int_not_equal(raw_end(&raw), CLOSE_NOTIFY);
    raw_free(&raw);
    assert_int_equal(stats_now().tls_failed, sizeof GARBAGE / sizeof GARBAGE[0]);
    assert_int_equal(seen.begun, 1);
}

static void test_slow_handshakes_are_bounded(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.head_timeout_ms = 300;
    options.tls_handshakes_max = 2;
    start_with(options);
    int silent = plain_dial(), slow[2] = {plain_dial(), plain_dial()};
    char bytes[100];
    send_bytes(slow[0], "\x16\x03\x01", 3);
    send_bytes(slow[1], "\x16", 1);
    sleep_ms(50);
    /* Both places are taken, so a third handshake is cut off; a silent client takes none. */
    struct raw third = raw_new(NULL);
    assert_false(raw_connect(&third));
    assert_true(stats_now().connections_refused == 1);
    raw_free(&third);
    uint64_t since_ns = ig_clock_ns();
    assert_int_equal(receive_all(slow[0], bytes, sizeof bytes), 0);
    assert_int_equal(receive_all(slow[1], bytes, sizeof bytes), 0);
    assert_int_equal(receive_all(silent, bytes, sizeof bytes), 0);
    assert_true(ig_clock_ns() - since_ns < UINT64_C(2000000000));
    assert_int_equal(stats_now().tls_failed, 2);
    struct raw good = raw_new(NULL);
    assert_true(raw_connect(&good));
    assert_answers(&good);
    /* Behind the handshake the head is awaited just as long. */
    raw_send(&good, "GET");
    assert_true(raw_until(&good, bytes, sizeof bytes, "HTTP/1.1 408 "));
    raw_free(&good);
    for (int i = 0; i < 2; i++) close(slow[i]);
    close(silent);
    assert_int_equal(test_stop(server, 1000), 0);
}

/* Ends. */

static void test_last_words(void **state)
{
    (void)state;
    struct raw kept = raw_new(NULL), closed = raw_new(NULL), cut = raw_new(NULL);
    struct raw refused = raw_new(NULL);
    assert_true(raw_connect(&kept) && raw_connect(&closed) && raw_connect(&cut));
    assert_true(raw_connect(&refused));
    raw_send(&refused, "nonsense\r\n\r\n");
    assert_int_equal(raw_end(&refused), CLOSE_NOTIFY); /* before the server closes */
    raw_free(&refused);
    raw_send(&closed, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(raw_end(&closed), CLOSE_NOTIFY);
    raw_send(&cut, "GET /stream/short HTTP/1.0\r\n\r\n");
    assert_int_equal(raw_end(&cut), CUT_OFF); /* what came is not all */
    assert_answers(&kept);
    assert_int_equal(test_stop(server, 1000), 0);
    assert_int_equal(raw_end(&kept), CLOSE_NOTIFY);
    raw_free(&kept);
    raw_free(&closed);
    raw_free(&cut);
}

/* The client's last word behind its request leaves the answer alone; no word loses the rest of a
 * body. */
static void test_clients_leave(void **state)
{
    (void)state;
    char reply[2000];
    struct raw said = raw_new(NULL), gone = raw_new(NULL);
    assert_true(raw_connect(&said) && raw_connect(&gone));
    SSL_write(said.ssl, NOW, sizeof NOW - 1);
    SSL_shutdown(said.ssl);
    raw_flush(&said); /* both at once */
    assert_true(raw_until(&said, reply, sizeof reply, "\r\n\r\nnow"));
    assert_int_equal(raw_end(&said), CLOSE_NOTIFY);
    raw_send(&gone, "POST /stream/sink HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
    shutdown(gone.fd, SHUT_WR);
    assert_true(reaches(&seen.aborted, 1));
    assert_int_equal(seen.read_code, IG_CANCELLED);
    raw_free(&said);
    raw_free(&gone);
}

/* Certificates. */

static void assert_shows(struct raw *raw, const char *name)
{
    char got[64] = "";
    X509 *shown = SSL_get1_peer_certificate(raw->ssl);
    assert_non_null(shown);
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, got, sizeof got);
    X509_free(shown);
    assert_string_equal(got, name);
}

static void test_reload_under_way(void **state)
{
    (void)state;
    struct pki_names names = PKI_LOCAL;
    struct ig_err err = IG_ERR_INIT;
    const char *certificate = test_pki.files[1], *key = test_pki.files[2];
    struct raw old = raw_new(NULL), half = raw_new(NULL);
    assert_true(raw_connect(&old));
    assert_shows(&old, "local");
    half.drips = true;
    int result = SSL_do_handshake(half.ssl);
    assert_true(raw_turn(&half, result)); /* the hellos are exchanged */
    assert_int_equal(ig_tls_refresh(over_tls, false, &err), IG_TLS_SAME);
    names.subject = "renewed";
    pki_issue(&test_pki, &names, certificate, key);
    assert_int_equal(ig_tls_refresh(over_tls, false, &err), IG_TLS_RENEWED);
    struct raw fresh = raw_new(NULL);
    assert_true(raw_connect(&fresh));
    assert_shows(&fresh, "renewed");
    assert_true(raw_connect(&half));
    assert_shows(&half, "local");
    assert_answers(&old);
    assert_answers(&half);
    assert_answers(&fresh);
    raw_free(&old);
    raw_free(&half);
    raw_free(&fresh);
}

static void *refresh_often(void *context)
{
    struct ig_err err = IG_ERR_INIT;
    _Atomic int *going = context;
    for (; atomic_load(going); sleep_ms(1)) ig_tls_refresh(over_tls, true, &err);
    return NULL;
}

/* For the thread sanitizer. */
static void test_reload_beside_handshakes(void **state)
{
    (void)state;
    _Atomic int going = 1;
    pthread_t thread;
    pthread_create(&thread, NULL, refresh_often, &going);
    for (int i = 0; i < 30; i++) {
        struct raw raw = raw_new(NULL);
        assert_true(raw_connect(&raw));
        assert_answers(&raw);
        raw_free(&raw);
    }
    atomic_store(&going, 0);
    pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_versions),
        TEST(test_protocols),
        TEST(test_other_protocol_than_agreed),
        TEST(test_renegotiation_is_refused),
        TEST(test_tickets_resume),
        TEST(test_records_in_pieces),
        TEST(test_key_updates),
        cmocka_unit_test(test_small_records_of_http2),
        TEST(test_plain_http_is_told),
        TEST(test_garbage),
        cmocka_unit_test(test_slow_handshakes_are_bounded),
        cmocka_unit_test_setup(test_last_words, start),
        TEST(test_clients_leave),
        TEST(test_reload_under_way),
        TEST(test_reload_beside_handshakes),
    };
    return cmocka_run_group_tests(tests, tls_on, tls_off);
}
