/* SPDX-License-Identifier: Apache-2.0 */
/* What devices of the fleet call. Their routes have no scope: a device's own token, made at its
 * registration, is asked for here, and opens nothing but the device's own calls. */
#include "api/access.h"
#include "api/rest.h"
#include "api/route.h"
#include "base/file.h"
#include "services/fleet/fleet_telemetry.h"

#include <stdio.h>
#include <unistd.h>

enum { PIECE = 64 << 10, ETAG_SIZE = IG_SHA256_HEX + 2 };

static enum ig_code know(struct ig_fleet_device *device, struct ig_call *call)
{
    struct ig_str token = ig_access_token(&call->exchange->request);
    if (!token.len)
        return ig_fail(&call->err, IG_UNAUTHENTICATED,
                       "the device's token is needed: send 'Authorization: Bearer TOKEN'");
    return ig_fleet_device_authenticate(device, call->app->fleet, call->params[0], token,
                                        call->arena, &call->err);
}

/* ---- check-in ---- */

static void write_update(struct ig_json_out *out, const struct ig_fleet_offer *offer,
                         const struct ig_fleet_check *check)
{
    const struct ig_fleet_bundle *bundle = &offer->bundle;
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "digest", bundle->digest);
    ig_json_out_kv_i64(out, "counter", bundle->counter);
    ig_json_out_kv_i64(out, "size_bytes", bundle->size_bytes);
    ig_json_out_kv_str(out, "signature", bundle->signature);
    ig_json_out_key(out, IG_STR("delta"));
    if (offer->delta) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "from", check->digest);
        ig_json_out_kv_i64(out, "size_bytes", offer->delta_bytes);
        ig_json_out_object_end(out);
    } else {
        ig_json_out_null(out);
    }
    ig_json_out_object_end(out);
}

/* Each is signed by the one before it. */
static void write_keys(struct ig_json_out *out, const struct ig_fleet_keys *keys)
{
    ig_json_out_key(out, IG_STR("keys"));
    ig_json_out_array(out);
    for (size_t i = 0; i < keys->count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "public_key", keys->items[i].public_key);
        ig_json_out_kv_str(out, "signature", keys->items[i].signature);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

/* 304 without a body when the device has this answer already. */
static enum ig_code tag(struct ig_call *call)
{
    char digest[IG_SHA256_HEX], etag[ETAG_SIZE];
    struct ig_buf *reply = &call->exchange->reply;
    ig_sha256_hex(reply->ptr, reply->len, digest);
    int length = snprintf(etag, sizeof etag, "\"%.32s\"", digest);
    struct ig_str own = {etag, (size_t)length};
    if (ig_exchange_header(call->exchange, "ETag", own, &call->err) != IG_OK) return call->err.code;
    if (ig_str_eq(ig_http_header(&call->exchange->request, IG_STR("if-none-match")), own)) {
        ig_buf_reset(reply);
        call->exchange->status = 304;
    }
    return IG_OK;
}

static enum ig_code read_check(struct ig_fleet_check *check, struct ig_call *call)
{
    uint64_t counter, trial;
    if (ig_call_query_u64(&counter, call, "counter", 0) != IG_OK ||
        ig_call_query_u64(&trial, call, "trial", 0) != IG_OK ||
        ig_call_query_str(&check->digest, call, "digest") != IG_OK ||
        ig_call_query_str(&check->agent, call, "agent") != IG_OK ||
        ig_call_query_str(&check->key, call, "key") != IG_OK)
        return call->err.code;
    if (counter > INT64_MAX || trial > INT64_MAX) {
        call->field = "counter";
        return ig_fail(&call->err, IG_INVALID, "counter: it is out of range");
    }
    check->counter = (int64_t)counter;
    check->trial = (int64_t)trial;
    return IG_OK;
}

enum ig_code ig_rest_fleet_update(struct ig_call *call)
{
    struct ig_fleet_device device;
    struct ig_fleet_check check = {.digest = IG_STR(""), .agent = IG_STR("")};
    struct ig_fleet_offer offer;
    struct ig_json_out out;
    if (know(&device, call) != IG_OK || read_check(&check, call) != IG_OK ||
        ig_fleet_check_in(&offer, call->app->fleet, &device, &check, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("update"));
    if (offer.update)
        write_update(&out, &offer, &check);
    else
        ig_json_out_null(&out);
    ig_json_out_kv_i64(&out, "telemetry_seq", offer.telemetry_seq);
    if (offer.keys.count) write_keys(&out, &offer.keys);
    ig_json_out_object_end(&out);
    return tag(call);
}

enum ig_code ig_rest_fleet_report(struct ig_call *call)
{
    static const char *const NAMES[] = {"counter", "state", "word", NULL};
    struct ig_fleet_device device;
    struct ig_fleet_report report = {.word = IG_STR("")};
    const struct ig_rest_field fields[] = {
        {"counter", IG_REST_I64, &report.counter, true, NULL},
        {"state", IG_REST_STR, &report.state, true, NULL},
        {"word", IG_REST_STR, &report.word, false, NULL},
    };
    if (know(&device, call) != IG_OK || ig_rest_read(call, fields, 3) != IG_OK)
        return call->err.code;
    if (ig_fleet_device_report(call->app->fleet, &device, &report, &call->err) != IG_OK) {
        call->field = ig_call_field(&call->err, NAMES);
        return call->err.code;
    }
    return ig_rest_done(call);
}

/* ---- telemetry ---- */

enum ig_code ig_rest_fleet_telemetry(struct ig_call *call)
{
    struct ig_fleet_device device;
    struct ig_fleet_upload upload;
    struct ig_json_out out;
    if (know(&device, call) != IG_OK ||
        ig_fleet_telemetry_add(&upload, call->app->fleet, &device, call->exchange->body,
                               &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "telemetry_seq", upload.seq);
    ig_json_out_kv_i64(&out, "taken", upload.taken);
    ig_json_out_kv_i64(&out, "repeated", upload.repeated);
    ig_json_out_kv_i64(&out, "lost", upload.lost);
    ig_json_out_kv_i64(&out, "ignored", upload.ignored);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- downloads ---- */

struct range {
    uint64_t first, count;
    bool partial;
};

/* One range of bytes, "bytes=100-199", "bytes=100-" or "bytes=-50"; any other header counts as
 * none (RFC 9110 section 14.2). 416 when nothing of it is there. */
static enum ig_code read_range(struct range *out, struct ig_call *call, uint64_t size)
{
    struct ig_str text = ig_http_header(&call->exchange->request, IG_STR("range"));
    struct ig_str prefix = IG_STR("bytes="), rest;
    uint64_t first = 0, last = size ? size - 1 : 0;
    *out = (struct range){0, size, false};
    if (!ig_str_starts(text, prefix)) return IG_OK;
    rest = (struct ig_str){text.ptr + prefix.len, text.len - prefix.len};
    struct ig_str start = ig_str_cut(&rest, '-');
    if (!rest.ptr || (start.len && !ig_str_to_u64(start, &first)) ||
        (rest.len && !ig_str_to_u64(rest, &last)) || (!start.len && !rest.len))
        return IG_OK;
    if (!start.len) { /* so many of the end */
        first = last < size ? size - last : 0;
        last = size ? size - 1 : 0;
    } else if (rest.len && last < first) {
        return IG_OK;
    }
    if (first >= size || (!start.len && ig_str_is(rest, "0"))) {
        call->status = 416;
        return ig_fail(&call->err, IG_INVALID, "Range: nothing of it is in %llu bytes",
                       (unsigned long long)size);
    }
    if (last >= size) last = size - 1;
    *out = (struct range){first, last - first + 1, true};
    return IG_OK;
}

static void send_bytes(struct ig_call *call, int fd, const struct range *range)
{
    struct ig_err err = IG_ERR_INIT;
    char *piece = ig_arena_alloc(call->arena, PIECE);
    uint64_t at = range->first, left = range->count;
    while (piece && left) {
        ssize_t got = pread(fd, piece, left < PIECE ? (size_t)left : PIECE, (off_t)at);
        if (got <= 0) break;
        if (ig_exchange_write(call->exchange, piece, (size_t)got, &err) != IG_OK) return;
        at += (uint64_t)got;
        left -= (uint64_t)got;
    }
    if (left) ig_exchange_abort(call->exchange);
}

static enum ig_code send_range(struct ig_call *call, int fd, uint64_t size)
{
    struct range range;
    char text[96];
    if (read_range(&range, call, size) != IG_OK) return call->err.code;
    if (range.partial) {
        int length =
            snprintf(text, sizeof text, "bytes %llu-%llu/%llu", (unsigned long long)range.first,
                     (unsigned long long)(range.first + range.count - 1), (unsigned long long)size);
        call->exchange->status = 206;
        ig_exchange_header(call->exchange, "Content-Range", (struct ig_str){text, (size_t)length},
                           &call->err);
    }
    ig_exchange_header(call->exchange, "Accept-Ranges", IG_STR("bytes"), &call->err);
    call->exchange->content_type = "application/octet-stream";
    if (call->err.code == IG_OK &&
        ig_exchange_begin(call->exchange, (int64_t)range.count, &call->err) == IG_OK) {
        if (!ig_str_is(call->exchange->request.method, "HEAD")) send_bytes(call, fd, &range);
        ig_err_clear(&call->err);
    }
    return call->err.code;
}

enum ig_code ig_rest_fleet_download(struct ig_call *call)
{
    struct ig_fleet_device device;
    struct ig_str from;
    char digest[IG_SHA256_HEX];
    int fd = -1;
    uint64_t size = 0;
    if (know(&device, call) != IG_OK || ig_call_query_str(&from, call, "from") != IG_OK ||
        ig_fleet_download(digest, call->app->fleet, &device, call->params[1], from, &call->err) !=
            IG_OK ||
        ig_blob_get(&fd, &size, call->app->blobs, ig_str_view(digest), &call->err) != IG_OK)
        return call->err.code;
    send_range(call, fd, size);
    ig_file_close(&fd);
    return call->err.code;
}
