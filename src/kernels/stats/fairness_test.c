/* SPDX-License-Identifier: Apache-2.0 */
/* Fairness against fairlearn 0.15.0 on 600 rows, intervals against published examples and by
 * simulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/stats/fairness.h"

#include <math.h>
#include <string.h>

enum { ROWS = 600 };

static const char GROUPS[] =
    "212010202120012022011210001200112102010011000002201021200020022002002200110101110100011100"
    "000010112100101101000022210012012011110022201101020201221201021010210111200000121121010120"
    "202020000110102012112120212112020200020010212121012200010102020002002011020001100001120002"
    "221212011121000021121211201200021020000201201012010111010011012020210000110002010101101211"
    "120202001120010200102011001002000221101101111000022010120001200021120200221002000120010011"
    "201012022000100021111000202111100110220001002021021100001000000100200011012102100100111022"
    "012101021110000022100200100022010100101021021002201010111012";
static const char LABELS[] =
    "111101011110000101110000011000110100010101000000010100110000100010110111011110001010010110"
    "100001001110000011001100001100101100010101010000001001100011111000100000101101000001001101"
    "010000100011001011010000100010101001010000000010001010111010111100011000101111001100001111"
    "010100001111100010011000101001010011101010110010000100111100000100100100011110100000011001"
    "000101000101100011001010010111110110000001010111101111101001001001110011101100110000000001"
    "010100100000110110001001010100001010001001110100000001000000001011101100111001011010111100"
    "000010101011010011011011110101100100000001000110010101101100";
static const char DECISIONS[] =
    "111111011100000100010000000000110100110100000010010000010000100010110011011110011000000110"
    "100100001110001001111100001100101100000101000000100011100011111000000000101101000001000101"
    "010000100011001011010000000010001001010000000010001011011010111010011000101111001111001100"
    "000100001101100010001000011001010011101110110100001110111100000101010100001110101000011001"
    "000100000101100011001010010111110010000010001011101101100101001001110001101110110000000001"
    "010111100000110110101011000100001010001001110110000001000001001011101110101001011111101110"
    "010010101011010010010001110101100001000001100010010101101100";

struct fixture {
    struct ig_arena arena;
    uint32_t groups[ROWS];
    uint8_t decisions[ROWS];
    double labels[ROWS], scores[ROWS];
    struct ig_fairness_input input;
};

static void open_fixture(struct fixture *x)
{
    memset(x, 0, sizeof *x);
    ig_arena_init(&x->arena, 1 << 14, 1 << 20);
    for (size_t i = 0; i < ROWS; i++) {
        x->groups[i] = (uint32_t)(GROUPS[i] - '0');
        x->decisions[i] = (uint8_t)(DECISIONS[i] - '0');
        x->labels[i] = LABELS[i] - '0';
        x->scores[i] = x->decisions[i] ? 0.75 : 0.25;
    }
    x->input = (struct ig_fairness_input){.rows_count = ROWS,
                                          .groups = x->groups,
                                          .groups_count = 3,
                                          .decisions = x->decisions,
                                          .labels = x->labels,
                                          .scores = x->scores,
                                          .rows_min = 1};
}

static struct ig_fairness_report solve(struct fixture *x)
{
    struct ig_fairness_report report = {0};
    struct ig_err err = IG_ERR_INIT;
    if (ig_fairness_run(&report, &x->input, &x->arena, &err) != IG_OK) fail_msg("%s", err.message);
    return report;
}

static void assert_near(double got, double wanted, double apart)
{
    if (!(fabs(got - wanted) <= apart)) fail_msg("%.17g is not %.17g", got, wanted);
}

/* MetricFrame by group and the six disparities. */
static void test_fairlearn(void **state)
{
    static const double RATES[3][3] = {
        {0.5328467153284672, 0.8601398601398601, 0.17557251908396945},
        {0.34210526315789475, 0.8153846153846154, 0.096},
        {0.27941176470588236, 0.6938775510204082, 0.04597701149425287}};
    static struct fixture x;
    (void)state;
    open_fixture(&x);
    struct ig_fairness_report report = solve(&x);
    for (size_t g = 0; g < 3; g++) {
        assert_near(report.groups[g].selection_rate.value, RATES[g][0], 1e-12);
        assert_near(report.groups[g].true_positive_rate.value, RATES[g][1], 1e-12);
        assert_near(report.groups[g].false_positive_rate.value, RATES[g][2], 1e-12);
    }
    assert_near(report.demographic_parity.difference.value, 0.2534349506225848, 1e-12);
    assert_near(report.demographic_parity.ratio.value, 0.524375503626108, 1e-12);
    assert_near(report.equalized_odds_difference.value, 0.16626230911945195, 1e-12);
    assert_near(report.equalized_odds_ratio.value, 0.2618690654672664, 1e-12);
    assert_near(report.equal_opportunity.difference.value, 0.16626230911945195, 1e-12);
    assert_near(report.equal_opportunity.ratio.value, 0.806703169072507, 1e-12);
    assert_int_equal(report.demographic_parity.most, 0);
    assert_int_equal(report.demographic_parity.least, 2);
    assert_int_equal(report.four_fifths, IG_FAIRNESS_FAIL);
    ig_arena_deinit(&x.arena);
}

/* Wilson's 10 of 100; Newcombe's example (a), method 10: 56/70 - 48/80. */
static void test_intervals(void **state)
{
    static uint32_t groups[150];
    static uint8_t decisions[150];
    struct ig_fairness_rate rate = ig_fairness_rate(10, 100);
    struct ig_fairness_report report;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    (void)state;
    assert_near(rate.low, 0.0552, 1e-4);
    assert_near(rate.high, 0.1744, 1e-4);
    for (size_t i = 0; i < 150; i++) {
        groups[i] = i >= 70;
        decisions[i] = i < 56 || (i >= 70 && i < 118);
    }
    const struct ig_fairness_input input = {
        .rows_count = 150, .groups = groups, .groups_count = 2, .decisions = decisions};
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    assert_int_equal(ig_fairness_run(&report, &input, &arena, &err), IG_OK);
    assert_near(report.demographic_parity.difference.value, 0.2, 1e-12);
    assert_near(report.demographic_parity.difference.low, 0.0524, 1e-4);
    assert_near(report.demographic_parity.difference.high, 0.3339, 1e-4);
    assert_near(report.demographic_parity.ratio.value, 0.75, 1e-12);
    assert_int_equal(report.four_fifths, IG_FAIRNESS_OPEN);
    assert_true(isnan(report.equal_opportunity.difference.value)); /* no labels */
    assert_true(isnan(report.groups[0].brier.value));
    ig_arena_deinit(&arena);
}

/* Of two groups with known rates the intervals hold difference and ratio 93 to 97 times in 100. */
static void test_coverage(void **state)
{
    enum { TRIALS = 2000, EACH = 150 };
    static uint32_t groups[2 * EACH];
    static uint8_t decisions[2 * EACH];
    struct ig_rng rng;
    int differences = 0, ratios = 0;
    struct ig_arena arena;
    (void)state;
    ig_rng_seed(&rng, 9);
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    for (int t = 0; t < TRIALS; t++) {
        struct ig_fairness_report report;
        struct ig_err err = IG_ERR_INIT;
        for (size_t i = 0; i < 2 * EACH; i++) {
            groups[i] = i >= EACH;
            decisions[i] = ig_rng_unit(&rng) < (i < EACH ? 0.7 : 0.3);
        }
        const struct ig_fairness_input input = {
            .rows_count = 2 * EACH, .groups = groups, .groups_count = 2, .decisions = decisions};
        assert_int_equal(ig_fairness_run(&report, &input, &arena, &err), IG_OK);
        const struct ig_fairness_gap *gap = &report.demographic_parity;
        differences += gap->difference.low <= 0.4 && 0.4 <= gap->difference.high;
        ratios += gap->ratio.low <= 3.0 / 7 && 3.0 / 7 <= gap->ratio.high;
        ig_arena_reset(&arena);
    }
    assert_true(differences >= 0.93 * TRIALS && differences <= 0.97 * TRIALS);
    assert_true(ratios >= 0.93 * TRIALS && ratios <= 0.97 * TRIALS);
    ig_arena_deinit(&arena);
}

/* Equalised odds, the worse of two gaps, of gaps that are alike and of ones that are not; and the
 * mean square of what scores are off. */
static void test_worse_gap(void **state)
{
    enum { TRIALS = 2000, EACH = 400 };
    static const double RATES[2][2][2] = {{{0.8, 0.6}, {0.4, 0.2}}, {{0.8, 0.75}, {0.6, 0.2}}};
    static const double WANTED[2][2] = {{0.2, 0.5}, {0.4, 1.0 / 3}}; /* difference, ratio */
    static uint32_t groups[2 * EACH];
    static uint8_t decisions[2 * EACH];
    static double labels[2 * EACH], scores[2 * EACH];
    struct ig_rng rng;
    struct ig_arena arena;
    (void)state;
    ig_rng_seed(&rng, 10);
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    for (int kind = 0; kind < 2; kind++) {
        int differences = 0, ratios = 0, briers = 0;
        for (int t = 0; t < TRIALS; t++) {
            struct ig_fairness_report report;
            struct ig_err err = IG_ERR_INIT;
            for (size_t i = 0; i < 2 * EACH; i++) {
                groups[i] = i >= EACH;
                scores[i] = ig_rng_unit(&rng);
                labels[i] = ig_rng_unit(&rng) < scores[i];
                decisions[i] = ig_rng_unit(&rng) < RATES[kind][labels[i] == 0][groups[i]];
            }
            const struct ig_fairness_input input = {.rows_count = 2 * EACH,
                                                    .groups = groups,
                                                    .groups_count = 2,
                                                    .decisions = decisions,
                                                    .labels = labels,
                                                    .scores = scores};
            assert_int_equal(ig_fairness_run(&report, &input, &arena, &err), IG_OK);
            const struct ig_fairness_rate *odds = &report.equalized_odds_difference,
                                          *ratio = &report.equalized_odds_ratio,
                                          *brier = &report.groups[0].brier;
            assert_true(odds->low <= odds->value && odds->value <= odds->high);
            assert_true(ratio->low <= ratio->value && ratio->value <= ratio->high);
            differences += odds->low <= WANTED[kind][0] && WANTED[kind][0] <= odds->high;
            ratios += ratio->low <= WANTED[kind][1] && WANTED[kind][1] <= ratio->high;
            briers += brier->low <= 1.0 / 6 && 1.0 / 6 <= brier->high;
            ig_arena_reset(&arena);
        }
        assert_true(differences >= 0.93 * TRIALS && differences <= 0.98 * TRIALS);
        assert_true(ratios >= 0.93 * TRIALS && ratios <= 0.98 * TRIALS);
        assert_true(briers >= 0.93 * TRIALS && briers <= 0.97 * TRIALS);
    }
    ig_arena_deinit(&arena);
}

/* How labels come from scores, and the calibration error that it makes. */
struct calibration {
    bool two;     /* scores of 0.25 and 0.75 alone, else of all between 0 and 1 */
    double slope; /* the probability's, about 1/2 */
    double error;
    size_t rows;
};

static struct ig_fairness_rate draw_calibration(const struct calibration *kind, struct ig_rng *rng)
{
    static uint32_t groups[2000];
    static uint8_t decisions[2000];
    static double labels[2000], scores[2000];
    struct ig_fairness_report report;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    for (size_t i = 0; i < kind->rows; i++) {
        double unit = ig_rng_unit(rng);
        scores[i] = !kind->two ? unit : unit < 0.5 ? 0.25 : 0.75;
        labels[i] = ig_rng_unit(rng) < 0.5 + kind->slope * (scores[i] - 0.5);
    }
    const struct ig_fairness_input input = {.rows_count = kind->rows,
                                            .groups = groups,
                                            .groups_count = 1,
                                            .decisions = decisions,
                                            .labels = labels,
                                            .scores = scores};
    assert_int_equal(ig_fairness_run(&report, &input, &arena, &err), IG_OK);
    struct ig_fairness_rate error = report.groups[0].calibration_error;
    ig_arena_deinit(&arena);
    return error;
}

/* The calibration error is within its interval at least 95 times in 100, missed on either side at
 * most half as often: of scores that are right, wrong everywhere, and in between. Where no bin's
 * sign is in doubt it is no wider than a normal one. */
static void test_calibration_error(void **state)
{
    enum { TRIALS = 1500 };
    static const struct calibration KINDS[] = {
        {false, 1, 0, 100},     {false, 1, 0, 2000}, {false, 0.7, 0.075, 500},
        {false, 0, 0.25, 2000}, {true, 1, 0, 500},   {true, -0.4, 0.35, 500},
    };
    struct ig_rng rng;
    (void)state;
    ig_rng_seed(&rng, 12);
    for (size_t k = 0; k < sizeof KINDS / sizeof *KINDS; k++) {
        int above = 0, below = 0;
        double width = 0;
        for (int t = 0; t < TRIALS; t++) {
            struct ig_fairness_rate got = draw_calibration(&KINDS[k], &rng);
            assert_true(got.low >= 0 && got.low <= got.value && got.value <= got.high);
            above += got.low > KINDS[k].error;
            below += got.high < KINDS[k].error;
            width += (got.high - got.low) / TRIALS;
        }
        if (above > 0.034 * TRIALS || below > 0.034 * TRIALS)
            fail_msg("kind %zu: of %d above %d, below %d", k, TRIALS, above, below);
        if (KINDS[k].error != 0.35) continue;
        assert_true(above + below > 0.03 * TRIALS);
        assert_near(width, (1.96 + 2.054) * sqrt(0.24 / 500), 1e-3);
    }
}

/* Unknown labels, small groups, scores: what is counted and compared. */
static void test_parts(void **state)
{
    static struct fixture x;
    size_t size[3] = {0};
    (void)state;
    open_fixture(&x);
    for (size_t i = 0; i < ROWS; i++) size[x.groups[i]]++;
    x.labels[0] = NAN;
    x.input.rows_min = size[2] + 1; /* the third group is too small */
    struct ig_fairness_report report = solve(&x);
    uint32_t first = x.groups[0];
    assert_int_equal(report.groups[first].labelled, report.groups[first].rows - 1);
    assert_false(report.groups[2].compared);
    assert_true(report.demographic_parity.least != 2 && report.demographic_parity.most != 2);
    for (size_t g = 0; g < 3; g++) {
        const struct ig_fairness_group *own = &report.groups[g];
        double selected = (double)own->selected / (double)own->rows;
        assert_near(own->mean_score, 0.25 + 0.5 * selected, 1e-12);
        /* Two bins: of the selected and of the others. */
        size_t negatives = own->labelled - own->positives;
        double chosen = (double)(own->true_positives + own->false_positives);
        double rest = (double)own->labelled - chosen;
        double missed = (double)(own->positives - own->true_positives);
        double error =
            fabs(0.75 * chosen - (double)own->true_positives) + fabs(0.25 * rest - missed);
        assert_near(own->calibration_error.value, error / (double)own->labelled, 1e-12);
        assert_true(own->accuracy.value * (double)own->labelled ==
                    (double)(own->true_positives + negatives - own->false_positives));
        assert_true(own->brier.value > 0 && own->brier.value < 0.57);
        double apart =
            ((double)own->positives - 0.75 * chosen - 0.25 * rest) / (double)own->labelled;
        double spread = sqrt((own->brier.value - apart * apart) / ((double)own->labelled - 1));
        assert_near(own->calibration.value, apart, 1e-12);
        assert_near(own->calibration.high - apart, 1.959963984540054 * spread, 1e-12);
        assert_near(apart - own->calibration.low, 1.959963984540054 * spread, 1e-12);
    }
    ig_arena_deinit(&x.arena);
}

static void test_refusals(void **state)
{
    static struct fixture x;
    struct ig_fairness_report report;
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    open_fixture(&x);
    x.groups[3] = 3;
    assert_int_equal(ig_fairness_run(&report, &x.input, &x.arena, &err), IG_INVALID);
    assert_string_equal(err.message, "row 3: group 3 of 3");
    x.groups[3] = 0;
    x.labels[5] = 2;
    err = IG_ERR_INIT;
    assert_int_equal(ig_fairness_run(&report, &x.input, &x.arena, &err), IG_INVALID);
    x.labels[5] = 1;
    x.decisions[7] = 2;
    err = IG_ERR_INIT;
    assert_int_equal(ig_fairness_run(&report, &x.input, &x.arena, &err), IG_INVALID);
    x.decisions[7] = 0;
    x.input.rows_count = 0;
    err = IG_ERR_INIT;
    assert_int_equal(ig_fairness_run(&report, &x.input, &x.arena, &err), IG_INVALID);
    ig_arena_deinit(&x.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fairlearn),         cmocka_unit_test(test_intervals),
        cmocka_unit_test(test_coverage),          cmocka_unit_test(test_worse_gap),
        cmocka_unit_test(test_calibration_error), cmocka_unit_test(test_parts),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
