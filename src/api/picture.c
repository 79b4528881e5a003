/* SPDX-License-Identifier: Apache-2.0 */
#include "api/picture.h"

#include "base/vec.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct doubles {
    double *items;
    size_t count, cap;
};

struct ig_picture {
    enum ig_plot_kind kind;
    struct ig_plot_options options;
    uint64_t row; /* from 1 */
    uint32_t output, players;
    size_t rows_count;
    struct doubles contributions, margins, values;
    struct ig_arena arena; /* what data points to, and the plot's scratch */
    struct ig_plot_data data;
    int32_t *features; /* players: the feature that a player is, -1 for a group */
};

static const size_t ARENA_MAX = (size_t)64 << 20, NUMBERS_MAX = ((size_t)1 << 30) / sizeof(double);

enum { SHOWN_MAX = 64 };

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

static enum ig_code read_kind(struct ig_picture *picture, struct ig_str name, struct ig_err *err)
{
    struct ig_buf known;
    if (ig_plot_parse(name, &picture->kind)) return IG_OK;
    ig_buf_init(&known, 4096);
    ig_plot_list(&known);
    ig_fail(err, IG_INVALID, "plot: unknown plot '%.*s'; known: %.*s", shown(name), name.ptr,
            IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return err->code;
}

static enum ig_code read_theme(struct ig_picture *picture, struct ig_str name, struct ig_err *err)
{
    static const char *const NAMES[] = {
        [IG_PLOT_THEME_AUTO] = "auto",
        [IG_PLOT_THEME_LIGHT] = "light",
        [IG_PLOT_THEME_DARK] = "dark",
    };
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        if (name.len && !ig_str_is(name, NAMES[i])) continue;
        picture->options.theme = (enum ig_plot_theme)i;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "plot_theme: '%.*s' is none of auto, light, dark", shown(name),
                   name.ptr);
}

static enum ig_code read_player(uint32_t *out, const struct ig_picture *picture, const char *member,
                                struct ig_str name, struct ig_err *err)
{
    if (!name.len) return IG_OK;
    for (uint32_t p = 0; p < picture->players; p++) {
        if (!ig_str_eq(picture->data.names[p], name)) continue;
        *out = p;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "%s: '%.*s' is no feature or group of this explanation", member,
                   shown(name), name.ptr);
}

static enum ig_code read_output(struct ig_picture *picture, const struct ig_answer *answer,
                                struct ig_str name, struct ig_err *err)
{
    uint32_t count = answer->values_count;
    picture->output = ig_answer_output(answer);
    if (!name.len || count == 1) return IG_OK;
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        if (!ig_str_eq(ig_answer_output_name(answer, i, text), name)) continue;
        picture->output = i;
        return IG_OK;
    }
    return ig_fail(err, IG_INVALID, "class: the model has no output '%.*s'", shown(name), name.ptr);
}

static enum ig_code read_request(struct ig_picture *picture,
                                 const struct ig_picture_request *request,
                                 const struct ig_answer *answer, struct ig_err *err)
{
    struct ig_plot_options *options = &picture->options;
    *options = IG_PLOT_OPTIONS_INIT;
    picture->row = request->row ? request->row : 1;
    if (request->width &&
        (request->width < IG_PLOT_WIDTH_MIN || request->width > IG_PLOT_WIDTH_MAX))
        return ig_fail(err, IG_INVALID, "plot_width: %llu is not from %d to %d",
                       (unsigned long long)request->width, IG_PLOT_WIDTH_MIN, IG_PLOT_WIDTH_MAX);
    options->width = (uint32_t)request->width;
    options->top = (uint32_t)(request->top < IG_PLOT_TOP_MAX ? request->top : IG_PLOT_TOP_MAX);
    if (read_theme(picture, request->theme, err) != IG_OK ||
        read_output(picture, answer, request->class_name, err) != IG_OK ||
        read_player(&options->feature, picture, "plot_feature", request->feature, err) != IG_OK)
        return err->code;
    if (ig_str_is(request->color_by, "none")) {
        options->colour_by = IG_PLOT_NONE;
        return IG_OK;
    }
    return read_player(&options->colour_by, picture, "plot_color_by", request->color_by, err);
}

static void set_players(struct ig_picture *picture, const struct ig_answer *answer)
{
    struct ig_str *names = ig_arena_array(&picture->arena, picture->players, sizeof *names);
    struct ig_plot_categories *categories =
        ig_arena_array(&picture->arena, picture->players, sizeof *categories);
    bool *valueless = ig_arena_array(&picture->arena, picture->players, sizeof *valueless);
    picture->features =
        ig_arena_array(&picture->arena, picture->players, sizeof *picture->features);
    if (picture->arena.overflowed) return;
    for (uint32_t p = 0; p < picture->players; p++) {
        int32_t index = ig_answer_feature(answer, p);
        names[p] = ig_answer_player(answer, p);
        picture->features[p] = index;
        valueless[p] = index < 0;
        categories[p] = (struct ig_plot_categories){0};
        if (index < 0 || answer->schema->features[index].type != IG_FEATURE_CATEGORICAL) continue;
        categories[p].texts = answer->schema->features[index].categories;
        categories[p].count = answer->schema->features[index].categories_count;
    }
    picture->data.names = names;
    picture->data.valueless = valueless;
    picture->data.categories = categories;
}

/* "income >50K", "price", or the class alone. */
static struct ig_str output_name(struct ig_picture *picture, const struct ig_answer *answer)
{
    char index[16], text[256];
    struct ig_str target = answer->schema->target, class = IG_STR("");
    uint32_t classes = answer->schema->classes_count;
    bool lone = answer->values_count == 1;
    if (classes && (!lone || classes == 2))
        class = ig_answer_output_name(answer, lone ? 1 : picture->output, index);
    else if (!lone)
        class = ig_answer_output_name(answer, picture->output, index);
    snprintf(text, sizeof text, "%.*s%s%.*s", IG_STR_ARGS(target),
             target.len && class.len ? " " : "", IG_STR_ARGS(class));
    return ig_arena_dup(&picture->arena, ig_str_view(text));
}

static void set_unit(struct ig_picture *picture, const struct ig_answer *answer)
{
    const struct ig_model *model = answer->model;
    struct ig_plot_data *data = &picture->data;
    const char *unit = answer->details && answer->details->unit ? answer->details->unit : "margin";
    data->unit = ig_str_view(unit);
    if (strcmp(unit, "margin") != 0) {
        data->unit = IG_STR("probability");
        return;
    }
    if (model->transform == IG_TRANSFORM_IDENTITY) data->unit = IG_STR("");
    data->link_scale = model->transform_parameter;
    if (model->transform == IG_TRANSFORM_SIGMOID || model->transform == IG_TRANSFORM_SIGMOID_EACH) {
        data->unit = IG_STR("log-odds");
        data->link = IG_PLOT_LINK_LOGIT;
        data->link_unit = IG_STR("probability");
    } else if (model->transform == IG_TRANSFORM_EXP) {
        data->unit = IG_STR("log");
        data->link = IG_PLOT_LINK_LOG;
        data->link_scale = 1;
        data->link_unit = answer->schema->target;
    }
}

enum ig_code ig_picture_new(struct ig_picture **out, const struct ig_picture_request *request,
                            const struct ig_answer *first, struct ig_err *err)
{
    struct ig_picture *picture;
    if (!first->contributions)
        return ig_fail(err, IG_INVALID,
                       "plot: method %s gives no contributions, which is what plots show",
                       first->method);
    picture = ig_zalloc(sizeof *picture);
    if (!picture) return ig_fail(err, IG_NO_MEMORY, "no memory for a plot");
    ig_arena_init(&picture->arena, 1 << 16, ARENA_MAX);
    picture->players = first->players_count;
    set_players(picture, first);
    if (picture->arena.overflowed)
        ig_fail(err, IG_NO_MEMORY, "no memory for a plot");
    else if (read_kind(picture, request->plot, err) == IG_OK)
        read_request(picture, request, first, err);
    if (err->code != IG_OK) {
        ig_picture_free(picture);
        return err->code;
    }
    picture->data.output = output_name(picture, first);
    set_unit(picture, first);
    *out = picture;
    return IG_OK;
}

void ig_picture_free(struct ig_picture *picture)
{
    if (!picture) return;
    IG_VEC_FREE(&picture->contributions);
    IG_VEC_FREE(&picture->margins);
    IG_VEC_FREE(&picture->values);
    ig_arena_deinit(&picture->arena);
    ig_free(picture);
}

static void name_prediction(struct ig_picture *picture, const struct ig_answer *answer)
{
    char index[16];
    int32_t class = ig_answer_class(answer);
    if (class < 0) return;
    picture->data.prediction =
        ig_arena_dup(&picture->arena, ig_answer_output_name(answer, (uint32_t) class, index));
}

enum ig_code ig_picture_add(struct ig_picture *picture, const struct ig_answer *answer,
                            struct ig_err *err)
{
    uint32_t players = picture->players;
    const double *from = answer->contributions + (size_t)picture->output * (players + (size_t)1);
    bool in_margin = !answer->details || strcmp(answer->details->unit, "margin") == 0;
    double sum = 0;
    bool kept = picture->rows_count < IG_PICTURE_ROWS_MAX;
    for (uint32_t p = 0; p <= players && kept; p++) {
        kept = IG_VEC_PUSH(&picture->contributions, from[p], NUMBERS_MAX);
        sum += from[p];
    }
    for (uint32_t p = 0; p < players && kept; p++) {
        int32_t feature = picture->features[p];
        double value = feature < 0 ? NAN : answer->row[feature];
        kept = IG_VEC_PUSH(&picture->values, value, NUMBERS_MAX);
    }
    double margin = in_margin ? answer->margins[picture->output] : sum;
    if (!kept || !IG_VEC_PUSH(&picture->margins, margin, NUMBERS_MAX))
        return ig_fail(err, IG_TOO_LARGE, "plot: at most %d rows, a GiB of numbers, can be drawn",
                       IG_PICTURE_ROWS_MAX);
    if (++picture->rows_count == picture->row) name_prediction(picture, answer);
    return IG_OK;
}

enum ig_code ig_picture_write(struct ig_buf *svg, struct ig_picture *picture, struct ig_err *err)
{
    struct ig_plot_data *data = &picture->data;
    bool lone = ig_plot_at(picture->kind)->rows == IG_PLOT_ROWS_ONE;
    if (lone && picture->row > picture->rows_count)
        return ig_fail(err, IG_INVALID, "plot_row: %llu, but there are %zu rows",
                       (unsigned long long)picture->row, picture->rows_count);
    data->rows_count = picture->rows_count;
    data->players_count = picture->players;
    data->contributions = picture->contributions.items;
    data->margins = picture->margins.items;
    data->values = picture->values.items;
    picture->options.row = lone ? (size_t)picture->row - 1 : 0;
    return ig_plot_write(svg, picture->kind, data, &picture->options, &picture->arena, err);
}
