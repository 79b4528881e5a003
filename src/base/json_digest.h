/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_JSON_DIGEST_H
#define IG_BASE_JSON_DIGEST_H

/* The SHA-256 of what a JSON text says: white space, the order of members, escapes and the ways to
 * write a fraction make no difference; 1 and 1.0 do, as they do to Python. Thread-safe. */

#include "base/hash.h"
#include "base/json.h"

enum ig_code ig_json_digest(unsigned char digest[IG_SHA256_BYTES], struct ig_str text,
                            struct ig_arena *arena, struct ig_err *err);

#endif
