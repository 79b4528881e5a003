/* SPDX-License-Identifier: Apache-2.0 */
/* Structured log: a line is built whole and written with one write(). Nothing in a value can end
 * the line or steer a terminal: line ends and controls are escaped, DEL and the C1 controls become
 * '?'. Thread-safe. */
#include "base/log.h"

#include "base/clock.h"
#include "base/json.h"

#include <math.h>
#include <stdatomic.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 16384, VALUE_MAX_BYTES = 4096 };

enum { ALL_LEVELS = (1 << (IG_LOG_ERROR + 1)) - 1 };

static atomic_uint levels = ALL_LEVELS & ~((1 << IG_LOG_INFO) - 1); /* a bit each */
static atomic_bool as_json;

void ig_log_setup(enum ig_log_level least, bool json)
{
    atomic_store(&levels, ALL_LEVELS & ~((1U << least) - 1));
    atomic_store(&as_json, json);
}

void ig_log_enable(enum ig_log_level level, bool on)
{
    if (on)
        atomic_fetch_or(&levels, 1U << level);
    else
        atomic_fetch_and(&levels, ~(1U << level));
}

bool ig_log_is_on(enum ig_log_level level)
{
    return atomic_load_explicit(&levels, memory_order_relaxed) >> level & 1;
}

static const char *const level_names[] = {"DEBUG", "INFO", "WARN", "ERROR"};

bool ig_log_level_parse(struct ig_str text, enum ig_log_level *out)
{
    for (int i = IG_LOG_DEBUG; i <= IG_LOG_ERROR; i++) {
        if (!ig_str_eq_nocase(text, ig_str_view(level_names[i]))) continue;
        *out = (enum ig_log_level)i;
        return true;
    }
    return false;
}

static bool needs_quotes(struct ig_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c >= 0x7f) return true;
    }
    return text.len == 0;
}

static struct ig_str cut(struct ig_str text)
{
    return (struct ig_str){text.ptr, text.len < VALUE_MAX_BYTES ? text.len : VALUE_MAX_BYTES};
}

static void add_value(struct ig_json_out *out, const struct ig_log_field *field)
{
    if (field->kind == IG_LOG_I64)
        ig_json_out_i64(out, field->integer);
    else if (field->kind == IG_LOG_F64)
        ig_json_out_f64(out, field->real);
    else
        ig_json_out_str(out, cut(field->text));
}

static void write_json(struct ig_buf *buf, const char *level, const char *event,
                       const struct ig_log_field *fields, size_t count)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    char now[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(now, ig_clock_unix_ms());
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "time", ig_str_view(now));
    ig_json_out_kv_str(&out, "level", ig_str_view(level));
    ig_json_out_kv_str(&out, "event", ig_str_view(event));
    for (size_t i = 0; i < count; i++) {
        ig_json_out_key(&out, ig_str_view(fields[i].name));
        add_value(&out, &fields[i]);
    }
    ig_json_out_object_end(&out);
}

static void write_text(struct ig_buf *buf, const char *level, const char *event,
                       const struct ig_log_field *fields, size_t count)
{
    char now[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(now, ig_clock_unix_ms());
    ig_buf_printf(buf, "%s %s %s", now, level, event);
    for (size_t i = 0; i < count; i++) {
        ig_buf_printf(buf, " %s=", fields[i].name);
        struct ig_json_out out;
        ig_json_out_init(&out, buf);
        if (fields[i].kind == IG_LOG_STR && !needs_quotes(fields[i].text))
            ig_buf_add_str(buf, cut(fields[i].text));
        else
            add_value(&out, &fields[i]);
    }
}

static void mask_controls(struct ig_buf *buf)
{
    for (size_t i = 0; i < buf->len; i++) {
        unsigned char c = (unsigned char)buf->ptr[i];
        if (c == 0x7f) buf->ptr[i] = '?';
        if (c != 0xC2 || i + 1 == buf->len || (unsigned char)buf->ptr[i + 1] > 0x9F) continue;
        buf->ptr[i] = buf->ptr[i + 1] = '?';
    }
}

void ig_log_write(enum ig_log_level level, const char *event, const struct ig_log_field *fields,
                  size_t fields_count)
{
    if (!ig_log_is_on(level)) return;
    bool json = atomic_load_explicit(&as_json, memory_order_relaxed);
    const struct ig_log_field shortened[] = {IG_LOG_C("cut", "the fields exceed a log line")};
    struct ig_buf buf;
    ig_buf_init(&buf, LINE_MAX_BYTES);
    (json ? write_json : write_text)(&buf, level_names[level], event, fields, fields_count);
    if (buf.overflowed) {
        ig_buf_reset(&buf);
        (json ? write_json : write_text)(&buf, level_names[level], event, shortened, 1);
    }
    mask_controls(&buf);
    buf.max_bytes++;
    ig_buf_add_char(&buf, '\n');
    if (buf.ptr && write(STDERR_FILENO, buf.ptr, buf.len) < 0) {
        /* A log that cannot be written has nowhere to say so. */
    }
    ig_buf_deinit(&buf);
}

void ig_log_err(enum ig_log_level level, const char *event, const struct ig_err *err)
{
    ig_log(level, event, IG_LOG_C("code", ig_code_name(err->code)),
           IG_LOG_C("message", err->message), IG_LOG_C("file", err->file ? err->file : "?"),
           IG_LOG_I("line", err->line));
}
