/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_BASE64_H
#define IG_BASE_BASE64_H

/* Base64 (RFC 4648, section 4). Thread-safe. */

#include "base/str.h"

void ig_base64_add(struct ig_buf *out, struct ig_str bytes); /* padded */
/* Appends the bytes that `text` stands for, padded or not, in the alphabet for URLs as well. False,
 * and nothing appended, when it is none. */
bool ig_base64_decode(struct ig_buf *out, struct ig_str text);

#endif
