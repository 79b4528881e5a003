/* SPDX-License-Identifier: Apache-2.0 */
/* Ensembles of models as one model. Owns copies of the members' list and its own shape; the engines
 * and feature maps are borrowed. Immutable after `new`: runs keep their state in the scratch, in
 * this order: the members' predictions, one member's rows, margins, contributions and additivity,
 * then that member's own scratch.
 *
 * Sums run over members in order, in double, and are divided once by the sum of weights. */
#include "kernels/composite.h"

#include "base/mem.h"
#include "model/foreign.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, MODEL_BYTES = 1 << 16 };

_Static_assert(IG_COMPOSITE_MEMBERS_MAX <= 32, "a bit each");

enum { LINEAR = 1, META = 2, CLASSES = 4, ONE = 8 };

static const struct {
    const char *name;
    unsigned flags;
} COMBINES[IG_COMBINES_COUNT] = {
#define IG_COMBINE(id, name, flags, doc) [IG_COMBINE_##id] = {name, flags},
#include "kernels/combines.def"
#undef IG_COMBINE
};

struct ig_composite {
    struct ig_composite_member members[IG_COMPOSITE_MEMBERS_MAX];
    size_t members_count;
    const struct ig_engine *meta;
    enum ig_combine combine;
    double weights_sum;
    uint32_t features_count, classes_count;
    bool skips;
    bool linear, identity; /* identity: every member takes the rows as they are */
    bool second_alone;     /* of members with a prediction for each of two classes, the second */
    struct ig_model shape; /* counts and transform; no arena of its own */
    uint32_t columns;      /* predictions of all members together, a row */
};

const char *ig_combine_name(enum ig_combine combine)
{
    return COMBINES[combine].name;
}

bool ig_combine_parse(struct ig_str name, enum ig_combine *out)
{
    for (int i = 0; i < IG_COMBINES_COUNT; i++) {
        if (!ig_str_is(name, COMBINES[i].name)) continue;
        *out = (enum ig_combine)i;
        return true;
    }
    return false;
}

bool ig_combine_takes_meta(enum ig_combine combine)
{
    return COMBINES[combine].flags & META;
}

/* ---- feature maps ---- */

bool ig_feature_map_is_identity(const struct ig_feature_map *map)
{
    return !map->source_of && !map->codes;
}

static double map_code(const struct ig_feature_map *map, uint32_t feature, double value)
{
    if (!map->codes || !map->codes[feature] || !(value >= 0)) return value;
    if (value >= map->codes_counts[feature]) return -1;
    return map->codes[feature][(uint32_t)value];
}

void ig_feature_map_rows(const struct ig_feature_map *map, const double *rows, size_t rows_count,
                         uint32_t width, double *out)
{
    for (size_t i = 0; i < rows_count; i++, rows += width) {
        for (uint32_t f = 0; f < map->features_count; f++)
            *out++ = map_code(map, f, rows[map->source_of ? map->source_of[f] : f]);
    }
}

/* ---- building ---- */

static const struct ig_model *model_of(const struct ig_composite *composite, size_t member)
{
    return ig_engine_model(composite->members[member].engine);
}

/* One number says as much of two classes as two do: members that give both may stand beside those
 * that give the second's probability alone. */
static bool takes_second_alone(const struct ig_composite *composite)
{
    bool median = composite->combine == IG_COMBINE_MEDIAN, one = median, two = false;
    bool means =
        composite->combine == IG_COMBINE_MEAN || composite->combine == IG_COMBINE_SOFT_VOTE;
    if (composite->classes_count != 2 || !(means || median)) return false;
    for (size_t i = 0; i < composite->members_count; i++) {
        one = one || model_of(composite, i)->predictions_count == 1;
        two = two || model_of(composite, i)->predictions_count == 2;
    }
    return one && two;
}

/* How many of a member's predictions count. */
static uint32_t member_predictions(const struct ig_composite *composite, size_t member)
{
    return composite->second_alone ? 1 : model_of(composite, member)->predictions_count;
}

static void keep_second(const struct ig_composite *composite, size_t member, size_t rows,
                        double *predictions)
{
    if (member_predictions(composite, member) == model_of(composite, member)->predictions_count)
        return;
    for (size_t row = 0; row < rows; row++) predictions[row] = predictions[2 * row + 1];
}

static enum ig_code check_timeout(const struct ig_composite *composite, size_t index,
                                  struct ig_err *err)
{
    const struct ig_composite_member *member = &composite->members[index];
    if (!member->timeout_ms || !ig_engine_composite(member->engine)) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "members[%zu].timeout_ms: %u, but it is an ensemble; its own members may have "
                   "one each",
                   index, member->timeout_ms);
}

static enum ig_code check_member(const struct ig_composite *composite, size_t index,
                                 struct ig_err *err)
{
    const struct ig_model *first = model_of(composite, 0), *own = model_of(composite, index);
    unsigned flags = COMBINES[composite->combine].flags;
    const char *name = ig_combine_name(composite->combine);
    if (!(composite->members[index].weight > 0) || !isfinite(composite->members[index].weight))
        return ig_fail(err, IG_INVALID, "members[%zu]: weight %g, expected a positive number",
                       index, composite->members[index].weight);
    if (composite->members[index].map.features_count != own->features_count)
        return ig_fail(err, IG_INVALID, "members[%zu]: %u features mapped, the model has %u", index,
                       composite->members[index].map.features_count, own->features_count);
    if (flags & ONE && member_predictions(composite, index) != 1)
        return ig_fail(err, IG_INVALID,
                       "members[%zu]: %u predictions a row, combining by %s takes one", index,
                       own->predictions_count, name);
    if (composite->combine == IG_COMBINE_VOTE || flags & META) return IG_OK;
    if (composite->second_alone ? own->predictions_count > 2
                                : own->predictions_count != first->predictions_count ||
                                      own->outputs_count != first->outputs_count)
        return ig_fail(
            err, IG_INVALID,
            "members[%zu]: %u predictions and %u margins a row, members[0] has %u and %u", index,
            own->predictions_count, own->outputs_count, first->predictions_count,
            first->outputs_count);
    if (composite->combine == IG_COMBINE_MEAN_MARGIN &&
        (own->transform != first->transform ||
         own->transform_parameter != first->transform_parameter))
        return ig_fail(err, IG_INVALID,
                       "members[%zu]: its margins go through %s, those of members[0] through %s",
                       index, ig_transform_name(own->transform),
                       ig_transform_name(first->transform));
    if (composite->classes_count && composite->combine != IG_COMBINE_MEAN_MARGIN &&
        !ig_model_gives_probabilities(own))
        return ig_fail(err, IG_INVALID,
                       "members[%zu]: it gives no probabilities, which combining by %s needs; vote "
                       "takes it",
                       index, name);
    return IG_OK;
}

static enum ig_code check_shapes(const struct ig_composite *composite, struct ig_err *err)
{
    if (COMBINES[composite->combine].flags & CLASSES && composite->classes_count < 2)
        return ig_fail(err, IG_INVALID, "members[0]: combining by %s takes classifiers only",
                       ig_combine_name(composite->combine));
    for (size_t i = 0; i < composite->members_count; i++)
        if (check_member(composite, i, err) != IG_OK || check_timeout(composite, i, err) != IG_OK)
            return err->code;
    if (!composite->meta) return IG_OK;
    uint32_t wanted = ig_engine_model(composite->meta)->features_count;
    if (wanted != composite->columns)
        return ig_fail(err, IG_INVALID, "meta: it takes %u features, the members give %u", wanted,
                       composite->columns);
    return IG_OK;
}

/* One margin has one meaning among the members. */
static bool has_common_margin(const struct ig_composite *composite)
{
    const struct ig_model *first = model_of(composite, 0);
    if (!(COMBINES[composite->combine].flags & LINEAR) || composite->second_alone) return false;
    for (size_t i = 1; i < composite->members_count; i++) {
        const struct ig_model *own = model_of(composite, i);
        if (own->transform != first->transform ||
            own->transform_parameter != first->transform_parameter)
            return false;
    }
    return true;
}

static void find_shape(struct ig_composite *composite)
{
    const struct ig_model *first = model_of(composite, 0);
    const struct ig_model *like = composite->meta ? ig_engine_model(composite->meta) : first;
    bool probable = composite->classes_count && ig_model_gives_probabilities(first);
    composite->linear = has_common_margin(composite);
    struct ig_model shape = {
        .kind = IG_MODEL_COMPOSITE,
        .features_count = composite->features_count,
        .outputs_count = like->outputs_count,
        .predictions_count = like->predictions_count,
        .transform = like->transform,
        .transform_parameter = like->transform_parameter,
        .inputs_f32 = composite->linear,
    };
    for (size_t i = 0; i < composite->members_count; i++)
        shape.inputs_f32 = shape.inputs_f32 && model_of(composite, i)->inputs_f32;
    if (composite->combine == IG_COMBINE_VOTE) {
        shape.outputs_count = composite->classes_count > 2 ? composite->classes_count : 1;
        shape.predictions_count = shape.outputs_count;
        shape.transform = IG_TRANSFORM_PROBABILITY;
    } else if (!composite->linear && !composite->meta) {
        shape.predictions_count = member_predictions(composite, 0);
        shape.outputs_count = shape.predictions_count;
        shape.transform = probable ? IG_TRANSFORM_PROBABILITY : IG_TRANSFORM_IDENTITY;
    }
    composite->shape = shape;
}

enum ig_code ig_composite_new(struct ig_composite **out, const struct ig_composite_spec *spec,
                              struct ig_err *err)
{
    bool wants_meta = ig_combine_takes_meta(spec->combine);
    if (!spec->members_count || spec->members_count > IG_COMPOSITE_MEMBERS_MAX)
        return ig_fail(err, IG_INVALID, "members: %zu, expected 1 to %d", spec->members_count,
                       IG_COMPOSITE_MEMBERS_MAX);
    if (wants_meta != (spec->meta != NULL))
        return ig_fail(err, IG_INVALID,
                       wants_meta ? "meta: combining by %s needs a model over the members"
                                  : "meta: combining by %s takes none",
                       ig_combine_name(spec->combine));
    if (wants_meta && spec->skips)
        return ig_fail(err, IG_INVALID,
                       "on_failure: skip, but combining by %s needs every member's predictions",
                       ig_combine_name(spec->combine));
    struct ig_composite *composite = ig_zalloc(sizeof *composite);
    if (!composite) return ig_fail(err, IG_NO_MEMORY, "no memory for an ensemble");
    composite->combine = spec->combine;
    composite->skips = spec->skips;
    composite->members_count = spec->members_count;
    composite->meta = spec->meta;
    composite->features_count = spec->features_count;
    composite->classes_count = spec->classes_count;
    composite->identity = true;
    for (size_t i = 0; i < spec->members_count; i++) {
        composite->members[i] = spec->members[i];
        composite->weights_sum += spec->members[i].weight;
        composite->columns += ig_engine_model(spec->members[i].engine)->predictions_count;
        if (!ig_feature_map_is_identity(&spec->members[i].map)) composite->identity = false;
    }
    composite->second_alone = takes_second_alone(composite);
    if (check_shapes(composite, err) != IG_OK) {
        ig_free(composite);
        return err->code;
    }
    find_shape(composite);
    *out = composite;
    return IG_OK;
}

void ig_composite_free(struct ig_composite *composite)
{
    ig_free(composite);
}

size_t ig_composite_memory_bytes(const struct ig_composite *composite)
{
    return sizeof *composite;
}

struct ig_model *ig_composite_model(const struct ig_composite *composite, struct ig_err *err)
{
    struct ig_model *model = ig_model_new(MODEL_BYTES);
    if (!model) {
        ig_fail(err, IG_NO_MEMORY, "no memory for an ensemble");
        return NULL;
    }
    struct ig_arena arena = model->arena;
    *model = composite->shape;
    model->arena = arena;
    return model;
}

bool ig_composite_is_linear(const struct ig_composite *composite)
{
    return composite->linear;
}

bool ig_composite_is_mean(const struct ig_composite *composite)
{
    return composite->linear && composite->combine != IG_COMBINE_MEAN_MARGIN;
}

size_t ig_composite_members(const struct ig_composite *composite)
{
    return composite->members_count;
}

const struct ig_composite_member *ig_composite_member(const struct ig_composite *composite,
                                                      size_t index)
{
    return &composite->members[index];
}

double ig_composite_share(const struct ig_composite *composite, size_t index)
{
    return composite->members[index].weight / composite->weights_sum;
}

/* ---- scratch ---- */

struct room {
    double *predictions; /* member after member: rows x its predictions */
    double *rows;        /* one member's */
    double *margins;
    double *contributions;
    double *additivity;
    void *own; /* the member's scratch */
};

static size_t take(char **at, size_t doubles)
{
    size_t bytes = (doubles * sizeof(double) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (*at) *at += bytes;
    return bytes;
}

/* Lays the room out from `base` (NULL: only measures) and returns its size. */
static size_t lay_out(struct room *room, const struct ig_composite *composite, enum ig_engine_op op,
                      size_t rows, char *base)
{
    size_t features = 0, outputs = 0, own = 0, bytes = 0;
    for (size_t i = 0; i < composite->members_count; i++) {
        const struct ig_engine *engine = composite->members[i].engine;
        const struct ig_model *model = ig_engine_model(engine);
        size_t scratch = ig_engine_scratch_bytes(engine, op, rows);
        if (model->features_count > features) features = model->features_count;
        if (model->outputs_count > outputs) outputs = model->outputs_count;
        if (scratch > own) own = scratch;
    }
    if (composite->meta) {
        size_t scratch = ig_engine_scratch_bytes(composite->meta, IG_ENGINE_MARGIN, rows);
        if (scratch > own) own = scratch;
        if (composite->columns > features) features = composite->columns;
    }
    bool maps = !composite->identity || composite->meta;
    char *at = base;
    room->predictions = (double *)(void *)at;
    bytes += take(&at, rows * composite->columns);
    room->rows = (double *)(void *)at;
    bytes += take(&at, maps ? rows * features : 0);
    room->margins = (double *)(void *)at;
    bytes += take(&at, rows * outputs);
    room->contributions = (double *)(void *)at;
    if (op == IG_ENGINE_CONTRIBUTIONS) bytes += take(&at, rows * outputs * (features + 1));
    room->additivity = (double *)(void *)at;
    if (op == IG_ENGINE_CONTRIBUTIONS) bytes += take(&at, rows);
    room->own = at;
    return bytes + own;
}

size_t ig_composite_scratch_bytes(const struct ig_composite *composite, enum ig_engine_op op,
                                  size_t rows_count)
{
    struct room room;
    return lay_out(&room, composite, op, rows_count, NULL);
}

/* ---- predicting ---- */

static const double *rows_for(const struct ig_composite *composite, size_t member,
                              const double *rows, size_t rows_count, const struct room *room)
{
    const struct ig_feature_map *map = &composite->members[member].map;
    if (ig_feature_map_is_identity(map)) return rows;
    ig_feature_map_rows(map, rows, rows_count, composite->features_count, room->rows);
    return room->rows;
}

static void add_scaled(double *sum, const double *values, size_t count, double weight)
{
    for (size_t i = 0; i < count; i++) sum[i] += weight * values[i];
}

static void divide(double *values, size_t count, double by)
{
    for (size_t i = 0; i < count; i++) values[i] /= by;
}

/* The class that a member's predictions of one row name. */
static uint32_t class_of(const struct ig_model *model, const double *predictions)
{
    uint32_t best = 0;
    if (model->predictions_count == 1) {
        if (model->transform == IG_TRANSFORM_ARGMAX) return (uint32_t)predictions[0];
        return predictions[0] > (model->transform == IG_TRANSFORM_IDENTITY ? 0 : 0.5);
    }
    for (uint32_t i = 1; i < model->predictions_count; i++)
        if (predictions[i] > predictions[best]) best = i;
    return best;
}

static bool is_out(uint32_t skipped, size_t member)
{
    return skipped >> member & 1;
}

/* Of the members that are not left out; 0: all are. */
static double weight_of(const struct ig_composite *composite, uint32_t skipped)
{
    double sum = 0;
    for (size_t i = 0; i < composite->members_count; i++)
        if (!is_out(skipped, i)) sum += composite->members[i].weight;
    return sum;
}

/* A row's predictions by all members, member after member. */
struct ballot {
    size_t row, rows;
    const double *predictions;
    uint32_t skipped;
    double weight; /* of those who are not */
};

static void vote(const struct ig_composite *composite, const struct ballot *ballot, double *out)
{
    uint32_t outputs = composite->shape.outputs_count;
    const double *predictions = ballot->predictions;
    for (uint32_t o = 0; o < outputs; o++) out[o] = 0;
    for (size_t i = 0; i < composite->members_count; i++) {
        const struct ig_model *model = model_of(composite, i);
        const double *own = predictions + ballot->row * model->predictions_count;
        predictions += ballot->rows * model->predictions_count;
        if (is_out(ballot->skipped, i)) continue;
        uint32_t class = class_of(model, own);
        if (outputs == 1)
            out[0] += class == 1 ? composite->members[i].weight : 0;
        else if (class < outputs)
            out[class] += composite->members[i].weight;
    }
    divide(out, outputs, ballot->weight);
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const struct ig_composite *composite, const struct ballot *ballot)
{
    double values[IG_COMPOSITE_MEMBERS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < composite->members_count; i++)
        if (!is_out(ballot->skipped, i))
            values[count++] = ballot->predictions[i * ballot->rows + ballot->row];
    qsort(values, count, sizeof *values, compare_doubles);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

static void mean(const struct ig_composite *composite, const struct ballot *ballot, double *out)
{
    uint32_t each = composite->shape.predictions_count;
    const double *predictions = ballot->predictions + ballot->row * each;
    for (uint32_t p = 0; p < each; p++) out[p] = 0;
    for (size_t i = 0; i < composite->members_count; i++, predictions += ballot->rows * each)
        if (!is_out(ballot->skipped, i))
            add_scaled(out, predictions, each, composite->members[i].weight);
    divide(out, each, ballot->weight);
}

/* The meta model on the members' predictions, side by side. */
static void stack(const struct ig_composite *composite, size_t rows, const struct room *room,
                  struct ig_engine_scores out)
{
    size_t first = 0;
    const double *predictions = room->predictions;
    for (size_t i = 0; i < composite->members_count; i++) {
        size_t each = model_of(composite, i)->predictions_count;
        for (size_t r = 0; r < rows; r++)
            memcpy(room->rows + r * composite->columns + first, predictions + r * each,
                   each * sizeof *predictions);
        first += each;
        predictions += rows * each;
    }
    ig_engine_predict(composite->meta, room->rows, rows, out, room->own);
}

static void combine_row(const struct ig_composite *composite, const struct ballot *ballot,
                        double *out)
{
    switch (composite->combine) {
    case IG_COMBINE_VOTE:
        vote(composite, ballot, out);
        break;
    case IG_COMBINE_MEDIAN:
        *out = median(composite, ballot);
        break;
    default:
        mean(composite, ballot, out);
    }
}

static void combine(const struct ig_composite *composite, size_t rows, const struct room *room,
                    struct ig_engine_scores out)
{
    size_t outputs = composite->shape.outputs_count, each = composite->shape.predictions_count;
    struct ballot ballot = {0, rows, room->predictions, 0, composite->weights_sum};
    for (size_t i = 0; i < rows; i++) {
        double *margins = out.margins + i * outputs;
        double *predictions = out.predictions ? out.predictions + i * each : NULL;
        ballot.row = i;
        if (out.skipped) {
            ballot.skipped = out.skipped[i];
            ballot.weight = weight_of(composite, ballot.skipped);
        }
        if (ballot.weight == 0) {
            ig_foreign_mark_member(margins, outputs, 0);
            if (predictions) ig_foreign_mark_member(predictions, each, 0);
            continue;
        }
        if (composite->linear) divide(margins, outputs, ballot.weight);
        if (!composite->linear) {
            combine_row(composite, &ballot, margins);
            if (predictions) memcpy(predictions, margins, each * sizeof *margins);
        } else if (predictions && composite->combine == IG_COMBINE_MEAN_MARGIN) {
            ig_model_transform(&composite->shape, margins, predictions);
        } else if (predictions) {
            combine_row(composite, &ballot, predictions);
        }
    }
}

bool ig_composite_may_fail(const struct ig_composite *composite)
{
    for (size_t i = 0; i < composite->members_count; i++)
        if (composite->members[i].timeout_ms || ig_engine_may_fail(composite->members[i].engine))
            return true;
    return composite->meta && ig_engine_may_fail(composite->meta);
}

bool ig_composite_skips(const struct ig_composite *composite)
{
    return composite->skips;
}

static enum ig_code member_failure(const struct ig_composite *composite, size_t index,
                                   struct ig_err *err)
{
    const struct ig_composite_member *member = &composite->members[index];
    if (member->timeout_ms && !ig_engine_model(member->engine)->foreign)
        ig_fail(err, IG_DEADLINE, "no answer within its timeout of %u ms", member->timeout_ms);
    else
        ig_engine_failure(member->engine, err);
    if (err->code == IG_OK) return IG_OK;
    if (member->name)
        ig_err_prefix(err, "members[%zu] '%s'", index, member->name);
    else
        ig_err_prefix(err, "members[%zu]", index);
    return err->code;
}

enum ig_code ig_composite_failure(const struct ig_composite *composite, int32_t member,
                                  struct ig_err *err)
{
    if (member >= 0 && (size_t)member < composite->members_count)
        return member_failure(composite, (size_t)member, err);
    if (composite->meta && ig_engine_failure(composite->meta, err) != IG_OK) {
        ig_err_prefix(err, "meta");
        return err->code;
    }
    for (size_t i = 0; i < composite->members_count; i++)
        if (member_failure(composite, i, err) != IG_OK) return err->code;
    return IG_OK;
}

/* A row that a member could not answer is not answered: a vote or median would hide it. */
static void spread_failures(const struct ig_composite *composite, size_t rows,
                            const double *predictions, struct ig_engine_scores out)
{
    size_t outputs = composite->shape.outputs_count, each = composite->shape.predictions_count;
    for (size_t i = 0; i < composite->members_count; i++) {
        size_t own = member_predictions(composite, i);
        for (size_t row = 0; row < rows; row++, predictions += own) {
            if (!ig_foreign_marked(predictions, own)) continue;
            ig_foreign_mark_member(out.margins + row * outputs, outputs, i);
            if (out.predictions) ig_foreign_mark_member(out.predictions + row * each, each, i);
        }
    }
}

/* A member's margins into the sums, but of rows that it failed on and may. */
static void add_member(const struct ig_composite *composite, size_t member, size_t rows,
                       const struct room *room, const double *predictions,
                       struct ig_engine_scores out)
{
    size_t outputs = composite->shape.outputs_count, own = member_predictions(composite, member);
    double weight = composite->members[member].weight;
    for (size_t row = 0; row < rows; row++, predictions += own) {
        if (out.skipped && ig_foreign_marked(predictions, own))
            out.skipped[row] |= UINT32_C(1) << member;
        else if (composite->linear)
            add_scaled(out.margins + row * outputs, room->margins + row * outputs, outputs, weight);
    }
}

void ig_composite_predict(const struct ig_composite *composite, const double *rows,
                          size_t rows_count, struct ig_engine_scores out, void *scratch)
{
    struct room room;
    size_t outputs = composite->shape.outputs_count;
    IG_ASSERT(scratch);
    IG_ASSERT(!out.skipped || composite->skips);
    lay_out(&room, composite, IG_ENGINE_MARGIN, rows_count, scratch);
    double *predictions = room.predictions;
    if (out.skipped) memset(out.skipped, 0, rows_count * sizeof *out.skipped);
    if (composite->linear) memset(out.margins, 0, rows_count * outputs * sizeof(double));
    for (size_t i = 0; i < composite->members_count; i++) {
        const struct ig_engine *engine = composite->members[i].engine;
        const double *own = rows_for(composite, i, rows, rows_count, &room);
        ig_engine_predict_within(engine, own, rows_count,
                                 (struct ig_engine_scores){room.margins, predictions, NULL},
                                 room.own, composite->members[i].timeout_ms);
        keep_second(composite, i, rows_count, predictions);
        add_member(composite, i, rows_count, &room, predictions, out);
        predictions += rows_count * member_predictions(composite, i);
    }
    if (composite->meta)
        stack(composite, rows_count, &room, out);
    else
        combine(composite, rows_count, &room, out);
    if (!out.skipped && ig_composite_may_fail(composite))
        spread_failures(composite, rows_count, room.predictions, out);
}

/* ---- explaining ---- */

bool ig_composite_explains(const struct ig_composite *composite)
{
    for (size_t i = 0; composite->linear && i < composite->members_count; i++)
        if (!ig_engine_explains(composite->members[i].engine)) return false;
    return composite->linear;
}

static void add_contributions(const struct ig_composite *composite, size_t member, size_t values,
                              const double *from, double *to)
{
    const struct ig_feature_map *map = &composite->members[member].map;
    double share = ig_composite_share(composite, member);
    uint32_t features = map->features_count;
    for (size_t v = 0; v < values; v++) {
        for (uint32_t f = 0; f < features; f++)
            to[map->source_of ? map->source_of[f] : f] += share * *from++;
        to[composite->features_count] += share * *from++;
        to += composite->features_count + (size_t)1;
    }
}

void ig_composite_explain(const struct ig_composite *composite, const struct ig_engine_io *io,
                          void *scratch)
{
    struct room room;
    size_t outputs = composite->shape.outputs_count;
    size_t rows = io->rows_count, values = rows * outputs;
    IG_ASSERT(scratch);
    lay_out(&room, composite, IG_ENGINE_CONTRIBUTIONS, rows, scratch);
    memset(io->contributions, 0,
           values * (composite->features_count + (size_t)1) * sizeof *io->contributions);
    memset(io->additivity, 0, rows * sizeof *io->additivity);
    if (io->margins) memset(io->margins, 0, values * sizeof *io->margins);
    for (size_t i = 0; i < composite->members_count; i++) {
        double weight = composite->members[i].weight;
        const struct ig_engine_io own = {rows_for(composite, i, io->rows, rows, &room), rows,
                                         room.contributions, room.additivity, room.margins};
        ig_engine_explain(composite->members[i].engine, &own, room.own);
        add_contributions(composite, i, values, room.contributions, io->contributions);
        add_scaled(io->additivity, room.additivity, rows, ig_composite_share(composite, i));
        if (io->margins) add_scaled(io->margins, room.margins, values, weight);
    }
    if (io->margins) divide(io->margins, values, composite->weights_sum);
}
