/* SPDX-License-Identifier: Apache-2.0 */
/* Events of a stream, in pieces of every size. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/gateway/gateway_sse.h"

#include <stdio.h>

/* The events of a text that comes `step` bytes at a time, each in brackets. */
static const char *events(struct ig_str text, size_t step)
{
    static char out[256];
    struct ig_gateway_sse sse;
    struct ig_str event;
    size_t used = 0;
    out[0] = '\0';
    ig_gateway_sse_init(&sse);
    while (text.len) {
        struct ig_str piece = {text.ptr, step < text.len ? step : text.len};
        text = (struct ig_str){text.ptr + piece.len, text.len - piece.len};
        while (ig_gateway_sse_next(&sse, &piece, &event))
            used += (size_t)snprintf(out + used, sizeof out - used, "[%.*s]", IG_STR_ARGS(event));
        assert_int_equal(piece.len, 0);
    }
    if (ig_gateway_sse_last(&sse, &event))
        snprintf(out + used, sizeof out - used, "[%.*s]", IG_STR_ARGS(event));
    ig_gateway_sse_deinit(&sse);
    return out;
}

static void test_pieces(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"data: a\n\ndata: b\n\n", "[a][b]"},
        {"event: x\r\ndata:  a b \r\n\r\nid: 7\n: note\ndata:c", "[a b][c]"},
        {"data: [DONE]\n\ndata:\n\ndatum: z\n", ""},
        {"\n\n\ndata: a", "[a]"},
        {"data: a\n", "[a]"},
        {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (size_t step = 1; step < 40; step++)
            assert_string_equal(events(ig_str_view(cases[i][0]), step), cases[i][1]);
}

static void test_the_most(void **state)
{
    (void)state;
    static char text[IG_GATEWAY_EVENT_MAX + 64];
    memset(text, 'x', sizeof text);
    memcpy(text, "data: ", 6);
    memcpy(text + sizeof text - 11, "\ndata: end\n", 11);
    assert_string_equal(events((struct ig_str){text, sizeof text}, 65536), "[end]");
    struct ig_gateway_sse sse;
    struct ig_str piece = {text, sizeof text - 11}, event;
    ig_gateway_sse_init(&sse);
    assert_false(ig_gateway_sse_next(&sse, &piece, &event));
    assert_true(sse.overlong);
    assert_false(ig_gateway_sse_last(&sse, &event));
    assert_int_equal(sse.line.len, 0);
    ig_gateway_sse_deinit(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_pieces),
                                       cmocka_unit_test(test_the_most)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
