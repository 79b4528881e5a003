/* SPDX-License-Identifier: Apache-2.0 */
/* More deployments than memory is given for, through the real program: all answer, over every
 * protocol, and a restart loads none. */
#include "support/live.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { DEPLOYMENTS = 12 };

static struct live live;
static struct live_run out;

#define FEATURES "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}"

static const char *const FEW[] = {"--set", "models_memory_mb=1", NULL};

static int setup(void **state)
{
    (void)state;
    char id[64], path[64];
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, FEW);
    snprintf(id, sizeof id, "%s", live_submit(&live, "m", "table.csv", 20));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    live_run(
        &out, &live,
        (const char *const[]){"background", "set", "m", "b", live_path(&live, "table.csv"), NULL});
    if (out.code != 0) fail_msg("%s", out.err);
    for (int i = 0; i < DEPLOYMENTS; i++) {
        snprintf(path, sizeof path, "/api/v1/deployments/d%d", i);
        EXPECT(200, "PUT", path, "{\"model\":\"m\"}");
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void ask(int i, const char *path, const char *body)
{
    char where[96], what[512], name[16];
    snprintf(name, sizeof name, "d%d", i);
    snprintf(where, sizeof where, path, name);
    snprintf(what, sizeof what, body, name);
    EXPECT(200, *body ? "POST" : "GET", where, *body ? what : NULL);
}

static double metric(const char *name)
{
    double value = -1;
    char line[64];
    EXPECT(200, "GET", "/metrics", NULL);
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(live_body(&live), line);
    if (at && sscanf(at + strlen(line), "%lf", &value) != 1) value = -1;
    return value;
}

static void test_all_answer(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < DEPLOYMENTS; i++) {
            ask(i, "/v2/models/%s/config", "");
            ask(i, "/v1/models/%s", "");
            ask(i, "/predict-with-explanation", "{\"model\":\"%s\",\"features\":" FEATURES "}");
            ask(i, "/v1/models/%s:predict", "{\"instances\":[[0.9,0.1,\"green\"]]}");
            ask(i, "/predict-with-explanation",
                "{\"model\":\"%s\",\"method\":\"lime\",\"background\":\"b\",\"samples\":200,"
                "\"features\":" FEATURES "}");
            ask(i, "/api/v1/importance", "{\"deployment\":\"%s\"}");
        }
    double resident = metric("ingot_models_resident");
    assert_true(resident >= 1 && resident < DEPLOYMENTS);
    assert_true(metric("ingot_models_loaded_total") >= DEPLOYMENTS + 1);
}

static void test_a_start_loads_none(void **state)
{
    (void)state;
    live_stop(&live, SIGTERM);
    live_start(&live, FEW);
    EXPECT(200, "GET", "/readyz", NULL);
    assert_true(metric("ingot_models_loaded_total") == 0);
    ask(3, "/v2/models/%s/infer",
        "{\"inputs\":[{\"name\":\"x0\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[0.9]},{"
        "\"name\":"
        "\"x1\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[0.1]},{\"name\":\"colour\","
        "\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"green\"]}]}");
    assert_true(metric("ingot_models_loaded_total") == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_answer),
        cmocka_unit_test(test_a_start_loads_none),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
