/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning of trees next to scikit-learn's cost-complexity paths, costs against the loss itself, and
 * what each end keeps to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/network_testing.h"
#include "kernels/train/tree_prune_priv.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

enum { ROWS = 400, FEATURES = 5, OUTPUTS_MAX = 3 };

/* ---- scikit-learn's paths ---- */

static struct ig_model *golden_model(const struct ig_table *table, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_model_new((size_t)1 << 30);
    const struct ig_column *cases = ig_table_column(table, IG_STR("case"));
    const struct ig_column *values = ig_table_column(table, IG_STR("values"));
    model->features_count = 64;
    model->leaf_vectors = true;
    model->sum_rule = IG_SUM_F64;
    model->nodes = ig_arena_array(&model->arena, table->rows_count, sizeof *model->nodes);
    model->trees = ig_arena_array(&model->arena, 1, sizeof *model->trees);
    model->leaf_values = ig_arena_array(&model->arena, table->rows_count * 3, sizeof(double));
    for (size_t row = 0; row < table->rows_count; row++) {
        if (!ig_str_is(cases->categories[cases->codes[row]], name)) continue;
        struct ig_str rest = values->categories[values->codes[row]];
        struct ig_node *node = &model->nodes[model->nodes_count++];
        bool leaf = testing_number(table, "left", row) < 0;
        *node = (struct ig_node){.value = leaf ? 0 : testing_number(table, "threshold", row),
                                 .cover = testing_number(table, "cover", row),
                                 .left = (int32_t)testing_number(table, "left", row),
                                 .right = (int32_t)testing_number(table, "right", row),
                                 .feature = (uint32_t)testing_number(table, "feature", row),
                                 .extra = leaf ? model->leaf_values_count++ : IG_MODEL_NONE,
                                 .op = leaf ? IG_NODE_LEAF : IG_NODE_LE};
        uint32_t width = 0;
        double found[3] = {0};
        while (rest.ptr && width < 3)
            assert_true(ig_str_to_f64(ig_str_cut(&rest, ' '), &found[width++]));
        model->outputs_count = model->predictions_count = width;
        if (leaf)
            memcpy(model->leaf_values + (size_t)node->extra * width, found, width * sizeof *found);
    }
    model->base_margin = ig_arena_array(&model->arena, 3, sizeof(double));
    *model->trees = (struct ig_tree){.nodes_count = model->nodes_count, .weight = 1};
    model->trees_count = 1;
    if (ig_model_check(model, &err) != IG_OK) fail_msg("%s", err.message);
    return model;
}

static void test_paths_are_scikit_learns(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"regression", "binary", "multiclass"};
    struct ig_table *trees = testing_table("pruning/trees.csv");
    struct ig_table *paths = testing_table("pruning/paths.csv");
    const struct ig_column *cases = ig_table_column(paths, IG_STR("case"));
    for (size_t n = 0; n < 3; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_arena arena;
        struct ig_tree_prune_step *steps;
        size_t count, at = 0;
        struct ig_model *model = golden_model(trees, NAMES[n]);
        ig_arena_init(&arena, 4096, 1 << 20);
        assert_int_equal(ig_tree_prune_path(&steps, &count, &arena, model, &err), IG_OK);
        for (size_t row = 0; row < paths->rows_count; row++) {
            if (!ig_str_is(cases->categories[cases->codes[row]], NAMES[n])) continue;
            double alpha = testing_number(paths, "alpha", row);
            while (at + 1 < count && steps[at + 1].alpha <= alpha + 1e-10 + 1e-12 * alpha) at++;
            assert_true(alpha == 0 || fabs(steps[at].alpha - alpha) < 1e-9 * (1 + alpha));
            assert_int_equal(steps[at].leaves, testing_number(paths, "leaves", row));
        }
        assert_int_equal(at, count - 1);
        ig_arena_deinit(&arena);
        ig_model_free(model);
    }
    ig_table_free(paths);
    ig_table_free(trees);
}

/* ---- ensembles on rows ---- */

struct world {
    struct ig_model *model;
    double rows[ROWS * FEATURES], labels[ROWS * OUTPUTS_MAX], margins[ROWS * OUTPUTS_MAX];
    struct ig_tree_rows fit, judge;
};

static void score(const struct ig_model *model, const struct ig_tree_rows *rows, double *margins)
{
    for (size_t i = 0; i < rows->rows_count; i++)
        ig_tree_walk_margin(model, rows->rows + i * model->features_count,
                            margins + i * model->outputs_count);
}

/* Labels are the model's own answers to other inputs, nearly: what it says is worth something. */
static void make_world(struct world *world, const struct ig_testing_shape *shape,
                       enum ig_transform transform)
{
    uint64_t seed = 5;
    world->model = ig_testing_model(shape, 7);
    world->model->transform = transform;
    for (size_t i = 0; i < (size_t)ROWS * FEATURES; i++)
        world->rows[i] = ig_testing_below(&seed, 9) ? ig_testing_unit(&seed, true) : (double)NAN;
    world->fit = (struct ig_tree_rows){world->rows, ROWS / 2, world->labels};
    world->judge = (struct ig_tree_rows){world->rows + (size_t)ROWS / 2 * FEATURES, ROWS / 2,
                                         world->labels + (size_t)ROWS / 2 * shape->outputs};
    const struct ig_tree_rows all = {world->rows, ROWS, NULL};
    score(world->model, &all, world->margins);
    for (size_t i = 0; i < ROWS; i++) {
        double *own = world->labels + i * shape->outputs, *margins = world->margins;
        ig_tree_loss_answer(world->model, margins + i * shape->outputs, own);
        for (uint32_t o = 0; transform == IG_TRANSFORM_IDENTITY && o < shape->outputs; o++)
            own[o] += ig_testing_unit(&seed, false) - 0.5;
    }
}

static const struct ig_testing_shape SHAPE = {.features = FEATURES,
                                              .outputs = 1,
                                              .trees = 20,
                                              .depth = 5,
                                              .leaf_percent = 10,
                                              .f32 = true,
                                              .sum_rule = IG_SUM_F32_BASE_FIRST};

static double loss_of(const struct ig_model *model, const struct world *world, bool judge)
{
    double margins[ROWS * OUTPUTS_MAX];
    const struct ig_tree_rows *rows = judge ? &world->judge : &world->fit;
    score(model, rows, margins);
    const struct ig_tree_loss_batch batch = {model, margins, rows->labels, rows->rows_count};
    return ig_tree_loss_run(&batch, NULL, NULL);
}

static void test_costs_are_the_loss(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct world world;
    struct ig_pruner pruner;
    make_world(&world, &SHAPE, IG_TRANSFORM_IDENTITY);
    const struct ig_tree_prune_options options = {
        .fit = &world.fit, .prior = 1e-12, .leaves_max = 2, .loss_max = (double)NAN};
    assert_int_equal(ig_pruner_init(&pruner, world.model, &options, &err), IG_OK);
    for (int i = 0; i < 50; i++) {
        struct ig_model *before = NULL, *after = NULL;
        double ratio;
        assert_int_equal(ig_tree_edit_model(&before, &pruner.edit, &err), IG_OK);
        uint32_t leaves = pruner.edit.leaves_count + (20 - pruner.edit.trees_count);
        ig_pruner_weigh(&pruner);
        assert_true(ig_pruner_cut(&pruner, &ratio));
        ig_pruner_move(&pruner);
        leaves -= pruner.edit.leaves_count + (20 - pruner.edit.trees_count);
        assert_int_equal(ig_tree_edit_model(&after, &pruner.edit, &err), IG_OK);
        double change = loss_of(after, &world, false) - loss_of(before, &world, false);
        assert_true(fabs(2 * change * ROWS / 2 - ratio * leaves) < 1e-3);
        ig_model_free(before);
        ig_model_free(after);
    }
    ig_pruner_deinit(&pruner);
    ig_model_free(world.model);
}

static struct ig_model *prune(struct ig_tree_prune_report *report, const struct world *world,
                              struct ig_tree_prune_options options)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *out = NULL;
    if (options.prior == 0) options.prior = 1;
    if (options.leaves_max || options.bytes_max) options.loss_max = (double)NAN;
    if (ig_tree_prune_run(&out, report, world->model, &options, &err) != IG_OK)
        fail_msg("%s", err.message);
    return out;
}

static uint32_t leaves_of(const struct ig_model *model)
{
    uint32_t leaves = 0;
    for (uint32_t t = 0; t < model->trees_count; t++)
        if (model->trees[t].leaves_count > 1) leaves += model->trees[t].leaves_count;
    return leaves;
}

static void near(double a, double b)
{
    if (!(fabs(a - b) < 1e-5 * (1 + fabs(b)))) fail_msg("%.9g, expected %.9g", a, b);
}

static void check_end(const struct world *world, bool refit)
{
    struct ig_tree_prune_report report, other;
    struct ig_model *model =
        prune(&report, world,
              (struct ig_tree_prune_options){
                  .fit = &world->fit, .judge = &world->judge, .leaves_max = 90, .refit = refit});
    assert_true(leaves_of(model) <= 90 && leaves_of(model) > 60);
    assert_int_equal(report.after.leaves, leaves_of(model));
    assert_int_equal(report.after.trees, model->trees_count);
    assert_int_equal(report.before.leaves, leaves_of(world->model));
    near(report.after.loss, loss_of(model, world, true));
    near(report.before.loss, loss_of(world->model, world, true));
    struct ig_model *blind = prune(
        &other, world, (struct ig_tree_prune_options){.judge = &world->judge, .leaves_max = 90});
    assert_true(report.after.loss < other.after.loss);
    ig_model_free(blind);
    ig_model_free(model);
}

static void test_leaves_and_refit(void **state)
{
    (void)state;
    static const enum ig_transform ALL[] = {IG_TRANSFORM_IDENTITY,     IG_TRANSFORM_SIGMOID,
                                            IG_TRANSFORM_EXP,          IG_TRANSFORM_SOFTMAX,
                                            IG_TRANSFORM_SIGMOID_EACH, IG_TRANSFORM_PROBABILITY};
    for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++) {
        struct ig_testing_shape shape = SHAPE;
        struct world world;
        if (i >= 3) shape.outputs = 3;
        if (i == 4) shape.dart = true;
        if (i == 5) {
            shape.leaf_vectors = shape.average = true;
            shape.f32 = false;
            shape.sum_rule = IG_SUM_F64;
        }
        make_world(&world, &shape, ALL[i]);
        check_end(&world, false);
        check_end(&world, true);
        ig_model_free(world.model);
    }
}

static void test_refitting_helps(void **state)
{
    (void)state;
    struct world world;
    struct ig_tree_prune_report plain, refit;
    make_world(&world, &SHAPE, IG_TRANSFORM_SIGMOID);
    struct ig_tree_prune_options options = {.fit = &world.fit, .prior = 0.01, .leaves_max = 60};
    ig_model_free(prune(&plain, &world, options));
    options.refit = true;
    ig_model_free(prune(&refit, &world, options));
    assert_true(refit.after.loss < plain.after.loss);
    ig_model_free(world.model);
}

static bool is_tree(const struct ig_model *model, uint32_t t, const struct ig_model *other,
                    uint32_t u)
{
    const struct ig_node *a = &model->nodes[model->trees[t].first_node];
    const struct ig_node *b = &other->nodes[other->trees[u].first_node];
    if (model->trees[t].nodes_count != other->trees[u].nodes_count) return false;
    for (uint32_t i = 0; i < model->trees[t].nodes_count; i++)
        if (a[i].value != b[i].value || a[i].left != b[i].left) return false;
    return true;
}

static void test_whole_trees(void **state)
{
    (void)state;
    struct world world;
    struct ig_tree_prune_report report;
    make_world(&world, &SHAPE, IG_TRANSFORM_IDENTITY);
    struct ig_model *model = prune(
        &report, &world,
        (struct ig_tree_prune_options){.fit = &world.fit, .leaves_max = 150, .whole_trees = true});
    assert_true(model->trees_count < 20 && model->trees_count > 3);
    for (uint32_t t = 0, from = 0; t < model->trees_count; t++, from++) {
        while (!is_tree(model, t, world.model, from)) assert_true(++from < 20);
    }
    ig_model_free(model);
    ig_model_free(world.model);
}

static void refused(const struct world *world, struct ig_tree_prune_options options,
                    enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_prune_report report;
    struct ig_model *out = NULL;
    assert_int_equal(ig_tree_prune_run(&out, &report, world->model, &options, &err), code);
    assert_null(out);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

static void test_loss_is_kept(void **state)
{
    (void)state;
    struct world world;
    struct ig_tree_prune_report report;
    make_world(&world, &SHAPE, IG_TRANSFORM_IDENTITY);
    double limit = loss_of(world.model, &world, true) * 1.1;
    struct ig_model *model =
        prune(&report, &world,
              (struct ig_tree_prune_options){
                  .fit = &world.fit, .judge = &world.judge, .loss_max = limit});
    assert_true(loss_of(model, &world, true) <= limit + 1e-6);
    assert_true(report.after.leaves < report.before.leaves);
    ig_model_free(model);
    model = prune(&report, &world,
                  (struct ig_tree_prune_options){
                      .fit = &world.fit, .judge = &world.judge, .loss_max = limit / 1.1 + 1e-6});
    assert_true(loss_of(model, &world, true) <= limit / 1.1 + 1e-5);
    ig_model_free(model);
    refused(&world, (struct ig_tree_prune_options){.fit = &world.fit, .prior = 1, .loss_max = 1e-3},
            IG_INVALID, "loss_max 0.001: the model's own loss is");
    ig_model_free(world.model);
}

static uint64_t leaf_bytes(void *context, const struct ig_model *model)
{
    (void)context;
    return 10 * (uint64_t)leaves_of(model);
}

static void test_bytes_are_kept(void **state)
{
    (void)state;
    struct world world;
    struct ig_tree_prune_report report;
    make_world(&world, &SHAPE, IG_TRANSFORM_SIGMOID);
    struct ig_model *model = prune(
        &report, &world,
        (struct ig_tree_prune_options){.fit = &world.fit, .bytes_max = 1000, .bytes = leaf_bytes});
    assert_true(leaves_of(model) <= 100 && leaves_of(model) > 90);
    ig_model_free(model);
    ig_model_free(world.model);
}

static void test_refusals(void **state)
{
    (void)state;
    struct world world;
    const double none = (double)NAN;
    make_world(&world, &SHAPE, IG_TRANSFORM_IDENTITY);
    refused(&world, (struct ig_tree_prune_options){.prior = 1, .loss_max = 1}, IG_INVALID,
            "loss_max 1: needs rows");
    refused(&world,
            (struct ig_tree_prune_options){
                .prior = 1, .leaves_max = 5, .refit = true, .loss_max = none},
            IG_INVALID, "refit: needs rows");
    refused(&world, (struct ig_tree_prune_options){.leaves_max = 5, .loss_max = none}, IG_INVALID,
            "prior is 0");
    refused(&world, (struct ig_tree_prune_options){.prior = 1, .loss_max = none}, IG_INVALID,
            "expected one of");
    refused(&world, (struct ig_tree_prune_options){.prior = 1, .leaves_max = 1, .loss_max = none},
            IG_TOO_LARGE, "leaves_max 1: the least that pruning leaves is 2 leaves");
    world.model->kind = IG_MODEL_LINEAR;
    refused(&world, (struct ig_tree_prune_options){.prior = 1, .leaves_max = 5, .loss_max = none},
            IG_UNSUPPORTED, "only tree ensembles");
    world.model->kind = IG_MODEL_TREES;
    ig_model_free(world.model);
}

static void test_memory_fails(void **state)
{
    (void)state;
    struct world world;
    make_world(&world, &SHAPE, IG_TRANSFORM_SIGMOID);
    const struct ig_tree_prune_options options = {
        .fit = &world.fit, .prior = 1, .leaves_max = 30, .loss_max = (double)NAN};
    for (uint64_t after = 1;; after++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_prune_report report;
        struct ig_model *out = NULL;
        ig_mem_fail_after(after);
        enum ig_code code = ig_tree_prune_run(&out, &report, world.model, &options, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_model_free(out);
        if (!failed) {
            assert_int_equal(code, IG_OK);
            break;
        }
        assert_int_equal(code, IG_NO_MEMORY);
    }
    ig_model_free(world.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths_are_scikit_learns),
        cmocka_unit_test(test_costs_are_the_loss),
        cmocka_unit_test(test_leaves_and_refit),
        cmocka_unit_test(test_refitting_helps),
        cmocka_unit_test(test_whole_trees),
        cmocka_unit_test(test_loss_is_kept),
        cmocka_unit_test(test_bytes_are_kept),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
