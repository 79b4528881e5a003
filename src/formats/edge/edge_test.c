/* SPDX-License-Identifier: Apache-2.0 */
/* A compact file read back answers as the model it was made of: random trees with every kind of
 * split and leaf, rows on thresholds and at the edges of the type, and the shared models. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/edge/edge_priv.h"
#include "formats/edge/edge_testing.h"
#include "kernels/tree/tree_predict_walk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 60 };

static bool is_deep(const struct ig_node *nodes, int32_t at, int splits)
{
    if (nodes[at].op == IG_NODE_LEAF) return splits == 0;
    return splits == 0 || (is_deep(nodes, nodes[at].left, splits - 1) &&
                           is_deep(nodes, nodes[at].right, splits - 1));
}

/* Where the file has the model's trees: of integer leaves deep ones come first. */
static void find_places(uint32_t *places, const struct ig_model *model, bool integers)
{
    uint32_t place = 0;
    for (int pass = 0; pass < 2; pass++)
        for (uint32_t t = 0; t < model->trees_count; t++) {
            bool deep = is_deep(model->nodes + model->trees[t].first_node, 0, 3);
            if ((integers ? !deep : 0) == pass) places[t] = place++;
        }
}

/* The two models' trees take the same way, split by split. */
static void compare_ways(const struct ig_model *model, const struct ig_model *read,
                         const uint32_t *places, const double *row, const double *given)
{
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_node *nodes = model->nodes + model->trees[t].first_node;
        const struct ig_node *others = read->nodes + read->trees[places ? places[t] : t].first_node;
        int32_t at = 0, other = 0;
        while (nodes[at].op != IG_NODE_LEAF && others[other].op != IG_NODE_LEAF) {
            const struct ig_node *a = &nodes[at], *b = &others[other];
            assert_int_equal(a->feature, b->feature);
            bool left = ig_tree_goes_left(model, a, row[a->feature]);
            if (left != ig_tree_goes_left(read, b, given[b->feature]))
                fail_msg("tree %u, node %d: %.17g against %.17g (op %d, missing %d, flags %d) is "
                         "not %.17g against %.17g (%d, %d, %d)",
                         t, at, row[a->feature], a->value, a->op, a->missing, a->flags,
                         given[b->feature], b->value, b->op, b->missing, b->flags);
            at = left ? a->left : a->right;
            other = left ? b->left : b->right;
        }
        assert_int_equal(nodes[at].op, others[other].op);
    }
}

static bool close_enough(double expected, double computed, double bound)
{
    if (bound == 0) return expected == computed;
    return fabs(expected - computed) <= bound * (1 + 1e-9) + 2e-5 * (1 + fabs(expected));
}

static void check_shape(const struct ig_testing_shape *shape, uint64_t seed,
                        enum ig_compact_want want)
{
    struct ig_model *model = ig_testing_model(shape, seed);
    assert_non_null(model);
    double bounds[8], margins[8], computed[8];
    struct ig_buf buf;
    struct ig_model *read = ig_edge_testing_file(&buf, model, want, bounds);
    ig_buf_deinit(&buf);
    uint32_t features = model->features_count;
    double *rows = ig_zalloc_array((size_t)ROWS * features, sizeof *rows);
    double *floats = ig_zalloc_array(features, sizeof *floats);
    uint32_t *places = ig_zalloc_array(model->trees_count, sizeof *places);
    find_places(places, model, want >= IG_COMPACT_WANT_INT16);
    ig_testing_rows(model, seed + 1, ROWS, rows);
    for (size_t i = 0; i < ROWS; i++) {
        const double *row = rows + i * features;
        for (uint32_t f = 0; f < features; f++) floats[f] = (double)(float)row[f];
        compare_ways(model, read, places, floats, floats);
        /* thresholds stand where doubles round to; categories and zeros are told before that */
        if (shape->set_percent == 0 && !shape->missing_kinds)
            compare_ways(read, read, NULL, row, floats);
        ig_tree_walk_margin(model, floats, margins);
        ig_tree_walk_margin(read, floats, computed);
        for (uint32_t o = 0; o < model->outputs_count; o++)
            if (!close_enough(margins[o], computed[o], bounds[o]))
                fail_msg("seed %d, want %d, row %zu: %.17g, expected %.17g within %g", (int)seed,
                         (int)want, i, computed[o], margins[o], bounds[o]);
    }
    ig_free(places);
    ig_free(rows);
    ig_free(floats);
    ig_model_free(model);
    ig_model_free(read);
}

static void test_random_trees(void **state)
{
    (void)state;
    for (size_t i = 0; i < IG_EDGE_SHAPES_COUNT; i++)
        for (int want = 0; want <= IG_COMPACT_WANT_INT8; want++)
            for (uint64_t seed = 1; seed <= 3; seed++)
                check_shape(&IG_EDGE_SHAPES[i], seed * 100 + i, (enum ig_compact_want)want);
}

/* ---- files that are broken ---- */

enum { SETS = 3, DECIMALS = 10, MIDDLES = 12 }; /* of the shapes */

static void write_small(struct ig_buf *buf, size_t shape)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    struct ig_model *model = ig_testing_model(&IG_EDGE_SHAPES[shape], 11);
    ig_buf_init(buf, 1 << 20);
    assert_int_equal(ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_INT16, &err), IG_OK);
    assert_int_equal(ig_edge_write(buf, compact, &err), IG_OK);
    ig_tree_compact_free(compact);
    ig_model_free(model);
}

static void seal(struct ig_buf *buf)
{
    uint32_t crc = ig_edge_crc(buf->ptr, buf->len);
    for (uint32_t i = 0; i < 4; i++) buf->ptr[IG_EDGE_CRC_AT + i] = (char)(crc >> (8 * i));
}

static void expect_refusal(struct ig_str bytes, enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    assert_int_equal(ig_edge_load(&model, bytes, &err), code);
    assert_null(model);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

static void test_broken_headers(void **state)
{
    (void)state;
    struct ig_buf buf;
    write_small(&buf, SETS);
    assert_true(ig_edge_probe(ig_buf_view(&buf)));
    expect_refusal(IG_STR("IGE\x1a"), IG_CORRUPT, "file size is 4, expected at least 16");
    expect_refusal((struct ig_str){buf.ptr, buf.len - 4}, IG_CORRUPT, "file size in the header");
    buf.ptr[buf.len - 9] ^= 1;
    expect_refusal(ig_buf_view(&buf), IG_CORRUPT, "CRC is ");
    buf.ptr[buf.len - 9] ^= 1;
    buf.ptr[4] = 2;
    expect_refusal(ig_buf_view(&buf), IG_UNSUPPORTED, "version 2 of the format, known is 1");
    buf.ptr[4] = 1;
    buf.ptr[16] = 'N';
    seal(&buf);
    expect_refusal(ig_buf_view(&buf), IG_UNSUPPORTED, "section 'NREE' is not known here");
    buf.ptr[16] = 'n'; /* one that may be passed over */
    seal(&buf);
    expect_refusal(ig_buf_view(&buf), IG_CORRUPT, "sections TREE or NNET is 0, expected one");
    ig_buf_deinit(&buf);
}

/* Every byte changed in turn: read, or refused with words; never more. */
static void check_changed_bytes(size_t shape)
{
    struct ig_buf buf;
    unsigned read = 0, refused = 0;
    write_small(&buf, shape);
    for (size_t i = 4; i < buf.len; i += i < 400 ? 1 : 13) {
        char before = buf.ptr[i];
        buf.ptr[i] = (char)(before ^ (i % 2 ? 0xff : 0x11));
        seal(&buf);
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        if (ig_edge_load(&model, ig_buf_view(&buf), &err) == IG_OK)
            read++;
        else
            refused += err.message[0] != 0;
        ig_model_free(model);
        buf.ptr[i] = before;
    }
    assert_true(read > 10 && refused > 100);
    ig_buf_deinit(&buf);
}

static void test_changed_bytes(void **state)
{
    (void)state;
    check_changed_bytes(SETS);
    check_changed_bytes(DECIMALS);
    check_changed_bytes(MIDDLES);
}

/* Of the first source, on a grid and with buckets: its record, and its keys behind three of them.
 */
static void test_broken_keys(void **state)
{
    (void)state;
    enum { SOURCE = 28 + 64 + 4, KEYS = SOURCE + 3 * 12 };
    static const struct {
        size_t at;
        uint8_t value;
        const char *message;
    } CASES[] = {
        {SOURCE + 9, 17 << 3 | 6, "bits of a bucket is 17, expected none, or at most 16"},
        {SOURCE + 9, 8 << 3 | 6, "bits of a bucket is 8, expected none, or at most 16 and those"},
        {SOURCE + 9, 6, "bits of a bucket is 0, expected none, or at most 16 and those"},
        {SOURCE + 9, 16 << 3 | 2, "bits of a bucket is 16, expected none"},
        {SOURCE + 3, 1, "thresholds in buckets is "},
        {SOURCE + 10, 32, "a threshold's shift is 32, expected 0 to 31"},
        {SOURCE + 11, 17, "a source's grid is 17, expected 0 to 16"},
        {SOURCE + 7, 0x7f, "a threshold's key is "},
        {KEYS, 0, "thresholds before a bucket is 0, expected ascending from 0 to all of them"},
        {KEYS + 1, 1, "thresholds before a bucket is 1, expected ascending from 0"},
        {KEYS + 3, 255, "thresholds before a bucket is 255, expected ascending from 0"},
    };
    struct ig_buf buf;
    write_small(&buf, DECIMALS);
    assert_true(buf.ptr[SOURCE + 9] >> 3 && buf.ptr[SOURCE + 11] == 4);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        char before = buf.ptr[CASES[i].at];
        buf.ptr[CASES[i].at] = (char)CASES[i].value;
        seal(&buf);
        expect_refusal(ig_buf_view(&buf), IG_CORRUPT, CASES[i].message);
        buf.ptr[CASES[i].at] = before;
    }
    uint8_t *low = (uint8_t *)buf.ptr + KEYS + (uint8_t)buf.ptr[KEYS] + 2;
    low[1] = 0xff;
    seal(&buf);
    expect_refusal(ig_buf_view(&buf), IG_CORRUPT, "expected one within its bucket");
    ig_buf_deinit(&buf);
}

static void test_memory_fails(void **state)
{
    (void)state;
    struct ig_buf buf;
    write_small(&buf, SETS);
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_edge_load(&model, ig_buf_view(&buf), &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_model_free(model);
        if (!failed) break;
        assert_int_equal(code, IG_NO_MEMORY);
    }
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_trees),  cmocka_unit_test(test_broken_headers),
        cmocka_unit_test(test_changed_bytes), cmocka_unit_test(test_broken_keys),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
