/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/fairness_report_groups.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CUTS = 3, NAME_SIZE = 256 };

static const double Z = 1.959963984540054; /* 97.5% of a standard normal */

static enum ig_code no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "fairness: no memory for groups");
}

static enum ig_code too_many(struct ig_str name, size_t count, struct ig_err *err)
{
    return ig_fail(err, IG_INVALID, "protected: '%.*s' has %zu groups, at most %d",
                   (int)(name.len > 128 ? 128 : name.len), name.ptr, count, IG_FAIRNESS_GROUPS_MAX);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* `cuts`: the upper ends of all groups but the last, ascending; returns how many. */
static size_t find_cuts(const struct ig_column *column, size_t rows_count, double *sorted,
                        double *cuts, bool *is_values)
{
    size_t present = 0, distinct = 0, count = 0;
    for (size_t i = 0; i < rows_count; i++)
        if (!isnan(column->values[i])) sorted[present++] = column->values[i];
    qsort(sorted, present, sizeof *sorted, compare_doubles);
    for (size_t i = 0; i < present; i++) {
        if (i && sorted[i] == sorted[i - 1]) continue;
        if (distinct < IG_FAIRNESS_VALUES_MAX) cuts[distinct] = sorted[i];
        distinct++;
    }
    *is_values = distinct <= IG_FAIRNESS_VALUES_MAX;
    if (*is_values) return distinct;
    for (size_t i = 1; i <= CUTS; i++) {
        double cut = sorted[(present * i - 1) / (CUTS + 1)];
        if (cut < sorted[present - 1] && (count == 0 || cut > cuts[count - 1])) cuts[count++] = cut;
    }
    return count;
}

static void name_number(struct ig_str *out, struct ig_arena *arena, const double *cuts,
                        size_t count, size_t i, bool is_values)
{
    char text[NAME_SIZE];
    if (is_values)
        snprintf(text, sizeof text, "%.7g", cuts[i]);
    else if (i == 0)
        snprintf(text, sizeof text, "up to %.7g", cuts[0]);
    else if (i == count)
        snprintf(text, sizeof text, "above %.7g", cuts[count - 1]);
    else
        snprintf(text, sizeof text, "above %.7g up to %.7g", cuts[i - 1], cuts[i]);
    *out = ig_arena_dup(arena, ig_str_view(text));
}

static enum ig_code numeric_groups(struct ig_fairness_groups *out, const struct ig_column *column,
                                   size_t rows_count, struct ig_arena *arena, struct ig_err *err)
{
    double cuts[IG_FAIRNESS_VALUES_MAX + 1], *sorted;
    bool is_values;
    sorted = ig_arena_array(arena, rows_count, sizeof *sorted);
    if (!sorted) return no_memory(err);
    size_t count = find_cuts(column, rows_count, sorted, cuts, &is_values);
    size_t ranges = is_values ? count : count + 1;
    out->names = ig_arena_array(arena, ranges + 1, sizeof *out->names);
    if (!out->names) return no_memory(err);
    for (size_t i = 0; i < ranges; i++)
        name_number(&out->names[i], arena, cuts, count, i, is_values);
    for (size_t row = 0; row < rows_count; row++) {
        double value = column->values[row];
        size_t at = 0;
        while (at < count && value > cuts[at]) at++;
        out->of_row[row] = (uint32_t)(isnan(value) ? ranges : at);
    }
    out->count = (uint32_t)ranges;
    return IG_OK;
}

static enum ig_code text_groups(struct ig_fairness_groups *out, const struct ig_column *column,
                                size_t rows_count, struct ig_arena *arena, struct ig_err *err)
{
    size_t count = column->categories_count;
    if (count > IG_FAIRNESS_GROUPS_MAX - 1) return too_many(column->name, count, err);
    out->names = ig_arena_array(arena, count + 1, sizeof *out->names);
    if (!out->names) return no_memory(err);
    for (size_t i = 0; i < count; i++) out->names[i] = ig_arena_dup(arena, column->categories[i]);
    for (size_t row = 0; row < rows_count; row++) {
        int32_t code = column->codes[row];
        out->of_row[row] = code < 0 ? (uint32_t)count : (uint32_t)code;
    }
    out->count = (uint32_t)count;
    return IG_OK;
}

enum ig_code ig_fairness_groups_of(struct ig_fairness_groups *out, const struct ig_column *column,
                                   size_t rows_count, struct ig_arena *arena, struct ig_err *err)
{
    *out = (struct ig_fairness_groups){.name = ig_arena_dup(arena, column->name)};
    out->of_row = ig_arena_array(arena, rows_count, sizeof *out->of_row);
    if (!out->of_row) return no_memory(err);
    enum ig_code code = column->type == IG_COLUMN_NUMERIC
                            ? numeric_groups(out, column, rows_count, arena, err)
                            : text_groups(out, column, rows_count, arena, err);
    if (code != IG_OK) return code;
    if (column->missing_count) out->names[out->count++] = IG_STR("(missing)");
    return arena->overflowed ? no_memory(err) : IG_OK;
}

/* ---- intersections ---- */

static int compare_keys(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static struct ig_str name_combination(const struct ig_fairness_groups *parts, size_t parts_count,
                                      uint64_t key, struct ig_arena *arena)
{
    uint32_t of_part[IG_FAIRNESS_COLUMNS_MAX];
    struct ig_buf text;
    for (size_t i = parts_count; i-- > 0; key /= parts[i].count)
        of_part[i] = (uint32_t)(key % parts[i].count);
    ig_buf_init(&text, 1 << 16);
    for (size_t i = 0; i < parts_count; i++) {
        ig_buf_add_cstr(&text, i ? " & " : "");
        ig_buf_add_str(&text, parts[i].names[of_part[i]]);
    }
    struct ig_str name = ig_arena_dup(arena, ig_buf_view(&text));
    ig_buf_deinit(&text);
    return name;
}

static struct ig_str name_columns(const struct ig_fairness_groups *parts, size_t parts_count,
                                  struct ig_arena *arena)
{
    struct ig_buf text;
    ig_buf_init(&text, 1 << 16);
    for (size_t i = 0; i < parts_count; i++) {
        ig_buf_add_cstr(&text, i ? " & " : "");
        ig_buf_add_str(&text, parts[i].name);
    }
    struct ig_str name = ig_arena_dup(arena, ig_buf_view(&text));
    ig_buf_deinit(&text);
    return name;
}

enum ig_code ig_fairness_groups_cross(struct ig_fairness_groups *out,
                                      const struct ig_fairness_groups *parts, size_t parts_count,
                                      size_t rows_count, struct ig_arena *arena, struct ig_err *err)
{
    uint64_t *keys = ig_arena_array(arena, rows_count, sizeof *keys), distinct = 0;
    uint64_t *sorted = ig_arena_array(arena, rows_count, sizeof *sorted);
    *out = (struct ig_fairness_groups){.name = name_columns(parts, parts_count, arena)};
    out->of_row = ig_arena_array(arena, rows_count, sizeof *out->of_row);
    if (arena->overflowed) return no_memory(err);
    for (size_t row = 0; row < rows_count; row++) {
        keys[row] = 0; /* 8 columns of at most 256 groups fit */
        for (size_t i = 0; i < parts_count; i++)
            keys[row] = keys[row] * parts[i].count + parts[i].of_row[row];
    }
    memcpy(sorted, keys, rows_count * sizeof *keys);
    qsort(sorted, rows_count, sizeof *sorted, compare_keys);
    for (size_t i = 0; i < rows_count; i++)
        if (i == 0 || sorted[i] != sorted[i - 1]) sorted[distinct++] = sorted[i];
    if (distinct > IG_FAIRNESS_GROUPS_MAX) return too_many(out->name, distinct, err);
    out->count = (uint32_t)distinct;
    out->names = ig_arena_array(arena, distinct, sizeof *out->names);
    if (!out->names) return no_memory(err);
    for (size_t i = 0; i < distinct; i++)
        out->names[i] = name_combination(parts, parts_count, sorted[i], arena);
    for (size_t row = 0; row < rows_count; row++) {
        const uint64_t *at = bsearch(&keys[row], sorted, distinct, sizeof *sorted, compare_keys);
        out->of_row[row] = (uint32_t)(at - sorted);
    }
    return arena->overflowed ? no_memory(err) : IG_OK;
}

/* ---- contributions ---- */

bool ig_fairness_moments_init(struct ig_fairness_moments *moments, uint32_t groups_count,
                              uint32_t features_count, struct ig_arena *arena)
{
    size_t cells = (size_t)groups_count * features_count, bytes = cells * sizeof(double);
    moments->groups_count = groups_count;
    moments->features_count = features_count;
    moments->rows = ig_arena_zalloc(arena, groups_count * sizeof *moments->rows);
    moments->means = ig_arena_zalloc(arena, bytes ? bytes : 1);
    moments->spread = ig_arena_zalloc(arena, bytes ? bytes : 1);
    return !arena->overflowed;
}

void ig_fairness_moments_add(struct ig_fairness_moments *moments, uint32_t group,
                             const double *contributions)
{
    double *means = moments->means + (size_t)group * moments->features_count;
    double *spread = moments->spread + (size_t)group * moments->features_count;
    double count = (double)++moments->rows[group];
    for (uint32_t f = 0; f < moments->features_count; f++) {
        double off = contributions[f] - means[f];
        means[f] += off / count;
        spread[f] += off * (contributions[f] - means[f]);
    }
}

/* Squared standard error of a group's mean. */
static double error_of(const struct ig_fairness_moments *moments, uint32_t group, uint32_t feature)
{
    double rows = (double)moments->rows[group];
    return moments->spread[(size_t)group * moments->features_count + feature] / (rows - 1) / rows;
}

static int compare_gaps(const void *a, const void *b)
{
    const struct ig_fairness_attribution *x = a, *y = b;
    if (x->difference.value != y->difference.value)
        return x->difference.value < y->difference.value ? 1 : -1;
    size_t shared = x->feature.len < y->feature.len ? x->feature.len : y->feature.len;
    int order = memcmp(x->feature.ptr, y->feature.ptr, shared);
    return order ? order : (x->feature.len > y->feature.len) - (x->feature.len < y->feature.len);
}

uint32_t ig_fairness_moments_gaps(const struct ig_fairness_moments *moments,
                                  const struct ig_fairness_group *groups,
                                  const struct ig_schema *schema,
                                  struct ig_fairness_attribution *gaps)
{
    uint32_t features = moments->features_count, compared = 0;
    for (uint32_t g = 0; g < moments->groups_count; g++) compared += groups[g].compared;
    if (compared < 2) return 0;
    for (uint32_t f = 0; f < features; f++) {
        struct ig_fairness_attribution *gap = &gaps[f];
        bool any = false;
        gap->feature = schema->features[f].name;
        for (uint32_t g = 0; g < moments->groups_count; g++) {
            const double *mean = moments->means + f;
            if (!groups[g].compared) continue;
            if (!any) gap->most = gap->least = g;
            any = true;
            if (mean[(size_t)g * features] > mean[(size_t)gap->most * features]) gap->most = g;
            if (mean[(size_t)g * features] < mean[(size_t)gap->least * features]) gap->least = g;
        }
        double value = moments->means[(size_t)gap->most * features + f] -
                       moments->means[(size_t)gap->least * features + f];
        double half = Z * sqrt(error_of(moments, gap->most, f) + error_of(moments, gap->least, f));
        gap->difference = (struct ig_fairness_rate){value, value - half, value + half};
    }
    qsort(gaps, features, sizeof *gaps, compare_gaps);
    return features;
}
