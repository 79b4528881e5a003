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
    SAMPLES = IG_EXPLAINER_SAMPLES,
    TARGET = IG_EXPLAINER_TARGET,
    FORMS = 256, /* and above: what a method of that form takes */
    OF_INTERACTIONS = FORMS << IG_EXPLAIN_INTERACTIONS,
    OF_SURROGATE = FORMS << IG_EXPLAIN_SURROGATE,
    OF_COUNTERFACTUAL = FORMS << IG_EXPLAIN_COUNTERFACTUAL,
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

static const struct {
    const char *names[2]; /* enum ig_explain_words */
    unsigned flags;
} OPTIONS[IG_EXPLAIN_OPTIONS_COUNT] = {
#define IG_EXPLAIN_OPTION(id, name, cli_name, flags)                                               \
    [IG_EXPLAIN_OPTION_##id] = {{name, "--" cli_name}, (flags)},
#include "kernels/explain_options.def"
#undef IG_EXPLAIN_OPTION
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

const char *ig_explain_option_name(enum ig_explain_option option, enum ig_explain_words words)
{
    return OPTIONS[option].names[words];
}

bool ig_explain_option_parse(struct ig_str name, enum ig_explain_option *out)
{
    for (unsigned i = 0; i < IG_EXPLAIN_OPTIONS_COUNT; i++) {
        if (!ig_str_is(name, OPTIONS[i].names[IG_EXPLAIN_OF_REQUESTS])) continue;
        *out = (enum ig_explain_option)i;
        return true;
    }
    return false;
}

bool ig_explainer_takes_option(enum ig_explainer explainer, enum ig_explain_option option)
{
    unsigned has = EXPLAINERS[explainer].flags | (unsigned)FORMS << EXPLAINERS[explainer].form;
    return (has & OPTIONS[option].flags) != 0;
}

static enum ig_code fail_option(const char *name, enum ig_explain_option option,
                                const enum ig_explainer *methods, size_t methods_count,
                                struct ig_err *err)
{
    struct ig_buf takers;
    ig_buf_init(&takers, 1024);
    for (unsigned i = 0; i < IG_EXPLAINERS_COUNT; i++)
        if (ig_explainer_takes_option((enum ig_explainer)i, option))
            ig_buf_printf(&takers, "%s%s", takers.len ? ", " : "", EXPLAINERS[i].name);
    ig_fail(err, IG_INVALID, "%s: %s%s takes none; it is for %.*s", name,
            methods_count == 1 ? "method " : "what may be chosen by time",
            methods_count == 1 ? EXPLAINERS[methods[0]].name : "",
            IG_STR_ARGS(ig_buf_view(&takers)));
    ig_buf_deinit(&takers);
    return err->code;
}

enum ig_code ig_explain_options_check(unsigned given, const enum ig_explainer *methods,
                                      size_t methods_count, enum ig_explain_words words,
                                      struct ig_err *err)
{
    for (unsigned i = 0; i < IG_EXPLAIN_OPTIONS_COUNT; i++) {
        enum ig_explain_option option = (enum ig_explain_option)i;
        size_t m = 0;
        if (!(given & 1U << i)) continue;
        while (m < methods_count && !ig_explainer_takes_option(methods[m], option)) m++;
        if (m == methods_count)
            return fail_option(OPTIONS[i].names[words], option, methods, methods_count, err);
    }
    return IG_OK;
}
