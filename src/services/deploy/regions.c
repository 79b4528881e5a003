/* SPDX-License-Identifier: Apache-2.0 */
/* The map is under a lock that is never held over a system call; a copy holds a reference of its
 * region meanwhile, and who gives up the last one closes it without the lock. */
#include "services/deploy/regions.h"

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNER_MAX = 64, SHOWN_MAX = 64 };

struct region {
    struct region *next; /* of those that are being removed */
    unsigned references; /* under the lock */
    int fd;
    uint64_t offset, size_bytes;
    char owner[OWNER_MAX];
    char name[IG_REGION_NAME_MAX + 1];
    char key[IG_REGION_KEY_MAX + 2];
};

struct ig_regions {
    pthread_mutex_t lock;
    struct ig_map map; /* by owner and name */
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

struct place {
    char text[OWNER_MAX + IG_REGION_NAME_MAX + 2];
};

/* Names hold no line ends. */
static struct ig_str place_of(struct place *place, struct ig_str owner, struct ig_str name)
{
    int length =
        snprintf(place->text, sizeof place->text, "%.*s\n%.*s",
                 (int)(owner.len < OWNER_MAX ? owner.len : OWNER_MAX - 1), owner.ptr,
                 (int)(name.len < IG_REGION_NAME_MAX ? name.len : IG_REGION_NAME_MAX), name.ptr);
    return (struct ig_str){place->text, (size_t)length};
}

/* Without the lock: closing may free a gigabyte of pages. */
static void close_region(struct region *region)
{
    ig_file_close(&region->fd);
    ig_free(region);
}

/* ---- registering ---- */

static bool is_plain(struct ig_str text, size_t max)
{
    bool plain = text.len > 0 && text.len <= max;
    for (size_t i = 0; plain && i < text.len; i++)
        plain = (unsigned char)text.ptr[i] > ' ' && (unsigned char)text.ptr[i] < 0x7f;
    return plain;
}

static enum ig_code check_names(const struct ig_region *region, struct ig_err *err)
{
    struct ig_str key = region->key;
    if (key.len && key.ptr[0] == '/') key = (struct ig_str){key.ptr + 1, key.len - 1};
    if (!is_plain(region->name, IG_REGION_NAME_MAX))
        return ig_fail(err, IG_INVALID,
                       "region '%.*s': expected 1 to %d printable characters without blanks",
                       shown(region->name), region->name.ptr, IG_REGION_NAME_MAX);
    /* sem.NAME is where the C library keeps semaphores. */
    if (is_plain(key, IG_REGION_KEY_MAX) && !memchr(key.ptr, '/', key.len) && key.ptr[0] != '.' &&
        !ig_str_starts(key, IG_STR("sem.")))
        return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "key: '%.*s' is no name of shared memory, expected /NAME without further "
                   "slashes",
                   shown(region->key), region->key.ptr);
}

static enum ig_code check_object(const struct region *region, struct ig_err *err)
{
    struct stat info;
    uint64_t end;
    if (fstat(region->fd, &info) != 0)
        return ig_fail(err, IG_IO, "key: '%s': %s", region->key, strerror(errno));
    if (!S_ISREG(info.st_mode) || info.st_uid != geteuid())
        return ig_fail(err, IG_DENIED,
                       "key: '%s' is not shared memory of the user that the server runs as",
                       region->key);
    if (region->size_bytes && region->size_bytes <= IG_REGION_BYTES_MAX &&
        !__builtin_add_overflow(region->offset, region->size_bytes, &end) &&
        end <= (uint64_t)info.st_size)
        return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "region '%s': offset %llu and byte_size %llu, the object '%s' has %lld bytes "
                   "and a region at most %d",
                   region->name, (unsigned long long)region->offset,
                   (unsigned long long)region->size_bytes, region->key, (long long)info.st_size,
                   IG_REGION_BYTES_MAX);
}

/* What may only be read is good for inputs. */
static enum ig_code open_object(struct region *region, struct ig_err *err)
{
    region->fd = shm_open(region->key, O_RDWR | O_NONBLOCK, 0);
    if (region->fd < 0 && errno == EACCES)
        region->fd = shm_open(region->key, O_RDONLY | O_NONBLOCK, 0);
    if (region->fd >= 0) return check_object(region, err);
    enum ig_code code = errno == ENOENT                     ? IG_NOT_FOUND
                        : errno == EACCES || errno == ELOOP ? IG_DENIED
                                                            : IG_IO;
    return ig_fail(err, code, "Unable to open shared memory region: '%s'", region->key);
}

static enum ig_code put(struct ig_regions *regions, struct region *region, struct ig_err *err)
{
    struct place place;
    struct ig_str key = place_of(&place, ig_str_view(region->owner), ig_str_view(region->name));
    pthread_mutex_lock(&regions->lock);
    if (ig_map_get(&regions->map, key))
        ig_fail(err, IG_EXISTS, "shared memory region '%s' already in manager", region->name);
    else if (!ig_map_put(&regions->map, key, region))
        ig_fail(err, IG_EXHAUSTED, "region '%s': there are %d regions, as many as may be",
                region->name, IG_REGIONS_MAX);
    pthread_mutex_unlock(&regions->lock);
    return err->code;
}

enum ig_code ig_regions_add(struct ig_regions *regions, struct ig_str owner,
                            const struct ig_region *region, struct ig_err *err)
{
    if (check_names(region, err) != IG_OK) return err->code;
    struct region *own = ig_zalloc(sizeof *own);
    if (!own) return ig_fail(err, IG_NO_MEMORY, "region");
    bool slash = region->key.ptr[0] == '/';
    *own = (struct region){
        .references = 1, .fd = -1, .offset = region->offset, .size_bytes = region->size_bytes};
    snprintf(own->owner, sizeof own->owner, "%.*s", IG_STR_ARGS(owner));
    snprintf(own->name, sizeof own->name, "%.*s", IG_STR_ARGS(region->name));
    snprintf(own->key, sizeof own->key, "%s%.*s", slash ? "" : "/", IG_STR_ARGS(region->key));
    if (open_object(own, err) != IG_OK || put(regions, own, err) != IG_OK) close_region(own);
    return err->code;
}

static bool is_owners(const struct region *region, struct ig_str owner)
{
    return ig_str_is(owner, region->owner);
}

/* One of the owner's; NULL when there is none left. */
static const struct region *any_of(const struct ig_regions *regions, struct ig_str owner)
{
    struct ig_str key;
    void *value;
    size_t at = 0;
    while (ig_map_each(&regions->map, &at, &key, &value))
        if (is_owners(value, owner)) return value;
    return NULL;
}

void ig_regions_remove(struct ig_regions *regions, struct ig_str owner, struct ig_str name)
{
    struct place place;
    if (name.len > IG_REGION_NAME_MAX) return;
    struct region *last = NULL;
    const struct region *next = NULL;
    pthread_mutex_lock(&regions->lock);
    do {
        if (!name.len) next = any_of(regions, owner);
        struct ig_str which = next ? ig_str_view(next->name) : name;
        struct region *region = ig_map_remove(&regions->map, place_of(&place, owner, which));
        if (!region || --region->references) continue;
        region->next = last;
        last = region;
    } while (next);
    pthread_mutex_unlock(&regions->lock);
    for (struct region *region = last; region; region = last) {
        last = region->next;
        close_region(region);
    }
}

/* ---- telling ---- */

static bool tell(struct ig_region *out, const struct region *region, struct ig_arena *arena)
{
    *out = (struct ig_region){.name = ig_arena_dup(arena, ig_str_view(region->name)),
                              .key = ig_arena_dup(arena, ig_str_view(region->key)),
                              .offset = region->offset,
                              .size_bytes = region->size_bytes};
    return out->name.ptr && out->key.ptr;
}

enum ig_code ig_regions_list(struct ig_regions_list *out, struct ig_regions *regions,
                             struct ig_str owner, struct ig_str name, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct ig_str key;
    void *value;
    size_t at = 0;
    bool fits = true;
    struct ig_regions_list list = {ig_arena_array(arena, IG_REGIONS_MAX, sizeof *list.items), 0};
    if (!list.items) return ig_fail(err, IG_NO_MEMORY, "regions");
    pthread_mutex_lock(&regions->lock);
    while (fits && ig_map_each(&regions->map, &at, &key, &value)) {
        const struct region *region = value;
        if (is_owners(region, owner) && (!name.len || ig_str_is(name, region->name)))
            fits = tell(&list.items[list.count++], region, arena);
    }
    pthread_mutex_unlock(&regions->lock);
    if (!fits) return ig_fail(err, IG_NO_MEMORY, "regions");
    if (name.len && !list.count)
        return ig_fail(err, IG_NOT_FOUND, "Unable to find system shared memory region: '%.*s'",
                       shown(name), name.ptr);
    *out = list;
    return IG_OK;
}

/* ---- copying ---- */

static struct region *acquire(struct ig_regions *regions, struct ig_str owner,
                              const struct ig_region_part *part, struct ig_err *err)
{
    struct place place;
    uint64_t end;
    pthread_mutex_lock(&regions->lock);
    struct region *region = ig_map_get(&regions->map, place_of(&place, owner, part->region));
    if (!region || part->region.len > IG_REGION_NAME_MAX) {
        ig_fail(err, IG_NOT_FOUND, "Unable to find shared memory region: '%.*s'",
                shown(part->region), part->region.ptr);
    } else if (__builtin_add_overflow(part->offset, part->size_bytes, &end) ||
               end > region->size_bytes) {
        ig_fail(err, IG_INVALID,
                "Invalid offset + byte size for shared memory region: '%s': %llu and %llu, it has "
                "%llu bytes",
                region->name, (unsigned long long)part->offset,
                (unsigned long long)part->size_bytes, (unsigned long long)region->size_bytes);
    } else {
        region->references++;
    }
    pthread_mutex_unlock(&regions->lock);
    return err->code == IG_OK ? region : NULL;
}

static void release(struct ig_regions *regions, struct region *region)
{
    pthread_mutex_lock(&regions->lock);
    bool is_last = --region->references == 0;
    pthread_mutex_unlock(&regions->lock);
    if (is_last) close_region(region);
}

static enum ig_code fail_copy(const struct region *region, const char *what, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "shared memory region '%s': %s", region->name, what);
}

enum ig_code ig_regions_read(void *out, struct ig_regions *regions, struct ig_str owner,
                             const struct ig_region_part *part, struct ig_err *err)
{
    struct region *region = acquire(regions, owner, part, err);
    if (!region) return err->code;
    uint64_t at = region->offset + part->offset;
    for (size_t done = 0; err->code == IG_OK && done < part->size_bytes;) {
        ssize_t got =
            pread(region->fd, (char *)out + done, part->size_bytes - done, (off_t)(at + done));
        if (got > 0)
            done += (size_t)got;
        else if (got == 0)
            fail_copy(region, "the object has become shorter than what was registered", err);
        else if (errno != EINTR)
            fail_copy(region, strerror(errno), err);
    }
    release(regions, region);
    return err->code;
}

enum ig_code ig_regions_write(struct ig_regions *regions, struct ig_str owner,
                              const struct ig_region_part *part, const void *bytes,
                              struct ig_err *err)
{
    struct stat info;
    struct region *region = acquire(regions, owner, part, err);
    if (!region) return err->code;
    uint64_t at = region->offset + part->offset;
    /* A write behind the end would let the object grow again. */
    if (fstat(region->fd, &info) != 0 || (uint64_t)info.st_size < at + part->size_bytes)
        fail_copy(region, "the object has become shorter than what was registered", err);
    for (size_t done = 0; err->code == IG_OK && done < part->size_bytes;) {
        ssize_t got = pwrite(region->fd, (const char *)bytes + done, part->size_bytes - done,
                             (off_t)(at + done));
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EINTR)
            fail_copy(region, got == 0 ? "nothing was written" : strerror(errno), err);
    }
    release(regions, region);
    return err->code;
}

/* ---- life ---- */

enum ig_code ig_regions_new(struct ig_regions **out, struct ig_err *err)
{
    struct ig_regions *regions = ig_zalloc(sizeof *regions);
    if (!regions) return ig_fail(err, IG_NO_MEMORY, "regions");
    pthread_mutex_init(&regions->lock, NULL);
    ig_map_init(&regions->map, IG_REGIONS_MAX);
    *out = regions;
    return IG_OK;
}

void ig_regions_free(struct ig_regions *regions)
{
    struct ig_str key;
    void *value;
    size_t at = 0;
    if (!regions) return;
    while (ig_map_each(&regions->map, &at, &key, &value)) close_region(value);
    ig_map_deinit(&regions->map);
    pthread_mutex_destroy(&regions->lock);
    ig_free(regions);
}
