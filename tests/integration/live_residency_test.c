/* SPDX-License-Identifier: Apache-2.0 */
/* More models and ensembles than memory is given for, through the real program: all answer, over
 * every protocol and at once, as where all is loaded; memory stays bounded, and a restart loads
 * none. */
#include "support/live.h"

#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { VERSIONS = 4, DEPLOYMENTS = 5, ENSEMBLES = 4, THREADS = 3, MEMORY_MB = 1 };

static struct live live;
static struct live_run out;
static char digest[80];

#define FEATURES "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}"

static const char *const FEW[] = {"--set", "models_memory_mb=1", NULL};

static int version_of(int i, int member)
{
    return (i + member) % VERSIONS + 1;
}

/* Some versions in a median without those that fail, mirrored to a mean of others. */
static void deploy_ensemble(int i)
{
    char path[64], body[1024];
    snprintf(path, sizeof path, "/api/v1/deployments/e%d", i);
    snprintf(
        body, sizeof body,
        "{\"graph\":{\"root\":{\"shadow\":{\"primary\":\"mid\",\"mirrors\":[{\"name\":\"next\","
        "\"node\":\"mean\"}]}},\"nodes\":{\"a\":{\"model\":\"m\",\"version\":%d},\"b\":{\"model\":"
        "\"m\",\"version\":%d},\"c\":{\"model\":\"m\",\"version\":%d},\"mean\":{\"ensemble\":{"
        "\"combine\":\"mean_margin\",\"members\":[{\"node\":\"a\",\"weight\":2},\"b\"]}},\"mid\":{"
        "\"ensemble\":{\"combine\":\"%s\",\"members\":[\"a\",\"b\",{\"node\":\"c\","
        "\"timeout_ms\":60000}],\"on_failure\":\"skip\"}}}}}",
        version_of(i, 0), version_of(i, 1), version_of(i, 2), i % 2 ? "median" : "mean_margin");
    EXPECT(200, "PUT", path, body);
}

static int setup(void **state)
{
    (void)state;
    char id[64], path[64], body[256], table[4096] = "x0,x1,colour,team\n";
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, FEW);
    for (int i = 0; i < VERSIONS; i++) {
        snprintf(id, sizeof id, "%s", live_submit(&live, "m", "table.csv", 130 + 5 * i));
        if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    }
    live_run(
        &out, &live,
        (const char *const[]){"background", "set", "m", "b", live_path(&live, "table.csv"), NULL});
    if (out.code != 0) fail_msg("%s", out.err);
    for (int i = 0; i < DEPLOYMENTS; i++) {
        snprintf(path, sizeof path, "/api/v1/deployments/d%d", i);
        snprintf(body, sizeof body, "{\"graph\":{\"root\":{\"model\":\"m\",\"version\":%d}}}",
                 i % VERSIONS + 1);
        EXPECT(200, "PUT", path, body);
    }
    for (int i = 0; i < ENSEMBLES; i++) deploy_ensemble(i);
    for (int i = 0; i < 12; i++)
        snprintf(table + strlen(table), sizeof table - strlen(table), "%.2f,%.2f,%s,%s\n",
                 i % 10 / 10.0, i % 7 / 7.0, i % 3 ? "red" : "green", i % 2 ? "yes" : "no");
    snprintf(digest, sizeof digest, "%s", live_upload(&live, table, strlen(table)));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static int try(const char *name, const char *path, const char *body)
{
    char where[96], what[512];
    snprintf(where, sizeof where, path, name);
    snprintf(what, sizeof what, body, name, digest);
    return live_call(&live, *body ? "POST" : "GET", where, *body ? what : NULL);
}

static void ask(const char *name, const char *path, const char *body)
{
    int status = try(name, path, body);
    if (status != 200) fail_msg("%s %s: %d %s", name, path, status, live_body(&live));
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

static const struct {
    const char *path, *body;
} ASKED[] = {
    {"/v2/models/%s/config", ""},
    {"/v1/models/%s", ""},
    {"/predict-with-explanation", "{\"model\":\"%s\",\"features\":" FEATURES "}"},
    {"/v1/models/%s:predict", "{\"instances\":[[0.9,0.1,\"green\"],[0.2,0.4,\"red\"]]}"},
    {"/predict-with-explanation",
     "{\"model\":\"%s\",\"method\":\"lime\",\"background\":\"b\",\"samples\":200,"
     "\"features\":" FEATURES "}"},
    {"/predict-with-explanation",
     "{\"model\":\"%s\",\"groups\":{\"g\":[\"x0\",\"colour\"]},\"background\":\"b\","
     "\"features\":" FEATURES "}"},
    {"/v2/models/%s/infer",
     "{\"inputs\":[{\"name\":\"x0\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[0.9]},{\"name\":"
     "\"x1\",\"datatype\":\"FP64\",\"shape\":[1],\"data\":[0.1]},{\"name\":\"colour\","
     "\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"green\"]}]}"},
    {"/api/v1/importance", "{\"deployment\":\"%s\"}"},
    {"/api/v1/importance",
     "{\"deployment\":\"%s\",\"data_digest\":\"%s\",\"groups\":{\"g\":[\"x0\",\"x1\"]}}"},
    {"/api/v1/importance", "{\"deployment\":\"%s\",\"data_digest\":\"%s\",\"kind\":"
                           "\"permutation\",\"label\":\"team\",\"repeats\":1}"},
    {"/api/v1/fairness", "{\"deployment\":\"%s\",\"data_digest\":\"%s\",\"protected\":[\"team\"]}"},
};

enum { ASKED_COUNT = sizeof ASKED / sizeof *ASKED };

/* What was answered, but for ids and times. */
static char *answer_of(const char *name, int which)
{
    int status = try(name, ASKED[which].path, ASKED[which].body);
    char *answer = strdup(live_body(&live)), *tail = strstr(answer, ",\"request_id\"");
    if (tail) *tail = 0;
    if (status != 200) /* a median has no exact explanation */
        if (!strstr(answer, "no exact tree explanation")) fail_msg("%s", answer);
    return answer;
}

static const char *const NAMES[] = {"e0", "e3", "d2"};

enum { NAMES_COUNT = sizeof NAMES / sizeof *NAMES };

static void answer_all(char *answers[NAMES_COUNT][ASKED_COUNT])
{
    for (int k = 0; k < ASKED_COUNT; k++)
        for (int i = 0; i < NAMES_COUNT; i++) answers[i][k] = answer_of(NAMES[i], k);
}

/* Ensembles and models answer as on a server that holds them all. */
static void test_same_as_loaded(void **state)
{
    (void)state;
    static char *few[NAMES_COUNT][ASKED_COUNT], *all[NAMES_COUNT][ASKED_COUNT];
    answer_all(few);
    double resident = metric("ingot_models_resident");
    assert_true(resident >= 2 && resident < VERSIONS);
    assert_true(metric("ingot_models_loaded_total") > VERSIONS);
    assert_true(metric("ingot_models_resident_bytes") < 2.0 * (MEMORY_MB << 20));
    live_stop(&live, SIGTERM);
    live_start(&live, NULL);
    answer_all(all);
    assert_true(metric("ingot_models_loaded_total") == 0);
    for (int i = 0; i < NAMES_COUNT; i++)
        for (int k = 0; k < ASKED_COUNT; k++) {
            assert_string_equal(few[i][k], all[i][k]);
            free(few[i][k]);
            free(all[i][k]);
        }
    live_stop(&live, SIGTERM);
    live_start(&live, FEW);
}

static void test_a_start_loads_none(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/readyz", NULL);
    assert_true(metric("ingot_models_loaded_total") == 0);
    ask("d0", "/v1/models/%s:predict", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    assert_true(metric("ingot_models_loaded_total") == 1);
    ask("d4", "/v1/models/%s:predict", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    assert_true(metric("ingot_models_loaded_total") == 1); /* the same package */
}

struct asking {
    struct live live;
    const double *wanted;
    const char *failure; /* NULL: all was right */
};

static void *ask_all(void *context)
{
    struct asking *asking = context;
    struct live *own = &asking->live;
    struct ig_err err = IG_ERR_INIT;
    own->client = NULL;
    ig_buf_init(&own->reply.body, 1 << 20);
    if (ig_client_new(&own->client, own->url, NULL, &err) != IG_OK) asking->failure = "no client";
    for (int i = 0; i < 2 * ENSEMBLES && !asking->failure; i++) {
        char path[64];
        snprintf(path, sizeof path, "/v1/models/e%d:predict", i * 3 % ENSEMBLES);
        int status = live_try(own, "POST", path,
                              "{\"instances\":[{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}]}");
        const char *at = strchr(live_body(own), '[');
        if (status != 200 || !at || strtod(at + 1, NULL) != asking->wanted[i * 3 % ENSEMBLES])
            asking->failure = "a wrong answer";
    }
    ig_client_free(own->client);
    ig_buf_deinit(&own->reply.body);
    return NULL;
}

/* Many at once, each of which needs others to leave. */
static void test_at_once(void **state)
{
    (void)state;
    static struct asking asking[THREADS];
    double wanted[ENSEMBLES], before = metric("ingot_models_loaded_total");
    pthread_t threads[THREADS];
    char name[16];
    for (int i = 0; i < ENSEMBLES; i++) {
        snprintf(name, sizeof name, "e%d", i);
        ask(name, "/v1/models/%s:predict",
            "{\"instances\":[{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}]}");
        wanted[i] = strtod(strchr(live_body(&live), '[') + 1, NULL);
        assert_true(wanted[i] > 0 && wanted[i] < 1);
    }
    for (int i = 0; i < THREADS; i++) {
        asking[i] = (struct asking){.live = live, .wanted = wanted};
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all, &asking[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        if (asking[i].failure) fail_msg("%s", asking[i].failure);
    }
    assert_true(metric("ingot_models_loaded_total") > before + VERSIONS);
    assert_true(metric("ingot_models_resident_bytes") < 2.0 * (MEMORY_MB << 20));
    EXPECT(200, "GET", "/api/v1/deployments/e0/experiments", NULL);
    assert_true(live_number(&live, "shadows.0.failures") == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_as_loaded),
        cmocka_unit_test(test_a_start_loads_none),
        cmocka_unit_test(test_at_once),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
