/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_USERS_PASSWORD_H
#define IG_SERVICES_USERS_PASSWORD_H

/* Passwords at rest: scrypt (RFC 7914) by OpenSSL, in the form that MLflow keeps them in,
 * "scrypt:32768:8:1$SALT$HEX". Both take tens of milliseconds and 32 MiB. Thread-safe. */

#include "base/err.h"
#include "base/str.h"

enum { IG_PASSWORD_HASH_SIZE = 192 };

enum ig_code ig_password_hash(char out[IG_PASSWORD_HASH_SIZE], struct ig_str password,
                              struct ig_err *err);
/* False for a text of another form too; it takes as long then. */
bool ig_password_matches(struct ig_str hash, struct ig_str password);

#endif
