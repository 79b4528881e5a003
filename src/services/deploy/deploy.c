/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments. Rows in the database (deploy_rows.c), and an immutable set of what they load, in
 * memory.
 *
 *   change: build graph, load models -> commit rows -> new set -> swap pointer -> retire old set
 *
 * 1. The row is durable before the new revision answers; a kill between the two serves the new one
 *    after the restart, which was not acknowledged but is whole.
 * 2. A set holds one reference on every routing in it. It is freed by the reaper thread after
 *    wait_quiescent: no loop can then hold a pointer that it acquired from it.
 * 3. Changes are serialised by change_lock, held over loading and commit; set_lock guards only the
 *    step from pointer to reference, or to an answer, for threads that are no loops.
 *
 * Thread rule: `set` is read by loops without a lock, written under both locks. */
#include "services/deploy/deploy_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/deploy/residency.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_CHUNK = 64 << 10, ARENA_MAX = 16 << 20 };

struct entry {
    char name[IG_NAME_SIZE];
    const struct ig_routing *current;  /* NULL: failed to load */
    const struct ig_routing *previous; /* NULL: none, or not loaded yet */
    bool paused;
    char error[256]; /* of a failed one */
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
    struct ig_residency *residency; /* NULL: all models stay loaded */
    _Atomic(struct set *) set;
    pthread_mutex_t change_lock;
    pthread_mutex_t set_lock;

    pthread_mutex_t reaper_lock;
    pthread_cond_t reaper_wake;
    struct set *retired;
    void (*changed)(void *context); /* with that lock as well */
    void *changed_context;
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
        ig_routing_unref(set->entries[i].current);
        ig_routing_unref(set->entries[i].previous);
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

static const struct ig_routing *serving(const struct entry *entry)
{
    return entry->paused ? NULL : entry->current;
}

const struct ig_routing *ig_deploy_acquire(const struct ig_deploy *deploy, struct ig_str name)
{
    size_t at;
    const struct set *set = current_set(deploy);
    return find_entry(set, name, &at) ? serving(&set->entries[at]) : NULL;
}

const struct ig_routing *ig_deploy_acquire_only(const struct ig_deploy *deploy)
{
    const struct set *set = current_set(deploy);
    return set->count == 1 ? serving(&set->entries[0]) : NULL;
}

static enum ig_deploy_state state_in(const struct set *set, struct ig_str name)
{
    size_t at;
    if (!find_entry(set, name, &at)) return IG_DEPLOY_ABSENT;
    if (!set->entries[at].current) return IG_DEPLOY_FAILED;
    return set->entries[at].paused ? IG_DEPLOY_PAUSED : IG_DEPLOY_SERVING;
}

enum ig_deploy_state ig_deploy_state(struct ig_deploy *deploy, struct ig_str name)
{
    pthread_mutex_lock(&deploy->set_lock);
    enum ig_deploy_state state = state_in(current_set(deploy), name);
    pthread_mutex_unlock(&deploy->set_lock);
    return state;
}

bool ig_deploy_ready(const struct ig_deploy *deploy)
{
    return current_set(deploy)->failed_count == 0;
}

void ig_deploy_each(const struct ig_deploy *deploy,
                    bool (*each)(void *context, const struct ig_routing *routing), void *context)
{
    const struct set *set = current_set(deploy);
    for (size_t i = 0; i < set->count; i++) {
        const struct ig_routing *routing = serving(&set->entries[i]);
        if (routing && !each(context, routing)) return;
    }
}

const struct ig_routing *ig_deploy_get_routing(struct ig_deploy *deploy, struct ig_str name)
{
    pthread_mutex_lock(&deploy->set_lock); /* what is in the set now cannot be freed meanwhile */
    const struct ig_routing *routing = ig_routing_ref(ig_deploy_acquire(deploy, name));
    pthread_mutex_unlock(&deploy->set_lock);
    return routing;
}

enum ig_code ig_deploy_get_all(const struct ig_routing ***out, size_t *count,
                               struct ig_deploy *deploy, struct ig_err *err)
{
    pthread_mutex_lock(&deploy->set_lock);
    const struct set *set = current_set(deploy);
    const struct ig_routing **all =
        ig_zalloc_array(set->count + 1, sizeof(const struct ig_routing *));
    *count = 0;
    for (size_t i = 0; all && i < set->count; i++)
        if (serving(&set->entries[i])) all[(*count)++] = ig_routing_ref(set->entries[i].current);
    pthread_mutex_unlock(&deploy->set_lock);
    if (!all) return ig_fail(err, IG_NO_MEMORY, "list of deployments");
    *out = all;
    return IG_OK;
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
    if (deploy->changed) deploy->changed(deploy->changed_context);
    pthread_mutex_unlock(&deploy->reaper_lock);
}

void ig_deploy_watch(struct ig_deploy *deploy, void (*changed)(void *context), void *context)
{
    pthread_mutex_lock(&deploy->reaper_lock);
    deploy->changed = changed;
    deploy->changed_context = context;
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
    ig_routing_ref(added->current);
    ig_routing_ref(added->previous);
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

/* Whose kernels run the model that a deployment's defaults lead to. */
static void tell_engine(struct ig_deployment *item, const struct ig_routing *routing,
                        struct ig_arena *arena)
{
    const struct ig_servable *face = routing->face;
    while (face->members_count) face = face->members[0].servable;
    const struct ig_package *package = face->package;
    item->engine = package->runtime.len ? ig_arena_dup(arena, package->runtime) : IG_STR("ingot");
    if (!package->runtime.len) return;
    item->engine_version = ig_arena_dup(arena, package->runtime_version);
    item->engine_reason = ig_arena_dup(arena, package->runtime_reason);
}

/* What memory knows of each row: whether it serves, and by which engine. */
static enum ig_code list_rows(struct ig_deployments *out, struct ig_deploy *deploy,
                              struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_deployments list = {0};
    size_t at;
    if (ig_deploy_rows_read(&list, deploy->options.db, name, deploy->options.deployments_max, arena,
                            err) != IG_OK)
        return err->code;
    pthread_mutex_lock(&deploy->set_lock);
    const struct set *set = current_set(deploy);
    for (size_t i = 0; i < list.count; i++) {
        struct ig_deployment *item = (struct ig_deployment *)(uintptr_t)&list.items[i];
        if (!find_entry(set, item->name, &at)) continue;
        item->previous_warm = set->entries[at].previous != NULL;
        if (set->entries[at].current) {
            tell_engine(item, set->entries[at].current, arena);
            continue;
        }
        item->state = IG_STR("failed");
        item->error = ig_str_view(ig_arena_cstr(arena, ig_str_view(set->entries[at].error)));
    }
    pthread_mutex_unlock(&deploy->set_lock);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "list of deployments");
    *out = list;
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
    struct ig_deployments list = {0};
    enum ig_code code = ig_name_check(name, "deployment", err);
    if (code == IG_OK) code = list_rows(&list, deploy, name, arena, err);
    if (code != IG_OK) return code;
    if (list.count == 0)
        return ig_fail(err, IG_NOT_FOUND, "deployment '%.*s' does not exist", IG_STR_ARGS(name));
    *out = list.items[0];
    return IG_OK;
}

/* A revision to be built; the models that `entry` has loaded are used again. */
struct revision {
    struct ig_str name;
    int64_t number;
    const struct entry *entry; /* or NULL */
};

static enum ig_code build(const struct ig_routing **out, struct ig_deploy *deploy,
                          const struct revision *revision, const struct ig_routing_spec *spec,
                          struct ig_err *err)
{
    const struct entry *entry = revision->entry;
    const struct ig_routing_source source = {.servables = &deploy->source,
                                             .registry = deploy->options.registry,
                                             .host = deploy->options.replicas,
                                             .residency = deploy->residency,
                                             .current = entry ? entry->current : NULL,
                                             .previous = entry ? entry->previous : NULL};
    return ig_routing_new(out, &source, revision->name, revision->number, spec, err);
}

static enum ig_code build_text(const struct ig_routing **out, struct ig_deploy *deploy,
                               const struct revision *revision, struct ig_str graph,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_routing_spec spec;
    if (ig_routing_spec_read(&spec, graph, arena, err) != IG_OK) return err->code;
    return build(out, deploy, revision, &spec, err);
}

static void load_row(struct ig_deploy *deploy, struct set *set, const struct ig_deployment *row,
                     struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct entry entry = {.paused = row->paused};
    snprintf(entry.name, sizeof entry.name, "%.*s", IG_STR_ARGS(row->name));
    const struct revision revision = {row->name, row->revision, NULL};
    if (build_text(&entry.current, deploy, &revision, row->graph, arena, &err) != IG_OK) {
        snprintf(entry.error, sizeof entry.error, "%.255s", err.message);
        ig_log(IG_LOG_ERROR, "deployment does not load", IG_LOG_C("deployment", entry.name),
               IG_LOG_C("error", err.message));
    }
    add_entry(set, &entry);
    ig_routing_unref(entry.current);
}

static enum ig_code load_all(struct ig_deploy *deploy, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_deployments list = {0};
    struct set *set = NULL;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    if (ig_deploy_rows_read(&list, deploy->options.db, IG_STR(""), deploy->options.deployments_max,
                            &arena, err) == IG_OK)
        set = alloc_set(list.count, err);
    for (size_t i = 0; set && i < list.count; i++) load_row(deploy, set, &list.items[i], &arena);
    atomic_store(&deploy->set, set);
    ig_arena_deinit(&arena);
    return err->code;
}

static bool is_stopping(struct ig_deploy *deploy)
{
    pthread_mutex_lock(&deploy->reaper_lock);
    bool stopping = deploy->stopping;
    pthread_mutex_unlock(&deploy->reaper_lock);
    return stopping;
}

/* Loads the revision before, if the deployment is still as `row` says and has none. Under
 * change_lock. */
static enum ig_code warm_one(struct ig_deploy *deploy, const struct ig_deployment *row,
                             struct ig_arena *arena, struct ig_err *err)
{
    const struct set *set = current_set(deploy);
    struct ig_str graph;
    size_t at;
    if (!find_entry(set, row->name, &at) || set->entries[at].previous) return IG_OK;
    struct entry entry = set->entries[at];
    if (!entry.current || entry.current->revision != row->revision) return IG_OK;
    const struct revision revision = {row->name, row->previous_revision, &entry};
    if (ig_deploy_rows_graph(&graph, deploy->options.db, row->name, row->previous_revision, arena,
                             err) != IG_OK ||
        build_text(&entry.previous, deploy, &revision, graph, arena, err) != IG_OK)
        return err->code;
    struct set *fresh = changed_set(deploy, row->name, &entry, err);
    if (fresh) swap_set(deploy, fresh);
    ig_routing_unref(entry.previous);
    return err->code;
}

/* After a start, without keeping anyone waiting: makes rollbacks quick again. */
static void warm_all(struct ig_deploy *deploy)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployments list = {0};
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    if (ig_deploy_rows_read(&list, deploy->options.db, IG_STR(""), deploy->options.deployments_max,
                            &arena, &err) != IG_OK)
        ig_log_err(IG_LOG_WARN, "warming", &err);
    for (size_t i = 0; i < list.count && !is_stopping(deploy); i++) {
        const struct ig_deployment *row = &list.items[i];
        ig_err_clear(&err);
        if (row->previous_revision == 0) continue;
        pthread_mutex_lock(&deploy->change_lock);
        if (warm_one(deploy, row, &arena, &err) != IG_OK) ig_log_err(IG_LOG_WARN, "warming", &err);
        pthread_mutex_unlock(&deploy->change_lock);
    }
    ig_arena_deinit(&arena);
}

/* ---- faces ---- */

static bool routing_needs(const struct ig_routing *routing, const char *name)
{
    for (uint32_t i = 0; routing && i < routing->spec.nodes_count; i++) {
        const struct ig_servable *servable = ig_routing_servable(routing, i);
        if (servable && servable->residency &&
            (strcmp(servable->digest, name) == 0 || strcmp(servable->resident_key, name) == 0))
            return true;
    }
    return false;
}

static bool needs_face(void *context, const char *name, struct ig_err *err)
{
    struct ig_deploy *deploy = context;
    const struct set *set = current_set(deploy);
    bool registered = false;
    for (size_t i = 0; i < set->count; i++)
        if (routing_needs(set->entries[i].current, name) ||
            routing_needs(set->entries[i].previous, name))
            return true;
    ig_registry_has_package(&registered, deploy->options.registry, ig_str_view(name), err);
    return registered;
}

enum ig_code ig_deploy_collect(int64_t *removed, struct ig_deploy *deploy, bool dry_run,
                               struct ig_err *err)
{
    *removed = 0;
    if (!deploy->residency) return IG_OK;
    pthread_mutex_lock(&deploy->change_lock);
    ig_residency_collect(removed, deploy->residency, needs_face, deploy, dry_run, err);
    pthread_mutex_unlock(&deploy->change_lock);
    return err->code;
}

static void collect_behind_start(struct ig_deploy *deploy)
{
    struct ig_err err = IG_ERR_INIT;
    int64_t removed;
    if (!is_stopping(deploy) && ig_deploy_collect(&removed, deploy, false, &err) != IG_OK)
        ig_log_err(IG_LOG_WARN, "faces", &err);
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
        if (warm) collect_behind_start(deploy);
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

static enum ig_code open_residency(struct ig_deploy *deploy, struct ig_err *err)
{
    const struct ig_residency_options options = {.dirfd = deploy->options.dirfd,
                                                 .source = deploy->source,
                                                 .memory_max_bytes =
                                                     deploy->options.models_max_bytes};
    return options.memory_max_bytes ? ig_residency_open(&deploy->residency, &options, err) : IG_OK;
}

struct ig_residency *ig_deploy_residency(struct ig_deploy *deploy)
{
    return deploy->residency;
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
    enum ig_code code = open_residency(deploy, err);
    if (code == IG_OK) code = load_all(deploy, err);
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
    ig_residency_close(deploy->residency);
    pthread_cond_destroy(&deploy->reaper_wake);
    pthread_mutex_destroy(&deploy->reaper_lock);
    pthread_mutex_destroy(&deploy->set_lock);
    pthread_mutex_destroy(&deploy->change_lock);
    ig_free(deploy);
}

/* ---- changes; all under change_lock ---- */

/* What a change starts from. */
struct before {
    struct ig_arena arena;
    const struct entry *entry; /* in the set; NULL: there is none */
    struct ig_deployment row;  /* with an entry */
};

static enum ig_code begin(struct before *before, struct ig_deploy *deploy, struct ig_str name,
                          bool must_exist, struct ig_err *err)
{
    struct ig_deployments list = {0};
    size_t at;
    *before = (struct before){0};
    ig_arena_init(&before->arena, ARENA_CHUNK, ARENA_MAX);
    pthread_mutex_lock(&deploy->change_lock);
    const struct set *set = current_set(deploy);
    if (ig_name_check(name, "deployment", err) != IG_OK ||
        ig_deploy_rows_read(&list, deploy->options.db, name, 1, &before->arena, err) != IG_OK)
        return err->code;
    if (list.count && find_entry(set, name, &at)) {
        before->row = list.items[0];
        before->entry = &set->entries[at];
    } else if (must_exist) {
        return ig_fail(err, IG_NOT_FOUND, "deployment '%.*s' does not exist", IG_STR_ARGS(name));
    } else if (set->count >= deploy->options.deployments_max) {
        return ig_fail(err, IG_EXHAUSTED, "there are %zu deployments already, at most %u",
                       set->count, deploy->options.deployments_max);
    }
    return IG_OK;
}

/* What serves; NULL with err when nothing does. */
static const struct ig_routing *begin_serving(struct before *before, struct ig_deploy *deploy,
                                              struct ig_str name, struct ig_err *err)
{
    if (begin(before, deploy, name, true, err) != IG_OK) return NULL;
    const struct ig_routing *current = before->entry ? before->entry->current : NULL;
    if (!current) ig_fail(err, IG_CONFLICT, "deployment '%.*s' does not serve", IG_STR_ARGS(name));
    return current;
}

static enum ig_code end(struct before *before, struct ig_deploy *deploy, struct ig_err *err)
{
    pthread_mutex_unlock(&deploy->change_lock);
    ig_arena_deinit(&before->arena);
    return err->code;
}

/* Commits the rows, then lets the new set serve. */
static enum ig_code commit(struct ig_deploy *deploy, struct ig_deploy_change *change,
                           const struct entry *entry, struct ig_err *err)
{
    struct set *fresh = changed_set(deploy, change->name, entry, err);
    if (!fresh) return err->code;
    if (ig_deploy_rows_commit(deploy->options.db, change, err) != IG_OK) {
        free_set(fresh);
        return err->code;
    }
    swap_set(deploy, fresh);
    return IG_OK;
}

/* From what serves to `routing`. */
static enum ig_code serve(struct ig_deploy *deploy, const struct before *before,
                          const struct ig_routing *routing, struct ig_deploy_change *change,
                          struct ig_err *err)
{
    struct entry entry = {.current = routing, .paused = change->paused};
    snprintf(entry.name, sizeof entry.name, "%.*s", IG_STR_ARGS(change->name));
    change->routing = routing;
    bool same = before->entry && before->row.revision == routing->revision;
    if (same) { /* what was before stays before */
        change->previous_revision = before->row.previous_revision;
        change->previous_model = before->row.previous_model;
        change->previous_version = before->row.previous_version;
        entry.previous = before->entry->previous;
    } else if (before->entry) {
        change->previous_revision = before->row.revision;
        change->previous_model = before->row.model;
        change->previous_version = before->row.version;
        entry.previous = before->entry->current;
    }
    return commit(deploy, change, &entry, err);
}

static void write_pinned(struct ig_buf *out, const struct ig_routing_spec *spec)
{
    struct ig_routing_node nodes[IG_ROUTING_NODES_MAX];
    struct ig_routing_spec pinned = *spec;
    struct ig_json_out json;
    memcpy(nodes, spec->nodes, spec->nodes_count * sizeof *nodes);
    for (uint32_t i = 0; i < spec->nodes_count; i++) nodes[i].ref = IG_STR("");
    pinned.nodes = nodes;
    ig_buf_init(out, 2 * IG_ROUTING_SPEC_MAX_BYTES);
    ig_json_out_init(&json, out);
    ig_routing_spec_write(&json, &pinned);
}

/* The same models routed the same way, however their versions were asked for. */
static bool same_graph(const struct ig_routing *a, const struct ig_routing *b)
{
    struct ig_buf left, right;
    if (a->spec.nodes_count != b->spec.nodes_count) return false;
    write_pinned(&left, &a->spec);
    write_pinned(&right, &b->spec);
    bool same =
        !left.overflowed && !right.overflowed && ig_str_eq(ig_buf_view(&left), ig_buf_view(&right));
    ig_buf_deinit(&left);
    ig_buf_deinit(&right);
    return same;
}

/* A graph becomes the next revision; the same as what serves stays that revision. */
static enum ig_code serve_graph(struct ig_deploy *deploy, const struct before *before,
                                const struct ig_routing_spec *graph,
                                struct ig_deploy_change *change, struct ig_err *err)
{
    const struct ig_routing *routing;
    struct revision revision = {.name = change->name, .entry = before->entry};
    if (ig_deploy_rows_next(&revision.number, deploy->options.db, change->name, err) != IG_OK ||
        build(&routing, deploy, &revision, graph, err) != IG_OK)
        return err->code;
    if (before->entry && before->entry->current && same_graph(routing, before->entry->current)) {
        ig_routing_unref(routing);
        routing = ig_routing_ref(before->entry->current);
    } else {
        change->is_new = true;
    }
    serve(deploy, before, routing, change, err);
    ig_routing_unref(routing);
    return err->code;
}

static enum ig_code check_why(struct ig_str why, struct ig_err *err)
{
    if (why.len <= IG_DEPLOY_WHY_MAX) return IG_OK;
    return ig_fail(err, IG_INVALID, "why: %zu bytes, at most %d", why.len, IG_DEPLOY_WHY_MAX);
}

/* The graph that was asked for, from what serves. */
static enum ig_code find_graph(struct ig_routing_spec *out, struct ig_deploy *deploy,
                               struct before *before, const struct ig_deployment_spec *spec,
                               struct ig_err *err)
{
    const struct ig_routing *current = before->entry ? before->entry->current : NULL;
    if (spec->graph) {
        *out = *spec->graph;
        return IG_OK;
    }
    if (spec->policy != IG_VERSIONS_DEFAULT)
        return ig_deploy_graph_versions(out, deploy->options.registry, spec, &before->arena, err);
    bool whole = spec->canary_basis_points == IG_ROUTING_WHOLE;
    if (!spec->canary || (whole && spec->model.len))
        return ig_routing_spec_single(out, spec->model, spec->ref, &before->arena, err);
    if (whole && current)
        return ig_deploy_graph_promote(out, &current->spec, IG_STR(""), IG_STR("candidate"),
                                       &before->arena, err);
    return ig_deploy_graph_canary(out, current ? &current->spec : NULL, spec, &before->arena, err);
}

enum ig_code ig_deploy_set(struct ig_deploy *deploy, const struct ig_principal *who,
                           const struct ig_deployment_spec *spec, struct ig_err *err)
{
    struct before before;
    struct ig_routing_spec graph;
    if (check_why(spec->why, err) != IG_OK) return err->code;
    if (begin(&before, deploy, spec->name, false, err) == IG_OK &&
        find_graph(&graph, deploy, &before, spec, err) == IG_OK) {
        struct ig_deploy_change change = {.who = who,
                                          .action = before.entry ? "update" : "create",
                                          .name = spec->name,
                                          .why = spec->why,
                                          .ref = graph.nodes[0].ref,
                                          .paused = before.row.paused};
        serve_graph(deploy, &before, &graph, &change, err);
    }
    return end(&before, deploy, err);
}

/* The routing of an earlier revision: still warm, or loaded. The caller unrefs. */
static enum ig_code obtain_revision(const struct ig_routing **out, struct ig_deploy *deploy,
                                    struct before *before, int64_t revision, struct ig_err *err)
{
    const struct entry *entry = before->entry;
    struct ig_str name = before->row.name, graph;
    if (entry->current && entry->current->revision == revision)
        return ig_fail(err, IG_CONFLICT, "revision: deployment '%.*s' serves revision %lld already",
                       IG_STR_ARGS(name), (long long)revision);
    if (entry->previous && entry->previous->revision == revision) {
        *out = ig_routing_ref(entry->previous);
        return IG_OK;
    }
    if (ig_deploy_rows_graph(&graph, deploy->options.db, name, revision, &before->arena, err) !=
        IG_OK)
        return err->code;
    const struct revision wanted = {name, revision, entry};
    return build_text(out, deploy, &wanted, graph, &before->arena, err);
}

enum ig_code ig_deploy_rollback(struct ig_deploy *deploy, const struct ig_principal *who,
                                struct ig_str name, int64_t revision, struct ig_str why,
                                struct ig_err *err)
{
    struct before before;
    const struct ig_routing *routing = NULL;
    if (check_why(why, err) != IG_OK) return err->code;
    if (begin(&before, deploy, name, true, err) == IG_OK && !revision &&
        !(revision = before.row.previous_revision))
        ig_fail(err, IG_CONFLICT, "deployment '%.*s' has no version to go back to",
                IG_STR_ARGS(name));
    if (err->code == IG_OK) obtain_revision(&routing, deploy, &before, revision, err);
    if (routing) {
        struct ig_deploy_change change = {.who = who,
                                          .action = "rollback",
                                          .name = name,
                                          .why = why,
                                          .ref = routing->spec.nodes[0].ref,
                                          .paused = before.row.paused};
        serve(deploy, &before, routing, &change, err);
    }
    ig_routing_unref(routing);
    return end(&before, deploy, err);
}

enum ig_code ig_deploy_promote(struct ig_deploy *deploy, const struct ig_principal *who,
                               const struct ig_deploy_promotion *promotion, struct ig_err *err)
{
    struct before before;
    struct ig_routing_spec graph;
    struct ig_str name = promotion->name;
    if (check_why(promotion->why, err) != IG_OK) return err->code;
    const struct ig_routing *current = begin_serving(&before, deploy, name, err);
    if (current && ig_deploy_graph_promote(&graph, &current->spec, promotion->node, promotion->arm,
                                           &before.arena, err) == IG_OK) {
        struct ig_deploy_change change = {.who = who,
                                          .action = "promote",
                                          .name = name,
                                          .why = promotion->why,
                                          .ref = graph.nodes[0].ref,
                                          .paused = before.row.paused};
        serve_graph(deploy, &before, &graph, &change, err);
    }
    return end(&before, deploy, err);
}

enum ig_code ig_deploy_pause(struct ig_deploy *deploy, const struct ig_principal *who,
                             struct ig_str name, bool paused, struct ig_str why, struct ig_err *err)
{
    struct before before;
    if (check_why(why, err) != IG_OK) return err->code;
    const struct ig_routing *current = begin_serving(&before, deploy, name, err);
    if (current) {
        struct ig_deploy_change change = {.who = who,
                                          .action = paused ? "pause" : "resume",
                                          .name = name,
                                          .why = why,
                                          .ref = before.row.ref,
                                          .paused = paused};
        serve(deploy, &before, current, &change, err);
    }
    return end(&before, deploy, err);
}

enum ig_code ig_deploy_delete(struct ig_deploy *deploy, const struct ig_principal *who,
                              struct ig_str name, struct ig_err *err)
{
    struct before before;
    struct ig_deploy_change change = {.who = who, .action = "delete", .name = name};
    if (begin(&before, deploy, name, true, err) == IG_OK) commit(deploy, &change, NULL, err);
    return end(&before, deploy, err);
}

enum ig_code ig_deploy_history(struct ig_deployment_changes *out, struct ig_deploy *deploy,
                               struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_deployment deployment;
    if (ig_deploy_get(&deployment, deploy, name, arena, err) != IG_OK) return err->code;
    return ig_deploy_rows_history(out, deploy->options.db, name, arena, err);
}
