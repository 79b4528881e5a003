/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms and calibrators. Stateless. Source: Migacz 2017, 8-bit Inference with TensorRT (KL);
 * Wu et al. 2020, Integer Quantization for Deep Learning Inference. */
#include "kernels/quantize/histogram.h"

#include <math.h>
#include <string.h>

enum { HALF = IG_HISTOGRAM_BINS / 2, CUTS = 128, LEVELS = 256 };
static const double LEFT_OUT = 1e-5; /* by PERCENTILE, of all */
static const float MOMENTUM = 0.9F;

_Static_assert(sizeof(struct ig_histogram) <= 32 * 1024, "the bound on a tensor's memory");

/* ---- filling ---- */

static void double_range(struct ig_histogram *h, bool upwards)
{
    uint64_t merged[HALF];
    for (int i = 0; i < HALF; i++) merged[i] = h->bins[2 * i] + h->bins[2 * i + 1];
    if (!upwards) h->low -= h->width * IG_HISTOGRAM_BINS;
    h->width *= 2;
    memset(h->bins, 0, sizeof h->bins);
    memcpy(h->bins + (upwards ? 0 : HALF), merged, sizeof merged);
}

static struct ig_range ends_of(const float *values, size_t count, size_t *finite)
{
    struct ig_range ends = {INFINITY, -INFINITY};
    *finite = 0;
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        ends.least = fminf(ends.least, values[i]);
        ends.most = fmaxf(ends.most, values[i]);
        ++*finite;
    }
    return ends;
}

static void start(struct ig_histogram *h, struct ig_range ends)
{
    double span = (double)ends.most - (double)ends.least;
    double least_span = 1e-6 * fmax(fabs((double)ends.most), fabs((double)ends.least)) + 1e-30;
    h->ends = h->averages = ends;
    h->low = (double)ends.least;
    h->width = fmax(span, least_span) * (1 + 1e-9) / IG_HISTOGRAM_BINS;
}

void ig_histogram_add(struct ig_histogram *h, const float *values, size_t count)
{
    size_t finite;
    struct ig_range ends = ends_of(values, count, &finite);
    if (finite == 0) return;
    if (h->count == 0) start(h, ends);
    while ((double)ends.most >= h->low + h->width * IG_HISTOGRAM_BINS) double_range(h, true);
    while ((double)ends.least < h->low) double_range(h, false);
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) continue;
        size_t bin = (size_t)(((double)values[i] - h->low) / h->width);
        h->bins[bin < IG_HISTOGRAM_BINS ? bin : IG_HISTOGRAM_BINS - 1]++;
    }
    h->count += finite;
    h->ends.least = fminf(h->ends.least, ends.least);
    h->ends.most = fmaxf(h->ends.most, ends.most);
    h->averages.least += (1 - MOMENTUM) * (ends.least - h->averages.least);
    h->averages.most += (1 - MOMENTUM) * (ends.most - h->averages.most);
}

/* ---- calibrators ---- */

static double center(const struct ig_histogram *h, int bin)
{
    return h->low + (bin + 0.5) * h->width;
}

static struct ig_range within(const struct ig_histogram *h, double least, double most)
{
    return (struct ig_range){fmaxf(h->ends.least, (float)least), fminf(h->ends.most, (float)most)};
}

static struct ig_range percentile(const struct ig_histogram *h)
{
    double tail = LEFT_OUT / 2 * (double)h->count;
    double below = 0, above = 0;
    int first = 0, last = IG_HISTOGRAM_BINS - 1;
    while (first < last && below + (double)h->bins[first] <= tail)
        below += (double)h->bins[first++];
    while (last > first && above + (double)h->bins[last] <= tail) above += (double)h->bins[last--];
    return within(h, h->low + first * h->width, h->low + (last + 1) * h->width);
}

/* Mean squared error of the numbers as int8 steps over a range. */
static double squared_error(const struct ig_histogram *h, struct ig_range range)
{
    struct ig_steps steps = ig_steps_of_range(range);
    double sum = 0;
    for (int i = 0; i < IG_HISTOGRAM_BINS; i++) {
        if (!h->bins[i]) continue;
        double real = center(h, i);
        int step = ig_steps_quantize(steps, (float)real) - steps.zero_point;
        double off = real - (double)steps.scale * step;
        sum += (double)h->bins[i] * off * off;
    }
    return sum;
}

/* Divergence of the histogram, what lies outside moved to the range's ends, from the same one told
 * by int8 steps, each step's count spread evenly over those of its bins that hold any. */
static double divergence(const struct ig_histogram *h, struct ig_range range)
{
    struct ig_steps steps = ig_steps_of_range(range);
    struct ig_range ends = ig_steps_range(steps);
    double sums[LEVELS] = {0}, inside[LEVELS] = {0}, result = 0, kept = 0;
    int filled[LEVELS] = {0};
    for (int i = 0; i < IG_HISTOGRAM_BINS; i++) {
        if (!h->bins[i]) continue;
        float real = (float)center(h, i);
        int level = ig_steps_quantize(steps, real) + 128;
        sums[level] += (double)h->bins[i];
        if (real < ends.least || real > ends.most) continue;
        inside[level] += (double)h->bins[i];
        kept += (double)h->bins[i];
        filled[level]++;
    }
    for (int level = 0; level < LEVELS; level++)
        if (sums[level] > 0 && filled[level] == 0) return (double)INFINITY;
    for (int i = 0; i < IG_HISTOGRAM_BINS; i++) {
        float real = (float)center(h, i);
        if (!h->bins[i] || real < ends.least || real > ends.most) continue;
        int level = ig_steps_quantize(steps, real) + 128;
        bool edge = level == 0 || level == LEVELS - 1;
        /* at an end the outside joins the bins there, in the reference alone */
        double share = edge ? sums[level] / inside[level] : 1;
        double p = (double)h->bins[i] * share, q = inside[level] / filled[level];
        result += p * log(p / q);
    }
    return result / (double)h->count + log(kept / (double)h->count);
}

/* The best of ranges cut at +-threshold, from all down to a few hundredths. */
static struct ig_range best_cut(const struct ig_histogram *h,
                                double (*loss)(const struct ig_histogram *, struct ig_range))
{
    double most = fmax(fabs((double)h->ends.least), fabs((double)h->ends.most));
    struct ig_range best = h->ends;
    double least = loss(h, best);
    for (int i = 1; i < CUTS - 4; i++) {
        double threshold = most * (CUTS - i) / CUTS;
        struct ig_range range = within(h, -threshold, threshold);
        if (range.least > range.most) break; /* all numbers lie beyond it */
        double value = loss(h, range);
        if (value < least) {
            least = value;
            best = range;
        }
    }
    return best;
}

struct ig_range ig_histogram_range(const struct ig_histogram *histogram,
                                   enum ig_calibrator calibrator)
{
    if (histogram->count == 0) return (struct ig_range){0, 0};
    switch (calibrator) {
    case IG_CALIBRATE_MOVING_AVERAGE:
        return histogram->averages;
    case IG_CALIBRATE_PERCENTILE:
        return percentile(histogram);
    case IG_CALIBRATE_KL:
        return best_cut(histogram, divergence);
    case IG_CALIBRATE_MSE:
        return best_cut(histogram, squared_error);
    default:
        return histogram->ends;
    }
}

const char *ig_calibrator_name(enum ig_calibrator calibrator)
{
    static const char *const names[IG_CALIBRATORS_COUNT] = {
#define IG_CALIBRATOR(name, word, doc) word,
#include "kernels/quantize/calibrators.def"
#undef IG_CALIBRATOR
    };
    return calibrator < IG_CALIBRATORS_COUNT ? names[calibrator] : "unknown";
}
