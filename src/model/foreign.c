/* SPDX-License-Identifier: Apache-2.0 */
/* The mark of failed rows: a quiet NaN with a payload of its own, which sums and means hand on.
 * Thread rule: pure. */
#include "model/foreign.h"

#include <string.h>

/* The last byte tells the member of an ensemble; NOBODY: a model that stands alone. */
static const uint64_t FAILED_BITS = 0x7ff8494e474f5400U, MEMBER_BITS = 0xff, NOBODY = 0xff;

static void mark(double *values, size_t count, uint64_t member)
{
    uint64_t bits = FAILED_BITS | member;
    for (size_t i = 0; i < count; i++) memcpy(&values[i], &bits, sizeof *values);
}

void ig_foreign_mark(double *values, size_t count)
{
    mark(values, count, NOBODY);
}

void ig_foreign_mark_member(double *values, size_t count, size_t member)
{
    mark(values, count, member < NOBODY ? member : NOBODY);
}

/* The bits of the first that is marked; 0: none is. */
static uint64_t find(const double *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bits &= INT64_MAX; /* a product may have turned its sign */
        if ((bits & ~MEMBER_BITS) == FAILED_BITS) return bits;
    }
    return 0;
}

bool ig_foreign_marked(const double *values, size_t count)
{
    return find(values, count) != 0;
}

int32_t ig_foreign_marked_member(const double *values, size_t count)
{
    uint64_t bits = find(values, count), member = bits & MEMBER_BITS;
    return bits && member != NOBODY ? (int32_t)member : -1;
}
