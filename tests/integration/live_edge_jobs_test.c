/* SPDX-License-Identifier: Apache-2.0 */
/* The job engines `prune` and `quantize`: registered models made smaller, as `ingot edge` makes
 * files, with the version that they were made of. */
#include "support/live.h"

#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IMAGES "tests/corpus/onnx/network_images_flat.onnx"

static struct live live;
static struct live_run out;
static char digest[IG_SHA256_HEX], table[160]; /* of the table; its file */

#define RUN(wanted, ...)                                                                           \
    do {                                                                                           \
        live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL});                           \
        if (out.code != (wanted)) fail_msg("%d: %s%s", out.code, out.out, out.err);                \
    } while (0)

static void read_file(struct ig_buf *bytes, const char *path)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(bytes, 1 << 24);
    assert_int_equal(ig_file_read(bytes, IG_FILE_CWD, path, &err), IG_OK);
}

/* Submits a job of these members; its id stays until the next. */
static int submit(const char *engine, const char *members, const char *params)
{
    char body[1024];
    snprintf(body, sizeof body, "{\"engine\":\"%s\",%s,\"params\":{%s}}", engine, members, params);
    return live_call(&live, "POST", "/api/v1/jobs", body);
}

static const char *members(const char *model, bool data, const char *target)
{
    static char text[512];
    int at = snprintf(text, sizeof text, "\"model\":\"%s\"", model);
    if (data)
        at += snprintf(text + at, sizeof text - (size_t)at, ",\"data_digest\":\"%s\"", digest);
    if (*target) snprintf(text + at, sizeof text - (size_t)at, ",\"target\":\"%s\"", target);
    return text;
}

static void expect_job(const char *state, const char *error)
{
    char id[64];
    if (live.reply.status != 201) fail_msg("%s", live_body(&live));
    snprintf(id, sizeof id, "%s", live_text(&live, "id"));
    if (strcmp(live_wait_job(&live, id), state) != 0 || !strstr(live_text(&live, "error"), error))
        fail_msg("%s", live_body(&live));
}

static void expect_refused(const char *engine, const char *of, const char *params, const char *why)
{
    assert_int_equal(submit(engine, of, params), 400);
    if (!strstr(live_text(&live, "error.message"), why)) fail_msg("%s", live_body(&live));
}

static int setup(void **state)
{
    (void)state;
    struct ig_buf bytes;
    live_make(&live);
    live_start(&live, NULL);
    live_write_table(&live, "t.csv", 300);
    snprintf(table, sizeof table, "%s", live_path(&live, "t.csv"));
    assert_string_equal(live_wait_job(&live, live_submit(&live, "trees", "t.csv", 8)), "succeeded");
    EXPECT(200, "PUT", "/api/v1/models/trees/aliases/best", "{\"version\":1}");
    read_file(&bytes, table);
    snprintf(digest, sizeof digest, "%s", live_upload(&live, bytes.ptr, bytes.len));
    ig_buf_deinit(&bytes);
    submit("edge", members("net", true, "label"),
           "\"epochs\":2,\"layers\":\"8\",\"quantization\":\"none\"");
    expect_job("succeeded", "");
    RUN(0, "model", "register", "images", IMAGES);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void expect_sha256(const char *path, const char *wanted)
{
    struct ig_buf bytes;
    char hash[IG_SHA256_HEX];
    read_file(&bytes, path);
    ig_sha256_hex(bytes.ptr, bytes.len, hash);
    ig_buf_deinit(&bytes);
    assert_string_equal(hash, wanted);
}

/* The package is the one that the program writes, byte for byte, and tells what it was made of. */
static void test_prune(void **state)
{
    (void)state;
    char file[160];
    submit("prune", members("trees", true, "label"),
           "\"source\":\"models:/trees/best\",\"leaves_at_most\":20,\"refit\":\"on\"");
    expect_job("succeeded", "");
    assert_string_equal(live_text(&live, "params.source"), "models:/trees/1");
    assert_true(live_number(&live, "version") == 2);
    assert_true(live_number(&live, "metrics.before.leaves") > 20);
    assert_true(live_number(&live, "metrics.after.leaves") <= 20);
    assert_true(live_number(&live, "metrics.judge_rows") == 100);
    EXPECT(200, "GET", "/api/v1/models/trees/versions/2", NULL);
    assert_string_equal(live_text(&live, "source"), "models:/trees/1");
    char made[IG_SHA256_HEX];
    snprintf(made, sizeof made, "%s", live_text(&live, "digest"));
    snprintf(file, sizeof file, "%s", live_path(&live, "pruned.zip"));
    RUN(0, "edge", "prune", "models:/trees/1", "--input", table, "--target", "label",
        "--leaves-at-most", "20", "--refit", "--output", file);
    expect_sha256(file, made);
    EXPECT(200, "GET", "/api/v1/models/trees/versions/2/lineage", NULL);
    assert_string_equal(live_text(&live, "source"), "models:/trees/1");
    assert_string_equal(live_text(&live, "upstream.job.engine"), "prune");
    EXPECT(200, "GET", "/api/v1/models/trees/versions/1/lineage", NULL);
    assert_true(live_number(&live, "downstream.versions.0.version") == 2);
    submit("prune", members("few", false, ""),
           "\"source\":\"models:/trees/2\",\"bytes_at_most\":150,\"drop_trees\":\"on\"");
    expect_job("succeeded", "");
    assert_true(live_number(&live, "metrics.after.compact_bytes") <= 150);
}

static void test_quantize(void **state)
{
    (void)state;
    char file[160], made[IG_SHA256_HEX];
    submit("quantize", members("net", true, "label"), "\"source\":\"models:/net/1\"");
    expect_job("succeeded", "");
    assert_true(live_number(&live, "version") == 2);
    assert_true(live_number(&live, "metrics.int8_bytes") > 0);
    assert_true(live_number(&live, "metrics.after.accuracy") > 0);
    EXPECT(200, "GET", "/api/v1/models/net/versions/2", NULL);
    assert_string_equal(live_text(&live, "source"), "models:/net/1");
    snprintf(made, sizeof made, "%s", live_text(&live, "model_digest"));
    snprintf(file, sizeof file, "%s", live_path(&live, "int8.zip"));
    RUN(0, "edge", "quantize", "--model", "models:/net/1", "--input", table, "--output", file);
    RUN(0, "model", "register", "by_hand", file);
    EXPECT(200, "GET", "/api/v1/models/by_hand/versions/1", NULL);
    assert_string_equal(live_text(&live, "model_digest"), made);
    RUN(0, "predict", "--model", "models:/net/2", "--input", table);
    submit("quantize", members("halves", false, ""),
           "\"source\":\"models:/net/1\",\"to\":\"float16\"");
    expect_job("succeeded", "");
    EXPECT(200, "GET", "/api/v1/models/halves/versions/1/edge/tflite", NULL);
}

static void test_refused(void **state)
{
    (void)state;
    expect_refused("prune", members("m", true, ""), "", "parameter 'source'");
    expect_refused("prune", members("m", false, ""), "\"source\":\"models:/trees/1\"",
                   "leaves_at_most or bytes_at_most says when to end");
    expect_refused("prune", members("m", true, ""),
                   "\"source\":\"models:/trees/1\",\"leaves_at_most\":9,\"loss_at_most\":1",
                   "exclude each other");
    expect_refused("prune", members("m", true, ""),
                   "\"source\":\"models:/trees/1\",\"loss_at_most\":\"x\"", "'x' is no number");
    expect_refused("prune", members("m", false, ""),
                   "\"source\":\"models:/trees/1\",\"leaves_at_most\":9,\"refit\":\"on\"",
                   "it needs a table");
    expect_refused("prune", members("m", false, "label"),
                   "\"source\":\"models:/trees/1\",\"leaves_at_most\":9", "there is none");
    expect_refused("quantize", members("m", false, ""), "\"source\":\"models:/net/1\"",
                   "int8 needs a table");
    expect_refused("quantize", members("m", true, ""), "\"source\":\"models:/net/1\",\"to\":\"x\"",
                   "'x' is not one of int8|weights|float16");
    expect_refused("quantize", members("m", false, ""),
                   "\"source\":\"models:/net/1\",\"to\":\"float16\",\"float_ends\":\"on\"",
                   "parameter 'float_ends': it is for int8, to is 'float16'");
    expect_refused("xgboost", members("m", true, ""), "", "target: missing");
    expect_refused("xgboost", members("m", false, "label"), "", "data_digest");
    assert_int_equal(submit("prune", members("m", true, ""), "\"source\":\"models:/none/1\""), 404);
    /* What is known once the model is open. */
    submit("prune", members("m", true, ""), "\"source\":\"models:/net/1\"");
    expect_job("failed", "only tree ensembles");
    submit("quantize", members("m", true, ""), "\"source\":\"models:/trees/1\"");
    expect_job("failed", "the model is no network");
    submit("quantize", members("m", true, "colour"), "\"source\":\"models:/net/1\"");
    expect_job("failed", "label: row 1: 'colour' holds a class that the model lacks");
    submit("quantize", members("m", false, ""),
           "\"source\":\"models:/images/1\",\"to\":\"float16\"");
    expect_job("failed", "an image with its channels last");
    EXPECT(404, "GET", "/api/v1/models/m", NULL);
}

/* A version that was made elsewhere says what of, by hand. */
static void test_source(void **state)
{
    (void)state;
    char body[256];
    EXPECT(200, "GET", "/api/v1/models/few/versions/1", NULL);
    snprintf(body, sizeof body, "{\"digest\":\"%s\",\"source\":\"models:/trees/best\"}",
             live_text(&live, "digest"));
    EXPECT(201, "POST", "/api/v1/models/hand/versions", body);
    assert_string_equal(live_text(&live, "source"), "models:/trees/1");
    snprintf(strstr(body, "best"), 8, "9\"}");
    EXPECT(404, "POST", "/api/v1/models/hand/versions", body);
    assert_string_equal(live_text(&live, "error.field"), "source");
    RUN(0, "model", "register", "tool", live_path(&live, "pruned.zip"), "--source",
        "models:/trees/best");
    assert_non_null(strstr(out.out, "\"source\": \"models:/trees/1\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prune),
        cmocka_unit_test(test_quantize),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_source),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
