/* SPDX-License-Identifier: Apache-2.0 */
/* Groups, and what the other files of the fleet share. Bundles stand in fleet_bundle.c, devices in
 * fleet_device.c, their calls in fleet_check.c, rollouts in fleet_rollout.c and fleet_plan.c,
 * telemetry in fleet_telemetry.c.
 *
 * Thread rule: stateless over the stores. */
#include "services/fleet/fleet_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "formats/edge/edge_bundle.h"
#include "formats/edge/minisign.h"

#include <math.h>
#include <stdio.h>

enum { KEY_FILE_MAX = 1024, WHY_MAX = 8192 };

const struct ig_principal IG_FLEET_ITSELF = {.name = "fleet"};

static const char *const STATE_NAMES[] = {
#define IG_FLEET_STATE(id, name, ends, doc) name,
#include "services/fleet/fleet_states.def"
#undef IG_FLEET_STATE
};

const char *ig_fleet_state_name(enum ig_fleet_state state)
{
    return STATE_NAMES[state];
}

enum ig_code ig_fleet_open(struct ig_fleet **out, struct ig_db *db, struct ig_blob_store *blobs,
                           struct ig_err *err)
{
    struct ig_fleet *fleet = ig_zalloc(sizeof *fleet);
    if (!fleet) return ig_fail(err, IG_NO_MEMORY, "fleet");
    *fleet = (struct ig_fleet){db, blobs};
    *out = fleet;
    return IG_OK;
}

void ig_fleet_close(struct ig_fleet *fleet)
{
    ig_free(fleet);
}

/* ---- shared ---- */

enum ig_code ig_fleet_audit(struct ig_db_tx *tx, const struct ig_principal *who, const char *action,
                            struct ig_str object, struct ig_str why, struct ig_err *err)
{
    struct ig_buf detail;
    struct ig_json_out out;
    if (!why.len) return ig_audit_add(tx, who, action, object, IG_STR(""), err);
    ig_buf_init(&detail, WHY_MAX);
    ig_json_out_init(&out, &detail);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "why", why);
    ig_json_out_object_end(&out);
    if (detail.overflowed)
        ig_fail(err, IG_INVALID, "why: it is too long");
    else
        ig_audit_add(tx, who, action, object, ig_buf_view(&detail), err);
    ig_buf_deinit(&detail);
    return err->code;
}

enum ig_code ig_fleet_not_there(const char *what, struct ig_str name, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "%s '%.*s' does not exist", what,
                   name.len > 140 ? 140 : (int)name.len, name.len ? name.ptr : "");
}

size_t ig_fleet_limit(const struct ig_fleet_page *page)
{
    return page->limit && page->limit < IG_FLEET_PAGE_MAX ? (size_t)page->limit : IG_FLEET_PAGE_MAX;
}

enum ig_code ig_fleet_need_group(struct ig_db_tx *tx, struct ig_str name, struct ig_err *err)
{
    int64_t found = 0;
    if (ig_db_get_i64(&found, tx, "select count(*) from fleet_groups where name = $1",
                      IG_DB_VALUES(IG_DB_T(name)), err) != IG_OK)
        return err->code;
    return found ? IG_OK : ig_fleet_not_there("group", name, err);
}

/* ---- groups ---- */

struct change {
    const struct ig_principal *who;
    const struct ig_fleet_group *spec;
    struct ig_str name;
};

static enum ig_code insert_group(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    const struct ig_fleet_group *spec = change->spec;
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from fleet_groups", NULL, 0, err) != IG_OK)
        return err->code;
    if (count >= IG_FLEET_GROUPS_MAX)
        return ig_fail(err, IG_EXHAUSTED, "there are %d groups already", IG_FLEET_GROUPS_MAX);
    if (ig_db_exec(tx,
                   "insert into fleet_groups(name, target, public_key, drift_threshold, created_ms)"
                   " values($1, $2, $3, $4, $5) on conflict (name) do nothing",
                   IG_DB_VALUES(IG_DB_T(spec->name), IG_DB_T(spec->target),
                                IG_DB_T(spec->public_key), IG_DB_F(spec->drift_threshold),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx))
        return ig_fail(err, IG_EXISTS, "group '%.*s' exists already", IG_STR_ARGS(spec->name));
    return ig_fleet_audit(tx, change->who, "fleet.group.create", spec->name, IG_STR(""), err);
}

static enum ig_code check_group(const struct ig_fleet_group *spec, struct ig_err *err)
{
    unsigned char key[IG_MINISIGN_KEY_BYTES];
    if (ig_name_check(spec->name, "group", err) != IG_OK) return err->code;
    if (spec->target.len > IG_EDGE_TARGET_MAX || !ig_str_utf8_valid(spec->target))
        return ig_fail(err, IG_INVALID, "target: expected at most %d bytes of text",
                       IG_EDGE_TARGET_MAX);
    if (!isfinite(spec->drift_threshold) || spec->drift_threshold <= 0)
        return ig_fail(err, IG_INVALID, "drift_threshold: %g is not above 0",
                       spec->drift_threshold);
    if (spec->public_key.len > KEY_FILE_MAX || !ig_str_utf8_valid(spec->public_key))
        return ig_fail(err, IG_INVALID, "public_key: expected at most %d bytes of text",
                       KEY_FILE_MAX);
    if (ig_minisign_public_read(key, spec->public_key, err) != IG_OK)
        ig_err_prefix(err, "public_key");
    return err->code;
}

enum ig_code ig_fleet_group_create(struct ig_fleet *fleet, const struct ig_principal *who,
                                   const struct ig_fleet_group *spec, struct ig_err *err)
{
    struct change change = {.who = who, .spec = spec};
    if (check_group(spec, err) != IG_OK) return err->code;
    return ig_db_write(fleet->db, insert_group, &change, err);
}

static enum ig_code delete_group(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char MEMBERS[] = "delete from fleet_members where rollout in"
                                  " (select id from fleet_rollouts where group_name = $1)";
    static const char *const STATEMENTS[] = {
        MEMBERS,
        "delete from fleet_rollouts where group_name = $1",
        "delete from fleet_bundles where group_name = $1",
        "delete from fleet_sketches where group_name = $1",
        "delete from fleet_keys where group_name = $1",
        "delete from fleet_groups where name = $1",
    };
    const struct change *change = context;
    int64_t devices = 0;
    if (ig_fleet_need_group(tx, change->name, err) != IG_OK ||
        ig_db_get_i64(&devices, tx, "select count(*) from fleet_devices where group_name = $1",
                      IG_DB_VALUES(IG_DB_T(change->name)), err) != IG_OK)
        return err->code;
    if (devices)
        return ig_fail(err, IG_CONFLICT, "group '%.*s' has %lld devices", IG_STR_ARGS(change->name),
                       (long long)devices);
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof STATEMENTS[0]; i++)
        if (ig_db_exec(tx, STATEMENTS[i], IG_DB_VALUES(IG_DB_T(change->name)), err) != IG_OK)
            return err->code;
    return ig_fleet_audit(tx, change->who, "fleet.group.delete", change->name, IG_STR(""), err);
}

enum ig_code ig_fleet_group_delete(struct ig_fleet *fleet, const struct ig_principal *who,
                                   struct ig_str name, struct ig_err *err)
{
    struct change change = {.who = who, .name = name};
    return ig_db_write(fleet->db, delete_group, &change, err);
}

struct listing {
    struct ig_str name; /* one alone; or empty */
    const struct ig_fleet_page *page;
    struct ig_arena *arena;
    struct ig_fleet_groups list;
};

static struct ig_fleet_group group_of(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_fleet_group){
        .name = ig_db_text_dup(rows, 0, arena),
        .target = ig_db_text_dup(rows, 1, arena),
        .public_key = ig_db_text_dup(rows, 2, arena),
        .drift_threshold = ig_db_f64(rows, 3),
        .created_ms = ig_db_i64(rows, 4),
        .devices = ig_db_i64(rows, 5),
        .drifting = ig_db_i64(rows, 6),
    };
}

static enum ig_code read_groups(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0, max = ig_fleet_limit(listing->page);
    struct ig_fleet_group *items = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select g.name, g.target, g.public_key, g.drift_threshold, g.created_ms,"
        " (select count(*) from fleet_devices d where d.group_name = g.name),"
        " (select count(*) from fleet_devices d where d.group_name = g.name"
        "  and d.drift > g.drift_threshold)"
        " from fleet_groups g where g.name > $1 and ($2 = '' or g.name = $2) order by g.name"
        " limit $3",
        IG_DB_VALUES(IG_DB_T(listing->page->after), IG_DB_T(listing->name), IG_DB_I((int64_t)max)),
        err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(listing->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = group_of(rows, listing->arena);
    }
    ig_db_finish(rows);
    if (listing->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of groups");
    listing->list = (struct ig_fleet_groups){items, count};
    return err->code;
}

enum ig_code ig_fleet_group_list(struct ig_fleet_groups *out, struct ig_fleet *fleet,
                                 const struct ig_fleet_page *page, struct ig_arena *arena,
                                 struct ig_err *err)
{
    struct listing listing = {.name = IG_STR(""), .page = page, .arena = arena};
    if (ig_db_read(fleet->db, read_groups, &listing, err) == IG_OK) *out = listing.list;
    return err->code;
}

enum ig_code ig_fleet_group_get(struct ig_fleet_group *out, struct ig_fleet *fleet,
                                struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_fleet_page page = {.after = IG_STR(""), .limit = 1};
    struct listing listing = {.name = name, .page = &page, .arena = arena};
    if (!name.len) return ig_fleet_not_there("group", name, err);
    if (ig_db_read(fleet->db, read_groups, &listing, err) != IG_OK) return err->code;
    if (!listing.list.count) return ig_fleet_not_there("group", name, err);
    *out = listing.list.items[0];
    return IG_OK;
}
