/* SPDX-License-Identifier: Apache-2.0 */
/* Hosts, origins, keys and scopes, on a real key table. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/access.h"
#include "api/call_testing.h"
#include "api/route.h"
#include "base/file.h"
#include "stores/db_testing.h"

#include <stdio.h>
#include <stdlib.h>

static struct ig_call_testing test;
static struct ig_str hosts[] = {{"models.example", 14}};
static struct ig_str origins[] = {{"https://console.example", 23}};
static struct ig_route route = {.scope = IG_SCOPE_READ};
static char dir[] = "/tmp/ingot-access-XXXXXX";
static int dirfd = -1;

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    if (!mkdtemp(dir) || ig_dir_open(&dirfd, IG_FILE_CWD, dir, &err) != IG_OK) return -1;
    struct ig_db_options db = ig_db_testing_options(dirfd);
    if (ig_db_open(&test.app.db, &db, &err) != IG_OK) return -1;
    struct ig_auth_options auth = {.db = test.app.db};
    if (ig_auth_open(&test.app.auth, &auth, &err) != IG_OK) return -1;
    struct ig_users_options users = {.db = test.app.db, .fallback = IG_PERMISSION_READ};
    if (ig_users_open(&test.app.users, &users, &err) != IG_OK) return -1;
    test.app.hosts = hosts;
    test.app.hosts_count = 1;
    test.app.origins = origins;
    test.app.origins_count = 1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_users_close(test.app.users);
    ig_auth_close(test.app.auth);
    ig_db_close(test.app.db);
    ig_file_close(&dirfd);
    ig_dir_remove_tree(IG_FILE_CWD, dir, &err);
    ig_call_testing_deinit(&test);
    return 0;
}

static enum ig_code source(const char *host, const char *origin)
{
    ig_call_testing_again(&test);
    test.exchange.request.host = ig_str_view(host);
    if (origin) ig_call_testing_header(&test, "Origin", origin);
    return ig_access_check_source(&test.call);
}

static void test_hosts(void **state)
{
    (void)state;
    static const char *const good[] = {"localhost", "LOCALHOST:8080", "127.0.0.1:1",
                                       "[::1]",     "[::1]:8080",     "models.example:443",
                                       ""};
    static const char *const bad[] = {"evil.example", "127.0.0.1.evil.example", "[::2]:80",
                                      "localhost.evil.example", "127.0.0.2"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (source(good[i], NULL) != IG_OK) fail_msg("%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (source(bad[i], NULL) != IG_DENIED) fail_msg("%s", bad[i]);
        assert_int_equal(test.call.status, 421);
    }
}

static void test_origins(void **state)
{
    (void)state;
    assert_int_equal(source("localhost:8080", "http://localhost:8080"), IG_OK);
    assert_int_equal(source("localhost:8080", "https://console.example"), IG_OK);
    assert_int_equal(source("localhost:8080", "http://localhost:9090"), IG_DENIED);
    assert_int_equal(source("localhost:8080", "http://evil.example"), IG_DENIED);
    assert_int_equal(source("localhost:8080", "null"), IG_DENIED);
    assert_int_equal(source("localhost:8080", ""), IG_DENIED);
}

static enum ig_code scope(unsigned needed, bool loopback, const char *name, const char *value)
{
    ig_call_testing_again(&test);
    route.scope = needed;
    test.call.route = &route;
    test.exchange.request.is_loopback = loopback;
    if (name) ig_call_testing_header(&test, name, value);
    return ig_access_check_scope(&test.call);
}

/* Before the first key loopback is the local user and nobody else is anybody; behind it only keys
 * count. */
static void test_scopes(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_key_created reader, admin;
    char bearer[IG_KEY_TOKEN_SIZE + 8];
    assert_int_equal(scope(IG_SCOPE_ADMIN, true, NULL, NULL), IG_OK);
    assert_string_equal(test.call.who.name, "local");
    assert_int_equal(scope(IG_SCOPE_READ, false, NULL, NULL), IG_UNAUTHENTICATED);
    assert_int_equal(scope(IG_SCOPE_NONE, false, NULL, NULL), IG_OK);
    struct ig_key_spec spec = {.name = IG_STR("reader"), .scopes = IG_SCOPE_READ};
    assert_int_equal(ig_auth_key_create(&reader, test.app.auth, &spec, &err), IG_OK);
    spec = (struct ig_key_spec){.name = IG_STR("admin"), .scopes = IG_SCOPE_ADMIN};
    assert_int_equal(ig_auth_key_create(&admin, test.app.auth, &spec, &err), IG_OK);
    snprintf(bearer, sizeof bearer, "bearer %s", reader.token);
    assert_int_equal(scope(IG_SCOPE_READ, true, NULL, NULL), IG_UNAUTHENTICATED);
    assert_int_equal(scope(IG_SCOPE_READ, false, "Authorization", bearer), IG_OK);
    assert_string_equal(test.call.who.name, "reader");
    assert_int_equal(scope(IG_SCOPE_READ, true, "X-API-Key", reader.token), IG_OK);
    assert_int_equal(scope(IG_SCOPE_READ | IG_SCOPE_TRAIN, true, "X-API-Key", reader.token), IG_OK);
    assert_int_equal(scope(IG_SCOPE_TRAIN, true, "X-API-Key", reader.token), IG_DENIED);
    assert_non_null(strstr(test.call.err.message, "'reader' lacks the scope train"));
    assert_int_equal(scope(IG_SCOPE_TRAIN, true, "X-API-Key", admin.token), IG_OK);
    assert_int_equal(scope(IG_SCOPE_READ, true, "Authorization", "Basic x"), IG_UNAUTHENTICATED);
    assert_int_equal(scope(IG_SCOPE_READ, true, "Authorization", "Bearer "), IG_UNAUTHENTICATED);
    assert_int_equal(scope(IG_SCOPE_READ, true, "X-API-Key", "ig_x"), IG_UNAUTHENTICATED);
}

static bool parses(const char *header, const char *name, const char *password)
{
    struct ig_credentials_given given;
    ig_call_testing_again(&test);
    if (ig_access_parse_basic(&given, ig_str_view(header), test.call.arena, &test.call.err) !=
        IG_OK)
        return false;
    return ig_str_is(given.name, name) && ig_str_is(given.password, password);
}

static void test_basic(void **state)
{
    (void)state;
    char longer[IG_ACCESS_BASIC_MAX + 8];
    assert_true(parses("Basic YWRtaW46cGFzc3dvcmQxMjM0", "admin", "password1234"));
    assert_true(parses("BASIC  YTpiOmM= ", "a", "b:c"));
    assert_true(parses("Basic Og==", "", ""));
    assert_false(parses("Basic YWRtaW4=", "", "")); /* no colon */
    assert_false(parses("Basic !!", "", ""));
    assert_false(parses("Bearer YTpi", "", ""));
    assert_false(parses("Basic", "", ""));
    memset(longer, 'A', sizeof longer);
    memcpy(longer, "Basic ", 6);
    longer[sizeof longer - 1] = '\0';
    assert_false(parses(longer, "", ""));
}

static enum ig_code begin(enum ig_need need, const char *value)
{
    ig_call_testing_again(&test);
    route.scope = IG_SCOPE_READ;
    route.need = need;
    test.call.route = &route;
    test.exchange.request.is_loopback = true;
    test.exchange.request.path = IG_STR("/api/2.0/mlflow/x");
    if (value) ig_call_testing_header(&test, "Authorization", value);
    return ig_access_begin(&test.call);
}

/* With a user the door is closed for whoever is none, keys or no keys; a password that was not seen
 * before leaves the call open, which gRPC does not know. */
static void test_users(void **state)
{
    (void)state;
    static const char ROOT[] = "Basic cm9vdDpjb3JyZWN0IGhvcnNl",
                      ANN[] = "Basic YW5uOmNvcnJlY3QgaG9yc2U=",
                      WRONG[] = "Basic cm9vdDp3cm9uZyBob3JzZQ==";
    struct ig_err err = IG_ERR_INIT;
    struct ig_user_spec spec = {IG_STR("root"), IG_STR("correct horse"), true};
    int64_t id;
    assert_int_equal(ig_user_create(&id, test.app.users, &IG_PRINCIPAL_LOCAL, &spec, &err), IG_OK);
    spec = (struct ig_user_spec){IG_STR("ann"), IG_STR("correct horse"), false};
    assert_int_equal(ig_user_create(&id, test.app.users, &IG_PRINCIPAL_LOCAL, &spec, &err), IG_OK);
    assert_int_equal(begin(IG_NEED_ANYONE, NULL), IG_UNAUTHENTICATED);
    assert_non_null(strstr(test.call.err.message, "You are not authenticated."));
    assert_int_equal(begin(IG_NEED_ANYONE, "Basic !!"), IG_UNAUTHENTICATED);
    assert_int_equal(begin(IG_NEED_ANYONE, WRONG), IG_OK);
    assert_true(ig_access_is_open(&test.call));
    assert_int_equal(ig_access_settle(&test.call), IG_UNAUTHENTICATED);
    assert_int_equal(begin(IG_NEED_KEY, ROOT), IG_OK);
    assert_true(ig_access_is_open(&test.call));
    assert_int_equal(ig_access_settle(&test.call), IG_OK);
    assert_false(ig_access_is_open(&test.call));
    assert_int_equal(begin(IG_NEED_KEY, ROOT), IG_OK); /* known by now */
    assert_false(ig_access_is_open(&test.call));
    assert_int_equal(ig_access_check_scope(&test.call), IG_UNAUTHENTICATED);
    assert_int_equal(begin(IG_NEED_KEY, ANN), IG_OK);
    assert_int_equal(ig_access_settle(&test.call), IG_DENIED);
    assert_int_equal(begin(IG_NEED_KEY, ANN), IG_DENIED);
    assert_int_equal(begin(IG_NEED_ADMIN, ANN), IG_OK);
    assert_true(ig_access_is_open(&test.call));
    assert_int_equal(ig_access_settle(&test.call), IG_DENIED);
    assert_string_equal(test.call.err.message, "Permission denied.");
    assert_int_equal(begin(IG_NEED_ANYONE, ANN), IG_OK);
    assert_int_equal(ig_access_settle(&test.call), IG_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts), cmocka_unit_test(test_origins), cmocka_unit_test(test_scopes),
        cmocka_unit_test(test_basic), cmocka_unit_test(test_users),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
