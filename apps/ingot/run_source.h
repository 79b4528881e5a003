/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_RUN_SOURCE_H
#define IG_APP_RUN_SOURCE_H

/* Models that MLflow's clients logged, by runs:/RUN/PATH (a directory of the run, or the name of a
 * logged model that it made) or models:/m-ID, through a running server. */

#include "remote.h"

#include "formats/package.h"

bool ig_run_source_is(const char *uri);
/* Fetches the MLmodel and the native file that it names. The caller frees the package. */
enum ig_code ig_run_source_open(struct ig_package **out, struct ig_remote *remote, const char *uri,
                                struct ig_err *err);
/* The last registered version of it that can be served, as "models:/NAME/VERSION" in the arena.
 * NOT_FOUND when there is none, UNSUPPORTED when what there is cannot be. */
enum ig_code ig_run_source_version(const char **out, struct ig_remote *remote, const char *uri,
                                   struct ig_err *err);

#endif
