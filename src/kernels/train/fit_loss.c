/* SPDX-License-Identifier: Apache-2.0 */
/* Losses and their gradients by the logits. In double: rows are few numbers.
 *
 * The gradient of T^2 * KL(q_T || p_T) by a logit is T * (p_T - q_T). */
#include "kernels/train/fit.h"

#include <math.h>

enum { OUTPUTS_MAX = IG_FIT_OUTPUTS_MAX };

struct row {
    const float *logits, *teacher;
    const float *label; /* NULL: none */
    float *gradient;    /* NULL: not wanted */
    float scale;        /* of the gradient */
};

static void softmax(double *out, const float *logits, size_t count, double temperature)
{
    double most = (double)logits[0], sum = 0;
    for (size_t c = 1; c < count; c++) most = fmax(most, (double)logits[c]);
    for (size_t c = 0; c < count; c++)
        sum += out[c] = exp(((double)logits[c] - most) / temperature);
    for (size_t c = 0; c < count; c++) out[c] /= sum;
}

/* sum of q * log(q / p). */
static double divergence(const double *q, const double *p, size_t count)
{
    double sum = 0;
    for (size_t c = 0; c < count; c++)
        if (q[c] > 0) sum += q[c] * (log(q[c]) - log(fmax(p[c], 1e-300)));
    return sum;
}

static double cross_entropy(const double *target, const double *p, size_t count)
{
    double sum = 0;
    for (size_t c = 0; c < count; c++)
        if (target[c] > 0) sum -= target[c] * log(fmax(p[c], 1e-300));
    return sum;
}

/* Two classes of one logit are those of the logits 0 and z. */
static size_t spread(float *out, const float *logits, const struct ig_fit_batch *batch)
{
    if (batch->loss == IG_FIT_SOFTMAX) {
        memcpy(out, logits, batch->outputs * sizeof *out);
        return batch->outputs;
    }
    out[0] = 0;
    out[1] = logits[0];
    return 2;
}

static double classes_row(const struct ig_fit_batch *batch, const struct row *row, bool *right)
{
    float z[OUTPUTS_MAX], t[OUTPUTS_MAX];
    double p[OUTPUTS_MAX], target[OUTPUTS_MAX] = {0}, at_t[OUTPUTS_MAX], teacher_at_t[OUTPUTS_MAX];
    double alpha = row->teacher ? batch->alpha : 1, temperature = batch->temperature, loss = 0;
    size_t count = spread(z, row->logits, batch), best = 0;
    for (size_t c = 1; c < count; c++)
        if (z[c] > z[best]) best = c;
    softmax(p, z, count, 1);
    if (row->label) target[(size_t)*row->label] = 1;
    if (row->teacher) spread(t, row->teacher, batch);
    if (row->teacher && !row->label) softmax(target, t, count, 1);
    *right = row->label && (size_t)*row->label == best;
    if (alpha > 0) loss = alpha * cross_entropy(target, p, count);
    if (row->teacher) {
        softmax(at_t, z, count, temperature);
        softmax(teacher_at_t, t, count, temperature);
        loss += (1 - alpha) * temperature * temperature * divergence(teacher_at_t, at_t, count);
    }
    size_t skipped = count - batch->outputs; /* the constant logit */
    for (size_t c = skipped; row->gradient && c < count; c++) {
        double slope = alpha * (p[c] - target[c]);
        if (row->teacher) slope += (1 - alpha) * temperature * (at_t[c] - teacher_at_t[c]);
        row->gradient[c - skipped] = (float)slope * row->scale;
    }
    return loss;
}

static double numbers_row(const struct ig_fit_batch *batch, const struct row *row)
{
    double alpha = row->teacher ? batch->alpha : 1, loss = 0;
    for (size_t c = 0; c < batch->outputs; c++) {
        double slope = 0, teacher = row->teacher ? (double)row->teacher[c] : 0;
        double label = row->label ? (double)row->label[c] : teacher;
        double off = (double)row->logits[c] - label, off_teacher = (double)row->logits[c] - teacher;
        loss += alpha * off * off;
        slope += 2 * alpha * off;
        if (row->teacher) {
            loss += (1 - alpha) * off_teacher * off_teacher;
            slope += 2 * (1 - alpha) * off_teacher;
        }
        if (row->gradient) row->gradient[c] = (float)(slope / (double)batch->outputs) * row->scale;
    }
    return loss / (double)batch->outputs;
}

double ig_fit_loss_of(const struct ig_fit_batch *batch, float *gradient, size_t *right)
{
    double sum = 0;
    size_t each = batch->loss == IG_FIT_SQUARED ? batch->outputs : 1;
    if (right) *right = 0;
    for (size_t i = 0; i < batch->rows_count; i++) {
        struct row row = {batch->logits + i * batch->outputs,
                          batch->teacher ? batch->teacher + i * batch->outputs : NULL,
                          batch->labels ? batch->labels + i * each : NULL,
                          gradient ? gradient + i * batch->outputs : NULL,
                          1 / (float)batch->rows_count};
        bool good = false;
        if (row.label && isnan(*row.label)) row.label = NULL;
        sum += batch->loss == IG_FIT_SQUARED ? numbers_row(batch, &row)
                                             : classes_row(batch, &row, &good);
        if (right) *right += good;
    }
    return sum / (double)batch->rows_count;
}
