/* SPDX-License-Identifier: Apache-2.0 */
/* The client against the server of this floor, and against sockets that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/client.h"
#include "net/http_server_testing.h"

#include "base/mem.h"
#include "base/thread.h"

#include <fcntl.h>
#include <sys/mman.h>

enum { REPLY_MAX_BYTES = 100000 };

static struct ig_http_server *server;
static struct ig_client *client;
static struct ig_client_reply reply;

static void connect_client(const char *suffix, unsigned io_timeout_ms)
{
    char url[128];
    struct ig_err err = IG_ERR_INIT;
    const struct ig_client_options options = {.io_timeout_ms = io_timeout_ms,
                                              .ca_file = over_tls ? test_pki.files[0] : NULL,
                                              .headers = "Authorization: Bearer x\r\n"};
    snprintf(url, sizeof url, "http%s://127.0.0.1:%u%s", over_tls ? "s" : "",
             ig_http_server_port(server), suffix);
    if (ig_client_new(&client, url, &options, &err)) fail_msg("%s", err.message);
}

static int start(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    options.idle_timeout_ms = 100;
    server = test_start(&options);
    ig_buf_init(&reply.body, REPLY_MAX_BYTES);
    connect_client("", 2000);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ig_client_free(client);
    ig_buf_deinit(&reply.body);
    test_stop(server, 1000);
    return seen.begun == seen.ended ? 0 : 1;
}

static void call_ok(const struct ig_client_call *call, int status)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_client_call(client, call, &reply, &err)) fail_msg("%s: %s", call->path, err.message);
    assert_int_equal(reply.status, status);
}

static void assert_body(const char *expected)
{
    if (!ig_str_is(ig_buf_view(&reply.body), expected))
        fail_msg("'%.*s', expected '%s'", (int)reply.body.len, reply.body.ptr, expected);
}

static void test_calls_on_one_connection(void **state)
{
    (void)state;
    struct ig_http_stats stats;
    call_ok(&(struct ig_client_call){.method = "GET", .path = "/now"}, 200);
    assert_body("now");
    assert_string_equal(reply.content_type, "text/plain");
    call_ok(
        &(struct ig_client_call){
            .method = "POST", .path = "/echo", .body = IG_STR("hello"), .content_type = "a/b"},
        200);
    assert_body("hello");
    call_ok(&(struct ig_client_call){.method = "POST", .path = "/pool"}, 200);
    assert_body("");
    call_ok(&(struct ig_client_call){.method = "POST",
                                     .path = "/stream/echo",
                                     .body = IG_STR("in chunks")},
            200);
    assert_body("in chunks");
    assert_int_equal(reply.body_bytes, 9);
    call_ok(&(struct ig_client_call){.method = "HEAD", .path = "/size?500"}, 200);
    assert_body("");
    call_ok(&(struct ig_client_call){.method = "GET", .path = "/empty"}, 204);
    call_ok(&(struct ig_client_call){.method = "GET", .path = "/stream/ignore"}, 403);
    assert_body("ignored");
    ig_http_server_stats(server, &stats);
    assert_int_equal(stats.connections_accepted, 1);
    /* The server closes it when it is idle; the next call opens another. */
    sleep_ms(350);
    call_ok(&(struct ig_client_call){.method = "POST", .path = "/echo", .body = IG_STR("again")},
            200);
    assert_body("again");
    ig_http_server_stats(server, &stats);
    assert_int_equal(stats.connections_accepted, 2);
}

static void test_large_from_and_to_files(void **state)
{
    (void)state;
    static char bytes[3000000];
    struct ig_err err = IG_ERR_INIT;
    int fd = memfd_create("upload", MFD_CLOEXEC);
    fill_pattern(bytes, sizeof bytes, 0);
    assert_int_equal(write(fd, bytes, sizeof bytes), sizeof bytes);
    lseek(fd, 0, SEEK_SET);
    call_ok(&(struct ig_client_call){.method = "PUT",
                                     .path = "/stream/sink",
                                     .has_body_fd = true,
                                     .body_fd = fd,
                                     .body_fd_bytes = sizeof bytes},
            200);
    assert_body("3000000");
    /* A file that is shorter than it was said to be. */
    lseek(fd, 1000000, SEEK_SET);
    const struct ig_client_call cut = {.method = "PUT",
                                       .path = "/stream/sink",
                                       .has_body_fd = true,
                                       .body_fd = fd,
                                       .body_fd_bytes = sizeof bytes};
    assert_int_equal(ig_client_call(client, &cut, &reply, &err), IG_IO);
    assert_non_null(strstr(err.message, "1000000 bytes short"));
    assert_int_equal(ftruncate(fd, 0), 0);
    lseek(fd, 0, SEEK_SET);
    call_ok(&(struct ig_client_call){.method = "GET",
                                     .path = "/stream/source?3000000",
                                     .has_reply_fd = true,
                                     .reply_fd = fd},
            200);
    assert_int_equal(reply.body_bytes, 3000000);
    assert_int_equal(reply.body.len, 0);
    static char back[sizeof bytes];
    assert_int_equal(pread(fd, back, sizeof back, 0), sizeof back);
    assert_memory_equal(bytes, back, sizeof bytes);
    /* What is no success goes to memory instead. */
    call_ok(
        &(struct ig_client_call){
            .method = "GET", .path = "/stream/ignore", .has_reply_fd = true, .reply_fd = fd},
        403);
    assert_body("ignored");
    close(fd);
}

static void test_early_answer_ends_an_upload(void **state)
{
    (void)state;
    int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    call_ok(&(struct ig_client_call){.method = "POST",
                                     .path = "/echo",
                                     .has_body_fd = true,
                                     .body_fd = fd,
                                     .body_fd_bytes = UINT64_C(1) << 40},
            413);
    close(fd);
    call_ok(&(struct ig_client_call){.method = "GET", .path = "/now"}, 200);
}

static bool take_three(void *context, struct ig_str bytes)
{
    int *calls = context;
    assert_true(bytes.len > 0);
    return ++*calls < 3;
}

static void test_caps_and_cancel(void **state)
{
    (void)state;
    int calls = 0;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_client_call big = {.method = "GET", .path = "/size?100001"};
    assert_int_equal(ig_client_call(client, &big, &reply, &err), IG_TOO_LARGE);
    assert_non_null(strstr(err.message, "100000 bytes"));
    err = IG_ERR_INIT;
    const struct ig_client_call live = {.method = "GET",
                                        .path = "/stream/endless",
                                        .on_bytes = take_three,
                                        .on_bytes_context = &calls};
    assert_int_equal(ig_client_call(client, &live, &reply, &err), IG_CANCELLED);
    assert_int_equal(calls, 3);
    err = IG_ERR_INIT;
    const struct ig_client_call cut = {.method = "GET", .path = "/stream/short"};
    assert_int_equal(ig_client_call(client, &cut, &reply, &err), IG_IO);
    assert_non_null(strstr(err.message, over_tls ? "broke" : "closed by the server"));
    err = IG_ERR_INIT;
    const struct ig_client_call odd = {.method = "GET", .path = "/a b"};
    assert_int_equal(ig_client_call(client, &odd, &reply, &err), IG_INVALID);
    call_ok(&(struct ig_client_call){.method = "GET", .path = "/now"}, 200);
}

static void test_prefix(void **state)
{
    (void)state;
    ig_client_free(client);
    connect_client("/stream/", 2000);
    call_ok(&(struct ig_client_call){.method = "GET", .path = "/source?5"}, 200);
    assert_int_equal(reply.body.len, 5);
}

static void test_slow_server(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_client_free(client);
    connect_client("", 50);
    const struct ig_client_call call = {.method = "GET", .path = "/wait"};
    assert_int_equal(ig_client_call(client, &call, &reply, &err), IG_TIMEOUT);
    assert_non_null(strstr(err.message, "answers nothing for 50 ms"));
    atomic_store(&seen.gate, 1);
}

static void test_urls(void **state)
{
    (void)state;
    static const char *const BAD[] = {"",
                                      "localhost:8080",
                                      "https://",
                                      "https://localhost:0",
                                      "ftp://a",
                                      "http://",
                                      "http://:80",
                                      "http://a:0",
                                      "http://a:65536",
                                      "http://a:x",
                                      "http://[::1",
                                      "http://[::1]x",
                                      "http://u@a",
                                      "http://a/x y",
                                      "http://a/x?y",
                                      "http://a\r\nX: y"};
    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_client *none = NULL;
        assert_int_equal(ig_client_new(&none, BAD[i], NULL, &err), IG_INVALID);
        assert_non_null(strstr(err.message, BAD[i]));
        assert_null(none);
    }
    static const char *const GOOD[] = {"http://a", "https://a", "https://[::1]:8443/x",
                                       "http://a:80/", "http://[::1]:8080/x/y//"};
    for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_client *one = NULL;
        assert_int_equal(ig_client_new(&one, GOOD[i], NULL, &err), IG_OK);
        ig_client_free(one);
    }
}

/* A listener that answers its one connection with fixed bytes and closes. */
struct liar {
    int fd;
    uint16_t port;
    const char *answer;
};

static void *lie(void *context)
{
    struct liar *liar = context;
    char bytes[1000];
    int fd = accept(liar->fd, NULL, NULL);
    (void)!recv(fd, bytes, sizeof bytes, 0);
    send_text(fd, liar->answer);
    close(fd);
    return NULL;
}

static void test_what_is_not_http(void **state)
{
    (void)state;
    static const struct {
        enum ig_code code;
        const char *answer, *message;
    } CASES[] = {
        {IG_PARSE, "SSH-2.0-x\r\n\r\n", "does not answer in HTTP"},
        {IG_PARSE, "HTTP/1.1 200 OK\nContent-Length: 0\n\n", "does not answer in HTTP"},
        {IG_PARSE, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz", "chunked body"},
        {IG_IO, "HTTP/1.1 200 OK\r\nContent-", "closed by the server"},
        {IG_IO, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123", "closed by the server"},
        {IG_OK, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nuntil the end", ""},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof address;
        struct liar liar = {.fd = socket(AF_INET, SOCK_STREAM, 0), .answer = CASES[i].answer};
        uint64_t thread;
        char url[64];
        struct ig_err err = IG_ERR_INIT;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(bind(liar.fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(liar.fd, 1), 0);
        getsockname(liar.fd, (struct sockaddr *)&address, &size);
        ig_thread_start(&thread, "liar", lie, &liar, &err);
        snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
        ig_client_free(client);
        assert_int_equal(ig_client_new(&client, url, NULL, &err), IG_OK);
        const struct ig_client_call call = {.method = "GET", .path = "/"};
        enum ig_code code = ig_client_call(client, &call, &reply, &err);
        if (code != CASES[i].code || !strstr(err.message, CASES[i].message))
            fail_msg("case %zu: %s: %s", i, ig_code_name(code), err.message);
        if (!code) assert_body("until the end");
        ig_thread_join(thread);
        close(liar.fd);
        /* Nobody listens there any more. */
        ig_client_free(client);
        err = IG_ERR_INIT;
        assert_int_equal(ig_client_new(&client, url, NULL, &err), IG_OK);
        assert_int_equal(ig_client_call(client, &call, &reply, &err), IG_UNAVAILABLE);
        assert_non_null(strstr(err.message, "127.0.0.1 port "));
    }
}

/* Answers one request, closes behind the second unanswered, and answers a new connection. */
static void *lie_twice(void *context)
{
    const struct liar *liar = context;
    char bytes[1000];
    int fd = accept(liar->fd, NULL, NULL);
    (void)!recv(fd, bytes, sizeof bytes, 0);
    send_text(fd, liar->answer);
    (void)!recv(fd, bytes, sizeof bytes, 0);
    close(fd);
    fd = accept(liar->fd, NULL, NULL);
    (void)!recv(fd, bytes, sizeof bytes, 0);
    send_text(fd, liar->answer);
    close(fd);
    return NULL;
}

/* A kept connection that closes behind a request: GET is repeated, POST is not. */
static void test_stale_connection(void **state)
{
    (void)state;
    for (int post = 0; post <= 1; post++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof address;
        struct liar liar = {.fd = socket(AF_INET, SOCK_STREAM, 0),
                            .answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"};
        uint64_t thread;
        char url[64];
        struct ig_err err = IG_ERR_INIT;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(bind(liar.fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(liar.fd, 2), 0);
        getsockname(liar.fd, (struct sockaddr *)&address, &size);
        ig_thread_start(&thread, "liar", lie_twice, &liar, &err);
        snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
        ig_client_free(client);
        assert_int_equal(ig_client_new(&client, url, NULL, &err), IG_OK);
        const struct ig_client_call get = {.method = "GET", .path = "/"};
        const struct ig_client_call second = {.method = post ? "POST" : "GET", .path = "/"};
        assert_int_equal(ig_client_call(client, &get, &reply, &err), IG_OK);
        assert_int_equal(ig_client_call(client, &second, &reply, &err), post ? IG_IO : IG_OK);
        err = IG_ERR_INIT;
        if (post) assert_int_equal(ig_client_call(client, &second, &reply, &err), IG_OK);
        assert_body("ok");
        ig_thread_join(thread);
        close(liar.fd);
    }
}

/* A byte at a time, for ever. */
static void *drip(void *context)
{
    const struct liar *liar = context;
    char bytes[1000];
    int fd = accept(liar->fd, NULL, NULL);
    (void)!recv(fd, bytes, sizeof bytes, 0);
    send_text(fd, liar->answer);
    while (send(fd, "x", 1, MSG_NOSIGNAL) == 1) usleep(10000);
    close(fd);
    return NULL;
}

static void *cancel_soon(void *context)
{
    usleep(100 * 1000);
    atomic_store((atomic_bool *)context, true);
    return NULL;
}

/* A whole call ends at its own limit, and soon after it was cancelled. */
static void test_calls_that_must_end(void **state)
{
    (void)state;
    static atomic_bool cancelled;
    atomic_store(&cancelled, false);
    for (int cancels = 0; cancels <= 1; cancels++) {
        struct sockaddr_in address = {.sin_family = AF_INET};
        socklen_t size = sizeof address;
        struct liar liar = {.fd = socket(AF_INET, SOCK_STREAM, 0),
                            .answer = "HTTP/1.1 200 OK\r\nRetry-After: 7\r\n"
                                      "Content-Length: 50000\r\n\r\n"};
        uint64_t thread, canceller = 0;
        char url[64];
        struct ig_err err = IG_ERR_INIT;
        const struct ig_client_options options = {.call_timeout_ms = cancels ? 20000 : 100,
                                                  .cancelled = &cancelled};
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        assert_int_equal(bind(liar.fd, (struct sockaddr *)&address, size), 0);
        assert_int_equal(listen(liar.fd, 1), 0);
        getsockname(liar.fd, (struct sockaddr *)&address, &size);
        ig_thread_start(&thread, "liar", drip, &liar, &err);
        if (cancels) ig_thread_start(&canceller, "cancel", cancel_soon, &cancelled, &err);
        snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
        ig_client_free(client);
        assert_int_equal(ig_client_new(&client, url, &options, &err), IG_OK);
        const struct ig_client_call call = {.method = "GET", .path = "/"};
        uint64_t begun_ns = ig_clock_ns();
        assert_int_equal(ig_client_call(client, &call, &reply, &err),
                         cancels ? IG_CANCELLED : IG_TIMEOUT);
        assert_true(ig_clock_ns() - begun_ns < UINT64_C(5000000000));
        assert_int_equal(reply.retry_after_s, 7);
        ig_thread_join(thread);
        if (cancels) ig_thread_join(canceller);
        close(liar.fd);
    }
}

static void test_public_only(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_client_options options = {.public_only = true};
    static const char *const urls[] = {"http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1",
                                       "http://0x7f.1:1"};
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        const struct ig_client_call call = {.method = "GET", .path = "/"};
        ig_client_free(client);
        err = IG_ERR_INIT;
        assert_int_equal(ig_client_new(&client, urls[i], &options, &err), IG_OK);
        assert_int_equal(ig_client_call(client, &call, &reply, &err), IG_DENIED);
        assert_non_null(strstr(err.message, "which is not a public address"));
    }
    err = IG_ERR_INIT;
    assert_int_equal(ig_client_check_public("1.1.1.1", &err), IG_OK);
    assert_int_equal(ig_client_check_public("10.0.0.1", &err), IG_DENIED);
    err = IG_ERR_INIT;
    assert_int_equal(ig_client_check_public("no.such.name.invalid", &err), IG_UNAVAILABLE);
}

static void test_escape(void **state)
{
    (void)state;
    struct ig_buf buf;
    ig_buf_init(&buf, 100);
    ig_client_escape(&buf, IG_STR("a/b c%.~\xc3\xa9"));
    assert_true(ig_str_is(ig_buf_view(&buf), "a%2Fb%20c%25.~%C3%A9"));
    ig_buf_deinit(&buf);
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_client *fresh = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_client_new(&fresh, "http://127.0.0.1:1/prefix", NULL, &err);
        failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        ig_client_free(fresh);
    }
}

/* Client and server share the allocator here: either may be the one that goes without. */
static void test_calls_without_memory(void **state)
{
    (void)state;
    const struct ig_client_call call = {
        .method = "POST", .path = "/stream/echo", .body = IG_STR("hello")};
    bool failed = true;
    for (uint64_t n = 1; failed; n++) {
        struct ig_err err = IG_ERR_INIT;
        ig_client_free(client);
        connect_client("", 2000);
        ig_buf_deinit(&reply.body);
        ig_mem_fail_after(n);
        enum ig_code code = ig_client_call(client, &call, &reply, &err);
        failed = ig_mem_failed();
        ig_mem_fail_after(0);
        if (code != IG_OK && code != IG_NO_MEMORY && code != IG_IO)
            fail_msg("allocation %d: %s: %s", (int)n, ig_code_name(code), err.message);
        if (!failed) assert_int_equal(code, IG_OK);
        if (!failed) assert_body("hello");
        call_ok(&(struct ig_client_call){.method = "GET", .path = "/now"}, 200);
    }
}

/* Trust. */

static enum ig_code ask(const char *url, const char *ca_file, struct ig_err *err)
{
    const struct ig_client_options options = {.ca_file = ca_file, .connect_timeout_ms = 500};
    const struct ig_client_call call = {.method = "GET", .path = "/now"};
    struct ig_client *own = NULL;
    *err = IG_ERR_INIT;
    if (!ig_client_new(&own, url, &options, err)) (void)ig_client_call(own, &call, &reply, err);
    ig_client_free(own);
    return err->code;
}

/* The server shows another certificate from here on. */
static void show(const struct pki_names *names)
{
    struct ig_err err = IG_ERR_INIT;
    pki_issue(&test_pki, names, test_pki.files[1], test_pki.files[2]);
    assert_int_equal(ig_tls_refresh(over_tls, true, &err), IG_TLS_RENEWED);
}

static void test_certificates_are_checked(void **state)
{
    (void)state;
    static const struct {
        struct pki_names names;
        const char *wrong; /* or NULL: good for 127.0.0.1 and for localhost */
    } CASES[] = {
        {{"elsewhere", "DNS:elsewhere,IP:127.0.0.9", -1, 30, false}, "is for another name"},
        {{"127.0.0.1", NULL, -1, 30, false}, "is for another name"},
        {{"localhost", "DNS:*,DNS:*.localhost,IP:127.0.0.2", -1, 30, false}, "for another name"},
        {{"late", "DNS:localhost,IP:127.0.0.1", -9, -1, false}, "has expired"},
        {{"early", "DNS:localhost,IP:127.0.0.1", 1, 30, false}, "is not valid yet"},
        {{"good", "DNS:elsewhere,DNS:localhost,IP:127.0.0.1", -1, 30, false}, NULL},
    };
    struct ig_err err;
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        show(&CASES[i].names);
        for (int named = 0; named < 2; named++) {
            char url[64];
            snprintf(url, sizeof url, "https://%s:%u", named ? "localhost" : "127.0.0.1",
                     ig_http_server_port(server));
            enum ig_code code = ask(url, test_pki.files[0], &err);
            if (code != (CASES[i].wrong ? IG_DENIED : IG_OK) ||
                (code && !strstr(err.message, CASES[i].wrong)))
                fail_msg("case %zu, %s: %s %s", i, url, ig_code_name(code), err.message);
        }
    }
    show(&PKI_LOCAL);
}

static void test_cas_are_checked(void **state)
{
    (void)state;
    char url[64];
    struct pki other;
    struct ig_err err;
    snprintf(url, sizeof url, "https://127.0.0.1:%u", ig_http_server_port(server));
    pki_make(&other);
    assert_int_equal(ask(url, other.files[0], &err), IG_DENIED); /* a CA of the same name */
    assert_non_null(strstr(err.message, "its certificate is "));
    assert_int_equal(ask(url, NULL, &err), IG_DENIED);
    assert_non_null(strstr(err.message, "is of an unknown CA"));
    pki_remove(&other);
    assert_int_equal(ask(url, test_pki.files[2], &err), IG_PARSE);
    assert_non_null(strstr(err.message, test_pki.files[2]));
    assert_int_equal(ask(url, "no such file", &err), IG_NOT_FOUND);
    assert_int_equal(ask(url, test_pki.files[0], &err), IG_OK);
}

static void test_servers_without_tls(void **state)
{
    (void)state;
    struct ig_http_server_options options = test_options();
    struct ig_err err;
    char url[64];
    options.tls = NULL;
    options.head_timeout_ms = 5000;
    struct ig_http_server *plain = test_start(&options);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", ig_http_server_port(plain));
    assert_int_equal(ask(url, test_pki.files[0], &err), IG_IO);
    assert_non_null(strstr(err.message, "127.0.0.1 port "));
    assert_non_null(strstr(err.message, "does not speak TLS"));
    assert_int_equal(test_stop(plain, 1000), 0);
    /* And without any answer. */
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    getsockname(fd, (struct sockaddr *)&address, &size);
    snprintf(url, sizeof url, "https://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(ask(url, test_pki.files[0], &err), IG_TIMEOUT);
    assert_non_null(strstr(err.message, "no TLS handshake within 500 ms"));
    close(fd);
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_SERVER(test_calls_on_one_connection),
        WITH_SERVER(test_large_from_and_to_files),
        WITH_SERVER(test_early_answer_ends_an_upload),
        WITH_SERVER(test_caps_and_cancel),
        WITH_SERVER(test_prefix),
        WITH_SERVER(test_slow_server),
        cmocka_unit_test(test_urls),
        WITH_SERVER(test_what_is_not_http),
        WITH_SERVER(test_stale_connection),
        WITH_SERVER(test_calls_that_must_end),
        WITH_SERVER(test_public_only),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_every_allocation_fails),
        WITH_SERVER(test_calls_without_memory),
    };
    const struct CMUnitTest trust[] = {
        WITH_SERVER(test_certificates_are_checked),
        WITH_SERVER(test_cas_are_checked),
        WITH_SERVER(test_servers_without_tls),
    };
    return RUN_PLAIN_AND_TLS(tests) + cmocka_run_group_tests(trust, tls_on, tls_off);
}
