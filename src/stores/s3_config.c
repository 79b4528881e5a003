/* SPDX-License-Identifier: Apache-2.0 */
/* The URL of a store and the keys to it. Bucket names follow Amazon's rules, which keep slashes and
 * dots at the ends out of them; prefixes are characters that need no encoding, so a key of an
 * object is its path. Thread rule: pure but for getenv. */
#include "stores/s3_config.h"

#include "base/file.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char PLAIN[] = "abcdefghijklmnopqrstuvwxyz0123456789";
static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";

static bool is_of(struct ig_str text, const char *set, const char *more)
{
    for (size_t i = 0; i < text.len; i++)
        if (!text.ptr[i] || (!strchr(set, text.ptr[i]) && !strchr(more, text.ptr[i]))) return false;
    return true;
}

static bool copy(char *out, size_t size, struct ig_str text)
{
    if (text.len >= size) return false;
    if (text.len) memcpy(out, text.ptr, text.len);
    out[text.len] = 0;
    return true;
}

/* ---- the URL ---- */

static enum ig_code take_bucket(struct ig_s3_place *out, struct ig_str name, struct ig_err *err)
{
    bool good = name.len >= 3 && name.len <= 63 && is_of(name, PLAIN, "-.") &&
                strchr(PLAIN, name.ptr[0]) && strchr(PLAIN, name.ptr[name.len - 1]);
    for (size_t i = 1; good && i < name.len; i++)
        good = name.ptr[i] != '.' || name.ptr[i - 1] != '.';
    if (good && copy(out->bucket, sizeof out->bucket, name)) return IG_OK;
    if (name.len && memchr(name.ptr, '@', name.len))
        return ig_fail(err, IG_INVALID,
                       "blobs: no keys in the URL: AWS_ACCESS_KEY_ID and "
                       "AWS_SECRET_ACCESS_KEY, or ~/.aws/credentials hold them");
    return ig_fail(err, IG_INVALID,
                   "blobs: bucket '%.*s': 3 to 63 of a-z, 0-9, '-' and '.' were expected",
                   name.len > 80 ? 80 : (int)name.len, name.ptr);
}

static enum ig_code take_prefix(struct ig_s3_place *out, struct ig_str prefix, struct ig_err *err)
{
    char mixed[sizeof PLAIN + sizeof LETTERS];
    snprintf(mixed, sizeof mixed, "%s%s", PLAIN, LETTERS);
    while (ig_str_ends(prefix, IG_STR("/"))) prefix.len--;
    if (prefix.len == 0) return IG_OK;
    bool good = is_of(prefix, mixed, "-_./") && prefix.len < sizeof out->prefix - 1;
    for (struct ig_str rest = prefix, part; good && rest.ptr;) {
        part = ig_str_cut(&rest, '/'); /* curl would take the dots for steps of a path */
        good = part.len && !ig_str_is(part, ".") && !ig_str_is(part, "..");
    }
    if (!good)
        return ig_fail(err, IG_INVALID,
                       "blobs: prefix '%.*s': up to %zu of A-Z, a-z, 0-9, '-', '_', '.' and single "
                       "slashes were expected",
                       prefix.len > 80 ? 80 : (int)prefix.len, prefix.ptr, sizeof out->prefix - 2);
    snprintf(out->prefix, sizeof out->prefix, "%.*s/", IG_STR_ARGS(prefix));
    return IG_OK;
}

static enum ig_code take_endpoint(struct ig_s3_place *out, struct ig_str value, struct ig_err *err)
{
    struct ig_str host = value;
    size_t scheme = ig_str_starts(value, IG_STR("https://"))  ? 8
                    : ig_str_starts(value, IG_STR("http://")) ? 7
                                                              : 0;
    host.ptr += scheme;
    host.len -= scheme;
    char mixed[sizeof PLAIN + sizeof LETTERS];
    snprintf(mixed, sizeof mixed, "%s%s", PLAIN, LETTERS);
    if (scheme && host.len && host.len < 200 && is_of(host, mixed, "-.:[]") &&
        copy(out->endpoint, sizeof out->endpoint, value))
        return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "blobs: endpoint '%.*s': http://HOST[:PORT] or https://HOST[:PORT] was expected",
                   value.len > 80 ? 80 : (int)value.len, value.ptr);
}

static enum ig_code take_option(struct ig_s3_place *out, struct ig_str name, struct ig_str value,
                                struct ig_err *err)
{
    if (ig_str_is(name, "endpoint")) return take_endpoint(out, value, err);
    if (ig_str_is(name, "region")) {
        if (value.len && is_of(value, PLAIN, "-") && copy(out->region, sizeof out->region, value))
            return IG_OK;
        return ig_fail(err, IG_INVALID, "blobs: region '%.*s' is not one like eu-central-1",
                       value.len > 80 ? 80 : (int)value.len, value.ptr);
    }
    if (ig_str_is(name, "path_style")) {
        out->path_style = ig_str_is(value, "true");
        if (out->path_style || ig_str_is(value, "false")) return IG_OK;
        return ig_fail(err, IG_INVALID, "blobs: path_style '%.*s' is neither true nor false",
                       value.len > 80 ? 80 : (int)value.len, value.ptr);
    }
    return ig_fail(err, IG_INVALID,
                   "blobs: '%.*s' is unknown: region, endpoint and path_style may follow the '?'",
                   name.len > 80 ? 80 : (int)name.len, name.ptr);
}

static void choose_region(struct ig_s3_place *out)
{
    static const char *const names[] = {"AWS_REGION", "AWS_DEFAULT_REGION"};
    for (size_t i = 0; i < 2 && !out->region[0]; i++) {
        const char *value = getenv(names[i]);
        if (value && is_of(ig_str_view(value), PLAIN, "-"))
            copy(out->region, sizeof out->region, ig_str_view(value));
    }
    if (!out->region[0]) snprintf(out->region, sizeof out->region, "us-east-1");
}

/* A certificate's wildcard covers no name with a dot, so such buckets stand in the path. */
static enum ig_code choose_host(struct ig_s3_place *out, struct ig_err *err)
{
    char endpoint[sizeof out->endpoint];
    if (!out->endpoint[0])
        snprintf(out->endpoint, sizeof out->endpoint, "https://s3.%s.amazonaws.com", out->region);
    bool tls = strncmp(out->endpoint, "https://", 8) == 0;
    const char *host = out->endpoint + (tls ? 8 : 7);
    if (tls && strchr(out->bucket, '.')) out->path_style = true;
    if (!out->path_style) {
        snprintf(endpoint, sizeof endpoint, "%s%s.%s", tls ? "https://" : "http://", out->bucket,
                 host);
        snprintf(out->endpoint, sizeof out->endpoint, "%s", endpoint);
    }
    host = out->endpoint + (tls ? 8 : 7);
    if (copy(out->host, sizeof out->host, ig_str_view(host))) return IG_OK;
    return ig_fail(err, IG_INVALID, "blobs: the endpoint's name is too long");
}

enum ig_code ig_s3_place_parse(struct ig_s3_place *out, const char *url, struct ig_err *err)
{
    struct ig_s3_place place = {0};
    struct ig_str options = ig_str_view(url);
    if (!ig_str_starts(options, IG_STR("s3://")))
        return ig_fail(err, IG_INVALID, "blobs: '%.80s' does not begin with s3://", url);
    options.ptr += 5;
    options.len -= 5;
    struct ig_str prefix = ig_str_cut(&options, '?');
    struct ig_str bucket = ig_str_cut(&prefix, '/');
    if (take_bucket(&place, bucket, err) != IG_OK || take_prefix(&place, prefix, err) != IG_OK)
        return err->code;
    while (options.ptr && options.len) {
        struct ig_str value = ig_str_cut(&options, '&');
        struct ig_str name = ig_str_cut(&value, '=');
        if (take_option(&place, name, value, err) != IG_OK) return err->code;
    }
    choose_region(&place);
    if (choose_host(&place, err) != IG_OK) return err->code;
    *out = place;
    return IG_OK;
}

/* ---- keys ---- */

static bool take_line(struct ig_s3_keys *out, struct ig_str line)
{
    struct ig_str value = line;
    struct ig_str name = ig_str_trim(ig_str_cut(&value, '='));
    value = ig_str_trim(value);
    if (ig_str_is(name, "aws_access_key_id"))
        return copy(out->access_key, sizeof out->access_key, value);
    if (ig_str_is(name, "aws_secret_access_key"))
        return copy(out->secret_key, sizeof out->secret_key, value);
    if (ig_str_is(name, "aws_session_token")) return copy(out->token, sizeof out->token, value);
    return true;
}

bool ig_s3_keys_parse(struct ig_s3_keys *out, struct ig_str text, struct ig_str profile)
{
    bool inside = false, good = true;
    *out = (struct ig_s3_keys){.renewable = true};
    while (text.ptr && good) {
        struct ig_str line = ig_str_trim(ig_str_cut(&text, '\n'));
        if (line.len > 1 && line.ptr[0] == '[' && line.ptr[line.len - 1] == ']')
            inside = ig_str_eq(ig_str_trim((struct ig_str){line.ptr + 1, line.len - 2}), profile);
        else if (inside && line.len && line.ptr[0] != '#' && line.ptr[0] != ';')
            good = take_line(out, line);
    }
    return good && out->access_key[0] && out->secret_key[0];
}

static enum ig_code load_file(struct ig_s3_keys *out, struct ig_err *err)
{
    const char *file = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
    const char *profile = getenv("AWS_PROFILE");
    char path[PATH_MAX];
    struct ig_buf text;
    struct ig_err local = IG_ERR_INIT;
    if (!profile || !*profile) profile = "default";
    if (file && *file)
        snprintf(path, sizeof path, "%s", file);
    else
        snprintf(path, sizeof path, "%s/.aws/credentials", home ? home : "");
    ig_buf_init(&text, 1 << 20);
    if (ig_file_read(&text, IG_FILE_CWD, path, &local) != IG_OK)
        ig_fail(err, IG_UNAUTHENTICATED,
                "blobs: no keys for S3: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, "
                "and %s",
                local.message);
    else if (!ig_s3_keys_parse(out, ig_buf_view(&text), ig_str_view(profile)))
        ig_fail(err, IG_UNAUTHENTICATED,
                "blobs: '%s' has no aws_access_key_id and aws_secret_access_key under [%.80s]",
                path, profile);
    if (text.ptr) explicit_bzero(text.ptr, text.len);
    ig_buf_deinit(&text);
    return err->code;
}

enum ig_code ig_s3_keys_load(struct ig_s3_keys *out, struct ig_err *err)
{
    const char *access = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *token = getenv("AWS_SESSION_TOKEN");
    if (!access || !*access || !secret || !*secret) return load_file(out, err);
    *out = (struct ig_s3_keys){0};
    if (copy(out->access_key, sizeof out->access_key, ig_str_view(access)) &&
        copy(out->secret_key, sizeof out->secret_key, ig_str_view(secret)) &&
        copy(out->token, sizeof out->token, ig_str_view(token)))
        return IG_OK;
    return ig_fail(err, IG_UNAUTHENTICATED, "blobs: the AWS keys in the environment are too long");
}
