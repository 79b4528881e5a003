/* SPDX-License-Identifier: Apache-2.0 */
/* What was put is found, bit for bit; what differs in row or context is not; bytes stay bounded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/explain/cache.h"

#include <math.h>
#include <string.h>

enum { FEATURES = 3 };

static const struct ig_model model = {.features_count = FEATURES, .outputs_count = 1};
static struct ig_arena arena;
static struct ig_err err;

static struct ig_explain_cache *open_cache(size_t bytes)
{
    struct ig_explain_cache *cache;
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    assert_int_equal(ig_explain_cache_new(&cache, bytes, &err), IG_OK);
    return cache;
}

static struct ig_explain_cache_key key_of(const struct ig_explain_cache *cache,
                                          const struct ig_explain_options *options,
                                          const char *background, const double *row)
{
    struct ig_explain_cache_key key;
    const struct ig_explain_cache_context context = {.model_digest = IG_STR("abc"),
                                                     .background_digest = ig_str_view(background),
                                                     .method = IG_EXPLAINER_LEVERAGE,
                                                     .options = options,
                                                     .features = FEATURES};
    ig_explain_cache_key_of(&key, cache, &context);
    key.row = row;
    return key;
}

struct one {
    double margins[1], contributions[FEATURES + 1], se[FEATURES + 1];
    struct ig_explain_note note;
    struct ig_explanations explanations;
};

static void fill(struct one *one, double start)
{
    memset(one, 0, sizeof *one);
    one->margins[0] = start;
    for (int i = 0; i <= FEATURES; i++) {
        one->contributions[i] = start + i;
        one->se[i] = start / 8 + i;
    }
    one->note = (struct ig_explain_note){.seed = 7, .samples = 640, .stopped = "samples"};
    one->explanations = (struct ig_explanations){.form = IG_EXPLAIN_ADDITIVE,
                                                 .rows_count = 1,
                                                 .players_count = FEATURES,
                                                 .values_count = 1,
                                                 .margins = one->margins,
                                                 .contributions = one->contributions,
                                                 .se = one->se,
                                                 .notes = &one->note};
}

static void test_get(void **state)
{
    (void)state;
    struct ig_explain_cache *cache = open_cache(1 << 20);
    struct ig_explain_options options = {.samples = 640}, other = {.samples = 641};
    const double row[FEATURES] = {1, NAN, -0.0}, next[FEATURES] = {1, NAN, 0.0};
    struct ig_explanations found;
    struct one one;
    fill(&one, 2.5);
    struct ig_explain_cache_key key = key_of(cache, &options, "x", row);
    assert_false(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    ig_explain_cache_put(cache, &key, &one.explanations, &model);
    ig_explain_cache_put(cache, &key, &one.explanations, &model);
    assert_true(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    assert_memory_equal(found.contributions, one.contributions, sizeof one.contributions);
    assert_memory_equal(found.se, one.se, sizeof one.se);
    assert_true(found.margins[0] == 2.5 && found.notes->samples == 640);
    assert_string_equal(found.notes->stopped, "samples");
    options.deadline_ns = 5; /* does not count */
    key = key_of(cache, &options, "x", row);
    assert_true(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    key = key_of(cache, &options, "y", row);
    assert_false(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    key = key_of(cache, &other, "x", row);
    assert_false(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    key = key_of(cache, &options, "x", next);
    assert_false(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    struct ig_lru_stats stats;
    ig_explain_cache_stats(cache, &stats);
    assert_true(stats.hits == 2 && stats.misses == 4 && stats.entries == 1 && stats.bytes > 0);
    ig_explain_cache_free(cache);
}

/* Many more than fit: the newest stay, and the bytes are never more than allowed. */
static void test_bound(void **state)
{
    enum { MOST = 64 << 10, COUNT = 4000 };
    (void)state;
    struct ig_explain_cache *cache = open_cache(MOST);
    const struct ig_explain_options options = {0};
    struct ig_lru_stats stats;
    struct ig_explanations found;
    double row[FEATURES] = {0};
    size_t hits = 0;
    struct one one;
    for (int i = 0; i < COUNT; i++) {
        row[0] = i;
        fill(&one, i);
        struct ig_explain_cache_key key = key_of(cache, &options, "", row);
        ig_explain_cache_put(cache, &key, &one.explanations, &model);
        ig_explain_cache_stats(cache, &stats);
        assert_true(stats.bytes <= MOST);
    }
    assert_int_equal(stats.entries + stats.evicted, COUNT);
    assert_true(stats.entries > 50);
    for (int i = 0; i < COUNT; i++) {
        row[0] = i;
        struct ig_explain_cache_key key = key_of(cache, &options, "", row);
        ig_arena_reset(&arena);
        if (!ig_explain_cache_get(&found, cache, &key, &model, &arena)) continue;
        assert_true(found.margins[0] == i);
        hits += i >= COUNT / 2;
    }
    assert_int_equal(hits, stats.entries); /* none of the older half is left */
    ig_explain_cache_free(cache);
    cache = open_cache(0);
    struct ig_explain_cache_key key = key_of(cache, &options, "", row);
    ig_explain_cache_put(cache, &key, &one.explanations, &model);
    assert_false(ig_explain_cache_get(&found, cache, &key, &model, &arena));
    ig_explain_cache_free(cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_bound),
    };
    ig_arena_init(&arena, 1 << 12, 1 << 20);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
