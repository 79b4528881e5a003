/* SPDX-License-Identifier: Apache-2.0 */
/* Scales and ticks. A link's axis is drawn on the margin's scale: its ticks are chosen by how good
 * they read (0.5, 0.1, 0.9, ...) and kept where there is room. Owns nothing; stateless. */
#include "formats/plot/plot_axis.h"

#include <math.h>
#include <string.h>

enum { LINK_GAP = 10, TICK_GAP = 12 };

struct ig_plot_scale ig_plot_scale_over(double low, double high)
{
    double size = fmax(fabs(low), fabs(high)), least = fmax(size * 1e-12, 1e-300);
    if (high - low < least) {
        double half = size > 1e-290 ? size / 2 : 0.5, centre = low / 2 + high / 2;
        low = centre - half;
        high = centre + half;
    }
    return (struct ig_plot_scale){.low = low, .high = high, .from = 0, .to = 1};
}

double ig_plot_scale_at(const struct ig_plot_scale *scale, double value)
{
    double share = (value - scale->low) / (scale->high - scale->low);
    return scale->from + share * (scale->to - scale->from);
}

static double nice_step(double wanted)
{
    double power = pow(10, floor(log10(wanted)));
    double share = wanted / power;
    return power * (share <= 1 ? 1 : share <= 2 ? 2 : share <= 5 ? 5 : 10);
}

/* Returns the width of the widest text. */
static double fill_ticks(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                         double step)
{
    double size = fmax(fabs(scale->low), fabs(scale->high)), widest = 0;
    struct ig_plot_digits digits = ig_plot_digits_of(size, step, 1);
    digits.trim = digits.exponent;
    double first = ceil(scale->low / step - 1e-9), last = floor(scale->high / step + 1e-9);
    ticks->count = 0;
    for (double i = first; i <= last && ticks->count < IG_PLOT_TICKS_MAX; i++) {
        struct ig_plot_tick *tick = &ticks->ticks[ticks->count];
        tick->value = i * step;
        tick->at = ig_plot_scale_at(scale, tick->value);
        if (!isfinite(tick->at)) continue;
        struct ig_str text = ig_plot_number(tick->text, tick->value, digits, false);
        widest = fmax(widest, ig_plot_text_width(text, IG_PLOT_TICK));
        ticks->count++;
    }
    return widest;
}

void ig_plot_ticks_nice(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                        double pixels, bool is_across)
{
    double length = fabs(scale->to - scale->from);
    double step = (scale->high - scale->low) / fmin(fmax(floor(length / pixels), 1), 12);
    for (int pass = 0; pass < 4; pass++, step *= 1.5) {
        step = nice_step(step);
        double widest = fill_ticks(ticks, scale, step);
        double apart = step / (scale->high - scale->low) * length;
        if (!is_across || widest + TICK_GAP <= apart) return;
    }
}

double ig_plot_link_value(const struct ig_plot_data *data, double margin)
{
    double scale = data->link_scale > 0 ? data->link_scale : 1;
    if (data->link == IG_PLOT_LINK_LOGIT) return 1 / (1 + exp(-scale * margin));
    return data->link == IG_PLOT_LINK_LOG ? exp(scale * margin) : margin;
}

static double margin_of(const struct ig_plot_data *data, double value)
{
    double scale = data->link_scale > 0 ? data->link_scale : 1;
    if (data->link == IG_PLOT_LINK_LOGIT) return log(value / (1 - value)) / scale;
    return log(value) / scale;
}

/* Keeps the tick at a margin when it lies on the axis and touches no other. */
static void offer(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale, double margin,
                  double value, struct ig_str text)
{
    if (ticks->count == IG_PLOT_TICKS_MAX) return;
    if (!isfinite(margin) || margin < scale->low || margin > scale->high) return;
    struct ig_plot_tick *tick = &ticks->ticks[ticks->count];
    double at = ig_plot_scale_at(scale, margin), width = ig_plot_text_width(text, IG_PLOT_TICK);
    for (unsigned i = 0; i < ticks->count; i++) {
        const struct ig_plot_tick *other = &ticks->ticks[i];
        double theirs = ig_plot_text_width(ig_str_view(other->text), IG_PLOT_TICK);
        if (fabs(other->at - at) < (width + theirs) / 2 + LINK_GAP) return;
    }
    tick->value = value;
    tick->at = at;
    memcpy(tick->text, text.ptr, text.len);
    tick->text[text.len] = 0;
    ticks->count++;
}

/* A probability and its complement: 0.01 and 0.99, 1e-6 and 1-1e-6. */
static void offer_logit(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                        const struct ig_plot_data *data, double value)
{
    struct ig_plot_digits digits = {.decimals = 4, .trim = true, .exponent = value < 1e-4};
    double margin = margin_of(data, value);
    char text[IG_PLOT_NUMBER_MAX], other[IG_PLOT_NUMBER_MAX];
    offer(ticks, scale, margin, value, ig_plot_number(text, value, digits, false));
    struct ig_str rest = ig_plot_number(other, 1 - value, digits, false);
    if (digits.exponent) {
        rest = ig_plot_number(other, -value, digits, false);
        text[0] = '1';
        memcpy(text + 1, rest.ptr, rest.len);
        rest = (struct ig_str){text, rest.len + 1};
    }
    offer(ticks, scale, -margin, 1 - value, rest);
}

static void offer_log(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                      const struct ig_plot_data *data)
{
    static const double SHARES[] = {1, 5, 2};
    char text[IG_PLOT_NUMBER_MAX];
    double low = log10(ig_plot_link_value(data, scale->low));
    double high = log10(ig_plot_link_value(data, scale->high));
    if (!isfinite(low) || !isfinite(high)) return;
    for (size_t i = 0; i < sizeof SHARES / sizeof *SHARES; i++)
        for (double power = floor(low); power <= high; power++) {
            double value = SHARES[i] * pow(10, power);
            struct ig_plot_digits digits = ig_plot_digits_of(value, value, 1);
            offer(ticks, scale, margin_of(data, value), value,
                  ig_plot_number(text, value, digits, false));
        }
}

void ig_plot_ticks_link(struct ig_plot_ticks *ticks, const struct ig_plot_scale *scale,
                        const struct ig_plot_data *data)
{
    static const double SMALL[] = {0.5, 0.1, 0.25, 1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-12};
    char text[IG_PLOT_NUMBER_MAX];
    ticks->count = 0;
    if (data->link == IG_PLOT_LINK_IDENTITY) return;
    for (size_t i = 0; data->link == IG_PLOT_LINK_LOGIT && i < sizeof SMALL / sizeof *SMALL; i++)
        offer_logit(ticks, scale, data, SMALL[i]);
    if (data->link == IG_PLOT_LINK_LOG) offer_log(ticks, scale, data);
    if (ticks->count >= 4) return;
    /* A narrow range: evenly spread in the link's unit. */
    double low = ig_plot_link_value(data, scale->low), high = ig_plot_link_value(data, scale->high);
    if (!isfinite(high) || high - low < 1e-4 * fmax(fabs(high), 1e-280)) return;
    double step = nice_step((high - low) / 6), first = ceil(low / step);
    struct ig_plot_digits digits = ig_plot_digits_of(high, step, 1);
    digits.trim = true;
    for (double i = first; i <= high / step && i - first < IG_PLOT_TICKS_MAX; i++)
        offer(ticks, scale, margin_of(data, i * step), i * step,
              ig_plot_number(text, i * step, digits, false));
}
