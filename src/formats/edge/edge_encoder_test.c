/* SPDX-License-Identifier: Apache-2.0 */
/* Encoders in compact files: what is read is what was written. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/edge/edge_encoder_testing.h"
#include "formats/format.h"

#include <string.h>

enum { FILE_MAX = 1 << 22, NETWORKS = 12 };

static void assert_same(const struct ig_encoder *a, const struct ig_encoder *b)
{
    assert_int_equal(a->features_count, b->features_count);
    assert_int_equal(a->inputs_count, b->inputs_count);
    assert_int_equal(a->gains != NULL, b->gains != NULL);
    for (uint32_t f = 0; f < a->features_count; f++)
        assert_memory_equal(&a->features[f], &b->features[f], sizeof a->features[f]);
    if (a->gains) assert_memory_equal(a->gains, b->gains, a->inputs_count * sizeof *a->gains);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct ig_rng rng;
    uint64_t seed = 1;
    ig_rng_seed(&rng, 7);
    for (int i = 0; i < NETWORKS; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_arena arena;
        struct ig_buf file, again;
        struct ig_model *read = NULL;
        struct ig_network_compact *compact = NULL;
        struct ig_network *network = ig_testing_encoded_network(&seed);
        ig_arena_init(&arena, 65536, 1 << 24);
        ig_buf_init(&file, FILE_MAX);
        ig_buf_init(&again, FILE_MAX);
        struct ig_encoder *encoder = ig_testing_encoder(
            &arena, (uint32_t)ig_network_tensor_count(&network->tensors[network->inputs[0]]), &rng);
        if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
        compact->encoder = encoder;
        if (ig_edge_write_network(&file, compact, &err) != IG_OK ||
            ig_edge_load(&read, ig_buf_view(&file), &err) != IG_OK)
            fail_msg("%s", err.message);
        ig_network_compact_free(compact);
        assert_int_equal(read->features_count, encoder->features_count);
        assert_same(read->encoder, encoder);
        if (ig_network_compact_new(&compact, read->network, &err) != IG_OK)
            fail_msg("%s", err.message);
        compact->encoder = read->encoder;
        if (ig_edge_write_network(&again, compact, &err) != IG_OK) fail_msg("%s", err.message);
        assert_true(ig_str_eq(ig_buf_view(&file), ig_buf_view(&again)));
        ig_network_compact_free(compact);
        ig_model_free(read);
        ig_buf_deinit(&file);
        ig_buf_deinit(&again);
        ig_arena_deinit(&arena);
        ig_network_free(network);
    }
}

/* A row lies apart from what is made of it, and takes more memory only where there is none. */
static void test_place_of_the_row(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    struct ig_encoder encoder = {.features_count = 3};
    uint64_t seed = 1;
    struct ig_network *network = ig_testing_encoded_network(&seed);
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
    compact->encoder = &encoder;
    struct ig_compact_tensor *input = &compact->tensors[compact->inputs[0]];
    uint32_t bytes = (uint32_t)ig_network_tensor_bytes(input->tensor);
    compact->arena_bytes = 4096;
    input->offset = 12;
    struct ig_edge_row row = ig_edge_row_of(compact);
    assert_true(row.at == 0 && row.arena_bytes == 4096);
    input->offset = 8;
    row = ig_edge_row_of(compact);
    assert_true(row.at >= 8 + bytes && row.at < 8 + bytes + 4 && row.at % 4 == 0);
    assert_int_equal(row.arena_bytes, 4096);
    compact->arena_bytes = 8 + bytes;
    assert_int_equal(ig_edge_row_of(compact).arena_bytes, row.at + 12);
    ig_network_compact_free(compact);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_round_trip),
                                       cmocka_unit_test(test_place_of_the_row)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
