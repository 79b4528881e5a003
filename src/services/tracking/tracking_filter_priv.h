/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACKING_FILTER_PRIV_H
#define IG_SERVICES_TRACKING_TRACKING_FILTER_PRIV_H

/* Shared by the files of the filter. */

#include "services/tracking/tracking_filter.h"

/* "metrics.`a b`": what it is of, by the first point, and the key without its quotes; whether it is
 * compared with numbers. INVALID with what the kind's filters, or orders, may name. */
enum ig_code ig_tracking_identifier_read(struct ig_tracking_identifier *out, bool *numeric,
                                         enum ig_tracking_kind kind, struct ig_str text,
                                         bool ordering, struct ig_err *err);
/* Takes the quotes off; false when the text does not stand in them. */
bool ig_tracking_unquote(struct ig_str *text, char quote);

#endif
