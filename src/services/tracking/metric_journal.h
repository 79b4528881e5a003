/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_METRIC_JOURNAL_H
#define IG_SERVICES_TRACKING_METRIC_JOURNAL_H

/* Metrics on their way: what a call logs is one row of a journal, whatever the number of its keys.
 * Whoever reads metrics has the journal settled first (ig_tracking_read): its metrics are then
 * sorted into histories and the latest of their keys, many of a key at once. */

#include "services/tracking/tracking_priv.h"

enum { IG_METRIC_JOURNAL_MAX = 8192 }; /* metrics: one that is longer is settled before the next */

/* In a writer's transaction. Of a run that is there; at most IG_TRACKING_METRICS_MAX. */
enum ig_code ig_metric_journal_add(struct ig_db_tx *tx, struct ig_str run,
                                   struct ig_tracking_metrics metrics, struct ig_err *err);
/* In a writer's transaction, which ends with the journal empty; that of runs that are gone is
 * dropped. */
enum ig_code ig_metric_journal_settle(struct ig_db_tx *tx, struct ig_err *err);

#endif
