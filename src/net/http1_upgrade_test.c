/* SPDX-License-Identifier: Apache-2.0 */
/* Which requests ask for HTTP/2, with which settings, and which only seem to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/http1.h"

#include <stdio.h>
#include <string.h>

static const struct ig_http1_limits LIMITS = {
    .head_max_bytes = 2048, .target_max_bytes = 128, .headers_max = 12};

static bool upgrades(struct ig_http1_upgrade *out, const char *line, const char *fields)
{
    struct ig_http_header headers[12];
    struct ig_http_request request = {0};
    const char *reason = NULL;
    char text[2048];
    snprintf(text, sizeof text, "%s\r\n%s\r\n", line, fields);
    assert_int_equal(ig_http1_request(&request, headers, ig_str_view(text), &LIMITS, &reason), 0);
    return ig_http1_upgrades(out, &request);
}

#define GET "GET /a HTTP/1.1"
#define HOST "Host: a\r\n"
#define ASK "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
#define SETTINGS "HTTP2-Settings: AAMAAABkAAQAAP__\r\n"

static void test_asked(void **state)
{
    (void)state;
    static const unsigned char BYTES[] = {0, 3, 0, 0, 0, 100, 0, 4, 0, 0, 255, 255};
    static const char *const FIELDS[] = {
        HOST ASK SETTINGS,
        SETTINGS HOST "upgrade: websocket ,\tH2C\r\nconnection: http2-settings\r\n"
                      "CONNECTION: keep-alive, upgrade\r\n",
        HOST ASK SETTINGS "Content-Length: 0\r\n",
    };
    struct ig_http1_upgrade got;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        assert_true(upgrades(&got, GET, FIELDS[i]));
        assert_int_equal(got.settings_bytes, sizeof BYTES);
        assert_memory_equal(got.settings, BYTES, sizeof BYTES);
    }
    assert_true(upgrades(&got, GET, HOST ASK "HTTP2-Settings:\r\n")); /* none beyond the defaults */
    assert_int_equal(got.settings_bytes, 0);
}

static void test_not_asked(void **state)
{
    (void)state;
    static const char *const FIELDS[] = {
        HOST,
        HOST ASK,
        HOST ASK SETTINGS SETTINGS,
        HOST SETTINGS "Connection: Upgrade\r\nUpgrade: h2c\r\n",
        HOST SETTINGS "Connection: HTTP2-Settings\r\nUpgrade: h2c\r\n",
        HOST SETTINGS "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2\r\n",
        HOST SETTINGS "Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\n",
        HOST ASK SETTINGS "Content-Length: 1\r\n",
        HOST ASK SETTINGS "Transfer-Encoding: chunked\r\n",
        HOST ASK SETTINGS "Expect: 100-continue\r\n",
        HOST ASK "HTTP2-Settings: AAMAAABkAA\r\n",
        HOST ASK "HTTP2-Settings: AAMAAAB+\r\n",
        HOST ASK "HTTP2-Settings: AAMA AABk\r\n",
    };
    struct ig_http1_upgrade got;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++)
        if (upgrades(&got, GET, FIELDS[i])) fail_msg("%s", FIELDS[i]);
    assert_false(upgrades(&got, "GET /a HTTP/1.0", HOST ASK SETTINGS));
    assert_false(upgrades(&got, "OPTIONS * HTTP/1.1", HOST ASK SETTINGS));
    assert_false(upgrades(&got, "GET http://a/ HTTP/1.1", HOST ASK SETTINGS));
}

/* As many settings as may be, and one more. */
static void test_many_settings(void **state)
{
    (void)state;
    struct ig_http1_upgrade got;
    char fields[1024];
    for (size_t settings = 31; settings < 34; settings++) {
        size_t length = (size_t)snprintf(fields, sizeof fields, HOST ASK "HTTP2-Settings: ");
        for (size_t i = 0; i < settings; i++)
            length += (size_t)snprintf(fields + length, sizeof fields - length, "AAMAAABk");
        snprintf(fields + length, sizeof fields - length, "\r\n");
        assert_int_equal(upgrades(&got, GET, fields), settings <= 32);
    }
}

static void test_fields_of_the_connection(void **state)
{
    (void)state;
    assert_true(ig_http1_is_hop_field(IG_STR("Connection")));
    assert_true(ig_http1_is_hop_field(IG_STR("http2-settings")));
    assert_true(ig_http1_is_hop_field(IG_STR("TE")));
    assert_false(ig_http1_is_hop_field(IG_STR("content-type")));
    assert_false(ig_http1_is_hop_field(IG_STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_asked),
        cmocka_unit_test(test_not_asked),
        cmocka_unit_test(test_many_settings),
        cmocka_unit_test(test_fields_of_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
