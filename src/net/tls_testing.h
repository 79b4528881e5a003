/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_TLS_TESTING_H
#define IG_NET_TLS_TESTING_H

/* What tests of TLS share: CAs and certificates made on the spot in a temporary directory, and
 * tunnels that let a client without TLS, of HTTP/1, HTTP/2 or gRPC, speak to a server with it. */

#include "net/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Certificates. */

struct pki {
    char dir[64];
    EVP_PKEY *ca_key;
    X509 *ca;
    int files_count;
    char *files[32]; /* to be removed */
};

struct pki_names {
    const char *subject; /* common name */
    const char *hosts;   /* "DNS:localhost,IP:127.0.0.1", or NULL */
    int from_days, to_days;
    bool is_ca;
};

static const struct pki_names PKI_LOCAL = {"local", "DNS:localhost,IP:127.0.0.1", -1, 30, false};

static inline void pki_extend(X509 *certificate, X509 *issuer, int kind, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* Of `key`, by the CA; by itself without one. */
static inline X509 *pki_certificate(const struct pki *pki, EVP_PKEY *key,
                                    const struct pki_names *names)
{
    static long serial = 1;
    X509 *made = X509_new();
    assert_non_null(made);
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), serial++);
    X509_gmtime_adj(X509_getm_notBefore(made), names->from_days * 86400L);
    X509_gmtime_adj(X509_getm_notAfter(made), names->to_days * 86400L);
    X509_set_pubkey(made, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(made), "CN", MBSTRING_ASC,
                               (const unsigned char *)names->subject, -1, -1, 0);
    X509 *issuer = names->is_ca ? made : pki->ca;
    X509_set_issuer_name(made, X509_get_subject_name(issuer));
    if (names->is_ca) pki_extend(made, issuer, NID_basic_constraints, "critical,CA:TRUE");
    if (names->hosts) pki_extend(made, issuer, NID_subject_alt_name, names->hosts);
    assert_true(X509_sign(made, pki->ca_key, EVP_sha256()) > 0);
    return made;
}

static inline const char *pki_path(struct pki *pki, const char *name)
{
    assert_true(pki->files_count < 32);
    char **path = &pki->files[pki->files_count++];
    assert_true(asprintf(path, "%s/%s", pki->dir, name) > 0);
    return *path;
}

static inline void pki_make(struct pki *pki)
{
    static const struct pki_names CA = {"test CA", NULL, -1, 30, true};
    *pki = (struct pki){.dir = "/tmp/ingot-tls-XXXXXX"};
    assert_non_null(mkdtemp(pki->dir));
    pki->ca_key = EVP_EC_gen("P-256");
    pki->ca = pki_certificate(pki, pki->ca_key, &CA);
    FILE *file = fopen(pki_path(pki, "ca.pem"), "w");
    assert_non_null(file);
    PEM_write_X509(file, pki->ca);
    fclose(file);
}

static inline void pki_remove(struct pki *pki)
{
    for (int i = 0; i < pki->files_count; i++) {
        unlink(pki->files[i]);
        free(pki->files[i]);
    }
    rmdir(pki->dir);
    EVP_PKEY_free(pki->ca_key);
    X509_free(pki->ca);
}

/* Writes a new key and its certificate, with the CA's behind it. */
static inline void pki_issue(const struct pki *pki, const struct pki_names *names,
                             const char *certificate_file, const char *key_file)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *made = pki_certificate(pki, key, names);
    FILE *file = fopen(key_file, "w");
    assert_non_null(file);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    file = fopen(certificate_file, "w");
    assert_non_null(file);
    PEM_write_X509(file, made);
    PEM_write_X509(file, pki->ca);
    fclose(file);
    X509_free(made);
    EVP_PKEY_free(key);
}

/* Tunnels. */

enum { TUNNEL_BYTES = 16384 };

struct tunnel {
    int outer, inner; /* to the server, to the test */
    SSL *ssl;
    char up[TUNNEL_BYTES], down[TUNNEL_BYTES];
    size_t up_len, down_len, down_at;
    bool up_over, down_over, said;
    short wants; /* of the server's side, besides input */
};

static struct {
    SSL_CTX *context; /* made by tls_on */
    _Atomic int open;
} tunnels;

static inline short tunnel_wants(const struct tunnel *tunnel, int result)
{
    return SSL_get_error(tunnel->ssl, result) == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
}

/* From the test to the server; false: broken. */
static inline bool tunnel_up(struct tunnel *tunnel)
{
    if (!tunnel->up_len && !tunnel->up_over) {
        ssize_t got = recv(tunnel->inner, tunnel->up, TUNNEL_BYTES, 0);
        if (got > 0) tunnel->up_len = (size_t)got;
        if (got == 0 || (got < 0 && errno != EAGAIN)) tunnel->up_over = true;
    }
    size_t written = 0;
    tunnel->wants = 0;
    if (tunnel->up_len) {
        ERR_clear_error();
        int result = SSL_write_ex(tunnel->ssl, tunnel->up, tunnel->up_len, &written);
        if (result == 1)
            tunnel->up_len = 0;
        else
            tunnel->wants = tunnel_wants(tunnel, result);
        int error = SSL_get_error(tunnel->ssl, result);
        if (result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            return false;
    }
    if (tunnel->up_over && !tunnel->up_len && !tunnel->said && SSL_is_init_finished(tunnel->ssl)) {
        SSL_shutdown(tunnel->ssl);
        shutdown(tunnel->outer, SHUT_WR);
        tunnel->said = true;
    }
    return true;
}

/* From the server to the test; false: over. */
static inline bool tunnel_down(struct tunnel *tunnel)
{
    if (tunnel->down_at == tunnel->down_len && !tunnel->down_over) {
        tunnel->down_at = tunnel->down_len = 0;
        ERR_clear_error();
        int result = SSL_read_ex(tunnel->ssl, tunnel->down, TUNNEL_BYTES, &tunnel->down_len);
        int error = SSL_get_error(tunnel->ssl, result);
        if (result != 1) tunnel->down_len = 0;
        if (result != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
            tunnel->down_over = true;
    }
    if (tunnel->down_at < tunnel->down_len) {
        ssize_t sent = send(tunnel->inner, tunnel->down + tunnel->down_at,
                            tunnel->down_len - tunnel->down_at, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) tunnel->down_at += (size_t)sent;
    }
    return !tunnel->down_over || tunnel->down_at < tunnel->down_len;
}

static inline void *tunnel_run(void *context)
{
    struct tunnel *tunnel = context;
    for (;;) {
        struct pollfd waits[2] = {{.fd = tunnel->outer}, {.fd = tunnel->inner}};
        bool greeted = SSL_is_init_finished(tunnel->ssl);
        if (!tunnel_up(tunnel) || !tunnel_down(tunnel)) break;
        if (!greeted && SSL_is_init_finished(tunnel->ssl)) continue; /* what waits may go up now */
        bool holds = tunnel->down_at < tunnel->down_len;
        waits[0].events = (short)(tunnel->wants | (holds ? 0 : POLLIN));
        waits[1].events =
            (short)((holds ? POLLOUT : 0) | (tunnel->up_len || tunnel->up_over ? 0 : POLLIN));
        if (tunnel->up_over && !holds) waits[1].fd = -1; /* a hang-up alone would wake at once */
        if (!holds && SSL_pending(tunnel->ssl)) continue;
        poll(waits, 2, -1);
    }
    SSL_free(tunnel->ssl);
    close(tunnel->outer);
    close(tunnel->inner);
    free(tunnel);
    atomic_fetch_sub(&tunnels.open, 1);
    return NULL;
}

/* A socket through which a client without TLS speaks to the server behind `fd`. */
static inline int tunnel_open(int fd, const char *protocol)
{
    int ends[2];
    unsigned char wire[16] = {0};
    struct tunnel *tunnel = calloc(1, sizeof *tunnel);
    assert_non_null(tunnel);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    struct timeval patience = {.tv_sec = 3};
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(ends[1], F_SETFL, O_NONBLOCK);
    tunnel->outer = fd;
    tunnel->inner = ends[1];
    tunnel->ssl = SSL_new(tunnels.context);
    SSL_set_mode(tunnel->ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_set_fd(tunnel->ssl, fd);
    SSL_set_connect_state(tunnel->ssl);
    wire[0] = (unsigned char)strlen(protocol);
    memcpy(wire + 1, protocol, wire[0]);
    SSL_set_alpn_protos(tunnel->ssl, wire, wire[0] + 1u);
    pthread_t thread;
    atomic_fetch_add(&tunnels.open, 1);
    pthread_create(&thread, NULL, tunnel_run, tunnel);
    pthread_detach(thread);
    return ends[0];
}

static inline void tunnels_begin(void)
{
    signal(SIGPIPE, SIG_IGN); /* OpenSSL's own sockets write */
    tunnels.context = SSL_CTX_new(TLS_client_method());
}

/* Waits for all tunnels; their sockets are closed, or the server is gone. */
static inline void tunnels_wait(void)
{
    while (atomic_load(&tunnels.open)) usleep(1000);
}

static inline void tunnels_end(void)
{
    tunnels_wait();
    SSL_CTX_free(tunnels.context);
    tunnels.context = NULL;
}

/* Tests of what is above TLS. */

/* Not NULL while the tests of a program run over TLS: see RUN_PLAIN_AND_TLS. */
static struct ig_tls *over_tls;
static struct pki test_pki; /* and what its server shows */

static inline int tls_on(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    pki_make(&test_pki);
    tunnels_begin();
    const char *certificate = pki_path(&test_pki, "own.pem");
    const char *key = pki_path(&test_pki, "own.key");
    pki_issue(&test_pki, &PKI_LOCAL, certificate, key);
    if (ig_tls_new(&over_tls, certificate, key, &err)) fail_msg("%s", err.message);
    return 0;
}

static inline int tls_off(void **state)
{
    (void)state;
    tunnels_end();
    pki_remove(&test_pki);
    ig_tls_free(over_tls);
    over_tls = NULL;
    return 0;
}

/* The same tests again, each connection through a tunnel. */
#define RUN_PLAIN_AND_TLS(tests)                                                                   \
    (cmocka_run_group_tests(tests, NULL, NULL) +                                                   \
     cmocka_run_group_tests_name("over TLS", tests, tls_on, tls_off))

#endif
