/* SPDX-License-Identifier: Apache-2.0 */
/* Names, URLs and events of webhooks, by MLflow's rules and in its words. Pure, but for the look at
 * a host's addresses. */
#include "services/webhook/webhook_priv.h"

#include "net/client.h"

#include <stdio.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { NAME_MAX_BYTES = 63, SHOWN_MAX = 200 };

static const struct {
    const char *entity, *action, *example;
    int64_t entity_number, action_number;
} EVENTS[] = {
#define IG_WEBHOOK_EVENT(id, entity, entity_number, action, action_number, example)                \
    {entity, action, example, entity_number, action_number},
#include "services/webhook/webhook_events.def"
#undef IG_WEBHOOK_EVENT
};

static int shown(struct ig_str text)
{
    return text.len > SHOWN_MAX ? SHOWN_MAX : (int)text.len;
}

/* ---- events ---- */

const char *ig_webhook_entity(enum ig_webhook_event event)
{
    return EVENTS[event].entity;
}

const char *ig_webhook_action(enum ig_webhook_event event)
{
    return EVENTS[event].action;
}

const char *ig_webhook_example(enum ig_webhook_event event)
{
    return EVENTS[event].example;
}

static bool is_word(struct ig_str text, const char *name, int64_t number)
{
    int64_t value;
    return ig_str_eq_nocase(text, ig_str_view(name)) ||
           (ig_str_to_i64(text, &value) && value == number);
}

enum ig_code ig_webhook_event_parse(enum ig_webhook_event *out, struct ig_str entity,
                                    struct ig_str action, struct ig_err *err)
{
    char valid[64] = "";
    size_t used = 0;
    const char *name = NULL;
    for (size_t i = 0; i < COUNT(EVENTS); i++) {
        if (!is_word(entity, EVENTS[i].entity, EVENTS[i].entity_number)) continue;
        if (is_word(action, EVENTS[i].action, EVENTS[i].action_number)) {
            *out = (enum ig_webhook_event)i;
            return IG_OK;
        }
        used += (size_t)snprintf(valid + used, sizeof valid - used, "%s'%s'", name ? ", " : "",
                                 EVENTS[i].action);
        name = EVENTS[i].entity;
    }
    if (!name)
        return ig_fail(err, IG_INVALID, "Unknown entity '%.*s' of a webhook's event", shown(entity),
                       entity.ptr);
    return ig_fail(err, IG_INVALID,
                   "Invalid action '%.*s' for entity '%s'. Valid actions are: [%s]", shown(action),
                   action.ptr, name, valid);
}

/* ---- names ---- */

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

enum ig_code ig_webhook_check_name(struct ig_str name, struct ig_err *err)
{
    bool good = name.len > 0 && name.len <= NAME_MAX_BYTES && is_alphanumeric(name.ptr[0]) &&
                is_alphanumeric(name.ptr[name.len - 1]);
    for (size_t i = 0; good && i < name.len; i++)
        good = is_alphanumeric(name.ptr[i]) || (name.ptr[i] && strchr("._-", name.ptr[i]));
    if (good) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Webhook name '%.*s' is invalid. It must start and end with a letter or digit, "
                   "be less than 63 characters long, and contain only letters, digits, dots (.), "
                   "underscores (_), and hyphens (-).",
                   shown(name), name.ptr);
}

/* ---- URLs ---- */

static enum ig_code bad_url(struct ig_str url, const char *why, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "Invalid webhook URL '%.*s': %s", shown(url), url.ptr, why);
}

/* Past "https://"; the scheme as it was written when it is neither of the two. */
static enum ig_code take_scheme(struct ig_webhook_url *out, struct ig_str url, struct ig_str *rest,
                                struct ig_err *err)
{
    static const char *const SCHEMES[] = {"http://", "https://"};
    for (size_t i = 0; i < COUNT(SCHEMES); i++) {
        size_t length = strlen(SCHEMES[i]);
        if (url.len < length || memcmp(url.ptr, SCHEMES[i], length) != 0) continue;
        out->is_secure = i == 1;
        *rest = (struct ig_str){url.ptr + length, url.len - length};
        return IG_OK;
    }
    struct ig_str after = url, scheme = ig_str_cut(&after, ':');
    if (!after.ptr) scheme = IG_STR("");
    return ig_fail(err, IG_INVALID,
                   "Invalid webhook URL scheme: '%.*s'. Allowed schemes are: http, https.",
                   shown(scheme), scheme.ptr);
}

static enum ig_code take_host(struct ig_webhook_url *out, struct ig_str url,
                              struct ig_str authority, struct ig_err *err)
{
    struct ig_str host, port = {0};
    uint64_t number;
    if (memchr(authority.ptr, '@', authority.len))
        return bad_url(url, "it holds a user's name", err);
    if (authority.len && authority.ptr[0] == '[') {
        const char *close = memchr(authority.ptr, ']', authority.len);
        if (!close) return bad_url(url, "expected ']' behind the address", err);
        host = (struct ig_str){authority.ptr + 1, (size_t)(close - authority.ptr) - 1};
        struct ig_str rest = {close + 1, authority.len - host.len - 2};
        if (rest.len && rest.ptr[0] != ':') return bad_url(url, "expected a port behind ']'", err);
        if (rest.len) port = (struct ig_str){rest.ptr + 1, rest.len - 1};
    } else {
        port = authority;
        host = ig_str_cut(&port, ':');
    }
    if (!host.len)
        return ig_fail(err, IG_INVALID, "Webhook URL must include a hostname: '%.*s'", shown(url),
                       url.ptr);
    if (port.ptr && (!ig_str_to_u64(port, &number) || !number || number > 65535))
        return bad_url(url, "the port is not a number from 1 to 65535", err);
    out->host = host;
    return IG_OK;
}

enum ig_code ig_webhook_url_parse(struct ig_webhook_url *out, struct ig_str url, struct ig_err *err)
{
    struct ig_webhook_url parsed = {0};
    struct ig_str rest = {0};
    if (!ig_str_trim(url).len)
        return ig_fail(err, IG_INVALID, "Webhook URL cannot be empty or just whitespace: '%.*s'",
                       shown(url), url.ptr);
    if (url.len > IG_WEBHOOK_URL_MAX)
        return ig_fail(err, IG_INVALID, "Webhook URL is of %zu bytes; at most %d are allowed",
                       url.len, IG_WEBHOOK_URL_MAX);
    if (take_scheme(&parsed, url, &rest, err) != IG_OK) return err->code;
    for (size_t i = 0; i < url.len; i++)
        if (url.ptr[i] <= ' ' || url.ptr[i] > '~')
            return bad_url(url, "it holds what has to be escaped", err);
    if (memchr(url.ptr, '#', url.len)) return bad_url(url, "it has a fragment", err);
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') end++;
    if (take_host(&parsed, url, (struct ig_str){rest.ptr, end}, err) != IG_OK) return err->code;
    parsed.target = (struct ig_str){rest.ptr + end, rest.len - end};
    parsed.base = (struct ig_str){url.ptr, url.len - parsed.target.len};
    *out = parsed;
    return IG_OK;
}

enum ig_code ig_webhook_url_follow(char out[IG_WEBHOOK_URL_MAX + 1], struct ig_str from,
                                   struct ig_str location, struct ig_err *err)
{
    struct ig_webhook_url url;
    struct ig_buf text;
    if (ig_webhook_url_parse(&url, from, err) != IG_OK) return err->code;
    ig_buf_init(&text, IG_WEBHOOK_URL_MAX);
    if (ig_str_starts(location, IG_STR("//")))
        ig_buf_add_cstr(&text, url.is_secure ? "https:" : "http:");
    else if (location.len && location.ptr[0] == '/')
        ig_buf_add_str(&text, url.base);
    ig_buf_add_str(&text, location);
    if (text.overflowed)
        ig_fail(err, IG_INVALID, "redirect of %zu bytes; at most %d are allowed", location.len,
                IG_WEBHOOK_URL_MAX);
    else if (ig_webhook_url_parse(&url, ig_buf_view(&text), err) == IG_OK)
        snprintf(out, IG_WEBHOOK_URL_MAX + 1, "%.*s", IG_STR_ARGS(ig_buf_view(&text)));
    ig_buf_deinit(&text);
    return err->code;
}

enum ig_code ig_webhook_url_check(const struct ig_webhooks *webhooks, struct ig_str url,
                                  struct ig_err *err)
{
    struct ig_webhook_url parsed;
    struct ig_err local = IG_ERR_INIT;
    char host[IG_WEBHOOK_URL_MAX + 1];
    if (ig_webhook_url_parse(&parsed, url, err) != IG_OK) return err->code;
    if (!parsed.is_secure && !webhooks->options.http_allowed)
        return ig_fail(err, IG_INVALID,
                       "Invalid webhook URL scheme: 'http'. Allowed schemes are: https.");
    if (webhooks->options.private_allowed) return IG_OK;
    snprintf(host, sizeof host, "%.*s", IG_STR_ARGS(parsed.host));
    if (ig_client_check_public(host, &local) == IG_OK) return IG_OK;
    if (local.code != IG_DENIED)
        return ig_fail(err, IG_INVALID, "Cannot resolve Webhook URL hostname: %s", local.message);
    return ig_fail(err, IG_INVALID, "Webhook URL must not resolve to a non-public IP address. %s",
                   local.message);
}
