/* SPDX-License-Identifier: Apache-2.0 */
/* Layout of a line: two spaces, label (LABEL columns), space, bars (BARS columns), space, number. A
 * bar spans from the running total before its feature to the one after it. Sign is shown thrice: by
 * the number, by the bar's glyph and, on a terminal, by colour. */
#include "waterfall.h"

#include <langinfo.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LABEL = 32, BARS = 32, NUMBER = 11 };

struct canvas {
    FILE *out;
    bool utf8;
    bool colour;
    double low, span; /* of the running totals */
};

size_t ig_waterfall_columns(struct ig_str text)
{
    size_t columns = 0;
    for (size_t i = 0; i < text.len; i++) columns += ((unsigned char)text.ptr[i] & 0xC0) != 0x80;
    return columns;
}

/* Bytes of `text` that fit into `columns`. */
static size_t fitting_bytes(struct ig_str text, size_t columns)
{
    size_t at = 0;
    for (; at < text.len; at++)
        if (((unsigned char)text.ptr[at] & 0xC0) != 0x80 && columns-- == 0) break;
    return at;
}

/* Control characters of foreign names never reach the terminal. */
static void put_clean(FILE *out, struct ig_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        fputc(byte < 0x20 || byte == 0x7F ? '?' : byte, out);
    }
}

static size_t put_clipped(FILE *out, struct ig_str text, size_t columns)
{
    size_t wide = ig_waterfall_columns(text);
    if (wide <= columns) {
        put_clean(out, text);
        return wide;
    }
    put_clean(out, (struct ig_str){text.ptr, fitting_bytes(text, columns - 2)});
    fputs("..", out);
    return columns;
}

static void put_label(FILE *out, struct ig_str feature, struct ig_str value)
{
    size_t wide_value = ig_waterfall_columns(value);
    if (wide_value > LABEL / 2) wide_value = LABEL / 2;
    size_t room = value.len ? LABEL - 3 - wide_value : LABEL;
    fputs("  ", out);
    size_t used = put_clipped(out, feature, room);
    if (value.len) {
        fputs(" = ", out);
        used += 3 + put_clipped(out, value, LABEL - 3 - used);
    }
    fprintf(out, "%*s", (int)(LABEL + 1 - used), "");
}

static int cell(const struct canvas *canvas, double total)
{
    double at = (total - canvas->low) / canvas->span * BARS;
    if (!(at > 0)) return 0;
    return at > BARS ? BARS : (int)(at + 0.5);
}

static void put_bar(const struct canvas *canvas, double from, double to)
{
    int a = cell(canvas, from < to ? from : to), b = cell(canvas, from < to ? to : from);
    bool up = to >= from, thin = a == b;
    if (a == BARS) a = BARS - 1;
    if (b <= a) b = a + 1;
    const char *glyph = up ? "+" : "-";
    if (canvas->utf8) glyph = thin ? "\u258f" : up ? "\u2588" : "\u2592";
    fprintf(canvas->out, "%*s", a, "");
    if (canvas->colour) fputs(up ? "\033[31m" : "\033[34m", canvas->out);
    for (int i = a; i < b; i++) fputs(glyph, canvas->out);
    if (canvas->colour) fputs("\033[0m", canvas->out);
    fprintf(canvas->out, "%*s", BARS - b, "");
}

static void put_rule(const struct canvas *canvas, double total)
{
    int at = cell(canvas, total);
    if (at == BARS) at = BARS - 1;
    fprintf(canvas->out, "%*s%s%*s", at, "", canvas->utf8 ? "\u2502" : "|", BARS - 1 - at, "");
}

static void put_number(FILE *out, double value, bool sign)
{
    double size = fabs(value);
    const char *format = sign ? "%+*.4f\n" : "%*.4f\n";
    if (size >= 1e6 || (size > 0 && size < 1e-4)) format = sign ? "%+*.3e\n" : "%*.3e\n";
    fprintf(out, format, NUMBER, value);
}

static void find_scale(struct canvas *canvas, const struct ig_waterfall *waterfall)
{
    double total = waterfall->base_value, low = total, high = total;
    for (size_t i = 0; i <= waterfall->bars_count; i++) {
        total += i < waterfall->bars_count ? waterfall->bars[i].contribution : waterfall->others;
        low = fmin(low, total);
        high = fmax(high, total);
    }
    canvas->low = low;
    canvas->span = high > low ? high - low : 1;
}

static void put_step(const struct canvas *canvas, double *total, double contribution)
{
    put_bar(canvas, *total, *total + contribution);
    fputc(' ', canvas->out);
    put_number(canvas->out, contribution, true);
    *total += contribution;
}

static void put_total(const struct canvas *canvas, const char *label, double total)
{
    put_label(canvas->out, ig_str_view(label), IG_STR(""));
    put_rule(canvas, total);
    fputc(' ', canvas->out);
    put_number(canvas->out, total, false);
}

void ig_waterfall_print(FILE *out, const struct ig_waterfall *waterfall)
{
    bool terminal = isatty(fileno(out)) == 1;
    struct canvas canvas = {.out = out,
                            .utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0,
                            .colour = terminal && !getenv("NO_COLOR")};
    find_scale(&canvas, waterfall);
    double total = waterfall->base_value;
    put_total(&canvas, waterfall->from ? waterfall->from : "base value", total);
    for (size_t i = 0; i < waterfall->bars_count; i++) {
        const struct ig_waterfall_bar *bar = &waterfall->bars[i];
        put_label(out, bar->feature, bar->value);
        put_step(&canvas, &total, bar->contribution);
    }
    if (waterfall->others_count) {
        char label[48];
        snprintf(label, sizeof label, "%zu other%s", waterfall->others_count,
                 waterfall->others_count == 1 ? "" : "s");
        put_label(out, ig_str_view(label), IG_STR(""));
        put_step(&canvas, &total, waterfall->others);
    }
    put_total(&canvas, waterfall->to ? waterfall->to : "margin", waterfall->margin);
}
