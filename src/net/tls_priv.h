/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_TLS_PRIV_H
#define IG_NET_TLS_PRIV_H

/* Internals shared by the tls*.c files. */

#include "net/tls.h"

#include "base/str.h"

#include <openssl/ssl.h>

/* A context with what both sides have in common; NULL: out of memory. */
SSL_CTX *ig_tls_context_new(const SSL_METHOD *method);
/* "no start line": the latest reason in this thread's queue of OpenSSL's errors, which is
 * emptied. */
const char *ig_tls_reason(void);
/* Reads a PEM file of the operator's. */
enum ig_code ig_tls_read_file(struct ig_buf *pem, const char *path, struct ig_err *err);
/* A session over the socket on an own SSL, which it takes; NULL: out of memory. */
struct ig_tls_session *ig_tls_session_new(SSL *ssl, int fd);

#endif
