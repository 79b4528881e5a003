/* SPDX-License-Identifier: Apache-2.0 */
/* Matches paths against the table of routes. Templates are cut into segments once, at start; paths
 * without parameters are found in a map, others by their number of segments. A segment is decoded
 * before it is compared, and after the path was cut at its slashes. A last parameter "{path*}"
 * takes one segment or several, each by the rules of one, joined by slashes. Immutable once built.
 */
#include "api/route.h"

#include "base/map.h"
#include "base/mem.h"

#include <stdio.h>
#include <string.h>

#define IG_MLFLOW_ROUTE(method, path, scope, class, cap, handler, request, reply, need,            \
                        permission, doc)                                                           \
    {method,                                                                                       \
     path,                                                                                         \
     (unsigned)(IG_SCOPE_##scope),                                                                 \
     IG_ROUTE_##class,                                                                             \
     (uint64_t)(cap),                                                                              \
     handler,                                                                                      \
     request,                                                                                      \
     reply,                                                                                        \
     doc,                                                                                          \
     IG_NEED_##need,                                                                               \
     IG_PERMISSION_##permission},
#define IG_ROUTE(method, path, scope, class, cap, handler, request, reply, doc)                    \
    IG_MLFLOW_ROUTE(method, path, scope, class, cap, handler, request, reply, KEY, NONE, doc)
const struct ig_route IG_ROUTES[] = {
#include "api/routes.def"
};
#undef IG_ROUTE

enum {
    ROUTES = sizeof IG_ROUTES / sizeof IG_ROUTES[0],
    SEGMENTS_MAX = 8,
    REST_SEGMENTS_MAX = 64, /* of one "{path*}" */
};

/* "{model}:predict" has a parameter and the suffix ":predict"; "models" is a suffix alone. */
struct segment {
    struct ig_str suffix;
    bool parameter;
};

struct pattern {
    struct segment segments[SEGMENTS_MAX];
    size_t count;
    bool fixed; /* no parameter */
    bool open;  /* the last parameter takes the rest of the path */
};

/* A path cut at its slashes. */
struct target {
    struct ig_str segments[SEGMENTS_MAX]; /* decoded */
    struct ig_str rests[SEGMENTS_MAX];    /* as sent, from that segment to the end */
    size_t count;
    bool more; /* segments follow that were not cut */
};

struct ig_router {
    struct pattern patterns[ROUTES];
    struct ig_map fixed; /* path -> index + 1 of its first route */
};

size_t ig_routes_count(void)
{
    return ROUTES;
}

size_t ig_route_index(const struct ig_route *route)
{
    return (size_t)(route - IG_ROUTES);
}

static void compile(struct pattern *pattern, const char *path)
{
    struct ig_str rest = ig_str_view(path + 1);
    pattern->fixed = true;
    while (rest.ptr) {
        IG_ASSERT(pattern->count < SEGMENTS_MAX && !pattern->open);
        struct segment *segment = &pattern->segments[pattern->count++];
        struct ig_str text = ig_str_cut(&rest, '/');
        segment->parameter = text.len && text.ptr[0] == '{';
        if (segment->parameter) {
            pattern->open = ig_str_ends(ig_str_cut(&text, '}'), IG_STR("*"));
            pattern->fixed = false;
        }
        segment->suffix = text.ptr ? text : IG_STR("");
    }
}

enum ig_code ig_router_new(struct ig_router **out, struct ig_err *err)
{
    struct ig_router *router = ig_zalloc(sizeof *router);
    if (!router) return ig_fail(err, IG_NO_MEMORY, "no memory for the routes");
    ig_map_init(&router->fixed, ROUTES);
    for (size_t i = 0; i < ROUTES; i++) {
        struct ig_str path = ig_str_view(IG_ROUTES[i].path);
        compile(&router->patterns[i], IG_ROUTES[i].path);
        if (!router->patterns[i].fixed || ig_map_get(&router->fixed, path)) continue;
        if (ig_map_put(&router->fixed, path, (void *)(uintptr_t)(i + 1))) continue;
        ig_router_free(router);
        return ig_fail(err, IG_NO_MEMORY, "no memory for the routes");
    }
    *out = router;
    return IG_OK;
}

void ig_router_free(struct ig_router *router)
{
    if (!router) return;
    ig_map_deinit(&router->fixed);
    ig_free(router);
}

static bool method_matches(const struct ig_route *route, struct ig_str method)
{
    return ig_str_is(method, route->method) ||
           (ig_str_is(method, "HEAD") && strcmp(route->method, "GET") == 0);
}

/* A parameter is not empty and, as its template has no slash, neither has it one, nor is it "."
 * or "..": such words never reach a handler. */
static bool is_parameter(struct ig_str text)
{
    return text.len && !memchr(text.ptr, '/', text.len) && !ig_str_is(text, ".") &&
           !ig_str_is(text, "..");
}

static bool segment_matches(const struct segment *segment, struct ig_str text, struct ig_str *param)
{
    if (!segment->parameter) return ig_str_eq(segment->suffix, text);
    if (!ig_str_ends(text, segment->suffix)) return false;
    *param = (struct ig_str){text.ptr, text.len - segment->suffix.len};
    return is_parameter(*param);
}

/* Decodes the segments of `rest` one by one; false also with call->err set. */
static bool rest_matches(struct ig_call *call, struct ig_str rest, struct ig_str *param)
{
    char *text = ig_arena_alloc(call->arena, rest.len + 1);
    size_t length = 0;
    if (!text) ig_fail(&call->err, IG_NO_MEMORY, "no memory for the path");
    for (size_t count = 0; text && rest.ptr; count++) {
        struct ig_str segment, raw = ig_str_cut(&rest, '/');
        if (count == REST_SEGMENTS_MAX) return false;
        if (ig_http_percent_decode(&segment, call->arena, raw, false, &call->err) != IG_OK)
            return false;
        if (!is_parameter(segment)) return false;
        if (count) text[length++] = '/';
        memcpy(text + length, segment.ptr, segment.len);
        length += segment.len;
    }
    *param = (struct ig_str){text, length};
    return text != NULL;
}

/* Most routes are told apart by their number of segments. */
static bool has_length(const struct pattern *pattern, const struct target *target)
{
    size_t single = pattern->count - pattern->open;
    return pattern->open ? target->count > single : !target->more && target->count == single;
}

static bool pattern_matches(const struct pattern *pattern, const struct target *target,
                            struct ig_call *call)
{
    size_t used = 0, single = pattern->count - pattern->open;
    if (!has_length(pattern, target)) return false;
    for (size_t i = 0; i < single; i++) {
        struct ig_str param = {NULL, 0};
        if (!segment_matches(&pattern->segments[i], target->segments[i], &param)) return false;
        if (pattern->segments[i].parameter) call->params[used++] = param;
    }
    return !pattern->open || rest_matches(call, target->rests[single], &call->params[used]);
}

static void allow_add(char allow[64], const char *method)
{
    size_t length = strlen(allow);
    snprintf(allow + length, 64 - length, "%s%s", length ? ", " : "", method);
}

static enum ig_code match_fixed(const struct ig_route **out, size_t first, struct ig_call *call,
                                char allow[64])
{
    struct ig_str method = call->exchange->request.method;
    for (size_t i = first; i < ROUTES; i++) {
        if (strcmp(IG_ROUTES[i].path, IG_ROUTES[first].path) != 0) continue;
        *out = &IG_ROUTES[i];
        if (method_matches(*out, method)) return IG_OK;
        allow_add(allow, IG_ROUTES[i].method);
    }
    return IG_METHOD;
}

/* MLflow's console calls /ajax-api what its clients call /api. */
static struct ig_str path_of(const struct ig_call *call)
{
    static const struct ig_str AJAX = {"/ajax-api/", 10};
    struct ig_str path = call->exchange->request.path;
    if (!ig_str_starts(path, AJAX) || !ig_call_is_mlflow(path)) return path;
    const char *plain =
        ig_arena_printf(call->arena, "/api/%.*s", (int)(path.len - AJAX.len), path.ptr + AJAX.len);
    return plain ? ig_str_view(plain) : path;
}

/* Cuts and decodes the first segments of the path; false with err set when malformed. */
static bool cut_path(struct ig_call *call, struct ig_str path, struct target *target)
{
    struct ig_str rest = path;
    target->count = 0;
    if (!rest.len || rest.ptr[0] != '/') return false;
    rest = (struct ig_str){rest.ptr + 1, rest.len - 1};
    for (; rest.ptr && target->count < SEGMENTS_MAX; target->count++) {
        struct ig_str *segment = &target->segments[target->count];
        target->rests[target->count] = rest;
        struct ig_str raw = ig_str_cut(&rest, '/');
        if (ig_http_percent_decode(segment, call->arena, raw, false, &call->err) != IG_OK)
            return false;
    }
    target->more = rest.ptr != NULL;
    return true;
}

static enum ig_code answer(struct ig_call *call, enum ig_code code)
{
    const struct ig_http_request *request = &call->exchange->request;
    if (code == IG_METHOD)
        return ig_fail(&call->err, code, "%.*s does not allow the method %.*s",
                       IG_STR_ARGS(request->path), IG_STR_ARGS(request->method));
    return ig_fail(&call->err, code, "there is nothing at %.*s", IG_STR_ARGS(request->path));
}

/* The first route of the request's method; NULL also with err set. */
static const struct ig_route *match_pattern(const struct ig_router *router, struct ig_call *call,
                                            const struct target *target)
{
    for (size_t i = 0; i < ROUTES && call->err.code == IG_OK; i++) {
        if (has_length(&router->patterns[i], target) &&
            method_matches(&IG_ROUTES[i], call->exchange->request.method) &&
            pattern_matches(&router->patterns[i], target, call))
            return &IG_ROUTES[i];
    }
    return NULL;
}

static void allow_others(const struct ig_router *router, struct ig_call *call,
                         const struct target *target, char allow[64])
{
    for (size_t i = 0; i < ROUTES && call->err.code == IG_OK; i++)
        if (pattern_matches(&router->patterns[i], target, call))
            allow_add(allow, IG_ROUTES[i].method);
}

enum ig_code ig_router_match(const struct ig_route **out, const struct ig_router *router,
                             struct ig_call *call, char allow[64])
{
    struct target target;
    struct ig_str path = path_of(call);
    allow[0] = '\0';
    uintptr_t first = (uintptr_t)ig_map_get(&router->fixed, path);
    if (first) {
        if (match_fixed(out, first - 1, call, allow) == IG_OK) return IG_OK;
        return answer(call, IG_METHOD);
    }
    if (!cut_path(call, path, &target))
        return call->err.code != IG_OK ? call->err.code : answer(call, IG_NOT_FOUND);
    *out = match_pattern(router, call, &target);
    if (*out) return IG_OK;
    if (call->err.code == IG_OK) allow_others(router, call, &target, allow);
    if (call->err.code != IG_OK) return call->err.code;
    return answer(call, allow[0] ? IG_METHOD : IG_NOT_FOUND);
}
