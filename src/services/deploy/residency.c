/* SPDX-License-Identifier: Apache-2.0 */
/* Models that come and go, in entries of three kinds. A package is loaded from its object. A model
 * is a package under a deployment, with explainers of that deployment's own; an ensemble is made of
 * packages and of other ensembles: both hold the entries of their parts. An entry has one reference
 * on what is loaded, and calls under way have theirs.
 *
 * Invariants, under `lock`: an entry that is loading has one thread at it, the others wait; an
 * entry that threads wait for or others hold is not removed. What was removed while calls use it is
 * kept in `leaving` until they have ended, and is freed by a worker: a loop never has the last
 * reference. Parts make no circle, so a thread that loads them waits for none that waits for it.
 *
 * Thread rule: any; models are loaded and freed without the lock. */
#include "services/deploy/residency.h"

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { FACE_FORMAT = 5, FACE_MAX_BYTES = 64 << 20, ENTRIES_MAX = 1 << 20, KEY_MAX_BYTES = 1 << 16 };
enum { PARTS_MAX = IG_COMPOSITE_MEMBERS_MAX + 1 };

enum kind { PACKAGE, MODEL, ENSEMBLE };

/* What an entry is loaded from; all is borrowed. */
struct recipe {
    enum kind kind;
    struct ig_str key;
    struct ig_str deployment;
    struct ig_registry_version version;                /* PACKAGE, MODEL */
    struct ig_str node;                                /* ENSEMBLE */
    const struct ig_servable_combination *combination; /* of what is pointed at */
};

struct entry {
    struct entry *older,
        *newer; /* by use, of what is loaded; `older`: also the next in `leaving` */
    enum kind kind;
    const struct ig_servable *loaded; /* NULL: not here */
    bool loading;
    unsigned waiting;
    unsigned holders;
    struct entry **parts; /* that it holds */
    size_t parts_count;
    size_t bytes; /* when it was last counted: explainers are prepared later */
    char key[IG_SHA256_HEX];
};

struct ig_residency {
    struct ig_residency_options options;
    int faces; /* a directory */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ig_map entries; /* by key */
    struct entry *oldest, *newest, *leaving;
    size_t bytes; /* of all that is loaded, as last counted */
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
    ig_map_init(&residency->entries, ENTRIES_MAX);
    if (ig_dir_make(&residency->faces, options->dirfd, "faces", err) == IG_OK)
        *out = residency;
    else
        ig_residency_close(residency);
    return err->code;
}

static void free_entry(struct entry *entry)
{
    ig_servable_unref(entry->loaded);
    ig_free(entry->parts);
    ig_free(entry);
}

static void free_gone(struct entry *gone)
{
    for (struct entry *next; gone; gone = next) {
        next = gone->older;
        free_entry(gone);
    }
}

void ig_residency_close(struct ig_residency *residency)
{
    if (!residency) return;
    free_gone(residency->newest);
    free_gone(residency->leaving);
    ig_map_deinit(&residency->entries);
    ig_file_close(&residency->faces);
    pthread_cond_destroy(&residency->changed);
    pthread_mutex_destroy(&residency->lock);
    ig_free(residency);
}

/* ---- entries; under lock ---- */

static struct entry *obtain(struct ig_residency *residency, const struct recipe *recipe)
{
    struct entry *entry = ig_map_get(&residency->entries, recipe->key);
    if (entry) return entry;
    entry = ig_zalloc(sizeof *entry);
    if (!entry) return NULL;
    entry->kind = recipe->kind;
    snprintf(entry->key, sizeof entry->key, "%.*s", IG_STR_ARGS(recipe->key));
    if (ig_map_put(&residency->entries, recipe->key, entry)) return entry;
    ig_free(entry);
    return NULL;
}

static void release(struct entry *const *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) parts[i]->holders--;
}

static void take_out(struct ig_residency *residency, struct entry *entry)
{
    *(entry->older ? &entry->older->newer : &residency->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &residency->newest) = entry->older;
}

static void put_newest(struct ig_residency *residency, struct entry *entry)
{
    entry->newer = NULL;
    entry->older = residency->newest;
    *(entry->older ? &entry->older->newer : &residency->oldest) = entry;
    residency->newest = entry;
}

/* Parts are newer than what holds them: from the oldest on it comes before them. */
static void touch(struct ig_residency *residency, struct entry *entry)
{
    take_out(residency, entry);
    put_newest(residency, entry);
    for (size_t i = 0; i < entry->parts_count; i++) touch(residency, entry->parts[i]);
}

static size_t bytes_of(const struct entry *entry)
{
    size_t own = sizeof *entry + sizeof *entry->loaded;
    own += ig_prepared_memory_bytes(entry->loaded->prepared);
    return entry->kind == MODEL ? own : own + entry->loaded->package->memory_bytes;
}

static void count(struct ig_residency *residency, struct entry *entry)
{
    size_t bytes = bytes_of(entry);
    residency->bytes += bytes - entry->bytes;
    entry->bytes = bytes;
}

static void make_room(struct ig_residency *residency)
{
    struct entry *entry = residency->oldest, *newer;
    for (; entry && residency->bytes > residency->options.memory_max_bytes; entry = newer) {
        newer = entry->newer;
        if (entry->waiting || entry->holders) continue;
        ig_map_remove(&residency->entries, ig_str_view(entry->key));
        release(entry->parts, entry->parts_count);
        take_out(residency, entry);
        residency->bytes -= entry->bytes;
        residency->unloads += entry->kind == PACKAGE;
        entry->older = residency->leaving;
        residency->leaving = entry;
    }
}

/* Of what is leaving, as a list: what no call has any more. */
static struct entry *take_left(struct ig_residency *residency)
{
    struct entry *left = NULL, **at = &residency->leaving;
    while (*at) {
        struct entry *entry = *at;
        if (!ig_servable_is_last(entry->loaded)) {
            at = &entry->older;
            continue;
        }
        *at = entry->older;
        entry->older = left;
        left = entry;
    }
    return left;
}

/* Without the lock. Freeing a model or an ensemble leaves its packages alone. */
static void sweep(struct ig_residency *residency)
{
    struct entry *left;
    do {
        pthread_mutex_lock(&residency->lock);
        left = take_left(residency);
        pthread_mutex_unlock(&residency->lock);
        free_gone(left);
    } while (left);
}

/* ---- loading; without the lock ---- */

struct made {
    const struct ig_servable *loaded;
    struct entry *parts[PARTS_MAX]; /* held for it */
    size_t parts_count;
};

static const struct ig_servable *take(struct ig_residency *residency, const struct recipe *recipe,
                                      struct entry **held, struct ig_err *err);

static struct recipe package_of(const struct ig_registry_version *version)
{
    return (struct recipe){
        .kind = PACKAGE, .key = version->digest, .deployment = IG_STR(""), .version = *version};
}

static struct ig_registry_version version_of(const struct ig_servable *pointed)
{
    return (struct ig_registry_version){.model = ig_str_view(pointed->model),
                                        .version = pointed->version,
                                        .digest = ig_str_view(pointed->digest),
                                        .model_digest = ig_str_view(pointed->model_digest)};
}

static struct ig_servable_combination combination_of(const struct ig_servable *pointed)
{
    return (struct ig_servable_combination){.combine = pointed->combine,
                                            .members = pointed->members,
                                            .members_count = pointed->members_count,
                                            .meta = pointed->meta,
                                            .skips = pointed->skips};
}

/* `combination` is filled for an ensemble, and part of the recipe. */
static struct recipe recipe_of(const struct ig_servable *pointed,
                               struct ig_servable_combination *combination)
{
    struct recipe recipe = {.kind = pointed->members_count ? ENSEMBLE : MODEL,
                            .key = ig_str_view(pointed->resident_key),
                            .deployment = ig_str_view(pointed->deployment),
                            .version = version_of(pointed),
                            .node = ig_str_view(pointed->node),
                            .combination = combination};
    *combination = combination_of(pointed);
    return recipe;
}

static void make_model(struct made *made, struct ig_residency *residency,
                       const struct recipe *recipe, struct ig_err *err)
{
    const struct recipe package = package_of(&recipe->version);
    const struct ig_servable *lender = take(residency, &package, &made->parts[0], err);
    if (!lender) return;
    made->parts_count = 1;
    ig_servable_lend(&made->loaded, lender, residency->options.source.tables_max_bytes,
                     recipe->deployment, &recipe->version, err);
    ig_servable_unref(lender);
}

/* A member by its own name, which its package need not know; NULL with err. */
static const struct ig_servable *make_member(struct made *made, struct ig_residency *residency,
                                             const struct ig_servable *pointed, struct ig_err *err)
{
    struct ig_servable_combination combination;
    struct recipe recipe = recipe_of(pointed, &combination);
    const struct ig_servable *named = NULL;
    if (recipe.kind == MODEL) recipe = package_of(&recipe.version);
    const struct ig_servable *part = take(residency, &recipe, &made->parts[made->parts_count], err);
    if (!part) return NULL;
    made->parts_count++;
    if (recipe.kind == ENSEMBLE) return part;
    const struct ig_registry_version version = version_of(pointed);
    ig_servable_lend(&named, part, residency->options.source.tables_max_bytes,
                     ig_str_view(pointed->deployment), &version, err);
    ig_servable_unref(part);
    return named;
}

static void make_ensemble(struct made *made, struct ig_residency *residency,
                          const struct recipe *recipe, struct ig_err *err)
{
    struct ig_servable_combination own = *recipe->combination;
    struct ig_servable_member members[IG_COMPOSITE_MEMBERS_MAX];
    size_t done = 0;
    for (; err->code == IG_OK && done < own.members_count; done++) {
        members[done] = own.members[done];
        members[done].servable = make_member(made, residency, own.members[done].servable, err);
    }
    own.members = members;
    if (err->code == IG_OK && own.meta)
        own.meta = make_member(made, residency, own.meta, err);
    else
        own.meta = NULL;
    if (err->code == IG_OK)
        ig_servable_combine(&made->loaded, recipe->node, &own,
                            residency->options.source.tables_max_bytes, err);
    while (done > 0) ig_servable_unref(members[--done].servable);
    ig_servable_unref(own.meta);
}

static void make(struct made *made, struct ig_residency *residency, const struct recipe *recipe,
                 struct ig_err *err)
{
    switch (recipe->kind) {
    case PACKAGE:
        ig_servable_load(&made->loaded, &residency->options.source, recipe->deployment,
                         &recipe->version, err);
        break;
    case MODEL:
        make_model(made, residency, recipe, err);
        break;
    case ENSEMBLE:
        make_ensemble(made, residency, recipe, err);
    }
}

/* Under lock: what was made is the entry's, or its parts are let go. */
static void settle(struct ig_residency *residency, struct entry *entry, const struct made *made,
                   struct entry **parts)
{
    entry->loading = false;
    entry->loaded = made->loaded;
    pthread_cond_broadcast(&residency->changed);
    if (!made->loaded) {
        release(made->parts, made->parts_count);
        return;
    }
    for (size_t i = 0; i < made->parts_count; i++) parts[i] = made->parts[i];
    entry->parts = parts;
    entry->parts_count = made->parts_count;
    residency->loads += entry->kind == PACKAGE;
    put_newest(residency, entry);
}

/* Under lock, which it gives up meanwhile. */
static void load(struct ig_residency *residency, struct entry *entry, const struct recipe *recipe,
                 struct ig_err *err)
{
    struct made made = {0};
    struct entry **parts = NULL;
    entry->loading = true;
    pthread_mutex_unlock(&residency->lock);
    make(&made, residency, recipe, err);
    if (made.parts_count) parts = ig_zalloc_array(made.parts_count, sizeof(struct entry *));
    if (made.parts_count && !parts) {
        ig_fail(err, IG_NO_MEMORY, "loaded models");
        ig_servable_unref(made.loaded);
        made.loaded = NULL;
    }
    pthread_mutex_lock(&residency->lock);
    settle(residency, entry, &made, parts);
    if (!entry->loaded) ig_free(parts);
}

/* What the recipe makes, with a reference of the caller's; `held`, unless NULL, is then its entry,
 * held. */
static const struct ig_servable *take(struct ig_residency *residency, const struct recipe *recipe,
                                      struct entry **held, struct ig_err *err)
{
    const struct ig_servable *loaded = NULL;
    pthread_mutex_lock(&residency->lock);
    struct entry *entry = obtain(residency, recipe);
    if (!entry) {
        pthread_mutex_unlock(&residency->lock);
        ig_fail(err, IG_NO_MEMORY, "loaded models");
        return NULL;
    }
    entry->waiting++;
    while (entry->loading) pthread_cond_wait(&residency->changed, &residency->lock);
    if (!entry->loaded) load(residency, entry, recipe, err);
    loaded = ig_servable_ref(entry->loaded);
    if (loaded && held) {
        entry->holders++;
        *held = entry;
    }
    if (loaded) {
        touch(residency, entry);
        count(residency, entry);
        make_room(residency);
    }
    entry->waiting--;
    if (!loaded && !entry->waiting) {
        ig_map_remove(&residency->entries, recipe->key);
        free_entry(entry);
    }
    pthread_mutex_unlock(&residency->lock);
    sweep(residency);
    return loaded;
}

/* A loop gets here: it neither loads nor frees. */
static const struct ig_servable *peek(struct ig_residency *residency, struct ig_str key)
{
    pthread_mutex_lock(&residency->lock);
    struct entry *entry = ig_map_get(&residency->entries, key);
    const struct ig_servable *loaded = entry ? ig_servable_ref(entry->loaded) : NULL;
    if (loaded) touch(residency, entry);
    pthread_mutex_unlock(&residency->lock);
    return loaded;
}

const struct ig_servable *ig_residency_get(const struct ig_servable *pointed, bool load,
                                           struct ig_err *err)
{
    struct ig_servable_combination combination;
    const struct recipe recipe = recipe_of(pointed, &combination);
    if (!load) return peek(pointed->residency, recipe.key);
    return take(pointed->residency, &recipe, NULL, err);
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

/* `name`: of the file. */
static enum ig_code find_face(struct ig_package **out, struct ig_residency *residency,
                              const char *name, const struct recipe *recipe, struct ig_err *err)
{
    if (read_face(out, residency, name)) return IG_OK;
    const struct ig_servable *loaded = take(residency, recipe, NULL, err);
    if (loaded && write_face(residency, name, loaded->package, err) == IG_OK &&
        !read_face(out, residency, name))
        ig_fail(err, IG_INTERNAL, "description of model %s: it does not read back", name);
    ig_servable_unref(loaded);
    return err->code;
}

enum ig_code ig_residency_collect(int64_t *removed, struct ig_residency *residency,
                                  ig_residency_need *need, void *context, bool dry_run,
                                  struct ig_err *err)
{
    int fd = -1;
    int64_t count = 0;
    if (ig_dir_open(&fd, residency->faces, ".", err) != IG_OK) return err->code;
    DIR *dir = fdopendir(fd);
    if (!dir) {
        ig_file_close(&fd);
        return ig_fail(err, IG_IO, "faces: %s", strerror(errno));
    }
    for (struct dirent *file; err->code == IG_OK && (file = readdir(dir));) {
        const char *name = file->d_name;
        bool is_face = strlen(name) == IG_SHA256_HEX - 1 && name[0] != '.';
        bool is_rest = strncmp(name, ".tmp-", 5) == 0;
        if ((!is_face || need(context, name, err)) && !is_rest) continue;
        if (err->code == IG_OK && !dry_run) ig_file_remove(residency->faces, name, err);
        count++;
    }
    closedir(dir);
    if (err->code == IG_OK) *removed = count;
    return err->code;
}

enum ig_code ig_residency_point(const struct ig_servable **out, struct ig_residency *residency,
                                struct ig_str deployment, const struct ig_registry_version *version,
                                struct ig_err *err)
{
    struct ig_servable_elsewhere elsewhere = {.residency = residency};
    const struct recipe package = package_of(version);
    char digest[IG_SHA256_HEX], key[IG_SHA256_HEX], text[3 * IG_NAME_SIZE + IG_SHA256_HEX];
    snprintf(digest, sizeof digest, "%.*s", IG_STR_ARGS(version->digest));
    int length = snprintf(text, sizeof text, "%.*s %.*s %lld %s", IG_STR_ARGS(deployment),
                          IG_STR_ARGS(version->model), (long long)version->version, digest);
    ig_sha256_hex(text, (size_t)length, key);
    elsewhere.resident_key = ig_str_view(key);
    if (find_face(&elsewhere.face, residency, digest, &package, err) != IG_OK) return err->code;
    return ig_servable_point(out, &elsewhere, deployment, version, err);
}

/* One key for all that is made of the same in the same way. */
static enum ig_code find_key(char key[IG_SHA256_HEX], struct ig_str node,
                             const struct ig_servable_combination *combination, struct ig_err *err)
{
    struct ig_buf text;
    ig_buf_init(&text, KEY_MAX_BYTES);
    ig_buf_printf(&text, "%.*s %s %d", IG_STR_ARGS(node), ig_combine_name(combination->combine),
                  combination->skips);
    for (size_t i = 0; i < combination->members_count; i++) {
        const struct ig_servable_member *member = &combination->members[i];
        ig_buf_printf(&text, ",%s %.17g %u", member->servable->resident_key, member->weight,
                      member->timeout_ms);
    }
    if (combination->meta) ig_buf_printf(&text, ",%s", combination->meta->resident_key);
    ig_sha256_hex(text.ptr, text.len, key);
    if (text.overflowed) ig_fail(err, IG_NO_MEMORY, "ensemble");
    ig_buf_deinit(&text);
    return err->code;
}

enum ig_code ig_residency_combine(const struct ig_servable **out, struct ig_residency *residency,
                                  struct ig_str node,
                                  const struct ig_servable_combination *combination,
                                  struct ig_err *err)
{
    struct ig_servable_elsewhere elsewhere = {.residency = residency};
    struct ig_servable_combination pointed = *combination;
    char key[IG_SHA256_HEX];
    if (find_key(key, node, combination, err) != IG_OK) return err->code;
    elsewhere.resident_key = ig_str_view(key);
    const struct recipe recipe = {
        .kind = ENSEMBLE, .key = elsewhere.resident_key, .node = node, .combination = combination};
    if (find_face(&elsewhere.face, residency, key, &recipe, err) != IG_OK) return err->code;
    pointed.elsewhere = &elsewhere;
    return ig_servable_combine(out, node, &pointed, 0, err);
}

void ig_residency_stats(struct ig_residency_stats *out, struct ig_residency *residency)
{
    sweep(residency);
    pthread_mutex_lock(&residency->lock);
    for (struct entry *entry = residency->oldest; entry; entry = entry->newer)
        count(residency, entry);
    *out = (struct ig_residency_stats){.resident = residency->loads - residency->unloads,
                                       .loads = residency->loads,
                                       .unloads = residency->unloads,
                                       .bytes = residency->bytes};
    for (const struct entry *entry = residency->leaving; entry; entry = entry->older)
        out->bytes += bytes_of(entry);
    pthread_mutex_unlock(&residency->lock);
}
