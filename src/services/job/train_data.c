/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the task out of a table. Thread rule: pure; the result belongs to one thread. */
#include "services/job/train_data.h"

#include "base/num.h"
#include "base/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "training data");
}

/* With the table's columns: the error that a user sees first. `what`: "target", "dropped column".
 */
static enum ig_code unknown_column(const struct ig_table *table, const char *what,
                                   struct ig_str name, struct ig_err *err)
{
    struct ig_buf names;
    ig_buf_init(&names, 280);
    for (size_t i = 0; i < table->columns_count && !names.overflowed; i++)
        ig_buf_printf(&names, "%s%.*s", i ? ", " : "", IG_STR_ARGS(table->columns[i].name));
    ig_fail(err, IG_INVALID, "%s '%.*s' is no column of the table; it has %zu: %s%s", what,
            name.len > 80 ? 80 : (int)name.len, name.ptr, table->columns_count,
            names.ptr ? names.ptr : "", names.overflowed ? ", ..." : "");
    ig_buf_deinit(&names);
    return err->code;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

/* The different values of a numeric column in ascending order, at most `max` + 1 of them. */
static size_t different_values(double *values, size_t max, const struct ig_column *column,
                               size_t rows)
{
    size_t count = 0;
    for (size_t i = 0; i < rows && count <= max; i++) {
        double value = column->values[i];
        size_t low = 0;
        if (isnan(value)) continue;
        while (low < count && values[low] < value) low++;
        if (low < count && values[low] == value) continue;
        memmove(values + low + 1, values + low, (count - low) * sizeof *values);
        values[low] = value;
        count++;
    }
    return count;
}

struct target {
    const struct ig_column *column;
    size_t values_count; /* different ones; numeric: capped at IG_TRAIN_CLASSES_MAX + 1 */
    double values[IG_TRAIN_CLASSES_MAX + 2]; /* numeric: ascending */
};

static enum ig_code read_target(struct target *target, const struct ig_table *table,
                                struct ig_str name, struct ig_err *err)
{
    target->column = ig_table_column(table, name);
    if (!target->column) return unknown_column(table, "target", name, err);
    if (target->column->type == IG_COLUMN_CATEGORICAL)
        target->values_count = target->column->categories_count;
    else
        target->values_count = different_values(target->values, IG_TRAIN_CLASSES_MAX,
                                                target->column, table->rows_count);
    if (target->values_count == 0)
        return ig_fail(err, IG_INVALID, "target '%.*s' has no values", IG_STR_ARGS(name));
    if (target->values_count == 1)
        return ig_fail(err, IG_INVALID, "target '%.*s' is constant: there is nothing to learn",
                       IG_STR_ARGS(name));
    return IG_OK;
}

static enum ig_code unsuitable(const struct target *target, const char *objective, const char *why,
                               struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "objective %s does not suit target '%.*s': %s", objective,
                   IG_STR_ARGS(target->column->name), why);
}

static enum ig_code choose_task(enum ig_task *task, const struct target *target,
                                const char *objective, struct ig_err *err)
{
    const struct ig_column *column = target->column;
    bool text = column->type == IG_COLUMN_CATEGORICAL;
    size_t count = target->values_count;
    if (strcmp(objective, "binary") == 0) {
        if (count != 2) return unsuitable(target, objective, "it has more than two values", err);
        *task = IG_TASK_BINARY;
    } else if (strcmp(objective, "multiclass") == 0) {
        if (count > IG_TRAIN_CLASSES_MAX)
            return unsuitable(target, objective, "it has more than 100 values", err);
        *task = IG_TASK_MULTICLASS;
    } else if (strcmp(objective, "regression") == 0) {
        if (text) return unsuitable(target, objective, "it is text", err);
        *task = IG_TASK_REGRESSION;
    } else if (text && count > IG_TRAIN_CLASSES_MAX) {
        return ig_fail(err, IG_INVALID,
                       "target '%.*s' is text with %zu different values; at most %d classes can be "
                       "learnt",
                       IG_STR_ARGS(column->name), count, IG_TRAIN_CLASSES_MAX);
    } else if (count == 2 && (text || column->integral)) {
        *task = IG_TASK_BINARY;
    } else if (text || (column->integral && count <= IG_TRAIN_AUTO_CLASSES_MAX)) {
        *task = IG_TASK_MULTICLASS;
    } else {
        *task = IG_TASK_REGRESSION;
    }
    return IG_OK;
}

static enum ig_code fill_classes(struct ig_schema *schema, const struct target *target,
                                 struct ig_arena *arena, struct ig_err *err)
{
    char text[IG_NUM_TEXT_MAX];
    if (schema->task == IG_TASK_REGRESSION) return IG_OK;
    schema->classes = ig_arena_array(arena, target->values_count, sizeof *schema->classes);
    if (!schema->classes) return no_memory(err);
    for (size_t i = 0; i < target->values_count; i++) {
        if (target->column->type == IG_COLUMN_CATEGORICAL) {
            schema->classes[i] = target->column->categories[i];
            continue;
        }
        size_t length = ig_num_format_f64(text, target->values[i]);
        schema->classes[i] = ig_arena_dup(arena, (struct ig_str){text, length});
    }
    schema->classes_count = (uint32_t)target->values_count;
    return arena->overflowed ? no_memory(err) : IG_OK;
}

static bool is_feature(const struct ig_column *column, const struct ig_train_options *options)
{
    return !ig_str_eq(column->name, options->target) && !ig_drop_has(&options->drop, column->name);
}

static enum ig_code fill_feature(struct ig_feature *feature, const struct ig_column *column,
                                 struct ig_arena *arena, struct ig_err *err)
{
    feature->name = column->name;
    feature->type = column->integral ? IG_FEATURE_INTEGER : IG_FEATURE_NUMERIC;
    if (column->type == IG_COLUMN_NUMERIC) return IG_OK;
    feature->type = IG_FEATURE_CATEGORICAL;
    if (column->categories_count > IG_TRAIN_CATEGORIES_MAX)
        return ig_fail(err, IG_INVALID, "column '%.*s' has %zu categories, at most %d",
                       IG_STR_ARGS(column->name), column->categories_count,
                       IG_TRAIN_CATEGORIES_MAX);
    feature->categories =
        ig_arena_array(arena, column->categories_count, sizeof *feature->categories);
    if (!feature->categories) return no_memory(err);
    memcpy(feature->categories, column->categories,
           column->categories_count * sizeof *feature->categories);
    feature->categories_count = (uint32_t)column->categories_count;
    return IG_OK;
}

static enum ig_code check_drop(const struct ig_table *table, const struct ig_train_options *options,
                               struct ig_err *err)
{
    for (size_t i = 0; i < options->drop.count; i++) {
        struct ig_str name = options->drop.names[i];
        if (!ig_table_column(table, name))
            return unknown_column(table, "dropped column", name, err);
        if (ig_str_eq(name, options->target))
            return ig_fail(err, IG_INVALID, "dropped column '%.*s' is the target",
                           IG_STR_ARGS(name));
    }
    return IG_OK;
}

static enum ig_code fill_features(struct ig_train_data *data,
                                  const struct ig_train_options *options, struct ig_arena *arena,
                                  struct ig_err *err)
{
    const struct ig_table *table = data->table;
    size_t count = 0;
    for (size_t i = 0; i < table->columns_count; i++)
        if (is_feature(&table->columns[i], options)) count++;
    if (count == 0)
        return ig_fail(err, IG_INVALID, "the table has no column besides the target '%.*s'%s",
                       IG_STR_ARGS(options->target),
                       options->drop.count ? " and those that are dropped" : "");
    data->features = ig_arena_array(arena, count, sizeof(void *));
    data->schema.features = ig_arena_array(arena, count, sizeof *data->schema.features);
    if (!data->features || !data->schema.features) return no_memory(err);
    for (size_t i = 0; i < table->columns_count; i++) {
        const struct ig_column *column = &table->columns[i];
        uint32_t at = data->schema.features_count;
        if (!is_feature(column, options)) continue;
        data->features[at] = column;
        data->schema.features_count++;
        enum ig_code code = fill_feature(&data->schema.features[at], column, arena, err);
        if (code != IG_OK) return code;
    }
    return ig_schema_index(&data->schema, err);
}

/* Labels by row; returns how many rows have one. */
static size_t fill_labels(struct ig_train_data *data, const struct target *target)
{
    const struct ig_column *column = target->column;
    size_t present = 0;
    for (size_t row = 0; row < data->table->rows_count; row++) {
        double label = NAN;
        if (column->type == IG_COLUMN_CATEGORICAL) {
            if (column->codes[row] >= 0) label = column->codes[row];
        } else if (data->schema.task == IG_TASK_REGRESSION) {
            label = column->values[row];
        } else if (!isnan(column->values[row])) {
            const double *found = bsearch(&column->values[row], target->values,
                                          target->values_count, sizeof(double), compare_doubles);
            label = (double)(found - target->values);
        }
        data->labels[row] = label;
        if (!isnan(label)) present++;
    }
    return present;
}

/* Draws the validation share of the rows in `members`, shuffled in place; marks them. */
static void draw(unsigned char *held_out, size_t *members, size_t count, double fraction,
                 struct ig_rng *rng)
{
    size_t wanted = (size_t)llround((double)count * fraction);
    if (wanted >= count && count > 0) wanted = count - 1;
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)ig_rng_below(rng, i);
        size_t kept = members[i - 1];
        members[i - 1] = members[other];
        members[other] = kept;
    }
    for (size_t i = 0; i < wanted; i++) held_out[members[i]] = 1;
}

static enum ig_code split(struct ig_train_data *data, size_t present,
                          const struct ig_train_options *options, struct ig_arena *arena,
                          struct ig_err *err)
{
    size_t rows = data->table->rows_count;
    size_t classes = data->schema.classes_count ? data->schema.classes_count : 1;
    unsigned char *held_out = ig_arena_zalloc(arena, rows);
    size_t *members = ig_arena_array(arena, present, sizeof *members);
    struct ig_rng rng;
    data->train = ig_arena_array(arena, present, sizeof *data->train);
    data->validation = ig_arena_array(arena, present, sizeof *data->validation);
    if (!held_out || !members || !data->train || !data->validation) return no_memory(err);
    ig_rng_seed(&rng, options->seed);
    for (size_t class_ = 0; class_ < classes && options->validation_fraction > 0; class_++) {
        size_t count = 0;
        for (size_t row = 0; row < rows; row++) {
            bool member = data->schema.classes_count ? data->labels[row] == (double)class_
                                                     : !isnan(data->labels[row]);
            if (member) members[count++] = row;
        }
        draw(held_out, members, count, options->validation_fraction, &rng);
    }
    for (size_t row = 0; row < rows; row++) {
        if (isnan(data->labels[row])) continue;
        if (held_out[row])
            data->validation[data->validation_count++] = row;
        else
            data->train[data->train_count++] = row;
    }
    return IG_OK;
}

enum ig_code ig_train_data_init(struct ig_train_data *out, const struct ig_table *table,
                                const struct ig_train_options *options, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_train_data data = {.table = table};
    struct target target = {0};
    enum ig_code code = read_target(&target, table, options->target, err);
    if (code == IG_OK) code = check_drop(table, options, err);
    if (code == IG_OK) code = choose_task(&data.schema.task, &target, options->objective, err);
    if (code != IG_OK) return code;
    data.schema.target = target.column->name;
    data.labels = ig_arena_array(arena, table->rows_count, sizeof *data.labels);
    if (!data.labels) code = no_memory(err);
    if (code == IG_OK) code = fill_classes(&data.schema, &target, arena, err);
    if (code == IG_OK) code = fill_features(&data, options, arena, err);
    if (code == IG_OK) {
        size_t present = fill_labels(&data, &target);
        data.dropped_count = table->rows_count - present;
        if (present < IG_TRAIN_ROWS_MIN)
            code = ig_fail(err, IG_INVALID,
                           "the table has %zu rows with a value in '%.*s', at least %d are needed",
                           present, IG_STR_ARGS(data.schema.target), IG_TRAIN_ROWS_MIN);
        else
            code = split(&data, present, options, arena, err);
    }
    if (code != IG_OK) {
        ig_schema_deinit(&data.schema);
        return code;
    }
    *out = data;
    return IG_OK;
}

void ig_train_data_deinit(struct ig_train_data *data)
{
    ig_schema_deinit(&data->schema);
}

void ig_train_data_row(const struct ig_train_data *data, size_t row, double *values)
{
    for (uint32_t i = 0; i < data->schema.features_count; i++) {
        const struct ig_column *column = data->features[i];
        if (column->type == IG_COLUMN_NUMERIC)
            values[i] = column->values[row];
        else
            values[i] = column->codes[row] < 0 ? (double)NAN : (double)column->codes[row];
    }
}
