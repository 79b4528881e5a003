/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_TLS_H
#define IG_NET_TLS_H

/* TLS 1.2 and 1.3 by OpenSSL 3 over non-blocking sockets: a server's certificate and key, what a
 * client trusts, and sessions of either side. A session neither owns nor closes its socket, never
 * blocks and never raises SIGPIPE. There is no renegotiation, no compression and no early data. */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct ig_tls;         /* a server's certificate and key */
struct ig_tls_trust;   /* what a client trusts */
struct ig_tls_session; /* one connection */

/* Servers. PEM files: the certificate with the chain above it, and its key without a pass phrase.
 * Errors: those of ig_file_read, PARSE (no PEM of that kind; an encrypted key), INVALID (the key is
 * of another certificate; a key that is too weak), NO_MEMORY; each names the file. */
enum ig_code ig_tls_new(struct ig_tls **out, const char *certificate_file, const char *key_file,
                        struct ig_err *err);
void ig_tls_free(struct ig_tls *tls); /* sessions live on; NULL is allowed */

enum ig_tls_news { IG_TLS_SAME, IG_TLS_RENEWED, IG_TLS_KEPT };
/* Reads the files again when they have changed since they were last read, when `force` says so, and
 * every half day for new session ticket keys. New sessions take what was read (RENEWED), old ones
 * keep theirs. What cannot be used leaves everything as it is (KEPT, err says why) and is not tried
 * again before it changes. May block on files; one thread at a time, beside any of
 * ig_tls_accept. */
enum ig_tls_news ig_tls_refresh(struct ig_tls *tls, bool force, struct ig_err *err);

/* Clients. `ca_file`: PEM certificates that alone are trusted; NULL: the system's. Errors: those of
 * ig_tls_new. */
enum ig_code ig_tls_trust_new(struct ig_tls_trust **out, const char *ca_file, struct ig_err *err);
void ig_tls_trust_free(struct ig_tls_trust *trust); /* NULL is allowed */

/* Sessions: one thread at a time each. NULL: out of memory. */
struct ig_tls_session *ig_tls_accept(struct ig_tls *tls, int fd);
/* `host`: the name or numeric address that the server's certificate must be for. */
struct ig_tls_session *ig_tls_connect(const struct ig_tls_trust *trust, int fd, const char *host);
void ig_tls_session_free(struct ig_tls_session *session); /* says nothing to the peer */

/* Goes on with the handshake: 1 when it is done, -EAGAIN, or -errno. Reading and writing do so by
 * themselves. */
int64_t ig_tls_handshake(struct ig_tls_session *session);
/* > 0 bytes, 0 the peer has said that no more comes, -EAGAIN, or -errno (the session is broken; the
 * peer closing without a word is that, too). Fewer bytes than `size` say that no more are there
 * now, or that ig_tls_over or ig_tls_paused. */
int64_t ig_tls_read(struct ig_tls_session *session, void *bytes, size_t size);
/* > 0 bytes, a record or two (16 KiB each), -EAGAIN, or -errno. Behind -EAGAIN the same bytes must
 * come again, from any place, more may follow them. */
int64_t ig_tls_write(struct ig_tls_session *session, const void *bytes, size_t size);
/* Whether bytes can be read, or the end was reached or the session broke. */
bool ig_tls_readable(struct ig_tls_session *session);
/* Tells the peer that no more comes. False: the socket does not take it now; call again. */
bool ig_tls_end(struct ig_tls_session *session);

bool ig_tls_established(const struct ig_tls_session *session); /* the handshake is done */
bool ig_tls_over(const struct ig_tls_session *session);        /* no more can be read */
/* Whether the last read stopped, after some 32 KiB of the socket, though more may lie in it. */
bool ig_tls_paused(const struct ig_tls_session *session);
short ig_tls_wants(const struct ig_tls_session *session); /* POLLIN, POLLOUT; behind -EAGAIN */

enum ig_tls_protocol { IG_TLS_NONE, IG_TLS_HTTP1, IG_TLS_HTTP2 };
/* What was agreed on by ALPN; NONE: the client did not ask. Servers offer h2 and http/1.1, clients
 * http/1.1. */
enum ig_tls_protocol ig_tls_protocol(const struct ig_tls_session *session);

/* Why a session broke: DENIED for a certificate that is not to be trusted, else IO. `peer` ("host
 * port 8443") names the other side. */
enum ig_code ig_tls_explain(const struct ig_tls_session *session, const char *peer,
                            struct ig_err *err);

#endif
