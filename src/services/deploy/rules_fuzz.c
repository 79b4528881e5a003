/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of a segment, one a line: any text compiles or is refused, and what compiles runs. */
#include "base/mem.h"
#include "services/deploy/rules.h"

#include <math.h>

static struct ig_str header(void *context, struct ig_str name)
{
    (void)name;
    return *(const struct ig_str *)context;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_str colours[] = {IG_STR("red"), IG_STR("green")};
    struct ig_feature features[] = {
        {.name = IG_STR("age"), .type = IG_FEATURE_NUMERIC},
        {.name = IG_STR("colour"),
         .type = IG_FEATURE_CATEGORICAL,
         .categories = colours,
         .categories_count = 2},
    };
    struct ig_schema schema = {.features = features, .features_count = 2};
    const struct ig_rules_attribute attributes[] = {{IG_STR("user_segment"), IG_RULES_TEXT},
                                                    {IG_STR("basket"), IG_RULES_NUMBER}};
    struct ig_str texts[8], rest = {(const char *)data, size};
    struct ig_rules_spec spec = {&schema, attributes, 2, texts, 0};
    struct ig_err err = IG_ERR_INIT;
    struct ig_rules *rules = NULL;
    while (rest.ptr && spec.texts_count < 8) texts[spec.texts_count++] = ig_str_cut(&rest, '\n');
    IG_ASSERT(ig_schema_index(&schema, &err) == IG_OK);
    if (ig_rules_new(&rules, &spec, &err) == IG_OK) {
        const double row[] = {41, NAN};
        const struct ig_rules_value values[] = {{true, NAN, texts[0]}, {.present = false}};
        const struct ig_rules_input input = {row, values, texts[0], header, &texts[0]};
        IG_ASSERT(ig_rules_first(rules, &input) <= spec.texts_count);
    } else {
        IG_ASSERT(!rules && err.message[0]);
    }
    ig_rules_free(rules);
    ig_schema_deinit(&schema);
    return 0;
}
