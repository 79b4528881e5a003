/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_GOLDEN_TESTING_H
#define IG_KERNELS_EXPLAIN_GOLDEN_TESTING_H

/* For tests only: the numbers of a golden case's file, row by row. */

#include "base/file.h"
#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>

/* How many; freed with ig_free. 0: there is no such file. */
static inline size_t ig_testing_numbers(double **out, const char *folder, const char *name)
{
    char path[256];
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    size_t count = 0;
    ig_buf_init(&text, 1 << 22);
    snprintf(path, sizeof path, "tests/golden/%s/%s.csv", folder, name);
    *out = NULL;
    if (ig_file_read(&text, IG_FILE_CWD, path, &err) == IG_OK) {
        ig_buf_add_char(&text, '\0');
        *out = ig_zalloc_array(text.len / 2 + 1, sizeof **out);
        char *end = NULL;
        for (char *at = text.ptr; *out; at = *end ? end + 1 : end) {
            double number = strtod(at, &end);
            if (end == at || text.overflowed) break;
            (*out)[count++] = number;
        }
    }
    ig_buf_deinit(&text);
    return count;
}

#endif
