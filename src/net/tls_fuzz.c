/* SPDX-License-Identifier: Apache-2.0 */
/* A server's session fed with any bytes, in pieces whose sizes the first byte tells, until the
 * client closes: each read says bytes, the end, "later" or an error, and an error stays one. */
#include "net/tls.h"

#include <errno.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void write_pem(char *path, const X509 *certificate, const EVP_PKEY *key)
{
    FILE *file = fdopen(mkstemp(path), "w");
    if (!file) abort();
    if (certificate) PEM_write_X509(file, certificate);
    if (key) PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
}

static struct ig_tls *make_tls(void)
{
    char certificate_file[] = "/tmp/ingot-fuzz-XXXXXX", key_file[] = "/tmp/ingot-fuzz-XXXXXX";
    struct ig_err err = IG_ERR_INIT;
    struct ig_tls *tls = NULL;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    if (!key || !certificate) abort();
    X509_set_version(certificate, 2);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
    X509_set_pubkey(certificate, key);
    if (!X509_sign(certificate, key, EVP_sha256())) abort();
    write_pem(certificate_file, certificate, NULL);
    write_pem(key_file, NULL, key);
    if (ig_tls_new(&tls, certificate_file, key_file, &err)) abort();
    unlink(certificate_file);
    unlink(key_file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    return tls;
}

/* Reads until nothing more is there; false when the session is over. */
static bool drain(struct ig_tls_session *session)
{
    char out[512];
    for (;;) {
        int64_t got = ig_tls_read(session, out, sizeof out);
        if (got == -EAGAIN && ig_tls_paused(session)) continue;
        if (got == -EAGAIN) return true;
        if (got > (int64_t)sizeof out) abort();
        if (got > 0) continue;
        if (!ig_tls_over(session) || !ig_tls_readable(session)) abort();
        if (ig_tls_read(session, out, sizeof out) != got) abort();
        return false;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static struct ig_tls *tls;
    int ends[2];
    if (!tls) tls = make_tls();
    if (!size || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0) return 0;
    struct ig_tls_session *session = ig_tls_accept(tls, ends[0]);
    size_t step = bytes[0] % 64u + 1;
    bool open = session != NULL;
    for (size_t at = 1; open && at < size; at += step) {
        size_t piece = size - at < step ? size - at : step;
        if (send(ends[1], bytes + at, piece, MSG_NOSIGNAL) != (ssize_t)piece) break;
        open = drain(session);
    }
    shutdown(ends[1], SHUT_WR);
    if (open && drain(session)) abort(); /* the end was not noticed */
    (void)ig_tls_end(session);
    ig_tls_session_free(session);
    close(ends[0]);
    close(ends[1]);
    return 0;
}
