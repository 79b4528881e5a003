/* SPDX-License-Identifier: Apache-2.0 */
/* LogSettings and TraceSetting over gRPC: each one method that tells, and changes what is given. */
#include "api/access.h"
#include "api/infer_grpc_priv.h"
#include "api/oip_proto.h"
#include "base/log.h"

/* The entry of a map {1 settings} whose value is what add_*() leaves in it. */
struct entry {
    size_t whole, value;
};

static struct entry open_entry(struct ig_buf *out, struct ig_str name)
{
    struct entry entry = {.whole = ig_proto_open(out, 1)};
    ig_proto_add_bytes(out, 1, name);
    entry.value = ig_proto_open(out, 2);
    return entry;
}

static void close_entry(struct ig_buf *out, struct entry entry)
{
    ig_proto_close(out, entry.value);
    ig_proto_close(out, entry.whole);
}

/* {1 bool_param, 2 uint32_param, 3 string_param} */
static void add_number(struct ig_buf *out, const char *name, uint32_t field, uint64_t number)
{
    struct entry entry = open_entry(out, ig_str_view(name));
    ig_proto_add_varint(out, field, number);
    close_entry(out, entry);
}

static void add_text(struct ig_buf *out, const char *name, uint32_t field, const char *text)
{
    struct entry entry = open_entry(out, ig_str_view(name));
    ig_proto_add_bytes(out, field, ig_str_view(text));
    close_entry(out, entry);
}

/* What the method changes takes more than what it tells. */
static enum ig_code read_settings(struct ig_oip_settings *out, struct ig_call *call,
                                  struct ig_str message)
{
    if (ig_oip_proto_settings(out, message, call->arena, &call->err) != IG_OK || !out->count)
        return call->err.code;
    return ig_access_check_admin(call);
}

enum ig_code ig_grpc_log_settings(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    struct ig_oip_settings settings;
    if (read_settings(&settings, call, message) != IG_OK ||
        ig_oip_logging_update(call, &settings) != IG_OK)
        return call->err.code;
    add_text(out, "log_file", 3, "");
    add_number(out, "log_info", 1, ig_log_is_on(IG_LOG_INFO));
    add_number(out, "log_warning", 1, ig_log_is_on(IG_LOG_WARN));
    add_number(out, "log_error", 1, ig_log_is_on(IG_LOG_ERROR));
    add_number(out, "log_verbose_level", 2, ig_log_is_on(IG_LOG_DEBUG));
    add_text(out, "log_format", 3, "ISO8601");
    return IG_OK;
}

/* {1 settings: map of name to {1 repeated string}} */
enum ig_code ig_grpc_trace_setting(struct ig_call *call, struct ig_str message, struct ig_buf *out)
{
    struct ig_oip_settings settings, now;
    if (read_settings(&settings, call, message) != IG_OK ||
        (settings.count && ig_oip_trace_update(call, &settings) != IG_OK) ||
        ig_oip_trace_tell(&now, call, settings.model) != IG_OK)
        return call->err.code;
    for (size_t i = 0; i < now.count; i++) {
        struct entry entry = open_entry(out, now.items[i].name);
        for (size_t v = 0; v < now.items[i].count; v++)
            ig_proto_add_bytes(out, 1, now.items[i].values[v]);
        close_entry(out, entry);
    }
    return IG_OK;
}
