/* SPDX-License-Identifier: Apache-2.0 */
/* The outbox: deliveries as rows, added by the event's own transaction, taken by senders, removed
 * when they are over.
 *
 * Ids sort by time, so the smallest of a webhook is its oldest. A delivery that failed waits
 * without holding up those behind it. Thread rule: stateless over the store, but for
 * ig_webhook_take, which reads what the lock guards: its caller holds that. */
#include "services/webhook/webhook_priv.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"

#include <string.h>

enum { PAYLOAD_MAX_BYTES = 32 << 20, WAIT_MAX_MS = 3600 * 1000 };

enum ig_code ig_webhook_wanted(bool *out, struct ig_db_tx *tx, enum ig_webhook_event event,
                               struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(
            &rows, tx,
            "select 1 from webhook_events e join webhooks w on w.id = e.webhook"
            " where e.entity = $1 and e.action = $2 and w.disabled = 0 limit 1",
            IG_DB_VALUES(IG_DB_C(ig_webhook_entity(event)), IG_DB_C(ig_webhook_action(event))),
            err) != IG_OK)
        return err->code;
    *out = ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

/* "2026-01-31T23:59:59.123+00:00" */
static void write_time(struct ig_json_out *out)
{
    char text[IG_CLOCK_ISO_SIZE + 8];
    ig_clock_iso(text, ig_clock_unix_ms());
    memcpy(text + IG_CLOCK_ISO_SIZE - 2, "+00:00", sizeof "+00:00");
    ig_json_out_kv_str(out, "timestamp", ig_str_view(text));
}

void ig_webhook_payload(struct ig_buf *out, enum ig_webhook_event event, struct ig_str data)
{
    struct ig_json_out json;
    ig_json_out_init(&json, out);
    ig_json_out_object(&json);
    ig_json_out_kv_str(&json, "entity", ig_str_view(ig_webhook_entity(event)));
    ig_json_out_kv_str(&json, "action", ig_str_view(ig_webhook_action(event)));
    write_time(&json);
    ig_json_out_key(&json, IG_STR("data"));
    ig_json_out_raw(&json, data);
    ig_json_out_object_end(&json);
}

struct hooks {
    char ids[IG_WEBHOOKS_MAX][IG_ID_SIZE];
    size_t count, full;
};

/* Those that asked for the event and have room. */
static enum ig_code find_hooks(struct hooks *out, struct ig_db_tx *tx, enum ig_webhook_event event,
                               struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    out->count = out->full = 0;
    if (ig_db_query(&rows, tx,
                    "select w.id, (select count(*) from (select 1 from webhook_deliveries d"
                    " where d.webhook = w.id limit $3) waiting)"
                    " from webhook_events e join webhooks w on w.id = e.webhook"
                    " where e.entity = $1 and e.action = $2 and w.disabled = 0 order by w.id",
                    IG_DB_VALUES(IG_DB_C(ig_webhook_entity(event)),
                                 IG_DB_C(ig_webhook_action(event)),
                                 IG_DB_I(IG_WEBHOOK_PENDING_MAX)),
                    err) != IG_OK)
        return err->code;
    while (out->count < IG_WEBHOOKS_MAX && ig_db_next(rows, err)) {
        struct ig_str id = ig_db_text(rows, 0);
        if (ig_db_i64(rows, 1) >= IG_WEBHOOK_PENDING_MAX || id.len >= IG_ID_SIZE) {
            out->full++;
            continue;
        }
        memcpy(out->ids[out->count], id.ptr, id.len);
        out->ids[out->count++][id.len] = '\0';
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code add(struct ig_db_tx *tx, const char *webhook, struct ig_str payload,
                        struct ig_err *err)
{
    char id[IG_ID_SIZE];
    ig_id_new(id);
    return ig_db_exec(
        tx,
        "insert into webhook_deliveries(id, webhook, payload, attempts, next_ms)"
        " values($1, $2, $3, 0, $4)",
        IG_DB_VALUES(IG_DB_C(id), IG_DB_C(webhook), IG_DB_T(payload), IG_DB_I(ig_clock_unix_ms())),
        err);
}

enum ig_code ig_webhook_emit(struct ig_db_tx *tx, enum ig_webhook_event event, struct ig_str data,
                             struct ig_err *err)
{
    struct hooks hooks;
    struct ig_buf payload;
    if (find_hooks(&hooks, tx, event, err) != IG_OK) return err->code;
    if (hooks.full)
        ig_log(IG_LOG_WARN, "webhook_queue_full", IG_LOG_C("entity", ig_webhook_entity(event)),
               IG_LOG_I("webhooks", (int64_t)hooks.full));
    if (!hooks.count) return IG_OK;
    ig_buf_init(&payload, PAYLOAD_MAX_BYTES);
    ig_webhook_payload(&payload, event, data);
    if (payload.overflowed) ig_fail(err, IG_NO_MEMORY, "webhook's payload");
    for (size_t i = 0; err->code == IG_OK && i < hooks.count; i++)
        add(tx, hooks.ids[i], ig_buf_view(&payload), err);
    ig_buf_deinit(&payload);
    return err->code;
}

/* ---- senders ---- */

struct take_call {
    const struct ig_webhooks *webhooks;
    struct ig_arena *arena;
    struct ig_webhook_due *out;
    int64_t now_ms;
    char id[IG_ID_SIZE]; /* the webhook's */
};

static bool is_busy(const struct ig_webhooks *webhooks, struct ig_str id)
{
    for (size_t i = 0; i < IG_WEBHOOK_SENDERS; i++)
        if (ig_str_is(id, webhooks->busy[i])) return true;
    return false;
}

/* The next in turn behind the one that was served last, so that none starves. */
static enum ig_code choose(struct take_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    int64_t first_ms = -1;
    if (ig_db_query(&rows, tx,
                    "select w.id, (select min(d.next_ms) from webhook_deliveries d"
                    " where d.webhook = w.id) from webhooks w where w.disabled = 0"
                    " order by case when w.id > $1 then 0 else 1 end, w.id",
                    IG_DB_VALUES(IG_DB_C(call->webhooks->last)), err) != IG_OK)
        return err->code;
    while (!call->id[0] && ig_db_next(rows, err)) {
        struct ig_str id = ig_db_text(rows, 0);
        int64_t next_ms = ig_db_i64(rows, 1);
        if (ig_db_is_null(rows, 1) || id.len >= IG_ID_SIZE || is_busy(call->webhooks, id)) continue;
        if (next_ms <= call->now_ms)
            memcpy(call->id, id.ptr, id.len);
        else if (first_ms < 0 || next_ms < first_ms)
            first_ms = next_ms;
    }
    ig_db_finish(rows);
    call->out->wait_ms = first_ms < 0 ? -1 : first_ms - call->now_ms;
    if (call->out->wait_ms > WAIT_MAX_MS) call->out->wait_ms = WAIT_MAX_MS;
    return err->code;
}

static enum ig_code take(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct take_call *call = context;
    struct ig_webhook_due *out = call->out;
    struct ig_db_rows *rows = NULL;
    if (choose(call, tx, err) != IG_OK || !call->id[0]) return err->code;
    if (ig_db_query(&rows, tx,
                    "select d.id, w.id, w.url, w.secret, d.payload, d.attempts"
                    " from webhook_deliveries d join webhooks w on w.id = d.webhook"
                    " where d.webhook = $1 and d.next_ms <= $2 order by d.id limit 1",
                    IG_DB_VALUES(IG_DB_C(call->id), IG_DB_I(call->now_ms)), err) != IG_OK)
        return err->code;
    out->found = ig_db_next(rows, err);
    if (out->found) {
        out->id = ig_db_text_dup(rows, 0, call->arena);
        out->webhook = ig_db_text_dup(rows, 1, call->arena);
        out->url = ig_db_text_dup(rows, 2, call->arena);
        out->secret = ig_db_text_dup(rows, 3, call->arena);
        out->payload = ig_db_text_dup(rows, 4, call->arena);
        out->attempts = ig_db_i64(rows, 5);
    }
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "webhook's delivery");
    return err->code;
}

enum ig_code ig_webhook_take(struct ig_webhook_due *out, const struct ig_webhooks *webhooks,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct take_call call = {
        .webhooks = webhooks, .arena = arena, .out = out, .now_ms = ig_clock_unix_ms()};
    *out = (struct ig_webhook_due){.wait_ms = -1};
    return ig_db_read(webhooks->options.db, take, &call, err);
}

struct end {
    struct ig_str id;
    int64_t until_ms;
};

static enum ig_code drop(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct end *end = context;
    return ig_db_exec(tx, "delete from webhook_deliveries where id = $1",
                      IG_DB_VALUES(IG_DB_T(end->id)), err);
}

enum ig_code ig_webhook_drop(struct ig_db *db, struct ig_str id, struct ig_err *err)
{
    struct end end = {.id = id};
    return ig_db_write(db, drop, &end, err);
}

static enum ig_code postpone(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct end *end = context;
    return ig_db_exec(
        tx, "update webhook_deliveries set attempts = attempts + 1, next_ms = $1 where id = $2",
        IG_DB_VALUES(IG_DB_I(end->until_ms), IG_DB_T(end->id)), err);
}

enum ig_code ig_webhook_postpone(struct ig_db *db, struct ig_str id, int64_t until_ms,
                                 struct ig_err *err)
{
    struct end end = {.id = id, .until_ms = until_ms};
    return ig_db_write(db, postpone, &end, err);
}
