/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_WEBHOOK_WEBHOOK_PRIV_H
#define IG_SERVICES_WEBHOOK_WEBHOOK_PRIV_H

/* Shared by the files of the webhooks. */

#include "services/webhook/webhook.h"

#include <pthread.h>

enum { IG_WEBHOOK_SENDERS = 4 };

struct ig_webhooks {
    struct ig_webhooks_options options;
    bool _Atomic stopping;
    uint64_t _Atomic delivered, retried, given_up;
    pthread_mutex_t wake_lock; /* never held for long */
    pthread_cond_t wake;
    uint64_t wakes;       /* under wake_lock */
    pthread_mutex_t lock; /* of what follows; held while the store is read */
    uint64_t threads[IG_WEBHOOK_SENDERS];
    unsigned threads_count;
    char busy[IG_WEBHOOK_SENDERS][IG_ID_SIZE]; /* the webhook that each thread sends to, or "" */
    char last[IG_ID_SIZE];                     /* the webhook that was served last */
};

/* Parts of a URL: what a client is made of, and what it asks for. */
struct ig_webhook_url {
    bool is_secure;
    struct ig_str host;   /* without brackets */
    struct ig_str base;   /* scheme and authority */
    struct ig_str target; /* path and query; empty: "/" */
};
/* MLflow's rules and words. What a path or query must escape is refused. */
enum ig_code ig_webhook_url_parse(struct ig_webhook_url *out, struct ig_str url,
                                  struct ig_err *err);
/* Where a redirect from one leads; INVALID: to no URL of a webhook. */
enum ig_code ig_webhook_url_follow(char out[IG_WEBHOOK_URL_MAX + 1], struct ig_str from,
                                   struct ig_str location, struct ig_err *err);
/* The rest: its scheme and its host's addresses. What is connected to is checked again each time.
 */
enum ig_code ig_webhook_url_check(const struct ig_webhooks *webhooks, struct ig_str url,
                                  struct ig_err *err);
/* Of a webhook; empty: none. */
enum ig_code ig_webhook_secret(struct ig_str *out, struct ig_webhooks *webhooks, struct ig_str id,
                               struct ig_arena *arena, struct ig_err *err);
enum ig_code ig_webhook_check_name(struct ig_str name, struct ig_err *err);

/* The body of a delivery. */
void ig_webhook_payload(struct ig_buf *out, enum ig_webhook_event event, struct ig_str data);
const char *ig_webhook_example(enum ig_webhook_event event);

/* One POST. */
struct ig_webhook_post {
    struct ig_str id; /* of the delivery */
    struct ig_str url, secret, payload;
    int status;
    uint64_t retry_after_s;
    struct ig_buf reply; /* the caller's; cut at its cap */
};
/* OK: an answer came. */
enum ig_code ig_webhook_send(const struct ig_webhooks *webhooks, struct ig_webhook_post *post,
                             struct ig_err *err);

/* What is due for a webhook that no thread sends to; `wait_ms`: until something is, -1: nothing
 * waits. Of the texts the arena keeps copies. */
struct ig_webhook_due {
    bool found;
    int64_t wait_ms, attempts;
    struct ig_str id, webhook, url, secret, payload;
};
enum ig_code ig_webhook_take(struct ig_webhook_due *out, const struct ig_webhooks *webhooks,
                             struct ig_arena *arena, struct ig_err *err);
/* Delivered or given up. */
enum ig_code ig_webhook_drop(struct ig_db *db, struct ig_str id, struct ig_err *err);
enum ig_code ig_webhook_postpone(struct ig_db *db, struct ig_str id, int64_t until_ms,
                                 struct ig_err *err);

void *ig_webhook_run(void *webhooks); /* a sender's thread */

#endif
