/* SPDX-License-Identifier: Apache-2.0 */
/* The schema that a model file gives by itself, and the agreement of a manifest's schema with its
 * model.
 */
#include "formats/package_priv.h"

#include <string.h>

static struct ig_str numbered(struct ig_arena *arena, const char *prefix, uint32_t number)
{
    return ig_str_view(ig_arena_printf(arena, "%s%u", prefix, number));
}

static bool is_objective(const struct ig_model *model, const char *prefix)
{
    return ig_str_starts(model->objective, ig_str_view(prefix));
}

static enum ig_task task_of(const struct ig_model *model)
{
    if (is_objective(model, "rank") || is_objective(model, "lambdarank")) return IG_TASK_RANKING;
    if (model->transform == IG_TRANSFORM_SOFTMAX || model->transform == IG_TRANSFORM_ARGMAX ||
        is_objective(model, "multi"))
        return IG_TASK_MULTICLASS;
    if (model->outputs_count == 1 &&
        (is_objective(model, "binary") || model->transform == IG_TRANSFORM_HINGE))
        return IG_TASK_BINARY;
    return IG_TASK_REGRESSION;
}

static enum ig_feature_type type_of(enum ig_input_kind kind)
{
    if (kind == IG_INPUT_CATEGORICAL || kind == IG_INPUT_TEXT) return IG_FEATURE_CATEGORICAL;
    return kind == IG_INPUT_INTEGER ? IG_FEATURE_INTEGER : IG_FEATURE_NUMERIC;
}

static bool add_classes(struct ig_schema *schema, const struct ig_model *model, uint32_t count,
                        struct ig_arena *arena)
{
    schema->classes = ig_arena_array(arena, count, sizeof *schema->classes);
    for (uint32_t i = 0; schema->classes && i < count; i++)
        schema->classes[i] =
            model->classes ? ig_arena_dup(arena, model->classes[i]) : numbered(arena, "", i);
    schema->classes_count = count;
    return !arena->overflowed;
}

/* What the file knows of a feature's categories: their texts, else their hashes. */
static void add_categories(struct ig_feature *feature, const struct ig_input *input,
                           struct ig_arena *arena)
{
    uint32_t count = input->categories_count;
    feature->hash_coded = input->hash_coded;
    feature->hashed = input->hash_coded || (input->category_hashes && !input->categories);
    if (!count) return;
    feature->type = IG_FEATURE_CATEGORICAL;
    feature->categories = ig_arena_array(arena, count, sizeof *feature->categories);
    for (uint32_t code = 0; feature->categories && code < count; code++)
        feature->categories[code] = feature->hashed
                                        ? numbered(arena, "", input->category_hashes[code])
                                        : ig_arena_dup(arena, input->categories[code]);
    feature->categories_count = count;
}

/* A model that knows categories by hashes has codes of its own making, so a schema's list has to be
 * in their order. */
static enum ig_code check_hashes(struct ig_feature *feature, const struct ig_input *input,
                                 struct ig_err *err)
{
    if (feature->type != IG_FEATURE_CATEGORICAL)
        return ig_fail(err, IG_INVALID, "feature '%.*s': type %s, but the model has it categorical",
                       IG_STR_ARGS(feature->name), ig_feature_type_name(feature->type));
    if (!input->categories_count) feature->hashed = true; /* any text will do */
    feature->hash_coded = input->hash_coded;
    if (feature->categories_count != input->categories_count)
        return ig_fail(err, IG_INVALID, "feature '%.*s': %u categories, the model tells %u apart",
                       IG_STR_ARGS(feature->name), feature->categories_count,
                       input->categories_count);
    if (input->hash_coded) return IG_OK; /* and without categories */
    for (uint32_t code = 0; code < feature->categories_count; code++) {
        struct ig_str text = feature->categories[code];
        uint64_t hash = 0;
        if (!feature->hashed)
            hash = ig_category_hash(text);
        else if (!ig_str_to_u64(text, &hash))
            hash = UINT64_MAX;
        if (hash != input->category_hashes[code])
            return ig_fail(err, IG_INVALID,
                           "feature '%.*s': category %u is '%.*s', expected the one of hash %u",
                           IG_STR_ARGS(feature->name), code, IG_STR_ARGS(text),
                           input->category_hashes[code]);
    }
    return IG_OK;
}

static uint32_t classes_expected(const struct ig_schema *schema, const struct ig_model *model)
{
    if (schema->task == IG_TASK_BINARY) return 2;
    return schema->task == IG_TASK_MULTICLASS ? model->outputs_count : 0;
}

enum ig_code pkg_schema_from_model(struct ig_schema *schema, const struct ig_model *model,
                                   struct ig_arena *arena, struct ig_err *err)
{
    uint32_t count = model->features_count;
    schema->task = task_of(model);
    schema->features = ig_arena_array(arena, count, sizeof *schema->features);
    if (!schema->features) return ig_fail(err, IG_NO_MEMORY, "schema: out of memory");
    schema->features_count = count;
    for (uint32_t i = 0; i < count; i++) {
        struct ig_feature *feature = &schema->features[i];
        const struct ig_input *input = model->inputs ? &model->inputs[i] : NULL;
        feature->name =
            input && input->name.len ? ig_arena_dup(arena, input->name) : numbered(arena, "f", i);
        if (!input) continue;
        feature->type = type_of(input->kind);
        feature->required = input->required;
        add_categories(feature, input, arena);
    }
    uint32_t classes = classes_expected(schema, model);
    if (classes) add_classes(schema, model, classes, arena);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "schema: out of memory");
    return IG_OK;
}

enum ig_code pkg_schema_check(struct ig_schema *schema, const struct ig_model *model,
                              struct ig_arena *arena, struct ig_err *err)
{
    uint32_t classes = classes_expected(schema, model);
    if (schema->features_count != model->features_count)
        return ig_fail(err, IG_INVALID, "features: %u in the schema, %u in the model",
                       schema->features_count, model->features_count);
    if (schema->task == IG_TASK_BINARY && model->outputs_count != 1)
        return ig_fail(err, IG_INVALID, "task: binary, but the model has %u outputs",
                       model->outputs_count);
    if (schema->task == IG_TASK_MULTICLASS && model->outputs_count == 1)
        return ig_fail(err, IG_INVALID, "task: multiclass, but the model has one output");
    if (schema->classes_count && schema->classes_count != classes)
        return ig_fail(err, IG_INVALID, "classes: %u names, expected %u", schema->classes_count,
                       classes);
    for (uint32_t i = 0; model->inputs && i < schema->features_count; i++) {
        schema->features[i].required |= model->inputs[i].required;
        schema->has_required = schema->has_required || schema->features[i].required;
        if ((model->inputs[i].category_hashes || model->inputs[i].hash_coded) &&
            check_hashes(&schema->features[i], &model->inputs[i], err) != IG_OK)
            return err->code;
        bool takes_text = ig_feature_takes_text(&schema->features[i]);
        if (takes_text && i < schema->numbers_count) schema->numbers_count = i;
    }
    if (classes && !schema->classes_count && !add_classes(schema, model, classes, arena))
        return ig_fail(err, IG_NO_MEMORY, "schema: out of memory");
    return IG_OK;
}

static enum ig_code lend(struct ig_model *model, uint32_t index, const struct ig_feature *feature,
                         struct ig_err *err)
{
    uint32_t count = feature->categories_count;
    struct ig_str *words = ig_arena_array(&model->arena, count + (size_t)1, sizeof *words);
    for (uint32_t i = 0; words && i < count; i++) {
        struct ig_str word = feature->categories[i];
        if (word.len && memchr(word.ptr, 0, word.len))
            return ig_fail(err, IG_UNSUPPORTED, "feature '%.*s': category %u holds a NUL",
                           IG_STR_ARGS(feature->name), i);
        words[i] = ig_arena_dup(&model->arena, word);
    }
    if (model->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "no memory for %u words", count);
    model->inputs[index].categories = words;
    model->inputs[index].categories_count = count;
    return IG_OK;
}

enum ig_code pkg_schema_lend_words(struct ig_model *model, const struct ig_schema *schema,
                                   struct ig_err *err)
{
    if (!model->inputs || schema->features_count != model->features_count) return IG_OK;
    for (uint32_t i = 0; i < model->features_count; i++) {
        if (model->inputs[i].kind != IG_INPUT_TEXT || model->inputs[i].categories_count) continue;
        if (lend(model, i, &schema->features[i], err) != IG_OK) return err->code;
    }
    return IG_OK;
}
