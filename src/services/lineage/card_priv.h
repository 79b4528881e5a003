/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_LINEAGE_CARD_PRIV_H
#define IG_SERVICES_LINEAGE_CARD_PRIV_H

/* Sections of cards. */

#include "services/approval/report.h"
#include "services/lineage/card.h"

void ig_card_fairness(struct ig_buf *out, const struct ig_report *report,
                      const struct ig_report_summary *summary);
void ig_card_importance(struct ig_buf *out, const struct ig_report *report,
                        const struct ig_report_summary *summary);

#endif
