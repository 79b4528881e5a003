/* SPDX-License-Identifier: Apache-2.0 */
/* ModelInfer, and the same over HTTP, on a server of one loop: calls that come together are
 * computed together, and each is answered, or refused, as it is alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/infer_grpc.h"

#include "api/front.h"
#include "api/gather.h"
#include "api/infer_testing.h"
#include "api/metrics.h"
#include "api/route.h"
#include "base/proto.h"
#include "net/http2_testing.h"

#define MODEL "tests/golden/xgboost/binary_missing/model.json"

enum { FEATURES = 6, CALLS = 60 };

static struct ig_infer_testing testing;
static struct ig_grpc_service services[IG_GRPC_SERVICES];
static struct ig_http_server *server;

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_app *app = &testing.test.app;
    if (ig_infer_testing_open(&testing, MODEL, &err) != IG_OK) return -1;
    if (ig_infer_testing_graph(&testing, "{\"root\":{\"model\":\"m\"}}") != IG_OK) return -1;
    struct ig_auth_options auth = {.db = app->db};
    if (ig_auth_open(&app->auth, &auth, &err) != IG_OK) return -1;
    static const struct ig_str HOST = {"test", 4};
    app->hosts = &HOST;
    app->hosts_count = 1;
    if (ig_router_new(&app->router, &err) != IG_OK) return -1;
    if (ig_metrics_new(&app->metrics, 1, &err) != IG_OK) return -1;
    if (ig_gather_new(&app->gather, 1, 0, &err) != IG_OK) return -1;
    ig_grpc_services(services, app);
    struct ig_http_server_options options = {.loops = 1,
                                             .grpc = services,
                                             .grpc_count = IG_GRPC_SERVICES,
                                             .handler = ig_front_handler(app)};
    return ig_http_server_start(&server, &options, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct ig_app *app = &testing.test.app;
    unsigned cut = ig_http_server_stop(server, 3000);
    ig_http_server_free(server);
    ig_gather_free(app->gather);
    ig_router_free(app->router);
    ig_metrics_free(app->metrics);
    ig_auth_close(app->auth);
    ig_infer_testing_close(&testing);
    return cut ? -1 : 0;
}

/* ModelInferRequest of one row. */
static void write_request(struct ig_buf *out, const char *model, double first)
{
    const double row[FEATURES] = {first, 2, 30, 4, 5, 6};
    ig_proto_add_bytes(out, 1, ig_str_view(model));
    size_t at = ig_proto_open(out, 5);
    ig_proto_add_bytes(out, 1, IG_STR("x"));
    ig_proto_add_bytes(out, 2, IG_STR("FP64"));
    ig_proto_add_varint(out, 3, 1);
    ig_proto_add_varint(out, 3, FEATURES);
    ig_proto_close(out, at);
    ig_proto_add_bytes(out, 7, (struct ig_str){(const char *)row, sizeof row});
}

static struct ask *call(struct h2 *h2, const char *method, struct ig_str message)
{
    char path[128];
    struct ig_buf frame;
    ig_buf_init(&frame, 1 << 16);
    snprintf(path, sizeof path, "/inference.GRPCInferenceService/%s", method);
    struct ask *ask =
        h2_ask_with(h2, "POST", path, "content-type: application/grpc\nte: trailers\n", true);
    size_t at = ig_grpc_frame_open(&frame);
    ig_buf_add_str(&frame, message);
    assert_true(ig_grpc_frame_close(&frame, at));
    h2_upload(h2, ask, frame.ptr, frame.len, true);
    ig_buf_deinit(&frame);
    return ask;
}

static struct ask *infer(struct h2 *h2, const char *method, const char *model, double first)
{
    struct ig_buf message;
    ig_buf_init(&message, 1 << 12);
    write_request(&message, model, first);
    struct ask *ask = call(h2, method, ig_buf_view(&message));
    ig_buf_deinit(&message);
    return ask;
}

/* The same over HTTP, the answer as raw bytes. */
static struct ask *infer_raw(struct h2 *h2, double first)
{
    static const char JSON[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,6],\"datatype\":\"FP64\",\"parameters\":"
        "{\"binary_data_size\":48}}],\"parameters\":{\"binary_data_output\":true}}";
    const double row[FEATURES] = {first, 2, 30, 4, 5, 6};
    char fields[64];
    snprintf(fields, sizeof fields, "inference-header-content-length: %zu\n", sizeof JSON - 1);
    struct ask *ask = h2_ask_with(h2, "POST", "/v2/models/d/infer", fields, true);
    h2_upload(h2, ask, JSON, sizeof JSON - 1, false);
    h2_upload(h2, ask, row, sizeof row, true);
    return ask;
}

static void assert_ends(struct ask *ask, const char *wanted)
{
    struct ig_buf *fields = ask->trailers.len ? &ask->trailers : &ask->headers;
    ig_buf_add_char(fields, '\0');
    assert_int_equal(ask->status, 200);
    assert_non_null(strstr(fields->ptr, wanted));
}

static void assert_same(const struct ask *a, const struct ask *b)
{
    assert_true(a->body.len > 5 && a->body.len == b->body.len);
    assert_memory_equal(a->body.ptr, b->body.ptr, a->body.len);
}

/* A counter of the metrics. */
static double counter_of(const char *name)
{
    struct ig_app app = testing.test.app;
    struct ig_arena arena;
    struct ig_buf text;
    char wanted[80];
    app.server = server;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_init(&text, 1 << 20);
    snprintf(wanted, sizeof wanted, "\n%s ", name);
    ig_metrics_scrape(&text, &app, &arena);
    ig_buf_add_char(&text, '\0');
    const char *found = strstr(text.ptr, wanted);
    assert_non_null(found);
    double count = strtod(found + strlen(wanted), NULL);
    ig_buf_deinit(&text);
    ig_arena_deinit(&arena);
    return count;
}

static void test_together(void **state)
{
    (void)state;
    struct ask *together[CALLS], *alone;
    struct h2 *h2 = h2_open(server), *one = h2_open(server);
    for (int i = 0; i < CALLS; i++) {
        const char *method = i % 10 == 9 ? "ModelStreamInfer" : "ModelInfer";
        together[i] = infer(h2, method, i % 7 == 6 ? "absent" : "d", i);
    }
    assert_true(h2_finish(h2));
    double gathered = counter_of("ingot_inference_gathered_total");
    assert_true(gathered > 1);
    for (int i = 0; i < CALLS; i++) {
        if (i % 10 == 9) {
            assert_ends(together[i], "grpc-status: 0\n");
        } else if (i % 7 == 6) {
            assert_ends(together[i], "grpc-status: 5\ngrpc-message: model 'absent'");
        } else {
            alone = infer(one, "ModelInfer", "d", i);
            assert_true(h2_finish_one(one, alone));
            assert_ends(together[i], "grpc-status: 0\n");
            assert_same(together[i], alone);
        }
    }
    assert_true(counter_of("ingot_inference_gathered_total") == gathered);
    h2_close(h2);
    h2_close(one);
}

static void test_raw_over_http(void **state)
{
    (void)state;
    struct ask *together[10], *alone;
    struct h2 *h2 = h2_open(server), *one = h2_open(server);
    double before = counter_of("ingot_inference_gathered_total");
    for (int i = 0; i < 10; i++) together[i] = infer_raw(h2, i);
    assert_true(h2_finish(h2));
    assert_true(counter_of("ingot_inference_gathered_total") > before + 1);
    for (int i = 0; i < 10; i++) {
        alone = infer_raw(one, i);
        assert_true(h2_finish_one(one, alone));
        assert_int_equal(together[i]->status, 200);
        ig_buf_add_char(&together[i]->headers, '\0');
        assert_has(together[i]->headers.ptr, "inference-header-content-length: ");
        assert_same(together[i], alone);
    }
    h2_close(h2);
    h2_close(one);
}

static struct ask *repository(struct h2 *h2, const char *method, const char *name,
                              const char *parameter)
{
    struct ig_buf message;
    ig_buf_init(&message, 1 << 12);
    ig_proto_add_bytes(&message, 1, ig_str_view(name));
    ig_proto_add_bytes(&message, 2, IG_STR("d"));
    size_t entry = ig_proto_open(&message, 3);
    ig_proto_add_bytes(&message, 1, ig_str_view(parameter));
    ig_proto_close(&message, entry);
    struct ask *ask = call(h2, method, ig_buf_view(&message));
    assert_true(h2_finish(h2));
    ig_buf_deinit(&message);
    return ask;
}

static void test_what_is_no_deployment_is_not_loaded(void **state)
{
    (void)state;
    struct h2 *h2 = h2_open(server);
    assert_ends(repository(h2, "RepositoryModelLoad", "", "config"),
                "grpc-status: 12\ngrpc-message: param");
    assert_ends(repository(h2, "RepositoryModelLoad", "", "file:1/model"),
                "'file:1/model' is not taken");
    assert_ends(repository(h2, "RepositoryModelLoad", "r", ""),
                "grpc-status: 12\ngrpc-message: repository");
    assert_ends(repository(h2, "RepositoryModelUnload", "r", ""), "repository 'r': there is one");
    h2_close(h2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_what_is_no_deployment_is_not_loaded),
                                       cmocka_unit_test(test_together),
                                       cmocka_unit_test(test_raw_over_http)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
