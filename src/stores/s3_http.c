/* SPDX-License-Identifier: Apache-2.0 */
/* libcurl, by dlopen, so that a program without an S3 store neither loads nor needs it. One library
 * a process, never unloaded; a failure is not kept. Thread rule: a mutex guards the loading,
 * another the list of handles; a handle belongs to one call. */
#include "stores/s3_http.h"

#include "base/file.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { IDLE_MAX = 16, VERSION_LEAST = 0x075500 }; /* 7.85.0 */
static const long CONNECT_TIMEOUT_MS = 10000, STALLED_S = 30, STALLED_BYTES = 1;

struct entries {
#define IG_CURL_ENTRY(result, name, parameters, doc) result(*name) parameters;
#include "stores/curl_entries.def"
#undef IG_CURL_ENTRY
};

static struct {
    pthread_mutex_t lock;
    bool loaded;
    struct entries entries;
} library = {.lock = PTHREAD_MUTEX_INITIALIZER};

struct ig_s3_http {
    const struct entries *curl;
    const char *ca_file; /* AWS_CA_BUNDLE, or NULL */
    pthread_mutex_t lock;
    CURL *idle[IDLE_MAX];
    unsigned idle_count;
};

/* ---- loading ---- */

static enum ig_code take_entries(struct entries *out, void *handle, struct ig_err *err)
{
#define IG_CURL_ENTRY(result, name, parameters, doc)                                               \
    void *name = dlsym(handle, "curl_" #name);                                                     \
    if (!name) return ig_fail(err, IG_UNSUPPORTED, "blobs: libcurl.so.4 has no curl_%s", #name);   \
    memcpy(&out->name, &name, sizeof name);
#include "stores/curl_entries.def"
#undef IG_CURL_ENTRY
    const curl_version_info_data *version = out->version_info(CURLVERSION_NOW);
    if (version->version_num < VERSION_LEAST)
        return ig_fail(err, IG_UNSUPPORTED, "blobs: libcurl %s is too old, 7.85 or later is needed",
                       version->version);
    if (out->global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return ig_fail(err, IG_UNSUPPORTED, "blobs: libcurl %s does not start", version->version);
    return IG_OK;
}

static enum ig_code load(struct ig_err *err)
{
    struct entries entries;
    void *handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!handle)
        return ig_fail(
            err, IG_UNSUPPORTED,
            "blobs: S3 needs libcurl.so.4 (package libcurl4), which cannot be loaded: %.200s",
            dlerror());
    if (take_entries(&entries, handle, err) != IG_OK) {
        dlclose(handle);
        return err->code;
    }
    library.entries = entries;
    library.loaded = true;
    return IG_OK;
}

enum ig_code ig_s3_http_open(struct ig_s3_http **out, struct ig_err *err)
{
    enum ig_code code = IG_OK;
    pthread_mutex_lock(&library.lock);
    if (!library.loaded) code = load(err);
    pthread_mutex_unlock(&library.lock);
    if (code != IG_OK) return code;
    struct ig_s3_http *http = ig_zalloc(sizeof *http);
    if (!http) return ig_fail(err, IG_NO_MEMORY, "S3");
    http->curl = &library.entries;
    http->ca_file = getenv("AWS_CA_BUNDLE");
    pthread_mutex_init(&http->lock, NULL);
    *out = http;
    return IG_OK;
}

void ig_s3_http_close(struct ig_s3_http *http)
{
    if (!http) return;
    while (http->idle_count) http->curl->easy_cleanup(http->idle[--http->idle_count]);
    pthread_mutex_destroy(&http->lock);
    ig_free(http);
}

static CURL *take_handle(struct ig_s3_http *http)
{
    CURL *handle = NULL;
    pthread_mutex_lock(&http->lock);
    if (http->idle_count) handle = http->idle[--http->idle_count];
    pthread_mutex_unlock(&http->lock);
    return handle ? handle : http->curl->easy_init();
}

static void give_handle(struct ig_s3_http *http, CURL *handle)
{
    bool kept = false;
    http->curl->easy_reset(handle);
    pthread_mutex_lock(&http->lock);
    if (http->idle_count < IDLE_MAX) {
        http->idle[http->idle_count++] = handle;
        kept = true;
    }
    pthread_mutex_unlock(&http->lock);
    if (!kept) http->curl->easy_cleanup(handle);
}

/* ---- one exchange ---- */

static size_t on_read(char *out, size_t size, size_t count, void *context)
{
    struct ig_s3_exchange *exchange = context;
    uint64_t left = exchange->body_bytes - exchange->sent_bytes;
    size_t want = size * count < left ? size * count : (size_t)left;
    ssize_t got = (ssize_t)want;
    uint64_t at = exchange->body_at + exchange->sent_bytes;
    if (want == 0) return 0;
    if (exchange->body_fd < 0)
        memcpy(out, exchange->body + at, want);
    else
        do got = pread(exchange->body_fd, out, want, (off_t)at);
        while (got < 0 && errno == EINTR);
    if (got <= 0) {
        ig_fail(exchange->err, IG_IO, "S3: reading what is sent: %s",
                got < 0 ? strerror(errno) : "the file has become shorter");
        return CURL_READFUNC_ABORT;
    }
    exchange->sent_bytes += (uint64_t)got;
    return (size_t)got;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    struct ig_s3_exchange *exchange = context;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > exchange->body_bytes)
        return CURL_SEEKFUNC_CANTSEEK;
    exchange->sent_bytes = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static size_t on_write(char *bytes, size_t size, size_t count, void *context)
{
    struct ig_s3_exchange *exchange = context;
    long status = 0;
    size_t length = size * count;
    exchange->http->curl->easy_getinfo(exchange->handle, CURLINFO_RESPONSE_CODE, &status);
    if (exchange->sink_fd < 0 || status != 200) {
        bool fits = length <= exchange->reply.max_bytes - exchange->reply.len;
        ig_buf_add(&exchange->reply, bytes, length);
        if (exchange->reply.overflowed)
            ig_fail(exchange->err, fits ? IG_NO_MEMORY : IG_TOO_LARGE,
                    "S3: a reply of more than %zu bytes", exchange->reply.max_bytes);
        return exchange->reply.overflowed ? 0 : length;
    }
    if (ig_file_write_all(exchange->sink_fd, bytes, length, exchange->err) != IG_OK) return 0;
    if (exchange->sink_hash) ig_sha256_update(exchange->sink_hash, bytes, length);
    return length;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct ig_s3_exchange *exchange = context;
    struct ig_str value = {line, size * count};
    struct ig_str name = ig_str_cut(&value, ':');
    value = ig_str_trim(value);
    if (ig_str_eq_nocase(name, IG_STR("etag")) && value.len < sizeof exchange->etag) {
        memcpy(exchange->etag, value.ptr, value.len);
        exchange->etag[value.len] = 0;
    }
    return size * count;
}

static void set_method(const struct entries *curl, CURL *handle, struct ig_s3_exchange *exchange)
{
    bool sends = strcmp(exchange->method, "PUT") == 0 || strcmp(exchange->method, "POST") == 0;
    if (sends) {
        curl->easy_setopt(handle, CURLOPT_UPLOAD, 1L);
        curl->easy_setopt(handle, CURLOPT_INFILESIZE_LARGE, (curl_off_t)exchange->body_bytes);
        curl->easy_setopt(handle, CURLOPT_READFUNCTION, on_read);
        curl->easy_setopt(handle, CURLOPT_READDATA, exchange);
        curl->easy_setopt(handle, CURLOPT_SEEKFUNCTION, on_seek);
        curl->easy_setopt(handle, CURLOPT_SEEKDATA, exchange);
    }
    if (strcmp(exchange->method, "HEAD") == 0)
        curl->easy_setopt(handle, CURLOPT_NOBODY, 1L);
    else if (strcmp(exchange->method, "GET") != 0)
        curl->easy_setopt(handle, CURLOPT_CUSTOMREQUEST, exchange->method);
}

static void set_all(CURL *handle, struct ig_s3_exchange *exchange, struct curl_slist *headers)
{
    const struct entries *curl = exchange->http->curl;
    curl->easy_setopt(handle, CURLOPT_URL, exchange->url);
    curl->easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl->easy_setopt(handle, CURLOPT_PATH_AS_IS, 1L);
    curl->easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS,
                      exchange->connect_ms ? exchange->connect_ms : CONNECT_TIMEOUT_MS);
    if (exchange->no_proxy) curl->easy_setopt(handle, CURLOPT_NOPROXY, "*");
    curl->easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, STALLED_S);
    curl->easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, STALLED_BYTES);
    curl->easy_setopt(handle, CURLOPT_BUFFERSIZE, 256L << 10);
    curl->easy_setopt(handle, CURLOPT_UPLOAD_BUFFERSIZE, 256L << 10);
    curl->easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    curl->easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_write);
    curl->easy_setopt(handle, CURLOPT_WRITEDATA, exchange);
    curl->easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(handle, CURLOPT_HEADERDATA, exchange);
    if (exchange->http->ca_file && *exchange->http->ca_file)
        curl->easy_setopt(handle, CURLOPT_CAINFO, exchange->http->ca_file);
    set_method(curl, handle, exchange);
}

static bool is_passing(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SEND_FAIL_REWIND:
    case CURLE_UNSUPPORTED_PROTOCOL: /* HTTP/0.9: what no server meant */
        return true;
    default:
        return false;
    }
}

static enum ig_code take_outcome(struct ig_s3_exchange *exchange, CURLcode result,
                                 struct ig_err *err)
{
    const struct entries *curl = exchange->http->curl;
    long status = 0;
    curl_off_t length = 0;
    if (err->code != IG_OK) return err->code; /* a callback's own */
    exchange->again = is_passing(result);
    if (result == CURLE_OUT_OF_MEMORY) return ig_fail(err, IG_NO_MEMORY, "S3");
    if (result != CURLE_OK)
        return ig_fail(err, IG_UNAVAILABLE, "S3: %s", curl->easy_strerror(result));
    curl->easy_getinfo(exchange->handle, CURLINFO_RESPONSE_CODE, &status);
    curl->easy_getinfo(exchange->handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    exchange->status = (int)status;
    exchange->length = length > 0 ? (uint64_t)length : 0;
    return IG_OK;
}

/* OpenSSL writes to a connection that ended with write(), which may raise SIGPIPE. */
static void hold_sigpipe(sigset_t *pipe, sigset_t *before)
{
    sigemptyset(pipe);
    sigaddset(pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, pipe, before);
}

static void drop_sigpipe(const sigset_t *pipe, const sigset_t *before)
{
    const struct timespec now = {0};
    if (sigismember(before, SIGPIPE)) return;
    while (sigtimedwait(pipe, NULL, &now) < 0 && errno == EINTR)
        ;
    pthread_sigmask(SIG_SETMASK, before, NULL);
}

enum ig_code ig_s3_http_perform(struct ig_s3_http *http, struct ig_s3_exchange *exchange,
                                struct ig_err *err)
{
    const struct entries *curl = http->curl;
    struct curl_slist *headers = NULL, *longer;
    sigset_t pipe, before;
    CURL *handle = take_handle(http);
    if (!handle) return ig_fail(err, IG_NO_MEMORY, "S3");
    exchange->http = http;
    exchange->handle = handle;
    exchange->err = err;
    exchange->again = false;
    exchange->status = 0;
    exchange->sent_bytes = 0;
    exchange->etag[0] = 0;
    ig_buf_reset(&exchange->reply);
    for (size_t i = 0; i < exchange->headers_count; i++) {
        longer = curl->slist_append(headers, exchange->headers[i]);
        if (!longer) ig_fail(err, IG_NO_MEMORY, "S3");
        if (longer) headers = longer;
    }
    if (err->code == IG_OK) {
        set_all(handle, exchange, headers);
        hold_sigpipe(&pipe, &before);
        CURLcode result = curl->easy_perform(handle);
        drop_sigpipe(&pipe, &before);
        take_outcome(exchange, result, err);
    }
    curl->slist_free_all(headers);
    give_handle(http, handle);
    exchange->handle = NULL;
    return err->code;
}
