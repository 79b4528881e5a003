/* SPDX-License-Identifier: Apache-2.0 */
/* Texts by run and by how often it has changed. A count of changes goes up behind the commit and
 * before the answer to who asked for the change, so what was read before it is never found after
 * that answer, and nothing has to be removed. Runs share counts by their hash: one too many is only
 * a text that is made again. */
#include "services/tracking/run_texts.h"

#include "base/hash.h"
#include "services/tracking/tracking_priv.h"

#include <string.h>

static _Atomic uint64_t *changes_of(struct ig_tracking *tracking, struct ig_str run)
{
    return &tracking->run_changes[ig_hash64(run.ptr, run.len) % IG_TRACKING_CHANGE_COUNTS];
}

void ig_tracking_changed(struct ig_tracking *tracking, struct ig_str run)
{
    atomic_fetch_add(run.len ? changes_of(tracking, run) : &tracking->all_changes, 1);
}

enum ig_code ig_tracking_write(struct ig_tracking *tracking, struct ig_str run, ig_db_work *work,
                               void *context, struct ig_err *err)
{
    enum ig_code code = ig_db_write(tracking->db, work, context, err);
    ig_tracking_changed(tracking, run); /* one that failed may have been kept (stores/db.h) */
    return code;
}

static struct ig_lru_key lru_key(const struct ig_run_text_key *key)
{
    struct ig_lru_key made = {.bytes = key->run};
    _Static_assert(sizeof made.context == sizeof key->changes, "a context is two counts");
    memcpy(made.context, key->changes, sizeof made.context);
    return made;
}

struct ig_str ig_run_text_find(struct ig_run_text_key *key, struct ig_tracking *tracking,
                               struct ig_str run, struct ig_arena *arena)
{
    *key = (struct ig_run_text_key){
        run, {atomic_load(changes_of(tracking, run)), atomic_load(&tracking->all_changes)}};
    const struct ig_lru_key found = lru_key(key);
    return ig_lru_get(tracking->texts, &found, 0, arena);
}

void ig_run_text_keep(struct ig_tracking *tracking, const struct ig_run_text_key *key,
                      struct ig_str text)
{
    const struct ig_lru_key kept = lru_key(key);
    ig_lru_put(tracking->texts, &kept, text, 0);
}
