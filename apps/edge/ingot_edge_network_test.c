/* SPDX-License-Identifier: Apache-2.0 */
/* The device runtime's networks against the server's kernels, bit for bit and in both roundings:
 * the small models of every operator (tests/golden/tflite), random chains of layers, and the MLPerf
 * Tiny models of the shared folder where it is; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/proto.h"
#include "formats/edge/edge.h"
#include "formats/format.h"
#include "formats/tflite/tflite.h"
#include "kernels/nn/nn.h"
#include "kernels/quantize/network_testing.h"

#include "ingot_edge.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 24, ENDS_MAX = 8, CASES_MIN = 40 };

/* A network on a device, and beside it on the server. */
struct pair {
    const struct ig_network *network;
    struct ig_buf file;
    struct ige_model model;
    struct ige_interpreter interpreter;
    void *arena; /* not a byte more than it asks for */
    struct ig_nn *nn;
    void *scratch;
    void *inputs[ENDS_MAX], *outputs[ENDS_MAX]; /* the server's */
    uint64_t random;
};

/* False: devices do not run it, as `err` says. */
static bool start(struct pair *pair, const struct ig_network *network, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    *pair = (struct pair){.network = network, .random = 7};
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) {
        printf("%s is not for devices: %s\n", name, err.message);
        assert_int_equal(err.code, IG_UNSUPPORTED);
        return false;
    }
    ig_buf_init(&pair->file, FILE_MAX);
    if (ig_edge_write_network(&pair->file, compact, &err) != IG_OK) fail_msg("%s", err.message);
    enum ige_status status = ige_load(&pair->model, pair->file.ptr, pair->file.len);
    if (status != IGE_OK) fail_msg("%s: refused by %d", name, status);
    size_t bytes = ige_arena_bytes(&pair->model);
    assert_int_equal(bytes, compact->arena_bytes);
    pair->arena = ig_alloc_aligned(8, bytes);
    memset(pair->arena, 0x5a, bytes);
    assert_int_equal(ige_allocate_tensors(&pair->interpreter, &pair->model, pair->arena, bytes - 1),
                     IGE_ARENA_TOO_SMALL);
    assert_int_equal(ige_allocate_tensors(&pair->interpreter, &pair->model, pair->arena, bytes),
                     IGE_OK);
    ig_network_compact_free(compact);
    if (ig_nn_new(&pair->nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    pair->scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(pair->nn));
    assert_true(network->inputs_count <= ENDS_MAX && network->outputs_count <= ENDS_MAX);
    for (uint32_t i = 0; i < network->inputs_count; i++)
        pair->inputs[i] = ig_alloc(ig_network_tensor_bytes(&network->tensors[network->inputs[i]]));
    for (uint32_t i = 0; i < network->outputs_count; i++)
        pair->outputs[i] =
            ig_alloc(ig_network_tensor_bytes(&network->tensors[network->outputs[i]]));
    return true;
}

static void stop(struct pair *pair)
{
    for (uint32_t i = 0; i < ENDS_MAX; i++) {
        ig_free(pair->inputs[i]);
        ig_free(pair->outputs[i]);
    }
    ig_free(pair->scratch);
    ig_nn_free(pair->nn);
    ig_free(pair->arena);
    ig_buf_deinit(&pair->file);
}

static uint32_t next_random(struct pair *pair)
{
    pair->random = pair->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(pair->random >> 33);
}

static void fill_inputs(struct pair *pair)
{
    const struct ig_network *network = pair->network;
    for (uint32_t i = 0; i < network->inputs_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[network->inputs[i]];
        struct ige_tensor input = ige_input_at(&pair->interpreter, i);
        size_t count = ig_network_tensor_count(tensor);
        assert_int_equal(input.count, count);
        for (size_t k = 0; k < count; k++) {
            uint32_t bits = next_random(pair);
            if (tensor->type == IG_NETWORK_I8)
                ((int8_t *)pair->inputs[i])[k] = (int8_t)(bits >> 8);
            else
                ((float *)pair->inputs[i])[k] = (float)(int32_t)(bits % 2001 - 1000) / 128;
        }
        assert_int_equal(input.type, tensor->type == IG_NETWORK_I8 ? IGE_INT8 : IGE_FLOAT32);
        memcpy(input.data.i8, pair->inputs[i], ig_network_tensor_bytes(tensor));
    }
}

static int32_t class_of(const struct ige_tensor *tensor, bool probability)
{
    int32_t best = 0;
    float least = probability ? 0.5F : 0;
    for (uint32_t i = 1; i < tensor->count; i++)
        if (tensor->type == IGE_INT8 ? tensor->data.i8[i] > tensor->data.i8[best]
                                     : tensor->data.f32[i] > tensor->data.f32[best])
            best = (int32_t)i;
    if (tensor->count > 1) return best;
    if (tensor->type == IGE_FLOAT32) return tensor->data.f32[0] > least;
    return tensor->scale * (float)(tensor->data.i8[0] - tensor->zero_point) > least;
}

static void check_row(struct pair *pair, const char *name)
{
    const struct ig_network *network = pair->network;
    fill_inputs(pair);
    ige_invoke(&pair->interpreter);
    ig_nn_run(pair->nn, (const void *const *)pair->inputs, pair->outputs, pair->scratch);
    for (uint32_t i = 0; i < network->outputs_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[network->outputs[i]];
        struct ige_tensor output = ige_output_at(&pair->interpreter, i);
        size_t bytes = ig_network_tensor_bytes(tensor);
        for (size_t k = 0; k < bytes; k++)
            if (((const int8_t *)pair->outputs[i])[k] != output.data.i8[k])
                fail_msg("%s, rounding %d: byte %zu of output %u is %d, expected %d", name,
                         (int)network->rounding, k, i, output.data.i8[k],
                         ((const int8_t *)pair->outputs[i])[k]);
        if (tensor->type == IG_NETWORK_I8) {
            assert_true(output.scale == tensor->quantization.scales[0]);
            assert_int_equal(output.zero_point, tensor->quantization.zero_points[0]);
        }
    }
    const struct ige_tensor *first = ige_output(&pair->interpreter);
    assert_int_equal(ige_class(&pair->interpreter),
                     class_of(first, ig_network_gives_probabilities(network)));
    float margin = ige_margin(&pair->interpreter, first->count - 1);
    if (first->type == IGE_INT8)
        assert_true(margin ==
                    first->scale * (float)(first->data.i8[first->count - 1] - first->zero_point));
    else
        assert_true(margin == first->data.f32[first->count - 1]);
}

/* In both roundings; false when devices do not run it. */
static bool check_network(struct ig_network *network, const char *name, int rows)
{
    for (int rounding = 0; rounding < 2; rounding++) {
        struct pair pair;
        network->rounding = (enum ig_network_rounding)rounding;
        if (!start(&pair, network, name)) return false;
        for (int row = 0; row < rows; row++) check_row(&pair, name);
        assert_int_equal(ige_input_at(&pair.interpreter, network->inputs_count).count, 0);
        assert_int_equal(ige_output_at(&pair.interpreter, network->outputs_count).count, 0);
        stop(&pair);
    }
    return true;
}

/* ---- every operator ---- */

static struct ig_str read_bundle(void)
{
    char path[512];
    const char *source = getenv("INGOT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/tflite/small.bin", source ? source : ".");
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("no %s", path);
    char *bytes = ig_alloc(1 << 20);
    size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return (struct ig_str){bytes, size};
}

static void test_every_operator(void **state)
{
    (void)state;
    struct ig_str bundle = read_bundle();
    struct ig_proto proto;
    struct ig_proto_field field;
    unsigned seen[IG_NETWORK_OPS_COUNT] = {0}, cases = 0;
    ig_proto_init(&proto, bundle);
    while (ig_proto_next(&proto, &field)) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_network *network;
        struct ig_proto inner;
        struct ig_proto_field part;
        struct ig_str name = {0}, model = {0};
        ig_proto_init(&inner, field.bytes);
        while (ig_proto_next(&inner, &part)) {
            if (part.number == 1) name = part.bytes;
            if (part.number == 2) model = part.bytes;
        }
        if (ig_tflite_network(&network, model, &err) != IG_OK) fail_msg("%s", err.message);
        char text[64];
        snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(name));
        if (check_network(network, text, 20)) {
            cases++;
            for (uint32_t i = 0; i < network->layers_count; i++) seen[network->layers[i].op]++;
        }
        ig_network_free(network);
    }
    for (int op = 0; op < IG_NETWORK_OPS_COUNT; op++)
        if (!seen[op]) fail_msg("no case with %s", ig_network_op_name((enum ig_network_op)op));
    assert_true(cases >= CASES_MIN);
    ig_free((void *)(uintptr_t)bundle.ptr);
}

static void test_random_networks(void **state)
{
    (void)state;
    uint64_t most = getenv("INGOT_LONG") ? 3000 : 60;
    unsigned seen[IG_NETWORK_OPS_COUNT] = {0}, refused = 0;
    for (uint64_t seed = 1; seed <= most; seed++) {
        char name[32];
        struct ig_network *network = ig_testing_network(seed);
        snprintf(name, sizeof name, "seed %d", (int)seed);
        refused += !check_network(network, name, 3); /* a softmax of very many classes */
        for (uint32_t i = 0; i < network->layers_count; i++) seen[network->layers[i].op]++;
        ig_network_free(network);
    }
    assert_true(refused * 50 <= most);
    for (int op = 0; op < IG_NETWORK_OPS_COUNT; op++)
        if (seen[op] < 3)
            fail_msg("%u of %s", seen[op], ig_network_op_name((enum ig_network_op)op));
}

/* ---- shared models ---- */

static const struct {
    const char *name;
    size_t file_bytes, arena_bytes; /* at most */
} SHARED[] = {{"kws", 28500, 16500},
              {"vww_96", 238000, 57000},
              {"ad01", 272000, 900},
              {"streaming_wakeword", 56000, 7000}};

static void test_shared_models(void **state)
{
    (void)state;
    const char *folder = getenv("INGOT_SHARED_DIR"), *source = getenv("INGOT_SOURCE_DIR");
    unsigned found = 0;
    for (size_t i = 0; i < sizeof SHARED / sizeof *SHARED; i++) {
        char path[1024];
        struct ig_err err = IG_ERR_INIT;
        struct ig_network *network = NULL;
        struct ig_network_compact *compact = NULL;
        struct ig_buf bytes, file;
        snprintf(path, sizeof path, "%s%s/models/tflite/%s_int8.tflite",
                 folder   ? folder
                 : source ? source
                          : ".",
                 folder ? "" : "/../shared", SHARED[i].name);
        ig_buf_init(&bytes, FILE_MAX);
        ig_buf_init(&file, FILE_MAX);
        if (ig_file_read(&bytes, IG_FILE_CWD, path, &err) == IG_OK) {
            if (ig_tflite_network(&network, ig_buf_view(&bytes), &err) != IG_OK ||
                ig_network_compact_new(&compact, network, &err) != IG_OK ||
                ig_edge_write_network(&file, compact, &err) != IG_OK)
                fail_msg("%s", err.message);
            printf("%-20s %7zu bytes, arena %6u, %llu products\n", SHARED[i].name, file.len,
                   compact->arena_bytes, (unsigned long long)compact->products);
            assert_true(file.len <= SHARED[i].file_bytes);
            assert_true(compact->arena_bytes <= SHARED[i].arena_bytes);
            ig_network_compact_free(compact);
            assert_true(check_network(network, SHARED[i].name, 2));
            ig_network_free(network);
            found++;
        }
        ig_buf_deinit(&bytes);
        ig_buf_deinit(&file);
    }
    if (!found) skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_operator),
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_shared_models),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
