/* SPDX-License-Identifier: Apache-2.0 */
/* The OpenAPI 3.1 description, written from routes.def and schemas.def. */
#include "api/route.h"

#include <string.h>

static const struct {
    const char *name, *json;
} schemas[] = {
#define IG_SCHEMA(name, json) {name, json},
#include "api/schemas.def"
#undef IG_SCHEMA
};

static void write_schema_of(struct ig_json_out *out, const char *name)
{
    struct ig_buf ref;
    ig_buf_init(&ref, 128);
    ig_buf_printf(&ref, "{\"$ref\":\"#/components/schemas/%s\"}", name);
    ig_json_out_key(out, IG_STR("content"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("application/json"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("schema"));
    ig_json_out_raw(out, ig_buf_view(&ref));
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    ig_buf_deinit(&ref);
}

static void write_parameters(struct ig_json_out *out, const char *path)
{
    struct ig_str rest = ig_str_view(path);
    ig_json_out_key(out, IG_STR("parameters"));
    ig_json_out_array(out);
    for (;;) {
        ig_str_cut(&rest, '{');
        if (!rest.ptr) break;
        struct ig_str name = ig_str_cut(&rest, '}');
        if (ig_str_ends(name, IG_STR("*"))) name.len--;
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", name);
        ig_json_out_kv_str(out, "in", IG_STR("path"));
        ig_json_out_kv_bool(out, "required", true);
        ig_json_out_key(out, IG_STR("schema"));
        ig_json_out_raw(out, IG_STR("{\"type\":\"string\"}"));
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_body(struct ig_json_out *out, const struct ig_route *route)
{
    if (!*route->request_schema && route->class != IG_ROUTE_STREAM) return;
    if (strcmp(route->method, "GET") == 0) return;
    ig_json_out_key(out, IG_STR("requestBody"));
    ig_json_out_object(out);
    ig_json_out_kv_bool(out, "required", true);
    if (*route->request_schema) {
        write_schema_of(out, route->request_schema);
    } else {
        ig_json_out_key(out, IG_STR("content"));
        ig_json_out_raw(out, IG_STR("{\"application/octet-stream\":{}}"));
    }
    ig_json_out_object_end(out);
}

static void write_replies(struct ig_json_out *out, const struct ig_route *route)
{
    ig_json_out_key(out, IG_STR("responses"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("2XX"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "description", IG_STR("done"));
    if (*route->reply_schema) write_schema_of(out, route->reply_schema);
    ig_json_out_object_end(out);
    ig_json_out_key(out, IG_STR("default"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "description", IG_STR("what went wrong"));
    write_schema_of(out, "Error");
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

static void write_security(struct ig_json_out *out, const struct ig_route *route)
{
    ig_json_out_key(out, IG_STR("security"));
    if (route->scope == IG_SCOPE_NONE) {
        ig_json_out_raw(out, IG_STR("[]"));
        return;
    }
    ig_json_out_raw(out, IG_STR("[{\"bearer\":[]},{\"key\":[]},{\"basic\":[]}]"));
    if (route->scope == IG_SCOPE_DEVICE) {
        ig_json_out_kv_str(out, "x-scope", IG_STR("a device's own token"));
        return;
    }
    struct ig_buf scopes;
    ig_buf_init(&scopes, 256);
    ig_scopes_format(&scopes, route->scope);
    ig_json_out_kv_str(out, "x-scope", ig_buf_view(&scopes));
    ig_buf_reset(&scopes);
    /* What a user who is no administrator needs. */
    if (route->permission > IG_PERMISSION_NONE)
        ig_buf_printf(&scopes, "%s of ", ig_permission_name(route->permission));
    ig_buf_add_cstr(&scopes, ig_need_doc(route->need));
    ig_json_out_kv_str(out, "x-user", ig_buf_view(&scopes));
    ig_buf_deinit(&scopes);
}

static void write_operation(struct ig_json_out *out, const struct ig_route *route)
{
    char method[8] = "";
    for (size_t i = 0; i + 1 < sizeof method && route->method[i]; i++)
        method[i] = (char)(route->method[i] | 0x20);
    ig_json_out_key(out, ig_str_view(method));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "summary", ig_str_view(route->doc));
    write_parameters(out, route->path);
    write_body(out, route);
    write_replies(out, route);
    write_security(out, route);
    ig_json_out_object_end(out);
}

/* The template without the star of a "{path*}", which OpenAPI does not know. */
static void write_template(struct ig_json_out *out, const char *path)
{
    struct ig_str rest = ig_str_view(path);
    struct ig_buf text;
    ig_buf_init(&text, 256);
    ig_buf_add_str(&text, ig_str_cut(&rest, '*'));
    if (rest.ptr) ig_buf_add_str(&text, rest);
    ig_json_out_key(out, ig_buf_view(&text));
    ig_buf_deinit(&text);
}

/* All methods of the path of route `first`, when it is the first with that path. */
static void write_path(struct ig_json_out *out, size_t first)
{
    const char *path = IG_ROUTES[first].path;
    for (size_t i = 0; i < first; i++)
        if (strcmp(IG_ROUTES[i].path, path) == 0) return;
    write_template(out, path);
    ig_json_out_object(out);
    for (size_t i = first; i < ig_routes_count(); i++)
        if (strcmp(IG_ROUTES[i].path, path) == 0) write_operation(out, &IG_ROUTES[i]);
    ig_json_out_object_end(out);
}

static void write_components(struct ig_json_out *out)
{
    ig_json_out_key(out, IG_STR("components"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("securitySchemes"));
    ig_json_out_raw(out, IG_STR("{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"},"
                                "\"basic\":{\"type\":\"http\",\"scheme\":\"basic\"},"
                                "\"key\":{\"type\":\"apiKey\",\"in\":\"header\","
                                "\"name\":\"X-API-Key\"}}"));
    ig_json_out_key(out, IG_STR("schemas"));
    ig_json_out_object(out);
    for (size_t i = 0; i < sizeof schemas / sizeof schemas[0]; i++) {
        ig_json_out_key(out, ig_str_view(schemas[i].name));
        ig_json_out_raw(out, ig_str_view(schemas[i].json));
    }
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

enum ig_code ig_openapi_get(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "openapi", IG_STR("3.1.0"));
    ig_json_out_key(&out, IG_STR("info"));
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "title", IG_STR("Ingot"));
    ig_json_out_kv_str(&out, "version", IG_STR(INGOT_VERSION));
    ig_json_out_object_end(&out);
    ig_json_out_key(&out, IG_STR("paths"));
    ig_json_out_object(&out);
    for (size_t i = 0; i < ig_routes_count(); i++) write_path(&out, i);
    ig_json_out_object_end(&out);
    write_components(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}
