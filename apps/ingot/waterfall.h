/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_WATERFALL_H
#define IG_APP_WATERFALL_H

/* An explanation drawn with text: from the base value, bar by bar, to the margin. At most 80
 * columns. Bars are block characters when the stream's locale is UTF-8, else ASCII; coloured only
 * on a terminal (and not with NO_COLOR). */

#include "base/str.h"

#include <stdio.h>

struct ig_waterfall_bar {
    struct ig_str feature;
    struct ig_str value; /* as text; empty shows the feature's name alone */
    double contribution;
};

struct ig_waterfall {
    const struct ig_waterfall_bar *bars; /* in the order to draw */
    size_t bars_count;
    size_t others_count; /* features not among the bars, and the sum of their contributions */
    double others;
    double base_value;
    double margin;
    const char *from, *to; /* what these two are called; NULL: "base value", "margin" */
};

void ig_waterfall_print(FILE *out, const struct ig_waterfall *waterfall);
/* Columns that a text takes, by UTF-8 characters. */
size_t ig_waterfall_columns(struct ig_str text);

#endif
