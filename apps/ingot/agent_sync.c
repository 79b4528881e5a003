/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's talk with the server, in this order: what it has to tell, telemetry, what it should
 * run. The lock is held only around the device's own state, never while the network is waited for;
 * nobody else touches the client. */
#include "agent.h"

#include "json_view.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "formats/edge/minisign.h"
#include "ingot_edge_delta.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 512, UPLOAD_BYTES = 60 << 10, BODY_MAX = 4096, PART = 64 << 10 };

/* The answer's status; what a server cannot take now, or its error, fails. */
static enum ig_code call(struct agent *agent, const struct ig_client_call *request,
                         struct ig_err *err)
{
    ig_buf_reset(&agent->reply.body);
    if (ig_client_call(agent->client, request, &agent->reply, err) != IG_OK) return err->code;
    int status = agent->reply.status;
    if (status < 300 || status == 304) return IG_OK;
    struct ig_arena memory;
    ig_arena_init(&memory, 1024, 64 << 10);
    struct ig_str message =
        ig_json_view_text(ig_buf_view(&agent->reply.body), "error.message", &memory);
    ig_fail(err, status == 401 ? IG_UNAUTHENTICATED : IG_UNAVAILABLE,
            "the server answered %d%s%.*s", status, message.len ? ": " : "", IG_STR_ARGS(message));
    ig_arena_deinit(&memory);
    return err->code;
}

static const char *path_of(char out[PATH_SIZE], const struct agent *agent, const char *rest)
{
    snprintf(out, PATH_SIZE, "/api/v1/fleet/devices/%s/%s", agent->id, rest);
    return out;
}

/* ---- telling ---- */

static enum ig_code send_report(struct agent *agent, const struct agent_report *report,
                                struct ig_err *err)
{
    char path[PATH_SIZE], body[160];
    int length = snprintf(body, sizeof body, "{\"counter\":%llu,\"state\":\"%s\",\"word\":\"%s\"}",
                          (unsigned long long)report->counter, report->state, report->word);
    const struct ig_client_call request = {.method = "POST",
                                           .path = path_of(path, agent, "reports"),
                                           .content_type = "application/json",
                                           .body = {body, (size_t)length}};
    return call(agent, &request, err);
}

static enum ig_code tell_all(struct agent *agent, struct ig_err *err)
{
    for (;;) {
        struct agent_report report;
        pthread_mutex_lock(&agent->lock);
        bool any = agent->reports_count > 0;
        if (any) report = agent->reports[0];
        pthread_mutex_unlock(&agent->lock);
        if (!any) return IG_OK;
        if (send_report(agent, &report, err) != IG_OK && agent->reply.status != 400)
            return err->code;
        ig_err_clear(err); /* what the server will never take is told as well as it can be */
        pthread_mutex_lock(&agent->lock);
        if (agent->reports_count && memcmp(&agent->reports[0], &report, sizeof report) == 0) {
            agent->reports_count--;
            memmove(agent->reports, agent->reports + 1,
                    agent->reports_count * sizeof *agent->reports);
            ig_agent_keep_reports(agent, err);
        }
        pthread_mutex_unlock(&agent->lock);
        if (err->code != IG_OK) return err->code;
    }
}

/* ---- telemetry ---- */

static void gather(struct ig_buf *out, struct agent *agent)
{
    uint32_t after = agent->log.acked;
    size_t size;
    const uint8_t *record;
    while ((record = ige_log_find(&agent->log, after, &size)) != NULL) {
        if (out->len + size > UPLOAD_BYTES) return;
        ig_buf_add(out, record, size);
        after = ige_log_number(record);
    }
}

static double answer_number(struct agent *agent, const char *path)
{
    struct ig_arena memory;
    ig_arena_init(&memory, 4096, 1 << 20);
    double number = ig_json_view_number(ig_buf_view(&agent->reply.body), path, &memory);
    ig_arena_deinit(&memory);
    return number;
}

static enum ig_code upload_all(struct agent *agent, struct ig_err *err)
{
    char path[PATH_SIZE];
    struct ig_buf records;
    ig_buf_init(&records, UPLOAD_BYTES);
    while (err->code == IG_OK) {
        ig_buf_reset(&records);
        pthread_mutex_lock(&agent->lock);
        gather(&records, agent);
        pthread_mutex_unlock(&agent->lock);
        const struct ig_client_call request = {.method = "POST",
                                               .path = path_of(path, agent, "telemetry"),
                                               .content_type = "application/octet-stream",
                                               .body = ig_buf_view(&records)};
        if (!records.len || call(agent, &request, err) != IG_OK) break;
        double seq = answer_number(agent, "telemetry_seq");
        pthread_mutex_lock(&agent->lock);
        uint32_t before = agent->log.acked;
        if (seq > 0 && seq < UINT32_MAX) ige_log_ack(&agent->log, (uint32_t)seq);
        bool moved = agent->log.acked > before;
        pthread_mutex_unlock(&agent->lock);
        if (!moved) ig_fail(err, IG_IO, "the server did not acknowledge telemetry");
    }
    ig_buf_deinit(&records);
    return err->code;
}

/* ---- updates ---- */

struct update {
    uint64_t counter;
    size_t size_bytes;
    char digest[IG_SHA256_HEX];
    bool delta;
    uint8_t signature[IGE_SIGNATURE_BYTES];
};

static enum ig_code ask(struct agent *agent, struct ig_err *err)
{
    char path[PATH_SIZE], rest[320], digest[IG_SHA256_HEX] = "", header[80], key[17];
    uint32_t size = 0;
    pthread_mutex_lock(&agent->lock);
    const uint8_t *confirmed = ige_slots_confirmed(&agent->slots, &size);
    if (confirmed) ig_sha256_hex(confirmed, size, digest);
    ig_hex(key, agent->key + 2, 8);
    snprintf(rest, sizeof rest, "update?counter=%llu&trial=%llu&digest=%s&key=%s&agent=ingot%%20%s",
             (unsigned long long)agent->slots.device.counter,
             (unsigned long long)(agent->slots.trial != IGE_SLOTS_NONE ? agent->slots.bundle.counter
                                                                       : 0),
             digest, key, INGOT_VERSION);
    pthread_mutex_unlock(&agent->lock);
    snprintf(header, sizeof header, "If-None-Match: \"%s\"\r\n", agent->etag);
    const struct ig_client_call request = {.method = "GET",
                                           .path = path_of(path, agent, rest),
                                           .headers = agent->etag[0] ? header : NULL};
    if (call(agent, &request, err) != IG_OK || agent->reply.status == 304) return err->code;
    ig_sha256_hex(agent->reply.body.ptr, agent->reply.body.len, digest);
    snprintf(agent->etag, sizeof agent->etag, "%.32s", digest); /* as docs/fleet.md defines it */
    return IG_OK;
}

/* Believes keys that follow on the device's own, one after the other; each is on disk before it
 * counts. */
static enum ig_code take_keys(struct agent *agent, struct ig_err *err)
{
    enum { KEYS_MAX = 100 };
    struct ig_arena memory;
    struct ig_str body = ig_buf_view(&agent->reply.body);
    if (agent->reply.status == 304) return IG_OK;
    ig_arena_init(&memory, 4096, 1 << 20);
    for (int i = 0; i < KEYS_MAX && err->code == IG_OK; i++) {
        const char *key_path = ig_arena_printf(&memory, "keys.%d.public_key", i);
        const char *signature_path = ig_arena_printf(&memory, "keys.%d.signature", i);
        if (!key_path || !signature_path) break;
        struct ig_str key = ig_json_view_text(body, key_path, &memory);
        if (!key.len) break;
        ig_agent_take_key(agent, key, ig_json_view_text(body, signature_path, &memory), err);
    }
    ig_arena_deinit(&memory);
    return err->code;
}

/* False: there is nothing to take. */
static bool read_update(struct update *update, struct agent *agent, struct ig_err *err)
{
    struct ig_arena memory;
    struct ig_str body = ig_buf_view(&agent->reply.body);
    if (agent->reply.status == 304) return false;
    ig_arena_init(&memory, 4096, 1 << 20);
    double counter = ig_json_view_number(body, "update.counter", &memory);
    double size = ig_json_view_number(body, "update.size_bytes", &memory);
    struct ig_str digest = ig_json_view_text(body, "update.digest", &memory);
    bool good = counter >= 1 && counter < 9e15 && size >= 1 && digest.len == IG_SHA256_HEX - 1;
    if (good) {
        *update = (struct update){.counter = (uint64_t)counter, .size_bytes = (size_t)size};
        memcpy(update->digest, digest.ptr, digest.len);
        update->delta = ig_json_view_text(body, "update.delta.from", &memory).len > 0;
        good = ig_minisign_signature_read(update->signature,
                                          ig_json_view_text(body, "update.signature", &memory),
                                          err) == IG_OK;
    }
    ig_arena_deinit(&memory);
    return good;
}

static enum ig_code download(struct agent *agent, const struct update *update, bool delta,
                             struct ig_err *err)
{
    char path[PATH_SIZE], rest[2 * IG_SHA256_HEX + 32], from[IG_SHA256_HEX] = "";
    uint32_t size = 0;
    pthread_mutex_lock(&agent->lock);
    const uint8_t *confirmed = ige_slots_confirmed(&agent->slots, &size);
    if (confirmed) ig_sha256_hex(confirmed, size, from);
    pthread_mutex_unlock(&agent->lock);
    snprintf(rest, sizeof rest, "bundles/%s%s%s", update->digest, delta ? "?from=" : "",
             delta ? from : "");
    const struct ig_client_call request = {.method = "GET", .path = path_of(path, agent, rest)};
    return call(agent, &request, err);
}

static int begin_slot(void *context, size_t size)
{
    return ige_slots_begin(context, size);
}

static int write_slot(void *context, const void *bytes, size_t size)
{
    return ige_slots_write(context, bytes, size);
}

/* The word of what went wrong, "" when the bundle is on trial. */
static const char *finish(struct agent *agent, const struct update *update)
{
    agent->slots.device.now = (uint64_t)ig_clock_unix_ms() / 1000;
    return ig_agent_word(ige_slots_finish(&agent->slots, update->signature));
}

static const char *install_delta(struct agent *agent, const struct update *update)
{
    struct ige_delta delta;
    const struct ige_delta_sink sink = {
        .begin = begin_slot, .write = write_slot, .context = &agent->slots};
    uint32_t size = 0;
    const uint8_t *old = ige_slots_confirmed(&agent->slots, &size);
    if (!old) return "bad_delta";
    ige_delta_start(&delta, old, size, &sink);
    ige_delta_feed(&delta, agent->reply.body.ptr, agent->reply.body.len);
    if (ige_delta_finish(&delta, ige_slots_incoming(&agent->slots)) != IGE_DELTA_OK)
        return "bad_delta";
    return finish(agent, update);
}

static const char *install_all(struct agent *agent, const struct update *update)
{
    struct ig_str bytes = ig_buf_view(&agent->reply.body);
    if (!ige_slots_begin(&agent->slots, bytes.len)) return "flash_failed";
    for (size_t at = 0; at < bytes.len; at += PART) {
        size_t part = bytes.len - at < PART ? bytes.len - at : PART;
        if (!ige_slots_write(&agent->slots, bytes.ptr + at, part)) return "flash_failed";
    }
    return finish(agent, update);
}

/* Installs what was downloaded and runs what the slots say then, which ends a trial before it.
 * False: a delta did not give the bundle. */
static bool install(struct agent *agent, const struct update *update, bool delta)
{
    pthread_mutex_lock(&agent->lock);
    if (agent->ready) ig_agent_flush(agent);
    agent->ready = false;
    const char *word = delta ? install_delta(agent, update) : install_all(agent, update);
    bool failed = delta && strcmp(word, "bad_delta") == 0;
    if (agent->tried && !failed) ig_agent_tell(agent, agent->tried, "reverted", "not_confirmed");
    if (!failed) ig_agent_tell(agent, update->counter, *word ? "refused" : "installed", word);
    if (!failed) ig_agent_set_tried(agent, *word ? 0 : update->counter);
    ig_agent_start(agent);
    pthread_mutex_unlock(&agent->lock);
    return !failed;
}

static enum ig_code take(struct agent *agent, const struct update *update, struct ig_err *err)
{
    enum { SLOT_HEADER_BYTES = 8 };
    if (update->size_bytes + SLOT_HEADER_BYTES > agent->options.slot_bytes) {
        pthread_mutex_lock(&agent->lock);
        ig_agent_tell(agent, update->counter, "refused", "too_large");
        pthread_mutex_unlock(&agent->lock);
        return IG_OK;
    }
    if (update->delta) {
        if (download(agent, update, true, err) != IG_OK) return err->code;
        if (install(agent, update, true)) return IG_OK;
    }
    if (download(agent, update, false, err) == IG_OK) install(agent, update, false);
    return err->code;
}

enum ig_code ig_agent_sync(struct agent *agent, struct ig_err *err)
{
    struct update update;
    if (tell_all(agent, err) != IG_OK || upload_all(agent, err) != IG_OK ||
        ask(agent, err) != IG_OK || take_keys(agent, err) != IG_OK ||
        !read_update(&update, agent, err))
        return err->code;
    agent->etag[0] = '\0'; /* its answer changes with what comes now */
    if (take(agent, &update, err) != IG_OK) return err->code;
    return tell_all(agent, err);
}
