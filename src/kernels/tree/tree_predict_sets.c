/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the bit tables of category splits and reads a row's codes. What counts as a code follows
 * the model: XGBoost takes [0, 2^24), LightGBM cuts toward zero and takes (-1, 2^31). */
#include "kernels/tree/tree_predict_sets.h"

#include <math.h>
#include <string.h>

enum { CODES_MAX = UINT16_MAX - 2 };

static uint32_t table_words(uint32_t codes)
{
    return (codes + 2 + 31) / 32;
}

/* Widest set of each feature + 1, or 0 where no node asks; false when a limit is passed. Tables are
 * as wide as the feature's widest set, so one wide set among many narrow ones could ask for far
 * more memory than the model itself has. */
static bool measure(const struct ig_model *model, uint32_t *widths, uint64_t *words,
                    uint32_t *tables)
{
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op != IG_NODE_IN) continue;
        uint32_t bits = model->sets[node->extra].bits;
        if (bits > CODES_MAX || node->missing == IG_NODE_MISSING_ZERO) return false;
        if (bits + 1 > widths[node->feature]) widths[node->feature] = bits + 1;
        ++*tables;
    }
    uint64_t most = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op != IG_NODE_IN) continue;
        *words += table_words(widths[node->feature] - 1);
        most += 16 + 4 * (uint64_t)table_words(model->sets[node->extra].bits);
    }
    return *tables < UINT16_MAX && *words <= most;
}

static void set_bit(uint32_t *words, uint32_t bit, bool value)
{
    uint32_t mask = 1U << bit % 32;
    words[bit / 32] = value ? words[bit / 32] | mask : words[bit / 32] & ~mask;
}

static void fill_table(const struct ig_model *model, const struct ig_node *node, uint32_t codes,
                       uint32_t *words)
{
    const struct ig_category_set *set = &model->sets[node->extra];
    bool members_left = node->flags & IG_NODE_SET_LEFT;
    memset(words, members_left ? 0xff : 0, table_words(codes) * sizeof *words);
    for (uint32_t w = 0; w * 32 < set->bits; w++) {
        uint32_t rest = set->bits - w * 32;
        uint32_t valid = rest >= 32 ? UINT32_MAX : (1U << rest) - 1;
        words[w] ^= set->words[w] & valid;
    }
    set_bit(words, codes, members_left);
    bool as_zero = codes > 0 ? words[0] & 1 : members_left;
    bool default_right = !(node->flags & IG_NODE_DEFAULT_LEFT);
    set_bit(words, codes + 1, node->missing == IG_NODE_MISSING_NONE ? as_zero : default_right);
}

static void fill(struct ig_tree_sets *sets, const struct ig_model *model, uint32_t *widths,
                 struct ig_tree_test *tests)
{
    for (uint32_t f = 0, column = 0; f < model->features_count; f++) {
        if (!widths[f]) continue;
        sets->columns[column] = (struct ig_tree_sets_column){f, widths[f] - 1};
        widths[f] = column++;
    }
    uint32_t table = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op != IG_NODE_IN) continue;
        uint32_t column = widths[node->feature];
        tests[i] = (struct ig_tree_test){(uint16_t)(sets->first_column + column), (uint16_t)table};
        sets->tables[table++] = at;
        fill_table(model, node, sets->columns[column].codes, sets->words + at);
        at += table_words(sets->columns[column].codes);
    }
}

enum ig_code ig_tree_sets_init(struct ig_tree_sets *sets, const struct ig_model *model,
                               struct ig_tree_test *tests, struct ig_arena *arena,
                               struct ig_err *err)
{
    struct ig_arena scratch;
    ig_arena_init(&scratch, 64 * 1024, SIZE_MAX);
    uint64_t words = 0;
    uint32_t *widths = ig_arena_array(&scratch, model->features_count, sizeof *widths);
    sets->f32 = model->inputs_f32;
    sets->truncates = model->category_truncates;
    if (!widths) {
        ig_fail(err, IG_NO_MEMORY, "no memory for category splits");
        goto out;
    }
    if (!measure(model, widths, &words, &sets->tables_count)) {
        ig_fail(err, IG_TOO_LARGE, "category splits are too many or too wide");
        goto out;
    }
    for (uint32_t f = 0; f < model->features_count; f++) sets->columns_count += widths[f] > 0;
    if (sets->first_column + (uint64_t)sets->columns_count > UINT16_MAX) {
        ig_fail(err, IG_TOO_LARGE, "%u category columns", sets->columns_count);
        goto out;
    }
    sets->columns = ig_arena_array(arena, sets->columns_count, sizeof *sets->columns);
    sets->tables = ig_arena_array(arena, sets->tables_count, sizeof *sets->tables);
    sets->words = ig_arena_array(arena, words, sizeof *sets->words);
    if (arena->overflowed)
        ig_fail(err, IG_NO_MEMORY, "no memory for category splits");
    else
        fill(sets, model, widths, tests);
out:
    ig_arena_deinit(&scratch);
    return err->code;
}

void ig_tree_sets_row(const struct ig_tree_sets *sets, const double *row, uint16_t *ranks)
{
    double end = sets->truncates ? 2147483648.0 : 16777216.0;
    for (uint32_t i = 0; i < sets->columns_count; i++) {
        const struct ig_tree_sets_column *column = &sets->columns[i];
        double x = row[column->feature];
        if (sets->f32) x = (double)(float)x;
        uint32_t code = column->codes;
        bool above = sets->truncates ? x > -1 : x >= 0;
        if (isnan(x))
            code = column->codes + 1;
        else if (above && x < end && (int64_t)x < (int64_t)column->codes)
            code = (uint32_t)(int64_t)x;
        ranks[sets->first_column + i] = (uint16_t)code;
    }
}
