/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments as graphs through the real program: described in YAML, routed by features, context,
 * headers and units, explained on the way that was taken, changed, promoted, rolled back, and the
 * same after kill -9. */
#include "support/live.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})
#define PREDICT "/predict-with-explanation"
#define FEATURES "\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\""

static void train(const char *model, int rounds)
{
    char id[64];
    snprintf(id, sizeof id, "%s", live_submit(&live, model, "table.csv", rounds));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
}

static const char GRAPH[] =
    "# who answers whom\n"
    "context:\n"
    "  user_segment: text\n"
    "root:\n"
    "  segment:\n"
    "    rules:\n"
    "      - {name: premium, when: user_segment == \"premium\", then: trio}\n"
    "      - {name: beta, when: 'header(\"X-Beta\") == \"yes\"', then: b}\n"
    "      - {name: red, when: colour == 'red' and x0 > 0.5, then: try}\n"
    "    default: a\n"
    "nodes:\n"
    "  a: {model: churn, version: 1}\n"
    "  b: {model: churn, version: 2}\n"
    "  c: {model: churn, version: champion}\n"
    "  trio:\n"
    "    ensemble:\n"
    "      combine: mean_margin\n"
    "      members: [a, b, {node: c, weight: 2}]\n"
    "  try:\n"
    "    canary: {stable: a, candidate: b, canary_percent: 50}\n";

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, NULL);
    train("churn", 5);
    train("churn", 20);
    train("churn", 40);
    EXPECT(200, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":3}");
    live_write(&live, "graph.yaml", GRAPH);
    RUN("deploy", "d", "--graph", live_path(&live, "graph.yaml"), "--why", "first try");
    if (out.code != 0) fail_msg("%s", out.err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static double margin_of(const char *body)
{
    EXPECT(200, "POST", PREDICT, body);
    return strtod(live_text(&live, "explanation.margin"), NULL);
}

static void test_ways(void **state)
{
    (void)state;
    EXPECT(200, "POST", PREDICT, "{\"model\":\"d\",\"features\":{" FEATURES "}}");
    assert_string_equal(live_text(&live, "route.path"), "default");
    assert_string_equal(live_text(&live, "route.node"), "a");
    assert_string_equal(live_text(&live, "model.version"), "1");
    EXPECT(200, "POST", PREDICT,
           "{\"model\":\"d\",\"features\":{" FEATURES ",\"user_segment\":\"premium\"}}");
    assert_string_equal(live_text(&live, "route.path"), "premium");
    assert_string_equal(live_text(&live, "model.ensemble"), "mean_margin");
    assert_string_equal(live_text(&live, "model.members.2.version"), "3");
    EXPECT(400, "POST", PREDICT,
           "{\"model\":\"d\",\"context\":{\"segment\":\"x\"},\"features\":{" FEATURES "}}");
    assert_non_null(strstr(live_body(&live), "context.segment: the deployment declares no such"));
    EXPECT(400, "POST", PREDICT,
           "{\"model\":\"d\",\"context\":{\"user_segment\":7},\"features\":{" FEATURES "}}");
    assert_string_equal(live_text(&live, "error.field"), "context.user_segment");
}

static double number(const char *path)
{
    return strtod(live_text(&live, path), NULL);
}

/* The ensemble's SHAP values are the weighted mean of its members', exactly. */
static void test_ensemble_is_explained_exactly(void **state)
{
    (void)state;
    static const char *const PATHS[] = {"explanation.shap_values.x0", "explanation.shap_values.x1",
                                        "explanation.shap_values.colour", "explanation.base_value",
                                        "explanation.margin"};
    static const double WEIGHTS[] = {0.25, 0.25, 0.5};
    double mean[5] = {0}, sum = 0;
    char body[128];
    for (int i = 0; i < 3; i++) {
        snprintf(body, sizeof body, "{\"model\":\"churn\",\"version\":%d}", i + 1);
        EXPECT(200, "PUT", "/api/v1/deployments/one", body);
        EXPECT(200, "POST", PREDICT, "{\"model\":\"one\",\"features\":{" FEATURES "}}");
        for (int p = 0; p < 5; p++) mean[p] += WEIGHTS[i] * number(PATHS[p]);
    }
    EXPECT(200, "DELETE", "/api/v1/deployments/one", NULL);
    EXPECT(200, "POST", PREDICT,
           "{\"model\":\"d\",\"context\":{\"user_segment\":\"premium\"},\"features\":{" FEATURES
           "}}");
    for (int p = 0; p < 5; p++) assert_true(fabs(number(PATHS[p]) - mean[p]) < 1e-12);
    for (int p = 0; p < 4; p++) sum += number(PATHS[p]);
    assert_true(fabs(sum - number(PATHS[4])) < 1e-6);
}

/* Rows of one call that end at different models come back in their order. */
static void test_rows_part_and_meet(void **state)
{
    (void)state;
    static const char *const ROWS[] = {"{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}",
                                       "{\"x0\":0.8,\"x1\":0.2,\"colour\":\"red\"}",
                                       "{\"x0\":0.1,\"x1\":0.3,\"colour\":\"red\"}",
                                       "{\"x0\":0.7,\"x1\":0.4,\"colour\":\"red\"}"};
    char body[512], path[64], unit[32];
    bool parted = false;
    for (int u = 0; u < 8; u++) {
        double alone[4];
        snprintf(unit, sizeof unit, "\"unit_id\":\"u%d\"", u);
        for (int i = 0; i < 4; i++) {
            snprintf(body, sizeof body, "{\"model\":\"d\",%s,\"features\":%s}", unit, ROWS[i]);
            alone[i] = margin_of(body);
        }
        snprintf(body, sizeof body, "{\"model\":\"d\",%s,\"instances\":[%s,%s,%s,%s]}", unit,
                 ROWS[0], ROWS[1], ROWS[2], ROWS[3]);
        EXPECT(200, "POST", PREDICT, body);
        for (int i = 0; i < 4; i++) {
            snprintf(path, sizeof path, "results.%d.explanation.margin", i);
            assert_true(number(path) == alone[i]);
        }
        assert_string_equal(live_text(&live, "results.2.route.path"), "default");
        parted = parted || strcmp(live_text(&live, "results.1.route.path"), "red/candidate") == 0;
        char first[64];
        snprintf(first, sizeof first, "%s", live_text(&live, "results.1.route.path"));
        assert_string_equal(live_text(&live, "results.3.route.path"), first);
        snprintf(body, sizeof body, "{\"instances\":[%s,%s]}", ROWS[0], ROWS[2]);
        EXPECT(200, "POST", "/v1/models/d:predict", body);
    }
    assert_true(parted);
}

static void test_changes(void **state)
{
    (void)state;
    EXPECT(400, "PUT", "/api/v1/deployments/d",
           "{\"graph\":{\"root\":{\"split\":{\"arms\":[{\"name\":\"x\",\"weight\":50,\"node\":{"
           "\"model\":\"churn\"}},{\"name\":\"y\",\"weight\":40,\"node\":{\"model\":\"churn\"}}]}}"
           "}}");
    assert_string_equal(live_text(&live, "error.field"), "graph");
    assert_non_null(strstr(live_body(&live), "the weights are 90.00% together"));
    EXPECT(400, "PUT", "/api/v1/deployments/d", "{\"graph\":{\"root\":\"x\"},\"model\":\"churn\"}");
    EXPECT(400, "PUT", "/api/v1/deployments/d", "{}");
    EXPECT(404, "PUT", "/api/v1/deployments/d", "{\"graph\":{\"root\":{\"model\":\"none\"}}}");
    assert_string_equal(live_text(&live, "error.message"),
                        "graph.nodes.root: model 'none' does not exist");
    assert_string_equal(live_text(&live, "error.field"), "graph");
    RUN("deploy", "d", "--promote", "--why", "it won");
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("deploy", "d", "--history");
    assert_non_null(strstr(out.out, "it won"));
    assert_non_null(strstr(out.out, "first try"));
    RUN("deploy", "d", "--pause", "--why", "wait");
    EXPECT(503, "POST", PREDICT, "{\"model\":\"d\",\"features\":{" FEATURES "}}");
    assert_non_null(strstr(live_body(&live), "the deployment is paused"));
    RUN("deploy", "d", "--resume");
    EXPECT(200, "POST", PREDICT, "{\"model\":\"d\",\"features\":{" FEATURES "}}");
    RUN("deploy", "d", "--rollback");
    assert_int_equal(out.code, 0);
    RUN("deploy", "d", "--rollback", "--arm", "x");
    assert_int_equal(out.code, 2);
    EXPECT(200, "GET", "/api/v1/deployments/d", NULL);
    assert_string_equal(live_text(&live, "revision"), "1");
    assert_string_equal(live_text(&live, "graph.nodes.try.canary.canary_percent"), "50");
}

static void test_canary_and_restart(void **state)
{
    (void)state;
    EXPECT(200, "PUT", "/api/v1/deployments/e", "{\"model\":\"churn\",\"version\":1}");
    RUN("deploy", "e", "--model", "models:/churn/2", "--canary", "12.5");
    if (out.code != 0) fail_msg("%s", out.err);
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    EXPECT(200, "GET", "/api/v1/deployments/e", NULL);
    assert_string_equal(live_text(&live, "graph.nodes.canary.canary.canary_percent"), "12.5");
    EXPECT(200, "POST", PREDICT, "{\"model\":\"e\",\"unit_id\":7,\"features\":{" FEATURES "}}");
    EXPECT(200, "POST", PREDICT, "{\"model\":\"d\",\"features\":{" FEATURES "}}");
    EXPECT(404, "POST", "/api/v1/importance", "{\"deployment\":\"none\"}");
    assert_string_equal(live_text(&live, "error.field"), "deployment");
}

enum { PEOPLE = 60 };

/* A table of people, each of a segment and a unit of its own, as a blob. */
static void store_people(char *digest, size_t size, const char *segment)
{
    char table[8192];
    int length = snprintf(table, sizeof table, "x0,x1,colour,team,%s,unit_id\n", segment);
    for (int i = 0; i < PEOPLE; i++)
        length += snprintf(table + length, sizeof table - (size_t)length,
                           "%.2f,%.2f,%s,%s,%s,u%d\n", i % 10 / 10.0, i % 7 / 7.0,
                           i % 3 ? "red" : "green", i % 2 ? "a" : "b", i % 4 ? "" : "premium", i);
    EXPECT(201, "POST", "/api/v1/blobs", table);
    snprintf(digest, size, "%s", live_text(&live, "digest"));
}

static void ask_person(int i, double *score, double *x0)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"model\":\"d\",\"unit_id\":\"u%d\",\"features\":{\"x0\":%.2f,\"x1\":%.2f,"
             "\"colour\":\"%s\"%s}}",
             i, i % 10 / 10.0, i % 7 / 7.0, i % 3 ? "red" : "green",
             i % 4 ? "" : ",\"user_segment\":\"premium\"");
    EXPECT(200, "POST", PREDICT, body);
    *score = number("probability");
    *x0 = number("explanation.shap_values.x0");
}

/* A report on the deployment is that of what it answers to each row. */
static void test_fairness(void **state)
{
    (void)state;
    double scores[2] = {0}, means[2] = {0}, score, x0;
    char digest[80], request[512], path[64];
    for (int i = 0; i < PEOPLE; i++) {
        ask_person(i, &score, &x0);
        scores[i % 2] += score / (PEOPLE / 2);
        means[i % 2] += x0 / (PEOPLE / 2);
    }
    store_people(digest, sizeof digest, "user_segment");
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"protected\":[\"team\"],\"deployment\":\"d\","
             "\"attributions\":true}",
             digest);
    EXPECT(200, "POST", "/api/v1/fairness", request);
    for (int team = 0; team < 2; team++) { /* "a" has the odd rows */
        snprintf(path, sizeof path, "protected.0.groups.%d.mean_score", team);
        assert_true(fabs(number(path) - scores[!team]) < 1e-9);
    }
    assert_string_equal(live_text(&live, "answered.0.node"), "trio");
    assert_true(number("answered.0.rows") == PEOPLE / 4.0);
    assert_string_equal(live_text(&live, "answered.1.node"), "b");
    assert_string_equal(live_text(&live, "answered.2.node"), "a");
    assert_true(number("answered.1.rows") + number("answered.2.rows") == PEOPLE * 3 / 4.0);
    for (int gap = 0; gap < 3; gap++) {
        snprintf(path, sizeof path, "protected.0.attribution_gaps.%d.feature", gap);
        if (strcmp(live_text(&live, path), "x0") != 0) continue;
        snprintf(path, sizeof path, "protected.0.attribution_gaps.%d.difference.value", gap);
        assert_true(fabs(number(path) - fabs(means[0] - means[1])) < 1e-9);
        means[0] = NAN;
    }
    assert_true(isnan(means[0]));
    /* Without the column no one is premium. */
    store_people(digest, sizeof digest, "other");
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"protected\":[\"team\"],\"deployment\":\"d\"}", digest);
    EXPECT(200, "POST", "/api/v1/fairness", request);
    assert_null(strstr(live_body(&live), "\"trio\""));
    EXPECT(200, "PUT", "/api/v1/deployments/old",
           "{\"graph\":{\"root\":{\"segment\":{\"rules\":[{\"when\":\"age > 60\",\"then\":"
           "{\"model\":\"churn\"}}],\"default\":{\"model\":\"churn\",\"version\":1}}},"
           "\"context\":{\"age\":\"number\"}}}");
    store_people(digest, sizeof digest, "age");
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"protected\":[\"team\"],\"deployment\":\"old\"}", digest);
    EXPECT(400, "POST", "/api/v1/fairness", request);
    assert_string_equal(live_text(&live, "error.field"), "context.age");
    EXPECT(200, "DELETE", "/api/v1/deployments/old", NULL);
}

/* A report on the deployment is that of what it answers to each row. */
static void test_importance(void **state)
{
    (void)state;
    double mean = 0, size = 0, score, x0;
    char digest[80], request[512];
    for (int i = 0; i < PEOPLE; i++) {
        ask_person(i, &score, &x0);
        mean += x0 / PEOPLE;
        size += fabs(x0) / PEOPLE;
    }
    store_people(digest, sizeof digest, "user_segment");
    snprintf(request, sizeof request, "{\"data_digest\":\"%s\",\"deployment\":\"d\"}", digest);
    EXPECT(200, "POST", "/api/v1/importance", request);
    assert_string_equal(live_text(&live, "kind"), "shap");
    assert_string_equal(live_text(&live, "method"), "tree_path_dependent");
    assert_string_equal(live_text(&live, "features.0.feature"), "x0");
    assert_true(fabs(number("features.0.importance") - size) < 1e-9);
    assert_true(fabs(number("features.0.mean_contribution") - mean) < 1e-9);
    assert_string_equal(live_text(&live, "answered.0.node"), "trio");
    assert_true(number("answered.0.rows") == PEOPLE / 4.0);
    assert_string_equal(live_text(&live, "answered.0.method"), "tree_path_dependent");
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"deployment\":\"d\",\"kind\":\"permutation\","
             "\"label\":\"team\"}",
             digest);
    EXPECT(400, "POST", "/api/v1/importance", request);
    assert_string_equal(live_text(&live, "error.field"), "label");
    EXPECT(200, "POST", "/api/v1/importance", "{\"deployment\":\"d\",\"top\":1}");
    assert_string_equal(live_text(&live, "kind"), "gain");
    assert_string_equal(live_text(&live, "models.2.version"), "3");
    assert_true(number("models.0.features.0.importance") > 0);
    EXPECT(400, "POST", "/api/v1/importance", "{\"deployment\":\"d\",\"kind\":\"shap\"}");
    assert_string_equal(live_text(&live, "error.field"), "kind");
}

/* A tree over a and b and one over c, whose columns a model has in an order of its own. */
static void register_abc(const char *name, const char *names, const int of[3])
{
    char text[2048], body[256], path[64];
    int length = snprintf(
        text, sizeof text,
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        "max_feature_idx=2\nobjective=binary sigmoid:1\nfeature_names=%s\n"
        "feature_infos=[0:9] [0:9] [0:9]\ntree_sizes=1 1\n\nTree=0\nnum_leaves=3\nnum_cat=0\n"
        "split_feature=%d %d\nsplit_gain=5 2\nthreshold=0.5 0.5\ndecision_type=8 8\n"
        "left_child=-1 -2\nright_child=1 -3\nleaf_value=1 -2 3\nleaf_count=6 3 1\n"
        "internal_count=10 4\n\nTree=1\nnum_leaves=2\nnum_cat=0\nsplit_feature=%d\n"
        "split_gain=1\nthreshold=0.5\ndecision_type=8\nleft_child=-1\nright_child=-2\n"
        "leaf_value=0.5 -1.5\nleaf_count=4 6\ninternal_count=10\n\nend of trees\n",
        names, of[0], of[1], of[2]);
    snprintf(body, sizeof body, "{\"name\":\"%s\"}", name);
    EXPECT(201, "POST", "/api/v1/models", body);
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", live_upload(&live, text, (size_t)length));
    snprintf(path, sizeof path, "/api/v1/models/%s/versions", name);
    EXPECT(201, "POST", path, body);
}

/* Groups and constraints are of the features that they name, whatever order the model has. */
static void test_groups_in_another_order(void **state)
{
    (void)state;
    static const char *const ASKED[] = {
        "\"groups\":{\"pair\":[\"a\",\"c\"]}",
        "\"method\":\"counterfactual\",\"constraints\":{\"a\":\"immutable\",\"b\":\"immutable\"}"};
    static char answers[2][1 << 13];
    char body[512], digest[80];
    register_abc("abc", "a b c", (const int[]){0, 1, 2});
    register_abc("cab", "c a b", (const int[]){1, 2, 0});
    EXPECT(200, "PUT", "/api/v1/deployments/abc", "{\"model\":\"abc\"}");
    EXPECT(200, "PUT", "/api/v1/deployments/cab",
           "{\"graph\":{\"root\":{\"segment\":{\"rules\":[{\"when\":\"b > 5\",\"then\":\"x\"}],"
           "\"default\":\"y\"}},\"nodes\":{\"x\":{\"model\":\"cab\"},\"y\":{\"model\":\"abc\"}}}}");
    for (size_t k = 0; k < sizeof ASKED / sizeof *ASKED; k++) {
        for (int i = 0; i < 2; i++) {
            snprintf(body, sizeof body,
                     "{\"model\":\"%s\",\"features\":{\"a\":0,\"b\":9,\"c\":1},%s}",
                     i ? "cab" : "abc", ASKED[k]);
            EXPECT(200, "POST", PREDICT, body);
            snprintf(answers[i], sizeof answers[i], "%s", live_body(&live));
            assert_non_null(strstr(answers[i], ",\"model\":"));
            *strstr(answers[i], ",\"model\":") = 0;
            if (k) continue;
            assert_true(fabs(number("explanation.shap_values.b") - 0.75) < 1e-6);
            assert_true(fabs(number("explanation.shap_values.pair") + 0.85) < 1e-6);
        }
        if (k) assert_non_null(strstr(answers[1], "\"feature\":\"c\""));
        if (k) assert_string_equal(answers[0], answers[1]);
    }
    static const char TABLE[] = "a,b,c,y\n0,9,1,0\n1,9,0,1\n1,0,1,0\n0,9,0,1\n";
    snprintf(digest, sizeof digest, "%s", live_upload(&live, TABLE, sizeof TABLE - 1));
    snprintf(body, sizeof body,
             "{\"groups\":{\"pair\":[\"a\",\"c\"]},\"data_digest\":\"%s\",\"deployment\":\"cab\"}",
             digest);
    EXPECT(200, "POST", "/api/v1/importance", body);
    assert_string_equal(live_text(&live, "features.0.feature"), "pair");
    assert_string_equal(live_text(&live, "features.1.feature"), "b");
    assert_true(isnan(live_number(&live, "features.2.importance")));
    EXPECT(200, "POST", "/api/v1/importance",
           "{\"deployment\":\"cab\",\"kind\":\"gain\",\"groups\":{\"pair\":[\"a\",\"c\"]}}");
    for (int i = 0; i < 2; i++) {
        assert_true(
            number(i ? "models.1.features.0.importance" : "models.0.features.0.importance") == 3);
        assert_true(
            number(i ? "models.1.features.1.importance" : "models.0.features.1.importance") == 2);
    }
    EXPECT(400, "POST", "/api/v1/importance",
           "{\"groups\":{\"pair\":[\"a\",\"d\"]},\"deployment\":\"cab\"}");
    assert_string_equal(live_text(&live, "error.field"), "groups");
    assert_non_null(
        strstr(live_text(&live, "error.message"), "groups.pair: the model has no feature 'd'"));
}

/* Answers, rewards and mirrors are told apart by arm, and again after kill -9. */
static void check_experiment(int answers, int rewards)
{
    for (int i = 0; i < 200; i++) { /* mirrors come after their primaries */
        EXPECT(200, "GET", "/api/v1/deployments/x/experiments", NULL);
        if (live_number(&live, "shadows.0.answers") >= answers) break;
        usleep(20000);
    }
    assert_int_equal(live_number(&live, "experiments.0.arms.0.answers") +
                         live_number(&live, "experiments.0.arms.1.answers"),
                     answers);
    assert_int_equal(live_number(&live, "experiments.0.arms.0.metrics.sale.rewards") +
                         live_number(&live, "experiments.0.arms.1.metrics.sale.rewards"),
                     rewards);
    assert_int_equal(live_number(&live, "experiments.0.units"), answers);
    assert_string_equal(live_text(&live, "experiments.0.sample_ratio_mismatch"), "false");
    assert_string_equal(live_text(&live, "experiments.0.comparisons.0.metrics.sale.decided"),
                        "false");
    assert_int_equal(live_number(&live, "shadows.0.answers"), answers);
    assert_int_equal(live_number(&live, "shadows.0.failures"), 0);
    assert_true(live_number(&live, "shadows.0.primary_latency_ms.p50") > 0);
}

static void test_experiment(void **state)
{
    (void)state;
    enum { N = 60 };
    char body[512], id[64];
    EXPECT(200, "PUT", "/api/v1/deployments/x",
           "{\"graph\":{\"root\":{\"shadow\":{\"primary\":{\"split\":{\"arms\":[{\"name\":\"old\","
           "\"weight\":50,\"node\":{\"model\":\"churn\",\"version\":1}},{\"name\":\"new\","
           "\"weight\":50,\"node\":{\"model\":\"churn\",\"version\":2}}]}},\"mirrors\":[{\"name\":"
           "\"next\",\"node\":{\"model\":\"churn\",\"version\":3}}]}}}}");
    for (int i = 0; i < N; i++) {
        snprintf(body, sizeof body, "{\"model\":\"x\",\"unit_id\":%d,\"features\":{" FEATURES "}}",
                 i);
        EXPECT(200, "POST", PREDICT, body);
        snprintf(id, sizeof id, "%s", live_text(&live, "request_id"));
        snprintf(body, sizeof body,
                 "{\"rewards\":[{\"request_id\":\"%s\",\"metric\":\"sale\",\"value\":%d}]}", id,
                 i % 3 == 0);
        EXPECT(200, "POST", "/api/v1/rewards", body);
        assert_string_equal(live_text(&live, "taken"), "1");
    }
    EXPECT(200, "POST", "/api/v1/rewards", body);
    assert_string_equal(live_text(&live, "repeated"), "1");
    EXPECT(200, "POST", "/api/v1/rewards", "{\"rewards\":[{\"request_id\":\"none\",\"value\":1}]}");
    assert_string_equal(live_text(&live, "unmatched"), "1");
    EXPECT(400, "POST", "/api/v1/rewards", "{\"rewards\":[{\"request_id\":\"x\"}]}");
    assert_non_null(strstr(live_body(&live), "rewards[0]: value: missing"));
    EXPECT(400, "GET", "/api/v1/deployments/x/experiments?alpha=2", NULL);
    check_experiment(N, N);
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    check_experiment(N, N);
    EXPECT(404, "GET", "/api/v1/deployments/none/experiments", NULL);
}

/* Records of graphs are replayed through the graph: an ensemble, and rows that parted. */
static void test_records_are_replayed(void **state)
{
    (void)state;
    static const char *const BODIES[] = {
        "{\"model\":\"d\",\"context\":{\"user_segment\":\"premium\"},\"instances\":[[0.9,0.1,"
        "\"green\"],[0.2,0.7,\"red\"]]}",
        "{\"model\":\"d\",\"unit_id\":\"u3\",\"instances\":[[0.9,0.1,\"green\"],[0.8,0.2,\"red\"],"
        "[0.1,0.3,\"red\"],[0.7,0.4,\"red\"]]}"};
    static const char *const PATHS[] = {"results.0.record", "results.1.record"};
    char id[64];
    EXPECT(200, "PUT", "/api/v1/deployments/d/records", "{\"enabled\":true}");
    for (int b = 0; b < 2; b++)
        for (int p = 0; p < 2; p++) {
            EXPECT(200, "POST", PREDICT, BODIES[b]);
            snprintf(id, sizeof id, "%s", live_text(&live, PATHS[p]));
            RUN("explain", "--replay", id);
            if (out.code != 0) fail_msg("%s: %s", id, out.err);
            assert_non_null(strstr(out.out, "reproduced bit for bit"));
        }
    EXPECT(200, "PUT", "/api/v1/deployments/d/records", "{\"enabled\":false}");
}

static void test_rollout(void **state)
{
    (void)state;
    char body[256];
    EXPECT(200, "PUT", "/api/v1/deployments/r", "{\"model\":\"churn\",\"version\":1}");
    EXPECT(404, "GET", "/api/v1/deployments/r/rollout", NULL);
    EXPECT(400, "PUT", "/api/v1/deployments/r",
           "{\"model\":\"churn\",\"version\":2,\"rollout\":{\"steps\":[5,4]}}");
    assert_string_equal(live_text(&live, "error.field"), "rollout");
    live_write(&live, "plan.yaml",
               "steps: [50, 100]\nstep_seconds: 0\nmin_answers: 100\nguardrails:\n"
               "  errors: {max_increase: 0.05}\n");
    RUN("deploy", "r", "--model", "models:/churn/2", "--rollout", live_path(&live, "plan.yaml"));
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("deploy", "r", "--rollout-do", "show");
    assert_non_null(strstr(out.out, "\"running\""));
    assert_non_null(strstr(out.out, "100 each"));
    for (int i = 0; i < 300; i++) {
        snprintf(body, sizeof body, "{\"model\":\"r\",\"unit_id\":%d,\"features\":{" FEATURES "}}",
                 i);
        EXPECT(200, "POST", PREDICT, body);
    }
    for (int i = 0; i < 100; i++) { /* it looks once a second */
        EXPECT(200, "GET", "/api/v1/deployments/r/rollout", NULL);
        if (strcmp(live_text(&live, "state"), "running") != 0) break;
        usleep(50000);
    }
    assert_string_equal(live_text(&live, "state"), "done");
    EXPECT(200, "GET", "/api/v1/deployments/r", NULL);
    assert_string_equal(live_text(&live, "version"), "2");
    RUN("deploy", "r", "--rollout-do", "abort");
    assert_int_equal(out.code, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_ensemble_is_explained_exactly),
        cmocka_unit_test(test_rows_part_and_meet),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_groups_in_another_order),
        cmocka_unit_test(test_records_are_replayed),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_canary_and_restart),
        cmocka_unit_test(test_experiment),
        cmocka_unit_test(test_rollout),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
