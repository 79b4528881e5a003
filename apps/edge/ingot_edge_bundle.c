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

/* All inputs, or all outputs, as little-endian bytes behind each other. */
struct bytes {
    const struct ige_interpreter *interpreter;
    int outputs;
    uint32_t tensor, at, end; /* the next tensor, and the place in the one before it */
    uint32_t flip;            /* of a place within an element, where numbers are big-endian */
    uint8_t *data;
};

static uint32_t element_bytes(const struct ige_tensor *tensor)
{
    return tensor->type == IGE_INT8 ? 1 : tensor->type == IGE_FLOAT64 ? 8 : 4;
}

static int is_big_endian(void)
{
    union {
        uint32_t word;
        uint8_t bytes[4];
    } pun;
    pun.word = 1;
    return pun.bytes[0] == 0;
}

static struct ige_tensor tensor_of(const struct bytes *bytes, uint32_t index)
{
    return bytes->outputs ? ige_output_at(bytes->interpreter, index)
                          : ige_input_at(bytes->interpreter, index);
}

/* In 32-bit words. */
static uint64_t words_of(const struct bytes *bytes)
{
    uint64_t sum = 0;
    struct ige_tensor tensor = tensor_of(bytes, 0);
    for (uint32_t i = 0; tensor.count; tensor = tensor_of(bytes, ++i))
        sum += (uint64_t)tensor.count * element_bytes(&tensor);
    return (sum + 3) / 4;
}

/* NULL at the end. */
static uint8_t *next_byte(struct bytes *bytes)
{
    if (bytes->at == bytes->end) {
        struct ige_tensor tensor = tensor_of(bytes, bytes->tensor);
        if (!tensor.count) return NULL;
        bytes->tensor++;
        bytes->at = 0;
        bytes->end = tensor.count * element_bytes(&tensor);
        bytes->flip = is_big_endian() ? element_bytes(&tensor) - 1 : 0;
        bytes->data = (uint8_t *)tensor.data.i8;
    }
    return bytes->data + (bytes->at++ ^ bytes->flip);
}

static int run_row(struct ige_interpreter *interpreter, const uint8_t *inputs,
                   const uint8_t *outputs)
{
    struct bytes in = {interpreter, 0, 0, 0, 0, 0, NULL}, out = {interpreter, 1, 0, 0, 0, 0, NULL};
    uint8_t *byte;
    while ((byte = next_byte(&in)) != NULL) *byte = *inputs++;
    ige_invoke(interpreter);
    while ((byte = next_byte(&out)) != NULL)
        if (*byte != *outputs++) return 0;
    return 1;
}

enum ige_bundle_status ige_bundle_try(const struct ige_bundle *bundle, void *arena,
                                      size_t arena_bytes)
{
    struct ige_model model;
    struct ige_interpreter interpreter;
    const struct bytes in = {&interpreter, 0, 0, 0, 0, 0, NULL};
    const struct bytes out = {&interpreter, 1, 0, 0, 0, 0, NULL};
    if (ige_load(&model, bundle->model, bundle->model_bytes) != IGE_OK) return IGE_BUNDLE_BAD_MODEL;
    if (ige_allocate_tensors(&interpreter, &model, arena, arena_bytes) != IGE_OK)
        return IGE_BUNDLE_TOO_LARGE;
    const uint8_t *header = bundle->id - ID_AT, *at = bundle->rows;
    uint32_t inputs = ige_u32(header + FEATURES_AT), outputs = ige_u32(header + WORDS_AT);
    if (bundle->rows_count && (inputs != words_of(&in) || outputs != words_of(&out)))
        return IGE_BUNDLE_BROKEN;
    for (uint32_t row = 0; row < bundle->rows_count; row++) {
        if (!run_row(&interpreter, at, at + 4 * (size_t)inputs)) return IGE_BUNDLE_WRONG_ANSWERS;
        at += 4 * ((size_t)inputs + outputs);
    }
    return IGE_BUNDLE_OK;
}
