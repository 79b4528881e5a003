/* SPDX-License-Identifier: Apache-2.0 */
/* Access checks before anything of a body is read. */
#include "api/access.h"

#include "api/route.h"

#include <string.h>

/* The name in "name:port", "[::1]:port" or either without port. */
static struct ig_str host_name(struct ig_str host)
{
    if (host.len && host.ptr[0] == '[') {
        const char *end = memchr(host.ptr, ']', host.len);
        return end ? (struct ig_str){host.ptr, (size_t)(end - host.ptr) + 1} : host;
    }
    return ig_str_cut(&host, ':');
}

static bool host_allowed(const struct ig_app *app, struct ig_str name)
{
    static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        if (ig_str_eq_nocase(name, ig_str_view(local[i]))) return true;
    for (size_t i = 0; i < app->hosts_count; i++)
        if (ig_str_eq_nocase(name, app->hosts[i])) return true;
    return false;
}

static bool origin_allowed(const struct ig_app *app, struct ig_str origin, struct ig_str host)
{
    for (size_t i = 0; i < app->origins_count; i++)
        if (ig_str_eq_nocase(origin, app->origins[i])) return true;
    struct ig_str scheme = IG_STR("http://"), secure = IG_STR("https://");
    struct ig_str own = origin;
    size_t cut = ig_str_starts(own, scheme)   ? scheme.len
                 : ig_str_starts(own, secure) ? secure.len
                                              : 0;
    if (!cut) return false;
    return ig_str_eq_nocase((struct ig_str){own.ptr + cut, own.len - cut}, host);
}

enum ig_code ig_access_check_source(struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    struct ig_str origin = ig_http_header(request, IG_STR("origin"));
    if (request->host.len && !host_allowed(call->app, host_name(request->host))) {
        call->status = 421;
        return ig_fail(&call->err, IG_DENIED,
                       "Host: '%.*s' is not a name of this server (setting hosts)",
                       IG_STR_ARGS(request->host));
    }
    if (origin.ptr && !origin_allowed(call->app, origin, request->host))
        return ig_fail(&call->err, IG_DENIED,
                       "Origin: '%.*s' may not call this server (setting origins)",
                       IG_STR_ARGS(origin));
    return IG_OK;
}

struct ig_str ig_access_token(const struct ig_http_request *request)
{
    struct ig_str token = ig_http_header(request, IG_STR("x-api-key"));
    struct ig_str given = ig_http_header(request, IG_STR("authorization"));
    struct ig_str bearer = IG_STR("bearer ");
    if (token.len) return token;
    if (given.len <= bearer.len) return IG_STR("");
    if (!ig_str_eq_nocase((struct ig_str){given.ptr, bearer.len}, bearer)) return IG_STR("");
    return ig_str_trim((struct ig_str){given.ptr + bearer.len, given.len - bearer.len});
}

static enum ig_code identify(struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    if (!ig_auth_keys_exist(call->app->auth)) {
        if (!request->is_loopback)
            return ig_fail(&call->err, IG_UNAUTHENTICATED,
                           "an API key is needed: there is none yet, `ingot key create` makes one");
        call->who = IG_PRINCIPAL_LOCAL;
        return IG_OK;
    }
    struct ig_str token = ig_access_token(request);
    if (!token.len)
        return ig_fail(
            &call->err, IG_UNAUTHENTICATED,
            "an API key is needed: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'");
    return ig_auth_authenticate(&call->who, call->app->auth, token, &call->err);
}

static enum ig_code check(struct ig_call *call, unsigned scope)
{
    if (call->who.scopes & (scope | IG_SCOPE_ADMIN)) return IG_OK;
    struct ig_buf names;
    ig_buf_init(&names, 256);
    ig_scopes_format(&names, scope);
    ig_fail(&call->err, IG_DENIED, "the key '%s' lacks the scope %.*s", call->who.name,
            IG_STR_ARGS(ig_buf_view(&names)));
    ig_buf_deinit(&names);
    return call->err.code;
}

enum ig_code ig_access_check_scope(struct ig_call *call)
{
    unsigned scope = call->route->scope;
    if (scope == IG_SCOPE_NONE || scope == IG_SCOPE_DEVICE) return IG_OK;
    return identify(call) == IG_OK ? check(call, scope) : call->err.code;
}

enum ig_code ig_access_check_admin(struct ig_call *call)
{
    return check(call, IG_SCOPE_ADMIN);
}
