/* SPDX-License-Identifier: Apache-2.0 */
/* A network that takes a table's rows: the encoder beside it in the package, and its agreement with
 * the network and the schema. Thread rule: pure. */
#include "formats/package_priv.h"
#include "kernels/train/encoder.h"

static enum ig_code check_feature(const struct ig_encoder_feature *encoded,
                                  const struct ig_feature *feature, struct ig_err *err)
{
    bool categorical = feature->type == IG_FEATURE_CATEGORICAL;
    if (feature->hashed)
        return ig_fail(err, IG_INVALID, "feature '%.*s': an encoder takes no hashes",
                       IG_STR_ARGS(feature->name));
    if (categorical != (encoded->categories > 0))
        return ig_fail(err, IG_INVALID, "feature '%.*s': %s in the schema, %s for the encoder",
                       IG_STR_ARGS(feature->name), ig_feature_type_name(feature->type),
                       encoded->categories ? "categorical" : "numeric");
    if (feature->categories_count && feature->categories_count != encoded->categories)
        return ig_fail(err, IG_INVALID, "feature '%.*s': %u categories, %u for the encoder",
                       IG_STR_ARGS(feature->name), feature->categories_count, encoded->categories);
    return IG_OK;
}

enum ig_code pkg_encoder_attach(struct ig_model *model, const struct ig_schema *schema,
                                struct ig_str json, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_encoder *encoder = ig_arena_alloc(arena, sizeof *encoder);
    if (!encoder) return ig_fail(err, IG_NO_MEMORY, "encoder: out of memory");
    if (model->kind != IG_MODEL_NETWORK)
        return ig_fail(err, IG_INVALID, "encoder: the model is no network, which alone takes one");
    if (model->encoder)
        return ig_fail(err, IG_INVALID, "encoder: the model's file has one of its own");
    if (ig_encoder_read(encoder, arena, json, err) != IG_OK) goto refused;
    if (encoder->features_count != schema->features_count) {
        ig_fail(err, IG_INVALID, "%u features, %u in the schema", encoder->features_count,
                schema->features_count);
        goto refused;
    }
    if (encoder->inputs_count != model->features_count) {
        ig_fail(err, IG_INVALID, "it gives %u inputs, the network takes %u", encoder->inputs_count,
                model->features_count);
        goto refused;
    }
    for (uint32_t i = 0; i < schema->features_count; i++)
        if (check_feature(&encoder->features[i], &schema->features[i], err) != IG_OK) goto refused;
    model->encoder = encoder;
    model->features_count = encoder->features_count;
    model->inputs = NULL; /* what the file says is of the network's own */
    return IG_OK;
refused:
    ig_err_prefix(err, "encoder");
    return err->code;
}
