/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_MODEL_SOURCE_H
#define IG_APP_MODEL_SOURCE_H

/* Where a verb's --model comes from: a file, a package, models:/NAME/ALIAS of a data directory or a
 * running server, or what MLflow's clients logged there (run_source.h). */

#include "cli.h"

#include "formats/package.h"

bool ig_model_source_is_uri(const char *model);
enum ig_code ig_model_source_open_uri(struct ig_package **out, const struct ig_cli *cli,
                                      const char *model, struct ig_err *err);
/* Opens what --model names. The caller frees the package. */
enum ig_code ig_model_source_open(struct ig_package **out, const struct ig_cli *cli,
                                  struct ig_err *err);

#endif
