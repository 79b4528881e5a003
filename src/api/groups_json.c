/* SPDX-License-Identifier: Apache-2.0 */
#include "api/groups_json.h"

/* An error of the groups gets its place in the body. */
static enum ig_code place_error(struct ig_json *json)
{
    if (json->err->code != IG_OK && json->err->at_byte < 0)
        json->err->at_byte = (int64_t)ig_json_position(json);
    return json->err->code;
}

static enum ig_code read_group(struct ig_json *json, struct ig_groups_builder *builder)
{
    if (ig_groups_add(builder, json->text, json->err) != IG_OK ||
        !ig_json_expect(json, IG_JSON_ARRAY, "groups"))
        return place_error(json);
    while (ig_json_element(json))
        if (!ig_json_expect(json, IG_JSON_STRING, "groups") ||
            ig_groups_add_feature(builder, json->text, json->err) != IG_OK)
            return place_error(json);
    return json->err->code;
}

enum ig_code ig_groups_json_read(struct ig_groups *out, struct ig_json *json,
                                 const struct ig_schema *schema)
{
    struct ig_groups_builder builder;
    if (ig_groups_begin(&builder, schema, json->arena, json->err) != IG_OK ||
        !ig_json_expect(json, IG_JSON_OBJECT, "groups"))
        return json->err->code;
    while (ig_json_member(json))
        if (read_group(json, &builder) != IG_OK) return json->err->code;
    if (json->err->code == IG_OK) ig_groups_end(out, &builder, json->err);
    return place_error(json);
}
