/* SPDX-License-Identifier: Apache-2.0 */
/* Devices: registration, tokens, lists, history. Of a token the row holds the SHA-256. */
#include "services/fleet/fleet_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "formats/edge/edge_bundle.h"

#include <stdio.h>

enum { SECRET_BYTES = 32, LABELS_JSON_MAX = 16 << 10 };
#define DEVICE_COLUMNS                                                                             \
    "d.id, d.group_name, d.target, d.agent, d.digest, d.state, d.word, d.labels, d.created_ms,"    \
    " d.seen_ms, d.counter, d.trial, d.revoked_ms, d.slice, d.telemetry_seq, d.telemetry_lost,"    \
    " d.drift, d.drift_feature, d.token_sha256"

/* ---- rows ---- */

/* Labels are kept beside their table as one JSON object, by name. */
static void write_labels(struct ig_buf *buf, const struct ig_fleet_device_spec *spec)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    for (size_t i = 0; i < spec->labels_count; i++) {
        ig_json_out_key(&out, spec->labels[i].name);
        ig_json_out_str(&out, spec->labels[i].value);
    }
    ig_json_out_object_end(&out);
}

static enum ig_code read_labels(struct ig_fleet_device *device, struct ig_str text,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    struct ig_fleet_label *labels = NULL;
    size_t cap = 0, count = 0;
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "labels")) return err->code;
    while (ig_json_member(&json)) {
        labels = ig_arena_grow(arena, labels, count, &cap, sizeof *labels);
        if (!labels) return ig_fail(err, IG_NO_MEMORY, "labels");
        labels[count].name = json.text;
        if (!ig_json_string(&json, &labels[count++].value, "labels")) break;
    }
    device->labels = labels;
    device->labels_count = count;
    return err->code;
}

static enum ig_code device_of(struct ig_fleet_device *out, struct ig_db_rows *rows,
                              struct ig_arena *arena, struct ig_err *err)
{
    *out = (struct ig_fleet_device){
        .id = ig_db_text_dup(rows, 0, arena),
        .group = ig_db_text_dup(rows, 1, arena),
        .target = ig_db_text_dup(rows, 2, arena),
        .agent = ig_db_text_dup(rows, 3, arena),
        .digest = ig_db_text_dup(rows, 4, arena),
        .state = ig_db_text_dup(rows, 5, arena),
        .word = ig_db_text_dup(rows, 6, arena),
        .created_ms = ig_db_i64(rows, 8),
        .seen_ms = ig_db_i64(rows, 9),
        .counter = ig_db_i64(rows, 10),
        .trial = ig_db_i64(rows, 11),
        .revoked_ms = ig_db_i64(rows, 12),
        .slice = ig_db_i64(rows, 13),
        .telemetry_seq = ig_db_i64(rows, 14),
        .telemetry_lost = ig_db_i64(rows, 15),
        .drift = ig_db_f64(rows, 16),
        .drift_feature = ig_db_i64(rows, 17),
    };
    struct ig_str labels = ig_db_text_dup(rows, 7, arena);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "a device");
    return read_labels(out, labels, arena, err);
}

struct reading {
    struct ig_str id;
    const struct ig_fleet_filter *filter;
    struct ig_arena *arena;
    struct ig_fleet_device device;
    char token_sha256[IG_SHA256_HEX];
    struct ig_fleet_devices list;
    struct ig_fleet_events events;
};

static enum ig_code read_device(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct reading *reading = context;
    struct ig_db_rows *rows = NULL;
    bool found = false;
    if (ig_db_query(&rows, tx, "select " DEVICE_COLUMNS " from fleet_devices d where d.id = $1",
                    IG_DB_VALUES(IG_DB_T(reading->id)), err) == IG_OK &&
        ig_db_next(rows, err)) {
        found = true;
        snprintf(reading->token_sha256, IG_SHA256_HEX, "%.*s", IG_STR_ARGS(ig_db_text(rows, 18)));
        device_of(&reading->device, rows, reading->arena, err);
    }
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    return found ? IG_OK : ig_fleet_not_there("device", reading->id, err);
}

enum ig_code ig_fleet_device_get(struct ig_fleet_device *out, struct ig_fleet *fleet,
                                 struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct reading reading = {.id = id, .arena = arena};
    if (ig_db_read(fleet->db, read_device, &reading, err) == IG_OK) *out = reading.device;
    return err->code;
}

enum ig_code ig_fleet_device_authenticate(struct ig_fleet_device *out, struct ig_fleet *fleet,
                                          struct ig_str id, struct ig_str token,
                                          struct ig_arena *arena, struct ig_err *err)
{
    struct reading reading = {.id = id, .arena = arena};
    char given[IG_SHA256_HEX];
    ig_sha256_hex(token.ptr, token.len, given);
    if (ig_db_read(fleet->db, read_device, &reading, err) != IG_OK && err->code != IG_NOT_FOUND)
        return err->code;
    bool known = err->code == IG_OK && !reading.device.revoked_ms;
    ig_err_clear(err);
    if (ig_equal_constant_time(given, reading.token_sha256, IG_SHA256_HEX) && known) {
        *out = reading.device;
        return IG_OK;
    }
    return ig_fail(err, IG_UNAUTHENTICATED,
                   "no such device with this token: send 'Authorization: Bearer TOKEN' as "
                   "registration gave it");
}

static enum ig_code read_devices(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct reading *reading = context;
    const struct ig_fleet_filter *filter = reading->filter;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0, max = ig_fleet_limit(&filter->page);
    struct ig_fleet_device *items = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select " DEVICE_COLUMNS " from fleet_devices d"
        " join fleet_groups g on g.name = d.group_name"
        " where d.id > $1 and ($2 = '' or d.group_name = $2) and ($3 = '' or d.state = $3)"
        " and ($4 = '' or exists (select 1 from fleet_labels l where l.device = d.id"
        "  and l.name = $4 and l.value = $5)) and ($6 = 0 or d.drift > g.drift_threshold)"
        " order by d.id limit $7",
        IG_DB_VALUES(IG_DB_T(filter->page.after), IG_DB_T(filter->group), IG_DB_T(filter->state),
                     IG_DB_T(filter->label.name), IG_DB_T(filter->label.value),
                     IG_DB_I(filter->drifting), IG_DB_I((int64_t)max)),
        err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(reading->arena, items, count, &cap, sizeof *items);
        if (!items) ig_fail(err, IG_NO_MEMORY, "list of devices");
        if (!items || device_of(&items[count++], rows, reading->arena, err) != IG_OK) break;
    }
    ig_db_finish(rows);
    reading->list = (struct ig_fleet_devices){items, count};
    return err->code;
}

enum ig_code ig_fleet_device_list(struct ig_fleet_devices *out, struct ig_fleet *fleet,
                                  const struct ig_fleet_filter *filter, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct reading reading = {.filter = filter, .arena = arena};
    if (ig_db_read(fleet->db, read_devices, &reading, err) == IG_OK) *out = reading.list;
    return err->code;
}

static enum ig_code read_events(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct reading *reading = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    struct ig_fleet_event *items = NULL;
    if (read_device(tx, context, err) != IG_OK) return err->code;
    enum ig_code code = ig_db_query(&rows, tx,
                                    "select at_ms, counter, state, word from fleet_events"
                                    " where device = $1 order by seq desc",
                                    IG_DB_VALUES(IG_DB_T(reading->id)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(reading->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_fleet_event){
            .at_ms = ig_db_i64(rows, 0),
            .counter = ig_db_i64(rows, 1),
            .state = ig_db_text_dup(rows, 2, reading->arena),
            .word = ig_db_text_dup(rows, 3, reading->arena),
        };
    }
    ig_db_finish(rows);
    if (reading->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "history of a device");
    reading->events = (struct ig_fleet_events){items, count};
    return err->code;
}

enum ig_code ig_fleet_device_history(struct ig_fleet_events *out, struct ig_fleet *fleet,
                                     struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct reading reading = {.id = id, .arena = arena};
    if (ig_db_read(fleet->db, read_events, &reading, err) == IG_OK) *out = reading.events;
    return err->code;
}

/* ---- changes ---- */

struct change {
    const struct ig_principal *who;
    const struct ig_fleet_device_spec *spec;
    struct ig_str id, labels;
    char token_sha256[IG_SHA256_HEX];
};

static void make_token(struct ig_fleet_registered *out, struct change *change)
{
    unsigned char secret[SECRET_BYTES];
    char hex[2 * SECRET_BYTES + 1];
    ig_random_bytes(secret, sizeof secret);
    ig_hex(hex, secret, sizeof secret);
    snprintf(out->token, sizeof out->token, "igd_%s", hex);
    snprintf(out->id, sizeof out->id, "%.*s", IG_STR_ARGS(change->id));
    ig_sha256_hex(out->token, strlen(out->token), change->token_sha256);
}

static enum ig_code check_place(struct ig_str *target, struct ig_db_tx *tx,
                                const struct ig_fleet_device_spec *spec, struct ig_err *err)
{
    int64_t count = 0;
    struct ig_db_rows *rows = NULL;
    *target = spec->target;
    if (ig_fleet_need_group(tx, spec->group, err) != IG_OK ||
        ig_db_get_i64(&count, tx, "select count(*) from fleet_devices where group_name = $1",
                      IG_DB_VALUES(IG_DB_T(spec->group)), err) != IG_OK)
        return err->code;
    if (count >= IG_FLEET_DEVICES_MAX)
        return ig_fail(err, IG_EXHAUSTED, "group '%.*s' has %d devices already",
                       IG_STR_ARGS(spec->group), IG_FLEET_DEVICES_MAX);
    if (ig_db_query(&rows, tx,
                    "select 1 from fleet_groups where name = $1 and target not in ('', $2)",
                    IG_DB_VALUES(IG_DB_T(spec->group), IG_DB_T(spec->target)), err) == IG_OK &&
        ig_db_next(rows, err) && spec->target.len)
        ig_fail(err, IG_INVALID, "target: '%.*s' is not that of the group",
                IG_STR_ARGS(spec->target));
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code insert_labels(struct ig_db_tx *tx, const struct change *change,
                                  struct ig_err *err)
{
    for (size_t i = 0; i < change->spec->labels_count && err->code == IG_OK; i++)
        ig_db_exec(tx, "insert into fleet_labels(device, name, value) values($1, $2, $3)",
                   IG_DB_VALUES(IG_DB_T(change->id), IG_DB_T(change->spec->labels[i].name),
                                IG_DB_T(change->spec->labels[i].value)),
                   err);
    return err->code;
}

static enum ig_code insert_device(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    const struct ig_fleet_device_spec *spec = change->spec;
    struct ig_str target;
    if (check_place(&target, tx, spec, err) != IG_OK) return err->code;
    if (ig_db_exec(tx,
                   "insert into fleet_devices(id, group_name, target, labels, token_sha256, slice,"
                   " agent, digest, counter, trial, state, word, created_ms, seen_ms, revoked_ms,"
                   " events, telemetry_seq, telemetry_lost, drift, drift_feature)"
                   " select $1, g.name, case when $3 = '' then g.target else $3 end, $4, $5, $6,"
                   " '', '', 0, 0, '', '', $7, 0, 0, 0, 0, 0, -1.0, -1 from fleet_groups g"
                   " where g.name = $2 on conflict (id) do nothing",
                   IG_DB_VALUES(IG_DB_T(change->id), IG_DB_T(spec->group), IG_DB_T(target),
                                IG_DB_T(change->labels), IG_DB_C(change->token_sha256),
                                IG_DB_I(ig_fleet_slice(change->id)), IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx))
        return ig_fail(err, IG_EXISTS, "device '%.*s' exists already", IG_STR_ARGS(change->id));
    if (insert_labels(tx, change, err) != IG_OK) return err->code;
    return ig_fleet_audit(tx, change->who, "fleet.device.register", change->id, IG_STR(""), err);
}

static enum ig_code check_labels(const struct ig_fleet_device_spec *spec, struct ig_err *err)
{
    if (spec->labels_count > IG_FLEET_LABELS_MAX)
        return ig_fail(err, IG_INVALID, "labels: %zu of them, expected at most %d",
                       spec->labels_count, IG_FLEET_LABELS_MAX);
    for (size_t i = 0; i < spec->labels_count; i++) {
        const struct ig_fleet_label *label = &spec->labels[i];
        if (!label->name.len || label->name.len > IG_FLEET_LABEL_MAX ||
            label->value.len > IG_FLEET_LABEL_MAX || memchr(label->name.ptr, '=', label->name.len))
            return ig_fail(err, IG_INVALID,
                           "labels: expected names without '=' and values of at most %d bytes",
                           IG_FLEET_LABEL_MAX);
        for (size_t j = 0; j < i; j++)
            if (ig_str_eq(spec->labels[j].name, label->name))
                return ig_fail(err, IG_INVALID, "labels: '%.*s' is given twice",
                               IG_STR_ARGS(label->name));
    }
    return IG_OK;
}

enum ig_code ig_fleet_device_register(struct ig_fleet_registered *out, struct ig_fleet *fleet,
                                      const struct ig_principal *who,
                                      const struct ig_fleet_device_spec *spec, struct ig_err *err)
{
    char id[IG_ID_SIZE];
    struct ig_buf labels;
    struct ig_fleet_registered made;
    struct change change = {.who = who, .spec = spec, .id = spec->id};
    ig_id_new(id);
    if (!spec->id.len) change.id = ig_str_view(id);
    if (ig_name_check(change.id, "device", err) != IG_OK || check_labels(spec, err) != IG_OK)
        return err->code;
    if (spec->target.len > IG_EDGE_TARGET_MAX)
        return ig_fail(err, IG_INVALID, "target: expected at most %d bytes", IG_EDGE_TARGET_MAX);
    ig_buf_init(&labels, LABELS_JSON_MAX);
    write_labels(&labels, spec);
    change.labels = ig_buf_view(&labels);
    make_token(&made, &change);
    if (labels.overflowed)
        ig_fail(err, IG_NO_MEMORY, "labels");
    else if (ig_db_write(fleet->db, insert_device, &change, err) == IG_OK)
        *out = made;
    ig_buf_deinit(&labels);
    return err->code;
}

static enum ig_code set_token(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    if (ig_db_exec(tx, "update fleet_devices set token_sha256 = $2, revoked_ms = 0 where id = $1",
                   IG_DB_VALUES(IG_DB_T(change->id), IG_DB_C(change->token_sha256)), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return ig_fleet_not_there("device", change->id, err);
    return ig_fleet_audit(tx, change->who, "fleet.device.token", change->id, IG_STR(""), err);
}

enum ig_code ig_fleet_device_renew(struct ig_fleet_registered *out, struct ig_fleet *fleet,
                                   const struct ig_principal *who, struct ig_str id,
                                   struct ig_err *err)
{
    struct change change = {.who = who, .id = id};
    struct ig_fleet_registered made;
    if (ig_name_check(id, "device", err) != IG_OK) return err->code;
    make_token(&made, &change);
    if (ig_db_write(fleet->db, set_token, &change, err) == IG_OK) *out = made;
    return err->code;
}

static enum ig_code revoke_device(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct change *change = context;
    if (ig_db_exec(tx, "update fleet_devices set revoked_ms = $2 where id = $1",
                   IG_DB_VALUES(IG_DB_T(change->id), IG_DB_I(ig_clock_unix_ms())), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return ig_fleet_not_there("device", change->id, err);
    return ig_fleet_audit(tx, change->who, "fleet.device.revoke", change->id, IG_STR(""), err);
}

enum ig_code ig_fleet_device_revoke(struct ig_fleet *fleet, const struct ig_principal *who,
                                    struct ig_str id, struct ig_err *err)
{
    struct change change = {.who = who, .id = id};
    return ig_db_write(fleet->db, revoke_device, &change, err);
}

static enum ig_code delete_device(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const char *const STATEMENTS[] = {
        "delete from fleet_labels where device = $1",
        "delete from fleet_events where device = $1",
        "delete from fleet_members where device = $1",
        "delete from fleet_sketches where device = $1",
        "delete from fleet_devices where id = $1",
    };
    const struct change *change = context;
    for (size_t i = 0; i < sizeof STATEMENTS / sizeof STATEMENTS[0]; i++)
        if (ig_db_exec(tx, STATEMENTS[i], IG_DB_VALUES(IG_DB_T(change->id)), err) != IG_OK)
            return err->code;
    if (!ig_db_changes(tx)) return ig_fleet_not_there("device", change->id, err);
    return ig_fleet_audit(tx, change->who, "fleet.device.delete", change->id, IG_STR(""), err);
}

enum ig_code ig_fleet_device_delete(struct ig_fleet *fleet, const struct ig_principal *who,
                                    struct ig_str id, struct ig_err *err)
{
    struct change change = {.who = who, .id = id};
    if (!id.len) return ig_fleet_not_there("device", id, err);
    return ig_db_write(fleet->db, delete_device, &change, err);
}

/* ---- counts ---- */

static enum ig_code read_counts(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    static const int64_t HOUR_MS = 3600 * 1000;
    struct ig_fleet_counts *counts = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select d.state, count(*), sum(case when d.seen_ms >= $1 then 1 else 0 end),"
                    " sum(case when d.drift > g.drift_threshold then 1 else 0 end)"
                    " from fleet_devices d join fleet_groups g on g.name = d.group_name"
                    " group by d.state",
                    IG_DB_VALUES(IG_DB_I(ig_clock_unix_ms() - HOUR_MS)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        int state = 0;
        struct ig_str name = ig_db_text(rows, 0);
        while (state < IG_FLEET_STATES_COUNT &&
               !ig_str_is(name, ig_fleet_state_name((enum ig_fleet_state)state)))
            state++;
        counts->by_state[state] += ig_db_i64(rows, 1);
        counts->devices += ig_db_i64(rows, 1);
        counts->seen_last_hour += ig_db_i64(rows, 2);
        counts->drifting += ig_db_i64(rows, 3);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_fleet_count(struct ig_fleet_counts *out, struct ig_fleet *fleet, struct ig_err *err)
{
    *out = (struct ig_fleet_counts){0};
    return ig_db_read(fleet->db, read_counts, out, err);
}
