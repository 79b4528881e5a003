/* SPDX-License-Identifier: Apache-2.0 */
/* What devices ask and say: check-ins, reports, downloads. */
#include "services/fleet/fleet_priv.h"

#include "base/clock.h"

static const char *const WORDS[] = {
#define IG_FLEET_WORD(word, doc) word,
#include "services/fleet/fleet_words.def"
#undef IG_FLEET_WORD
};

struct call {
    const struct ig_fleet_device *device;
    const struct ig_fleet_check *check;
    const struct ig_fleet_report *report;
    struct ig_arena *arena;
    struct ig_fleet_offer offer;
    bool has_base; /* what the device runs is of its group */
    bool newest;   /* it trusts the group's key, or will with those that it is told */
};

/* ---- check-in ---- */

static enum ig_code see(struct ig_db_tx *tx, const struct call *call, struct ig_err *err)
{
    const struct ig_fleet_check *check = call->check;
    return ig_db_exec(tx,
                      "update fleet_devices set seen_ms = $2, counter = $3, trial = $4,"
                      " digest = $5, agent = $6 where id = $1",
                      IG_DB_VALUES(IG_DB_T(call->device->id), IG_DB_I(ig_clock_unix_ms()),
                                   IG_DB_I(check->counter), IG_DB_I(check->trial),
                                   IG_DB_T(check->digest), IG_DB_T(check->agent)),
                      err);
}

/* Whether the device is at the group's newest key, once it has taken those that it is told; a
 * device whose key never was the group's is offered what there is, and tells that it refuses. */
static enum ig_code find_keys(struct ig_db_tx *tx, struct call *call, struct ig_err *err)
{
    struct ig_str group = call->device->group, key = call->check->key;
    char own[IG_FLEET_KEY_SIZE];
    struct ig_db_rows *rows = NULL;
    if (!key.len ||
        ig_fleet_find_keys(&call->offer.keys, tx, group, key, call->arena, err) != IG_OK)
        return err->code;
    call->newest = call->offer.keys.count > 0;
    if (call->newest ||
        ig_db_query(&rows, tx, "select public_key from fleet_groups where name = $1",
                    IG_DB_VALUES(IG_DB_T(group)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err) && ig_fleet_key_number(own, ig_db_text(rows, 0), err) == IG_OK)
        call->newest = ig_str_is(key, own);
    ig_db_finish(rows);
    return err->code;
}

/* Whether a device at the newest key would refuse it, as one that an older key has signed. */
static bool outdated(struct ig_db_tx *tx, const struct call *call, struct ig_err *err)
{
    char signer[IG_FLEET_KEY_SIZE];
    int64_t older = 0;
    if (call->newest && ig_fleet_signer_number(signer, call->offer.bundle.signature, err) == IG_OK)
        ig_db_get_i64(&older, tx,
                      "select count(*) from fleet_keys where group_name = $1 and old_key = $2",
                      IG_DB_VALUES(IG_DB_T(call->device->group), IG_DB_C(signer)), err);
    return older > 0;
}

static enum ig_code offer(struct ig_db_tx *tx, struct call *call, const struct ig_fleet_due *due,
                          struct ig_err *err)
{
    struct ig_str group = call->device->group;
    const struct ig_fleet_bundle key = {.digest = due->digest};
    int64_t known = 0;
    if (ig_fleet_find_bundle(&call->offer.bundle, tx, group, &key, call->arena, err) != IG_OK ||
        ig_db_get_i64(&known, tx,
                      "select count(*) from fleet_bundles where group_name = $1 and digest = $2",
                      IG_DB_VALUES(IG_DB_T(group), IG_DB_T(call->check->digest)), err) != IG_OK)
        return err->code;
    if (call->offer.bundle.expiry_s && call->offer.bundle.expiry_s < ig_clock_unix_ms() / 1000)
        return IG_OK; /* devices would refuse it */
    if (outdated(tx, call, err) || err->code != IG_OK) return err->code;
    call->offer.update = true;
    call->has_base = known != 0;
    return ig_db_exec(
        tx,
        "insert into fleet_members(rollout, device, state, word, at_ms)"
        " values($1, $2, 'offered', '', $3) on conflict (rollout, device) do nothing",
        IG_DB_VALUES(IG_DB_T(due->rollout), IG_DB_T(call->device->id), IG_DB_I(ig_clock_unix_ms())),
        err);
}

static enum ig_code check_in(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    const struct ig_fleet_check *check = call->check;
    struct ig_fleet_due due = {.counter = 0};
    if (see(tx, call, err) != IG_OK || find_keys(tx, call, err) != IG_OK ||
        ig_fleet_rollout_soak(tx, call->device->group, call->arena, err) != IG_OK ||
        ig_fleet_due(&due, tx, call->device, call->arena, err) != IG_OK)
        return err->code;
    if (due.counter <= check->counter || due.counter <= check->trial) return IG_OK;
    return offer(tx, call, &due, err);
}

static enum ig_code check_check(const struct ig_fleet_check *check, struct ig_err *err)
{
    if (check->counter < 0 || check->trial < 0)
        return ig_fail(err, IG_INVALID, "counter: expected numbers from 0");
    if (check->agent.len > IG_FLEET_AGENT_MAX || !ig_str_utf8_valid(check->agent))
        return ig_fail(err, IG_INVALID, "agent: expected at most %d bytes of text",
                       IG_FLEET_AGENT_MAX);
    if (check->key.len && check->key.len != IG_FLEET_KEY_SIZE - 1)
        return ig_fail(err, IG_INVALID, "key: expected its number, %d digits in hex",
                       IG_FLEET_KEY_SIZE - 1);
    return check->digest.len ? ig_blob_check_digest(check->digest, err) : IG_OK;
}

enum ig_code ig_fleet_check_in(struct ig_fleet_offer *out, struct ig_fleet *fleet,
                               const struct ig_fleet_device *device,
                               const struct ig_fleet_check *check, struct ig_arena *arena,
                               struct ig_err *err)
{
    struct call call = {.device = device, .check = check, .arena = arena};
    char digest[IG_SHA256_HEX];
    if (check_check(check, err) != IG_OK || ig_db_write(fleet->db, check_in, &call, err) != IG_OK)
        return err->code;
    struct ig_fleet_offer *made = &call.offer;
    made->telemetry_seq = device->telemetry_seq;
    if (made->update && call.has_base &&
        ig_fleet_delta(digest, &made->delta_bytes, fleet, check->digest, made->bundle.digest,
                       err) != IG_OK)
        return err->code;
    made->delta = made->delta_bytes > 0;
    *out = *made;
    return IG_OK;
}

/* ---- reports ---- */

/* Remembers it as the device's latest; *changed: it is not what it said last. */
static enum ig_code remember(bool *changed, struct ig_db_tx *tx, const struct call *call,
                             struct ig_err *err)
{
    const struct ig_fleet_report *report = call->report;
    struct ig_str id = call->device->id;
    int64_t same = 0, now = ig_clock_unix_ms();
    if (ig_db_get_i64(&same, tx,
                      "select count(*) from fleet_events e join fleet_devices d on d.id = e.device"
                      " where d.id = $1 and e.seq = d.events and e.counter = $2 and e.state = $3"
                      " and e.word = $4",
                      IG_DB_VALUES(IG_DB_T(id), IG_DB_I(report->counter), IG_DB_T(report->state),
                                   IG_DB_T(report->word)),
                      err) != IG_OK ||
        ig_db_exec(
            tx, "update fleet_devices set seen_ms = $2, state = $3, word = $4 where id = $1",
            IG_DB_VALUES(IG_DB_T(id), IG_DB_I(now), IG_DB_T(report->state), IG_DB_T(report->word)),
            err) != IG_OK)
        return err->code;
    *changed = !same;
    if (same) return IG_OK;
    if (ig_db_exec(tx, "update fleet_devices set events = events + 1 where id = $1",
                   IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into fleet_events(device, seq, at_ms, counter, state, word)"
                   " select d.id, d.events, $2, $3, $4, $5 from fleet_devices d where d.id = $1",
                   IG_DB_VALUES(IG_DB_T(id), IG_DB_I(now), IG_DB_I(report->counter),
                                IG_DB_T(report->state), IG_DB_T(report->word)),
                   err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "delete from fleet_events where device = $1 and seq <="
                      " (select events from fleet_devices where id = $1) - $2",
                      IG_DB_VALUES(IG_DB_T(id), IG_DB_I(IG_FLEET_EVENTS_MAX)), err);
}

static enum ig_code take_report(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct call *call = context;
    const struct ig_fleet_report *report = call->report;
    bool changed = false;
    if (remember(&changed, tx, call, err) != IG_OK || !changed) return err->code;
    if (ig_str_is(report->state, "confirmed") &&
        ig_db_exec(tx,
                   "update fleet_devices set counter = $2, trial = 0, digest = coalesce("
                   "(select b.digest from fleet_bundles b where b.group_name = $3"
                   " and b.counter = $2), digest) where id = $1",
                   IG_DB_VALUES(IG_DB_T(call->device->id), IG_DB_I(report->counter),
                                IG_DB_T(call->device->group)),
                   err) != IG_OK)
        return err->code;
    return ig_fleet_rollout_tell(tx, call->device, report, call->arena, err);
}

static enum ig_code check_report(const struct ig_fleet_report *report, struct ig_err *err)
{
    bool state = false, word = report->word.len == 0;
    for (int i = IG_FLEET_OFFERED + 1; i < IG_FLEET_STATES_COUNT; i++)
        state |= ig_str_is(report->state, ig_fleet_state_name((enum ig_fleet_state)i));
    for (size_t i = 0; i < sizeof WORDS / sizeof WORDS[0]; i++)
        word |= ig_str_is(report->word, WORDS[i]);
    if (!state)
        return ig_fail(err, IG_INVALID,
                       "state: '%.*s', expected installed, trial, confirmed, reverted or refused",
                       report->state.len > 40 ? 40 : (int)report->state.len, report->state.ptr);
    if (!word)
        return ig_fail(err, IG_INVALID, "word: '%.*s' is no reason that is known (docs/fleet.md)",
                       report->word.len > 40 ? 40 : (int)report->word.len, report->word.ptr);
    if (report->counter < 1)
        return ig_fail(err, IG_INVALID, "counter: %lld, expected at least 1",
                       (long long)report->counter);
    return IG_OK;
}

enum ig_code ig_fleet_device_report(struct ig_fleet *fleet, const struct ig_fleet_device *device,
                                    const struct ig_fleet_report *report, struct ig_err *err)
{
    struct ig_arena arena;
    struct call call = {.device = device, .report = report, .arena = &arena};
    if (check_report(report, err) != IG_OK) return err->code;
    ig_arena_init(&arena, 16 << 10, 8 << 20);
    ig_db_write(fleet->db, take_report, &call, err);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- downloads ---- */

enum ig_code ig_fleet_download(char digest[IG_SHA256_HEX], struct ig_fleet *fleet,
                               const struct ig_fleet_device *device, struct ig_str bundle,
                               struct ig_str from, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_fleet_bundle found;
    int64_t size = 1;
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_fleet_bundle_get(&found, fleet, device->group, bundle, &arena, err) == IG_OK) {
        if (!from.len)
            memcpy(digest, found.digest.ptr, IG_SHA256_HEX - 1);
        else if (ig_fleet_bundle_get(&found, fleet, device->group, from, &arena, err) == IG_OK)
            ig_fleet_delta(digest, &size, fleet, from, bundle, err);
        digest[IG_SHA256_HEX - 1] = '\0';
    }
    ig_arena_deinit(&arena);
    if (err->code == IG_OK && !size)
        return ig_fail(err, IG_NOT_FOUND, "from: a delta would save too little: take all of it");
    return err->code;
}
