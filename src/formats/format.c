/* SPDX-License-Identifier: Apache-2.0 */
/* The table of model file formats and the choice among them by the bytes. */
#include "formats/format.h"

static const struct ig_format formats[] = {
#define IG_FORMAT(symbol, name, file_name, doc)                                                    \
    {name, doc, file_name, ig_##symbol##_probe, ig_##symbol##_load},
#include "formats/formats.def"
#undef IG_FORMAT
};

/* Files that people try and that are not read: what to do instead. */
static const struct {
    struct ig_str magic;
    const char *advice;
} strangers[] = {
    {{"binf", 4}, "XGBoost's old binary format; save the model as model.json or model.ubj"},
    {{"\x80", 1},
     "a Python pickle, which is never opened, since it may run code; save the model with its "
     "library's save_model, and a scikit-learn model as ONNX by skl2onnx"},
    {{"PK", 2}, "an archive that does not begin as a model package does"},
};

static const char *advice_for(struct ig_str bytes)
{
    for (size_t i = 0; i < sizeof strangers / sizeof *strangers; i++)
        if (ig_str_starts(bytes, strangers[i].magic)) return strangers[i].advice;
    return "expected XGBoost JSON or UBJSON, LightGBM text, CatBoost JSON or cbm, PMML, ONNX or "
           "TensorFlow Lite";
}

size_t ig_formats_count(void)
{
    return sizeof formats / sizeof *formats;
}

const struct ig_format *ig_format_at(size_t index)
{
    return index < ig_formats_count() ? &formats[index] : NULL;
}

const struct ig_format *ig_format_by_name(struct ig_str name)
{
    for (size_t i = 0; i < ig_formats_count(); i++)
        if (ig_str_is(name, formats[i].name)) return &formats[i];
    return NULL;
}

const struct ig_format *ig_format_probe(struct ig_str bytes)
{
    for (size_t i = 0; i < ig_formats_count(); i++)
        if (formats[i].probe(bytes)) return &formats[i];
    return NULL;
}

enum ig_code ig_format_load(struct ig_model **out, struct ig_str bytes,
                            const struct ig_format **used, struct ig_err *err)
{
    const struct ig_format *format = ig_format_probe(bytes);
    struct ig_model *model = NULL;
    if (!format)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the %zu bytes are no model file that is known here: %s", bytes.len,
                       advice_for(bytes));
    enum ig_code code = format->load(&model, bytes, err);
    if (code != IG_OK) {
        ig_err_prefix(err, "%s", format->name);
        return code;
    }
    *out = model;
    if (used) *used = format;
    return IG_OK;
}
