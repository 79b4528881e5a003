/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations in a table of bytes (base/lru.h). Thread rule: that of the table. */
#include "services/explain/cache.h"

#include "base/mem.h"

#include <string.h>

enum { PACKED_MAX = 16 << 20 };

struct ig_explain_cache {
    struct ig_lru *lru;
};

enum ig_code ig_explain_cache_new(struct ig_explain_cache **out, size_t max_bytes,
                                  struct ig_err *err)
{
    struct ig_explain_cache *cache = ig_zalloc(sizeof *cache);
    if (!cache) return ig_fail(err, IG_NO_MEMORY, "explanation cache");
    if (ig_lru_new(&cache->lru, max_bytes, err) != IG_OK) {
        ig_free(cache);
        return err->code;
    }
    *out = cache;
    return IG_OK;
}

void ig_explain_cache_free(struct ig_explain_cache *cache)
{
    if (!cache) return;
    ig_lru_free(cache->lru);
    ig_free(cache);
}

static void add_text(struct ig_buf *out, struct ig_str text)
{
    uint64_t length = text.len;
    ig_buf_add(out, &length, sizeof length);
    ig_buf_add(out, text.ptr, text.len);
}

static void add_number(struct ig_buf *out, const void *number, size_t bytes)
{
    ig_buf_add(out, number, bytes);
}

#define ADD(out, value) add_number((out), &(value), sizeof(value))

static void add_counterfactual(struct ig_buf *out, const struct ig_counterfactual_ask *ask,
                               uint32_t features)
{
    uint64_t flags = (uint64_t)ask->has_low + 2 * ask->has_high + 4 * ask->decides;
    ADD(out, flags);
    ADD(out, ask->low);
    ADD(out, ask->high);
    ADD(out, ask->class);
    ADD(out, ask->price);
    ADD(out, ask->changes_max);
    ADD(out, ask->count);
    for (uint32_t f = 0; ask->constraints && f < features; f++) {
        const struct ig_counterfactual_constraint *own = &ask->constraints[f];
        uint64_t bits = (uint64_t)own->immutable + 2 * own->only_up + 4 * own->only_down +
                        8 * own->has_low + 16 * own->has_high + 32 * own->may_go_missing;
        ADD(out, bits);
        ADD(out, own->low);
        ADD(out, own->high);
        ADD(out, own->step);
        ADD(out, own->scale);
    }
}

void ig_explain_cache_key_of(struct ig_explain_cache_key *out, const struct ig_explain_cache *cache,
                             const struct ig_explain_cache_context *context)
{
    const struct ig_explain_options *options = context->options;
    uint64_t method = context->method, probability = context->probability;
    struct ig_buf text;
    ig_buf_init(&text, PACKED_MAX);
    add_text(&text, context->model_digest);
    add_text(&text, context->background_digest);
    ADD(&text, method);
    ADD(&text, probability);
    ADD(&text, context->players.count);
    if (context->players.of_feature)
        ig_buf_add(&text, context->players.of_feature, context->features * sizeof(uint32_t));
    ADD(&text, options->seed);
    ADD(&text, options->samples);
    ADD(&text, options->target_se);
    ADD(&text, options->output);
    ADD(&text, options->features);
    if (options->counterfactual)
        add_counterfactual(&text, options->counterfactual, context->features);
    ig_lru_context(out->context, cache->lru, ig_buf_view(&text));
    out->features = context->features;
    ig_buf_deinit(&text);
}

static struct ig_lru_key key_of(const struct ig_explain_cache_key *key)
{
    struct ig_lru_key own = {.bytes = {(const char *)key->row, key->features * sizeof *key->row}};
    memcpy(own.context, key->context, sizeof own.context);
    return own;
}

bool ig_explain_cache_get(struct ig_explanations *out, struct ig_explain_cache *cache,
                          const struct ig_explain_cache_key *key, const struct ig_model *model,
                          struct ig_arena *arena)
{
    const struct ig_lru_key own = key_of(key);
    struct ig_str value = ig_lru_get(cache->lru, &own, 0, arena);
    return value.ptr && ig_explanations_unpack(out, value, model, arena);
}

void ig_explain_cache_put(struct ig_explain_cache *cache, const struct ig_explain_cache_key *key,
                          const struct ig_explanations *one, const struct ig_model *model)
{
    const struct ig_lru_key own = key_of(key);
    struct ig_buf value;
    ig_buf_init(&value, PACKED_MAX);
    ig_explanations_pack(&value, one, model);
    if (!value.overflowed) ig_lru_put(cache->lru, &own, ig_buf_view(&value), 0);
    ig_buf_deinit(&value);
}

void ig_explain_cache_stats(struct ig_explain_cache *cache, struct ig_lru_stats *out)
{
    ig_lru_stats(cache->lru, out);
}
