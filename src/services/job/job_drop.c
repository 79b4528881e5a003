/* SPDX-License-Identifier: Apache-2.0 */
/* Names of columns left out, read and written. Thread rule: pure. */
#include "services/job/job_drop.h"

bool ig_drop_has(const struct ig_drop *drop, struct ig_str name)
{
    for (size_t i = 0; i < drop->count; i++)
        if (ig_str_eq(drop->names[i], name)) return true;
    return false;
}

enum ig_code ig_drop_read(struct ig_drop *out, struct ig_json *json)
{
    size_t count = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "drop")) return json->err->code;
    struct ig_str *names = ig_arena_array(json->arena, IG_DROP_MAX, sizeof *names);
    if (!names) return ig_fail(json->err, IG_NO_MEMORY, "drop");
    while (ig_json_element(json)) {
        if (count == IG_DROP_MAX)
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "drop: more than %d columns", IG_DROP_MAX);
        if (!ig_json_string(json, &names[count], "drop")) return json->err->code;
        if (!names[count].len)
            return ig_fail_at(json->err, IG_INVALID, ig_json_position(json),
                              "drop: expected a column's name, found an empty text");
        count++;
    }
    if (json->err->code == IG_OK) *out = (struct ig_drop){names, count};
    return json->err->code;
}

void ig_drop_write(struct ig_json_out *out, const struct ig_drop *drop)
{
    ig_json_out_array(out);
    for (size_t i = 0; i < drop->count; i++) ig_json_out_str(out, drop->names[i]);
    ig_json_out_array_end(out);
}
