/* SPDX-License-Identifier: Apache-2.0 */
/* Model cards and lineage over HTTP and by the command line, of a version that was trained and is
 * deployed. */
#include "support/live.h"

#include <stdio.h>
#include <string.h>

static struct live live;
static struct live_run ran;
static char job[64];

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    live_write_table(&live, "table.csv", 200);
    snprintf(job, sizeof job, "%s", live_submit(&live, "churn", "table.csv", 3));
    assert_string_equal(live_wait_job(&live, job), "succeeded");
    EXPECT(200, "PUT", "/api/v1/deployments/d", "{\"model\":\"churn\",\"version\":1}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void expect_out(const char *text)
{
    if (ran.code != 0 || !strstr(ran.out, text)) fail_msg("%s: %s%s", text, ran.out, ran.err);
}

#define RUN(...) live_run(&ran, &live, (const char *const[]){__VA_ARGS__, NULL})

static void test_card(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/api/v1/models/churn/versions/1/card", NULL);
    assert_string_equal(live.reply.content_type, "text/markdown; charset=utf-8");
    static const char *const texts[] = {
        "# churn, version 1\n",  "| target | label |", "| colour | categorical",
        "| golden rows | ",      "## Training",        "| engine | ",
        "## Parameters",         "## Metrics",         "| training table | ",
        "| d | 1 | serves now |"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!strstr(live_body(&live), texts[i])) fail_msg("%s: %s", texts[i], live_body(&live));
    RUN("model", "card", "churn", "1");
    expect_out("# churn, version 1\n");
    EXPECT(404, "GET", "/api/v1/models/churn/versions/2/card", NULL);
    EXPECT(400, "GET", "/api/v1/models/churn/versions/x/card", NULL);
    EXPECT(404, "GET", "/api/v1/models/%3Cb%3E/versions/1/card", NULL);
}

/* What the command line computes is kept as it is, and told by the card. */
static void test_reports(void **state)
{
    (void)state;
    char table[256], file[256];
    snprintf(table, sizeof table, "%s", live_path(&live, "table.csv"));
    RUN("fairness", "--input", table, "--protected", "colour", "--decision", "label", "--positive",
        "yes", "--format", "json");
    expect_out("\"four_fifths\"");
    live_write(&live, "fairness.json", ran.out);
    snprintf(file, sizeof file, "%s", live_path(&live, "fairness.json"));
    RUN("model", "report", "churn", "1", "fairness", "--file", file);
    expect_out("\"outdated\": false");
    EXPECT(200, "PUT", "/api/v1/models/churn/versions/1/reports/importance",
           "{\"kind\":\"gain\",\"features\":[{\"feature\":\"x0\",\"importance\":0.5}]}");
    RUN("model", "card", "churn", "1");
    expect_out("## Fairness\n\nOf a table of 200 rows; kept on ");
    expect_out("| colour | ");
    expect_out("## Importance of features\n");
    expect_out("| x0 | 0.5 |\n");
    RUN("model", "report", "churn", "1", "importance", "--file", file);
    assert_int_not_equal(ran.code, 0);
    assert_non_null(strstr(ran.err, "features: missing"));
    RUN("model", "report", "churn", "1", "fairness", "--delete");
    EXPECT(404, "GET", "/api/v1/models/churn/versions/1/reports/fairness", NULL);
    EXPECT(400, "GET", "/api/v1/models/churn/versions/1/reports/shap", NULL);
    EXPECT(200, "GET", "/api/v1/models/churn/versions/1/reports/importance", NULL);
    assert_string_equal(live_text(&live, "report.kind"), "gain");
}

static void test_lineage(void **state)
{
    (void)state;
    char path[128], digest[80];
    EXPECT(200, "GET", "/api/v1/models/churn/versions/1/lineage", NULL);
    assert_string_equal(live_text(&live, "upstream.job.id"), job);
    assert_string_equal(live_text(&live, "upstream.job.state"), "succeeded");
    assert_string_equal(live_text(&live, "downstream.deployments.0.deployment"), "d");
    snprintf(digest, sizeof digest, "%s", live_text(&live, "upstream.job.data_digest"));
    snprintf(path, sizeof path, "/api/v1/lineage?data=%s", digest);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_text(&live, "versions.0.model"), "churn");
    assert_string_equal(live_text(&live, "versions.0.deployments.0.deployment"), "d");
    snprintf(path, sizeof path, "/api/v1/lineage?job=%s", job);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_text(&live, "versions.0.job_id"), job);
    EXPECT(200, "GET", "/api/v1/lineage?run=none", NULL);
    assert_string_equal(live_body(&live), "{\"versions\":[]}");
    EXPECT(400, "GET", "/api/v1/lineage", NULL);
    EXPECT(400, "GET", "/api/v1/lineage?run=a&job=b", NULL);
    EXPECT(404, "GET", "/api/v1/models/churn/versions/9/lineage", NULL);
    RUN("model", "lineage", "churn", "1");
    expect_out("\"upstream\"");
    RUN("lineage", "--data-digest", digest);
    expect_out("\"churn\"");
    RUN("lineage", "--job", job, "--run", "x");
    assert_int_equal(ran.code, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_card), cmocka_unit_test(test_reports),
                                       cmocka_unit_test(test_lineage)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
