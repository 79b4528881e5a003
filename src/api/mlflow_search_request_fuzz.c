/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as a search request, as JSON and as a query: its lists stay within their caps. */
#include "api/mlflow_search_request.h"

static void check(enum ig_code code, const struct ig_tracking_search *search,
                  const struct ig_err *err)
{
    if (code != IG_OK) IG_ASSERT(err->message[0]);
    IG_ASSERT(search->orders_count <= IG_TRACKING_ORDERS_MAX);
    IG_ASSERT(search->experiments_count <= IG_TRACKING_SEARCHED_MAX);
    IG_ASSERT(!search->orders_count || search->orders);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ig_str text = {(const char *)data, size};
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    for (int kind = IG_TRACKING_RUNS; kind < IG_TRACKING_KINDS_COUNT; kind++) {
        struct ig_err err = IG_ERR_INIT, again = IG_ERR_INIT;
        struct ig_tracking_search search;
        enum ig_tracking_kind of = (enum ig_tracking_kind)kind;
        check(ig_mlflow_search_decode(&search, of, text, &arena, &err), &search, &err);
        check(ig_mlflow_search_decode_query(&search, of, text, &arena, &again), &search, &again);
    }
    ig_arena_deinit(&arena);
    return 0;
}
