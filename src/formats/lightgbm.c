/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM models as text, v2 to v4.
 *
 *   tree                              the format's name
 *   version=v4                        KEY=VALUE lines, and keys without a value (average_output)
 *   ...
 *   Tree=0                            each tree: KEY=VALUE lines up to an empty line
 *   num_leaves=31
 *   ...
 *   end of trees                      importances and training parameters follow, which say nothing
 *   pandas_categorical:[["a","b"]]    here, and at last the categories that Python replaced by
 * codes
 *
 * Lines end with LF or CRLF. Trees are found by their lines, not by tree_sizes.
 * num_tree_per_iteration trees make an iteration, one for each output; an incomplete last iteration
 * is left out, as LightGBM does. Thread rule: none shared. */
#include "base/json.h"
#include "formats/format.h"
#include "formats/lightgbm_priv.h"

#include <string.h>

struct header {
    struct ig_str version, num_class, num_tree_per_iteration, max_feature_idx, objective,
        feature_names, feature_infos;
    bool average_output;
};

struct reader {
    struct ig_str bytes;
    struct ig_str rest; /* what is not read yet */
    struct ig_err *err;
    struct ig_model *model;
    struct lgb_builder builder;
    struct header header;
};

struct field {
    const char *name;
    size_t offset;
};

#define FIELD(type, name)                                                                          \
    {                                                                                              \
#name, offsetof(struct type, name)                                                         \
    }

static const struct field header_fields[] = {
    FIELD(header, version),         FIELD(header, num_class),
    FIELD(header, objective),       FIELD(header, num_tree_per_iteration),
    FIELD(header, max_feature_idx), FIELD(header, feature_names),
    FIELD(header, feature_infos),
};

static const struct field tree_fields[] = {
    FIELD(lgb_tree_lines, num_leaves),     FIELD(lgb_tree_lines, num_cat),
    FIELD(lgb_tree_lines, split_feature),  FIELD(lgb_tree_lines, threshold),
    FIELD(lgb_tree_lines, decision_type),  FIELD(lgb_tree_lines, left_child),
    FIELD(lgb_tree_lines, right_child),    FIELD(lgb_tree_lines, leaf_value),
    FIELD(lgb_tree_lines, leaf_weight),    FIELD(lgb_tree_lines, leaf_count),
    FIELD(lgb_tree_lines, split_gain),     FIELD(lgb_tree_lines, internal_weight),
    FIELD(lgb_tree_lines, internal_count), FIELD(lgb_tree_lines, cat_boundaries),
    FIELD(lgb_tree_lines, cat_threshold),  FIELD(lgb_tree_lines, is_linear),
    FIELD(lgb_tree_lines, leaf_const),     FIELD(lgb_tree_lines, num_features),
    FIELD(lgb_tree_lines, leaf_features),  FIELD(lgb_tree_lines, leaf_coeff),
};

static size_t position(const struct reader *reader)
{
    return reader->rest.ptr ? (size_t)(reader->rest.ptr - reader->bytes.ptr) : reader->bytes.len;
}

/* The next line without its end; ptr NULL behind the last. */
static struct ig_str next_line(struct reader *reader)
{
    if (!reader->rest.ptr || reader->rest.len == 0) return (struct ig_str){0};
    struct ig_str line = ig_str_cut(&reader->rest, '\n');
    if (line.len && line.ptr[line.len - 1] == '\r') line.len--;
    return line;
}

/* Stores what stands behind the first '=' in the field of that name, if it is known. */
static void store(struct ig_str line, void *record, const struct field *fields, size_t count)
{
    struct ig_str value = line;
    struct ig_str key = ig_str_cut(&value, '=');
    for (size_t i = 0; value.ptr && i < count; i++)
        if (ig_str_is(key, fields[i].name))
            memcpy((char *)record + fields[i].offset, &value, sizeof value);
}

static bool read_tree(struct reader *reader)
{
    struct lgb_tree_lines lines;
    memset(&lines, 0, sizeof lines);
    size_t start = position(reader);
    for (;;) {
        struct ig_str line = next_line(reader);
        if (!line.ptr || ig_str_trim(line).len == 0) break;
        store(line, &lines, tree_fields, sizeof tree_fields / sizeof *tree_fields);
    }
    if (lgb_builder_add_tree(&reader->builder, &lines)) return true;
    if (reader->err->at_byte < 0) reader->err->at_byte = (int64_t)start;
    return false;
}

static bool read_lines(struct reader *reader)
{
    for (;;) {
        struct ig_str line = next_line(reader);
        if (!line.ptr) break;
        if (ig_str_starts(line, IG_STR("Tree="))) {
            if (!read_tree(reader)) return false;
        } else if (ig_str_is(line, "end of trees")) {
            return true;
        } else if (reader->builder.trees.count == 0) {
            if (ig_str_is(ig_str_trim(line), "average_output"))
                reader->header.average_output = true;
            store(line, &reader->header, header_fields,
                  sizeof header_fields / sizeof *header_fields);
        }
    }
    ig_fail_at(reader->err, IG_PARSE, reader->bytes.len, "no line 'end of trees': the file is cut");
    return false;
}

static bool integer(struct reader *reader, struct ig_str text, const char *what, int64_t least,
                    int64_t *out)
{
    if (text.ptr && ig_str_to_i64(ig_str_trim(text), out) && *out >= least && *out < INT32_MAX)
        return true;
    ig_fail(reader->err, IG_INVALID, "%s '%.*s': expected a number from %lld", what,
            (int)(text.len < 64 ? text.len : 64), text.ptr ? text.ptr : "", (long long)least);
    return false;
}

static bool no_memory(struct reader *reader, const char *what)
{
    ig_fail(reader->err, IG_NO_MEMORY, "%s: out of memory", what);
    return false;
}

static bool settle_sizes(struct reader *reader)
{
    struct ig_model *model = reader->model;
    const struct header *header = &reader->header;
    int64_t outputs = 1;
    int64_t last_feature = 0;
    if (!integer(reader, header->num_class, "num_class", 1, &outputs) ||
        (header->num_tree_per_iteration.ptr &&
         !integer(reader, header->num_tree_per_iteration, "num_tree_per_iteration", 1, &outputs)) ||
        !integer(reader, header->max_feature_idx, "max_feature_idx", 0, &last_feature))
        return false;
    if ((uint64_t)outputs > reader->bytes.len / 8) {
        ig_fail(reader->err, IG_TOO_LARGE,
                "num_tree_per_iteration %lld: more than a file of %zu bytes can hold",
                (long long)outputs, reader->bytes.len);
        return false;
    }
    if ((uint64_t)last_feature > reader->bytes.len / 2) {
        ig_fail(reader->err, IG_TOO_LARGE,
                "max_feature_idx %lld: more than a file of %zu bytes can name",
                (long long)last_feature, reader->bytes.len);
        return false;
    }
    model->features_count = (uint32_t)last_feature + 1;
    model->outputs_count = model->predictions_count = (uint32_t)outputs;
    return true;
}

/* The next of a list's items, which spaces part; ptr NULL behind the last. */
static struct ig_str next_item(struct ig_str *list)
{
    while (list->ptr) {
        struct ig_str item = ig_str_cut(list, ' ');
        if (item.len) return item;
    }
    return (struct ig_str){0};
}

static enum ig_input_kind input_kind(struct ig_str info)
{
    if (!info.ptr || ig_str_is(info, "none")) return IG_INPUT_UNKNOWN;
    return *info.ptr == '[' ? IG_INPUT_NUMERIC : IG_INPUT_CATEGORICAL;
}

static bool settle_inputs(struct reader *reader)
{
    struct ig_model *model = reader->model;
    struct ig_str names = ig_str_trim(reader->header.feature_names);
    struct ig_str infos = ig_str_trim(reader->header.feature_infos);
    uint32_t count = 0;
    model->inputs = ig_arena_array(&model->arena, model->features_count, sizeof *model->inputs);
    if (!model->inputs) return no_memory(reader, "feature_names");
    for (struct ig_str name; (name = next_item(&names)).ptr; count++) {
        if (count >= model->features_count) continue;
        struct ig_input *input = &model->inputs[count];
        input->name = ig_arena_dup(&model->arena, name);
        input->kind = input_kind(next_item(&infos));
        if (!input->name.ptr) return no_memory(reader, "feature_names");
    }
    if (count == model->features_count) return true;
    ig_fail(reader->err, IG_INVALID, "feature_names has %u names, expected %u (max_feature_idx)",
            count, model->features_count);
    return false;
}

static bool settle_trees(struct reader *reader)
{
    struct ig_model *model = reader->model;
    if (!lgb_builder_finish(&reader->builder, model)) return false;
    model->iterations_count = model->trees_count / model->outputs_count;
    model->trees_count = model->iterations_count * model->outputs_count;
    model->nodes_count = 0;
    for (uint32_t i = 0; i < model->trees_count; i++) {
        model->trees[i].output = i % model->outputs_count;
        model->nodes_count += model->trees[i].nodes_count;
    }
    model->average = reader->header.average_output && model->iterations_count > 0;
    return true;
}

static bool settle_output(struct reader *reader)
{
    struct ig_model *model = reader->model;
    struct lgb_objective objective;
    struct ig_str line = ig_str_trim(reader->header.objective);
    if (!lgb_objective_parse(&objective, line, reader->err)) return false;
    model->transform = objective.transform;
    model->transform_parameter = objective.parameter;
    model->objective = ig_arena_dup(&model->arena, line);
    model->source_version = ig_arena_dup(&model->arena, ig_str_trim(reader->header.version));
    model->base_margin = ig_arena_array(&model->arena, model->outputs_count, sizeof(double));
    if (!model->base_margin || !model->objective.ptr || !model->source_version.ptr)
        return no_memory(reader, "objective");
    return true;
}

/* One column's texts from ["a", "b"] or [1, 2]. */
static bool read_categories(struct ig_json *json, struct ig_arena *arena, struct ig_input *input,
                            bool store_them)
{
    struct {
        struct ig_str *items;
        size_t count, cap;
    } texts = {0};
    bool good = ig_json_expect(json, IG_JSON_ARRAY, "categories");
    while (good && ig_json_element(json)) {
        enum ig_json_event event = ig_json_next(json);
        struct ig_str text = json->text;
        if (event == IG_JSON_BOOL) text = ig_str_view(json->boolean ? "True" : "False");
        good = event == IG_JSON_STRING || event == IG_JSON_NUMBER || event == IG_JSON_BOOL;
        if (!good || !store_them) continue;
        text = ig_arena_dup(arena, text);
        good = text.ptr && IG_VEC_PUSH(&texts, text, UINT32_MAX);
    }
    if (good && store_them) {
        struct ig_str *copy = ig_arena_copy(arena, texts.items, texts.count, sizeof *copy);
        good = copy != NULL;
        input->categories = copy;
        input->categories_count = (uint32_t)texts.count;
    }
    IG_VEC_FREE(&texts);
    return good && json->err->code == IG_OK;
}

static struct ig_input *next_categorical(struct ig_model *model, uint32_t *at)
{
    for (; *at < model->features_count; (*at)++)
        if (model->inputs[*at].kind == IG_INPUT_CATEGORICAL) return &model->inputs[(*at)++];
    return NULL;
}

/* Reads the lists; returns their number, or -1. With `store_them` they go to the categorical inputs
 * in order. */
static int64_t read_category_lists(struct reader *reader, struct ig_str text, bool store_them)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_json json;
    struct ig_arena arena;
    struct ig_input unused;
    int64_t lists = 0;
    uint32_t at = 0;
    ig_arena_init(&arena, 4096, 65536 + text.len * 2);
    ig_json_init(&json, text, &arena, &ignored);
    json.allow_nan = true;
    bool good = ig_json_next(&json) == IG_JSON_ARRAY;
    while (good && ig_json_element(&json)) {
        struct ig_input *input = store_them ? next_categorical(reader->model, &at) : &unused;
        good = input && read_categories(&json, &reader->model->arena, input, store_them);
        lists++;
    }
    ig_arena_deinit(&arena);
    if (ignored.code == IG_NO_MEMORY || (store_them && !good))
        ig_fail(reader->err, IG_NO_MEMORY, "pandas_categorical: out of memory");
    return good && ignored.code == IG_OK ? lists : -1;
}

/* The categories that Python's LightGBM took from a data frame, one list for each categorical
 * column. They are used only when their number is that of the categorical inputs, since the file
 * does not say which columns they belong to. Anything unexpected in this comment line is no error.
 */
static bool settle_categories(struct reader *reader)
{
    const struct ig_str key = IG_STR("pandas_categorical:");
    struct ig_model *model = reader->model;
    int64_t inputs = 0;
    for (uint32_t i = 0; i < model->features_count; i++)
        inputs += model->inputs[i].kind == IG_INPUT_CATEGORICAL;
    for (struct ig_str line; (line = next_line(reader)).ptr;) {
        if (!ig_str_starts(line, key)) continue;
        struct ig_str text = {line.ptr + key.len, line.len - key.len};
        if (inputs && read_category_lists(reader, text, false) == inputs)
            read_category_lists(reader, text, true);
    }
    return reader->err->code == IG_OK;
}

static bool read_model(struct reader *reader)
{
    if (!read_lines(reader) || !settle_sizes(reader) || !settle_trees(reader) ||
        !settle_output(reader) || !settle_inputs(reader))
        return false;
    return settle_categories(reader);
}

bool ig_lightgbm_probe(struct ig_str bytes)
{
    struct ig_str head = {bytes.ptr, bytes.len < 4096 ? bytes.len : 4096};
    return ig_str_starts(bytes, IG_STR("tree\nversion=")) ||
           ig_str_starts(bytes, IG_STR("tree\r\nversion=")) ||
           (ig_str_starts(bytes, IG_STR("tree")) &&
            memmem(head.ptr, head.len, "num_class=", 10) != NULL);
}

enum ig_code ig_lightgbm_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct reader reader = {.bytes = bytes, .rest = bytes, .err = err};
    reader.builder.err = err;
    reader.builder.bytes_count = bytes.len;
    reader.model = ig_model_new(((size_t)1 << 22) + bytes.len * 64);
    if (!reader.model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    reader.model->sum_rule = IG_SUM_F64;
    reader.model->category_truncates = true;
    bool good = read_model(&reader);
    lgb_builder_deinit(&reader.builder);
    if (good && ig_model_check(reader.model, err) == IG_OK) {
        *out = reader.model;
        return IG_OK;
    }
    ig_model_free(reader.model);
    return err->code;
}
