/* SPDX-License-Identifier: Apache-2.0 */
/* Features of ai.onnx.ml: Scaler, Imputer, Normalizer, Binarizer, OneHotEncoder, LabelEncoder,
 * ArrayFeatureExtractor, FeatureVectorizer. Source: ONNX operators ai.onnx.ml. */
#include "kernels/graph/program_priv.h"

#include <math.h>
#include <string.h>

/* Per-column parameters; one serves all columns. */
struct columns {
    const float *first, *second;
    const int64_t *numbers, *more_numbers;
    size_t first_count, second_count;
    size_t width; /* columns of a row */
};

static bool fits(size_t count, size_t width)
{
    return count == 1 || count == width;
}

static void run_scaler(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct columns *columns = step->state;
    const void *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    prog_floats(out, in, step->in[0]->type, step->in[0]->count);
    for (size_t i = 0; i < step->in[0]->count; i++) {
        size_t column = i % columns->width;
        out[i] = (out[i] - columns->first[columns->first_count == 1 ? 0 : column]) *
                 columns->second[columns->second_count == 1 ? 0 : column];
    }
}

bool prog_plan_scaler(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct columns *columns = in ? prog_state(plan, sizeof *columns) : NULL;
    int64_t rows;
    int64_t width;
    if (!columns || !prog_matrix(plan, in, &rows, &width)) return false;
    columns->first = ig_graph_f32s(plan->step->node, "offset", &columns->first_count);
    columns->second = ig_graph_f32s(plan->step->node, "scale", &columns->second_count);
    columns->width = (size_t)width;
    if (!prog_numeric(in->type) || !columns->first || !columns->second ||
        !fits(columns->first_count, columns->width) || !fits(columns->second_count, columns->width))
        return prog_refuse(plan, "offset and scale do not fit %lld columns", (long long)width);
    plan->step->apart = in->rank == 2;
    plan->step->run = run_scaler;
    return prog_shape_like(plan, prog_out(plan, 0), IG_TENSOR_F32, in);
}

struct imputer {
    size_t width, count; /* columns of a row; values */
    const float *floats;
    const int64_t *integers;
    float missing_float;
    int64_t missing_integer;
};

static void run_imputer(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct imputer *imputer = step->state;
    size_t total = step->in[0]->count;
    if (step->in[0]->type == IG_TENSOR_I64) {
        const int64_t *in = prog_data(frame, step->in[0]);
        int64_t *out = prog_data(frame, step->out[0]);
        for (size_t i = 0; i < total; i++) {
            size_t column = imputer->count == 1 ? 0 : i % imputer->width;
            out[i] = in[i] == imputer->missing_integer ? imputer->integers[column] : in[i];
        }
        return;
    }
    const float *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    bool nan_missing = isnan(imputer->missing_float);
    for (size_t i = 0; i < total; i++) {
        size_t column = imputer->count == 1 ? 0 : i % imputer->width;
        bool missing = nan_missing ? isnan(in[i]) : in[i] == imputer->missing_float;
        out[i] = missing ? imputer->floats[column] : in[i];
    }
}

bool prog_plan_imputer(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct imputer *imputer = in ? prog_state(plan, sizeof *imputer) : NULL;
    const struct ig_graph_node *node = plan->step->node;
    size_t integers;
    if (!imputer) return false;
    if (in->type != IG_TENSOR_F32 && in->type != IG_TENSOR_I64)
        return prog_refuse(plan, "not for %s", ig_tensor_type_name(in->type));
    imputer->floats = ig_graph_f32s(node, "imputed_value_floats", &imputer->count);
    imputer->integers = ig_graph_i64s(node, "imputed_value_int64s", &integers);
    imputer->missing_float = ig_graph_f32(node, "replaced_value_float", 0);
    imputer->missing_integer = ig_graph_i64(node, "replaced_value_int64", 0);
    imputer->width = in->rank ? (size_t)in->dims[in->rank - 1] : 1;
    if (in->type == IG_TENSOR_I64) imputer->count = integers;
    if (!fits(imputer->count, imputer->width))
        return prog_refuse(plan, "%zu values for %zu columns", imputer->count, imputer->width);
    plan->step->run = run_imputer;
    return prog_shape_like(plan, prog_out(plan, 0), in->type, in);
}

enum norm { NORM_MAX, NORM_L1, NORM_L2 };

struct normalizer {
    size_t rows, width;
    enum norm norm;
};

static void normalise(const struct normalizer *normalizer, float *row)
{
    double sum = 0;
    float greatest = -INFINITY;
    for (size_t i = 0; i < normalizer->width; i++) {
        double x = (double)row[i];
        sum += normalizer->norm == NORM_L2 ? x * x : fabs(x);
        if (row[i] > greatest) greatest = row[i];
    }
    double divisor = normalizer->norm == NORM_L2 ? sqrt(sum) : sum;
    if (normalizer->norm == NORM_MAX) divisor = (double)greatest;
    if (divisor == 0) return;
    for (size_t i = 0; i < normalizer->width; i++) row[i] = (float)((double)row[i] / divisor);
}

static void run_normalizer(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct normalizer *normalizer = step->state;
    float *out = prog_data(frame, step->out[0]);
    prog_floats(out, prog_data(frame, step->in[0]), step->in[0]->type, step->in[0]->count);
    for (size_t row = 0; row < normalizer->rows; row++)
        normalise(normalizer, out + row * normalizer->width);
}

bool prog_plan_normalizer(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct normalizer *normalizer = in ? prog_state(plan, sizeof *normalizer) : NULL;
    struct ig_str norm = ig_graph_string(plan->step->node, "norm", "MAX");
    int64_t rows;
    int64_t width;
    if (!normalizer || !prog_matrix(plan, in, &rows, &width)) return false;
    if (!prog_numeric(in->type)) return prog_refuse(plan, "not for text");
    *normalizer = (struct normalizer){(size_t)rows, (size_t)width, NORM_MAX};
    if (ig_str_is(norm, "L1"))
        normalizer->norm = NORM_L1;
    else if (ig_str_is(norm, "L2"))
        normalizer->norm = NORM_L2;
    else if (!ig_str_is(norm, "MAX"))
        return prog_refuse(plan, "norm '%.*s'", IG_STR_ARGS(norm));
    plan->step->run = run_normalizer;
    return prog_shape_like(plan, prog_out(plan, 0), IG_TENSOR_F32, in);
}

static void run_binarizer(const struct prog_step *step, const struct prog_frame *frame)
{
    const float *threshold = step->state;
    const float *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    for (size_t i = 0; i < step->in[0]->count; i++) out[i] = in[i] > *threshold ? 1 : 0;
}

bool prog_plan_binarizer(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_F32);
    float *threshold = in ? prog_state(plan, sizeof *threshold) : NULL;
    if (!threshold) return false;
    *threshold = ig_graph_f32(plan->step->node, "threshold", 0);
    plan->step->run = run_binarizer;
    return prog_shape_like(plan, prog_out(plan, 0), IG_TENSOR_F32, in);
}

/* A sorted list of keys, each with its place in the file: the first of equal keys comes first. */
struct keys {
    enum ig_tensor_type type; /* STRING, I64 or F64 */
    size_t count;
    const void *items;
    uint32_t *order;
};

static int compare_texts(struct ig_str a, struct ig_str b)
{
    size_t shorter = a.len < b.len ? a.len : b.len;
    int order = shorter ? memcmp(a.ptr, b.ptr, shorter) : 0;
    return order ? order : (a.len > b.len) - (a.len < b.len);
}

/* NaN equals NaN and is greater than all numbers. */
static int compare_doubles(double a, double b)
{
    if (isnan(a) || isnan(b)) return !!isnan(a) - !!isnan(b);
    return (a > b) - (a < b);
}

static int compare_key(const struct keys *keys, size_t index, const void *key)
{
    if (keys->type == IG_TENSOR_STRING)
        return compare_texts(((const struct ig_str *)keys->items)[index],
                             *(const struct ig_str *)key);
    if (keys->type == IG_TENSOR_F64)
        return compare_doubles(((const double *)keys->items)[index], *(const double *)key);
    int64_t a = ((const int64_t *)keys->items)[index];
    int64_t b = *(const int64_t *)key;
    return (a > b) - (a < b);
}

static const void *key_at(const struct keys *keys, size_t index)
{
    return (const char *)keys->items + index * ig_tensor_type_bytes(keys->type);
}

/* Heap sort of the order: no allocation, no quadratic case. */
static bool precedes(const struct keys *keys, uint32_t a, uint32_t b)
{
    int order = compare_key(keys, a, key_at(keys, b));
    return order ? order < 0 : a < b;
}

static void sift(const struct keys *keys, size_t at, size_t count)
{
    for (size_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && precedes(keys, keys->order[child], keys->order[child + 1]))
            child++;
        if (!precedes(keys, keys->order[at], keys->order[child])) return;
        uint32_t swap = keys->order[at];
        keys->order[at] = keys->order[child];
        keys->order[child] = swap;
    }
}

static bool sort_keys(struct prog_plan *plan, struct keys *keys)
{
    keys->order = ig_arena_array(plan->arena, keys->count + 1, sizeof *keys->order);
    if (!keys->order) return prog_no_memory(plan);
    for (size_t i = 0; i < keys->count; i++) keys->order[i] = (uint32_t)i;
    for (size_t i = keys->count / 2; i-- > 0;) sift(keys, i, keys->count);
    for (size_t end = keys->count; end > 1; end--) {
        uint32_t swap = keys->order[0];
        keys->order[0] = keys->order[end - 1];
        keys->order[end - 1] = swap;
        sift(keys, 0, end - 1);
    }
    return true;
}

/* Place in the file of the first equal key, or the count. */
static size_t find_key(const struct keys *keys, const void *key)
{
    size_t low = 0;
    size_t high = keys->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_key(keys, keys->order[middle], key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    bool found = low < keys->count && compare_key(keys, keys->order[low], key) == 0;
    return found ? keys->order[low] : keys->count;
}

/* Looks up an element of a tensor; numbers of any type are compared as the keys' type. */
static size_t find_element(const struct keys *keys, const void *data, enum ig_tensor_type type,
                           size_t index)
{
    if (keys->type == IG_TENSOR_STRING)
        return find_key(keys, &((const struct ig_str *)data)[index]);
    if (keys->type == IG_TENSOR_F64) {
        double value = ig_tensor_get(data, type, index);
        return find_key(keys, &value);
    }
    int64_t integer;
    if (type == IG_TENSOR_I64) {
        integer = ((const int64_t *)data)[index];
    } else {
        double value = ig_tensor_get(data, type, index); /* fractions are cut, as by a cast */
        if (!(value > -0x1p63 && value < 0x1p63)) return keys->count;
        integer = (int64_t)value;
    }
    return find_key(keys, &integer);
}

static void run_one_hot(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct keys *keys = step->state;
    const void *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    for (size_t i = 0; i < step->out[0]->count; i++) out[i] = 0;
    for (size_t i = 0; i < step->in[0]->count; i++, out += keys->count) {
        size_t place = find_element(keys, in, step->in[0]->type, i);
        if (place < keys->count) out[place] = 1;
    }
}

bool prog_plan_one_hot(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct keys *keys = in ? prog_state(plan, sizeof *keys) : NULL;
    if (!keys) return false;
    bool text = in->type == IG_TENSOR_STRING;
    keys->type = text ? IG_TENSOR_STRING : IG_TENSOR_I64;
    keys->items =
        text ? (const void *)ig_graph_strings(plan->step->node, "cats_strings", &keys->count)
             : (const void *)ig_graph_i64s(plan->step->node, "cats_int64s", &keys->count);
    if (!keys->items)
        return prog_refuse(plan, "no categories for %s", ig_tensor_type_name(in->type));
    if (ig_graph_i64(plan->step->node, "zeros", 1) == 0)
        return prog_refuse(plan, "zeros=0: an unseen category would fail a row");
    if (in->rank >= IG_GRAPH_RANK_MAX) return prog_refuse(plan, "rank %u", in->rank);
    int64_t dims[IG_GRAPH_RANK_MAX];
    memcpy(dims, in->dims, sizeof dims);
    dims[in->rank] = (int64_t)keys->count;
    plan->step->run = run_one_hot;
    return sort_keys(plan, keys) &&
           prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, dims, in->rank + 1);
}

struct encoder {
    struct keys keys;
    enum ig_tensor_type type; /* of values: STRING, I64 or F32, F64 */
    const void *values;
    struct ig_str default_text;
    int64_t default_integer;
    float default_float;
    double default_double;
};

static const void *default_value(const struct encoder *encoder)
{
    switch (encoder->type) {
    case IG_TENSOR_STRING:
        return &encoder->default_text;
    case IG_TENSOR_I64:
        return &encoder->default_integer;
    case IG_TENSOR_F64:
        return &encoder->default_double;
    default:
        return &encoder->default_float;
    }
}

static void run_label_encoder(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct encoder *encoder = step->state;
    const void *in = prog_data(frame, step->in[0]);
    char *out = prog_data(frame, step->out[0]);
    size_t bytes = ig_tensor_type_bytes(encoder->type);
    for (size_t i = 0; i < step->in[0]->count; i++, out += bytes) {
        size_t place = find_element(&encoder->keys, in, step->in[0]->type, i);
        const void *value = (const char *)encoder->values + place * bytes;
        memcpy(out, place < encoder->keys.count ? value : default_value(encoder), bytes);
    }
}

/* Floating keys are kept as doubles. */
static bool double_keys(struct prog_plan *plan, struct keys *keys, enum ig_tensor_type type)
{
    double *items = ig_arena_array(plan->arena, keys->count + 1, sizeof *items);
    if (!items) return prog_no_memory(plan);
    for (size_t i = 0; i < keys->count; i++) items[i] = ig_tensor_get(keys->items, type, i);
    keys->items = items;
    keys->type = IG_TENSOR_F64;
    return true;
}

/* A list under one of the names that LabelEncoder has for it; NULL when none is there. */
static const void *find_list(const struct ig_graph_node *node, const char *stem, size_t *count,
                             enum ig_tensor_type *type)
{
    static const struct {
        const char *suffix;
        enum ig_attribute_kind kind;
        enum ig_tensor_type type;
    } forms[] = {{"_strings", IG_ATTRIBUTE_STRINGS, IG_TENSOR_STRING},
                 {"_int64s", IG_ATTRIBUTE_I64S, IG_TENSOR_I64},
                 {"_floats", IG_ATTRIBUTE_F32S, IG_TENSOR_F32},
                 {"_tensor", IG_ATTRIBUTE_TENSOR, IG_TENSOR_NONE}};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        char name[32];
        size_t stem_length = strlen(stem);
        memcpy(name, stem, stem_length);
        memcpy(name + stem_length, forms[i].suffix, strlen(forms[i].suffix) + 1);
        const struct ig_attribute *list = ig_graph_attribute(node, name);
        if (!list || list->kind != forms[i].kind) continue;
        bool tensor = forms[i].kind == IG_ATTRIBUTE_TENSOR;
        *count = tensor ? list->tensor->count : list->count;
        *type = tensor ? list->tensor->type : forms[i].type;
        return tensor ? list->tensor->data : (const void *)list->f32;
    }
    return NULL;
}

/* LabelEncoder 1: classes_strings, text to place or back. */
static bool first_encoder(struct prog_plan *plan, struct encoder *encoder, bool text)
{
    size_t count;
    const struct ig_str *texts = ig_graph_strings(plan->step->node, "classes_strings", &count);
    int64_t *places = ig_arena_array(plan->arena, count + 1, sizeof *places);
    if (!places) return prog_no_memory(plan);
    if (!texts) return prog_refuse(plan, "no keys");
    for (size_t i = 0; i < count; i++) places[i] = (int64_t)i;
    encoder->keys.count = count;
    encoder->keys.type = text ? IG_TENSOR_STRING : IG_TENSOR_I64;
    encoder->keys.items = text ? (const void *)texts : places;
    encoder->type = text ? IG_TENSOR_I64 : IG_TENSOR_STRING;
    encoder->values = text ? (const void *)places : texts;
    return true;
}

static bool encoder_lists(struct prog_plan *plan, struct encoder *encoder, bool text)
{
    const struct ig_graph_node *node = plan->step->node;
    enum ig_tensor_type type = IG_TENSOR_NONE;
    size_t values = 0;
    encoder->keys.items = find_list(node, "keys", &encoder->keys.count, &type);
    encoder->values = find_list(node, "values", &values, &encoder->type);
    if (!encoder->keys.items) return first_encoder(plan, encoder, text);
    if (!encoder->values || values != encoder->keys.count)
        return prog_refuse(plan, "%zu keys but %zu values", encoder->keys.count, values);
    if (text != (type == IG_TENSOR_STRING)) return prog_refuse(plan, "keys of another type");
    encoder->keys.type = type;
    if (type == IG_TENSOR_STRING || type == IG_TENSOR_I64) return true;
    return double_keys(plan, &encoder->keys, type);
}

static void encoder_defaults(const struct ig_graph_node *node, struct encoder *encoder)
{
    const struct ig_attribute *tensor = ig_graph_attribute(node, "default_tensor");
    encoder->default_text = ig_graph_string(node, "default_string", "_Unused");
    encoder->default_integer = ig_graph_i64(node, "default_int64", -1);
    encoder->default_float = ig_graph_f32(node, "default_float", -0.0F);
    encoder->default_double = 0;
    if (!tensor || tensor->kind != IG_ATTRIBUTE_TENSOR || tensor->tensor->count != 1) return;
    const void *data = tensor->tensor->data;
    if (tensor->tensor->type == IG_TENSOR_STRING)
        encoder->default_text = *(const struct ig_str *)data;
    else if (tensor->tensor->type == IG_TENSOR_I64)
        encoder->default_integer = *(const int64_t *)data;
    else
        encoder->default_double = ig_tensor_get(data, tensor->tensor->type, 0);
    if (tensor->tensor->type == IG_TENSOR_F32) encoder->default_float = *(const float *)data;
}

bool prog_plan_label_encoder(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct encoder *encoder = in ? prog_state(plan, sizeof *encoder) : NULL;
    if (!encoder) return false;
    encoder_defaults(plan->step->node, encoder);
    if (!encoder_lists(plan, encoder, in->type == IG_TENSOR_STRING)) return false;
    if (encoder->type != IG_TENSOR_STRING && encoder->type != IG_TENSOR_I64 &&
        encoder->type != IG_TENSOR_F32 && encoder->type != IG_TENSOR_F64)
        return prog_refuse(plan, "values are %s", ig_tensor_type_name(encoder->type));
    plan->step->run = run_label_encoder;
    return sort_keys(plan, &encoder->keys) &&
           prog_shape_like(plan, prog_out(plan, 0), encoder->type, in);
}

struct extractor {
    size_t rows, width, bytes;
};

static void run_extractor(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct extractor *extractor = step->state;
    const char *in = prog_data(frame, step->in[0]);
    const int64_t *indices = prog_data(frame, step->in[1]);
    char *out = prog_data(frame, step->out[0]);
    size_t bytes = extractor->bytes;
    for (size_t row = 0; row < extractor->rows; row++, in += extractor->width * bytes)
        for (size_t i = 0; i < step->in[1]->count; i++, out += bytes) {
            if (indices[i] >= 0 && (size_t)indices[i] < extractor->width)
                memcpy(out, in + (size_t)indices[i] * bytes, bytes);
            else
                memset(out, 0, bytes);
        }
}

bool prog_plan_extractor(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    const struct prog_tensor *indices = in ? prog_need(plan, 1, IG_TENSOR_I64) : NULL;
    struct extractor *extractor = indices ? prog_state(plan, sizeof *extractor) : NULL;
    if (!extractor) return false;
    if (in->rank == 0) return prog_refuse(plan, "a scalar");
    int64_t dims[IG_GRAPH_RANK_MAX] = {1};
    uint32_t rank = in->rank > 1 ? in->rank : 2;
    if (in->rank > 1) memcpy(dims, in->dims, sizeof dims);
    extractor->width = (size_t)in->dims[in->rank - 1];
    extractor->rows = extractor->width ? in->count / extractor->width : 0;
    extractor->bytes = ig_tensor_type_bytes(in->type);
    const int64_t *list = indices->constant;
    for (size_t i = 0; list && i < indices->count; i++)
        if (list[i] < 0 || (size_t)list[i] >= extractor->width)
            return prog_refuse(plan, "index %lld of %zu columns", (long long)list[i],
                               extractor->width);
    dims[rank - 1] = (int64_t)indices->count;
    plan->step->run = run_extractor;
    return prog_shape(plan, prog_out(plan, 0), in->type, dims, rank);
}

static void run_vectorizer(const struct prog_step *step, const struct prog_frame *frame)
{
    const size_t *rows = step->state;
    float *out = prog_data(frame, step->out[0]);
    for (size_t row = 0; row < *rows; row++)
        for (uint32_t i = 0; i < step->in_count; i++) {
            const struct prog_tensor *in = step->in[i];
            size_t width = in->count / *rows;
            const char *data = prog_data(frame, in);
            data += row * width * ig_tensor_type_bytes(in->type);
            prog_floats(out, data, in->type, width);
            out += width;
        }
}

bool prog_plan_vectorizer(struct prog_plan *plan)
{
    size_t sizes_count;
    const int64_t *sizes = ig_graph_i64s(plan->step->node, "inputdimensions", &sizes_count);
    size_t *rows = prog_state(plan, sizeof *rows);
    int64_t dims[2] = {1, 0};
    if (!rows) return false;
    for (uint32_t i = 0; i < plan->step->in_count; i++) {
        const struct prog_tensor *in = prog_need(plan, i, IG_TENSOR_NONE);
        int64_t in_rows;
        int64_t width;
        if (!in || !prog_matrix(plan, in, &in_rows, &width)) return false;
        bool sized = !sizes || (i < sizes_count && sizes[i] == width);
        if (!prog_numeric(in->type) || (i > 0 && in_rows != dims[0]) || in_rows < 1 || !sized)
            return prog_refuse(plan, "input %u does not fit", i);
        dims[0] = in_rows;
        dims[1] += width;
    }
    *rows = (size_t)dims[0];
    plan->step->run = run_vectorizer;
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, dims, 2);
}
