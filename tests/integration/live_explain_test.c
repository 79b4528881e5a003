/* SPDX-License-Identifier: Apache-2.0 */
/* Explanations through the real program: every method, plots, fairness, importance,
 * counterfactuals, records, reasons, the cache, models of other formats; and what is refused. */
#include "support/live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW "{\"model\":\"churn\",\"features\":{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}}"

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    char id[64];
    (void)state;
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, NULL);
    snprintf(id, sizeof id, "%s", live_submit(&live, "churn", "table.csv", 20));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    EXPECT(200, "PUT", "/api/v1/deployments/churn", "{\"model\":\"churn\",\"version\":1}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* Backgrounds by verb and route; every method adds up and agrees with exact enumeration; the
 * command line gives the server's numbers. */
static void test_explanation_methods(void **state)
{
    static const char *const METHODS[] = {"exact", "tree_interventional", "leverage",
                                          "permutation"};
    (void)state;
    double wanted = 0;
    live_write(&live, "others.csv",
               "x0,x1,colour,id\n0.1,0.9,red,1\n0.8,0.3,green,2\n0.4,,blue,3\n0.2,0.2,green,4\n");
    live_write(&live, "one.csv", "x0,x1,colour\n0.9,0.1,green\n");
    RUN("background", "set", "churn", "some", live_path(&live, "others.csv"));
    if (out.code != 0) fail_msg("%s", out.err);
    EXPECT(200, "GET", "/api/v1/models/churn/backgrounds/some", NULL);
    assert_true(live_number(&live, "rows") == 4);
    for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "{\"model\":\"churn\",\"method\":\"%s\",\"background\":\"some\",\"features\":"
                 "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}}",
                 METHODS[i]);
        for (int again = 0; again < 2; again++) { /* in the pool, then where it belongs */
            EXPECT(200, "POST", "/predict-with-explanation", body);
            double x0 = live_number(&live, "explanation.shap_values.x0");
            double sum = live_number(&live, "explanation.base_value") + x0 +
                         live_number(&live, "explanation.shap_values.x1") +
                         live_number(&live, "explanation.shap_values.colour");
            assert_true(fabs(sum - live_number(&live, "explanation.margin")) < 1e-5);
            if (i == 0) wanted = x0;
            assert_true(fabs(x0 - wanted) < 1e-5);
            assert_string_equal(live_text(&live, "explanation.method"), METHODS[i]);
            assert_string_equal(live_text(&live, "explanation.background.name"), "some");
        }
        RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
            "--background", live_path(&live, "others.csv"), "--method", METHODS[i]);
        if (out.code != 0) fail_msg("%s", out.err);
        assert_true(fabs(strtod(strchr(out.out, '\n') + 1, NULL) - wanted) < 1e-5);
    }
    EXPECT(200, "POST", "/v1/models/churn:explain",
           "{\"instances\":[[0.9,0.1,\"green\"]],\"background\":\"some\",\"unit\":\"probability\","
           "\"groups\":{\"numbers\":[\"x0\",\"x1\"]},\"method\":\"exact\",\"top\":1}");
    assert_non_null(strstr(live_body(&live), "\"shap_values\":{\"numbers\":"));
    assert_non_null(strstr(live_body(&live), "\"unit\":\"probability\""));
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"churn\",\"features\":{\"x0\":0.9},\"budget_us\":1000000}");
    assert_string_equal(live_text(&live, "explanation.method"), "tree_path_dependent");
    assert_int_equal(strncmp(live_text(&live, "explanation.chosen"), "the best that fits", 18), 0);
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
        "--budget-us", "1000000", "--background", live_path(&live, "others.csv"), "--format",
        "json");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "\"method\":\"tree_interventional\""));
    assert_non_null(strstr(out.out, "\"chosen\":\"the best that fits: about "));
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
        "--budget-us", "1", "--method", "exact", "--background", live_path(&live, "others.csv"));
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "budget_us: method exact takes about "));
}

static void expect_refused(const char *path, const char *body, const char *option)
{
    EXPECT(400, "POST", path, body);
    if (!strstr(live_body(&live), option)) fail_msg("%s", live_body(&live));
    assert_non_null(strstr(live_body(&live), "tree_path_dependent takes none; it is for "));
}

/* Whoever names no method gets the exact one, which takes no samples. */
static void test_options_of_other_methods(void **state)
{
    (void)state;
#define ROW_AND "\"model\":\"churn\",\"features\":{\"x0\":0.9},"
    static const char INSTANCES[] = "{\"instances\":[{\"x0\":0.9}],\"samples\":300}";
    expect_refused("/predict-with-explanation", "{" ROW_AND "\"samples\":300}", "samples: ");
    assert_string_equal(live_text(&live, "error.field"), "samples");
    expect_refused("/predict-with-explanation", "{" ROW_AND "\"class\":\"0\"}", "class: ");
    expect_refused("/predict-with-explanation",
                   "{" ROW_AND "\"method\":\"tree_path_dependent\",\"max_changes\":1}",
                   "max_changes: ");
    expect_refused("/v1/models/churn:explain", INSTANCES, "samples: ");
    EXPECT(200, "POST", "/predict-with-explanation",
           "{" ROW_AND "\"samples\":300,\"budget_us\":1000000}");
    EXPECT(200, "POST", "/predict-with-explanation",
           "{" ROW_AND "\"class\":\"0\",\"plot\":\"waterfall\"}");
#undef ROW_AND
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
        "--target-se", "0.1");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "--target-se: method tree_path_dependent takes none; it is "
                                    "for leverage, permutation"));
}

/* The matrix's rows are the contributions; both fronts give it. */
static void test_interactions(void **state)
{
    (void)state;
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    double x0 = live_number(&live, "explanation.shap_values.x0");
    EXPECT(
        200, "POST", "/predict-with-explanation",
        "{\"model\":\"churn\",\"method\":\"tree_interactions\",\"top\":1,\"features\":{\"x0\":0.9,"
        "\"x1\":0.1,\"colour\":\"green\"}}");
    double sum = live_number(&live, "explanation.interactions.x0.x0") +
                 live_number(&live, "explanation.interactions.x0.x1") +
                 live_number(&live, "explanation.interactions.x0.colour");
    assert_true(fabs(sum - x0) < 1e-5);
    assert_non_null(strstr(live_body(&live), "\"top_interactions\":[{\"features\":[\""));
    assert_string_equal(live_text(&live, "explanation.interactions_convention"), "halved");
    double own = live_number(&live, "explanation.interactions.x0.x0");
    double half = live_number(&live, "explanation.interactions.x0.x1");
    double top = live_number(&live, "explanation.top_interactions.0.interaction");
    assert_true(half != 0);
    EXPECT(
        200, "POST", "/predict-with-explanation",
        "{\"model\":\"churn\",\"method\":\"tree_interactions\",\"top\":1,\"features\":{\"x0\":0.9,"
        "\"x1\":0.1,\"colour\":\"green\"},\"interactions\":\"whole\"}");
    assert_string_equal(live_text(&live, "explanation.interactions_convention"), "whole");
    assert_true(live_number(&live, "explanation.interactions.x0.x0") == own);
    assert_true(live_number(&live, "explanation.interactions.x0.x1") == 2 * half);
    assert_true(live_number(&live, "explanation.interactions.x1.x0") == 2 * half);
    assert_true(live_number(&live, "explanation.top_interactions.0.interaction") == top);
    double cells[2];
    for (int whole = 0; whole < 2; whole++) {
        RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
            "--method", "tree_interactions", "--interactions", whole ? "whole" : "halved");
        if (out.code != 0) fail_msg("%s", out.err);
        if (sscanf(strchr(out.out, '\n'), "%*f,%lf", &cells[whole]) != 1) fail_msg("%s", out.out);
    }
    assert_true(cells[0] == half && cells[1] == 2 * half);
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
        "--interactions", "whole");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "--interactions: method tree_path_dependent takes none; it is "
                                    "for tree_interactions, tree_interactions_interventional"));
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"), "--method",
        "tree_interactions");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_int_equal(strncmp(out.out, "x0:x0,x0:x1,x0:colour,x0:bias,x1:x0,", 36), 0);
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"), "--method",
        "tree_interactions_interventional", "--background", live_path(&live, "others.csv"),
        "--format", "text");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "x0 x "));
}

/* A surrogate has terms, says how good it is, and without sampling has no error. */
static void test_surrogates(void **state)
{
    static const char *const METHODS[] = {"lime", "lime_exact"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "{\"model\":\"churn\",\"method\":\"%s\",\"background\":\"some\",\"features\":"
                 "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"},\"surrogate_features\":2}",
                 METHODS[i]);
        EXPECT(200, "POST", "/predict-with-explanation", body);
        assert_string_equal(live_text(&live, "explanation.method"), METHODS[i]);
        assert_non_null(strstr(live_body(&live), "\"surrogate\":[{\"feature\":\""));
        assert_true(fabs(live_number(&live, "explanation.explained_value") -
                         live_number(&live, "explanation.margin")) < 1e-6);
        assert_string_equal(live_text(&live, "explanation.exact"), i ? "true" : "false");
        RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
            "--background", live_path(&live, "others.csv"), "--method", METHODS[i], "--format",
            "text");
        if (out.code != 0) fail_msg("%s", out.err);
        assert_non_null(strstr(out.out, "\n  intercept "));
        assert_non_null(strstr(out.out, "\n  surrogate "));
        assert_null(strstr(out.out, "\n  margin "));
        assert_non_null(strstr(out.out, "surrogate of "));
        assert_null(strstr(out.out, " others "));
        RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
            "--background", live_path(&live, "others.csv"), "--method", METHODS[i], "--format",
            "text", "--top", "1");
        if (out.code != 0) fail_msg("%s", out.err);
        assert_non_null(strstr(out.out, "\n  2 others "));
        RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
            "--background", live_path(&live, "others.csv"), "--method", METHODS[i]);
        assert_int_equal(strncmp(out.out, "x0,x1,colour,bias\n", 18), 0);
    }
}

/* The same explanations as pictures, from the server and from the command. */
static void test_plots(void **state)
{
    static const char *const PLOTS[] = {"waterfall", "force",      "bar",
                                        "beeswarm",  "dependence", "decision"};
    (void)state;
    for (size_t i = 0; i < sizeof PLOTS / sizeof *PLOTS; i++) {
        char body[512];
        snprintf(body, sizeof body,
                 "{\"model\":\"churn\",\"plot\":\"%s\",\"instances\":[[0.9,0.1,\"green\"],"
                 "[0.2,0.3,\"red\"]]}",
                 PLOTS[i]);
        EXPECT(200, "POST", "/predict-with-explanation", body);
        assert_int_equal(strncmp(live_body(&live), "<svg xmlns=", 11), 0);
        assert_non_null(strstr(live_body(&live), "</svg>"));
        RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"),
            "--plot", PLOTS[i]);
        if (out.code != 0) fail_msg("%s", out.err);
        assert_int_equal(strncmp(out.out, "<svg xmlns=", 11), 0);
    }
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"), "--plot",
        "pie");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "unknown plot 'pie'"));
}

/* Bias of the deployment's decisions, and of a table's own, through both fronts. */
static void test_fairness(void **state)
{
    static const char PEOPLE[] = "x0,x1,colour,team,d\n0.9,0.1,green,a,yes\n0.1,0.9,red,b,no\n"
                                 "0.8,0.3,red,a,yes\n0.2,0.2,green,b,yes\n";
    char digest[80], request[1024];
    (void)state;
    live_write(&live, "people.csv", PEOPLE);
    RUN("fairness", "--input", live_path(&live, "people.csv"), "--protected", "team", "--decision",
        "d", "--positive", "yes", "--min-rows", "1");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "demographic parity difference     0.500"));
    RUN("fairness", "--input", live_path(&live, "people.csv"), "--protected", "team", "--model",
        "models:/churn/1", "--min-rows", "2", "--format", "json");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "\"attribution_gaps\":[{\"feature\":\""));
    RUN("fairness", "--input", live_path(&live, "people.csv"), "--protected", "tem");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "protected: 'tem' is no column of the table"));
    EXPECT(201, "POST", "/api/v1/blobs", PEOPLE);
    snprintf(digest, sizeof digest, "%s", live_text(&live, "digest"));
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"protected\":[\"team\"],\"deployment\":\"churn\","
             "\"min_rows\":2,\"attributions\":true}",
             digest);
    EXPECT(200, "POST", "/api/v1/fairness", request);
    assert_non_null(strstr(live_body(&live), "\"groups\":[{\"group\":\"a\",\"rows\":2,"));
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"protected\":[\"tem\"],\"deployment\":\"churn\"}", digest);
    EXPECT(400, "POST", "/api/v1/fairness", request);
    assert_string_equal(live_text(&live, "error.field"), "protected");
    snprintf(request, sizeof request,
             "{\"data_digest\":\"%s\",\"protected\":[\"team\"],\"deployment\":\"nobody\"}", digest);
    EXPECT(404, "POST", "/api/v1/fairness", request);
}

/* Which features the deployment goes by, through both fronts. */
static void test_importance(void **state)
{
    static const char ROWS[] = "x0,x1,colour,label\n0.9,0.1,green,yes\n0.1,0.9,red,no\n"
                               "0.8,0.3,red,yes\n0.2,0.2,green,no\n";
    char request[512];
    (void)state;
    live_write(&live, "labelled.csv", ROWS);
    RUN("importance", "--model", "models:/churn/1", "--kind", "split", "--format", "csv");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "feature,importance,low,high\n\"x0\","));
    RUN("importance", "--model", "models:/churn/1", "--input", live_path(&live, "labelled.csv"),
        "--kind", "permutation", "--metric", "auc", "--group", "xs=x0,x1");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "permutation importance, auc 1, 4 rows\nxs "));
    EXPECT(201, "POST", "/api/v1/blobs", ROWS);
    snprintf(request, sizeof request, "{\"deployment\":\"churn\",\"data_digest\":\"%s\"}",
             live_text(&live, "digest"));
    EXPECT(200, "POST", "/api/v1/importance", request);
    assert_string_equal(live_text(&live, "kind"), "shap");
    assert_string_equal(live_text(&live, "rows"), "4");
    EXPECT(200, "POST", "/api/v1/importance", "{\"deployment\":\"churn\",\"kind\":\"gain\"}");
    EXPECT(400, "POST", "/api/v1/importance", "{\"deployment\":\"churn\",\"kind\":\"best\"}");
    assert_string_equal(live_text(&live, "error.field"), "kind");
    EXPECT(404, "POST", "/api/v1/importance", "{\"deployment\":\"nobody\"}");
}

/* Nearest changes, through both fronts: another answer, within the constraints. */
static void test_counterfactuals(void **state)
{
    static const char ASK[] =
        "{\"model\":\"churn\",\"method\":\"counterfactual\",\"alternatives\":2,"
        "\"features\":{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}%s}";
    char body[512];
    (void)state;
    snprintf(body, sizeof body, ASK, "");
    EXPECT(200, "POST", "/predict-with-explanation", body);
    assert_string_equal(live_text(&live, "explanation.outcome"), "found");
    assert_string_equal(live_text(&live, "prediction"), "yes");
    assert_non_null(strstr(live_body(&live), "\"nearest\":true,\"prediction\":\"no\""));
    assert_non_null(
        strstr(live_body(&live), "\"changes\":[{\"feature\":\"x0\",\"from\":0.9,\"to\":"));
    snprintf(body, sizeof body, ASK, ",\"constraints\":{\"x0\":\"up\",\"x1\":\"immutable\"}");
    EXPECT(200, "POST", "/predict-with-explanation", body);
    assert_string_equal(live_text(&live, "explanation.outcome"), "none_exists");
    snprintf(body, sizeof body, ASK, ",\"wanted_class\":\"yes\"");
    EXPECT(200, "POST", "/predict-with-explanation", body);
    assert_string_equal(live_text(&live, "explanation.outcome"), "wanted_already");
    snprintf(body, sizeof body, ASK, ",\"constraints\":{\"x9\":\"up\"}");
    EXPECT(400, "POST", "/predict-with-explanation", body);
    assert_string_equal(live_text(&live, "error.field"), "constraints");
    snprintf(body, sizeof body, ASK, ",\"wanted_low\":2");
    EXPECT(400, "POST", "/predict-with-explanation", body);
    assert_string_equal(live_text(&live, "error.field"), "wanted_low");
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"), "--method",
        "counterfactual", "--format", "text", "--wanted-high", "0.3");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, ", the nearest\n"));
    RUN("explain", "--model", "tests/golden/xgboost/gblinear_binary/model.json", "--input",
        "tests/golden/xgboost/gblinear_binary/input.csv", "--method", "counterfactual", "--format",
        "text", "--constraint", "f1=immutable", "--constraint", "f2=step:0.5");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, ", the nearest\n"));
    assert_null(strstr(out.out, "f1:"));
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "one.csv"), "--method",
        "counterfactual", "--constraint", "x0=sideways");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "constraints: 'sideways' is none of"));
}

/* Explained decisions leave records that are answered again bit for bit; a changed one is not. */
static void test_records(void **state)
{
    static const char *const MORE[] = {
        "",
        ",\"method\":\"leverage\",\"background\":\"some\",\"budget_us\":5000",
        ",\"method\":\"lime\",\"background\":\"some\",\"seed\":4",
        ",\"method\":\"counterfactual\",\"constraints\":{\"x1\":\"up\"}",
        ",\"method\":\"tree_interactions\",\"interactions\":\"whole\"",
        ",\"groups\":{\"xs\":[\"x0\",\"x1\"]},\"background\":\"some\",\"unit\":\"probability\""};
    char body[512], id[64];
    (void)state;
    RUN("deploy", "churn", "--records", "on");
    if (out.code != 0) fail_msg("%s", out.err);
    for (size_t i = 0; i < sizeof MORE / sizeof *MORE; i++) {
        snprintf(body, sizeof body,
                 "{\"model\":\"churn\",\"instances\":[[0.9,0.1,\"green\"],[0.2,null,\"red\"]]%s}",
                 MORE[i]);
        EXPECT(200, "POST", "/predict-with-explanation", body);
        const char *found = strstr(live_body(&live), "\"record\":\"");
        assert_non_null(found);
        snprintf(id, sizeof id, "%.26s", found + 10);
        RUN("explain", "--replay", id);
        if (out.code != 0) fail_msg("%s: %s", MORE[i], out.err);
        assert_non_null(strstr(out.out, "reproduced bit for bit: 2 rows by "));
    }
    EXPECT(200, "POST", "/v1/models/churn:explain", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    EXPECT(200, "GET", "/api/v1/records?limit=1", NULL);
    snprintf(id, sizeof id, "%.26s", strstr(live_body(&live), "\"id\":\"") + 6);
    RUN("explain", "--replay", id);
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("record", "get", id);
    char *digest = strstr(out.out, "\"result_digest\": \"");
    assert_non_null(digest);
    digest[19] = digest[19] == 'a' ? 'b' : 'a';
    live_write(&live, "forged.json", out.out);
    RUN("explain", "--replay", live_path(&live, "forged.json"));
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "the result differs: "));
    RUN("record", "verify");
    assert_non_null(strstr(out.out, "\"holds\": true"));
    EXPECT(404, "GET", "/api/v1/records/01m8cc2gxc2cxxdbe886frp91c", NULL);
    EXPECT(404, "PUT", "/api/v1/deployments/nobody/records", "{\"enabled\":true}");
    RUN("deploy", "churn", "--records", "off");
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"churn\",\"features\":{\"x0\":0.9}}");
    assert_null(strstr(live_body(&live), "\"record\""));
}

/* Adverse reasons by the model's codes, against its baseline. */
static void test_reasons(void **state)
{
    static const char CODES[] = "{\"adverse\":\"high\",\"baseline\":\"some\",\"texts\":"
                                "{\"x0\":\"Calls too often\",\"x1\":\"Pays late\"}}";
    (void)state;
    EXPECT(400, "POST", "/predict-with-explanation",
           "{\"model\":\"churn\",\"features\":{\"x0\":0.9},\"reasons\":2}");
    assert_string_equal(live_text(&live, "error.field"), "reasons");
    live_write(&live, "codes.json", CODES);
    RUN("reasons", "set", "churn", live_path(&live, "codes.json"));
    if (out.code != 0) fail_msg("%s", out.err);
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"churn\",\"features\":{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"},"
           "\"reasons\":1}");
    assert_non_null(strstr(live_body(&live), "\"reasons\":[{\"reason\":\"Calls too often\","
                                             "\"features\":[\"x0\"],\"contribution\":"));
    assert_string_equal(live_text(&live, "explanation.background.name"), "some");
    EXPECT(200, "POST", "/v1/models/churn:explain",
           "{\"instances\":[[0.9,0.1,\"green\"]],\"reasons\":1}");
    assert_non_null(strstr(live_body(&live), "\"margin_to_next_reason\":"));
    EXPECT(400, "PUT", "/api/v1/models/churn/reasons",
           "{\"adverse\":\"high\",\"texts\":{\"x9\":\"?\"}}");
    assert_string_equal(live_text(&live, "error.field"), "texts");
    RUN("reasons", "get", "churn");
    assert_non_null(strstr(out.out, "\"x1\": \"Pays late\""));
    RUN("reasons", "delete", "churn");
    assert_int_equal(out.code, 0);
    EXPECT(404, "GET", "/api/v1/models/churn/reasons", NULL);
}

static double metric(const char *name)
{
    char wanted[128];
    EXPECT(200, "GET", "/metrics", NULL);
    snprintf(wanted, sizeof wanted, "\n%s ", name);
    const char *at = strstr(live_body(&live), wanted);
    assert_non_null(at);
    return at ? strtod(at + strlen(wanted), NULL) : 0;
}

/* A table fills the cache; what comes from it has the same bits. */
static void test_precompute(void **state)
{
    static const char ASK[] = "{\"model\":\"churn\",\"method\":\"counterfactual\",\"features\":"
                              "{\"x0\":0.77,\"x1\":0.1,\"colour\":\"green\"}}";
    double before, after;
    (void)state;
    live_write(&live, "common.csv", "x0,x1,colour,id\n0.77,0.1,green,a\n0.3,,red,b\n,0.5,blue,c\n");
    RUN("explain", "--precompute", "churn", "--input", live_path(&live, "common.csv"), "--method",
        "counterfactual");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_string_equal(out.out, "3 rows: 3 computed, 0 were in the cache\n");
    RUN("explain", "--precompute", "churn", "--input", live_path(&live, "common.csv"), "--method",
        "counterfactual");
    assert_string_equal(out.out, "3 rows: 0 computed, 3 were in the cache\n");
    before = metric("ingot_explanation_cache_hits_total");
    EXPECT(200, "POST", "/predict-with-explanation", ASK);
    assert_string_equal(live_text(&live, "explanation.outcome"), "found");
    after = metric("ingot_explanation_cache_hits_total");
    assert_true(after == before + 1);
    assert_true(metric("ingot_explanation_cache_entries") >= 3);
    RUN("explain", "--precompute", "nobody", "--input", live_path(&live, "common.csv"));
    assert_int_equal(out.code, 1);
}

/* An ONNX pipeline that is no trees: registered, served, explained by a method for any model. */
static void test_onnx(void **state)
{
    (void)state;
    RUN("model", "register", "pipeline", "tests/corpus/onnx/normaliser_and_logistic.onnx");
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("deploy", "pipeline", "--model", "models:/pipeline/1");
    if (out.code != 0) fail_msg("%s", out.err);
    live_write(&live, "numbers.csv", "f0,f1,f2,f3\n1,2,3,4\n0.5,-1,2,0\n-2,1,0.25,1\n");
    RUN("background", "set", "pipeline", "all", live_path(&live, "numbers.csv"));
    if (out.code != 0) fail_msg("%s", out.err);
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"pipeline\",\"background\":\"all\",\"instances\":[[1,2,3,4]]}");
    assert_non_null(strstr(live_body(&live), "\"method\":\"leverage\""));
    assert_non_null(strstr(live_body(&live), "\"probability\":{\"0\":"));
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"pipeline\",\"background\":\"all\",\"method\":\"counterfactual\","
           "\"constraints\":{\"f3\":\"immutable\"},\"instances\":[[1,2,3,4]]}");
    assert_non_null(strstr(live_body(&live), "\"outcome\":\"found\""));
    const char *change = strstr(live_body(&live), "\"nearest\":false");
    assert_non_null(change);
    assert_non_null(strstr(change, "\"probability\":{\"0\":"));
    assert_non_null(strstr(live_body(&live), "\"exact\":false"));
    assert_null(strstr(live_body(&live), "\"feature\":\"f3\""));
    EXPECT(501, "POST", "/predict-with-explanation",
           "{\"model\":\"pipeline\",\"instances\":[[1,2,3,4]]}");
    assert_non_null(strstr(live_body(&live), "with a background"));
}

/* A median is one number: of two classes the second's probability. */
static void test_two_classes_by_one_number(void **state)
{
    (void)state;
    RUN("model", "register", "svc", "tests/corpus/onnx/svc_of_two.onnx");
    if (out.code != 0) fail_msg("%s", out.err);
    EXPECT(200, "PUT", "/api/v1/deployments/svc", "{\"model\":\"svc\",\"version\":1}");
    EXPECT(200, "PUT", "/api/v1/deployments/middle",
           "{\"graph\":{\"root\":{\"ensemble\":{\"combine\":\"median\",\"members\":["
           "{\"model\":\"svc\"}]}}}}");
    EXPECT(200, "POST", "/v1/models/svc:predict", "{\"instances\":[[1,2,3,4]]}");
    char second[64];
    snprintf(second, sizeof second, "%s", strrchr(live_body(&live), ',') + 1);
    EXPECT(200, "POST", "/v1/models/middle:predict", "{\"instances\":[[1,2,3,4]]}");
    assert_true(strtod(strchr(live_body(&live), '[') + 1, NULL) == strtod(second, NULL));
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"middle\",\"method\":\"counterfactual\",\"instances\":[[1,2,3,4]]}");
    const char *probability = strstr(live_body(&live), "\"probability\":");
    assert_non_null(probability);
    assert_true(strtod(probability + strlen("\"probability\":"), NULL) == strtod(second, NULL));
}

/* Each refusal names its field and leaves things as they are. */
static void test_bad_explanations(void **state)
{
    static const struct {
        const char *more, *field;
    } bad[] = {
        {"\"background\":\"none\"", "background"},
        {"\"method\":\"exact\"", "background"},
        {"\"method\":\"saabas\",\"background\":\"some\"", "background"},
        {"\"method\":\"shap\"", "method"},
        {"\"plot\":\"pie\"", "plot"},
        {"\"plot\":\"dependence\",\"plot_feature\":\"x9\"", "plot_feature"},
        {"\"plot\":\"bar\",\"method\":\"tree_interactions\"", "plot"},
        {"\"unit\":\"percent\"", "unit"},
        {"\"method\":\"tree_interactions\",\"interactions\":\"both\"", "interactions"},
        {"\"interactions\":\"whole\"", "interactions"},
        {"\"unit\":\"probability\"", "unit"},
        {"\"groups\":{\"g\":[\"x9\"]}", "groups"},
        {"\"background\":\"some\",\"method\":\"leverage\",\"samples\":-3", "samples"},
        {"\"target_se\":-1", "target_se"},
        {"\"budget_us\":0", "budget_us"},
        {"\"budget_us\":1,\"background\":\"some\",\"method\":\"exact\"", "budget_us"},
        {"\"class\":\"maybe\",\"background\":\"some\",\"method\":\"lime\"", "class"},
        {"\"background\":\"some\",\"method\":\"lime\",\"samples\":3", "samples"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"model\":\"churn\",\"features\":{\"x0\":0.9},%s}",
                 bad[i].more);
        EXPECT(400, "POST", "/predict-with-explanation", body);
        assert_string_equal(live_text(&live, "error.field"), bad[i].field);
    }
    live_write(&live, "narrow.csv", "x0,id\n0.1,1\n");
    RUN("background", "set", "churn", "some", live_path(&live, "narrow.csv"));
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "the header lacks 2 of the model's features: 'x1', 'colour'"));
    EXPECT(200, "GET", "/api/v1/models/churn/backgrounds", NULL);
    assert_non_null(strstr(live_body(&live), "\"name\":\"some\",")); /* the one before */
    EXPECT(409, "DELETE", "/api/v1/models/churn", NULL);
    RUN("background", "delete", "churn", "some");
    assert_int_equal(out.code, 0);
    EXPECT(404, "GET", "/api/v1/models/churn/backgrounds/some", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_explanation_methods),
        cmocka_unit_test(test_options_of_other_methods),
        cmocka_unit_test(test_interactions),
        cmocka_unit_test(test_surrogates),
        cmocka_unit_test(test_plots),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_counterfactuals),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_precompute),
        cmocka_unit_test(test_onnx),
        cmocka_unit_test(test_two_classes_by_one_number),
        cmocka_unit_test(test_bad_explanations),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
