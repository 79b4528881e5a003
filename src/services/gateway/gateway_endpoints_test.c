/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints, the models attached to them, and what is bound to them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/gateway/gateway_testing.h"

static void test_endpoints(void **state)
{
    (void)state;
    struct ig_gateway_secret secret = make_secret("key", "sk-secret-1234");
    struct ig_gateway_model one = make_model("one", secret.id), two = make_model("two", secret.id);
    const struct ig_gateway_use uses[] = {{.model = one.id, .weight = 1, .order = -1},
                                          {.model = two.id, .fallback = true, .order = 0}};
    struct ig_gateway_endpoint_spec spec = {.id = IG_STR(""),
                                            .name = IG_STR("e"),
                                            .uses = uses,
                                            .uses_count = 1,
                                            .fallback_attempts = -1,
                                            .tracked = -1,
                                            .experiment = -1};
    struct ig_gateway_endpoint endpoint, again;
    struct ig_gateway_mapping mapping;
    struct ig_tracking_experiment experiment;
    ASSERT_OK(
        ig_gateway_endpoint_put(&endpoint, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    assert_true(endpoint.tracked && !endpoint.has_fallback && endpoint.mappings_count == 1);
    ASSERT_OK(ig_tracking_experiment_get(&experiment, tracking, endpoint.experiment, &arena, &err));
    assert_true(ig_str_is(experiment.name, "gateway/e"));
    ASSERT_FAILS(ig_gateway_endpoint_put(&again, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_EXISTS, "Endpoint with name 'e' already exists");
    spec.name = IG_STR("a b");
    ASSERT_FAILS(ig_gateway_endpoint_put(&again, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_INVALID, "Invalid endpoint name 'a b'.");
    ASSERT_OK(ig_gateway_attach(&mapping, gateway, endpoint.id, &uses[1], &arena, &err));
    assert_true(mapping.fallback && ig_str_is(mapping.model.name, "two"));
    ASSERT_FAILS(ig_gateway_attach(&mapping, gateway, endpoint.id, &uses[1], &arena, &err),
                 IG_EXISTS, "is already attached to endpoint");
    ASSERT_FAILS(ig_gateway_model_delete(gateway, &IG_PRINCIPAL_LOCAL, two.id, &err), IG_CONFLICT,
                 "currently in use by endpoints");
    const struct ig_tracking_pair tag = {IG_STR("k"), IG_STR("v")};
    ASSERT_OK(ig_gateway_tag(gateway, endpoint.id, tag, &err));
    ASSERT_OK(ig_gateway_endpoint_get(&again, gateway, IG_STR(""), IG_STR("e"), &arena, &err));
    assert_true(again.mappings_count == 2 && again.tags.count == 1);
    ASSERT_OK(ig_gateway_untag(gateway, endpoint.id, IG_STR("k"), &err));
    ASSERT_OK(ig_gateway_detach(gateway, endpoint.id, two.id, &err));
    ASSERT_FAILS(ig_gateway_detach(gateway, endpoint.id, two.id, &err), IG_NOT_FOUND,
                 "is not attached to endpoint");
    struct ig_gateway_endpoint_spec change = {.id = endpoint.id,
                                              .name = IG_STR("f"),
                                              .uses = uses,
                                              .uses_count = 2,
                                              .has_fallback = true,
                                              .fallback_strategy = IG_STR("SEQUENTIAL"),
                                              .fallback_attempts = 3,
                                              .tracked = -1,
                                              .experiment = -1};
    ASSERT_OK(ig_gateway_endpoint_put(&again, gateway, &IG_PRINCIPAL_LOCAL, &change, &arena, &err));
    assert_true(ig_str_is(again.name, "f") && again.mappings_count == 2 && again.has_fallback);
    assert_int_equal(again.fallback_attempts, 3);
    assert_int_equal(again.experiment, endpoint.experiment);
    const struct ig_gateway_endpoint *all;
    size_t count;
    ASSERT_OK(ig_gateway_endpoints(&all, &count, gateway, IG_STR("openai"), &arena, &err));
    assert_int_equal(count, 1);
    ASSERT_OK(ig_gateway_endpoints(&all, &count, gateway, IG_STR("other"), &arena, &err));
    assert_int_equal(count, 0);
    ASSERT_OK(ig_gateway_endpoint_delete(gateway, &IG_PRINCIPAL_LOCAL, endpoint.id, &err));
    ASSERT_OK(ig_gateway_model_delete(gateway, &IG_PRINCIPAL_LOCAL, two.id, &err));
    ASSERT_FAILS(ig_gateway_endpoint_get(&again, gateway, endpoint.id, IG_STR(""), &arena, &err),
                 IG_NOT_FOUND, "GatewayEndpoint not found (endpoint_id='e-");
}

static void test_bindings(void **state)
{
    (void)state;
    struct ig_gateway_secret secret = make_secret("key", "sk-secret-1234");
    struct ig_gateway_model one = make_model("one", secret.id);
    const struct ig_gateway_use use = {.model = one.id, .weight = 1, .order = -1};
    const struct ig_gateway_endpoint_spec spec = {.id = IG_STR(""),
                                                  .name = IG_STR("e"),
                                                  .uses = &use,
                                                  .uses_count = 1,
                                                  .fallback_attempts = -1,
                                                  .tracked = 0,
                                                  .experiment = -1};
    struct ig_gateway_endpoint endpoint;
    struct ig_gateway_binding binding;
    const struct ig_gateway_binding *all;
    size_t count;
    ASSERT_OK(
        ig_gateway_endpoint_put(&endpoint, gateway, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    assert_int_equal(endpoint.experiment, -1);
    struct ig_gateway_ask what = {
        .endpoint = endpoint.id, .type = IG_STR("scorer"), .resource = IG_STR("job-1")};
    const struct ig_str nobody = {NULL, 0};
    ASSERT_OK(ig_gateway_bind(&binding, gateway, &what, nobody, &arena, &err));
    ASSERT_FAILS(ig_gateway_bind(&binding, gateway, &what, nobody, &arena, &err), IG_EXISTS,
                 "is bound to endpoint");
    what.resource = IG_STR("job-2");
    ASSERT_OK(ig_gateway_bind(&binding, gateway, &what, nobody, &arena, &err));
    const struct ig_gateway_ask ask = {
        .endpoint = IG_STR(""), .type = IG_STR("scorer"), .resource = IG_STR("job-1")};
    ASSERT_OK(ig_gateway_bindings(&all, &count, gateway, &ask, &arena, &err));
    assert_int_equal(count, 1);
    ASSERT_OK(ig_gateway_unbind(gateway, &what, &err));
    ASSERT_FAILS(ig_gateway_unbind(gateway, &what, &err), IG_NOT_FOUND,
                 "GatewayEndpointBinding not found");
    what.type = IG_STR("other");
    ASSERT_FAILS(ig_gateway_bind(&binding, gateway, &what, nobody, &arena, &err), IG_INVALID,
                 "'other' is not a valid GatewayResourceType");
    what.type = IG_STR("scorer");
    what.endpoint = IG_STR("e-none");
    ASSERT_FAILS(ig_gateway_bind(&binding, gateway, &what, nobody, &arena, &err), IG_NOT_FOUND,
                 "GatewayEndpoint not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_endpoints, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bindings, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
