/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_APPROVAL_APPROVAL_PRIV_H
#define IG_SERVICES_APPROVAL_APPROVAL_PRIV_H

/* Shared by the files of the gates. */

#include "services/approval/approval.h"

#define IG_GATE_STAGE "stage:" /* before the name of a stage, in small letters */

#include "base/hash.h"

/* The gates of a model, of one alias or (empty) all; with a version, how it stands. */
enum ig_code ig_gate_read(struct ig_gates *out, struct ig_db_tx *tx, struct ig_gate_subject subject,
                          struct ig_str alias, struct ig_arena *arena, struct ig_err *err);
/* NOT_FOUND: neither registry has it. */
enum ig_code ig_gate_digest(char out[IG_SHA256_HEX], struct ig_db_tx *tx,
                            struct ig_gate_subject subject, struct ig_err *err);
/* What a check demands, as a text: two are the same when their texts are. */
void ig_gate_rule(struct ig_buf *out, const struct ig_gate_check *check);
bool ig_gate_same_rule(const struct ig_gate_check *a, const struct ig_gate_check *b);

#endif
