/* SPDX-License-Identifier: Apache-2.0 */
/* Counting by loop, and the text of a scrape. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/metrics.h"
#include "api/route.h"

static struct ig_call_testing test;

static enum ig_code in_pool(struct ig_call *call)
{
    return call->err.code;
}

static void count(unsigned loop, size_t route, int status, uint64_t duration_ns)
{
    test.exchange.loop = loop;
    test.exchange.status = status;
    test.call.route = route < ig_routes_count() ? &IG_ROUTES[route] : NULL;
    test.call.in_pool = loop == 1 ? in_pool : NULL;
    test.call.gathered = loop == 0;
    ig_metrics_count(test.app.metrics, &test.call, duration_ns, 3);
}

static void expect(const struct ig_buf *buf, const char *line)
{
    if (!strstr(buf->ptr, line)) fail_msg("no '%s' in\n%s", line, buf->ptr);
}

static void test_scrape(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf buf;
    ig_call_testing_init(&test);
    assert_int_equal(ig_metrics_new(&test.app.metrics, 2, &err), IG_OK);
    count(0, 0, 200, 15000);
    count(1, 0, 200, 3000000);
    count(1, 0, 503, 20000000000u);
    count(0, SIZE_MAX, 404, 1000);
    assert_true(ig_metrics_ticket(test.app.metrics, 0) != ig_metrics_ticket(test.app.metrics, 0));
    assert_true(ig_metrics_ticket(test.app.metrics, 0) != ig_metrics_ticket(test.app.metrics, 1));
    ig_buf_init(&buf, 1 << 20);
    ig_metrics_scrape(&buf, &test.app, &test.exchange.arena);
    expect(&buf, "ingot_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"2xx\"} 2\n");
    expect(&buf, "ingot_http_requests_total{method=\"GET\",route=\"/healthz\",status=\"5xx\"} 1\n");
    expect(&buf, "ingot_http_requests_total{method=\"\",route=\"\",status=\"4xx\"} 1\n");
    expect(&buf, "{method=\"GET\",route=\"/healthz\",le=\"1e-05\"} 0\n");
    expect(&buf, "{method=\"GET\",route=\"/healthz\",le=\"2e-05\"} 1\n");
    expect(&buf, "{method=\"GET\",route=\"/healthz\",le=\"0.005\"} 2\n");
    expect(&buf, "{method=\"GET\",route=\"/healthz\",le=\"10\"} 2\n");
    expect(&buf, "{method=\"GET\",route=\"/healthz\",le=\"+Inf\"} 3\n");
    expect(&buf, "_count{method=\"GET\",route=\"/healthz\"} 3\n");
    expect(&buf, "\ningot_inference_rows_total 12\n");
    expect(&buf, "\ningot_inference_pooled_total 2\n");
    expect(&buf, "\ningot_inference_gathered_total 2\n");
    expect(&buf, "# TYPE process_resident_memory_bytes gauge\n");
    ig_buf_deinit(&buf);
    ig_metrics_free(test.app.metrics);
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scrape)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
