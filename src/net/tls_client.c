/* SPDX-License-Identifier: Apache-2.0 */
/* What a client trusts, and its sessions: the chain must end at a trusted CA, and the certificate
 * be for the host that was asked for (RFC 6125; the common name does not count beside a subject
 * alternative name). Owns: the context. */
#include "net/tls_priv.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

struct ig_tls_trust {
    SSL_CTX *context;
};

static enum ig_code trust_file(SSL_CTX *context, const char *path, struct ig_err *err)
{
    struct ig_buf pem;
    BIO *source = NULL;
    X509 *found = NULL;
    size_t count = 0;
    enum ig_code code = ig_tls_read_file(&pem, path, err);
    if (code) {
        ig_err_prefix(err, "CA file");
        goto out;
    }
    source = BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len);
    while (source && (found = PEM_read_bio_X509(source, NULL, NULL, NULL))) {
        count += X509_STORE_add_cert(SSL_CTX_get_cert_store(context), found) == 1;
        X509_free(found);
    }
    bool clean = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    if (!count || !clean)
        code = ig_fail(err, IG_PARSE, "CA file '%s': expected certificates in PEM: %s", path,
                       ig_tls_reason());
out:
    ERR_clear_error();
    BIO_free(source);
    ig_buf_deinit(&pem);
    return code;
}

enum ig_code ig_tls_trust_new(struct ig_tls_trust **out, const char *ca_file, struct ig_err *err)
{
    static const unsigned char PROTOCOL[] = "\x08http/1.1";
    enum ig_code code = IG_OK;
    struct ig_tls_trust *trust = ig_zalloc(sizeof *trust);
    if (!trust) return ig_fail(err, IG_NO_MEMORY, "no memory for TLS");
    trust->context = ig_tls_context_new(TLS_client_method());
    if (!trust->context ||
        SSL_CTX_set_alpn_protos(trust->context, PROTOCOL, sizeof PROTOCOL - 1) != 0) {
        code = ig_fail(err, IG_NO_MEMORY, "cannot make a TLS context: %s", ig_tls_reason());
        goto out;
    }
    SSL_CTX_set_verify(trust->context, SSL_VERIFY_PEER, NULL);
    if (ca_file)
        code = trust_file(trust->context, ca_file, err);
    else if (SSL_CTX_set_default_verify_paths(trust->context) != 1)
        code = ig_fail(err, IG_IO, "cannot use the system's CAs: %s", ig_tls_reason());
out:
    if (code)
        ig_tls_trust_free(trust);
    else
        *out = trust;
    return code;
}

void ig_tls_trust_free(struct ig_tls_trust *trust)
{
    if (!trust) return;
    SSL_CTX_free(trust->context);
    ig_free(trust);
}

static bool expect_host(SSL *ssl, const char *host)
{
    unsigned char address[16];
    if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

struct ig_tls_session *ig_tls_connect(const struct ig_tls_trust *trust, int fd, const char *host)
{
    SSL *ssl = SSL_new(trust->context);
    if (!ssl) return NULL;
    SSL_set_connect_state(ssl);
    if (!expect_host(ssl, host)) {
        SSL_free(ssl);
        return NULL;
    }
    return ig_tls_session_new(ssl, fd);
}
