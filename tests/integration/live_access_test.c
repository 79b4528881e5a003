/* SPDX-License-Identifier: Apache-2.0 */
/* Every route of the table against every kind of caller: without a key, with a key of each scope,
 * with a revoked and a broken one. What the table says is what happens, and nothing is open that
 * the table does not open. */
#include "support/live.h"

#include "base/file.h"
#include "services/audit/audit.h"
#include "stores/db_testing.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct row {
    const char *method, *path;
    unsigned scope;
} routes[] = {
#define IG_SCOPE_NONE 0
#define IG_SCOPE_DEVICE (1u << 30) /* no key at all opens it */
#define IG_ROUTE(method, path, scope, class, cap, handler, request, reply, doc)                    \
    {method, path, IG_SCOPE_##scope},
#include "api/routes.def"
#undef IG_ROUTE
};

enum { ROUTES = sizeof routes / sizeof routes[0] };

static struct live live;
static char keys[IG_SCOPES_COUNT][IG_KEY_TOKEN_SIZE];
static char revoked[IG_KEY_TOKEN_SIZE];

static void use_key(const char *key)
{
    struct ig_err err = IG_ERR_INIT;
    ig_client_free(live.client);
    snprintf(live.headers, sizeof live.headers, *key ? "Authorization: Bearer %s\r\n" : "%s", key);
    struct ig_client_options options = {.headers = *key ? live.headers : NULL};
    assert_int_equal(ig_client_new(&live.client, live.url, &options, &err), IG_OK);
}

static void make_key(char token[IG_KEY_TOKEN_SIZE], char id[64], const char *scope)
{
    char body[128];
    snprintf(body, sizeof body, "{\"name\":\"%s\",\"scopes\":[\"%s\"]}", scope, scope);
    if (live_call(&live, "POST", "/api/v1/keys", body) != 201) fail_msg("%s", live_body(&live));
    snprintf(token, IG_KEY_TOKEN_SIZE, "%s", live_text(&live, "key"));
    snprintf(id, 64, "%s", live_text(&live, "id"));
}

static int setup(void **state)
{
    (void)state;
    char id[64], path[128];
    live_make(&live);
    live_start(&live, NULL);
    /* The first key must be able to manage the others. */
    assert_int_equal(
        live_call(&live, "POST", "/api/v1/keys", "{\"name\":\"a\",\"scopes\":[\"read\"]}"), 409);
    make_key(keys[IG_SCOPE_BIT_ADMIN], id, "admin");
    use_key(keys[IG_SCOPE_BIT_ADMIN]);
    for (unsigned bit = 0; bit < IG_SCOPES_COUNT; bit++)
        if (bit != IG_SCOPE_BIT_ADMIN)
            make_key(keys[bit], id, ig_scope_name((enum ig_scope_bit)bit));
    make_key(revoked, id, "admin");
    snprintf(path, sizeof path, "/api/v1/keys/%s", id);
    assert_int_equal(live_call(&live, "DELETE", path, NULL), 200);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* The template with words for its parameters. */
static const char *concrete(const char *path)
{
    static char text[256];
    size_t length = 0;
    for (; *path && length + 1 < sizeof text; path++) {
        if (*path == '{') {
            path = strchr(path, '}');
            text[length++] = 'x';
        } else {
            text[length++] = *path;
        }
    }
    text[length] = '\0';
    return text;
}

static void expect(const struct row *row, const char *who, bool allowed, int refusal)
{
    int status = live_call(&live, row->method, concrete(row->path), NULL);
    bool refused = status == 401 || status == 403;
    if (allowed ? refused : status != refusal)
        fail_msg("%s %s as %s: %d %s", row->method, row->path, who, status, live_body(&live));
}

static void expect_all(const char *who, const char *key, unsigned scopes, int refusal)
{
    use_key(key);
    for (size_t i = 0; i < ROUTES; i++) {
        if (routes[i].scope == IG_SCOPE_DEVICE) {
            expect(&routes[i], who, false, 401);
            continue;
        }
        bool allowed = !routes[i].scope || (routes[i].scope & scopes) || (scopes & IG_SCOPE_ADMIN);
        expect(&routes[i], who, allowed, refusal);
    }
}

static void test_without_key(void **state)
{
    (void)state;
    expect_all("nobody", "", 0, 401);
}

static void test_wrong_keys(void **state)
{
    (void)state;
    char broken[IG_KEY_TOKEN_SIZE];
    expect_all("a revoked key", revoked, 0, 401);
    snprintf(broken, sizeof broken, "%s", keys[IG_SCOPE_BIT_ADMIN]);
    broken[40] = broken[40] == '0' ? '1' : '0';
    expect_all("a broken key", broken, 0, 401);
    expect_all("rubbish", "ig_x", 0, 401);
}

static void test_each_scope(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < IG_SCOPES_COUNT; bit++)
        expect_all(ig_scope_name((enum ig_scope_bit)bit), keys[bit], 1u << bit, 403);
}

static int status_with(const char *headers)
{
    struct ig_client_call call = {.method = "GET", .path = "/api/v1/models", .headers = headers};
    return live_send(&live, &call);
}

static void test_source(void **state)
{
    (void)state;
    char header[256];
    use_key("");
    assert_int_equal(status_with("Origin: http://evil.example\r\n"), 403);
    assert_int_equal(status_with("Origin: null\r\n"), 403);
    snprintf(header, sizeof header, "Origin: %s\r\nX-API-Key: %s\r\n", live.url,
             keys[IG_SCOPE_BIT_READ]);
    assert_int_equal(status_with(header), 200);
    assert_null(strstr(live_body(&live), keys[IG_SCOPE_BIT_READ]));
}

/* Keys outlive kill -9, secrets are nowhere on disk. */
static void test_after_kill(void **state)
{
    (void)state;
    struct live_run run = {0};
    live_stop(&live, SIGKILL);
    live.headers[0] = '\0';
    live_start(&live, NULL);
    expect_all("nobody", "", 0, 401);
    expect_all("admin", keys[IG_SCOPE_BIT_ADMIN], IG_SCOPE_ADMIN, 0);
    live_stop(&live, SIGTERM);
    live_run(&run, NULL,
             (const char *const[]){"key", "list", "--data", live_path(&live, "data"), NULL});
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "revoked"));
    live_start(&live, NULL);
}

static struct live_run run;

static const char *create_key(const char *name, bool offline)
{
    static char id[IG_ID_SIZE];
    const char *const local[] = {"key", "create", name, "--data", live_path(&live, "data"), NULL},
                      *const remote[] = {
                          "key", "create", name, "--key-file", live_path(&live, "admin"), NULL};
    live_run(&run, &live, offline ? local : remote);
    if (run.code != 0) fail_msg("%s", run.err);
    snprintf(id, sizeof id, "%s", run.out + strlen("ig_")); /* ig_ID.SECRET */
    return id;
}

static void revoke_key(const char *id, bool offline, int code)
{
    const char *const local[] = {"key", "revoke", id, "--data", live_path(&live, "data"), NULL},
                      *const remote[] = {
                          "key", "revoke", id, "--key-file", live_path(&live, "admin"), NULL};
    live_run(&run, &live, offline ? local : remote);
    if (run.code != code) fail_msg("exit code %d: %s", run.code, run.err);
}

static void expect_entry(const struct ig_audit_entry *entry, const char *action, const char *id,
                         const char *who)
{
    if (!ig_str_is(entry->action, action) || !ig_str_is(entry->object, id) ||
        !ig_str_is(entry->principal_name, who))
        fail_msg("'%.*s' of '%.*s' by '%.*s', expected '%s' of '%s' by '%s'",
                 IG_STR_ARGS(entry->action), IG_STR_ARGS(entry->object),
                 IG_STR_ARGS(entry->principal_name), action, id, who);
}

static size_t count_acts(const struct ig_audit_list *list, struct ig_str prefix)
{
    size_t count = 0;
    for (size_t i = 0; i < list->count; i++) count += ig_str_starts(list->items[i].action, prefix);
    return count;
}

/* Keys made and revoked through the server and beside it are on record, with who did it; a
 * revocation that was refused is not. */
static void test_audit(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_audit_list list;
    struct ig_arena arena;
    struct ig_db *db = NULL;
    char remote[IG_ID_SIZE], local[IG_ID_SIZE];
    int dirfd = -1;
    live_write(&live, "admin", keys[IG_SCOPE_BIT_ADMIN]);
    snprintf(remote, sizeof remote, "%s", create_key("remote", false));
    revoke_key(remote, false, 0);
    revoke_key("00000000000000000000000000", false, 1);
    live_stop(&live, SIGTERM);
    snprintf(local, sizeof local, "%s", create_key("local", true));
    revoke_key(local, true, 0);

    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_dir_open(&dirfd, IG_FILE_CWD, live_path(&live, "data"), &err), IG_OK);
    struct ig_db_options options = ig_db_testing_options(dirfd);
    assert_int_equal(ig_db_open(&db, &options, &err), IG_OK);
    assert_int_equal(ig_audit_verify(db, &err), IG_OK);
    assert_int_equal(ig_audit_list(&list, db, &arena, 0, 100, &err), IG_OK);
    /* Before: a key of each scope, one more and its revocation; then the artifact "x", which those
     * who may wrote and deleted: admin, write and, after the kill, admin did both, train wrote. */
    size_t artifacts = count_acts(&list, IG_STR("artifact."));
    assert_int_equal(artifacts, 3 * 2 + 1);
    assert_int_equal(list.count, IG_SCOPES_COUNT + 2 + artifacts + 4);
    expect_entry(&list.items[0], "key.revoke", local, "local");
    expect_entry(&list.items[1], "key.create", local, "local");
    expect_entry(&list.items[2], "key.revoke", remote, "admin");
    expect_entry(&list.items[3], "key.create", remote, "admin");
    assert_true(ig_str_is(list.items[4 + artifacts].action, "key.revoke"));
    ig_db_close(db);
    ig_file_close(&dirfd);
    ig_arena_deinit(&arena);
    live_start(&live, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_key), cmocka_unit_test(test_wrong_keys),
        cmocka_unit_test(test_each_scope),  cmocka_unit_test(test_source),
        cmocka_unit_test(test_after_kill),  cmocka_unit_test(test_audit),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
