/* SPDX-License-Identifier: Apache-2.0 */
/* Sends deliveries, as MLflow signs them: X-MLflow-Signature is "v1," and the base64 of
 * HMAC-SHA256(secret, "ID.TIMESTAMP.BODY").
 *
 * A few threads, each with one delivery of a webhook of its own; idle they wait for a wake or for
 * what is due next, and read nothing. A sender that took a delivery wakes the next, so one wake
 * starts as many as there is work for. What a database that is away does not take is sent again.
 *
 * Thread rule: `lock` guards busy and last, `wake_lock` the count of wakes. */
#include "services/webhook/webhook_priv.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "net/client.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    TIMEOUT_MS = 30000,
    RETRIES_MAX = 20,
    RETRY_FIRST_MS = 1000,
    RETRY_MAX_MS = 60 * 1000,
    RETRY_AFTER_MAX_S = 3600,
    AWAY_MS = 1000,
    ARENA_CHUNK = 64 << 10,
    ARENA_MAX = 64 << 20,
    HEADERS_MAX_BYTES = 512,
    REDIRECTS_MAX = 5
};

/* ---- one try ---- */

static void add_signature(struct ig_buf *headers, const struct ig_webhook_post *post,
                          const char *timestamp, struct ig_err *err)
{
    unsigned char mac[IG_SHA256_BYTES];
    char text[IG_SHA256_BASE64];
    struct ig_buf content;
    ig_buf_init(&content, post->payload.len + 128);
    ig_buf_add_str(&content, post->id);
    ig_buf_printf(&content, ".%s.", timestamp);
    ig_buf_add_str(&content, post->payload);
    if (content.overflowed) ig_fail(err, IG_NO_MEMORY, "webhook's signature");
    ig_hmac_sha256(mac, post->secret, ig_buf_view(&content));
    ig_sha256_base64(text, mac);
    ig_buf_printf(headers, "X-MLflow-Signature: v1,%s\r\n", text);
    ig_buf_deinit(&content);
}

/* *location: of a redirect that keeps the request as it is; else empty. */
static enum ig_code ask(char *location, struct ig_client *client, struct ig_webhook_post *post,
                        struct ig_str path, struct ig_err *err)
{
    char timestamp[24];
    char target[IG_WEBHOOK_URL_MAX + 2];
    struct ig_buf headers;
    struct ig_client_reply reply = {.body = post->reply};
    ig_buf_init(&headers, HEADERS_MAX_BYTES);
    snprintf(timestamp, sizeof timestamp, "%lld", (long long)(ig_clock_unix_ms() / 1000));
    snprintf(target, sizeof target, "%s%.*s", path.len && path.ptr[0] == '/' ? "" : "/",
             IG_STR_ARGS(path));
    ig_buf_printf(&headers, "X-MLflow-Delivery-Id: %.*s\r\nX-MLflow-Timestamp: %s\r\n",
                  IG_STR_ARGS(post->id), timestamp);
    if (post->secret.len) add_signature(&headers, post, timestamp, err);
    if (headers.overflowed) ig_fail(err, IG_NO_MEMORY, "webhook's headers");
    const struct ig_client_call call = {.method = "POST",
                                        .path = target,
                                        .content_type = "application/json",
                                        .headers = headers.ptr,
                                        .body = post->payload};
    if (err->code == IG_OK) ig_client_call(client, &call, &reply, err);
    ig_buf_deinit(&headers);
    post->reply = reply.body;
    post->status = reply.status;
    post->retry_after_s = reply.retry_after_s;
    if (err->code == IG_TOO_LARGE && reply.status) ig_err_clear(err); /* enough of it came */
    bool kept = reply.status == 307 || reply.status == 308;
    snprintf(location, sizeof reply.location, "%s", kept ? reply.location : "");
    return err->code;
}

static enum ig_code send_once(char *location, const struct ig_webhooks *webhooks,
                              struct ig_webhook_post *post, struct ig_str to, struct ig_err *err)
{
    const struct ig_webhooks_options *options = &webhooks->options;
    struct ig_webhook_url url;
    struct ig_client *client = NULL;
    char base[IG_WEBHOOK_URL_MAX + 1];
    const struct ig_client_options client_options = {
        .connect_timeout_ms = options->timeout_ms,
        .io_timeout_ms = options->timeout_ms,
        .call_timeout_ms = options->timeout_ms,
        .ca_file = options->ca_file && *options->ca_file ? options->ca_file : NULL,
        .headers = "User-Agent: ingot\r\n",
        .cancelled = &webhooks->stopping,
        .public_only = !options->private_allowed};
    post->status = 0;
    location[0] = '\0';
    if (ig_webhook_url_parse(&url, to, err) != IG_OK) return err->code;
    if (!url.is_secure && !options->http_allowed)
        return ig_fail(err, IG_DENIED, "the setting webhook_http does not allow http://");
    snprintf(base, sizeof base, "%.*s", IG_STR_ARGS(url.base));
    if (ig_client_new(&client, base, &client_options, err) == IG_OK)
        ask(location, client, post, url.target, err);
    ig_client_free(client);
    return err->code;
}

enum ig_code ig_webhook_send(const struct ig_webhooks *webhooks, struct ig_webhook_post *post,
                             struct ig_err *err)
{
    char to[IG_WEBHOOK_URL_MAX + 1], next[IG_WEBHOOK_URL_MAX + 1];
    char location[sizeof((struct ig_client_reply *)0)->location];
    snprintf(to, sizeof to, "%.*s", IG_STR_ARGS(post->url));
    for (int redirects = 0;; redirects++) {
        if (send_once(location, webhooks, post, ig_str_view(to), err) != IG_OK || !location[0])
            break;
        if (redirects == REDIRECTS_MAX)
            return ig_fail(err, IG_DENIED, "more than %d redirects", REDIRECTS_MAX);
        if (ig_webhook_url_follow(next, ig_str_view(to), ig_str_view(location), err) != IG_OK) {
            ig_err_prefix(err, "status %d", post->status);
            break;
        }
        memcpy(to, next, sizeof to);
        ig_buf_reset(&post->reply);
    }
    return err->code;
}

enum ig_code ig_webhook_try(struct ig_webhook_trial *out, struct ig_webhooks *webhooks,
                            struct ig_str id, const enum ig_webhook_event *event,
                            struct ig_arena *arena, struct ig_err *err)
{
    struct ig_webhook webhook;
    struct ig_buf payload;
    struct ig_err why = IG_ERR_INIT;
    char delivery[IG_ID_SIZE];
    struct ig_webhook_post post = {0};
    if (ig_webhook_get(&webhook, webhooks, id, arena, err) != IG_OK ||
        ig_webhook_secret(&post.secret, webhooks, id, arena, err) != IG_OK)
        return err->code;
    if (!event && !webhook.events_count)
        return ig_fail(err, IG_CORRUPT, "Webhook with ID %.*s has no events", IG_STR_ARGS(id));
    enum ig_webhook_event told = event ? *event : webhook.events[0];
    ig_id_new(delivery);
    ig_buf_init(&payload, ARENA_CHUNK);
    ig_buf_init(&post.reply, IG_WEBHOOK_REPLY_MAX);
    ig_webhook_payload(&payload, told, ig_str_view(ig_webhook_example(told)));
    post.id = ig_str_view(delivery);
    post.url = webhook.url;
    post.payload = ig_buf_view(&payload);
    ig_webhook_send(webhooks, &post, &why);
    *out = (struct ig_webhook_trial){.status = why.code == IG_OK ? post.status : 0,
                                     .reply = ig_arena_dup(arena, ig_buf_view(&post.reply)),
                                     .error = ig_arena_dup(arena, ig_str_view(why.message))};
    ig_buf_deinit(&post.reply);
    ig_buf_deinit(&payload);
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "webhook") : IG_OK;
}

/* ---- what comes of it ---- */

/* What may go well another time, as MLflow sees it. */
static bool is_passing(enum ig_code code, int status)
{
    if (code != IG_OK)
        return code == IG_UNAVAILABLE || code == IG_TIMEOUT || code == IG_IO || code == IG_PARSE ||
               code == IG_NO_MEMORY;
    return status == 429 || status >= 500;
}

/* 1, 2, 4 ... seconds and up to a quarter more, so that webhooks of one host do not meet. */
static int64_t pause_ms(const struct ig_webhooks *webhooks, int64_t attempts, uint64_t after_s)
{
    int64_t wait = webhooks->options.retry_first_ms;
    uint64_t jitter;
    for (int64_t i = 0; i < attempts && wait < RETRY_MAX_MS; i++) wait *= 2;
    if (wait > RETRY_MAX_MS) wait = RETRY_MAX_MS;
    ig_random_bytes(&jitter, sizeof jitter);
    wait += (int64_t)(jitter % ((uint64_t)wait / 4 + 1));
    if (after_s > RETRY_AFTER_MAX_S) after_s = RETRY_AFTER_MAX_S;
    return wait > (int64_t)after_s * 1000 ? wait : (int64_t)after_s * 1000;
}

static void give_up(struct ig_webhooks *webhooks, const struct ig_webhook_due *due, int status,
                    const struct ig_err *why)
{
    char answer[48];
    snprintf(answer, sizeof answer, "status %d", status);
    ig_log(IG_LOG_WARN, "webhook_given_up", IG_LOG_S("webhook", due->webhook),
           IG_LOG_S("delivery", due->id), IG_LOG_I("tries", due->attempts + 1),
           IG_LOG_C("why", why->code != IG_OK ? why->message : answer));
    atomic_fetch_add(&webhooks->given_up, 1);
}

static void deliver(struct ig_webhooks *webhooks, const struct ig_webhook_due *due,
                    struct ig_err *err)
{
    struct ig_err why = IG_ERR_INIT;
    struct ig_webhook_post post = {
        .id = due->id, .url = due->url, .secret = due->secret, .payload = due->payload};
    ig_buf_init(&post.reply, IG_WEBHOOK_REPLY_MAX);
    enum ig_code code = ig_webhook_send(webhooks, &post, &why);
    ig_buf_deinit(&post.reply);
    bool done = code == IG_OK && post.status >= 200 && post.status < 300;
    if (code == IG_CANCELLED) return; /* told again after the next start */
    bool again = !done && is_passing(code, post.status) &&
                 due->attempts < (int64_t)webhooks->options.retries;
    if (done) atomic_fetch_add(&webhooks->delivered, 1);
    if (again) atomic_fetch_add(&webhooks->retried, 1);
    if (!done && !again) give_up(webhooks, due, post.status, &why);
    if (again)
        ig_webhook_postpone(
            webhooks->options.db, due->id,
            ig_clock_unix_ms() + pause_ms(webhooks, due->attempts, post.retry_after_s), err);
    else
        ig_webhook_drop(webhooks->options.db, due->id, err);
}

/* ---- threads ---- */

static uint64_t wakes_of(struct ig_webhooks *webhooks)
{
    pthread_mutex_lock(&webhooks->wake_lock);
    uint64_t wakes = webhooks->wakes;
    pthread_mutex_unlock(&webhooks->wake_lock);
    return wakes;
}

/* Until there was a wake that `seen` does not count, or wait_ms are over; -1: no end. */
static void wait_for(struct ig_webhooks *webhooks, uint64_t seen, int64_t wait_ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + (uint64_t)(wait_ms + 1) * 1000000;
    at.tv_sec += (time_t)(ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    pthread_mutex_lock(&webhooks->wake_lock);
    for (int over = 0; !over && !atomic_load(&webhooks->stopping) && webhooks->wakes == seen;) {
        if (wait_ms < 0)
            pthread_cond_wait(&webhooks->wake, &webhooks->wake_lock);
        else
            over =
                pthread_cond_clockwait(&webhooks->wake, &webhooks->wake_lock, CLOCK_MONOTONIC, &at);
    }
    pthread_mutex_unlock(&webhooks->wake_lock);
}

static enum ig_code add_sender(struct ig_webhooks *webhooks, struct ig_err *err)
{
    if (webhooks->threads_count == IG_WEBHOOK_SENDERS || atomic_load(&webhooks->stopping))
        return IG_OK;
    if (ig_thread_start(&webhooks->threads[webhooks->threads_count], "webhook", ig_webhook_run,
                        webhooks, err) == IG_OK)
        webhooks->threads_count++;
    return err->code;
}

/* A place among the busy for what is due, or -1. While there is something, there is one more to
 * look for the next. */
static int take_one(struct ig_webhooks *webhooks, struct ig_webhook_due *due,
                    struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    int place = -1;
    ig_arena_reset(arena);
    pthread_mutex_lock(&webhooks->lock);
    if (ig_webhook_take(due, webhooks, arena, &err) != IG_OK) {
        ig_log_err(IG_LOG_WARN, "webhook_queue_unread", &err);
        *due = (struct ig_webhook_due){.wait_ms = AWAY_MS};
    }
    if (due->found) {
        for (place = 0; webhooks->busy[place][0];) place++;
        snprintf(webhooks->busy[place], IG_ID_SIZE, "%.*s", IG_STR_ARGS(due->webhook));
        snprintf(webhooks->last, sizeof webhooks->last, "%.*s", IG_STR_ARGS(due->webhook));
        add_sender(webhooks, &err); /* those there are go on */
    }
    pthread_mutex_unlock(&webhooks->lock);
    if (due->found) ig_webhooks_wake(webhooks);
    return place;
}

static void leave(struct ig_webhooks *webhooks, int place)
{
    pthread_mutex_lock(&webhooks->lock);
    webhooks->busy[place][0] = '\0';
    pthread_mutex_unlock(&webhooks->lock);
}

void *ig_webhook_run(void *context)
{
    struct ig_webhooks *webhooks = context;
    struct ig_webhook_due due;
    struct ig_arena arena;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    while (!atomic_load(&webhooks->stopping)) {
        struct ig_err err = IG_ERR_INIT;
        uint64_t seen = wakes_of(webhooks);
        int place = take_one(webhooks, &due, &arena);
        if (place < 0) {
            wait_for(webhooks, seen, due.wait_ms);
            continue;
        }
        deliver(webhooks, &due, &err);
        if (err.code != IG_OK) { /* unwritten: at once the same again would be a flood */
            ig_log_err(IG_LOG_WARN, "webhook_queue_unwritten", &err);
            wait_for(webhooks, wakes_of(webhooks), AWAY_MS);
        }
        leave(webhooks, place);
    }
    ig_arena_deinit(&arena);
    return NULL;
}

void ig_webhooks_wake(struct ig_webhooks *webhooks)
{
    if (!webhooks) return;
    pthread_mutex_lock(&webhooks->wake_lock);
    webhooks->wakes++;
    pthread_cond_signal(&webhooks->wake);
    pthread_mutex_unlock(&webhooks->wake_lock);
}

void ig_webhooks_stats(struct ig_webhooks_stats *out, struct ig_webhooks *webhooks)
{
    *out = (struct ig_webhooks_stats){.delivered = atomic_load(&webhooks->delivered),
                                      .retried = atomic_load(&webhooks->retried),
                                      .given_up = atomic_load(&webhooks->given_up)};
}

enum ig_code ig_webhooks_open(struct ig_webhooks **out, const struct ig_webhooks_options *options,
                              struct ig_err *err)
{
    struct ig_webhooks *webhooks = ig_zalloc(sizeof *webhooks);
    if (!webhooks) return ig_fail(err, IG_NO_MEMORY, "webhooks");
    webhooks->options = *options;
    if (!webhooks->options.timeout_ms) webhooks->options.timeout_ms = TIMEOUT_MS;
    if (!webhooks->options.retry_first_ms) webhooks->options.retry_first_ms = RETRY_FIRST_MS;
    if (webhooks->options.retries > RETRIES_MAX) webhooks->options.retries = RETRIES_MAX;
    pthread_mutex_init(&webhooks->lock, NULL);
    pthread_mutex_init(&webhooks->wake_lock, NULL);
    pthread_cond_init(&webhooks->wake, NULL);
    pthread_mutex_lock(&webhooks->lock);
    enum ig_code code = add_sender(webhooks, err);
    pthread_mutex_unlock(&webhooks->lock);
    if (code != IG_OK) {
        ig_webhooks_close(webhooks);
        return code;
    }
    *out = webhooks;
    return IG_OK;
}

void ig_webhooks_close(struct ig_webhooks *webhooks)
{
    if (!webhooks) return;
    pthread_mutex_lock(&webhooks->wake_lock);
    atomic_store(&webhooks->stopping, true);
    pthread_cond_broadcast(&webhooks->wake);
    pthread_mutex_unlock(&webhooks->wake_lock);
    pthread_mutex_lock(&webhooks->lock); /* behind it no sender is added */
    unsigned count = webhooks->threads_count;
    pthread_mutex_unlock(&webhooks->lock);
    for (unsigned i = 0; i < count; i++) ig_thread_join(webhooks->threads[i]);
    pthread_cond_destroy(&webhooks->wake);
    pthread_mutex_destroy(&webhooks->wake_lock);
    pthread_mutex_destroy(&webhooks->lock);
    ig_free(webhooks);
}
