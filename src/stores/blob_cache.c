/* SPDX-License-Identifier: Apache-2.0 */
/* One file a copy, its modification time is when it was last used: so the order outlives the
 * process. A copy is synced before it has its name, for after a crash of the machine nobody would
 * look at it again. Thread rule: a mutex guards the sum and the removal. */
#include "stores/blob_cache.h"

#include "base/file.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct ig_blob_cache {
    int dir; /* -1: a reader found none */
    bool reads;
    uint64_t max_bytes;
    pthread_mutex_t lock;
    uint64_t held_bytes;
};

struct copy {
    int64_t used_ns;
    uint64_t bytes;
    char name[65];
};

struct copies {
    struct copy *items;
    size_t count, cap;
    uint64_t bytes;
};

static bool add(struct copies *copies, int dir, const char *name)
{
    struct stat info;
    if (strlen(name) != 64 || fstatat(dir, name, &info, AT_SYMLINK_NOFOLLOW) != 0) return true;
    if (copies->count == copies->cap) {
        size_t cap = copies->cap ? copies->cap * 2 : 256;
        struct copy *more = ig_realloc(copies->items, cap * sizeof *more);
        if (!more) return false;
        copies->items = more;
        copies->cap = cap;
    }
    struct copy *copy = &copies->items[copies->count++];
    copy->used_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    copy->bytes = (uint64_t)info.st_size;
    memcpy(copy->name, name, sizeof copy->name);
    copies->bytes += copy->bytes;
    return true;
}

static enum ig_code list(struct copies *out, int cache, struct ig_err *err)
{
    int fd = openat(cache, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0) close(fd);
        return ig_fail(err, IG_IO, "blobs/cache: %s", strerror(errno));
    }
    for (struct dirent *entry; err->code == IG_OK && (entry = readdir(dir));)
        if (!add(out, cache, entry->d_name)) ig_fail(err, IG_NO_MEMORY, "blobs/cache");
    closedir(dir);
    return err->code;
}

static int by_use(const void *a, const void *b)
{
    const struct copy *x = a, *y = b;
    return (x->used_ns > y->used_ns) - (x->used_ns < y->used_ns);
}

/* Down to seven eighths, so that not every newcomer reads the folder. Under the lock. */
static enum ig_code shrink(struct ig_blob_cache *cache, struct ig_err *err)
{
    struct copies copies = {0};
    if (list(&copies, cache->dir, err) == IG_OK) {
        uint64_t most = cache->max_bytes - cache->max_bytes / 8;
        if (copies.bytes <= cache->max_bytes) most = copies.bytes;
        if (copies.count) qsort(copies.items, copies.count, sizeof *copies.items, by_use);
        for (size_t i = 0; copies.bytes > most && i < copies.count; i++) {
            unlinkat(cache->dir, copies.items[i].name, 0);
            copies.bytes -= copies.items[i].bytes;
        }
        cache->held_bytes = copies.bytes;
    }
    ig_free(copies.items);
    return err->code;
}

enum ig_code ig_blob_cache_open(struct ig_blob_cache **out, int root, uint64_t max_bytes,
                                bool reads, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    struct ig_blob_cache *cache = ig_zalloc(sizeof *cache);
    if (!cache) return ig_fail(err, IG_NO_MEMORY, "blobs/cache");
    cache->dir = -1;
    cache->reads = reads;
    cache->max_bytes = max_bytes;
    pthread_mutex_init(&cache->lock, NULL);
    if (reads)
        ig_dir_open(&cache->dir, root, "cache", &local);
    else if (ig_dir_make(&cache->dir, root, "cache", err) == IG_OK)
        shrink(cache, err);
    if (err->code != IG_OK) {
        ig_blob_cache_close(cache);
        return err->code;
    }
    *out = cache;
    return IG_OK;
}

void ig_blob_cache_close(struct ig_blob_cache *cache)
{
    if (!cache) return;
    ig_file_close(&cache->dir);
    pthread_mutex_destroy(&cache->lock);
    ig_free(cache);
}

enum ig_code ig_blob_cache_get(int *fd, struct ig_blob_cache *cache, const char *digest,
                               struct ig_err *err)
{
    if (cache->dir < 0) return ig_fail(err, IG_NOT_FOUND, "no cache");
    if (ig_file_open_read(fd, cache->dir, digest, err) != IG_OK) return err->code;
    if (!cache->reads) futimens(*fd, NULL);
    return IG_OK;
}

void ig_blob_cache_take(struct ig_blob_cache *cache, struct ig_blob_incoming *incoming,
                        const char *digest)
{
    struct stat info;
    struct ig_err local = IG_ERR_INIT;
    if (cache->reads || fstat(incoming->fd, &info) != 0 ||
        (uint64_t)info.st_size > cache->max_bytes)
        goto out;
    ig_file_sync(incoming->fd);
    futimens(incoming->fd, NULL);
    pthread_mutex_lock(&cache->lock);
    if (linkat(incoming->dir, incoming->name, cache->dir, digest, 0) == 0) {
        cache->held_bytes += (uint64_t)info.st_size;
        if (cache->held_bytes > cache->max_bytes) shrink(cache, &local);
    }
    pthread_mutex_unlock(&cache->lock);
out:
    ig_blob_incoming_end(incoming);
}

void ig_blob_cache_remove(struct ig_blob_cache *cache, const char *digest)
{
    struct stat info;
    if (cache->dir < 0 || cache->reads) return;
    pthread_mutex_lock(&cache->lock);
    if (fstatat(cache->dir, digest, &info, AT_SYMLINK_NOFOLLOW) == 0 &&
        unlinkat(cache->dir, digest, 0) == 0)
        cache->held_bytes -=
            cache->held_bytes < (uint64_t)info.st_size ? cache->held_bytes : (uint64_t)info.st_size;
    pthread_mutex_unlock(&cache->lock);
}
