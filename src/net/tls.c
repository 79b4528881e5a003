/* SPDX-License-Identifier: Apache-2.0 */
/* A server's certificate and key: loading, checking, and taking over what has changed.
 *
 * Versions and ciphers follow Mozilla's intermediate configuration without finite-field
 * Diffie-Hellman. Resumption is by tickets alone, so that no state is kept; their keys belong to a
 * context, and a fresh one every half day renews them.
 * Owns: the context, which every session refers to. Invariant: a context is complete before it can
 * be seen and never changes afterwards. Thread rule: see the header; the lock is of `context`. */
#include "net/tls_priv.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX_BYTES = 1 << 20 };

static const uint64_t TICKETS_NS = UINT64_C(12) * 3600 * 1000000000;
static const char CIPHERS[] = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
                              "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
                              "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";
static const char GROUPS[] = "X25519:P-256:P-384";

/* By what a change of a file is noticed. */
struct stamp {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed, modified;
};

struct ig_tls {
    pthread_mutex_t lock;
    SSL_CTX *context;
    char *certificate_file, *key_file;
    struct stamp certificate, key; /* as they were when last read */
    uint64_t read_ns;
};

/* Contexts. */

const char *ig_tls_reason(void)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return reason ? reason : "no reason given";
}

SSL_CTX *ig_tls_context_new(const SSL_METHOD *method)
{
    ERR_clear_error();
    SSL_CTX *context = SSL_CTX_new(method);
    if (!context) return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1); /* a record's head and body in one system call */
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(context, CIPHERS) == 1 &&
        SSL_CTX_set1_groups_list(context, GROUPS) == 1)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

/* RFC 7301: who asks for nothing that is spoken here is told so. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *wanted, unsigned wanted_size, void *context)
{
    static const unsigned char SPOKEN[] = "\x02h2\x08http/1.1";
    unsigned char *chosen = NULL;
    (void)ssl;
    (void)context;
    if (SSL_select_next_proto(&chosen, out_size, SPOKEN, sizeof SPOKEN - 1, wanted, wanted_size) !=
        OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

/* Files. */

enum ig_code ig_tls_read_file(struct ig_buf *pem, const char *path, struct ig_err *err)
{
    ig_buf_init(pem, FILE_MAX_BYTES);
    return ig_file_read(pem, IG_FILE_CWD, path, err);
}

/* Instead of asking at the terminal. */
static int refuse_pass_phrase(char *out, int size, int writing, void *asked)
{
    (void)out;
    (void)size;
    (void)writing;
    *(bool *)asked = true;
    return -1;
}

static enum ig_code add_chain(SSL_CTX *context, BIO *pem, const char *path, struct ig_err *err)
{
    X509 *above;
    while ((above = PEM_read_bio_X509(pem, NULL, NULL, NULL))) {
        if (SSL_CTX_add0_chain_cert(context, above) == 1) continue;
        X509_free(above);
        return ig_fail(err, IG_INVALID, "certificate '%s': its chain cannot be used: %s", path,
                       ig_tls_reason());
    }
    if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)
        return ig_fail(err, IG_PARSE, "certificate '%s': its chain is malformed: %s", path,
                       ig_tls_reason());
    ERR_clear_error();
    return IG_OK;
}

static void warn_of_time(const X509 *certificate, const char *path)
{
    if (X509_cmp_current_time(X509_get0_notAfter(certificate)) < 0)
        ig_log(IG_LOG_WARN, "tls_certificate_expired", IG_LOG_C("file", path));
    else if (X509_cmp_current_time(X509_get0_notBefore(certificate)) > 0)
        ig_log(IG_LOG_WARN, "tls_certificate_not_yet_valid", IG_LOG_C("file", path));
}

static enum ig_code use_certificate(SSL_CTX *context, const char *path, struct ig_err *err)
{
    struct ig_buf pem;
    BIO *source = NULL;
    X509 *own = NULL;
    enum ig_code code = ig_tls_read_file(&pem, path, err);
    if (code) goto out;
    source = BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len);
    own = source ? PEM_read_bio_X509_AUX(source, NULL, NULL, NULL) : NULL;
    if (!own) {
        code = ig_fail(err, IG_PARSE, "certificate '%s': no certificate in PEM in it: %s", path,
                       ig_tls_reason());
        goto out;
    }
    if (SSL_CTX_use_certificate(context, own) != 1) {
        code =
            ig_fail(err, IG_INVALID, "certificate '%s' cannot be used: %s", path, ig_tls_reason());
        goto out;
    }
    code = add_chain(context, source, path, err);
    if (!code) warn_of_time(own, path);
out:
    X509_free(own);
    BIO_free(source);
    ig_buf_deinit(&pem);
    return code;
}

static enum ig_code use_key(SSL_CTX *context, const struct ig_tls *tls, struct ig_err *err)
{
    const char *path = tls->key_file;
    struct ig_buf pem;
    BIO *source = NULL;
    EVP_PKEY *key = NULL;
    bool encrypted = false;
    enum ig_code code = ig_tls_read_file(&pem, path, err);
    if (code) goto out;
    source = BIO_new_mem_buf(pem.len ? pem.ptr : "", (int)pem.len);
    key = source ? PEM_read_bio_PrivateKey(source, NULL, refuse_pass_phrase, &encrypted) : NULL;
    if (!key) {
        const char *reason = ig_tls_reason();
        code = ig_fail(err, IG_PARSE, "key '%s': %s: %s", path,
                       encrypted ? "it needs a pass phrase, expected one without"
                                 : "no private key in PEM in it",
                       reason);
        goto out;
    }
    if (X509_check_private_key(SSL_CTX_get0_certificate(context), key) != 1) {
        code = ig_fail(err, IG_INVALID, "key '%s' does not belong to the certificate '%s'", path,
                       tls->certificate_file);
        goto out;
    }
    if (SSL_CTX_use_PrivateKey(context, key) != 1)
        code = ig_fail(err, IG_INVALID, "key '%s' cannot be used: %s", path, ig_tls_reason());
out:
    ERR_clear_error();
    EVP_PKEY_free(key);
    BIO_free(source);
    if (pem.len) OPENSSL_cleanse(pem.ptr, pem.len);
    ig_buf_deinit(&pem);
    return code;
}

static enum ig_code load(SSL_CTX **out, const struct ig_tls *tls, struct ig_err *err)
{
    SSL_CTX *context = ig_tls_context_new(TLS_server_method());
    if (!context)
        return ig_fail(err, IG_NO_MEMORY, "cannot make a TLS context: %s", ig_tls_reason());
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    enum ig_code code = use_certificate(context, tls->certificate_file, err);
    if (!code) code = use_key(context, tls, err);
    if (code)
        SSL_CTX_free(context);
    else
        *out = context;
    return code;
}

static struct stamp stamp_of(const char *path)
{
    struct stat found;
    if (stat(path, &found) != 0) return (struct stamp){0};
    return (struct stamp){.device = found.st_dev,
                          .inode = found.st_ino,
                          .size = found.st_size,
                          .changed = found.st_ctim,
                          .modified = found.st_mtim};
}

static bool same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool same_stamp(const struct stamp *a, const struct stamp *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           same_time(a->changed, b->changed) && same_time(a->modified, b->modified);
}

/* Stamps before reading: what changes meanwhile is noticed next time. */
static enum ig_code read_files(SSL_CTX **out, struct ig_tls *tls, struct ig_err *err)
{
    tls->certificate = stamp_of(tls->certificate_file);
    tls->key = stamp_of(tls->key_file);
    tls->read_ns = ig_clock_ns();
    return load(out, tls, err);
}

/* Servers. */

static char *copy_path(const char *path)
{
    size_t size = strlen(path) + 1;
    char *copy = ig_alloc(size);
    if (copy) memcpy(copy, path, size);
    return copy;
}

enum ig_code ig_tls_new(struct ig_tls **out, const char *certificate_file, const char *key_file,
                        struct ig_err *err)
{
    struct ig_tls *tls = ig_zalloc(sizeof *tls);
    if (!tls) return ig_fail(err, IG_NO_MEMORY, "no memory for TLS");
    pthread_mutex_init(&tls->lock, NULL);
    tls->certificate_file = copy_path(certificate_file);
    tls->key_file = copy_path(key_file);
    enum ig_code code = IG_OK;
    if (!tls->certificate_file || !tls->key_file)
        code = ig_fail(err, IG_NO_MEMORY, "no memory for TLS");
    if (!code) code = read_files(&tls->context, tls, err);
    if (code)
        ig_tls_free(tls);
    else
        *out = tls;
    return code;
}

void ig_tls_free(struct ig_tls *tls)
{
    if (!tls) return;
    SSL_CTX_free(tls->context);
    pthread_mutex_destroy(&tls->lock);
    ig_free(tls->certificate_file);
    ig_free(tls->key_file);
    ig_free(tls);
}

enum ig_tls_news ig_tls_refresh(struct ig_tls *tls, bool force, struct ig_err *err)
{
    struct stamp certificate = stamp_of(tls->certificate_file), key = stamp_of(tls->key_file);
    bool same = same_stamp(&certificate, &tls->certificate) && same_stamp(&key, &tls->key);
    if (same && !force && ig_clock_ns() - tls->read_ns < TICKETS_NS) return IG_TLS_SAME;
    SSL_CTX *fresh = NULL;
    if (read_files(&fresh, tls, err)) return IG_TLS_KEPT;
    pthread_mutex_lock(&tls->lock);
    SSL_CTX *old = tls->context;
    tls->context = fresh;
    pthread_mutex_unlock(&tls->lock);
    SSL_CTX_free(old); /* its sessions hold it */
    return IG_TLS_RENEWED;
}

struct ig_tls_session *ig_tls_accept(struct ig_tls *tls, int fd)
{
    pthread_mutex_lock(&tls->lock);
    SSL *ssl = SSL_new(tls->context);
    pthread_mutex_unlock(&tls->lock);
    if (!ssl) return NULL;
    SSL_set_accept_state(ssl);
    return ig_tls_session_new(ssl, fd);
}
