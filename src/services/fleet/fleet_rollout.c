/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts in the database: starting, moving on, stopping, and what a device is due.
 *
 * 1. Of a group one rollout at most is running or paused.
 * 2. Counters of the rollouts that are done only grow: what all devices should have is the newest.
 * 3. A device that went back from a bundle, or refused it, is not offered it again by that rollout.
 */
#include "services/fleet/fleet_priv.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>

enum { WAVES_JSON_MAX = 256 << 10, LIST_MAX = 200, REASON_SIZE = 200 };
#define ROLLOUT_COLUMNS                                                                            \
    "id, group_name, digest, state, reason, counter, waves, wave, wave_ms, soak_s, halt_percent,"  \
    " halt_min, created_ms, changed_ms"

static enum ig_code rollout_of(struct ig_fleet_rollout *out, struct ig_db_rows *rows,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    struct ig_str waves = ig_db_text_dup(rows, 6, arena);
    *out = (struct ig_fleet_rollout){
        .id = ig_db_text_dup(rows, 0, arena),
        .group = ig_db_text_dup(rows, 1, arena),
        .digest = ig_db_text_dup(rows, 2, arena),
        .state = ig_db_text_dup(rows, 3, arena),
        .reason = ig_db_text_dup(rows, 4, arena),
        .counter = ig_db_i64(rows, 5),
        .wave = ig_db_i64(rows, 7),
        .wave_ms = ig_db_i64(rows, 8),
        .plan = {.soak_s = ig_db_i64(rows, 9),
                 .halt_percent = ig_db_f64(rows, 10),
                 .halt_min = ig_db_i64(rows, 11)},
        .created_ms = ig_db_i64(rows, 12),
        .changed_ms = ig_db_i64(rows, 13),
    };
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "a rollout");
    ig_json_init(&json, waves, arena, err);
    return ig_fleet_waves_read(&out->plan, &json);
}

/* The one row of ROLLOUT_COLUMNS that `sql` gives, if it is there. */
struct search {
    const char *sql;
    struct ig_db_value keys[2];
    size_t keys_count;
    bool found;
    struct ig_fleet_rollout rollout;
};

static enum ig_code search(struct search *search, struct ig_db_tx *tx, struct ig_arena *arena,
                           struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    search->found = false;
    if (ig_db_query(&rows, tx, search->sql, search->keys, search->keys_count, err) == IG_OK &&
        ig_db_next(rows, err)) {
        search->found = true;
        rollout_of(&search->rollout, rows, arena, err);
    }
    ig_db_finish(rows);
    return err->code;
}

static const char BY_ID[] = "select " ROLLOUT_COLUMNS " from fleet_rollouts where id = $1";
static const char OPEN[] = "select " ROLLOUT_COLUMNS " from fleet_rollouts where group_name = $1"
                           " and state in ('running', 'paused') order by id desc limit 1";
static const char DONE[] = "select " ROLLOUT_COLUMNS " from fleet_rollouts where group_name = $1"
                           " and state = 'done' order by counter desc limit 1";
static const char OF_COUNTER[] = "select " ROLLOUT_COLUMNS " from fleet_rollouts"
                                 " where group_name = $1 and counter = $2 order by id desc limit 1";

static struct search search_for(const char *sql, struct ig_str key)
{
    return (struct search){.sql = sql, .keys = {IG_DB_T(key)}, .keys_count = 1};
}

/* ---- changes ---- */

static enum ig_code set_state(struct ig_db_tx *tx, const struct ig_fleet_rollout *rollout,
                              const char *state, struct ig_str reason, struct ig_err *err)
{
    return ig_db_exec(tx,
                      "update fleet_rollouts set state = $2, reason = $3, changed_ms = $4"
                      " where id = $1",
                      IG_DB_VALUES(IG_DB_T(rollout->id), IG_DB_C(state), IG_DB_T(reason),
                                   IG_DB_I(ig_clock_unix_ms())),
                      err);
}

/* Opens the next wave; behind the last one the rollout is done. */
static enum ig_code advance(struct ig_db_tx *tx, const struct ig_fleet_rollout *rollout,
                            struct ig_err *err)
{
    int64_t now = ig_clock_unix_ms();
    if (rollout->wave >= (int64_t)rollout->plan.waves_count)
        return set_state(tx, rollout, "done", IG_STR(""), err);
    return ig_db_exec(tx,
                      "update fleet_rollouts set wave = wave + 1, wave_ms = $2, changed_ms = $2"
                      " where id = $1",
                      IG_DB_VALUES(IG_DB_T(rollout->id), IG_DB_I(now)), err);
}

struct call {
    const struct ig_principal *who;
    const struct ig_fleet_rollout_spec *spec;
    const struct ig_fleet_action *action;
    struct ig_str id, waves;
    const struct ig_fleet_page *page;
    struct ig_arena *arena;
    struct ig_fleet_rollouts list;
    struct ig_fleet_members members;
};

static enum ig_code may_start(struct ig_fleet_bundle *bundle, struct ig_db_tx *tx,
                              const struct call *call, struct ig_err *err)
{
    struct ig_str group = call->spec->group;
    struct search open = search_for(OPEN, group), done = search_for(DONE, group);
    if (ig_fleet_need_group(tx, group, err) != IG_OK ||
        ig_fleet_find_bundle(bundle, tx, group, bundle, call->arena, err) != IG_OK ||
        search(&open, tx, call->arena, err) != IG_OK ||
        search(&done, tx, call->arena, err) != IG_OK)
        return err->code;
    if (open.found)
        return ig_fail(err, IG_CONFLICT, "rollout %.*s of the group is %.*s: abort it first",
                       IG_STR_ARGS(open.rollout.id), IG_STR_ARGS(open.rollout.state));
    if (done.found && bundle->counter <= done.rollout.counter)
        return ig_fail(err, IG_CONFLICT,
                       "digest: its counter %lld is not above %lld, which was rolled out: devices "
                       "would refuse it as replayed; sign the model again with a greater one",
                       (long long)bundle->counter, (long long)done.rollout.counter);
    if (bundle->expiry_s && bundle->expiry_s < ig_clock_unix_ms() / 1000)
        return ig_fail(err, IG_CONFLICT, "digest: the bundle has expired");
    return IG_OK;
}

static enum ig_code insert_rollout(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    const struct ig_fleet_plan *plan = &call->spec->plan;
    struct ig_fleet_bundle bundle = {.digest = call->spec->digest};
    int64_t now = ig_clock_unix_ms();
    if (may_start(&bundle, tx, call, err) != IG_OK) return err->code;
    if (ig_db_exec(tx,
                   "insert into fleet_rollouts(" ROLLOUT_COLUMNS ") values($1, $2, $3, 'running',"
                   " '', $4, $5, 1, $6, $7, $8, $9, $6, $6)",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->spec->group),
                                IG_DB_T(bundle.digest), IG_DB_I(bundle.counter),
                                IG_DB_T(call->waves), IG_DB_I(now), IG_DB_I(plan->soak_s),
                                IG_DB_F(plan->halt_percent), IG_DB_I(plan->halt_min)),
                   err) != IG_OK)
        return err->code;
    return ig_fleet_audit(tx, call->who, "fleet.rollout.start", call->id, IG_STR(""), err);
}

enum ig_code ig_fleet_rollout_start(char id[IG_ID_SIZE], struct ig_fleet *fleet,
                                    const struct ig_principal *who,
                                    const struct ig_fleet_rollout_spec *spec, struct ig_err *err)
{
    char made[IG_ID_SIZE];
    struct ig_buf waves;
    struct ig_arena arena;
    struct ig_json_out out;
    struct call call = {.who = who, .spec = spec, .arena = &arena};
    if (ig_fleet_plan_check(&spec->plan, err) != IG_OK ||
        ig_blob_check_digest(spec->digest, err) != IG_OK)
        return err->code;
    ig_arena_init(&arena, 16 << 10, 8 << 20);
    ig_buf_init(&waves, WAVES_JSON_MAX);
    ig_json_out_init(&out, &waves);
    ig_fleet_waves_write(&out, &spec->plan);
    ig_id_new(made);
    call.id = ig_str_view(made);
    call.waves = ig_buf_view(&waves);
    if (waves.overflowed)
        ig_fail(err, IG_INVALID, "waves: they are too long");
    else if (ig_db_write(fleet->db, insert_rollout, &call, err) == IG_OK)
        memcpy(id, made, IG_ID_SIZE);
    ig_buf_deinit(&waves);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code act(struct ig_db_tx *tx, const struct call *call,
                        const struct ig_fleet_rollout *rollout, struct ig_err *err)
{
    struct ig_str action = call->action->action, state = rollout->state;
    bool running = ig_str_is(state, "running"), paused = ig_str_is(state, "paused");
    bool halted = ig_str_is(state, "halted");
    struct search open = search_for(OPEN, rollout->group);
    if (ig_str_is(action, "pause") && running)
        return set_state(tx, rollout, "paused", call->action->why, err);
    if (ig_str_is(action, "advance") && running) return advance(tx, rollout, err);
    if (ig_str_is(action, "abort") && (running || paused || halted))
        return set_state(tx, rollout, "aborted", call->action->why, err);
    if (ig_str_is(action, "resume") && (paused || halted)) {
        if (search(&open, tx, call->arena, err) != IG_OK) return err->code;
        if (halted && open.found)
            return ig_fail(err, IG_CONFLICT, "rollout %.*s of the group is open",
                           IG_STR_ARGS(open.rollout.id));
        return set_state(tx, rollout, "running", IG_STR(""), err);
    }
    return ig_fail(err, IG_CONFLICT, "action: the rollout is %.*s, which forbids '%.*s'",
                   IG_STR_ARGS(state), IG_STR_ARGS(action));
}

static enum ig_code do_action(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    struct search own = search_for(BY_ID, call->id);
    char name[48];
    if (search(&own, tx, call->arena, err) != IG_OK) return err->code;
    if (!own.found) return ig_fleet_not_there("rollout", call->id, err);
    if (act(tx, call, &own.rollout, err) != IG_OK) return err->code;
    snprintf(name, sizeof name, "fleet.rollout.%.*s", IG_STR_ARGS(call->action->action));
    return ig_fleet_audit(tx, call->who, name, call->id, call->action->why, err);
}

enum ig_code ig_fleet_rollout_act(struct ig_fleet *fleet, const struct ig_principal *who,
                                  struct ig_str id, const struct ig_fleet_action *action,
                                  struct ig_err *err)
{
    static const char *const ACTIONS[] = {"pause", "resume", "advance", "abort"};
    bool known = false;
    struct ig_arena arena;
    struct call call = {.who = who, .id = id, .action = action, .arena = &arena};
    for (size_t i = 0; i < 4; i++) known |= ig_str_is(action->action, ACTIONS[i]);
    if (!known)
        return ig_fail(err, IG_INVALID, "action: '%.*s', expected pause, resume, advance or abort",
                       action->action.len > 40 ? 40 : (int)action->action.len, action->action.ptr);
    if (action->why.len > 1000 || !ig_str_utf8_valid(action->why))
        return ig_fail(err, IG_INVALID, "why: expected at most 1000 bytes of text");
    ig_arena_init(&arena, 16 << 10, 8 << 20);
    ig_db_write(fleet->db, do_action, &call, err);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- devices ---- */

static enum ig_code count_states(struct ig_fleet_rollout *rollout, struct ig_db_tx *tx,
                                 struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx, "select state, count(*) from fleet_members where rollout = $1 group by state",
        IG_DB_VALUES(IG_DB_T(rollout->id)), err);
    while (code == IG_OK && ig_db_next(rows, err))
        for (int i = 0; i < IG_FLEET_STATES_COUNT; i++)
            if (ig_str_is(ig_db_text(rows, 0), ig_fleet_state_name((enum ig_fleet_state)i)))
                rollout->by_state[i] = ig_db_i64(rows, 1);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code has_failed(bool *out, struct ig_db_tx *tx, struct ig_str rollout,
                               struct ig_str device, struct ig_err *err)
{
    int64_t failed = 0;
    enum ig_code code =
        ig_db_get_i64(&failed, tx,
                      "select count(*) from fleet_members where rollout = $1 and device = $2"
                      " and state in ('reverted', 'refused')",
                      IG_DB_VALUES(IG_DB_T(rollout), IG_DB_T(device)), err);
    *out = failed != 0;
    return code;
}

enum ig_code ig_fleet_due(struct ig_fleet_due *out, struct ig_db_tx *tx,
                          const struct ig_fleet_device *device, struct ig_arena *arena,
                          struct ig_err *err)
{
    struct search open = search_for(OPEN, device->group), done = search_for(DONE, device->group);
    bool failed = false;
    if (search(&open, tx, arena, err) != IG_OK || search(&done, tx, arena, err) != IG_OK)
        return err->code;
    const struct ig_fleet_rollout *due = done.found ? &done.rollout : NULL;
    if (open.found && ig_str_is(open.rollout.state, "running") &&
        ig_fleet_plan_has(&open.rollout.plan, open.rollout.wave, device->id, device->slice)) {
        if (has_failed(&failed, tx, open.rollout.id, device->id, err) != IG_OK) return err->code;
        if (!failed) due = &open.rollout;
    }
    if (!due) return IG_OK;
    if (has_failed(&failed, tx, due->id, device->id, err) != IG_OK || failed) return err->code;
    *out = (struct ig_fleet_due){due->id, due->digest, due->counter};
    return IG_OK;
}

/* Stops a rollout of which too many devices have failed. */
static enum ig_code judge(struct ig_db_tx *tx, struct ig_fleet_rollout *rollout, struct ig_err *err)
{
    char reason[REASON_SIZE];
    if (!ig_str_is(rollout->state, "running") || count_states(rollout, tx, err) != IG_OK)
        return err->code;
    int64_t confirmed = rollout->by_state[IG_FLEET_CONFIRMED];
    int64_t failed = rollout->by_state[IG_FLEET_REVERTED] + rollout->by_state[IG_FLEET_REFUSED];
    if (!ig_fleet_plan_halts(&rollout->plan, confirmed, failed)) return IG_OK;
    long long ended = confirmed + failed;
    int length = snprintf(reason, sizeof reason,
                          "%lld of %lld devices went back or refused it, more than %g percent",
                          (long long)failed, ended, rollout->plan.halt_percent);
    struct ig_str text = {reason, (size_t)length};
    if (set_state(tx, rollout, "halted", text, err) != IG_OK) return err->code;
    return ig_fleet_audit(tx, &IG_FLEET_ITSELF, "fleet.rollout.halt", rollout->id, text, err);
}

enum ig_code ig_fleet_rollout_tell(struct ig_db_tx *tx, const struct ig_fleet_device *device,
                                   const struct ig_fleet_report *report, struct ig_arena *arena,
                                   struct ig_err *err)
{
    struct search of = {.sql = OF_COUNTER,
                        .keys = {IG_DB_T(device->group), IG_DB_I(report->counter)},
                        .keys_count = 2};
    if (search(&of, tx, arena, err) != IG_OK || !of.found) return err->code;
    if (ig_db_exec(tx,
                   "insert into fleet_members(rollout, device, state, word, at_ms)"
                   " values($1, $2, $3, $4, $5) on conflict (rollout, device) do update set"
                   " state = excluded.state, word = excluded.word, at_ms = excluded.at_ms",
                   IG_DB_VALUES(IG_DB_T(of.rollout.id), IG_DB_T(device->id), IG_DB_T(report->state),
                                IG_DB_T(report->word), IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    return judge(tx, &of.rollout, err);
}

enum ig_code ig_fleet_rollout_soak(struct ig_db_tx *tx, struct ig_str group, struct ig_arena *arena,
                                   struct ig_err *err)
{
    struct search open = search_for(OPEN, group);
    if (search(&open, tx, arena, err) != IG_OK || !open.found) return err->code;
    struct ig_fleet_rollout *rollout = &open.rollout;
    if (!ig_str_is(rollout->state, "running") || !rollout->plan.soak_s ||
        ig_clock_unix_ms() - rollout->wave_ms < rollout->plan.soak_s * 1000 ||
        count_states(rollout, tx, err) != IG_OK || !rollout->by_state[IG_FLEET_CONFIRMED])
        return err->code;
    if (advance(tx, rollout, err) != IG_OK) return err->code;
    return ig_fleet_audit(tx, &IG_FLEET_ITSELF, "fleet.rollout.advance", rollout->id, IG_STR(""),
                          err);
}

/* ---- reading ---- */

static enum ig_code read_rollouts(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    struct ig_fleet_rollout *items = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select " ROLLOUT_COLUMNS " from fleet_rollouts where ($1 = '' or id = $1)"
        " and ($2 = '' or group_name = $2) order by id desc limit $3",
        IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->spec->group), IG_DB_I(LIST_MAX)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) ig_fail(err, IG_NO_MEMORY, "list of rollouts");
        if (!items || rollout_of(&items[count++], rows, call->arena, err) != IG_OK) break;
    }
    ig_db_finish(rows);
    for (size_t i = 0; i < count && err->code == IG_OK; i++) count_states(&items[i], tx, err);
    call->list = (struct ig_fleet_rollouts){items, count};
    return err->code;
}

enum ig_code ig_fleet_rollout_list(struct ig_fleet_rollouts *out, struct ig_fleet *fleet,
                                   struct ig_str group, struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_fleet_rollout_spec spec = {.group = group};
    struct call call = {.id = IG_STR(""), .spec = &spec, .arena = arena};
    if (ig_db_read(fleet->db, read_rollouts, &call, err) == IG_OK) *out = call.list;
    return err->code;
}

enum ig_code ig_fleet_rollout_get(struct ig_fleet_rollout *out, struct ig_fleet *fleet,
                                  struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_fleet_rollout_spec spec = {.group = IG_STR("")};
    struct call call = {.id = id, .spec = &spec, .arena = arena};
    if (!id.len) return ig_fleet_not_there("rollout", id, err);
    if (ig_db_read(fleet->db, read_rollouts, &call, err) != IG_OK) return err->code;
    if (!call.list.count) return ig_fleet_not_there("rollout", id, err);
    *out = call.list.items[0];
    return IG_OK;
}

static enum ig_code read_members(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct search own = search_for(BY_ID, call->id);
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    struct ig_fleet_member *items = NULL;
    if (search(&own, tx, call->arena, err) != IG_OK) return err->code;
    if (!own.found) return ig_fleet_not_there("rollout", call->id, err);
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select device, state, word, at_ms from fleet_members where rollout = $1 and device > $2"
        " order by device limit $3",
        IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->page->after),
                     IG_DB_I((int64_t)ig_fleet_limit(call->page))),
        err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_fleet_member){
            .device = ig_db_text_dup(rows, 0, call->arena),
            .state = ig_db_text_dup(rows, 1, call->arena),
            .word = ig_db_text_dup(rows, 2, call->arena),
            .at_ms = ig_db_i64(rows, 3),
        };
    }
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "devices of a rollout");
    call->members = (struct ig_fleet_members){items, count};
    return err->code;
}

enum ig_code ig_fleet_rollout_members(struct ig_fleet_members *out, struct ig_fleet *fleet,
                                      struct ig_str id, const struct ig_fleet_page *page,
                                      struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.id = id, .page = page, .arena = arena};
    if (ig_db_read(fleet->db, read_members, &call, err) == IG_OK) *out = call.members;
    return err->code;
}
