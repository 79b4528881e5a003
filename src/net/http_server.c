/* SPDX-License-Identifier: Apache-2.0 */
/* The server's frame: listeners, loop threads, pools, start and stop.
 *
 * Each loop has its own SO_REUSEPORT listener, and the kernel spreads connections over them. Before
 * the first one a plain socket is bound and closed again: SO_REUSEPORT alone would let a second
 * server take half of the connections of a first one without a word.
 *
 * Stop: every loop takes what its listener still holds, closes it and its idle connections, and
 * ends when the last connection does. Behind the drain time connections are cut; a worker that is
 * still in a call is waited for, because nothing can take its memory away. Thread rule: see the
 * header. */
#include "net/grpc.h"
#include "net/http_server_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ACCEPTS_MAX = 64, ACCEPT_PAUSE_MS = 100, BACKLOG = 1024, LOOPS_MAX = 64 };

#define LOOP_OF(member_pointer, member)                                                            \
    ((struct ig_http_loop *)((char *)(member_pointer)-offsetof(struct ig_http_loop, member)))

/* Sockets. */

int64_t ig_http_socket_read(struct ig_http_conn *conn, void *bytes, size_t size_bytes)
{
    ssize_t got = recv(conn->fd, bytes, size_bytes, 0);
    return got >= 0 ? got : -errno;
}

int64_t ig_http_socket_writev(struct ig_http_conn *conn, const struct iovec *parts, int count)
{
    if (count == 1) {
        ssize_t one = send(conn->fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL);
        return one >= 0 ? one : -errno;
    }
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(conn->fd, &message, MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
}

static void describe_peer(struct ig_http_conn *conn, const struct sockaddr_storage *address)
{
    char text[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
        conn->is_loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        snprintf(conn->peer, sizeof conn->peer, "%s:%u", text, ntohs(v4->sin_port));
    } else if (address->ss_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)address;
        inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
        conn->is_loopback =
            IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) ||
            (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr) && v6->sin6_addr.s6_addr[12] == 127);
        snprintf(conn->peer, sizeof conn->peer, "[%s]:%u", text, ntohs(v6->sin6_port));
    }
}

static void turn_away(struct ig_http_loop *home, int fd)
{
    static const char BUSY[] = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                               "Retry-After: 1\r\nConnection: close\r\n\r\n";
    if (!home->server->options.tls)
        (void)!send(fd, BUSY, sizeof BUSY - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    shutdown(fd, SHUT_WR);
    close(fd);
    ig_http_count(&home->counters.refused_connections, 1);
}

static void take_connection(struct ig_http_loop *home, int fd,
                            const struct sockaddr_storage *address)
{
    struct ig_http_server *server = home->server;
    struct ig_err err = IG_ERR_INIT;
    unsigned open = atomic_fetch_add(&server->connections_open, 1);
    struct ig_http_conn *conn = NULL;
    if (open < server->options.connections_max) conn = ig_zalloc(sizeof *conn);
    if (!conn || ig_loop_add(home->loop, fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                             &conn->source, &err)) {
        atomic_fetch_sub(&server->connections_open, 1);
        ig_free(conn);
        turn_away(home, fd);
        return;
    }
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    conn->fd = fd;
    conn->read = ig_http_socket_read;
    conn->writev = ig_http_socket_writev;
    if (server->options.tls) ig_http_tls_begin(conn);
    describe_peer(conn, address);
    ig_http_conn_init(conn, home);
    ig_http_count(&home->counters.accepted, 1);
}

/* Out of descriptors: rests the listeners, clients wait in the backlog. */
static void pause_accepting(struct ig_http_loop *home, int error)
{
    ig_log(IG_LOG_WARN, "accept_paused", IG_LOG_C("reason", strerror(error)),
           IG_LOG_I("pause_ms", ACCEPT_PAUSE_MS));
    for (int i = 0; i < IG_HTTP_PORTS_MAX; i++)
        if (home->listeners[i].fd >= 0) ig_loop_remove(home->loop, home->listeners[i].fd);
    ig_loop_timer_set(home->loop, &home->accept_pause,
                      ig_loop_now_ms(home->loop) + ACCEPT_PAUSE_MS);
}

static void accept_some(const struct ig_http_listener *listener, int most)
{
    struct ig_http_loop *home = listener->home;
    for (int i = 0; i < most && listener->fd >= 0; i++) {
        struct sockaddr_storage address = {0};
        socklen_t size = sizeof address;
        int fd =
            accept4(listener->fd, (struct sockaddr *)&address, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            take_connection(home, fd, &address);
            continue;
        }
        bool short_of = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (short_of) pause_accepting(home, errno);
        if (errno != ECONNABORTED && errno != EINTR) return;
    }
}

static void on_listener(struct ig_loop_source *source, uint32_t events)
{
    (void)events;
    accept_some((const struct ig_http_listener *)(const void *)source, ACCEPTS_MAX);
}

static void on_accept_pause(struct ig_loop_timer *timer)
{
    struct ig_http_loop *home = LOOP_OF(timer, accept_pause);
    struct ig_err err = IG_ERR_INIT;
    for (int i = 0; i < IG_HTTP_PORTS_MAX; i++) {
        struct ig_http_listener *listener = &home->listeners[i];
        if (listener->fd < 0) continue;
        ig_loop_remove(home->loop, listener->fd); /* one that was added before another failed */
        if (ig_loop_add(home->loop, listener->fd, EPOLLIN, &listener->source, &err))
            ig_loop_timer_set(home->loop, timer, ig_loop_now_ms(home->loop) + ACCEPT_PAUSE_MS);
    }
}

static void close_listeners(struct ig_http_loop *home)
{
    for (int i = 0; i < IG_HTTP_PORTS_MAX; i++) {
        if (home->listeners[i].fd >= 0) close(home->listeners[i].fd);
        home->listeners[i].fd = -1;
    }
}

/* Loop threads. */

static void on_drain(struct ig_loop_task *task)
{
    struct ig_http_loop *home = LOOP_OF(task, drain);
    for (int i = 0; i < IG_HTTP_PORTS_MAX; i++) accept_some(&home->listeners[i], BACKLOG);
    close_listeners(home);
    atomic_store(&home->draining, true);
    ig_loop_timer_clear(home->loop, &home->accept_pause);
    for (struct ig_http_conn *conn = home->conns; conn; conn = conn->next) {
        conn->readable = true; /* a request may lie in the socket already */
        if (conn->http2)
            ig_http2_drain(conn);
        else
            ig_http_conn_run(conn);
        if (!conn->dead && ig_http_conn_idle(conn)) ig_http_conn_close(conn);
    }
}

static void on_cut(struct ig_loop_task *task)
{
    struct ig_http_loop *home = LOOP_OF(task, cut);
    for (struct ig_http_conn *conn = home->conns; conn; conn = conn->next) {
        if (!conn->dead && !ig_http_conn_idle(conn)) home->cut_count++;
        ig_http_conn_close(conn);
    }
}

static void *run_loop(void *context)
{
    struct ig_http_loop *home = context;
    struct ig_http_server *server = home->server;
    while (!atomic_load_explicit(&home->draining, memory_order_relaxed) || home->conns)
        ig_loop_turn(home->loop, -1);
    pthread_mutex_lock(&server->lock);
    server->loops_running--;
    pthread_cond_signal(&server->stopped);
    pthread_mutex_unlock(&server->lock);
    return NULL;
}

static bool submit(struct ig_http_server *server, struct ig_http_call *call, bool stream)
{
    struct ig_pool *own = call->exchange.pool ? call->exchange.pool : server->workers;
    return ig_pool_submit(stream ? server->streams : own, ig_http_call_work, call);
}

/* Start. */

static enum ig_code resolve(struct addrinfo **out, const struct ig_http_server_options *options,
                            struct ig_err *err)
{
    char port[8];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *host = strcmp(options->host, "localhost") == 0 ? "127.0.0.1" : options->host;
    hints.ai_flags |= AI_NUMERICHOST;
    snprintf(port, sizeof port, "%u", options->port);
    int bad = getaddrinfo(host, port, &hints, out);
    if (bad)
        return ig_fail(err, IG_INVALID,
                       "listen address '%s': %s; expected a numeric address or localhost", host,
                       gai_strerror(bad));
    return IG_OK;
}

static enum ig_code bind_failed(const char *host, unsigned port, struct ig_err *err)
{
    enum ig_code code = IG_IO;
    if (errno == EADDRINUSE) code = IG_EXISTS;
    if (errno == EACCES) code = IG_DENIED;
    return ig_fail(err, code, "cannot listen on %s port %u: %s", host, port, strerror(errno));
}

static int bound_socket(const struct sockaddr *address, socklen_t size, bool shared)
{
    int on = 1, fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (shared) setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
    if (bind(fd, address, size) != 0 || (shared && listen(fd, BACKLOG) != 0)) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void set_port(struct sockaddr_storage *address, uint16_t port)
{
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
}

/* A listener a loop on that port, or on any free one; `number` is its place in each loop. */
static enum ig_code open_port(struct ig_http_server *server, unsigned number, uint16_t *port,
                              const struct sockaddr_storage *wanted, struct ig_err *err)
{
    const char *host = server->options.host;
    struct sockaddr_storage address = *wanted;
    socklen_t size =
        address.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    set_port(&address, *port);
    int probe = bound_socket((struct sockaddr *)&address, size, false);
    if (probe < 0) return bind_failed(host, *port, err);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } got = {0};
    socklen_t got_size = sizeof got;
    int status = getsockname(probe, &got.any, &got_size);
    close(probe);
    if (status != 0) return bind_failed(host, *port, err);
    *port = ntohs(got.any.sa_family == AF_INET6 ? got.v6.sin6_port : got.v4.sin_port);
    set_port(&address, *port);
    for (unsigned i = 0; i < server->loops_count; i++) {
        struct ig_http_loop *home = &server->loops[i];
        struct ig_http_listener *listener = &home->listeners[number];
        listener->fd = bound_socket((struct sockaddr *)&address, size, true);
        if (listener->fd < 0) return bind_failed(host, *port, err);
        if (ig_loop_add(home->loop, listener->fd, EPOLLIN, &listener->source, err))
            return err->code;
    }
    return IG_OK;
}

static enum ig_code open_listeners(struct ig_http_server *server, struct ig_err *err)
{
    const struct ig_http_server_options *options = &server->options;
    struct addrinfo *found = NULL;
    struct sockaddr_storage address = {0};
    if (options->more_ports_count >= IG_HTTP_PORTS_MAX)
        return ig_fail(err, IG_INVALID, "%u ports, at most %d", options->more_ports_count + 1,
                       IG_HTTP_PORTS_MAX);
    if (resolve(&found, options, err) != IG_OK) return err->code;
    memcpy(&address, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    server->port = options->port;
    if (open_port(server, 0, &server->port, &address, err) != IG_OK) return err->code;
    for (unsigned i = 0; i < options->more_ports_count; i++) {
        uint16_t port = options->more_ports[i];
        if (open_port(server, i + 1, &port, &address, err) != IG_OK) return err->code;
    }
    return IG_OK;
}

#define DEFAULT(field, value)                                                                      \
    if (!options->field) options->field = (value)

static void fill_defaults(struct ig_http_server_options *options)
{
    unsigned cpus = ig_cpu_count();
    DEFAULT(host, "127.0.0.1");
    DEFAULT(loops, cpus < 8 ? cpus : 8);
    if (options->loops > LOOPS_MAX) options->loops = LOOPS_MAX;
    DEFAULT(workers, cpus < 2 ? 2 : cpus);
    DEFAULT(workers_queue, 1024);
    DEFAULT(stream_workers, 32);
    DEFAULT(connections_max, 10000);
    DEFAULT(head_max_bytes, 24 * 1024);
    DEFAULT(target_max_bytes, 16 * 1024);
    DEFAULT(headers_max, 64);
    DEFAULT(reply_max_bytes, (size_t)64 << 20);
    DEFAULT(arena_max_bytes, (size_t)64 << 20);
    DEFAULT(inflight_max_bytes, (uint64_t)1 << 30);
    DEFAULT(stream_ring_bytes, 256 * 1024);
    DEFAULT(head_timeout_ms, 10000);
    DEFAULT(idle_timeout_ms, 60000);
    DEFAULT(body_timeout_ms, 20000);
    DEFAULT(client_bytes_per_s, 512);
    DEFAULT(write_timeout_ms, 30000);
    DEFAULT(call_timeout_ms, 60000);
    DEFAULT(stream_timeout_ms, 3600000);
    DEFAULT(http2_streams_max, 100);
    DEFAULT(http2_connection_bytes, (uint64_t)256 << 20);
    DEFAULT(tls_handshakes_max, 1024);
}

static enum ig_code check_options(const struct ig_http_server_options *options, struct ig_err *err)
{
    size_t ring = options->stream_ring_bytes;
    if (ring & (ring - 1))
        return ig_fail(err, IG_INVALID, "stream_ring_bytes %zu is not a power of two", ring);
    if (options->head_max_bytes > (size_t)1 << 20)
        return ig_fail(err, IG_INVALID, "head_max_bytes %zu is over 1 MiB",
                       options->head_max_bytes);
    if (!options->handler.on_request || !options->handler.on_body)
        return ig_fail(err, IG_INVALID, "the handler lacks on_request or on_body");
    for (unsigned i = 0; i < options->grpc_count; i++) {
        const struct ig_grpc_service *service = &options->grpc[i];
        if (!service->prefix || service->prefix[0] != '/' || !service->on_call ||
            !service->on_message)
            return ig_fail(err, IG_INVALID, "gRPC service %u lacks a prefix or callbacks", i);
    }
    return IG_OK;
}

/* Everything but the threads of the loops. */
static enum ig_code set_up(struct ig_http_server *server, struct ig_err *err)
{
    const struct ig_http_server_options *options = &server->options;
    server->limits = (struct ig_http1_limits){.head_max_bytes = options->head_max_bytes,
                                              .target_max_bytes = options->target_max_bytes,
                                              .headers_max = options->headers_max};
    server->extra_headers = ig_str_view(options->extra_headers);
    server->submit = submit;
    server->loops = ig_zalloc_array(options->loops, sizeof *server->loops);
    if (!server->loops) return ig_fail(err, IG_NO_MEMORY, "no memory for event loops");
    server->loops_count = options->loops;
    for (unsigned i = 0; i < server->loops_count; i++) {
        struct ig_http_loop *home = &server->loops[i];
        home->server = server;
        home->index = i;
        for (int p = 0; p < IG_HTTP_PORTS_MAX; p++)
            home->listeners[p] = (struct ig_http_listener){{on_listener}, home, -1};
        home->accept_pause.on_due = on_accept_pause;
        home->drain.run = on_drain;
        home->cut.run = on_cut;
    }
    for (unsigned i = 0; i < server->loops_count; i++) {
        enum ig_code code = ig_loop_new(&server->loops[i].loop, err);
        if (code) return code;
    }
    enum ig_code code = open_listeners(server, err);
    if (!code)
        code =
            ig_pool_new(&server->workers, "ig-work", options->workers, options->workers_queue, err);
    if (!code)
        code = ig_pool_new(&server->streams, "ig-stream", options->stream_workers,
                           options->stream_workers, err);
    return code;
}

/* The loops have ended: no call is left in either pool. */
static void stop_pools(struct ig_http_server *server)
{
    ig_pool_free(server->workers);
    ig_pool_free(server->streams);
    server->workers = server->streams = NULL;
}

void ig_http_server_free(struct ig_http_server *server)
{
    if (!server) return;
    IG_ASSERT(!server->loops_running);
    stop_pools(server);
    for (unsigned i = 0; i < server->loops_count; i++) {
        struct ig_http_loop *home = &server->loops[i];
        close_listeners(home);
        while (home->free_calls) {
            struct ig_http_call *call = home->free_calls;
            home->free_calls = call->next_free;
            ig_http_call_free(call);
        }
        ig_http2_loop_deinit(home);
        ig_free(home->tls_out);
        ig_loop_free(home->loop);
    }
    ig_free(server->loops);
    pthread_cond_destroy(&server->stopped);
    pthread_mutex_destroy(&server->lock);
    ig_free(server);
}

enum ig_code ig_http_server_start(struct ig_http_server **out,
                                  const struct ig_http_server_options *options, struct ig_err *err)
{
    pthread_condattr_t monotonic;
    struct ig_http_server *server = ig_zalloc(sizeof *server);
    if (!server) return ig_fail(err, IG_NO_MEMORY, "no memory for a server");
    server->options = *options;
    fill_defaults(&server->options);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&server->stopped, &monotonic);
    pthread_condattr_destroy(&monotonic);
    enum ig_code code = check_options(&server->options, err);
    if (!code) code = set_up(server, err);
    if (code) {
        ig_http_server_free(server);
        return code;
    }
    unsigned started = 0;
    for (; !code && started < server->loops_count; started++) {
        char name[16];
        snprintf(name, sizeof name, "ig-loop-%u", started % 1000);
        pthread_mutex_lock(&server->lock);
        server->loops_running++;
        pthread_mutex_unlock(&server->lock);
        code = ig_thread_start(&server->loops[started].thread, name, run_loop,
                               &server->loops[started], err);
    }
    if (code) { /* the last one did not start */
        pthread_mutex_lock(&server->lock);
        server->loops_running--;
        pthread_mutex_unlock(&server->lock);
        server->loops[started - 1].thread = 0;
        ig_http_server_stop(server, 0);
        ig_http_server_free(server);
        return code;
    }
    *out = server;
    return IG_OK;
}

uint16_t ig_http_server_port(const struct ig_http_server *server)
{
    return server->port;
}

/* Posts one task to every loop that runs. */
static void post_all(struct ig_http_server *server, bool cut)
{
    for (unsigned i = 0; i < server->loops_count; i++) {
        struct ig_http_loop *home = &server->loops[i];
        ig_loop_post(home->loop, cut ? &home->cut : &home->drain);
    }
}

unsigned ig_http_server_stop(struct ig_http_server *server, unsigned drain_ms)
{
    uint64_t until_ns = ig_clock_ns() + drain_ms * UINT64_C(1000000);
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
                             .tv_nsec = (long)(until_ns % 1000000000u)};
    int timed_out = 0;
    unsigned cut_count = 0;
    post_all(server, false);
    pthread_mutex_lock(&server->lock);
    while (server->loops_running && !timed_out)
        timed_out = pthread_cond_timedwait(&server->stopped, &server->lock, &until);
    bool cut = server->loops_running > 0;
    pthread_mutex_unlock(&server->lock);
    if (cut) post_all(server, true);
    for (unsigned i = 0; i < server->loops_count; i++) {
        if (server->loops[i].thread) ig_thread_join(server->loops[i].thread);
        cut_count += server->loops[i].cut_count;
    }
    stop_pools(server);
    return cut_count;
}

void ig_http_server_wait_quiescent(void *context)
{
    struct ig_http_server *server = context;
    for (unsigned i = 0; i < server->loops_count; i++)
        ig_loop_wait_quiescent(server->loops[i].loop);
}

static uint64_t load(_Atomic uint64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void ig_http_server_stats(struct ig_http_server *server, struct ig_http_stats *stats)
{
    *stats = (struct ig_http_stats){.inflight_bytes = load(&server->inflight_bytes),
                                    .streams_active = atomic_load(&server->streams_active),
                                    .workers_queued =
                                        server->workers ? ig_pool_queued(server->workers) : 0,
                                    .connections_open = atomic_load(&server->connections_open)};
    for (unsigned i = 0; i < server->loops_count; i++) {
        struct ig_http_counters *counters = &server->loops[i].counters;
        stats->connections_accepted += load(&counters->accepted);
        stats->connections_refused += load(&counters->refused_connections);
        stats->requests += load(&counters->requests);
        stats->requests_refused += load(&counters->refused);
        stats->received_bytes += load(&counters->received_bytes);
        stats->sent_bytes += load(&counters->sent_bytes);
        stats->tls_handshakes += load(&counters->tls_handshakes);
        stats->tls_failed += load(&counters->tls_failed);
        for (int class = 1; class <= 5; class ++)
            stats->responses_1xx_5xx[class] += load(&counters->responses[class]);
    }
}
