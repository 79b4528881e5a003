/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_SEARCH_REQUEST_H
#define IG_API_MLFLOW_SEARCH_REQUEST_H

/* MLflow's SearchRuns, SearchExperiments, SearchRegisteredModels and SearchModelVersions, in JSON
 * or in a query: whole numbers and view types as numbers or texts, null as absent, unknown members
 * passed over. */

#include "services/tracking/tracking_search.h"

/* Fills a search of this kind with the request's values or MLflow's defaults; texts and lists live
 * as long as `body` and the arena. An empty body is {}. INVALID and PARSE name the member. */
enum ig_code ig_mlflow_search_decode(struct ig_tracking_search *out, enum ig_tracking_kind kind,
                                     struct ig_str body, struct ig_arena *arena,
                                     struct ig_err *err);
/* The same from a raw query, in which lists are names given again. */
enum ig_code ig_mlflow_search_decode_query(struct ig_tracking_search *out,
                                           enum ig_tracking_kind kind, struct ig_str query,
                                           struct ig_arena *arena, struct ig_err *err);

#endif
