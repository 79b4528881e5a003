/* SPDX-License-Identifier: Apache-2.0 */
/* Percent escapes and queries of request targets (RFC 3986 section 2), and status phrases.
 *
 * Escapes are decoded exactly once. Thread rule: pure functions; memory comes from the caller's
 * arena. */
#include "net/http1.h"

#include "base/hash.h"

#include <string.h>

/* Decodes into `bytes`, which has room; returns the length, or -1 with *at of the bad escape. */
static int64_t decode(char *bytes, struct ig_str text, bool plus, size_t *at)
{
    size_t length = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '+' && plus) c = ' ';
        if (c == '%') {
            *at = i;
            if (text.len - i < 3) return -1;
            int high = ig_hex_digit(text.ptr[i + 1]), low = ig_hex_digit(text.ptr[i + 2]);
            if (high < 0 || low < 0 || (high == 0 && low == 0)) return -1;
            c = (char)(high << 4 | low);
            i += 2;
        }
        bytes[length++] = c;
    }
    return (int64_t)length;
}

enum ig_code ig_http_percent_decode(struct ig_str *out, struct ig_arena *arena, struct ig_str text,
                                    bool plus, struct ig_err *err)
{
    struct ig_str decoded = text;
    bool escaped =
        text.len && (memchr(text.ptr, '%', text.len) || (plus && memchr(text.ptr, '+', text.len)));
    if (escaped) {
        char *bytes = ig_arena_alloc(arena, text.len);
        if (!bytes) return ig_fail(err, IG_NO_MEMORY, "no memory to decode a target");
        size_t at = 0;
        int64_t length = decode(bytes, text, plus, &at);
        if (length < 0)
            return ig_fail_at(err, IG_INVALID, at,
                              "percent escape at byte %zu: expected %%01 to %%FF", at);
        decoded = (struct ig_str){bytes, (size_t)length};
    }
    if (!ig_str_utf8_valid(decoded))
        return ig_fail(err, IG_INVALID, "the decoded target is not UTF-8");
    *out = decoded;
    return IG_OK;
}

bool ig_http_query_next(struct ig_str *rest, struct ig_str *name, struct ig_str *value)
{
    while (rest->ptr && rest->len) {
        struct ig_str pair = ig_str_cut(rest, '&');
        if (!pair.len) continue;
        struct ig_str behind = pair;
        *name = ig_str_cut(&behind, '=');
        *value = behind.ptr ? behind : (struct ig_str){"", 0};
        return true;
    }
    return false;
}

enum ig_code ig_http_query_get(struct ig_str *out, struct ig_arena *arena, struct ig_str query,
                               const char *name, struct ig_err *err)
{
    struct ig_str raw_name, raw_value, decoded;
    while (ig_http_query_next(&query, &raw_name, &raw_value)) {
        enum ig_code code = ig_http_percent_decode(&decoded, arena, raw_name, true, err);
        if (code) return code;
        if (!ig_str_is(decoded, name)) continue;
        return ig_http_percent_decode(out, arena, raw_value, true, err);
    }
    return IG_NOT_FOUND;
}

const char *ig_http_reason(int status)
{
    static const struct {
        int status;
        const char *phrase;
    } PHRASES[] = {
        {200, "OK"},
        {100, "Continue"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {303, "See Other"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {308, "Permanent Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {421, "Misdirected Request"},
        {422, "Unprocessable Content"},
        {424, "Failed Dependency"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {499, "Client Closed Request"},
        {500, "Internal Server Error"},
        {501, "Not"
              " Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
        {507, "Insufficient Storage"},
    };
    for (size_t i = 0; i < sizeof PHRASES / sizeof PHRASES[0]; i++) {
        if (PHRASES[i].status == status) return PHRASES[i].phrase;
    }
    return "Status";
}
