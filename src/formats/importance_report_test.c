/* SPDX-License-Identifier: Apache-2.0 */
/* Importances of the golden models next to what their libraries say; over a table; refusals. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"
#include "base/random.h"
#include "formats/importance_report.h"
#include "kernels/predictor.h"
#include "kernels/tree/tree_shap.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_arena arena;
static struct ig_err err;

static void open_case(struct ig_package **out, struct ig_str name)
{
    static const char *const FILES[] = {"model.json", "model.txt"};
    char path[512];
    bool xgboost = ig_str_starts(name, IG_STR("xgboost"));
    snprintf(path, sizeof path, "tests/golden/%.*s/%s", IG_STR_ARGS(name), FILES[!xgboost]);
    if (ig_package_open(out, IG_FILE_CWD, path, NULL, &err) != IG_OK)
        fail_msg("%s: %s", path, err.message);
}

static double importance_of(const struct ig_importance_report *report, struct ig_str feature)
{
    for (size_t i = 0; i < report->count; i++)
        if (ig_str_eq(report->items[i].name, feature)) return report->items[i].importance;
    fail_msg("no feature %.*s", IG_STR_ARGS(feature));
    return NAN;
}

/* case, kind, values: as tests/golden/make_importance.py wrote them. */
static void check_line(const struct ig_str *fields, size_t count)
{
    struct ig_package *package = NULL;
    struct ig_importance_report report;
    const struct ig_importance_spec spec = {.kind = fields[1]};
    open_case(&package, fields[0]);
    if (ig_importance_report_run(&report, package, &spec, &arena, &err) != IG_OK)
        fail_msg("%.*s: %s", IG_STR_ARGS(fields[0]), err.message);
    assert_int_equal(report.count, count - 2);
    for (size_t i = 0; i < report.count; i++) {
        double want, got = importance_of(&report, package->schema.features[i].name);
        assert_true(ig_str_to_f64(fields[2 + i], &want));
        if (fabs(got - want) > 1e-5 * fmax(1, fabs(want)))
            fail_msg("%.*s %.*s of feature %zu: %g, expected %g", IG_STR_ARGS(fields[0]),
                     IG_STR_ARGS(fields[1]), i, got, want);
    }
    ig_package_free(package);
}

static void test_golden(void **state)
{
    struct ig_csv *csv = NULL;
    struct ig_buf bytes;
    const struct ig_str *fields;
    size_t count, lines = 0;
    (void)state;
    ig_buf_init(&bytes, 1 << 20);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, "tests/golden/importance.csv", &err), IG_OK);
    assert_int_equal(ig_csv_open_bytes(&csv, ig_buf_view(&bytes), NULL, &err), IG_OK);
    for (; ig_csv_next(csv, &fields, &count, &err); lines++) {
        check_line(fields, count);
        ig_arena_reset(&arena);
    }
    assert_int_equal(err.code, IG_OK);
    assert_true(lines > 200);
    ig_csv_close(csv);
    ig_buf_deinit(&bytes);
}

struct fixture {
    struct ig_package *package;
    struct ig_buf csv;
    struct ig_importance_spec spec;
    struct ig_importance_report report;
};

static enum ig_code run(struct fixture *x)
{
    err = IG_ERR_INIT;
    x->spec.csv = ig_buf_view(&x->csv);
    return ig_importance_report_run(&x->report, x->package, &x->spec, &arena, &err);
}

static void begin(struct fixture *x, const char *name)
{
    char path[512];
    *x = (struct fixture){0};
    open_case(&x->package, ig_str_view(name));
    ig_buf_init(&x->csv, 1 << 24);
    snprintf(path, sizeof path, "tests/golden/%s/input.csv", name);
    assert_int_equal(ig_file_read(&x->csv, IG_FILE_CWD, path, &err), IG_OK);
}

static void end(struct fixture *x)
{
    ig_package_free(x->package);
    ig_buf_deinit(&x->csv);
    ig_arena_reset(&arena);
}

/* The mean size of the library's own contributions. */
static void test_shap(void **state)
{
    struct fixture x;
    struct ig_csv *csv = NULL;
    const struct ig_str *fields;
    struct ig_buf bytes;
    double sums[64] = {0};
    size_t count, rows = 0;
    (void)state;
    begin(&x, "xgboost/binary_missing");
    ig_buf_init(&bytes, 1 << 24);
    assert_int_equal(
        ig_file_read(&bytes, IG_FILE_CWD, "tests/golden/xgboost/binary_missing/contribs.csv", &err),
        IG_OK);
    assert_int_equal(ig_csv_open_bytes(&csv, ig_buf_view(&bytes), NULL, &err), IG_OK);
    for (; ig_csv_next(csv, &fields, &count, &err); rows++)
        for (size_t i = 0; i + 1 < count; i++) {
            double value;
            assert_true(ig_str_to_f64(fields[i], &value));
            sums[i] += fabs(value);
        }
    assert_int_equal(run(&x), IG_OK);
    assert_int_equal(x.report.rows_count, rows);
    assert_string_equal(x.report.method, "tree_path_dependent");
    for (uint32_t i = 0; i < x.package->schema.features_count; i++) {
        double want = sums[i] / (double)rows;
        double got = importance_of(&x.report, x.package->schema.features[i].name);
        assert_true(fabs(got - want) <= 1e-5 * fmax(1, want));
    }
    for (size_t i = 1; i < x.report.count; i++)
        assert_true(x.report.items[i].importance <= x.report.items[i - 1].importance);
    assert_true(x.report.items[0].half > 0);
    ig_csv_close(csv);
    ig_buf_deinit(&bytes);
    end(&x);
}

/* A table labelled by the model itself: error 0, and shuffling what it goes by does harm. */
static void test_permutation(void **state)
{
    struct fixture x;
    struct ig_buf labelled;
    struct ig_str rest;
    double score;
    (void)state;
    begin(&x, "xgboost/binary_missing");
    ig_buf_init(&labelled, 1 << 24);
    rest = ig_buf_view(&x.csv);
    const struct ig_predictor predictor = ig_predictor_response(x.package->engine);
    size_t bytes = predictor.scratch_bytes(&predictor, 1);
    void *scratch = ig_arena_alloc_aligned(&arena, bytes ? bytes : 64, 64);
    double row[64];
    struct ig_str line = ig_str_cut(&rest, '\n');
    ig_buf_printf(&labelled, "%.*s,y\n", IG_STR_ARGS(line));
    while (rest.len) {
        struct ig_str fields = line = ig_str_cut(&rest, '\n');
        for (uint32_t i = 0; i < x.package->schema.features_count; i++)
            if (!ig_str_to_f64(ig_str_cut(&fields, ','), &row[i])) row[i] = NAN;
        predictor.run(&predictor, row, 1, &score, scratch);
        ig_buf_printf(&labelled, "%.*s,%d\n", IG_STR_ARGS(line), score > 0.5);
    }
    ig_buf_reset(&x.csv);
    ig_buf_add(&x.csv, labelled.ptr, labelled.len);
    x.spec.kind = IG_STR("permutation");
    x.spec.label = IG_STR("y");
    x.spec.metric = IG_STR("error");
    if (run(&x) != IG_OK) fail_msg("%s", err.message);
    assert_true(x.report.score == 0);
    assert_true(x.report.items[0].importance > 0.01);
    assert_true(x.report.items[0].half > 0 && x.report.items[0].sd >= 0);
    x.spec.metric = IG_STR("auc");
    assert_int_equal(run(&x), IG_OK);
    assert_true(x.report.score == 1 && isnan(x.report.items[0].half));
    ig_buf_deinit(&labelled);
    end(&x);
}

/* ---- groups ---- */

/* "pair" is the first two features and the last. */
static void group(struct ig_groups *out, const struct ig_schema *schema)
{
    struct ig_groups_builder builder;
    const uint32_t of[] = {1, 0, schema->features_count - 1};
    assert_int_equal(ig_groups_begin(&builder, schema, &arena, &err), IG_OK);
    assert_int_equal(ig_groups_add(&builder, IG_STR("pair"), &err), IG_OK);
    for (size_t i = 0; i < sizeof of / sizeof *of; i++)
        assert_int_equal(ig_groups_add_feature(&builder, schema->features[of[i]].name, &err),
                         IG_OK);
    assert_int_equal(ig_groups_end(out, &builder, &err), IG_OK);
}

/* What the kinds say of the splits of the group's features, split by split. */
static void sum_splits(double want[IG_IMPORTANCES_COUNT], const struct ig_model *model,
                       const struct ig_players *players, uint32_t player)
{
    double count = 0, gain = 0, cover = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF || players->of_feature[node->feature] != player) continue;
        count++;
        gain += model->gains[i];
        cover += node->cover;
    }
    want[IG_IMPORTANCE_SPLIT] = count;
    want[IG_IMPORTANCE_GAIN] = count > 0 ? gain / count : 0;
    want[IG_IMPORTANCE_TOTAL_GAIN] = gain;
    want[IG_IMPORTANCE_COVER] = count > 0 ? cover / count : 0;
    want[IG_IMPORTANCE_TOTAL_COVER] = cover;
}

/* Of a package and of its face. */
static void test_groups_of_trees(void **state)
{
    struct ig_package *face = NULL;
    struct ig_buf bytes;
    struct fixture x;
    (void)state;
    begin(&x, "xgboost/binary_missing");
    ig_buf_reset(&x.csv);
    ig_buf_init(&bytes, 1 << 20);
    ig_package_face_write(&bytes, x.package);
    assert_int_equal(ig_package_face_read(&face, ig_buf_view(&bytes), &err), IG_OK);
    group(&x.spec.groups, &x.package->schema);
    const struct ig_groups *groups = &x.spec.groups;
    for (int other = 0; other < 2; other++)
        for (int kind = 0; kind < IG_IMPORTANCES_COUNT; kind++) {
            x.spec.kind = ig_str_view(ig_importance_name((enum ig_importance)kind));
            if (ig_importance_report_run(&x.report, other ? face : x.package, &x.spec, &arena,
                                         &err) != IG_OK)
                fail_msg("%s", err.message);
            assert_int_equal(x.report.count, x.package->schema.features_count - 2);
            for (uint32_t p = 0; p < groups->players.count; p++) {
                double want[IG_IMPORTANCES_COUNT];
                sum_splits(want, x.package->model, &groups->players, p);
                double got = importance_of(&x.report, groups->names[p]);
                assert_true(want[kind] > 0 && fabs(got / want[kind] - 1) < 1e-12);
            }
        }
    ig_package_free(face);
    ig_buf_deinit(&bytes);
    end(&x);
}

/* The mean size of the group game's Shapley values, by their definition. */
static void test_groups_of_contributions(void **state)
{
    struct fixture x;
    double sums[16] = {0}, own[16], row[16];
    size_t rows = 0;
    (void)state;
    begin(&x, "xgboost/binary_missing");
    group(&x.spec.groups, &x.package->schema);
    const struct ig_groups *groups = &x.spec.groups;
    struct ig_str rest = ig_buf_view(&x.csv);
    ig_str_cut(&rest, '\n');
    for (; rest.len; rows++) {
        struct ig_str fields = ig_str_cut(&rest, '\n');
        for (uint32_t i = 0; i < x.package->schema.features_count; i++)
            if (!ig_str_to_f64(ig_str_cut(&fields, ','), &row[i])) row[i] = NAN;
        assert_int_equal(ig_tree_shap_reference(x.package->model, &groups->players, row, own, &err),
                         IG_OK);
        for (uint32_t p = 0; p < groups->players.count; p++) sums[p] += fabs(own[p]);
    }
    if (run(&x) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(x.report.rows_count, rows);
    assert_int_equal(x.report.count, groups->players.count);
    for (uint32_t p = 0; p < groups->players.count; p++) {
        double got = importance_of(&x.report, groups->names[p]);
        assert_true(fabs(got - sums[p] / (double)rows) < 1e-6);
    }
    end(&x);
}

/* ---- several models ---- */

enum { MANY = 600 };

/* Row i of the table; columns x, z. */
static double x_of(size_t i)
{
    return (double)(i * 37 % 64) / 64;
}

static double z_of(size_t i)
{
    return (double)(i * 53 % 32) / 32;
}

/* Odd rows are the second model's, which has the columns the other way round. */
static enum ig_code route(void *context, uint32_t *to, const struct ig_row_span *rows,
                          struct ig_err *error)
{
    (void)context, (void)error;
    for (size_t i = 0; i < rows->count; i++) to[i] = (rows->first + i) % 2;
    return IG_OK;
}

/* 2 x + z + 5, with the cells' shares as contributions, or their sum where both are one player;
 * 3 z + x, which has none. */
static enum ig_code answer(void *context, struct ig_row_answers *to, const struct ig_row_ask *ask,
                           struct ig_arena *own, struct ig_err *error)
{
    double *values = ig_arena_array(own, ask->rows_count, sizeof *values);
    double *shares = ig_arena_array(own, ask->rows_count * 3, sizeof *shares);
    double slope = ask->model ? 3 : 2, base = ask->model ? 0 : 5;
    const size_t *fail_on = context;
    if (fail_on && ask->model == *fail_on) return ig_fail(error, IG_UNAVAILABLE, "gone");
    for (size_t i = 0; i < ask->rows_count; i++) {
        const double *row = ask->rows + i * 2;
        values[i] = slope * row[0] + row[1] + base;
        memcpy(shares + i * 3, (double[]){slope * row[0], row[1], base}, 3 * sizeof *shares);
        if (ask->players)
            memcpy(shares + i * 2, (double[]){slope * row[0] + row[1], base}, 2 * sizeof *shares);
    }
    *to = (struct ig_row_answers){values, values, ask->explain && !ask->model ? shares : NULL};
    return IG_OK;
}

struct several {
    struct ig_feature features[2];
    struct ig_schema schema;
    struct ig_model shape;
    struct ig_feature_map map;
    struct ig_row_model list[3];
    struct ig_importance_models models;
    struct ig_importance_spec spec;
    struct ig_importance_report report;
    struct ig_buf csv;
};

static void begin_several(struct several *it)
{
    static const uint32_t SWAPPED[] = {1, 0};
    *it = (struct several){.features = {{.name = IG_STR("x")}, {.name = IG_STR("z")}},
                           .shape = {.features_count = 2,
                                     .outputs_count = 1,
                                     .predictions_count = 1,
                                     .transform = IG_TRANSFORM_IDENTITY},
                           .map = {.features_count = 2, .source_of = SWAPPED}};
    it->schema = (struct ig_schema){
        .features = it->features, .features_count = 2, .task = IG_TASK_REGRESSION};
    it->list[0] = (struct ig_row_model){IG_STR("exact"), &it->shape, NULL};
    it->list[1] = (struct ig_row_model){IG_STR("sampled"), &it->shape, &it->map};
    it->list[2] = (struct ig_row_model){IG_STR("never"), NULL, NULL};
    it->models.rows = (struct ig_row_models){.schema = &it->schema,
                                             .models = it->list,
                                             .models_count = 3,
                                             .route = route,
                                             .answer = answer};
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    ig_buf_init(&it->csv, 1 << 20);
    ig_buf_add_cstr(&it->csv, "z,x,y\n");
    for (size_t i = 0; i < MANY; i++)
        ig_buf_printf(&it->csv, "%.17g,%.17g,%.17g\n", z_of(i), x_of(i),
                      i % 2 ? 3 * z_of(i) + x_of(i) : 2 * x_of(i) + z_of(i) + 5);
    it->spec.csv = ig_buf_view(&it->csv);
    assert_int_equal(ig_schema_index(&it->schema, &err), IG_OK);
}

static void end_several(struct several *it)
{
    ig_schema_deinit(&it->schema);
    ig_buf_deinit(&it->csv);
}

static enum ig_code run_several(struct several *it)
{
    err = IG_ERR_INIT;
    return ig_importance_models_run(&it->report, &it->models, &it->spec, &arena, &err);
}

/* Contributions of the model that answers the row; of the one that has none those against 200 rows
 * of the table, which for a linear model are its slopes times the distance from their mean. */
static void test_several_shap(void **state)
{
    struct several it;
    double mean_x = 0, mean_z = 0, x = 0, z = 0;
    (void)state;
    begin_several(&it);
    for (size_t i = 0; i < 200; i++) {
        mean_x += x_of(i * 3) / 200;
        mean_z += z_of(i * 3) / 200;
    }
    for (size_t i = 0; i < MANY; i++) {
        x += fabs(i % 2 ? x_of(i) - mean_x : 2 * x_of(i)) / MANY;
        z += fabs(i % 2 ? 3 * (z_of(i) - mean_z) : z_of(i)) / MANY;
    }
    if (run_several(&it) != IG_OK) fail_msg("%s", err.message);
    assert_string_equal(ig_arena_cstr(&arena, it.report.kind), "shap");
    assert_true(fabs(importance_of(&it.report, IG_STR("x")) - x) < 1e-12);
    assert_true(fabs(importance_of(&it.report, IG_STR("z")) - z) < 1e-12);
    assert_null(it.report.method);
    assert_int_equal(it.report.answered_count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(it.report.answered[i].rows, i < 2 ? MANY / 2 : 0);
    assert_string_equal(it.report.answered[0].method, "tree_path_dependent");
    assert_string_equal(it.report.answered[1].method, "leverage");
    end_several(&it);
}

/* The function of both: shuffled columns stay with the row's model. */
static void test_several_permutation(void **state)
{
    struct several it;
    double spread[2] = {0}, mean[2] = {0};
    (void)state;
    begin_several(&it);
    it.spec.kind = IG_STR("permutation");
    it.spec.metric = IG_STR("mse");
    it.spec.label = IG_STR("y");
    it.spec.repeats = 60;
    if (run_several(&it) != IG_OK) fail_msg("%s", err.message);
    assert_true(it.report.score < 1e-20);
    for (size_t i = 0; i < MANY; i++) {
        mean[0] += x_of(i) / MANY;
        mean[1] += z_of(i) / MANY;
    }
    for (size_t i = 0; i < MANY; i++) { /* E(x' - x)^2 of rows of either model */
        spread[0] += (i % 2 ? 1 : 4) * (pow(x_of(i) - mean[0], 2) + 1.0 / 12) / MANY;
        spread[1] += (i % 2 ? 9 : 1) * (pow(z_of(i) - mean[1], 2) + 1.0 / 12) / MANY;
    }
    double x = importance_of(&it.report, IG_STR("x")), z = importance_of(&it.report, IG_STR("z"));
    assert_true(fabs(x / spread[0] - 1) < 0.05 && fabs(z / spread[1] - 1) < 0.05);
    assert_int_equal(it.report.answered[0].rows, MANY / 2);
    assert_int_equal(it.report.answered[1].rows, MANY / 2);
    assert_null(it.report.answered[0].method);
    end_several(&it);
}

/* Both columns are one player: all that the row's function is away from its mean, and shuffled
 * together they are another row's. */
static void test_several_groups(void **state)
{
    struct several it;
    double mean = 0, size = 0;
    (void)state;
    begin_several(&it);
    struct ig_groups_builder builder;
    assert_int_equal(ig_groups_begin(&builder, &it.schema, &arena, &err), IG_OK);
    assert_int_equal(ig_groups_add(&builder, IG_STR("both"), &err), IG_OK);
    assert_int_equal(ig_groups_add_feature(&builder, IG_STR("z"), &err), IG_OK);
    assert_int_equal(ig_groups_add_feature(&builder, IG_STR("x"), &err), IG_OK);
    assert_int_equal(ig_groups_end(&it.spec.groups, &builder, &err), IG_OK);
    for (size_t i = 0; i < 200; i++) mean += (3 * z_of(i * 3) + x_of(i * 3)) / 200;
    for (size_t i = 0; i < MANY; i++)
        size += fabs(i % 2 ? 3 * z_of(i) + x_of(i) - mean : 2 * x_of(i) + z_of(i)) / MANY;
    if (run_several(&it) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(it.report.count, 1);
    assert_true(fabs(importance_of(&it.report, IG_STR("both")) - size) < 1e-12);
    it.spec.kind = IG_STR("permutation");
    it.spec.metric = IG_STR("mse");
    it.spec.label = IG_STR("y");
    it.spec.repeats = 1;
    it.spec.seed = 11;
    if (run_several(&it) != IG_OK) fail_msg("%s", err.message);
    struct ig_rng rng;
    size_t order[MANY];
    double loss = 0;
    ig_rng_seed(&rng, it.spec.seed);
    for (size_t i = 0; i < MANY; i++) order[i] = i;
    for (size_t i = MANY; i-- > 1;) {
        size_t other = (size_t)ig_rng_below(&rng, i + 1), kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (size_t i = 0; i < MANY; i++) {
        double x = x_of(order[i]) - x_of(i), z = z_of(order[i]) - z_of(i);
        loss += pow(i % 2 ? 3 * z + x : 2 * x + z, 2) / MANY;
    }
    assert_int_equal(it.report.count, 1);
    assert_true(fabs(importance_of(&it.report, IG_STR("both")) - loss) < 1e-9);
    end_several(&it);
}

static void test_several_fail(void **state)
{
    static const char *const KINDS[] = {"shap", "permutation"};
    struct several it;
    size_t first = 0, second = 1;
    (void)state;
    begin_several(&it);
    it.spec.label = IG_STR("y");
    for (size_t kind = 0; kind < 2; kind++)
        for (size_t i = 0; i < 2; i++) { /* also while it is sampled */
            it.models.rows.context = i ? &second : &first;
            it.spec.kind = ig_str_view(KINDS[kind]);
            assert_int_equal(run_several(&it), IG_UNAVAILABLE);
            assert_string_equal(err.message, "gone");
        }
    struct ig_model classes = it.shape;
    classes.transform = IG_TRANSFORM_ARGMAX;
    it.models.rows.context = NULL;
    it.list[1].model = &classes;
    assert_int_equal(run_several(&it), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "kind: the deployment's models answer in different ways"));
    end_several(&it);
}

/* Each model's own; a face has what its package has; what has no trees says so. */
static void test_parts(void **state)
{
    struct ig_package *package = NULL, *face = NULL, *linear = NULL;
    struct ig_importance_spec spec = {.kind = IG_STR("")};
    struct ig_importance_report report;
    struct ig_buf bytes;
    (void)state;
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    open_case(&package, ig_str_view("xgboost/binary_missing"));
    open_case(&linear, ig_str_view("xgboost/gblinear_binary"));
    ig_buf_init(&bytes, 1 << 20);
    ig_package_face_write(&bytes, package);
    assert_int_equal(ig_package_face_read(&face, ig_buf_view(&bytes), &err), IG_OK);
    struct ig_importance_part parts[] = {{.name = IG_STR("a"), .package = package},
                                         {.name = IG_STR("b"), .package = face},
                                         {.name = IG_STR("c"), .package = linear}};
    struct ig_importance_models models = {
        .rows = {.schema = &package->schema}, .parts = parts, .parts_count = 3};
    for (int kind = -1; kind < IG_IMPORTANCES_COUNT; kind++) {
        if (kind >= 0) spec.kind = ig_str_view(ig_importance_name((enum ig_importance)kind));
        if (ig_importance_models_run(&report, &models, &spec, &arena, &err) != IG_OK)
            fail_msg("%s", err.message);
        if (kind < 0) assert_true(ig_str_is(report.kind, "gain"));
        assert_int_equal(report.count, 0);
        assert_int_equal(report.parts_count, 3);
        assert_int_equal(report.parts[0].count, package->schema.features_count);
        assert_int_equal(report.parts[1].count, package->schema.features_count);
        assert_true(report.parts[0].items[0].importance > 0);
        for (size_t i = 0; i < report.parts[0].count; i++) {
            assert_true(report.parts[0].items[i].importance == report.parts[1].items[i].importance);
            assert_true(ig_str_eq(report.parts[0].items[i].name, report.parts[1].items[i].name));
        }
        assert_int_equal(report.parts[2].count, 0);
        assert_true(ig_str_starts(report.parts[2].failure, IG_STR("kind: ")));
    }
    models.parts_count = 1; /* as the package alone */
    assert_int_equal(ig_importance_models_run(&report, &models, &spec, &arena, &err), IG_OK);
    assert_null(report.parts);
    assert_int_equal(report.count, package->schema.features_count);
    models.parts = parts + 2;
    assert_int_equal(ig_importance_models_run(&report, &models, &spec, &arena, &err),
                     IG_UNSUPPORTED);
    ig_package_free(face);
    ig_package_free(package);
    ig_package_free(linear);
    ig_buf_deinit(&bytes);
}

static void test_refusals(void **state)
{
    struct fixture x;
    (void)state;
    err = IG_ERR_INIT;
    begin(&x, "xgboost/binary_missing");
#define REFUSED(text)                                                                              \
    do {                                                                                           \
        assert_int_not_equal(run(&x), IG_OK);                                                      \
        if (strncmp(err.message, text, strlen(text)) != 0) fail_msg("%s", err.message);            \
    } while (0)
    x.spec.kind = IG_STR("best");
    REFUSED("kind: unknown kind 'best'; known: split, gain, ");
    x.spec.kind = IG_STR("permutation");
    REFUSED("label: missing; the model names no target");
    x.spec.label = IG_STR("y");
    REFUSED("label: 'y' is no column of the table");
    x.spec.label = x.package->schema.features[0].name;
    REFUSED("label: row 1: ");
    x.spec.metric = IG_STR("rmse");
    REFUSED("metric: rmse does not go with this model's task");
    x.spec.metric = IG_STR("f1");
    REFUSED("metric: unknown metric 'f1'");
    x.spec.repeats = 1001;
    REFUSED("repeats: 1001, at most 1000");
    ig_buf_reset(&x.csv);
    x.spec.kind = IG_STR("shap");
    REFUSED("kind: shap importance is of a table, and none is given");
    end(&x);
    err = IG_ERR_INIT;
    begin(&x, "xgboost/gblinear_binary");
    x.spec.kind = IG_STR("gain");
    REFUSED("kind: gain importance is of trees, which this model is not");
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_shap),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_groups_of_trees),
        cmocka_unit_test(test_groups_of_contributions),
        cmocka_unit_test(test_several_shap),
        cmocka_unit_test(test_several_permutation),
        cmocka_unit_test(test_several_groups),
        cmocka_unit_test(test_several_fail),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals),
    };
    err = IG_ERR_INIT;
    ig_arena_init(&arena, 1 << 16, 1 << 28);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
