/* SPDX-License-Identifier: Apache-2.0 */
/* The blob driver on S3:
 *
 *   PREFIX/ab/ab12...      objects, in the bucket: the layout of the driver on files
 *   DATA/blobs/incoming/ID uploads on their way and downloads; what a kill left is removed at open
 *   DATA/blobs/cache/ab12  copies
 *
 * 1. An upload is a local file until its name, the hash, is known; S3 has the whole object, checked
 *    against its checksum, before the commit returns.
 * 2. What comes from S3 is hashed before anyone sees it.
 * 3. Objects that S3 has already, and that a commit or `keep` names, are in `kept` from before S3
 * is asked for them: collecting looks there, under the lock that it holds while it deletes. (S3's
 *    own times do not tell; a restart forgets them, and with them calls under way.)
 * 4. Uploads in parts that a kill left are ended a day later: others may be at work on theirs.
 *
 * Thread rule: thread-safe; an upload belongs to one thread. */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/vec.h"
#include "stores/blob_cache.h"
#include "stores/blob_priv.h"
#include "stores/s3_client.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { OBJECT_NAME_SIZE = 3 + 64 + 1 };
static const int64_t STALE_MS = 24 * 3600 * 1000LL;

/* A download under way; on its thread's stack. */
struct flight {
    const char *digest;
    struct flight *next;
};

struct kept {
    char digest[IG_SHA256_HEX];
    int64_t at_ms;
};

struct store {
    int root, incoming;
    struct ig_blob_cache *cache;
    bool reads;
    struct ig_s3_place place;
    pthread_mutex_t lock; /* of all below */
    struct ig_s3 *s3;     /* of a reader NULL until the cache has not all it wants */
    struct flight *flights;
    pthread_cond_t landed;
    pthread_mutex_t kept_lock;
    struct {
        struct kept *items;
        size_t count, cap;
    } kept;
};

struct upload {
    struct store *store;
    struct ig_blob_incoming incoming;
};

static void object_name(char name[OBJECT_NAME_SIZE], const char *digest)
{
    snprintf(name, OBJECT_NAME_SIZE, "%.2s/%.64s", digest, digest);
}

static void s3_close(void *context)
{
    struct store *store = context;
    ig_s3_close(store->s3);
    ig_blob_cache_close(store->cache);
    ig_file_close(&store->incoming);
    ig_file_close(&store->root);
    IG_VEC_FREE(&store->kept);
    pthread_mutex_destroy(&store->kept_lock);
    pthread_cond_destroy(&store->landed);
    pthread_mutex_destroy(&store->lock);
    ig_free(store);
}

/* libcurl takes longer to load than a model in the cache: a reader loads it when it must. */
static enum ig_code get_s3(struct ig_s3 **out, struct store *store, struct ig_err *err)
{
    enum ig_code code = IG_OK;
    pthread_mutex_lock(&store->lock);
    if (!store->s3) code = ig_s3_open(&store->s3, &store->place, err);
    *out = store->s3;
    pthread_mutex_unlock(&store->lock);
    return code;
}

/* The first words with S3, so keys or a bucket that are wrong end the start. S3 that is away does
 * so the first time alone: later on, what serves may be in the cache. */
static enum ig_code sweep(struct store *store, bool worked_before, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    struct ig_s3 *s3;
    if (get_s3(&s3, store, err) != IG_OK) return err->code;
    enum ig_code code = ig_s3_sweep(s3, ig_clock_unix_ms() - STALE_MS, &local);
    if (code == IG_UNSUPPORTED || (code == IG_UNAVAILABLE && worked_before) ||
        (code == IG_DENIED && strstr(local.message, "AccessDenied"))) {
        ig_log_err(IG_LOG_WARN, "blobs: unfinished uploads cannot be listed", &local);
        return IG_OK;
    }
    return code == IG_OK ? IG_OK : ig_fail(err, code, "blobs: %s", local.message);
}

static enum ig_code open_local(struct store *store, uint64_t cache_bytes, int dirfd,
                               struct ig_err *err)
{
    if (ig_dir_make(&store->root, dirfd, "blobs", err) != IG_OK) return err->code;
    if (!store->reads && ig_blob_incoming_open(&store->incoming, store->root, err) != IG_OK)
        return err->code;
    return ig_blob_cache_open(&store->cache, store->root, cache_bytes, store->reads, err);
}

static enum ig_code s3_open(void **out, const struct ig_blob_options *options, int dirfd,
                            bool reads, struct ig_err *err)
{
    struct store *store = ig_zalloc(sizeof *store);
    if (!store) return ig_fail(err, IG_NO_MEMORY, "blob store");
    store->root = store->incoming = -1;
    store->reads = reads;
    pthread_mutex_init(&store->lock, NULL);
    pthread_cond_init(&store->landed, NULL);
    pthread_mutex_init(&store->kept_lock, NULL);
    if (ig_s3_place_parse(&store->place, options->where, err) != IG_OK ||
        open_local(store, options->cache_bytes, dirfd, err) != IG_OK ||
        (!reads && sweep(store, options->worked_before, err) != IG_OK)) {
        s3_close(store);
        return err->code;
    }
    *out = store;
    return IG_OK;
}

/* ---- up ---- */

static enum ig_code s3_begin(void **out, void *context, struct ig_err *err)
{
    struct upload *upload = ig_zalloc(sizeof *upload);
    if (!upload) return ig_fail(err, IG_NO_MEMORY, "blob upload");
    upload->store = context;
    if (ig_blob_incoming_begin(&upload->incoming, upload->store->incoming, err) != IG_OK) {
        ig_free(upload);
        return err->code;
    }
    *out = upload;
    return IG_OK;
}

static enum ig_code s3_append(void *upload, const void *bytes, size_t size_bytes,
                              struct ig_err *err)
{
    return ig_file_write_all(((struct upload *)upload)->incoming.fd, bytes, size_bytes, err);
}

static void s3_abort(void *context)
{
    struct upload *upload = context;
    ig_blob_incoming_end(&upload->incoming);
    ig_free(upload);
}

enum { KEPT_MAX = 1 << 20 };
static const int64_t KEPT_MS = 3600 * 1000LL;

/* Longer than any call takes from an object to its row; the older ones make room. */
static enum ig_code remember(struct store *store, const char *digest, struct ig_err *err)
{
    struct kept kept = {.at_ms = ig_clock_unix_ms()};
    size_t fresh = 0;
    memcpy(kept.digest, digest, sizeof kept.digest);
    pthread_mutex_lock(&store->kept_lock);
    if (store->kept.count == store->kept.cap) {
        for (size_t i = 0; i < store->kept.count; i++)
            if (store->kept.items[i].at_ms > kept.at_ms - KEPT_MS)
                store->kept.items[fresh++] = store->kept.items[i];
        store->kept.count = fresh;
    }
    if (!IG_VEC_PUSH(&store->kept, kept, KEPT_MAX)) {
        if (store->kept.count == KEPT_MAX)
            ig_fail(err, IG_EXHAUSTED, "blobs: more than %d uploads within an hour", KEPT_MAX);
        else
            ig_fail(err, IG_NO_MEMORY, "blob upload");
    }
    pthread_mutex_unlock(&store->kept_lock);
    return err->code;
}

static bool is_kept(const struct store *store, const char *digest, int64_t before_ms)
{
    for (size_t i = store->kept.count; i-- > 0;)
        if (store->kept.items[i].at_ms >= before_ms &&
            strcmp(store->kept.items[i].digest, digest) == 0)
            return true;
    return false;
}

static enum ig_code s3_keep(void *context, const char *digest, struct ig_err *err)
{
    struct store *store = context;
    struct ig_s3 *s3;
    char name[OBJECT_NAME_SIZE];
    uint64_t size_bytes;
    object_name(name, digest);
    if (remember(store, digest, err) != IG_OK || get_s3(&s3, store, err) != IG_OK) return err->code;
    return ig_s3_head(&size_bytes, s3, name, err);
}

static enum ig_code s3_commit(void *context, const char *digest, struct ig_err *err)
{
    struct upload *upload = context;
    struct store *store = upload->store;
    struct ig_err local = IG_ERR_INIT;
    char name[OBJECT_NAME_SIZE];
    uint64_t there, size_bytes;
    object_name(name, digest);
    enum ig_code code = remember(store, digest, err);
    if (code == IG_OK) code = ig_file_size(&size_bytes, upload->incoming.fd, err);
    if (code == IG_OK) {
        code = ig_s3_head(&there, store->s3, name, &local);
        if (code == IG_NOT_FOUND || (code == IG_OK && there != size_bytes)) {
            ig_err_clear(&local);
            code = ig_s3_put(store->s3, name, upload->incoming.fd, digest, &local);
        }
        if (code != IG_OK) code = ig_fail(err, code, "blob %s: %s", digest, local.message);
    }
    if (code != IG_OK) {
        s3_abort(upload);
        return code;
    }
    ig_blob_cache_take(store->cache, &upload->incoming, digest);
    ig_free(upload);
    return IG_OK;
}

/* ---- down ---- */

/* A descriptor to read of a file that is open for writing. */
static enum ig_code reopen(int *out, int fd, struct ig_err *err)
{
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    *out = open(path, O_RDONLY | O_CLOEXEC);
    return *out >= 0 ? IG_OK : ig_fail(err, IG_IO, "blobs: a download cannot be opened");
}

/* Without a name, so that nothing is left behind. */
static enum ig_code download(int *out, char digest[IG_SHA256_HEX], struct store *store,
                             const char *name, struct ig_err *err)
{
    struct ig_s3 *s3;
    int fd = openat(store->root, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0400);
    if (fd < 0) return ig_fail(err, IG_IO, "blobs: no room for a download");
    if (get_s3(&s3, store, err) == IG_OK && ig_s3_get(digest, s3, name, fd, err) == IG_OK)
        reopen(out, fd, err);
    ig_file_close(&fd);
    return err->code;
}

static enum ig_code check(const char *actual, const char *digest, struct ig_err *err)
{
    if (strcmp(actual, digest) == 0) return IG_OK;
    return ig_fail(err, IG_CORRUPT, "its bytes hash to %s", actual);
}

static enum ig_code s3_get_stored(int *fd, void *context, const char *digest, struct ig_err *err)
{
    char name[OBJECT_NAME_SIZE], actual[IG_SHA256_HEX];
    object_name(name, digest);
    return download(fd, actual, context, name, err);
}

/* Into the cache as well. */
static enum ig_code download_copy(int *out, struct store *store, const char *name,
                                  const char *digest, struct ig_err *err)
{
    struct ig_blob_incoming incoming;
    char actual[IG_SHA256_HEX];
    if (ig_blob_incoming_begin(&incoming, store->incoming, err) != IG_OK) return err->code;
    if (ig_s3_get(actual, store->s3, name, incoming.fd, err) == IG_OK) check(actual, digest, err);
    if (err->code == IG_OK && reopen(out, incoming.fd, err) == IG_OK)
        ig_blob_cache_take(store->cache, &incoming, digest);
    else
        ig_blob_incoming_end(&incoming);
    return err->code;
}

static enum ig_code download_once(int *out, struct store *store, const char *digest,
                                  struct ig_err *err)
{
    char name[OBJECT_NAME_SIZE], actual[IG_SHA256_HEX];
    int fd = -1;
    object_name(name, digest);
    if (!store->reads) return download_copy(out, store, name, digest, err);
    if (download(&fd, actual, store, name, err) == IG_OK && check(actual, digest, err) != IG_OK)
        ig_file_close(&fd);
    if (err->code == IG_OK) *out = fd;
    return err->code;
}

/* Bytes that changed on their way, rather than in S3, are as they should be the next time. */
static enum ig_code download_twice(int *fd, struct store *store, const char *digest,
                                   struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    if (download_once(fd, store, digest, &local) != IG_CORRUPT)
        return local.code == IG_OK ? IG_OK : ig_fail(err, local.code, "%s", local.message);
    return download_once(fd, store, digest, err);
}

/* False: another thread fetched it meanwhile, and it may be in the cache now. */
static bool begin_flight(struct store *store, struct flight *flight)
{
    bool first = true;
    pthread_mutex_lock(&store->lock);
    for (struct flight *other = store->flights; other;) {
        if (strcmp(other->digest, flight->digest) != 0) {
            other = other->next;
            continue;
        }
        first = false;
        pthread_cond_wait(&store->landed, &store->lock);
        other = store->flights;
    }
    if (first) {
        flight->next = store->flights;
        store->flights = flight;
    }
    pthread_mutex_unlock(&store->lock);
    return first;
}

static void end_flight(struct store *store, struct flight *flight)
{
    struct flight **at = &store->flights;
    pthread_mutex_lock(&store->lock);
    while (*at != flight) at = &(*at)->next;
    *at = flight->next;
    pthread_cond_broadcast(&store->landed);
    pthread_mutex_unlock(&store->lock);
}

/* What many ask for at once comes once; what the cache has no room for comes for each. */
static enum ig_code s3_get(int *fd, void *context, const char *digest, struct ig_err *err)
{
    struct store *store = context;
    struct flight flight = {.digest = digest};
    struct ig_err local = IG_ERR_INIT;
    if (ig_blob_cache_get(fd, store->cache, digest, &local) == IG_OK) return IG_OK;
    if (begin_flight(store, &flight)) {
        download_twice(fd, store, digest, err);
        end_flight(store, &flight);
        return err->code;
    }
    ig_err_clear(&local);
    if (ig_blob_cache_get(fd, store->cache, digest, &local) == IG_OK) return IG_OK;
    return download_twice(fd, store, digest, err);
}

static enum ig_code s3_remove(void *context, const char *digest, struct ig_err *err)
{
    struct store *store = context;
    char name[OBJECT_NAME_SIZE];
    object_name(name, digest);
    if (ig_s3_remove(store->s3, name, err) == IG_OK) ig_blob_cache_remove(store->cache, digest);
    return err->code;
}

static enum ig_code s3_collect(bool *removed, void *context, const char *digest, int64_t before_ms,
                               struct ig_err *err)
{
    struct store *store = context;
    struct ig_s3 *s3;
    char name[OBJECT_NAME_SIZE];
    object_name(name, digest);
    if (get_s3(&s3, store, err) != IG_OK) return err->code;
    pthread_mutex_lock(&store->kept_lock);
    *removed = !is_kept(store, digest, before_ms) && ig_s3_remove(s3, name, err) == IG_OK;
    pthread_mutex_unlock(&store->kept_lock);
    if (*removed) ig_blob_cache_remove(store->cache, digest);
    return err->code;
}

struct each {
    ig_blob_visit *each;
    void *context;
};

static bool each_name(void *context, struct ig_str name, int64_t modified_ms)
{
    const struct each *each = context;
    char digest[IG_SHA256_HEX];
    if (name.len != OBJECT_NAME_SIZE - 1 || name.ptr[2] != '/' ||
        memcmp(name.ptr, name.ptr + 3, 2) != 0)
        return true;
    memcpy(digest, name.ptr + 3, IG_SHA256_HEX - 1);
    digest[IG_SHA256_HEX - 1] = 0;
    if (strspn(digest, "0123456789abcdef") != IG_SHA256_HEX - 1) return true;
    return each->each(each->context, digest, modified_ms);
}

static enum ig_code s3_each(void *context, const char *start, ig_blob_visit *each,
                            void *each_context, struct ig_err *err)
{
    struct each walk = {each, each_context};
    struct ig_s3 *s3;
    if (get_s3(&s3, context, err) != IG_OK) return err->code;
    return ig_s3_each(s3, start, each_name, &walk, err);
}

static enum ig_code s3_presign(struct ig_buf *url, void *context, const char *digest,
                               const struct ig_blob_offer *offer, struct ig_err *err)
{
    struct store *store = context;
    struct ig_s3 *s3;
    char name[OBJECT_NAME_SIZE];
    object_name(name, digest);
    if (get_s3(&s3, store, err) != IG_OK) return err->code;
    return ig_s3_presign_get(url, s3, name, offer->disposition, offer->expires_s, err);
}

const struct ig_blob_driver ig_blob_s3 = {
    .name = "s3",
    .open = s3_open,
    .close = s3_close,
    .begin = s3_begin,
    .append = s3_append,
    .commit = s3_commit,
    .abort = s3_abort,
    .get = s3_get,
    .get_stored = s3_get_stored,
    .presign = s3_presign,
    .remove = s3_remove,
    .each = s3_each,
    .keep = s3_keep,
    .collect = s3_collect,
};
