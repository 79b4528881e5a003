/* SPDX-License-Identifier: Apache-2.0 */
/* The table of MLflow's GraphQL: lookups for plans, and what introspection tells of it. A type
 * tells of itself alone, others stand in it by name, so that the tree goes as deep as a query does.
 */
#include "api/graphql_plan_priv.h"

#include "api/mlflow_request.h"
#include "api/route.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { SHOWN_MAX = 64 };

struct word {
    const char *type, *word;
};
struct note {
    const char *type, *name, *text;
};

#define IG_GRAPHQL_ROOT(operation, field, handler, type, input)                                    \
    {operation, field, handler, type, input},
#define IG_GRAPHQL_MEMBER(type, name, member, kind, of)
#define IG_GRAPHQL_META(type, name, kind, of, text)
#define IG_GRAPHQL_INPUT(type, name, member, kind)
#define IG_GRAPHQL_WORD(type, word)
#define IG_GRAPHQL_NOTE(type, name, text)
static const struct ig_graphql_root ROOTS[] = {
#include "api/graphql_schema.def"
};
#undef IG_GRAPHQL_ROOT
#define IG_GRAPHQL_ROOT(operation, field, handler, type, input)
#undef IG_GRAPHQL_MEMBER
#define IG_GRAPHQL_MEMBER(type, name, member, kind, of)                                            \
    {type, name, member, IG_GRAPHQL_IS_##kind, of, NULL},
#undef IG_GRAPHQL_META
#define IG_GRAPHQL_META(type, name, kind, of, text)                                                \
    {type, name, name, IG_GRAPHQL_IS_##kind, of, text},
static const struct ig_graphql_field FIELDS[] = {
#include "api/graphql_schema.def"
};
#undef IG_GRAPHQL_MEMBER
#define IG_GRAPHQL_MEMBER(type, name, member, kind, of)
#undef IG_GRAPHQL_META
#define IG_GRAPHQL_META(type, name, kind, of, text)
#undef IG_GRAPHQL_INPUT
#define IG_GRAPHQL_INPUT(type, name, member, kind) {type, name, member, IG_GRAPHQL_IS_##kind},
static const struct ig_graphql_input INPUTS[] = {
#include "api/graphql_schema.def"
};
#undef IG_GRAPHQL_INPUT
#define IG_GRAPHQL_INPUT(type, name, member, kind)
#undef IG_GRAPHQL_WORD
#define IG_GRAPHQL_WORD(type, word) {type, word},
static const struct word WORDS[] = {
#include "api/graphql_schema.def"
};
#undef IG_GRAPHQL_WORD
#define IG_GRAPHQL_WORD(type, word)
#undef IG_GRAPHQL_NOTE
#define IG_GRAPHQL_NOTE(type, name, text) {type, name, text},
static const struct note NOTES[] = {
#include "api/graphql_schema.def"
};
static const char *const SCALARS[] = {"String", "LongString", "Float", "Int", "Boolean"};
static const char *const OPERATIONS[] = {"Query", "Mutation"};

/* ---- lookups ---- */

struct ig_str ig_graphql_shown(struct ig_str text)
{
    return (struct ig_str){text.ptr ? text.ptr : "", text.len > SHOWN_MAX ? SHOWN_MAX : text.len};
}

const struct ig_graphql_root *ig_graphql_root_find(const char *operation, struct ig_str name)
{
    for (size_t i = 0; i < COUNT(ROOTS); i++)
        if (strcmp(ROOTS[i].operation, operation) == 0 && ig_str_is(name, ROOTS[i].name))
            return &ROOTS[i];
    return NULL;
}

const struct ig_graphql_field *ig_graphql_field_find(const char *type, struct ig_str name)
{
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        if (strcmp(FIELDS[i].type, type) == 0 && ig_str_is(name, FIELDS[i].name)) return &FIELDS[i];
    return NULL;
}

const struct ig_graphql_input *ig_graphql_input_find(const char *type, struct ig_str name)
{
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        if (strcmp(INPUTS[i].type, type) == 0 && ig_str_is(name, INPUTS[i].name)) return &INPUTS[i];
    return NULL;
}

const struct ig_graphql_input *ig_graphql_input_lacking(const char *type,
                                                        const struct ig_graphql_value *given)
{
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        if (strcmp(INPUTS[i].type, type) == 0 && INPUTS[i].kind == IG_GRAPHQL_IS_NAME &&
            !ig_graphql_value_named(given, ig_str_view(INPUTS[i].name)))
            return &INPUTS[i];
    return NULL;
}

static bool is_operation(struct ig_str name)
{
    return ig_str_is(name, OPERATIONS[0]) || ig_str_is(name, OPERATIONS[1]);
}

bool ig_graphql_is_type(struct ig_str name)
{
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        if (ig_str_is(name, FIELDS[i].type)) return true;
    return is_operation(name);
}

static bool is_meta(const char *name)
{
    return name[0] == '_';
}

bool ig_graphql_is_bare(const struct ig_graphql_root *root)
{
    return !root->input[0] || is_meta(root->input);
}

bool ig_graphql_has_word(const char *enumeration, struct ig_str word)
{
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (strcmp(WORDS[i].type, enumeration) == 0 && ig_str_is(word, WORDS[i].word)) return true;
    return false;
}

/* ---- types by name ---- */

/* The enumeration that begins with this word. */
static const char *enumeration_of(const char *first)
{
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (strcmp(WORDS[i].word, first) == 0 &&
            (!i || strcmp(WORDS[i - 1].type, WORDS[i].type) != 0))
            return WORDS[i].type;
    return "String";
}

/* How kinds are written: a type of their own, or NULL for the row's, and what stands around it. */
static const struct {
    const char *type, *before, *behind;
} KINDS[] = {
    [IG_GRAPHQL_IS_STRING] = {"String", "", ""},    [IG_GRAPHQL_IS_INT] = {"Int", "", ""},
    [IG_GRAPHQL_IS_LONG] = {"LongString", "", ""},  [IG_GRAPHQL_IS_FLOAT] = {"Float", "", ""},
    [IG_GRAPHQL_IS_BOOL] = {"Boolean", "", ""},     [IG_GRAPHQL_IS_ENUM] = {NULL, "", ""},
    [IG_GRAPHQL_IS_STRINGS] = {"String", "[", "]"}, [IG_GRAPHQL_IS_NAME] = {"String", "", "!"},
    [IG_GRAPHQL_IS_OBJECT] = {NULL, "", ""},        [IG_GRAPHQL_IS_OBJECTS] = {NULL, "[", "!]"},
    [IG_GRAPHQL_IS_FAULTS] = {NULL, "[", "]"},      [IG_GRAPHQL_IS_NOTHING] = {NULL, "", ""},
    [IG_GRAPHQL_IS_EXPERIMENT] = {NULL, "", ""},    [IG_GRAPHQL_IS_VERSIONS] = {NULL, "[", "!]"}};

static void kv_type(struct ig_json_out *out, enum ig_graphql_kind kind, const char *of)
{
    struct ig_buf text;
    ig_buf_init(&text, 256);
    const char *type = KINDS[kind].type ? KINDS[kind].type : of;
    ig_buf_printf(&text, "%s%s%s", KINDS[kind].before, type, KINDS[kind].behind);
    ig_json_out_kv_str(out, "type", ig_buf_view(&text));
    ig_buf_deinit(&text);
}

static void kv_null(struct ig_json_out *out, const char *key)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_null(out);
}

static void kv_note(struct ig_json_out *out, const char *type, const char *name)
{
    for (size_t i = 0; i < COUNT(NOTES); i++)
        if (strcmp(NOTES[i].type, type) == 0 && strcmp(NOTES[i].name, name) == 0) {
            ig_json_out_kv_str(out, "description", ig_str_view(NOTES[i].text));
            return;
        }
    kv_null(out, "description");
}

static void open_list(struct ig_json_out *out, const char *key)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
}

/* {"name": .., "description": .. */
static void open_part(struct ig_json_out *out, const char *type, const char *name)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", ig_str_view(name));
    kv_note(out, type, name);
}

static void close_part(struct ig_json_out *out)
{
    ig_json_out_kv_bool(out, "isDeprecated", false);
    kv_null(out, "deprecationReason");
    ig_json_out_object_end(out);
}

/* An argument, or a field of an input; `fallback` NULL: there is none. */
static void write_input(struct ig_json_out *out, const char *name, enum ig_graphql_kind kind,
                        const char *of, const char *fallback)
{
    open_part(out, "", name);
    kv_type(out, kind, of);
    if (fallback)
        ig_json_out_kv_str(out, "defaultValue", ig_str_view(fallback));
    else
        kv_null(out, "defaultValue");
    close_part(out);
}

static void write_inputs(struct ig_json_out *out, const char *type)
{
    for (size_t i = 0; i < COUNT(INPUTS); i++) {
        bool word = INPUTS[i].kind == IG_GRAPHQL_IS_ENUM;
        if (strcmp(INPUTS[i].type, type) == 0)
            write_input(out, INPUTS[i].name, INPUTS[i].kind, IG_GRAPHQL_VIEW, word ? "null" : NULL);
    }
}

static void write_roots(struct ig_json_out *out, const char *operation)
{
    for (size_t i = 0; i < COUNT(ROOTS); i++) {
        if (strcmp(ROOTS[i].operation, operation) != 0 || is_meta(ROOTS[i].name)) continue;
        open_part(out, operation, ROOTS[i].name);
        open_list(out, "args");
        if (ig_graphql_is_bare(&ROOTS[i]))
            write_inputs(out, ROOTS[i].input);
        else
            write_input(out, "input", IG_GRAPHQL_IS_OBJECT, ROOTS[i].input, NULL);
        ig_json_out_array_end(out);
        kv_type(out, IG_GRAPHQL_IS_OBJECT, ROOTS[i].type);
        close_part(out);
    }
}

static void write_fields(struct ig_json_out *out, struct ig_str type)
{
    for (size_t i = 0; i < COUNT(FIELDS); i++) {
        const struct ig_graphql_field *field = &FIELDS[i];
        if (!ig_str_is(type, field->type)) continue;
        bool word = field->kind == IG_GRAPHQL_IS_ENUM;
        open_part(out, field->type, field->name);
        open_list(out, "args");
        if (field->kind == IG_GRAPHQL_IS_PARTS)
            write_input(out, "includeDeprecated", IG_GRAPHQL_IS_BOOL, "", "false");
        ig_json_out_array_end(out);
        if (field->text)
            ig_json_out_kv_str(out, "type", ig_str_view(field->text));
        else
            kv_type(out, field->kind, word ? enumeration_of(field->of) : field->of);
        close_part(out);
    }
}

static void write_words(struct ig_json_out *out, struct ig_str type)
{
    for (size_t i = 0; i < COUNT(WORDS); i++) {
        if (!ig_str_is(type, WORDS[i].type)) continue;
        open_part(out, WORDS[i].type, WORDS[i].word);
        close_part(out);
    }
}

static const char *kind_of(struct ig_str name)
{
    if (ig_graphql_is_type(name)) return "OBJECT";
    for (size_t i = 0; i < COUNT(SCALARS); i++)
        if (ig_str_is(name, SCALARS[i])) return "SCALAR";
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (ig_str_is(name, WORDS[i].type)) return "ENUM";
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        if (name.len && ig_str_is(name, INPUTS[i].type) && !is_meta(INPUTS[i].type))
            return "INPUT_OBJECT";
    return NULL;
}

/* [X] and X! */
static void write_wrapped(struct ig_json_out *out, struct ig_str name)
{
    bool list = name.ptr[0] == '[' && name.ptr[name.len - 1] == ']';
    struct ig_str inner = {name.ptr + list, name.len - 1 - list};
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "kind", list ? IG_STR("LIST") : IG_STR("NON_NULL"));
    ig_json_out_kv_str(out, "ofType", inner);
    ig_json_out_object_end(out);
}

void ig_graphql_write_type(struct ig_json_out *out, struct ig_str name)
{
    const char *kind = kind_of(name);
    if (name.len > 1 && (name.ptr[0] == '[' || name.ptr[name.len - 1] == '!')) {
        write_wrapped(out, name);
        return;
    }
    if (!kind) {
        ig_json_out_null(out);
        return;
    }
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "kind", ig_str_view(kind));
    ig_json_out_kv_str(out, "name", name);
    for (size_t i = 0; i < COUNT(NOTES); i++)
        if (ig_str_is(name, NOTES[i].type) && !NOTES[i].name[0])
            ig_json_out_kv_str(out, "description", ig_str_view(NOTES[i].text));
    if (strcmp(kind, "OBJECT") == 0) {
        open_list(out, "fields");
        for (size_t i = 0; i < COUNT(OPERATIONS); i++)
            if (ig_str_is(name, OPERATIONS[i])) write_roots(out, OPERATIONS[i]);
        write_fields(out, name);
        ig_json_out_array_end(out);
        open_list(out, "interfaces");
        ig_json_out_array_end(out);
    } else if (strcmp(kind, "ENUM") == 0) {
        open_list(out, "enumValues");
        write_words(out, name);
        ig_json_out_array_end(out);
    } else if (strcmp(kind, "INPUT_OBJECT") == 0) {
        char type[64];
        snprintf(type, sizeof type, "%.*s", IG_STR_ARGS(name));
        open_list(out, "inputFields");
        write_inputs(out, type);
        ig_json_out_array_end(out);
        ig_json_out_kv_bool(out, "isOneOf", false);
    }
    ig_json_out_object_end(out);
}

/* ---- __schema and __type ---- */

/* Rows of one type follow each other. */
static void write_names(struct ig_json_out *out)
{
    for (size_t i = 0; i < COUNT(OPERATIONS); i++) ig_json_out_str(out, ig_str_view(OPERATIONS[i]));
    for (size_t i = 0; i < COUNT(SCALARS); i++) ig_json_out_str(out, ig_str_view(SCALARS[i]));
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        if (!i || strcmp(FIELDS[i].type, FIELDS[i - 1].type) != 0)
            ig_json_out_str(out, ig_str_view(FIELDS[i].type));
    for (size_t i = 0; i < COUNT(INPUTS); i++)
        if (INPUTS[i].type[0] && !is_meta(INPUTS[i].type) &&
            (!i || strcmp(INPUTS[i].type, INPUTS[i - 1].type) != 0))
            ig_json_out_str(out, ig_str_view(INPUTS[i].type));
    for (size_t i = 0; i < COUNT(WORDS); i++)
        if (!i || strcmp(WORDS[i].type, WORDS[i - 1].type) != 0)
            ig_json_out_str(out, ig_str_view(WORDS[i].type));
}

enum ig_code ig_graphql_schema(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    open_list(&out, "types");
    write_names(&out);
    ig_json_out_array_end(&out);
    ig_json_out_kv_str(&out, "queryType", ig_str_view(OPERATIONS[0]));
    ig_json_out_kv_str(&out, "mutationType", ig_str_view(OPERATIONS[1]));
    open_list(&out, "directives");
    open_part(&out, "", "component"); /* of MLflow's console: it names what asks */
    ig_json_out_kv_bool(&out, "isRepeatable", false);
    ig_json_out_key(&out, IG_STR("locations"));
    ig_json_out_raw(&out, IG_STR("[\"QUERY\",\"MUTATION\"]"));
    open_list(&out, "args");
    write_input(&out, "name", IG_GRAPHQL_IS_NAME, "", NULL);
    ig_json_out_array_end(&out);
    close_part(&out);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_graphql_type(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    if (kind_of(name))
        ig_graphql_write_type(&out, name);
    else
        ig_json_out_null(&out);
    return IG_OK;
}
