/* SPDX-License-Identifier: Apache-2.0 */
/* Experiments and their tags; opening. Runs stand in tracking_run.c, what they log in
 * tracking_log.c.
 *
 * 1. Experiments are never removed, so the next id, the greatest and one, was never another's.
 * 2. A name belongs to one experiment, also to a deleted one, until that is renamed.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/tracking_priv.h"

#include "base/clock.h"
#include "base/mem.h"
#include "services/users/grants.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ARTIFACT_ROOT_MAX = 2048 };

static enum ig_code make_default(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(
        tx,
        "insert into experiments(id, name, artifact_root, stage, created_ms, updated_ms)"
        " values(0, 'Default', 'mlflow-artifacts:/0', 'active', $1, $1) on conflict do nothing",
        IG_DB_VALUES(IG_DB_I(ig_clock_unix_ms())), err);
}

static enum ig_code find_default(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    bool *there = context;
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        ig_db_query(&rows, tx, "select 1 from experiments where id = 0", NULL, 0, err);
    if (code != IG_OK) return code;
    *there = ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_tracking_open(struct ig_tracking **out, struct ig_db *db, struct ig_err *err)
{
    bool there = false;
    struct ig_tracking *tracking = ig_zalloc(sizeof *tracking);
    if (!tracking) return ig_fail(err, IG_NO_MEMORY, "tracking");
    tracking->db = db;
    enum ig_code code = ig_db_read(db, find_default, &there, err);
    if (code == IG_OK && !there) code = ig_db_write(db, make_default, NULL, err);
    if (code == IG_OK) code = ig_lru_new(&tracking->texts, IG_TRACKING_TEXTS_BYTES, err);
    if (code != IG_OK) {
        ig_free(tracking);
        return code;
    }
    *out = tracking;
    return IG_OK;
}

void ig_tracking_close(struct ig_tracking *tracking)
{
    if (!tracking) return;
    ig_lru_free(tracking->texts);
    ig_free(tracking);
}

enum ig_code ig_tracking_pairs_read(struct ig_tracking_pairs *out, struct ig_db_rows *rows,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_pair *items = NULL;
    size_t count = 0, cap = 0;
    while (ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_tracking_pair){.key = ig_db_text_dup(rows, 0, arena),
                                                   .value = ig_db_text_dup(rows, 1, arena)};
    }
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "too much for one answer");
    if (err->code == IG_OK) *out = (struct ig_tracking_pairs){items, count};
    return err->code;
}

enum ig_code ig_tracking_experiment_id(int64_t *out, struct ig_str text, struct ig_err *err)
{
    if (ig_str_to_i64(text, out)) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Invalid experiment ID '%.*s'. Experiment ID must be a valid integer.",
                   IG_STR_ARGS(ig_tracking_cut(text, 64)));
}

static enum ig_code check_name(struct ig_str name, struct ig_err *err)
{
    if (!name.len) return ig_fail(err, IG_INVALID, "Invalid experiment name: ''");
    return ig_tracking_check_length(name, IG_TRACKING_NAME_MAX, "name", err);
}

static enum ig_code check_tag(struct ig_tracking_pair tag, struct ig_err *err)
{
    if (ig_tracking_check_key(tag.key, "key", err) != IG_OK) return err->code;
    return ig_tracking_check_length(tag.value, IG_TRACKING_EXPERIMENT_TAG_MAX, "value", err);
}

/* Whether a query holds "..", plain or escaped, which a client may take for a part of the path. */
static bool leads_up(struct ig_str query)
{
    size_t points = 0;
    for (size_t i = 0; i < query.len && points < 2; i++) {
        struct ig_str rest = {query.ptr + i, query.len - i};
        bool escaped = ig_str_starts(rest, IG_STR("%2e")) || ig_str_starts(rest, IG_STR("%2E"));
        points = escaped || rest.ptr[0] == '.' ? points + 1 : 0;
        if (escaped) i += 2;
    }
    return points == 2;
}

/* The server never opens another location than its own; clients do. */
static enum ig_code check_artifact_root(struct ig_str root, struct ig_err *err)
{
    if (ig_str_starts(root, IG_STR("runs:")))
        return ig_fail(err, IG_INVALID, "Artifact location cannot be a runs:/ URI. Given: '%.*s'",
                       IG_STR_ARGS(ig_tracking_cut(root, 200)));
    if (memchr(root.ptr ? root.ptr : "", '#', root.len))
        return ig_fail(err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter 'artifact_location' supplied: "
                       "expected a URI without a fragment",
                       IG_STR_ARGS(ig_tracking_cut(root, 200)));
    struct ig_str query = root;
    ig_str_cut(&query, '?');
    if (leads_up(query)) return ig_fail(err, IG_INVALID, "Invalid query string");
    return ig_tracking_check_length(root, ARTIFACT_ROOT_MAX, "artifact_location", err);
}

static bool has_scheme(struct ig_str uri)
{
    static const char OTHERS[] = "0123456789+-.";
    for (size_t i = 0; i < uri.len; i++) {
        char c = uri.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (c == ':') return i > 0;
        if (!letter && (!i || !memchr(OTHERS, c, sizeof OTHERS - 1))) return false;
    }
    return false;
}

/* A relative path is one below this process's directory, as it is below MLflow's server's. */
static enum ig_code add_root(struct ig_buf *out, struct ig_str root, struct ig_err *err)
{
    char here[PATH_MAX];
    if (root.len && root.ptr[0] != '/' && !has_scheme(root)) {
        if (!getcwd(here, sizeof here))
            return ig_fail(err, IG_IO, "artifact_location: %s", strerror(errno));
        ig_buf_printf(out, "%s/", here);
    }
    ig_buf_add_str(out, root);
    return check_artifact_root(out->overflowed ? root : ig_buf_view(out), err);
}

struct experiment_call {
    const struct ig_principal *who;
    const struct ig_tracking_experiment_spec *spec;
    struct ig_str root; /* of one that is made; empty: the usual one */
    int64_t id;
    struct ig_str name;
    const char *from, *to; /* stages */
    struct ig_tracking_pair tag;
    struct ig_arena *arena;
    struct ig_tracking_experiment found;
};

static enum ig_code no_experiment(int64_t id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "No Experiment with id=%lld exists", (long long)id);
}

static enum ig_code name_taken(struct ig_str name, const struct ig_err *why, struct ig_err *err)
{
    if (why->code != IG_EXISTS) return ig_fail(err, why->code, "%s", why->message);
    return ig_fail(err, IG_EXISTS, "Experiment(name=%.*s) already exists.",
                   IG_STR_ARGS(ig_tracking_cut(name, 100)));
}

static enum ig_code audit(struct ig_db_tx *tx, const struct experiment_call *call,
                          const char *action, struct ig_err *err)
{
    char object[24];
    snprintf(object, sizeof object, "%lld", (long long)call->id);
    return ig_audit_add(tx, call->who, action, ig_str_view(object), IG_STR(""), err);
}

static enum ig_code put_tag(struct ig_db_tx *tx, int64_t id, struct ig_tracking_pair tag,
                            struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into experiment_tags(experiment, key, value) values($1, $2, $3)"
                      " on conflict (experiment, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_I(id), IG_DB_T(tag.key), IG_DB_T(tag.value)), err);
}

static enum ig_code next_id(int64_t *id, struct ig_db_tx *tx, struct ig_err *err)
{
    return ig_db_get_i64(
        id, tx,
        "select 1 + coalesce(max(id), 0) from (select max(id) as id from experiments"
        " union all select id from last_ids where name = 'experiments') ids",
        NULL, 0, err);
}

static enum ig_code create_experiment(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct experiment_call *call = context;
    const struct ig_tracking_experiment_spec *spec = call->spec;
    struct ig_err local = IG_ERR_INIT;
    char own[48];
    enum ig_code code = next_id(&call->id, tx, err);
    if (code != IG_OK) return code;
    snprintf(own, sizeof own, "mlflow-artifacts:/%lld", (long long)call->id);
    struct ig_str root = call->root.len ? call->root : ig_str_view(own);
    code =
        ig_db_exec(tx,
                   "insert into experiments(id, name, artifact_root, stage, created_ms, updated_ms)"
                   " values($1, $2, $3, 'active', $4, $4)",
                   IG_DB_VALUES(IG_DB_I(call->id), IG_DB_T(spec->name), IG_DB_T(root),
                                IG_DB_I(ig_clock_unix_ms())),
                   &local);
    if (code != IG_OK) return name_taken(spec->name, &local, err);
    for (size_t i = 0; code == IG_OK && i < spec->tags.count; i++)
        code = put_tag(tx, call->id, spec->tags.items[i], err);
    if (code != IG_OK) return code;
    snprintf(own, sizeof own, "%lld", (long long)call->id);
    if (ig_grant_creator(tx, call->who, IG_OBJECT_EXPERIMENT, ig_str_view(own), err) != IG_OK)
        return err->code;
    return audit(tx, call, "experiment.create", err);
}

enum ig_code ig_tracking_experiment_create(int64_t *id, struct ig_tracking *tracking,
                                           const struct ig_principal *who,
                                           const struct ig_tracking_experiment_spec *spec,
                                           struct ig_err *err)
{
    struct experiment_call call = {.who = who, .spec = spec};
    struct ig_buf root;
    ig_buf_init(&root, PATH_MAX + ARTIFACT_ROOT_MAX * 4);
    enum ig_code code = check_name(spec->name, err);
    if (code == IG_OK) code = add_root(&root, spec->artifact_root, err);
    call.root = ig_buf_view(&root);
    for (size_t i = 0; code == IG_OK && i < spec->tags.count; i++)
        code = check_tag(spec->tags.items[i], err);
    if (code == IG_OK) code = ig_db_write(tracking->db, create_experiment, &call, err);
    if (code == IG_OK) *id = call.id;
    ig_buf_deinit(&root);
    return code;
}

static struct ig_tracking_experiment experiment_of_row(struct ig_db_rows *rows,
                                                       struct ig_arena *arena)
{
    return (struct ig_tracking_experiment){
        .id = ig_db_i64(rows, 0),
        .name = ig_db_text_dup(rows, 1, arena),
        .artifact_root = ig_db_text_dup(rows, 2, arena),
        .stage = ig_db_text_dup(rows, 3, arena),
        .created_ms = ig_db_i64(rows, 4),
        .updated_ms = ig_db_i64(rows, 5),
    };
}

enum ig_code ig_tracking_experiment_read(struct ig_tracking_experiment *out, struct ig_db_tx *tx,
                                         int64_t id, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_experiment found = {.id = -1};
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx,
                                    "select id, name, artifact_root, stage, created_ms, updated_ms"
                                    " from experiments where id = $1",
                                    IG_DB_VALUES(IG_DB_I(id)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        found = experiment_of_row(rows, arena);
    else if (err->code == IG_OK)
        no_experiment(id, err);
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    code = ig_db_query(&rows, tx,
                       "select key, value from experiment_tags where experiment = $1 order by key",
                       IG_DB_VALUES(IG_DB_I(id)), err);
    if (code != IG_OK) return code;
    code = ig_tracking_pairs_read(&found.tags, rows, arena, err);
    ig_db_finish(rows);
    if (code == IG_OK) *out = found;
    return code;
}

static enum ig_code get_experiment(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct experiment_call *call = context;
    return ig_tracking_experiment_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_tracking_experiment_get(struct ig_tracking_experiment *out,
                                        struct ig_tracking *tracking, int64_t id,
                                        struct ig_arena *arena, struct ig_err *err)
{
    struct experiment_call call = {.id = id, .arena = arena};
    enum ig_code code = ig_db_read(tracking->db, get_experiment, &call, err);
    if (code == IG_OK) *out = call.found;
    return code;
}

static enum ig_code find_experiment(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct experiment_call *call = context;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select id from experiments where name = $1",
                                    IG_DB_VALUES(IG_DB_T(call->name)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        call->id = ig_db_i64(rows, 0);
    else if (err->code == IG_OK)
        ig_fail(err, IG_NOT_FOUND, "Could not find experiment with name '%.*s'",
                IG_STR_ARGS(ig_tracking_cut(call->name, 100)));
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    return ig_tracking_experiment_read(&call->found, tx, call->id, call->arena, err);
}

enum ig_code ig_tracking_experiment_find(struct ig_tracking_experiment *out,
                                         struct ig_tracking *tracking, struct ig_str name,
                                         struct ig_arena *arena, struct ig_err *err)
{
    struct experiment_call call = {.name = name, .arena = arena};
    enum ig_code code = ig_db_read(tracking->db, find_experiment, &call, err);
    if (code == IG_OK) *out = call.found;
    return code;
}

/* Whether the experiment is active; NOT_FOUND. */
static enum ig_code read_active(bool *active, struct ig_db_tx *tx, int64_t id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select stage from experiments where id = $1",
                                    IG_DB_VALUES(IG_DB_I(id)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        *active = ig_str_is(ig_db_text(rows, 0), "active");
    else if (err->code == IG_OK)
        no_experiment(id, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_tracking_experiment_must_be_active(struct ig_db_tx *tx, int64_t id,
                                                   struct ig_err *err)
{
    bool active = false;
    enum ig_code code = read_active(&active, tx, id, err);
    if (code != IG_OK || active) return code;
    return ig_fail(err, IG_INVALID,
                   "The experiment %lld must be in the 'active' state. Current state is deleted.",
                   (long long)id);
}

static enum ig_code rename_experiment(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct experiment_call *call = context;
    struct ig_err local = IG_ERR_INIT;
    bool active = false;
    enum ig_code code = read_active(&active, tx, call->id, err);
    if (code == IG_OK && !active)
        code = ig_fail(err, IG_CONFLICT, "Cannot rename a non-active experiment.");
    if (code != IG_OK) return code;
    code = ig_db_exec(
        tx, "update experiments set name = $1, updated_ms = $2 where id = $3",
        IG_DB_VALUES(IG_DB_T(call->name), IG_DB_I(ig_clock_unix_ms()), IG_DB_I(call->id)), &local);
    if (code != IG_OK) return name_taken(call->name, &local, err);
    return audit(tx, call, "experiment.rename", err);
}

enum ig_code ig_tracking_experiment_rename(struct ig_tracking *tracking,
                                           const struct ig_principal *who, int64_t id,
                                           struct ig_str name, struct ig_err *err)
{
    struct experiment_call call = {.who = who, .id = id, .name = name};
    if (check_name(name, err) != IG_OK) return err->code;
    return ig_db_write(tracking->db, rename_experiment, &call, err);
}

static enum ig_code move_experiment(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct experiment_call *call = context;
    const struct ig_db_value now = IG_DB_I(ig_clock_unix_ms());
    bool deleted = strcmp(call->to, "deleted") == 0;
    enum ig_code code = ig_db_exec(
        tx,
        "update experiments set stage = $1, updated_ms = $2 where id = $3 and stage = $4"
        " and updated_ms <> -1",
        IG_DB_VALUES(IG_DB_C(call->to), now, IG_DB_I(call->id), IG_DB_C(call->from)), err);
    if (code != IG_OK) return code;
    if (ig_db_changes(tx) == 0) return no_experiment(call->id, err);
    code = ig_db_exec(tx,
                      "update runs set stage = $1, deleted_ms = $2 where experiment = $3"
                      " and coalesce(deleted_ms, 0) <> -1",
                      IG_DB_VALUES(IG_DB_C(call->to), deleted ? now : IG_DB_N(), IG_DB_I(call->id)),
                      err);
    if (code != IG_OK) return code;
    return audit(tx, call, deleted ? "experiment.delete" : "experiment.restore", err);
}

enum ig_code ig_tracking_experiment_delete(struct ig_tracking *tracking,
                                           const struct ig_principal *who, int64_t id,
                                           struct ig_err *err)
{
    struct experiment_call call = {.who = who, .id = id, .from = "active", .to = "deleted"};
    return ig_tracking_write(tracking, IG_STR(""), move_experiment, &call, err);
}

enum ig_code ig_tracking_experiment_restore(struct ig_tracking *tracking,
                                            const struct ig_principal *who, int64_t id,
                                            struct ig_err *err)
{
    struct experiment_call call = {.who = who, .id = id, .from = "deleted", .to = "active"};
    return ig_tracking_write(tracking, IG_STR(""), move_experiment, &call, err);
}

static enum ig_code set_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct experiment_call *call = context;
    enum ig_code code = ig_tracking_experiment_must_be_active(tx, call->id, err);
    return code == IG_OK ? put_tag(tx, call->id, call->tag, err) : code;
}

enum ig_code ig_tracking_experiment_tag(struct ig_tracking *tracking, int64_t id,
                                        struct ig_tracking_pair tag, struct ig_err *err)
{
    struct experiment_call call = {.id = id, .tag = tag};
    if (check_tag(tag, err) != IG_OK) return err->code;
    return ig_db_write(tracking->db, set_tag, &call, err);
}

static enum ig_code delete_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct experiment_call *call = context;
    enum ig_code code = ig_tracking_experiment_must_be_active(tx, call->id, err);
    if (code == IG_OK)
        code = ig_db_exec(tx, "delete from experiment_tags where experiment = $1 and key = $2",
                          IG_DB_VALUES(IG_DB_I(call->id), IG_DB_T(call->tag.key)), err);
    if (code != IG_OK || ig_db_changes(tx)) return code;
    return ig_fail(err, IG_NOT_FOUND, "No tag with name: %.*s in experiment with id %lld",
                   IG_STR_ARGS(ig_tracking_cut(call->tag.key, 100)), (long long)call->id);
}

enum ig_code ig_tracking_experiment_untag(struct ig_tracking *tracking, int64_t id,
                                          struct ig_str key, struct ig_err *err)
{
    struct experiment_call call = {.id = id, .tag = {.key = key}};
    return ig_db_write(tracking->db, delete_tag, &call, err);
}
