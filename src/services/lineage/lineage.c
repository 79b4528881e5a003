/* SPDX-License-Identifier: Apache-2.0 */
/* Walks the rows of others from a version to what it was made of, and from anything to versions.
 *
 * Thread rule: stateless over the store. */
#include "services/lineage/lineage.h"

#include "services/job/job.h"

struct walk {
    struct ig_db_tx *tx;
    struct ig_arena *arena;
    struct ig_err *err;
    struct ig_str model, id;
    int64_t version;
    enum ig_lineage_kind kind;
    struct ig_lineage found;
    struct ig_lineage_versions versions;
};

/* Every version of both registries, once. */
#define VERSIONS                                                                                   \
    "(select x.model as model, x.version as version, x.created_ms as created_ms,"                  \
    " x.digest as digest, case when x.source <> '' then x.source"                                  \
    " else coalesce(y.source, '') end as source, coalesce(y.run, '') as run,"                      \
    " coalesce(y.model_id, '') as model_id, x.job_id as job from versions x"                       \
    " left join registered_models r on r.name = x.model"                                           \
    " left join model_versions y on y.model = r.id and y.version = x.version union all"            \
    " select r.name, y.version, y.created_ms, '', y.source, y.run, y.model_id, ''"                 \
    " from model_versions y join registered_models r on r.id = y.model where not exists"           \
    " (select 1 from versions x where x.model = r.name and x.version = y.version)) v"
#define SELECT_VERSIONS                                                                            \
    "select v.model, v.version, v.created_ms, v.digest, v.source, v.run, v.model_id, v.job "       \
    "from " VERSIONS
#define NEWEST_FIRST " order by v.created_ms desc, v.model, v.version desc limit $2"

static void read_uses(struct walk *walk, struct ig_lineage_version *version)
{
    struct ig_db_rows *rows = NULL;
    struct ig_lineage_use *items = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, walk->tx,
                    "select distinct r.deployment, r.revision,"
                    " case when d.revision = r.revision then 1 else 0 end as current"
                    " from routed r join deployments d on d.name = r.deployment"
                    " where r.model = $1 and r.version = $2"
                    " order by current desc, r.deployment, r.revision desc limit $3",
                    IG_DB_VALUES(IG_DB_T(version->model), IG_DB_I(version->version),
                                 IG_DB_I(IG_LINEAGE_MAX)),
                    walk->err) != IG_OK)
        return;
    while (ig_db_next(rows, walk->err)) {
        items = ig_arena_grow(walk->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_lineage_use){.deployment = ig_db_text_dup(rows, 0, walk->arena),
                                                 .revision = ig_db_i64(rows, 1),
                                                 .current = ig_db_i64(rows, 2) != 0};
    }
    ig_db_finish(rows);
    version->uses = items;
    version->uses_count = count;
}

static void take_version(struct ig_lineage_version *out, struct ig_db_rows *rows,
                         struct ig_arena *arena)
{
    *out = (struct ig_lineage_version){.model = ig_db_text_dup(rows, 0, arena),
                                       .version = ig_db_i64(rows, 1),
                                       .created_ms = ig_db_i64(rows, 2),
                                       .digest = ig_db_text_dup(rows, 3, arena),
                                       .source = ig_db_text_dup(rows, 4, arena),
                                       .run = ig_db_text_dup(rows, 5, arena),
                                       .model_id = ig_db_text_dup(rows, 6, arena),
                                       .job = ig_db_text_dup(rows, 7, arena)};
}

/* `sql` has $1, the id, and $2, the limit. */
static void read_versions(struct walk *walk, struct ig_lineage_versions *out, const char *sql,
                          struct ig_str id)
{
    struct ig_db_rows *rows = NULL;
    struct ig_lineage_version *items = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, walk->tx, sql, IG_DB_VALUES(IG_DB_T(id), IG_DB_I(IG_LINEAGE_MAX + 1)),
                    walk->err) != IG_OK)
        return;
    while (ig_db_next(rows, walk->err)) {
        items = ig_arena_grow(walk->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        take_version(&items[count++], rows, walk->arena);
    }
    ig_db_finish(rows);
    *out = (struct ig_lineage_versions){items, count, count > IG_LINEAGE_MAX};
    if (out->more) out->count = IG_LINEAGE_MAX;
    for (size_t i = 0; walk->err->code == IG_OK && i < out->count; i++) read_uses(walk, &items[i]);
}

/* ---- of a version ---- */

static void read_one(struct walk *walk)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, walk->tx, SELECT_VERSIONS " where v.model = $1 and v.version = $2",
                    IG_DB_VALUES(IG_DB_T(walk->model), IG_DB_I(walk->version)), walk->err) != IG_OK)
        return;
    bool found = ig_db_next(rows, walk->err);
    if (found) take_version(&walk->found.of, rows, walk->arena);
    ig_db_finish(rows);
    if (walk->err->code == IG_OK && !found)
        ig_fail(walk->err, IG_NOT_FOUND, "model '%.*s' has no version %lld",
                walk->model.len > 128 ? 128 : (int)walk->model.len, walk->model.ptr,
                (long long)walk->version);
    if (walk->err->code == IG_OK) read_uses(walk, &walk->found.of);
}

static void read_job(struct walk *walk)
{
    struct ig_db_rows *rows = NULL;
    struct ig_lineage_job *job = ig_arena_zalloc(walk->arena, sizeof *job);
    if (!job || !walk->found.of.job.len ||
        ig_db_query(&rows, walk->tx,
                    "select id, engine, target, params, state, data_digest, data_path, finished_ms"
                    " from jobs where id = $1",
                    IG_DB_VALUES(IG_DB_T(walk->found.of.job)), walk->err) != IG_OK)
        return;
    if (ig_db_next(rows, walk->err)) {
        *job = (struct ig_lineage_job){
            .id = ig_db_text_dup(rows, 0, walk->arena),
            .engine = ig_db_text_dup(rows, 1, walk->arena),
            .target = ig_db_text_dup(rows, 2, walk->arena),
            .params_json = ig_db_text_dup(rows, 3, walk->arena),
            .state = ig_str_view(ig_job_state_name((enum ig_job_state)ig_db_i64(rows, 4))),
            .data_digest = ig_db_text_dup(rows, 5, walk->arena),
            .data_path = ig_db_text_dup(rows, 6, walk->arena),
            .finished_ms = ig_db_i64(rows, 7)};
        walk->found.job = job;
    }
    ig_db_finish(rows);
}

static void read_run(struct walk *walk)
{
    struct ig_db_rows *rows = NULL;
    struct ig_lineage_run *run = ig_arena_zalloc(walk->arena, sizeof *run);
    if (!run || !walk->found.of.run.len ||
        ig_db_query(&rows, walk->tx,
                    "select id, name, user_id, stage, experiment, start_ms from runs where id = $1",
                    IG_DB_VALUES(IG_DB_T(walk->found.of.run)), walk->err) != IG_OK)
        return;
    if (ig_db_next(rows, walk->err)) {
        *run = (struct ig_lineage_run){.id = ig_db_text_dup(rows, 0, walk->arena),
                                       .name = ig_db_text_dup(rows, 1, walk->arena),
                                       .user_id = ig_db_text_dup(rows, 2, walk->arena),
                                       .stage = ig_db_text_dup(rows, 3, walk->arena),
                                       .experiment = ig_db_i64(rows, 4),
                                       .start_ms = ig_db_i64(rows, 5)};
        walk->found.run = run;
    }
    ig_db_finish(rows);
}

static void read_datasets(struct walk *walk)
{
    struct ig_db_rows *rows = NULL;
    struct ig_lineage_dataset *items = NULL;
    size_t count = 0, cap = 0;
    if (!walk->found.run ||
        ig_db_query(&rows, walk->tx,
                    "select d.name, d.digest, d.source_type, d.source"
                    " from run_inputs i join datasets d on d.id = i.dataset"
                    " where i.run = $1 order by d.id limit $2",
                    IG_DB_VALUES(IG_DB_T(walk->found.of.run), IG_DB_I(IG_LINEAGE_MAX)),
                    walk->err) != IG_OK)
        return;
    while (ig_db_next(rows, walk->err)) {
        items = ig_arena_grow(walk->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] =
            (struct ig_lineage_dataset){.name = ig_db_text_dup(rows, 0, walk->arena),
                                        .digest = ig_db_text_dup(rows, 1, walk->arena),
                                        .source_type = ig_db_text_dup(rows, 2, walk->arena),
                                        .source = ig_db_text_dup(rows, 3, walk->arena)};
    }
    ig_db_finish(rows);
    walk->found.datasets = items;
    walk->found.datasets_count = count;
}

static struct ig_str uri_of(struct walk *walk)
{
    const char *uri = ig_arena_printf(walk->arena, "models:/%.*s/%lld", IG_STR_ARGS(walk->model),
                                      (long long)walk->version);
    return uri ? ig_str_view(uri) : IG_STR("");
}

static void read_copies(struct walk *walk)
{
    read_versions(walk, &walk->found.copies, SELECT_VERSIONS " where v.source = $1" NEWEST_FIRST,
                  uri_of(walk));
}

static void read_bundles(struct walk *walk)
{
    struct ig_db_rows *rows = NULL;
    struct ig_lineage_bundle *items = NULL;
    size_t count = 0, cap = 0;
    if (ig_db_query(&rows, walk->tx,
                    "select group_name, digest, counter from fleet_bundles where source = $1"
                    " order by group_name, counter desc limit $2",
                    IG_DB_VALUES(IG_DB_T(uri_of(walk)), IG_DB_I(IG_LINEAGE_MAX)),
                    walk->err) != IG_OK)
        return;
    while (ig_db_next(rows, walk->err)) {
        items = ig_arena_grow(walk->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_lineage_bundle){.group = ig_db_text_dup(rows, 0, walk->arena),
                                                    .digest = ig_db_text_dup(rows, 1, walk->arena),
                                                    .counter = ig_db_i64(rows, 2)};
    }
    ig_db_finish(rows);
    walk->found.bundles = items;
    walk->found.bundles_count = count;
}

static enum ig_code get(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static void (*const steps[])(struct walk *) = {read_one,      read_job,    read_run,
                                                   read_datasets, read_copies, read_bundles};
    struct walk *walk = context;
    walk->tx = tx;
    walk->err = err;
    for (size_t i = 0; err->code == IG_OK && i < sizeof steps / sizeof steps[0]; i++)
        steps[i](walk);
    if (walk->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "lineage");
    return err->code;
}

enum ig_code ig_lineage_get(struct ig_lineage *out, struct ig_db *db, struct ig_str model,
                            int64_t version, struct ig_arena *arena, struct ig_err *err)
{
    struct walk walk = {.model = model, .version = version, .arena = arena};
    if (ig_db_read(db, get, &walk, err) == IG_OK) *out = walk.found;
    return err->code;
}

/* ---- from anything ---- */

static enum ig_code from(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const statements[] = {
        [IG_LINEAGE_DATA] = SELECT_VERSIONS
        " where v.job in (select j.id from jobs j where j.data_digest = $1)"
        " or v.run in (select i.run from run_inputs i join datasets d on d.id = i.dataset"
        " where d.digest = $1)" NEWEST_FIRST,
        [IG_LINEAGE_RUN] = SELECT_VERSIONS " where v.run = $1" NEWEST_FIRST,
        [IG_LINEAGE_JOB] = SELECT_VERSIONS " where v.job = $1" NEWEST_FIRST,
        [IG_LINEAGE_MODEL] = SELECT_VERSIONS " where v.model_id = $1" NEWEST_FIRST,
    };
    struct walk *walk = context;
    walk->tx = tx;
    walk->err = err;
    read_versions(walk, &walk->versions, statements[walk->kind], walk->id);
    if (walk->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "lineage");
    return err->code;
}

enum ig_code ig_lineage_from(struct ig_lineage_versions *out, struct ig_db *db,
                             enum ig_lineage_kind kind, struct ig_str id, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct walk walk = {.kind = kind, .id = id, .arena = arena};
    if (!id.len) return ig_fail(err, IG_INVALID, "id: it is empty");
    if (ig_db_read(db, from, &walk, err) == IG_OK) *out = walk.versions;
    return err->code;
}
