/* SPDX-License-Identifier: Apache-2.0 */
/* What a provider answers, whole or as a stream, and what a caller asks, in each form: the first
 * byte says which, the rest are the bytes. What comes of them has to be JSON. */
#include "services/gateway/gateway_collect.h"
#include "services/gateway/gateway_sse.h"
#include "services/gateway/gateway_work.h"

#include <stdlib.h>

static const struct ig_gateway_form *const FORMS[] = {
    &IG_GATEWAY_FORM_OPENAI, &IG_GATEWAY_FORM_ANTHROPIC, &IG_GATEWAY_FORM_GEMINI};
static const struct ig_gateway_provider PROVIDERS[] = {
    {"openai", "OpenAI", IG_GATEWAY_OPENAI, ""},
    {"anthropic", "Anthropic", IG_GATEWAY_ANTHROPIC, ""},
    {"gemini", "Gemini", IG_GATEWAY_GEMINI, ""}};

static void must_be_json(struct ig_str text, struct ig_arena *arena)
{
    struct ig_gateway_object object;
    struct ig_err err = IG_ERR_INIT;
    if (ig_gateway_object_read(&object, text, arena, &err) != IG_OK && err.code != IG_NO_MEMORY)
        abort();
}

static void answer(struct ig_gateway_work *work, const struct ig_gateway_form *form,
                   struct ig_str text, struct ig_buf *buf)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_object object;
    struct ig_json_out out;
    bool told = true;
    if (ig_gateway_object_read(&object, text, work->scratch, &err) != IG_OK) return;
    ig_gateway_usage_read(&work->usage, &object, work->scratch);
    ig_buf_reset(buf);
    ig_json_out_init(&out, buf);
    if ((work->streams                  ? form->event(&out, &told, work, &object)
         : form->vectors && work->batch ? form->vectors(&out, work, &object)
                                        : form->answer(&out, work, &object)) == IG_OK &&
        told && !buf->overflowed)
        must_be_json(ig_buf_view(buf), work->scratch);
}

static void collect(struct ig_gateway_collector *collector, struct ig_str text,
                    struct ig_arena *arena)
{
    struct ig_gateway_object object;
    struct ig_err err = IG_ERR_INIT;
    if (ig_gateway_object_read(&object, text, arena, &err) == IG_OK)
        ig_gateway_collect(collector, &object, arena);
}

static void collected(struct ig_gateway_collector *collector, struct ig_buf *buf,
                      struct ig_arena *arena)
{
    ig_buf_reset(buf);
    ig_gateway_collector_write(buf, collector, arena);
    if (buf->len && !buf->overflowed) must_be_json(ig_buf_view(buf), arena);
    ig_gateway_collector_deinit(collector);
}

static void stream(struct ig_gateway_work *work, const struct ig_gateway_form *form,
                   struct ig_str text, struct ig_buf *buf)
{
    static const enum ig_gateway_events kinds[] = {[IG_GATEWAY_OPENAI] = IG_GATEWAY_EVENTS_CHAT,
                                                   [IG_GATEWAY_ANTHROPIC] =
                                                       IG_GATEWAY_EVENTS_ANTHROPIC,
                                                   [IG_GATEWAY_GEMINI] = IG_GATEWAY_EVENTS_GEMINI};
    struct ig_gateway_collector collector;
    struct ig_gateway_sse sse;
    struct ig_str event;
    ig_gateway_sse_init(&sse);
    ig_gateway_collector_init(&collector, kinds[work->provider->protocol], 4096);
    for (size_t step = 1; text.len; step = step % 7 + 1) {
        struct ig_str piece = {text.ptr, step < text.len ? step : text.len};
        text = (struct ig_str){text.ptr + piece.len, text.len - piece.len};
        while (work->err->code == IG_OK && ig_gateway_sse_next(&sse, &piece, &event)) {
            answer(work, form, event, buf);
            collect(&collector, event, work->scratch);
        }
    }
    if (work->err->code == IG_OK && ig_gateway_sse_last(&sse, &event))
        answer(work, form, event, buf);
    collected(&collector, buf, work->scratch);
    ig_gateway_sse_deinit(&sse);
}

static void request(struct ig_gateway_work *work, const struct ig_gateway_form *form,
                    struct ig_str text, struct ig_buf *buf)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json_out out;
    if (ig_gateway_object_read(&work->asked, text, work->arena, &err) != IG_OK) return;
    ig_json_out_init(&out, buf);
    if ((work->batch && form->embeddings ? form->embeddings(&out, work) : form->chat(&out, work)) ==
            IG_OK &&
        !buf->overflowed)
        must_be_json(ig_buf_view(buf), work->arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct ig_arena arena, scratch;
    struct ig_buf buf;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_gateway_call call = {.action = IG_GATEWAY_CHAT};
    if (!size) return 0;
    size_t which = bytes[0] % 3, how = bytes[0] / 3 % 5;
    struct ig_str text = {(const char *)bytes + 1, size - 1};
    struct ig_gateway_work work = {.call = &call,
                                   .provider = &PROVIDERS[which],
                                   .model = IG_STR("m"),
                                   .query = "",
                                   .streams = how == 0,
                                   .batch = how == 1 || how == 3,
                                   .arena = &arena,
                                   .scratch = &scratch,
                                   .err = &err,
                                   .usage = {-1, -1, -1, -1, -1}};
    ig_arena_init(&arena, 4096, 16 << 20);
    ig_arena_init(&scratch, 4096, 16 << 20);
    ig_buf_init(&buf, 8 << 20);
    if (how == 0)
        stream(&work, FORMS[which], text, &buf);
    else if (how < 3)
        answer(&work, FORMS[which], text, &buf);
    else
        request(&work, FORMS[which], text, &buf);
    ig_buf_deinit(&buf);
    ig_arena_deinit(&scratch);
    ig_arena_deinit(&arena);
    return 0;
}
