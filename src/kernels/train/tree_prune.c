/* SPDX-License-Identifier: Apache-2.0 */
/* How far pruning goes. It goes in rounds of a share of the leaves: after each the costs are known
 * anew, since every cut moves the margins that the others were weighed at. Stateless. */
#include "kernels/train/tree_prune_priv.h"

#include <math.h>

enum { REFITS_LAST = 5, PATIENCE = 8, ROUNDS_MAX = 512 };
static const double ROUND = 0.08;

static enum ig_code check(const struct ig_tree_prune_options *o, struct ig_err *err)
{
    const struct ig_tree_rows *judge = o->judge ? o->judge : o->fit;
    if (!isnan(o->loss_max) && !judge)
        return ig_fail(err, IG_INVALID, "loss_max %g: needs rows to judge by", o->loss_max);
    if (o->refit && !o->fit) return ig_fail(err, IG_INVALID, "refit: needs rows to learn from");
    if (!(o->prior > 0 && isfinite(o->prior)))
        return ig_fail(err, IG_INVALID, "prior is %g, expected a number over 0", o->prior);
    if ((o->leaves_max > 0) + (o->bytes_max > 0) + !isnan(o->loss_max) != 1)
        return ig_fail(err, IG_INVALID, "expected one of leaves_max, bytes_max and loss_max");
    return IG_OK;
}

static struct ig_prune_part *judging(struct ig_pruner *pruner)
{
    return pruner->judge.rows ? &pruner->judge : &pruner->fit;
}

static struct ig_tree_prune_side look(struct ig_pruner *pruner)
{
    const struct ig_prune_part *part = judging(pruner);
    struct ig_tree_prune_side side = {pruner->edit.trees_count, pruner->edit.leaves_count,
                                      (double)NAN, (double)NAN};
    if (!part->rows) return side;
    const struct ig_tree_loss_batch batch = {pruner->edit.model, part->margins, part->rows->labels,
                                             part->rows->rows_count};
    side.loss = ig_tree_loss_run(&batch, NULL, NULL);
    side.accuracy = ig_tree_loss_accuracy(&batch);
    return side;
}

/* Cuts until `count` leaves are gone; false when none can go. */
static bool run_round(struct ig_pruner *pruner, uint32_t count)
{
    uint32_t before = pruner->edit.leaves_count;
    double ratio;
    ig_pruner_weigh(pruner);
    while (before - pruner->edit.leaves_count < count && ig_pruner_cut(pruner, &ratio)) continue;
    if (pruner->edit.leaves_count == before) return false;
    ig_pruner_move(pruner);
    if (pruner->options->refit) ig_pruner_refit(pruner);
    return true;
}

static uint32_t share_of(const struct ig_pruner *pruner, double share)
{
    uint32_t count = (uint32_t)((double)pruner->edit.leaves_count * share);
    return count ? count : 1;
}

/* Bytes of the file as it would be; 0 with the error set. */
static uint64_t size_now(const struct ig_pruner *pruner)
{
    struct ig_model *model = NULL;
    uint64_t bytes = 0;
    if (ig_tree_edit_model(&model, &pruner->edit, pruner->err) == IG_OK) {
        bytes = pruner->options->bytes(pruner->options->context, model);
        if (bytes == 0) ig_fail(pruner->err, IG_INTERNAL, "the pruned model's size is unknown");
    }
    ig_model_free(model);
    return bytes;
}

static bool too_small(struct ig_pruner *pruner, const char *what, uint64_t limit)
{
    ig_fail(pruner->err, IG_TOO_LARGE, "%s %llu: the least that pruning leaves is %u leaves", what,
            (unsigned long long)limit, pruner->edit.leaves_count);
    return false;
}

static bool prune_to_leaves(struct ig_pruner *pruner)
{
    uint32_t limit = pruner->options->leaves_max;
    while (pruner->edit.leaves_count > limit) {
        uint32_t count = share_of(pruner, ROUND), over = pruner->edit.leaves_count - limit;
        if (!run_round(pruner, count < over ? count : over))
            return too_small(pruner, "leaves_max", limit);
    }
    return true;
}

/* Rounds are shorter where the file is little too long: what a leaf takes is then about known. */
static bool prune_to_bytes(struct ig_pruner *pruner)
{
    uint64_t limit = pruner->options->bytes_max, bytes;
    while ((bytes = size_now(pruner)) > limit) {
        double over = (double)(bytes - limit) / (double)bytes * 0.7;
        if (!run_round(pruner, share_of(pruner, fmin(over, ROUND))))
            return too_small(pruner, "bytes_max", limit);
    }
    return bytes > 0;
}

/* How many leaves every round took, so that rounds can be run again. */
struct schedule {
    uint32_t counts[ROUNDS_MAX], count;
};

/* Goes on by rounds of a share while any of the next ones may still be within the limit, then back
 * to the last that was. */
static void explore(struct ig_pruner *pruner, struct schedule *schedule, double share)
{
    uint32_t best = schedule->count;
    while (schedule->count < ROUNDS_MAX && schedule->count - best < PATIENCE) {
        uint32_t count = share_of(pruner, share);
        if (!run_round(pruner, count)) break;
        schedule->counts[schedule->count++] = count;
        if (look(pruner).loss <= pruner->options->loss_max) best = schedule->count;
    }
    schedule->count = best;
    ig_pruner_reset(pruner);
    for (uint32_t i = 0; i < best; i++) run_round(pruner, schedule->counts[i]);
}

static bool prune_to_loss(struct ig_pruner *pruner)
{
    struct schedule schedule = {.count = 0};
    double own = look(pruner).loss, limit = pruner->options->loss_max;
    if (!(own <= limit)) {
        ig_fail(pruner->err, IG_INVALID, "loss_max %g: the model's own loss is %g", limit, own);
        return false;
    }
    for (double share = ROUND; share > ROUND / 20; share /= 4) explore(pruner, &schedule, share);
    return true;
}

enum ig_code ig_tree_prune_run(struct ig_model **out, struct ig_tree_prune_report *report,
                               const struct ig_model *model,
                               const struct ig_tree_prune_options *options, struct ig_err *err)
{
    struct ig_pruner pruner = {.err = err};
    if (check(options, err) != IG_OK) return err->code;
    if (ig_pruner_init(&pruner, model, options, err) == IG_OK) {
        report->before = look(&pruner);
        bool good = options->leaves_max  ? prune_to_leaves(&pruner)
                    : options->bytes_max ? prune_to_bytes(&pruner)
                                         : prune_to_loss(&pruner);
        bool smaller = pruner.edit.leaves_count < report->before.leaves;
        for (int i = 0; good && smaller && options->refit && i < REFITS_LAST; i++)
            ig_pruner_refit(&pruner);
        report->after = look(&pruner);
        if (good) ig_tree_edit_model(out, &pruner.edit, err);
    }
    ig_pruner_deinit(&pruner);
    return err->code;
}

static uint32_t all_leaves(const struct ig_pruner *pruner)
{
    return pruner->edit.leaves_count + pruner->edit.model->trees_count - pruner->edit.trees_count;
}

enum ig_code ig_tree_prune_path(struct ig_tree_prune_step **out, size_t *count,
                                struct ig_arena *arena, const struct ig_model *model,
                                struct ig_err *err)
{
    const struct ig_tree_prune_options options = {.prior = 1, .loss_max = (double)NAN};
    struct ig_pruner pruner = {.err = err};
    if (ig_pruner_init(&pruner, model, &options, err) == IG_OK) {
        struct ig_tree_prune_step *steps =
            ig_arena_array(arena, (size_t)pruner.edit.splits_count + 1, sizeof *steps);
        size_t made = 0;
        if (!steps) ig_fail(err, IG_NO_MEMORY, "no memory for %u steps", pruner.edit.splits_count);
        if (steps) steps[made++] = (struct ig_tree_prune_step){0, all_leaves(&pruner)};
        pruner.to_root = true;
        ig_pruner_weigh(&pruner);
        for (double ratio; steps && ig_pruner_cut(&pruner, &ratio); made++)
            steps[made] = (struct ig_tree_prune_step){ratio, all_leaves(&pruner)};
        *out = steps;
        *count = made;
    }
    ig_pruner_deinit(&pruner);
    return err->code;
}
