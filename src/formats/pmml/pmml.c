/* SPDX-License-Identifier: Apache-2.0 */
/* PMML, versions 3 and 4, as far as it is a sum of trees and linear terms behind a link.
 *
 * The top model is followed through chains (multipleModelMethod modelChain) to the last one; what
 * it takes from earlier ones by name is put in the place of the name, times its coefficient. Sums,
 * means and weighted means of models and Targets' rescaling become factors of leaves and constants.
 * A class of its own for each element that is not supported is not worth it: the message names the
 * element. Owns the document for the length of a call. Thread rule: pure. */
#include "formats/format.h"
#include "formats/pmml/pmml_priv.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum {
    USES_MAX = 16,     /* of the document, on average */
    VALUES_A_BYTE = 8, /* of fields or classes, as much work as a byte of the document */
};

static void fail_at(struct pmml_reader *reader, enum ig_code code, const struct pmml_element *at,
                    const char *what, const char *format, va_list arguments)
{
    char message[256];
    vsnprintf(message, sizeof message, format, arguments);
    if (reader->err->code != IG_OK) return;
    ig_fail(reader->err, code, "line %u: %.*s: %s%s", at->line,
            (int)(at->name.len < 64 ? at->name.len : 64), at->name.ptr, message, what);
}

bool pmml_fail(struct pmml_reader *reader, const struct pmml_element *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, IG_INVALID, at, "", format, arguments);
    va_end(arguments);
    return false;
}

bool pmml_refuse(struct pmml_reader *reader, const struct pmml_element *at, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fail_at(reader, IG_UNSUPPORTED, at, " is not supported", format, arguments);
    va_end(arguments);
    return false;
}

bool pmml_no_memory(struct pmml_reader *reader)
{
    if (reader->err->code == IG_OK) ig_fail(reader->err, IG_NO_MEMORY, "out of memory");
    return false;
}

bool pmml_to_number(struct ig_str text, double *out)
{
    return text.len && ig_str_to_f64(text, out);
}

bool pmml_use(struct pmml_reader *reader, const struct pmml_element *element, size_t bytes)
{
    if (bytes > reader->work_left)
        return pmml_fail(reader, element, "the document is used over and over");
    reader->work_left -= bytes;
    return true;
}

bool pmml_use_values(struct pmml_reader *reader, const struct pmml_element *element, uint64_t count)
{
    return pmml_use(reader, element, count / VALUES_A_BYTE + 1);
}

bool pmml_number(struct pmml_reader *reader, const struct pmml_element *element, const char *name,
                 const double *otherwise, double *out)
{
    struct ig_str text = pmml_xml_get(element, name);
    if (!text.ptr && otherwise) {
        *out = *otherwise;
        return true;
    }
    if (pmml_to_number(ig_str_trim(text), out) && isfinite(*out)) return true;
    return pmml_fail(reader, element, "%s '%.*s', expected a number", name,
                     (int)(text.len < 64 ? text.len : 64), text.ptr ? text.ptr : "");
}

bool pmml_expect(struct pmml_reader *reader, const struct pmml_element *element, const char *name,
                 const char *const words[4])
{
    struct ig_str text = pmml_xml_get(element, name);
    if (!text.ptr) return true;
    for (int i = 0; i < 4 && words[i]; i++)
        if (ig_str_is(text, words[i])) return true;
    return pmml_refuse(reader, element, "%s '%.*s'", name, (int)(text.len < 64 ? text.len : 64),
                       text.ptr);
}

/* ---- parts of a sum ---- */

/* Work that is left: a model, times a factor, added to an output. */
struct part {
    const struct pmml_element *model;
    uint32_t output;
    double factor;
};

struct summing {
    struct pmml_reader *reader;
    struct {
        struct part *items;
        size_t count, cap;
    } parts;
};

static bool push(struct summing *summing, const struct pmml_element *model, uint32_t output,
                 double factor)
{
    const struct part part = {model, output, factor};
    return IG_VEC_PUSH(&summing->parts, part, PMML_FIELDS_MAX) || pmml_no_memory(summing->reader);
}

/* A prediction p becomes p * rescaleFactor + rescaleConstant. */
static bool read_targets(struct pmml_reader *reader, struct part *part)
{
    static const char *const casts[4] = {NULL};
    const double one = 1, zero = 0;
    double factor, constant;
    const struct pmml_element *target =
        pmml_xml_child(pmml_xml_child(part->model, "Targets"), "Target");
    if (!target) return true;
    if (pmml_xml_next(target) || pmml_xml_get(target, "min").ptr || pmml_xml_get(target, "max").ptr)
        return pmml_refuse(reader, target, "min, max, or a second Target");
    if (!pmml_expect(reader, target, "castInteger", casts) ||
        !pmml_number(reader, target, "rescaleFactor", &one, &factor) ||
        !pmml_number(reader, target, "rescaleConstant", &zero, &constant))
        return false;
    if ((factor != 1 || constant != 0) && reader->model->transform == IG_TRANSFORM_PROBABILITY)
        return pmml_refuse(reader, target, "rescaling of a classification");
    reader->model->base_margin[part->output] += part->factor * constant;
    part->factor *= factor;
    return true;
}

/* A part of a classification adds probabilities, one of a regression a number. */
static bool check_function(struct pmml_reader *reader, const struct pmml_element *model)
{
    struct ig_str function = pmml_xml_get(model, "functionName");
    bool classifies = reader->model->transform == IG_TRANSFORM_PROBABILITY;
    return classifies == ig_str_is(function, "classification") ||
           pmml_refuse(reader, model, "functionName '%.*s' within a %s", IG_STR_ARGS(function),
                       classifies ? "classification" : "regression");
}

/* The factor by which each segment counts is 1, or its weight, over that of all for means. */
static bool add_segments(struct summing *summing, const struct part *part)
{
    static const char *const methods[4] = {"sum", "average", "weightedAverage", "weightedSum"};
    struct pmml_reader *reader = summing->reader;
    const struct pmml_element *segmentation = pmml_xml_child(part->model, "Segmentation");
    const double one = 1;
    double total = 0, weight;
    if (!check_function(reader, part->model)) return false;
    if (!segmentation) return pmml_fail(reader, part->model, "has no Segmentation");
    struct ig_str method = pmml_xml_get(segmentation, "multipleModelMethod");
    if (!method.ptr) return pmml_fail(reader, segmentation, "multipleModelMethod is missing");
    if (!pmml_expect(reader, segmentation, "multipleModelMethod", methods)) return false;
    bool weighted = ig_str_starts(method, IG_STR("weighted"));
    bool mean = ig_str_is(method, "average") || ig_str_is(method, "weightedAverage");
    size_t first = summing->parts.count, bytes = part->model->bytes;
    for (const struct pmml_element *i = pmml_xml_child(segmentation, "Segment"); i;
         i = pmml_xml_next(i)) {
        const struct pmml_element *model = pmml_model_in(reader, i);
        if (!model || !pmml_check_segment(reader, i) || !pmml_check_schema(reader, model) ||
            !pmml_number(reader, i, "weight", &one, &weight))
            return false;
        if (!weighted) weight = 1;
        bytes -= model->bytes; /* it counts when its turn comes */
        total += weight;
        if (!push(summing, model, part->output, weight)) return false;
    }
    if (summing->parts.count == first) return pmml_fail(reader, segmentation, "has no Segment");
    if (!pmml_use(reader, segmentation, bytes)) return false;
    if (mean && !(total > 0)) return pmml_fail(reader, segmentation, "the weights are all 0");
    for (size_t i = first, k = summing->parts.count - 1; i < k; i++, k--) { /* the stack turns */
        struct part swapped = summing->parts.items[i];
        summing->parts.items[i] = summing->parts.items[k];
        summing->parts.items[k] = swapped;
    }
    for (size_t i = first; i < summing->parts.count; i++)
        summing->parts.items[i].factor *= mean ? part->factor / total : part->factor;
    return true;
}

/* ---- regression tables ---- */

/* A field of the data gets a weight, an output of a chain becomes a part of its own. */
static bool add_numeric(struct summing *summing, const struct pmml_element *predictor,
                        uint32_t output, double factor)
{
    struct pmml_reader *reader = summing->reader;
    const double one = 1;
    double coefficient = 0, exponent = 1;
    struct pmml_affine at = {0};
    if (!pmml_number(reader, predictor, "coefficient", NULL, &coefficient) ||
        !pmml_number(reader, predictor, "exponent", &one, &exponent) ||
        !pmml_resolve(reader, predictor, pmml_xml_get(predictor, "name"), &at))
        return false;
    if (exponent != 1) return pmml_refuse(reader, predictor, "an exponent other than 1");
    double *base = &reader->model->base_margin[output];
    coefficient *= factor;
    *base += coefficient * at.constant;
    coefficient *= at.factor;
    if (pmml_field_index(reader, at.field) < 0) {
        const struct pmml_output *earlier = pmml_earlier_output(reader, at.field, predictor);
        if (!earlier) return false;
        *base += coefficient * earlier->constant;
        return push(summing, earlier->model, output, coefficient * earlier->factor);
    }
    uint32_t field = (uint32_t)pmml_field_index(reader, at.field);
    const struct pmml_field *own = &reader->fields[field];
    if (own->categorical) return pmml_refuse(reader, predictor, "a categorical field as a number");
    if (own->replacement.ptr)
        return pmml_refuse(reader, predictor, "a field with missingValueReplacement");
    reader->weights[(size_t)field * reader->model->outputs_count + output] += coefficient;
    reader->has_weights = true;
    reader->model->inputs[field].required = true;
    return true;
}

struct effect {
    uint32_t code;
    double value;
};

static bool follows(const struct pmml_element *next, const struct pmml_element *first)
{
    return pmml_xml_is(next, "CategoricalPredictor") &&
           ig_str_eq(pmml_xml_get(next, "name"), pmml_xml_get(first, "name"));
}

/* The CategoricalPredictors from *at on that have one field, as one tree; *at becomes the last. */
static bool add_categorical(struct pmml_reader *reader, const struct pmml_element **at,
                            uint32_t output, double factor)
{
    struct pmml_affine affine;
    const struct pmml_element *i = *at;
    if (!pmml_resolve(reader, i, pmml_xml_get(i, "name"), &affine)) return false;
    int32_t index = pmml_field_index(reader, affine.field);
    if (index < 0 || !reader->fields[index].categorical || affine.factor != 1 ||
        affine.constant != 0)
        return pmml_refuse(reader, i, "a field that is not categorical");
    const struct pmml_field *field = &reader->fields[index];
    if (field->replacement.ptr)
        return pmml_refuse(reader, i, "a field with missingValueReplacement");
    uint32_t count = 0, most = 0;
    for (const struct pmml_element *k = i; follows(k, i); k = k->next) most++;
    uint32_t *codes = ig_arena_array(reader->scratch, most, sizeof *codes);
    double *values = ig_arena_array(reader->scratch, most, sizeof *values);
    bool *seen = ig_arena_array(reader->scratch, field->values_count, sizeof *seen);
    if (!codes || !values || !seen) return pmml_no_memory(reader);
    if (!pmml_use_values(reader, i, field->values_count * ((uint64_t)most + 1))) return false;
    for (; follows(i, *at); i = i->next) {
        double coefficient;
        int32_t code = pmml_field_code(field, pmml_xml_get(i, "value"));
        if (!pmml_number(reader, i, "coefficient", NULL, &coefficient)) return false;
        if (code < 0 || seen[code])
            return pmml_fail(reader, i, "a value that is not the field's, or twice");
        seen[code] = true;
        codes[count] = (uint32_t)code;
        values[count++] = coefficient * factor;
        *at = i;
    }
    return pmml_add_effects(reader, (uint32_t)index, codes, values, count, output);
}

static bool add_table(struct summing *summing, const struct pmml_element *table, uint32_t output,
                      double factor)
{
    struct pmml_reader *reader = summing->reader;
    const double zero = 0;
    double intercept;
    if (!pmml_number(reader, table, "intercept", &zero, &intercept)) return false;
    reader->model->base_margin[output] += intercept * factor;
    for (const struct pmml_element *i = table->first; i; i = i->next) {
        bool good = true;
        if (pmml_xml_is(i, "NumericPredictor"))
            good = add_numeric(summing, i, output, factor);
        else if (pmml_xml_is(i, "CategoricalPredictor"))
            good = add_categorical(reader, &i, output, factor);
        else if (!pmml_xml_is(i, "Extension"))
            good = pmml_refuse(reader, i, "this part of a RegressionTable");
        if (!good) return false;
    }
    return true;
}

/* A regression within a sum, whose value is its margin. */
static bool add_regression(struct summing *summing, const struct part *part)
{
    static const char *const functions[4] = {"regression"}, *const links[4] = {"none"};
    struct pmml_reader *reader = summing->reader;
    const struct pmml_element *table = pmml_xml_child(part->model, "RegressionTable");
    if (!check_function(reader, part->model) ||
        !pmml_expect(reader, part->model, "functionName", functions) ||
        !pmml_expect(reader, part->model, "normalizationMethod", links))
        return false;
    if (!table || pmml_xml_next(table))
        return pmml_fail(reader, part->model, "expected one RegressionTable");
    return add_table(summing, table, part->output, part->factor);
}

static bool add_parts(struct summing *summing)
{
    while (summing->parts.count > 0) {
        struct part part = summing->parts.items[--summing->parts.count];
        bool sum = pmml_xml_is(part.model, "MiningModel");
        if ((!sum && !pmml_use(summing->reader, part.model, part.model->bytes)) ||
            !read_targets(summing->reader, &part))
            return false;
        bool good = pmml_xml_is(part.model, "TreeModel")
                        ? pmml_add_tree(summing->reader, part.model, part.output, part.factor)
                    : sum ? add_segments(summing, &part)
                          : add_regression(summing, &part);
        if (!good) return false;
    }
    return true;
}

/* ---- the top ---- */

/* Two classes have one output, of the second class. logit takes the first table for its own class
 * and ignores the other's; softmax's margin is the difference. */
static bool add_classifier_tables(struct summing *summing, const struct pmml_element *model)
{
    struct pmml_reader *reader = summing->reader;
    bool logit = ig_str_is(pmml_xml_get(model, "normalizationMethod"), "logit");
    const struct pmml_element *table = pmml_xml_child(model, "RegressionTable");
    uint32_t count = 0;
    bool *seen = ig_arena_array(reader->scratch, reader->classes_count + (size_t)1, sizeof *seen);
    if (!seen) return pmml_no_memory(reader);
    for (; table; table = pmml_xml_next(table), count++) {
        int32_t class = pmml_class_index(reader, pmml_xml_get(table, "targetCategory"));
        if (class < 0 || seen[class])
            return pmml_fail(reader, table,
                             "targetCategory is none of the target's values, or "
                             "stands twice");
        seen[class] = true;
        bool binary = reader->classes_count == 2;
        if (logit && count > 0) continue;
        if (!add_table(summing, table, binary ? 0 : (uint32_t) class, binary && !class ? -1 : 1))
            return false;
    }
    return count == reader->classes_count ||
           pmml_fail(reader, model, "%u RegressionTables of %u classes", count,
                     reader->classes_count);
}

static bool settle_classes(struct pmml_reader *reader, const struct pmml_element *model)
{
    struct ig_model *out = reader->model;
    if (reader->classes_count < 2)
        return pmml_fail(reader, model, "a classification whose target has %u values",
                         reader->classes_count);
    out->outputs_count = reader->classes_count == 2 ? 1 : reader->classes_count;
    out->objective = reader->classes_count == 2 ? IG_STR("binary") : IG_STR("multiclass");
    struct ig_str *classes = ig_arena_array(&out->arena, reader->classes_count, sizeof *classes);
    if (!classes) return pmml_no_memory(reader);
    for (uint32_t i = 0; i < reader->classes_count; i++)
        classes[i] = ig_arena_dup(&out->arena, reader->classes[i]);
    out->classes = classes;
    return true;
}

/* The link of the last model, and the number of outputs. */
static bool settle_link(struct pmml_reader *reader, const struct pmml_element *model)
{
    static const char *const functions[4] = {"regression", "classification"};
    static const char *const links[4] = {"none", "logit", "exp"};
    static const char *const class_links[4] = {"logit", "softmax"};
    bool table = pmml_xml_is(model, "RegressionModel");
    struct ig_str link = table ? pmml_xml_get(model, "normalizationMethod") : (struct ig_str){0};
    struct ig_model *out = reader->model;
    if (!pmml_xml_get(model, "functionName").ptr)
        return pmml_fail(reader, model, "functionName is missing");
    if (!pmml_expect(reader, model, "functionName", functions)) return false;
    if (ig_str_is(pmml_xml_get(model, "functionName"), "regression")) {
        out->outputs_count = 1;
        out->objective = IG_STR("regression");
        if (ig_str_is(link, "logit")) out->transform = IG_TRANSFORM_SIGMOID;
        if (ig_str_is(link, "exp")) out->transform = IG_TRANSFORM_EXP;
        reader->classes_count = 0;
        return !table || pmml_expect(reader, model, "normalizationMethod", links);
    }
    if (!settle_classes(reader, model)) return false;
    bool binary = reader->classes_count == 2;
    if (!table) {
        out->transform = IG_TRANSFORM_PROBABILITY;
        reader->vectors = !binary;
        return true;
    }
    out->transform = binary ? IG_TRANSFORM_SIGMOID : IG_TRANSFORM_SOFTMAX;
    if (!link.ptr || (!binary && ig_str_is(link, "logit")))
        return pmml_refuse(reader, model, "normalizationMethod '%.*s' of %u classes",
                           IG_STR_ARGS(link), reader->classes_count);
    return pmml_expect(reader, model, "normalizationMethod", class_links);
}

static bool settle_inputs(struct pmml_reader *reader)
{
    struct ig_model *model = reader->model;
    model->features_count = reader->fields_count;
    if (!reader->fields_count) return true; /* ig_model_check refuses it */
    model->inputs = ig_arena_array(&model->arena, reader->fields_count, sizeof *model->inputs);
    if (!model->inputs) return pmml_no_memory(reader);
    for (uint32_t i = 0; i < reader->fields_count; i++) {
        const struct pmml_field *field = &reader->fields[i];
        struct ig_input *input = &model->inputs[i];
        input->name = ig_arena_dup(&model->arena, field->name);
        input->kind = field->categorical ? IG_INPUT_CATEGORICAL : IG_INPUT_NUMERIC;
        struct ig_str *texts =
            ig_arena_array(&model->arena, field->values_count + (size_t)1, sizeof *texts);
        if (!texts) return pmml_no_memory(reader);
        for (uint32_t k = 0; k < field->values_count; k++)
            texts[k] = ig_arena_dup(&model->arena, field->values[k]);
        if (field->categorical) input->categories = texts;
        input->categories_count = field->values_count;
    }
    return true;
}

/* A regression at the end, which may have a link. */
static bool add_only_table(struct summing *summing, const struct pmml_element *model)
{
    struct pmml_reader *reader = summing->reader;
    struct part part = {model, 0, 1};
    const struct pmml_element *table = pmml_xml_child(model, "RegressionTable");
    if (!table || pmml_xml_next(table))
        return pmml_fail(reader, model, "expected one RegressionTable");
    if (!read_targets(reader, &part)) return false;
    if ((part.factor != 1 || reader->model->base_margin[0] != 0) &&
        reader->model->transform != IG_TRANSFORM_IDENTITY)
        return pmml_refuse(reader, model, "Targets behind a normalizationMethod");
    return add_table(summing, table, 0, part.factor);
}

static bool read_top(struct pmml_reader *reader, const struct pmml_element *top)
{
    struct summing summing = {.reader = reader};
    struct ig_model *out = reader->model;
    const struct pmml_element *model = pmml_follow_chain(reader, top);
    if (!model || !settle_link(reader, model) || !settle_inputs(reader)) return false;
    reader->f32 = ig_str_is(pmml_xml_get(top, "x-mathContext"), "float");
    for (uint32_t i = 0; i < reader->fields_count; i++)
        reader->f32 = reader->f32 && (reader->fields[i].categorical || reader->fields[i].is_float);
    size_t outputs = out->outputs_count;
    out->base_margin = ig_arena_array(&out->arena, outputs, sizeof *out->base_margin);
    reader->weights =
        ig_arena_array(reader->scratch, outputs * reader->fields_count + 1, sizeof(double));
    if (!out->base_margin || !reader->weights) return pmml_no_memory(reader);
    bool tables = pmml_xml_is(model, "RegressionModel");
    bool classifies = tables && reader->classes_count;
    bool good = true;
    if (classifies) {
        good = add_classifier_tables(&summing, model);
    } else if (tables) {
        good = add_only_table(&summing, model);
    } else {
        good = push(&summing, model, 0, 1);
    }
    good = good && add_parts(&summing);
    IG_VEC_FREE(&summing.parts);
    return good;
}

bool ig_pmml_probe(struct ig_str bytes)
{
    struct ig_str head = {bytes.ptr, bytes.len < 2048 ? bytes.len : 2048};
    struct ig_str start = ig_str_trim(head);
    if (ig_str_starts(start, IG_STR("\xef\xbb\xbf"))) start.ptr += 3, start.len -= 3;
    return start.len && *start.ptr == '<' && memmem(head.ptr, head.len, "<PMML", 5);
}

/* All of `count` items moved into the model's arena. */
static void *move(struct pmml_reader *reader, const void *items, size_t count, size_t item_bytes)
{
    void *moved = ig_arena_array(&reader->model->arena, count + 1, item_bytes);
    if (!moved)
        pmml_no_memory(reader);
    else if (count)
        memcpy(moved, items, count * item_bytes);
    return moved;
}

/* A leaf that adds the weighted numbers, in a tree of its own. */
static bool add_linear_tree(struct pmml_reader *reader, uint32_t output,
                            struct ig_linear_leaf *leaf)
{
    struct ig_model *model = reader->model;
    uint32_t features = model->features_count;
    uint32_t *indices = ig_arena_array(&model->arena, features, sizeof *indices);
    double *coefficients = ig_arena_array(&model->arena, features, sizeof *coefficients);
    if (!indices || !coefficients) return pmml_no_memory(reader);
    for (uint32_t i = 0; i < features; i++) {
        double weight = reader->weights[(size_t)i * model->outputs_count + output];
        if (weight == 0) continue;
        indices[leaf->count] = i;
        coefficients[leaf->count++] = weight;
    }
    leaf->features = indices;
    leaf->coefficients = coefficients;
    const struct ig_node node = {
        .op = IG_NODE_LEAF, .left = -1, .right = -1, .extra = output, .cover = 1};
    const struct ig_tree tree = {.first_node = (uint32_t)reader->nodes.count,
                                 .nodes_count = 1,
                                 .output = output,
                                 .weight = 1};
    return (IG_VEC_PUSH(&reader->nodes, node, PMML_NODES_MAX) &&
            IG_VEC_PUSH(&reader->trees, tree, PMML_NODES_MAX)) ||
           pmml_no_memory(reader);
}

static bool settle_leaves(struct pmml_reader *reader)
{
    struct ig_model *model = reader->model;
    uint32_t outputs = model->outputs_count;
    for (size_t i = 0; i < reader->nodes.count; i++) {
        struct ig_node *node = &reader->nodes.items[i];
        if (node->op != IG_NODE_LEAF) continue;
        if (reader->counts_lack) node->cover = 1;
        if (reader->vectors) {
            node->extra /= outputs;
        } else {
            node->value = reader->values.items[node->extra];
            if (reader->f32) node->value = (double)(float)node->value;
            node->extra = IG_MODEL_NONE;
        }
    }
    for (size_t t = 0; reader->counts_lack && t < reader->trees.count; t++) {
        struct ig_node *nodes = &reader->nodes.items[reader->trees.items[t].first_node];
        for (uint32_t i = reader->trees.items[t].nodes_count; i-- > 0;)
            if (nodes[i].op != IG_NODE_LEAF)
                nodes[i].cover = nodes[nodes[i].left].cover + nodes[nodes[i].right].cover;
    }
    model->leaf_vectors = reader->vectors;
    model->covers_counted = reader->counts_lack;
    if (!reader->vectors) return true;
    model->leaf_values_count = (uint32_t)(reader->values.count / outputs);
    model->leaf_values =
        move(reader, reader->values.items, reader->values.count, sizeof *model->leaf_values);
    return model->leaf_values != NULL;
}

/* Linear terms alone are a linear model; beside trees each output's become a tree of one leaf. */
static bool settle_weights(struct pmml_reader *reader)
{
    struct ig_model *model = reader->model;
    uint32_t outputs = model->outputs_count;
    size_t weights = (size_t)model->features_count * outputs;
    if (!reader->trees.count) {
        model->kind = IG_MODEL_LINEAR;
        model->weights = ig_arena_array(&model->arena, weights + outputs, sizeof(double));
        if (!model->weights) return pmml_no_memory(reader);
        memcpy(model->weights, reader->weights, weights * sizeof(double));
        return true;
    }
    if (!reader->has_weights) return true;
    model->linear_leaves = true;
    model->linear_count = outputs;
    model->linear = ig_arena_array(&model->arena, outputs, sizeof *model->linear);
    if (!model->linear) return pmml_no_memory(reader);
    for (uint32_t i = 0; i < outputs; i++)
        if (!add_linear_tree(reader, i, &model->linear[i])) return false;
    return true;
}

static bool finish(struct pmml_reader *reader)
{
    struct ig_model *model = reader->model;
    reader->f32 = reader->f32 && !reader->has_weights;
    if (!settle_leaves(reader) || !settle_weights(reader)) return false;
    model->sum_rule = reader->f32 ? IG_SUM_F32_BASE_LAST : IG_SUM_F64;
    model->inputs_f32 = reader->f32;
    for (uint32_t i = 0; reader->f32 && i < model->outputs_count; i++)
        model->base_margin[i] = (double)(float)model->base_margin[i];
    model->predictions_count = model->outputs_count;
    model->trees_count = (uint32_t)reader->trees.count;
    model->iterations_count = model->trees_count ? model->trees_count : 1;
    model->nodes_count = (uint32_t)reader->nodes.count;
    model->sets_count = (uint32_t)reader->sets.count;
    model->trees = move(reader, reader->trees.items, model->trees_count, sizeof *model->trees);
    model->nodes = move(reader, reader->nodes.items, model->nodes_count, sizeof *model->nodes);
    model->sets = move(reader, reader->sets.items, model->sets_count, sizeof *model->sets);
    return model->trees && model->nodes && model->sets &&
           ig_model_check(model, reader->err) == IG_OK;
}

static bool read_document(struct pmml_reader *reader, struct ig_str bytes)
{
    const struct pmml_element *root;
    if (pmml_xml_parse(&root, bytes, reader->scratch, reader->err) != IG_OK) return false;
    struct ig_str version = pmml_xml_get(root, "version");
    if (!pmml_xml_is(root, "PMML")) return pmml_fail(reader, root, "expected PMML");
    if (!ig_str_starts(version, IG_STR("3.")) && !ig_str_starts(version, IG_STR("4.")))
        return pmml_refuse(reader, root, "version '%.*s'", IG_STR_ARGS(version));
    reader->model->source_version = ig_arena_dup(&reader->model->arena, version);
    const struct pmml_element *model = pmml_model_in(reader, root);
    return model && pmml_read_fields(reader, root, model) && read_top(reader, model) &&
           finish(reader);
}

static void deinit(struct pmml_reader *reader)
{
    for (uint32_t i = 0; i < reader->fields_count; i++)
        ig_map_deinit(&reader->fields[i].code_by_value);
    ig_map_deinit(&reader->field_by_name);
    ig_map_deinit(&reader->derived);
    ig_map_deinit(&reader->outputs);
    ig_map_deinit(&reader->class_by_name);
    IG_VEC_FREE(&reader->trees);
    IG_VEC_FREE(&reader->nodes);
    IG_VEC_FREE(&reader->values);
    IG_VEC_FREE(&reader->sets);
}

enum ig_code ig_pmml_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct ig_arena scratch;
    struct pmml_reader reader = {
        .err = err, .scratch = &scratch, .work_left = ((size_t)1 << 20) + bytes.len * USES_MAX};
    reader.model = ig_model_new(((size_t)1 << 22) + bytes.len * 64);
    if (!reader.model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    ig_arena_init(&scratch, 64 << 10, ((size_t)1 << 22) + bytes.len * 128);
    ig_map_init(&reader.field_by_name, PMML_FIELDS_MAX);
    ig_map_init(&reader.derived, PMML_FIELDS_MAX);
    ig_map_init(&reader.outputs, PMML_FIELDS_MAX);
    ig_map_init(&reader.class_by_name, PMML_FIELDS_MAX);
    bool good = read_document(&reader, bytes);
    deinit(&reader);
    ig_arena_deinit(&scratch);
    if (good)
        *out = reader.model;
    else
        ig_model_free(reader.model);
    return err->code;
}
