/* SPDX-License-Identifier: Apache-2.0 */
/* One exchange with a provider. Connections are kept for the next call of the same place: building
 * trust and a TLS session takes longer than anything else here. Only public addresses are dialled,
 * unless a setting allows others, and redirects are not followed.
 *
 * Thread rule: one lock, over the list of what is kept. */
#include "services/gateway/gateway_priv.h"
#include "services/gateway/gateway_work.h"

#include "base/clock.h"
#include "base/mem.h"
#include "net/client.h"

enum { CONNECT_TIMEOUT_MS = 10000, DETAIL_MAX = 400 };

/* ---- connections ---- */

static struct ig_client *take_kept(struct ig_gateway *gateway, const char *base)
{
    struct ig_client *client = NULL;
    pthread_mutex_lock(&gateway->lock);
    for (size_t i = gateway->kept_count; i-- > 0 && !client;) {
        if (strcmp(gateway->kept[i].base, base) != 0) continue;
        client = gateway->kept[i].client;
        ig_free(gateway->kept[i].base);
        gateway->kept[i] = gateway->kept[--gateway->kept_count];
    }
    pthread_mutex_unlock(&gateway->lock);
    return client;
}

static void keep(struct ig_gateway *gateway, const char *base, struct ig_client *client)
{
    size_t size = strlen(base) + 1;
    struct ig_gateway_kept old = {ig_alloc(size), client};
    if (old.base) memcpy(old.base, base, size);
    pthread_mutex_lock(&gateway->lock);
    if (old.base && gateway->kept_count < IG_GATEWAY_KEPT_MAX) {
        gateway->kept[gateway->kept_count++] = old;
        old = (struct ig_gateway_kept){NULL, NULL};
    } else if (old.base) {
        struct ig_gateway_kept new = old;
        old = gateway->kept[gateway->kept_at];
        gateway->kept[gateway->kept_at] = new;
        gateway->kept_at = (gateway->kept_at + 1) % IG_GATEWAY_KEPT_MAX;
    }
    pthread_mutex_unlock(&gateway->lock);
    ig_client_free(old.client);
    ig_free(old.base);
}

void ig_gateway_kept_free(struct ig_gateway *gateway)
{
    for (size_t i = 0; i < gateway->kept_count; i++) {
        ig_client_free(gateway->kept[i].client);
        ig_free(gateway->kept[i].base);
    }
    gateway->kept_count = 0;
}

/* ---- failures ---- */

struct ig_str ig_gateway_scrub(struct ig_str text, const struct ig_gateway_work *work)
{
    struct ig_buf out;
    ig_buf_init(&out, 2 * text.len + 16);
    for (size_t at = 0; at < text.len;) {
        size_t hidden = 0;
        for (size_t i = 0; i < work->secrets.count; i++) {
            struct ig_str value = ig_str_trim(work->secrets.items[i].value);
            struct ig_str rest = {text.ptr + at, text.len - at};
            if (value.len >= 4 && value.len > hidden && ig_str_starts(rest, value))
                hidden = value.len;
        }
        if (hidden)
            ig_buf_add_cstr(&out, "***");
        else
            ig_buf_add_char(&out, text.ptr[at]);
        at += hidden ? hidden : 1;
    }
    struct ig_str clean = ig_arena_dup(work->arena, ig_buf_view(&out));
    ig_buf_deinit(&out);
    return clean.ptr ? clean : IG_STR("");
}

/* {"error": {"message": ..}}, {"error": ".."}, {"message": ..}, Google's list of one of these, or
 * the text as it is. */
static struct ig_str detail_of(struct ig_str body, const struct ig_gateway_work *work)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object object, error;
    struct ig_gateway_array list;
    struct ig_str found = {NULL, 0}, text = body;
    if (ig_gateway_array_read(&list, body, work->arena, &err) == IG_OK && list.count)
        text = list.items[0];
    ig_err_clear(&err);
    if (ig_gateway_object_read(&object, text, work->arena, &err) == IG_OK) {
        struct ig_str value = ig_gateway_get(&object, "error");
        if (ig_gateway_is_text(value))
            found = ig_gateway_text(value, work->arena);
        else if (value.ptr && ig_gateway_object_read(&error, value, work->arena, &err) == IG_OK)
            found = ig_gateway_get_text(&error, "message", work->arena);
        if (!found.len) found = ig_gateway_get_text(&object, "message", work->arena);
    }
    if (!found.len) found = ig_str_trim(body);
    return ig_gateway_scrub(found, work);
}

static enum ig_code refused(struct ig_gateway_work *work, int status, struct ig_str body)
{
    struct ig_str detail = detail_of(body, work);
    if (detail.len > DETAIL_MAX) detail.len = DETAIL_MAX;
    while (detail.len && !ig_str_utf8_valid(detail)) detail.len--;
    if (!detail.len) detail = IG_STR("no reason was given");
    return ig_gateway_refuse(work, status, "%.*s", IG_STR_ARGS(detail));
}

static enum ig_code unreachable(struct ig_gateway_work *work, const struct ig_err *failure)
{
    if (failure->code == IG_CANCELLED || failure->code == IG_NO_MEMORY)
        return ig_fail(work->err, failure->code, "%s", failure->message);
    return ig_gateway_refuse(work, failure->code == IG_TIMEOUT ? 504 : 502, "%s: %s",
                             work->provider->title, failure->message);
}

static enum ig_code take_reply(struct ig_gateway_work *work, const struct ig_gateway_post *post,
                               const struct ig_client_reply *reply)
{
    struct ig_str body = ig_buf_view(&reply->body);
    bool says_why = reply->status >= 400 && strstr(reply->content_type, "text/plain");
    if (!post->take && !strstr(reply->content_type, "application/json") && !says_why)
        return ig_gateway_refuse(work, 502,
                                 "The returned data type from the route service is not supported. "
                                 "Received content type: %s",
                                 reply->content_type);
    if (reply->status >= 400) return refused(work, reply->status, body);
    if (reply->status < 200 || reply->status >= 300)
        return ig_gateway_refuse(work, 502, "%s answered with status %d, which is not followed",
                                 work->provider->title, reply->status);
    return IG_OK;
}

/* ---- sending ---- */

enum ig_code ig_gateway_send(struct ig_buf *reply, struct ig_gateway *gateway,
                             struct ig_gateway_work *work, const struct ig_gateway_post *post)
{
    const struct ig_client_options options = {.connect_timeout_ms = CONNECT_TIMEOUT_MS,
                                              .io_timeout_ms = gateway->timeout_ms,
                                              .call_timeout_ms = gateway->timeout_ms,
                                              .ca_file = gateway->ca_file,
                                              .public_only = !gateway->private_allowed};
    const char *more = work->call->headers ? work->call->headers : "User-Agent: ingot\r\n";
    char *headers = ig_arena_printf(work->arena, "%s%s", work->headers, more);
    const struct ig_client_call call = {.method = "POST",
                                        .path = post->path,
                                        .content_type = "application/json",
                                        .headers = headers,
                                        .body = post->body,
                                        .on_bytes = post->take,
                                        .on_bytes_context = post->context,
                                        .is_cancelled = work->call->is_gone,
                                        .is_cancelled_context = work->call->context};
    struct ig_err failure = IG_ERR_INIT;
    struct ig_client_reply got = {.body = *reply};
    if (!headers) return ig_fail(work->err, IG_NO_MEMORY, "a provider's headers");
    struct ig_client *client = take_kept(gateway, work->base);
    if (client || ig_client_new(&client, work->base, &options, &failure) == IG_OK)
        ig_client_call(client, &call, &got, &failure);
    explicit_bzero(headers, strlen(headers));
    *reply = got.body;
    if (failure.code == IG_OK && client)
        keep(gateway, work->base, client);
    else
        ig_client_free(client);
    if (work->err->code != IG_OK) return work->err->code; /* of the one who takes the stream */
    if (failure.code != IG_OK) return unreachable(work, &failure);
    return take_reply(work, post, &got);
}
