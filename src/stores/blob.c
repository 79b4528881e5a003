/* SPDX-License-Identifier: Apache-2.0 */
/* The blob front: hashing while an upload streams, names, verification. Where the bytes lie is a
 * driver's business. Thread rule: as the header says; nothing here is shared but the driver. */
#include "base/file.h"
#include "base/mem.h"
#include "stores/blob_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK_BYTES = 256 << 10 };

struct ig_blob_store {
    const struct ig_blob_driver *driver;
    void *state;
};

struct ig_blob_writer {
    struct ig_blob_store *store;
    void *upload;
    struct ig_sha256 *hash;
    uint64_t size_bytes;
    uint64_t max_bytes;
    bool failed;
};

static const struct ig_blob_driver *find_driver(const char *where)
{
    static const struct ig_blob_driver *const drivers[] = {
#define IG_STORE_BLOB(id, symbol, doc) &symbol,
#include "stores/stores.def"
#undef IG_STORE_BLOB
    };
    struct ig_str name = ig_str_view(where), rest = name;
    struct ig_str scheme = ig_str_cut(&rest, ':');
    if (ig_str_starts(rest, IG_STR("//"))) name = scheme;
    for (size_t i = 0; i < sizeof drivers / sizeof drivers[0]; i++)
        if (ig_str_is(name, drivers[i]->name)) return drivers[i];
    return NULL;
}

static enum ig_code open_store(struct ig_blob_store **out, const struct ig_blob_options *options,
                               int dirfd, bool reads, struct ig_err *err)
{
    struct ig_blob_options chosen = options ? *options : (struct ig_blob_options){0};
    if (!chosen.where || !*chosen.where) chosen.where = "files";
    const struct ig_blob_driver *found = find_driver(chosen.where);
    if (!found)
        return ig_fail(err, IG_INVALID, "blobs: '%.80s' is neither files nor s3://BUCKET/PREFIX",
                       chosen.where);
    struct ig_blob_store *store = ig_zalloc(sizeof *store);
    if (!store) return ig_fail(err, IG_NO_MEMORY, "blob store");
    store->driver = found;
    enum ig_code code = found->open(&store->state, &chosen, dirfd, reads, err);
    if (code != IG_OK) {
        ig_free(store);
        return code;
    }
    *out = store;
    return IG_OK;
}

enum ig_code ig_blob_open(struct ig_blob_store **out, const struct ig_blob_options *options,
                          int dirfd, struct ig_err *err)
{
    return open_store(out, options, dirfd, false, err);
}

enum ig_code ig_blob_open_reader(struct ig_blob_store **out, const struct ig_blob_options *options,
                                 int dirfd, struct ig_err *err)
{
    return open_store(out, options, dirfd, true, err);
}

void ig_blob_close(struct ig_blob_store *store)
{
    if (!store) return;
    store->driver->close(store->state);
    ig_free(store);
}

enum ig_code ig_blob_begin(struct ig_blob_writer **out, struct ig_blob_store *store,
                           uint64_t max_bytes, struct ig_err *err)
{
    struct ig_blob_writer *writer = ig_zalloc(sizeof *writer);
    if (!writer) return ig_fail(err, IG_NO_MEMORY, "blob upload");
    writer->store = store;
    writer->max_bytes = max_bytes ? max_bytes : UINT64_MAX;
    writer->hash = ig_sha256_new();
    enum ig_code code = writer->hash ? IG_OK : ig_fail(err, IG_NO_MEMORY, "blob upload");
    if (code == IG_OK) code = store->driver->begin(&writer->upload, store->state, err);
    if (code != IG_OK) {
        ig_sha256_free(writer->hash);
        ig_free(writer);
        return code;
    }
    *out = writer;
    return IG_OK;
}

enum ig_code ig_blob_append(struct ig_blob_writer *writer, const void *bytes, size_t size_bytes,
                            struct ig_err *err)
{
    enum ig_code code = IG_OK;
    if (size_bytes > writer->max_bytes - writer->size_bytes)
        code = ig_fail(err, IG_TOO_LARGE, "upload: more than %llu bytes",
                       (unsigned long long)writer->max_bytes);
    if (code == IG_OK) code = writer->store->driver->append(writer->upload, bytes, size_bytes, err);
    if (code != IG_OK) {
        writer->failed = true;
        return code;
    }
    ig_sha256_update(writer->hash, bytes, size_bytes);
    writer->size_bytes += size_bytes;
    return IG_OK;
}

enum ig_code ig_blob_commit(char digest[IG_SHA256_HEX], uint64_t *size_bytes,
                            struct ig_blob_writer *writer, struct ig_err *err)
{
    unsigned char bytes[IG_SHA256_BYTES];
    char name[IG_SHA256_HEX];
    if (writer->failed) {
        ig_blob_abort(writer);
        return ig_fail(err, IG_CONFLICT, "upload: an append failed before");
    }
    ig_sha256_final(writer->hash, bytes);
    ig_sha256_free(writer->hash);
    ig_hex(name, bytes, sizeof bytes);
    enum ig_code code = writer->store->driver->commit(writer->upload, name, err);
    if (code == IG_OK) {
        memcpy(digest, name, sizeof name);
        if (size_bytes) *size_bytes = writer->size_bytes;
    }
    ig_free(writer);
    return code;
}

void ig_blob_abort(struct ig_blob_writer *writer)
{
    if (!writer) return;
    writer->store->driver->abort(writer->upload);
    ig_sha256_free(writer->hash);
    ig_free(writer);
}

enum ig_code ig_blob_put(char digest[IG_SHA256_HEX], struct ig_blob_store *store,
                         struct ig_str bytes, struct ig_err *err)
{
    struct ig_blob_writer *writer;
    enum ig_code code = ig_blob_begin(&writer, store, 0, err);
    if (code != IG_OK) return code;
    code = ig_blob_append(writer, bytes.ptr, bytes.len, err);
    if (code == IG_OK) return ig_blob_commit(digest, NULL, writer, err);
    ig_blob_abort(writer);
    return code;
}

/* Feeds all of `fd` to `take`, which may be NULL, and to `hash`, which may be NULL. */
static enum ig_code pump(int fd, struct ig_blob_writer *writer, struct ig_sha256 *hash,
                         struct ig_err *err)
{
    enum ig_code code = IG_OK;
    char *chunk = ig_alloc(CHUNK_BYTES);
    if (!chunk) return ig_fail(err, IG_NO_MEMORY, "blob buffer");
    while (code == IG_OK) {
        ssize_t got = read(fd, chunk, CHUNK_BYTES);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) code = ig_fail(err, IG_IO, "blob: read: %s", strerror(errno));
        if (got <= 0) break;
        if (hash) ig_sha256_update(hash, chunk, (size_t)got);
        if (writer) code = ig_blob_append(writer, chunk, (size_t)got, err);
    }
    ig_free(chunk);
    return code;
}

enum ig_code ig_blob_put_fd(char digest[IG_SHA256_HEX], uint64_t *size_bytes,
                            struct ig_blob_store *store, int fd, struct ig_err *err)
{
    struct ig_blob_writer *writer;
    enum ig_code code = ig_blob_begin(&writer, store, 0, err);
    if (code != IG_OK) return code;
    code = pump(fd, writer, NULL, err);
    if (code == IG_OK) return ig_blob_commit(digest, size_bytes, writer, err);
    ig_blob_abort(writer);
    return code;
}

enum ig_code ig_blob_check_digest(struct ig_str digest, struct ig_err *err)
{
    bool good = digest.len == IG_SHA256_HEX - 1;
    for (size_t i = 0; good && i < digest.len; i++) {
        char at = digest.ptr[i];
        good = (at >= '0' && at <= '9') || (at >= 'a' && at <= 'f');
    }
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID, "digest '%.*s' is not 64 lower-case hex digits",
                   digest.len > 80 ? 80 : (int)digest.len, digest.ptr);
}

typedef enum ig_code open_one(int *fd, void *store, const char *digest, struct ig_err *err);

static enum ig_code open_object(int *fd, char name[IG_SHA256_HEX], struct ig_blob_store *store,
                                open_one *get, struct ig_str digest, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    enum ig_code code = ig_blob_check_digest(digest, err);
    if (code != IG_OK) return code;
    memcpy(name, digest.ptr, digest.len);
    name[digest.len] = 0;
    code = get(fd, store->state, name, &local);
    if (code == IG_OK) return IG_OK;
    if (code == IG_NOT_FOUND) return ig_fail(err, IG_NOT_FOUND, "blob %s does not exist", name);
    return ig_fail(err, code, "blob %s: %s", name, local.message);
}

enum ig_code ig_blob_get(int *fd, uint64_t *size_bytes, struct ig_blob_store *store,
                         struct ig_str digest, struct ig_err *err)
{
    char name[IG_SHA256_HEX];
    int opened = -1;
    enum ig_code code = open_object(&opened, name, store, store->driver->get, digest, err);
    if (code == IG_OK) code = ig_file_size(size_bytes, opened, err);
    if (code != IG_OK)
        ig_file_close(&opened);
    else
        *fd = opened;
    return code;
}

static enum ig_code check_hash(const char *name, const char *actual, struct ig_err *err)
{
    if (strcmp(name, actual) == 0) return IG_OK;
    return ig_fail(err, IG_CORRUPT, "blob %s: its bytes hash to %s", name, actual);
}

enum ig_code ig_blob_read(struct ig_buf *buf, struct ig_blob_store *store, struct ig_str digest,
                          struct ig_err *err)
{
    char name[IG_SHA256_HEX], actual[IG_SHA256_HEX];
    uint64_t size = 0;
    int fd = -1;
    ig_buf_reset(buf);
    enum ig_code code = open_object(&fd, name, store, store->driver->get, digest, err);
    if (code == IG_OK) code = ig_file_size(&size, fd, err);
    if (code == IG_OK && size > buf->max_bytes)
        code = ig_fail(err, IG_TOO_LARGE, "blob %s has %llu bytes, at most %zu", name,
                       (unsigned long long)size, buf->max_bytes);
    if (code == IG_OK && !ig_buf_reserve(buf, (size_t)size))
        code = ig_fail(err, IG_NO_MEMORY, "blob %s: %llu bytes", name, (unsigned long long)size);
    while (code == IG_OK && buf->len < size) {
        ssize_t got = read(fd, buf->ptr + buf->len, (size_t)size - buf->len);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) code = ig_fail(err, IG_IO, "blob %s: %s", name, strerror(errno));
        if (got <= 0) break;
        buf->len += (size_t)got;
    }
    ig_file_close(&fd);
    if (code != IG_OK) return code;
    buf->ptr[buf->len] = 0;
    ig_sha256_hex(buf->ptr, buf->len, actual);
    return check_hash(name, actual, err);
}

enum ig_code ig_blob_verify(struct ig_blob_store *store, struct ig_str digest, struct ig_err *err)
{
    char name[IG_SHA256_HEX], actual[IG_SHA256_HEX];
    unsigned char bytes[IG_SHA256_BYTES];
    int fd = -1;
    open_one *get = store->driver->get_stored ? store->driver->get_stored : store->driver->get;
    enum ig_code code = open_object(&fd, name, store, get, digest, err);
    if (code != IG_OK) return code;
    struct ig_sha256 *hash = ig_sha256_new();
    code = hash ? pump(fd, NULL, hash, err) : ig_fail(err, IG_NO_MEMORY, "blob %s", name);
    if (code == IG_OK) {
        ig_sha256_final(hash, bytes);
        ig_hex(actual, bytes, sizeof bytes);
        code = check_hash(name, actual, err);
    }
    ig_sha256_free(hash);
    ig_file_close(&fd);
    return code;
}

enum ig_code ig_blob_delete(struct ig_blob_store *store, struct ig_str digest, struct ig_err *err)
{
    char name[IG_SHA256_HEX];
    enum ig_code code = ig_blob_check_digest(digest, err);
    if (code != IG_OK) return code;
    memcpy(name, digest.ptr, digest.len);
    name[digest.len] = 0;
    return store->driver->remove(store->state, name, err);
}

enum ig_code ig_blob_each(struct ig_blob_store *store, const char *start, ig_blob_visit *each,
                          void *context, struct ig_err *err)
{
    return store->driver->each(store->state, start, each, context, err);
}

enum ig_code ig_blob_presign(struct ig_buf *url, struct ig_blob_store *store, struct ig_str digest,
                             const struct ig_blob_offer *offer, struct ig_err *err)
{
    char name[IG_SHA256_HEX];
    IG_ASSERT(offer->expires_s >= 1 && offer->expires_s <= 604800);
    if (ig_blob_check_digest(digest, err) != IG_OK) return err->code;
    if (!store->driver->presign)
        return ig_fail(err, IG_UNSUPPORTED, "objects that lie in files have no URL");
    memcpy(name, digest.ptr, digest.len);
    name[digest.len] = 0;
    return store->driver->presign(url, store->state, name, offer, err);
}

enum ig_code ig_blob_keep(struct ig_blob_store *store, struct ig_str digest, struct ig_err *err)
{
    char name[IG_SHA256_HEX];
    struct ig_err local = IG_ERR_INIT;
    if (ig_blob_check_digest(digest, err) != IG_OK) return err->code;
    memcpy(name, digest.ptr, digest.len);
    name[digest.len] = 0;
    enum ig_code code = store->driver->keep(store->state, name, &local);
    if (code == IG_OK) return IG_OK;
    if (code == IG_NOT_FOUND) return ig_fail(err, IG_NOT_FOUND, "blob %s does not exist", name);
    return ig_fail(err, code, "blob %s: %s", name, local.message);
}

enum ig_code ig_blob_collect(bool *removed, struct ig_blob_store *store, const char *digest,
                             int64_t before_ms, struct ig_err *err)
{
    return store->driver->collect(removed, store->state, digest, before_ms, err);
}
