/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_WEBHOOK_WEBHOOK_H
#define IG_SERVICES_WEBHOOK_WEBHOOK_H

/* Webhooks as MLflow 3 has them: URLs that are told by POST what happens in the registry.
 *
 * An event becomes one delivery for each webhook that asked for it, a row written in the event's
 * own transaction, so that what was acknowledged is told even when the server dies right after.
 * Threads of their own send what is due, the oldest of a webhook first, one at a time each webhook,
 * until the URL answers 2xx: at least once, with the same id again. Behind 429, 5xx or no answer it
 * is tried again, later and later; behind anything else, or too many tries, it is given up and
 * logged. Redirects that keep the POST (307, 308) are followed; no address that is not public is
 * connected to, unless a setting allows it. A secret is never told: it signs what is sent. */

#include "services/audit/audit.h"

enum ig_webhook_event {
#define IG_WEBHOOK_EVENT(id, entity, entity_number, action, action_number, example) IG_WEBHOOK_##id,
#include "services/webhook/webhook_events.def"
#undef IG_WEBHOOK_EVENT
    IG_WEBHOOK_EVENTS_COUNT
};
const char *ig_webhook_entity(enum ig_webhook_event event); /* "model_version" */
const char *ig_webhook_action(enum ig_webhook_event event); /* "created" */
/* Of names in capitals or numbers, as MLflow's clients send them. */
enum ig_code ig_webhook_event_parse(enum ig_webhook_event *out, struct ig_str entity,
                                    struct ig_str action, struct ig_err *err);

enum {
    IG_WEBHOOKS_MAX = 1000,
    IG_WEBHOOK_PENDING_MAX = 10000, /* deliveries of one webhook that wait */
    IG_WEBHOOK_URL_MAX = 500,
    IG_WEBHOOK_SECRET_MAX = 1000,
    IG_WEBHOOK_DESCRIPTION_MAX = 1000, /* bytes */
    IG_WEBHOOK_REPLY_MAX = 64 << 10,   /* bytes of an answer that are kept */
};

struct ig_webhooks;

struct ig_webhooks_options {
    struct ig_db *db;
    bool http_allowed;       /* http:// besides https:// */
    bool private_allowed;    /* addresses that are not public, too */
    const char *ca_file;     /* PEM of what alone is trusted; NULL or "": the system's CAs */
    unsigned timeout_ms;     /* of one try; 0: 30,000 */
    unsigned retries;        /* behind the first try; at most 20 */
    unsigned retry_first_ms; /* the wait before the first of them, doubled each time; 0: 1,000 */
};
/* Starts the threads. The options' texts are borrowed until the end. */
enum ig_code ig_webhooks_open(struct ig_webhooks **out, const struct ig_webhooks_options *options,
                              struct ig_err *err);
void ig_webhooks_close(struct ig_webhooks *webhooks); /* NULL is allowed */
/* Behind a write that may have added events. Loop-safe; NULL is allowed. */
void ig_webhooks_wake(struct ig_webhooks *webhooks);

struct ig_webhooks_stats {
    uint64_t delivered, retried, given_up;
};
void ig_webhooks_stats(struct ig_webhooks_stats *out, struct ig_webhooks *webhooks);

/* Inside another service's write. `data`: the payload's member of that name, a JSON object. */
enum ig_code ig_webhook_wanted(bool *out, struct ig_db_tx *tx, enum ig_webhook_event event,
                               struct ig_err *err);
enum ig_code ig_webhook_emit(struct ig_db_tx *tx, enum ig_webhook_event event, struct ig_str data,
                             struct ig_err *err);

/* What MLflow's API does with them. Worker threads only. */
struct ig_webhook {
    struct ig_str id, name, description, url; /* an empty description: none */
    const enum ig_webhook_event *events;      /* as they were given */
    size_t events_count;
    bool disabled;
    int64_t created_ms, updated_ms;
};
struct ig_webhook_list {
    const struct ig_webhook *items; /* newest first */
    size_t count;
    bool more;
};
/* What is not to be changed has ptr NULL; events count 0. Of a new one name, url and events are
 * needed. */
struct ig_webhook_spec {
    struct ig_str name, description, url, secret;
    const enum ig_webhook_event *events;
    size_t events_count;
    struct ig_str status; /* ACTIVE or DISABLED, or their numbers; ptr NULL: as it is */
};
enum ig_code ig_webhook_create(struct ig_webhook *out, struct ig_webhooks *webhooks,
                               const struct ig_principal *who, const struct ig_webhook_spec *spec,
                               struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_webhook_get(struct ig_webhook *out, struct ig_webhooks *webhooks, struct ig_str id,
                            struct ig_arena *arena, struct ig_err *err);
/* Those older than the one of `before` (empty: all), at most `limit`. */
enum ig_code ig_webhook_page(struct ig_webhook_list *out, struct ig_webhooks *webhooks,
                             struct ig_str before, size_t limit, struct ig_arena *arena,
                             struct ig_err *err);
struct ig_webhook_change {
    const struct ig_principal *who;
    struct ig_str id;
    const struct ig_webhook_spec *spec;
};
/* What waits for a webhook that is disabled is dropped. */
enum ig_code ig_webhook_update(struct ig_webhook *out, struct ig_webhooks *webhooks,
                               const struct ig_webhook_change *change, struct ig_arena *arena,
                               struct ig_err *err);
enum ig_code ig_webhook_delete(struct ig_webhooks *webhooks, const struct ig_principal *who,
                               struct ig_str id, struct ig_err *err);

struct ig_webhook_trial {
    int status;          /* of the answer; 0: none */
    struct ig_str reply; /* its body, or the begin of it */
    struct ig_str error; /* why there is no answer; else empty */
};
/* Sends the example of an event (NULL: the webhook's first), once, on the caller's thread. */
enum ig_code ig_webhook_try(struct ig_webhook_trial *out, struct ig_webhooks *webhooks,
                            struct ig_str id, const enum ig_webhook_event *event,
                            struct ig_arena *arena, struct ig_err *err);

#endif
