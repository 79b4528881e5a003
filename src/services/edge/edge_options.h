/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EDGE_EDGE_OPTIONS_H
#define IG_SERVICES_EDGE_EDGE_OPTIONS_H

/* Which formats and models take an option of compact and exported files: edge_options.def.
 * Stateless; any thread. */

#include "services/edge/edge_export.h"

enum ig_edge_option {
#define IG_EDGE_OPTION(id, name, cli_name, models, formats) IG_EDGE_OPTION_##id,
#include "services/edge/edge_options.def"
#undef IG_EDGE_OPTION
    IG_EDGE_OPTIONS_COUNT
};
enum ig_edge_words { IG_EDGE_OF_REQUESTS, IG_EDGE_OF_CLI };
/* "strip_names", or "--strip-names". */
const char *ig_edge_option_name(enum ig_edge_option option, enum ig_edge_words words);
/* By the name in requests. */
bool ig_edge_option_parse(enum ig_edge_option *out, struct ig_str name);
/* As bits, 1 << option. */
unsigned ig_edge_options_of(enum ig_edge_format format);
/* INVALID names the first of the given options that the format or the model does not take. */
enum ig_code ig_edge_options_check(unsigned given, enum ig_edge_words words,
                                   enum ig_edge_format format, const struct ig_model *model,
                                   struct ig_err *err);

#endif
