/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a filter and as an order: what is taken lies inside the text. */
#include "services/tracking/tracking_filter.h"
#include "services/tracking/tracking_traces.h"

static void check_inside(struct ig_str part, struct ig_str text)
{
    IG_ASSERT(part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len);
}

/* Some of a trace's fields are a tag, metadata or a span's field, by a name that is constant. */
static void check_key(enum ig_tracking_kind kind, struct ig_str key, struct ig_str text)
{
    bool renamed = ig_str_is(key, IG_TRACKING_TRACE_NAME) ||
                   ig_str_is(key, IG_TRACKING_TRACE_SOURCE_RUN) || ig_str_is(key, "content");
    if (kind != IG_TRACKING_TRACES || !renamed) check_inside(key, text);
}

static void check_filter(enum ig_tracking_kind kind, struct ig_str text)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_filter filter;
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_tracking_filter_parse(&filter, kind, text, &arena, &err) != IG_OK)
        IG_ASSERT(err.message[0] && filter.count == 0);
    IG_ASSERT(filter.count <= IG_TRACKING_TERMS_MAX);
    for (size_t i = 0; i < filter.count; i++) {
        const struct ig_tracking_term *term = &filter.terms[i];
        bool fielded = term->what.entity == IG_TRACKING_ATTRIBUTE ||
                       term->what.entity == IG_TRACKING_DATASET ||
                       term->what.entity == IG_TRACKING_SPAN;
        IG_ASSERT(fielded == (term->what.field != IG_TRACKING_NO_FIELD));
        check_key(kind, term->what.key, text);
        for (size_t j = 0; j < term->values_count; j++) check_inside(term->values[j], text);
    }
    ig_arena_deinit(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ig_str text = {(const char *)data, size};
    for (int kind = IG_TRACKING_RUNS; kind < IG_TRACKING_KINDS_COUNT; kind++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tracking_order order;
        check_filter((enum ig_tracking_kind)kind, text);
        if (ig_tracking_order_parse(&order, (enum ig_tracking_kind)kind, text, &err) == IG_OK)
            check_key((enum ig_tracking_kind)kind, order.what.key, text);
        else
            IG_ASSERT(err.message[0]);
    }
    return 0;
}
