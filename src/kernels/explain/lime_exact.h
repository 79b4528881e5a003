/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_LIME_EXACT_H
#define IG_KERNELS_EXPLAIN_LIME_EXACT_H

/* What LIME's surrogate of a tree ensemble's margin comes to with infinitely many samples, without
 * drawing any: no variance.
 *
 * LIME draws features independently, and its weight is a product over flipped features. So under
 * the weighted distribution the z are independent with P(z_j = 1) = q_j, the least squares fall
 * apart by feature, and with f the margin
 *
 *     coefficient_j = Cov(f, z_j) / (q_j (1 - q_j) + alpha / W)
 *
 * where W is the weight of `samples` samples, which gives alpha the meaning that it has on them.
 * Leaves are boxes: Cov(f, z_j) is a sum over leaves of products of one-dimensional masses. */

#include "kernels/explain/lime.h"
#include "model/model.h"

struct ig_lime_exact;

/* Borrows model and space, which have the same features. UNSUPPORTED: linear leaves. INVALID: not a
 * tree ensemble, or a feature that is split by categories is none in the space. TOO_LARGE: above
 * memory_max_bytes (0: 512 MiB). */
enum ig_code ig_lime_exact_new(struct ig_lime_exact **out, const struct ig_model *model,
                               const struct ig_lime_space *space, size_t memory_max_bytes,
                               struct ig_err *err);
void ig_lime_exact_free(struct ig_lime_exact *exact); /* NULL is allowed */
size_t ig_lime_exact_memory_bytes(const struct ig_lime_exact *exact);
struct ig_lime_exact_input {
    const double *row;
    double margin; /* the model's for the row and output */
};

/* As ig_lime_run: options->value is the output, options->samples only scales the ridge. se is 0,
 * stability 1, r2 NaN: it would need the margin's variance, which is no sum over leaves. */
enum ig_code ig_lime_exact_run(struct ig_lime_result *out, const struct ig_lime_exact *exact,
                               const struct ig_lime_exact_input *input,
                               const struct ig_lime_options *options, struct ig_arena *arena,
                               struct ig_err *err);

#endif
