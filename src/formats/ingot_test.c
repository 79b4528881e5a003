/* SPDX-License-Identifier: Apache-2.0 */
/* The public library's own checks; what it computes is tested from outside in tests/embed. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <ingot/ingot.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/str.h"

#define MODEL "tests/golden/xgboost/binary_missing/model.json"

/* Every allocation of opening a model and making a workspace fails in turn: an error, no crash, no
 * leak, no half-made object. */
static void test_no_memory(void **state)
{
    (void)state;
    struct ig_buf bytes;
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(&bytes, 64 << 20);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, MODEL, &err), IG_OK);
    for (uint64_t n = 1;; n++) {
        struct ingot_model *model = NULL;
        struct ingot_workspace *work = NULL;
        struct ingot_error error = {0};
        ig_mem_fail_after(n);
        enum ingot_code code = ingot_model_open_bytes(&model, bytes.ptr, bytes.len, NULL, &error);
        if (code == INGOT_OK) work = ingot_workspace_new(model, 2);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        if (failed) assert_true(code == INGOT_NO_MEMORY ? !model : code == INGOT_OK);
        ingot_workspace_free(work);
        ingot_model_free(model);
        if (failed) continue;
        assert_int_equal(code, INGOT_OK);
        assert_non_null(work);
        break;
    }
    ig_buf_deinit(&bytes);
}

static void test_foreign_workspace(void **state)
{
    (void)state;
    struct ingot_model *a = NULL, *b = NULL;
    double row[64] = {0}, margin = 7;
    assert_int_equal(ingot_model_open_file(&a, MODEL, NULL, NULL), INGOT_OK);
    assert_int_equal(ingot_model_open_file(&b, MODEL, NULL, NULL), INGOT_OK);
    struct ingot_workspace *work = ingot_workspace_new(a, 1);
    assert_int_equal(ingot_margin(b, work, row, 1, &margin), INGOT_INVALID);
    assert_int_equal(ingot_margin(a, NULL, row, 1, &margin), INGOT_INVALID);
    assert_int_equal(ingot_margin(a, work, row, 2, &margin), INGOT_INVALID);
    assert_true(margin == 7);
    assert_int_equal(ingot_margin(a, work, row, 1, &margin), INGOT_OK);
    assert_true(margin != 7);
    ingot_workspace_free(work);
    ingot_model_free(a);
    ingot_model_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_foreign_workspace),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
