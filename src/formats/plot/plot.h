/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PLOT_PLOT_H
#define IG_FORMATS_PLOT_PLOT_H

/* Additive explanations as pictures: one SVG document a plot, complete in itself (no script, font,
 * link or id; light and dark by prefers-color-scheme; a title, a description with the numbers and a
 * tooltip a mark for those who do not see it). The plots are listed in plots.def.
 *
 * The bytes depend on data and options alone. Texts may be anything: what is not UTF-8 is replaced,
 * control and direction-changing characters are dropped, long texts are cut with an ellipsis and
 * stand whole in the mark's tooltip. Reentrant. */

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum ig_plot_kind {
#define IG_PLOT(id, name, rows, doc) IG_PLOT_##id,
#include "formats/plot/plots.def"
#undef IG_PLOT
    IG_PLOT_KINDS_COUNT
};

enum ig_plot_rows { IG_PLOT_ROWS_ONE, IG_PLOT_ROWS_ANY, IG_PLOT_ROWS_MANY };

/* What a margin becomes for people; adds a second axis where margins are drawn. */
enum ig_plot_link {
    IG_PLOT_LINK_IDENTITY, /* no second axis */
    IG_PLOT_LINK_LOGIT,    /* 1 / (1 + exp(-link_scale x)) */
    IG_PLOT_LINK_LOG,      /* exp(link_scale x) */
};

enum ig_plot_theme { IG_PLOT_THEME_AUTO, IG_PLOT_THEME_LIGHT, IG_PLOT_THEME_DARK };

enum {
    IG_PLOT_DOTS_MAX = 2000,  /* beeswarm and dependence; beyond, a sample is drawn */
    IG_PLOT_LINES_MAX = 100,  /* decision; likewise */
    IG_PLOT_TOP_MAX = 100,    /* features shown */
    IG_PLOT_COHORTS_MAX = 6,  /* bar */
    IG_PLOT_WIDTH_MIN = 360,  /* CSS pixels */
    IG_PLOT_WIDTH_MAX = 4000, /* likewise */
};
/* In place of a player. */
#define IG_PLOT_AUTO UINT32_MAX       /* chosen from the data */
#define IG_PLOT_NONE (UINT32_MAX - 1) /* none */

/* One output's contributions of rows_count rows to players_count players (features, or groups of
 * them). Everything is borrowed for the call. */
struct ig_plot_data {
    size_t rows_count;          /* at least 1 */
    uint32_t players_count;     /* at least 1 */
    const struct ig_str *names; /* players_count */
    /* Row r of the output begins at contributions + r * contributions_stride and holds
     * players_count numbers, then its base value; all finite. Stride 0: players_count + 1. With an
     * array of rows x outputs x (players + 1): point to the output's first number and give
     * outputs * (players + 1). */
    const double *contributions;
    size_t contributions_stride;
    const double *margins; /* rows_count; NULL: base value + contributions */
    /* Likewise, players_count numbers a row: NaN = missing, a category = its code. A player without
     * a value of its own (a group) has NaN in every row. NULL: unknown. Stride 0: players_count. */
    const double *values;
    size_t values_stride;
    const bool *valueless; /* by player: has no value of its own; NULL: all have */
    /* By player: text of category 0, 1, ...; entries with count 0 are numeric. NULL: all are. */
    const struct ig_plot_categories *categories;
    /* players_count texts of the row that a plot of one row draws, in place of `values`; an empty
     * one is not shown. NULL: made from `values`. */
    const struct ig_str *value_texts;
    const struct ig_str *row_names; /* rows_count; NULL: "row 1", "row 2", ... */
    const uint32_t *cohort_of_row;  /* bar: rows_count numbers < cohorts_count; NULL: one cohort */
    const struct ig_str *cohort_names;
    uint32_t cohorts_count;
    struct ig_str output;     /* what is explained: "income >50K"; or empty */
    struct ig_str unit;       /* of contributions and margins: "log-odds"; or empty */
    struct ig_str prediction; /* one row: the answer as text; or empty */
    enum ig_plot_link link;
    double link_scale;       /* 0: 1 */
    struct ig_str link_unit; /* "probability"; or empty */
};

struct ig_plot_categories {
    const struct ig_str *texts; /* of codes 0 .. count - 1; other codes are "unseen" */
    uint32_t count;
};

struct ig_plot_options {
    uint32_t width;          /* CSS pixels; 0: 760 */
    uint32_t top;            /* features shown one by one, the others together; 0: 10 */
    size_t row;              /* plots of one row: which */
    uint32_t feature;        /* dependence: the player; AUTO: of the largest mean |contribution| */
    uint32_t colour_by;      /* dependence: the player that colours; AUTO: the one whose values go
                              * best with what `feature` itself leaves unexplained; NONE */
    const size_t *highlight; /* decision: rows to draw strong and named */
    size_t highlight_count;  /* at most 10 */
    uint32_t outliers;       /* decision: as many rows farthest from the median way, likewise; at
                              * most 10 */
    struct ig_str title;     /* in place of the plot's own; or empty */
    enum ig_plot_theme theme;
};
#define IG_PLOT_OPTIONS_INIT                                                                       \
    ((struct ig_plot_options){.feature = IG_PLOT_AUTO, .colour_by = IG_PLOT_AUTO})

struct ig_plot_info {
    const char *name; /* "waterfall" */
    enum ig_plot_rows rows;
    const char *doc;
};

const struct ig_plot_info *ig_plot_at(enum ig_plot_kind kind);
/* False when no plot has that name; *out is then untouched. */
bool ig_plot_parse(struct ig_str name, enum ig_plot_kind *out);
/* The names of all plots, separated by ", ". */
void ig_plot_list(struct ig_buf *text);

/* Appends the document to `svg`; on error nothing is appended. `options` may be NULL: the defaults.
 * Scratch memory from `arena`: at most 32 bytes a row, 16 a player, 24 a category and 500 KiB.
 * INVALID: no rows or players, a contribution, base value or margin that is not finite, numbers too
 * large to add up, an option out of range, a dependence plot without values. NO_MEMORY: the arena
 * is exhausted. TOO_LARGE: svg->max_bytes or the heap is; 500 KiB suffice while texts are short. */
enum ig_code ig_plot_write(struct ig_buf *svg, enum ig_plot_kind kind,
                           const struct ig_plot_data *data, const struct ig_plot_options *options,
                           struct ig_arena *arena, struct ig_err *err);

#endif
