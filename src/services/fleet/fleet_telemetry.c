/* SPDX-License-Identifier: Apache-2.0 */
/* Sketches in rows. Beside those of devices there are two kinds of rows whose `device` is no name a
 * device may have: "group:NAME" sums all devices up, "baseline:NAME" is what a bundle came with;
 * their day is 0.
 *
 * A device's records are numbered; the greatest number that is here is kept with the device in the
 * transaction that counts the record, so a record counts once however often it is sent. */
#include "services/fleet/fleet_telemetry.h"

#include "base/clock.h"
#include "formats/edge/edge_telemetry.h"
#include "services/fleet/fleet_priv.h"

#include <math.h>
#include <stdio.h>

enum {
    TEXT_SIZE = 256,
    OWNER_SIZE = IG_NAME_SIZE + 16,
    DAY_MS = 86400 * 1000,
    FEATURES_MAX = 4096
};
#define SKETCH_COLUMNS "row_count, missing, low, high, edges, counts"

/* Whose sketches, of which bundle. */
struct place {
    struct ig_str group, owner;
    int64_t counter, day;
};

static struct ig_str owner_of(char text[OWNER_SIZE], const char *kind, struct ig_str group)
{
    int length = snprintf(text, OWNER_SIZE, "%s:%.*s", kind, IG_STR_ARGS(group));
    return (struct ig_str){text, (size_t)length};
}

static int64_t feature_of(const struct ig_edge_sketch *sketch)
{
    return sketch->feature == IG_EDGE_SKETCH_SCORE ? -1 : (int64_t)sketch->feature;
}

/* ---- rows ---- */

/* Numbers between spaces; how many there were. */
static size_t read_numbers(int64_t *out, size_t max, struct ig_str text)
{
    size_t count = 0;
    while (text.len && count < max)
        if (!ig_str_to_i64(ig_str_cut(&text, ' '), &out[count++])) return 0;
    return count;
}

static bool sketch_of(struct ig_edge_sketch *out, struct ig_db_rows *rows, int first)
{
    int64_t edges[IG_EDGE_SKETCH_EDGES_MAX], counts[IG_EDGE_SKETCH_EDGES_MAX + 1];
    *out = (struct ig_edge_sketch){.rows = (uint64_t)ig_db_i64(rows, first),
                                   .missing = (uint64_t)ig_db_i64(rows, first + 1),
                                   .low = INT32_MAX,
                                   .high = INT32_MIN};
    size_t edges_count = read_numbers(edges, IG_EDGE_SKETCH_EDGES_MAX, ig_db_text(rows, first + 4));
    size_t count = read_numbers(counts, IG_EDGE_SKETCH_EDGES_MAX + 1, ig_db_text(rows, first + 5));
    if (count != edges_count + 1) return false;
    out->edges_count = (uint32_t)edges_count;
    for (size_t i = 0; i < edges_count; i++) out->edges[i] = (int32_t)edges[i];
    for (size_t i = 0; i < count; i++) out->counts[i] = (uint64_t)counts[i];
    return true;
}

static struct ig_str write_numbers(char text[TEXT_SIZE], const struct ig_edge_sketch *sketch,
                                   bool edges)
{
    size_t length = 0, count = sketch->edges_count + !edges;
    for (size_t i = 0; i < count; i++)
        length +=
            (size_t)snprintf(text + length, TEXT_SIZE - length, "%s%lld", i ? " " : "",
                             edges ? (long long)sketch->edges[i] : (long long)sketch->counts[i]);
    return (struct ig_str){text, length};
}

struct kept {
    struct ig_edge_sketch sketch;
    bool found, has_values;
    double low, high;
};

static enum ig_code read_kept(struct kept *out, struct ig_db_tx *tx, const struct place *place,
                              int64_t feature, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    *out = (struct kept){.found = false};
    if (ig_db_query(&rows, tx,
                    "select " SKETCH_COLUMNS " from fleet_sketches where device = $1"
                    " and counter = $2 and day = $3 and feature = $4",
                    IG_DB_VALUES(IG_DB_T(place->owner), IG_DB_I(place->counter),
                                 IG_DB_I(place->day), IG_DB_I(feature)),
                    err) == IG_OK &&
        ig_db_next(rows, err) && sketch_of(&out->sketch, rows, 0)) {
        out->found = true;
        out->has_values = !ig_db_is_null(rows, 2);
        out->low = ig_db_f64(rows, 2);
        out->high = ig_db_f64(rows, 3);
    }
    ig_db_finish(rows);
    return err->code;
}

static bool same_edges(const struct ig_edge_sketch *a, const struct ig_edge_sketch *b)
{
    return a->edges_count == b->edges_count &&
           memcmp(a->edges, b->edges, a->edges_count * sizeof a->edges[0]) == 0;
}

/* What is there already is added to; over other edges it is replaced. */
static enum ig_code add_sketch(struct ig_db_tx *tx, const struct place *place,
                               const struct ig_edge_sketch *sketch, struct ig_err *err)
{
    char edges[TEXT_SIZE], counts[TEXT_SIZE];
    struct kept kept;
    struct ig_edge_sketch sum = *sketch;
    bool has_values = sketch->low <= sketch->high;
    double low = has_values ? ig_edge_sketch_value(sketch, sketch->low) : 0;
    double high = has_values ? ig_edge_sketch_value(sketch, sketch->high) : 0;
    int64_t feature = feature_of(sketch);
    if (read_kept(&kept, tx, place, feature, err) != IG_OK) return err->code;
    if (kept.found && same_edges(&kept.sketch, sketch)) {
        sum.rows += kept.sketch.rows;
        sum.missing += kept.sketch.missing;
        for (uint32_t i = 0; i <= sum.edges_count; i++) sum.counts[i] += kept.sketch.counts[i];
        if (kept.has_values && (!has_values || kept.low < low)) low = kept.low;
        if (kept.has_values && (!has_values || kept.high > high)) high = kept.high;
        has_values |= kept.has_values;
    }
    has_values = has_values && isfinite(low) && isfinite(high);
    return ig_db_exec(
        tx,
        "insert into fleet_sketches(group_name, device, counter, day, feature, " SKETCH_COLUMNS
        ") values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
        " on conflict (device, counter, day, feature) do update set"
        " row_count = excluded.row_count, missing = excluded.missing, low = excluded.low,"
        " high = excluded.high, edges = excluded.edges, counts = excluded.counts",
        IG_DB_VALUES(IG_DB_T(place->group), IG_DB_T(place->owner), IG_DB_I(place->counter),
                     IG_DB_I(place->day), IG_DB_I(feature), IG_DB_I((int64_t)sum.rows),
                     IG_DB_I((int64_t)sum.missing), has_values ? IG_DB_F(low) : IG_DB_N(),
                     has_values ? IG_DB_F(high) : IG_DB_N(),
                     IG_DB_T(write_numbers(edges, &sum, true)),
                     IG_DB_T(write_numbers(counts, &sum, false))),
        err);
}

/* ---- drift ---- */

struct sums {
    struct ig_edge_sketch *items; /* by feature + 1 */
    bool *known;
};

/* Sums of a bundle's sketches of one owner over all days. */
static enum ig_code read_sums(struct sums *out, struct ig_db_tx *tx, const struct place *place,
                              struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    out->items = ig_arena_array(arena, FEATURES_MAX + 1, sizeof *out->items);
    out->known = ig_arena_array(arena, FEATURES_MAX + 1, sizeof *out->known);
    if (!out->items || !out->known) return ig_fail(err, IG_NO_MEMORY, "drift of a device");
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select feature, " SKETCH_COLUMNS " from fleet_sketches"
                    " where device = $1 and counter = $2",
                    IG_DB_VALUES(IG_DB_T(place->owner), IG_DB_I(place->counter)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        struct ig_edge_sketch sketch;
        int64_t at = ig_db_i64(rows, 0) + 1;
        if (at < 0 || at > FEATURES_MAX || !sketch_of(&sketch, rows, 1)) continue;
        struct ig_edge_sketch *sum = &out->items[at];
        if (!out->known[at] || !same_edges(sum, &sketch)) {
            *sum = sketch;
            out->known[at] = true;
            continue;
        }
        sum->rows += sketch.rows;
        sum->missing += sketch.missing;
        for (uint32_t i = 0; i <= sum->edges_count; i++) sum->counts[i] += sketch.counts[i];
    }
    ig_db_finish(rows);
    return err->code;
}

static void subtract(struct ig_edge_sketch *sum, const struct ig_edge_sketch *own)
{
    if (!same_edges(sum, own) || own->rows > sum->rows || own->missing > sum->missing) return;
    sum->rows -= own->rows;
    sum->missing -= own->missing;
    for (uint32_t i = 0; i <= sum->edges_count; i++)
        sum->counts[i] -= own->counts[i] < sum->counts[i] ? own->counts[i] : sum->counts[i];
}

/* What the device is compared with. */
static enum ig_code read_expected(struct sums *out, bool *baseline, struct ig_db_tx *tx,
                                  const struct place *device, struct ig_arena *arena,
                                  struct ig_err *err)
{
    char text[OWNER_SIZE];
    struct place place = *device;
    struct sums own = {NULL, NULL};
    int64_t there = 0;
    place.owner = owner_of(text, "baseline", device->group);
    if (ig_db_get_i64(&there, tx,
                      "select count(*) from fleet_sketches where device = $1 and counter = $2",
                      IG_DB_VALUES(IG_DB_T(place.owner), IG_DB_I(place.counter)), err) != IG_OK)
        return err->code;
    *baseline = there != 0;
    if (*baseline) return read_sums(out, tx, &place, arena, err);
    place.owner = owner_of(text, "group", device->group);
    if (read_sums(out, tx, &place, arena, err) != IG_OK ||
        read_sums(&own, tx, device, arena, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i <= FEATURES_MAX; i++)
        if (out->known[i] && own.known[i]) subtract(&out->items[i], &own.items[i]);
    return IG_OK;
}

static double index_of(const struct ig_edge_sketch *expected, bool known,
                       const struct ig_edge_sketch *actual)
{
    if (!known || expected->rows < IG_FLEET_DRIFT_ROWS || actual->rows < IG_FLEET_DRIFT_ROWS)
        return (double)NAN;
    return ig_edge_sketch_psi(expected, actual);
}

static enum ig_code read_parts(struct ig_fleet_drift *out, struct ig_db_tx *tx,
                               const struct place *place, const struct sums *expected,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_fleet_drift_part *parts = NULL;
    size_t count = 0, cap = 0;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select feature, " SKETCH_COLUMNS " from fleet_sketches where device = $1 and counter = $2"
        " and day = $3 order by case when feature < 0 then 1 else 0 end, feature",
        IG_DB_VALUES(IG_DB_T(place->owner), IG_DB_I(place->counter), IG_DB_I(place->day)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        struct ig_edge_sketch sketch;
        int64_t feature = ig_db_i64(rows, 0);
        if (feature < -1 || feature >= FEATURES_MAX || !sketch_of(&sketch, rows, 1)) continue;
        parts = ig_arena_grow(arena, parts, count, &cap, sizeof *parts);
        if (!parts) break;
        bool values = !ig_db_is_null(rows, 3);
        parts[count] =
            (struct ig_fleet_drift_part){.feature = feature,
                                         .rows = (int64_t)sketch.rows,
                                         .missing = (int64_t)sketch.missing,
                                         .low = values ? ig_db_f64(rows, 3) : (double)NAN,
                                         .high = values ? ig_db_f64(rows, 4) : (double)NAN,
                                         .index = index_of(&expected->items[feature + 1],
                                                           expected->known[feature + 1], &sketch)};
        out->index = fmax(out->index, parts[count++].index);
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "drift of a device");
    out->parts = parts;
    out->count = count;
    return err->code;
}

/* Of one day of one bundle. */
static enum ig_code read_drift(struct ig_fleet_drift *out, struct ig_db_tx *tx,
                               const struct place *place, struct ig_arena *arena,
                               struct ig_err *err)
{
    struct sums expected = {NULL, NULL};
    *out = (struct ig_fleet_drift){.counter = place->counter, .day = place->day, .index = -1};
    if (read_expected(&expected, &out->baseline, tx, place, arena, err) != IG_OK ||
        !expected.items || !expected.known)
        return err->code;
    return read_parts(out, tx, place, &expected, arena, err);
}

/* ---- uploads ---- */

struct call {
    const struct ig_fleet_device *device;
    struct ig_str bytes;
    struct ig_fleet_upload upload;
    struct ig_arena *arena;
    struct ig_str id;
    struct ig_fleet_drift drift;
    const struct ig_principal *who;
    struct ig_str group, digest;
    uint64_t counter; /* of the last sketch, and whether the group has that bundle */
    bool is_known;
};

/* A device without a clock, or with a wrong one, has its records counted for today. */
static int64_t day_of(uint32_t day)
{
    int64_t today = ig_clock_unix_ms() / DAY_MS;
    return day > today || (int64_t)day < today - IG_FLEET_SKETCH_DAYS ? today : (int64_t)day;
}

static enum ig_code take_sketch(struct place *latest, struct ig_db_tx *tx, const struct call *call,
                                const struct ig_edge_sketch *sketch, struct ig_err *err)
{
    char text[OWNER_SIZE];
    struct place own = {.group = call->device->group,
                        .owner = call->device->id,
                        .counter = (int64_t)sketch->counter,
                        .day = day_of(sketch->day)};
    struct place all = own;
    all.owner = owner_of(text, "group", own.group);
    all.day = 0;
    if (own.counter > latest->counter || (own.counter == latest->counter && own.day > latest->day))
        *latest = own;
    if (add_sketch(tx, &own, sketch, err) != IG_OK) return err->code;
    return add_sketch(tx, &all, sketch, err);
}

/* Whether the bundle is the group's; of the same one as before it is known. */
static bool has_bundle(struct call *call, struct ig_db_tx *tx, uint64_t counter, struct ig_err *err)
{
    int64_t found = 0;
    if (call->counter == counter) return call->is_known;
    if (ig_db_get_i64(
            &found, tx, "select count(*) from fleet_bundles where group_name = $1 and counter = $2",
            IG_DB_VALUES(IG_DB_T(call->device->group), IG_DB_I((int64_t)counter)), err) != IG_OK)
        return false;
    call->counter = counter;
    return call->is_known = found != 0;
}

/* Takes what is new of the records; *latest is the newest day that got any. */
static enum ig_code take_records(struct place *latest, struct ig_db_tx *tx, struct call *call,
                                 struct ig_err *err)
{
    struct ig_str rest = call->bytes;
    struct ig_edge_record record;
    struct ig_fleet_upload *upload = &call->upload;
    int64_t before = 0;
    while (ig_edge_record_next(&record, &rest, err)) {
        struct ig_edge_sketch sketch;
        struct ig_err local = IG_ERR_INIT;
        int64_t number = record.number;
        if (number <= before)
            return ig_fail(err, IG_INVALID, "telemetry: record %lld behind %lld", (long long)number,
                           (long long)before);
        before = number;
        if (number <= upload->seq) {
            upload->repeated++;
            continue;
        }
        upload->lost += number - upload->seq - 1;
        upload->seq = number;
        upload->taken++;
        if (record.kind != IG_EDGE_RECORD_SKETCH ||
            ig_edge_sketch_read(&sketch, record.payload, &local) != IG_OK ||
            feature_of(&sketch) >= FEATURES_MAX || !has_bundle(call, tx, sketch.counter, err))
            upload->ignored++;
        else if (take_sketch(latest, tx, call, &sketch, err) != IG_OK)
            break;
    }
    return err->code;
}

static enum ig_code keep_drift(struct ig_db_tx *tx, const struct place *latest, struct call *call,
                               struct ig_err *err)
{
    struct ig_fleet_drift drift;
    int64_t worst = -1;
    if (read_drift(&drift, tx, latest, call->arena, err) != IG_OK) return err->code;
    for (size_t i = 0; i < drift.count; i++)
        if (drift.parts[i].index >= drift.index) worst = drift.parts[i].feature;
    return ig_db_exec(tx, "update fleet_devices set drift = $2, drift_feature = $3 where id = $1",
                      IG_DB_VALUES(IG_DB_T(call->device->id), IG_DB_F(drift.index), IG_DB_I(worst)),
                      err);
}

static enum ig_code take_upload(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_str id = call->device->id;
    struct place latest = {.counter = 0};
    int64_t sketches = 0;
    call->upload = (struct ig_fleet_upload){0};
    if (ig_db_get_i64(&call->upload.seq, tx,
                      "select telemetry_seq from fleet_devices where id = $1",
                      IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK ||
        take_records(&latest, tx, call, err) != IG_OK)
        return err->code;
    if (!call->upload.taken) return IG_OK;
    if (ig_db_get_i64(&sketches, tx, "select count(*) from fleet_sketches where device = $1",
                      IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK)
        return err->code;
    if (sketches > IG_FLEET_SKETCHES_MAX)
        return ig_fail(err, IG_EXHAUSTED, "telemetry: the device has more than %d sketches",
                       IG_FLEET_SKETCHES_MAX);
    if (ig_db_exec(tx,
                   "update fleet_devices set telemetry_seq = $2, seen_ms = $3,"
                   " telemetry_lost = telemetry_lost + $4 where id = $1",
                   IG_DB_VALUES(IG_DB_T(id), IG_DB_I(call->upload.seq), IG_DB_I(ig_clock_unix_ms()),
                                IG_DB_I(call->upload.lost)),
                   err) != IG_OK ||
        ig_db_exec(
            tx, "delete from fleet_sketches where device = $1 and day < $2",
            IG_DB_VALUES(IG_DB_T(id), IG_DB_I(ig_clock_unix_ms() / DAY_MS - IG_FLEET_SKETCH_DAYS)),
            err) != IG_OK)
        return err->code;
    return latest.counter ? keep_drift(tx, &latest, call, err) : IG_OK;
}

enum ig_code ig_fleet_telemetry_add(struct ig_fleet_upload *out, struct ig_fleet *fleet,
                                    const struct ig_fleet_device *device, struct ig_str bytes,
                                    struct ig_err *err)
{
    struct ig_arena arena;
    struct call call = {.device = device, .bytes = bytes, .arena = &arena};
    if (bytes.len > IG_FLEET_UPLOAD_MAX_BYTES)
        return ig_fail(err, IG_TOO_LARGE, "telemetry: %zu bytes, at most %d at once", bytes.len,
                       IG_FLEET_UPLOAD_MAX_BYTES);
    ig_arena_init(&arena, 64 << 10, 16 << 20);
    if (ig_db_write(fleet->db, take_upload, &call, err) == IG_OK) *out = call.upload;
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- reading ---- */

static enum ig_code read_newest(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    struct place place = {.owner = call->id};
    double threshold = 0;
    bool found = false;
    if (ig_db_query(&rows, tx,
                    "select d.group_name, g.drift_threshold, s.counter, s.day from fleet_devices d"
                    " join fleet_groups g on g.name = d.group_name"
                    " left join fleet_sketches s on s.device = d.id where d.id = $1"
                    " order by coalesce(s.counter, 0) desc, coalesce(s.day, 0) desc limit 1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) == IG_OK &&
        ig_db_next(rows, err)) {
        found = true;
        place.group = ig_db_text_dup(rows, 0, call->arena);
        threshold = ig_db_f64(rows, 1);
        place.counter = ig_db_i64(rows, 2);
        place.day = ig_db_i64(rows, 3);
    }
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    if (!found) return ig_fleet_not_there("device", call->id, err);
    if (read_drift(&call->drift, tx, &place, call->arena, err) != IG_OK) return err->code;
    call->drift.threshold = threshold;
    return IG_OK;
}

enum ig_code ig_fleet_drift_get(struct ig_fleet_drift *out, struct ig_fleet *fleet,
                                struct ig_str device, struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.id = device, .arena = arena};
    if (ig_db_read(fleet->db, read_newest, &call, err) == IG_OK) *out = call.drift;
    return err->code;
}

/* ---- baselines ---- */

static enum ig_code set_baseline(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    char text[OWNER_SIZE];
    struct ig_str rest = call->bytes;
    struct ig_edge_record record;
    struct ig_fleet_bundle bundle;
    const struct ig_fleet_bundle key = {.digest = call->digest};
    struct place place = {.group = call->group, .owner = owner_of(text, "baseline", call->group)};
    int64_t taken = 0;
    if (ig_fleet_find_bundle(&bundle, tx, call->group, &key, call->arena, err) != IG_OK ||
        ig_db_exec(tx, "delete from fleet_sketches where device = $1 and counter = $2",
                   IG_DB_VALUES(IG_DB_T(place.owner), IG_DB_I(bundle.counter)), err) != IG_OK)
        return err->code;
    place.counter = bundle.counter;
    while (ig_edge_record_next(&record, &rest, err)) {
        struct ig_edge_sketch sketch;
        struct ig_err local = IG_ERR_INIT;
        if (record.kind != IG_EDGE_RECORD_SKETCH) continue;
        if (ig_edge_sketch_read(&sketch, record.payload, &local) != IG_OK)
            return ig_fail(err, IG_INVALID, "baseline: %s", local.message);
        if (feature_of(&sketch) >= FEATURES_MAX) continue;
        if (add_sketch(tx, &place, &sketch, err) != IG_OK) return err->code;
        taken++;
    }
    if (err->code != IG_OK) return err->code;
    if (!taken) return ig_fail(err, IG_INVALID, "baseline: it holds no sketch");
    return ig_fleet_audit(tx, call->who, "fleet.bundle.baseline", bundle.digest, IG_STR(""), err);
}

enum ig_code ig_fleet_baseline_set(struct ig_fleet *fleet, const struct ig_principal *who,
                                   struct ig_str group, struct ig_str bundle, struct ig_str bytes,
                                   struct ig_err *err)
{
    struct ig_arena arena;
    struct call call = {
        .who = who, .group = group, .digest = bundle, .bytes = bytes, .arena = &arena};
    if (ig_blob_check_digest(bundle, err) != IG_OK) return err->code;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_db_write(fleet->db, set_baseline, &call, err);
    ig_arena_deinit(&arena);
    return err->code;
}
