/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol through the real program. */
#include "support/live.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct live live;

#define INPUTS                                                                                     \
    "\"inputs\":[{\"name\":\"x0\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[0.75,0.25]},{"     \
    "\"name\":\"colour\",\"shape\":[2,1],\"datatype\":\"BYTES\",\"data\":[[\"green\"],[\"red\"]]}" \
    "]"
#define INFER "/v2/models/churn/infer"

static int setup(void **state)
{
    (void)state;
    char id[64];
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, NULL);
    snprintf(id, sizeof id, "%s", live_submit(&live, "churn", "table.csv", 20));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    EXPECT(200, "PUT", "/api/v1/deployments/churn", "{\"model\":\"churn\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_metadata(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/v2", NULL);
    assert_string_equal(live_text(&live, "name"), "ingot");
    EXPECT(200, "GET", "/v2/health/live", NULL);
    EXPECT(200, "GET", "/v2/health/ready", NULL);
    EXPECT(200, "GET", "/v2/models/churn", NULL);
    assert_string_equal(live_text(&live, "versions.0"), "1");
    assert_string_equal(live_text(&live, "inputs.2.name"), "colour");
    assert_string_equal(live_text(&live, "inputs.2.datatype"), "BYTES");
    assert_string_equal(live_text(&live, "outputs.1.name"), "labels");
    EXPECT(200, "GET", "/v2/models/churn/versions/1/config", NULL);
    assert_string_equal(live_text(&live, "input.0.data_type"), "TYPE_FP64");
    EXPECT(404, "GET", "/v2/models/churn/versions/2", NULL);
    EXPECT(404, "GET", "/v2/models/none", NULL);
    assert_non_null(strstr(live_body(&live), "{\"error\":\"model 'none'"));
}

static void test_infer(void **state)
{
    (void)state;
    double margins[2], sums[2] = {0, 0};
    char path[32];
    EXPECT(200, "POST", INFER, "{" INPUTS "}");
    double first = live_number(&live, "outputs.0.data.0");
    assert_true(first > 0 && first < 1);
    assert_string_equal(live_text(&live, "outputs.1.name"), "labels");
    EXPECT(200, "POST", "/v1/models/churn:predict",
           "{\"instances\":[{\"x0\":0.75,\"colour\":\"green\"}]}");
    assert_true(live_number(&live, "predictions.0") == first);
    EXPECT(200, "POST", INFER,
           "{" INPUTS
           ",\"id\":\"a\",\"outputs\":[{\"name\":\"margins\"},{\"name\":\"shap_values\"},{"
           "\"name\":\"base_value\"}]}");
    assert_string_equal(live_text(&live, "id"), "a");
    assert_string_equal(live_text(&live, "outputs.1.shape.1"), "3");
    for (int row = 0; row < 2; row++) {
        snprintf(path, sizeof path, "outputs.0.data.%d", row);
        margins[row] = live_number(&live, path);
        snprintf(path, sizeof path, "outputs.2.data.%d", row);
        sums[row] += live_number(&live, path);
        for (int f = 0; f < 3; f++) {
            snprintf(path, sizeof path, "outputs.1.data.%d", row * 3 + f);
            sums[row] += live_number(&live, path);
        }
        assert_true(fabs(sums[row] - margins[row]) < 1e-6);
    }
    EXPECT(400, "POST", INFER, "{" INPUTS ",\"outputs\":[{\"name\":\"scores\"}]}");
    assert_non_null(strstr(live_body(&live), "has no such output"));
    EXPECT(404, "POST", "/v2/models/churn/versions/7/infer", "{" INPUTS "}");
    EXPECT(400, "POST", INFER, "{\"inputs\":[]}");
}

static void test_classification(void **state)
{
    (void)state;
    double score, index;
    char label[8];
    EXPECT(200, "POST", INFER, "{" INPUTS "}");
    double first = live_number(&live, "outputs.0.data.0");
    EXPECT(200, "POST", INFER,
           "{" INPUTS ",\"outputs\":[{\"name\":\"predictions\",\"parameters\":{"
           "\"classification\":1}}]}");
    assert_string_equal(live_text(&live, "outputs.0.datatype"), "BYTES");
    assert_string_equal(live_text(&live, "outputs.0.shape.0"), "2");
    assert_string_equal(live_text(&live, "outputs.0.shape.1"), "1");
    int found = sscanf(live_text(&live, "outputs.0.data.0"), "%lf:%lf:%7s", &score, &index, label);
    assert_int_equal(found, 3);
    assert_true(fabs(score - (first >= 0.5 ? first : 1 - first)) < 1e-6);
    assert_true(index == (first >= 0.5));
    assert_string_equal(label, first >= 0.5 ? "yes" : "no");
    EXPECT(400, "POST", INFER,
           "{" INPUTS ",\"outputs\":[{\"name\":\"labels\",\"parameters\":{"
           "\"classification\":1}}]}");
}

/* Inputs from and outputs to shared memory give what comes over the socket. */
static void test_shared_memory(void **state)
{
    (void)state;
    static const char NAME[] = "/ingot-live-oip-test";
    static const char REGION[] = "/v2/systemsharedmemory/region/all/";
    const double row[] = {0.75, 0.25, 1};
    double *memory;
    char path[128];
    int fd = shm_open(NAME, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0 && ftruncate(fd, 4096) == 0);
    memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    memcpy(memory, row, sizeof row);
    EXPECT(200, "GET", "/v2", NULL);
    assert_non_null(strstr(live_body(&live), "\"system_shared_memory\""));
    snprintf(path, sizeof path, "%sregister", REGION);
    EXPECT(200, "POST", path, "{\"key\":\"/ingot-live-oip-test\",\"byte_size\":4096}");
    EXPECT(409, "POST", path, "{\"key\":\"/ingot-live-oip-test\",\"byte_size\":4096}");
    EXPECT(400, "POST", path, "{\"key\":\"/ingot-live-oip-test\"}");
    snprintf(path, sizeof path, "%sstatus", REGION);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_text(&live, "0.key"), NAME);
    EXPECT(200, "POST", INFER,
           "{\"inputs\":[{\"name\":\"x0\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[0.75]},{"
           "\"name\":\"x1\",\"shape\":[1],\"datatype\":\"FP64\",\"data\":[0.25]}]}");
    double want = live_number(&live, "outputs.0.data.0");
#define IN_MEMORY(size, place)                                                                     \
    "{\"inputs\":[{\"name\":\"x0\",\"shape\":[1],\"datatype\":\"FP64\",\"parameters\":{"           \
    "\"shared_memory_region\":\"all\",\"shared_memory_byte_size\":8}},{\"name\":\"x1\",\"shape\":" \
    "["                                                                                            \
    "1],\"datatype\":\"FP64\",\"parameters\":{\"shared_memory_region\":\"all\","                   \
    "\"shared_memory_byte_size\":8,\"shared_memory_offset\":8}}],\"outputs\":[{\"name\":"          \
    "\"predictions\",\"parameters\":{\"shared_memory_region\":\"all\",\"shared_memory_byte_size\"" \
    ":" size ",\"shared_memory_offset\":" place "}}]}"
    EXPECT(200, "POST", INFER, IN_MEMORY("8", "64"));
    assert_string_equal(live_text(&live, "outputs.0.shape.0"), "1");
    assert_null(strstr(live_body(&live), "\"data\":"));
    assert_true(memory[8] == want);
    EXPECT(400, "POST", INFER, IN_MEMORY("4", "64"));
    assert_non_null(strstr(live_body(&live), "shared_memory_byte_size is 4, it has 8 bytes"));
    EXPECT(400, "POST", INFER, IN_MEMORY("8", "4089"));
    assert_int_equal(ftruncate(fd, 8), 0); /* the mapping here must not be touched any more */
    EXPECT(400, "POST", INFER, IN_MEMORY("8", "64"));
    assert_non_null(strstr(live_body(&live), "has become shorter"));
    snprintf(path, sizeof path, "%sunregister", REGION);
    EXPECT(200, "POST", path, "");
    EXPECT(404, "POST", INFER, IN_MEMORY("8", "64"));
    EXPECT(200, "POST", "/v2/systemsharedmemory/unregister", "");
    EXPECT(400, "POST", "/v2/cudasharedmemory/region/all/register", "{}");
    assert_non_null(strstr(live_body(&live), "'all', GPUs not supported"));
    EXPECT(200, "GET", "/v2/cudasharedmemory/status", NULL);
    munmap(memory, 4096);
    close(fd);
    shm_unlink(NAME);
}

/* Off, nothing of it can be had or is advertised. */
static void test_shared_memory_off(void **state)
{
    (void)state;
    live_stop(&live, SIGTERM);
    live_start(&live, (const char *const[]){"--set", "shared_memory=off", NULL});
    EXPECT(200, "GET", "/v2", NULL);
    assert_null(strstr(live_body(&live), "system_shared_memory"));
    EXPECT(501, "POST", "/v2/systemsharedmemory/region/all/register",
           "{\"key\":\"/x\",\"byte_size\":8}");
    EXPECT(501, "POST", INFER, IN_MEMORY("8", "64"));
    EXPECT(200, "GET", "/v2/systemsharedmemory/status", NULL);
    assert_string_equal(live_body(&live), "[]");
    live_stop(&live, SIGTERM);
    live_start(&live, NULL);
}

/* Of the metrics that were just read. */
static double metric_of(const char *name)
{
    char head[128];
    snprintf(head, sizeof head, "\nnv_%s{model=\"churn\",version=\"1\"} ", name);
    const char *line = strstr(live_body(&live), head);
    if (!line) fail_msg("no metric %s", name);
    return strtod(line + strlen(head), NULL);
}

static void test_statistics(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/v2/models/churn/stats", NULL);
    double rows = live_number(&live, "model_stats.0.inference_count");
    for (int i = 0; i < 3; i++) EXPECT(200, "POST", INFER, "{" INPUTS "}");
    EXPECT(200, "GET", "/v2/models/stats", NULL);
    assert_string_equal(live_text(&live, "model_stats.0.name"), "churn");
    assert_true(live_number(&live, "model_stats.0.inference_count") == rows + 6);
    double all = live_number(&live, "model_stats.0.inference_stats.success.ns");
    double in = live_number(&live, "model_stats.0.inference_stats.compute_input.ns");
    double infer = live_number(&live, "model_stats.0.inference_stats.compute_infer.ns");
    double rest = live_number(&live, "model_stats.0.inference_stats.compute_output.ns");
    assert_true(in > 0 && infer > 0 && fabs(in + infer + rest - all) <= 1);
    double batches = 0, sizes = 0;
    for (int i = 0; i < 4; i++) { /* the only sizes so far: 1 and 2 */
        char path[64];
        snprintf(path, sizeof path, "model_stats.0.batch_stats.%d.batch_size", i);
        double size = live_number(&live, path);
        if (isnan(size)) break;
        assert_true(size > sizes);
        sizes = size;
        snprintf(path, sizeof path, "model_stats.0.batch_stats.%d.compute_infer.count", i);
        batches += size * live_number(&live, path);
    }
    assert_true(batches == rows + 6);
    EXPECT(404, "GET", "/v2/models/none/stats", NULL);
    EXPECT(200, "GET", "/v2/models/churn/versions/1/stats", NULL);
    EXPECT(404, "GET", "/v2/models/churn/versions/999/stats", NULL);
    EXPECT(200, "GET", "/metrics", NULL);
    char line[128];
    snprintf(line, sizeof line, "nv_inference_count{model=\"churn\",version=\"1\"} %.0f\n",
             rows + 6);
    assert_non_null(strstr(live_body(&live), line));
    assert_true(metric_of("inference_pending_request_count") == 0);
    double parts = 0, whole = metric_of("inference_request_duration_us");
    parts +=
        metric_of("inference_queue_duration_us") + metric_of("inference_compute_input_duration_us");
    parts += metric_of("inference_compute_infer_duration_us") +
             metric_of("inference_compute_output_duration_us");
    assert_true(whole > 0 && parts <= whole && parts > whole - 4); /* each is cut to whole ones */
    double load = metric_of("model_load_duration_secs");
    assert_true(load > 0 && load < 60);
}

static uint64_t counted(const char *name)
{
    char head[128];
    snprintf(head, sizeof head, "\n%s{model=\"kept\",", name);
    const char *line = strstr(live_body(&live), head);
    if (!line) fail_msg("no metric %s", name);
    return strtoull(strchr(line, ' '), NULL, 10);
}

static void test_statistics_of_kept_answers(void **state)
{
    (void)state;
    EXPECT(200, "PUT", "/api/v1/deployments/kept",
           "{\"graph\":{\"root\":{\"model\":\"churn\"},\"resources\":{\"cache\":{\"max_mb\":1}}}}");
    for (int i = 0; i < 200; i++) EXPECT(200, "POST", "/v2/models/kept/infer", "{" INPUTS "}");
    EXPECT(200, "GET", "/v2/models/kept/stats", NULL);
    uint64_t hit_ns = (uint64_t)live_number(&live, "model_stats.0.inference_stats.cache_hit.ns");
    uint64_t miss_ns = (uint64_t)live_number(&live, "model_stats.0.inference_stats.cache_miss.ns");
    EXPECT(200, "GET", "/metrics", NULL);
    assert_int_equal(counted("nv_cache_num_hits_per_model"), 2 * 199);
    assert_int_equal(counted("nv_cache_num_misses_per_model"), 1); /* one row was enough to tell */
    assert_true(hit_ns > 0 && miss_ns > 0);
    assert_int_equal(counted("nv_cache_hit_duration_per_model"), hit_ns / 1000);
    assert_int_equal(counted("nv_cache_miss_duration_per_model"), miss_ns / 1000);
    EXPECT(200, "DELETE", "/api/v1/deployments/kept", NULL);
}

static void test_versions(void **state)
{
    (void)state;
    char id[64];
    snprintf(id, sizeof id, "%s", live_submit(&live, "churn", "table.csv", 3));
    assert_string_equal(live_wait_job(&live, id), "succeeded");
    EXPECT(200, "PUT", "/api/v1/deployments/churn",
           "{\"model\":\"churn\",\"version\":1,\"versions\":{\"latest\":2}}");
    EXPECT(200, "GET", "/v2/models/churn", NULL);
    assert_string_equal(live_text(&live, "versions.0"), "1");
    assert_string_equal(live_text(&live, "versions.1"), "2");
    EXPECT(200, "POST", INFER, "{" INPUTS "}");
    assert_string_equal(live_text(&live, "model_version"), "1");
    double first = live_number(&live, "outputs.0.data.0");
    EXPECT(200, "POST", "/v2/models/churn/versions/2/infer", "{" INPUTS "}");
    assert_string_equal(live_text(&live, "model_version"), "2");
    assert_true(live_number(&live, "outputs.0.data.0") != first);
    EXPECT(404, "POST", "/v2/models/churn/versions/3/infer", "{" INPUTS "}");
    EXPECT(400, "PUT", "/api/v1/deployments/churn", "{\"model\":\"churn\",\"versions\":\"some\"}");
    assert_string_equal(live_text(&live, "error.field"), "versions");
    EXPECT(400, "PUT", "/api/v1/deployments/churn",
           "{\"model\":\"churn\",\"versions\":\"all\",\"canary_percent\":5}");
    EXPECT(200, "PUT", "/api/v1/deployments/churn", "{\"model\":\"churn\",\"version\":1}");
}

static void test_repository(void **state)
{
    (void)state;
    EXPECT(200, "POST", "/v2/repository/index", "");
    assert_string_equal(live_text(&live, "0.state"), "READY");
    EXPECT(200, "POST", "/v2/repository/models/churn/unload", "");
    EXPECT(503, "POST", INFER, "{" INPUTS "}");
    EXPECT(503, "GET", "/v2/models/churn/ready", NULL);
    EXPECT(200, "POST", "/v2/repository/index", "");
    assert_string_equal(live_text(&live, "0.state"), "UNAVAILABLE");
    EXPECT(200, "POST", "/v2/repository/index", "{\"ready\":true}");
    assert_string_equal(live_body(&live), "[]");
    EXPECT(400, "POST", "/v2/repository/index", "{\"ready\":1}");
    EXPECT(200, "POST", "/v2/repository/models/churn/load", "");
    EXPECT(200, "GET", "/v2/models/churn/ready", NULL);
    EXPECT(404, "POST", "/v2/repository/models/none/load", "");
    EXPECT(501, "POST", "/v2/repository/other/index", "");
    assert_non_null(strstr(live_body(&live), "repository 'other'"));
    EXPECT(501, "POST", "/v2/repository/other/models/churn/load", "");
    EXPECT(501, "POST", "/v2/repository/models/churn/load",
           "{\"parameters\":{\"config\":\"{}\",\"file:1/model.json\":\"e30=\"}}");
    assert_non_null(strstr(live_body(&live), "'config' is not taken"));
    EXPECT(400, "POST", "/v2/repository/models/churn/load", "{\"parameters\":1}");
    EXPECT(200, "POST", "/v2/repository/models/churn/load", "{\"parameters\":{\"other\":true}}");
}

static int send_as(const char *type, const char *text)
{
    const struct ig_client_call call = {
        .method = "POST", .path = "/invocations", .content_type = type, .body = ig_str_view(text)};
    return live_send(&live, &call);
}

static int send_csv(const char *text)
{
    return send_as("text/csv", text);
}

/* All shapes of a scoring request give the same predictions. */
static void test_scoring(void **state)
{
    (void)state;
    static const char *const BODIES[] = {
        ("{\"dataframe_split\":{\"columns\":[\"x0\",\"x1\",\"colour\"],\"data\":[[0.75,0.1,"
         "\"green\"],["
         "0.25,null,\"red\"]]}}"),
        ("{\"dataframe_records\":[{\"x0\":0.75,\"x1\":0.1,\"colour\":\"green\"},{\"x0\":0.25,"
         "\"colour\":\"red\"}]}"),
        ("{\"instances\":[[0.75,0.1,\"green\"],[0.25,null,\"red\"]]}"),
        ("{\"inputs\":{\"x0\":[0.75,0.25],\"x1\":[0.1,null],\"colour\":[\"green\",\"red\"]}}")};
    static const char CSV[] = "colour,x0,x1\ngreen,0.75,0.1\nred,0.25,\n";
    EXPECT(200, "POST", "/v1/models/churn:predict", BODIES[2]);
    double first = live_number(&live, "predictions.0"),
           second = live_number(&live, "predictions.1");
    for (int i = 0; i < 4; i++) {
        EXPECT(200, "POST", i % 2 ? "/invocations" : "/models/churn/invoke", BODIES[i]);
        assert_true(live_number(&live, "predictions.0") == first);
        assert_true(live_number(&live, "predictions.1") == second);
    }
    assert_int_equal(send_csv(CSV), 200);
    assert_true(live_number(&live, "predictions.0") == first);
    assert_true(live_number(&live, "predictions.1") == second);
    assert_int_equal(send_csv("colour,x9\nred,1\n"), 400);
    assert_int_equal(send_as("text/csv; charset=UTF-8", CSV), 200);
    assert_int_equal(send_as("text/csv; charset=latin1", CSV), 415);
    assert_string_equal(live_body(&live), "The scoring server only supports UTF-8");
    assert_string_equal(live.reply.content_type, "text/plain; charset=utf-8");
    assert_int_equal(send_as("application/json; charset=\"utf-8\";", BODIES[0]), 200);
    assert_int_equal(send_as("application/json; charset=utf-8; form=x", BODIES[0]), 415);
    assert_string_equal(live_body(&live), "Unrecognized content type parameters: form");
    assert_int_equal(send_as("text/plain", BODIES[0]), 415);
    assert_string_equal(live_body(&live),
                        "This predictor only supports the following content types: Types: "
                        "['text/csv', 'application/json']. Got 'text/plain'.");
    EXPECT(200, "POST", "/invocations", "{" INPUTS "}");
    assert_string_equal(live_text(&live, "outputs.0.name"), "predictions");
    EXPECT(400, "POST", "/invocations", "{}");
    assert_string_equal(live_text(&live, "error_code"), "BAD_REQUEST");
    assert_string_equal(live_text(&live, "error_class"), "INVALID_PARAMETER_VALUE");
    assert_string_equal(live_text(&live, "sqlstate"), "KAM00");
    EXPECT(404, "POST", "/models/none/invoke", BODIES[0]);
    EXPECT(200, "GET", "/ping", NULL);
    EXPECT(200, "GET", "/version", NULL);
    assert_string_equal(live.reply.content_type, "application/json");
    EXPECT(200, "GET", "/models", NULL);
    assert_string_equal(live_text(&live, "models.0.modelName"), "churn");
    EXPECT(404, "GET", "/models/none", NULL);
    EXPECT(200, "PUT", "/api/v1/deployments/second", "{\"model\":\"churn\"}");
    EXPECT(409, "POST", "/invocations", BODIES[0]);
    EXPECT(200, "DELETE", "/api/v1/deployments/second", NULL);
}

/* What MLflow 3.17.2's scoring server says of the same bodies for a model with a signature. */
static void test_scoring_refusals(void **state)
{
    (void)state;
    static const char UNREADABLE[] = "BAD_REQUEST", UNFIT[] = "INVALID_PARAMETER_VALUE";
    static const struct {
        const char *code, *type, *body;
    } CASES[] = {
        {UNREADABLE, "application/json", ""},
        {UNREADABLE, "application/json", "{\"instances\":[[1"},
        {UNREADABLE, "application/json", "{\"instances\":[\xff]}"},
        {UNREADABLE, "application/json", "null"},
        {UNREADABLE, "application/json", "{\"rows\":[]}"},
        {UNREADABLE, "application/json", "{\"instances\":[[1,2,\"red\"]],\"inputs\":[]}"},
        {UNREADABLE, "application/json", "{\"dataframe_split\":[]}"},
        {UNREADABLE, "application/json",
         "{\"dataframe_split\":{\"columns\":[\"x0\",\"x1\"],\"data\":[[1]]}}"},
        {UNREADABLE, "application/json", "{\"dataframe_records\":{\"x0\":1}}"},
        {UNREADABLE, "application/json", "{\"dataframe_records\":[{\"x0\":\"oops\"}]}"},
        {UNREADABLE, "application/json", "{\"dataframe_records\":[{\"x0\":[1,2]}]}"},
        {UNREADABLE, "application/json", "{\"instances\":[[\"oops\",1,\"red\"]]}"},
        {UNREADABLE, "text/csv", ""},
        {UNREADABLE, "text/csv", "x0,x1,colour\noops,1,red\n"},
        {UNREADABLE, "text/csv", "x0,x1,colour\n1,2,red,4\n"},
        {UNFIT, "application/json", "{\"dataframe_split\":{\"data\":[[1,2,\"red\"]]}}"},
        {UNFIT, "application/json", "{\"dataframe_records\":[1,2]}"},
        {UNFIT, "application/json", "{\"dataframe_records\":[]}"},
        {UNFIT, "application/json", "{\"instances\":5}"},
        {UNFIT, "application/json", "{\"instances\":[[1,2]]}"},
        {UNFIT, "application/json", "{\"instances\":[[1,2,\"red\",4]]}"},
        {UNFIT, "application/json", "{\"inputs\":5}"},
        {UNFIT, "application/json", "{\"inputs\":[[1,2]]}"},
        {UNFIT, "application/json", "{\"inputs\":{\"x0\":[1,2],\"x1\":[1]}}"},
        {UNFIT, "text/csv", "x0,colour\n1,red\n"},
        {UNFIT, "application/json", "{\"dataframe_records\":[{\"x9\":1}]}"}, /* MLflow drops it */
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (send_as(CASES[i].type, CASES[i].body) != 400)
            fail_msg("%s: %s", CASES[i].body, live_body(&live));
        bool unfit = CASES[i].code == UNFIT;
        if (strcmp(live_text(&live, "error_code"), CASES[i].code) != 0)
            fail_msg("%s: %s", CASES[i].body, live_body(&live));
        assert_string_equal(live_text(&live, "sqlstate"), unfit ? "KAM01" : "KAM00");
        assert_string_equal(live_text(&live, "error_class"),
                            unfit ? "SCHEMA_ENFORCEMENT_FAILED" : UNFIT);
    }
    assert_int_equal(send_as("application/json", "{\"client_request_id\":\"7\","
                                                 "\"instances\":[[0.75,0.1,\"green\"]]}"),
                     200);
}

/* A binary body and a binary answer, their JSON's lengths in the media types. */
static void test_sagemaker(void **state)
{
    (void)state;
    static const char JSON[] =
        "{\"inputs\":[{\"name\":\"x0\",\"shape\":[1],\"datatype\":\"FP64\",\"parameters\":{"
        "\"binary_data_size\":8}}],\"parameters\":{\"binary_data_output\":true},"
        "\"outputs\":[{\"name\":\"predictions\"}]}";
    char body[sizeof JSON + 8], type[128];
    const double value = 0.75;
    double answer = 0;
    memcpy(body, JSON, sizeof JSON - 1);
    memcpy(body + sizeof JSON - 1, &value, sizeof value);
    snprintf(type, sizeof type, "application/vnd.sagemaker-triton.binary+json;json-header-size=%zu",
             sizeof JSON - 1);
    struct ig_client_call call = {.method = "POST",
                                  .path = "/invocations",
                                  .content_type = type,
                                  .body = {body, sizeof JSON - 1 + sizeof value}};
    EXPECT(200, "POST", "/v1/models/churn:predict", "{\"instances\":[{\"x0\":0.75}]}");
    double want = live_number(&live, "predictions.0");
    for (int i = 0; i < 2; i++) {
        size_t json_bytes = 0;
        assert_int_equal(live_send(&live, &call), 200);
        int found = sscanf(live.reply.content_type,
                           "application/vnd.sagemaker-triton.binary+json;json-header-size=%zu",
                           &json_bytes);
        assert_int_equal(found, 1);
        assert_int_equal(live.reply.body.len, json_bytes + sizeof answer);
        assert_int_equal(live.reply.body.ptr[json_bytes - 1], '}');
        memcpy(&answer, live.reply.body.ptr + json_bytes, sizeof answer);
        assert_true(answer == want);
        call.path = "/models/churn/invoke";
    }
    call.content_type = "application/vnd.sagemaker-triton.binary+json;json-header-size=9999";
    assert_int_equal(live_send(&live, &call), 400);
    call.content_type = "application/vnd.sagemaker-triton.binary+json";
    assert_int_equal(live_send(&live, &call), 400);
    assert_non_null(strstr(live_body(&live), "json-header-size is missing"));
}

/* Models come and go as in a container of many. */
static void test_sagemaker_models(void **state)
{
    (void)state;
    static const char LOAD[] = "{\"model_name\":\"more\",\"url\":\"models:/churn/1\"}";
    EXPECT(404, "GET", "/models/more", NULL);
    EXPECT(404, "DELETE", "/models/more", NULL);
    EXPECT(400, "POST", "/models", "{\"model_name\":\"more\",\"url\":\"/opt/ml/models/more\"}");
    assert_non_null(strstr(live_body(&live), "/opt/ml/models/more"));
    EXPECT(404, "POST", "/models", "{\"model_name\":\"more\",\"url\":\"models:/none/1\"}");
    EXPECT(404, "GET", "/models/more", NULL);
    EXPECT(200, "POST", "/models", LOAD);
    EXPECT(409, "POST", "/models", LOAD);
    EXPECT(200, "GET", "/models/more", NULL);
    EXPECT(200, "POST", "/models/more/invoke", "{\"instances\":[[0.75,0.1,\"green\"]]}");
    EXPECT(200, "DELETE", "/models/more", NULL);
    EXPECT(404, "GET", "/models/more", NULL);
    EXPECT(404, "DELETE", "/models/more", NULL);
    EXPECT(200, "POST", "/models", LOAD);
    EXPECT(200, "GET", "/models/more", NULL);
    EXPECT(200, "DELETE", "/api/v1/deployments/more", NULL);
}

static void test_logging(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/v2/logging", NULL);
    assert_string_equal(live_text(&live, "log_info"), "true");
    assert_string_equal(live_text(&live, "log_verbose_level"), "0");
    EXPECT(200, "POST", "/v2/logging",
           "{\"log_info\":false,\"log_verbose_level\":3,\"log_file\":null,\"log_format\":"
           "\"ISO8601\"}");
    assert_string_equal(live_text(&live, "log_info"), "false");
    assert_string_equal(live_text(&live, "log_warning"), "true");
    assert_string_equal(live_text(&live, "log_verbose_level"), "1");
    /* Nothing of a request that is refused is done. */
    EXPECT(501, "POST", "/v2/logging", "{\"log_warning\":false,\"log_file\":\"/etc/passwd\"}");
    assert_non_null(strstr(live_body(&live), "log file location can not be updated"));
    EXPECT(501, "POST", "/v2/logging", "{\"log_format\":\"default\"}");
    EXPECT(400, "POST", "/v2/logging", "{\"log_warning\":7}");
    assert_non_null(strstr(live_body(&live), "log_warning: '7', expected true or false"));
    EXPECT(400, "POST", "/v2/logging", "{\"log_colour\":true}");
    EXPECT(400, "POST", "/v2/logging", "{\"log_verbose_level\":-1}");
    EXPECT(200, "POST", "/v2/logging", "{\"log_info\":true,\"log_verbose_level\":0}");
    assert_string_equal(live_text(&live, "log_warning"), "true");
}

static void read_trace(char *text, size_t size, int number)
{
    char path[128];
    FILE *file = NULL;
    snprintf(path, sizeof path, "%s/data/traces/trace.json.%d", live.dir, number);
    for (int i = 0; i < 100 && !file; i++) {
        file = fopen(path, "r");
        if (!file) usleep(50000);
    }
    assert_non_null(file);
    text[fread(text, 1, size - 1, file)] = '\0';
    fclose(file);
}

/* Traced calls are in a file below the data directory, and nowhere else. */
static void test_traces(void **state)
{
    (void)state;
    char text[8192];
    EXPECT(200, "GET", "/v2/trace/setting", NULL);
    assert_string_equal(live_text(&live, "trace_level.0"), "OFF");
    assert_string_equal(live_text(&live, "trace_rate"), "1000");
    EXPECT(200, "POST", "/v2/models/churn/trace/setting",
           "{\"trace_level\":[\"TIMESTAMPS\"],\"trace_rate\":\"1\",\"trace_count\":\"2\"}");
    assert_string_equal(live_text(&live, "trace_level.0"), "TIMESTAMPS");
    assert_string_equal(live_text(&live, "trace_file"), "traces/trace.json");
    EXPECT(200, "POST", INFER, "{\"id\":\"mine\"," INPUTS "}");
    EXPECT(200, "POST", "/v1/models/churn:predict", "{\"instances\":[{\"x0\":0.75}]}");
    EXPECT(200, "POST", "/v1/models/churn:predict", "{\"instances\":[{\"x0\":0.75}]}");
    read_trace(text, sizeof text, 0);
    assert_non_null(strstr(text, "[{\"id\":1,\"model_name\":\"churn\",\"model_version\":1,"
                                 "\"request_id\":\"mine\"},{\"id\":1,\"timestamps\":["));
    assert_non_null(strstr(text, "{\"id\":2,\"timestamps\":[{\"name\":\"HTTP_SEND_END\","));
    assert_null(strstr(text, "\"id\":3"));
    EXPECT(200, "POST", "/v2/models/churn/trace/setting",
           "{\"trace_level\":[\"TENSORS\",\"TIMESTAMPS\"],\"trace_count\":\"2\"}");
    assert_string_equal(live_text(&live, "trace_level.1"), "TENSORS");
    EXPECT(200, "POST", INFER, "{" INPUTS "}");
    EXPECT(200, "POST", "/v1/models/churn:predict", "{\"instances\":[{\"x0\":0.75}]}");
    read_trace(text, sizeof text, 1);
    static const char *const TENSORS[] = {
        "{\"id\":3,\"activity\":\"TENSOR_QUEUE_INPUT\",\"tensor\":{\"name\":\"x0\","
        "\"data\":\"0.75,0.25\",\"shape\":\"2\",\"dtype\":\"FP32\"}}",
        "\"tensor\":{\"name\":\"colour\",\"data\":\"green,red\",\"shape\":\"2,1\","
        "\"dtype\":\"BYTES\"}}",
        "{\"id\":3,\"activity\":\"TENSOR_BACKEND_OUTPUT\",\"tensor\":{\"name\":\"predictions\",",
        "{\"id\":4,\"activity\":\"TENSOR_QUEUE_INPUT\",\"tensor\":{\"name\":\"x0\","
        "\"data\":\"0.75\",\"shape\":\"1,1\",\"dtype\":\"FP64\"}}",
        "{\"id\":4,\"activity\":\"TENSOR_BACKEND_OUTPUT\""};
    for (size_t i = 0; i < sizeof TENSORS / sizeof *TENSORS; i++)
        assert_non_null(strstr(text, TENSORS[i]));
    EXPECT(400, "POST", "/v2/trace/setting", "{\"trace_level\":[\"TENSOR\"]}");
    EXPECT(501, "POST", "/v2/trace/setting", "{\"trace_file\":\"/tmp/traces\"}");
    EXPECT(404, "POST", "/v2/models/none/trace/setting", "{\"trace_rate\":\"1\"}");
    EXPECT(400, "POST", "/v2/trace/setting", "{\"trace_rate\":\"1x\"}");
    EXPECT(200, "POST", "/v2/models/churn/trace/setting",
           "{\"trace_level\":null,\"trace_rate\":null,\"trace_count\":null}");
    assert_string_equal(live_text(&live, "trace_level.0"), "OFF");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_infer),
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_repository),
        cmocka_unit_test(test_scoring),
        cmocka_unit_test(test_scoring_refusals),
        cmocka_unit_test(test_logging),
        cmocka_unit_test(test_traces),
        cmocka_unit_test(test_sagemaker),
        cmocka_unit_test(test_sagemaker_models),
        cmocka_unit_test(test_classification),
        cmocka_unit_test(test_shared_memory),
        cmocka_unit_test(test_shared_memory_off),
        cmocka_unit_test(test_statistics_of_kept_answers),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
