/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a table go the ways of requests: by features, by attributes and units in columns, by
 * their numbers where there are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/inference.h"
#include "services/deploy/routing_reports.h"
#include "services/registry/world_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define M1 "{\"model\":\"m\",\"version\":1}"
#define M2 "{\"model\":\"m\",\"version\":2}"

static struct ig_arena arena;
static struct ig_err err;

static int setup(void **state)
{
    static struct ig_world world;
    ig_world_open(&world);
    ig_arena_init(&arena, 1 << 16, 1 << 28);
    for (int i = 1; i <= 2; i++) ig_world_register(&world, "m", i);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    ig_arena_deinit(&arena);
    ig_world_close(*state);
    return 0;
}

static const struct ig_routing *build(struct ig_world *world, const char *json)
{
    const struct ig_servable_source servables = {.blobs = world->blobs};
    const struct ig_routing_source source = {.servables = &servables, .registry = world->registry};
    const struct ig_routing *routing = NULL;
    struct ig_routing_spec spec;
    err = IG_ERR_INIT;
    if (ig_routing_spec_read(&spec, ig_str_view(json), &world->arena, &err) != IG_OK ||
        ig_routing_new(&routing, &source, IG_STR("d"), 7, &spec, &err) != IG_OK)
        fail_msg("%s", err.message);
    return routing;
}

static enum ig_code run(struct ig_fairness_table *out, const struct ig_routing *routing,
                        const char *csv)
{
    static const struct ig_str TEAM = {"team", 4};
    const struct ig_fairness_spec spec = {.columns = &TEAM, .columns_count = 1, .threshold = 0.5};
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    return ig_routing_reports_fairness(out, ig_str_view(csv), &spec, routing, &arena, &err);
}

/* Of the node "b". */
static size_t rows_of_b(const struct ig_routing *routing, const char *csv)
{
    struct ig_fairness_table table;
    size_t rows = 0;
    if (run(&table, routing, csv) != IG_OK) fail_msg("%s", err.message);
    for (size_t i = 0; i < table.answered_count; i++)
        if (ig_str_is(table.answered[i].name, "b")) rows = table.answered[i].rows;
    return rows;
}

static void test_attributes(void **state)
{
    struct ig_fairness_table table;
    const struct ig_routing *routing = build(
        *state, "{\"root\":{\"segment\":{\"rules\":["
                "{\"when\":\"plan == '7' or age > 60 or header('X-A') == 'b' or tenant == 't'\","
                "\"then\":\"b\"},{\"when\":\"size > 5\",\"then\":\"b\"}],\"default\":\"a\"}},"
                "\"nodes\":{\"a\":" M1 ",\"b\":" M2 "},"
                "\"context\":{\"plan\":\"text\",\"age\":\"number\"}}");
    assert_int_equal(rows_of_b(routing, "size,team\n1,x\n9,y\n"), 1);
    assert_int_equal(rows_of_b(routing, "size,team,plan,age\n1,x,7,1\n1,y,8,61\n1,y,,\n9,y,8,1\n"),
                     3);
    assert_int_equal(rows_of_b(routing, "size,team,plan\n1,x,7\n1,y,gold\n"), 1);
    assert_int_equal(run(&table, routing, "size,team,age\n1,x,old\n1,y,61\n"), IG_INVALID);
    assert_string_equal(err.message, "context.age: the deployment takes a number, and column 'age' "
                                     "has values that are no numbers");
    ig_routing_unref(routing);
}

/* The same arm as a request of that unit. */
static void test_units(void **state)
{
    char named[4096] = "size,team,unit_id\n", bare[4096] = "size,team\n", other[4096] = "";
    size_t wanted[2] = {0};
    const struct ig_routing *routing =
        build(*state, "{\"root\":{\"canary\":{\"stable\":\"a\",\"candidate\":\"b\","
                      "\"canary_percent\":50}},\"nodes\":{\"a\":" M1 ",\"b\":" M2 "}}");
    snprintf(other, sizeof other, "%s", named);
    for (int i = 1; i <= 100; i++)
        for (int k = 0; k < 2; k++) { /* the row's number as its unit, then a name */
            char unit[16];
            double size = 1;
            struct ig_routing_path path;
            snprintf(unit, sizeof unit, k ? "u%d" : "%d", i);
            const struct ig_routing_input input = {.row = &size, .unit = ig_str_view(unit)};
            ig_routing_route(&path, routing, &input);
            wanted[k] += ig_str_is(routing->spec.nodes[path.node].name, "b");
            char *to = k ? named : other;
            snprintf(to + strlen(to), sizeof named - strlen(to), "1,%s,%s\n", i % 2 ? "x" : "y",
                     unit);
            if (k) snprintf(bare + strlen(bare), sizeof bare - strlen(bare), "1,%s\n", "x");
        }
    assert_true(wanted[0] > 20 && wanted[0] < 80 && wanted[0] != wanted[1]);
    assert_int_equal(rows_of_b(routing, bare), wanted[0]);
    assert_int_equal(rows_of_b(routing, other), wanted[0]);
    assert_int_equal(rows_of_b(routing, named), wanted[1]);
    ig_routing_unref(routing);
}

/* One model, as its package alone. */
static void test_one_model(void **state)
{
    static const char CSV[] = "size,team\n1,x\n9,y\n-3,x\n";
    struct ig_fairness_table table;
    const struct ig_routing *routing = build(*state, "{\"root\":" M1 "}");
    assert_int_equal(run(&table, routing, CSV), IG_OK);
    assert_null(table.answered);
    const struct ig_fairness_report found = table.columns[0].report;
    const struct ig_fairness_spec spec = {
        .columns = &table.columns[0].name, .columns_count = 1, .threshold = 0.5};
    assert_int_equal(ig_fairness_table_run(&table, ig_str_view(CSV), &spec, routing->face->package,
                                           &arena, &err),
                     IG_OK);
    for (int g = 0; g < 2; g++) {
        const struct ig_fairness_group *other = &table.columns[0].report.groups[g];
        assert_int_equal(found.groups[g].selected, other->selected);
        assert_true(found.groups[g].mean_score == other->mean_score);
    }
    ig_routing_unref(routing);
}

/* ---- importance ---- */

static const char TABLE[] = "size,y\n1,0\n9,1\n-3,0\n2,1\n1,1\n0,0\n7,0\n";

static struct ig_importance_report importance(const struct ig_routing *routing, const char *kind)
{
    struct ig_importance_report report;
    const struct ig_importance_spec spec = {
        .kind = ig_str_view(kind), .csv = ig_str_view(TABLE), .label = IG_STR("y"), .repeats = 20};
    err = IG_ERR_INIT;
    if (ig_routing_reports_importance(&report, &spec, routing, &arena, &err) != IG_OK)
        fail_msg("%s", err.message);
    return report;
}

static double shap_of(struct ig_world *world, const char *json, const char *method)
{
    const struct ig_routing *routing = build(world, json);
    struct ig_importance_report report = importance(routing, "shap");
    ig_routing_unref(routing);
    assert_int_equal(report.count, 1);
    assert_string_equal(report.method, method);
    return report.items[0].importance;
}

#define ENSEMBLE(how) "{\"root\":{\"ensemble\":{\"combine\":\"" how "\",\"members\":["

/* The mean of the members' by weight; one that has no exact contributions is sampled. */
static void test_importance_of_ensembles(void **state)
{
    static const char EXACT[] = "tree_path_dependent";
    double first = shap_of(*state, "{\"root\":" M1 "}", EXACT);
    double second = shap_of(*state, "{\"root\":" M2 "}", EXACT);
    double both = shap_of(*state,
                          ENSEMBLE("mean_margin") "{\"node\":\"a\",\"weight\":3},\"b\"]}},"
                                                  "\"nodes\":{\"a\":" M1 ",\"b\":" M2 "}}",
                          EXACT);
    assert_true(first != second && first > 0); /* stumps of one threshold: signs agree */
    assert_true(fabs(both - (3 * first + second) / 4) < 1e-12);
    double one =
        shap_of(*state, ENSEMBLE("median") "\"a\"]}},\"nodes\":{\"a\":" M1 "}}", "leverage");
    double high = 1 / (1 + exp(-1.0)), low = 1 - high; /* of four and of three rows */
    double mean = (4 * high + 3 * low) / 7;
    assert_true(fabs(one - (4 * (high - mean) + 3 * (mean - low)) / 7) < 1e-12);
}

/* Of what answers each row. */
static void test_importance_of_routes(void **state)
{
    const struct ig_routing *routing =
        build(*state, "{\"root\":{\"segment\":{\"rules\":[{\"when\":\"size > 5\",\"then\":\"b\"}],"
                      "\"default\":\"a\"}},\"nodes\":{\"a\":" M1 ",\"b\":" M2 "}}");
    struct ig_importance_report report = importance(routing, "shap");
    static const double SIZES[] = {1, 9, -3, 2, 1, 0, 7};
    double sum = 0;
    for (size_t i = 0; i < 7; i++) {
        struct ig_routing_path path;
        struct ig_inference_result result;
        ig_routing_route(&path, routing, &(struct ig_routing_input){.row = &SIZES[i]});
        const struct ig_inference_request request = {&SIZES[i], 1, .explain = true};
        assert_int_equal(ig_inference_run(&result, ig_routing_servable(routing, path.node),
                                          &request, &arena, &err),
                         IG_OK);
        sum += fabs(result.explanations.contributions[0]) / 7;
    }
    assert_true(fabs(report.items[0].importance - sum) < 1e-12);
    for (size_t i = 0; i < report.answered_count; i++) {
        const struct ig_row_answered *one = &report.answered[i];
        size_t wanted = ig_str_is(one->name, "a") ? 5 : ig_str_is(one->name, "b") ? 2 : 0;
        assert_int_equal(one->rows, wanted);
    }
    report = importance(routing, "permutation");
    assert_string_equal(report.metric, "log_loss");
    assert_true(report.items[0].importance != 0 && report.score > 0);
    report = importance(routing, "split");
    assert_int_equal(report.parts_count, 2);
    for (size_t i = 0; i < 2; i++) {
        assert_true(report.parts[i].items[0].importance == 1);
        assert_true(ig_str_is(report.parts[i].model, "m"));
        assert_int_equal(report.parts[i].version, ig_str_is(report.parts[i].name, "b") ? 2 : 1);
    }
    ig_routing_unref(routing);
}

/* ---- groups ---- */

/* A tree over a and b (a <= 0.5, else b <= 0.5) and one over c (c <= 0.5), that a model has in an
 * order of columns of its own. Leaves of the first: 6, 3, 1 rows; of the second: 4, 6. */
static const double LEAVES[] = {1, -2, 3, 0.5, -1.5};

static void register_abc(struct ig_world *world, const char *model, const char *names,
                         const int of[3], double scale)
{
    char text[2048], digest[IG_SHA256_HEX];
    int64_t version = 0;
    int length = snprintf(
        text, sizeof text,
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        "max_feature_idx=2\nobjective=binary sigmoid:1\nfeature_names=%s\n"
        "feature_infos=[0:9] [0:9] [0:9]\ntree_sizes=1 1\n\nTree=0\nnum_leaves=3\nnum_cat=0\n"
        "split_feature=%d %d\nsplit_gain=5 2\nthreshold=0.5 0.5\ndecision_type=8 8\n"
        "left_child=-1 -2\nright_child=1 -3\nleaf_value=%.17g %.17g %.17g\nleaf_count=6 3 1\n"
        "internal_count=10 4\n\nTree=1\nnum_leaves=2\nnum_cat=0\nsplit_feature=%d\n"
        "split_gain=1\nthreshold=0.5\ndecision_type=8\nleft_child=-1\nright_child=-2\n"
        "leaf_value=%.17g %.17g\nleaf_count=4 6\ninternal_count=10\n\nend of trees\n",
        names, of[0], of[1], scale * LEAVES[0], scale * LEAVES[1], scale * LEAVES[2], of[2],
        scale * LEAVES[3], scale * LEAVES[4]);
    ASSERT_OK(ig_blob_put(digest, world->blobs, (struct ig_str){text, (size_t)length}, &err));
    const struct ig_version_spec spec = {.model = ig_str_view(model),
                                         .digest = ig_str_view(digest)};
    ASSERT_OK(
        ig_registry_version_create(&version, world->registry, &IG_PRINCIPAL_LOCAL, &spec, &err));
}

/* What the trees expect of x when a and c (`pair`) and b are known, or not. */
static double expected(const double *x, bool pair, bool b)
{
    double right = b ? LEAVES[x[1] <= 0.5 ? 1 : 2] : (3 * LEAVES[1] + LEAVES[2]) / 4;
    double first = !pair ? (6 * LEAVES[0] + 4 * right) / 10 : x[0] <= 0.5 ? LEAVES[0] : right;
    double second = pair ? LEAVES[x[2] <= 0.5 ? 3 : 4] : (4 * LEAVES[3] + 6 * LEAVES[4]) / 10;
    return first + second;
}

static void pair_of(struct ig_groups *out, const struct ig_routing *routing)
{
    struct ig_groups_builder builder;
    ASSERT_OK(ig_groups_begin(&builder, routing->schema, &arena, &err));
    ASSERT_OK(ig_groups_add(&builder, IG_STR("pair"), &err));
    ASSERT_OK(ig_groups_add_feature(&builder, IG_STR("c"), &err));
    ASSERT_OK(ig_groups_add_feature(&builder, IG_STR("a"), &err));
    ASSERT_OK(ig_groups_end(out, &builder, &err));
}

static double of_item(const struct ig_importance_item *items, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (ig_str_is(items[i].name, name)) return items[i].importance;
    fail_msg("no %s", name);
    return NAN;
}

#define ABC "{\"model\":\"abc\",\"version\":1}"
#define CAB "{\"model\":\"cab\",\"version\":1}"
static const char ROWS[] = "b,a,c,y\n0,0,0,1\n1,0,1,0\n0,1,0,1\n1,1,1,0\n1,1,0,1\n";
static const double XS[5][3] = {{0, 0, 0}, {0, 1, 1}, {1, 0, 0}, {1, 1, 1}, {1, 1, 0}};

/* Models that have the columns in another order, each alone and in a mean: the group game's Shapley
 * values by their definition. */
static void test_groups(void **state)
{
    static const char *const GRAPHS[] = {
        "{\"root\":{\"segment\":{\"rules\":[{\"when\":\"b > "
        "0.5\",\"then\":\"x\"}],\"default\":\"y\"}},"
        "\"nodes\":{\"x\":" CAB ",\"y\":" ABC "}}",
        ENSEMBLE("mean_margin") "{\"node\":\"x\",\"weight\":3},\"y\"]}},\"nodes\":{\"x\":" CAB
                                ",\"y\":" ABC "}}"};
    register_abc(*state, "abc", "a b c", (const int[]){0, 1, 2}, 1);
    register_abc(*state, "cab", "c a b", (const int[]){1, 2, 0}, 2);
    for (int graph = 0; graph < 2; graph++) {
        const struct ig_routing *routing = build(*state, GRAPHS[graph]);
        struct ig_importance_spec spec = {.kind = IG_STR("shap"), .csv = ig_str_view(ROWS)};
        struct ig_importance_report report;
        double pair = 0, b = 0;
        pair_of(&spec.groups, routing);
        for (int i = 0; i < 5; i++) {
            const double *x = XS[i], scale = graph ? 1.75 : x[1] > 0.5 ? 2 : 1;
            double none = expected(x, false, false), all = expected(x, true, true);
            double first = expected(x, true, false), other = expected(x, false, true);
            pair += scale * fabs((first - none + all - other) / 2) / 5;
            b += scale * fabs((other - none + all - first) / 2) / 5;
        }
        ASSERT_OK(ig_routing_reports_importance(&report, &spec, routing, &arena, &err));
        assert_string_equal(report.method, "tree_path_dependent");
        assert_int_equal(report.count, 2);
        if (!(fabs(of_item(report.items, 2, "pair") - pair) < 1e-6))
            fail_msg("%.17g %.17g", of_item(report.items, 2, "pair"), pair);
        assert_true(fabs(of_item(report.items, 2, "b") - b) < 1e-6);
        spec.kind = IG_STR("gain");
        ASSERT_OK(ig_routing_reports_importance(&report, &spec, routing, &arena, &err));
        assert_int_equal(report.parts_count, 2);
        for (size_t i = 0; i < 2; i++) {
            assert_int_equal(report.parts[i].count, 2);
            assert_true(of_item(report.parts[i].items, 2, "pair") == 3);
            assert_true(of_item(report.parts[i].items, 2, "b") == 2);
        }
        ig_routing_unref(routing);
    }
}

/* A stack's meta model reads predictions, whatever they are called. */
static void test_groups_of_a_stack(void **state)
{
    const struct ig_routing *routing =
        build(*state, ENSEMBLE("stack") "\"x\",\"y\",\"z\"],\"meta\":\"m\"}},\"nodes\":{\"x\":" CAB
                                        ",\"y\":" ABC ",\"z\":" ABC ",\"m\":" ABC "}}");
    struct ig_importance_spec spec = {.kind = IG_STR("split")};
    struct ig_importance_report report;
    pair_of(&spec.groups, routing);
    ASSERT_OK(ig_routing_reports_importance(&report, &spec, routing, &arena, &err));
    assert_int_equal(report.parts_count, 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(report.parts[i].count, ig_str_is(report.parts[i].name, "m") ? 3 : 2);
    ig_routing_unref(routing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes),
        cmocka_unit_test(test_units),
        cmocka_unit_test(test_one_model),
        cmocka_unit_test(test_importance_of_ensembles),
        cmocka_unit_test(test_importance_of_routes),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_groups_of_a_stack),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
