/* SPDX-License-Identifier: Apache-2.0 */
/* Rules as they run. All memory is the arena of the struct; nothing changes after ig_rules_new. */
#include "services/deploy/rules_priv.h"

#include "base/mem.h"

#include <math.h>

enum { ARENA_CHUNK = 8 << 10, ARENA_MAX = 16 << 20 };

enum ig_code ig_rules_new(struct ig_rules **out, const struct ig_rules_spec *spec,
                          struct ig_err *err)
{
    if (spec->texts_count > IG_RULES_MAX)
        return ig_fail(err, IG_INVALID, "rules: %u, at most %d", spec->texts_count, IG_RULES_MAX);
    struct ig_rules *rules = ig_zalloc(sizeof *rules);
    if (!rules) return ig_fail(err, IG_NO_MEMORY, "rules");
    struct ig_arena *arena = &rules->arena;
    ig_arena_init(arena, ARENA_CHUNK, ARENA_MAX);
    rules->sources = ig_arena_array(arena, IG_RULES_SOURCES_MAX, sizeof *rules->sources);
    rules->tests = ig_arena_array(arena, IG_RULES_TESTS_MAX, sizeof *rules->tests);
    rules->programs = ig_arena_array(arena, spec->texts_count + (size_t)1, sizeof *rules->programs);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "rules");
    for (uint32_t i = 0; err->code == IG_OK && i < spec->texts_count; i++) {
        bool live;
        if (ig_rules_compile(rules, spec, spec->texts[i], err) == IG_OK &&
            ig_rules_is_live(&live, rules, i, err) == IG_OK && !live)
            ig_fail(err, IG_INVALID, "no request reaches it: %s",
                    i ? "the rules before it take all that it would" : "it never holds");
        if (err->code != IG_OK) ig_err_prefix(err, "rules[%u]", i);
    }
    if (err->code != IG_OK) {
        ig_rules_free(rules);
        return err->code;
    }
    *out = rules;
    return IG_OK;
}

void ig_rules_free(struct ig_rules *rules)
{
    if (!rules) return;
    ig_arena_deinit(&rules->arena);
    ig_free(rules);
}

bool ig_rule_test_holds(const struct ig_rule_test *test, const struct ig_rule_value *value)
{
    double number = value->number;
    if (test->kind == IG_RULE_MISSING) return !value->present;
    if (!value->present) return false;
    switch (test->kind) {
    case IG_RULE_RANGE:
        return (test->low_open ? number > test->low : number >= test->low) &&
               (test->high_open ? number < test->high : number <= test->high);
    case IG_RULE_NUMBERS:
        for (uint32_t i = 0; i < test->count; i++)
            if (test->numbers[i] == number) return true;
        return false;
    case IG_RULE_TEXTS:
        for (uint32_t i = 0; i < test->count; i++)
            if (ig_str_eq(test->texts[i], value->text)) return true;
        return false;
    default:
        return ig_str_starts(value->text, test->texts[0]);
    }
}

static struct ig_rule_value read_source(const struct ig_rule_source *source,
                                        const struct ig_rules_input *input)
{
    struct ig_str text;
    switch (source->kind) {
    case IG_RULE_FEATURE:
        return (struct ig_rule_value){.present = !isnan(input->row[source->index]),
                                      .number = input->row[source->index]};
    case IG_RULE_ATTRIBUTE: {
        const struct ig_rules_value *own = &input->attributes[source->index];
        return (struct ig_rule_value){own->present, own->number, own->text};
    }
    case IG_RULE_HEADER:
        text = input->header ? input->header(input->context, source->name) : (struct ig_str){0};
        return (struct ig_rule_value){.present = text.ptr != NULL, .text = text};
    default:
        return (struct ig_rule_value){.present = input->tenant.len != 0, .text = input->tenant};
    }
}

static bool holds(const struct ig_rules *rules, const struct ig_rule_program *program,
                  const struct ig_rules_input *input)
{
    uint64_t stack = 0; /* the top is bit 0 */
    for (uint32_t i = 0; i < program->ops_count; i++) {
        const struct ig_rule_op op = program->ops[i];
        switch (op.kind) {
        case IG_RULE_TEST: {
            const struct ig_rule_test *test = &rules->tests[op.test];
            struct ig_rule_value value = read_source(&rules->sources[test->source], input);
            stack = stack << 1 | ig_rule_test_holds(test, &value);
            break;
        }
        case IG_RULE_NOT:
            stack ^= 1;
            break;
        case IG_RULE_AND:
            stack = stack >> 1 & (~(uint64_t)1 | stack);
            break;
        default:
            stack = stack >> 1 | (stack & 1);
        }
    }
    return stack & 1;
}

uint32_t ig_rules_first(const struct ig_rules *rules, const struct ig_rules_input *input)
{
    uint32_t i = 0;
    while (i < rules->programs_count && !holds(rules, &rules->programs[i], input)) i++;
    return i;
}
