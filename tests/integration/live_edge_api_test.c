/* SPDX-License-Identifier: Apache-2.0 */
/* Registered versions for devices, over HTTP: the same bytes and the same report as `ingot edge`,
 * and bundles that the server makes and a key elsewhere signs. */
#include "support/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TREES "tests/golden/xgboost/binary_missing/model.json"
#define NETWORK "tests/corpus/tflite/cnn_int8"
#define GRAPH "tests/corpus/onnx/network_cnn_int8.onnx"

static struct live live;
static struct live_run out;

#define RUN(wanted, ...)                                                                           \
    do {                                                                                           \
        live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL});                           \
        if (out.code != (wanted)) fail_msg("%d: %s%s", out.code, out.out, out.err);                \
    } while (0)

/* A float network of a table, behind an encoder. */
static void train_network(void)
{
    static char bytes[1 << 16];
    char body[512];
    live_write_table(&live, "t.csv", 100);
    FILE *file = fopen(live_path(&live, "t.csv"), "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    snprintf(body, sizeof body,
             "{\"engine\":\"edge\",\"model\":\"table\",\"target\":\"label\",\"data_digest\":\"%s\","
             "\"params\":{\"epochs\":1,\"layers\":\"4\",\"quantization\":\"none\"}}",
             live_upload(&live, bytes, size));
    EXPECT(201, "POST", "/api/v1/jobs", body);
    if (strcmp(live_wait_job(&live, live_text(&live, "id")), "succeeded") != 0)
        fail_msg("%s", live_body(&live));
}

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    RUN(0, "model", "register", "trees", TREES);
    RUN(0, "model", "register", "net", NETWORK);
    RUN(0, "model", "register", "graph", GRAPH);
    EXPECT(200, "PUT", "/api/v1/models/trees/aliases/best", "{\"version\":1}");
    train_network();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void expect_field(int status, const char *path, const char *field, const char *message)
{
    EXPECT(status, "GET", path, NULL);
    if (strcmp(live_text(&live, "error.field"), field) != 0 || !strstr(live_body(&live), message))
        fail_msg("%s: %s", path, live_body(&live));
}

/* ---- files ---- */

static const struct {
    const char *model, *format, *query, *options[4], *media_type;
} FILES[] = {
    {"trees", "onnx", "", {NULL}, "application/octet-stream"},
    {"trees", "mlmodel", "", {NULL}, "application/octet-stream"},
    {"trees", "ige", "?leaves=int8", {"--leaves", "int8"}, "application/octet-stream"},
    {"trees", "c", "?name=risk", {"--name", "risk"}, "text/x-csrc; charset=utf-8"},
    {"net", "tflite", "?strip_names=true", {"--strip-names"}, "application/octet-stream"},
    {"net", "tflite", "", {NULL}, "application/octet-stream"},
    {"net", "onnx", "", {NULL}, "application/octet-stream"},
    {"net", "ige", "?rounding=double", {"--rounding", "double"}, "application/octet-stream"},
    {"net", "c", "", {NULL}, "text/x-csrc; charset=utf-8"},
    {"graph", "ige", "", {NULL}, "application/octet-stream"},
    {"graph", "tflite", "", {NULL}, "application/octet-stream"},
    {"table", "encoder", "?name=row", {"--name", "row"}, "text/x-csrc; charset=utf-8"},
    {"table", "tflite", "", {NULL}, "application/octet-stream"},
    {"table", "mlmodel", "", {NULL}, "application/octet-stream"},
    {"table", "onnx", "", {NULL}, "application/octet-stream"},
};

static void expect_same(size_t i, const char *path)
{
    static char bytes[1 << 20];
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    if (size != live.reply.body.len || memcmp(bytes, live.reply.body.ptr, size) != 0)
        fail_msg("%s as %s: %zu bytes by the program, %zu by the server", FILES[i].model,
                 FILES[i].format, size, live.reply.body.len);
}

static void test_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char uri[64], path[256], file[160];
        snprintf(uri, sizeof uri, "models:/%s/1", FILES[i].model);
        snprintf(file, sizeof file, "%s", live_path(&live, "exported"));
        RUN(0, "edge", "export", uri, "--output", file, "--format", FILES[i].format,
            FILES[i].options[0], FILES[i].options[1]);
        snprintf(path, sizeof path, "/api/v1/models/%s/versions/1/edge/%s%s", FILES[i].model,
                 FILES[i].format, FILES[i].query);
        EXPECT(200, "GET", path, NULL);
        expect_same(i, file);
        assert_string_equal(live.reply.content_type, FILES[i].media_type);
    }
}

static void test_files_refused(void **state)
{
    (void)state;
    expect_field(400, "/api/v1/models/trees/versions/1/edge/zip", "format",
                 "'zip' is not one of encoder, c, ige, mlmodel, onnx, tflite");
    expect_field(400, "/api/v1/models/trees/versions/1/edge/c?name=1x", "name",
                 "name: '1x' is no C identifier");
    expect_field(400, "/api/v1/models/trees/versions/1/edge/ige?leaves=int4", "leaves",
                 "'int4' is not one of exact, float32, int16, int8");
    expect_field(400, "/api/v1/models/net/versions/1/edge/ige?rounding=up", "rounding",
                 "'up' is not one of model, single, double");
    expect_field(400, "/api/v1/models/net/versions/1/edge/tflite?strip_names=1", "strip_names",
                 "'1' is neither true nor false");
    expect_field(501, "/api/v1/models/trees/versions/1/edge/tflite", "", "the model is no network");
    expect_field(501, "/api/v1/models/net/versions/1/edge/encoder", "", "has no encoder");
    expect_field(404, "/api/v1/models/trees/versions/2/edge/c", "", "has no version 2");
    expect_field(404, "/api/v1/models/none/versions/1/edge", "", "'none' does not exist");
}

/* Options that format, model or route do not have; the program says the same of its own. */
static void test_options_refused(void **state)
{
    (void)state;
    static const struct {
        const char *path, *field, *message;
    } REFUSED[] = {
        {"trees/versions/1/edge?rounding=double", "rounding", "it is for networks"},
        {"net/versions/1/edge?leaves=int16", "leaves", "it is for trees, the model is a network"},
        {"graph/versions/1/edge/ige?leaves=int8", "leaves", "it is for trees"},
        {"net/versions/1/edge/c?leaves=int8", "leaves", "it is for trees"},
        {"trees/versions/1/edge/onnx?leaves=int8", "leaves",
         "format onnx takes none; it is for c, ige"},
        {"net/versions/1/edge/tflite?rounding=double", "rounding", "format tflite takes none"},
        {"trees/versions/1/edge/mlmodel?name=x", "name",
         "format mlmodel takes none; it is for encoder, c"},
        {"table/versions/1/edge/encoder?strip_names=true", "strip_names", "it is for tflite"},
        {"trees/versions/1/edge?name=x", "name", "name: unknown query parameter"},
        {"trees/versions/1/edge?leafs=int8", "leafs", "leafs: unknown query parameter"},
        {"trees/versions/1/edge/ige?leaves=int8&n%61me2=1", "name2", "unknown query parameter"},
        {"trees/versions/1/edge/ige?leaves=int8&leaves=exact", "leaves", "leaves: given twice"},
        {"trees/versions/1/edge/ige?leaves=%ff", "leaves", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        char path[160];
        snprintf(path, sizeof path, "/api/v1/models/%s", REFUSED[i].path);
        expect_field(400, path, REFUSED[i].field, REFUSED[i].message);
    }
}

/* ---- the report ---- */

static void test_report(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/api/v1/models/trees/versions/best/edge?leaves=exact", NULL);
    RUN(0, "edge", "inspect", TREES, "--leaves", "exact", "--format", "json");
    out.out[strcspn(out.out, "\n")] = '\0';
    assert_string_equal(live_body(&live), out.out);
    EXPECT(200, "GET", "/api/v1/models/graph/versions/1/edge", NULL);
    RUN(0, "edge", "inspect", GRAPH, "--format", "json");
    out.out[strcspn(out.out, "\n")] = '\0';
    assert_string_equal(live_body(&live), out.out);
    assert_true(live_number(&live, "operators.CONV_2D") >= 1);
    expect_field(501, "/api/v1/models/table/versions/1/edge", "", "int8");
    expect_field(400, "/api/v1/models/trees/versions/1/edge?leaves=no", "leaves", "'no' is not");
}

/* ---- bundles ---- */

/* Made by the server, signed beside it, taken by a group, verified as a device would. */
static void test_bundle(void **state)
{
    (void)state;
    char key[160], bundle[160], digest[80], hash[160];
    snprintf(key, sizeof key, "%s", live_path(&live, "factory"));
    snprintf(bundle, sizeof bundle, "%s", live_path(&live, "net.igb"));
    RUN(0, "edge", "keygen", key);
    RUN(0, "fleet", "group", "meters", "--public", live_path(&live, "factory.pub"), "--target",
        "meter");
    EXPECT(201, "POST", "/api/v1/models/net/versions/1/bundle",
           "{\"counter\":7,\"target\":\"meter\",\"valid_days\":30}");
    assert_string_equal(live_text(&live, "id"), "net");
    assert_true(live_number(&live, "arena_bytes") > 0 && live_text(&live, "expires_at")[0] == '2');
    snprintf(digest, sizeof digest, "%s", live_text(&live, "digest"));
    snprintf(hash, sizeof hash, "%s", live_text(&live, "blake2b"));
    assert_int_equal(strlen(hash), 128);
    char path[128];
    snprintf(path, sizeof path, "/api/v1/blobs/%s", digest);
    EXPECT(200, "GET", path, NULL);
    FILE *file = fopen(bundle, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(live_body(&live), 1, live.reply.body.len, file), live.reply.body.len);
    fclose(file);
    RUN(1, "edge", "sign", TREES, "--secret", live_path(&live, "factory.pem"));
    assert_non_null(strstr(out.err, "it is no bundle"));
    RUN(0, "edge", "sign", bundle, "--secret", live_path(&live, "factory.pem"));
    RUN(0, "edge", "verify", bundle, "--public", live_path(&live, "factory.pub"), "--target",
        "meter", "--counter", "6");
    assert_non_null(strstr(out.out, "good: net, counter 7"));
    RUN(0, "fleet", "bundle", "meters", bundle, "--model", "net", "--version", "1");
    assert_non_null(strstr(out.out, digest));
    assert_non_null(strstr(out.out, "models:/net/1"));
    EXPECT(200, "GET", "/api/v1/models/net/versions/1/lineage", NULL);
    assert_string_equal(live_text(&live, "downstream.bundles.0.digest"), digest);
}

static void expect_no_bundle(const char *model, const char *body, const char *field)
{
    char path[128];
    snprintf(path, sizeof path, "/api/v1/models/%s/versions/1/bundle", model);
    EXPECT(400, "POST", path, body);
    if (strcmp(live_text(&live, "error.field"), field) != 0) fail_msg("%s", live_body(&live));
}

static void test_bundle_refused(void **state)
{
    (void)state;
    expect_no_bundle("trees", "{}", "counter");
    expect_no_bundle("trees", "{\"counter\":0}", "counter");
    expect_no_bundle("trees", "{\"counter\":1,\"valid_days\":0}", "valid_days");
    expect_no_bundle("trees", "{\"counter\":1,\"target\":\"meter-of-the-roof\"}", "target");
    expect_no_bundle("trees", "{\"counter\":1,\"id\":\"a\\u0000b\"}", "id");
    expect_no_bundle("trees", "{\"counter\":1,\"leaves\":\"int4\"}", "leaves");
    expect_no_bundle("net", "{\"counter\":1,\"leaves\":\"int8\"}", "leaves");
    expect_no_bundle("trees", "{\"counter\":1,\"rounding\":\"double\"}", "rounding");
    EXPECT(400, "POST", "/api/v1/models/trees/versions/1/bundle?leaves=int8", "{\"counter\":1}");
    assert_non_null(strstr(live_body(&live), "leaves: unknown query parameter"));
    EXPECT(501, "POST", "/api/v1/models/table/versions/1/bundle", "{\"counter\":1}");
    EXPECT(404, "POST", "/api/v1/models/trees/versions/9/bundle", "{\"counter\":1}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files),          cmocka_unit_test(test_files_refused),
        cmocka_unit_test(test_report),         cmocka_unit_test(test_bundle),
        cmocka_unit_test(test_bundle_refused), cmocka_unit_test(test_options_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
