/* SPDX-License-Identifier: Apache-2.0 */
/* The page on which MLflow's administrators sign up users. It has no style, script or picture:
 * the headers of every answer forbid them. */
#include "api/form_token.h"
#include "api/mlflow_request.h"
#include "api/route.h"
#include "base/clock.h"

#define CREATE "/api/2.0/mlflow/users/create-ui"

static void add_escaped(struct ig_buf *out, struct ig_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '<' || c == '>' || c == '&' || c == '"' || c == '\'')
            ig_buf_printf(out, "&#%d;", c);
        else
            ig_buf_add_char(out, c);
    }
}

/* A form that names no referrer has the origin "null", which is nobody's: so the page says
 * otherwise than its header. */
static enum ig_code reply_page(struct ig_call *call, struct ig_str message)
{
    char token[IG_FORM_TOKEN_SIZE];
    struct ig_buf *page = &call->exchange->reply;
    ig_form_token_new(token, call->app->form_key, &call->who, ig_clock_unix_ms());
    call->exchange->content_type = "text/html; charset=utf-8";
    ig_buf_add_cstr(page, "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
                          "<meta name=\"referrer\" content=\"same-origin\">\n"
                          "<title>Sign up a user</title>\n<h1>Sign up a user</h1>\n");
    if (message.len) {
        ig_buf_add_cstr(page, "<p role=\"alert\">");
        add_escaped(page, message);
        ig_buf_add_cstr(page, "</p>\n");
    }
    ig_buf_add_cstr(page, "<form action=\"" CREATE "\" method=\"post\">\n");
    ig_buf_printf(page, "<input type=\"hidden\" name=\"csrf_token\" value=\"%s\">\n", token);
    ig_buf_printf(page,
                  "<p><label for=\"username\">Username:</label>\n"
                  "<input type=\"text\" id=\"username\" name=\"username\" maxlength=\"%d\""
                  " autocomplete=\"off\" required></p>\n"
                  "<p><label for=\"password\">Password:</label>\n"
                  "<input type=\"password\" id=\"password\" name=\"password\" minlength=\"%d\""
                  " autocomplete=\"new-password\" required></p>\n"
                  "<p><input type=\"submit\" value=\"Sign up\"></p>\n</form>\n</html>\n",
                  IG_USER_NAME_MAX, IG_PASSWORD_MIN);
    return IG_OK;
}

enum ig_code ig_mlflow_signup(struct ig_call *call)
{
    return reply_page(call, IG_STR(""));
}

static enum ig_code read_form(struct ig_str *out, struct ig_call *call, const char *name)
{
    *out = IG_STR("");
    enum ig_code code = ig_http_query_get(out, call->arena, call->exchange->body, name, &call->err);
    return code == IG_NOT_FOUND ? IG_OK : code;
}

/* MLflow's server shows what is wrong in the browser and leads back to the page. */
static enum ig_code refuse(struct ig_call *call)
{
    call->exchange->status =
        call->err.code == IG_EXISTS ? 400 : ig_code_http_status(call->err.code);
    struct ig_str message = ig_arena_dup(call->arena, ig_str_view(call->err.message));
    ig_err_clear(&call->err);
    return reply_page(call, message);
}

enum ig_code ig_mlflow_signup_send(struct ig_call *call)
{
    struct ig_user_spec spec = {0};
    struct ig_str token;
    int64_t id = 0;
    struct ig_str type = ig_http_header(&call->exchange->request, IG_STR("content-type"));
    bool form = ig_str_eq_nocase(ig_str_trim(ig_str_cut(&type, ';')),
                                 IG_STR("application/x-www-form-urlencoded"));
    if (form && read_form(&token, call, "csrf_token") != IG_OK) return call->err.code;
    if (ig_form_token_check(form ? token : IG_STR(""), call->app->form_key, &call->who,
                            ig_clock_unix_ms(), &call->err) != IG_OK)
        return call->err.code;
    if (read_form(&spec.name, call, "username") != IG_OK ||
        read_form(&spec.password, call, "password") != IG_OK)
        return call->err.code;
    if (!spec.name.len || !spec.password.len)
        ig_fail(&call->err, IG_INVALID, "Username and password cannot be empty.");
    else
        ig_user_create(&id, call->app->users, &call->who, &spec, &call->err);
    if (call->err.code != IG_OK)
        return ig_code_http_status(call->err.code) < 500 ? refuse(call) : call->err.code;
    return reply_page(call,
                      ig_str_view(ig_arena_printf(call->arena, "Successfully signed up user: %.*s",
                                                  IG_STR_ARGS(spec.name))));
}
