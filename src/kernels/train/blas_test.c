/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/blas.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void products_of_all_kinds(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_blas_load(&err), IG_OK);
    assert_int_equal(ig_blas_load(&err), IG_OK);
    const float a[] = {1, 2, 3, 4, 5, 6};                   /* 2 x 3, or its transpose 3 x 2 */
    const float b[] = {1, 0, 2, 1, 3, 1, 0, 2, 1, 1, 1, 4}; /* 3 x 4 */
    const float expected[2][4] = {{10, 5, 5, 17}, {25, 11, 14, 38}};
    float out[8] = {100, 100, 100, 100, 100, 100, 100, 100}, turned[6], b_turned[12];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 2; k++) turned[i * 2 + k] = a[k * 3 + i];
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 4; k++) b_turned[k * 3 + i] = b[i * 4 + k];
    for (int way = 0; way < 4; way++)
        for (int keep = 0; keep < 2; keep++) {
            for (int i = 0; i < 8; i++) out[i] = 100;
            ig_blas_multiply(
                &(struct ig_blas_product){out,
                                          2,
                                          4,
                                          3,
                                          {way & 1 ? turned : a, way & 1 ? 2 : 3, way & 1},
                                          {way & 2 ? b_turned : b, way & 2 ? 3 : 4, way & 2},
                                          (float)keep});
            for (int i = 0; i < 8; i++)
                assert_float_equal(out[i], expected[i / 4][i % 4] + (float)(100 * keep), 0);
        }
}

/* In a child, since a loaded library stays; under a limit, training would hang in the library. */
static void no_room_is_an_error(void **state)
{
    (void)state;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ig_err err = IG_ERR_INIT;
        unsigned long kilobytes = 0;
        char line[256];
        FILE *status = fopen("/proc/self/status", "r");
        while (status && fgets(line, sizeof line, status))
            if (sscanf(line, "VmData: %lu", &kilobytes) == 1) break;
        struct rlimit limit = {(kilobytes << 10) + ((rlim_t)64 << 20), RLIM_INFINITY};
        alarm(20);
        bool good = kilobytes && setrlimit(RLIMIT_DATA, &limit) == 0 &&
                    ig_blas_load(&err) == IG_NO_MEMORY && strstr(err.message, "MB of memory");
        _exit(good ? 0 : 1);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(no_room_is_an_error),
                                       cmocka_unit_test(products_of_all_kinds)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
