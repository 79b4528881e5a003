/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments as rows: what each serves, every graph that it had, and who changed it why. The
 * models that the current revision and the one before go by are in `routed`, whose foreign key
 * keeps them from being deleted. */
#include "services/deploy/deploy_priv.h"

#include "base/clock.h"

#include <stdio.h>

struct listing {
    struct ig_arena *arena;
    struct ig_str name;
    size_t max;
    struct ig_deployments list;
};

static enum ig_code read_rows(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_arena *arena = listing->arena;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    struct ig_deployment *items = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select d.name, d.model, d.ref, d.version, d.previous_version, d.previous_model, v.digest,"
        " d.created_ms, d.updated_ms, d.revision, d.previous_revision, d.paused, r.graph"
        " from deployments d"
        " join versions v on v.model = d.model and v.version = d.version"
        " join revisions r on r.deployment = d.name and r.revision = d.revision"
        " where $1 = '' or d.name = $1 order by d.name",
        IG_DB_VALUES(IG_DB_T(listing->name)), err);
    while (code == IG_OK && count < listing->max && ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
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
            .revision = ig_db_i64(rows, 9),
            .previous_revision = ig_db_i64(rows, 10),
            .paused = ig_db_i64(rows, 11) != 0,
            .graph = ig_db_text_dup(rows, 12, arena),
            .state = ig_db_i64(rows, 11) ? IG_STR("paused") : IG_STR("serving"),
            .error = IG_STR(""),
        };
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of deployments");
    if (err->code == IG_OK) listing->list = (struct ig_deployments){items, count};
    return err->code;
}

enum ig_code ig_deploy_rows_read(struct ig_deployments *out, struct ig_db *db, struct ig_str name,
                                 size_t max, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing = {arena, name, name.len ? 1 : max, {0}};
    if (ig_db_read(db, read_rows, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}

struct asked {
    struct ig_str name;
    int64_t revision;
    struct ig_arena *arena;
    struct ig_str graph;
    struct ig_deployment_changes changes;
};

static enum ig_code read_graph(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct asked *asked = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select graph from revisions where deployment = $1 and revision = $2",
                    IG_DB_VALUES(IG_DB_T(asked->name), IG_DB_I(asked->revision)), err) == IG_OK) {
        if (ig_db_next(rows, err))
            asked->graph = ig_db_text_dup(rows, 0, asked->arena);
        else
            ig_fail(err, IG_NOT_FOUND, "revision: deployment '%.*s' has no revision %lld",
                    IG_STR_ARGS(asked->name), (long long)asked->revision);
    }
    ig_db_finish(rows);
    if (asked->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "graph");
    return err->code;
}

enum ig_code ig_deploy_rows_graph(struct ig_str *out, struct ig_db *db, struct ig_str name,
                                  int64_t revision, struct ig_arena *arena, struct ig_err *err)
{
    struct asked asked = {.name = name, .revision = revision, .arena = arena};
    if (ig_db_read(db, read_graph, &asked, err) == IG_OK) *out = asked.graph;
    return err->code;
}

static enum ig_code read_next(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct asked *asked = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select coalesce(max(revision), 0) from revisions where deployment = $1",
                    IG_DB_VALUES(IG_DB_T(asked->name)), err) == IG_OK &&
        ig_db_next(rows, err))
        asked->revision = ig_db_i64(rows, 0) + 1;
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_deploy_rows_next(int64_t *out, struct ig_db *db, struct ig_str name,
                                 struct ig_err *err)
{
    struct asked asked = {.name = name};
    if (ig_db_read(db, read_next, &asked, err) == IG_OK) *out = asked.revision;
    return err->code;
}

static enum ig_code read_history(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct asked *asked = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    struct ig_deployment_change *items =
        ig_arena_array(asked->arena, IG_DEPLOY_HISTORY_MAX, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "history");
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select c.seq, c.revision, c.action, c.principal_id, c.principal_name, c.why,"
                    " c.at_ms, r.graph from deployment_changes c"
                    " join revisions r on r.deployment = c.deployment and r.revision = c.revision"
                    " where c.deployment = $1 order by c.seq desc limit $2",
                    IG_DB_VALUES(IG_DB_T(asked->name), IG_DB_I(IG_DEPLOY_HISTORY_MAX)), err);
    while (code == IG_OK && count < IG_DEPLOY_HISTORY_MAX && ig_db_next(rows, err))
        items[count++] = (struct ig_deployment_change){
            .seq = ig_db_i64(rows, 0),
            .revision = ig_db_i64(rows, 1),
            .action = ig_db_text_dup(rows, 2, asked->arena),
            .principal_id = ig_db_text_dup(rows, 3, asked->arena),
            .principal_name = ig_db_text_dup(rows, 4, asked->arena),
            .why = ig_db_text_dup(rows, 5, asked->arena),
            .at_ms = ig_db_i64(rows, 6),
            .graph = ig_db_text_dup(rows, 7, asked->arena),
        };
    ig_db_finish(rows);
    if (asked->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "history");
    asked->changes = (struct ig_deployment_changes){items, count};
    return err->code;
}

enum ig_code ig_deploy_rows_history(struct ig_deployment_changes *out, struct ig_db *db,
                                    struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct asked asked = {.name = name, .arena = arena};
    if (ig_db_read(db, read_history, &asked, err) == IG_OK) *out = asked.changes;
    return err->code;
}

/* ---- writing ---- */

static enum ig_code write_row(struct ig_db_tx *tx, const struct ig_deploy_change *change,
                              int64_t now, struct ig_err *err)
{
    const struct ig_servable *face = change->routing->face;
    bool had = change->previous_model.len > 0;
    while (face->members_count) face = face->members[0].servable;
    return ig_db_exec(
        tx,
        "insert into deployments(name, model, version, ref, previous_model, previous_version,"
        " created_ms, updated_ms, revision, previous_revision, paused)"
        " values($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10)"
        " on conflict (name) do update set model = excluded.model, version = excluded.version,"
        " ref = excluded.ref, previous_model = excluded.previous_model,"
        " previous_version = excluded.previous_version, updated_ms = excluded.updated_ms,"
        " revision = excluded.revision, previous_revision = excluded.previous_revision,"
        " paused = excluded.paused",
        IG_DB_VALUES(IG_DB_T(change->name), IG_DB_C(face->model), IG_DB_I(face->version),
                     IG_DB_T(change->ref), had ? IG_DB_T(change->previous_model) : IG_DB_N(),
                     had ? IG_DB_I(change->previous_version) : IG_DB_N(), IG_DB_I(now),
                     IG_DB_I(change->routing->revision), IG_DB_I(change->previous_revision),
                     IG_DB_I(change->paused)),
        err);
}

static enum ig_code write_graph(struct ig_db_tx *tx, const struct ig_deploy_change *change,
                                struct ig_err *err)
{
    struct ig_buf text;
    struct ig_json_out out;
    ig_buf_init(&text, 2 * IG_ROUTING_SPEC_MAX_BYTES);
    ig_json_out_init(&out, &text);
    ig_routing_spec_write(&out, &change->routing->spec);
    if (text.overflowed)
        ig_fail(err, IG_NO_MEMORY, "graph");
    else
        ig_db_exec(tx, "insert into revisions(deployment, revision, graph) values($1, $2, $3)",
                   IG_DB_VALUES(IG_DB_T(change->name), IG_DB_I(change->routing->revision),
                                IG_DB_T(ig_buf_view(&text))),
                   err);
    ig_buf_deinit(&text);
    return err->code;
}

/* The models of this revision, and no longer those of any but the one before. */
static enum ig_code guard_models(struct ig_db_tx *tx, const struct ig_deploy_change *change,
                                 struct ig_err *err)
{
    const struct ig_routing_spec *spec = &change->routing->spec;
    int64_t revision = change->routing->revision;
    ig_db_exec(
        tx, "delete from routed where deployment = $1 and (revision = $2 or revision <> $3)",
        IG_DB_VALUES(IG_DB_T(change->name), IG_DB_I(revision), IG_DB_I(change->previous_revision)),
        err);
    for (uint32_t i = 0; err->code == IG_OK && i < spec->nodes_count; i++) {
        const struct ig_routing_node *node = &spec->nodes[i];
        if (node->kind != IG_ROUTING_MODEL) continue;
        ig_db_exec(tx,
                   "insert into routed(deployment, revision, model, version)"
                   " values($1, $2, $3, $4)",
                   IG_DB_VALUES(IG_DB_T(change->name), IG_DB_I(revision), IG_DB_T(node->model),
                                IG_DB_I(node->version)),
                   err);
    }
    return err->code;
}

static enum ig_code write_history(struct ig_db_tx *tx, const struct ig_deploy_change *change,
                                  int64_t now, struct ig_err *err)
{
    return ig_db_exec(
        tx,
        "insert into deployment_changes(deployment, seq, revision, action, principal_id,"
        " principal_name, why, at_ms) select $1, coalesce(max(seq), 0) + 1, $2, $3, $4, $5, $6, $7"
        " from deployment_changes where deployment = $1",
        IG_DB_VALUES(IG_DB_T(change->name), IG_DB_I(change->routing->revision),
                     IG_DB_C(change->action), IG_DB_C(change->who->id), IG_DB_C(change->who->name),
                     IG_DB_T(change->why), IG_DB_I(now)),
        err);
}

static enum ig_code write_all(struct ig_db_tx *tx, const struct ig_deploy_change *change,
                              struct ig_err *err)
{
    int64_t now = ig_clock_unix_ms();
    if (change->is_new && write_graph(tx, change, err) != IG_OK) return err->code;
    if (guard_models(tx, change, err) != IG_OK || write_row(tx, change, now, err) != IG_OK)
        return err->code;
    return write_history(tx, change, now, err);
}

static enum ig_code drop_all(struct ig_db_tx *tx, struct ig_str name, struct ig_err *err)
{
    static const char *const STATEMENTS[] = {"delete from routed where deployment = $1",
                                             "delete from deployment_changes where deployment = $1",
                                             "delete from revisions where deployment = $1",
                                             "delete from deployments where name = $1"};
    for (size_t i = 0; err->code == IG_OK && i < sizeof STATEMENTS / sizeof *STATEMENTS; i++)
        ig_db_exec(tx, STATEMENTS[i], IG_DB_VALUES(IG_DB_T(name)), err);
    return err->code;
}

static enum ig_code write_change(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct ig_deploy_change *change = context;
    struct ig_err local = IG_ERR_INIT;
    char detail[IG_NAME_SIZE + 96] = "", action[32];
    enum ig_code code =
        change->routing ? write_all(tx, change, &local) : drop_all(tx, change->name, &local);
    if (code == IG_CONFLICT)
        return ig_fail(err, IG_CONFLICT, "deployment '%.*s': its model version was deleted",
                       IG_STR_ARGS(change->name));
    if (code != IG_OK) return ig_fail(err, code, "%s", local.message);
    if (change->routing)
        snprintf(detail, sizeof detail, "{\"model\":\"%s\",\"version\":%lld,\"revision\":%lld}",
                 change->routing->face->model, (long long)change->routing->face->version,
                 (long long)change->routing->revision);
    snprintf(action, sizeof action, "deployment.%s", change->action);
    return ig_audit_add(tx, change->who, action, change->name, ig_str_view(detail), err);
}

enum ig_code ig_deploy_rows_commit(struct ig_db *db, struct ig_deploy_change *change,
                                   struct ig_err *err)
{
    return ig_db_write(db, write_change, change, err);
}
