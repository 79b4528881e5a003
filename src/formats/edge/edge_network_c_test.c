/* SPDX-License-Identifier: Apache-2.0 */
/* The C file of a network: compiled by the strictest words of the compiler it stands alone, and
 * answers as the server's kernels, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge.h"
#include "formats/edge/edge_c_testing.h"
#include "formats/edge/edge_encoder_testing.h"
#include "kernels/nn/nn.h"

#include <string.h>

enum { ROWS = 10 };

static void check_rows(void *library, const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    const struct ig_network_tensor *in = &network->tensors[network->inputs[0]];
    const struct ig_network_tensor *out = &network->tensors[network->outputs[0]];
    void (*invoke)(const void *, void *);
    int32_t (*class_index)(const void *);
    *(void **)&invoke = ig_c_testing_symbol(library, "model_invoke");
    *(void **)&class_index = ig_c_testing_symbol(library, "model_class");
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    size_t bytes = ig_network_tensor_bytes(out);
    void *input = ig_alloc(ig_network_tensor_bytes(in)),
         *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn));
    char *expected = ig_alloc(bytes), *computed = ig_alloc(bytes);
    for (uint32_t row = 0; row < ROWS; row++) {
        for (size_t i = 0; i < ig_network_tensor_count(in); i++)
            if (in->type == IG_NETWORK_I8)
                ((int8_t *)input)[i] = (int8_t)(uint8_t)(row * 31 + i * 7 + i / 5);
            else
                ((float *)input)[i] = (float)((row * 31 + i * 7) % 101) / 16 - 3;
        ig_nn_run(nn, (const void *[]){input}, (void *[]){expected}, scratch);
        invoke(input, computed);
        assert_memory_equal(computed, expected, bytes);
        int32_t best = class_index(input);
        if (out->type == IG_NETWORK_I8 && ig_network_tensor_count(out) > 1)
            for (size_t i = 0; i < bytes; i++)
                assert_true((int8_t)expected[i] <= (int8_t)expected[best]);
    }
    ig_free(input);
    ig_free(scratch);
    ig_free(expected);
    ig_free(computed);
    ig_nn_free(nn);
}

static void *build(const struct ig_network_compact *compact, unsigned number)
{
    struct ig_err err = IG_ERR_INIT;
    char name[32];
    struct ig_buf text;
    snprintf(name, sizeof name, "network%u", number);
    ig_buf_init(&text, 1 << 24);
    if (ig_edge_write_network_c(&text, compact, IG_STR("model"), &err) != IG_OK)
        fail_msg("%s", err.message);
    void *library = ig_c_testing_load(ig_buf_view(&text), name);
    ig_buf_deinit(&text);
    return library;
}

static void check_network(struct ig_network *network, unsigned number)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
    void *library = build(compact, number);
    check_rows(library, network);
    dlclose(library);
    ig_network_compact_free(compact);
}

static void test_rows_of_a_table(void **state)
{
    (void)state;
    static char expected[1 << 16], computed[1 << 16];
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    struct ig_arena arena;
    struct ig_rng rng;
    uint64_t seed = 1;
    void (*invoke)(const float *, void *);
    struct ig_network *network = ig_testing_encoded_network(&seed);
    ig_rng_seed(&rng, 2);
    ig_arena_init(&arena, 65536, 1 << 24);
    struct ig_encoder *encoder = ig_testing_encoder(
        &arena, (uint32_t)ig_network_tensor_count(&network->tensors[network->inputs[0]]), &rng);
    float *row = ig_arena_array(&arena, encoder->features_count, sizeof *row);
    double *wide = ig_arena_array(&arena, encoder->features_count, sizeof *wide);
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
    compact->encoder = encoder;
    void *library = build(compact, 1000);
    *(void **)&invoke = ig_c_testing_symbol(library, "model_invoke");
    for (int i = 0; i < 50; i++) {
        for (uint32_t f = 0; f < encoder->features_count; f++)
            wide[f] = (double)(row[f] = ig_testing_cell(&encoder->features[f], &rng));
        ig_testing_encoded_run(expected, network, encoder, wide);
        invoke(row, computed);
        assert_memory_equal(computed, expected,
                            ig_network_tensor_bytes(&network->tensors[network->outputs[0]]));
    }
    dlclose(library);
    ig_network_compact_free(compact);
    ig_arena_deinit(&arena);
    ig_network_free(network);
}

/* Each has operators that none before had. */
static void test_random_networks(void **state)
{
    (void)state;
    uint32_t seen = 0;
    unsigned compiled = 0, most = getenv("INGOT_LONG") ? 30 : 4;
    for (unsigned seed = 1; compiled < most && seed < 500; seed++) {
        uint32_t ops = 0;
        struct ig_network *network = ig_testing_network(seed);
        network->rounding = (enum ig_network_rounding)(seed % 2);
        for (uint32_t i = 0; i < network->layers_count; i++)
            ops |= UINT32_C(1) << network->layers[i].op;
        if ((most > 4 || __builtin_popcount(ops & ~seen) > 2)) {
            check_network(network, seed);
            seen |= ops;
            compiled++;
        }
        ig_network_free(network);
    }
    assert_true(__builtin_popcount(seen) >= 16);
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    struct ig_network *network = ig_testing_network(1);
    struct ig_buf text;
    ig_buf_init(&text, 1000);
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(ig_edge_write_network_c(&text, compact, IG_STR("a-b"), &err), IG_INVALID);
    ig_err_clear(&err);
    assert_int_equal(ig_edge_write_network_c(&text, compact, IG_STR("ab"), &err), IG_TOO_LARGE);
    ig_buf_deinit(&text);
    ig_network_compact_free(compact);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_networks),
        cmocka_unit_test(test_rows_of_a_table),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, ig_c_testing_setup, ig_c_testing_teardown);
}
