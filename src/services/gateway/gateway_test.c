/* SPDX-License-Identifier: Apache-2.0 */
/* Secrets, models, and a passphrase that is another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "services/gateway/gateway_testing.h"

#include <string.h>

struct row {
    struct ig_str text;
};

static enum ig_code read_sealed(struct ig_db_tx *tx, void *context, struct ig_err *error)
{
    struct row *row = context;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select sealed from gateway_secrets", NULL, 0, error) != IG_OK)
        return error->code;
    if (ig_db_next(rows, error)) row->text = ig_db_text_dup(rows, 0, &arena);
    ig_db_finish(rows);
    return error->code;
}

static void test_a_secret(void **state)
{
    (void)state;
    struct ig_gateway_secret made = make_secret("key", "sk-secret-1234"), found;
    struct row row = {IG_STR("")};
    assert_true(ig_str_is(made.values.items[0].value, "sk-...1234"));
    assert_null(made.provider.ptr);
    ASSERT_OK(ig_gateway_secret_get(&found, gateway, made.id, &arena, &err));
    assert_true(ig_str_is(found.values.items[0].value, "sk-...1234"));
    ASSERT_OK(ig_db_read(db, read_sealed, &row, &err));
    assert_true(row.text.len > 40);
    assert_null(strstr(row.text.ptr, "secret"));
    make_secret("short", "1234567");
    const struct ig_gateway_secret *all;
    size_t count;
    ASSERT_OK(ig_gateway_secrets(&all, &count, gateway, IG_STR(""), &arena, &err));
    assert_int_equal(count, 2);
    bool starred = ig_str_is(all[0].values.items[0].value, "***") ||
                   ig_str_is(all[1].values.items[0].value, "***");
    assert_true(starred);
    ASSERT_OK(ig_gateway_secrets(&all, &count, gateway, IG_STR("openai"), &arena, &err));
    assert_int_equal(count, 0);
    const struct ig_tracking_pair pair = {IG_STR("token"), IG_STR("\xC3\xBC\xC3\xBC\xC3\xBC-9876")};
    const struct ig_tracking_pairs values = {&pair, 1}, none = {NULL, 0};
    const struct ig_gateway_secret_spec again = {
        .id = IG_STR(""), .name = IG_STR("key"), .values = &values};
    ASSERT_FAILS(ig_gateway_secret_put(&found, gateway, &IG_PRINCIPAL_LOCAL, &again, &arena, &err),
                 IG_EXISTS, "Secret with name 'key' already exists");
    const struct ig_gateway_secret_spec change = {
        .id = made.id, .values = &values, .config = &none, .by = IG_STR("me")};
    ASSERT_OK(ig_gateway_secret_put(&found, gateway, &IG_PRINCIPAL_LOCAL, &change, &arena, &err));
    assert_true(ig_str_is(found.values.items[0].value, "\xC3\xBC\xC3\xBC\xC3\xBC...9876"));
    assert_true(ig_str_is(found.marks.updated_by, "me"));
    ASSERT_OK(ig_gateway_secret_delete(gateway, &IG_PRINCIPAL_LOCAL, made.id, &err));
    ASSERT_FAILS(ig_gateway_secret_delete(gateway, &IG_PRINCIPAL_LOCAL, made.id, &err),
                 IG_NOT_FOUND, "GatewaySecret not found (secret_id='s-");
}

static void test_the_key_stays_the_same(void **state)
{
    (void)state;
    const struct ig_tracking_pair pair = {IG_STR("api_key"), IG_STR("value")};
    const struct ig_tracking_pairs values = {&pair, 1};
    const struct ig_gateway_secret_spec spec = {
        .id = IG_STR(""), .name = IG_STR("b"), .values = &values};
    struct ig_gateway_secret made;
    assert_true(ig_gateway_has_own_key(gateway));
    make_secret("a", "sk-secret-1234");
    ig_gateway_close(gateway);
    open_gateway();
    make_secret("c", "sk-secret-1234");
    ig_gateway_close(gateway);
    ASSERT_OK(ig_file_replace(temp.fd, "secrets.key", IG_STR("another"), &err));
    open_gateway();
    ASSERT_FAILS(ig_gateway_secret_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_DENIED, "the passphrase is not the one");
    ig_gateway_close(gateway);
    ASSERT_OK(ig_file_replace(temp.fd, "secrets.key", IG_STR("\nsecond line"), &err));
    open_gateway();
    ASSERT_FAILS(ig_gateway_secret_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_INVALID, "its first line is empty");
    ig_gateway_close(gateway);
    const struct ig_gateway_options missing = {.db = db,
                                               .tracking = tracking,
                                               .dirfd = temp.fd,
                                               .passphrase_file = "/nonexistent/passphrase"};
    ASSERT_OK(ig_gateway_open(&gateway, &missing, &err));
    assert_false(ig_gateway_has_own_key(gateway));
    ASSERT_FAILS(ig_gateway_secret_put(&made, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_NOT_FOUND, "secrets_passphrase_file");
}

static void test_models(void **state)
{
    (void)state;
    struct ig_gateway_secret secret = make_secret("key", "sk-secret-1234");
    struct ig_gateway_model model = make_model("m", secret.id), found;
    assert_true(ig_str_is(model.secret_name, "key"));
    const struct ig_gateway_model_spec change = {
        .id = model.id, .provider = IG_STR("anthropic"), .model = IG_STR("claude")};
    ASSERT_OK(ig_gateway_model_put(&found, gateway, &IG_PRINCIPAL_LOCAL, &change, &arena, &err));
    assert_true(ig_str_is(found.provider, "anthropic") && ig_str_is(found.name, "m"));
    ASSERT_OK(ig_gateway_secret_delete(gateway, &IG_PRINCIPAL_LOCAL, secret.id, &err));
    ASSERT_OK(ig_gateway_model_get(&found, gateway, model.id, &arena, &err));
    assert_true(!found.secret.ptr && !found.secret_name.ptr);
    const struct ig_gateway_model_spec bad = {.id = IG_STR(""),
                                              .name = IG_STR("n"),
                                              .secret = IG_STR("s-none"),
                                              .provider = IG_STR("groq"),
                                              .model = IG_STR("m")};
    ASSERT_FAILS(ig_gateway_model_put(&found, gateway, &IG_PRINCIPAL_LOCAL, &bad, &arena, &err),
                 IG_NOT_FOUND, "GatewaySecret not found (secret_id='s-none')");
    const struct ig_gateway_model *all;
    const struct ig_gateway_ask ask = {.provider = IG_STR("anthropic"), .secret = IG_STR("")};
    size_t count;
    ASSERT_OK(ig_gateway_models(&all, &count, gateway, &ask, &arena, &err));
    assert_int_equal(count, 1);
    ASSERT_OK(ig_gateway_model_delete(gateway, &IG_PRINCIPAL_LOCAL, model.id, &err));
    ASSERT_FAILS(ig_gateway_model_get(&found, gateway, model.id, &arena, &err), IG_NOT_FOUND,
                 "GatewayModelDefinition not found (model_definition_id='d-");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_secret, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_key_stays_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(test_models, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
