/* SPDX-License-Identifier: Apache-2.0 */
#include "services/gateway/gateway_sse.h"

void ig_gateway_sse_init(struct ig_gateway_sse *sse)
{
    ig_buf_init(&sse->line, IG_GATEWAY_EVENT_MAX);
    sse->overlong = sse->read = false;
}

void ig_gateway_sse_deinit(struct ig_gateway_sse *sse)
{
    ig_buf_deinit(&sse->line);
}

static void keep(struct ig_gateway_sse *sse, struct ig_str part)
{
    if (part.len > IG_GATEWAY_EVENT_MAX - sse->line.len) sse->overlong = true;
    if (sse->overlong) ig_buf_reset(&sse->line);
    if (!sse->overlong) ig_buf_add_str(&sse->line, part);
}

static bool take(struct ig_gateway_sse *sse, struct ig_str *event)
{
    struct ig_str line = ig_str_trim(ig_buf_view(&sse->line)), data = IG_STR("data:");
    if (!ig_str_starts(line, data)) return false;
    *event = ig_str_trim((struct ig_str){line.ptr + data.len, line.len - data.len});
    return event->len && !ig_str_is(*event, "[DONE]");
}

bool ig_gateway_sse_next(struct ig_gateway_sse *sse, struct ig_str *bytes, struct ig_str *event)
{
    while (bytes->len) {
        const char *end = memchr(bytes->ptr, '\n', bytes->len);
        size_t used = end ? (size_t)(end - bytes->ptr) : bytes->len;
        if (sse->read) ig_buf_reset(&sse->line);
        sse->read = false;
        keep(sse, (struct ig_str){bytes->ptr, used});
        bytes->ptr += end ? used + 1 : used;
        bytes->len -= end ? used + 1 : used;
        if (!end) continue;
        bool found = !sse->overlong && take(sse, event);
        sse->overlong = false;
        sse->read = true;
        if (found) return true;
    }
    return false;
}

bool ig_gateway_sse_last(struct ig_gateway_sse *sse, struct ig_str *event)
{
    return !sse->read && !sse->overlong && take(sse, event);
}
