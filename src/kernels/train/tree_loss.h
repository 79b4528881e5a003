/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_TREE_LOSS_H
#define IG_KERNELS_TRAIN_TREE_LOSS_H

/* The loss of a tree model's margins, by its objective: log loss of probabilities, Poisson's of
 * counts (without the part that labels alone decide), else the squared error. Stateless. */

#include "base/err.h"
#include "model/model.h"

struct ig_tree_rows {
    const double *rows; /* rows_count x features_count */
    size_t rows_count;
    const double *labels; /* rows_count x outputs_count: a probability of each class or output, or
                             the number; none is NaN */
};

/* Whether labels can come from a table: where an objective's predictions are no means of a label
 * (quantiles, hinge, ranking), the model's own answers are all that it can be held to. */
bool ig_tree_loss_takes_labels(const struct ig_model *model);
/* The model's own answer to a row as labels[outputs_count], from its margins. */
void ig_tree_loss_answer(const struct ig_model *model, const double *margins, double *labels);

struct ig_tree_loss_batch {
    const struct ig_model *model;
    const double *margins, *labels; /* rows_count x outputs_count */
    size_t rows_count;
};
/* The mean over the rows. gradients, hessians: rows_count x outputs_count of each row's loss by
 * each margin, or both NULL. */
double ig_tree_loss_run(const struct ig_tree_loss_batch *batch, double *gradients,
                        double *hessians);
/* Share of the rows whose likeliest class is the label's; NaN where there are no classes. */
double ig_tree_loss_accuracy(const struct ig_tree_loss_batch *batch);

#endif
