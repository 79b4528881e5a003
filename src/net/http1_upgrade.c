/* SPDX-License-Identifier: Apache-2.0 */
/* The request that asks to go on in HTTP/2 (RFC 7540 section 3.2). What is not quite such a request
 * is an ordinary one: a server may always answer in HTTP/1.1. Thread rule: pure functions. */
#include "net/http1.h"

enum { SETTING_BYTES = 6 };

/* The value of the only field of that name; ptr NULL when there is none or more than one. */
static struct ig_str only(const struct ig_http_request *request, struct ig_str name)
{
    struct ig_str value = {NULL, 0};
    for (size_t i = 0; i < request->headers_count; i++) {
        if (!ig_str_eq_nocase(request->headers[i].name, name)) continue;
        if (value.ptr) return (struct ig_str){NULL, 0};
        value = request->headers[i].value;
    }
    return value;
}

/* Whether a list, which may be in several fields, holds the word. */
static bool lists(const struct ig_http_request *request, struct ig_str name, struct ig_str word)
{
    for (size_t i = 0; i < request->headers_count; i++) {
        struct ig_str rest = request->headers[i].value;
        if (!ig_str_eq_nocase(request->headers[i].name, name)) continue;
        while (rest.ptr)
            if (ig_str_eq_nocase(ig_str_trim(ig_str_cut(&rest, ',')), word)) return true;
    }
    return false;
}

/* Six bits of base64url; -1: none. */
static int bits_of(char c)
{
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    if (c == '-') return 62;
    return c == '_' ? 63 : -1;
}

static bool decode(struct ig_http1_upgrade *out, struct ig_str text)
{
    uint32_t held = 0;
    unsigned held_bits = 0;
    out->settings_bytes = 0;
    while (text.len && text.ptr[text.len - 1] == '=') text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int bits = bits_of(text.ptr[i]);
        if (bits < 0) return false;
        held = held << 6 | (uint32_t)bits;
        held_bits += 6;
        if (held_bits < 8) continue;
        if (out->settings_bytes == sizeof out->settings) return false;
        held_bits -= 8;
        out->settings[out->settings_bytes++] = (unsigned char)(held >> held_bits);
    }
    return out->settings_bytes % SETTING_BYTES == 0;
}

bool ig_http1_upgrades(struct ig_http1_upgrade *out, const struct ig_http_request *request)
{
    struct ig_str connection = IG_STR("connection"), settings = IG_STR("http2-settings");
    bool plain = request->minor_version == 1 && request->keep_alive && !request->chunked &&
                 !request->content_length && !request->expect_continue && request->host.len &&
                 request->target.len && request->target.ptr[0] == '/';
    struct ig_str value = only(request, settings);
    return plain && value.ptr && lists(request, IG_STR("upgrade"), IG_STR("h2c")) &&
           lists(request, connection, IG_STR("upgrade")) && lists(request, connection, settings) &&
           decode(out, value);
}

bool ig_http1_is_hop_field(struct ig_str name)
{
    static const struct ig_str NAMES[] = {
        {"connection", 10}, {"upgrade", 7},           {"http2-settings", 14},
        {"keep-alive", 10}, {"proxy-connection", 16}, {"transfer-encoding", 17},
        {"te", 2}};
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (ig_str_eq_nocase(name, NAMES[i])) return true;
    return false;
}
