/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_FORM_TOKEN_H
#define IG_API_FORM_TOKEN_H

/* What proves that a form was sent from the page that this server gave to who sends it: browsers
 * add a password to whatever a page of another site makes them send. A time and a MAC over it and
 * the caller under a key of this process; nothing is kept. Pure functions. */

#include "base/hash.h"
#include "services/auth/auth.h"

enum { IG_FORM_TOKEN_SIZE = 16 + IG_SHA256_HEX, IG_FORM_TOKEN_LIFE_MS = 3600 * 1000 };

void ig_form_token_new(char token[IG_FORM_TOKEN_SIZE], const unsigned char key[IG_SHA256_BYTES],
                       const struct ig_principal *who, int64_t now_ms);
/* INVALID, in the words of MLflow's server: missing, of another caller, or an hour old. */
enum ig_code ig_form_token_check(struct ig_str token, const unsigned char key[IG_SHA256_BYTES],
                                 const struct ig_principal *who, int64_t now_ms,
                                 struct ig_err *err);

#endif
