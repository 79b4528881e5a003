/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that end after a while, from the services that give them: docs.aws.amazon.com/sdkref, "Web
 * identity", "Container credential provider" and "IMDS credential provider".
 *
 * Thread rule: stateless. */
#include "stores/s3_keys.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "stores/s3_priv.h"
#include "stores/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 64 << 10, URL_MAX = 2048, TOKEN_MAX = 32 << 10, NEAR_MS = 1000 };

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* ---- replies ---- */

static char *member_of(struct ig_s3_keys *keys, struct ig_str name, size_t *size)
{
    *size = sizeof keys->access_key;
    if (ig_str_is(name, "AccessKeyId")) return keys->access_key;
    if (ig_str_is(name, "SecretAccessKey")) return keys->secret_key;
    *size = sizeof keys->token;
    return ig_str_is(name, "Token") || ig_str_is(name, "SessionToken") ? keys->token : NULL;
}

/* False: too long. */
static bool take(struct ig_s3_keys *keys, struct ig_str name, struct ig_str text)
{
    char time[40];
    size_t size;
    char *out = member_of(keys, name, &size);
    if (ig_str_is(name, "Expiration")) {
        snprintf(time, sizeof time, "%.*s", IG_STR_ARGS(text));
        keys->expires_ms = s3_time_of(time);
    }
    if (!out) return true;
    if (text.len >= size) return false;
    if (text.len) memcpy(out, text.ptr, text.len);
    out[text.len] = '\0';
    return true;
}

static enum ig_code check(const struct ig_s3_keys *keys, bool good, struct ig_err *err)
{
    if (err->code != IG_OK) return err->code;
    if (good && keys->access_key[0] && keys->secret_key[0]) return IG_OK;
    return ig_fail(err, IG_UNAVAILABLE, "its answer holds no keys");
}

enum ig_code ig_s3_keys_read_json(struct ig_s3_keys *out, struct ig_str json, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_json reader;
    bool good = true;
    *out = (struct ig_s3_keys){.renewable = true};
    ig_arena_init(&arena, 4096, 2 * REPLY_MAX);
    ig_json_init(&reader, json, &arena, err);
    if (ig_json_expect(&reader, IG_JSON_OBJECT, "keys"))
        while (good && ig_json_member(&reader)) {
            struct ig_str name = reader.text;
            struct ig_json ahead = reader;
            if (ig_json_next(&ahead) == IG_JSON_STRING) good = take(out, name, ahead.text);
            ig_json_skip(&reader);
        }
    ig_arena_deinit(&arena);
    return check(out, good, err);
}

static bool take_element(void *context, const struct ig_s3_element *element)
{
    return !ig_str_is(element->parent, "Credentials") ||
           take(context, element->name, element->text);
}

enum ig_code ig_s3_keys_read_xml(struct ig_s3_keys *out, struct ig_str xml, struct ig_err *err)
{
    *out = (struct ig_s3_keys){.renewable = true};
    ig_s3_xml_walk(xml, take_element, out, err);
    return check(out, true, err);
}

/* ---- asking ---- */

struct asking {
    struct ig_s3_http *http;
    struct ig_buf url, reply, secret; /* secret: a token or the header that has it */
    struct ig_str body;
};

static void asking_deinit(struct asking *asking)
{
    struct ig_buf *all[] = {&asking->url, &asking->reply, &asking->secret};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        if (all[i]->ptr) explicit_bzero(all[i]->ptr, all[i]->len);
        ig_buf_deinit(all[i]);
    }
}

/* `header` may be NULL. What is not 200 is UNAVAILABLE. */
static enum ig_code ask(struct asking *asking, const char *method, const char *header, bool near,
                        struct ig_err *err)
{
    struct ig_s3_exchange exchange = {.method = method,
                                      .url = asking->url.ptr,
                                      .headers = {"expect:", header},
                                      .headers_count = header ? 2 : 1,
                                      .connect_ms = near ? NEAR_MS : 0,
                                      .no_proxy = near,
                                      .body_fd = -1,
                                      .body = asking->body.ptr,
                                      .body_bytes = asking->body.len,
                                      .sink_fd = -1};
    struct ig_err local = IG_ERR_INIT;
    if (asking->url.overflowed || asking->secret.overflowed)
        return ig_fail(err, IG_INVALID, "its address or token is too long");
    ig_buf_init(&exchange.reply, REPLY_MAX);
    enum ig_code code = ig_s3_http_perform(asking->http, &exchange, &local);
    ig_buf_reset(&asking->reply);
    if (code == IG_OK) ig_buf_add_str(&asking->reply, ig_buf_view(&exchange.reply));
    if (exchange.reply.ptr) explicit_bzero(exchange.reply.ptr, exchange.reply.len);
    ig_buf_deinit(&exchange.reply);
    if (code != IG_OK) return ig_fail(err, IG_UNAVAILABLE, "%s", local.message);
    if (exchange.status == 200) return IG_OK;
    return ig_fail(err, IG_UNAVAILABLE, "it answered with status %d", exchange.status);
}

static enum ig_code read_secret(struct ig_buf *out, const char *path, struct ig_err *err)
{
    if (ig_file_read(out, IG_FILE_CWD, path, err) != IG_OK) return err->code;
    while (out->len && (out->ptr[out->len - 1] == '\n' || out->ptr[out->len - 1] == '\r'))
        out->ptr[--out->len] = '\0';
    if (out->len && !memchr(out->ptr, '\n', out->len)) return IG_OK;
    return ig_fail(err, IG_INVALID, "'%s' holds no token in one line", path);
}

static enum ig_code of_web_identity(struct ig_s3_keys *out, struct asking *asking,
                                    const char *region, struct ig_err *err)
{
    const char *place = variable("AWS_ENDPOINT_URL_STS"), *role = variable("AWS_ROLE_ARN");
    const char *session = variable("AWS_ROLE_SESSION_NAME");
    struct ig_buf body;
    if (!role)
        return ig_fail(err, IG_UNAUTHENTICATED,
                       "AWS_ROLE_ARN is not set beside AWS_WEB_IDENTITY_TOKEN_FILE");
    if (read_secret(&asking->secret, variable("AWS_WEB_IDENTITY_TOKEN_FILE"), err) != IG_OK)
        return err->code;
    if (place)
        ig_buf_printf(&asking->url, "%s/", place);
    else
        ig_buf_printf(&asking->url, "https://sts.%s.amazonaws.com/", region);
    const struct ig_s3_pair form[] = {
        {IG_STR("Action"), IG_STR("AssumeRoleWithWebIdentity")},
        {IG_STR("Version"), IG_STR("2011-06-15")},
        {IG_STR("RoleArn"), ig_str_view(role)},
        {IG_STR("RoleSessionName"), ig_str_view(session ? session : "ingot")},
        {IG_STR("WebIdentityToken"), ig_buf_view(&asking->secret)}};
    ig_buf_init(&body, 4 * TOKEN_MAX);
    ig_s3_query(&body, form, sizeof form / sizeof form[0]);
    asking->body = ig_buf_view(&body);
    if (body.overflowed)
        ig_fail(err, IG_INVALID, "its token is too long");
    else if (ask(asking, "POST", "content-type: application/x-www-form-urlencoded", false, err) ==
             IG_OK)
        ig_s3_keys_read_xml(out, ig_buf_view(&asking->reply), err);
    if (body.ptr) explicit_bzero(body.ptr, body.len);
    ig_buf_deinit(&body);
    return err->code;
}

/* The secrets of a container go to itself, the agents of ECS and EKS, or over TLS. */
static bool may_be_asked(struct ig_str url)
{
    static const char *const near[] = {"localhost",     "127.0.0.1",      "[::1]",
                                       "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"};
    if (ig_str_starts(url, IG_STR("https://"))) return true;
    if (!ig_str_starts(url, IG_STR("http://"))) return false;
    struct ig_str rest = {url.ptr + 7, url.len - 7};
    struct ig_str host = ig_str_cut(&rest, '/');
    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        struct ig_str name = ig_str_view(near[i]);
        if (ig_str_starts(host, name) && (host.len == name.len || host.ptr[name.len] == ':'))
            return true;
    }
    return false;
}

static enum ig_code of_container(struct ig_s3_keys *out, struct asking *asking, struct ig_err *err)
{
    const char *relative = variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *token = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *file = variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    struct ig_buf value;
    if (relative)
        ig_buf_printf(&asking->url, "http://169.254.170.2%s", relative);
    else
        ig_buf_add_cstr(&asking->url, full);
    if (!asking->url.overflowed && !may_be_asked(ig_buf_view(&asking->url)))
        return ig_fail(err, IG_INVALID,
                       "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor of this host");
    ig_buf_init(&value, TOKEN_MAX);
    if (file)
        read_secret(&value, file, err);
    else if (token)
        ig_buf_add_cstr(&value, token);
    if (value.len) ig_buf_printf(&asking->secret, "authorization: %s", value.ptr);
    if (value.ptr) explicit_bzero(value.ptr, value.len);
    ig_buf_deinit(&value);
    if (err->code != IG_OK ||
        ask(asking, "GET", asking->secret.len ? asking->secret.ptr : NULL, true, err) != IG_OK)
        return err->code;
    return ig_s3_keys_read_json(out, ig_buf_view(&asking->reply), err);
}

static void begin_path(struct asking *asking, const char *path)
{
    const char *place = variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    ig_buf_reset(&asking->url);
    ig_buf_printf(&asking->url, "%s/latest/%s", place ? place : "http://169.254.169.254", path);
}

/* A role's name, as IAM has them: the reply is of a service that anybody may have put there. */
static bool is_role(struct ig_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              strchr("+=,.@-_", c)))
            return false;
    }
    return name.len > 0 && name.len <= 64;
}

static enum ig_code of_instance(struct ig_s3_keys *out, struct asking *asking, struct ig_err *err)
{
    char role[65];
    begin_path(asking, "api/token");
    if (ask(asking, "PUT", "x-aws-ec2-metadata-token-ttl-seconds: 21600", true, err) != IG_OK)
        return err->code;
    if (asking->reply.len && memchr(asking->reply.ptr, '\n', asking->reply.len))
        return ig_fail(err, IG_UNAVAILABLE, "its token is none");
    ig_buf_printf(&asking->secret, "x-aws-ec2-metadata-token: %s",
                  asking->reply.len ? asking->reply.ptr : "");
    begin_path(asking, "meta-data/iam/security-credentials/");
    if (ask(asking, "GET", asking->secret.ptr, true, err) != IG_OK) return err->code;
    struct ig_str rest = ig_buf_view(&asking->reply);
    struct ig_str name = ig_str_trim(ig_str_cut(&rest, '\n'));
    if (!is_role(name)) return ig_fail(err, IG_UNAVAILABLE, "it names no role");
    snprintf(role, sizeof role, "%.*s", IG_STR_ARGS(name));
    begin_path(asking, "meta-data/iam/security-credentials/");
    ig_buf_add_cstr(&asking->url, role);
    if (ask(asking, "GET", asking->secret.ptr, true, err) != IG_OK) return err->code;
    return ig_s3_keys_read_json(out, ig_buf_view(&asking->reply), err);
}

static enum ig_code prefix(struct ig_err *err, const char *who)
{
    if (err->code != IG_OK) ig_err_prefix(err, "blobs: keys for S3 of %s", who);
    return err->code;
}

/* Behind the file, whose error stands when there is nobody else to ask. */
static enum ig_code of_surroundings(struct ig_s3_keys *out, struct asking *asking,
                                    struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    const char *disabled = variable("AWS_EC2_METADATA_DISABLED");
    if (ig_s3_keys_load(out, &local) == IG_OK) return IG_OK;
    if (variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
        variable("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
        return of_container(out, asking, err) == IG_OK ? IG_OK : prefix(err, "the container");
    bool asks = !disabled || !ig_str_eq_nocase(ig_str_view(disabled), IG_STR("true"));
    struct ig_err away = IG_ERR_INIT;
    if (asks && of_instance(out, asking, &away) == IG_OK) return IG_OK;
    if (asks)
        return ig_fail(err, IG_UNAUTHENTICATED, "%s; nor has the instance a role: %.200s",
                       local.message, away.message);
    return ig_fail(err, local.code, "%s", local.message);
}

enum ig_code ig_s3_keys_find(struct ig_s3_keys *out, struct ig_s3_http *http, const char *region,
                             struct ig_err *err)
{
    struct asking asking = {.http = http};
    if (variable("AWS_ACCESS_KEY_ID") && variable("AWS_SECRET_ACCESS_KEY"))
        return ig_s3_keys_load(out, err);
    ig_buf_init(&asking.url, URL_MAX);
    ig_buf_init(&asking.reply, REPLY_MAX);
    ig_buf_init(&asking.secret, TOKEN_MAX);
    if (variable("AWS_WEB_IDENTITY_TOKEN_FILE")) {
        of_web_identity(out, &asking, region, err);
        prefix(err, "the token service");
    } else {
        of_surroundings(out, &asking, err);
    }
    asking_deinit(&asking);
    return err->code;
}
