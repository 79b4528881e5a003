/* SPDX-License-Identifier: Apache-2.0 */
/* What CatBoost's answers are is in tests/golden/catboost, by golden_test; here: files that are cut
 * off or changed are refused or load as a checked model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/flat.h"
#include "formats/format.h"

#include <string.h>

static void read_file(struct ig_buf *buf, const char *path)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(buf, 1 << 20);
    if (ig_file_read(buf, IG_FILE_CWD, path, &err) != IG_OK) fail_msg("%s", err.message);
}

static enum ig_code load(struct ig_str bytes, struct ig_err *err)
{
    struct ig_model *model = NULL;
    *err = IG_ERR_INIT;
    enum ig_code code = ig_catboost_cbm_load(&model, bytes, err);
    assert_true((code == IG_OK) == (model != NULL));
    if (code != IG_OK) assert_true(err->message[0] != '\0');
    ig_model_free(model);
    return code;
}

static void test_cut_off(void **state)
{
    struct ig_buf buf;
    struct ig_err err;
    (void)state;
    read_file(&buf, "tests/corpus/catboost_cbm/ctr_multiclass.cbm");
    assert_int_equal(load(ig_buf_view(&buf), &err), IG_OK);
    for (size_t length = 0; length < buf.len; length += length < 64 ? 1 : 61) {
        if (load((struct ig_str){buf.ptr, length}, &err) == IG_OK) fail_msg("%zu bytes", length);
    }
    ig_buf_deinit(&buf);
}

static void test_changed_bytes(void **state)
{
    struct ig_buf buf;
    struct ig_err err;
    size_t refused = 0;
    (void)state;
    read_file(&buf, "tests/corpus/catboost_cbm/depthwise_multiclass.cbm");
    for (size_t at = 8; at < buf.len; at += 7) {
        char before = buf.ptr[at];
        buf.ptr[at] = (char)~before;
        refused += load(ig_buf_view(&buf), &err) != IG_OK;
        buf.ptr[at] = before;
    }
    assert_true(refused > 20);
    ig_buf_deinit(&buf);
}

static void expect(struct ig_buf *buf, const char *text, const char *instead, const char *message)
{
    struct ig_err err;
    char *at = memmem(buf->ptr, buf->len, text, strlen(text));
    assert_non_null(at);
    memcpy(at, instead, strlen(instead));
    if (load(ig_buf_view(buf), &err) == IG_OK || !strstr(err.message, message))
        fail_msg("%s: '%s'", instead, err.message);
    memcpy(at, text, strlen(text));
}

static void test_refuses_by_name(void **state)
{
    struct ig_buf buf;
    struct ig_err err;
    (void)state;
    read_file(&buf, "tests/corpus/catboost_cbm/ctr_depthwise.cbm");
    expect(&buf, "FlabuffersModel_v1", "FlabuffersModel_v2", "FormatVersion: 'FlabuffersModel_v2'");
    expect(&buf, "static_provider_v1", "static_provider_v9", "ModelPartIds: 'static_provider_v9'");
    expect(&buf, "\"loss_function\":{\"type\":\"Logloss", "\"loss_function\":{\"type\":\"Lagloss",
           "loss_function: 'Lagloss' is not supported");
    assert_int_equal(load(ig_buf_view(&buf), &err), IG_OK);
    assert_int_equal(load(IG_STR("CBM1\0\0\0\0"), &err), IG_INVALID);
    ig_buf_deinit(&buf);
}

/* What CatBoost 1.2.10 saves with such features; the error says what to do instead. */
static void test_refuses_texts_and_embeddings(void **state)
{
    static const char *const CASES[][2] = {
        {"tests/corpus/catboost_cbm/text.cbm", "the text feature 'review' is turned into numbers"},
        {"tests/corpus/catboost_cbm/embedding.cbm", "the embedding feature 'vector' is turned"}};
    struct ig_buf buf;
    struct ig_err err;
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        read_file(&buf, CASES[i][0]);
        assert_int_equal(load(ig_buf_view(&buf), &err), IG_UNSUPPORTED);
        assert_non_null(strstr(err.message, CASES[i][1]));
        assert_non_null(strstr(err.message, "columns of numbers before training"));
        ig_buf_deinit(&buf);
    }
}

/* A field's vector of the trees' table, in the file's bytes. */
static struct ig_flat_vector trees_vector(struct ig_buf *buf, unsigned field, size_t item_bytes)
{
    enum { CORE_AT = 8, TREES = 1 };
    struct ig_flat flat;
    struct ig_flat_table core =
        ig_flat_root(&flat, (struct ig_str){buf->ptr + CORE_AT, buf->len - CORE_AT});
    struct ig_flat_table trees = ig_flat_table(&core, TREES);
    struct ig_flat_vector vector = ig_flat_vector(&trees, field, item_bytes);
    assert_true(vector.count > 0);
    vector.at += CORE_AT;
    vector.flat = NULL;
    return vector;
}

/* One row of values, which every leaf takes: a small file would fill any memory. */
static void test_leaves_share_values(void **state)
{
    enum { OUTPUTS = 3, VALUES = 8, WEIGHTS = 9, LEAF_IDS = 11 };
    const uint32_t none = 0, row = OUTPUTS;
    struct ig_buf buf;
    struct ig_err err;
    (void)state;
    read_file(&buf, "tests/corpus/catboost_cbm/depthwise_multiclass.cbm");
    struct ig_flat_vector ids = trees_vector(&buf, LEAF_IDS, 4);
    struct ig_flat_vector values = trees_vector(&buf, VALUES, 8);
    struct ig_flat_vector weights = trees_vector(&buf, WEIGHTS, 8);
    memset(buf.ptr + ids.at, 0, ids.count * 4);
    memcpy(buf.ptr + values.at - 4, &row, 4);
    memcpy(buf.ptr + weights.at - 4, &none, 4);
    assert_int_equal(load(ig_buf_view(&buf), &err), IG_INVALID);
    if (!strstr(err.message, "more leaves than LeafValues has rows (1)"))
        fail_msg("%s", err.message);
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_changed_bytes),
        cmocka_unit_test(test_refuses_by_name),
        cmocka_unit_test(test_refuses_texts_and_embeddings),
        cmocka_unit_test(test_leaves_share_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
