/* SPDX-License-Identifier: Apache-2.0 */
/* Looks into replies by path and prints them for people. The input is the server's, yet nothing is
 * taken for granted: malformed JSON reads as absent and prints as it is. */
#include "json_view.h"

#include <math.h>

static bool enter(struct ig_json *json, struct ig_str name)
{
    enum ig_json_event event = ig_json_next(json);
    int64_t left = 0;
    if (event == IG_JSON_ARRAY && ig_str_to_i64(name, &left)) {
        for (; ig_json_element(json) && left >= 0; left--)
            if (left == 0 || !ig_json_skip(json)) return left == 0;
        return false;
    }
    if (event != IG_JSON_OBJECT) return false;
    while (ig_json_member(json)) {
        if (ig_str_eq(json->text, name)) return true;
        if (!ig_json_skip(json)) return false;
    }
    return false;
}

bool ig_json_view_at(struct ig_json *json, struct ig_str text, const char *path,
                     struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str rest = ig_str_view(path);
    ig_json_init(json, text, arena, err);
    while (rest.len)
        if (!enter(json, ig_str_cut(&rest, '.'))) return false;
    return true;
}

struct ig_str ig_json_view_text(struct ig_str text, const char *path, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    if (!ig_json_view_at(&json, text, path, arena, &err)) return IG_STR("");
    enum ig_json_event event = ig_json_next(&json);
    if (event == IG_JSON_BOOL) return json.boolean ? IG_STR("true") : IG_STR("false");
    return event == IG_JSON_STRING || event == IG_JSON_NUMBER ? json.text : IG_STR("");
}

double ig_json_view_number(struct ig_str text, const char *path, struct ig_arena *arena)
{
    double value = NAN;
    ig_str_to_f64(ig_json_view_text(text, path, arena), &value);
    return value;
}

enum { INLINE_DEPTH = 4 }; /* what lies deeper stands on one line */

struct printer {
    FILE *out;
    int depth;
    bool first; /* nothing printed yet in the open object or array */
    bool after_key;
};

static void separate(struct printer *printer)
{
    if (printer->after_key) {
        printer->after_key = false;
        return;
    }
    if (printer->depth == 0) return;
    if (printer->depth >= INLINE_DEPTH) {
        if (!printer->first) fputs(", ", printer->out);
        printer->first = false;
        return;
    }
    fputs(printer->first ? "\n" : ",\n", printer->out);
    fprintf(printer->out, "%*s", printer->depth * 2, "");
    printer->first = false;
}

static void print_string(FILE *out, struct ig_str text)
{
    struct ig_buf buf;
    struct ig_json_out json;
    ig_buf_init(&buf, (size_t)64 << 20);
    ig_json_out_init(&json, &buf);
    ig_json_out_str(&json, text);
    fprintf(out, "%.*s", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

static void print_end(struct printer *printer, char bracket)
{
    printer->depth--;
    if (!printer->first && printer->depth + 1 < INLINE_DEPTH)
        fprintf(printer->out, "\n%*s", printer->depth * 2, "");
    fputc(bracket, printer->out);
    printer->first = false;
}

static void print_event(struct printer *printer, const struct ig_json *json,
                        enum ig_json_event event)
{
    if (event == IG_JSON_ARRAY_END || event == IG_JSON_OBJECT_END) {
        print_end(printer, event == IG_JSON_ARRAY_END ? ']' : '}');
        return;
    }
    separate(printer);
    switch (event) {
    case IG_JSON_KEY:
        print_string(printer->out, json->text);
        fputs(": ", printer->out);
        printer->after_key = true;
        break;
    case IG_JSON_STRING:
        print_string(printer->out, json->text);
        break;
    case IG_JSON_NUMBER:
        fprintf(printer->out, "%.*s", IG_STR_ARGS(json->text));
        break;
    case IG_JSON_BOOL:
        fputs(json->boolean ? "true" : "false", printer->out);
        break;
    case IG_JSON_NULL:
        fputs("null", printer->out);
        break;
    default:
        fputc(event == IG_JSON_ARRAY ? '[' : '{', printer->out);
        printer->depth++;
        printer->first = true;
    }
}

void ig_json_view_print(FILE *out, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_json json;
    struct printer printer = {.out = out};
    ig_arena_init(&arena, 4096, (size_t)64 << 20);
    ig_json_init(&json, text, &arena, &err);
    for (;;) {
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_END || event == IG_JSON_ERROR) break;
        print_event(&printer, &json, event);
    }
    fputc('\n', out);
    ig_arena_deinit(&arena);
}
