/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_RUN_TEXTS_H
#define IG_SERVICES_TRACKING_RUN_TEXTS_H

/* The text by which a run was last told, kept until something of the run changes: a page of runs
 * that comes again costs a copy, not the rows of each. 16 MiB, the least recently told go first.
 * Thread-safe; nothing waits. */

#include "services/tracking/tracking.h"

/* A run as it was when this was asked for. */
struct ig_run_text_key {
    struct ig_str run; /* borrowed */
    uint64_t changes[2];
};

/* A copy in the arena, ptr NULL when there is none. Fills `key` either way: ask first, then read
 * the run, then keep its text. */
struct ig_str ig_run_text_find(struct ig_run_text_key *key, struct ig_tracking *tracking,
                               struct ig_str run, struct ig_arena *arena);
/* Found from now on, unless the run has changed since `key` was filled. */
void ig_run_text_keep(struct ig_tracking *tracking, const struct ig_run_text_key *key,
                      struct ig_str text);

#endif
