/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_FORMAT_H
#define IG_FORMATS_FORMAT_H

/* Model file formats. One reader a format, one line in formats.def; the format is found from the
 * bytes. Readers are safe on any input: memory stays within a small multiple of the input's length.
 */

#include "model/model.h"

struct ig_format {
    const char *name; /* "xgboost-json" */
    const char *doc;
    const char *file_name; /* its usual name inside a package, "model.json" */
    bool (*probe)(struct ig_str bytes);
    enum ig_code (*load)(struct ig_model **out, struct ig_str bytes, struct ig_err *err);
};

/* Each reader's two entry points: ig_xgboost_json_probe, ig_xgboost_json_load, ... */
#define IG_FORMAT(symbol, name, file_name, doc)                                                    \
    bool ig_##symbol##_probe(struct ig_str bytes);                                                 \
    enum ig_code ig_##symbol##_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err);
#include "formats/formats.def"
#undef IG_FORMAT

size_t ig_formats_count(void);
const struct ig_format *ig_format_at(size_t index);
const struct ig_format *ig_format_by_name(struct ig_str name); /* NULL when unknown */
const struct ig_format *ig_format_probe(struct ig_str bytes);  /* NULL when none knows it */
/* Probes and loads; a reader's last step is ig_model_check. *used may be NULL. The caller frees the
 * model. */
enum ig_code ig_format_load(struct ig_model **out, struct ig_str bytes,
                            const struct ig_format **used, struct ig_err *err);

#endif
