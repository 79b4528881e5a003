/* SPDX-License-Identifier: Apache-2.0 */
/* A network read back from its compact file computes the same, and what is not whole is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_priv.h"
#include "formats/format.h"
#include "kernels/nn/nn.h"
#include "kernels/quantize/network_testing.h"

#include <string.h>

static void write_file(struct ig_buf *buf, const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network_compact *compact;
    ig_buf_init(buf, 1 << 22);
    if (ig_network_compact_new(&compact, network, &err) != IG_OK ||
        ig_edge_write_network(buf, compact, &err) != IG_OK)
        fail_msg("%s", err.message);
    ig_network_compact_free(compact);
}

static double *run(const struct ig_network *network, const double *row)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    struct ig_predictor predictor = ig_nn_predictor(nn);
    double *values = ig_zalloc_array(predictor.values_count, sizeof *values);
    void *scratch = ig_alloc_aligned(64, predictor.scratch_bytes(&predictor, 1));
    predictor.run(&predictor, row, 1, values, scratch);
    ig_free(scratch);
    ig_nn_free(nn);
    return values;
}

static void test_the_same_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model;
        struct ig_buf file, again;
        struct ig_network *network = ig_testing_network(seed);
        network->rounding = (enum ig_network_rounding)(seed % 2);
        write_file(&file, network);
        if (ig_format_load(&model, ig_buf_view(&file), NULL, &err) != IG_OK)
            fail_msg("seed %d: %s", (int)seed, err.message);
        assert_int_equal(model->kind, IG_MODEL_NETWORK);
        assert_int_equal(model->network->rounding, network->rounding);
        double *row = ig_zalloc_array(model->features_count, sizeof *row);
        for (uint32_t f = 0; f < model->features_count; f++)
            row[f] = (double)((int32_t)(f * 37 % 101) - 50) / 10;
        double *expected = run(network, row), *computed = run(model->network, row);
        assert_memory_equal(expected, computed, model->outputs_count * sizeof *expected);
        write_file(&again, model->network);
        assert_int_equal(again.len, file.len);
        assert_memory_equal(again.ptr, file.ptr, file.len);
        ig_free(row);
        ig_free(expected);
        ig_free(computed);
        ig_buf_deinit(&file);
        ig_buf_deinit(&again);
        ig_model_free(model);
        ig_network_free(network);
    }
}

static void seal(struct ig_buf *buf)
{
    uint32_t crc = ig_edge_crc(buf->ptr, buf->len);
    for (uint32_t i = 0; i < 4; i++) buf->ptr[IG_EDGE_CRC_AT + i] = (char)(crc >> (8 * i));
}

/* A change of any byte is refused, or makes another file that is as good. */
static void test_changed_bytes(void **state)
{
    (void)state;
    unsigned refused = 0, taken = 0;
    struct ig_buf file, again;
    struct ig_network *network = ig_testing_network(3);
    write_file(&file, network);
    size_t section = IG_EDGE_HEADER_BYTES + IG_EDGE_SECTION_BYTES;
    for (size_t at = section; at<file.len; at += at> 300 ? 29 : 1) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        char before = file.ptr[at];
        file.ptr[at] = (char)(before ^ (at % 2 ? 1 : 0x40));
        seal(&file);
        if (ig_edge_load(&model, ig_buf_view(&file), &err) == IG_OK) {
            write_file(&again, model->network);
            assert_int_equal(again.len, file.len);
            ig_buf_deinit(&again);
            ig_model_free(model);
            taken++;
        } else {
            assert_true(err.message[0]);
            refused++;
        }
        file.ptr[at] = before;
    }
    assert_true(refused > 50 && taken > 5);
    ig_buf_deinit(&file);
    ig_network_free(network);
}

static void expect(struct ig_buf *file, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    seal(file);
    assert_int_equal(ig_edge_load(&model, ig_buf_view(file), &err), IG_CORRUPT);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

static void test_messages(void **state)
{
    (void)state;
    struct ig_buf file;
    struct ig_network *network = ig_testing_network(3);
    write_file(&file, network);
    char *section = file.ptr + IG_EDGE_HEADER_BYTES + IG_EDGE_SECTION_BYTES;
    section[9] ^= 0x40; /* a larger arena is no harm, but is not what else is there */
    struct ig_model *model = NULL;
    struct ig_err err = IG_ERR_INIT;
    seal(&file);
    if (ig_edge_load(&model, ig_buf_view(&file), &err) != IG_OK) fail_msg("%s", err.message);
    ig_model_free(model);
    section[9] ^= 0x40;
    section[23] = 1;
    expect(&file, "byte 23 of the network's section is not what its other bytes make of it");
    section[23] = 0;
    section[1] = 100;
    expect(&file, "tensors is ");
    section[1] = 0;
    section[15] = 100;
    expect(&file, "bytes of constants is ");
    section[15] = 0;
    section[28] = 5; /* the first tensor: behind one input and one output */
    expect(&file, "a tensor's type is 5, expected 0 or 1");
    ig_buf_deinit(&file);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_same_again),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
