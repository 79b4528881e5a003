/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics in double precision. AUC by the rank sum (Mann-Whitney U) with mean ranks for ties.
 * Thread rule: pure. */
#include "services/job/train_metrics.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const char *const NAMES[] = {"accuracy", "auc", "logloss", "rmse", "mae", "r2"};
static const double CLIP = 1e-15;

const char *ig_metric_name(enum ig_metric metric)
{
    return NAMES[metric];
}

static void clear(struct ig_metrics *metrics)
{
    for (int i = 0; i < IG_METRICS_COUNT; i++) metrics->values[i] = NAN;
}

static double loss(double probability)
{
    if (probability < CLIP) probability = CLIP;
    if (probability > 1 - CLIP) probability = 1 - CLIP;
    return -log(probability);
}

struct scored {
    double probability;
    bool positive;
};

static int compare_scored(const void *left, const void *right)
{
    double a = ((const struct scored *)left)->probability;
    double b = ((const struct scored *)right)->probability;
    return (a > b) - (a < b);
}

/* `scored` ascending. NaN when one class is absent. */
static double area(const struct scored *scored, size_t n)
{
    double rank_sum = 0, positives = 0;
    for (size_t i = 0; i < n;) {
        size_t end = i;
        double tied_positives = 0;
        while (end < n && scored[end].probability == scored[i].probability)
            tied_positives += scored[end++].positive;
        rank_sum += tied_positives * ((double)(i + 1) + (double)end) / 2;
        positives += tied_positives;
        i = end;
    }
    double negatives = (double)n - positives;
    if (positives == 0 || negatives == 0) return NAN;
    return (rank_sum - positives * (positives + 1) / 2) / (positives * negatives);
}

enum ig_code ig_metrics_binary(struct ig_metrics *out, const double *labels,
                               const double *probabilities, size_t n, struct ig_err *err)
{
    double right = 0, total = 0;
    struct ig_metrics metrics;
    clear(&metrics);
    if (n > 0) {
        struct scored *scored = ig_zalloc_array(n, sizeof *scored);
        if (!scored) return ig_fail(err, IG_NO_MEMORY, "metrics of %zu rows", n);
        for (size_t i = 0; i < n; i++) {
            bool positive = labels[i] == 1;
            scored[i] = (struct scored){probabilities[i], positive};
            right += positive == (probabilities[i] >= 0.5);
            total += loss(positive ? probabilities[i] : 1 - probabilities[i]);
        }
        qsort(scored, n, sizeof *scored, compare_scored);
        metrics.values[IG_METRIC_AUC] = area(scored, n);
        metrics.values[IG_METRIC_ACCURACY] = right / (double)n;
        metrics.values[IG_METRIC_LOGLOSS] = total / (double)n;
        ig_free(scored);
    }
    *out = metrics;
    return IG_OK;
}

void ig_metrics_multiclass(struct ig_metrics *out, const double *labels,
                           const double *probabilities, size_t n, size_t classes)
{
    double right = 0, total = 0;
    clear(out);
    if (n == 0) return;
    for (size_t i = 0; i < n; i++) {
        const double *row = probabilities + i * classes;
        size_t best = 0, label = (size_t)labels[i];
        for (size_t at = 1; at < classes; at++) {
            if (row[at] > row[best]) best = at;
        }
        right += best == label;
        total += loss(row[label]);
    }
    out->values[IG_METRIC_ACCURACY] = right / (double)n;
    out->values[IG_METRIC_LOGLOSS] = total / (double)n;
}

void ig_metrics_regression(struct ig_metrics *out, const double *labels, const double *predictions,
                           size_t n)
{
    double mean = 0, squares = 0, absolute = 0, spread = 0;
    clear(out);
    if (n == 0) return;
    for (size_t i = 0; i < n; i++) mean += labels[i];
    mean /= (double)n;
    for (size_t i = 0; i < n; i++) {
        double error = labels[i] - predictions[i], distance = labels[i] - mean;
        squares += error * error;
        absolute += fabs(error);
        spread += distance * distance;
    }
    out->values[IG_METRIC_RMSE] = sqrt(squares / (double)n);
    out->values[IG_METRIC_MAE] = absolute / (double)n;
    if (spread > 0) out->values[IG_METRIC_R2] = 1 - squares / spread;
}

void ig_metrics_write(struct ig_json_out *out, const struct ig_metrics *metrics)
{
    for (int i = 0; i < IG_METRICS_COUNT; i++) {
        if (!isnan(metrics->values[i])) ig_json_out_kv_f64(out, NAMES[i], metrics->values[i]);
    }
}
