/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_SCORING_H
#define IG_API_SCORING_H

/* The bodies of MLflow's scoring protocol (2.0 and later), turned into the one form that requests
 * have: {"instances": [...]}.
 *
 *   {"dataframe_split": {"columns": [NAME, ...], "data": [ROW, ...], "index": any}}
 *   {"dataframe_records": [{NAME: VALUE, ...}, ...]}
 *   {"instances": [ROW or {NAME: VALUE, ...}, ...]}
 *   {"inputs": {NAME: [VALUE, ...], ...}} or {"inputs": [ROW, ...]}
 *
 * Exactly one of them; members beside it are passed over. */

#include "base/json.h"

enum { IG_SCORING_COLUMNS_MAX = 65536 };

/* Appends the request. PARSE: the body has not that form; INVALID: no schema can fit what it holds;
 * both name the member. */
enum ig_code ig_scoring_instances(struct ig_buf *out, struct ig_str body, struct ig_arena *arena,
                                  struct ig_err *err);
/* SageMaker's media type of a body of the Open Inference Protocol with binary tensors, without the
 * number of its JSON's bytes. */
#define IG_SCORING_BINARY "application/vnd.sagemaker-triton.binary+json;json-header-size="
bool ig_scoring_is_binary(struct ig_str content_type);
/* That number; INVALID when it is missing or none. */
enum ig_code ig_scoring_json_bytes(int64_t *out, struct ig_str content_type, struct ig_err *err);
/* Whether "inputs" holds tensors of the Open Inference Protocol. */
bool ig_scoring_is_oip(struct ig_str body, struct ig_arena *arena);

#endif
