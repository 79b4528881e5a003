/* SPDX-License-Identifier: Apache-2.0 */
/* Requests: put together, signed at each try, told apart by what S3 says of them. Thread rule:
 * nothing is written after open but the keys, under a lock. */
#include "stores/s3_client.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/random.h"
#include "stores/s3_keys.h"
#include "stores/s3_priv.h"
#include "stores/s3_xml.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { TRIES = 5, REPLY_MAX = 8 << 20, TEXT_MAX = 64 << 10, NAME_MAX_BYTES = 512 + 80 };
enum { RENEW_AHEAD_MS = 300000, RENEW_AGAIN_MS = 10000 };
enum { TIME_SIZE = 17, PATH_SIZE = NAME_MAX_BYTES + 80 };
static const uint64_t MS = 1000000, PAUSE_NS = 100 * MS, PAUSE_MAX_NS = 5000 * MS;
static const uint64_t PATIENCE_NS = 120000 * MS;
static const char EMPTY_HASH[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

struct ig_s3 {
    struct ig_s3_place place;
    struct ig_s3_http *http;
    pthread_mutex_t lock; /* of what follows */
    struct ig_s3_keys keys;
    bool renewing;
    int64_t renew_at_ms; /* not before, after a failure */
};

enum ig_code ig_s3_open(struct ig_s3 **out, const struct ig_s3_place *place, struct ig_err *err)
{
    struct ig_s3 *s3 = ig_zalloc(sizeof *s3);
    if (!s3) return ig_fail(err, IG_NO_MEMORY, "S3");
    s3->place = *place;
    pthread_mutex_init(&s3->lock, NULL);
    if (ig_s3_http_open(&s3->http, err) != IG_OK ||
        ig_s3_keys_find(&s3->keys, s3->http, place->region, err) != IG_OK) {
        ig_s3_close(s3);
        return err->code;
    }
    *out = s3;
    return IG_OK;
}

void ig_s3_close(struct ig_s3 *s3)
{
    if (!s3) return;
    ig_s3_http_close(s3->http);
    explicit_bzero(&s3->keys, sizeof s3->keys);
    pthread_mutex_destroy(&s3->lock);
    ig_free(s3);
}

const struct ig_s3_place *s3_place(const struct ig_s3 *s3)
{
    return &s3->place;
}

/* ---- a call ---- */

void s3_call_init(struct s3_call *call, const char *method, const char *name)
{
    *call = (struct s3_call){.method = method, .name = name};
    call->exchange.body_fd = call->exchange.sink_fd = -1;
    ig_buf_init(&call->exchange.reply, REPLY_MAX);
}

void s3_call_deinit(struct s3_call *call)
{
    ig_buf_deinit(&call->exchange.reply);
}

void s3_call_query(struct s3_call *call, const char *name, struct ig_str value)
{
    IG_ASSERT(call->query_count < S3_CALL_PAIRS_MAX);
    call->query[call->query_count++] = (struct ig_s3_pair){ig_str_view(name), value};
}

void s3_call_header(struct s3_call *call, const char *name, struct ig_str value)
{
    IG_ASSERT(call->headers_count < S3_CALL_PAIRS_MAX);
    call->headers[call->headers_count++] = (struct ig_s3_pair){ig_str_view(name), value};
}

/* "20130524T000000Z" */
static void write_time(char out[TIME_SIZE])
{
    char iso[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(iso, ig_clock_unix_ms());
    snprintf(out, TIME_SIZE, "%.4s%.2s%.2sT%.2s%.2s%.2sZ", iso, iso + 5, iso + 8, iso + 11,
             iso + 14, iso + 17);
}

/* `name` NULL: of the bucket. */
static void write_path(char out[PATH_SIZE], const struct ig_s3_place *place, const char *name)
{
    bool bucket = place->path_style;
    snprintf(out, PATH_SIZE, "/%s%s%s%s", bucket ? place->bucket : "", bucket && name ? "/" : "",
             name ? place->prefix : "", name ? name : "");
}

/* The texts of one try. */
struct
try {
    char path[PATH_SIZE], time[TIME_SIZE];
    struct ig_s3_pair headers[S3_CALL_PAIRS_MAX + 4];
    size_t headers_count;
    struct ig_buf url, lines; /* each line ends with a NUL */
    size_t starts[S3_CALL_PAIRS_MAX + 5];
};

static void add_header(struct try *try, const char *name, struct ig_str value)
{
    try->starts[try->headers_count] = try->lines.len;
    try->headers[try->headers_count++] = (struct ig_s3_pair){ig_str_view(name), value};
    ig_buf_printf(&try->lines, "%s: %.*s", name, IG_STR_ARGS(value));
    ig_buf_add_char(&try->lines, 0);
}

static void compose(struct try *try, const struct ig_s3_place *place, const struct ig_s3_keys *keys,
                    const struct s3_call *call)
{
    const char *hash = call->body_hash ? call->body_hash : EMPTY_HASH;
    write_path(try->path, place, call->name);
    write_time(try->time);
    ig_buf_printf(&try->url, "%s%s%s", place->endpoint, try->path, call->query_count ? "?" : "");
    ig_s3_query(&try->url, call->query, call->query_count);
    add_header(try, "host", ig_str_view(place->host));
    add_header(try, "x-amz-content-sha256", ig_str_view(hash));
    add_header(try, "x-amz-date", ig_str_view(try->time));
    if (keys->token[0]) add_header(try, "x-amz-security-token", ig_str_view(keys->token));
    for (size_t i = 0; i < call->headers_count; i++)
        add_header(try, call->headers[i].name.ptr, call->headers[i].value);
    const struct ig_s3_request request = {.method = ig_str_view(call->method),
                                          .path = ig_str_view(try->path),
                                          .query = call->query,
                                          .query_count = call->query_count,
                                          .headers = try->headers,
                                          .headers_count = try->headers_count,
                                          .payload_hash = ig_str_view(hash)};
    const struct ig_s3_signer signer = {.access_key = ig_str_view(keys->access_key),
                                        .secret_key = ig_str_view(keys->secret_key),
                                        .region = ig_str_view(place->region),
                                        .service = IG_STR("s3"),
                                        .time = ig_str_view(try->time)};
    try->starts[try->headers_count] = try->lines.len;
    ig_buf_add_cstr(&try->lines, "authorization: ");
    ig_s3_authorize(&try->lines, &request, &signer);
}

static enum ig_code try_once(struct ig_s3 *s3, const struct ig_s3_keys *keys, struct s3_call *call,
                             struct ig_err *err)
{
    struct ig_s3_exchange *exchange = &call->exchange;
    struct try try;
    try.headers_count = 0;
    ig_buf_init(&try.url, TEXT_MAX);
    ig_buf_init(&try.lines, TEXT_MAX);
    compose(&try, &s3->place, keys, call);
    if (try.url.overflowed || try.lines.overflowed) {
        ig_fail(err, IG_NO_MEMORY, "S3");
    } else {
        size_t count = try.headers_count + 1;
        exchange->method = call->method;
        exchange->url = try.url.ptr;
        for (size_t i = 0; i < count; i++) exchange->headers[i] = try.lines.ptr + try.starts[i];
        exchange->headers[count] = "expect:"; /* or curl waits for a word before a body */
        exchange->headers_count = count + 1;
        ig_s3_http_perform(s3->http, exchange, err);
    }
    ig_buf_deinit(&try.url);
    ig_buf_deinit(&try.lines);
    return err->code;
}

/* ---- what S3 says ---- */

struct refusal {
    char code[64], message[200];
};

static bool take_refusal(void *context, const struct ig_s3_element *element)
{
    struct refusal *refusal = context;
    if (!ig_str_is(element->parent, "Error")) return true;
    if (ig_str_is(element->name, "Code"))
        snprintf(refusal->code, sizeof refusal->code, "%.*s", IG_STR_ARGS(element->text));
    if (ig_str_is(element->name, "Message"))
        snprintf(refusal->message, sizeof refusal->message, "%.*s", IG_STR_ARGS(element->text));
    return true;
}

static bool is_one(const char *code, const char *const *list)
{
    for (; *list; list++)
        if (strcmp(code, *list) == 0) return true;
    return false;
}

static enum ig_code refuse(struct ig_s3 *s3, struct s3_call *call, struct ig_err *err)
{
    static const char *const changed[] = {"BadDigest",
                                          "InvalidDigest",
                                          "IncompleteBody",
                                          "XAmzContentSHA256Mismatch",
                                          "XAmzContentChecksumMismatch",
                                          NULL};
    static const char *const passing[] = {"RequestTimeout", "SlowDown", "InternalError",
                                          "ServiceUnavailable", NULL};
    struct refusal refusal = {{0}, {0}};
    struct ig_err local = IG_ERR_INIT; /* what is no XML has no code */
    int status = call->exchange.status;
    ig_s3_xml_walk(ig_buf_view(&call->exchange.reply), take_refusal, &refusal, &local);
    if (local.code == IG_NO_MEMORY) return ig_fail(err, IG_NO_MEMORY, "%s", local.message);
    snprintf(call->s3_code, sizeof call->s3_code, "%s", refusal.code);
    bool damaged = is_one(refusal.code, changed);
    bool busy = status == 429 || status >= 500 || is_one(refusal.code, passing);
    call->exchange.again = damaged || (busy && status != 501);
    bool bucket = strcmp(refusal.code, "NoSuchBucket") == 0;
    if (bucket)
        return ig_fail(err, IG_IO, "S3: bucket '%s' does not exist at %s", s3->place.bucket,
                       s3->place.endpoint);
    enum ig_code code = status == 404                    ? IG_NOT_FOUND
                        : status == 401 || status == 403 ? IG_DENIED
                        : damaged                        ? IG_CORRUPT
                        : status == 501                  ? IG_UNSUPPORTED
                        : busy                           ? IG_UNAVAILABLE
                                                         : IG_IO;
    return ig_fail(err, code, "S3: %s %s%s: %d %s%s%s%s", call->method, s3->place.bucket,
                   call->name ? "/..." : "", status, refusal.code, refusal.message[0] ? ": " : "",
                   refusal.message,
                   status / 100 == 3 ? " (is the region or the endpoint another?)" : "");
}

static bool has_error(void *context, const struct ig_s3_element *element)
{
    *(bool *)context = element->parent.len == 0 && ig_str_is(element->name, "Error");
    return true;
}

/* Requests that take long begin with a 200 and may end with an error. */
static bool is_good(const struct s3_call *call)
{
    struct ig_err local = IG_ERR_INIT;
    bool error = false;
    if (call->exchange.status / 100 != 2) return false;
    if (strcmp(call->method, "POST") == 0)
        ig_s3_xml_walk(ig_buf_view(&call->exchange.reply), has_error, &error, &local);
    return !error;
}

/* ---- tries ---- */

static void pause_before(unsigned tries)
{
    uint64_t most = PAUSE_NS << tries, random;
    if (most > PAUSE_MAX_NS) most = PAUSE_MAX_NS;
    ig_random_bytes(&random, sizeof random);
    uint64_t ns = most / 2 + random % (most / 2);
    struct timespec pause = {.tv_sec = (time_t)(ns / 1000000000),
                             .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&pause, NULL);
}

/* In time, by one call; the others go on with those that there are. */
static void renew_ahead(struct ig_s3 *s3)
{
    struct ig_s3_keys fresh;
    struct ig_err local = IG_ERR_INIT;
    const int64_t now_ms = ig_clock_unix_ms();
    pthread_mutex_lock(&s3->lock);
    bool due = s3->keys.expires_ms && now_ms > s3->keys.expires_ms - RENEW_AHEAD_MS &&
               now_ms >= s3->renew_at_ms && !s3->renewing;
    if (due) s3->renewing = true;
    pthread_mutex_unlock(&s3->lock);
    if (!due) return;
    bool good = ig_s3_keys_find(&fresh, s3->http, s3->place.region, &local) == IG_OK;
    if (!good) ig_log_err(IG_LOG_WARN, "s3_keys_not_renewed", &local);
    pthread_mutex_lock(&s3->lock);
    if (good) s3->keys = fresh;
    s3->renew_at_ms = good ? 0 : now_ms + RENEW_AGAIN_MS;
    s3->renewing = false;
    pthread_mutex_unlock(&s3->lock);
    explicit_bzero(&fresh, sizeof fresh);
}

static void get_keys(struct ig_s3_keys *out, struct ig_s3 *s3)
{
    renew_ahead(s3);
    pthread_mutex_lock(&s3->lock);
    *out = s3->keys;
    pthread_mutex_unlock(&s3->lock);
}

/* Keys of a file are replaced there before they end; those that a service gives are given anew. */
static bool renew_keys(struct ig_s3 *s3, const struct ig_s3_keys *used, const struct s3_call *call)
{
    static const char *const ended[] = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken",
                                        "SignatureDoesNotMatch", NULL};
    struct ig_s3_keys fresh;
    struct ig_err local = IG_ERR_INIT;
    if (!used->renewable || !is_one(call->s3_code, ended) ||
        ig_s3_keys_find(&fresh, s3->http, s3->place.region, &local) != IG_OK)
        return false;
    bool differ =
        strcmp(fresh.secret_key, used->secret_key) != 0 || strcmp(fresh.token, used->token) != 0;
    pthread_mutex_lock(&s3->lock);
    s3->keys = fresh;
    pthread_mutex_unlock(&s3->lock);
    explicit_bzero(&fresh, sizeof fresh);
    return differ;
}

static bool begin_sink(const struct s3_call *call, struct ig_err *err)
{
    int fd = call->exchange.sink_fd;
    if (fd < 0 || (ftruncate(fd, 0) == 0 && lseek(fd, 0, SEEK_SET) == 0)) return true;
    ig_fail(err, IG_IO, "S3: cannot begin again with a file");
    return false;
}

enum ig_code s3_call(struct ig_s3 *s3, struct s3_call *call, struct ig_err *err)
{
    uint64_t begin_ns = ig_clock_ns();
    struct ig_err last = IG_ERR_INIT;
    struct ig_s3_keys keys;
    for (unsigned tries = 0;; tries++) {
        if (!begin_sink(call, err)) break;
        get_keys(&keys, s3);
        ig_err_clear(&last);
        call->exchange.again = false;
        call->s3_code[0] = 0;
        if (call->exchange.sink_fd >= 0) call->exchange.sink_hash = ig_sha256_new();
        if (call->exchange.sink_fd >= 0 && !call->exchange.sink_hash)
            ig_fail(&last, IG_NO_MEMORY, "S3");
        else if (try_once(s3, &keys, call, &last) == IG_OK && !is_good(call))
            refuse(s3, call, &last);
        if (last.code == IG_OK) break;
        ig_sha256_free(call->exchange.sink_hash);
        call->exchange.sink_hash = NULL;
        bool again = call->exchange.again || renew_keys(s3, &keys, call);
        if (!again || tries + 1 == TRIES || ig_clock_ns() - begin_ns > PATIENCE_NS) break;
        pause_before(tries);
    }
    explicit_bzero(&keys, sizeof keys);
    if (last.code != IG_OK) return ig_fail(err, last.code, "%s", last.message);
    return err->code;
}

/* ---- calls ---- */

enum ig_code ig_s3_presign_get(struct ig_buf *url, struct ig_s3 *s3, const char *name,
                               struct ig_str disposition, uint32_t expires_s, struct ig_err *err)
{
    char path[PATH_SIZE], time[TIME_SIZE];
    struct ig_s3_keys keys;
    const struct ig_s3_pair host = {IG_STR("host"), ig_str_view(s3->place.host)};
    const struct ig_s3_pair query[] = {
        {IG_STR("response-content-disposition"), disposition},
        {IG_STR("response-content-type"), IG_STR("application/octet-stream")}};
    write_path(path, &s3->place, name);
    write_time(time);
    get_keys(&keys, s3);
    const struct ig_s3_request request = {.method = IG_STR("GET"),
                                          .path = ig_str_view(path),
                                          .query = query,
                                          .query_count = sizeof query / sizeof query[0],
                                          .headers = &host,
                                          .headers_count = 1,
                                          .payload_hash = IG_STR(IG_S3_UNSIGNED)};
    const struct ig_s3_signer signer = {.access_key = ig_str_view(keys.access_key),
                                        .secret_key = ig_str_view(keys.secret_key),
                                        .token = ig_str_view(keys.token),
                                        .region = ig_str_view(s3->place.region),
                                        .service = IG_STR("s3"),
                                        .time = ig_str_view(time)};
    ig_buf_printf(url, "%s%s?", s3->place.endpoint, path);
    ig_s3_presign(url, &request, &signer, expires_s);
    explicit_bzero(&keys, sizeof keys);
    if (url->overflowed) ig_fail(err, IG_NO_MEMORY, "URL of an object");
    return err->code;
}

static enum ig_code ask_head(uint64_t *size_bytes, int *status, struct ig_s3 *s3, const char *name,
                             struct ig_err *err)
{
    struct s3_call call;
    s3_call_init(&call, "HEAD", name);
    if (s3_call(s3, &call, err) == IG_OK) *size_bytes = call.exchange.length;
    *status = call.exchange.status;
    s3_call_deinit(&call);
    return err->code;
}

/* A HEAD is refused without a word; the same as GET says why, and takes new keys when those end. */
static bool may_be_asked_again(struct ig_s3 *s3, const char *name, struct ig_err *err)
{
    struct s3_call call;
    struct ig_err local = IG_ERR_INIT;
    s3_call_init(&call, "GET", name);
    s3_call_header(&call, "range", IG_STR("bytes=0-0"));
    enum ig_code code = s3_call(s3, &call, &local);
    bool answered = code == IG_OK || code == IG_NOT_FOUND || call.exchange.status == 416;
    s3_call_deinit(&call);
    if (!answered) ig_fail(err, code, "%s", local.message);
    return answered;
}

enum ig_code ig_s3_head(uint64_t *size_bytes, struct ig_s3 *s3, const char *name,
                        struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    int status = 0;
    enum ig_code code = ask_head(size_bytes, &status, s3, name, &local);
    bool silent = code != IG_OK && status != 404 && (status / 100 == 3 || status / 100 == 4);
    if (silent && may_be_asked_again(s3, name, err))
        return ask_head(size_bytes, &status, s3, name, err);
    return code == IG_OK ? IG_OK : ig_fail(err, code, "%s", local.message);
}

static void digest_base64(char out[IG_SHA256_BASE64], const char *hex)
{
    unsigned char bytes[IG_SHA256_BYTES];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(ig_hex_digit(hex[2 * i]) << 4 | ig_hex_digit(hex[2 * i + 1]));
    ig_sha256_base64(out, bytes);
}

static enum ig_code put_whole(struct ig_s3 *s3, const char *name, int fd, uint64_t size_bytes,
                              const char *digest, struct ig_err *err)
{
    char checksum[IG_SHA256_BASE64];
    struct s3_call call;
    s3_call_init(&call, "PUT", name);
    digest_base64(checksum, digest);
    s3_call_header(&call, "content-type", IG_STR("application/octet-stream"));
    s3_call_header(&call, "x-amz-checksum-sha256", ig_str_view(checksum));
    call.body_hash = digest;
    call.exchange.body_fd = fd;
    call.exchange.body_bytes = size_bytes;
    s3_call(s3, &call, err);
    s3_call_deinit(&call);
    return err->code;
}

enum ig_code ig_s3_put(struct ig_s3 *s3, const char *name, int fd, const char *digest,
                       struct ig_err *err)
{
    enum { WHOLE_MAX = 16 << 20 };
    uint64_t size_bytes;
    if (ig_file_size(&size_bytes, fd, err) != IG_OK) return err->code;
    if (size_bytes <= WHOLE_MAX) return put_whole(s3, name, fd, size_bytes, digest, err);
    return s3_put_parts(s3, name, fd, size_bytes, err);
}

enum ig_code ig_s3_get(char digest[IG_SHA256_HEX], struct ig_s3 *s3, const char *name, int fd,
                       struct ig_err *err)
{
    struct s3_call call;
    unsigned char bytes[IG_SHA256_BYTES];
    s3_call_init(&call, "GET", name);
    call.exchange.sink_fd = fd;
    if (s3_call(s3, &call, err) == IG_OK) {
        ig_sha256_final(call.exchange.sink_hash, bytes);
        ig_hex(digest, bytes, sizeof bytes);
        ig_sha256_free(call.exchange.sink_hash);
    }
    s3_call_deinit(&call);
    return err->code;
}

enum ig_code ig_s3_remove(struct ig_s3 *s3, const char *name, struct ig_err *err)
{
    struct s3_call call;
    struct ig_err local = IG_ERR_INIT;
    s3_call_init(&call, "DELETE", name);
    enum ig_code code = s3_call(s3, &call, &local);
    s3_call_deinit(&call);
    return code == IG_OK || code == IG_NOT_FOUND ? IG_OK : ig_fail(err, code, "%s", local.message);
}
