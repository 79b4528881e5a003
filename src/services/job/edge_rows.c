/* SPDX-License-Identifier: Apache-2.0 */
/* Rows for small models. Owns nothing: all is in the caller's arena. */
#include "services/job/edge_rows.h"

#include "base/mem.h"

#include <math.h>
#include <string.h>

enum { JUDGED_ROWS = 256, CANDIDATES = 8, FEW_ROWS = 5000, ALIGNMENT = 64 };

static void *take(struct ig_arena *arena, size_t count, size_t columns, size_t bytes)
{
    size_t each;
    if (!ig_mul(&each, columns ? columns : 1, bytes)) return NULL;
    return ig_arena_array(arena, count + 1, each);
}

/* ---- the teacher ---- */

static size_t rounded(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* A member's own scratch, then its rows, then its values. */
static size_t member_bytes(const struct ig_predictor *member, size_t rows_count)
{
    return rounded(member->scratch_bytes(member, rows_count)) +
           rows_count * (member->features_count + member->values_count) * sizeof(double);
}

static size_t teacher_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    const struct ig_edge_teacher *teacher = predictor->context;
    size_t most = 0;
    for (size_t i = 0; i < teacher->count; i++) {
        size_t bytes = member_bytes(&teacher->members[i], rows_count);
        if (bytes > most) most = bytes;
    }
    return most;
}

static void add_member(const struct ig_edge_teacher *teacher, size_t index, const double *rows,
                       size_t rows_count, double *values, void *scratch)
{
    const struct ig_predictor *member = &teacher->members[index];
    size_t own = rounded(member->scratch_bytes(member, rows_count));
    double *mapped = (void *)((char *)scratch + own);
    double *given = mapped + rows_count * member->features_count;
    ig_feature_map_rows(&teacher->maps[index], rows, rows_count, teacher->width, mapped);
    member->run(member, mapped, rows_count, given, scratch);
    for (size_t i = 0; i < rows_count * member->values_count; i++)
        values[i] += given[i] / (double)teacher->count;
}

static void teacher_run(const struct ig_predictor *predictor, const double *rows, size_t rows_count,
                        double *values, void *scratch)
{
    const struct ig_edge_teacher *teacher = predictor->context;
    memset(values, 0, rows_count * predictor->values_count * sizeof *values);
    for (size_t i = 0; i < teacher->count; i++)
        add_member(teacher, i, rows, rows_count, values, scratch);
}

struct ig_predictor ig_edge_rows_teacher(const struct ig_edge_rows *rows)
{
    const struct ig_edge_teacher *teacher = &rows->teacher;
    return (struct ig_predictor){teacher->width, teacher->members[0].values_count, teacher,
                                 teacher_run, teacher_scratch};
}

static enum ig_code open_teacher(struct ig_edge_rows *rows, const struct ig_edge_models *models,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_edge_teacher *teacher = &rows->teacher;
    teacher->width = rows->schema->features_count;
    for (size_t i = 0; i < models->teachers_count; i++) {
        const struct ig_package *package = models->teachers[i];
        teacher->members[i] = ig_predictor_response(package->engine);
        if (ig_schema_map(&teacher->maps[i], &package->schema, rows->schema, arena, err) != IG_OK)
            break;
        if (teacher->members[i].values_count != teacher->members[0].values_count) {
            ig_fail(err, IG_INVALID, "%u values a row, the first gives %u",
                    teacher->members[i].values_count, teacher->members[0].values_count);
            break;
        }
        teacher->count++;
    }
    if (err->code != IG_OK) ig_err_prefix(err, "teacher");
    rows->taught = teacher->count > 0;
    return err->code;
}

/* ---- rows ---- */

static enum ig_code take_part(struct ig_edge_part *part, const struct ig_edge_rows *rows,
                              size_t real, size_t count, struct ig_arena *arena, struct ig_err *err)
{
    uint32_t features = rows->schema->features_count;
    *part = (struct ig_edge_part){.real = real, .count = count};
    part->rows = take(arena, count, features, sizeof(double));
    part->labels = take(arena, count, 1, sizeof(float));
    part->truth = take(arena, real, 1, sizeof(double));
    if (rows->taught) part->answers = take(arena, count, rows->outputs, sizeof(float));
    if (arena->overflowed || !part->rows || !part->labels || !part->truth)
        return ig_fail(err, IG_NO_MEMORY, "%zu rows of %u features", count, features);
    for (size_t i = real; i < count; i++) part->labels[i] = NAN;
    return IG_OK;
}

static enum ig_code fill_part(struct ig_edge_part *part, const struct ig_edge_rows_options *options,
                              const size_t *numbers, const struct ig_feature_map *map,
                              struct ig_err *err)
{
    const struct ig_train_data *data = options->data;
    uint32_t width = data->schema.features_count;
    double *row = ig_zalloc_array(width, sizeof *row);
    if (!row) return ig_fail(err, IG_NO_MEMORY, "a row of %u features", width);
    for (size_t i = 0; i < part->real; i++) {
        ig_train_data_row(data, numbers[i], row);
        if (map)
            ig_feature_map_rows(map, row, 1, width, part->rows + i * map->features_count);
        else
            memcpy(part->rows + i * width, row, width * sizeof *row);
        part->truth[i] = data->labels[numbers[i]];
        part->labels[i] = (float)part->truth[i];
    }
    ig_free(row);
    return IG_OK;
}

/* ---- the encoder ---- */

/* Pixels have one scale, so that a filter means the same at every place. */
static enum ig_code share_scale(struct ig_edge_rows *rows, uint32_t pixels, struct ig_err *err)
{
    double sum = 0, squares = 0;
    const struct ig_schema *schema = rows->schema;
    size_t count = rows->train.real * schema->features_count;
    if (schema->features_count != pixels)
        return ig_fail(err, IG_INVALID,
                       "parameter 'input_shape': %u pixels, the table has %u columns", pixels,
                       schema->features_count);
    for (uint32_t i = 0; i < schema->features_count; i++)
        if (rows->encoder.features[i].categories || rows->encoder.features[i].missing)
            return ig_fail(err, IG_INVALID,
                           "parameter 'input_shape': column '%.*s' is not a number throughout",
                           IG_STR_ARGS(schema->features[i].name));
    for (size_t i = 0; i < count; i++) sum += rows->train.rows[i];
    for (size_t i = 0; i < count; i++) {
        double off = rows->train.rows[i] - sum / (double)count;
        squares += off * off;
    }
    double deviation = sqrt(squares / (double)count);
    for (uint32_t i = 0; i < schema->features_count; i++) {
        rows->encoder.features[i].mean = (float)(sum / (double)count);
        rows->encoder.features[i].deviation = deviation > 0 ? (float)deviation : 1;
    }
    return IG_OK;
}

static struct ig_encoder_rows real_rows(const struct ig_edge_rows *rows, const uint32_t *categories,
                                        bool ranks)
{
    return (struct ig_encoder_rows){rows->train.rows, rows->train.real,
                                    rows->schema->features_count, categories, ranks};
}

static enum ig_code open_encoder(struct ig_edge_rows *rows,
                                 const struct ig_edge_rows_options *options,
                                 const uint32_t *categories, struct ig_arena *arena,
                                 struct ig_err *err)
{
    const struct ig_package *source = options->models.source;
    bool ranks = strcmp(options->params->ranks.text, "on") == 0 && !options->pixels;
    rows->encoded = !source || source->model->encoder;
    if (source && source->model->encoder) {
        rows->encoder = *source->model->encoder;
    } else {
        const struct ig_encoder_rows real = real_rows(rows, categories, ranks);
        if (ig_encoder_fit(&rows->encoder, arena, &real, err) != IG_OK) return err->code;
        if (options->pixels && share_scale(rows, options->pixels, err) != IG_OK) return err->code;
    }
    rows->inputs_count = rows->encoded ? rows->encoder.inputs_count : rows->schema->features_count;
    return IG_OK;
}

static enum ig_code encode(struct ig_edge_part *part, const struct ig_edge_rows *rows,
                           struct ig_arena *arena, struct ig_err *err)
{
    uint32_t inputs = rows->inputs_count;
    part->inputs = take(arena, part->count, inputs, sizeof(float));
    if (!part->inputs) return ig_fail(err, IG_NO_MEMORY, "%zu rows of inputs", part->count);
    if (rows->encoded) {
        ig_encoder_run(&rows->encoder, part->rows, part->count, part->inputs);
        return IG_OK;
    }
    for (size_t i = 0; i < part->count * inputs; i++) {
        part->inputs[i] = (float)part->rows[i];
        if (!isfinite(part->inputs[i]))
            return ig_fail(err, IG_INVALID,
                           "column '%.*s' has a value that the source, which has no encoder, "
                           "cannot take: missing, or beyond a float's range",
                           IG_STR_ARGS(rows->schema->features[i % inputs].name));
    }
    return IG_OK;
}

/* ---- what the teacher adds ---- */

static size_t synthetic_count(const struct ig_edge_rows_options *options, size_t real)
{
    int64_t wanted = options->params->synthetic_rows;
    if (!options->models.teachers_count) return 0;
    if (wanted >= 0) return (size_t)wanted;
    return real < FEW_ROWS ? 10 * real : 5 * real;
}

static enum ig_code sample(struct ig_edge_rows *rows, const struct ig_edge_rows_options *options,
                           const uint32_t *categories, struct ig_err *err)
{
    struct ig_edge_part *part = &rows->train;
    const struct ig_distill_sampling sampling = {
        .from = real_rows(rows, categories, false),
        .encoder = &rows->encoder,
        .resampled = options->params->resampled,
        .candidates = CANDIDATES,
        .seed = (uint64_t)options->params->seed,
    };
    if (part->count == part->real) return IG_OK;
    return ig_distill_sample(part->rows + part->real * rows->schema->features_count,
                             part->count - part->real, &sampling, err);
}

static enum ig_code answer(struct ig_edge_part *part, const struct ig_edge_rows *rows,
                           struct ig_err *err)
{
    if (!rows->taught) return IG_OK;
    const struct ig_predictor teacher = ig_edge_rows_teacher(rows);
    const struct ig_distill_ask ask = {&teacher, part->rows, part->count, rows->loss,
                                       rows->outputs};
    return ig_distill_answers(part->answers, &ask, err);
}

static enum ig_code fill(struct ig_edge_rows *rows, const struct ig_edge_rows_options *options,
                         const struct ig_feature_map *map, struct ig_arena *arena,
                         struct ig_err *err)
{
    const struct ig_train_data *data = options->data;
    size_t real = data->train_count, made = synthetic_count(options, real);
    uint32_t *categories = take(arena, rows->schema->features_count, 1, sizeof *categories);
    if (!categories) return ig_fail(err, IG_NO_MEMORY, "features");
    for (uint32_t i = 0; i < rows->schema->features_count; i++)
        categories[i] = rows->schema->features[i].categories_count;
    if (take_part(&rows->train, rows, real, real + made, arena, err) != IG_OK ||
        take_part(&rows->held_out, rows, data->validation_count, data->validation_count, arena,
                  err) != IG_OK ||
        fill_part(&rows->train, options, data->train, map, err) != IG_OK ||
        fill_part(&rows->held_out, options, data->validation, map, err) != IG_OK ||
        open_encoder(rows, options, categories, arena, err) != IG_OK ||
        sample(rows, options, categories, err) != IG_OK ||
        encode(&rows->train, rows, arena, err) != IG_OK ||
        encode(&rows->held_out, rows, arena, err) != IG_OK ||
        answer(&rows->train, rows, err) != IG_OK)
        return err->code;
    return answer(&rows->held_out, rows, err);
}

enum ig_code ig_edge_rows_init(struct ig_edge_rows *out, const struct ig_edge_rows_options *options,
                               struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_schema *table = &options->data->schema;
    const struct ig_package *source = options->models.source;
    struct ig_feature_map map;
    *out = (struct ig_edge_rows){.schema = source ? &source->schema : table};
    out->loss = table->task == IG_TASK_BINARY       ? IG_FIT_LOGISTIC
                : table->task == IG_TASK_MULTICLASS ? IG_FIT_SOFTMAX
                                                    : IG_FIT_SQUARED;
    out->outputs = out->loss == IG_FIT_SOFTMAX ? table->classes_count : 1;
    if (source && ig_schema_map(&map, out->schema, table, arena, err) != IG_OK) {
        ig_err_prefix(err, "source");
        return err->code;
    }
    if (open_teacher(out, &options->models, arena, err) != IG_OK) return err->code;
    return fill(out, options, source ? &map : NULL, arena, err);
}

/* ---- judging ---- */

static enum ig_code metrics_of(struct ig_metrics *out, const struct ig_edge_rows *rows,
                               const struct ig_edge_part *part, const double *values,
                               struct ig_err *err)
{
    if (rows->loss == IG_FIT_LOGISTIC)
        return ig_metrics_binary(out, part->truth, values, part->real, err);
    if (rows->loss == IG_FIT_SOFTMAX)
        ig_metrics_multiclass(out, part->truth, values, part->real, rows->outputs);
    else
        ig_metrics_regression(out, part->truth, values, part->real);
    return IG_OK;
}

enum ig_code ig_edge_rows_judge(struct ig_metrics *out, const struct ig_edge_rows *rows,
                                const struct ig_predictor *predictor, struct ig_err *err)
{
    const struct ig_edge_part *part = rows->held_out.real ? &rows->held_out : &rows->train;
    size_t each = rows->outputs, features = rows->schema->features_count;
    if (predictor->values_count != each)
        return ig_fail(err, IG_INVALID, "%u values a row, expected %zu", predictor->values_count,
                       each);
    void *scratch =
        ig_alloc_aligned(ALIGNMENT, predictor->scratch_bytes(predictor, JUDGED_ROWS) + ALIGNMENT);
    double *values = ig_zalloc_array(part->real + 1, each * sizeof *values);
    enum ig_code code = scratch && values ? IG_OK : ig_fail(err, IG_NO_MEMORY, "metrics");
    for (size_t at = 0; at < part->real && code == IG_OK; at += JUDGED_ROWS) {
        size_t left = part->real - at;
        predictor->run(predictor, part->rows + at * features,
                       left < JUDGED_ROWS ? left : JUDGED_ROWS, values + at * each, scratch);
    }
    if (code == IG_OK) code = metrics_of(out, rows, part, values, err);
    ig_free(values);
    ig_free(scratch);
    return code;
}

/* ---- golden rows ---- */

enum ig_code ig_edge_rows_golden(double **out, size_t *count, const struct ig_edge_rows *rows,
                                 struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_edge_part *part = rows->held_out.real ? &rows->held_out : &rows->train;
    size_t features = rows->schema->features_count;
    *count = part->real < IG_EDGE_GOLDEN_MAX ? part->real : IG_EDGE_GOLDEN_MAX;
    *out = ig_arena_array(arena, *count, features * sizeof **out);
    if (!*out) return ig_fail(err, IG_NO_MEMORY, "golden rows");
    for (size_t i = 0; i < *count; i++)
        memcpy(*out + i * features, part->rows + i * part->real / *count * features,
               features * sizeof **out);
    return IG_OK;
}
