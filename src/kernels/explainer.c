/* SPDX-License-Identifier: Apache-2.0 */
/* The table of explanation methods. Owns nothing; stateless. */
#include "kernels/explainer.h"

/* Flags stand in the table without their prefix. */
enum {
    NONE = 0,
    GROUPS = IG_EXPLAINER_GROUPS,
    BACKGROUND = IG_EXPLAINER_BACKGROUND,
    PROBABILITY = IG_EXPLAINER_PROBABILITY,
    SAMPLED = IG_EXPLAINER_SAMPLED,
    CLASS = IG_EXPLAINER_CLASS,
    OPTIONAL = IG_EXPLAINER_OPTIONAL,
};

static const struct {
    const char *name;
    enum ig_explain_form form;
    unsigned flags;
    const char *doc;
} EXPLAINERS[IG_EXPLAINERS_COUNT] = {
#define IG_EXPLAINER(id, name, form, flags, doc)                                                   \
    [IG_EXPLAINER_##id] = {name, IG_EXPLAIN_##form, (flags), doc},
#include "kernels/explainers.def"
#undef IG_EXPLAINER
};

bool ig_explainer_parse(struct ig_str name, enum ig_explainer *out)
{
    for (unsigned i = 0; i < IG_EXPLAINERS_COUNT; i++) {
        if (!ig_str_is(name, EXPLAINERS[i].name)) continue;
        *out = (enum ig_explainer)i;
        return true;
    }
    return false;
}

const char *ig_explainer_name(enum ig_explainer explainer)
{
    return EXPLAINERS[explainer].name;
}

const char *ig_explainer_doc(enum ig_explainer explainer)
{
    return EXPLAINERS[explainer].doc;
}

enum ig_explain_form ig_explainer_form(enum ig_explainer explainer)
{
    return EXPLAINERS[explainer].form;
}

bool ig_explainer_takes(enum ig_explainer explainer, enum ig_explainer_flags flag)
{
    return (EXPLAINERS[explainer].flags & flag) != 0;
}

bool ig_explainer_needs_background(enum ig_explainer explainer)
{
    return ig_explainer_takes(explainer, IG_EXPLAINER_BACKGROUND) &&
           !ig_explainer_takes(explainer, IG_EXPLAINER_OPTIONAL);
}

void ig_explainer_list(struct ig_buf *text)
{
    for (unsigned i = 0; i < IG_EXPLAINERS_COUNT; i++)
        ig_buf_printf(text, "%s%s", i ? ", " : "", EXPLAINERS[i].name);
}
