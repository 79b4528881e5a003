/* SPDX-License-Identifier: Apache-2.0 */
/* Access checks before anything of a body is read. */
#include "api/access.h"

#include "api/mlflow_access.h"
#include "base/base64.h"

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

static bool is_basic(struct ig_str header)
{
    struct ig_str basic = IG_STR("basic ");
    return header.len > basic.len &&
           ig_str_eq_nocase((struct ig_str){header.ptr, basic.len}, basic);
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

enum ig_code ig_access_parse_basic(struct ig_credentials_given *out, struct ig_str header,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str scheme = IG_STR("basic ");
    struct ig_buf bytes;
    if (header.len > IG_ACCESS_BASIC_MAX)
        return ig_fail(err, IG_INVALID, "Authorization: more than %d bytes", IG_ACCESS_BASIC_MAX);
    if (!is_basic(header)) return ig_fail(err, IG_INVALID, "Authorization: expected Basic");
    ig_buf_init(&bytes, IG_ACCESS_BASIC_MAX);
    struct ig_str text =
        ig_str_trim((struct ig_str){header.ptr + scheme.len, header.len - scheme.len});
    bool good = ig_base64_decode(&bytes, text);
    struct ig_str rest = good ? ig_arena_dup(arena, ig_buf_view(&bytes)) : IG_STR("");
    if (bytes.ptr) explicit_bzero(bytes.ptr, bytes.len);
    ig_buf_deinit(&bytes);
    struct ig_str name = ig_str_cut(&rest, ':');
    if (!rest.ptr)
        return ig_fail(err, IG_INVALID, "Authorization: expected name:password in base64");
    *out = (struct ig_credentials_given){name, rest};
    return IG_OK;
}

static enum ig_code unauthenticated(struct ig_call *call)
{
    bool users = ig_users_exist(call->app->users);
    if (users && ig_call_is_mlflow(call->exchange->request.path))
        return ig_fail(
            &call->err, IG_UNAUTHENTICATED,
            "You are not authenticated. Please see "
            "https://www.mlflow.org/docs/latest/auth/index.html#authenticating-to-mlflow "
            "on how to authenticate.");
    return ig_fail(&call->err, IG_UNAUTHENTICATED, "%s is needed: send %s",
                   users ? "an API key, or a user's name and password," : "an API key",
                   users ? "'Authorization: Bearer KEY', 'X-API-Key: KEY' or 'Authorization: Basic'"
                         : "'Authorization: Bearer KEY' or 'X-API-Key: KEY'");
}

/* Who was verified before is known at once; others are left to ig_access_settle. */
static enum ig_code identify_user(struct ig_call *call, struct ig_str header)
{
    struct ig_credentials_given given;
    struct ig_users *users = call->app->users;
    if (ig_access_parse_basic(&given, header, call->arena, &call->err) != IG_OK) {
        ig_err_clear(&call->err);
        return unauthenticated(call);
    }
    if (ig_users_recall(&call->who, users, given.name, given.password)) return IG_OK;
    if (ig_users_may_try(users, given.name, &call->err) != IG_OK) return call->err.code;
    call->given = ig_arena_alloc(call->arena, sizeof *call->given);
    if (!call->given) return ig_fail(&call->err, IG_NO_MEMORY, "credentials");
    *call->given = given;
    return IG_OK;
}

static enum ig_code identify(struct ig_call *call, bool may_be_user)
{
    const struct ig_http_request *request = &call->exchange->request;
    bool keys = ig_auth_keys_exist(call->app->auth), users = ig_users_exist(call->app->users);
    if (!keys && !users) {
        if (!request->is_loopback)
            return ig_fail(&call->err, IG_UNAUTHENTICATED,
                           "an API key is needed: there is none yet, `ingot key create` makes one");
        call->who = IG_PRINCIPAL_LOCAL;
        return IG_OK;
    }
    struct ig_str token = ig_access_token(request);
    struct ig_str header = ig_http_header(request, IG_STR("authorization"));
    if (users && may_be_user && !token.len && is_basic(header)) return identify_user(call, header);
    if (!token.len) return unauthenticated(call);
    return ig_auth_authenticate(&call->who, call->app->auth, token, &call->err);
}

static bool is_plain_user(const struct ig_call *call)
{
    return call->who.user && !(call->who.scopes & IG_SCOPE_ADMIN);
}

static enum ig_code check(struct ig_call *call, unsigned scope)
{
    if (call->who.scopes & (scope | IG_SCOPE_ADMIN)) return IG_OK;
    if (is_plain_user(call))
        return ig_fail(&call->err, IG_DENIED, "the user '%s' is no administrator", call->who.name);
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
    return identify(call, false) == IG_OK ? check(call, scope) : call->err.code;
}

enum ig_code ig_access_begin(struct ig_call *call)
{
    unsigned scope = call->route->scope;
    if (scope == IG_SCOPE_NONE || scope == IG_SCOPE_DEVICE) return IG_OK;
    if (identify(call, true) != IG_OK) return call->err.code;
    bool about = is_plain_user(call) && call->route->need != IG_NEED_KEY;
    return call->given || about ? IG_OK : check(call, scope);
}

enum ig_code ig_access_check_known(struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    if (!ig_users_exist(call->app->users) || !ig_call_is_mlflow(request->path) ||
        ig_access_token(request).len || is_basic(ig_http_header(request, IG_STR("authorization"))))
        return IG_OK;
    ig_err_clear(&call->err);
    return unauthenticated(call);
}

bool ig_access_is_open(const struct ig_call *call)
{
    return call->given || (is_plain_user(call) && !call->permitted);
}

enum ig_code ig_access_settle(struct ig_call *call)
{
    if (!ig_access_is_open(call)) return IG_OK;
    if (call->given && ig_users_verify(&call->who, call->app->users, call->given->name,
                                       call->given->password, &call->err) != IG_OK) {
        if (call->err.code != IG_UNAUTHENTICATED) return call->err.code;
        ig_err_clear(&call->err);
        return unauthenticated(call);
    }
    call->given = NULL;
    if (!is_plain_user(call)) return check(call, call->route->scope);
    if (call->route->need == IG_NEED_KEY) return check(call, IG_SCOPE_ADMIN);
    if (ig_mlflow_access_check(call) != IG_OK) return call->err.code;
    call->permitted = true;
    return IG_OK;
}

void ig_access_challenge(struct ig_call *call)
{
    struct ig_err ignored = IG_ERR_INIT;
    bool users = ig_users_exist(call->app->users);
    ig_exchange_header(call->exchange, "WWW-Authenticate",
                       users && ig_call_is_mlflow(call->exchange->request.path)
                           ? IG_STR("Basic realm=\"mlflow\"")
                           : IG_STR("Bearer realm=\"ingot\""),
                       &ignored);
}

enum ig_code ig_access_check_admin(struct ig_call *call)
{
    return check(call, IG_SCOPE_ADMIN);
}
