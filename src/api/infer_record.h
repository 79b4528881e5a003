/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_INFER_RECORD_H
#define IG_API_INFER_RECORD_H

/* What a record of an explained decision holds, as one JSON object: digests of input, model,
 * background and result, the method and its seed, the engine's version, and the request itself, so
 * that the same code can answer it again. */

#include "api/call.h"
#include "api/infer.h"

/* Appends the object, of the rows of one part. Of a graph of several nodes it holds the graph too,
 * the node that answered, the digests of all packages by node, and which rows of the request went
 * this way. NO_MEMORY. */
enum ig_code ig_infer_record_write(struct ig_buf *out, const struct ig_call *call,
                                   const struct ig_infer *infer, const struct ig_infer_part *part,
                                   struct ig_err *err);
/* The digest of a call's results is that of its rows' digests, one after another, so rows may be
 * explained again one by one. */
struct ig_result_digest {
    struct ig_sha256 *hash;
};
enum ig_code ig_result_digest_begin(struct ig_result_digest *digest, struct ig_err *err);
enum ig_code ig_result_digest_add(struct ig_result_digest *digest,
                                  const struct ig_explanations *explanations,
                                  const struct ig_model *model, struct ig_err *err);
/* Also frees it; after an error too. */
void ig_result_digest_end(char hex[IG_SHA256_HEX], struct ig_result_digest *digest);

#endif
