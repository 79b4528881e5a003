/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks as rows: made, changed, listed, removed. What waits for one goes with it. Ids sort by
 * the time they were made.
 *
 * Thread rule: stateless over the store. */
#include "services/webhook/webhook_priv.h"

#include "base/clock.h"

enum { EVENTS_OF_ONE_MAX = 64 };

struct call {
    struct ig_webhooks *webhooks;
    const struct ig_principal *who;
    const struct ig_webhook_spec *spec;
    struct ig_str id;
    bool disabled;
    size_t limit;
    struct ig_arena *arena;
    struct ig_webhook found;
    struct ig_webhook_list list;
    struct ig_str secret;
};

static enum ig_code absent(struct ig_str id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Webhook with ID %.*s not found.",
                   id.len > 64 ? 64 : (int)id.len, id.ptr);
}

/* ---- reading ---- */

static enum ig_code read_events(struct ig_webhook *out, struct ig_db_tx *tx, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_webhook_event *items = ig_arena_array(arena, IG_WEBHOOK_EVENTS_COUNT, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "webhook");
    if (ig_db_query(
            &rows, tx,
            "select entity, action from webhook_events where webhook = $1 order by position",
            IG_DB_VALUES(IG_DB_T(out->id)), err) != IG_OK)
        return err->code;
    while (count < IG_WEBHOOK_EVENTS_COUNT && ig_db_next(rows, err)) {
        if (ig_webhook_event_parse(&items[count], ig_db_text(rows, 0), ig_db_text(rows, 1), err) !=
            IG_OK)
            break;
        count++;
    }
    ig_db_finish(rows);
    out->events = items;
    out->events_count = count;
    return err->code;
}

#define WEBHOOK_COLUMNS "id, name, description, url, disabled, created_ms, updated_ms"

static void take_row(struct ig_webhook *out, struct ig_db_rows *rows, struct ig_arena *arena)
{
    *out = (struct ig_webhook){.id = ig_db_text_dup(rows, 0, arena),
                               .name = ig_db_text_dup(rows, 1, arena),
                               .description = ig_db_text_dup(rows, 2, arena),
                               .url = ig_db_text_dup(rows, 3, arena),
                               .disabled = ig_db_i64(rows, 4) != 0,
                               .created_ms = ig_db_i64(rows, 5),
                               .updated_ms = ig_db_i64(rows, 6)};
}

static enum ig_code read_one(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select " WEBHOOK_COLUMNS " from webhooks where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    bool there = ig_db_next(rows, err);
    if (there) take_row(&call->found, rows, call->arena);
    ig_db_finish(rows);
    if (err->code == IG_OK && !there) return absent(call->id, err);
    if (err->code == IG_OK) read_events(&call->found, tx, call->arena, err);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "webhook");
    return err->code;
}

enum ig_code ig_webhook_get(struct ig_webhook *out, struct ig_webhooks *webhooks, struct ig_str id,
                            struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.id = id, .arena = arena};
    if (ig_db_read(webhooks->options.db, read_one, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code read_secret(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select secret from webhooks where id = $1",
                    IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    bool there = ig_db_next(rows, err);
    if (there) call->secret = ig_db_text_dup(rows, 0, call->arena);
    ig_db_finish(rows);
    if (err->code == IG_OK && !there) return absent(call->id, err);
    return err->code;
}

enum ig_code ig_webhook_secret(struct ig_str *out, struct ig_webhooks *webhooks, struct ig_str id,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct call call = {.id = id, .arena = arena};
    if (ig_db_read(webhooks->options.db, read_secret, &call, err) == IG_OK) *out = call.secret;
    return err->code;
}

static enum ig_code read_page(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    struct ig_webhook *items = ig_arena_array(call->arena, call->limit + 1, sizeof *items);
    size_t count = 0;
    if (!items) return ig_fail(err, IG_NO_MEMORY, "webhooks");
    if (ig_db_query(&rows, tx,
                    "select " WEBHOOK_COLUMNS " from webhooks where $1 = '' or id < $1"
                    " order by id desc limit $2",
                    IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I((int64_t)call->limit + 1)),
                    err) != IG_OK)
        return err->code;
    while (count <= call->limit && ig_db_next(rows, err))
        take_row(&items[count++], rows, call->arena);
    ig_db_finish(rows);
    call->list = (struct ig_webhook_list){items, count, count > call->limit};
    if (call->list.more) call->list.count = call->limit;
    for (size_t i = 0; err->code == IG_OK && i < call->list.count; i++)
        read_events(&items[i], tx, call->arena, err);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "webhooks");
    return err->code;
}

enum ig_code ig_webhook_page(struct ig_webhook_list *out, struct ig_webhooks *webhooks,
                             struct ig_str before, size_t limit, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct call call = {.id = before, .limit = limit, .arena = arena};
    if (ig_db_read(webhooks->options.db, read_page, &call, err) == IG_OK) *out = call.list;
    return err->code;
}

/* ---- changes ---- */

static enum ig_code check_spec(struct call *call, struct ig_err *err)
{
    const struct ig_webhook_spec *spec = call->spec;
    if (spec->name.ptr && ig_webhook_check_name(spec->name, err) != IG_OK) return err->code;
    if (spec->url.ptr && ig_webhook_url_check(call->webhooks, spec->url, err) != IG_OK)
        return err->code;
    if (spec->description.len > IG_WEBHOOK_DESCRIPTION_MAX)
        return ig_fail(err, IG_INVALID, "Webhook description is of %zu bytes; at most %d",
                       spec->description.len, IG_WEBHOOK_DESCRIPTION_MAX);
    if (spec->secret.len > IG_WEBHOOK_SECRET_MAX)
        return ig_fail(err, IG_INVALID, "Webhook secret is of %zu bytes; at most %d",
                       spec->secret.len, IG_WEBHOOK_SECRET_MAX);
    if (spec->events_count > EVENTS_OF_ONE_MAX)
        return ig_fail(err, IG_INVALID, "Webhook events: %zu; at most %d", spec->events_count,
                       EVENTS_OF_ONE_MAX);
    if (!spec->status.ptr) return IG_OK;
    call->disabled =
        ig_str_eq_nocase(spec->status, IG_STR("DISABLED")) || ig_str_is(spec->status, "2");
    if (call->disabled || ig_str_eq_nocase(spec->status, IG_STR("ACTIVE")) ||
        ig_str_is(spec->status, "1"))
        return IG_OK;
    return ig_fail(err, IG_INVALID, "Invalid webhook status '%.*s': expected ACTIVE or DISABLED",
                   spec->status.len > 64 ? 64 : (int)spec->status.len, spec->status.ptr);
}

/* One that is given twice counts once. */
static enum ig_code put_events(struct ig_db_tx *tx, struct ig_str id,
                               const struct ig_webhook_spec *spec, struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < spec->events_count; i++)
        ig_db_exec(tx,
                   "insert into webhook_events(webhook, position, entity, action)"
                   " values($1, $2, $3, $4) on conflict (webhook, entity, action) do nothing",
                   IG_DB_VALUES(IG_DB_T(id), IG_DB_I((int64_t)i),
                                IG_DB_C(ig_webhook_entity(spec->events[i])),
                                IG_DB_C(ig_webhook_action(spec->events[i]))),
                   err);
    return err->code;
}

static enum ig_code check_room(struct ig_db_tx *tx, struct ig_err *err)
{
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from webhooks", NULL, 0, err) == IG_OK &&
        count >= IG_WEBHOOKS_MAX)
        ig_fail(err, IG_EXHAUSTED, "there are %d webhooks: no more are allowed", IG_WEBHOOKS_MAX);
    return err->code;
}

static enum ig_code create(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    const struct ig_webhook_spec *spec = call->spec;
    const struct ig_db_value now = IG_DB_I(ig_clock_unix_ms());
    if (check_room(tx, err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into webhooks(id, name, description, url, secret, disabled, created_ms,"
                   " updated_ms) values($1, $2, $3, $4, $5, $6, $7, $7)",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(spec->name), IG_DB_T(spec->description),
                                IG_DB_T(spec->url), IG_DB_T(spec->secret), IG_DB_I(call->disabled),
                                now),
                   err) != IG_OK ||
        put_events(tx, call->id, spec, err) != IG_OK ||
        ig_audit_add(tx, call->who, "webhook.create", call->id, IG_STR(""), err) != IG_OK)
        return err->code;
    return read_one(tx, call, err);
}

enum ig_code ig_webhook_create(struct ig_webhook *out, struct ig_webhooks *webhooks,
                               const struct ig_principal *who, const struct ig_webhook_spec *spec,
                               struct ig_arena *arena, struct ig_err *err)
{
    char id[IG_ID_SIZE];
    struct ig_webhook_spec full = *spec;
    struct call call = {.webhooks = webhooks, .who = who, .spec = &full, .arena = arena};
    ig_id_new(id);
    call.id = ig_str_view(id);
    if (!full.description.ptr) full.description = IG_STR("");
    if (!full.secret.ptr) full.secret = IG_STR("");
    if (!full.name.ptr) full.name = IG_STR("");
    if (!full.url.ptr) full.url = IG_STR("");
    if (check_spec(&call, err) != IG_OK) return err->code;
    if (!full.events_count)
        return ig_fail(err, IG_INVALID,
                       "Webhook events must be a non-empty list of WebhookEvent objects: [].");
    if (ig_db_write(webhooks->options.db, create, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

/* NULL leaves a column as it is. */
static struct ig_db_value given(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

static enum ig_code drop_pending(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    return ig_db_exec(tx, "delete from webhook_deliveries where webhook = $1",
                      IG_DB_VALUES(IG_DB_T(id)), err);
}

static enum ig_code update(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    const struct ig_webhook_spec *spec = call->spec;
    const struct ig_db_value disabled = spec->status.ptr ? IG_DB_I(call->disabled) : IG_DB_N();
    if (ig_db_exec(tx,
                   "update webhooks set name = coalesce(cast($1 as text), name),"
                   " description = coalesce(cast($2 as text), description),"
                   " url = coalesce(cast($3 as text), url),"
                   " secret = coalesce(cast($4 as text), secret),"
                   " disabled = coalesce(cast($5 as bigint), disabled),"
                   " updated_ms = case when updated_ms < $6 then $6 else updated_ms + 1 end"
                   " where id = $7",
                   IG_DB_VALUES(given(spec->name), given(spec->description), given(spec->url),
                                given(spec->secret), disabled, IG_DB_I(ig_clock_unix_ms()),
                                IG_DB_T(call->id)),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return absent(call->id, err);
    if (spec->events_count && (ig_db_exec(tx, "delete from webhook_events where webhook = $1",
                                          IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK ||
                               put_events(tx, call->id, spec, err) != IG_OK))
        return err->code;
    if (call->disabled && drop_pending(tx, call->id, err) != IG_OK) return err->code;
    if (ig_audit_add(tx, call->who, "webhook.update", call->id, IG_STR(""), err) != IG_OK)
        return err->code;
    return read_one(tx, call, err);
}

enum ig_code ig_webhook_update(struct ig_webhook *out, struct ig_webhooks *webhooks,
                               const struct ig_webhook_change *change, struct ig_arena *arena,
                               struct ig_err *err)
{
    struct call call = {.webhooks = webhooks,
                        .who = change->who,
                        .id = change->id,
                        .spec = change->spec,
                        .arena = arena};
    if (ig_webhook_get(&call.found, webhooks, change->id, arena, err) != IG_OK ||
        check_spec(&call, err) != IG_OK)
        return err->code;
    if (ig_db_write(webhooks->options.db, update, &call, err) == IG_OK) *out = call.found;
    return err->code;
}

static enum ig_code delete_one(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    if (drop_pending(tx, call->id, err) != IG_OK ||
        ig_db_exec(tx, "delete from webhook_events where webhook = $1",
                   IG_DB_VALUES(IG_DB_T(call->id)), err) != IG_OK ||
        ig_db_exec(tx, "delete from webhooks where id = $1", IG_DB_VALUES(IG_DB_T(call->id)),
                   err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return absent(call->id, err);
    return ig_audit_add(tx, call->who, "webhook.delete", call->id, IG_STR(""), err);
}

enum ig_code ig_webhook_delete(struct ig_webhooks *webhooks, const struct ig_principal *who,
                               struct ig_str id, struct ig_err *err)
{
    struct call call = {.who = who, .id = id};
    return ig_db_write(webhooks->options.db, delete_one, &call, err);
}
