/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_DOCUMENT_TESTING_H
#define IG_FORMATS_DOCUMENT_TESTING_H

/* For tests of formats that are texts: a model's document of which places are changed. The test
 * defines `document`. */

#include "formats/format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct edit {
    const char *from, *to;
};

/* `document` with each edit made once; the caller frees it. */
static inline char *edited(const char *document, const struct edit *edits, size_t count)
{
    char *text = malloc(65536);
    assert_non_null(text);
    snprintf(text, 65536, "%s", document);
    for (size_t i = 0; i < count; i++) {
        char *at = strstr(text, edits[i].from);
        if (!at) fail_msg("'%s' is not in the document", edits[i].from);
        size_t tail = strlen(at + strlen(edits[i].from)) + 1;
        memmove(at + strlen(edits[i].to), at + strlen(edits[i].from), tail);
        memcpy(at, edits[i].to, strlen(edits[i].to));
    }
    return text;
}

static inline struct ig_model *load_edited(const char *document, const struct edit *edits,
                                           size_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    char *text = edited(document, edits, count);
    if (ig_format_load(&model, ig_str_view(text), NULL, &err) != IG_OK) fail_msg("%s", err.message);
    free(text);
    return model;
}

#define LOAD(...)                                                                                  \
    load_edited(document, (const struct edit[]){__VA_ARGS__},                                      \
                sizeof((const struct edit[]){__VA_ARGS__}) / sizeof(struct edit))

static inline void refuse(const char *document, const struct edit *edits, size_t count,
                          enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    char *text = edited(document, edits, count);
    enum ig_code got = ig_format_load(&model, ig_str_view(text), NULL, &err);
    free(text);
    assert_null(model);
    if (got != code || !strstr(err.message, message))
        fail_msg("%s '%s', expected %s '%s'", ig_code_name(got), err.message, ig_code_name(code),
                 message);
}

#define REFUSE(code, message, ...)                                                                 \
    refuse(document, (const struct edit[]){__VA_ARGS__},                                           \
           sizeof((const struct edit[]){__VA_ARGS__}) / sizeof(struct edit), code, message)

#endif
