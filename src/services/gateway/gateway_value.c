/* SPDX-License-Identifier: Apache-2.0 */
#include "services/gateway/gateway_value.h"

#include "base/json.h"

enum ig_code ig_gateway_object_read(struct ig_gateway_object *out, struct ig_str json,
                                    struct ig_arena *arena, struct ig_err *err)
{
    struct ig_gateway_member *items = NULL;
    struct ig_json reader;
    size_t count = 0, cap = 0;
    ig_json_init(&reader, json, arena, err);
    if (!ig_json_expect(&reader, IG_JSON_OBJECT, "value")) return err->code;
    while (ig_json_member(&reader)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "an object of JSON");
        items[count].name = reader.text;
        if (!ig_json_raw(&reader, &items[count].value)) return err->code;
        count++;
    }
    if (err->code == IG_OK) ig_json_next(&reader);
    if (err->code == IG_OK) *out = (struct ig_gateway_object){items, count};
    return err->code;
}

enum ig_code ig_gateway_array_read(struct ig_gateway_array *out, struct ig_str json,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str *items = NULL;
    struct ig_json reader;
    size_t count = 0, cap = 0;
    ig_json_init(&reader, json, arena, err);
    if (!ig_json_expect(&reader, IG_JSON_ARRAY, "value")) return err->code;
    while (ig_json_element(&reader)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "an array of JSON");
        if (!ig_json_raw(&reader, &items[count])) return err->code;
        count++;
    }
    if (err->code == IG_OK) ig_json_next(&reader);
    if (err->code == IG_OK) *out = (struct ig_gateway_array){items, count};
    return err->code;
}

struct ig_str ig_gateway_get(const struct ig_gateway_object *object, const char *name)
{
    for (size_t i = object->count; i-- > 0;)
        if (ig_str_is(object->items[i].name, name))
            return ig_str_is(object->items[i].value, "null") ? (struct ig_str){NULL, 0}
                                                             : object->items[i].value;
    return (struct ig_str){NULL, 0};
}

bool ig_gateway_is_text(struct ig_str value)
{
    return value.len && value.ptr[0] == '"';
}

struct ig_str ig_gateway_text(struct ig_str value, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json reader;
    if (!ig_gateway_is_text(value)) return (struct ig_str){NULL, 0};
    ig_json_init(&reader, value, arena, &err);
    if (ig_json_next(&reader) != IG_JSON_STRING) return (struct ig_str){NULL, 0};
    return reader.text;
}

struct ig_str ig_gateway_get_text(const struct ig_gateway_object *object, const char *name,
                                  struct ig_arena *arena)
{
    return ig_gateway_text(ig_gateway_get(object, name), arena);
}

int64_t ig_gateway_get_count(const struct ig_gateway_object *object, const char *name)
{
    int64_t value;
    struct ig_str text = ig_gateway_get(object, name);
    return text.ptr && ig_str_to_i64(text, &value) && value >= 0 ? value : -1;
}
