/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments. Rows in the database, and an immutable set of what they load, in memory.
 *
 *   change: registry row -> load package -> commit row -> new set -> swap pointer -> retire old set
 *
 * 1. The row is durable before the new version answers; a kill between the two serves the new one
 *    after the restart, which was not acknowledged but is whole.
 * 2. A set holds one reference on every servable in it. It is freed by the reaper thread after
 *    wait_quiescent: no loop can then hold a pointer that it acquired from it.
 * 3. Changes are serialised by change_lock, held over loading and commit; set_lock guards only the
 *    step from pointer to reference for threads that are no loops.
 *
 * Thread rule: `set` is read by loops without a lock, written under both locks. */
#include "services/deploy/deploy.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/deploy/servable_priv.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 64 << 10, ARENA_MAX = 16 << 20 };

struct entry {
    char name[IG_NAME_SIZE];
    const struct ig_servable *current;  /* NULL: failed to load */
    const struct ig_servable *previous; /* NULL: none, or not loaded yet */
    char error[256];                    /* of a failed one */
};

struct set {
    struct set *next_retired;
    size_t count;
    size_t failed_count;
    struct entry entries[]; /* by name */
};

struct ig_deploy {
    struct ig_deploy_options options;
    struct ig_servable_source source;
    _Atomic(struct set *) set;
    pthread_mutex_t change_lock;
    pthread_mutex_t set_lock;

    pthread_mutex_t reaper_lock;
    pthread_cond_t reaper_wake;
    struct set *retired;
    bool warm_wanted;
    bool stopping;
    bool reaper_runs;
    uint64_t reaper;
};

static const struct set *current_set(const struct ig_deploy *deploy)
{
    return atomic_load_explicit(&deploy->set, memory_order_acquire);
}

static void free_set(struct set *set)
{
    if (!set) return;
    for (size_t i = 0; i < set->count; i++) {
        ig_servable_unref(set->entries[i].current);
        ig_servable_unref(set->entries[i].previous);
    }
    ig_free(set);
}

static int compare_names(const char *name, struct ig_str wanted)
{
    size_t length = strlen(name), shorter = length < wanted.len ? length : wanted.len;
    int order = shorter ? memcmp(name, wanted.ptr, shorter) : 0;
    if (order != 0) return order;
    return (length > wanted.len) - (length < wanted.len);
}

/* True with *at = its place; false with *at = where it would stand. */
static bool find_entry(const struct set *set, struct ig_str name, size_t *at)
{
    size_t low = 0, high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = compare_names(set->entries[middle].name, name);
        if (order == 0) {
            *at = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return false;
}

const struct ig_servable *ig_deploy_acquire(const struct ig_deploy *deploy, struct ig_str name)
{
    size_t at;
    const struct set *set = current_set(deploy);
    return find_entry(set, name, &at) ? set->entries[at].current : NULL;
}

const struct ig_servable *ig_deploy_acquire_only(const struct ig_deploy *deploy)
{
    const struct set *set = current_set(deploy);
    return set->count == 1 ? set->entries[0].current : NULL;
}

bool ig_deploy_failed(const struct ig_deploy *deploy, struct ig_str name)
{
    size_t at;
    const struct set *set = current_set(deploy);
    return find_entry(set, name, &at) && !set->entries[at].current;
}

bool ig_deploy_ready(const struct ig_deploy *deploy)
{
    return current_set(deploy)->failed_count == 0;
}

void ig_deploy_each(const struct ig_deploy *deploy,
                    bool (*each)(void *context, const struct ig_servable *servable), void *context)
{
    const struct set *set = current_set(deploy);
    for (size_t i = 0; i < set->count; i++) {
        if (set->entries[i].current && !each(context, set->entries[i].current)) return;
    }
}

const struct ig_servable *ig_deploy_get_servable(struct ig_deploy *deploy, struct ig_str name)
{
    pthread_mutex_lock(&deploy->set_lock); /* what is in the set now cannot be freed meanwhile */
    const struct ig_servable *servable = ig_servable_ref(ig_deploy_acquire(deploy, name));
    pthread_mutex_unlock(&deploy->set_lock);
    return servable;
}

/* Under change_lock. */
static void swap_set(struct ig_deploy *deploy, struct set *fresh)
{
    pthread_mutex_lock(&deploy->set_lock);
    struct set *old = atomic_exchange_explicit(&deploy->set, fresh, memory_order_acq_rel);
    pthread_mutex_unlock(&deploy->set_lock);
    pthread_mutex_lock(&deploy->reaper_lock);
    old->next_retired = deploy->retired;
    deploy->retired = old;
    pthread_cond_signal(&deploy->reaper_wake);
    pthread_mutex_unlock(&deploy->reaper_lock);
}

static struct set *alloc_set(size_t count, struct ig_err *err)
{
    struct set *set = ig_zalloc(sizeof *set + count * sizeof set->entries[0]);
    if (!set) ig_fail(err, IG_NO_MEMORY, "set of %zu deployments", count);
    return set;
}

static void add_entry(struct set *set, const struct entry *entry)
{
    struct entry *added = &set->entries[set->count++];
    *added = *entry;
    ig_servable_ref(added->current);
    ig_servable_ref(added->previous);
    set->failed_count += added->current == NULL;
}

/* A copy of the current set in which `name` has `changed` (NULL: is gone). */
static struct set *changed_set(const struct ig_deploy *deploy, struct ig_str name,
                               const struct entry *changed, struct ig_err *err)
{
    const struct set *old = current_set(deploy);
    size_t at;
    bool exists = find_entry(old, name, &at);
    struct set *fresh = alloc_set(old->count + 1, err);
    if (!fresh) return NULL;
    for (size_t i = 0; i < at; i++) add_entry(fresh, &old->entries[i]);
    if (changed) add_entry(fresh, changed);
    for (size_t i = at + (exists ? 1 : 0); i < old->count; i++) add_entry(fresh, &old->entries[i]);
    return fresh;
}

struct listing {
    struct ig_arena *arena;
    struct ig_str name; /* one, or empty for all */
    size_t max;
    struct ig_deployments list;
};

static enum ig_code read_rows(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_arena *arena = listing->arena;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    struct ig_deployment *items = ig_arena_array(arena, listing->max, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "list of deployments");
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select d.name, d.model, d.ref, d.version, d.previous_version, d.previous_model, v.digest,"
        " d.created_ms, d.updated_ms from deployments d"
        " join versions v on v.model = d.model and v.version = d.version"
        " where $1 = '' or d.name = $1 order by d.name",
        IG_DB_VALUES(IG_DB_T(listing->name)), err);
    while (code == IG_OK && count < listing->max && ig_db_next(rows, err)) {
        items[count++] = (struct ig_deployment){
            .name = ig_db_text_dup(rows, 0, arena),
            .model = ig_db_text_dup(rows, 1, arena),
            .ref = ig_db_text_dup(rows, 2, arena),
            .version = ig_db_i64(rows, 3),
            .previous_version = ig_db_i64(rows, 4),
            .previous_model = ig_db_text_dup(rows, 5, arena),
            .digest = ig_db_text_dup(rows, 6, arena),
            .created_ms = ig_db_i64(rows, 7),
            .updated_ms = ig_db_i64(rows, 8),
            .state = IG_STR("serving"),
            .error = IG_STR(""),
        };
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of deployments");
    if (err->code == IG_OK) listing->list = (struct ig_deployments){items, count};
    return err->code;
}

/* What memory knows of each row: whether it serves. */
static enum ig_code list_rows(struct ig_deployments *out, struct ig_deploy *deploy,
                              struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {arena, name, name.len ? 1 : deploy->options.deployments_max, {0}};
    size_t at;
    enum ig_code code = ig_db_read(deploy->options.db, read_rows, &listing, err);
    if (code != IG_OK) return code;
    pthread_mutex_lock(&deploy->set_lock);
    const struct set *set = current_set(deploy);
    for (size_t i = 0; i < listing.list.count; i++) {
        struct ig_deployment *item = (struct ig_deployment *)(uintptr_t)&listing.list.items[i];
        if (!find_entry(set, item->name, &at)) continue;
        item->previous_warm = set->entries[at].previous != NULL;
        if (set->entries[at].current) continue;
        item->state = IG_STR("failed");
        item->error = ig_str_view(ig_arena_cstr(arena, ig_str_view(set->entries[at].error)));
    }
    pthread_mutex_unlock(&deploy->set_lock);
    *out = listing.list;
    return IG_OK;
}

enum ig_code ig_deploy_list(struct ig_deployments *out, struct ig_deploy *deploy,
                            struct ig_arena *arena, struct ig_err *err)
{
    return list_rows(out, deploy, IG_STR(""), arena, err);
}

enum ig_code ig_deploy_get(struct ig_deployment *out, struct ig_deploy *deploy, struct ig_str name,
                           struct ig_arena *arena, struct ig_err *err)
{
    struct ig_deployments list;
    enum ig_code code = ig_name_check(name, "deployment", err);
    if (code == IG_OK) code = list_rows(&list, deploy, name, arena, err);
    if (code != IG_OK) return code;
    if (list.count == 0)
        return ig_fail(err, IG_NOT_FOUND, "deployment '%.*s' does not exist", IG_STR_ARGS(name));
    *out = list.items[0];
    return IG_OK;
}

static void load_row(struct ig_deploy *deploy, struct set *set, const struct ig_deployment *row,
                     struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    struct entry entry = {0};
    snprintf(entry.name, sizeof entry.name, "%.*s", IG_STR_ARGS(row->name));
    enum ig_code code = ig_registry_version_get(&version, deploy->options.registry, row->model,
                                                row->version, arena, &err);
    if (code == IG_OK)
        code = ig_servable_load(&entry.current, &deploy->source, row->name, &version, &err);
    if (code != IG_OK) {
        snprintf(entry.error, sizeof entry.error, "%.255s", err.message);
        ig_log(IG_LOG_ERROR, "deployment does not load", IG_LOG_C("deployment", entry.name),
               IG_LOG_C("error", err.message));
    }
    add_entry(set, &entry);
    ig_servable_unref(entry.current);
}

static enum ig_code load_all(struct ig_deploy *deploy, struct ig_err *err)
{
    struct ig_arena arena;
    struct listing listing = {&arena, IG_STR(""), deploy->options.deployments_max, {0}};
    struct set *set = NULL;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    enum ig_code code = ig_db_read(deploy->options.db, read_rows, &listing, err);
    if (code == IG_OK) {
        set = alloc_set(listing.list.count, err);
        code = err->code;
    }
    for (size_t i = 0; code == IG_OK && i < listing.list.count; i++)
        load_row(deploy, set, &listing.list.items[i], &arena);
    atomic_store(&deploy->set, set);
    ig_arena_deinit(&arena);
    return code;
}

static bool is_stopping(struct ig_deploy *deploy)
{
    pthread_mutex_lock(&deploy->reaper_lock);
    bool stopping = deploy->stopping;
    pthread_mutex_unlock(&deploy->reaper_lock);
    return stopping;
}

/* Loads the version before, if the deployment is still as `row` says and has none. Under
 * change_lock. */
static enum ig_code warm_one(struct ig_deploy *deploy, const struct ig_deployment *row,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_registry_version version;
    const struct set *set = current_set(deploy);
    size_t at;
    if (!find_entry(set, row->name, &at) || set->entries[at].previous) return IG_OK;
    struct entry entry = set->entries[at];
    if (!entry.current || entry.current->version != row->version) return IG_OK;
    enum ig_code code = ig_registry_version_get(
        &version, deploy->options.registry, row->previous_model, row->previous_version, arena, err);
    if (code == IG_OK)
        code = ig_servable_load(&entry.previous, &deploy->source, row->name, &version, err);
    if (code != IG_OK) return code;
    struct set *fresh = changed_set(deploy, row->name, &entry, err);
    if (fresh) swap_set(deploy, fresh);
    ig_servable_unref(entry.previous);
    return err->code;
}

/* After a start, without keeping anyone waiting: makes rollbacks quick again. */
static void warm_all(struct ig_deploy *deploy)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct listing listing = {&arena, IG_STR(""), deploy->options.deployments_max, {0}};
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    if (ig_db_read(deploy->options.db, read_rows, &listing, &err) != IG_OK)
        ig_log_err(IG_LOG_WARN, "warming", &err);
    for (size_t i = 0; i < listing.list.count && !is_stopping(deploy); i++) {
        const struct ig_deployment *row = &listing.list.items[i];
        ig_err_clear(&err);
        if (row->previous_version == 0) continue;
        pthread_mutex_lock(&deploy->change_lock);
        if (warm_one(deploy, row, &arena, &err) != IG_OK) ig_log_err(IG_LOG_WARN, "warming", &err);
        pthread_mutex_unlock(&deploy->change_lock);
    }
    ig_arena_deinit(&arena);
}

static void free_retired(struct ig_deploy *deploy, struct set *retired, bool stopping)
{
    if (deploy->options.wait_quiescent && !stopping)
        deploy->options.wait_quiescent(deploy->options.context);
    while (retired) {
        struct set *next = retired->next_retired;
        free_set(retired);
        retired = next;
    }
}

static void *reaper_main(void *context)
{
    struct ig_deploy *deploy = context;
    bool stopping = false;
    while (!stopping) {
        pthread_mutex_lock(&deploy->reaper_lock);
        while (!deploy->retired && !deploy->warm_wanted && !deploy->stopping)
            pthread_cond_wait(&deploy->reaper_wake, &deploy->reaper_lock);
        struct set *retired = deploy->retired;
        bool warm = deploy->warm_wanted;
        stopping = deploy->stopping;
        deploy->retired = NULL;
        deploy->warm_wanted = false;
        pthread_mutex_unlock(&deploy->reaper_lock);
        if (retired) free_retired(deploy, retired, stopping);
        if (warm) warm_all(deploy);
    }
    if (deploy->retired) free_retired(deploy, deploy->retired, true); /* of the last warming */
    return NULL;
}

void ig_deploy_warm(struct ig_deploy *deploy)
{
    pthread_mutex_lock(&deploy->reaper_lock);
    deploy->warm_wanted = true;
    pthread_cond_signal(&deploy->reaper_wake);
    pthread_mutex_unlock(&deploy->reaper_lock);
}

enum ig_code ig_deploy_open(struct ig_deploy **out, const struct ig_deploy_options *options,
                            struct ig_err *err)
{
    struct ig_deploy *deploy = ig_zalloc(sizeof *deploy);
    if (!deploy) return ig_fail(err, IG_NO_MEMORY, "deployments");
    deploy->options = *options;
    deploy->source = (struct ig_servable_source){options->blobs, options->tables_max_bytes};
    if (!deploy->options.deployments_max) deploy->options.deployments_max = 1000;
    pthread_mutex_init(&deploy->change_lock, NULL);
    pthread_mutex_init(&deploy->set_lock, NULL);
    pthread_mutex_init(&deploy->reaper_lock, NULL);
    pthread_cond_init(&deploy->reaper_wake, NULL);
    enum ig_code code = load_all(deploy, err);
    if (code == IG_OK) code = ig_thread_start(&deploy->reaper, "reaper", reaper_main, deploy, err);
    if (code != IG_OK) {
        ig_deploy_close(deploy);
        return code;
    }
    deploy->reaper_runs = true;
    *out = deploy;
    return IG_OK;
}

void ig_deploy_close(struct ig_deploy *deploy)
{
    if (!deploy) return;
    if (deploy->reaper_runs) {
        pthread_mutex_lock(&deploy->reaper_lock);
        deploy->stopping = true;
        pthread_cond_signal(&deploy->reaper_wake);
        pthread_mutex_unlock(&deploy->reaper_lock);
        ig_thread_join(deploy->reaper);
    }
    free_set(atomic_load(&deploy->set));
    pthread_cond_destroy(&deploy->reaper_wake);
    pthread_mutex_destroy(&deploy->reaper_lock);
    pthread_mutex_destroy(&deploy->set_lock);
    pthread_mutex_destroy(&deploy->change_lock);
    ig_free(deploy);
}

/* A change on its way: what the row becomes, and who asked. */
struct change {
    const struct ig_principal *who;
    const char *action;
    struct ig_str name;
    struct ig_str ref;
    const struct ig_registry_version *version; /* NULL: delete */
    struct ig_str previous_model;              /* empty: none */
    int64_t previous_version;
};

static enum ig_code write_row(struct ig_db_tx *tx, const struct change *change, struct ig_err *err)
{
    int64_t now = ig_clock_unix_ms();
    bool had = change->previous_model.len > 0;
    return ig_db_exec(
        tx,
        "insert into deployments(name, model, version, ref, previous_model, previous_version,"
        " created_ms, updated_ms) values($1, $2, $3, $4, $5, $6, $7, $7)"
        " on conflict (name) do update set model = excluded.model, version = excluded.version,"
        " ref = excluded.ref, previous_model = excluded.previous_model,"
        " previous_version = excluded.previous_version, updated_ms = excluded.updated_ms",
        IG_DB_VALUES(IG_DB_T(change->name), IG_DB_T(change->version->model),
                     IG_DB_I(change->version->version), IG_DB_T(change->ref),
                     had ? IG_DB_T(change->previous_model) : IG_DB_N(),
                     had ? IG_DB_I(change->previous_version) : IG_DB_N(), IG_DB_I(now)),
        err);
}

static enum ig_code write_change(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    struct ig_err local = IG_ERR_INIT;
    char detail[IG_NAME_SIZE + 64] = "";
    enum ig_code code;
    if (change->version) {
        code = write_row(tx, change, &local);
        snprintf(detail, sizeof detail, "{\"model\":\"%.*s\",\"version\":%lld}",
                 IG_STR_ARGS(change->version->model), (long long)change->version->version);
    } else {
        code = ig_db_exec(tx, "delete from deployments where name = $1",
                          IG_DB_VALUES(IG_DB_T(change->name)), &local);
    }
    if (code == IG_CONFLICT)
        return ig_fail(err, IG_CONFLICT, "deployment '%.*s': its model version was deleted",
                       IG_STR_ARGS(change->name));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    return ig_audit_add(tx, change->who, change->action, change->name, ig_str_view(detail), err);
}

/* Commits the row, then lets the new set serve. Under change_lock. */
static enum ig_code commit_change(struct ig_deploy *deploy, struct change *change,
                                  const struct entry *entry, struct ig_err *err)
{
    struct set *fresh = changed_set(deploy, change->name, entry, err);
    if (!fresh) return err->code;
    enum ig_code code = ig_db_write(deploy->options.db, write_change, change, err);
    if (code != IG_OK) {
        free_set(fresh);
        return code;
    }
    swap_set(deploy, fresh);
    return IG_OK;
}

static bool is_version(const struct ig_servable *servable,
                       const struct ig_registry_version *version)
{
    return servable && servable->version == version->version &&
           ig_str_is(version->model, servable->model);
}

/* The servable of `version`: one that the entry has already, else loaded. The caller unrefs. */
static enum ig_code obtain(const struct ig_servable **out, struct ig_deploy *deploy,
                           const struct entry *had, struct ig_str name,
                           const struct ig_registry_version *version, struct ig_err *err)
{
    if (had && is_version(had->current, version))
        *out = ig_servable_ref(had->current);
    else if (had && is_version(had->previous, version))
        *out = ig_servable_ref(had->previous);
    else
        return ig_servable_load(out, &deploy->source, name, version, err);
    return IG_OK;
}

/* Under change_lock: from what serves now (`row`, NULL: nothing) to `version`. */
static enum ig_code change_version(struct ig_deploy *deploy, struct change *change,
                                   const struct ig_deployment *row, struct ig_err *err)
{
    struct entry entry = {0};
    const struct entry *had = NULL;
    const struct set *set = current_set(deploy);
    size_t at;
    IG_ASSERT(set != NULL);
    if (find_entry(set, change->name, &at)) had = &set->entries[at];
    if (!had && set->count >= deploy->options.deployments_max)
        return ig_fail(err, IG_EXHAUSTED, "there are %zu deployments already, at most %u",
                       set->count, deploy->options.deployments_max);
    snprintf(entry.name, sizeof entry.name, "%.*s", IG_STR_ARGS(change->name));
    enum ig_code code = obtain(&entry.current, deploy, had, change->name, change->version, err);
    if (code != IG_OK) return code;
    bool same = row && row->version == change->version->version &&
                ig_str_eq(row->model, change->version->model);
    if (same) { /* the same version again: what was before stays before */
        change->previous_model = row->previous_model;
        change->previous_version = row->previous_version;
        entry.previous = had ? had->previous : NULL;
    } else if (row) {
        change->previous_model = row->model;
        change->previous_version = row->version;
        entry.previous = had ? had->current : NULL;
    }
    code = commit_change(deploy, change, &entry, err);
    ig_servable_unref(entry.current);
    return code;
}

/* The row, or *found = false. */
static enum ig_code find_row(struct ig_deployment *out, bool *found, struct ig_deploy *deploy,
                             struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {arena, name, 1, {0}};
    enum ig_code code = ig_db_read(deploy->options.db, read_rows, &listing, err);
    if (code != IG_OK) return code;
    *found = listing.list.count == 1;
    if (*found) *out = listing.list.items[0];
    return IG_OK;
}

enum ig_code ig_deploy_set(struct ig_deploy *deploy, const struct ig_principal *who,
                           const struct ig_deployment_spec *spec, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_registry_version version;
    struct ig_deployment row;
    bool found = false;
    enum ig_code code = ig_name_check(spec->name, "deployment", err);
    if (code != IG_OK) return code;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    pthread_mutex_lock(&deploy->change_lock);
    code =
        ig_registry_find(&version, deploy->options.registry, spec->model, spec->ref, &arena, err);
    if (code == IG_OK) code = find_row(&row, &found, deploy, spec->name, &arena, err);
    if (code == IG_OK) {
        struct change change = {.who = who,
                                .action = found ? "deployment.update" : "deployment.create",
                                .name = spec->name,
                                .ref = spec->ref,
                                .version = &version};
        code = change_version(deploy, &change, found ? &row : NULL, err);
    }
    pthread_mutex_unlock(&deploy->change_lock);
    ig_arena_deinit(&arena);
    return code;
}

/* Under change_lock. */
static enum ig_code rollback(struct ig_deploy *deploy, const struct ig_principal *who,
                             struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_registry_version version;
    struct ig_deployment row;
    bool found = false;
    char ref[24];
    enum ig_code code = find_row(&row, &found, deploy, name, arena, err);
    if (code != IG_OK) return code;
    if (!found)
        return ig_fail(err, IG_NOT_FOUND, "deployment '%.*s' does not exist", IG_STR_ARGS(name));
    if (row.previous_version == 0)
        return ig_fail(err, IG_CONFLICT, "deployment '%.*s' has no version to go back to",
                       IG_STR_ARGS(name));
    code = ig_registry_version_get(&version, deploy->options.registry, row.previous_model,
                                   row.previous_version, arena, err);
    if (code != IG_OK) return code;
    snprintf(ref, sizeof ref, "%lld", (long long)version.version);
    struct change change = {.who = who,
                            .action = "deployment.rollback",
                            .name = name,
                            .ref = ig_str_view(ref),
                            .version = &version};
    return change_version(deploy, &change, &row, err);
}

enum ig_code ig_deploy_rollback(struct ig_deploy *deploy, const struct ig_principal *who,
                                struct ig_str name, struct ig_err *err)
{
    struct ig_arena arena;
    enum ig_code code = ig_name_check(name, "deployment", err);
    if (code != IG_OK) return code;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    pthread_mutex_lock(&deploy->change_lock);
    code = rollback(deploy, who, name, &arena, err);
    pthread_mutex_unlock(&deploy->change_lock);
    ig_arena_deinit(&arena);
    return code;
}

enum ig_code ig_deploy_delete(struct ig_deploy *deploy, const struct ig_principal *who,
                              struct ig_str name, struct ig_err *err)
{
    struct change change = {.who = who, .action = "deployment.delete", .name = name};
    size_t at;
    enum ig_code code = ig_name_check(name, "deployment", err);
    if (code != IG_OK) return code;
    pthread_mutex_lock(&deploy->change_lock);
    if (!find_entry(current_set(deploy), name, &at))
        code = ig_fail(err, IG_NOT_FOUND, "deployment '%.*s' does not exist", IG_STR_ARGS(name));
    else
        code = commit_change(deploy, &change, NULL, err);
    pthread_mutex_unlock(&deploy->change_lock);
    return code;
}
