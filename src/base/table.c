/* SPDX-License-Identifier: Apache-2.0 */
/* Tables by column, types inferred while reading.
 *
 * A column starts numeric: each cell is read as a number, and its text is kept in a log in case the
 * column turns out to hold words. The first cell that is no number makes the column categorical:
 * the log is replayed, and from then on every cell is interned as text (id by first appearance). So
 * the outcome does not depend on the order of rows, and numeric columns never pay for a map. */
#include "base/table.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS_MAX_DEFAULT ((size_t)100 * 1000 * 1000)
#define MEMORY_MAX_DEFAULT ((size_t)8 << 30)

enum { RECENT_COUNT = 64 };

struct builder {
    struct ig_buf log;    /* while numeric: length (4 bytes) and text of every present cell */
    struct ig_map index;  /* text -> id + 1 */
    struct ig_str *texts; /* id -> text, in the table's arena */
    size_t texts_count, texts_cap;
    int32_t recent[RECENT_COUNT]; /* id + 1 by a cheap hash, before the map is asked */
    double *values;
    int32_t *ids; /* -1 = missing; while numeric 0 for a present cell */
    size_t cap;
    bool numeric, integral;
    size_t missing_count;
    size_t nan_count; /* cells spelled as a NaN that the list of missing words does not hold */
};

struct reading {
    struct ig_table *table;
    struct builder *builders;
    size_t rows_max;
    size_t memory_left;
};

bool ig_table_is_missing(struct ig_str cell)
{
    static const struct ig_str words[] = {{"NA", 2},   {"NaN", 3},  {"nan", 3},
                                          {"null", 4}, {"None", 4}, {"?", 1}};
    if (!cell.len) return true;
    if (cell.len > 4 || (cell.ptr[0] != '?' && cell.ptr[0] < 'A')) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (ig_str_eq(cell, words[i])) return true;
    return false;
}

static enum ig_code out_of_memory(struct ig_err *err)
{
    return ig_fail(err, IG_TOO_LARGE, "table: does not fit into the memory allowed for it");
}

static bool charge(struct reading *reading, size_t bytes)
{
    if (bytes > reading->memory_left) return false;
    reading->memory_left -= bytes;
    return true;
}

static bool grow_column(struct reading *reading, struct builder *builder, size_t rows)
{
    if (rows < builder->cap) return true;
    size_t cap = builder->cap ? builder->cap * 2 : 256;
    if (!charge(reading, (cap - builder->cap) * (sizeof(double) + sizeof(int32_t)))) return false;
    double *values = ig_realloc(builder->values, cap * sizeof *values);
    if (values) builder->values = values;
    int32_t *ids = ig_realloc(builder->ids, cap * sizeof *ids);
    if (ids) builder->ids = ids;
    if (!values || !ids) return false;
    builder->cap = cap;
    return true;
}

/* The id of a text met before, from the map. */
static bool intern_slowly(struct reading *reading, struct builder *builder, struct ig_str cell,
                          int32_t *id)
{
    uintptr_t found = (uintptr_t)ig_map_get(&builder->index, cell);
    if (!found) {
        if (!charge(reading, cell.len + 64) || builder->texts_count >= INT32_MAX - 1) return false;
        if (builder->texts_count == builder->texts_cap) {
            size_t cap = builder->texts_cap ? builder->texts_cap * 2 : 16;
            struct ig_str *texts = ig_realloc(builder->texts, cap * sizeof *texts);
            if (!texts) return false;
            builder->texts = texts;
            builder->texts_cap = cap;
        }
        struct ig_str copy = ig_arena_dup(reading->table->arena, cell);
        found = builder->texts_count + 1;
        if (!copy.ptr || !ig_map_put(&builder->index, cell, (void *)found)) return false;
        builder->texts[builder->texts_count++] = copy;
    }
    *id = (int32_t)(found - 1);
    return true;
}

static bool intern(struct reading *reading, struct builder *builder, struct ig_str cell,
                   int32_t *id)
{
    const unsigned char *p = (const unsigned char *)cell.ptr;
    size_t hash = cell.len;
    if (hash) hash += 31u * p[0] + 7u * p[cell.len - 1] + 3u * p[cell.len / 2];
    int32_t *recent = &builder->recent[hash % RECENT_COUNT];
    if (*recent && ig_str_eq(builder->texts[*recent - 1], cell)) {
        *id = *recent - 1;
        return true;
    }
    if (!intern_slowly(reading, builder, cell, id)) return false;
    *recent = *id + 1;
    return true;
}

static bool log_cell(struct reading *reading, struct builder *builder, struct ig_str cell)
{
    uint32_t length = (uint32_t)cell.len;
    if (length != cell.len) return false;
    size_t before = builder->log.cap;
    ig_buf_add(&builder->log, &length, sizeof length);
    ig_buf_add_str(&builder->log, cell);
    return !builder->log.overflowed && charge(reading, builder->log.cap - before);
}

/* The column holds words after all: gives every logged cell its id. */
static bool turn_categorical(struct reading *reading, struct builder *builder)
{
    const char *p = builder->log.ptr;
    builder->numeric = false;
    for (size_t row = 0; row < reading->table->rows_count; row++) {
        if (builder->ids[row] < 0) continue;
        uint32_t length;
        memcpy(&length, p, sizeof length);
        p += sizeof length;
        if (!intern(reading, builder, (struct ig_str){p, length}, &builder->ids[row])) return false;
        p += length;
    }
    reading->memory_left += builder->log.cap;
    ig_buf_deinit(&builder->log);
    return true;
}

static bool add_number(struct reading *reading, struct builder *builder, struct ig_str cell,
                       double number)
{
    size_t row = reading->table->rows_count;
    builder->values[row] = number;
    builder->ids[row] = 0;
    if (isnan(number))
        builder->nan_count++;
    else if (!(number == trunc(number) && fabs(number) < 0x1p53))
        builder->integral = false;
    return log_cell(reading, builder, cell);
}

static bool add_cell(struct reading *reading, struct builder *builder, struct ig_str cell)
{
    size_t row = reading->table->rows_count;
    if (!grow_column(reading, builder, row)) return false;
    builder->values[row] = (double)NAN;
    builder->ids[row] = -1;
    if (ig_table_is_missing(cell)) {
        builder->missing_count++;
        return true;
    }
    double number;
    if (builder->numeric) {
        if (ig_str_to_f64(ig_str_trim(cell), &number))
            return add_number(reading, builder, cell, number);
        if (!turn_categorical(reading, builder)) return false;
    }
    return intern(reading, builder, cell, &builder->ids[row]);
}

static enum ig_code add_row(struct reading *reading, const struct ig_csv *csv,
                            const struct ig_str *cells, size_t count, struct ig_err *err)
{
    struct ig_table *table = reading->table;
    if (count != table->columns_count)
        return ig_fail(err, IG_INVALID, "table: line %llu has %zu fields, expected %zu",
                       (unsigned long long)ig_csv_line(csv), count, table->columns_count);
    if (table->rows_count >= reading->rows_max)
        return ig_fail(err, IG_TOO_LARGE, "table: more than %zu rows", reading->rows_max);
    for (size_t i = 0; i < count; i++)
        if (!add_cell(reading, &reading->builders[i], cells[i])) return out_of_memory(err);
    table->rows_count++;
    return IG_OK;
}

static enum ig_code name_columns(struct reading *reading, const struct ig_str *names, size_t count,
                                 bool header, struct ig_err *err)
{
    struct ig_table *table = reading->table;
    struct ig_map seen;
    ig_map_init(&seen, count);
    table->columns = ig_arena_array(table->arena, count, sizeof *table->columns);
    reading->builders = ig_zalloc_array(count, sizeof *reading->builders);
    if (!table->columns || !reading->builders) {
        out_of_memory(err);
        goto out;
    }
    table->columns_count = count;
    for (size_t i = 0; i < count; i++) {
        reading->builders[i].numeric = reading->builders[i].integral = true;
        ig_map_init(&reading->builders[i].index, INT32_MAX);
        ig_buf_init(&reading->builders[i].log, reading->memory_left);
        char made[24];
        snprintf(made, sizeof made, "f%zu", i);
        struct ig_str name = header ? ig_str_trim(names[i]) : ig_str_view(made);
        table->columns[i].name = ig_arena_dup(table->arena, name);
        if (!name.len)
            ig_fail(err, IG_INVALID, "table: column %zu has an empty name in the header", i + 1);
        else if (ig_map_get(&seen, name))
            ig_fail(err, IG_INVALID, "table: the header names column '%.*s' twice",
                    IG_STR_ARGS(name));
        else if (!table->columns[i].name.ptr || !ig_map_put(&seen, name, table))
            out_of_memory(err);
        if (err->code != IG_OK) goto out;
    }
out:
    ig_map_deinit(&seen);
    return err->code;
}

struct sorted_text {
    struct ig_str text;
    int32_t id;
};

static int compare_texts(const void *a, const void *b)
{
    const struct sorted_text *left = a, *right = b;
    size_t least = left->text.len < right->text.len ? left->text.len : right->text.len;
    int order = least ? memcmp(left->text.ptr, right->text.ptr, least) : 0;
    if (order) return order;
    return (left->text.len > right->text.len) - (left->text.len < right->text.len);
}

/* Renumbers texts in byte order. */
static bool finish_categories(struct ig_table *table, struct ig_column *column,
                              struct builder *builder)
{
    size_t count = builder->texts_count;
    struct sorted_text *sorted = ig_zalloc_array(count, sizeof *sorted);
    int32_t *code_of = ig_zalloc_array(count, sizeof *code_of);
    struct ig_str *categories = ig_arena_array(table->arena, count, sizeof *categories);
    int32_t *codes = ig_arena_array(table->arena, table->rows_count, sizeof *codes);
    bool done = sorted && code_of && categories && codes;
    if (done) {
        for (size_t i = 0; i < count; i++)
            sorted[i] = (struct sorted_text){builder->texts[i], (int32_t)i};
        qsort(sorted, count, sizeof *sorted, compare_texts);
        for (size_t i = 0; i < count; i++) {
            code_of[sorted[i].id] = (int32_t)i;
            categories[i] = sorted[i].text;
        }
        for (size_t row = 0; row < table->rows_count; row++)
            codes[row] = builder->ids[row] < 0 ? -1 : code_of[builder->ids[row]];
        column->categories = categories;
        column->categories_count = count;
        column->codes = codes;
    }
    ig_free(sorted);
    ig_free(code_of);
    return done;
}

static bool finish_column(struct ig_table *table, struct ig_column *column, struct builder *builder)
{
    column->missing_count = builder->missing_count + (builder->numeric ? builder->nan_count : 0);
    column->type = builder->numeric ? IG_COLUMN_NUMERIC : IG_COLUMN_CATEGORICAL;
    column->integral = builder->numeric && builder->integral;
    if (!builder->numeric) return finish_categories(table, column, builder);
    double *values = ig_arena_array(table->arena, table->rows_count, sizeof *values);
    if (!values) return false;
    if (table->rows_count) memcpy(values, builder->values, table->rows_count * sizeof *values);
    column->values = values;
    return true;
}

static void builder_deinit(struct builder *builder)
{
    ig_map_deinit(&builder->index);
    ig_buf_deinit(&builder->log);
    ig_free(builder->texts);
    ig_free(builder->values);
    ig_free(builder->ids);
}

static enum ig_code read_rows(struct reading *reading, struct ig_csv *csv, bool header,
                              struct ig_err *err)
{
    const struct ig_str *cells;
    size_t count;
    if (!ig_csv_next(csv, &cells, &count, err))
        return err->code != IG_OK ? err->code
                                  : ig_fail(err, IG_INVALID, "table: the input is empty");
    if (name_columns(reading, cells, count, header, err) != IG_OK) return err->code;
    if (!header && add_row(reading, csv, cells, count, err) != IG_OK) return err->code;
    while (ig_csv_next(csv, &cells, &count, err))
        if (add_row(reading, csv, cells, count, err) != IG_OK) return err->code;
    return err->code;
}

enum ig_code ig_table_read(struct ig_table **out, struct ig_csv *csv,
                           const struct ig_table_options *options, struct ig_err *err)
{
    size_t memory_max =
        options && options->memory_max_bytes ? options->memory_max_bytes : MEMORY_MAX_DEFAULT;
    struct reading reading = {
        .rows_max = options && options->rows_max ? options->rows_max : ROWS_MAX_DEFAULT,
        .memory_left = memory_max,
    };
    struct ig_table *table = ig_zalloc(sizeof *table);
    struct ig_arena *arena = ig_alloc(sizeof *arena);
    if (!table || !arena) {
        ig_free(table);
        ig_free(arena);
        return out_of_memory(err);
    }
    ig_arena_init(arena, (size_t)1 << 20, memory_max);
    table->arena = arena;
    reading.table = table;
    enum ig_code code = read_rows(&reading, csv, !(options && options->no_header), err);
    IG_ASSERT(reading.builders != NULL || table->columns_count == 0);
    for (size_t i = 0; i < table->columns_count; i++) {
        if (code == IG_OK && !finish_column(table, &table->columns[i], &reading.builders[i]))
            code = out_of_memory(err);
        builder_deinit(&reading.builders[i]);
    }
    ig_free(reading.builders);
    if (code == IG_OK)
        *out = table;
    else
        ig_table_free(table);
    return code;
}

enum ig_code ig_table_read_fd(struct ig_table **out, int fd, const struct ig_table_options *options,
                              struct ig_err *err)
{
    struct ig_csv *csv;
    if (ig_csv_open_fd(&csv, fd, options ? &options->csv : NULL, err) != IG_OK) return err->code;
    ig_table_read(out, csv, options, err);
    ig_csv_close(csv);
    return err->code;
}

void ig_table_free(struct ig_table *table)
{
    if (!table) return;
    struct ig_arena *arena = table->arena;
    ig_arena_deinit(arena);
    ig_free(arena);
    ig_free(table);
}

const struct ig_column *ig_table_column(const struct ig_table *table, struct ig_str name)
{
    for (size_t i = 0; i < table->columns_count; i++)
        if (ig_str_eq(table->columns[i].name, name)) return &table->columns[i];
    return NULL;
}
