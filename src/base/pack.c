/* SPDX-License-Identifier: Apache-2.0 */
/* Values as bytes, and a reader that keeps within them. */
#include "base/pack.h"

#include "base/mem.h"

#include <string.h>

void ig_pack_array(struct ig_buf *out, const void *items, size_t count, size_t each)
{
    static const char PADDING[8] = {0};
    size_t bytes = count * each; /* they lie in memory, so it does not overflow */
    if (bytes) ig_buf_add(out, items, bytes);
    if (bytes % 8) ig_buf_add(out, PADDING, 8 - bytes % 8);
}

void ig_pack_u64(struct ig_buf *out, uint64_t value)
{
    ig_pack_array(out, &value, 1, sizeof value);
}

void ig_pack_f64(struct ig_buf *out, double value)
{
    ig_pack_array(out, &value, 1, sizeof value);
}

void ig_pack_text(struct ig_buf *out, struct ig_str text)
{
    ig_pack_u64(out, text.len);
    ig_pack_array(out, text.ptr, text.len, 1);
}

const void *ig_unpack_array(struct ig_unpack *in, size_t count, size_t each)
{
    size_t bytes, padded;
    bool holds = !in->failed && ig_mul(&bytes, count, each) && ig_add(&padded, bytes, 7) &&
                 padded / 8 * 8 <= in->left;
    if (!holds) {
        in->failed = true;
        return NULL;
    }
    const void *here = in->at;
    in->at += padded / 8 * 8;
    in->left -= padded / 8 * 8;
    return here;
}

uint64_t ig_unpack_u64(struct ig_unpack *in)
{
    const uint64_t *value = ig_unpack_array(in, 1, sizeof *value);
    return value ? *value : 0;
}

double ig_unpack_f64(struct ig_unpack *in)
{
    const double *value = ig_unpack_array(in, 1, sizeof *value);
    return value ? *value : 0;
}

struct ig_str ig_unpack_text(struct ig_unpack *in)
{
    size_t length = ig_unpack_u64(in);
    const char *text = ig_unpack_array(in, length, 1);
    return text ? (struct ig_str){text, length} : IG_STR("");
}
