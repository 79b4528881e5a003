/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_EDGE_EDGE_EXPORT_H
#define IG_SERVICES_EDGE_EDGE_EXPORT_H

/* A package's model in the format of another runtime, or as C source. Stateless; any thread. */

#include "services/edge/edge_pack.h"

enum ig_edge_format {
#define IG_EDGE_FORMAT(id, name, ending, media_type, doc) IG_EDGE_FORMAT_##id,
#include "services/edge/edge_formats.def"
#undef IG_EDGE_FORMAT
    IG_EDGE_FORMATS_COUNT
};
struct ig_edge_format_info {
    const char *name, *ending, *media_type, *doc;
};
const struct ig_edge_format_info *ig_edge_format_info(enum ig_edge_format format);
/* INVALID lists the known. */
enum ig_code ig_edge_format_parse(enum ig_edge_format *out, struct ig_str name, struct ig_err *err);
/* By a file's ending; false: it names none. */
bool ig_edge_format_of_file(enum ig_edge_format *out, struct ig_str file);

struct ig_edge_export {
    enum ig_edge_format format;
    struct ig_edge_choice choice; /* c, ige */
    struct ig_str name;           /* c, encoder: prefix of all names in it, a C identifier */
    bool strip_names;             /* tflite: no names of tensors but the inputs' and outputs' */
};
/* Appends the file. What the format cannot say is refused with the feature, layer or node. */
enum ig_code ig_edge_export_write(struct ig_buf *out, const struct ig_package *package,
                                  const struct ig_edge_export *options, struct ig_err *err);
/* Whether the file takes what the package's encoder makes of a row, not the row. */
bool ig_edge_export_encoded(const struct ig_package *package, enum ig_edge_format format);

#endif
