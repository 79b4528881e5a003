/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_INGOT_PRIV_H
#define IG_FORMATS_INGOT_PRIV_H

/* Shared by the files of the public library's face. */

#include <ingot/ingot.h>

#include "formats/package.h"

struct ingot_model {
    struct ig_package *package;
    struct ig_arena arena;
    const char **feature_names;
    const char **class_names;
};

/* The public code of an error; fills `error` unless it is NULL. */
enum ingot_code ingot_report(struct ingot_error *error, const struct ig_err *err);

#endif
