/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/owners.h"
#include "services/tracking/tracking.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static void test_owners(void **state)
{
    (void)state;
    struct ig_temp temp = ig_temp_make();
    struct ig_db *db = NULL;
    struct ig_tracking *tracking = NULL;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tracking_run run;
    int64_t made = 0, found = -1;
    const struct ig_db_options options = ig_db_testing_options(temp.fd);
    const struct ig_tracking_experiment_spec spec = {.name = IG_STR("named")};
    ig_arena_init(&arena, 4096, 1 << 20);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    ASSERT_OK(ig_tracking_open(&tracking, db, &err));
    ASSERT_OK(ig_tracking_experiment_create(&made, tracking, &IG_PRINCIPAL_LOCAL, &spec, &err));
    const struct ig_tracking_run_spec of = {.experiment = made};
    ASSERT_OK(ig_tracking_run_create(&run, tracking, &of, &arena, &err));
    ASSERT_OK(ig_tracking_owner(&found, db, IG_TRACKING_OWNED_RUN, run.id, &err));
    assert_int_equal(found, made);
    found = -1;
    ASSERT_OK(ig_tracking_owner_named(&found, db, IG_STR("named"), &err));
    assert_int_equal(found, made);
    static const char *const words[] = {[IG_TRACKING_OWNED_RUN] = "Run with id=x not found",
                                        [IG_TRACKING_OWNED_MODEL] =
                                            "Logged model with ID 'x' not found.",
                                        [IG_TRACKING_OWNED_TRACE] = "Trace with ID 'x' not found."};
    for (int kind = IG_TRACKING_OWNED_RUN; kind <= IG_TRACKING_OWNED_TRACE; kind++) {
        assert_int_equal(
            ig_tracking_owner(&found, db, (enum ig_tracking_owned)kind, IG_STR("x"), &err),
            IG_NOT_FOUND);
        assert_string_equal(err.message, words[kind]);
        ig_err_clear(&err);
    }
    assert_int_equal(ig_tracking_owner_named(&found, db, IG_STR("none"), &err), IG_NOT_FOUND);
    assert_int_equal(found, made);
    ig_tracking_close(tracking);
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_owners)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
