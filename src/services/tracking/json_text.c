/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: pure. */
#include "services/tracking/json_text.h"

#include "base/json.h"
#include "base/num.h"

#include <math.h>

void ig_json_text_add_f64(struct ig_buf *out, double value)
{
    char text[IG_NUM_TEXT_MAX];
    if (!isfinite(value)) {
        ig_buf_add_cstr(out, isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
        return;
    }
    size_t length = ig_num_format_f64(text, value);
    ig_buf_add(out, text, length);
    if (!memchr(text, '.', length) && !memchr(text, 'e', length)) ig_buf_add_cstr(out, ".0");
}

void ig_json_text_add_str(struct ig_buf *out, struct ig_str value)
{
    struct ig_json_out writer;
    ig_json_out_init(&writer, out);
    ig_json_out_str(&writer, value);
}

static void add_number(struct ig_buf *out, struct ig_str text, bool doubles)
{
    double value = 0;
    bool whole = !memchr(text.ptr, '.', text.len) && !memchr(text.ptr, 'e', text.len) &&
                 !memchr(text.ptr, 'E', text.len) && !memchr(text.ptr, 'N', text.len) &&
                 !memchr(text.ptr, 'I', text.len);
    if (whole && !doubles) {
        ig_buf_add_str(out, text);
        return;
    }
    ig_str_to_f64(text, &value);
    ig_json_text_add_f64(out, value);
}

static void add_scalar(struct ig_buf *out, const struct ig_json *json, enum ig_json_event event,
                       bool doubles)
{
    if (event == IG_JSON_STRING) ig_json_text_add_str(out, json->text);
    if (event == IG_JSON_NUMBER) add_number(out, json->text, doubles);
    if (event == IG_JSON_BOOL) ig_buf_add_cstr(out, json->boolean ? "true" : "false");
    if (event == IG_JSON_NULL) ig_buf_add_cstr(out, "null");
}

enum ig_code ig_json_text_add(struct ig_buf *out, struct ig_str json, bool doubles,
                              struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json reader;
    bool first = true, after_key = false;
    ig_json_init(&reader, json, arena, err);
    reader.allow_nan = true;
    for (;;) {
        enum ig_json_event event = ig_json_next(&reader);
        bool ends = event == IG_JSON_ARRAY_END || event == IG_JSON_OBJECT_END;
        if (event == IG_JSON_ERROR || event == IG_JSON_END) return err->code;
        if (!first && !after_key && !ends) ig_buf_add_cstr(out, ", ");
        after_key = event == IG_JSON_KEY;
        first = event == IG_JSON_ARRAY || event == IG_JSON_OBJECT;
        if (after_key) {
            ig_json_text_add_str(out, reader.text);
            ig_buf_add_cstr(out, ": ");
        } else if (ends || first) {
            ig_buf_add_char(out, event == IG_JSON_ARRAY       ? '['
                                 : event == IG_JSON_ARRAY_END ? ']'
                                 : event == IG_JSON_OBJECT    ? '{'
                                                              : '}');
        } else {
            add_scalar(out, &reader, event, doubles);
        }
    }
}
