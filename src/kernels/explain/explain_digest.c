/* SPDX-License-Identifier: Apache-2.0 */
/* The digest of a row's explanation: numbers as their eight bytes, little-endian. */
#include "kernels/explain/explain.h"

static void add_doubles(struct ig_sha256 *hash, const double *values, size_t count)
{
    if (values && count) ig_sha256_update(hash, values, count * sizeof *values);
}

static void add_count(struct ig_sha256 *hash, uint64_t count)
{
    ig_sha256_update(hash, &count, sizeof count);
}

static void add_surrogate(struct ig_sha256 *hash, const struct ig_lime_result *own)
{
    const double numbers[] = {own->intercept, own->r2, own->local_prediction, own->prediction,
                              own->stability};
    add_count(hash, own->count);
    for (uint32_t i = 0; i < own->count; i++) add_count(hash, own->features[i]);
    add_doubles(hash, own->coefficients, own->count);
    add_doubles(hash, own->se, own->count);
    add_doubles(hash, numbers, sizeof numbers / sizeof *numbers);
}

static void add_counterfactuals(struct ig_sha256 *hash, const struct ig_counterfactual_result *own,
                                uint32_t features)
{
    add_count(hash, own->is_there_already + 2U * own->none);
    add_count(hash, own->count);
    for (uint32_t i = 0; i < own->count; i++) {
        add_doubles(hash, own->items[i].row, features);
        add_doubles(hash, &own->items[i].distance, 1);
    }
}

bool ig_explanations_digest(unsigned char digest[IG_SHA256_BYTES],
                            const struct ig_explanations *explanations, size_t row,
                            const struct ig_model *model)
{
    size_t stride = explanations->players_count + (size_t)1;
    size_t each = explanations->values_count * stride, outputs = model->outputs_count;
    struct ig_sha256 *hash = ig_sha256_new();
    if (!hash) return false;
    add_doubles(hash, explanations->margins + row * outputs, outputs);
    if (explanations->contributions)
        add_doubles(hash, explanations->contributions + row * each, each);
    if (explanations->interactions)
        add_doubles(hash, explanations->interactions + row * each * stride, each * stride);
    if (explanations->se) add_doubles(hash, explanations->se + row * each, each);
    if (explanations->surrogates) add_surrogate(hash, &explanations->surrogates[row]);
    if (explanations->counterfactuals)
        add_counterfactuals(hash, &explanations->counterfactuals[row], model->features_count);
    ig_sha256_final(hash, digest);
    ig_sha256_free(hash);
    return true;
}
