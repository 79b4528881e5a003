/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PLOT_PLOT_AXIS_H
#define IG_FORMATS_PLOT_PLOT_AXIS_H

/* Scales from data to pixels, and their ticks. Pure functions. */

#include "formats/plot/plot.h"
#include "formats/plot/plot_text.h"

struct ig_plot_scale {
    double low, high; /* data; low < high */
    double from, to;  /* pixels of low and high */
};

/* Widens [low, high] (finite, their difference too) where it is too narrow to be told apart. */
struct ig_plot_scale ig_plot_scale_over(double low, double high);
double ig_plot_scale_at(const struct ig_plot_scale *scale, double value); /* pixel */

enum { IG_PLOT_TICKS_MAX = 24, IG_PLOT_TICK = 11 /* size of the texts */ };

struct ig_plot_tick {
    double value; /* in the axis's own unit */
    double at;    /* pixel */
    char text[IG_PLOT_NUMBER_MAX];
};

struct ig_plot_ticks {
    struct ig_plot_tick ticks[IG_PLOT_TICKS_MAX];
    unsigned count;
};

/* Multiples of 1, 2 or 5 times a power of ten, at least about `pixels` apart, and, on an axis
 * across, as far that their texts do not touch. */
void ig_plot_ticks_nice(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                        double pixels, bool is_across);
/* In the unit of the link, placed by the margin; none for the identity. */
void ig_plot_ticks_link(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                        const struct ig_plot_data *data);
/* The margin as the link's unit has it. */
double ig_plot_link_value(const struct ig_plot_data *data, double margin);

#endif
