/* SPDX-License-Identifier: Apache-2.0 */
/* The mark of failed rows: a quiet NaN with a payload of its own, which sums and means hand on.
 * Thread rule: pure. */
#include "model/foreign.h"

#include <string.h>

static const uint64_t FAILED_BITS = 0x7ff8494e474f5401U;

void ig_foreign_mark(double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) memcpy(&values[i], &FAILED_BITS, sizeof *values);
}

bool ig_foreign_marked(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        if ((bits & INT64_MAX) == FAILED_BITS) return true; /* a product may have turned its sign */
    }
    return false;
}
