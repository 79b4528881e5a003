/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_HTTP2_TESTING_H
#define IG_NET_HTTP2_TESTING_H

/* A client of HTTP/2 for tests: libnghttp2 over a blocking socket, many requests at once, each with
 * what came back. */

#include "net/http_server_testing.h"

#include "base/mem.h"

#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>

enum { ASKS_MAX = 256, ASK_FIELDS_MAX = 16 };

/* One request and its response. */
struct ask {
    int32_t stream_id;
    struct ig_buf upload; /* to be sent, from sent_at on */
    size_t sent_at;
    bool upload_over; /* nothing will be added to it */
    bool deferred;
    int status, informational;
    struct ig_buf headers, trailers, body; /* "name: value\n" */
    bool ended, closed;
    uint32_t error_code; /* of the close */
};

struct h2 {
    int fd;
    nghttp2_session *session;
    struct ask *asks[ASKS_MAX];
    unsigned asks_count, closed_count;
    bool goaway, eof;
    uint32_t goaway_code;
    bool holds_window; /* grants no stream anything for what arrives */
    unsigned settings[8];
};

static inline struct ask *ask_of(struct h2 *h2, int32_t stream_id)
{
    return nghttp2_session_get_stream_user_data(h2->session, stream_id);
}

static inline int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                               const uint8_t *name, size_t namelen, const uint8_t *value,
                               size_t valuelen, uint8_t flags, void *context)
{
    struct ask *ask = ask_of(context, frame->hd.stream_id);
    (void)session;
    (void)flags;
    if (!ask) return 0;
    if (namelen == 7 && memcmp(name, ":status", 7) == 0) {
        int status = (int)strtol((const char *)value, NULL, 10);
        if (status < 200)
            ask->informational = status;
        else
            ask->status = status;
        return 0;
    }
    bool is_trailer = frame->headers.cat == NGHTTP2_HCAT_HEADERS && ask->headers.len;
    ig_buf_printf(is_trailer ? &ask->trailers : &ask->headers, "%.*s: %.*s\n", (int)namelen,
                  (const char *)name, (int)valuelen, (const char *)value);
    return 0;
}

static inline int h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct h2 *h2 = context;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        h2->goaway = true;
        h2->goaway_code = frame->goaway.error_code;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        for (size_t i = 0; i < frame->settings.niv; i++) {
            if (frame->settings.iv[i].settings_id < 8)
                h2->settings[frame->settings.iv[i].settings_id] = frame->settings.iv[i].value;
        }
    }
    struct ask *ask = frame->hd.stream_id ? ask_of(h2, frame->hd.stream_id) : NULL;
    if (ask && (frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        ask->ended = true;
    return 0;
}

static inline int h2_on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id,
                             const uint8_t *bytes, size_t size, void *context)
{
    struct h2 *h2 = context;
    struct ask *ask = ask_of(h2, stream_id);
    (void)flags;
    if (ask) ig_buf_add(&ask->body, bytes, size);
    nghttp2_session_consume_connection(session, size);
    if (!h2->holds_window) nghttp2_session_consume_stream(session, stream_id, size);
    return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code,
                              void *context)
{
    struct h2 *h2 = context;
    struct ask *ask = ask_of(h2, stream_id);
    (void)session;
    if (!ask) return 0;
    ask->closed = true;
    ask->error_code = error_code;
    h2->closed_count++;
    return 0;
}

static inline ssize_t h2_read_upload(nghttp2_session *session, int32_t stream_id, uint8_t *bytes,
                                     size_t room, uint32_t *flags, nghttp2_data_source *source,
                                     void *context)
{
    struct ask *ask = source->ptr;
    (void)session;
    (void)stream_id;
    (void)context;
    size_t size = ask->upload.len - ask->sent_at;
    if (size > room) size = room;
    if (size) memcpy(bytes, ask->upload.ptr + ask->sent_at, size);
    ask->sent_at += size;
    if (ask->sent_at == ask->upload.len && ask->upload_over) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (size || ask->upload_over) return (ssize_t)size;
    ask->deferred = true;
    return NGHTTP2_ERR_DEFERRED;
}

/* In large pieces: what is asked together arrives together. */
static inline void h2_flush(struct h2 *h2)
{
    static uint8_t piece[1 << 16];
    const uint8_t *bytes = NULL;
    size_t held = 0;
    for (ssize_t size; (size = nghttp2_session_mem_send(h2->session, &bytes)) > 0;) {
        if ((size_t)size > sizeof piece - held) {
            if (held) send_bytes(h2->fd, piece, held);
            held = 0;
        }
        assert_true((size_t)size <= sizeof piece);
        memcpy(piece + held, bytes, (size_t)size);
        held += (size_t)size;
    }
    if (held) send_bytes(h2->fd, piece, held);
}

/* Sends what is to be sent and takes what comes within wait_ms. False: nothing came, or the end. */
static inline bool h2_turn(struct h2 *h2, int wait_ms)
{
    static uint8_t bytes[65536];
    h2_flush(h2);
    struct pollfd poller = {.fd = h2->fd, .events = POLLIN};
    if (poll(&poller, 1, wait_ms) <= 0) return false;
    ssize_t size = recv(h2->fd, bytes, sizeof bytes, 0);
    if (size <= 0) h2->eof = true;
    if (size <= 0) return false;
    ssize_t used = nghttp2_session_mem_recv(h2->session, bytes, (size_t)size);
    if (used < 0) fail_msg("the server's bytes are malformed: %s", nghttp2_strerror((int)used));
    h2_flush(h2);
    return true;
}

static inline struct h2 *h2_open_with(const struct ig_http_server *server,
                                      const nghttp2_settings_entry *settings, size_t count)
{
    struct h2 *h2 = calloc(1, sizeof *h2);
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    assert_non_null(h2);
    int on = 1;
    h2->fd = dial_for(server, false, "h2");
    setsockopt(h2->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    assert_int_equal(nghttp2_session_client_new2(&h2->session, callbacks, h2, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(h2->session, NGHTTP2_FLAG_NONE, settings, count), 0);
    return h2;
}

static inline struct h2 *h2_open(const struct ig_http_server *server)
{
    return h2_open_with(server, NULL, 0);
}

static inline void h2_close(struct h2 *h2)
{
    for (unsigned i = 0; i < h2->asks_count; i++) {
        struct ask *ask = h2->asks[i];
        ig_buf_deinit(&ask->upload);
        ig_buf_deinit(&ask->headers);
        ig_buf_deinit(&ask->trailers);
        ig_buf_deinit(&ask->body);
        free(ask);
    }
    nghttp2_session_del(h2->session);
    close(h2->fd);
    free(h2);
}

/* `fields` is "name: value\n..." beyond the pseudo-headers, or NULL. */
static inline struct ask *h2_ask_with(struct h2 *h2, const char *method, const char *path,
                                      const char *fields, bool has_upload)
{
    nghttp2_nv nv[4 + ASK_FIELDS_MAX] = {0};
    const char *const pseudo[4][2] = {
        {":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "test:80"}};
    size_t count = 4;
    struct ask *ask = calloc(1, sizeof *ask);
    assert_non_null(ask);
    assert_true(h2->asks_count < ASKS_MAX);
    struct ig_buf *const bufs[] = {&ask->upload, &ask->headers, &ask->trailers, &ask->body};
    for (size_t i = 0; i < 4; i++) {
        nv[i] = (nghttp2_nv){(uint8_t *)pseudo[i][0], (uint8_t *)pseudo[i][1], strlen(pseudo[i][0]),
                             strlen(pseudo[i][1]), NGHTTP2_NV_FLAG_NONE};
        ig_buf_init(bufs[i], SIZE_MAX / 2);
    }
    for (struct ig_str rest = ig_str_view(fields), line; rest.len;) {
        line = ig_str_cut(&rest, '\n');
        struct ig_str value = line, name = ig_str_cut(&value, ':');
        value = ig_str_trim(value);
        assert_true(count < 4 + ASK_FIELDS_MAX);
        nv[count++] = (nghttp2_nv){(uint8_t *)name.ptr, (uint8_t *)value.ptr, name.len, value.len,
                                   NGHTTP2_NV_FLAG_NONE};
    }
    nghttp2_data_provider upload = {.source.ptr = ask, .read_callback = h2_read_upload};
    ask->stream_id =
        nghttp2_submit_request(h2->session, NULL, nv, count, has_upload ? &upload : NULL, ask);
    assert_true(ask->stream_id > 0);
    h2->asks[h2->asks_count++] = ask;
    return ask;
}

static inline struct ask *h2_get(struct h2 *h2, const char *path)
{
    return h2_ask_with(h2, "GET", path, NULL, false);
}

/* Adds to a request's body. */
static inline void h2_upload(struct h2 *h2, struct ask *ask, const void *bytes, size_t size,
                             bool last)
{
    ig_buf_add(&ask->upload, bytes, size);
    ask->upload_over = last;
    if (ask->deferred) nghttp2_session_resume_data(h2->session, ask->stream_id);
    ask->deferred = false;
}

static inline struct ask *h2_post(struct h2 *h2, const char *path, const char *fields,
                                  const void *bytes, size_t size)
{
    struct ask *ask = h2_ask_with(h2, "POST", path, fields, true);
    h2_upload(h2, ask, bytes, size, true);
    return ask;
}

/* Until all asked streams are closed; false behind three silent seconds. */
static inline bool h2_finish(struct h2 *h2)
{
    while (h2->closed_count < h2->asks_count) {
        if (!h2_turn(h2, 3000)) return false;
    }
    return true;
}

/* Until the stream is closed; false behind three silent seconds. */
static inline bool h2_finish_one(struct h2 *h2, const struct ask *ask)
{
    while (!ask->closed) {
        if (!h2_turn(h2, 3000)) return false;
    }
    return true;
}

/* Until the server has closed the connection. */
static inline bool h2_finish_connection(struct h2 *h2)
{
    while (!h2->eof) {
        if (!h2_turn(h2, 3000) && !h2->eof) return false;
    }
    return true;
}

/* Runs a program found in PATH and takes what it prints; returns its exit code. */
static inline int run_program(const char *const *arguments, char *out, size_t size)
{
    int ends[2], status = 0;
    size_t got = 0;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execvp(arguments[0], (char *const *)arguments);
        _exit(127);
    }
    close(ends[1]);
    for (ssize_t n; got < size - 1 && (n = read(ends[0], out + got, size - 1 - got)) > 0;)
        got += (size_t)n;
    out[got] = '\0';
    close(ends[0]);
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline void assert_body(const struct ask *ask, int status, const char *body)
{
    if (ask->status != status || !ig_str_is(ig_buf_view(&ask->body), body))
        fail_msg("expected %d '%s', got %d '%.*s' (closed %d, error %u)", status, body, ask->status,
                 IG_STR_ARGS(ig_buf_view(&ask->body)), ask->closed, ask->error_code);
}

#endif
