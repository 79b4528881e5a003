/* SPDX-License-Identifier: Apache-2.0 */
/* Checks bundles. Of an unsigned bundle nothing is used but its length. Stateless. */
#include "ingot_edge_bundle.h"

#include "ingot_edge_file.h"

enum {
    HEADER_BYTES = 112,
    VERSION = 1,
    SIZE_AT = 8,
    ROWS_COUNT_AT = 12,
    ID_AT = 16,
    COUNTER_AT = 48,
    EXPIRY_AT = 56,
    TARGET_AT = 64,
    TARGET_BYTES = 16,
    ARENA_AT = 80,
    MODEL_AT = 84,
    MODEL_BYTES_AT = 88,
    ROWS_AT = 92,
    FEATURES_AT = 96,
    WORDS_AT = 100,
};

static uint64_t u64_at(const uint8_t *at)
{
    return (uint64_t)ige_u32(at) | (uint64_t)ige_u32(at + 4) << 32;
}

enum ige_bundle_status ige_bundle_open(struct ige_bundle *bundle, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    if (size < HEADER_BYTES || ige_u32(at) != 0x1a424749U || at[4] != VERSION ||
        ige_u32(at + SIZE_AT) != size)
        return IGE_BUNDLE_BROKEN;
    uint32_t model = ige_u32(at + MODEL_AT), rows = ige_u32(at + ROWS_AT);
    uint64_t row_bytes = 4 * ((uint64_t)ige_u32(at + FEATURES_AT) + ige_u32(at + WORDS_AT));
    bundle->model_bytes = ige_u32(at + MODEL_BYTES_AT);
    bundle->rows_count = ige_u32(at + ROWS_COUNT_AT);
    if (model > size || bundle->model_bytes > size - model || rows > size ||
        (row_bytes && bundle->rows_count > (size - rows) / row_bytes))
        return IGE_BUNDLE_BROKEN;
    bundle->model = at + model;
    bundle->rows = at + rows;
    bundle->id = at + ID_AT;
    bundle->arena_bytes = ige_u32(at + ARENA_AT);
    bundle->counter = u64_at(at + COUNTER_AT);
    bundle->expiry = u64_at(at + EXPIRY_AT);
    return IGE_BUNDLE_OK;
}

static int is_for(const uint8_t *wanted, const char *target)
{
    if (!wanted[0]) return 1;
    for (unsigned i = 0; i < TARGET_BYTES; i++) {
        if (wanted[i] != (uint8_t)target[i]) return 0;
        if (!target[i]) return 1;
    }
    return !target[TARGET_BYTES];
}

enum ige_bundle_status ige_bundle_check(struct ige_bundle *bundle, const void *bytes, size_t size,
                                        const uint8_t signature[IGE_SIGNATURE_BYTES],
                                        const struct ige_device *device)
{
    const uint8_t *at = bytes;
    if (size < HEADER_BYTES || ige_u32(at + SIZE_AT) != size) return IGE_BUNDLE_BROKEN;
    for (unsigned i = 2; i < 10; i++)
        if (signature[i] != device->key[i]) return IGE_BUNDLE_OTHER_KEY;
    if (!ige_minisign_verify(signature, device->key, bytes, size)) return IGE_BUNDLE_BAD_SIGNATURE;
    enum ige_bundle_status status = ige_bundle_open(bundle, bytes, size);
    if (status != IGE_BUNDLE_OK) return status;
    if (!is_for(at + TARGET_AT, device->target)) return IGE_BUNDLE_WRONG_TARGET;
    if (bundle->expiry && device->now > bundle->expiry) return IGE_BUNDLE_EXPIRED;
    if (bundle->counter <= device->counter) return IGE_BUNDLE_REPLAYED;
    return ige_bundle_try(bundle, device->arena, device->arena_bytes);
}

union word {
    uint32_t u[2];
    float f;
    double d;
};

static float float_of(uint32_t bits)
{
    union word word;
    word.u[0] = bits;
    return word.f;
}

/* The i-th 32 bits of the margins. */
static uint32_t word_of(const struct ige_tensor *tensor, uint32_t i)
{
    union word word;
    if (tensor->type == IGE_INT32) return (uint32_t)tensor->data.i32[i];
    if (tensor->type == IGE_FLOAT64) {
        word.d = tensor->data.f64[i / 2];
        return word.u[i % 2];
    }
    word.f = tensor->data.f32[i];
    return word.u[0];
}

enum ige_bundle_status ige_bundle_try(const struct ige_bundle *bundle, void *arena,
                                      size_t arena_bytes)
{
    struct ige_model model;
    struct ige_interpreter interpreter;
    if (ige_load(&model, bundle->model, bundle->model_bytes) != IGE_OK) return IGE_BUNDLE_BAD_MODEL;
    if (ige_allocate_tensors(&interpreter, &model, arena, arena_bytes) != IGE_OK)
        return IGE_BUNDLE_TOO_LARGE;
    const uint8_t *header = bundle->id - ID_AT, *at = bundle->rows;
    uint32_t words = model.outputs * (model.leaf == IGE_LEAF_F64 ? 2 : 1);
    if (bundle->rows_count &&
        (ige_u32(header + FEATURES_AT) != model.features || ige_u32(header + WORDS_AT) != words))
        return IGE_BUNDLE_BROKEN;
    for (uint32_t row = 0; row < bundle->rows_count; row++) {
        for (uint32_t f = 0; f < model.features; f++, at += 4)
            interpreter.input.data.f32[f] = float_of(ige_u32(at));
        ige_invoke(&interpreter);
        for (uint32_t i = 0; i < words; i++, at += 4)
            if (word_of(&interpreter.output, i) != ige_u32(at)) return IGE_BUNDLE_WRONG_ANSWERS;
    }
    return IGE_BUNDLE_OK;
}
