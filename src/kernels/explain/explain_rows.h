/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_EXPLAIN_ROWS_H
#define IG_KERNELS_EXPLAIN_EXPLAIN_ROWS_H

/* Explanations row by row: one row of many, a row as bytes to keep, and rows put together again.
 * The bytes are for this program's processes only: they hold its own types. */

#include "kernels/explain/explain.h"

/* A view of one row; valid as long as `many`. */
struct ig_explanations ig_explanations_row(const struct ig_explanations *many, size_t row,
                                           const struct ig_model *model);
/* Appends a row's bytes; a failure shows in out->overflowed. */
void ig_explanations_pack(struct ig_buf *out, const struct ig_explanations *one,
                          const struct ig_model *model);
/* The row from its bytes, which must outlive it and be aligned to 8. False: they are no row of such
 * a model, or the arena is full. */
bool ig_explanations_unpack(struct ig_explanations *out, struct ig_str bytes,
                            const struct ig_model *model, struct ig_arena *arena);
/* Whether they have one form and one shape, and the same values. */
bool ig_explanations_alike(const struct ig_explanations *a, const struct ig_explanations *b);
/* Rows of one method and model in order, all alike. False: the arena is full. */
bool ig_explanations_join(struct ig_explanations *out, const struct ig_explanations *rows,
                          size_t count, const struct ig_model *model, struct ig_arena *arena);

#endif
