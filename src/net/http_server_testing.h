/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP_SERVER_TESTING_H
#define IG_NET_HTTP_SERVER_TESTING_H

/* What the server's test programs share: a handler with one route a behaviour, and a raw client.
 *
 *   /now            answered on the head, body not read
 *   /echo           buffered (cap 100,000), the body comes back from the loop
 *   /pool           the same from a worker
 *   /later          the same at the end of the loop's turn
 *   /again          from a worker, and then from one of another pool
 *   /peer           who asks
 *   /watch          a worker that waits until its client is gone; /stream/watch the same
 *   /wait           a worker that waits for `gate`, then "waited"
 *   /spin           holds the loop until `gate`
 *   /size?N         a reply of N bytes
 *   /empty          204
 *   /inject         tries to add a header with a line break
 *   /stream/echo    chunked, reads and writes in turn
 *   /stream/sink    reads all (cap 2 GiB), answers the count
 *   /stream/source?N   N bytes with Content-Length
 *   /stream/endless    writes until it fails
 *   /stream/short   promises 10 bytes, writes 5
 *   /stream/long    promises 3 bytes, writes 5
 *   /stream/small   reads all, cap 10 bytes
 *   /stream/status  begins with status 42
 *   /stream/ignore  reads nothing, answers at once
 */

#include "net/http_server_priv.h"
#include "net/http_socket_testing.h"

#include "base/clock.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    _Atomic int gate, waiting, ended, aborted, begun, cancelled;
    _Atomic int read_code, write_code; /* how the last stream ended */
    _Atomic uint64_t failed_ns;        /* when it did */
} seen;

static inline void sleep_ms(unsigned ms)
{
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    nanosleep(&pause, NULL);
}

static inline void wait_gate(void)
{
    atomic_fetch_add(&seen.waiting, 1);
    while (!atomic_load(&seen.gate)) sleep_ms(1);
}

/* Waits until *value reaches `least`; false behind three seconds. */
static inline bool reaches(_Atomic int *value, int least)
{
    for (int i = 0; i < 3000 && atomic_load(value) < least; i++) sleep_ms(1);
    return atomic_load(value) >= least;
}

static inline uint64_t query_number(const struct ig_exchange *exchange)
{
    uint64_t number = 0;
    (void)ig_str_to_u64(exchange->request.query, &number);
    return number;
}

static inline void work_echo(void *context, struct ig_exchange *exchange)
{
    (void)context;
    ig_buf_add_str(&exchange->reply, exchange->body);
}

static inline void work_wait(void *context, struct ig_exchange *exchange)
{
    (void)context;
    wait_gate();
    ig_buf_add_cstr(&exchange->reply, "waited");
}

static inline void note_failure(_Atomic int *code, const struct ig_err *err)
{
    atomic_store(&seen.failed_ns, ig_clock_ns());
    atomic_store(code, (int)err->code);
}

static inline void stream_echo(void *context, struct ig_exchange *exchange)
{
    char bytes[1000];
    struct ig_err err = IG_ERR_INIT;
    int64_t got = 0;
    (void)context;
    if (ig_exchange_begin(exchange, IG_HTTP_CHUNKED, &err)) return;
    while ((got = ig_exchange_read(exchange, bytes, sizeof bytes, &err)) > 0) {
        if (ig_exchange_write(exchange, bytes, (size_t)got, &err)) break;
    }
    if (err.code) ig_exchange_abort(exchange);
    if (err.code) note_failure(&seen.read_code, &err);
}

static inline void stream_sink(void *context, struct ig_exchange *exchange)
{
    char bytes[65536];
    struct ig_err err = IG_ERR_INIT;
    uint64_t total = 0;
    (void)context;
    for (int64_t got; (got = ig_exchange_read(exchange, bytes, sizeof bytes, &err)) > 0;) {
        for (int64_t i = 0; i < got; i += 1021) {
            if ((unsigned char)bytes[i] != (unsigned char)((total + (uint64_t)i) % 251))
                exchange->status = 422;
        }
        total += (uint64_t)got;
    }
    if (err.code) note_failure(&seen.read_code, &err);
    if (err.code) exchange->status = ig_code_http_status(err.code);
    ig_buf_printf(&exchange->reply, "%llu", (unsigned long long)total);
}

/* Bytes of the position modulo 251, so that a shift or a gap shows. */
static inline void fill_pattern(char *bytes, size_t size, uint64_t at)
{
    size_t made = size < 251 ? size : 251;
    for (size_t i = 0; i < made; i++) bytes[i] = (char)((at + i) % 251);
    while (made < size) { /* doubles; `made` stays a multiple of 251 */
        size_t more = made < size - made ? made : size - made;
        memcpy(bytes + made, bytes, more);
        made += more;
    }
}

static inline void stream_source(void *context, struct ig_exchange *exchange)
{
    char bytes[50000];
    struct ig_err err = IG_ERR_INIT;
    uint64_t left = query_number(exchange), at = 0;
    (void)context;
    enum ig_code code = ig_exchange_begin(exchange, (int64_t)left, &err);
    while (!code && left) {
        size_t size = left < sizeof bytes ? (size_t)left : sizeof bytes;
        fill_pattern(bytes, size, at);
        code = ig_exchange_write(exchange, bytes, size, &err);
        left -= size;
        at += size;
    }
    if (code) note_failure(&seen.write_code, &err);
}

static inline void stream_endless(void *context, struct ig_exchange *exchange)
{
    static const char BYTES[20000];
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    enum ig_code code = ig_exchange_begin(exchange, IG_HTTP_CHUNKED, &err);
    atomic_fetch_add(&seen.waiting, 1);
    while (!code) code = ig_exchange_write(exchange, BYTES, sizeof BYTES, &err);
    note_failure(&seen.write_code, &err);
}

static inline void stream_short(void *context, struct ig_exchange *exchange)
{
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    (void)ig_exchange_begin(exchange, 10, &err);
    (void)ig_exchange_write(exchange, "12345", 5, &err);
}

static inline void stream_long(void *context, struct ig_exchange *exchange)
{
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    (void)ig_exchange_begin(exchange, 3, &err);
    (void)ig_exchange_write(exchange, "12345", 5, &err);
    note_failure(&seen.write_code, &err);
}

static inline void stream_status(void *context, struct ig_exchange *exchange)
{
    struct ig_err err = IG_ERR_INIT;
    (void)context;
    exchange->status = 42;
    if (ig_exchange_begin(exchange, 3, &err)) note_failure(&seen.write_code, &err);
    exchange->status = 200;
}

static inline void work_watch(void *context, struct ig_exchange *exchange)
{
    (void)context;
    atomic_fetch_add(&seen.waiting, 1);
    for (int i = 0; i < 3000 && !ig_exchange_cancelled(exchange); i++) sleep_ms(1);
    if (ig_exchange_cancelled(exchange)) atomic_fetch_add(&seen.cancelled, 1);
}

static inline void stream_ignore(void *context, struct ig_exchange *exchange)
{
    (void)context;
    exchange->status = 403;
    ig_buf_add_cstr(&exchange->reply, "ignored");
}

static inline struct ig_http_decision begin_stream(struct ig_exchange *exchange)
{
    static const struct {
        const char *path;
        void (*work)(void *context, struct ig_exchange *exchange);
    } STREAMS[] = {{"/stream/echo", stream_echo},     {"/stream/sink", stream_sink},
                   {"/stream/source", stream_source}, {"/stream/endless", stream_endless},
                   {"/stream/short", stream_short},   {"/stream/ignore", stream_ignore},
                   {"/stream/long", stream_long},     {"/stream/small", stream_sink},
                   {"/stream/status", stream_status}, {"/stream/watch", work_watch},
                   {"/stream/wait", work_wait}};
    for (size_t i = 0; i < sizeof STREAMS / sizeof STREAMS[0]; i++) {
        if (ig_str_is(exchange->request.path, STREAMS[i].path)) exchange->work = STREAMS[i].work;
    }
    bool small = ig_str_is(exchange->request.path, "/stream/small");
    return (struct ig_http_decision){IG_HTTP_STREAM, small ? 10 : UINT64_C(2) << 30};
}

enum { LATER_MAX = 200 };

/* By loop: what waits for its turn's end. */
static struct {
    struct ig_exchange *exchanges[LATER_MAX];
    size_t count;
} later[2];

static inline enum ig_http_next wait_for_turn_end(struct ig_exchange *exchange)
{
    size_t at = later[exchange->loop].count++;
    assert_true(at < LATER_MAX);
    assert_true(exchange->turn_is_ending ==
                ig_loop_is_ending(ig_http_call_of(exchange)->conn->home->loop));
    later[exchange->loop].exchanges[at] = exchange;
    return IG_HTTP_AT_TURN_END;
}

/* Answering one may bring the next request of its connection, for the next turn. */
static inline void test_on_turn_end(void *context, unsigned loop)
{
    struct ig_exchange *waiting[LATER_MAX];
    size_t count = later[loop].count;
    assert_true(count > 0);
    memcpy(waiting, later[loop].exchanges, count * sizeof *waiting);
    later[loop].count = 0;
    for (size_t i = 0; i < count; i++) {
        work_echo(context, waiting[i]);
        ig_exchange_answered(waiting[i]);
    }
}

static struct ig_pool *second_pool;

static atomic_int answering; /* threads */

static inline void *answer_elsewhere(void *exchange)
{
    work_echo(NULL, exchange);
    ig_exchange_answered_later(exchange);
    atomic_fetch_sub(&answering, 1);
    return NULL;
}

static inline enum ig_http_next hand_over(struct ig_exchange *exchange)
{
    pthread_t thread;
    atomic_fetch_add(&answering, 1);
    assert_int_equal(pthread_create(&thread, NULL, answer_elsewhere, exchange), 0);
    pthread_detach(thread);
    return IG_HTTP_LATER;
}

/* The first time in the server's pool, then in the other. */
static inline void work_again(void *context, struct ig_exchange *exchange)
{
    (void)context;
    bool first = exchange->reply.len == 0;
    if (first) exchange->pool = second_pool;
    exchange->again = first;
    ig_buf_add_cstr(&exchange->reply, first ? "first " : exchange->pool ? "second" : "full");
}

static inline struct ig_http_decision test_on_request(void *context, struct ig_exchange *exchange)
{
    (void)context;
    struct ig_str path = exchange->request.path;
    atomic_fetch_add(&seen.begun, 1);
    exchange->user = &seen;
    exchange->content_type = "text/plain";
    if (ig_str_starts(path, IG_STR("/stream/"))) return begin_stream(exchange);
    if (ig_str_is(path, "/now")) {
        ig_buf_add_cstr(&exchange->reply, "now");
        return (struct ig_http_decision){.mode = IG_HTTP_RESPOND};
    }
    return (struct ig_http_decision){IG_HTTP_BUFFER, 100000};
}

static inline enum ig_http_next test_on_body(void *context, struct ig_exchange *exchange)
{
    (void)context;
    struct ig_str path = exchange->request.path;
    struct ig_err err = IG_ERR_INIT;
    exchange->work = ig_str_is(path, "/wait") ? work_wait : work_echo;
    if (ig_str_is(path, "/watch")) exchange->work = work_watch;
    if (ig_str_is(path, "/again")) exchange->work = work_again;
    if (ig_str_is(path, "/later")) return wait_for_turn_end(exchange);
    if (ig_str_is(path, "/handed")) return hand_over(exchange);
    if (ig_str_is(path, "/pool") || exchange->work != work_echo) return IG_HTTP_TO_POOL;
    if (ig_str_is(path, "/peer"))
        ig_buf_printf(&exchange->reply, "%s %s", exchange->request.peer,
                      exchange->request.is_loopback ? "local" : "remote");
    if (ig_str_is(path, "/spin")) wait_gate();
    if (ig_str_is(path, "/empty")) exchange->status = 204;
    if (ig_str_is(path, "/bad-status")) exchange->status = 42;
    if (ig_str_is(path, "/inject") &&
        ig_exchange_header(exchange, "X-Evil", IG_STR("a\r\nSet-Cookie: b"), &err))
        ig_buf_add_cstr(&exchange->reply, err.message);
    if (ig_str_is(path, "/bad-type")) exchange->content_type = "a\r\nSet-Cookie: b";
    if (ig_str_is(path, "/header"))
        (void)ig_exchange_header(exchange, "X-Own", IG_STR("yes"), &err);
    if (ig_str_is(path, "/size")) {
        size_t size = (size_t)query_number(exchange);
        if (ig_buf_reserve(&exchange->reply, size))
            fill_pattern(exchange->reply.ptr, size, 0), exchange->reply.len = size;
    }
    work_echo(context, exchange);
    return IG_HTTP_DONE;
}

static inline void test_on_end(void *context, struct ig_exchange *exchange)
{
    (void)context;
    if (exchange->aborted) atomic_fetch_add(&seen.aborted, 1);
    atomic_fetch_add(&seen.ended, 1);
}

static inline struct ig_http_server_options test_options(void)
{
    memset(&seen, 0, sizeof seen);
    memset(later, 0, sizeof later);
    return (struct ig_http_server_options){.loops = 2,
                                           .stream_workers = 4,
                                           .tls = over_tls,
                                           .extra_headers = "X-Content-Type-Options: nosniff\r\n",
                                           .handler = {.on_request = test_on_request,
                                                       .on_body = test_on_body,
                                                       .on_turn_end = test_on_turn_end,
                                                       .on_end = test_on_end}};
}

static inline struct ig_http_server *test_start(const struct ig_http_server_options *options)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_http_server *server = NULL;
    if (ig_http_server_start(&server, options, &err)) fail_msg("start: %s", err.message);
    return server;
}

static inline unsigned test_stop(struct ig_http_server *server, unsigned drain_ms)
{
    unsigned cut = ig_http_server_stop(server, drain_ms);
    ig_http_server_wait_quiescent(server); /* still allowed */
    while (atomic_load(&answering)) sleep_ms(1);
    ig_http_server_free(server);
    return cut;
}

#endif
