/* SPDX-License-Identifier: Apache-2.0 */
/* Where a model's calls go: the provider's address and the headers that open it, from the model's
 * definition and its secret. Names of a secret's members are MLflow's. */
#include "services/gateway/gateway_priv.h"
#include "services/gateway/gateway_work.h"

#include "net/client.h"

static const struct ig_gateway_provider PROVIDERS[] = {
#define IG_GATEWAY_PROVIDER(name, title, protocol, base) {name, title, IG_GATEWAY_##protocol, base},
#include "services/gateway/gateway_providers.def"
#undef IG_GATEWAY_PROVIDER
};
enum { PROVIDERS_COUNT = sizeof PROVIDERS / sizeof PROVIDERS[0] };

const struct ig_gateway_provider *ig_gateway_provider_find(struct ig_str name)
{
    for (size_t i = 0; i < PROVIDERS_COUNT; i++)
        if (ig_str_is(name, PROVIDERS[i].name)) return &PROVIDERS[i];
    return NULL;
}

enum ig_code ig_gateway_provider_check(struct ig_str name, struct ig_err *err)
{
    struct ig_buf names;
    if (ig_gateway_provider_find(name)) return IG_OK;
    ig_buf_init(&names, 1024);
    for (size_t i = 0; i < PROVIDERS_COUNT; i++)
        ig_buf_printf(&names, "%s%s", i ? ", " : "", PROVIDERS[i].name);
    ig_fail(err, IG_INVALID,
            "Provider '%.*s' is not supported. Supported are: %.*s. One that speaks OpenAI's "
            "protocol can be called as 'openai', with its URL in the secret's 'api_base'.",
            (int)(name.len > 64 ? 64 : name.len), name.ptr, IG_STR_ARGS(ig_buf_view(&names)));
    ig_buf_deinit(&names);
    return err->code;
}

/* ---- URLs ---- */

enum ig_code ig_gateway_base_check(const struct ig_gateway *gateway, struct ig_str base,
                                   struct ig_err *err)
{
    struct ig_str plain = IG_STR("http://"), secure = IG_STR("https://");
    bool is_plain = ig_str_starts(base, plain);
    if (!is_plain && !ig_str_starts(base, secure))
        return ig_fail(err, IG_INVALID,
                       "Invalid Gateway secret api_base: an URL that begins with https:// is "
                       "needed");
    if (is_plain && !gateway->http_allowed)
        return ig_fail(err, IG_INVALID,
                       "Invalid Gateway secret api_base scheme: 'http'. Allowed schemes are: "
                       "https (the setting gateway_http allows the other).");
    size_t scheme = is_plain ? plain.len : secure.len;
    struct ig_str rest = {base.ptr + scheme, base.len - scheme};
    for (size_t i = 0; i < rest.len; i++)
        if (rest.ptr[i] <= ' ' || rest.ptr[i] > '~' || strchr("@?#\\\"", rest.ptr[i]))
            return ig_fail(err, IG_INVALID,
                           "Invalid Gateway secret api_base: scheme, host, port and path alone are "
                           "allowed");
    if (rest.len && rest.ptr[0] != '/') return IG_OK;
    return ig_fail(err, IG_INVALID, "Gateway secret api_base must include a hostname");
}

static struct ig_str config_of(struct ig_tracking_pairs config, const char *name)
{
    for (size_t i = 0; i < config.count; i++)
        if (ig_str_is(config.items[i].key, name)) return ig_str_trim(config.items[i].value);
    return IG_STR("");
}

static enum ig_code lacks(struct ig_gateway_work *work, const char *name)
{
    return ig_gateway_refuse(work, 400, "The secret of model '%.*s' lacks '%s', which %s needs",
                             IG_STR_ARGS(work->model), name, work->provider->title);
}

/* OpenAI's models at Azure: https://HOST/openai/deployments/NAME/...?api-version=... */
static enum ig_code take_azure(struct ig_buf *base, struct ig_buf *query,
                               struct ig_gateway_work *work, struct ig_tracking_pairs config)
{
    struct ig_str version = config_of(config, "api_version");
    struct ig_str name = config_of(config, "deployment_name");
    if (!base->len) return lacks(work, "api_base");
    if (!version.len) return lacks(work, "api_version");
    ig_buf_add_cstr(base, "/openai/deployments/");
    ig_client_escape(base, name.len ? name : work->model);
    ig_buf_add_cstr(query, "?api-version=");
    ig_client_escape(query, version);
    return IG_OK;
}

/* Names of Unity Catalog, of three parts, are served by another path than endpoints. */
static enum ig_code take_databricks(struct ig_buf *base, struct ig_gateway_work *work)
{
    size_t dots = 0;
    if (!base->len) return lacks(work, "api_base");
    for (size_t i = 0; i < work->model.len; i++) dots += work->model.ptr[i] == '.';
    if (dots >= 2)
        ig_buf_add_cstr(base, "/ai-gateway/mlflow/v1");
    else if (!base->ptr || !strstr(base->ptr, "/serving-endpoints"))
        ig_buf_add_cstr(base, "/serving-endpoints");
    return IG_OK;
}

static bool is_azure(const struct ig_gateway_work *work, struct ig_tracking_pairs config)
{
    struct ig_str type = config_of(config, "api_type");
    return work->provider->protocol == IG_GATEWAY_AZURE || ig_str_is(type, "azure") ||
           ig_str_is(type, "azuread");
}

static enum ig_code take_base(struct ig_gateway_work *work, const struct ig_gateway *gateway,
                              struct ig_tracking_pairs config)
{
    struct ig_str given = config_of(config, "api_base");
    struct ig_buf base, query;
    while (given.len && given.ptr[given.len - 1] == '/') given.len--;
    if (!given.len) given = ig_str_view(work->provider->base);
    if (given.len && ig_gateway_base_check(gateway, given, work->err) != IG_OK) {
        work->status = 400;
        return work->err->code;
    }
    ig_buf_init(&base, 4096);
    ig_buf_init(&query, 1024);
    ig_buf_add_str(&base, given);
    if (is_azure(work, config))
        take_azure(&base, &query, work, config);
    else if (work->provider->protocol == IG_GATEWAY_DATABRICKS)
        take_databricks(&base, work);
    work->base = ig_arena_cstr(work->arena, ig_buf_view(&base));
    work->query = ig_arena_cstr(work->arena, ig_buf_view(&query));
    if (base.overflowed || query.overflowed || !work->base || !work->query)
        ig_fail(work->err, IG_NO_MEMORY, "a provider's URL");
    ig_buf_deinit(&base);
    ig_buf_deinit(&query);
    return work->err->code;
}

/* ---- headers ---- */

static bool holds_control(struct ig_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 127) return true;
    return false;
}

static enum ig_code take_headers(struct ig_gateway_work *work, struct ig_tracking_pairs config)
{
    struct ig_str key = config_of(work->secrets, "api_key"), type = config_of(config, "api_type");
    struct ig_str version = config_of(config, "version"),
                  organization = config_of(config, "organization");
    const struct ig_str values[] = {key, version, organization};
    const char *text = "", *extra = "";
    enum ig_gateway_protocol protocol = work->provider->protocol;
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (holds_control(values[i]))
            return ig_gateway_refuse(work, 400, "The secret of model '%.*s' holds control bytes",
                                     IG_STR_ARGS(work->model));
    if (!key.len && !ig_str_is(ig_str_view(work->provider->name), "ollama"))
        return lacks(work, "api_key");
    if (protocol == IG_GATEWAY_ANTHROPIC)
        text = ig_arena_printf(work->arena, "x-api-key: %.*s\r\nanthropic-version: %.*s\r\n",
                               IG_STR_ARGS(key),
                               IG_STR_ARGS(version.len ? version : IG_STR("2023-06-01")));
    else if (protocol == IG_GATEWAY_GEMINI)
        text = ig_arena_printf(work->arena, "x-goog-api-key: %.*s\r\n", IG_STR_ARGS(key));
    else if (is_azure(work, config) && !ig_str_is(type, "azuread"))
        text = ig_arena_printf(work->arena, "api-key: %.*s\r\n", IG_STR_ARGS(key));
    else if (key.len)
        text = ig_arena_printf(work->arena, "Authorization: Bearer %.*s\r\n", IG_STR_ARGS(key));
    if (organization.len && protocol == IG_GATEWAY_OPENAI)
        extra = ig_arena_printf(work->arena, "OpenAI-Organization: %.*s\r\n",
                                IG_STR_ARGS(organization));
    if (!text || !extra) return ig_fail(work->err, IG_NO_MEMORY, "a provider's headers");
    work->headers = ig_arena_printf(work->arena, "%s%s", text, extra);
    explicit_bzero((char *)(uintptr_t)text, strlen(text));
    return work->headers ? IG_OK : ig_fail(work->err, IG_NO_MEMORY, "a provider's headers");
}

enum ig_code ig_gateway_target(struct ig_gateway_work *work, struct ig_gateway *gateway,
                               const struct ig_gateway_model *model)
{
    struct ig_tracking_pairs config = {NULL, 0};
    work->model = model->model;
    work->provider = ig_gateway_provider_find(model->provider);
    if (ig_gateway_provider_check(model->provider, work->err) != IG_OK) {
        work->status = 400;
        return work->err->code;
    }
    if (ig_gateway_secret_open(&work->secrets, &config, gateway, model->secret, work->arena,
                               work->err) != IG_OK ||
        take_base(work, gateway, config) != IG_OK)
        return work->err->code;
    return take_headers(work, config);
}

void ig_gateway_work_wipe(struct ig_gateway_work *work)
{
    for (size_t i = 0; i < work->secrets.count; i++) {
        struct ig_str value = work->secrets.items[i].value;
        explicit_bzero((char *)(uintptr_t)value.ptr, value.len);
    }
    if (work->headers) explicit_bzero(work->headers, strlen(work->headers));
}
