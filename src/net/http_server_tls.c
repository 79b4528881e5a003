/* SPDX-License-Identifier: Apache-2.0 */
/* TLS beneath a connection: conn->read and conn->writev over a session (net/tls.h) instead of the
 * socket. All above them is as it is without TLS.
 *
 * The handshake runs inside conn->read, so a connection whose handshake lingers is one whose first
 * request does, and head_timeout_ms ends both. Its arithmetic, about a millisecond with an RSA key,
 * runs on the loop. A session is made when the first byte has come: a silent connection costs what
 * it does without TLS, and one that begins with a letter speaks no TLS and is told so in the HTTP
 * that it speaks. Handshakes under way are bounded by tls_handshakes_max.
 *
 * Since the output of a connection is a queue, the bytes of a refused write come again, first of
 * all, in the next one, as OpenSSL asks for. Thread rule: the loop's thread. */
#include "net/http_server_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum { RECORD_BYTES = 16 * 1024 };

static void leave_handshake(struct ig_http_conn *conn)
{
    if (!conn->handshaking) return;
    conn->handshaking = false;
    atomic_fetch_sub(&conn->home->server->handshakes, 1);
}

static int64_t tls_read(struct ig_http_conn *conn, void *bytes, size_t size_bytes)
{
    int64_t got = ig_tls_read(conn->tls, bytes, size_bytes);
    if (conn->handshaking && ig_tls_established(conn->tls)) {
        leave_handshake(conn);
        conn->protocol = ig_tls_protocol(conn->tls);
        ig_http_count(&conn->home->counters.tls_handshakes, 1);
    }
    /* No event of the socket will say so. */
    if (ig_tls_over(conn->tls)) conn->half_closed = true;
    conn->more = ig_tls_paused(conn->tls);
    if (got != -EAGAIN || !conn->more) return got;
    ig_http_conn_again(conn); /* when others have had their turn */
    return -EINTR;
}

/* Small parts leave in one record. */
static bool gather(struct ig_http_loop *home, struct iovec *out, const struct iovec *parts,
                   int count)
{
    if (!home->tls_out) home->tls_out = ig_alloc(RECORD_BYTES);
    if (!home->tls_out) return false;
    *out = (struct iovec){home->tls_out, 0};
    for (int i = 0; i < count && out->iov_len < RECORD_BYTES; i++) {
        size_t room = RECORD_BYTES - out->iov_len;
        size_t size = parts[i].iov_len < room ? parts[i].iov_len : room;
        memcpy(home->tls_out + out->iov_len, parts[i].iov_base, size);
        out->iov_len += size;
    }
    return true;
}

static int64_t tls_writev(struct ig_http_conn *conn, const struct iovec *parts, int count)
{
    struct iovec part = parts[0];
    if (count > 1 && part.iov_len < RECORD_BYTES && !gather(conn->home, &part, parts, count))
        return -ENOMEM;
    return ig_tls_write(conn->tls, part.iov_base, part.iov_len);
}

static bool enter_handshake(struct ig_http_conn *conn)
{
    struct ig_http_server *server = conn->home->server;
    if (atomic_fetch_add(&server->handshakes, 1) < server->options.tls_handshakes_max)
        conn->tls = ig_tls_accept(server->options.tls, conn->fd);
    conn->handshaking = conn->tls != NULL;
    if (!conn->tls) atomic_fetch_sub(&server->handshakes, 1);
    return conn->handshaking;
}

static int64_t first_read(struct ig_http_conn *conn, void *bytes, size_t size_bytes)
{
    char first;
    ssize_t got = recv(conn->fd, &first, 1, MSG_PEEK);
    if (got <= 0) return got < 0 ? -errno : 0;
    if (first >= 'A' && first <= 'Z') { /* no record begins with one */
        conn->wants_tls = true;
        conn->read = ig_http_socket_read;
        conn->writev = ig_http_socket_writev;
    } else if (enter_handshake(conn)) {
        conn->read = tls_read;
        conn->writev = tls_writev;
    } else {
        ig_http_count(&conn->home->counters.refused_connections, 1);
        return -EBUSY;
    }
    return conn->read(conn, bytes, size_bytes);
}

void ig_http_tls_begin(struct ig_http_conn *conn)
{
    conn->read = first_read;
    conn->writev = tls_writev;
}

void ig_http_tls_close(struct ig_http_conn *conn, bool orderly)
{
    if (conn->handshaking) ig_http_count(&conn->home->counters.tls_failed, 1);
    leave_handshake(conn);
    /* Without its last word the peer knows that it was cut off. */
    if (orderly) (void)ig_tls_end(conn->tls);
    ig_tls_session_free(conn->tls);
    conn->tls = NULL;
}
