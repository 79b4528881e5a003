/* SPDX-License-Identifier: Apache-2.0 */
/* Plans of rollouts, apart from any database. A device's slice is fixed by its id (SipHash under a
 * key that never changes), so the first tenth of one rollout is the first tenth of the next. */
#include "services/fleet/fleet_rollout.h"

#include "base/json.h"

#include <math.h>

enum { SOAK_MAX_S = 30 * 86400 };

int64_t ig_fleet_slice(struct ig_str device)
{
    static const unsigned char KEY[16] = "ingot fleet 2026";
    return (int64_t)(ig_siphash(KEY, device.ptr, device.len) % IG_FLEET_SLICES);
}

static bool names(const struct ig_fleet_wave *wave, struct ig_str device)
{
    for (size_t i = 0; i < wave->devices_count; i++)
        if (ig_str_eq(wave->devices[i], device)) return true;
    return false;
}

bool ig_fleet_plan_has(const struct ig_fleet_plan *plan, int64_t waves, struct ig_str device,
                       int64_t slice)
{
    for (size_t i = 0; i < plan->waves_count && (int64_t)i < waves; i++) {
        const struct ig_fleet_wave *wave = &plan->waves[i];
        if ((double)slice < wave->percent * (IG_FLEET_SLICES / 100.0) || names(wave, device))
            return true;
    }
    return false;
}

bool ig_fleet_plan_halts(const struct ig_fleet_plan *plan, int64_t confirmed, int64_t failed)
{
    return failed > 0 && failed >= plan->halt_min &&
           (double)failed * 100 > plan->halt_percent * (double)(confirmed + failed);
}

enum ig_code ig_fleet_plan_check(const struct ig_fleet_plan *plan, struct ig_err *err)
{
    size_t named = 0;
    if (plan->waves_count == 0 || plan->waves_count > IG_FLEET_WAVES_MAX)
        return ig_fail(err, IG_INVALID, "waves: %zu of them, expected 1 to %d", plan->waves_count,
                       IG_FLEET_WAVES_MAX);
    for (size_t i = 0; i < plan->waves_count; i++) {
        double percent = plan->waves[i].percent;
        named += plan->waves[i].devices_count;
        if (!plan->waves[i].devices_count && !(percent > 0 && percent <= 100))
            return ig_fail(err, IG_INVALID,
                           "waves: %g is no share: expected more than 0 to 100 percent, or ids of "
                           "devices",
                           percent);
    }
    if (named > IG_FLEET_NAMED_MAX)
        return ig_fail(err, IG_INVALID, "waves: they name %zu devices, at most %d", named,
                       IG_FLEET_NAMED_MAX);
    if (plan->soak_s < 0 || plan->soak_s > SOAK_MAX_S)
        return ig_fail(err, IG_INVALID, "soak_s: %lld, expected 0 to %d", (long long)plan->soak_s,
                       SOAK_MAX_S);
    if (!(plan->halt_percent >= 0 && plan->halt_percent <= 100))
        return ig_fail(err, IG_INVALID, "halt_percent: %g, expected 0 to 100", plan->halt_percent);
    if (plan->halt_min < 1)
        return ig_fail(err, IG_INVALID, "halt_min: %lld, expected at least 1",
                       (long long)plan->halt_min);
    return IG_OK;
}

/* ---- JSON ---- */

static enum ig_code read_names(struct ig_fleet_wave *wave, struct ig_json *json)
{
    size_t cap = 0, count = 0;
    struct ig_str *items = NULL;
    while (ig_json_element(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "waves: too many devices");
        if (!ig_json_string(json, &items[count++], "waves")) break;
    }
    wave->devices = items;
    wave->devices_count = count;
    return json->err->code;
}

static enum ig_code read_wave(struct ig_fleet_wave *wave, struct ig_json *json)
{
    *wave = (struct ig_fleet_wave){0};
    enum ig_json_event event = ig_json_next(json);
    if (event == IG_JSON_ARRAY) return read_names(wave, json);
    if (event == IG_JSON_NUMBER && ig_str_to_f64(json->text, &wave->percent)) return IG_OK;
    if (event == IG_JSON_ERROR) return json->err->code;
    return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                      "waves: expected percentages and arrays of device ids, found %s",
                      ig_json_event_name(event));
}

enum ig_code ig_fleet_waves_read(struct ig_fleet_plan *out, struct ig_json *json)
{
    size_t cap = 0, count = 0;
    struct ig_fleet_wave *items = NULL;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "waves")) return json->err->code;
    while (ig_json_element(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "waves: too many");
        if (read_wave(&items[count++], json) != IG_OK) break;
    }
    out->waves = items;
    out->waves_count = count;
    return json->err->code;
}

void ig_fleet_waves_write(struct ig_json_out *out, const struct ig_fleet_plan *plan)
{
    ig_json_out_array(out);
    for (size_t i = 0; i < plan->waves_count; i++) {
        const struct ig_fleet_wave *wave = &plan->waves[i];
        if (!wave->devices_count) {
            ig_json_out_f64(out, wave->percent);
            continue;
        }
        ig_json_out_array(out);
        for (size_t j = 0; j < wave->devices_count; j++) ig_json_out_str(out, wave->devices[j]);
        ig_json_out_array_end(out);
    }
    ig_json_out_array_end(out);
}
