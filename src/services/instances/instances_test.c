/* SPDX-License-Identifier: Apache-2.0 */
#include "services/instances/instances.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_each_is_found(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_instance *found = NULL;
    assert_true(ig_instances_count() > 1);
    for (size_t i = 0; i < ig_instances_count(); i++) {
        const struct ig_instance *own = ig_instance_at(i);
        assert_int_equal(ig_instance_find(&found, ig_str_view(own->name), "instance", &err), IG_OK);
        assert_ptr_equal(found, own);
        /* as deployments take them */
        assert_true(own->cpu_thousandths >= 10 && own->memory_mb >= 32 && own->doc[0]);
        if (i) assert_true(own->cpu_thousandths > ig_instance_at(i - 1)->cpu_thousandths);
    }
    assert_int_equal(ig_instance_find(&found, IG_STR("huge"), "graph.instance", &err), IG_INVALID);
    assert_string_equal(err.message, "graph.instance: there is no instance type 'huge'; known are "
                                     "nano, small, medium, large, xlarge");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_is_found)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
