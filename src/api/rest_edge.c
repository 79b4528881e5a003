/* SPDX-License-Identifier: Apache-2.0 */
/* Registered versions for devices and other runtimes: what `ingot edge inspect`, `export` and
 * `bundle` do, by the same functions. */
#include "api/rest.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/ed25519.h"
#include "formats/edge/edge_header.h"
#include "services/edge/edge_device.h"
#include "services/edge/edge_options.h"

enum { DAY_S = 86400, FILE_MAX = INT32_MAX };

static enum ig_code fail(struct ig_call *call)
{
    static const char *const NAMES[] = {"leaves", "rounding", "strip_names", "format",     "name",
                                        "id",     "target",   "counter",     "valid_days", NULL};
    call->field = ig_call_field(&call->err, NAMES);
    return call->err.code;
}

/* ---- queries ---- */

struct query {
    unsigned given; /* 1 << enum ig_edge_option */
    struct ig_str values[IG_EDGE_OPTIONS_COUNT];
};

static enum ig_code fail_parameter(struct ig_call *call, struct ig_str name, const char *reason)
{
    call->field = ig_arena_cstr(call->arena, name);
    return ig_fail(&call->err, IG_INVALID, "%.*s: %s", name.len > 64 ? 64 : (int)name.len, name.ptr,
                   reason);
}

/* Only the options of `known`, as bits, each once. `out` is zero before. */
static enum ig_code read_query(struct query *out, struct ig_call *call, unsigned known)
{
    struct ig_str rest = call->exchange->request.query, raw_name, raw_value, name;
    while (ig_http_query_next(&rest, &raw_name, &raw_value)) {
        enum ig_edge_option option;
        if (ig_http_percent_decode(&name, call->arena, raw_name, true, &call->err) != IG_OK)
            return call->err.code;
        if (!ig_edge_option_parse(&option, name) || !(known & 1U << option))
            return fail_parameter(call, name, "unknown query parameter");
        if (out->given & 1U << option) return fail_parameter(call, name, "given twice");
        out->given |= 1U << option;
        if (ig_http_percent_decode(&out->values[option], call->arena, raw_value, true,
                                   &call->err) == IG_OK)
            continue;
        call->field = ig_edge_option_name(option, IG_EDGE_OF_REQUESTS);
        return call->err.code;
    }
    return IG_OK;
}

static enum ig_code parse_choice(struct ig_edge_choice *out, const struct query *query,
                                 struct ig_call *call)
{
    if (ig_edge_choice_parse(out, query->values[IG_EDGE_OPTION_LEAVES],
                             query->values[IG_EDGE_OPTION_ROUNDING], &call->err) != IG_OK)
        return fail(call);
    return IG_OK;
}

/* The path's version, found and opened, which takes the options given for the format. */
static enum ig_code open_version(struct ig_package **out, struct ig_registry_version *version,
                                 struct ig_call *call, unsigned given, enum ig_edge_format format)
{
    struct ig_buf bytes;
    ig_buf_init(&bytes, FILE_MAX);
    if (ig_registry_find(version, call->app->registry, call->params[0], call->params[1],
                         call->arena, &call->err) == IG_OK &&
        ig_blob_read(&bytes, call->app->blobs, version->digest, &call->err) == IG_OK &&
        ig_package_open_bytes(out, ig_buf_view(&bytes), NULL, &call->err) == IG_OK &&
        ig_edge_options_check(given, IG_EDGE_OF_REQUESTS, format, (*out)->model, &call->err) !=
            IG_OK)
        fail(call);
    ig_buf_deinit(&bytes);
    return call->err.code;
}

/* ---- the report ---- */

enum ig_code ig_rest_edge_inspect(struct ig_call *call)
{
    struct ig_registry_version version;
    struct ig_package *package = NULL;
    struct ig_edge_device device;
    struct ig_edge_choice choice;
    struct query query = {0};
    struct ig_json_out out;
    if (read_query(&query, call, ig_edge_options_of(IG_EDGE_FORMAT_IGE)) != IG_OK ||
        parse_choice(&choice, &query, call) != IG_OK)
        return call->err.code;
    ig_edge_device_init(&device);
    if (open_version(&package, &version, call, query.given, IG_EDGE_FORMAT_IGE) == IG_OK &&
        ig_edge_device_pack(&device, package, &choice, &call->err) == IG_OK &&
        ig_edge_device_start(&device, &call->err) == IG_OK) {
        ig_call_json(call, &out);
        ig_json_out_object(&out);
        ig_edge_device_write(&out, &device);
        ig_json_out_object_end(&out);
    }
    ig_edge_device_deinit(&device);
    ig_package_free(package);
    return call->err.code;
}

/* ---- files ---- */

static enum ig_code read_options(struct ig_edge_export *out, struct query *query,
                                 struct ig_call *call)
{
    const unsigned all = (1U << IG_EDGE_OPTIONS_COUNT) - 1;
    if (ig_edge_format_parse(&out->format, call->params[2], &call->err) != IG_OK) return fail(call);
    if (read_query(query, call, all) != IG_OK || parse_choice(&out->choice, query, call) != IG_OK)
        return call->err.code;
    struct ig_str strip = query->values[IG_EDGE_OPTION_STRIP_NAMES],
                  name = query->values[IG_EDGE_OPTION_NAME];
    out->name = name.ptr ? name : IG_STR("model");
    out->strip_names = ig_str_is(strip, "true");
    if (!strip.ptr || out->strip_names || ig_str_is(strip, "false")) return IG_OK;
    call->field = "strip_names";
    return ig_fail(&call->err, IG_INVALID, "strip_names: '%.*s' is neither true nor false",
                   strip.len > 40 ? 40 : (int)strip.len, strip.ptr);
}

/* The file under the version's own name, in pieces: it may be larger than a reply. */
static enum ig_code send_file(struct ig_call *call, const struct ig_registry_version *version,
                              enum ig_edge_format format, const struct ig_buf *file)
{
    const struct ig_edge_format_info *info = ig_edge_format_info(format);
    const char *disposition =
        ig_arena_printf(call->arena, "attachment; filename=\"%.*s-%lld%s\"",
                        IG_STR_ARGS(version->model), (long long)version->version, info->ending);
    if (!disposition) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the reply");
    call->exchange->content_type = info->media_type;
    if (ig_exchange_header(call->exchange, "Content-Disposition", ig_str_view(disposition),
                           &call->err) != IG_OK ||
        ig_exchange_begin(call->exchange, (int64_t)file->len, &call->err) != IG_OK)
        return call->err.code;
    ig_exchange_write(call->exchange, file->ptr, file->len, &call->err);
    ig_err_clear(&call->err); /* a client that goes away is no error of ours */
    return IG_OK;
}

enum ig_code ig_rest_edge_export(struct ig_call *call)
{
    struct ig_registry_version version;
    struct ig_package *package = NULL;
    struct ig_edge_export options = {0};
    struct query query = {0};
    struct ig_buf file;
    if (read_options(&options, &query, call) != IG_OK) return call->err.code;
    ig_buf_init(&file, FILE_MAX);
    if (open_version(&package, &version, call, query.given, options.format) == IG_OK) {
        if (ig_edge_export_write(&file, package, &options, &call->err) == IG_OK)
            send_file(call, &version, options.format, &file);
        else
            fail(call);
    }
    ig_package_free(package);
    ig_buf_deinit(&file);
    return call->err.code;
}

/* ---- bundles ---- */

struct bundling {
    struct ig_edge_bundle bundle;
    struct ig_edge_choice choice;
    unsigned given; /* of the choice: 1 << enum ig_edge_option */
    struct ig_registry_version version;
};

static enum ig_code read_bundling(struct bundling *out, struct ig_call *call)
{
    struct ig_str id = {NULL, 0}, target = IG_STR(""), leaves = {NULL, 0}, rounding = {NULL, 0};
    struct query none = {0};
    int64_t counter = 0, days = INT64_MIN; /* not given */
    const struct ig_rest_field fields[] = {
        {"counter", IG_REST_I64, &counter, true, NULL},
        {"id", IG_REST_STR, &id, false, NULL},
        {"target", IG_REST_STR, &target, false, NULL},
        {"valid_days", IG_REST_I64, &days, false, NULL},
        {"leaves", IG_REST_STR, &leaves, false, NULL},
        {"rounding", IG_REST_STR, &rounding, false, NULL},
    };
    if (read_query(&none, call, 0) != IG_OK ||
        ig_rest_read(call, fields, sizeof fields / sizeof *fields) != IG_OK)
        return call->err.code;
    if (counter < 1) {
        ig_fail(&call->err, IG_INVALID, "counter: %lld, expected at least 1", (long long)counter);
        return fail(call);
    }
    bool expires = days != INT64_MIN;
    if (expires && (days < 1 || days > UINT32_MAX)) {
        ig_fail(&call->err, IG_INVALID, "valid_days: %lld is not from 1 to %u", (long long)days,
                UINT32_MAX);
        return fail(call);
    }
    if (ig_edge_choice_parse(&out->choice, leaves, rounding, &call->err) != IG_OK)
        return fail(call);
    out->given = (leaves.ptr ? 1U << IG_EDGE_OPTION_LEAVES : 0) |
                 (rounding.ptr ? 1U << IG_EDGE_OPTION_ROUNDING : 0);
    int64_t now_s = ig_clock_unix_ms() / 1000;
    out->bundle = (struct ig_edge_bundle){.id = id.ptr ? id : call->params[0],
                                          .target = target,
                                          .counter = (uint64_t)counter,
                                          .expiry = expires ? (uint64_t)(now_s + days * DAY_S) : 0};
    return IG_OK;
}

static enum ig_code reply_bundle(struct ig_call *call, const struct bundling *bundling,
                                 const char *digest, const struct ig_buf *bytes)
{
    unsigned char hash[IG_BLAKE2B_BYTES];
    char hex[2 * IG_BLAKE2B_BYTES + 1];
    struct ig_edge_header header;
    struct ig_json_out out;
    if (ig_edge_header_read(&header, ig_buf_view(bytes), &call->err) != IG_OK ||
        ig_blake2b(hash, ig_buf_view(bytes), &call->err) != IG_OK)
        return call->err.code;
    ig_hex(hex, hash, sizeof hash);
    call->exchange->status = 201;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "digest", ig_str_view(digest));
    ig_json_out_kv_i64(&out, "size_bytes", (int64_t)bytes->len);
    ig_json_out_kv_str(&out, "blake2b", ig_str_view(hex));
    ig_json_out_kv_str(&out, "id", header.id);
    ig_json_out_kv_str(&out, "target", header.target);
    ig_json_out_kv_i64(&out, "counter", (int64_t)header.counter);
    ig_json_out_kv_i64(&out, "arena_bytes", header.arena_bytes);
    ig_rest_kv_time(&out, "expires_at", (int64_t)header.expiry * 1000);
    ig_json_out_kv_str(&out, "model", bundling->version.model);
    ig_json_out_kv_i64(&out, "version", bundling->version.version);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_edge_bundle(struct ig_call *call)
{
    struct bundling bundling = {0};
    struct ig_package *package = NULL;
    struct ig_buf bytes;
    char digest[IG_SHA256_HEX];
    if (read_bundling(&bundling, call) != IG_OK) return call->err.code;
    ig_buf_init(&bytes, IG_FLEET_BUNDLE_MAX_BYTES);
    if (open_version(&package, &bundling.version, call, bundling.given, IG_EDGE_FORMAT_IGE) ==
        IG_OK) {
        if (ig_edge_pack_bundle(&bytes, package, &bundling.choice, bundling.bundle, &call->err) !=
            IG_OK)
            fail(call);
        else if (ig_blob_put(digest, call->app->blobs, ig_buf_view(&bytes), &call->err) == IG_OK)
            reply_bundle(call, &bundling, digest, &bytes);
    }
    ig_package_free(package);
    ig_buf_deinit(&bytes);
    return call->err.code;
}
