/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP/1.1 client on one TCP connection, with or without TLS.
 *
 * The socket is non-blocking underneath, and every wait is a poll with a deadline. A kept
 * connection that turns out to be closed before a byte of the answer came is opened anew once,
 * unless the request's body came from a descriptor and was begun. While an upload runs, an early
 * answer (413, 401) is noticed and ends the upload. Invariants: bytes [in_at, in_len) of `in` are
 * received and not yet used. Thread rule: one thread. */
#include "net/client.h"

#include "net/address.h"
#include "net/http1.h"
#include "net/tls.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    IN_BYTES = 64 * 1024,
    HEAD_MAX_BYTES = 32 * 1024,
    BODY_WITH_HEAD_MAX_BYTES = 32 * 1024,
    HEADERS_MAX = 128,
    HOST_MAX_BYTES = 256,
    REQUEST_MAX_BYTES = 64 * 1024,
    CANCEL_LOOK_MS = 50
};

struct ig_client {
    int fd; /* -1: not connected */
    bool is_secure;
    struct ig_tls_trust *trust; /* of an https URL; else NULL */
    struct ig_tls_session *tls; /* while connected to one */
    unsigned connect_timeout_ms, io_timeout_ms, call_timeout_ms;
    bool public_only;
    const bool _Atomic *cancelled;
    const struct ig_client_call *call; /* that runs */
    uint64_t call_until_ns;            /* of it; 0: no limit */
    char host[HOST_MAX_BYTES];         /* without brackets, for the resolver */
    char port[8];
    struct ig_buf authority; /* for the Host header */
    struct ig_buf prefix;
    struct ig_buf headers;
    struct ig_buf request; /* the head being sent */
    size_t in_at, in_len;
    struct ig_http_header fields[HEADERS_MAX];
    char in[IN_BYTES];
};

/* Addresses. */

static bool take_port(struct ig_client *client, struct ig_str text, uint64_t port)
{
    if (text.ptr && (!ig_str_to_u64(text, &port) || port == 0 || port > 65535)) return false;
    snprintf(client->port, sizeof client->port, "%u", (unsigned)port);
    return true;
}

/* host, host:port, [v6] or [v6]:port */
static bool take_authority(struct ig_client *client, struct ig_str text, uint64_t usual_port)
{
    ig_buf_add_str(&client->authority, text);
    struct ig_str host, port = {0};
    if (text.len && text.ptr[0] == '[') {
        const char *close = memchr(text.ptr, ']', text.len);
        if (!close) return false;
        host = (struct ig_str){text.ptr + 1, (size_t)(close - text.ptr) - 1};
        struct ig_str rest = {close + 1, text.len - host.len - 2};
        if (rest.len && rest.ptr[0] != ':') return false;
        if (rest.len) port = (struct ig_str){rest.ptr + 1, rest.len - 1};
    } else {
        port = text;
        host = ig_str_cut(&port, ':');
    }
    if (!host.len || host.len >= sizeof client->host || memchr(host.ptr, '@', host.len) ||
        memchr(host.ptr, '\0', host.len) || !ig_http_field_value_valid(text))
        return false;
    memcpy(client->host, host.ptr, host.len);
    return take_port(client, port, usual_port);
}

static enum ig_code bad_url(const char *url, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "server URL '%s': expected http[s]://host[:port][/prefix]",
                   url);
}

static enum ig_code take_url(struct ig_client *client, const char *url, struct ig_err *err)
{
    if (!url) return bad_url("", err);
    struct ig_str rest = ig_str_view(url), plain = IG_STR("http://"), secure = IG_STR("https://");
    client->is_secure = ig_str_starts(rest, secure);
    if (!client->is_secure && !ig_str_starts(rest, plain)) return bad_url(url, err);
    size_t scheme = client->is_secure ? secure.len : plain.len;
    rest = (struct ig_str){rest.ptr + scheme, rest.len - scheme};
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/') end++;
    struct ig_str prefix = {rest.ptr + end, rest.len - end};
    while (prefix.len && prefix.ptr[prefix.len - 1] == '/') prefix.len--;
    bool valid = ig_http_field_value_valid(prefix) &&
                 (!prefix.len ||
                  (!memchr(prefix.ptr, ' ', prefix.len) && !memchr(prefix.ptr, '?', prefix.len) &&
                   !memchr(prefix.ptr, '#', prefix.len)));
    struct ig_str authority = {rest.ptr, end};
    if (!valid || !take_authority(client, authority, client->is_secure ? 443 : 80))
        return bad_url(url, err);
    ig_buf_add_str(&client->prefix, prefix);
    return IG_OK;
}

enum ig_code ig_client_new(struct ig_client **out, const char *url,
                           const struct ig_client_options *options, struct ig_err *err)
{
    static const struct ig_client_options DEFAULTS;
    if (!options) options = &DEFAULTS;
    struct ig_client *client = ig_zalloc(sizeof *client);
    if (!client) return ig_fail(err, IG_NO_MEMORY, "no memory for an HTTP client");
    client->fd = -1;
    client->connect_timeout_ms = options->connect_timeout_ms ? options->connect_timeout_ms : 5000;
    client->io_timeout_ms = options->io_timeout_ms ? options->io_timeout_ms : 60000;
    client->call_timeout_ms = options->call_timeout_ms;
    client->public_only = options->public_only;
    client->cancelled = options->cancelled;
    ig_buf_init(&client->authority, HOST_MAX_BYTES + 16);
    ig_buf_init(&client->prefix, 4096);
    ig_buf_init(&client->headers, REQUEST_MAX_BYTES);
    ig_buf_init(&client->request, REQUEST_MAX_BYTES + BODY_WITH_HEAD_MAX_BYTES);
    enum ig_code code = take_url(client, url, err);
    if (options->headers) ig_buf_add_cstr(&client->headers, options->headers);
    if (!code &&
        (client->authority.overflowed || client->prefix.overflowed || client->headers.overflowed))
        code = ig_fail(err, IG_NO_MEMORY, "no memory for an HTTP client");
    if (!code && client->is_secure) code = ig_tls_trust_new(&client->trust, options->ca_file, err);
    if (code) {
        ig_client_free(client);
        return code;
    }
    *out = client;
    return IG_OK;
}

static void disconnect(struct ig_client *client)
{
    if (client->tls) (void)ig_tls_end(client->tls);
    ig_tls_session_free(client->tls);
    client->tls = NULL;
    if (client->fd >= 0) close(client->fd);
    client->fd = -1;
    client->in_at = client->in_len = 0;
}

void ig_client_free(struct ig_client *client)
{
    if (!client) return;
    disconnect(client);
    ig_tls_trust_free(client->trust);
    ig_buf_deinit(&client->authority);
    ig_buf_deinit(&client->prefix);
    ig_buf_deinit(&client->headers);
    ig_buf_deinit(&client->request);
    ig_free(client);
}

/* Sockets. */

static bool is_cancelled(const struct ig_client *client)
{
    const struct ig_client_call *call = client->call;
    return (client->cancelled && atomic_load(client->cancelled)) ||
           (call->is_cancelled && call->is_cancelled(call->is_cancelled_context));
}

/* The events that came, or 0 at the timeout: of this wait, or of the whole call. */
static short await(const struct ig_client *client, int fd, short events, unsigned timeout_ms)
{
    uint64_t until_ns = ig_clock_ns() + timeout_ms * UINT64_C(1000000);
    if (client->call_until_ns && until_ns > client->call_until_ns) until_ns = client->call_until_ns;
    for (;;) {
        uint64_t now = ig_clock_ns();
        if (client->call_until_ns && now >= client->call_until_ns) return 0;
        if (is_cancelled(client)) return 0;
        int left_ms = now < until_ns ? (int)((until_ns - now + 999999) / 1000000) : 0;
        bool slice = (client->cancelled || client->call->is_cancelled) && left_ms > CANCEL_LOOK_MS;
        struct pollfd wait = {.fd = fd, .events = events};
        int ready = poll(&wait, 1, slice ? CANCEL_LOOK_MS : left_ms);
        if (ready > 0) return wait.revents;
        if (ready == 0 ? !slice : errno != EINTR) return 0;
    }
}

/* errno value, 0 when connected. */
static int connect_one(struct ig_client *client, const struct addrinfo *address)
{
    int on = 1, error = 0;
    socklen_t size = sizeof error;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return errno;
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno;
        if (error == EINPROGRESS && !await(client, fd, POLLOUT, client->connect_timeout_ms))
            error = ETIMEDOUT;
        else if (error == EINPROGRESS)
            getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error) {
        close(fd);
        return error;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    client->fd = fd;
    return 0;
}

static enum ig_code begin_tls(struct ig_client *client, struct ig_err *err)
{
    char peer[HOST_MAX_BYTES + 16];
    client->tls = ig_tls_connect(client->trust, client->fd, client->host);
    if (!client->tls) return ig_fail(err, IG_NO_MEMORY, "no memory for TLS");
    for (;;) {
        int64_t got = ig_tls_handshake(client->tls);
        if (got > 0) return IG_OK;
        snprintf(peer, sizeof peer, "%s port %s", client->host, client->port);
        if (got != -EAGAIN) return ig_tls_explain(client->tls, peer, err);
        if (!await(client, client->fd, ig_tls_wants(client->tls), client->connect_timeout_ms))
            return ig_fail(err, IG_TIMEOUT, "%s: no TLS handshake within %u ms", peer,
                           client->connect_timeout_ms);
    }
}

/* What is checked is what is connected to: a name that resolves otherwise the next time changes
 * nothing. */
static enum ig_code check_public(const char *host, const struct addrinfo *found, struct ig_err *err)
{
    char text[INET6_ADDRSTRLEN];
    for (const struct addrinfo *at = found; at; at = at->ai_next) {
        if (ig_address_is_public(at->ai_addr)) continue;
        ig_address_format(text, at->ai_addr);
        return ig_fail(err, IG_DENIED, "'%s' is %s, which is not a public address", host, text);
    }
    return IG_OK;
}

enum ig_code ig_client_check_public(const char *host, struct ig_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int bad = getaddrinfo(host, NULL, &hints, &found);
    if (bad)
        return ig_fail(err, IG_UNAVAILABLE, "'%s' has no address: %s", host, gai_strerror(bad));
    (void)check_public(host, found, err);
    freeaddrinfo(found);
    return err->code;
}

static enum ig_code dial(struct ig_client *client, struct ig_err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *found = NULL;
    int bad = getaddrinfo(client->host, client->port, &hints, &found), error = 0;
    if (bad)
        return ig_fail(err, IG_UNAVAILABLE, "cannot reach %s port %s: %s", client->host,
                       client->port, gai_strerror(bad));
    if (!client->public_only || check_public(client->host, found, err) == IG_OK)
        for (const struct addrinfo *at = found; at && client->fd < 0; at = at->ai_next)
            error = connect_one(client, at);
    freeaddrinfo(found);
    if (err->code != IG_OK) return err->code;
    if (client->fd < 0)
        return ig_fail(err, IG_UNAVAILABLE, "cannot reach %s port %s: %s", client->host,
                       client->port, strerror(error));
    return client->is_secure ? begin_tls(client, err) : IG_OK;
}

/* > 0 bytes, 0 the end, or -errno. */
static int64_t socket_receive(struct ig_client *client, void *bytes, size_t size)
{
    if (client->tls) return ig_tls_read(client->tls, bytes, size);
    ssize_t got = recv(client->fd, bytes, size, 0);
    return got >= 0 ? got : -errno;
}

/* > 0 bytes, or -errno. */
static int64_t socket_send(struct ig_client *client, struct ig_str bytes)
{
    if (client->tls) return ig_tls_write(client->tls, bytes.ptr, bytes.len);
    ssize_t sent = send(client->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
    return sent >= 0 ? sent : -errno;
}

/* Whether the server has sent something, or closed. */
static bool server_speaks(struct ig_client *client)
{
    /* What came may be TLS's own: session tickets. */
    return client->tls ? ig_tls_readable(client->tls) : await(client, client->fd, POLLIN, 0) != 0;
}

static enum ig_code too_slow(struct ig_client *client, const char *what, struct ig_err *err)
{
    return ig_fail(err, IG_TIMEOUT, "%s port %s %s for %u ms", client->host, client->port, what,
                   client->io_timeout_ms);
}

static enum ig_code broke(struct ig_client *client, int error, struct ig_err *err)
{
    return ig_fail(err, IG_IO, "the connection to %s port %s broke: %s", client->host, client->port,
                   error ? strerror(error) : "closed by the server");
}

/* Sends all; stops early with *answered when the server already speaks. */
static enum ig_code send_all(struct ig_client *client, struct ig_str bytes, bool *answered,
                             struct ig_err *err)
{
    while (bytes.len && !*answered) {
        short ready = await(client, client->fd, POLLOUT | POLLIN, client->io_timeout_ms);
        if (!ready) return too_slow(client, "takes nothing", err);
        if ((ready & (POLLIN | POLLHUP | POLLERR)) && server_speaks(client)) {
            *answered = true;
            break;
        }
        int64_t sent = socket_send(client, bytes);
        if (sent == -EAGAIN || sent == -EINTR) continue;
        if (sent < 0) return broke(client, (int)-sent, err);
        bytes.ptr += sent;
        bytes.len -= (size_t)sent;
    }
    return IG_OK;
}

/* Receives some more behind in_len. *got 0: the server has closed. */
static enum ig_code receive(struct ig_client *client, size_t *got, struct ig_err *err)
{
    if (client->in_at == client->in_len) client->in_at = client->in_len = 0;
    for (;;) {
        int64_t n = socket_receive(client, client->in + client->in_len, IN_BYTES - client->in_len);
        if (n >= 0) {
            *got = (size_t)n;
            client->in_len += (size_t)n;
            return IG_OK;
        }
        if (n != -EAGAIN && n != -EINTR) return broke(client, (int)-n, err);
        short wants = client->tls ? ig_tls_wants(client->tls) : POLLIN;
        if (!await(client, client->fd, wants, client->io_timeout_ms))
            return too_slow(client, "answers nothing", err);
    }
}

/* Requests. */

/* A short body leaves in one piece with its head: a server that answers while it reads must not
 * find the head alone and be taken for one that wants no body. */
static bool sent_with_head(const struct ig_client_call *call)
{
    return !call->has_body_fd && call->body.len <= BODY_WITH_HEAD_MAX_BYTES;
}

static enum ig_code build_head(struct ig_client *client, const struct ig_client_call *call,
                               struct ig_err *err)
{
    struct ig_buf *out = &client->request;
    uint64_t length = call->has_body_fd ? call->body_fd_bytes : call->body.len;
    struct ig_str path = ig_str_view(call->path);
    if (!path.len || path.ptr[0] != '/' || !ig_http_field_value_valid(path) ||
        memchr(path.ptr, ' ', path.len))
        return ig_fail(err, IG_INVALID, "request path '%s': expected /..., escaped", call->path);
    ig_buf_reset(out);
    ig_buf_printf(out, "%s ", call->method);
    ig_buf_add_str(out, ig_buf_view(&client->prefix));
    ig_buf_add_str(out, path);
    ig_buf_add_cstr(out, " HTTP/1.1\r\nHost: ");
    ig_buf_add_str(out, ig_buf_view(&client->authority));
    ig_buf_add_cstr(out, "\r\n");
    if (call->content_type) ig_buf_printf(out, "Content-Type: %s\r\n", call->content_type);
    bool bodyless = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    if (length || !bodyless)
        ig_buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long)length);
    ig_buf_add(out, client->headers.ptr, client->headers.len);
    if (call->headers) ig_buf_add_cstr(out, call->headers);
    ig_buf_add_cstr(out, "\r\n");
    if (sent_with_head(call)) ig_buf_add_str(out, call->body);
    if (out->overflowed) return ig_fail(err, IG_NO_MEMORY, "the request's head is too large");
    return IG_OK;
}

static enum ig_code send_fd(struct ig_client *client, const struct ig_client_call *call,
                            bool *answered, struct ig_err *err)
{
    uint64_t left = call->body_fd_bytes;
    /* The input buffer is free while nothing has been answered. */
    while (left && !*answered) {
        size_t want = left < IN_BYTES ? (size_t)left : IN_BYTES;
        ssize_t got = read(call->body_fd, client->in, want);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ig_fail(err, IG_IO, "cannot read the upload: %s", strerror(errno));
        if (got == 0)
            return ig_fail(err, IG_IO, "the upload ended %llu bytes short",
                           (unsigned long long)left);
        enum ig_code code =
            send_all(client, (struct ig_str){client->in, (size_t)got}, answered, err);
        if (code) return code;
        left -= (uint64_t)got;
    }
    return IG_OK;
}

/* *partial: the request was not sent whole, because the server answered or closed before. */
static enum ig_code send_request(struct ig_client *client, const struct ig_client_call *call,
                                 bool *partial, struct ig_err *err)
{
    *partial = false;
    enum ig_code code = send_all(client, ig_buf_view(&client->request), partial, err);
    if (code || *partial) return code;
    if (call->has_body_fd) return send_fd(client, call, partial, err);
    return sent_with_head(call) ? IG_OK : send_all(client, call->body, partial, err);
}

/* Responses. */

/* Reads the next head, interim ones (1xx) left out. *closed: the server closed before any byte. */
static enum ig_code read_head(struct ig_client *client, struct ig_http1_response *response,
                              bool *closed, struct ig_err *err)
{
    const struct ig_http1_limits limits = {HEAD_MAX_BYTES, HEAD_MAX_BYTES, HEADERS_MAX};
    const char *reason = "the head is malformed";
    do {
        struct ig_http1_scan scan = {0};
        int64_t head = 0;
        for (;;) {
            head = ig_http1_scan(&scan, client->in + client->in_at, client->in_len - client->in_at,
                                 &limits);
            if (head) break;
            if (client->in_at) {
                memmove(client->in, client->in + client->in_at, client->in_len - client->in_at);
                client->in_len -= client->in_at;
                client->in_at = 0;
            }
            size_t got = 0;
            enum ig_code code = receive(client, &got, err);
            *closed = client->in_len == 0 && response->status == 0;
            if (code) return code;
            if (!got) return broke(client, 0, err);
        }
        struct ig_str bytes = {client->in + client->in_at, head > 0 ? (size_t)head : 0};
        if (head < 0 || ig_http1_response(response, client->fields, bytes, HEADERS_MAX, &reason))
            return ig_fail(err, IG_PARSE, "%s port %s does not answer in HTTP: %s", client->host,
                           client->port, reason);
        client->in_at += (size_t)head;
    } while (response->status < 200);
    return IG_OK;
}

static enum ig_code write_fd(int fd, struct ig_str bytes, struct ig_err *err)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return ig_fail(err, IG_IO, "cannot write the download: %s", strerror(errno));
        bytes.ptr += n;
        bytes.len -= (size_t)n;
    }
    return IG_OK;
}

static enum ig_code deliver(const struct ig_client_call *call, struct ig_client_reply *reply,
                            struct ig_str bytes, struct ig_err *err)
{
    bool success = reply->status >= 200 && reply->status < 300;
    reply->body_bytes += bytes.len;
    if (success && call->on_bytes) {
        if (call->on_bytes(call->on_bytes_context, bytes)) return IG_OK;
        return ig_fail(err, IG_CANCELLED, "the response was not wanted any more");
    }
    if (success && call->has_reply_fd) return write_fd(call->reply_fd, bytes, err);
    if (bytes.len > reply->body.max_bytes - reply->body.len)
        return ig_fail(err, IG_TOO_LARGE, "the response is over %zu bytes", reply->body.max_bytes);
    ig_buf_add(&reply->body, bytes.ptr, bytes.len);
    if (reply->body.overflowed) return ig_fail(err, IG_NO_MEMORY, "no memory for a response");
    return IG_OK;
}

/* Hands over one slice of what has come; *over at the body's end. */
static enum ig_code take_slice(struct ig_client *client, struct ig_http1_chunked *chunked,
                               uint64_t *left, struct ig_str *data, struct ig_err *err)
{
    struct ig_str input = {client->in + client->in_at, client->in_len - client->in_at};
    size_t used = 0;
    *data = (struct ig_str){0};
    if (!chunked) {
        used = input.len < *left ? input.len : (size_t)*left;
        *data = (struct ig_str){input.ptr, used};
        *left -= used;
    } else {
        enum ig_http1_chunk got = ig_http1_chunked(chunked, input, &used, data);
        if (got == IG_HTTP1_CHUNK_BAD)
            return ig_fail(err, IG_PARSE, "the response's chunked body is malformed");
        if (got == IG_HTTP1_CHUNK_END) *left = 0;
    }
    client->in_at += used;
    return IG_OK;
}

/* Whether the response has no body, whatever its head says. */
static bool is_bare(const struct ig_client_call *call, const struct ig_http1_response *response)
{
    return response->status == 204 || response->status == 304 || strcmp(call->method, "HEAD") == 0;
}

static enum ig_code read_body(struct ig_client *client, const struct ig_client_call *call,
                              const struct ig_http1_response *response,
                              struct ig_client_reply *reply, struct ig_err *err)
{
    struct ig_http1_chunked state = {0};
    struct ig_http1_chunked *chunked = response->chunked ? &state : NULL;
    bool to_end = !response->chunked && !response->has_content_length;
    uint64_t left = response->has_content_length ? response->content_length : UINT64_MAX;
    bool bare =
        response->status == 204 || response->status == 304 || strcmp(call->method, "HEAD") == 0;
    if (bare) return IG_OK;
    while (left) {
        struct ig_str data;
        enum ig_code code = take_slice(client, chunked, &left, &data, err);
        if (!code && data.len) code = deliver(call, reply, data, err);
        if (code) return code;
        if (!left || client->in_at < client->in_len) continue;
        size_t got = 0;
        code = receive(client, &got, err);
        if (code) return code;
        if (!got && to_end) break;
        if (!got) return broke(client, 0, err);
    }
    return IG_OK;
}

static void note_text(char *out, size_t size, struct ig_str value)
{
    size_t length = value.len < size - 1 ? value.len : size - 1;
    memcpy(out, value.ptr, length);
    out[length] = '\0';
}

static void note_headers(const struct ig_http1_response *response, struct ig_client_reply *reply)
{
    reply->content_type[0] = reply->location[0] = '\0';
    reply->retry_after_s = 0;
    for (size_t i = 0; i < response->headers_count; i++) {
        struct ig_str name = response->headers[i].name, value = response->headers[i].value;
        if (ig_str_eq_nocase(name, IG_STR("retry-after")))
            (void)ig_str_to_u64(value, &reply->retry_after_s);
        if (ig_str_eq_nocase(name, IG_STR("location")) && value.len < sizeof reply->location)
            note_text(reply->location, sizeof reply->location, value);
        if (ig_str_eq_nocase(name, IG_STR("content-type")))
            note_text(reply->content_type, sizeof reply->content_type, value);
    }
}

/* One attempt. *stale: a kept connection was found closed before any answer. */
static enum ig_code attempt(struct ig_client *client, const struct ig_client_call *call,
                            struct ig_client_reply *reply, bool *stale, struct ig_err *err)
{
    struct ig_http1_response response = {0};
    bool closed = false, partial = false;
    if (client->fd >= 0 && server_speaks(client)) disconnect(client);
    bool kept = client->fd >= 0;
    enum ig_code code = kept ? IG_OK : dial(client, err);
    if (code) return code;
    code = send_request(client, call, &partial, err);
    if (!code) code = read_head(client, &response, &closed, err);
    *stale = code == IG_IO && kept && (closed || client->in_len == 0);
    if (code) return code;
    reply->status = response.status;
    note_headers(&response, reply);
    code = read_body(client, call, &response, reply, err);
    bool framed = response.chunked || response.has_content_length || is_bare(call, &response);
    bool reusable = response.keep_alive && !partial && framed;
    if (!code && !reusable) disconnect(client);
    return code;
}

enum ig_code ig_client_call(struct ig_client *client, const struct ig_client_call *call,
                            struct ig_client_reply *reply, struct ig_err *err)
{
    struct ig_err first = IG_ERR_INIT;
    bool stale = false;
    ig_buf_reset(&reply->body);
    reply->status = 0;
    reply->body_bytes = 0;
    client->call = call;
    client->call_until_ns =
        client->call_timeout_ms ? ig_clock_ns() + client->call_timeout_ms * UINT64_C(1000000) : 0;
    enum ig_code code = build_head(client, call, err);
    if (code) return code;
    code = attempt(client, call, reply, &stale, &first);
    bool harmless = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    if (code && stale && harmless) {
        disconnect(client);
        ig_err_clear(&first);
        code = attempt(client, call, reply, &stale, &first);
    }
    if (!code) return IG_OK;
    disconnect(client);
    if (is_cancelled(client)) return ig_fail(err, IG_CANCELLED, "the call was given up");
    if (!err->code) *err = first;
    return err->code;
}

void ig_client_escape(struct ig_buf *buf, struct ig_str text)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                     c == '-' || c == '.' || c == '_' || c == '~';
        if (plain) {
            ig_buf_add_char(buf, (char)c);
            continue;
        }
        ig_buf_add_char(buf, '%');
        ig_buf_add_char(buf, HEX[c >> 4]);
        ig_buf_add_char(buf, HEX[c & 15]);
    }
}
