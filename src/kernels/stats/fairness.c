/* SPDX-License-Identifier: Apache-2.0 */
/* One pass counts, the rest is arithmetic on counts. Owns nothing. Intervals: Wilson (1927),
 * Newcombe (1998, method 10), Katz et al. (1978). That sums of sizes such as the calibration error
 * are biased upward: Broecker (2012), Kumar, Liang and Ma (2019); that 0 is no regular point of
 * theirs: Cai and Low (2011). */
#include "kernels/stats/fairness.h"

#include <math.h>
#include <string.h>

enum { BINS = 10 };

static const double Z = 1.959963984540054; /* 97.5% of a standard normal */

/* Of an error beyond doubt: ten bins of the wrong sign have 0.5% of the lower tail; 98% for what is
 * left of it. */
static const double SURE = 3.29, Z_LEFT = 2.0537489106318225;
static const double HALF_NORMAL_MEAN = 0.7978845608028654,
                    HALF_NORMAL_VARIANCE = 0.3633802276324186;

struct bins {
    double scores[BINS], labels[BINS], squares[BINS]; /* sums; of score - label */
    size_t counts[BINS];
    double fourths;
};

/* A rate's counts in one group. */
struct share {
    size_t hits, all;
};

struct ig_fairness_rate ig_fairness_rate(size_t hits, size_t all)
{
    double n = (double)all, p = (double)hits / n;
    if (all == 0) return (struct ig_fairness_rate){NAN, NAN, NAN};
    double scale = 1 + Z * Z / n, centre = (p + Z * Z / (2 * n)) / scale;
    double half = Z * sqrt(p * (1 - p) / n + Z * Z / (4 * n * n)) / scale;
    return (struct ig_fairness_rate){p, fmax(0, centre - half), fmin(1, centre + half)};
}

static struct ig_fairness_rate difference_of(struct ig_fairness_rate a, struct ig_fairness_rate b)
{
    double down = hypot(a.value - a.low, b.high - b.value);
    double up = hypot(a.high - a.value, b.value - b.low);
    double value = a.value - b.value;
    return (struct ig_fairness_rate){value, value - down, value + up};
}

/* b / a, of counts; the interval is open towards 0 when b has no hits. */
static struct ig_fairness_rate ratio_of(struct share a, struct share b)
{
    double p = (double)a.hits / (double)a.all, q = (double)b.hits / (double)b.all;
    if (a.hits == 0) return (struct ig_fairness_rate){NAN, NAN, NAN};
    if (b.hits == 0) {
        struct ig_fairness_rate most = ig_fairness_rate(b.hits, b.all);
        return (struct ig_fairness_rate){0, 0, fmin(1, most.high / p)};
    }
    double spread = sqrt((1 - p) / (double)a.hits + (1 - q) / (double)b.hits);
    return (struct ig_fairness_rate){q / p, q / p * exp(-Z * spread), q / p * exp(Z * spread)};
}

static void count_row(const struct ig_fairness_input *input, size_t row,
                      struct ig_fairness_group *group, struct bins *bins)
{
    bool selected = input->decisions[row] == 1;
    group->rows++;
    group->selected += selected;
    if (input->scores) group->mean_score += input->scores[row];
    if (!input->labels || isnan(input->labels[row])) return;
    bool positive = input->labels[row] == 1;
    group->labelled++;
    group->positives += positive;
    group->true_positives += selected && positive;
    group->false_positives += selected && !positive;
    if (!input->scores) return;
    double score = input->scores[row], apart = score - (positive ? 1 : 0);
    size_t bin = score >= 1 ? BINS - 1 : score > 0 ? (size_t)(score * BINS) : 0;
    bins->squares[bin] += apart * apart;
    bins->fourths += apart * apart * apart * apart;
    bins->counts[bin]++;
    bins->scores[bin] += score;
    bins->labels[bin] += positive;
}

/* A mean with its normal interval. */
static struct ig_fairness_rate mean_of(double sum, double squares, double count)
{
    double mean = sum / count;
    double half = Z * sqrt(fmax(0, squares / count - mean * mean) / (count - 1));
    return (struct ig_fairness_rate){mean, mean - half, mean + half};
}

/* Mean square, over all rows, of score - label in the bin. A positive and a negative row of the
 * bin's mean score are added, so that a few rows of one label do not pass as certain (after Agresti
 * and Coull 1998). */
static double mean_square(const struct bins *bins, size_t bin, double rows)
{
    double mean = bins->scores[bin] / (double)bins->counts[bin];
    return (bins->squares[bin] + mean * mean + (1 - mean) * (1 - mean)) / rows;
}

/* Bins of one sign are parts of one mean over the rows; in doubt each is a half-normal of its own.
 */
static struct ig_fairness_rate calibration_error_of(const struct bins *bins, double rows)
{
    double error = 0, squares = 0, sure_error = 0, sure_squares = 0, added = 0, noise = 0;
    for (size_t b = 0; b < BINS; b++) {
        if (!bins->counts[b]) continue;
        double share = fabs(bins->scores[b] - bins->labels[b]) / rows;
        double square = mean_square(bins, b, rows);
        double variance = fmax(0, square - share * share) / rows, sd = sqrt(variance);
        bool sure = share > SURE * sd;
        error += share;
        squares += square;
        sure_error += sure ? share : 0;
        sure_squares += sure ? square : 0;
        noise += sure ? 0 : variance * HALF_NORMAL_VARIANCE;
        added += sure ? 0 : sd * HALF_NORMAL_MEAN;
    }
    noise += fmax(0, sure_squares - sure_error * sure_error) / rows;
    double half = Z * sqrt(fmax(0, squares - error * error) / rows);
    return (struct ig_fairness_rate){error, fmax(0, error - added - Z_LEFT * sqrt(noise)),
                                     fmin(1, error + half)};
}

static void find_rates(const struct ig_fairness_input *input, struct ig_fairness_group *group,
                       const struct bins *bins)
{
    size_t negatives = group->labelled - group->positives;
    size_t chosen = group->true_positives + group->false_positives;
    size_t right = group->true_positives + negatives - group->false_positives;
    double labelled = (double)group->labelled;
    group->compared = group->rows >= input->rows_min;
    group->selection_rate = ig_fairness_rate(group->selected, group->rows);
    group->base_rate = ig_fairness_rate(group->positives, group->labelled);
    group->true_positive_rate = ig_fairness_rate(group->true_positives, group->positives);
    group->false_positive_rate = ig_fairness_rate(group->false_positives, negatives);
    group->precision = ig_fairness_rate(group->true_positives, chosen);
    group->accuracy = ig_fairness_rate(right, group->labelled);
    group->mean_score =
        input->scores && group->rows ? group->mean_score / (double)group->rows : NAN;
    bool scored = input->scores && group->labelled;
    double apart = 0, squares = 0;
    for (size_t b = 0; b < BINS; b++) {
        apart += bins->labels[b] - bins->scores[b];
        squares += bins->squares[b];
    }
    group->calibration = mean_of(scored ? apart : NAN, squares, labelled);
    group->brier = mean_of(scored ? squares : NAN, bins->fourths, labelled);
    group->calibration_error =
        scored ? calibration_error_of(bins, labelled) : (struct ig_fairness_rate){NAN, NAN, NAN};
    group->brier.low = fmax(0, group->brier.low);
}

/* ---- disparities ---- */

static struct share selection(const struct ig_fairness_group *g)
{
    return (struct share){g->selected, g->rows};
}

static struct share true_positives(const struct ig_fairness_group *g)
{
    return (struct share){g->true_positives, g->positives};
}

static struct share false_positives(const struct ig_fairness_group *g)
{
    return (struct share){g->false_positives, g->labelled - g->positives};
}

static struct share precision(const struct ig_fairness_group *g)
{
    return (struct share){g->true_positives, g->true_positives + g->false_positives};
}

static struct share accuracy(const struct ig_fairness_group *g)
{
    size_t negatives = g->labelled - g->positives;
    return (struct share){g->true_positives + negatives - g->false_positives, g->labelled};
}

static struct ig_fairness_gap find_gap(const struct ig_fairness_report *report, uint32_t count,
                                       struct share (*share_of)(const struct ig_fairness_group *))
{
    static const struct ig_fairness_rate NONE = {NAN, NAN, NAN};
    struct ig_fairness_gap gap = {0, 0, NONE, NONE};
    double most = -INFINITY, least = INFINITY;
    for (uint32_t g = 0; g < count; g++) {
        struct share share = share_of(&report->groups[g]);
        double rate = (double)share.hits / (double)share.all;
        if (!report->groups[g].compared || share.all == 0) continue;
        if (rate > most) {
            most = rate;
            gap.most = g;
        }
        if (rate < least) {
            least = rate;
            gap.least = g;
        }
    }
    if (!(most >= least)) return gap;
    struct share a = share_of(&report->groups[gap.most]), b = share_of(&report->groups[gap.least]);
    gap.difference =
        difference_of(ig_fairness_rate(a.hits, a.all), ig_fairness_rate(b.hits, b.all));
    gap.ratio = ratio_of(a, b);
    return gap;
}

/* Whatever is undefined does not count. */
static struct ig_fairness_rate greater(struct ig_fairness_rate a, struct ig_fairness_rate b)
{
    return (struct ig_fairness_rate){fmax(a.value, b.value), fmax(a.low, b.low),
                                     fmax(a.high, b.high)};
}

static struct ig_fairness_rate lesser(struct ig_fairness_rate a, struct ig_fairness_rate b)
{
    return (struct ig_fairness_rate){fmin(a.value, b.value), fmin(a.low, b.low),
                                     fmin(a.high, b.high)};
}

static void compare(struct ig_fairness_report *report, uint32_t count)
{
    report->demographic_parity = find_gap(report, count, selection);
    report->equal_opportunity = find_gap(report, count, true_positives);
    report->false_positives = find_gap(report, count, false_positives);
    report->precision = find_gap(report, count, precision);
    report->accuracy = find_gap(report, count, accuracy);
    report->equalized_odds_difference =
        greater(report->equal_opportunity.difference, report->false_positives.difference);
    report->equalized_odds_ratio =
        lesser(report->equal_opportunity.ratio, report->false_positives.ratio);
    const struct ig_fairness_rate *ratio = &report->demographic_parity.ratio;
    if (isnan(ratio->value))
        report->four_fifths = IG_FAIRNESS_UNKNOWN;
    else if (ratio->low >= 0.8)
        report->four_fifths = IG_FAIRNESS_PASS;
    else
        report->four_fifths = ratio->high < 0.8 ? IG_FAIRNESS_FAIL : IG_FAIRNESS_OPEN;
}

static enum ig_code check(const struct ig_fairness_input *input, struct ig_err *err)
{
    if (input->rows_count == 0) return ig_fail(err, IG_INVALID, "fairness: there are no rows");
    for (size_t i = 0; i < input->rows_count; i++) {
        if (input->groups[i] >= input->groups_count)
            return ig_fail(err, IG_INVALID, "row %zu: group %u of %u", i, input->groups[i],
                           input->groups_count);
        if (input->decisions[i] > 1)
            return ig_fail(err, IG_INVALID, "row %zu: decision %u is neither 0 nor 1", i,
                           input->decisions[i]);
        if (input->labels && !isnan(input->labels[i]) && input->labels[i] != 0 &&
            input->labels[i] != 1)
            return ig_fail(err, IG_INVALID, "row %zu: label %g is neither 0 nor 1", i,
                           input->labels[i]);
    }
    return IG_OK;
}

enum ig_code ig_fairness_run(struct ig_fairness_report *out, const struct ig_fairness_input *input,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_fairness_report report = {0};
    if (check(input, err) != IG_OK) return err->code;
    report.groups = ig_arena_array(arena, input->groups_count, sizeof *report.groups);
    struct bins *bins = ig_arena_array(arena, input->groups_count, sizeof *bins);
    if (!report.groups || !bins)
        return ig_fail(err, IG_NO_MEMORY, "no memory for %u groups", input->groups_count);
    for (size_t i = 0; i < input->rows_count; i++)
        count_row(input, i, &report.groups[input->groups[i]], &bins[input->groups[i]]);
    for (uint32_t g = 0; g < input->groups_count; g++)
        find_rates(input, &report.groups[g], &bins[g]);
    compare(&report, input->groups_count);
    *out = report;
    return IG_OK;
}
