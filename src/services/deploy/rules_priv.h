/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_RULES_PRIV_H
#define IG_SERVICES_DEPLOY_RULES_PRIV_H

/* Compiled rules: postfix programs over tests, each test of one source. */

#include "services/deploy/rules.h"

enum { IG_RULE_DEPTH_MAX = 64 }; /* values on a program's stack: bits of a word */

enum ig_rule_source_kind {
    IG_RULE_FEATURE,
    IG_RULE_ATTRIBUTE,
    IG_RULE_HEADER,
    IG_RULE_TENANT,
};

struct ig_rule_source {
    enum ig_rule_source_kind kind;
    uint32_t index; /* of the feature or attribute */
    struct ig_str name;
    bool is_text;                     /* compared as text; a category is compared by its code */
    const struct ig_feature *feature; /* with categories, else NULL */
};

enum ig_rule_test_kind {
    IG_RULE_MISSING,
    IG_RULE_RANGE,   /* low to high */
    IG_RULE_NUMBERS, /* one of `numbers`, which ascend */
    IG_RULE_TEXTS,   /* one of `texts` */
    IG_RULE_PREFIX,  /* begins with texts[0] */
};

struct ig_rule_test {
    enum ig_rule_test_kind kind;
    uint16_t source;
    bool low_open, high_open; /* the end itself is not in it */
    double low, high;
    const double *numbers;
    const struct ig_str *texts;
    uint32_t count;
};

enum ig_rule_op_kind { IG_RULE_TEST, IG_RULE_NOT, IG_RULE_AND, IG_RULE_OR };

struct ig_rule_op {
    uint16_t kind, test;
};

struct ig_rule_program {
    const struct ig_rule_op *ops;
    uint32_t ops_count;
};

struct ig_rules {
    struct ig_arena arena;
    struct ig_rule_source *sources;
    uint32_t sources_count;
    struct ig_rule_test *tests;
    uint32_t tests_count;
    struct ig_rule_program *programs;
    uint32_t programs_count;
};

/* What a source says; present false: missing. */
struct ig_rule_value {
    bool present;
    double number;
    struct ig_str text;
};
bool ig_rule_test_holds(const struct ig_rule_test *test, const struct ig_rule_value *value);

/* Compiles one rule's text into the next program. */
enum ig_code ig_rules_compile(struct ig_rules *rules, const struct ig_rules_spec *spec,
                              struct ig_str text, struct ig_err *err);
/* Whether some input that no earlier rule takes satisfies the rule; true as well when the search
 * gave up. NO_MEMORY. */
enum ig_code ig_rules_is_live(bool *out, const struct ig_rules *rules, uint32_t rule,
                              struct ig_err *err);

#endif
