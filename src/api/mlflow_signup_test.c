/* SPDX-License-Identifier: Apache-2.0 */
/* The page to sign up a user, and its form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_users_testing.h"

#include <stdio.h>

#define FORM "application/x-www-form-urlencoded"
static const char SEND[] = "/api/2.0/mlflow/users/create-ui";

static void expect_page(int status, const char *text)
{
    assert_int_equal(test.exchange.status, status);
    assert_string_equal(test.exchange.content_type, "text/html; charset=utf-8");
    if (!strstr(test.exchange.reply.ptr, text)) fail_msg("%s", test.exchange.reply.ptr);
}

/* The token of a fresh page. */
static const char *fresh_token(void)
{
    static char token[128];
    static const char BEFORE[] = "name=\"csrf_token\" value=\"";
    assert_int_equal(ask("GET", "/signup", ""), IG_OK);
    expect_page(200, BEFORE);
    assert_int_equal(
        sscanf(strstr(test.exchange.reply.ptr, BEFORE) + sizeof BEFORE - 1, "%127[0-9a-f]", token),
        1);
    return token;
}

static void send_form(int status, const char *message, const char *fields)
{
    char form[512];
    snprintf(form, sizeof form, "csrf_token=%s&%s", fresh_token(), fields);
    media_type = FORM;
    assert_int_equal(ask("POST", SEND, form), IG_OK);
    expect_page(status, message);
}

static void test_sign_up(void **state)
{
    (void)state;
    send_form(200, "<p role=\"alert\">Successfully signed up user: b&#60;b&#62; &#38;</p>",
              "username=b%3Cb%3E+%26&password=correct+horse");
    assert_int_equal(ask("GET", "/api/2.0/mlflow/users/get", "username=b%3Cb%3E+%26"), IG_OK);
    send_form(400, "User (username=ann) already exists.", "username=ann&password=correct+horse");
    send_form(400, "Username and password cannot be empty.", "username=eve");
    send_form(400, "12", "username=eve&password=short");
    assert_int_equal(ask("GET", "/api/2.0/mlflow/users/get", "username=eve"), IG_NOT_FOUND);
}

static void test_foreign_forms(void **state)
{
    (void)state;
    static const char FIELDS[] = "username=eve&password=correct+horse";
    char form[512];
    media_type = FORM;
    expect_refusal(IG_INVALID, "POST", SEND, FIELDS);
    assert_string_equal(test.call.err.message, "The CSRF token is missing.");
    expect_refusal(IG_INVALID, "POST", SEND, "csrf_token=%zz");
    snprintf(form, sizeof form, "csrf_token=%s&%s", fresh_token(), FIELDS);
    media_type = "text/plain";
    expect_refusal(IG_INVALID, "POST", SEND, form);
    media_type = FORM;
    caller = ann; /* whose page it was not */
    expect_refusal(IG_INVALID, "POST", SEND, form);
    assert_string_equal(test.call.err.message, "The CSRF token is invalid.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_sign_up, open_api, close_api),
        cmocka_unit_test_setup_teardown(test_foreign_forms, open_api, close_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
