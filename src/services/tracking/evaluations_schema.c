/* SPDX-License-Identifier: Apache-2.0 */
/* What is computed of records' JSON: the schema of a dataset, and objects taken key by key.
 *
 * Thread rule: pure. */
#include "services/tracking/evaluations_priv.h"

#include "base/map.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct section { /* fields in the order in which they were first seen */
    const char *name;
    struct ig_map seen;
    struct ig_tracking_pair *items; /* name and type */
    size_t count, cap;
    struct ig_str whole; /* the type of what is no object, of outputs; ptr NULL: objects */
};

enum { INPUTS, OUTPUTS, EXPECTATIONS, SECTIONS };

struct schema {
    struct section sections[SECTIONS];
    struct ig_arena *arena;
    struct ig_err *err;
};

static struct ig_str type_of(const struct ig_json *json, enum ig_json_event event)
{
    switch (event) {
    case IG_JSON_NULL:
        return IG_STR("null");
    case IG_JSON_BOOL:
        return IG_STR("boolean");
    case IG_JSON_STRING:
        return IG_STR("string");
    case IG_JSON_ARRAY:
        return IG_STR("array");
    case IG_JSON_OBJECT:
        return IG_STR("object");
    default:
        break;
    }
    for (size_t i = 0; i < json->text.len; i++)
        if (strchr(".eE", json->text.ptr[i])) return IG_STR("float");
    return IG_STR("integer");
}

static enum ig_code add_field(struct schema *schema, struct section *section, struct ig_str name,
                              struct ig_str type)
{
    static char present;
    if (ig_map_get(&section->seen, name)) return IG_OK;
    if (section->count == IG_EVALUATION_FIELDS_MAX)
        return ig_fail(schema->err, IG_INVALID, "records: more than %d fields of %s",
                       IG_EVALUATION_FIELDS_MAX, section->name);
    section->items = ig_arena_grow(schema->arena, section->items, section->count, &section->cap,
                                   sizeof *section->items);
    if (!section->items || !ig_map_put(&section->seen, name, &present))
        return ig_fail(schema->err, IG_NO_MEMORY, "no memory for the schema");
    section->items[section->count++] = (struct ig_tracking_pair){name, type};
    return IG_OK;
}

/* The fields of an object: with types as they are told, or those of the values. */
static enum ig_code add_fields(struct schema *schema, struct section *section, struct ig_str text,
                               bool told)
{
    struct ig_json json;
    ig_json_init(&json, text, schema->arena, schema->err);
    enum ig_json_event event = ig_json_next(&json);
    if (event == IG_JSON_ERROR) return schema->err->code;
    if (event != IG_JSON_OBJECT) {
        if (!section->count && !section->whole.ptr)
            section->whole = told ? json.text : type_of(&json, event);
        return IG_OK;
    }
    while (ig_json_member(&json)) {
        struct ig_str name = json.text;
        struct ig_json ahead = json;
        event = ig_json_next(&ahead);
        if (event == IG_JSON_ERROR || !ig_json_skip(&json) || section->whole.ptr) continue;
        if (add_field(schema, section, name, told ? ahead.text : type_of(&ahead, event)) != IG_OK)
            break;
    }
    return schema->err->code;
}

static enum ig_code read_before(struct schema *schema, struct ig_str text)
{
    struct ig_json json;
    struct ig_str value;
    ig_json_init(&json, text, schema->arena, schema->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "schema")) return schema->err->code;
    while (ig_json_member(&json)) {
        struct ig_str name = json.text;
        if (!ig_json_raw(&json, &value)) break;
        for (size_t i = 0; i < SECTIONS; i++)
            if (ig_str_is(name, schema->sections[i].name) &&
                add_fields(schema, &schema->sections[i], value, true) != IG_OK)
                return schema->err->code;
    }
    return schema->err->code;
}

static enum ig_code add_record(struct schema *schema, const struct ig_evaluation_record *record)
{
    const struct ig_str texts[] = {record->inputs, record->outputs, record->expectations};
    for (size_t i = 0; i < SECTIONS; i++)
        if (texts[i].ptr && add_fields(schema, &schema->sections[i], texts[i], false) != IG_OK)
            return schema->err->code;
    return IG_OK;
}

static void write_schema(struct ig_buf *buf, const struct schema *schema)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    for (size_t i = 0; i < SECTIONS; i++) {
        const struct section *section = &schema->sections[i];
        ig_json_out_key(&out, ig_str_view(section->name));
        if (section->whole.ptr) {
            ig_json_out_str(&out, section->whole);
            continue;
        }
        ig_json_out_object(&out);
        for (size_t j = 0; j < section->count; j++) {
            ig_json_out_key(&out, section->items[j].key);
            ig_json_out_str(&out, section->items[j].value);
        }
        ig_json_out_object_end(&out);
    }
    ig_json_out_kv_str(&out, "version", IG_STR("1.0"));
    ig_json_out_object_end(&out);
}

static enum ig_code keep(struct ig_str *out, struct ig_buf *buf, struct ig_arena *arena,
                         struct ig_err *err)
{
    struct ig_str text = ig_arena_dup(arena, ig_buf_view(buf));
    if (buf->overflowed)
        ig_fail(err, IG_INVALID, "records: more than %d bytes in one place",
                IG_EVALUATION_RECORD_MAX);
    else if (!text.ptr)
        ig_fail(err, IG_NO_MEMORY, "no memory for records");
    if (err->code == IG_OK) *out = text;
    return err->code;
}

enum ig_code ig_evaluation_schema(struct ig_str *out, struct ig_str before,
                                  struct ig_evaluation_records records, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct schema schema = {
        .sections = {{.name = "inputs"}, {.name = "outputs"}, {.name = "expectations"}},
        .arena = arena,
        .err = err};
    struct ig_buf buf;
    if (!before.ptr && !records.count) return IG_OK;
    ig_buf_init(&buf, IG_EVALUATION_RECORD_MAX);
    for (size_t i = 0; i < SECTIONS; i++)
        ig_map_init(&schema.sections[i].seen, IG_EVALUATION_FIELDS_MAX);
    if (before.ptr) read_before(&schema, before);
    for (size_t i = 0; err->code == IG_OK && i < records.count; i++)
        add_record(&schema, &records.items[i]);
    if (err->code == IG_OK) {
        write_schema(&buf, &schema);
        keep(out, &buf, arena, err);
    }
    for (size_t i = 0; i < SECTIONS; i++) ig_map_deinit(&schema.sections[i].seen);
    ig_buf_deinit(&buf);
    return err->code;
}

/* ---- objects ---- */

/* The members that are not in *over (NULL: all). */
static enum ig_code copy_members(struct ig_json_out *out, struct ig_str text,
                                 const struct ig_map *over, struct ig_arena *arena,
                                 struct ig_err *err)
{
    struct ig_str value;
    struct ig_json json;
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "records")) return err->code;
    while (ig_json_member(&json)) {
        struct ig_str name = json.text;
        if (!ig_json_raw(&json, &value)) break;
        if (over && ig_map_get(over, name)) continue;
        ig_json_out_key(out, name);
        ig_json_out_raw(out, value);
    }
    return err->code;
}

static enum ig_code note_members(struct ig_map *out, struct ig_str text, struct ig_arena *arena,
                                 struct ig_err *err)
{
    static char present;
    struct ig_json json;
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "records")) return err->code;
    while (ig_json_member(&json)) {
        if (!ig_map_put(out, json.text, &present))
            return ig_fail(err, IG_INVALID, "records: more than %d fields in one place",
                           IG_EVALUATION_FIELDS_MAX);
        if (!ig_json_skip(&json)) break;
    }
    return err->code;
}

enum ig_code ig_evaluation_merge(struct ig_str *out, struct ig_str before, struct ig_str now,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_map over;
    struct ig_json_out json;
    struct ig_buf buf;
    if (!before.ptr) {
        *out = now;
        return IG_OK;
    }
    ig_map_init(&over, IG_EVALUATION_FIELDS_MAX);
    ig_buf_init(&buf, IG_EVALUATION_RECORD_MAX);
    ig_json_out_init(&json, &buf);
    ig_json_out_object(&json);
    if (note_members(&over, now, arena, err) == IG_OK &&
        copy_members(&json, before, &over, arena, err) == IG_OK &&
        copy_members(&json, now, NULL, arena, err) == IG_OK) {
        ig_json_out_object_end(&json);
        keep(out, &buf, arena, err);
    }
    ig_buf_deinit(&buf);
    ig_map_deinit(&over);
    return err->code;
}
