/* SPDX-License-Identifier: Apache-2.0 */
/* Scorers by the bodies that clients send. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_world_testing.h"

#include <stdio.h>
#include <string.h>

#define OF "\"experiment_id\":\"0\",\"name\":\"s\""

static enum ig_code add_endpoint(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    (void)context;
    return ig_db_exec(tx,
                      "insert into gateway_endpoints(id, name, fallback, tracked, created_ms,"
                      " updated_ms) values('e-1', 'e', 0, 0, 1, 1)",
                      NULL, 0, inner);
}

static void test_scorers(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    char body[128];
    open_world();
    ASSERT_OK(ig_db_write(world.db, add_endpoint, NULL, &err));
    expect(ig_mlflow_scorer_register,
           "{" OF ",\"serialized_scorer\":\"{\\\"builtin_scorer_pydantic_data\\\":"
           " {\\\"model\\\": \\\"gateway:/e\\\"}}\"}",
           "{\"version\":1,\"scorer_id\":\"");
    snprintf(id, sizeof id, "%.36s", strstr(test.exchange.reply.ptr, "scorer_id\":\"") + 12);
    expect(ig_mlflow_scorer_register, "{" OF "}", "required parameter 'serialized_scorer'");
    expect(ig_mlflow_scorer_register,
           "{\"experiment_id\":\"x\",\"name\":\"s\","
           "\"serialized_scorer\":\"{}\"}",
           "x");
    expect(ig_mlflow_scorer_get, "{" OF "}",
           "{\"scorer\":{\"experiment_id\":0,\"scorer_name\":\"s\",\"scorer_version\":1,");
    expect(ig_mlflow_scorer_get, "{" OF ",\"version\":2}", "and version 2 not found");
    expect(ig_mlflow_scorer_versions, "{" OF "}", "{\"scorers\":[{\"experiment_id\":0,");
    expect(ig_mlflow_scorer_list, "{}", "{\"scorers\":[{");
    expect(ig_mlflow_scorer_list, "{\"experiment_ids\":[\"7\"]}", "{}");
    expect(ig_mlflow_scorer_list, "{\"experiment_id\":\"7\"}", "No Experiment with id=7");
    expect(ig_mlflow_scorer_list, "{\"experiment_id\":\"0\",\"experiment_ids\":[\"0\"]}",
           "Cannot specify both 'experiment_id' and 'experiment_ids'.");
    expect(ig_mlflow_scorer_config_put,
           "{" OF ",\"sample_rate\":0.25,\"filter_string\":\"status = 'OK'\"}",
           "\"sample_rate\":0.25,\"experiment_id\":\"0\",\"filter_string\":\"status = 'OK'\"}}");
    expect(ig_mlflow_scorer_config_put, "{" OF "}", "required parameter 'sample_rate'");
    snprintf(body, sizeof body, "{\"scorer_ids\":[\"%s\",\"x\"]}", id);
    expect(ig_mlflow_scorer_configs, body, "{\"configs\":[{\"online_scoring_config_id\":\"");
    expect(ig_mlflow_scorer_configs, "{\"scorer_ids\":[\"x\"]}", "{\"configs\":[]}");
    expect(ig_mlflow_scorer_configs, "{}", "required parameter 'scorer_ids'");
    expect(ig_mlflow_scorer_delete, "{" OF ",\"version\":\"1\"}", "{}");
    expect(ig_mlflow_scorer_list, "{}", "{}");
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_scorers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
