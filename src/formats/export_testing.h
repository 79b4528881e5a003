/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EXPORT_TESTING_H
#define IG_FORMATS_EXPORT_TESTING_H

/* For tests only: what tests of writers of models begin with, models of the folder tests. */

#include "base/file.h"
#include "formats/format.h"
#include "formats/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IG_EXPORT_TESTING_MAX = 1 << 22 };

static inline struct ig_model *ig_export_testing_parse(struct ig_str bytes)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    if (ig_format_load(&model, bytes, NULL, &err) != IG_OK) fail_msg("%s", err.message);
    return model;
}

/* Into `out`, initialised here. */
static inline void ig_export_testing_read(struct ig_buf *out, const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    const char *source = getenv("INGOT_SOURCE_DIR");
    char path[512];
    snprintf(path, sizeof path, "%s/tests/%s", source ? source : ".", name);
    ig_buf_init(out, IG_EXPORT_TESTING_MAX);
    if (ig_file_read(out, IG_FILE_CWD, path, &err) != IG_OK) fail_msg("%s", err.message);
}

static inline struct ig_model *ig_export_testing_load(const char *name)
{
    struct ig_buf bytes;
    ig_export_testing_read(&bytes, name);
    struct ig_model *model = ig_export_testing_parse(ig_buf_view(&bytes));
    ig_buf_deinit(&bytes);
    return model;
}

typedef enum ig_code ig_export_testing_write(struct ig_buf *out, const struct ig_model *model,
                                             const struct ig_schema *schema, struct ig_err *err);

/* The writer says of the file why not, and writes nothing. */
static inline void ig_export_testing_refuses(ig_export_testing_write *write, const char *name,
                                             const char *word)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_export_testing_load(name);
    struct ig_buf out;
    ig_buf_init(&out, IG_EXPORT_TESTING_MAX);
    assert_int_equal(write(&out, model, NULL, &err), IG_UNSUPPORTED);
    if (!strstr(err.message, word)) fail_msg("%s: %s", name, err.message);
    assert_int_equal(out.len, 0);
    ig_buf_deinit(&out);
    ig_model_free(model);
}

#endif
