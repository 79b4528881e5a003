/* SPDX-License-Identifier: Apache-2.0 */
/* Runs: making, reading, changing, hiding. A run's name stands twice, in its row and in the tag
 * mlflow.runName, as MLflow keeps it: whoever sets one sets both. */
#include "services/tracking/tracking_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/random.h"

#include <stdio.h>
#include <string.h>

static const char *const STATUSES[] = {"", "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"};
enum { STATUSES_COUNT = sizeof STATUSES / sizeof STATUSES[0] };

const char *ig_tracking_status_name(int64_t status)
{
    return status > 0 && status < STATUSES_COUNT ? STATUSES[status] : "RUNNING";
}

bool ig_tracking_status_parse(int64_t *out, struct ig_str name)
{
    int64_t number;
    for (int i = 1; i < STATUSES_COUNT; i++) {
        if (!ig_str_is(name, STATUSES[i])) continue;
        *out = i;
        return true;
    }
    if (!ig_str_to_i64(name, &number) || number < 1 || number >= STATUSES_COUNT) return false;
    *out = number;
    return true;
}

void ig_tracking_invent_name(char name[64])
{
    static const char *const first[] = {"able",  "amber",  "brave", "bright", "calm",   "clear",
                                        "eager", "early",  "fair",  "fleet",  "gentle", "glad",
                                        "keen",  "kind",   "light", "merry",  "quick",  "quiet",
                                        "sharp", "steady", "sunny", "true",   "warm",   "wise"};
    static const char *const second[] = {"alder", "badger", "birch", "crane",  "dune",  "falcon",
                                         "fern",  "finch",  "fox",   "harbor", "hare",  "heron",
                                         "lark",  "lynx",   "maple", "marten", "otter", "owl",
                                         "reed",  "river",  "stoat", "stone",  "swift", "wren"};
    uint32_t random[3];
    ig_random_bytes(random, sizeof random);
    snprintf(name, 64, "%s-%s-%u", first[random[0] % (sizeof first / sizeof first[0])],
             second[random[1] % (sizeof second / sizeof second[0])], random[2] % 1000);
}

struct run_call {
    const struct ig_principal *who;
    const struct ig_tracking_run_spec *spec;
    const struct ig_tracking_run_update *update;
    struct ig_str id, name, key;
    const char *stage;
    struct ig_arena *arena;
    struct ig_tracking_run run;
};

enum ig_code ig_tracking_no_run(struct ig_str id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Run with id=%.*s not found",
                   IG_STR_ARGS(ig_tracking_cut(id, 64)));
}

static enum ig_code put_tag(struct ig_db_tx *tx, struct ig_str id, struct ig_tracking_pair tag,
                            struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into run_tags(run, key, value) values($1, $2, $3)"
                      " on conflict (run, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_T(id), IG_DB_T(tag.key), IG_DB_T(tag.value)), err);
}

enum ig_code ig_tracking_run_tag_put(struct ig_db_tx *tx, struct ig_str id,
                                     struct ig_tracking_pair tag, struct ig_err *err)
{
    enum ig_code code = IG_OK;
    if (ig_str_is(tag.key, IG_TRACKING_RUN_NAME) && tag.value.len)
        code = ig_db_exec(tx, "update runs set name = $1 where id = $2",
                          IG_DB_VALUES(IG_DB_T(tag.value), IG_DB_T(id)), err);
    return code == IG_OK ? put_tag(tx, id, tag, err) : code;
}

/* Without a scheme it is a path, in which '?' is a character like any other. */
static bool has_scheme(struct ig_str uri)
{
    struct ig_str scheme = ig_str_cut(&uri, ':');
    return uri.ptr && scheme.len && !memchr(scheme.ptr, '/', scheme.len) &&
           !memchr(scheme.ptr, '?', scheme.len);
}

enum ig_code ig_tracking_artifact_root(struct ig_str *out, struct ig_db_tx *tx, int64_t experiment,
                                       struct ig_str below, struct ig_arena *arena,
                                       struct ig_err *err)
{
    struct ig_tracking_experiment found;
    enum ig_code code = ig_tracking_experiment_read(&found, tx, experiment, arena, err);
    if (code != IG_OK) return code;
    struct ig_str root = found.artifact_root, query = {NULL, 0};
    if (has_scheme(root)) {
        query = root;
        root = ig_str_cut(&query, '?');
    }
    bool bare = root.len && root.ptr[root.len - 1] == ':';
    while (root.len && root.ptr[root.len - 1] == '/') root.len--;
    const char *text =
        ig_arena_printf(arena, "%.*s%s%.*s/artifacts%s%.*s", IG_STR_ARGS(root), bare ? "" : "/",
                        IG_STR_ARGS(below), query.len ? "?" : "", IG_STR_ARGS(query));
    if (!text) return ig_fail(err, IG_NO_MEMORY, "no memory for a location of artifacts");
    *out = ig_str_view(text);
    return IG_OK;
}

static enum ig_code create_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct run_call *call = context;
    const struct ig_tracking_run_spec *spec = call->spec;
    struct ig_str root;
    enum ig_code code = ig_tracking_experiment_must_be_active(tx, spec->experiment, err);
    if (code == IG_OK)
        code = ig_tracking_artifact_root(&root, tx, spec->experiment, call->id, call->arena, err);
    if (code == IG_OK)
        code = ig_db_exec(tx,
                          "insert into runs(id, experiment, name, user_id, status, stage, start_ms,"
                          " artifact_root) values($1, $2, $3, $4, $5, 'active', $6, $7)",
                          IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(spec->experiment),
                                       IG_DB_T(call->name), IG_DB_T(spec->user_id),
                                       IG_DB_I(IG_TRACKING_RUNNING), IG_DB_I(spec->start_ms),
                                       IG_DB_T(root)),
                          err);
    for (size_t i = 0; code == IG_OK && i < spec->tags.count; i++)
        code = put_tag(tx, call->id, spec->tags.items[i], err);
    const struct ig_tracking_pair named = {IG_STR(IG_TRACKING_RUN_NAME), call->name};
    if (code == IG_OK) code = put_tag(tx, call->id, named, err);
    return code == IG_OK ? ig_tracking_run_read(&call->run, tx, call->id, call->arena, err) : code;
}

static enum ig_code choose_name(struct ig_str *out, const struct ig_tracking_run_spec *spec,
                                char invented[64], struct ig_err *err)
{
    struct ig_str tagged = IG_STR("");
    for (size_t i = 0; i < spec->tags.count; i++)
        if (ig_str_is(spec->tags.items[i].key, IG_TRACKING_RUN_NAME))
            tagged = spec->tags.items[i].value;
    if (spec->name.len && tagged.len && !ig_str_eq(spec->name, tagged))
        return ig_fail(err, IG_INVALID,
                       "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with "
                       "different values (run_name='%.*s', mlflow.runName='%.*s').",
                       IG_STR_ARGS(ig_tracking_cut(spec->name, 60)),
                       IG_STR_ARGS(ig_tracking_cut(tagged, 60)));
    *out = spec->name.len ? spec->name : tagged;
    if (out->len) return IG_OK;
    ig_tracking_invent_name(invented);
    *out = ig_str_view(invented);
    return IG_OK;
}

enum ig_code ig_tracking_run_create(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                    const struct ig_tracking_run_spec *spec, struct ig_arena *arena,
                                    struct ig_err *err)
{
    unsigned char random[IG_TRACKING_RUN_ID / 2];
    char id[IG_TRACKING_RUN_ID + 1], invented[64];
    struct run_call call = {.spec = spec, .arena = arena};
    if (choose_name(&call.name, spec, invented, err) != IG_OK) return err->code;
    for (size_t i = 0; i < spec->tags.count; i++)
        if (ig_tracking_check_key(spec->tags.items[i].key, "key", err) != IG_OK) return err->code;
    ig_random_bytes(random, sizeof random);
    ig_hex(id, random, sizeof random);
    call.id = spec->id.len ? spec->id : ig_str_view(id);
    if (ig_tracking_check_id(call.id, IG_TRACKING_RUN_ID, "run_id", err) != IG_OK) return err->code;
    enum ig_code code = ig_tracking_write(tracking, call.id, create_run, &call, err);
    if (code == IG_OK) *out = call.run;
    return code;
}

static enum ig_code get_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct run_call *call = context;
    return ig_tracking_run_read(&call->run, tx, call->id, call->arena, err);
}

enum ig_code ig_tracking_run_get(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                 struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct run_call call = {.id = id, .arena = arena};
    enum ig_code code = ig_tracking_read(tracking->db, get_run, &call, err);
    if (code == IG_OK) *out = call.run;
    return code;
}

enum ig_code ig_tracking_run_must_be_active(struct ig_db_tx *tx, struct ig_str id,
                                            int64_t *experiment, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select stage, experiment from runs where id = $1",
                                    IG_DB_VALUES(IG_DB_T(id)), err);
    if (code != IG_OK) return code;
    if (!ig_db_next(rows, err)) {
        if (err->code == IG_OK) ig_tracking_no_run(id, err);
    } else if (!ig_str_is(ig_db_text(rows, 0), "active")) {
        ig_fail(err, IG_INVALID,
                "The run %.*s must be in the 'active' state. Current state is deleted.",
                IG_STR_ARGS(id));
    } else if (experiment) {
        *experiment = ig_db_i64(rows, 1);
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code update_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct run_call *call = context;
    const struct ig_tracking_run_update *update = call->update;
    enum ig_code code = ig_tracking_run_must_be_active(tx, update->id, NULL, err);
    if (code == IG_OK && update->status)
        code = ig_db_exec(tx, "update runs set status = $1 where id = $2",
                          IG_DB_VALUES(IG_DB_I(update->status), IG_DB_T(update->id)), err);
    if (code == IG_OK && update->end_ms >= 0)
        code = ig_db_exec(tx, "update runs set end_ms = $1 where id = $2",
                          IG_DB_VALUES(IG_DB_I(update->end_ms), IG_DB_T(update->id)), err);
    const struct ig_tracking_pair named = {IG_STR(IG_TRACKING_RUN_NAME), update->name};
    if (code == IG_OK && update->name.len)
        code = ig_tracking_run_tag_put(tx, update->id, named, err);
    return code == IG_OK ? ig_tracking_run_row(&call->run, tx, update->id, call->arena, err) : code;
}

enum ig_code ig_tracking_run_update(struct ig_tracking_run *out, struct ig_tracking *tracking,
                                    const struct ig_tracking_run_update *update,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct run_call call = {.update = update, .arena = arena};
    enum ig_code code = ig_tracking_write(tracking, update->id, update_run, &call, err);
    if (code == IG_OK && arena->overflowed)
        code = ig_fail(err, IG_NO_MEMORY, "no memory for the run");
    if (code == IG_OK) *out = call.run;
    return code;
}

static enum ig_code move_run(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct run_call *call = context;
    bool deleted = ig_str_is(ig_str_view(call->stage), "deleted");
    /* -1: garbage collection has begun to remove it, and -1 of its experiment likewise */
    enum ig_code code = ig_db_exec(tx,
                                   "update runs set stage = $1, deleted_ms = $2 where id = $3"
                                   " and coalesce(deleted_ms, 0) <> -1 and not exists (select 1"
                                   " from experiments e where e.id = runs.experiment"
                                   " and e.updated_ms = -1)",
                                   IG_DB_VALUES(IG_DB_C(call->stage),
                                                deleted ? IG_DB_I(ig_clock_unix_ms()) : IG_DB_N(),
                                                IG_DB_T(call->id)),
                                   err);
    if (code != IG_OK) return code;
    if (ig_db_changes(tx) == 0) return ig_tracking_no_run(call->id, err);
    return ig_audit_add(tx, call->who, deleted ? "run.delete" : "run.restore", call->id, IG_STR(""),
                        err);
}

enum ig_code ig_tracking_run_delete(struct ig_tracking *tracking, const struct ig_principal *who,
                                    struct ig_str id, struct ig_err *err)
{
    struct run_call call = {.who = who, .id = id, .stage = "deleted"};
    return ig_tracking_write(tracking, id, move_run, &call, err);
}

enum ig_code ig_tracking_run_restore(struct ig_tracking *tracking, const struct ig_principal *who,
                                     struct ig_str id, struct ig_err *err)
{
    struct run_call call = {.who = who, .id = id, .stage = "active"};
    return ig_tracking_write(tracking, id, move_run, &call, err);
}

static enum ig_code delete_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct run_call *call = context;
    enum ig_code code = ig_tracking_run_must_be_active(tx, call->id, NULL, err);
    if (code == IG_OK)
        code = ig_db_exec(tx, "delete from run_tags where run = $1 and key = $2",
                          IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->key)), err);
    if (code != IG_OK || ig_db_changes(tx)) return code;
    return ig_fail(err, IG_NOT_FOUND, "No tag with name: %.*s in run with id %.*s",
                   IG_STR_ARGS(ig_tracking_cut(call->key, 100)), IG_STR_ARGS(call->id));
}

enum ig_code ig_tracking_run_untag(struct ig_tracking *tracking, struct ig_str id,
                                   struct ig_str key, struct ig_err *err)
{
    struct run_call call = {.id = id, .key = key};
    return ig_tracking_write(tracking, id, delete_tag, &call, err);
}
