/* SPDX-License-Identifier: Apache-2.0 */
/* The table of options, held against a format and a model. Stateless. */
#include "services/edge/edge_options.h"

enum { TREES = 1, NETWORKS = 2 };
enum {
#define IG_EDGE_FORMAT(id, name, ending, media_type, doc) id = 1 << IG_EDGE_FORMAT_##id,
#include "services/edge/edge_formats.def"
#undef IG_EDGE_FORMAT
};

static const struct {
    const char *names[2]; /* enum ig_edge_words */
    unsigned models, formats;
} OPTIONS[IG_EDGE_OPTIONS_COUNT] = {
#define IG_EDGE_OPTION(id, name, cli_name, models, formats)                                        \
    [IG_EDGE_OPTION_##id] = {{name, "--" cli_name}, models, formats},
#include "services/edge/edge_options.def"
#undef IG_EDGE_OPTION
};

const char *ig_edge_option_name(enum ig_edge_option option, enum ig_edge_words words)
{
    return OPTIONS[option].names[words];
}

bool ig_edge_option_parse(enum ig_edge_option *out, struct ig_str name)
{
    for (unsigned i = 0; i < IG_EDGE_OPTIONS_COUNT; i++) {
        if (!ig_str_is(name, OPTIONS[i].names[IG_EDGE_OF_REQUESTS])) continue;
        *out = (enum ig_edge_option)i;
        return true;
    }
    return false;
}

unsigned ig_edge_options_of(enum ig_edge_format format)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < IG_EDGE_OPTIONS_COUNT; i++)
        if (OPTIONS[i].formats & 1U << format) taken |= 1U << i;
    return taken;
}

static enum ig_code fail_format(const char *name, unsigned formats, enum ig_edge_format format,
                                struct ig_err *err)
{
    struct ig_buf takers;
    ig_buf_init(&takers, 256);
    for (unsigned i = 0; i < IG_EDGE_FORMATS_COUNT; i++)
        if (formats & 1U << i)
            ig_buf_printf(&takers, "%s%s", takers.len ? ", " : "",
                          ig_edge_format_info((enum ig_edge_format)i)->name);
    ig_fail(err, IG_INVALID, "%s: format %s takes none; it is for %.*s", name,
            ig_edge_format_info(format)->name, IG_STR_ARGS(ig_buf_view(&takers)));
    ig_buf_deinit(&takers);
    return err->code;
}

/* Models of other kinds take all: they are refused later, with their own reason. */
static unsigned models_of(const struct ig_model *model)
{
    if (model->kind == IG_MODEL_TREES) return TREES;
    if (model->kind == IG_MODEL_NETWORK || model->kind == IG_MODEL_GRAPH) return NETWORKS;
    return TREES | NETWORKS;
}

enum ig_code ig_edge_options_check(unsigned given, enum ig_edge_words words,
                                   enum ig_edge_format format, const struct ig_model *model,
                                   struct ig_err *err)
{
    for (unsigned i = 0; i < IG_EDGE_OPTIONS_COUNT; i++) {
        const char *name = OPTIONS[i].names[words];
        if (!(given & 1U << i)) continue;
        if (!(OPTIONS[i].formats & 1U << format))
            return fail_format(name, OPTIONS[i].formats, format, err);
        if (!(OPTIONS[i].models & models_of(model)))
            return ig_fail(err, IG_INVALID, "%s: %s", name,
                           OPTIONS[i].models == TREES ? "it is for trees, the model is a network"
                                                      : "it is for networks, the model is trees");
    }
    return IG_OK;
}
