/* SPDX-License-Identifier: Apache-2.0 */
/* The device's encoder against the server's, bit for bit: rows of every kind before random
 * networks. Each byte of a section that is changed is refused, or read by both alike. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/edge/edge_encoder_testing.h"
#include "formats/format.h"

#include "ingot_edge.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 1 << 22, OUTPUT_MAX = 1 << 16, NETWORKS = 25, ROWS = 20 };

/* The file of a network behind an encoder; gives where its arena ends. */
static uint32_t write_file(struct ig_buf *file, const struct ig_network *network,
                           const struct ig_encoder *encoder)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact = NULL;
    ig_buf_init(file, FILE_MAX);
    if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
    compact->encoder = encoder;
    if (ig_edge_write_network(file, compact, &err) != IG_OK) fail_msg("%s", err.message);
    uint32_t bytes = ig_edge_row_of(compact).arena_bytes;
    assert_true(bytes >= compact->arena_bytes &&
                bytes <= compact->arena_bytes + 4 * encoder->features_count + 4);
    ig_network_compact_free(compact);
    return bytes;
}

static void check_rows(const struct ige_model *model, const struct ig_network *network,
                       const struct ig_encoder *encoder, struct ig_rng *rng)
{
    static char expected[OUTPUT_MAX];
    struct ige_interpreter interpreter;
    size_t bytes = ige_arena_bytes(model);
    void *arena = ig_alloc_aligned(8, bytes); /* exactly, for the sanitizer to see the end */
    double *wide = ig_zalloc_array(encoder->features_count, sizeof *wide);
    assert_int_equal(ige_allocate_tensors(&interpreter, model, arena, bytes - 1),
                     IGE_ARENA_TOO_SMALL);
    assert_int_equal(ige_allocate_tensors(&interpreter, model, arena, bytes), IGE_OK);
    struct ige_tensor row = ige_input_at(&interpreter, 0);
    assert_int_equal(row.type, IGE_FLOAT32);
    assert_int_equal(row.count, encoder->features_count);
    assert_ptr_equal(row.data.f32, ige_input(&interpreter)->data.f32);
    assert_int_equal(ige_input_at(&interpreter, 1).count, 0);
    for (int i = 0; i < ROWS; i++) {
        for (uint32_t f = 0; f < encoder->features_count; f++)
            wide[f] = (double)(row.data.f32[f] = ig_testing_cell(&encoder->features[f], rng));
        ige_invoke(&interpreter);
        ig_testing_encoded_run(expected, network, encoder, wide);
        const struct ig_network_tensor *out = &network->tensors[network->outputs[0]];
        assert_memory_equal(ige_output(&interpreter)->data.i8, expected,
                            ig_network_tensor_bytes(out));
    }
    ig_free(wide);
    ig_free(arena);
}

static void test_rows(void **state)
{
    (void)state;
    struct ig_rng rng;
    uint64_t seed = 1;
    unsigned floats = 0, ranks = 0, gained = 0;
    ig_rng_seed(&rng, 1);
    for (int i = 0; i < NETWORKS; i++) {
        struct ig_arena arena;
        struct ig_buf file;
        struct ige_model model;
        struct ig_network *network = ig_testing_encoded_network(&seed);
        const struct ig_network_tensor *input = &network->tensors[network->inputs[0]];
        network->rounding = (enum ig_network_rounding)(i % 2);
        ig_arena_init(&arena, 65536, 1 << 24);
        struct ig_encoder *encoder =
            ig_testing_encoder(&arena, (uint32_t)ig_network_tensor_count(input), &rng);
        uint32_t bytes = write_file(&file, network, encoder);
        assert_int_equal(ige_load(&model, file.ptr, file.len), IGE_OK);
        assert_int_equal(ige_arena_bytes(&model), bytes);
        check_rows(&model, network, encoder, &rng);
        floats += input->type == IG_NETWORK_F32;
        ranks += encoder->features[0].knots_count > 0;
        gained += encoder->gains != NULL;
        ig_buf_deinit(&file);
        ig_arena_deinit(&arena);
        ig_network_free(network);
    }
    assert_true(floats > 1 && ranks > 1 && gained > 1 && gained < NETWORKS);
}

/* The size and the CRC are put right. */
static void seal(struct ig_buf *file)
{
    uint32_t crc = ig_edge_crc(file->ptr, file->len);
    for (int i = 0; i < 4; i++) file->ptr[IG_EDGE_CRC_AT + i] = (char)(crc >> (8 * i));
}

static void test_changed_bytes(void **state)
{
    (void)state;
    struct ig_rng rng;
    struct ig_arena arena;
    struct ig_buf file;
    uint64_t seed = 1;
    unsigned refused = 0, all = 0;
    ig_rng_seed(&rng, 3);
    ig_arena_init(&arena, 65536, 1 << 24);
    struct ig_network *network = ig_testing_encoded_network(&seed);
    struct ig_encoder *encoder = ig_testing_encoder(
        &arena, (uint32_t)ig_network_tensor_count(&network->tensors[network->inputs[0]]), &rng);
    write_file(&file, network, encoder);
    uint32_t from = (uint8_t)file.ptr[32] | (uint32_t)(uint8_t)file.ptr[33] << 8 |
                    (uint32_t)(uint8_t)file.ptr[34] << 16;
    assert_memory_equal(file.ptr + 28, IG_EDGE_ENCODER, 4);
    for (size_t at = from; at < file.len; at++) {
        static const uint8_t CHANGES[] = {1, 0x40, 0x80, 0xff};
        for (size_t c = 0; c < sizeof CHANGES; c++, all++) {
            struct ig_err err = IG_ERR_INIT;
            struct ige_model model;
            struct ig_model *read = NULL;
            char kept = file.ptr[at];
            file.ptr[at] = (char)(kept ^ CHANGES[c]);
            seal(&file);
            enum ige_status status = ige_load(&model, file.ptr, file.len);
            if (ig_edge_load(&read, ig_buf_view(&file), &err) == IG_OK)
                assert_int_equal(status, IGE_OK);
            refused += status != IGE_OK;
            if (at == from) assert_int_equal(status, IGE_UNSUPPORTED);
            ig_model_free(read);
            file.ptr[at] = kept;
        }
    }
    assert_true(refused > 40 && refused < all);
    ig_buf_deinit(&file);
    ig_arena_deinit(&arena);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows),
                                       cmocka_unit_test(test_changed_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
