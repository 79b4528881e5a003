/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions: OpenSSL's connection over a socket of ours.
 *
 * OpenSSL's own socket BIO writes with write(), which may raise SIGPIPE; ours sends. Its queue of
 * errors belongs to the thread, so it is emptied before each call whose result is asked for.
 * A read of any length takes only so much from the socket, since records may hold nothing for us
 * (key updates), and a loop has others to serve.
 * Invariant: `failure` is set once, and nothing is asked of OpenSSL afterwards. */
#include "net/tls_priv.h"

#include "base/mem.h"

#include <errno.h>
#include <openssl/err.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

enum { TAKEN_MAX_BYTES = 32 * 1024 };

struct ig_tls_session {
    SSL *ssl;
    int fd;
    int failure; /* errno, or 0 */
    unsigned long reason;
    short wants;
    bool at_eof;      /* the peer closed its socket */
    bool drained;     /* a read of this call was short: the socket was empty behind it */
    bool paused;      /* this call has taken enough */
    size_t taken;     /* by this call */
    bool over, ended; /* its last word was read, ours was sent */
};

/* The socket as OpenSSL sees it. */

static int socket_write(BIO *bio, const char *bytes, int size)
{
    const struct ig_tls_session *session = BIO_get_data(bio);
    ssize_t sent;
    do {
        sent = send(session->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    } while (sent < 0 && errno == EINTR);
    BIO_clear_retry_flags(bio);
    if (sent < 0 && errno == EAGAIN) BIO_set_retry_write(bio);
    return (int)sent;
}

static int socket_read(BIO *bio, char *bytes, int size)
{
    struct ig_tls_session *session = BIO_get_data(bio);
    ssize_t got = -1;
    BIO_clear_retry_flags(bio);
    session->paused = session->taken >= TAKEN_MAX_BYTES;
    if (!session->drained && !session->paused) {
        do {
            got = recv(session->fd, bytes, (size_t)size, 0);
        } while (got < 0 && errno == EINTR);
        session->drained = got > 0 && got < size;
        session->at_eof = got == 0;
        if (got > 0) session->taken += (size_t)got;
        if (got >= 0 || errno != EAGAIN) return (int)got;
    }
    BIO_set_retry_read(bio);
    return -1;
}

static long socket_control(BIO *bio, int command, long number, void *pointer)
{
    const struct ig_tls_session *session = BIO_get_data(bio);
    (void)number;
    (void)pointer;
    if (command == BIO_CTRL_EOF) return session->at_eof;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *methods;

static void make_methods(void)
{
    methods = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ig_tls_session");
    if (!methods) return;
    BIO_meth_set_write(methods, socket_write);
    BIO_meth_set_read(methods, socket_read);
    BIO_meth_set_ctrl(methods, socket_control);
}

struct ig_tls_session *ig_tls_session_new(SSL *ssl, int fd)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_methods);
    struct ig_tls_session *session = ig_zalloc(sizeof *session);
    BIO *bio = methods && session ? BIO_new(methods) : NULL;
    if (!bio) {
        SSL_free(ssl);
        ig_free(session);
        return NULL;
    }
    session->ssl = ssl;
    session->fd = fd;
    BIO_set_data(bio, session);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    return session;
}

void ig_tls_session_free(struct ig_tls_session *session)
{
    if (!session) return;
    SSL_free(session->ssl);
    ig_free(session);
}

/* What became of a call that did not succeed: 0 at the end, else -errno. */
static int64_t outcome(struct ig_tls_session *session, int result)
{
    switch (SSL_get_error(session->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        session->wants = POLLIN;
        return -EAGAIN;
    case SSL_ERROR_WANT_WRITE:
        session->wants = POLLOUT;
        return -EAGAIN;
    case SSL_ERROR_ZERO_RETURN:
        session->over = true;
        return 0;
    case SSL_ERROR_SYSCALL:
        session->failure = errno ? errno : ECONNRESET;
        break;
    default:
        session->failure = session->at_eof ? ECONNRESET : EPROTO;
        break;
    }
    session->reason = ERR_peek_error();
    session->over = true;
    return -session->failure;
}

static void prepare(struct ig_tls_session *session)
{
    ERR_clear_error();
    errno = 0;
    session->drained = session->paused = false;
    session->taken = 0;
}

int64_t ig_tls_handshake(struct ig_tls_session *session)
{
    if (session->failure) return -session->failure;
    prepare(session);
    int result = SSL_do_handshake(session->ssl);
    if (result == 1) return 1;
    int64_t got = outcome(session, result);
    if (!got) got = -(session->failure = ECONNRESET); /* the peer ended it */
    return got;
}

int64_t ig_tls_read(struct ig_tls_session *session, void *bytes, size_t size)
{
    size_t total = 0;
    int64_t end = 0;
    if (session->failure) return -session->failure;
    prepare(session);
    while (total < size && !session->over) {
        size_t got = 0;
        ERR_clear_error();
        int result = SSL_read_ex(session->ssl, (char *)bytes + total, size - total, &got);
        total += got;
        if (result == 1) continue;
        end = outcome(session, result);
        /* With nothing to hand over, the socket itself has to say that it is empty: the end may be
         * all that is left in it. */
        if (end != -EAGAIN || total || !session->drained) break;
        session->drained = false;
    }
    return total ? (int64_t)total : end;
}

int64_t ig_tls_write(struct ig_tls_session *session, const void *bytes, size_t size)
{
    size_t written = 0;
    if (session->failure) return -session->failure;
    prepare(session);
    int result = SSL_write_ex(session->ssl, bytes, size, &written);
    if (result == 1) return (int64_t)written;
    int64_t got = outcome(session, result);
    return got ? got : -EPIPE;
}

bool ig_tls_readable(struct ig_tls_session *session)
{
    char byte;
    size_t got = 0;
    if (session->over) return true;
    prepare(session);
    int result = SSL_peek_ex(session->ssl, &byte, 1, &got);
    return result == 1 || outcome(session, result) != -EAGAIN;
}

bool ig_tls_end(struct ig_tls_session *session)
{
    if (session->ended || session->failure || !SSL_is_init_finished(session->ssl)) return true;
    prepare(session);
    int result = SSL_shutdown(session->ssl);
    session->ended = result >= 0 || outcome(session, result) != -EAGAIN;
    return session->ended;
}

bool ig_tls_established(const struct ig_tls_session *session)
{
    return SSL_is_init_finished(session->ssl);
}

bool ig_tls_paused(const struct ig_tls_session *session)
{
    return session->paused;
}

bool ig_tls_over(const struct ig_tls_session *session)
{
    return session->over;
}

short ig_tls_wants(const struct ig_tls_session *session)
{
    return session->wants;
}

enum ig_tls_protocol ig_tls_protocol(const struct ig_tls_session *session)
{
    const unsigned char *name = NULL;
    unsigned size = 0;
    SSL_get0_alpn_selected(session->ssl, &name, &size);
    if (!size) return IG_TLS_NONE;
    return size == 2 && memcmp(name, "h2", 2) == 0 ? IG_TLS_HTTP2 : IG_TLS_HTTP1;
}

static enum ig_code explain_certificate(long verdict, const char *peer, struct ig_err *err)
{
    switch (verdict) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return ig_fail(err, IG_DENIED, "%s: its certificate is for another name", peer);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return ig_fail(err, IG_DENIED, "%s: its certificate has expired", peer);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return ig_fail(err, IG_DENIED, "%s: its certificate is not valid yet", peer);
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
        return ig_fail(err, IG_DENIED, "%s: its certificate is of an unknown CA: %s", peer,
                       X509_verify_cert_error_string(verdict));
    default:
        return ig_fail(err, IG_DENIED, "%s: its certificate is not to be trusted: %s", peer,
                       X509_verify_cert_error_string(verdict));
    }
}

enum ig_code ig_tls_explain(const struct ig_tls_session *session, const char *peer,
                            struct ig_err *err)
{
    long verdict = SSL_get_verify_result(session->ssl);
    if (verdict != X509_V_OK) return explain_certificate(verdict, peer, err);
    int reason = ERR_GET_REASON(session->reason);
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_PACKET_LENGTH_TOO_LONG)
        return ig_fail(err, IG_IO, "%s does not speak TLS", peer);
    const char *text = session->reason ? ERR_reason_error_string(session->reason) : NULL;
    if (session->at_eof || !text) text = strerror(session->failure);
    return ig_fail(err, IG_IO, "TLS with %s failed: %s", peer, text);
}
