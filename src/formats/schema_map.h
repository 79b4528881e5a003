/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_SCHEMA_MAP_H
#define IG_FORMATS_SCHEMA_MAP_H

/* How a model reads rows that were laid out by another's schema. */

#include "formats/schema.h"
#include "kernels/composite.h"

/* A schema with all its texts in `arena`; ig_schema_deinit ends it. */
enum ig_code ig_schema_dup(struct ig_schema *out, const struct ig_schema *schema,
                           struct ig_arena *arena, struct ig_err *err);

/* For rows of `rows` on a model of `model`, in `arena`. INVALID unless both have the same features
 * by name and kind (in any order, with categories in any order, where a category that one lacks is
 * one that it has not seen), the same task (a binary one is one of two classes) and the same
 * classes in the same order; the message names what differs. */
enum ig_code ig_schema_map(struct ig_feature_map *out, const struct ig_schema *model,
                           const struct ig_schema *rows, struct ig_arena *arena,
                           struct ig_err *err);

#endif
