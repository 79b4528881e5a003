/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_RULES_H
#define IG_SERVICES_DEPLOY_RULES_H

/* Rules of a segment: ordered conditions over a row's features, the request's own attributes, its
 * headers and its tenant; the first that holds wins.
 *
 *   RULE:  RULE or RULE, RULE and RULE, not RULE, (RULE)
 *   NAME == VALUE, !=, <, <=, >, >=      NAME in (VALUE, ...)     NAME not in (VALUE, ...)
 *   NAME between NUMBER and NUMBER (both included)                NAME starts_with TEXT
 *   NAME is missing, NAME is not missing
 *   NAME:  a feature or a declared attribute, in back quotes where it has other characters than
 *          letters, digits, '_' and '.'; header("X-Name"); tenant
 *   VALUE: a number, or text in double or single quotes ('\' quotes the next character)
 *
 * `!=` is `not ==`: a missing value is unequal to every value, and no other comparison holds of
 * it. Headers, categories and the tenant (the name of the caller's API key) are text; a category of
 * a feature has to be one that its model knows.
 *
 * Compiled once, then read by any thread. */

#include "formats/schema.h"

enum {
    IG_RULES_MAX = 255,
    IG_RULE_MAX_BYTES = 4096,
    IG_RULES_TESTS_MAX = 4096,  /* comparisons over all rules of a segment */
    IG_RULES_SOURCES_MAX = 128, /* distinct names over all rules of a segment */
};

enum ig_rules_type { IG_RULES_TEXT, IG_RULES_NUMBER };

struct ig_rules_attribute {
    struct ig_str name;
    enum ig_rules_type type;
};

/* Of an attribute in a request. */
struct ig_rules_value {
    bool present;
    double number;
    struct ig_str text;
};

/* Borrowed, and to outlive the rules, but for `texts`. */
struct ig_rules_spec {
    const struct ig_schema *schema;
    const struct ig_rules_attribute *attributes;
    uint32_t attributes_count;
    const struct ig_str *texts;
    uint32_t texts_count;
};

struct ig_rules;

/* INVALID, with the rule ("rules[2]: ...") and the byte of its text where it went wrong. A rule
 * that no input reaches, because those before it take all it would, is refused; the search for such
 * an input is exact and gives up (and lets the rule pass) after a fixed amount of work. */
enum ig_code ig_rules_new(struct ig_rules **out, const struct ig_rules_spec *spec,
                          struct ig_err *err);
void ig_rules_free(struct ig_rules *rules); /* NULL is allowed */

struct ig_rules_input {
    const double *row;                                          /* in the schema's order */
    const struct ig_rules_value *attributes;                    /* in the spec's order */
    struct ig_str tenant;                                       /* empty: missing */
    struct ig_str (*header)(void *context, struct ig_str name); /* ptr NULL: absent */
    void *context;
};

/* Index of the first rule that holds; texts_count: none. No lock, no allocation. */
uint32_t ig_rules_first(const struct ig_rules *rules, const struct ig_rules_input *input);

#endif
