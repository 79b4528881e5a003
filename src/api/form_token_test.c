/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/form_token.h"

static const unsigned char KEY[IG_SHA256_BYTES] = "key", OTHER[IG_SHA256_BYTES] = "other";
static const struct ig_principal ANN = {.id = "user:1"}, BOB = {.id = "user:2"};
static const int64_t NOW_MS = 1790000000000;

static void expect(const char *message, struct ig_str token, const unsigned char *key,
                   const struct ig_principal *who, int64_t now_ms)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_code code = ig_form_token_check(token, key, who, now_ms, &err);
    assert_int_equal(code, *message ? IG_INVALID : IG_OK);
    assert_string_equal(err.message, message);
}

static void test_tokens(void **state)
{
    (void)state;
    char text[IG_FORM_TOKEN_SIZE];
    ig_form_token_new(text, KEY, &ANN, NOW_MS);
    struct ig_str token = ig_str_view(text);
    assert_int_equal(token.len, IG_FORM_TOKEN_SIZE - 1);
    expect("", token, KEY, &ANN, NOW_MS + IG_FORM_TOKEN_LIFE_MS - 1);
    expect("The CSRF token has expired.", token, KEY, &ANN, NOW_MS + IG_FORM_TOKEN_LIFE_MS);
    expect("The CSRF token is invalid.", token, KEY, &BOB, NOW_MS);
    expect("The CSRF token is invalid.", token, OTHER, &ANN, NOW_MS);
    expect("The CSRF token is missing.", IG_STR(""), KEY, &ANN, NOW_MS);
    for (size_t length = 1; length < token.len; length++)
        expect("The CSRF token is invalid.", (struct ig_str){text, length}, KEY, &ANN, NOW_MS);
    for (size_t i = 0; i < token.len; i++) {
        char was = text[i];
        text[i] = was == 'f' ? 'e' : 'f'; /* another time, or another MAC */
        expect("The CSRF token is invalid.", token, KEY, &ANN, NOW_MS);
        text[i] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
