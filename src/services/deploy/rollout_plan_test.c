/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "services/deploy/rollout_plan.h"
#include "stores/temp_testing.h"

#include <stdio.h>
#include <string.h>

static enum ig_code read_plan(struct ig_rollout_plan *plan, const char *text, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_json json;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_json_init(&json, ig_str_view(text), &arena, err);
    ig_rollout_plan_read(plan, &json);
    ig_arena_deinit(&arena);
    return err->code;
}

static const char FULL[] =
    "{\"steps\":[0.5,10,100],\"step_seconds\":60,\"min_answers\":200,\"alpha\":0.01,\"guardrails\":"
    "{\"errors\":{\"max_increase\":0.02},\"latency\":{\"quantile\":0.9,\"max_ratio\":2},"
    "\"score_drift\":{\"max_psi\":0.2},\"metric\":{\"name\":\"sale\",\"max_drop\":0.05}}}";

static void test_reads_and_writes(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_rollout_plan plan;
    struct ig_buf text;
    struct ig_json_out out;
    ig_buf_init(&text, 4096);
    ASSERT_OK(read_plan(&plan, FULL, &err));
    ig_json_out_init(&out, &text);
    ig_rollout_plan_write(&out, &plan);
    ig_buf_add_char(&text, 0);
    assert_string_equal(text.ptr, FULL);
    ig_buf_deinit(&text);
    ASSERT_OK(read_plan(&plan, "{}", &err));
    assert_int_equal(plan.steps_count, 4);
    assert_int_equal(plan.steps[1], 500);
    assert_false(plan.guards_errors);
    static const char *const REFUSED[][2] = {
        {"[]", "rollout"},
        {"{\"step\":[1]}", "rollout: unknown member 'step'"},
        {"{\"steps\":[1,1,100]}", "rollout.steps: 1, expected rising percentages"},
        {"{\"steps\":[1,50]}", "rollout.steps: the last one is to be 100"},
        {"{\"steps\":[1,100.5]}", "rollout.steps: 100.5"},
        {"{\"min_answers\":10}", "rollout.min_answers: 10, expected 100 to"},
        {"{\"alpha\":0.7}", "rollout.alpha: 0.7, expected 1e-06 to 0.5"},
        {"{\"guardrails\":{\"cost\":{}}}", "rollout.guardrails: unknown 'cost'"},
        {"{\"guardrails\":{\"errors\":{\"max\":1}}}",
         "rollout.guardrails.errors: unknown member 'max'"},
        {"{\"guardrails\":{\"latency\":{\"max_ratio\":0.5}}}",
         "rollout.guardrails.latency.max_ratio: 0.5, expected 1 to 1000"},
        {"{\"guardrails\":{\"metric\":{\"max_drop\":1}}}",
         "rollout.guardrails.metric.name: missing"},
    };
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++) {
        ig_err_clear(&err);
        assert_int_equal(read_plan(&plan, REFUSED[i][0], &err), IG_INVALID);
        if (!strstr(err.message, REFUSED[i][1])) fail_msg("%s: %s", REFUSED[i][0], err.message);
    }
}

static struct ig_learned_arm stable, candidate;

static void fill(struct ig_learned_arm *arm, int answers, double error_rate, double slow,
                 double score, double sale, uint64_t seed)
{
    struct ig_rng rng;
    ig_rng_seed(&rng, seed);
    memset(arm, 0, sizeof *arm);
    arm->metrics_count = 1;
    snprintf(arm->metrics[0].name, sizeof arm->metrics[0].name, "sale");
    for (int i = 0; i < answers; i++) {
        arm->answers++;
        if (ig_rng_unit(&rng) < error_rate) {
            arm->errors++;
            continue;
        }
        double seconds = (0.001 + 0.001 * ig_rng_unit(&rng)) * slow;
        ig_moments_add(&arm->latency, seconds);
        ig_sketch_add(&arm->latencies, seconds);
        ig_sketch_add(&arm->scores, score + ig_rng_unit(&rng));
        ig_moments_add(&arm->metrics[0].rewards, ig_rng_unit(&rng) < sale);
    }
}

static void test_judges(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_rollout_plan plan;
    char reason[256];
    ASSERT_OK(read_plan(&plan, FULL, &err));
    fill(&stable, 5000, 0.01, 1, 0, 0.3, 1);
    fill(&candidate, 100, 0.01, 1, 0, 0.3, 2);
    assert_int_equal(ig_rollout_judge(reason, &plan, &stable, &candidate, 1000), IG_ROLLOUT_WAIT);
    fill(&candidate, 5000, 0.01, 1, 0, 0.3, 3);
    assert_int_equal(ig_rollout_judge(reason, &plan, &stable, &candidate, 59), IG_ROLLOUT_WAIT);
    assert_string_equal(reason, "1 more seconds");
    assert_int_equal(ig_rollout_judge(reason, &plan, &stable, &candidate, 60), IG_ROLLOUT_ADVANCE);
    static const struct {
        double error_rate, slow, score, sale;
        const char *reason;
    } BAD[] = {{0.2, 1, 0, 0.3, "errors:"},
               {0.01, 4, 0, 0.3, "latency:"},
               {0.01, 1, 0.6, 0.3, "score_drift:"},
               {0.01, 1, 0, 0.1, "metric sale:"}};
    for (size_t i = 0; i < 4; i++) {
        fill(&candidate, 3000, BAD[i].error_rate, BAD[i].slow, BAD[i].score, BAD[i].sale, 9 + i);
        assert_int_equal(ig_rollout_judge(reason, &plan, &stable, &candidate, 0), IG_ROLLOUT_BACK);
        if (strncmp(reason, BAD[i].reason, strlen(BAD[i].reason)) != 0) fail_msg("%s", reason);
    }
}

/* A candidate no worse than the stable side is sent back in at most alpha of the rollouts, however
 * often one looks. */
static void test_seldom_sends_back_the_innocent(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_rollout_plan plan;
    char reason[256];
    int back = 0;
    struct ig_rng rng;
    ASSERT_OK(
        read_plan(&plan,
                  "{\"guardrails\":{\"errors\":{\"max_increase\":0},\"metric\":{\"name\":\"sale\","
                  "\"max_drop\":0}}}",
                  &err));
    ig_rng_seed(&rng, 4);
    for (int run = 0; run < 200; run++) {
        fill(&stable, 0, 0, 1, 0, 0, 1);
        fill(&candidate, 0, 0, 1, 0, 0, 1);
        for (int i = 0; i < 3000; i++) {
            struct ig_learned_arm *arm = i % 2 ? &stable : &candidate;
            arm->answers++;
            arm->errors += ig_rng_unit(&rng) < 0.05;
            ig_moments_add(&arm->metrics[0].rewards, ig_rng_unit(&rng) < 0.2);
            if (i % 10 == 0 &&
                ig_rollout_judge(reason, &plan, &stable, &candidate, 0) == IG_ROLLOUT_BACK) {
                back++;
                break;
            }
        }
    }
    assert_true(back <= 20); /* two guardrails of one side each, alpha 0.05 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_and_writes),
        cmocka_unit_test(test_judges),
        cmocka_unit_test(test_seldom_sends_back_the_innocent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
