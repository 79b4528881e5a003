/* SPDX-License-Identifier: Apache-2.0 */
/* Models that come and go. An entry is a model version under a deployment; it holds one reference
 * on what is loaded, and calls under way hold theirs, so what makes room goes when the last call
 * ends.
 *
 * Invariants, under `lock`: an entry that is loading has one thread at it, the others wait; an
 * entry with waiting threads is not removed. Thread rule: any; models are loaded without the lock.
 */
#include "services/deploy/residency.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { FACE_FORMAT = 4, FACE_MAX_BYTES = 64 << 20 };

struct entry {
    struct entry *next;
    char deployment[IG_NAME_SIZE], digest[IG_SHA256_HEX];
    const struct ig_servable *loaded; /* NULL: not here */
    bool loading;
    unsigned waiting;
    uint64_t used_ns;
};

struct ig_residency {
    struct ig_residency_options options;
    int faces; /* a directory */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct entry *entries;
    uint64_t loads, unloads;
};

enum ig_code ig_residency_open(struct ig_residency **out,
                               const struct ig_residency_options *options, struct ig_err *err)
{
    struct ig_residency *residency = ig_zalloc(sizeof *residency);
    if (!residency) return ig_fail(err, IG_NO_MEMORY, "loaded models");
    residency->options = *options;
    residency->faces = -1;
    pthread_mutex_init(&residency->lock, NULL);
    pthread_cond_init(&residency->changed, NULL);
    if (ig_dir_make(&residency->faces, options->dirfd, "faces", err) == IG_OK)
        *out = residency;
    else
        ig_residency_close(residency);
    return err->code;
}

void ig_residency_close(struct ig_residency *residency)
{
    if (!residency) return;
    for (struct entry *entry = residency->entries, *next; entry; entry = next) {
        next = entry->next;
        ig_servable_unref(entry->loaded);
        ig_free(entry);
    }
    ig_file_close(&residency->faces);
    pthread_cond_destroy(&residency->changed);
    pthread_mutex_destroy(&residency->lock);
    ig_free(residency);
}

/* ---- entries; under lock ---- */

static struct entry *find(struct ig_residency *residency, struct ig_str deployment,
                          struct ig_str digest)
{
    struct entry *entry = residency->entries;
    while (entry && !(ig_str_is(deployment, entry->deployment) && ig_str_is(digest, entry->digest)))
        entry = entry->next;
    return entry;
}

static struct entry *obtain(struct ig_residency *residency, struct ig_str deployment,
                            struct ig_str digest)
{
    struct entry *entry = find(residency, deployment, digest);
    if (entry) return entry;
    entry = ig_zalloc(sizeof *entry);
    if (!entry) return NULL;
    snprintf(entry->deployment, sizeof entry->deployment, "%.*s", IG_STR_ARGS(deployment));
    snprintf(entry->digest, sizeof entry->digest, "%.*s", IG_STR_ARGS(digest));
    entry->next = residency->entries;
    residency->entries = entry;
    return entry;
}

static void drop(struct ig_residency *residency, struct entry *entry)
{
    struct entry **at = &residency->entries;
    while (*at != entry) at = &(*at)->next;
    *at = entry->next;
    ig_free(entry);
}

static size_t bytes_of(const struct entry *entry)
{
    if (!entry->loaded) return 0;
    return entry->loaded->package->memory_bytes + ig_prepared_memory_bytes(entry->loaded->prepared);
}

/* What has to go so that the rest fits, taken out of the table, as a list. */
static struct entry *make_room(struct ig_residency *residency, const struct entry *kept)
{
    struct entry *gone = NULL;
    for (;;) {
        struct entry *oldest = NULL;
        size_t sum = 0;
        for (struct entry *entry = residency->entries; entry; entry = entry->next) {
            sum += bytes_of(entry);
            if (!entry->loaded || entry == kept || entry->waiting) continue;
            if (!oldest || entry->used_ns < oldest->used_ns) oldest = entry;
        }
        if (sum <= residency->options.memory_max_bytes || !oldest) return gone;
        struct entry **at = &residency->entries;
        while (*at != oldest) at = &(*at)->next;
        *at = oldest->next;
        oldest->next = gone;
        gone = oldest;
        residency->unloads++;
    }
}

static void free_gone(struct entry *gone)
{
    for (struct entry *next; gone; gone = next) {
        next = gone->next;
        ig_servable_unref(gone->loaded);
        ig_free(gone);
    }
}

/* ---- loading ---- */

/* The model with a reference of the caller's. */
static const struct ig_servable *take(struct ig_residency *residency, struct ig_str deployment,
                                      const struct ig_registry_version *version, struct ig_err *err)
{
    const struct ig_servable *loaded = NULL;
    struct entry *gone = NULL;
    pthread_mutex_lock(&residency->lock);
    struct entry *entry = obtain(residency, deployment, version->digest);
    if (!entry) {
        pthread_mutex_unlock(&residency->lock);
        ig_fail(err, IG_NO_MEMORY, "loaded models");
        return NULL;
    }
    entry->waiting++;
    while (entry->loading) pthread_cond_wait(&residency->changed, &residency->lock);
    if (!entry->loaded) {
        entry->loading = true;
        pthread_mutex_unlock(&residency->lock);
        ig_servable_load(&loaded, &residency->options.source, deployment, version, err);
        pthread_mutex_lock(&residency->lock);
        entry->loading = false;
        entry->loaded = loaded;
        residency->loads += loaded != NULL;
        pthread_cond_broadcast(&residency->changed);
        if (loaded) gone = make_room(residency, entry);
    }
    loaded = ig_servable_ref(entry->loaded);
    entry->used_ns = ig_clock_ns();
    entry->waiting--;
    if (!entry->loaded && !entry->waiting) drop(residency, entry);
    pthread_mutex_unlock(&residency->lock);
    free_gone(gone);
    return loaded;
}

/* A loop gets here: it neither loads nor frees. */
static const struct ig_servable *peek(struct ig_residency *residency,
                                      const struct ig_servable *pointed)
{
    pthread_mutex_lock(&residency->lock);
    struct entry *entry =
        find(residency, ig_str_view(pointed->deployment), ig_str_view(pointed->digest));
    const struct ig_servable *loaded = entry ? ig_servable_ref(entry->loaded) : NULL;
    if (loaded) entry->used_ns = ig_clock_ns();
    pthread_mutex_unlock(&residency->lock);
    return loaded;
}

const struct ig_servable *ig_residency_get(const struct ig_servable *pointed, bool load,
                                           struct ig_err *err)
{
    const struct ig_registry_version version = {
        .model = ig_str_view(pointed->model),
        .version = pointed->version,
        .digest = ig_str_view(pointed->digest),
        .model_digest = ig_str_view(pointed->model_digest),
    };
    if (!load) return peek(pointed->residency, pointed);
    return take(pointed->residency, ig_str_view(pointed->deployment), &version, err);
}

/* ---- faces ---- */

/* One made by another version of this program is none: "FORMAT VERSION\n" padded, then the face. */
static void face_head(char head[64])
{
    memset(head, 0, 64);
    snprintf(head, 64, "ingot face %d %s\n", FACE_FORMAT, INGOT_VERSION);
}

static bool read_face(struct ig_package **out, const struct ig_residency *residency,
                      const char *digest)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_buf bytes;
    char head[64];
    face_head(head);
    ig_buf_init(&bytes, FACE_MAX_BYTES);
    bool good =
        ig_file_read(&bytes, residency->faces, digest, &ignored) == IG_OK &&
        bytes.len > sizeof head && memcmp(bytes.ptr, head, sizeof head) == 0 &&
        ig_package_face_read(out, (struct ig_str){bytes.ptr + sizeof head, bytes.len - sizeof head},
                             &ignored) == IG_OK;
    ig_buf_deinit(&bytes);
    return good;
}

static enum ig_code write_face(struct ig_residency *residency, const char *digest,
                               const struct ig_package *package, struct ig_err *err)
{
    struct ig_buf bytes;
    char head[64];
    face_head(head);
    ig_buf_init(&bytes, FACE_MAX_BYTES);
    ig_buf_add(&bytes, head, sizeof head);
    ig_package_face_write(&bytes, package);
    if (bytes.overflowed)
        ig_fail(err, IG_TOO_LARGE, "description of model %s: more than %d bytes", digest,
                FACE_MAX_BYTES);
    else
        ig_file_replace(residency->faces, digest, ig_buf_view(&bytes), err);
    ig_buf_deinit(&bytes);
    return err->code;
}

static enum ig_code make_face(struct ig_package **out, struct ig_residency *residency,
                              struct ig_str deployment, const struct ig_registry_version *version,
                              struct ig_err *err)
{
    const struct ig_servable *loaded = take(residency, deployment, version, err);
    if (loaded && write_face(residency, loaded->digest, loaded->package, err) == IG_OK &&
        !read_face(out, residency, loaded->digest))
        ig_fail(err, IG_INTERNAL, "description of model %s: it does not read back", loaded->digest);
    ig_servable_unref(loaded);
    return err->code;
}

enum ig_code ig_residency_point(const struct ig_servable **out, struct ig_residency *residency,
                                struct ig_str deployment, const struct ig_registry_version *version,
                                struct ig_err *err)
{
    struct ig_servable_elsewhere elsewhere = {.residency = residency};
    char digest[IG_SHA256_HEX];
    snprintf(digest, sizeof digest, "%.*s", IG_STR_ARGS(version->digest));
    if (!read_face(&elsewhere.face, residency, digest) &&
        make_face(&elsewhere.face, residency, deployment, version, err) != IG_OK)
        return err->code;
    return ig_servable_point(out, &elsewhere, deployment, version, err);
}

void ig_residency_stats(struct ig_residency_stats *out, struct ig_residency *residency)
{
    *out = (struct ig_residency_stats){0};
    pthread_mutex_lock(&residency->lock);
    for (const struct entry *entry = residency->entries; entry; entry = entry->next) {
        out->resident += entry->loaded != NULL;
        out->bytes += bytes_of(entry);
    }
    out->loads = residency->loads;
    out->unloads = residency->unloads;
    pthread_mutex_unlock(&residency->lock);
}
