/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_PLOT_PLOT_TEXT_H
#define IG_FORMATS_PLOT_PLOT_TEXT_H

/* Text in pictures: cleaned, escaped, measured, cut; and numbers with few digits. Pure functions.
 *
 * Cleaned: bytes that are not UTF-8 become U+FFFD; line ends and tabs become spaces; other control
 * characters, characters that XML forbids and those that turn the direction of text are dropped. */

#include "base/str.h"

/* Cleaned and escaped for XML content and double-quoted attributes. */
void ig_plot_text_add(struct ig_buf *xml, struct ig_str text);
/* Width of the cleaned text in a sans-serif font of `size` pixels: about right for Arial, Helvetica
 * and DejaVu Sans, which differ by an eighth. */
double ig_plot_text_width(struct ig_str text, double size);
/* Bytes of `text` that fit into `room` pixels with an ellipsis behind them; all when all fit. */
size_t ig_plot_text_fit(struct ig_str text, double size, double room);
/* At most `characters` of `text`. */
struct ig_str ig_plot_text_head(struct ig_str text, size_t characters);

enum { IG_PLOT_NUMBER_MAX = 48 }; /* with NUL */

struct ig_plot_digits {
    int decimals;  /* 0 .. 12 */
    bool exponent; /* 1.23e-7 */
    bool trim;     /* no zeros at the end of the decimals */
    bool commas;   /* 1,234 */
};

/* Of a number of rows or features. */
#define IG_PLOT_COUNT ((struct ig_plot_digits){.commas = true})

/* For numbers up to `largest` that differ by `step`, which keeps `significant` digits; with commas
 * when `largest` has five digits before the point. */
struct ig_plot_digits ig_plot_digits_of(double largest, double step, int significant);
/* UTF-8 text of a finite number: U+2212 as minus; `plus`: a sign always,
 * but for zero. Locale-free. */
struct ig_str ig_plot_number(char text[IG_PLOT_NUMBER_MAX], double value,
                             struct ig_plot_digits digits, bool plus);
/* Alone: four significant digits, trimmed. Of a value that is not finite: "missing", infinity. */
struct ig_str ig_plot_number_alone(char text[IG_PLOT_NUMBER_MAX], double value);

/* A line of text made of parts; what does not fit is dropped whole characters at a time. */
struct ig_plot_words {
    size_t len;
    char text[1024];
};

void ig_plot_words_add(struct ig_plot_words *words, struct ig_str text);
void ig_plot_words_put(struct ig_plot_words *words, const char *text);
void ig_plot_words_name(struct ig_plot_words *words, struct ig_str name); /* cut at 60 characters */
void ig_plot_words_number(struct ig_plot_words *words, double value, struct ig_plot_digits digits,
                          bool plus);
/* "3 rows": with an s unless there is one. */
void ig_plot_words_count(struct ig_plot_words *words, size_t count, const char *thing);
struct ig_str ig_plot_words_view(const struct ig_plot_words *words);

#endif
