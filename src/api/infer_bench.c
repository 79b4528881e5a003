/* SPDX-License-Identifier: Apache-2.0 */
/* CPU of one inference call without its socket: decoding, the kernel, the log's digests, encoding.
 * Prints microseconds a call beside the kernel's own estimate. */
#include "api/infer_testing.h"
#include "api/route.h"
#include "base/clock.h"

#define MODEL "tests/golden/xgboost/many_trees/model.json"
#define ROW "[0.67,4.0,735.99,0.25,0.039,-1.5]"

static struct ig_infer_testing testing;

static double one_call(enum ig_code (*handler)(struct ig_call *), const char *body, unsigned times)
{
    struct ig_call_testing *test = &testing.test;
    uint64_t start = ig_clock_cpu_ns();
    for (unsigned i = 0; i < times; i++) {
        ig_arena_reset(&test->exchange.arena);
        ig_buf_reset(&test->exchange.reply);
        test->call = (struct ig_call){.exchange = &test->exchange,
                                      .arena = &test->exchange.arena,
                                      .app = &test->app,
                                      .params = {{"d", 1}},
                                      .err = IG_ERR_INIT};
        test->exchange.body = ig_str_view(body);
        if (handler(&test->call) != IG_OK) {
            fprintf(stderr, "infer_bench: %s\n", test->call.err.message);
            exit(1);
        }
    }
    return (double)(ig_clock_cpu_ns() - start) / times * 1e-3;
}

int main(int argc, char **argv)
{
    struct ig_err err = IG_ERR_INIT;
    unsigned times = argc > 1 && strcmp(argv[1], "--smoke") == 0 ? 10 : 50000;
    if (ig_infer_testing_open(&testing, MODEL, &err) != IG_OK) {
        fprintf(stderr, "infer_bench: %s\n", err.message);
        return 1;
    }
    const struct ig_servable *servable =
        ig_deploy_acquire(testing.test.app.deploy, IG_STR("d"))->single;
    const struct ig_inference_request request = {.rows_count = 1, .explain = true};
    printf("%u trees, %u features; explain kernel %.2f us\n", servable->package->model->trees_count,
           servable->package->model->features_count,
           (double)ig_inference_cost_ns(servable, &request) * 1e-3);
    printf("predict-with-explanation  %.2f us\n",
           one_call(ig_infer_explained, "{\"model\":\"d\",\"instances\":[" ROW "]}", times));
    printf("kserve predict            %.2f us\n",
           one_call(ig_infer_kserve_predict, "{\"instances\":[" ROW "]}", times));
    ig_infer_testing_close(&testing);
    return 0;
}
