/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PLOT_PLOT_SVG_H
#define IG_FORMATS_PLOT_PLOT_SVG_H

/* A small writer of SVG: elements, one style sheet. Classes are the sheet's; nothing has an id, so
 * documents can stand in one page of HTML. Coordinates are pixels, written with at most two
 * decimals.
 *
 * Classes: h heading, s muted, t small muted (ticks), e text that ends at x, m text about x; g grid
 * line, a axis line, d dashed line; up, dn contributions above and below zero, n without sign, o
 * text upon them; v0 .. v8 values from low to high, vn values without order, vx missing; c0 .. c5
 * cohorts and categories; p dots, l lines of rows, k strong ones, z what lies under them, b
 * background's colour. */

#include "formats/plot/plot.h"

enum { IG_PLOT_RAMP = 9, IG_PLOT_SIZE = 12, IG_PLOT_SMALL = 11, IG_PLOT_HEADING = 15 };

struct ig_plot_box {
    double x, y, width, height;
};

/* Opens the document, up to its <title>, which the caller fills and ends by ig_plot_svg_desc; then
 * <desc>, ended by ig_plot_svg_style, which writes the sheet and the background. */
void ig_plot_svg_begin(struct ig_buf *svg, double width, double height);
void ig_plot_svg_desc(struct ig_buf *svg);
void ig_plot_svg_style(struct ig_buf *svg, enum ig_plot_theme theme, double width, double height);
void ig_plot_svg_end(struct ig_buf *svg);

void ig_plot_svg_number(struct ig_buf *svg, double value);
void ig_plot_svg_open(struct ig_buf *svg, const char *element,
                      const char *class); /* `<e class="c"` */
void ig_plot_svg_attribute(struct ig_buf *svg, const char *name, double value);
/* After an element's attributes: `/>`, or a tooltip between tip and tip_end. */
void ig_plot_svg_close(struct ig_buf *svg);
void ig_plot_svg_tip(struct ig_buf *svg);
void ig_plot_svg_tip_end(struct ig_buf *svg, const char *element);
void ig_plot_svg_group(struct ig_buf *svg, const char *class); /* ended by ungroup */
void ig_plot_svg_ungroup(struct ig_buf *svg);

void ig_plot_svg_rect(struct ig_buf *svg, const char *class, struct ig_plot_box box); /* open */
void ig_plot_svg_line(struct ig_buf *svg, const char *class, const double from[2],
                      const double to[2]); /* closed */
/* A path: begin, then points (command 'M' or 'L'), then done, which leaves the element open. */
void ig_plot_svg_path(struct ig_buf *svg, const char *class);
void ig_plot_svg_point(struct ig_buf *svg, char command, double x, double y);
void ig_plot_svg_done(struct ig_buf *svg, bool closed);
/* A dot: a path of no length with round ends. Open. */
void ig_plot_svg_dot(struct ig_buf *svg, const char *class, double x, double y);
/* A cross, a square, ...: 0 .. 5, for categories; about as large as a dot. Open. */
void ig_plot_svg_glyph(struct ig_buf *svg, const char *class, unsigned shape, const double at[2]);

/* The cross of a missing value, class "x vn". Open. */
void ig_plot_svg_cross(struct ig_buf *svg, double x, double y);

struct ig_plot_label {
    const char *class;
    double x, y;
    double size; /* of the font, for measuring */
    double room; /* pixels; what does not fit is cut, and stands whole in a tooltip; 0: no limit */
};

void ig_plot_svg_label(struct ig_buf *svg, const struct ig_plot_label *label, struct ig_str text);
/* "name = value", the value muted; `value` may be empty. Both are cut where needed. */
void ig_plot_svg_pair(struct ig_buf *svg, const struct ig_plot_label *label, struct ig_str name,
                      struct ig_str value);
double ig_plot_svg_pair_width(struct ig_str name, struct ig_str value, double size);
/* Class "v0" .. "v8" for a share of [0, 1]. */
const char *ig_plot_svg_ramp(double share);

#endif
