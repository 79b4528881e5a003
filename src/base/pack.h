/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_PACK_H
#define IG_BASE_PACK_H

/* Values as bytes for another process of this program, or for a later time of this one: in the
 * machine's own order and sizes, every part padded to eight bytes. The reader believes nothing: a
 * part that the bytes do not hold is empty, and so is all behind it. */

#include "base/str.h"

void ig_pack_u64(struct ig_buf *out, uint64_t value);
void ig_pack_f64(struct ig_buf *out, double value);
void ig_pack_text(struct ig_buf *out, struct ig_str text); /* its length before it */
void ig_pack_array(struct ig_buf *out, const void *items, size_t count, size_t each);

struct ig_unpack {
    const char *at; /* aligned to 8 */
    size_t left;
    bool failed;
};

uint64_t ig_unpack_u64(struct ig_unpack *in);
double ig_unpack_f64(struct ig_unpack *in);
/* Below: views of the bytes. */
struct ig_str ig_unpack_text(struct ig_unpack *in);
const void *ig_unpack_array(struct ig_unpack *in, size_t count, size_t each); /* NULL: failed */

#endif
