/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_PICTURE_H
#define IG_API_PICTURE_H

/* A plot of additive answers: rows are collected one by one, then drawn by formats/plot. Names,
 * categories, output and unit come from the first answer, whose schema and model must outlive the
 * picture; rows are copied. Not thread-safe. */

#include "api/answer.h"
#include "formats/plot/plot.h"

/* As asked for by members of a request or options of the command. */
struct ig_picture_request {
    struct ig_str plot;       /* its name; ptr NULL: none is wanted */
    struct ig_str feature;    /* "plot_feature", dependence: a player's name; or empty */
    struct ig_str color_by;   /* "plot_color_by", likewise; "none": no colour */
    struct ig_str theme;      /* "plot_theme": "auto" (or empty), "light", "dark" */
    uint64_t width;           /* "plot_width", CSS pixels; 0: 760 */
    uint64_t row;             /* "plot_row", plots of one row: which, the first being 1; 0: 1 */
    struct ig_str class_name; /* the output drawn; empty: the predicted one of the first row */
    size_t top;               /* features shown one by one; 0: the plot's own */
};

struct ig_picture;

enum { IG_PICTURE_ROWS_MAX = 100000 };

/* INVALID, the message begins with the member: an unknown plot, theme, player or class, a width out
 * of range; an answer that is no additive explanation. */
enum ig_code ig_picture_new(struct ig_picture **out, const struct ig_picture_request *request,
                            const struct ig_answer *first, struct ig_err *err);
void ig_picture_free(struct ig_picture *picture); /* NULL is allowed */
/* TOO_LARGE: more than IG_PICTURE_ROWS_MAX rows, or a GiB of numbers. */
enum ig_code ig_picture_add(struct ig_picture *picture, const struct ig_answer *answer,
                            struct ig_err *err);
/* Appends the SVG document. INVALID: plot_row behind the last row; what ig_plot_write refuses. */
enum ig_code ig_picture_write(struct ig_buf *svg, struct ig_picture *picture, struct ig_err *err);

#endif
