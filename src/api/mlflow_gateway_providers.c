/* SPDX-License-Identifier: Apache-2.0 */
/* What people may fill in when they configure MLflow's gateway: suggestions of providers and
 * models, and the fields of each way to authenticate. */
#include "api/mlflow_request.h"
#include "api/route.h"

#include <stdio.h>
#include <string.h>

static const struct provider {
    const char *name, *title;
} PROVIDERS[] = {
#define IG_GATEWAY_PROVIDER(name, title, protocol, base) {name, title},
#include "services/gateway/gateway_providers.def"
#undef IG_GATEWAY_PROVIDER
};
static const struct {
    const char *provider, *name, *mode;
} MODELS[] = {
#define IG_GATEWAY_MODEL(provider, name, mode) {provider, name, mode},
#include "services/gateway/gateway_models.def"
#undef IG_GATEWAY_MODEL
};

enum ig_code ig_mlflow_gateway_providers(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("providers"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < sizeof PROVIDERS / sizeof PROVIDERS[0]; i++)
        ig_json_out_str(&out, ig_str_view(PROVIDERS[i].name));
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_gateway_models(struct ig_call *call)
{
    struct ig_str provider = {0};
    struct ig_json_out out;
    if (ig_call_query_str(&provider, call, "provider") != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("models"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < sizeof MODELS / sizeof MODELS[0]; i++) {
        if (provider.len && !ig_str_is(provider, MODELS[i].provider)) continue;
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "model", ig_str_view(MODELS[i].name));
        ig_json_out_kv_str(&out, "provider", ig_str_view(MODELS[i].provider));
        ig_json_out_kv_str(&out, "mode", ig_str_view(MODELS[i].mode));
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- ways to authenticate ---- */

struct field {
    const char *name, *description;
    bool required;
};

static const struct mode {
    const char *mode, *title, *description;
    struct field secrets[3], config[4]; /* name NULL: the end */
} BEDROCK[] = {
    {"api_key",
     "API Key",
     "Use Amazon Bedrock API Key (bearer token)",
     {{"api_key", "Amazon Bedrock API Key", true}},
     {{"aws_region_name", "AWS Region", true}}},
    {"access_keys",
     "Access Keys",
     "Use AWS Access Key ID and Secret Access Key",
     {{"aws_access_key_id", "AWS Access Key ID", true},
      {"aws_secret_access_key", "AWS Secret Access Key", true}},
     {{"aws_region_name", "AWS Region (e.g., us-east-1)", false}}},
    {"iam_role",
     "IAM Role Assumption",
     "Assume an IAM role using the server's ambient credentials",
     {{0}},
     {{"aws_role_name", "IAM Role ARN to assume", true},
      {"aws_region_name", "AWS Region (e.g., us-east-1)", false}}},
    {"default_chain",
     "Default Credential Chain",
     "Use the server's default AWS credentials",
     {{0}},
     {{"aws_role_name", "IAM Role ARN to assume", false},
      {"aws_session_name", "Session name for assumed role", false},
      {"aws_region_name", "AWS Region (e.g., us-east-1)", false}}},
};

static void write_fields(struct ig_json_out *out, const char *key, const struct field *fields,
                         size_t count)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
    for (size_t i = 0; i < count && fields[i].name; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", ig_str_view(fields[i].name));
        ig_json_out_kv_str(out, "type", IG_STR("string"));
        ig_json_out_kv_str(out, "description", ig_str_view(fields[i].description));
        ig_json_out_kv_bool(out, "required", fields[i].required);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_mode(struct ig_json_out *out, const struct mode *mode)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "mode", ig_str_view(mode->mode));
    ig_json_out_kv_str(out, "display_name", ig_str_view(mode->title));
    ig_json_out_kv_str(out, "description", ig_str_view(mode->description));
    write_fields(out, "secret_fields", mode->secrets, 3);
    write_fields(out, "config_fields", mode->config, 4);
    ig_json_out_object_end(out);
}

/* A key and where to send it: of every provider but one. */
static void write_usual(struct ig_json_out *out, struct ig_str provider)
{
    char title[64], use[96], key[96], base[96];
    snprintf(title, sizeof title, "%.*s", (int)(provider.len > 60 ? 60 : provider.len),
             provider.ptr);
    for (size_t i = 0; i < sizeof PROVIDERS / sizeof PROVIDERS[0]; i++)
        if (ig_str_is(provider, PROVIDERS[i].name))
            snprintf(title, sizeof title, "%s", PROVIDERS[i].title);
    snprintf(use, sizeof use, "Use %s API Key", title);
    snprintf(key, sizeof key, "%s API Key", title);
    snprintf(base, sizeof base, "%s API Base URL", title);
    const struct mode usual = {
        "api_key", "API Key", use, {{"api_key", key, true}}, {{"api_base", base, false}}};
    write_mode(out, &usual);
}

enum ig_code ig_mlflow_gateway_provider_config(struct ig_call *call)
{
    struct ig_str provider = {0};
    struct ig_json_out out;
    if (ig_call_query_str(&provider, call, "provider") != IG_OK) return call->err.code;
    if (!provider.len) return ig_fail(&call->err, IG_INVALID, "Provider parameter is required");
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("auth_modes"));
    ig_json_out_array(&out);
    if (ig_str_is(provider, "bedrock"))
        for (size_t i = 0; i < sizeof BEDROCK / sizeof BEDROCK[0]; i++)
            write_mode(&out, &BEDROCK[i]);
    else
        write_usual(&out, provider);
    ig_json_out_array_end(&out);
    ig_json_out_kv_str(&out, "default_mode", IG_STR("api_key"));
    ig_json_out_object_end(&out);
    return IG_OK;
}
