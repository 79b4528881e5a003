/* SPDX-License-Identifier: Apache-2.0 */
/* Whether a rule can ever win. Each source's values fall into cells within which no test tells two
 * values apart; one value of each cell stands for it, so trying all combinations is exact. The
 * search assigns one source after the other and leaves a branch as soon as the rule is false, or an
 * earlier one true, whatever the rest is (Kleene's three-valued logic). Thread rule: pure. */
#include "services/deploy/rules_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_CHUNK = 64 << 10, ARENA_MAX = 64 << 20, WORK_MAX = 400 * 1000 };

struct cells {
    struct ig_rule_value *values;
    uint32_t count;
};

struct search {
    const struct ig_rules *rules;
    uint32_t rule;
    struct ig_arena arena;
    struct cells cells[IG_RULES_SOURCES_MAX];
    uint16_t order[IG_RULES_SOURCES_MAX]; /* sources as they are assigned */
    uint32_t count;
    const struct ig_rule_value *assigned[IG_RULES_SOURCES_MAX]; /* by source; NULL: not yet */
    uint32_t choice[IG_RULES_SOURCES_MAX];                      /* by place in `order` */
    uint32_t work;
};

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static bool is_number_test(const struct ig_rule_test *test)
{
    return test->kind == IG_RULE_RANGE || test->kind == IG_RULE_NUMBERS;
}

/* Calls for each test of the source in the programs up to the rule. */
static uint32_t each_test(const struct search *search, uint32_t source,
                          void (*each)(void *context, const struct ig_rule_test *test),
                          void *context)
{
    uint32_t count = 0;
    for (uint32_t p = 0; p <= search->rule; p++) {
        const struct ig_rule_program *program = &search->rules->programs[p];
        for (uint32_t i = 0; i < program->ops_count; i++) {
            if (program->ops[i].kind != IG_RULE_TEST) continue;
            const struct ig_rule_test *test = &search->rules->tests[program->ops[i].test];
            if (test->source != source) continue;
            each(context, test);
            count++;
        }
    }
    return count;
}

struct points {
    struct ig_arena *arena;
    double *numbers; /* NULL: only count them */
    struct ig_rule_value *texts;
    size_t count;
};

static void add_number(struct points *points, double number)
{
    if (points->numbers) points->numbers[points->count] = number;
    points->count++;
}

static void add_numbers(void *context, const struct ig_rule_test *test)
{
    if (!is_number_test(test)) return;
    if (test->kind == IG_RULE_RANGE) {
        add_number(context, test->low);
        add_number(context, test->high);
        return;
    }
    for (uint32_t i = 0; i < test->count; i++) add_number(context, test->numbers[i]);
}

/* The points themselves, one value between each two, and one beyond each end. */
static void cut_numbers(struct search *search, uint32_t source)
{
    struct cells *cells = &search->cells[source];
    struct points points = {.arena = &search->arena};
    bool is_code = search->rules->sources[source].feature != NULL;
    each_test(search, source, add_numbers, &points);
    points.numbers = ig_arena_array(&search->arena, points.count + 2, sizeof *points.numbers);
    cells->values = ig_arena_array(&search->arena, 2 * points.count + 4, sizeof *cells->values);
    if (!points.numbers || !cells->values) return;
    points.count = 0;
    each_test(search, source, add_numbers, &points);
    add_number(&points, is_code ? -1 : -INFINITY); /* a category never seen has code -1 */
    if (!is_code) add_number(&points, INFINITY);
    qsort(points.numbers, points.count, sizeof *points.numbers, compare_doubles);
    cells->values[cells->count++] = (struct ig_rule_value){.present = false};
    for (size_t i = 0; i < points.count; i++) {
        double at = points.numbers[i], before = i ? points.numbers[i - 1] : at;
        double between = isfinite(before) && isfinite(at) ? before + (at - before) / 2
                         : isfinite(at)                   ? nextafter(at, -INFINITY)
                                                          : nextafter(before, INFINITY);
        if (i && at == before) continue;
        if (i && !is_code && between != before && between != at)
            cells->values[cells->count++] =
                (struct ig_rule_value){.present = true, .number = between};
        cells->values[cells->count++] = (struct ig_rule_value){.present = true, .number = at};
    }
}

static void add_text(struct points *points, struct ig_str text)
{
    if (points->texts)
        points->texts[points->count] = (struct ig_rule_value){.present = true, .text = text};
    points->count++;
}

/* No text of a rule has a byte 0xff followed by its end: it is not UTF-8. */
static void add_texts(void *context, const struct ig_rule_test *test)
{
    struct points *points = context;
    if (test->kind == IG_RULE_TEXTS)
        for (uint32_t i = 0; i < test->count; i++) add_text(points, test->texts[i]);
    if (test->kind != IG_RULE_PREFIX) return;
    add_text(points, test->texts[0]);
    char *longer = ig_arena_printf(points->arena, "%.*s\xff", IG_STR_ARGS(test->texts[0]));
    add_text(points, ig_str_view(longer));
}

static void cut_texts(struct search *search, uint32_t source)
{
    struct cells *cells = &search->cells[source];
    struct points points = {.arena = &search->arena};
    each_test(search, source, add_texts, &points);
    cells->values = ig_arena_array(&search->arena, points.count + 2, sizeof *cells->values);
    if (!cells->values) return;
    cells->values[0] = (struct ig_rule_value){.present = false};
    cells->values[1] = (struct ig_rule_value){.present = true, .text = IG_STR("\xff")};
    cells->count = (uint32_t)points.count + 2;
    points.count = 0;
    points.texts = cells->values + 2;
    each_test(search, source, add_texts, &points);
}

static void count_only(void *context, const struct ig_rule_test *test)
{
    (void)context;
    (void)test;
}

/* The rule's own sources come first: most branches end there. */
static void order_sources(struct search *search)
{
    bool taken[IG_RULES_SOURCES_MAX] = {false};
    const struct ig_rule_program *own = &search->rules->programs[search->rule];
    for (uint32_t i = 0; i < own->ops_count; i++) {
        if (own->ops[i].kind != IG_RULE_TEST) continue;
        uint16_t source = search->rules->tests[own->ops[i].test].source;
        if (!taken[source]) search->order[search->count++] = source;
        taken[source] = true;
    }
    for (uint32_t i = 0; i < search->rules->sources_count; i++)
        if (!taken[i] && each_test(search, i, count_only, NULL))
            search->order[search->count++] = (uint16_t)i;
}

/* Bits of what a program may be, the sources not yet assigned being anything. */
enum { MAY_BE_TRUE = 1, MAY_BE_FALSE = 2 };

static unsigned judge(struct search *search, const struct ig_rule_program *program)
{
    uint64_t can_be = 0, cannot_be = 0; /* stacks: may be true; may be false */
    search->work += program->ops_count;
    for (uint32_t i = 0; i < program->ops_count; i++) {
        const struct ig_rule_op op = program->ops[i];
        uint64_t can = can_be & 1, cannot = cannot_be & 1;
        if (op.kind == IG_RULE_TEST) {
            const struct ig_rule_test *test = &search->rules->tests[op.test];
            const struct ig_rule_value *value = search->assigned[test->source];
            bool holds = value && ig_rule_test_holds(test, value);
            can_be = can_be << 1 | (!value || holds);
            cannot_be = cannot_be << 1 | (!value || !holds);
        } else if (op.kind == IG_RULE_NOT) {
            can_be ^= can ^ cannot;
            cannot_be ^= can ^ cannot;
        } else if (op.kind == IG_RULE_AND) {
            can_be = can_be >> 1 & (~(uint64_t)1 | can);
            cannot_be = cannot_be >> 1 | cannot;
        } else {
            can_be = can_be >> 1 | can;
            cannot_be = cannot_be >> 1 & (~(uint64_t)1 | cannot);
        }
    }
    return (can_be & 1 ? MAY_BE_TRUE : 0) | (cannot_be & 1 ? MAY_BE_FALSE : 0);
}

enum verdict { WINS, LOSES, OPEN };

static enum verdict judge_all(struct search *search)
{
    unsigned own = judge(search, &search->rules->programs[search->rule]);
    bool open = own == (MAY_BE_TRUE | MAY_BE_FALSE);
    if (own == MAY_BE_FALSE) return LOSES;
    for (uint32_t i = 0; i < search->rule; i++) {
        unsigned earlier = judge(search, &search->rules->programs[i]);
        if (earlier == MAY_BE_TRUE) return LOSES;
        open = open || earlier != MAY_BE_FALSE;
    }
    return open ? OPEN : WINS;
}

static void assign(struct search *search, uint32_t place)
{
    uint16_t source = search->order[place];
    search->assigned[source] = &search->cells[source].values[search->choice[place]];
}

static bool run(struct search *search)
{
    uint32_t depth = 0;
    for (;;) {
        enum verdict verdict = judge_all(search);
        if (verdict == WINS || search->work > WORK_MAX) return true;
        if (verdict == OPEN && depth < search->count) {
            search->choice[depth] = 0;
            assign(search, depth++);
            continue;
        }
        for (;;) { /* the next value of the deepest source that has one */
            if (!depth) return false;
            uint16_t source = search->order[--depth];
            search->assigned[source] = NULL;
            if (++search->choice[depth] < search->cells[source].count) break;
        }
        assign(search, depth++);
    }
}

enum ig_code ig_rules_is_live(bool *out, const struct ig_rules *rules, uint32_t rule,
                              struct ig_err *err)
{
    struct search search = {.rules = rules, .rule = rule};
    ig_arena_init(&search.arena, ARENA_CHUNK, ARENA_MAX);
    order_sources(&search);
    for (uint32_t i = 0; i < search.count; i++) {
        uint16_t source = search.order[i];
        if (rules->sources[source].is_text)
            cut_texts(&search, source);
        else
            cut_numbers(&search, source);
    }
    if (search.arena.overflowed)
        ig_fail(err, IG_NO_MEMORY, "rules");
    else
        *out = run(&search);
    ig_arena_deinit(&search.arena);
    return err->code;
}
